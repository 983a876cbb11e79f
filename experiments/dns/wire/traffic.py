"""DNS exchanges at one interface: messages by UDP and TCP, each response matched to its query.

    traffic = dns_exchanges(capture, "local:local-eth0").between(start_ns, end_ns)
    for exchange in traffic.exchanges:
        print(exchange.query.question, exchange.response)

RFC 1035 section 4.2: by UDP a datagram is a message; by TCP each message follows two octets with its length. A response
matches the query with the same id and question between the same two endpoints (RFC 5452 section 9.1); an error response
may omit the question. A retransmitted query is the same exchange.

Left out: IP fragments, the first of which is reported as a problem, and more than one response to a query, as zone
transfers have: they are among the strays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6

from experiments.dns.wire.message import (
    Carrier,
    DnsMessage,
    DnsRecord,
    MalformedMessage,
    Question,
    canonical,
    read_message,
)
from experiments.harness.judge.frames import UDP_PROTOCOL
from experiments.harness.judge.frames import UDP_HEADER_BYTES, CaptureFile, Frame
from experiments.harness.judge.tcp import Connection, Direction, Endpoint, connections
from experiments.harness.judge.verdict import Contradiction

__all__ = [
    "DnsExchange",
    "DnsMessage",
    "DnsRecord",
    "DnsTraffic",
    "Problem",
    "Question",
    "canonical",
    "dns_exchanges",
]

DNS_PORT = 53
LENGTH_BYTES = 2  # RFC 1035 section 4.2.2

_Key = tuple[str, str, int, str, int, int]


@dataclass(frozen=True)
class Problem:
    """A malformed message on the DNS port, and the frame that carried it."""

    frame: int
    time_ns: int
    text: str


@dataclass(frozen=True)
class DnsExchange:
    """A query, its response (None: unanswered), and its retransmissions."""

    query: DnsMessage
    response: DnsMessage | None
    repeats: tuple[DnsMessage, ...] = ()

    @property
    def duration_s(self) -> float | None:
        """Seconds from the query to its response, as seen at the interface."""
        return None if self.response is None else (self.response.time_ns - self.query.time_ns) / 1e9


@dataclass(frozen=True)
class DnsTraffic:
    """Exchanges in the order of their queries, and problems, losses and unmatched responses.

    `problems` are messages that cannot be parsed; `dropped` counts packets that the capture lost; `holes` are TCP
    connections captured with gaps; `strays` are responses without a query in the capture.
    """

    exchanges: tuple[DnsExchange, ...] = ()
    problems: tuple[Problem, ...] = ()
    dropped: int = 0
    holes: tuple[Problem, ...] = ()
    strays: tuple[DnsMessage, ...] = ()

    def between(self, start_ns: int, end_ns: int) -> DnsTraffic:
        """Return the part that begins within [start_ns, end_ns): exchanges by their query."""
        return DnsTraffic(
            tuple(exchange for exchange in self.exchanges if start_ns <= exchange.query.time_ns < end_ns),
            tuple(problem for problem in self.problems if start_ns <= problem.time_ns < end_ns),
            self.dropped,
            tuple(hole for hole in self.holes if start_ns <= hole.time_ns < end_ns),
            tuple(stray for stray in self.strays if start_ns <= stray.time_ns < end_ns),
        )

    @property
    def absence(self) -> str | None:
        """The missing query; None if there are some."""
        return None if self.exchanges or self.problems else "no DNS query in the capture"

    @property
    def gap(self) -> str | None:
        """The first TCP connection that was not captured whole."""
        if not self.holes:
            return None
        return f"the capture of the TCP connection opened in frame {self.holes[0].frame} has a hole"

    @property
    def violation(self) -> Contradiction | None:
        """The first malformed message."""
        if not self.problems:
            return None
        first = self.problems[0]
        return Contradiction(f"In frame {first.frame}: {first.text}.", first.frame)


def merged(traffics: Iterable[DnsTraffic]) -> DnsTraffic:
    """Combine the traffic of several interfaces into one evidence: some of them may have seen no query."""
    parts = list(traffics)
    return DnsTraffic(
        tuple(exchange for part in parts for exchange in part.exchanges),
        tuple(problem for part in parts for problem in part.problems),
        max((part.dropped for part in parts), default=0),
        tuple(hole for part in parts for hole in part.holes),
        tuple(stray for part in parts for stray in part.strays),
    )


def dns_exchanges(capture: CaptureFile, interface: str, port: int = DNS_PORT) -> DnsTraffic:
    """Return the DNS traffic of one interface, by UDP and TCP. Raises KeyError if the capture has no such interface."""
    frames = capture.at(interface)
    messages: list[DnsMessage] = []
    problems: list[Problem] = []
    for frame in frames:
        if not frame.may_carry(UDP_PROTOCOL):
            continue
        packet = frame.headers
        if UDP in packet and port in (packet[UDP].sport, packet[UDP].dport):
            _note(messages, problems, _datagram(frame, packet), _udp_carrier(frame, packet))
    holes = []
    for connection in connections(frames):
        if connection.server.port != port:
            continue
        if not connection.whole:
            holes.append(Problem(connection.syn.frame, connection.syn.time_ns, "a TCP connection with a hole"))
        for octets, carrier in _both_ways(connection):
            _note(messages, problems, octets, carrier)
    messages.sort(key=lambda message: (message.time_ns, message.frame))
    problems.sort(key=lambda problem: problem.frame)
    exchanges, strays = pair(messages)
    return DnsTraffic(exchanges, tuple(problems), capture.dropped(interface), tuple(holes), strays)


def pair(messages: list[DnsMessage]) -> tuple[tuple[DnsExchange, ...], tuple[DnsMessage, ...]]:
    """Match responses to queries, given in order of time; return the exchanges, and the unmatched responses."""
    queries: list[list[DnsMessage]] = []
    responses: dict[int, DnsMessage] = {}
    open_by_key: dict[_Key, list[int]] = {}
    strays: list[DnsMessage] = []
    for message in messages:
        waiting = open_by_key.setdefault(_key(message), [])
        if not message.is_response:
            same = next((at for at in waiting if queries[at][0].question == message.question), None)
            if same is None:
                waiting.append(len(queries))
                queries.append([message])
            else:
                queries[same].append(message)
            continue
        asked = next((at for at in waiting if _answers(message, queries[at][0])), None)
        if asked is None:
            strays.append(message)
        else:
            waiting.remove(asked)
            responses[asked] = message
    exchanges = (DnsExchange(first, responses.get(at), tuple(rest)) for at, (first, *rest) in enumerate(queries))
    return tuple(exchanges), tuple(strays)


def _key(message: DnsMessage) -> _Key:
    """Return the two endpoints, the client's first, the transport and the id: equal in a query and its response."""
    here, there = (message.source, message.source_port), (message.target, message.target_port)
    if message.is_response:
        here, there = there, here
    return (message.transport, *here, *there, message.id)


def _answers(response: DnsMessage, query: DnsMessage) -> bool:
    # RFC 5452 section 9.1; a server that could not read the question, or refuses it, may not repeat it.
    return response.question == query.question or (response.question is None and response.rcode != 0)


def _note(messages: list[DnsMessage], problems: list[Problem], octets: bytes | str, carrier: Carrier) -> None:
    """Parse one message, or record a problem; a text in place of octets is the reason why there are none."""
    if isinstance(octets, bytes):
        try:
            messages.append(read_message(octets, carrier))
            return
        except MalformedMessage as found:
            octets = str(found)
    way = f"from {carrier.source} to {carrier.target} by {carrier.transport.upper()}"
    problems.append(Problem(carrier.frame, carrier.time_ns, f"{octets} ({way})"))


def _datagram(frame: Frame, packet: Any) -> bytes | str:
    udp = packet[UDP]
    # Octets from the UDP header on, since `packet` may end with that header.
    original = frame.data[len(packet.original) - len(udp.original) :]
    if not UDP_HEADER_BYTES <= udp.len <= len(original):
        return f"a datagram of {udp.len} octets of which the frame holds {len(original)}"
    return original[UDP_HEADER_BYTES : udp.len]


def _udp_carrier(frame: Frame, packet: Any) -> Carrier:
    network, udp = _network(packet), packet[UDP]
    return Carrier(frame.number, frame.time_ns, network.src, udp.sport, network.dst, udp.dport, "udp")


def _network(packet: Any) -> Any:
    return packet[IP] if IP in packet else packet[IPv6]


def _both_ways(connection: Connection) -> Iterator[tuple[bytes | str, Carrier]]:
    yield from _prefixed(connection.from_client, connection.client, connection.server, connection.whole)
    yield from _prefixed(connection.from_server, connection.server, connection.client, connection.whole)


def _prefixed(
    direction: Direction, source: Endpoint, target: Endpoint, whole: bool
) -> Iterator[tuple[bytes | str, Carrier]]:
    """Split one direction of a connection by the length prefixes of its messages; incomplete octets at the end are a
    problem.

    If the capture has a gap (not `whole`), an incomplete end is not reported.
    """
    stream, start = direction.stream, 0

    def carrier(low: int, high: int) -> Carrier:
        last = max(stream.span(low, high), key=lambda piece: piece.time_ns)
        return Carrier(last.frame, last.time_ns, source.address, source.port, target.address, target.port, "tcp")

    while start + LENGTH_BYTES <= len(stream.data):
        first = start + LENGTH_BYTES
        end = first + int.from_bytes(stream.data[start:first], "big")
        if end > len(stream.data):
            break
        yield stream.data[first:end], carrier(start, end)
        start = end
    if whole and start < len(stream.data):
        left = len(stream.data) - start
        yield f"the stream ends {left} octets into a message", carrier(start, len(stream.data))
