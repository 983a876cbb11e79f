"""Asks servers: each query from a socket of its own, with an id and a port that nobody can foresee.

RFC 5452 section 9.2 (random ids, random ports out of as many as there are; a socket that is connected takes datagrams
from the server's address and port only), RFC 7766 (TCP). What comes and does not fit is dropped, and the wait goes on.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from random import Random

from services.dns.codec.client_subnet import subnet_in
from services.dns.codec.codes import rcode_to_text, type_to_text
from services.dns.codec.message import Message
from services.dns.recursion.query import Ask, Expected, Outcome, Replied, TimedOut, Unreachable
from services.errors import ServiceError
from services.eventlog import EventLog

DNS_PORT = 53
# RFC 6056 section 3.2: all ports but those that need a privilege.
SOURCE_PORT_MIN, SOURCE_PORT_MAX = 1024, 65_535
# Ports tried before the kernel is asked for one: each is taken by somebody else once in many times.
PORT_ATTEMPTS = 8

# A message and how long it was.
Answer = tuple[Message, int]


class Upstream:
    """Sends what a Resolution asks for, from `source` to port `port` of the servers."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, random: Random, log: EventLog, port: int = DNS_PORT, source: str = ""
    ) -> None:
        self._loop = loop
        self._random = random
        self._log = log
        self._port = port
        self._source = source

    async def check_source(self) -> None:
        """Find out whether queries can leave from `source`; raises ServiceError."""
        if not self._source:
            return
        try:
            made = await self._loop.create_datagram_endpoint(asyncio.DatagramProtocol, (self._source, 0))
        except OSError as error:
            raise ServiceError(
                f"queries cannot leave from {self._source} ({error}): name another --outgoing"
            ) from error
        made[0].close()

    async def ask(self, ask: Ask) -> Outcome:
        """Send one query and return what came of it."""
        expected = Expected(ask, self._random.getrandbits(16))
        outcome = await (self._over_tcp(ask, expected) if ask.tcp else self._over_udp(ask, expected))
        if self._log.enabled:
            self._log.write("upstream", **_described(ask, outcome))
        return outcome

    async def _over_udp(self, ask: Ask, expected: Expected) -> Outcome:
        answered: asyncio.Future[Answer] = self._loop.create_future()
        server = (ask.address, self._port)
        try:
            transport = await self._socket(lambda: _Waiting(expected, answered, server), server)
        except OSError:
            return Unreachable()
        begun = self._loop.time()
        try:
            transport.sendto(expected.query())
            async with asyncio.timeout(ask.timeout_s):
                message, size = await answered
                return expected.replied(message, self._loop.time() - begun, size)
        except TimeoutError:
            return TimedOut(expected.case_mangled)
        except OSError:
            return Unreachable()
        finally:
            transport.close()

    async def _socket(
        self, factory: Callable[[], asyncio.DatagramProtocol], server: tuple[str, int]
    ) -> asyncio.DatagramTransport:
        for _ in range(PORT_ATTEMPTS):
            port = self._random.randint(SOURCE_PORT_MIN, SOURCE_PORT_MAX)
            with suppress(OSError):
                return await self._bound(factory, port, server)
        return await self._bound(factory, 0, server)

    async def _bound(
        self, factory: Callable[[], asyncio.DatagramProtocol], port: int, server: tuple[str, int]
    ) -> asyncio.DatagramTransport:
        # Bound and connected here: given addresses, uvloop looks them up in a thread, as if they were names.
        family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind((self._source or ("::" if family == socket.AF_INET6 else "0.0.0.0"), port))
            sock.connect(server)
        except OSError:
            sock.close()
            raise
        return (await self._loop.create_datagram_endpoint(factory, sock=sock))[0]

    async def _over_tcp(self, ask: Ask, expected: Expected) -> Outcome:
        begun = self._loop.time()
        source = (self._source, 0) if self._source else None
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(ask.timeout_s):
                reader, writer = await asyncio.open_connection(ask.address, self._port, local_addr=source)
                # The server may have closed it at once, and uvloop's transport then takes no octets.
                if writer.transport.is_closing():
                    return Unreachable()
                query = expected.query()
                # RFC 7766 section 8: length and message in one write.
                writer.write(len(query).to_bytes(2, "big") + query)
                message = None
                while message is None:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    message = expected.accept(await reader.readexactly(size))
                return expected.replied(message, self._loop.time() - begun, size)
        except TimeoutError:
            return TimedOut()
        except (OSError, asyncio.IncompleteReadError):
            return Unreachable()
        finally:
            if writer is not None:
                writer.transport.abort()


class _Waiting(asyncio.DatagramProtocol):
    """One query's socket."""

    def __init__(self, expected: Expected, answered: "asyncio.Future[Answer]", server: tuple[str, int]) -> None:
        self._expected = expected
        self._answered = answered
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # What came between bind() and connect() may be from anybody.
        if self._answered.done() or tuple(addr[:2]) != self._server:
            return
        message = self._expected.accept(data)
        if message is not None:
            self._answered.set_result((message, len(data)))

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.error_received(exc)


def _described(ask: Ask, outcome: Outcome) -> dict[str, object]:
    known: dict[str, object] = {
        "server": ask.address,
        "zone": str(ask.zone),
        "qname": str(ask.question.name),
        "qtype": type_to_text(ask.question.rtype),
        "over": "tcp" if ask.tcp else "udp",
        "rd": ask.recursion_desired,
    }
    if ask.subnet is not None:
        known["subnet"] = str(ask.subnet)
    if isinstance(outcome, Replied):
        message = outcome.message
        answered = subnet_in(message)
        if answered is not None:
            known["scope"] = answered.scope_prefix
        counts = {"answers": len(message.answers), "authority": len(message.authority)}
        return known | {
            "rcode": rcode_to_text(message.rcode),
            "aa": message.aa,
            "tc": message.tc,
            "rtt_s": round(outcome.rtt_s, 6),
            **counts,
        }
    return known | {"rcode": None, "failure": "timeout" if isinstance(outcome, TimedOut) else "unreachable"}
