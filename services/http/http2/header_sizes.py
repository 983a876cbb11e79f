"""How large header blocks are on the wire: read off the frames as they pass, whoever makes or reads them.

A request's or a response's header block is the payload of its HEADERS, PUSH_PROMISE and CONTINUATION frames, without
padding and priority, and without the frame headers (RFC 9113 sections 4.3, 6.2, 6.6 and 6.10).
"""

from services.http.http2.frames import PADDED, PREFACE, PRIORITY_FLAG, PRIORITY_OCTETS, Frame, FrameReader, Kind, number

# The length field has 24 bits; this side only counts, so any frame that the connection's own reader takes will do.
_LARGEST_FRAME = 2**24 - 1
_PROMISED_ID_OCTETS = 4


class HeaderSizes:
    """Counts one direction of a connection: octets by stream, and of promised requests by the promised stream."""

    def __init__(self, with_preface: bool = False) -> None:
        self.by_stream: dict[int, int] = {}
        self.promised: dict[int, int] = {}
        self._reader = FrameReader(_LARGEST_FRAME)
        self._owes_preface = with_preface
        self._open: tuple[dict[int, int], int] = (self.by_stream, 0)

    def feed(self, data: bytes) -> None:
        """Take octets as they pass; an interim response's block counts with the one that follows it."""
        if self._owes_preface and data:
            data, self._owes_preface = data[len(PREFACE) :], False
        self._reader.feed(data)
        while (came := self._reader.take()) is not None:
            if came.kind in (Kind.HEADERS, Kind.PUSH_PROMISE, Kind.CONTINUATION):
                self._count(came)

    def _count(self, came: Frame) -> None:
        size = len(came.payload)
        if came.kind != Kind.CONTINUATION:
            self._open = (self.by_stream, came.stream_id)
            at = 0
            if came.flags & PADDED and came.payload:
                at = 1
                size -= 1 + came.payload[0]
            if came.kind == Kind.PUSH_PROMISE and size >= _PROMISED_ID_OCTETS:
                self._open = (self.promised, number(came.payload, at))
                size -= _PROMISED_ID_OCTETS
            elif came.flags & PRIORITY_FLAG:
                size -= PRIORITY_OCTETS
        counts, stream_id = self._open
        counts[stream_id] = counts.get(stream_id, 0) + max(0, size)
