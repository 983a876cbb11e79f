"""Access to a running network from this machine's programs: loopback ports, or a SOCKS proxy (`lab7 open NETWORK`)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import click

from lab7.experiments.harness.cli.running import socks
from lab7.topologies.emulation.control.channel import Channel, ClosedError
from lab7.topologies.emulation.control.client import ask, connected, open_connection, receive_reply, send_request
from lab7.topologies.emulation.errors import ArgumentError, EmulationError

LOOPBACK = "127.0.0.1"
# Ports of HTTP servers, proxies and webmail; ports of lab7's services are recognised by their command lines as well.
WEB_PORTS = frozenset({80, 443, 3128, 8000, 8025, 8080})
_WEB_SERVICE = re.compile(r"\bhttp\b|webmail")
CONNECTIONS_MAX = 200
READ_BYTES = 65536
NEGOTIATION_TIMEOUT_S = 10.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def open_network(name: str, host: str | None, from_host: str | None, port: int) -> None:
    """Give programs of this machine access to a running network until Ctrl-C (`lab7 open`). Raises EmulationError.

    `host`: forward a loopback port to each TCP server of this host; None: to each web server of the network.
    `from_host`: instead run a SOCKS proxy whose connections start in this host.
    """
    described = ask(name, "info")
    hosts = {one["name"]: one for one in described["hosts"]}
    for each in (host, from_host):
        if each is not None and each not in hosts:
            raise ArgumentError(f"there is no host {each!r} in the network {name}: it has {', '.join(hosts)}")
    if from_host is not None:
        asyncio.run(_until_down(name, _proxy(name, from_host, port)))
        return
    ports = list(_served(hosts, host))
    if not ports:
        where = f"{host} has no TCP server" if host else f"the network {name} has no web server: name a HOST"
        raise ArgumentError(where)
    asyncio.run(_until_down(name, _forward(name, ports)))


def _served(hosts: Mapping[str, Any], only: str | None) -> Iterator[tuple[str, str, int, bool]]:
    """Yield (host, address, port, True for a web server) for each TCP server that is to get a port on loopback.

    `only`: the host whose servers are yielded; None for the web servers of all hosts.
    """
    for name, one in hosts.items():
        address = next((each["ip"] for each in one["interfaces"] if each["ip"]), "")
        if not address or only not in (None, name):
            continue
        for port in one["listens"]:
            if only is not None or _is_web(one, port):
                yield name, address, port, _is_web(one, port)


def _is_web(host: Mapping[str, Any], port: int) -> bool:
    """Return True if a web server, proxy or webmail listens on a port of a host.

    This holds for well-known ports, and for a port in the command line of such a service.
    """
    commands = [service["command"] for service in host["services"] if _WEB_SERVICE.search(service["command"])]
    return port in WEB_PORTS or any(re.search(rf"--port {port}\b", command) for command in commands)


async def _forward(name: str, ports: list[tuple[str, str, int, bool]]) -> None:
    for host, address, port, is_web in ports:

        async def connect(_streams: Streams, host: str = host, address: str = address, port: int = port) -> Streams:
            return await _open(name, host, address, port)

        own = await _listen(0, connect)
        click.echo(
            f"{host} port {port}: http://{LOOPBACK}:{own}/" if is_web else f"{host} port {port}: {LOOPBACK}:{own}"
        )


async def _proxy(name: str, host: str, port: int) -> None:
    async def connect(streams: Streams) -> Streams:
        async with asyncio.timeout(NEGOTIATION_TIMEOUT_S):
            address, target = await socks.read_request(*streams)
        try:
            found = await _open(name, host, address, target)
        except EmulationError:
            streams[1].write(socks.reply(socks.UNREACHABLE))
            raise
        streams[1].write(socks.reply(socks.SUCCEEDED))
        return found

    own = await _listen(port, connect)
    click.echo(f"SOCKS proxy in {host}: socks5://{LOOPBACK}:{own}")
    click.echo(f"    chromium --proxy-server=socks5://{LOOPBACK}:{own}")
    click.echo(f"    curl --proxy socks5h://{LOOPBACK}:{own} http://www.example.com/")


async def _open(name: str, host: str, address: str, port: int) -> Streams:
    connection = await asyncio.to_thread(open_connection, name, host, address, port)
    return await asyncio.open_connection(sock=connection)


async def _listen(port: int, connect: Callable[[Streams], Awaitable[Streams]]) -> int:
    """Listen on a loopback port, and relay each connection to one that `connect` opens; return the port number."""
    slots = asyncio.Semaphore(CONNECTIONS_MAX)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)
        try:
            async with slots:
                far = await connect((reader, writer))
                try:
                    await asyncio.gather(_copy(reader, far[1]), _copy(far[0], writer))
                finally:
                    far[1].close()
        except (EmulationError, OSError, socks.SocksError, asyncio.IncompleteReadError, TimeoutError):
            pass
        except asyncio.CancelledError:
            # At the end of the command; asyncio's streams print a traceback for a handler that was cancelled.
            pass
        finally:
            writer.close()

    try:
        server = await asyncio.start_server(serve, LOOPBACK, port)
    except OSError as error:
        raise EmulationError(f"port {port} cannot be opened ({error.strerror}): choose another --port") from None
    _servers.append(server)
    own: int = server.sockets[0].getsockname()[1]
    return own


# Servers of this command, referred to here so that they are not garbage-collected.
_servers: list[asyncio.Server] = []
# Tasks of the connections, which are cancelled and awaited at the end of this command.
_tasks: set[asyncio.Task[None]] = set()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy octets from one connection to another until the end of input, then half-close the second connection."""
    while octets := await reader.read(READ_BYTES):
        writer.write(octets)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _until_down(name: str, opening: Awaitable[None]) -> None:
    """Open the loopback ports or the proxy, wait for a signal or the end of the network, then close all connections."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    with connected(name) as channel:
        send_request(channel, "subscribe")
        receive_reply(channel)
        await opening
        click.echo("Ctrl-C closes it.")
        loop.add_reader(channel.fileno(), functools.partial(_read_notice, channel, ended))
        await ended.wait()
        loop.remove_reader(channel.fileno())
    for server in _servers:
        server.close()
    for task in _tasks:
        task.cancel()
    await asyncio.gather(*_tasks, return_exceptions=True)


def _read_notice(channel: Channel, ended: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        try:
            channel.receive(0.0)
        except ClosedError:
            ended.set()
