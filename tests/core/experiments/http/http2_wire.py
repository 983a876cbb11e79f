"""HTTP/2 connections built frame by frame, their header blocks packed by the hpack package, which the judge has not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from hpack import Encoder

from lab7.experiments.harness.judge.frames import Connection, Direction, Endpoint, Mark
from lab7.experiments.harness.judge.reassembly import Segment
from lab7.experiments.http.wire.http2 import (
    ACK,
    END_HEADERS,
    END_STREAM,
    PADDED,
    PREFACE,
    PRIORITY,
    Http2Conversation,
    Kind,
    converse_http2,
)
from tests.core.experiments.harness.wire import Tcp, Wire

RTT_MS = 40.0
TARGETS = ("/", "/a", "/b")
Fields = Sequence[tuple[str, str]]
# What a browser repeats with every request.
USUAL: Fields = (("user-agent", "a browser with a long name"), ("accept", "text/html, image/png, */*;q=0.8"))


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def settings(ack: bool = False) -> bytes:
    return frame(Kind.SETTINGS, ACK if ack else 0, 0)


def data(stream_id: int, body: bytes, end: bool = True, padding: int | None = None) -> bytes:
    flags = END_STREAM if end else 0
    if padding is None:
        return frame(Kind.DATA, flags, stream_id, body)
    return frame(Kind.DATA, flags | PADDED, stream_id, bytes([padding]) + body + bytes(padding))


def body_of(target: str) -> bytes:
    return target.encode() * 50


@dataclass
class Packer:
    """One direction's header blocks; without compression every field is spelled out and no table is kept."""

    compressed: bool = True
    encoder: Encoder = field(default_factory=Encoder)

    def block(self, fields: Fields) -> bytes:
        if self.compressed:
            return bytes(self.encoder.encode(list(fields)))
        # RFC 7541 section 6.2.2: literal without indexing, new name, neither string Huffman-coded.
        return b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields)

    def request(self, target: str, more: Fields = USUAL) -> bytes:
        pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "www.example.com"), (":path", target)]
        return self.block([*pseudo, *more])

    def response(self, status: str = "200", more: Fields = (("content-type", "image/png"),)) -> bytes:
        return self.block([(":status", status), *more])


def _string(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def headers(stream_id: int, block: bytes, end: bool = False, flags: int = END_HEADERS) -> bytes:
    return frame(Kind.HEADERS, flags | (END_STREAM if end else 0), stream_id, block)


def prioritised(stream_id: int, block: bytes, padding: int) -> bytes:
    """HEADERS that ends its stream, with padding and with five octets of priority (RFC 9113 section 6.2)."""
    payload = bytes([padding]) + bytes(5) + block + bytes(padding)
    return frame(Kind.HEADERS, END_HEADERS | END_STREAM | PADDED | PRIORITY, stream_id, payload)


def promise(stream_id: int, promised: int, block: bytes) -> bytes:
    return frame(Kind.PUSH_PROMISE, END_HEADERS, stream_id, promised.to_bytes(4, "big") + block)


def connection(from_client: bytes, from_server: bytes, cuts: Sequence[int] = ()) -> Connection:
    """A connection that carried these octets, both directions cut into segments at the same places."""
    return Connection(
        Endpoint("10.0.1.1", 40000),
        Endpoint("10.0.2.1", 80),
        _direction(from_client, cuts, Mark(1, 1)),
        _direction(from_server, cuts, Mark(2, 2)),
    )


def _direction(octets: bytes, cuts: Sequence[int], syn: Mark) -> Direction:
    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    pieces = [(low, octets[low:high]) for low, high in pairwise(edges)]
    segments = [Segment(low + 1, piece, 10 + number, 10 + number) for number, (low, piece) in enumerate(pieces)]
    return Direction(syn=syn, initial_sequence=0, segments=segments)


def converse(from_client: bytes, from_server: bytes, cuts: Sequence[int] = ()) -> Http2Conversation:
    """What the judge reads; preface and SETTINGS stand before what is given."""
    return converse_http2(connection(PREFACE + settings() + from_client, settings() + from_server, cuts))


class Http2:
    """One HTTP/2 connection on a wire; each call is a packet, in which frames follow one another."""

    def __init__(self, wire: Wire, port: int = 45000, compressed: bool = True) -> None:
        self.wire = wire
        self.tcp = Tcp(wire, port=port).open(RTT_MS)
        self.up, self.down = Packer(compressed), Packer()
        self.next_stream = 1

    def start(self, *frames: bytes) -> Http2:
        """Prefaces of both sides; `frames` ride with the client's."""
        self.client(PREFACE + settings(), *frames)
        self.wire.after(RTT_MS)
        return self.server(settings(), settings(ack=True))

    def client(self, *frames: bytes) -> Http2:
        self.tcp.client("PA", b"".join(frames))
        self.wire.after(0.1)
        return self

    def server(self, *frames: bytes) -> Http2:
        self.tcp.server("PA", b"".join(frames))
        self.wire.after(0.1)
        return self

    def ask(self, target: str, more: Fields = USUAL) -> bytes:
        """The frame that asks for a target on the client's next stream."""
        stream_id, self.next_stream = self.next_stream, self.next_stream + 2
        return headers(stream_id, self.up.request(target, more), end=True)

    def head(self, stream_id: int, status: str = "200") -> bytes:
        return headers(stream_id, self.down.response(status))

    def push(self, stream_id: int, promised: int, target: str) -> bytes:
        return promise(stream_id, promised, self.down.request(target))


def multiplexed(wire: Wire, targets: Sequence[str] = TARGETS, port: int = 45000, compressed: bool = True) -> Wire:
    """A page, then all that it names asked for at once."""
    http2 = Http2(wire, port, compressed)
    http2.start(http2.ask(targets[0])).server(http2.head(1), data(1, body_of(targets[0])))
    if targets[1:]:
        http2.client(settings(ack=True), *(http2.ask(target) for target in targets[1:]))
        wire.after(RTT_MS)
    for number, target in enumerate(targets[1:], start=1):
        http2.server(http2.head(2 * number + 1), data(2 * number + 1, body_of(target)))
    http2.tcp.close()
    return wire


def pushed(wire: Wire, targets: Sequence[str] = TARGETS, port: int = 45000) -> Wire:
    """A page with promises of all that it names, which then arrives."""
    http2 = Http2(wire, port)
    http2.start(http2.ask(targets[0]))
    named = list(enumerate(targets[1:], start=1))
    http2.server(http2.head(1), *(http2.push(1, 2 * number, target) for number, target in named))
    http2.server(data(1, body_of(targets[0])))
    for number, target in named:
        http2.server(http2.head(2 * number), data(2 * number, body_of(target)))
    http2.tcp.close()
    return wire


def upgraded(wire: Wire, targets: Sequence[str] = TARGETS, port: int = 45000) -> Wire:
    """The page asked for by HTTP/1.1 with Upgrade: h2c, the rest by HTTP/2."""
    http2 = Http2(wire, port)
    http2.client(upgrade_request(targets[0]))
    wire.after(RTT_MS)
    http2.server(SWITCHING, settings(), http2.head(1), data(1, body_of(targets[0])))
    http2.next_stream = 3
    http2.client(PREFACE, settings(), settings(ack=True), *(http2.ask(target) for target in targets[1:]))
    wire.after(RTT_MS)
    for number, target in enumerate(targets[1:], start=1):
        http2.server(http2.head(2 * number + 1), data(2 * number + 1, body_of(target)))
    http2.tcp.close()
    return wire


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


def upgrade_request(target: str = "/") -> bytes:
    head = f"GET {target} HTTP/1.1\r\nHost: www.example.com\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    return (head + "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n").encode()
