"""HTTP exchanges on both sides of a caching proxy, from packets captured at the proxy's interface.

    client ──(GET http://www.example.com/a)──> proxy ──(GET /a, If-Modified-Since: ...)──> origin

A connection opened to the proxy's address is a client connection; a connection opened from the proxy's address is an
origin connection. The origin's responses determine what the proxy may have stored: the newest 200 (RFC 9110 section
15.3.1), with the validators of a later 304 (RFC 9111 section 4.3.4). A verdict on a claim (statement of the course)
about the cache requires that the proxy serves this content. Partial content, Vary and methods other than GET are not
supported, since the experiments do not use them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.frames import CaptureFile, network_layer, payload_bytes
from lab7.experiments.harness.judge.verdict import Contradiction
from lab7.experiments.http.wire.http1 import Conversation, Exchange, Message
from lab7.experiments.http.wire.page_load import PageLoad, page_load

# Type of a time span: [start, end) in ns on the capture's clock.
Span = tuple[int, int]
# Scheme and authority, which precede the path in a request to a forward proxy (RFC 3986 section 3).
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*://[^/?]*")
CONDITIONS: Mapping[bytes, bytes] = {b"if-modified-since": b"last-modified", b"if-none-match": b"etag"}


@dataclass(frozen=True)
class Copy:
    """Response that a proxy may have stored: the origin's latest 200 for a path, with the validators of a later 304."""

    body: bytes
    validators: Mapping[bytes, bytes]
    frame: int


@dataclass(frozen=True)
class Served:
    """Client's request with its response, and the request to the origin that it caused (`upstream`; None for a hit)."""

    exchange: Exchange
    upstream: Exchange | None

    @property
    def path(self) -> bytes:
        """Return the path and query of the client's request."""
        return path_of(self.exchange)


@dataclass(frozen=True)
class Legs:
    """Captured connections of a proxy: those from clients, and those to the origin."""

    clients: PageLoad
    origin: PageLoad
    # True if the proxy sent octets to a server on a connection that was opened before the capture began.
    unseen: bool = False

    @property
    def alone(self) -> bool:
        """Return True if the proxy responded to clients, and opened no connection to the origin."""
        answered = any(exchange.response is not None for exchange in self.clients.exchanges)
        return answered and not self.origin.conversations and not self.unseen

    @property
    def loads(self) -> list[PageLoad]:
        """Return the connections that verdicts use as evidence.

        These are the client and the origin connections; if the proxy opened none to the origin, the client connections
        alone.
        """
        # A proxy without any connection to the origin is a finding for the checks, not a gap in the capture.
        return [self.clients] if self.alone else [self.clients, self.origin]

    @property
    def dropped(self) -> int:
        """Return the number of packets dropped by the kernel during the capture: the larger value of both sides."""
        return max(load.dropped for load in self.loads)

    @property
    def absence(self) -> str | None:
        """Return a text that names the side without captured connections, or None if both sides have connections."""
        return next((load.absence for load in self.loads if load.absence is not None), None)

    @property
    def gap(self) -> str | None:
        """Return a text on the first connection that was not captured completely, or None if all were."""
        return next((load.gap for load in self.loads if load.gap is not None), None)

    @property
    def violation(self) -> Contradiction | None:
        """Return a Contradiction for the first violation of the HTTP grammar, or None if there is none."""
        try:
            for load in self.loads:
                load.require_valid()
        except Contradiction as contradiction:
            return contradiction
        return None

    @cached_property
    def _upstream(self) -> Mapping[bytes, list[Exchange]]:
        found: dict[bytes, list[Exchange]] = {}
        for exchange in self.origin.exchanges:
            found.setdefault(path_of(exchange), []).append(exchange)
        return found

    def asked(self, spans: Iterable[Span]) -> list[Exchange]:
        """Return the client requests sent within the time spans, each with its response, in order."""
        return _within(self.clients.exchanges, spans)

    def forwarded(self, spans: Iterable[Span]) -> list[Exchange]:
        """Return the proxy's requests to the origin sent within the time spans, each with its response, in order."""
        return _within(self.origin.exchanges, spans)

    def served(self, spans: Iterable[Span]) -> list[Served]:
        """Pair each client request in the time spans with the request to the origin that it caused, if any.

        The request to the origin is the last one for the same path between the client's request and its response.
        """
        return [Served(exchange, self._meanwhile(exchange)) for exchange in self.asked(spans)]

    def answers_before(self, path: bytes, time_ns: int) -> list[Exchange]:
        """Return the proxy's requests to the origin for a path whose responses had begun at the time `time_ns`."""
        return [
            each
            for each in self._upstream.get(path, [])
            if each.response is not None and each.response.first_ns <= time_ns
        ]

    def copy(self, path: bytes, time_ns: int) -> Copy | None:
        """Return the response that the proxy may have stored for a path at the time `time_ns`, or None."""
        found: Copy | None = None
        for exchange in self.answers_before(path, time_ns):
            response = exchange.response
            if response is None or response.last_ns > time_ns:
                continue
            said = validators_of(response)
            if status_of(response) == 200:
                found = Copy(response.body, said, response.frames[0])
            elif status_of(response) == 304 and found is not None:
                found = Copy(found.body, {**found.validators, **said}, found.frame)
        return found

    def _meanwhile(self, exchange: Exchange) -> Exchange | None:
        if exchange.response is None:
            return None
        began_ns, ended_ns = exchange.request.first_ns, exchange.response.last_ns
        answers = self.answers_before(path_of(exchange), ended_ns)
        return next((answer for answer in reversed(answers) if answer.request.first_ns >= began_ns), None)


def read_legs(captured: CaptureFile, interface: str, proxy: str, ports: Iterable[int]) -> Legs:
    """Return the HTTP connections captured at a proxy's interface, divided into client and origin connections.

    `ports` are the server ports. Raises KeyError if the capture has no such interface.
    """
    every = page_load(captured, interface, ports)

    def those(chosen: Callable[[Conversation], bool]) -> PageLoad:
        return PageLoad(
            tuple(conversation for conversation in every.conversations if chosen(conversation)), every.dropped
        )

    clients = those(lambda one: one.connection.server.address == proxy)
    origin = those(lambda one: one.connection.client.address == proxy)
    return Legs(clients, origin, not origin.conversations and _asks(captured, interface, proxy, set(ports)))


def _asks(captured: CaptureFile, interface: str, proxy: str, ports: set[int]) -> bool:
    """Return True if the proxy sends octets to a server port, even on a connection opened before the capture began."""
    return any(
        network_layer(frame.packet).src == proxy
        and frame.packet[layers.TCP].dport in ports
        and payload_bytes(frame.packet[layers.TCP])
        for frame in captured.at(interface)
        if network_layer(frame.packet) is not None and layers.TCP in frame.packet
    )


def path_of(exchange: Exchange) -> bytes:
    """Return path and query of a request's target, which may be in origin-form or absolute-form."""
    return _ABSOLUTE.sub(b"", exchange.target, count=1) or b"/"


def validators_of(message: Message) -> dict[bytes, bytes]:
    """Return the Last-Modified and ETag values of a response, by lower-case field name."""
    return {name: values[-1] for name in CONDITIONS.values() if (values := message.values(name))}


def status_of(message: Message) -> int:
    """Return the status code of a response."""
    return int(message.start_line[1])


def text(octets: bytes) -> str:
    """Decode octets of a message as ASCII, other octets as escapes, to quote them in an evidence text."""
    return octets.decode("ascii", "backslashreplace")


def _within(exchanges: Iterable[Exchange], spans: Iterable[Span]) -> list[Exchange]:
    wanted = list(spans)
    return [
        exchange for exchange in exchanges if any(start <= exchange.request.first_ns < end for start, end in wanted)
    ]
