"""Parser of captured HTTP/1 connections: requests and responses, with the frames that carried them.

RFC 9112 section 6.3 determines the length of a body: none by rule (HEAD, 1xx, 204, 304), chunked, Content-Length, or,
for a response, everything until the connection closes. Responses are matched to requests in order (section 9.3).
Interim responses (1xx) are skipped. A final response may come before the end of the request, and the client may then
stop sending the request (RFC 9110 section 7.5, RFC 9112 section 9.3); the Message then has the octets that were sent.
CONNECT and Upgrade are not supported, since the octets after them are no longer HTTP/1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.reassembly import Piece, Stream

# Grammar of HTTP/1 messages as regular expressions, from the ABNF of RFC 9112, RFC 9110 and RFC 3986 (appendix A).
# The grammar is strict: a bare LF, obs-fold or a space before the colon is an error, unlike in lenient recipients.
# The grammar accepts an absolute URI as any sequence of permitted characters, without checking its components.

# RFC 9110 section 5.6.2
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 3986 appendix A: pchar = unreserved / pct-encoded / sub-delims / ":" / "@"
PCHAR = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
QUERY = rb"(?:\?(?:" + PCHAR + rb"|[/?])*)?"
# RFC 9112 section 3.2
ORIGIN_FORM = rb"(?:/" + PCHAR + rb"*)+" + QUERY
ABSOLUTE_FORM = rb"[A-Za-z][A-Za-z0-9+.\-]*:(?:" + PCHAR + rb"|[/?\[\]])+"
AUTHORITY_FORM = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+):[0-9]+"
REQUEST_TARGET = rb"(?:" + ORIGIN_FORM + rb"|" + ABSOLUTE_FORM + rb"|" + AUTHORITY_FORM + rb"|\*)"
# RFC 9112 section 2.3
VERSION = rb"HTTP/[0-9]\.[0-9]"
# RFC 9110 section 5.5: field values and reason phrases consist of HTAB, SP, VCHAR and obs-text.
TEXT = rb"[\t \x21-\x7e\x80-\xff]*"

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (" + REQUEST_TARGET + rb") (" + VERSION + rb")\r\n")
STATUS_LINE = re.compile(rb"(" + VERSION + rb") ([0-9]{3}) (" + TEXT + rb")\r\n")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[\t ]*(" + TEXT + rb")\r\n")
# RFC 9112 section 7.1: chunk-size [ chunk-ext ] CRLF
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:[\t ]*;" + TEXT + rb")?\r\n")
END_OF_HEAD = b"\r\n\r\n"
# RFC 9110 section 15.5.9: status 408 means that the server did not receive a complete request in time.
REQUEST_TIMEOUT = b"408"


class GrammarError(ValueError):
    """Exception raised for octets that violate the HTTP/1 grammar; its message has the rule and quotes the octets."""


class _CutShortError(EOFError):
    """Exception raised if the data end inside a message body; `found` is the captured part of the message."""

    def __init__(self, found: _Read) -> None:
        super().__init__()
        self.found = found


def start_line(pattern: re.Pattern[bytes], data: bytes, start: int) -> re.Match[bytes]:
    """Return the match of a request line or status line at offset `start`. Raises GrammarError if there is none."""
    found = pattern.match(data, start)
    if found is None:
        name = "request line" if pattern is REQUEST_LINE else "status line"
        raise GrammarError(f"not a {name}: {_excerpt(data, start)}")
    return found


def field_lines(data: bytes, start: int, end: int) -> list[tuple[bytes, bytes]]:
    """Return (name in lower case, value) for each field line in data[start:end]. Raises GrammarError."""
    fields: list[tuple[bytes, bytes]] = []
    while start < end:
        found = FIELD_LINE.match(data, start, end)
        if found is None:
            raise GrammarError(f"not a field line: {_excerpt(data, start)}")
        fields.append((found[1].lower(), found[2].rstrip(b" \t")))
        start = found.end()
    return fields


def chunked_body(data: bytes, start: int) -> tuple[bytes, int]:
    """Decode a chunked message body (RFC 9112 section 7.1); return its content, and the offset after it.

    Raises GrammarError for an invalid chunk, EOFError if the data end before the last chunk.
    """
    body = b""
    while True:
        if data.find(b"\r\n", start) < 0:
            raise EOFError
        line = CHUNK_LINE.match(data, start)
        if line is None:
            raise GrammarError(f"not a chunk-size line: {_excerpt(data, start)}")
        size, start = int(line[1], 16), line.end()
        if size == 0:
            return body, _end_of_trailers(data, start)
        if len(data) < start + size + 2:
            raise EOFError
        if data[start + size : start + size + 2] != b"\r\n":
            raise GrammarError(f"no CRLF behind a chunk: {_excerpt(data, start + size)}")
        body += data[start : start + size]
        start += size + 2


def _end_of_trailers(data: bytes, start: int) -> int:
    if data[start : start + 2] == b"\r\n":
        return start + 2
    end = data.find(END_OF_HEAD, start)
    if end < 0:
        raise EOFError
    field_lines(data, start, end + 2)
    return end + len(END_OF_HEAD)


def _excerpt(data: bytes, start: int) -> str:
    return repr(data[start : start + 40])[1:]


@dataclass(frozen=True)
class Message:
    """Captured HTTP request or response.

    - `start_line`: three words: method, request-target and version; or version, status code and reason phrase
    - `fields`: field lines as (name in lower case, value)
    - `octets`: the whole message as captured
    - `header_block`: the fields as encoded by HPACK in HTTP/2; empty in HTTP/1
    - `whole`: False for a request that the client stopped sending after an early response; `body` is then incomplete
    """

    start_line: tuple[bytes, bytes, bytes]
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    octets: bytes
    pieces: tuple[Piece, ...]
    header_block: bytes = b""
    whole: bool = True

    @property
    def first_ns(self) -> int:
        """Return the capture time in ns of the first octet."""
        return self.pieces[0].time_ns

    @property
    def last_ns(self) -> int:
        """Return the latest capture time in ns of any octet; a retransmitted octet may be later than the last one."""
        return max(piece.time_ns for piece in self.pieces)

    @property
    def frames(self) -> tuple[int, ...]:
        """Return the numbers of the frames that carried the message, each once, in the order of its octets."""
        return tuple(dict.fromkeys(piece.frame for piece in self.pieces))

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all field lines with this name (in lower case)."""
        return [value for known, value in self.fields if known == name]


@dataclass(frozen=True)
class Exchange:
    """HTTP request and its response; `response` is None if no response was captured completely."""

    request: Message
    response: Message | None

    @property
    def target(self) -> bytes:
        """Return the request-target as it was sent."""
        return self.request.start_line[1]


@dataclass(frozen=True)
class Conversation:
    """HTTP requests and responses captured on one connection.

    - `problem`: the first violation of the grammar, or None; messages before it are kept
    - `leftover`: True if either direction ends inside a message
    - `request_problem`: reason why the requests alone are malformed or incomplete, or None
    """

    connection: Connection
    exchanges: tuple[Exchange, ...]
    problem: str | None
    leftover: bool
    request_problem: str | None = None


def converse(connection: Connection) -> Conversation:
    """Parse both directions of a TCP connection as HTTP/1; return the requests with their responses."""
    requests, request_problem, given_up = _messages(connection.from_client.stream, _request_reader())
    closed = connection.from_server.fin is not None
    begun = [*requests, given_up] if isinstance(given_up, Message) else requests
    read_response = _response_reader([message.start_line[0] for message in begun], closed)
    responses, response_problem, response_rest = _messages(connection.from_server.stream, read_response)
    if isinstance(given_up, Message) and _answered_early(connection, responses[len(requests) :]):
        requests.append(given_up)
        given_up = False
    request_rest = bool(given_up)
    pairs = zip_longest(requests, responses)
    exchanges = tuple(Exchange(request, response) for request, response in pairs if request is not None)
    problem = request_problem or response_problem
    if problem is None and len(responses) > len(requests):
        problem = f"{len(responses)} responses to {len(requests)} requests"
    if request_problem is None and request_rest:
        request_problem = "the client's stream ends inside a request"
    return Conversation(connection, exchanges, problem, request_rest or bool(response_rest), request_problem)


def _answered_early(connection: Connection, responses: list[Message]) -> bool:
    """Return True if a response arrived before the client stopped sending its last request (RFC 9110 section 7.5)."""
    if not responses or responses[0].start_line[1] == REQUEST_TIMEOUT:
        return False
    fin = connection.from_client.fin
    return fin is None or responses[0].first_ns <= fin.time_ns


@dataclass(frozen=True)
class _Read:
    """Parsed HTTP/1 message, and the offset in the stream after its last octet."""

    start_line: tuple[bytes, bytes, bytes]
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes
    end: int


_Reader = Callable[[bytes, int], _Read]


def _messages(stream: Stream, read: _Reader) -> tuple[list[Message], str | None, bool | Message]:
    """Parse a stream; return (complete messages, violation of the grammar or None, remainder).

    The remainder is the incomplete message if the stream ends inside a request's body, True if it ends inside a message
    elsewhere, and otherwise False.
    """
    messages: list[Message] = []
    start = 0
    while start < len(stream.data):
        try:
            found = read(stream.data, start)
        except GrammarError as error:
            return messages, str(error), False
        except _CutShortError as error:
            cut = error.found
            octets, pieces = stream.data[start:], stream.span(start, cut.end)
            return messages, None, Message(cut.start_line, cut.fields, cut.body, octets, pieces, whole=False)
        except EOFError:
            return messages, None, True
        octets, pieces = stream.data[start : found.end], stream.span(start, found.end)
        start = found.end
        # Skip interim responses (1xx), which precede the final response to the same request (RFC 9110 section 15.2).
        if not (found.start_line[0].startswith(b"HTTP/") and found.start_line[1].startswith(b"1")):
            messages.append(Message(found.start_line, found.fields, found.body, octets, pieces))
    return messages, None, False


def _request_reader() -> _Reader:
    def read(data: bytes, start: int) -> _Read:
        line, fields, body_start = _head(REQUEST_LINE, data, start)
        # RFC 9112 section 6.3: a request with neither Transfer-Encoding nor Content-Length has no body.
        try:
            body, end = _framed(data, body_start, fields) or (b"", body_start)
        except EOFError:
            raise _CutShortError(_Read(line, fields, data[body_start:], len(data))) from None
        return _Read(line, fields, body, end)

    return read


def _response_reader(methods: list[bytes], closed: bool) -> _Reader:
    awaiting = iter(methods)

    def read(data: bytes, start: int) -> _Read:
        line, fields, body_start = _head(STATUS_LINE, data, start)
        status = line[1]
        method = b"" if status.startswith(b"1") else next(awaiting, b"")
        if method == b"HEAD" or status.startswith(b"1") or status in (b"204", b"304"):
            return _Read(line, fields, b"", body_start)
        framed = _framed(data, body_start, fields)
        if framed is None and not closed:
            raise EOFError
        body, end = framed or (data[body_start:], len(data))
        return _Read(line, fields, body, end)

    return read


def _head(
    pattern: re.Pattern[bytes], data: bytes, start: int
) -> tuple[tuple[bytes, bytes, bytes], tuple[tuple[bytes, bytes], ...], int]:
    """Return (start line, fields, offset of the body) of the message at `start`. Raises GrammarError, EOFError."""
    if data.find(b"\n", start) < 0:
        raise EOFError
    line = start_line(pattern, data, start)
    # Search from the start line's own CRLF, since a message without fields has the empty line directly after it.
    end = data.find(END_OF_HEAD, line.end() - 2)
    if end < 0:
        field_lines(data, line.end(), data.rfind(b"\n") + 1)
        raise EOFError
    fields = field_lines(data, line.end(), end + 2)
    return (line[1], line[2], line[3]), tuple(fields), end + len(END_OF_HEAD)


def _framed(data: bytes, start: int, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[bytes, int] | None:
    """Return a message's body, and the offset after it, by Transfer-Encoding or Content-Length (RFC 9112 section 6.3).

    Return None if the message has neither field. Raises GrammarError, EOFError.
    """
    codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
    lengths = {value for name, value in fields if name == b"content-length"}
    if codings:
        if codings != [b"chunked"] or lengths:
            raise GrammarError(f"Transfer-Encoding {codings} with Content-Length {sorted(lengths)}")
        return chunked_body(data, start)
    if not lengths:
        return None
    if len(lengths) > 1 or not min(lengths).isdigit():
        raise GrammarError(f"Content-Length {sorted(lengths)}")
    end = start + int(min(lengths))
    if end > len(data):
        raise EOFError
    return data[start:end], end
