"""Upstream transport: sends each query from a socket of its own, with a random id and a random source port.

RFC 5452 section 9.2 (unpredictable ids and ports; a connected socket receives datagrams from the server's address and
port only), RFC 7766 (TCP). Responses that do not match the query are dropped, and the wait continues; after a response
that has the query's id but does not match, it continues for MISMATCH_GRACE_S only.
"""

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

from lab7.services.dns.codec.client_subnet import response_subnet
from lab7.services.dns.codec.codes import DNS_PORT, rcode_to_text, type_to_text
from lab7.services.dns.codec.message import Message
from lab7.services.dns.recursion.query import (
    MISMATCH_GRACE_S,
    Mismatched,
    Outcome,
    Replied,
    ResponseMatcher,
    TimedOut,
    Unreachable,
    UpstreamQuery,
)
from lab7.services.errors import ServiceError
from lab7.services.eventlog import EventLog

# Range of random source ports: all but the privileged ones (RFC 6056 section 3.2).
SOURCE_PORT_MIN, SOURCE_PORT_MAX = 1024, 65_535
# Number of random source ports tried, each of which may be in use, before the kernel chooses a port.
PORT_ATTEMPTS = 8

# Values of the log field for outcomes without a usable response.
_FAILURES = {Mismatched: "mismatch", TimedOut: "timeout", Unreachable: "unreachable"}

# A response as (message, size in octets); the message is None if the only response does not match the query.
Received = tuple[Message | None, int]


# /proc/net/if_inet6 has an IPv6 address per line; its fourth column is the scope, 00 for global and unique local ones.
_IPV6_ADDRESSES = Path("/proc/net/if_inet6")


def has_ipv6() -> bool:
    """Tell whether this host has an IPv6 address other than link-local addresses and ::1."""
    try:
        lines = _IPV6_ADDRESSES.read_text().splitlines()
    except OSError:
        return False
    return any(line.split()[3] == "00" for line in lines)


class Upstream:
    """Transport for upstream queries, from the address `source` to port `port` of the servers.

    `own` are the addresses and ports on which this program listens; they are not queried, to prevent a loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        random: Random,
        log: EventLog,
        port: int = DNS_PORT,
        source: str = "",
        own: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._loop = loop
        self._random = random
        self._log = log
        self._port = port
        self._source = source
        self._own = own

    async def check_source(self) -> None:
        """Raise ServiceError unless `source` is an address of this host."""
        if not self._source:
            return
        try:
            endpoint = await self._loop.create_datagram_endpoint(asyncio.DatagramProtocol, (self._source, 0))
        except OSError as error:
            raise ServiceError(f"--outgoing {self._source}: cannot bind ({error})") from error
        endpoint[0].close()

    async def send(self, query: UpstreamQuery) -> Outcome:
        """Send an upstream query; return its outcome."""
        matcher = ResponseMatcher(query, self._random.getrandbits(16))
        outcome: Outcome = Unreachable()
        if not self._is_own(query.address):
            outcome = await (self._over_tcp(query, matcher) if query.tcp else self._over_udp(query, matcher))
        if self._log.enabled:
            self._log.write("upstream", **_log_fields(query, outcome))
        return outcome

    def _is_own(self, address: str) -> bool:
        """Tell whether a query to an address and the upstream port would reach this program itself."""
        family, every = (socket.AF_INET6, "::") if ":" in address else (socket.AF_INET, "0.0.0.0")
        if (address, self._port) in self._own:
            return True
        if (every, self._port) not in self._own:
            return False
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
            except OSError:
                return False
        return True

    async def _over_udp(self, query: UpstreamQuery, matcher: ResponseMatcher) -> Outcome:
        received: asyncio.Future[Received] = self._loop.create_future()
        server = (query.address, self._port)
        try:
            transport = await self._socket(lambda: _QueryProtocol(matcher, received, server), server)
        except OSError:
            return Unreachable()
        started = self._loop.time()
        try:
            transport.sendto(matcher.to_wire())
            async with asyncio.timeout(query.timeout_s):
                message, size = await received
            rtt_s = self._loop.time() - started
            return matcher.mismatch(rtt_s) if message is None else matcher.reply(message, rtt_s, size)
        except TimeoutError:
            return TimedOut()
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
        # The socket is bound and connected here, because uvloop would pass even IP addresses to a resolver thread.
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

    async def _over_tcp(self, query: UpstreamQuery, matcher: ResponseMatcher) -> Outcome:
        started = self._loop.time()
        source = (self._source, 0) if self._source else None
        writer: asyncio.StreamWriter | None = None
        try:
            async with asyncio.timeout(query.timeout_s):
                reader, writer = await asyncio.open_connection(query.address, self._port, local_addr=source)
                # If the server has closed the connection already, write() of uvloop's transport would raise.
                if writer.transport.is_closing():
                    return Unreachable()
                data = matcher.to_wire()
                # RFC 7766 section 8: length field and message are sent in one write.
                writer.write(len(data).to_bytes(2, "big") + data)
                message = None
                while message is None and not matcher.mismatched:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    message = matcher.accept(await reader.readexactly(size))
                rtt_s = self._loop.time() - started
                return matcher.mismatch(rtt_s) if message is None else matcher.reply(message, rtt_s, size)
        except TimeoutError:
            return TimedOut()
        except (OSError, asyncio.IncompleteReadError):
            return Unreachable()
        finally:
            if writer is not None:
                writer.transport.abort()


class _QueryProtocol(asyncio.DatagramProtocol):
    """Datagram protocol for one query's socket; it accepts the matching response and drops all others."""

    def __init__(self, matcher: ResponseMatcher, received: "asyncio.Future[Received]", server: tuple[str, int]) -> None:
        self._matcher = matcher
        self._received = received
        self._server = server
        self._grace: asyncio.TimerHandle | None = None

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        # The source is checked, because datagrams that arrive between bind() and connect() may have any source.
        if self._received.done() or tuple(addr[:2]) != self._server:
            return
        message = self._matcher.accept(data)
        if message is not None:
            self._received.set_result((message, len(data)))
        elif self._matcher.mismatched and self._grace is None:
            self._grace = self._received.get_loop().call_later(MISMATCH_GRACE_S, self._end_grace)

    def _end_grace(self) -> None:
        if not self._received.done():
            self._received.set_result((None, 0))

    def error_received(self, exc: Exception) -> None:
        if not self._received.done():
            self._received.set_exception(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._grace is not None:
            self._grace.cancel()
        if exc is not None:
            self.error_received(exc)


def _log_fields(query: UpstreamQuery, outcome: Outcome) -> dict[str, object]:
    fields: dict[str, object] = {
        "server": query.address,
        "zone": str(query.zone),
        "qname": str(query.question.name),
        "qtype": type_to_text(query.question.rtype),
        "over": "tcp" if query.tcp else "udp",
        "rd": query.recursion_desired,
    }
    if query.subnet is not None:
        fields["subnet"] = str(query.subnet)
    if isinstance(outcome, Replied):
        message = outcome.message
        subnet = response_subnet(message)
        if subnet is not None:
            fields["scope"] = subnet.scope_prefix
        counts = {"answers": len(message.answers), "authority": len(message.authority)}
        return fields | {
            "rcode": rcode_to_text(message.rcode),
            "aa": message.aa,
            "tc": message.tc,
            "rtt_s": round(outcome.rtt_s, 6),
            **counts,
        }
    return fields | {"rcode": None, "failure": _FAILURES[type(outcome)]}
