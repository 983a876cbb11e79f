"""HTTP/2 frame codec (RFC 9113 sections 3.4, 4.1, 4.2 and 6).

    >>> encode_frame(Kind.WINDOW_UPDATE, 0, 3, encode_uint32(100)).hex(" ", 1)
    '00 00 04 08 00 00 00 00 03 00 00 00 64'

The decoder has no connection state: the connection decides whether a frame is allowed. Frames of unknown types are
returned like all others: the connection ignores them (section 4.1), except inside a header block, where every other
frame is a connection error (section 6.10).
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError
from lab7.services.http.http2.limits import FRAME_OCTETS

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_OCTETS = 9
KIND_AT = 3
STREAM_ID_MASK = 0x7FFF_FFFF

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

PRIORITY_OCTETS = 5
PING_OCTETS = 8

_HEADER = struct.Struct(">HBBBL")
_LONG = struct.Struct(">L")


class Kind(IntEnum):
    """Frame types (RFC 9113 section 6)."""

    DATA = 0x0
    HEADERS = 0x1
    PRIORITY = 0x2
    RST_STREAM = 0x3
    SETTINGS = 0x4
    PUSH_PROMISE = 0x5
    PING = 0x6
    GOAWAY = 0x7
    WINDOW_UPDATE = 0x8
    CONTINUATION = 0x9


class Frame(NamedTuple):
    """An HTTP/2 frame. `kind` is a plain number, since a peer may send types that Kind does not have."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class FrameDecoder:
    """Incremental decoder of octets into frames."""

    def __init__(self, limit_octets: int = FRAME_OCTETS) -> None:
        self._limit_octets = limit_octets
        self._octets = b""
        self._start = 0

    def __len__(self) -> int:
        return len(self._octets) - self._start

    def feed(self, data: bytes) -> None:
        """Append received octets to the decoder's buffer."""
        self._octets = data if self._start == len(self._octets) else self._octets[self._start :] + data
        self._start = 0

    def take_preface(self) -> bool:
        """Consume the client's preface; return False while it is incomplete; raises Http2ConnectionError."""
        received = self._octets[self._start : self._start + len(PREFACE)]
        # RFC 9113 section 3.4: an invalid preface is a connection error.
        if not PREFACE.startswith(received):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "invalid connection preface")
        if len(received) < len(PREFACE):
            return False
        self._start += len(PREFACE)
        return True

    def has_frame(self) -> bool:
        """Return whether the buffer has a complete or invalid frame, which next_frame() would return or reject."""
        if len(self) < HEADER_OCTETS:
            return False
        length = int.from_bytes(self._octets[self._start : self._start + 3], "big")
        return length > self._limit_octets or len(self) >= HEADER_OCTETS + length

    def next_frame(self) -> Frame | None:
        """Return the next complete frame, None if there is none yet.

        Raises Http2ConnectionError for an oversized frame.
        """
        octets, start = self._octets, self._start
        if len(octets) - start < HEADER_OCTETS:
            return None
        high, low, kind, flags, stream_id = _HEADER.unpack_from(octets, start)
        length = high << 8 | low
        # RFC 9113 section 4.2: the frame header has the length, so the error does not wait for the payload.
        if length > self._limit_octets:
            raise Http2ConnectionError(
                ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} octets exceeds the maximum frame size"
            )
        end = start + HEADER_OCTETS + length
        if end > len(octets):
            return None
        self._start = end
        # RFC 9113 section 4.1: the reserved bit is ignored.
        return Frame(kind, flags, stream_id & STREAM_ID_MASK, octets[start + HEADER_OCTETS : end])


def encode_frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return the octets of a frame; `kind` is the type, `flags` the flags octet (RFC 9113 section 4.1)."""
    length = len(payload)
    return _HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def encode_header_block(kind: Kind, flags: int, stream_id: int, payload: bytes, limit_octets: int) -> bytes:
    """Return a header block as a `kind` frame of at most `limit_octets`, and CONTINUATION frames (RFC 9113 6.10)."""
    if len(payload) <= limit_octets:
        return encode_frame(kind, flags | END_HEADERS, stream_id, payload)
    pieces = [payload[at : at + limit_octets] for at in range(0, len(payload), limit_octets)]
    out = [encode_frame(kind, flags, stream_id, pieces[0])]
    out += [encode_frame(Kind.CONTINUATION, 0, stream_id, piece) for piece in pieces[1:-1]]
    out.append(encode_frame(Kind.CONTINUATION, END_HEADERS, stream_id, pieces[-1]))
    return b"".join(out)


def decode_uint32(payload: bytes, at: int = 0) -> int:
    """Decode the 32-bit number at offset `at` of the octets."""
    value: int = _LONG.unpack_from(payload, at)[0]
    return value


def encode_uint32(value: int) -> bytes:
    """Return a number as four octets, in network byte order."""
    return _LONG.pack(value)


def strip_padding(frame: Frame) -> bytes:
    """Return a DATA or HEADERS frame's payload without padding; raises Http2ConnectionError (RFC 9113 section 6.1)."""
    if not frame.flags & PADDED:
        return frame.payload
    if not frame.payload:
        raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a PADDED frame without Pad Length")
    pad = frame.payload[0]
    if pad >= len(frame.payload):
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "Pad Length exceeds the frame")
    return frame.payload[1 : len(frame.payload) - pad]


def require_size(frame: Frame, octets: int) -> None:
    """Raise Http2ConnectionError with FRAME_SIZE_ERROR unless the frame's payload has `octets` octets."""
    if len(frame.payload) != octets:
        raise Http2ConnectionError(
            ErrorCode.FRAME_SIZE_ERROR, f"{Kind(frame.kind).name} with the invalid length {len(frame.payload)}"
        )


def require_connection(frame: Frame) -> None:
    """Raise Http2ConnectionError with PROTOCOL_ERROR unless the frame is on stream 0, the connection itself."""
    if frame.stream_id:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{Kind(frame.kind).name} on a stream")


def require_stream(frame: Frame) -> None:
    """Raise Http2ConnectionError with PROTOCOL_ERROR if the frame is on stream 0, the connection itself."""
    if not frame.stream_id:
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, f"{Kind(frame.kind).name} on stream 0")
