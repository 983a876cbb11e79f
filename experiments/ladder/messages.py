"""Application messages at one interface of a capture: HTTP, DNS, FTP, SMTP, POP3, IMAP, and data of other protocols.

    for message in messages_at(captured, "client:client-eth0"):
        print(message.source, message.label, message.frames)

Connections are parsed by the parser of their protocol. The parsers do not accept octets of other protocols, of
encrypted sessions, and after a violation of the grammar. Consecutive segments of such octets from one end form one
message; its label is its first line if that is a line of the protocol, and otherwise "data". HTTP is recognised by its
first line on any port, also in connections that were opened before the capture began, and DNS over UDP by a query with
its response; the other protocols are recognised by their ports. A malformed DNS message has a label that begins with
"malformed", and the label of a DNS message that was captured in part begins with "captured in part".
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab7.experiments.dns.wire.messages import RCODES, Carrier, DnsMessage
from lab7.experiments.dns.wire.traffic import Problem, dns_exchanges, exchanges_elsewhere, lone_fragments
from lab7.experiments.ftp.wire.grammar import COMMAND, FIRST_OF_MANY, REPLY
from lab7.experiments.ftp.wire.sessions import CONTROL_PORT, ftp_traffic
from lab7.experiments.harness.judge.dialogue import Dialogue, Line
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, Direction, Endpoint, connections
from lab7.experiments.harness.judge.reassembly import Segment, unwrap
from lab7.experiments.http.wire.http1 import Message as HttpMessage
from lab7.experiments.http.wire.http2 import Http2Conversation, Http2Frame, Kind, parse_conversation
from lab7.experiments.ladder.midstream import HTTP_REQUEST, HTTP_STATUS, connections_without_syn
from lab7.experiments.mail.wire import imap, pop3, smtp

LABEL_MAX = 60
# Maximum number of octets of a segment in which the end of its first line is searched.
LINE_BYTES_MAX = 1000
_SESSIONS: Mapping[int, tuple[str, Callable[[Connection], Dialogue[Any, Any]]]] = {
    **dict.fromkeys(smtp.PORTS, ("smtp", smtp.read_session)),
    pop3.POP3_PORT: ("pop3", pop3.read_session),
    imap.IMAP_PORT: ("imap", imap.read_session),
}
_FTP_LINES = (COMMAND, REPLY, FIRST_OF_MANY)
_LINE_PORTS = {CONTROL_PORT: "ftp", **{port: protocol for port, (protocol, _) in _SESSIONS.items()}}


@dataclass(frozen=True)
class WireMessage:
    """Application message as captured at one interface: protocol, endpoints as address:port, label, frames, octets.

    `frames` are the numbers of the frames that carried the message, in order; `response`: True for a response to an
    earlier message; `control`: True for a message about the connection itself, such as HTTP/2's SETTINGS and GOAWAY.
    """

    protocol: str
    source: str
    target: str
    label: str
    frames: tuple[int, ...]
    octets: int
    response: bool = False
    control: bool = False

    @property
    def conversation(self) -> tuple[str, frozenset[str]]:
        """Protocol and both endpoints; they are the same for this conversation at any interface."""
        return self.protocol, frozenset((self.source, self.target))


def messages_at(captured: CaptureFile, interface: str) -> list[WireMessage]:
    """Return the messages at one interface in the order of their first frames. Raises KeyError."""
    frames = captured.at(interface)
    found = list(_dns(captured, interface))
    dns_ends = {message.conversation[1] for message in found}
    ftp = {id(session.connection): session for session in ftp_traffic(captured, interface).sessions}
    for connection in connections(frames):
        port = connection.server.port
        if id(connection) in ftp:
            found += _with_rest(connection, _dialogue("ftp", ftp[id(connection)]))
        elif port in _SESSIONS:
            protocol, read = _SESSIONS[port]
            found += _with_rest(connection, _dialogue(protocol, read(connection)))
        elif frozenset((str(connection.client), str(connection.server))) not in dns_ends:
            found += _with_rest(connection, _http(connection))
    for connection in connections_without_syn(frames):
        found += _with_rest(connection, _http(connection))
    return sorted(found, key=lambda one: (one.frames[0], one.frames[-1]))


def printable(text: str) -> str:
    """Replace unprintable characters in a text, so that a label can neither break XML nor control a terminal."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


def _shortened(text: str) -> str:
    text = printable(text)
    return text if len(text) <= LABEL_MAX else text[: LABEL_MAX - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _decoded(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _dns(captured: CaptureFile, interface: str) -> Iterator[WireMessage]:
    traffic = dns_exchanges(captured, interface)
    for message in (*traffic.messages, *exchanges_elsewhere(captured, interface).messages):
        yield _dns_message(message)
    # A datagram without payload holds no message, not a malformed one.
    malformed = [problem for problem in traffic.problems if problem.octets]
    partial = [*traffic.holes, *lone_fragments(captured, interface, traffic)]
    for kind, faulty in (("malformed", malformed), ("captured in part", partial)):
        for problem in faulty:
            if problem.carrier is not None:
                yield _faulty_dns_message(kind, problem, problem.carrier)


def _faulty_dns_message(kind: str, problem: Problem, carrier: Carrier) -> WireMessage:
    what = problem.question or ("response" if problem.is_response else "query")
    return _dns_arrow(carrier, f"{kind}: {what}", len(problem.octets), response=problem.is_response)


def _dns_message(message: DnsMessage) -> WireMessage:
    question = "" if message.question is None else f"{message.question.qname} {message.question.qtype}"
    label = f"{question}?" if not message.is_response else _dns_outcome(message, question)
    return _dns_arrow(message, label, message.size_bytes, response=message.is_response)


def _dns_arrow(carrier: Carrier, label: str, octets: int, *, response: bool) -> WireMessage:
    source = str(Endpoint(carrier.source, carrier.source_port))
    target = str(Endpoint(carrier.target, carrier.target_port))
    return WireMessage("dns", source, target, _shortened(label), (carrier.frame,), octets, response)


def _dns_outcome(message: DnsMessage, question: str) -> str:
    """Return the kind of a DNS response in words: answer, referral, truncated, NODATA or an error."""
    if message.rcode:
        return f"{RCODES.get(message.rcode, f'rcode {message.rcode}')} {question}"
    if message.tc:
        return f"truncated: {question}"
    if message.answer:
        data = ", ".join(f"{record.type} {record.rdata}" for record in message.answer)
        return f"{question.split(' ')[0]} {data}"
    servers = [record for record in message.authority if record.type == "NS"]
    if servers:
        return f"referral to {servers[0].name}"
    return f"NODATA {question}"


def _http(connection: Connection) -> Iterator[WireMessage]:
    if not HTTP_REQUEST.match(connection.from_client.stream.data):
        return
    conversation = parse_conversation(connection)
    streams = {}
    if isinstance(conversation, Http2Conversation):
        streams = {id(exchange): number for number, exchange in conversation.streams}
        yield from _http2_control(connection, conversation)
    for exchange in conversation.exchanges:
        stream = f" (stream {streams[id(exchange)]})" if id(exchange) in streams else ""
        method, target, _ = exchange.request.start_line
        pushed = id(exchange) in streams and streams[id(exchange)] % 2 == 0
        label = f"{'PUSH ' if pushed else ''}{_decoded(method)} {_decoded(target)}{stream}"
        yield _http_message(connection, exchange.request, label, response=False, from_client=not pushed)
        if exchange.response is not None:
            _, status, reason = exchange.response.start_line
            size = f", {len(exchange.response.body):,} octets" if exchange.response.body else ""
            cached = _cache_words(exchange.response)
            label = f"{_decoded(status)} {_decoded(reason)}".rstrip() + f"{cached}{size}{stream}"
            yield _http_message(connection, exchange.response, label, response=True, from_client=False)


def _cache_words(response: HttpMessage) -> str:
    """Return words on a response that a cache served, by Cache-Status (RFC 9211) or else Age (RFC 9111); else empty."""
    told = response.values(b"cache-status")
    if not told:
        return " from a cache" if response.values(b"age") else ""
    for member in _CACHE_STATUS.findall(b", ".join(told)):
        name, *parameters = (part.strip() for part in _CACHE_PARTS.findall(member))
        if b"hit" in parameters:
            return f" from cache {_decoded(name.strip(CACHE_QUOTE))}"
    return ""


CACHE_QUOTE = b'"'
# Members of a list of structured fields, and the parts of a member (RFC 9651 sections 3.1 and 3.1.2). Text in quotes
# may have the separators.
_CACHE_STATUS = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^,"])+')
_CACHE_PARTS = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|[^;"])+')


def _http2_control(connection: Connection, conversation: Http2Conversation) -> Iterator[WireMessage]:
    """Yield a message for each packet with HTTP/2 control frames, which belong to no request or response."""
    client, server = str(connection.client), str(connection.server)
    for frames, source, target in (
        (conversation.client_frames, client, server),
        (conversation.server_frames, server, client),
    ):
        carrying = {piece.frame for frame in frames if frame.kind in _MESSAGE_KINDS for piece in frame.pieces}
        packets: dict[int, list[Http2Frame]] = defaultdict(list)
        for frame in frames:
            if frame.packet not in carrying:
                packets[frame.packet].append(frame)
        for number, some in packets.items():
            names = ", ".join(dict.fromkeys(_kind_name(frame) for frame in some))
            numbers = tuple(dict.fromkeys((number, *(piece.frame for frame in some for piece in frame.pieces))))
            control = all(frame.kind in _CONTROL_KINDS for frame in some)
            octets = sum(frame.size_bytes for frame in some)
            yield WireMessage("http", source, target, _shortened(names), numbers, octets, control=control)


def _kind_name(frame: Http2Frame) -> str:
    name = Kind(frame.kind).name if frame.kind in Kind.__members__.values() else f"frame type {frame.kind}"
    return f"{name} (stream {frame.stream_id})" if frame.stream_id else name


_MESSAGE_KINDS = (Kind.DATA, Kind.HEADERS, Kind.CONTINUATION, Kind.PUSH_PROMISE)
_CONTROL_KINDS = (Kind.SETTINGS, Kind.PING, Kind.WINDOW_UPDATE, Kind.PRIORITY, Kind.GOAWAY)


def _http_message(
    connection: Connection, message: HttpMessage, label: str, *, response: bool, from_client: bool
) -> WireMessage:
    client, server = str(connection.client), str(connection.server)
    source, target = (client, server) if from_client else (server, client)
    return WireMessage("http", source, target, _shortened(label), message.frames, len(message.octets), response)


def _dialogue(protocol: str, session: Dialogue[Any, Any]) -> Iterator[WireMessage]:
    client, server = str(session.connection.client), str(session.connection.server)

    def line(one: Line, *, response: bool) -> WireMessage:
        source, target = (server, client) if response else (client, server)
        frames = tuple(dict.fromkeys(piece.frame for piece in one.pieces))
        return WireMessage(protocol, source, target, _shortened(one.text), frames, len(one.octets), response)

    greeting = session.greeting
    for one in greeting if isinstance(greeting, tuple) else [greeting] if greeting is not None else []:
        yield line(one, response=True)
    for exchange in session.exchanges:
        yield line(exchange.command, response=False)
        for reply in exchange.replies:
            yield line(reply, response=True)


def _with_rest(connection: Connection, known: Iterable[WireMessage]) -> list[WireMessage]:
    """Return the parsed messages of a connection and, as further messages, the octets that no parser has accepted."""
    found, port = list(known), connection.server.port
    taken = {frame for message in found for frame in message.frames}
    ways = (
        (connection.from_client, connection.client, connection.server, False),
        (connection.from_server, connection.server, connection.client, True),
    )
    segments = sorted(
        (segment.frame, str(source), str(target), segment.payload, response)
        for way, source, target, response in ways
        for segment in _first_copies(way)
    )
    run: list[tuple[int, str, str, bytes, bool]] = []
    for segment in segments:
        parsed = segment[0] in taken
        if run and (parsed or segment[1] != run[-1][1] or _begins_message(segment[3], port)):
            found.append(_unread(run, port))
            run = []
        if not parsed:
            run.append(segment)
    if run:
        found.append(_unread(run, port))
    return found


def _begins_message(payload: bytes, port: int) -> bool:
    """Return True if a payload begins with the first line of an HTTP message or, on FTP's port, a command or reply.

    After CCC the control connection is in clear text again (RFC 2228 section 3).
    """
    return _begins_http(payload) or (port == CONTROL_PORT and any(line.match(payload) for line in _FTP_LINES))


def _begins_http(payload: bytes) -> bool:
    return HTTP_REQUEST.match(payload) is not None or HTTP_STATUS.match(payload) is not None


def _unread(run: Sequence[tuple[int, str, str, bytes, bool]], port: int) -> WireMessage:
    """Return consecutive segments that no parser has accepted as one message.

    `run`: the segments. The message's label is the first line, if that is a line of the protocol.
    """
    frames, octets = tuple(one[0] for one in run), sum(len(one[3]) for one in run)
    _, source, target, payload, response = run[0]
    protocol, label = "tcp", f"data, {octets:,} octets"
    line = payload[:LINE_BYTES_MAX].split(b"\n")[0].rstrip(b"\r")
    if _begins_http(payload):
        protocol, label = "http", _decoded(line).removesuffix(" HTTP/1.1").removesuffix(" HTTP/1.0")
        label = label[len("HTTP/1.1 ") :] if label.startswith("HTTP/1.") else label
    elif port in _LINE_PORTS and line.isascii() and _decoded(line).isprintable() and line:
        protocol, label = _LINE_PORTS[port], _decoded(line)
    return WireMessage(protocol, source, target, _shortened(label), frames, octets, response)


def _first_copies(way: Direction) -> list[Segment]:
    """Return the data segments of one direction, without retransmissions and keep-alive probes.

    Segments after a gap in the capture are included.
    """
    carrying = {piece.frame for piece in way.stream.pieces}
    first, end = way.initial_sequence, len(way.stream.data)
    found, starts = [], set()
    for segment in way.segments:
        known = segment.sequence in starts
        if first is not None:
            start = unwrap(segment.sequence - first - 1, end)
            within = start >= 0 and start + len(segment.payload) <= end
            # After a SYN in the capture, one octet before the first one is a keep-alive probe (RFC 9293 section 3.8.4).
            probe = start == -1 and len(segment.payload) == 1 and way.syn is not None
            known = known or within or probe
        if segment.frame in carrying or not known:
            found.append(segment)
        starts.add(segment.sequence)
    return found
