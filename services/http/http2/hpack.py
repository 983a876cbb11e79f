"""Header blocks: HPACK both ways, with what may be remembered of it (RFC 9113 section 4.3, RFC 7541).

Compression is stateful: each block may change the dynamic table that the next one is read with. A block made of
nothing but indexed fields (RFC 7541 section 6.1) changes nothing, so until some other block comes it stands for the
same list. Both directions remember such blocks, and forget all of them at the first block that is not of this kind.
"""

import re
from collections.abc import Callable, Hashable, Sequence

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError, OversizedHeaderListError

from services.http.fields import FieldLine
from services.http.http2 import limits
from services.http.http2.errors import ErrorCode, Http2ConnectionError
from services.http.http2.frames import PADDED, PREFACE, PRIORITY_FLAG, PRIORITY_OCTETS, Frame, FrameReader, Kind, number
from services.http.messages import Request

# How large header blocks are on the wire: read off the frames as they pass, whoever makes or reads them.
#
# A request's or a response's header block is the payload of its HEADERS, PUSH_PROMISE and CONTINUATION frames, without
# padding and priority, and without the frame headers (RFC 9113 sections 4.3, 6.2, 6.6 and 6.10).

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


# RFC 7541 section 6.1: the top bit, and an index from 1 to 126 in the other seven.
_INDEXED_ONLY = re.compile(rb"[\x81-\xfe]++")


class BlockReader:
    """Decodes the peer's header blocks, in the order they came."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=limits.DECODED_OCTETS)
        self._known: dict[bytes, Request] = {}

    def lines(self, block: bytes) -> list[FieldLine]:
        """Return a block's header list; raises Http2ConnectionError, after which no block can be read."""
        if _INDEXED_ONLY.fullmatch(block) is None:
            self._known.clear()
        try:
            return [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            detail = f"a header list larger than {limits.DECODED_OCTETS} octets"
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, detail) from error
        except (HPACKError, IndexError) as error:
            # RFC 9113 section 4.3: the tables of both sides differ from now on.
            raise Http2ConnectionError(
                ErrorCode.COMPRESSION_ERROR, f"a header block cannot be read: {error}"
            ) from error

    def request(self, block: bytes, read: Callable[[list[FieldLine]], Request]) -> Request:
        """Return what `read`, which may raise, makes of a block's header list."""
        known = self._known.get(block)
        if known is None:
            known = read(self.lines(block))
            if len(self._known) < limits.REMEMBERED_BLOCKS and _INDEXED_ONLY.fullmatch(block):
                self._known[block] = known
        return known


class BlockWriter:
    """Encodes this side's header blocks, in the order they go out."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._known: dict[Hashable, bytes] = {}

    def resize(self, table_octets: int) -> None:
        """Keep to the table that the peer has (RFC 7541 section 4.2)."""
        size = min(table_octets, limits.HEADER_TABLE_OCTETS)
        # A second change to the same size would make the library forget that the first is still to be told.
        if size != self._encoder.header_table_size:
            self._encoder.header_table_size = size
            self._known.clear()

    def known(self, key: Hashable) -> bytes | None:
        """Return the block that still stands for what `key` names, if there is one."""
        return self._known.get(key)

    def block(self, lines: Sequence[FieldLine], key: Hashable = None) -> bytes:
        """Return a header list's block; `key` names the list for known()."""
        block: bytes = self._encoder.encode(lines)
        if _INDEXED_ONLY.fullmatch(block) is None:
            self._known.clear()
        elif key is not None and len(self._known) < limits.REMEMBERED_BLOCKS:
            self._known[key] = block
        return block
