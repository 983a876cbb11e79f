"""HTTP/1 message codec: message heads, framing, and content (RFC 9112 sections 2 to 7 and 9.3).

    >>> parse_request_head(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n").method
    b'GET'
    >>> request_framing(Request(b"GET", b"/", Fields(((b"Host", b"a"),))))
    Framing(length=0, persistent=True, expects_continue=False)

Heads (sections 2 to 5). Left out: bare LF as a line end, more than one space in a start line, and folded lines. A
recipient may accept these, but recipients that disagree on them permit request smuggling, so all are rejected.

Framing and persistence (sections 6.3 and 9.3). Ambiguous framing, which permits request smuggling as well (section
11.2), is rejected and never repaired: both length fields at once, a Content-Length that is a list, and a transfer
coding that does not end in chunked.

Content (sections 6 and 7): Content-Length, chunked, and close-delimited. A decoder takes octets from the buffer and
returns Data, EndOfMessage, or None while it needs more input. Chunk extensions are parsed and ignored (section 7.1.1).
Left out: the gzip, deflate and compress transfer codings.

    4\\r\\nWiki\\r\\n0\\r\\n\\r\\n   ->   Data(b"Wiki"), EndOfMessage()
"""

import re
from dataclasses import dataclass
from typing import Protocol

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError
from lab7.services.http import limits
from lab7.services.http.errors import HTTPError, LocalProtocolError, TruncatedError
from lab7.services.http.fields import QUOTED_STRING, TCHAR, FieldLine, Fields, lower_tokens
from lab7.services.http.messages import (
    END,
    HTTP_1_1,
    NO_FIELDS,
    Data,
    EndOfMessage,
    Request,
    Response,
    Version,
    is_host,
    split_target,
)

# Start line and field lines (RFC 9112 sections 2 to 5).

HEAD_END = b"\r\n\r\n"

# RFC 9112 section 5: name, colon, value, with no control characters but HTAB (RFC 9110 section 5.5).
_FIELD_LINES = re.compile(rb"(?>(?:%b++:[\t\x20-\x7e\x80-\xff]*+\r\n)*)" % TCHAR)
# Name and value, without the white space before it, of a line that _FIELD_LINES has accepted.
_FIELD_LINE = re.compile(rb"([^:]++):[ \t]*+([^\r]*+)\r\n")
_SPACE_AT_END = re.compile(rb"[ \t]\r\n")
_REQUEST_LINE = re.compile(rb"(%b++) ([^\x00-\x20\x7f]++) HTTP/(\d)\.(\d)" % TCHAR)
_VERSION_AT_END = re.compile(rb".* HTTP/\d\.\d", re.DOTALL)
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*+))?")
# RFC 9112 section 2.2: a bare CR is rejected, and (the choice of this implementation) a bare LF as well.
_BARE_LINE_END = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
_SPACE_BEFORE_COLON = re.compile(rb"^(%b++)[ \t]++:" % TCHAR, re.MULTILINE)
_FOLD = re.compile(rb"(?:\A|\n)[ \t]")
_SENT_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+")
_NAME = re.compile(TCHAR + rb"++")
_NAMES = re.compile(rb"%b++(?>(?:\n%b++)*)" % (TCHAR, TCHAR))


def parse_request_head(head: bytes) -> Request:
    """Parse the octets of a request's head, which end with the empty line, into a Request; raises HTTPError."""
    line, _, rest = head.partition(b"\r\n")
    method, request_target, version = parse_request_line(line)
    request = Request(method, request_target, parse_field_lines(rest[:-2]), version)
    _check_host(request)
    split_target(method, request_target)
    return request


def parse_request_line(line: bytes) -> tuple[bytes, bytes, Version]:
    """Parse a request line, without its line end, into method, target and version; raises HTTPError 400, 414 or 505."""
    check_line_length(line)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise HTTPError(400, _why_bad_request_line(line))
    method, request_target, major, minor = match.groups()
    # RFC 9110 section 15.6.6: the major version is not supported.
    if major != b"1":
        raise HTTPError(505, "the server supports HTTP/1.0 and HTTP/1.1")
    return method, request_target, (1, int(minor))


def parse_response_head(head: bytes) -> Response:
    """Parse the octets of a response's head, which end with the empty line, into a Response; raises HTTPError 502."""
    line, _, rest = head.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise HTTPError(502, "the status line is malformed")
    major, minor, status, reason = match.groups()
    if major != b"1":
        raise HTTPError(502, "the response is not an HTTP/1 response")
    block = rest[:-2]
    if b" :" in block or b"\t:" in block:
        # RFC 9112 section 5.1: rejected in a request, removed from a response, also before it is forwarded.
        block = _SPACE_BEFORE_COLON.sub(rb"\1:", block)
    return Response(int(status), parse_field_lines(block), reason=reason or b"", version=(1, int(minor)))


def parse_field_lines(block: bytes) -> Fields:
    """Parse a header or trailer section, without its empty line, into Fields; raises HTTPError 400, 431 (too many)."""
    if _FIELD_LINES.fullmatch(block) is None:
        raise HTTPError(400, _why_bad_field_lines(block))
    lines: list[FieldLine] = _FIELD_LINE.findall(block)
    if _SPACE_AT_END.search(block):
        lines = [(name, value.rstrip(b" \t")) for name, value in lines]
    if len(lines) > limits.FIELD_LINES:
        raise HTTPError(431, f"more than {limits.FIELD_LINES} field lines")
    return Fields(tuple(lines))


def _check_host(request: Request) -> None:
    """Raise HTTPError 400 if Host is invalid, repeated, or missing in HTTP/1.1 (RFC 9112 section 3.2)."""
    hosts = request.fields.get_all(b"host")
    if len(hosts) > 1:
        raise HTTPError(400, "more than one Host field")
    if hosts and not is_host(hosts[0]):
        raise HTTPError(400, "the Host field is not a host with an optional port")
    if not hosts and request.version >= (1, 1):
        raise HTTPError(400, "an HTTP/1.1 request needs a Host field")


def _why_bad_request_line(line: bytes) -> str:
    if _BARE_LINE_END.search(line):
        return "the header section contains a bare CR or LF"
    if _VERSION_AT_END.fullmatch(line) is None:
        return "the request line does not end in an HTTP version"
    return "the request line does not have the form METHOD SP TARGET SP VERSION"


def _why_bad_field_lines(block: bytes) -> str:
    # RFC 9112 section 5.1: white space before the colon is rejected.
    if _SPACE_BEFORE_COLON.search(block):
        return "white space between a field name and its colon"
    # RFC 9112 sections 2.2 and 5.2: bare line ends and obsolete line folding are rejected.
    if _FOLD.search(block):
        return "a field line begins with white space"
    if _BARE_LINE_END.search(block):
        return "the header section contains a bare CR or LF"
    return "a field line does not have the form NAME: VALUE"


def check_partial_head(partial: bytes, status: int = 400) -> None:
    """Check an incomplete head; raises HTTPError with `status` if it cannot become valid."""
    if _BARE_LINE_END.search(partial):
        raise HTTPError(status, "the header section contains a bare CR or LF")


def check_line_length(line: bytes) -> None:
    """Check the length of a complete or incomplete request line; raises HTTPError 414."""
    # RFC 9112 section 3; RFC 9110 section 15.5.15: a target that is too long gets 414.
    if len(line) > limits.REQUEST_LINE_OCTETS:
        raise HTTPError(414, f"the request line is longer than {limits.REQUEST_LINE_OCTETS} octets")


def format_field_lines(fields: Fields) -> bytes:
    """Encode field lines as octets of a head or trailer section.

    Raises LocalProtocolError on an invalid name or value.
    """
    # RFC 9110 section 5.5: no CR, LF or NUL in a value. All lines are checked in one step.
    lines = fields.lines
    names = b"\n".join([name for name, _ in lines])
    if lines and (
        _SENT_VALUE.fullmatch(b"".join([value for _, value in lines])) is None
        or _NAMES.fullmatch(names) is None
        or names.count(b"\n") >= len(lines)
    ):
        name, value = next(line for line in lines if not _is_sent(*line))
        raise LocalProtocolError(f"invalid field line: {name!r}: {value!r}")
    return b"".join([b"%b: %b\r\n" % line for line in lines])


def _is_sent(name: bytes, value: bytes) -> bool:
    return _NAME.fullmatch(name) is not None and _SENT_VALUE.fullmatch(value) is not None


def format_request_head(request: Request) -> bytes:
    """Return the octets of a request's head, with its empty line; raises LocalProtocolError if it is invalid."""
    line = b"%b %b HTTP/%d.%d" % (request.method, request.request_target, *request.version)
    if _REQUEST_LINE.fullmatch(line) is None:
        raise LocalProtocolError(f"invalid request line: {line!r}")
    return b"%b\r\n%b\r\n" % (line, format_field_lines(request.fields))


def format_response_head(response: Response) -> bytes:
    """Return the octets of a response's head, with its empty line; raises LocalProtocolError if it is invalid."""
    # RFC 9112 section 4: the space after the status code is sent even if the reason phrase is empty.
    line = b"HTTP/%d.%d %d %b" % (*response.version, response.status, response.phrase)
    if _STATUS_LINE.fullmatch(line) is None:
        raise LocalProtocolError(f"invalid status line: {line!r}")
    return b"%b\r\n%b\r\n" % (line, format_field_lines(response.fields))


# Message framing (RFC 9112 sections 6.3 and 9.3).

CHUNKED = -1
UNTIL_CLOSE = -2

_DIGITS = re.compile(rb"\d++")


@dataclass(frozen=True, slots=True)
class Framing:
    """Message framing: `length` is a number of octets, CHUNKED or UNTIL_CLOSE.

    If `persistent`, another message may follow on the connection.
    """

    length: int
    persistent: bool
    expects_continue: bool = False


def request_framing(request: Request) -> Framing:
    """Return a request's Framing.

    Raises HTTPError: 400 for ambiguous framing, 413 for a Content-Length with too many digits, 501 for an unsupported
    transfer coding.
    """
    fields = request.fields
    # RFC 9112 section 6.3, rules 5 to 7: without Transfer-Encoding and Content-Length a request has no content.
    length = _request_coding(request) if b"transfer-encoding" in fields else content_length(fields) or 0
    return Framing(length, is_persistent(request.version, fields), _expects_continue(request, length))


def _request_coding(request: Request) -> int:
    fields = request.fields
    # RFC 9112 section 6.1: HTTP/1.0 has no transfer codings, so the framing is treated as faulty.
    if request.version < HTTP_1_1:
        raise HTTPError(400, "an HTTP/1.0 request must not have Transfer-Encoding")
    # RFC 9112 section 6.3, rule 3: Transfer-Encoding and Content-Length together are rejected.
    if b"content-length" in fields:
        raise HTTPError(400, "the request has both Transfer-Encoding and Content-Length")
    codings = lower_tokens(fields.get(b"transfer-encoding"))
    # RFC 9112 sections 6.3 (rule 4) and 7.1: chunked is the last coding, applied once.
    if codings[-1:] != [b"chunked"] or codings.count(b"chunked") > 1:
        raise HTTPError(400, "chunked must be the last transfer coding and occur once")
    # RFC 9112 section 6.1: a transfer coding that is not implemented gets 501.
    if len(codings) > 1:
        raise HTTPError(501, "the transfer coding is not supported")
    return CHUNKED


def content_length(fields: Fields) -> int | None:
    """Parse Content-Length; return None if absent; raises HTTPError 400, or 413 for a number with too many digits."""
    values = fields.get_all(b"content-length")
    if not values:
        return None
    # RFC 9112 section 6.3, rule 5: a list, even of equal numbers, may be rejected.
    if len(values) > 1 or _DIGITS.fullmatch(values[0]) is None:
        raise HTTPError(400, "Content-Length must be a single decimal number")
    digits = values[0].lstrip(b"0")
    if len(digits) > limits.CONTENT_LENGTH_DIGITS:
        raise HTTPError(413, "Content-Length has too many digits")
    return int(digits or b"0")


def is_persistent(version: Version, fields: Fields) -> bool:
    """Return whether the connection persists after this message (RFC 9112 section 9.3)."""
    options = lower_tokens(fields.get(b"connection"))
    if b"close" in options:
        return False
    return version >= HTTP_1_1 or b"keep-alive" in options


def _expects_continue(request: Request, length: int) -> bool:
    """Return whether the client expects 100 Continue (RFC 9110 section 10.1.1).

    The handler of the request checks other expectations.
    """
    if request.version < HTTP_1_1 or length == 0:
        return False
    return expects_continue(request.fields)


def expects_continue(fields: Fields) -> bool:
    """Return whether Expect has the expectation 100-continue (RFC 9110 section 10.1.1)."""
    return b"100-continue" in lower_tokens(fields.get(b"expect"))


def has_no_content(method: bytes, status: int) -> bool:
    """Return whether a response with `status` to `method` has no content (RFC 9112 section 6.3, rules 1 and 2)."""
    if status in (204, 304) or status < 200:
        return True
    return method == b"HEAD" or (method == b"CONNECT" and status < 300)


def response_framing(method: bytes, response: Response) -> Framing:
    """Return the Framing of a response to `method`; raises HTTPError 502 if it is ambiguous."""
    fields = response.fields
    persistent = is_persistent(response.version, fields)
    if has_no_content(method, response.status):
        return Framing(0, persistent)
    if b"transfer-encoding" in fields:
        return _response_coding(response, persistent)
    length = _response_length(fields)
    # RFC 9112 section 6.3, rule 8: without a length, the content is close-delimited.
    return Framing(UNTIL_CLOSE, False) if length is None else Framing(length, persistent)


def _response_coding(response: Response, persistent: bool) -> Framing:
    codings = lower_tokens(response.fields.get(b"transfer-encoding"))
    # RFC 9112 sections 6.1 and 11.1: faulty framing may indicate response splitting.
    if b"content-length" in response.fields or response.version < HTTP_1_1:
        raise HTTPError(502, "the response has Transfer-Encoding together with Content-Length or HTTP/1.0")
    if codings != [b"chunked"]:
        raise HTTPError(502, "the response has a transfer coding other than chunked")
    return Framing(CHUNKED, persistent)


def _response_length(fields: Fields) -> int | None:
    try:
        return content_length(fields)
    except HTTPError as error:
        # RFC 9112 section 6.3, rule 5: for a client an invalid length is an unrecoverable error.
        raise HTTPError(502, error.detail) from error


# Content (RFC 9112 sections 6 and 7).

# RFC 9112 section 7.1.1: the grammar permits bad white space (BWS) around ";" and "=".
_EXTENSION = rb"[ \t]*+;[ \t]*+%b++(?:[ \t]*+=[ \t]*+(?:%b++|%b))?" % (TCHAR, TCHAR, QUOTED_STRING)
TOO_LARGE = "the content exceeds the size limit"
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]++)((?>(?:%b)*))" % _EXTENSION)


class BodyDecoder(Protocol):
    """Interface of a decoder of one message's content: by Content-Length, chunked, or until the connection closes."""

    def decode(self, buffer: OctetBuffer) -> Data | EndOfMessage | None:
        """Return the next event of the content, None if more input is needed.

        Raises HTTPError for invalid or excessive content.
        """
        ...

    def at_eof(self) -> EndOfMessage:
        """Handle the end of the connection: return EndOfMessage if it ends the content; else raise TruncatedError."""
        ...


class LengthDecoder:
    """Decoder of content framed by Content-Length."""

    def __init__(self, length: int) -> None:
        self._remaining = length

    def decode(self, buffer: OctetBuffer) -> Data | EndOfMessage | None:
        if self._remaining == 0:
            return END
        data = buffer.take(self._remaining)
        self._remaining -= len(data)
        return Data(data) if data else None

    def at_eof(self) -> EndOfMessage:
        # RFC 9112 section 8: content shorter than Content-Length is incomplete.
        raise TruncatedError(f"the connection was closed with {self._remaining} octets of content outstanding")


class CloseDecoder:
    """Decoder of a response's close-delimited content; raises HTTPError 413 above `limit_octets`."""

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
    """Decoder of content in the chunked transfer coding; raises HTTPError 413 above `limit_octets`."""

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
        raise TruncatedError("the connection was closed before the last chunk")

    def _end_chunk(self, buffer: OctetBuffer) -> bool:
        end = buffer.peek(2)
        if not b"\r\n".startswith(end):
            raise HTTPError(400, "the chunk data are not followed by CRLF")
        if len(end) < 2:
            return False
        buffer.take(2)
        self._in_chunk = False
        return True

    def _read_chunk_line(self, buffer: OctetBuffer) -> bool:
        line = _take_line(buffer, limits.CHUNK_LINE_OCTETS, 400, "the chunk-size line is too long")
        if line is None:
            return False
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise HTTPError(400, "the chunk-size line is malformed")
        self._open_chunk(match[1], len(match[2]))
        return True

    def _open_chunk(self, digits: bytes, extension_octets: int) -> None:
        # RFC 9112 section 7.1: recipients must anticipate large chunk sizes and prevent overflows.
        if len(digits) > limits.CHUNK_SIZE_DIGITS:
            raise HTTPError(400, "the chunk size has too many digits")
        self._extensions_allowed -= extension_octets
        if self._extensions_allowed < 0:
            raise HTTPError(400, "the chunk extensions are too long")
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
        raise HTTPError(400, "the chunked content contains a bare LF")
    return line


def body_decoder(length: int, limit_octets: int) -> BodyDecoder:
    """Return the content decoder for `length`: octets, CHUNKED or UNTIL_CLOSE; raises HTTPError 413 above the limit."""
    if length == CHUNKED:
        return ChunkedDecoder(limit_octets)
    if length == UNTIL_CLOSE:
        return CloseDecoder(limit_octets)
    # RFC 9110 section 15.5.14: content beyond the limit gets 413.
    if length > limit_octets:
        raise HTTPError(413, TOO_LARGE)
    return LengthDecoder(length)


class BodyEncoder:
    """Encoder of one message's content.

    Raises LocalProtocolError if the content does not match the framing of the head.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._remaining = length

    @property
    def is_chunked(self) -> bool:
        """True if the content is chunked; only then can trailer fields be sent."""
        return self._length == CHUNKED

    @property
    def ends_with_connection(self) -> bool:
        """True if the content is close-delimited: the end of the connection is the end of the content."""
        return self._length == UNTIL_CLOSE

    def encode_data(self, data: bytes) -> bytes:
        """Return a piece of content framed for the connection; raises LocalProtocolError beyond Content-Length."""
        if self._length == CHUNKED:
            # RFC 9112 section 7.1: a chunk of size zero would end the content.
            return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
        if self._length >= 0:
            self._remaining -= len(data)
            if self._remaining < 0:
                raise LocalProtocolError("the content is longer than its Content-Length")
        return data

    def encode_end(self, trailers: Fields = NO_FIELDS) -> bytes:
        """Return the octets that end the content.

        Raises LocalProtocolError if octets are missing, or if the content cannot have trailers.
        """
        if self._length == CHUNKED:
            return b"0\r\n%b\r\n" % format_field_lines(trailers)
        if self._remaining > 0:
            raise LocalProtocolError(f"the content is {self._remaining} octets shorter than its Content-Length")
        if len(trailers):
            raise LocalProtocolError("only chunked content has a trailer section")
        return b""
