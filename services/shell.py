"""Runtime of a service program on asyncio: common flags, listening sockets, start message, shutdown by signal.

The main() of a service passes its flags and a start function to run_service(). The start function opens TCP and UDP
endpoints by methods of the Shell. Once it returns, the program prints a READY line with the addresses, and serves until
SIGTERM or SIGINT:

    $ python -m lab7.services.http.origin --root www --port 8080
    READY http 127.0.0.1:8080 [::1]:8080

A service accesses the event loop, the wall clock, random numbers and the log through the Shell only. It can therefore
run on another event loop, by a simulated clock (virtual time), and with injected faults.
"""

import argparse
import asyncio
import asyncio.sslproto
import errno
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Any, TypeVar

from lab7.services.connections import ConnectionLimits, ConnectionSet, Factory, Listener
from lab7.services.datagrams import DatagramEndpoint
from lab7.services.errors import ServiceError
from lab7.services.eventlog import EventLog, open_log
from lab7.services.faults import fault_words
from lab7.services.flags import port
from lab7.services.memory import release_zero_pages

# Default of --listen: loopback addresses only, as with Redis, PostgreSQL and Unbound.
DEFAULT_LISTEN = ("127.0.0.1", "::1")

# Length of the accept queue in connections: the default of Linux's net.core.somaxconn since 5.4.
BACKLOG = 4096

# Maximum concurrent connections of a service that sets no other limit; nginx's worker_connections is 512.
CONNECTIONS = 1024

# Soft limit of open files (RLIMIT_NOFILE), so high that a service's limit of connections is reached first.
OPEN_FILES = 8192

# Timeout in seconds of a TLS handshake, as the documentation of Apache's mod_reqtimeout suggests.
TLS_HANDSHAKE_S = 20.0

# Octets of the read buffer of a TLS connection on asyncio's own loop: a record (RFC 8446 section 5.2) and its overhead.
TLS_READ_OCTETS = 1 << 15

# Exit status of a service that cannot start; argparse exits with the same status after a wrong flag.
EXIT_CANNOT_START = 2

Result = TypeVar("Result")
Address = tuple[str, int]


@dataclass
class Shell:
    """Runtime of one service: event loop, wall clock, random number generator, log and open endpoints."""

    loop: asyncio.AbstractEventLoop
    listen: Sequence[str]
    port: int
    log: EventLog
    wall_clock: Callable[[], float] = time.time
    random: Random = field(default_factory=SystemRandom)
    # SO_REUSEPORT lets several processes listen on one port; the kernel distributes connections and datagrams.
    reuse_port: bool = False
    addresses: list[Address] = field(default_factory=list)
    _listeners: list[Listener] = field(default_factory=list)
    _connections: list[ConnectionSet] = field(default_factory=list)
    _datagrams: list[asyncio.DatagramTransport] = field(default_factory=list)

    async def open_tcp(
        self, factory: Factory, tls: ssl.SSLContext | None = None, connections: ConnectionSet | None = None
    ) -> None:
        """Listen on every address of --listen; raises ServiceError if an address cannot be bound.

        `factory` returns the asyncio protocol of an admitted connection. `connections` admits connections; by default
        it is a new ConnectionSet with at most CONNECTIONS concurrent connections.
        """
        if connections is None:
            connections = ConnectionSet(self.loop, ConnectionLimits(CONNECTIONS), log=self.log)
        self._connections.append(connections)
        for address in self.listen:
            listening = self._bind(address, socket.SOCK_STREAM)
            listening.listen(BACKLOG)
            handshake_s = None if tls is None else TLS_HANDSHAKE_S
            self._listeners.append(Listener(self.loop, listening, factory, connections, tls, handshake_s))
            self._record_address(listening)

    async def open_udp(self, factory: Callable[[], asyncio.DatagramProtocol]) -> None:
        """Receive datagrams on every address of --listen; raises ServiceError if an address cannot be bound.

        The port is that of --port. With --port 0 it is a free port, the same for all calls of open_tcp() and
        open_udp().
        """
        for address in self.listen:
            receiver = self._bind(address, socket.SOCK_DGRAM)
            self._record_address(receiver)
            self._datagrams.append(DatagramEndpoint(self.loop, receiver, factory()))

    def on_hangup(self, act: Callable[[], None]) -> None:
        """Call `act` on SIGHUP, the conventional signal to reload configuration files."""
        self.loop.add_signal_handler(signal.SIGHUP, act)

    def close(self) -> None:
        """Close every listening socket and UDP endpoint; open connections are closed by the service."""
        for listener in self._listeners:
            listener.close()
        for connections in self._connections:
            connections.end_farewells()
        for transport in self._datagrams:
            transport.close()

    def _record_address(self, bound: socket.socket) -> None:
        address: Address = bound.getsockname()[:2]
        # With --port 0 the first socket is bound to a free port, and all further sockets to this port.
        self.port = address[1]
        if address not in self.addresses:
            self.addresses.append(address)

    def _bind(self, address: str, kind: socket.SocketKind) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        bound = socket.socket(family, kind)
        try:
            # SO_REUSEADDR: a stopped service's connections in TIME-WAIT must not prevent a restart on the same port.
            if kind is socket.SOCK_STREAM:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.reuse_port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family is socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind((address, self.port))
        except OSError as error:
            bound.close()
            raise ServiceError(_cannot_listen(address, self.port, error)) from error
        bound.setblocking(False)
        return bound


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {address} is in use: stop the program that uses it, or choose another with --port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"port {port} is privileged: choose one from 1024 on with --port, or run as root"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{address} is not an address of this machine: name one with --listen"
    return f"cannot listen on {address} port {port} ({error}): choose others with --listen and --port"


def add_common_flags(parser: argparse.ArgumentParser, default_port: int) -> None:
    """Add --listen, --port and --log, which every service takes."""
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDR",
        help="address to listen on, 0.0.0.0 and :: for all; repeatable (default: 127.0.0.1 and ::1)",
    )
    parser.add_argument(
        "--port",
        type=port,
        default=default_port,
        metavar="N",
        help=f"port to listen on; 0 for a free one, which READY prints (default: {default_port})",
    )
    parser.add_argument(
        "--log", metavar="FILE", help="append events to FILE as JSON lines, - for standard error (default: none)"
    )


def default_addresses() -> list[str]:
    """Return the default addresses of --listen: 127.0.0.1 and ::1, or only the one that this machine has."""
    # Without any loopback address the first default is returned: bind() then raises an error that names the cause.
    return [address for address in DEFAULT_LISTEN if _has_address(address)] or [DEFAULT_LISTEN[0]]


def _has_address(address: str) -> bool:
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def ready_line(name: str, addresses: Sequence[Address]) -> str:
    """Return the READY line, which a service prints once it listens: `READY http 127.0.0.1:8080 [::1]:8080`."""
    parts = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in addresses)
    return " ".join(["READY", name, *parts])


def run_loop(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end and return its result, on uvloop if installed, else on asyncio's own event loop."""
    try:
        import uvloop
    except ImportError:
        # asyncio allocates a read buffer of max_size octets for each TLS connection, 256 KiB by default.
        asyncio.sslproto.SSLProtocol.max_size = TLS_READ_OCTETS
        return asyncio.run(coroutine)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # A loop of uvloop has a read buffer of 250 kB, which Python has filled with zeros.
        release_zero_pages(runner.get_loop())
        return runner.run(coroutine)


def run_service(
    name: str, options: argparse.Namespace, start: Callable[[Shell], Awaitable[Callable[[], Awaitable[None]]]]
) -> int:
    """Run a service until SIGTERM or SIGINT and return its exit status.

    `start` opens endpoints on the Shell and returns a coroutine function that closes connections at shutdown. Status 0
    is a clean stop; 2 is a service that could not start, with one line on standard error that names the remedy.
    """
    try:
        run_loop(_serve(name, options, start))
    except ServiceError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_CANNOT_START
    return 0


async def _serve(
    name: str, options: argparse.Namespace, start: Callable[[Shell], Awaitable[Callable[[], Awaitable[None]]]]
) -> None:
    _raise_file_limit()
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    log = open_log(options.log, time.time)
    shell = Shell(loop, options.listen or default_addresses(), options.port, log)
    try:
        finish = await start(shell)
        faults = fault_words(options)
        print(" ".join([ready_line(name, shell.addresses), *faults]), flush=True)
        marks = {"faults": options.fault} if faults else {}
        log.write("ready", service=name, addresses=[list(address) for address in shell.addresses], **marks)
        await stopped.wait()
        shell.close()
        await finish()
        log.write("stopped", service=name)
    finally:
        shell.close()
        log.close()


def rehearse() -> None:
    """Start a service that listens on a free loopback port, and stop it at once.

    A process that forks services calls this before the first fork: the memory that Python allocates when code runs for
    the first time (inline caches, method caches, keys of instances) is then in pages that the forked services share.
    Signal handlers are restored: a program forked later that sets none must end on SIGTERM.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    async def start(shell: Shell) -> Callable[[], Awaitable[None]]:
        async def finish() -> None:
            pass

        await shell.open_tcp(lambda _slot: asyncio.Protocol())
        shell.loop.call_soon(signal.raise_signal, signal.SIGTERM)
        return finish

    run_service("rehearsal", argparse.Namespace(listen=[DEFAULT_LISTEN[0]], port=0, log=None), start)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
