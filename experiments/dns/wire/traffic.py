"""Captured DNS traffic over UDP and TCP: queries at one interface, matched with their responses.

    traffic = dns_exchanges(capture, "local:local-eth0").between(start_ns, end_ns)     # host:interface
    for exchange in traffic.exchanges:
        print(exchange.query.question, exchange.response)

Over UDP, a datagram is a message; over TCP, a two-octet length precedes each message (RFC 1035 section 4.2). A response
matches the query with the same id and question between the same two endpoints (RFC 5452 section 9.1); an error response
may omit the question. Retransmissions of a query belong to the same exchange.

A dynamic update (RFC 2136) and its response are an exchange as well: the zone is in the question section, prerequisites
and updates are in the answer and authority sections. A datagram that was not captured completely is reported in
`holes`. Not supported: further responses to the same query, as in zone transfers (they are reported in `strays`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from lab7.experiments.dns.wire.messages import (
    HEADER_BYTES,
    OPCODE_UPDATE,
    Carrier,
    DnsMessage,
    MalformedMessage,
    Question,
    read_message,
)
from lab7.experiments.harness.judge.fragments import is_first_fragment
from lab7.experiments.harness.judge.frames import (
    UDP_HEADER_BYTES,
    UDP_PROTOCOL,
    CaptureFile,
    Connection,
    Direction,
    Endpoint,
    Frame,
    UdpDatagram,
    connections,
    datagrams,
)
from lab7.experiments.harness.judge.verdict import Contradiction

DNS_PORT = 53
# Ports of DNS, multicast DNS (RFC 6762) and LLMNR (RFC 4795).
NOT_ELSEWHERE = frozenset((DNS_PORT, 5353, 5355))
RECORDS_MAX = 255  # records in a section of a message that is recognised by its content
LENGTH_BYTES = 2  # RFC 1035 section 4.2.2
# RFC 1035 section 4.1.1: offsets in the header of the octet with QR and OPCODE, and of the four counts of records.
FLAGS_AT, COUNTS_AT, QR, OPCODE = 2, 4, 0x80, 0x78
QUESTION_BYTES = 4  # RFC 1035 section 4.1.2: type, class


# Key that a query and its response share: transport, client's address and port, server's address and port, id.
_Key = tuple[str, str, int, str, int, int]


@dataclass(frozen=True)
class Problem:
    """Malformed or incompletely captured message on the DNS port: its frame number, and a clause about the fault.

    `carrier` and `octets` are the transport and the captured octets of the message; None for a TCP connection.
    """

    frame: int
    time_ns: int
    text: str
    carrier: Carrier | None = None
    octets: bytes = field(default=b"", repr=False)

    @property
    def is_response(self) -> bool:
        """Return True for a response: by the QR bit (RFC 1035 section 4.1.1), else by the source port."""
        if len(self.octets) < FLAGS_AT + 1:
            return self.carrier is not None and self.carrier.source_port == DNS_PORT
        return bool(self.octets[FLAGS_AT] & QR)

    @property
    def question(self) -> Question | None:
        """Return the question of the message; None if it has none that can be parsed."""
        name_at = end = HEADER_BYTES
        while end < len(self.octets) and self.octets[end]:
            end += 1 + self.octets[end]
        end += 1 + QUESTION_BYTES
        # The question alone is a message, with its count in the header in place of the four counts.
        alone = self.octets[:COUNTS_AT] + b"\0\1" + bytes(6) + self.octets[name_at:end]
        if self.carrier is None or end > len(self.octets):
            return None
        try:
            return read_message(alone, self.carrier).question
        except MalformedMessage:
            return None


@dataclass(frozen=True)
class DnsExchange:
    """DNS query with its response (None if unanswered) and its retransmissions (`repeats`)."""

    query: DnsMessage
    response: DnsMessage | None
    repeats: tuple[DnsMessage, ...] = ()

    @property
    def duration_s(self) -> float | None:
        """Return the time in s from query to response at the captured interface; None if the query is unanswered."""
        return None if self.response is None else (self.response.time_ns - self.query.time_ns) / 1e9


@dataclass(frozen=True)
class DnsTraffic:
    """Captured DNS traffic of one interface: queries with responses, in the order of the queries, and all faults.

    - `problems`: messages that cannot be parsed
    - `dropped`: number of packets that the capture lost
    - `holes`: TCP connections with gaps in the capture, and datagrams captured in part
    - `strays`: responses without a query
    """

    exchanges: tuple[DnsExchange, ...] = ()
    problems: tuple[Problem, ...] = ()
    dropped: int = 0
    holes: tuple[Problem, ...] = ()
    strays: tuple[DnsMessage, ...] = ()

    def between(self, start_ns: int, end_ns: int) -> DnsTraffic:
        """Return the traffic within [start_ns, end_ns); a query counts, with its response, by the time of the query."""
        return DnsTraffic(
            tuple(exchange for exchange in self.exchanges if start_ns <= exchange.query.time_ns < end_ns),
            tuple(problem for problem in self.problems if start_ns <= problem.time_ns < end_ns),
            self.dropped,
            tuple(hole for hole in self.holes if start_ns <= hole.time_ns < end_ns),
            tuple(stray for stray in self.strays if start_ns <= stray.time_ns < end_ns),
        )

    @property
    def messages(self) -> list[DnsMessage]:
        """Return all messages: each query, its repetitions and its response, then the responses without a query."""
        found: list[DnsMessage] = []
        for exchange in self.exchanges:
            found += [exchange.query, *exchange.repeats, *([exchange.response] if exchange.response else [])]
        return [*found, *self.strays]

    @property
    def absence(self) -> str | None:
        """Return a text for the verdict if no DNS query was captured, otherwise None."""
        return None if self.exchanges or self.problems else "no DNS query in the capture"

    @property
    def gap(self) -> str | None:
        """Return a text on the first message or TCP connection that was not captured completely, or None."""
        return self.holes[0].text if self.holes else None

    @property
    def violation(self) -> Contradiction | None:
        """Return a Contradiction for the first malformed message, or None if all are well-formed."""
        if not self.problems:
            return None
        first = self.problems[0]
        return Contradiction(f"In frame {first.frame}: {first.text}.", first.frame)


def merged(traffics: Iterable[DnsTraffic]) -> DnsTraffic:
    """Return the DNS traffic of several interfaces as one."""
    parts = list(traffics)
    return DnsTraffic(
        tuple(exchange for part in parts for exchange in part.exchanges),
        tuple(problem for part in parts for problem in part.problems),
        max((part.dropped for part in parts), default=0),
        tuple(hole for part in parts for hole in part.holes),
        tuple(stray for part in parts for stray in part.strays),
    )


def dns_exchanges(capture: CaptureFile, interface: str, port: int = DNS_PORT) -> DnsTraffic:
    """Return the DNS traffic captured at one interface, over UDP and TCP. Raises KeyError for an unknown interface."""
    frames = capture.at(interface)
    messages: list[DnsMessage] = []
    problems: list[Problem] = []
    holes = []
    for frame in datagrams(frames):
        if not frame.may_carry(UDP_PROTOCOL):
            continue
        udp = frame.udp
        if udp is not None and port in (udp.source.port, udp.target.port):
            carrier = _udp_carrier(frame, udp)
            if frame.truncated:
                text = f"frame {frame.number} was captured incompletely"
                holes.append(Problem(frame.number, frame.time_ns, text, carrier, udp.payload))
            else:
                _note(messages, problems, *_datagram(udp), carrier)
    for connection in connections(frames):
        if connection.server.port != port:
            continue
        if not connection.whole:
            text = f"the capture of the TCP connection opened in frame {connection.syn.frame} is incomplete"
            holes.append(Problem(connection.syn.frame, connection.syn.time_ns, text))
        for octets, fault, carrier in _both_ways(connection):
            _note(messages, problems, octets, fault, carrier)
    messages.sort(key=lambda message: (message.time_ns, message.frame))
    problems.sort(key=lambda problem: problem.frame)
    exchanges, strays = pair(messages)
    return DnsTraffic(exchanges, tuple(problems), capture.dropped(interface), tuple(holes), strays)


def lone_fragments(capture: CaptureFile, interface: str, traffic: DnsTraffic) -> Iterator[Problem]:
    """Yield the first IP fragments of DNS messages on port 53 whose other fragments were not captured.

    A capture filter for port 53 drops the other fragments, because these have no ports. Messages in `traffic` are left
    out.
    """
    whole = {(_ends(one), one.id.to_bytes(2, "big")) for one in traffic.messages}
    whole |= {(_ends(one.carrier), one.octets[:2]) for one in traffic.problems if one.carrier is not None}
    for frame in capture.at(interface):
        udp = frame.udp if is_first_fragment(frame.data) else None
        if udp is None or DNS_PORT not in (udp.source.port, udp.target.port):
            continue
        carrier = _udp_carrier(frame, udp)
        if (_ends(carrier), udp.payload[:2]) not in whole:
            text = f"frame {frame.number} has the first of several fragments, and another one is missing"
            yield Problem(frame.number, frame.time_ns, text, carrier, udp.payload)


def _ends(carrier: Carrier) -> tuple[str, int, str, int]:
    return carrier.source, carrier.source_port, carrier.target, carrier.target_port


def exchanges_elsewhere(capture: CaptureFile, interface: str) -> DnsTraffic:
    """Return the DNS traffic over UDP of servers on other ports than 53. Raises KeyError if the interface is missing.

    A server is recognised by a response to a query (same id and question), since other protocols have no such pairs.
    Left out: multicast DNS and LLMNR, which have the same message format.
    """
    messages: list[DnsMessage] = []
    for frame in datagrams(capture.at(interface)):
        udp = frame.udp
        if udp is None or not NOT_ELSEWHERE.isdisjoint((udp.source.port, udp.target.port)):
            continue
        octets, fault = _datagram(udp)
        if fault is None and _resembles_dns(octets):
            with suppress(MalformedMessage):
                messages.append(read_message(octets, _udp_carrier(frame, udp)))
    answered = [exchange.query for exchange in pair(messages)[0] if exchange.response is not None]
    servers = {(query.target, query.target_port) for query in answered}
    exchanges, strays = pair(
        [one for one in messages if {(one.source, one.source_port), (one.target, one.target_port)} & servers]
    )
    return DnsTraffic(exchanges, dropped=capture.dropped(interface), strays=strays)


def _resembles_dns(octets: bytes) -> bool:
    """Return True if octets begin like a DNS query: opcode QUERY, one question, few records; a fast filter."""
    if len(octets) < HEADER_BYTES or octets[FLAGS_AT] & OPCODE:
        return False
    counts: tuple[int, ...] = struct.unpack_from("!4H", octets, COUNTS_AT)
    questions, answers, authority, additional = counts
    few = RECORDS_MAX if octets[FLAGS_AT] & QR else 0
    return questions == 1 and max(answers, authority) <= few and additional <= RECORDS_MAX


def pair(messages: list[DnsMessage]) -> tuple[tuple[DnsExchange, ...], tuple[DnsMessage, ...]]:
    """Match DNS messages in order of time; return (queries with their responses, responses without a query)."""
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
    """Return the key that a query and its response share: transport, client and server endpoints, id."""
    here, there = (message.source, message.source_port), (message.target, message.target_port)
    if message.is_response:
        here, there = there, here
    return (message.transport, *here, *there, message.id)


def _answers(response: DnsMessage, query: DnsMessage) -> bool:
    # RFC 5452 section 9.1: a response must repeat the query's question, which an error response may omit.
    # RFC 2136 section 3.8: the response to an update may consist of a header only.
    if response.opcode != query.opcode:
        return False
    may_omit = response.rcode != 0 or query.opcode == OPCODE_UPDATE
    return response.question == query.question or (response.question is None and may_omit)


def _note(
    messages: list[DnsMessage], problems: list[Problem], octets: bytes, fault: str | None, carrier: Carrier
) -> None:
    """Parse a message and append it to `messages`, or append a Problem if it is malformed or has a known `fault`."""
    if fault is None:
        try:
            messages.append(read_message(octets, carrier))
            return
        except MalformedMessage as found:
            fault = str(found)
    way = f"from {carrier.source} to {carrier.target} by {carrier.transport.upper()}"
    problems.append(Problem(carrier.frame, carrier.time_ns, f"{fault} ({way})", carrier, octets))


def _udp_carrier(frame: Frame, udp: UdpDatagram) -> Carrier:
    ends = (udp.source.address, udp.source.port, udp.target.address, udp.target.port)
    return Carrier(frame.number, frame.time_ns, *ends, "udp")


def _datagram(udp: UdpDatagram) -> tuple[bytes, str | None]:
    """Return (octets of the DNS message in a UDP datagram, clause about a fault of the datagram or None)."""
    held = UDP_HEADER_BYTES + len(udp.payload)
    if not UDP_HEADER_BYTES <= udp.length <= held:
        return udp.payload, f"the frame holds only {held} of {udp.length} octets of the datagram"
    return udp.payload[: udp.length - UDP_HEADER_BYTES], None


def _both_ways(connection: Connection) -> Iterator[tuple[bytes, str | None, Carrier]]:
    yield from _prefixed(connection.from_client, connection.client, connection.server, connection.whole)
    yield from _prefixed(connection.from_server, connection.server, connection.client, connection.whole)


def _prefixed(
    direction: Direction, source: Endpoint, target: Endpoint, whole: bool
) -> Iterator[tuple[bytes, str | None, Carrier]]:
    """Yield (octets, fault or None, transport) for each length-prefixed message in a TCP stream.

    A stream that ends within a message yields an error text, unless the capture has a gap (`whole` is False).
    """
    stream, start = direction.stream, 0

    def carrier(low: int, high: int) -> Carrier:
        # Compare frame numbers as well, since frames of one burst may have the same time stamp.
        last = max(stream.span(low, high), key=lambda piece: (piece.time_ns, piece.frame))
        return Carrier(last.frame, last.time_ns, source.address, source.port, target.address, target.port, "tcp")

    while start + LENGTH_BYTES <= len(stream.data):
        first = start + LENGTH_BYTES
        end = first + int.from_bytes(stream.data[start:first], "big")
        if end > len(stream.data):
            break
        yield stream.data[first:end], None, carrier(start, end)
        start = end
    if whole and start < len(stream.data):
        left = len(stream.data) - start
        fault = f"the stream ends {left} octets into a message"
        yield stream.data[start + LENGTH_BYTES :], fault, carrier(start, len(stream.data))
