"""Phases of HTTP exchanges at their client's interface, as browsers' network panels divide them.

    dns            query sent                          to  its response received
    tcp_handshake  first SYN sent                      to  SYN-ACK received
    request_sent   first octet of the request sent     to  its last octet sent
    waiting        last octet of the request sent      to  first octet of the response received
    receiving      first octet of the response         to  its last octet

The handshake, and the DNS query before it, belong to the first exchange of a connection. Time between two of these
phases is the phase `client`, in which the client itself computes or waits. The phases of an exchange therefore add up
to its duration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lab7.experiments.harness.judge.decomposition import Interval, dns_intervals
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, InterfaceFrames, connections
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.http2 import Http2Conversation, parse_conversation
from lab7.experiments.ladder.midstream import HTTP_REQUEST
from lab7.experiments.ladder.selection import conversation_of

CLIENT = "client"
PHASES = ("dns", "tcp_handshake", CLIENT, "request_sent", "waiting", "receiving")


@dataclass(frozen=True)
class Phase:
    """Phase of an exchange: name, time span in ns, and the numbers of the frames that delimit it or belong to it."""

    name: str
    start_ns: int
    end_ns: int
    frames: tuple[int, ...] = ()


@dataclass(frozen=True)
class HttpObject:
    """HTTP exchange with its phases, its connection (numbered from 1 by order of the SYNs) and its HTTP/2 stream."""

    exchange: Exchange
    connection: Connection
    number: int
    stream: int | None
    pushed: bool
    phases: tuple[Phase, ...]

    @property
    def start_ns(self) -> int:
        """Return the start of the first phase in ns."""
        return self.phases[0].start_ns

    @property
    def end_ns(self) -> int:
        """Return the end of the last phase in ns."""
        return max(phase.end_ns for phase in self.phases)


def http_objects(captured: CaptureFile, interface: str, start_ns: int, end_ns: int) -> list[HttpObject]:
    """Return the HTTP exchanges whose requests were sent within [start_ns, end_ns], at the client's interface.

    Raises KeyError if the capture has no such interface.
    """
    frames = _conversations_in(captured.at(interface), start_ns, end_ns)
    lookups = [lookup for lookup in dns_intervals(frames) if start_ns <= lookup.start_ns <= end_ns]
    found: list[HttpObject] = []
    every = (connection for connection in connections(frames) if is_http(connection))
    used = 0
    for connection in every:
        mine = [
            HttpObject(exchange, connection, used + 1, stream, pushed, tuple(_phases(exchange)))
            for stream, pushed, exchange in _exchanges(connection)
            if start_ns <= exchange.request.first_ns <= end_ns
        ]
        if mine and start_ns <= connection.syn.time_ns:
            opened = _opening(connection, lookups)
            mine[0] = replace(mine[0], phases=tuple(_without_gaps((*opened, *mine[0].phases))))
        used += bool(mine)
        found += mine
    return sorted(found, key=lambda one: (one.exchange.request.first_ns, one.number, one.stream or 0))


def is_http(connection: Connection) -> bool:
    """Return True if the client's first octets are an HTTP/1 request line or the HTTP/2 connection preface."""
    return HTTP_REQUEST.match(connection.from_client.stream.data) is not None


def _conversations_in(frames: InterfaceFrames, start_ns: int, end_ns: int) -> InterfaceFrames:
    """Return the frames, up to `end_ns`, of all conversations with a frame within [start_ns, end_ns].

    The selection keeps the number of frames to dissect small.
    """
    keys = [conversation_of(frame.data) for frame in frames]
    wanted = {
        key for frame, key in zip(frames, keys, strict=True) if key is not None and start_ns <= frame.time_ns <= end_ns
    }
    return InterfaceFrames(
        frame for frame, key in zip(frames, keys, strict=True) if key in wanted and frame.time_ns <= end_ns
    )


def _exchanges(connection: Connection) -> Iterator[tuple[int | None, bool, Exchange]]:
    """Yield (HTTP/2 stream or None, True if pushed by the server, exchange) for each HTTP exchange of a connection."""
    parsed = parse_conversation(connection)
    if isinstance(parsed, Http2Conversation):
        for stream, exchange in parsed.streams:
            yield stream, stream in parsed.promised, exchange
    else:
        for exchange in parsed.exchanges:
            yield None, False, exchange


def _phases(exchange: Exchange) -> Iterator[Phase]:
    request, response = exchange.request, exchange.response
    yield Phase("request_sent", request.first_ns, request.last_ns, request.frames)
    if response is not None:
        # A final response may arrive before the request is complete (RFC 9110 section 7.5).
        waited_ns = max(request.last_ns, response.first_ns)
        yield Phase("waiting", request.last_ns, waited_ns, (request.frames[-1], response.frames[0]))
        yield Phase("receiving", waited_ns, max(waited_ns, response.last_ns), response.frames)


def _opening(connection: Connection, lookups: list[Interval]) -> Iterator[Phase]:
    """Yield the phases before the first request on a connection: DNS lookup and TCP handshake.

    The lookup is the latest one that ended before the SYN and belongs to no other connection.
    """
    syn, answer = connection.syn, connection.from_server.syn
    before = [lookup for lookup in lookups if lookup.end_ns <= syn.time_ns]
    if before:
        lookups.remove(before[-1])
        yield Phase("dns", before[-1].start_ns, before[-1].end_ns)
    if answer is not None:
        yield Phase("tcp_handshake", syn.time_ns, answer.time_ns, (syn.frame, answer.frame))


def _without_gaps(phases: Iterable[Phase]) -> Iterator[Phase]:
    """Yield the phases in order of time, with a phase `client` inserted into each gap between two of them."""
    before: Phase | None = None
    for phase in phases:
        if before is not None and before.end_ns < phase.start_ns:
            yield Phase(CLIENT, before.end_ns, phase.start_ns)
        yield phase
        before = phase
