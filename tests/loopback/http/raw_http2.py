"""An HTTP/2 peer that sends handmade frames, and decodes the input with hyperframe and hpack."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PushPromiseFrame,
    RstStreamFrame,
)

from tests.loopback.http.support import HOST, PATIENCE_S

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY_FLAG = 0x1, 0x1, 0x4, 0x8, 0x20

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT = range(5)
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = range(5, 10)
ENHANCE_YOUR_CALM = 0xB

Lines = Sequence[tuple[bytes, bytes]]
GET: Lines = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/a.txt"), (b":authority", b"a"))
POST: Lines = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/echo"), (b":authority", b"a"))


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Encode a frame (RFC 9113 section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def setting(identifier: int, value: int) -> bytes:
    return identifier.to_bytes(2, "big") + number(value)


def block(lines: Lines) -> bytes:
    """Encode a header block without indexing, so that blocks of a connection may have any order."""
    return b"".join(b"\x00" + bytes((len(name),)) + name + _string_length(len(value)) + value for name, value in lines)


def _string_length(length: int) -> bytes:
    """Encode a length with a prefix of seven bits (RFC 7541 section 5.1)."""
    if length < 127:
        return bytes((length,))
    length -= 127
    octets = [127]
    while length >= 128:
        octets.append(length % 128 + 128)
        length //= 128
    return bytes((*octets, length))


def headers(stream_id: int, lines: Lines = GET, flags: int = END_STREAM | END_HEADERS) -> bytes:
    return frame(HEADERS, flags, stream_id, block(lines))


@dataclass
class Reply:
    """The response received on a stream."""

    fields: list[tuple[str, str]]
    body: bytes = b""
    ended: bool = False

    @property
    def status(self) -> int:
        return int(dict(self.fields)[":status"])


class RawPeer:
    """One connection; by default with the preface sent."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.frames: list[Frame] = []
        self.replies: dict[int, Reply] = {}
        self.resets: dict[int, int] = {}
        self.pushes: dict[int, dict[str, str]] = {}
        self.goaway: GoAwayFrame | None = None
        self.pongs: list[bytes] = []
        self.is_closed = False
        self.encoder = Encoder()
        self._decoder = Decoder()
        self._octets = b""

    def send(self, *octets: bytes) -> None:
        """Send octets; ignore a reset, which the frames read later explain."""
        try:
            self.socket.sendall(b"".join(octets))
        except OSError:
            self.is_closed = True

    def greet(self, *settings: bytes) -> None:
        self.send(PREFACE, frame(SETTINGS, 0, 0, b"".join(settings)), frame(SETTINGS, ACK, 0))

    def read(self) -> bool:
        """Read once from the socket; return False at the end."""
        try:
            octets = self.socket.recv(65_536)
        except ConnectionResetError:
            octets = b""
        if not octets:
            self.is_closed = True
            return False
        self.decode(octets)
        return True

    def decode(self, octets: bytes) -> None:
        """Decode octets."""
        self._octets += octets
        while len(self._octets) >= 9:
            size = int.from_bytes(self._octets[:3], "big")
            if len(self._octets) < 9 + size:
                break
            parsed, _ = Frame.parse_frame_header(memoryview(self._octets[:9]))
            parsed.parse_body(memoryview(self._octets[9 : 9 + size]))
            self._octets = self._octets[9 + size :]
            self._note(parsed)

    def until(self, done: Callable[[], bool]) -> None:
        """Read until `done` or the end."""
        while not done() and self.read():
            pass

    def ping(self, mark: bytes = b"12345678") -> None:
        """Send PING and wait for its ACK, so that all frames before it are processed."""
        self.send(frame(PING, 0, 0, mark))
        self.until(lambda: mark in self.pongs)

    def _note(self, parsed: Frame) -> None:
        self.frames.append(parsed)
        if isinstance(parsed, GoAwayFrame):
            self.goaway = parsed
        elif isinstance(parsed, RstStreamFrame):
            self.resets[parsed.stream_id] = parsed.error_code
        elif isinstance(parsed, PingFrame) and "ACK" in parsed.flags:
            self.pongs.append(parsed.opaque_data)
        elif isinstance(parsed, PushPromiseFrame):
            self.pushes[parsed.promised_stream_id] = dict(self._decoded(parsed.data))
        elif isinstance(parsed, HeadersFrame):
            self.replies[parsed.stream_id] = Reply(self._decoded(parsed.data), ended="END_STREAM" in parsed.flags)
        elif isinstance(parsed, DataFrame):
            self.replies[parsed.stream_id].body += parsed.data
            self.replies[parsed.stream_id].ended = "END_STREAM" in parsed.flags

    def _decoded(self, octets: bytes) -> list[tuple[str, str]]:
        return [(str(name), str(value)) for name, value in self._decoder.decode(octets)]

    def is_answered(self, stream_id: int) -> bool:
        return stream_id in self.replies and self.replies[stream_id].ended

    def until_answered(self, stream_id: int) -> None:
        self.until(lambda: self.is_answered(stream_id))

    def octets_of(self, stream_id: int) -> int:
        """Return the number of content octets on a stream, -1 before its HEADERS."""
        return len(self.replies[stream_id].body) if stream_id in self.replies else -1


@contextmanager
def raw_peer(port: int, *settings: bytes, greet: bool = True) -> Iterator[RawPeer]:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as connected:
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = RawPeer(connected)
        if greet:
            peer.greet(*settings)
        yield peer


def is_served(port: int) -> bool:
    """Return whether a request on a new connection gets its response."""
    with raw_peer(port) as peer:
        peer.send(headers(1))
        peer.until(lambda: peer.is_answered(1))
        return peer.replies[1].body == b"0123456789"
