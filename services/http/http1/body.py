"""HTTP/1 message body codec: Content-Length, chunked, and close-delimited framing (RFC 9112 sections 6 and 7).

decode() consumes octets of the buffer and returns Data, EndOfMessage, or None while it needs more input:

    4\\r\\nWiki\\r\\n0\\r\\n\\r\\n   ->   Data(b"Wiki"), EndOfMessage()

Chunk extensions are parsed and ignored (section 7.1.1). Left out: the gzip, deflate and compress transfer codings.
"""

import re
from typing import Protocol

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.http import limits
from services.http.errors import HTTPError, LocalProtocolError, TruncatedError
from services.http.fields import Fields
from services.http.http1.framing import CHUNKED, UNTIL_CLOSE
from services.http.http1.head import format_field_lines, parse_field_lines
from services.http.messages import END, NO_FIELDS, Data, EndOfMessage
from services.http.syntax import QUOTED_STRING, TCHAR

# RFC 9112 section 7.1.1; with BWS, as in its grammar.
_EXTENSION = rb"[ \t]*+;[ \t]*+%b++(?:[ \t]*+=[ \t]*+(?:%b++|%b))?" % (TCHAR, TCHAR, QUOTED_STRING)
TOO_LARGE = "the content is larger than this service takes"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]++)((?:%b)*+)" % _EXTENSION)


class BodyDecoder(Protocol):
    """Decoder of one message's content."""

    def decode(self, buffer: OctetBuffer) -> Data | EndOfMessage | None:
        """Return the next event, or None until there is more input; raises HTTPError."""
        ...

    def at_eof(self) -> EndOfMessage:
        """Handle the end of the connection: return the end of the message, or raise TruncatedError."""
        ...


class LengthDecoder:
    """Content framed by Content-Length."""

    def __init__(self, length: int) -> None:
        self._remaining = length

    def decode(self, buffer: OctetBuffer) -> Data | EndOfMessage | None:
        if self._remaining == 0:
            return END
        data = buffer.take(self._remaining)
        self._remaining -= len(data)
        return Data(data) if data else None

    def at_eof(self) -> EndOfMessage:
        # RFC 9112 section 8: content shorter than its length is incomplete.
        raise TruncatedError(f"the connection ended {self._remaining} octets before the content did")


class CloseDecoder:
    """Content of a response that ends with the connection; raises HTTPError 413 above `limit_octets`."""

    def __init__(self, limit_octets: int) -> None:
        self._allowed = limit_octets

    def decode(self, buffer: OctetBuffer) -> Data | EndOfMessage | None:
        data = buffer.take(len(buffer))
        self._allowed -= len(data)
        if self._allowed < 0:
            raise HTTPError(413, TOO_LARGE)
        return Data(data) if data else None

    def at_eof(self) -> EndOfMessage:
        return END


class ChunkedDecoder:
    """Content in the chunked transfer coding; raises HTTPError 413 above `limit_octets`."""

    def __init__(self, limit_octets: int) -> None:
        self._allowed = limit_octets
        self._extensions_allowed = limits.CHUNK_EXTENSION_OCTETS
        self._remaining = 0
        self._in_chunk = False
        self._trailer: list[bytes] | None = None

    def decode(self, buffer: OctetBuffer) -> Data | EndOfMessage | None:
        while True:
            if self._remaining:
                data = buffer.take(self._remaining)
                self._remaining -= len(data)
                return Data(data) if data else None
            if self._trailer is not None:
                return self._read_trailer(buffer, self._trailer)
            if not (self._end_chunk(buffer) if self._in_chunk else self._read_chunk_line(buffer)):
                return None

    def at_eof(self) -> EndOfMessage:
        raise TruncatedError("the connection ended before the last chunk")

    def _end_chunk(self, buffer: OctetBuffer) -> bool:
        end = buffer.peek(2)
        if not b"\r\n".startswith(end):
            raise HTTPError(400, "a chunk's data does not end where its size says")
        if len(end) < 2:
            return False
        buffer.take(2)
        self._in_chunk = False
        return True

    def _read_chunk_line(self, buffer: OctetBuffer) -> bool:
        line = _take_line(buffer, limits.CHUNK_LINE_OCTETS, 400, "a chunk's size line is too long")
        if line is None:
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise HTTPError(400, "a chunk's size line is malformed")
        self._open_chunk(match[1], len(match[2]))
        return True

    def _open_chunk(self, digits: bytes, extension_octets: int) -> None:
        # RFC 9112 section 7.1: recipients must anticipate large sizes and prevent overflows.
        if len(digits) > limits.CHUNK_SIZE_DIGITS:
            raise HTTPError(400, "a chunk's size has too many digits")
        self._extensions_allowed -= extension_octets
        if self._extensions_allowed < 0:
            raise HTTPError(400, "the chunk extensions are longer than any use of them")
        self._remaining = int(digits, 16)
        self._allowed -= self._remaining
        if self._allowed < 0:
            raise HTTPError(413, TOO_LARGE)
        self._in_chunk = self._remaining > 0
        if not self._in_chunk:
            self._trailer = []

    def _read_trailer(self, buffer: OctetBuffer, lines: list[bytes]) -> EndOfMessage | None:
        while True:
            allowed = limits.TRAILER_OCTETS - sum(len(line) for line in lines)
            line = _take_line(buffer, allowed, 431, "the trailer section is too long")
            if line is None:
                return None
            if not line:
                return EndOfMessage(parse_field_lines(b"".join(lines))) if lines else END
            lines.append(line + b"\r\n")


def _take_line(buffer: OctetBuffer, limit_octets: int, status: int, detail: str) -> bytes | None:
    try:
        line = buffer.take_line(max(limit_octets, 0))
    except LimitExceededError as error:
        raise HTTPError(status, detail) from error
    if b"\n" in (buffer.peek(limit_octets) if line is None else line):
        raise HTTPError(400, "an LF stands alone")
    return line


def body_decoder(length: int, limit_octets: int) -> BodyDecoder:
    """Return the decoder for a framing length; raises HTTPError 413 for a Content-Length above `limit_octets`."""
    if length == CHUNKED:
        return ChunkedDecoder(limit_octets)
    if length == UNTIL_CLOSE:
        return CloseDecoder(limit_octets)
    # RFC 9110 section 15.5.14
    if length > limit_octets:
        raise HTTPError(413, TOO_LARGE)
    return LengthDecoder(length)


class BodyEncoder:
    """Encoder of one message's content; raises LocalProtocolError unless it has the length of its framing."""

    def __init__(self, length: int) -> None:
        self._length = length
        self._remaining = length

    @property
    def is_chunked(self) -> bool:
        """True if the content is chunked, so that trailer fields can be sent."""
        return self._length == CHUNKED

    @property
    def ends_with_connection(self) -> bool:
        """True if the content is delimited by the end of the connection."""
        return self._length == UNTIL_CLOSE

    def encode_data(self, data: bytes) -> bytes:
        """Encode a piece of content; raises LocalProtocolError beyond Content-Length."""
        if self._length == CHUNKED:
            # RFC 9112 section 7.1: a chunk of size zero would end the content.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self._length >= 0:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise LocalProtocolError("more content than Content-Length said")
        return data

    def encode_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Encode the end of the content; raises LocalProtocolError if octets are missing or trailers not possible."""
        if self._length == CHUNKED:
            return b"0\r\n%b\r\n" % format_field_lines(trailers)
        if self._remaining > 0:
            raise LocalProtocolError(f"{self._remaining} octets of content were not sent")
        if len(trailers):
            raise LocalProtocolError("only chunked content has a trailer section")
        return b""
