"""Captured page load: all HTTP connections that a client opened within a time span, with their requests and responses.

Verdicts on the claims of the course about HTTP are reached from page loads (see http.claims). Page loads should be
captured at the client's own interface: "before" then refers to the order in which the client sends and receives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, dns_intervals, sum_up
from lab7.experiments.harness.judge.frames import CaptureFile, Frame, connections
from lab7.experiments.harness.judge.verdict import Contradiction
from lab7.experiments.http.wire.http1 import Conversation, Exchange
from lab7.experiments.http.wire.http2 import parse_conversation

# Files of a page on the origin: content by URL path, the base page before the objects that the page references.
Files = Mapping[bytes, bytes]


@dataclass(frozen=True)
class PageLoad:
    """HTTP connections of a page load, in the order of their SYNs, and the number of packets that the capture dropped.

    `files` are the expected contents by URL path, or None if unknown.
    """

    conversations: tuple[Conversation, ...]
    dropped: int = 0
    files: Files | None = field(default=None, compare=False, repr=False)

    @cached_property
    def exchanges(self) -> tuple[Exchange, ...]:
        """Return the requests of all connections with their responses, in the order of the requests."""
        every = (exchange for conversation in self.conversations for exchange in conversation.exchanges)
        return tuple(sorted(every, key=lambda exchange: exchange.request.first_ns))

    def between(self, start_ns: int, end_ns: int, files: Files | None = None) -> PageLoad:
        """Return the part of the page load on connections that begin within [start_ns, end_ns).

        `files`: the contents expected in this part.
        """
        return PageLoad(
            tuple(
                conversation
                for conversation in self.conversations
                if start_ns <= conversation.connection.syn.time_ns < end_ns
            ),
            self.dropped,
            self.files if files is None else files,
        )

    @property
    def absence(self) -> str | None:
        """Return a text for the verdict if no HTTP connection was captured, otherwise None."""
        return None if self.conversations else "the capture has no HTTP connection"

    @property
    def gap(self) -> str | None:
        """Return a text on the first connection that was not captured completely, or None if all were."""
        cut = next(
            (conversation.connection for conversation in self.conversations if not conversation.connection.whole), None
        )
        return None if cut is None else f"the capture of the connection opened in frame {cut.syn.frame} is incomplete"

    @property
    def violation(self) -> None:
        """Return None: invalid messages contradict only some claims, whose checks call require_valid() themselves."""
        return None

    def require_valid(self) -> None:
        """Raise Contradiction for the first connection that violates the HTTP grammar."""
        for conversation in self.conversations:
            if conversation.problem is not None:
                syn = conversation.connection.syn.frame
                raise Contradiction(f"On the connection opened in frame {syn}: {conversation.problem}.", syn)


def page_load(capture: CaptureFile, interface: str, ports: Iterable[int] = (80,)) -> PageLoad:
    """Return the HTTP connections to these server ports whose SYN was captured at an interface.

    Raises KeyError if the interface was not captured.
    """
    wanted = set(ports)
    every = connections(capture.at(interface))
    return PageLoad(
        tuple(parse_conversation(connection) for connection in every if connection.server.port in wanted),
        capture.dropped(interface),
    )


def decompose(load: PageLoad, dns_frames: Iterable[Frame] = ()) -> Decomposition:
    """Divide the duration of a page load into terms: dns, tcp_handshake, request, transmission, residual.

    `dns_frames` are the frames with DNS messages at the same interface, in order of time. Raises ValueError if no
    response was received.
    """
    intervals = [*_http_intervals(load), *dns_intervals(dns_frames)]
    responses = [exchange.response.last_ns for exchange in load.exchanges if exchange.response is not None]
    if not responses:
        raise ValueError("a page load without a response has no duration")
    start_ns = min(interval.start_ns for interval in intervals)
    return sum_up(intervals, start_ns, max(responses))


def _http_intervals(load: PageLoad) -> list[Interval]:
    intervals: list[Interval] = []
    for conversation in load.conversations:
        answer = conversation.connection.from_server.syn
        syn_ns = conversation.connection.syn.time_ns
        if answer is not None:
            intervals.append(Interval("tcp_handshake", syn_ns, answer.time_ns))
        for exchange in conversation.exchanges:
            if exchange.response is None:
                continue
            first, last = exchange.response.first_ns, exchange.response.last_ns
            # Request intervals may be empty: a final response may precede the request's end (RFC 9110 section 7.5).
            intervals.append(Interval("request", min(exchange.request.last_ns, first), first))
            intervals.append(Interval("transmission", first, last))
    return intervals
