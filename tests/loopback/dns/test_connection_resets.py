"""DNS server: clients that reset a TCP connection with a pending response do not cause errors."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import dns.message
import dns.query
import pytest

from lab7.services.connections import Listener
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Message
from lab7.services.dns.server.responder import Client, Responder
from lab7.services.dns.server.server import DNSServer, Limits
from lab7.services.eventlog import EventLog
from tests.loopback.dns.authority import HOST, PATIENCE_S, framed
from tests.loopback.dns.internet import free_net, played, ready_port

QUERY = dns.message.make_query("www.example.com", "A", id=1).to_wire()
# A reset at close() instead of an orderly end (SO_LINGER with a time of 0).
RESET = struct.pack("ii", 1, 0)
Factory = Callable[[], asyncio.AbstractEventLoop]
LOOPS: dict[str, Factory] = {"asyncio": asyncio.new_event_loop}
with suppress(ImportError):
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


def reset(peer: socket.socket) -> None:
    """Close a connection with a reset."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    peer.close()


async def resets_while(server: DNSServer, answering: asyncio.Event, release: asyncio.Event) -> None:
    """Have a client send a query and reset while it is handled; then release the handler."""
    loop = asyncio.get_running_loop()
    bound = socket.create_server((HOST, 0))
    bound.setblocking(False)
    address = bound.getsockname()
    listening = Listener(loop, bound, server.stream_protocol, server.connections)
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, address)
        await loop.sock_sendall(peer, framed(QUERY, QUERY))
        await answering.wait()
        reset(peer)
    # The reset has to arrive: the connection's transport notices it in one of the next turns.
    await asyncio.sleep(0.05)
    release.set()
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0.005)
    listening.close()
    await server.stop()


def run_on(factory: Factory, body: Callable[[], Coroutine[Any, Any, None]]) -> list[str]:
    """Run on an event loop, and return the errors that it reported."""
    reports: list[str] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(str(context)))
        async with asyncio.timeout(PATIENCE_S):
            await body()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(watched())
    return reports


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS.keys())
def test_a_reset_while_the_answer_is_waited_for(factory: Factory) -> None:
    log = io.StringIO()

    async def body() -> None:
        answering, release = asyncio.Event(), asyncio.Event()

        async def waiting(query: Message, _: Client) -> Message:
            answering.set()
            await release.wait()
            return query.reply()

        server = DNSServer(Responder(waiting), EventLog(log, time.time), limits=Limits())
        await resets_while(server, answering, release)

    assert run_on(factory, body) == []
    assert "failed" not in log.getvalue()


@pytest.mark.parametrize("factory", LOOPS.values(), ids=LOOPS.keys())
def test_a_reset_during_a_zone_transfer(factory: Factory) -> None:
    async def body() -> None:
        answering, release = asyncio.Event(), asyncio.Event()
        text = " ".join('"' + "x" * 250 + '"' for _ in range(60))
        records = tuple(entry.record for entry in parse_master_file(f"www.example.com. 1 TXT {text}"))

        def transfer(query: Message, _: Client) -> Iterator[Message]:
            answering.set()
            # More than the buffers of both ends hold, so that sending waits for the client.
            yield from (replace(query.reply(), answers=records) for number in range(2000))

        release.set()
        server = DNSServer(Responder(lambda query, _: query.reply()), EventLog(None, time.time), transfer=transfer)
        await resets_while(server, answering, release)

    assert run_on(factory, body) == []


def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
    """Respond after a delay."""
    query = Message.from_wire(data)
    time.sleep(0.15)
    text = f"{query.questions[0].name} 0 A 192.0.2.1"
    yield 0, replace(query.reply(), aa=True, answers=tuple(e.record for e in parse_master_file(text))).to_wire()


@pytest.mark.parametrize("service", ["resolver", "recursive"])
def test_a_reset_during_resolution_leaves_no_traceback(service: str, tmp_path: Path) -> None:
    net, port = free_net()
    zone = tmp_path / "zone"
    zone.write_text(
        f"$ORIGIN .\n$TTL 60\n@ SOA a. b. 1 1 1 1 1\n@ NS a.\na. A {net}.2\ncom NS ns.com.\nns.com. A {net}.1\n"
    )
    asks = {"resolver": ["--root", f"r.test={net}.1"], "recursive": ["--zone", str(zone)]}[service]
    command = [sys.executable, "-m", f"lab7.services.dns.{service}", "--listen", HOST, "--port", "0", *asks]
    command += ["--upstream-port", str(port)]
    with (
        played([(f"{net}.1", port)], play) as received,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            local = ready_port(process)
            for number in range(3):
                query = dns.message.make_query(f"n{number}.example.com", "A")
                peer = socket.create_connection((HOST, local))
                peer.sendall(framed(query.to_wire()))
                while len(received) <= number:
                    time.sleep(0.005)
                reset(peer)
            # The next client is served.
            answer = dns.query.tcp(dns.message.make_query("last.example.com", "A"), HOST, PATIENCE_S, local)
            assert len(answer.answer) == 1
        finally:
            process.terminate()
            _, complaints = process.communicate(timeout=PATIENCE_S)
    assert complaints == ""
    assert process.returncode == 0
