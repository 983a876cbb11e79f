"""HPACK encoder and decoder with a cache of header blocks, and a counter of their compressed sizes (RFC 7541).

HPACK is stateful: a block may change the dynamic table with which the next block is decoded. A block that consists only
of indexed fields (RFC 7541 section 6.1) does not change the table. It decodes to the same list again until a block of
another kind is processed. The encoder and the decoder each cache such blocks, and clear their cache at the first block
of another kind. HeaderSizes counts the octets of header blocks (RFC 9113 section 4.3), for reports on page loads.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError, OversizedHeaderListError

from lab7.services.http.fields import FieldLine
from lab7.services.http.http2 import limits
from lab7.services.http.http2.errors import ErrorCode, Http2ConnectionError
from lab7.services.http.http2.frames import (
    PADDED,
    PREFACE,
    PRIORITY_FLAG,
    PRIORITY_OCTETS,
    Frame,
    FrameDecoder,
    Kind,
    decode_uint32,
)
from lab7.services.http.messages import Request

# HeaderSizes only counts octets, so it permits any frame length of 24 bits (RFC 9113 section 4.1).
_LARGEST_FRAME = 2**24 - 1
_PROMISED_ID_OCTETS = 4


class HeaderSizes:
    """Compressed sizes in octets of the header blocks sent in one direction of a connection, keyed by stream number.

    A header block is the payload of its HEADERS, PUSH_PROMISE and CONTINUATION frames without padding and priority (RFC
    9113 sections 4.3, 6.2, 6.6 and 6.10). `promised` has the sizes of promised requests, keyed by the promised stream.
    """

    def __init__(self, with_preface: bool = False) -> None:
        self.by_stream: dict[int, int] = {}
        self.promised: dict[int, int] = {}
        self._reader = FrameDecoder(_LARGEST_FRAME)
        self._owes_preface = with_preface
        self._open: tuple[dict[int, int], int] = (self.by_stream, 0)

    def feed(self, data: bytes) -> None:
        """Parse octets sent or received, and add the size of each header block to the total of its stream.

        The head of an interim (1xx) response is thus counted with that of the final response.
        """
        if self._owes_preface and data:
            data, self._owes_preface = data[len(PREFACE) :], False
        self._reader.feed(data)
        while (frame := self._reader.next_frame()) is not None:
            if frame.kind in (Kind.HEADERS, Kind.PUSH_PROMISE, Kind.CONTINUATION):
                self._count(frame)

    def _count(self, frame: Frame) -> None:
        size = len(frame.payload)
        if frame.kind != Kind.CONTINUATION:
            self._open = (self.by_stream, frame.stream_id)
            at = 0
            if frame.flags & PADDED and frame.payload:
                at = 1
                size -= 1 + frame.payload[0]
            if frame.kind == Kind.PUSH_PROMISE and size >= _PROMISED_ID_OCTETS:
                self._open = (self.promised, decode_uint32(frame.payload, at))
                size -= _PROMISED_ID_OCTETS
            elif frame.flags & PRIORITY_FLAG:
                size -= PRIORITY_OCTETS
        counts, stream_id = self._open
        counts[stream_id] = counts.get(stream_id, 0) + max(0, size)


@dataclass(slots=True)
class HeaderBlock:
    """Incomplete header block: the payloads of HEADERS without END_HEADERS and of CONTINUATION frames so far."""

    stream_id: int
    ends_stream: bool
    depends_on_itself: bool
    begun: float
    fragments: list[bytes] = field(default_factory=list)
    size_octets: int = 0

    def append(self, fragment: bytes) -> None:
        """Add the payload of a HEADERS or CONTINUATION frame; raises Http2ConnectionError beyond the limits."""
        self.fragments.append(fragment)
        self.size_octets += len(fragment)
        too_long = self.size_octets > limits.HEADER_BLOCK_OCTETS
        if too_long or len(self.fragments) > limits.CONTINUATION_FRAMES + 1:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the header block exceeds the size limit")


# RFC 7541 section 6.1: an octet with the top bit set is an indexed field, with an index from 1 to 126.
_INDEXED_ONLY = re.compile(rb"[\x81-\xfe]++")


class HeaderDecoder:
    """HPACK decoder of the peer's header blocks, which must be passed in the order of their arrival."""

    def __init__(self) -> None:
        self._decoder = Decoder(max_header_list_size=limits.DECODED_OCTETS)
        self._cache: dict[bytes, Request] = {}

    def decode(self, block: bytes) -> list[FieldLine]:
        """Decode a block into a header list. After an Http2ConnectionError, no further block can be decoded."""
        if _INDEXED_ONLY.fullmatch(block) is None:
            self._cache.clear()
        try:
            return [(name, value) for name, value in self._decoder.decode(block, raw=True)]
        except OversizedHeaderListError as error:
            detail = f"the header list exceeds {limits.DECODED_OCTETS} octets"
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, detail) from error
        except (HPACKError, IndexError) as error:
            # RFC 9113 section 4.3: after a decoding error, the dynamic tables of the two sides differ.
            raise Http2ConnectionError(
                ErrorCode.COMPRESSION_ERROR, f"the header block cannot be decoded: {error}"
            ) from error

    def decode_request(self, block: bytes, parse: Callable[[list[FieldLine]], Request]) -> Request:
        """Return the request in a header block: from the cache of parsed blocks, or decoded and parsed with `parse`."""
        request = self._cache.get(block)
        if request is None:
            request = parse(self.decode(block))
            if len(self._cache) < limits.CACHED_BLOCKS and _INDEXED_ONLY.fullmatch(block):
                self._cache[block] = request
        return request


class HeaderEncoder:
    """HPACK encoder of header blocks, which must be sent in the order of encoding."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._cache: dict[Hashable, bytes] = {}

    def resize(self, table_octets: int) -> None:
        """Limit the dynamic table to the peer's SETTINGS_HEADER_TABLE_SIZE (RFC 7541 section 4.2)."""
        size = min(table_octets, limits.HEADER_TABLE_OCTETS)
        # An equal size is skipped: setting it again makes the hpack library drop a size update that is not yet encoded.
        if size != self._encoder.header_table_size:
            self._encoder.header_table_size = size
            self._cache.clear()

    def cached(self, key: Hashable) -> bytes | None:
        """Return the header block that encode() cached under `key`, None if there is none.

        A change of the dynamic table clears the cache.
        """
        return self._cache.get(key)

    def encode(self, lines: Sequence[FieldLine], key: Hashable = None) -> bytes:
        """Return the header block of a header list; it may be cached under `key` for cached(), unless `key` is None."""
        block: bytes = self._encoder.encode(lines)
        if _INDEXED_ONLY.fullmatch(block) is None:
            self._cache.clear()
        elif key is not None and len(self._cache) < limits.CACHED_BLOCKS:
            self._cache[key] = block
        return block
