"""Parser of captured HTTP/2 connections: frames, and the requests and responses that they carry.

RFC 9113 section 3.4 (prefaces), 4.1 (frame format), 4.3 (header blocks), 5.1.1 (stream identifiers), 6.6 and 8.4
(push); RFC 7540 section 3.2 (Upgrade: h2c). Header blocks are decoded by `hpack`, which shares no code with lab7's HTTP
services. Flow control and priorities are not checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum

from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.reassembly import Piece, Stream
from lab7.experiments.http.wire.hpack import HeaderBlockError, HeaderTable
from lab7.experiments.http.wire.http1 import END_OF_HEAD, Conversation, Exchange, Message, converse

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 "
FRAME_HEADER_BYTES = 9
VERSION = b"HTTP/2"


class Kind(IntEnum):
    """HTTP/2 frame types (RFC 9113 section 6)."""

    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 0x1, 0x1, 0x4, 0x8, 0x20


class Http2Error(Exception):
    """Exception raised for octets that are not valid HTTP/2; its message has the number of the captured packet."""


@dataclass(frozen=True)
class Http2Frame:
    """Captured HTTP/2 frame: type, flags, stream identifier, payload, and the TCP segments that carried it."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes
    octets: bytes
    pieces: tuple[Piece, ...]

    @property
    def packet(self) -> int:
        """Return the number of the captured packet with the first octet of the frame."""
        return self.pieces[0].frame

    @property
    def size_bytes(self) -> int:
        """Return the size of the frame in octets, frame header included."""
        return len(self.octets)


@dataclass(frozen=True)
class Http2Conversation(Conversation):
    """HTTP/2 requests and responses captured on one connection, and all frames of each direction in order.

    `promised` are the streams that the server opened by PUSH_PROMISE. `upgraded` is True if the connection began as
    HTTP/1.1.
    """

    client_frames: tuple[Http2Frame, ...] = ()
    server_frames: tuple[Http2Frame, ...] = ()
    promised: frozenset[int] = frozenset()
    upgraded: bool = False
    streams: tuple[tuple[int, Exchange], ...] = ()


@dataclass
class _Half:
    """Request or response on one HTTP/2 stream while it is parsed: header fields, body and frames so far."""

    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    frames: list[Http2Frame] = field(default_factory=list)
    body: list[bytes] = field(default_factory=list)
    ended: bool = False
    block: bytes = b""

    def message(self, words: tuple[bytes, bytes, bytes]) -> Message:
        pieces = tuple(piece for frame in self.frames for piece in frame.pieces)
        plain = tuple(pair for pair in self.fields if not pair[0].startswith(b":"))
        octets = b"".join(frame.octets for frame in self.frames)
        return Message(words, plain, b"".join(self.body), octets, pieces, self.block)

    def value(self, name: bytes) -> bytes:
        return next((value for known, value in self.fields if known == name), b"")


@dataclass
class _Block:
    """Header block that is not complete yet: payloads of its HEADERS or PUSH_PROMISE frame and CONTINUATION frames."""

    half: _Half
    stream_id: int
    octets: list[bytes]


def is_http2(connection: Connection) -> bool:
    """Return True if the client's first 65,536 octets contain the HTTP/2 connection preface, also after an Upgrade."""
    return PREFACE in connection.from_client.stream.data[:65536]


def parse_conversation(connection: Connection) -> Conversation:
    """Parse a TCP connection as HTTP/2 if the client sends the HTTP/2 connection preface, otherwise as HTTP/1."""
    return converse_http2(connection) if is_http2(connection) else converse(connection)


def converse_http2(connection: Connection) -> Http2Conversation:
    """Parse both directions of a TCP connection as HTTP/2; return the requests with their responses, and all frames."""
    client, server = connection.from_client.stream, connection.from_server.stream
    start = client.data.find(PREFACE)
    upgraded = start > 0
    server_start = server.data.find(END_OF_HEAD) + len(END_OF_HEAD) if upgraded else 0
    try:
        if upgraded and not server.data.startswith(SWITCHING):
            raise Http2Error("the server does not reply to the Upgrade with 101 Switching Protocols")
        client_frames = tuple(_frames(client, start + len(PREFACE)))
        server_frames = tuple(_frames(server, server_start))
        promises: dict[int, _Half] = {}
        requests = _halves(client_frames)
        responses = _halves(server_frames, promises)
        if upgraded:
            requests[1] = _upgraded_request(client, start)
    except Http2Error as error:
        return Http2Conversation(connection, (), str(error), False, upgraded=upgraded)
    streams = tuple(_exchanges({**requests, **promises}, responses))
    exchanges = tuple(exchange for _, exchange in streams)
    leftover = _ends_inside(client, client_frames, start + len(PREFACE)) or _ends_inside(
        server, server_frames, server_start
    )
    return Http2Conversation(
        connection,
        exchanges,
        _problem(client_frames, server_frames) or _unasked({**requests, **promises}, responses),
        leftover,
        client_frames=client_frames,
        server_frames=server_frames,
        promised=frozenset(promises),
        upgraded=upgraded,
        streams=streams,
    )


def _frames(stream: Stream, start: int) -> Iterator[Http2Frame]:
    """Yield the complete HTTP/2 frames in one direction of a TCP connection, from offset `start` on."""
    data = stream.data
    while start + FRAME_HEADER_BYTES <= len(data):
        length = int.from_bytes(data[start : start + 3], "big")
        end = start + FRAME_HEADER_BYTES + length
        if end > len(data):
            return
        # RFC 9113 section 4.1: the first bit before the stream identifier is reserved and ignored.
        stream_id = int.from_bytes(data[start + 5 : start + 9], "big") & 0x7FFFFFFF
        payload = data[start + FRAME_HEADER_BYTES : end]
        yield Http2Frame(data[start + 3], data[start + 4], stream_id, payload, data[start:end], stream.span(start, end))
        start = end


def _ends_inside(stream: Stream, frames: tuple[Http2Frame, ...], start: int) -> bool:
    return start + sum(frame.size_bytes for frame in frames) != len(stream.data)


def _problem(client: tuple[Http2Frame, ...], server: tuple[Http2Frame, ...]) -> str | None:
    for name, frames in (("client", client), ("server", server)):
        # RFC 9113 section 3.4: the first frame of each side must be SETTINGS, after the client's preface.
        if frames and (frames[0].kind != Kind.SETTINGS or frames[0].flags & ACK):
            return f"the {name}'s first frame is of type {frames[0].kind}, not SETTINGS"
        for frame in frames:
            if frame.kind in (Kind.DATA, Kind.HEADERS, Kind.RST_STREAM, Kind.PUSH_PROMISE) and frame.stream_id == 0:
                return f"the {name} sends a frame of type {frame.kind} on stream 0"
    return None


def _unasked(requests: dict[int, _Half], responses: dict[int, _Half]) -> str | None:
    """Return a text on the first response on a stream that was not opened (RFC 9113 section 5.1); None if absent."""
    unasked = sorted(responses.keys() - requests.keys())
    return f"the server sends frames on stream {unasked[0]}, which was not opened" if unasked else None


def _unpadded(frame: Http2Frame) -> bytes:
    payload = frame.payload
    if frame.flags & PADDED:
        if not payload or payload[0] >= len(payload):
            raise Http2Error(f"padding longer than its frame in packet {frame.packet}")
        payload = payload[1 : len(payload) - payload[0]]
    return payload[5:] if frame.kind == Kind.HEADERS and frame.flags & PRIORITY else payload


def _halves(frames: tuple[Http2Frame, ...], promises: dict[int, _Half] | None = None) -> dict[int, _Half]:
    """Return the requests or responses of one direction by stream identifier.

    Requests in PUSH_PROMISE frames are added to `promises`.
    """
    table = HeaderTable()
    halves: dict[int, _Half] = {}
    block: _Block | None = None
    for frame in frames:
        _require_unbroken(frame, block)
        if frame.kind == Kind.DATA:
            half = halves.setdefault(frame.stream_id, _Half())
            half.frames.append(frame)
            half.body.append(_unpadded(frame))
            half.ended = half.ended or bool(frame.flags & END_STREAM)
        elif frame.kind in (Kind.HEADERS, Kind.PUSH_PROMISE):
            block = _begin_block(frame, halves, promises)
        elif block is not None:
            block.half.frames.append(frame)
            block.octets.append(frame.payload)
        if block is not None and frame.flags & END_HEADERS:
            _end_block(block, table, frame)
            block = None
    return halves


def _require_unbroken(frame: Http2Frame, block: _Block | None) -> None:
    """Raise Http2Error if a frame interrupts the open header block, or continues a block that is not open.

    Source: RFC 9113 section 4.3.
    """
    if block is None and frame.kind == Kind.CONTINUATION:
        raise Http2Error(f"CONTINUATION without a header block in packet {frame.packet}")
    if block is not None and (frame.kind, frame.stream_id) != (Kind.CONTINUATION, block.stream_id):
        raise Http2Error(f"a header block is interrupted by another frame in packet {frame.packet}")


def _begin_block(frame: Http2Frame, halves: dict[int, _Half], promises: dict[int, _Half] | None) -> _Block:
    octets = _unpadded(frame)
    if frame.kind == Kind.PUSH_PROMISE:
        if promises is None:
            raise Http2Error(f"PUSH_PROMISE from a client in packet {frame.packet}")
        promised = int.from_bytes(octets[:4], "big") & 0x7FFFFFFF
        half, octets = promises.setdefault(promised, _Half()), octets[4:]
    else:
        half = halves.setdefault(frame.stream_id, _Half())
        half.ended = half.ended or bool(frame.flags & END_STREAM)
    half.frames.append(frame)
    return _Block(half, frame.stream_id, [octets])


def _end_block(block: _Block, table: HeaderTable, frame: Http2Frame) -> None:
    octets = b"".join(block.octets)
    try:
        fields = table.read(octets)
    except HeaderBlockError as error:
        raise Http2Error(f"the header block that ends in packet {frame.packet} cannot be decoded: {error}") from error
    status = next((value for name, value in fields if name == b":status"), b"")
    if status.startswith(b"1"):
        # Discard interim responses (1xx), which precede the final response (RFC 9113 section 8.1).
        block.half.frames.clear()
    else:
        block.half.fields += fields
        # Use the first field block as the message's fields, since a second one has trailers (RFC 9113 section 8.1).
        block.half.block = block.half.block or octets


def _upgraded_request(client: Stream, end: int) -> _Half:
    """Return the HTTP/1.1 request with `Upgrade: h2c` as the request on stream 1 (RFC 7540 section 3.2)."""
    line, _, rest = client.data[:end].partition(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3:
        raise Http2Error("the request with Upgrade has no request line")
    pairs = [row.partition(b":") for row in rest.split(b"\r\n") if row]
    fields = [(name.lower(), value.strip()) for name, _, value in pairs]
    frame = Http2Frame(Kind.HEADERS, END_STREAM, 1, b"", client.data[:end], client.span(0, end))
    return _Half([(b":method", words[0]), (b":path", words[1]), *fields], [frame], [], True)


def _exchanges(requests: dict[int, _Half], responses: dict[int, _Half]) -> Iterator[tuple[int, Exchange]]:
    for stream_id, request in sorted(requests.items()):
        if not request.frames:
            continue
        asked = request.message((request.value(b":method"), request.value(b":path"), VERSION))
        answer = responses.get(stream_id)
        status = answer.value(b":status") if answer else b""
        whole = answer is not None and answer.ended and status
        response = answer.message((VERSION, status, b"")) if answer is not None and whole else None
        yield stream_id, Exchange(asked, response)
