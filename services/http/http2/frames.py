"""HTTP/2 frames: from octets and to octets (RFC 9113 sections 3.4, 4.1, 4.2 and 6).

    >>> frame(Kind.WINDOW_UPDATE, 0, 3, number_octets(100)).hex(" ", 1)
    '00 00 04 08 00 00 00 00 03 00 00 00 64'

A reader knows nothing of states: what a frame may do where is the connection's business. Frames of unknown types
come out like all others, for section 4.1 has them ignored, and not everywhere.
"""

import struct
from enum import IntEnum
from typing import NamedTuple

from services.http.http2.errors import ErrorCode, Http2ConnectionError
from services.http.http2.limits import FRAME_OCTETS

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
    """RFC 9113 section 6."""

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
    """One frame; `kind` is a number, since a peer may send kinds that have no name here."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


class FrameReader:
    """Cuts octets into frames; holds no more than what was fed and not taken."""

    def __init__(self, limit_octets: int = FRAME_OCTETS) -> None:
        self._limit_octets = limit_octets
        self._octets = b""
        self._start = 0

    def __len__(self) -> int:
        return len(self._octets) - self._start

    def feed(self, data: bytes) -> None:
        """Append octets."""
        self._octets = data if self._start == len(self._octets) else self._octets[self._start :] + data
        self._start = 0

    def take_preface(self) -> bool:
        """Take the client's preface and return True, False while it has not come; raises Http2ConnectionError."""
        come = self._octets[self._start : self._start + len(PREFACE)]
        # RFC 9113 section 3.4: an invalid preface is a connection error.
        if not PREFACE.startswith(come):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "the connection preface is not HTTP/2's")
        if len(come) < len(PREFACE):
            return False
        self._start += len(PREFACE)
        return True

    def has_whole(self) -> bool:
        """Tell whether a frame is there that take() would return, or refuse."""
        if len(self) < HEADER_OCTETS:
            return False
        length = int.from_bytes(self._octets[self._start : self._start + 3], "big")
        return length > self._limit_octets or len(self) >= HEADER_OCTETS + length

    def take(self) -> Frame | None:
        """Take the next whole frame, None while there is none; raises Http2ConnectionError on one that is too long."""
        octets, start = self._octets, self._start
        if len(octets) - start < HEADER_OCTETS:
            return None
        high, low, kind, flags, stream_id = _HEADER.unpack_from(octets, start)
        length = high << 8 | low
        # RFC 9113 section 4.2: known from the frame's first octets, so nothing of it is waited for.
        if length > self._limit_octets:
            raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {length} octets")
        end = start + HEADER_OCTETS + length
        if end > len(octets):
            return None
        self._start = end
        # RFC 9113 section 4.1: the reserved bit is ignored.
        return Frame(kind, flags, stream_id & STREAM_ID_MASK, octets[start + HEADER_OCTETS : end])


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Return a frame as it goes on the wire."""
    length = len(payload)
    return _HEADER.pack(length >> 8, length & 0xFF, kind, flags, stream_id) + payload


def header_frames(kind: Kind, flags: int, stream_id: int, payload: bytes, limit_octets: int) -> bytes:
    """Return a header block's frames: the first of `kind`, CONTINUATION for what does not fit (section 6.10)."""
    if len(payload) <= limit_octets:
        return frame(kind, flags | END_HEADERS, stream_id, payload)
    pieces = [payload[at : at + limit_octets] for at in range(0, len(payload), limit_octets)]
    out = [frame(kind, flags, stream_id, pieces[0])]
    out += [frame(Kind.CONTINUATION, 0, stream_id, piece) for piece in pieces[1:-1]]
    out.append(frame(Kind.CONTINUATION, END_HEADERS, stream_id, pieces[-1]))
    return b"".join(out)


def number(payload: bytes, at: int = 0) -> int:
    """Return the 32-bit number at `at`."""
    value: int = _LONG.unpack_from(payload, at)[0]
    return value


def number_octets(value: int) -> bytes:
    """Return a number as 32 bits."""
    return _LONG.pack(value)


def unpadded(came: Frame) -> bytes:
    """Return a DATA or HEADERS frame's payload without padding; raises Http2ConnectionError (sections 6.1 and 6.2)."""
    if not came.flags & PADDED:
        return came.payload
    if not came.payload:
        raise Http2ConnectionError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without its pad length")
    pad = came.payload[0]
    if pad >= len(came.payload):
        raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "padding as long as the frame or longer")
    return came.payload[1 : len(came.payload) - pad]
