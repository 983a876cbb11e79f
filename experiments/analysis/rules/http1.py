"""Checks of captured HTTP/1 messages against the RFCs: start lines, fields, framing, persistence, conditional requests.

The requirements are from RFC 9112 sections 2 to 7 and 9, RFC 9110 sections 5, 6.6, 8.6, 13 and 15. A message is parsed
tolerantly: a bare LF ends a line, and the content ends as the header fields say, at the next status line, or with the
connection. Left out: CONNECT and Upgrade, after which the octets are no longer HTTP/1; HTTP/2.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest

from lab7.experiments.analysis.rules.rule import Checked, Rule, Source, Violation, as_text
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.http.wire.http1 import CHUNK_LINE, REQUEST_TARGET, TEXT, TOKEN, VERSION
from lab7.experiments.http.wire.http2 import is_http2

LINE_END = Rule("http-line-end", "http", "Every line of a message head ends in CRLF.", "RFC 9112 section 2.2")
REQUEST_LINE = Rule(
    "http-request-line",
    "http",
    "A request line is method SP request-target SP HTTP-version CRLF.",
    "RFC 9112 section 3",
)
STATUS_LINE = Rule(
    "http-status-line",
    "http",
    "A status line is HTTP-version SP status-code SP [reason-phrase] CRLF.",
    "RFC 9112 section 4",
)
FIELD_LINE = Rule(
    "http-field-line", "http", "A field line is field-name, a colon at once, and field-value.", "RFC 9112 section 5"
)
HEAD_END = Rule("http-head-end", "http", "An empty line ends the message head.", "RFC 9112 section 2.1")
HOST = Rule("http-host", "http", "A request of HTTP/1.1 has exactly one Host field.", "RFC 9112 section 3.2")
CONTENT_LENGTH = Rule(
    "http-content-length", "http", "Content-Length is the number of octets of the content.", "RFC 9110 section 8.6"
)
FRAMING = Rule(
    "http-framing", "http", "A message has Transfer-Encoding or Content-Length, not both.", "RFC 9112 section 6.2"
)
CHUNK_SIZE = Rule(
    "http-chunk-size",
    "http",
    "A chunk size is the number of octets of the chunk in hexadecimal.",
    "RFC 9112 section 7.1",
)
CHUNK_END = Rule("http-chunk-end", "http", "A chunk of size 0 ends chunked content.", "RFC 9112 section 7.1")
NO_CONTENT = Rule(
    "http-no-content",
    "http",
    "A 1xx, 204 or 304 response, and a response to HEAD, ends with its head.",
    "RFC 9112 section 6.3",
)
UNREQUESTED = Rule("http-unrequested", "http", "A response belongs to a request.", "RFC 9112 section 9.2")
PERSISTENCE = Rule(
    "http-persistence",
    "http",
    "A server that will close the connection sends Connection: close in its last response.",
    "RFC 9112 section 9.6",
)
DATE_FORMAT = Rule(
    "http-date-format",
    "http",
    "A date is an IMF-fixdate, for example Sun, 06 Nov 1994 08:49:37 GMT.",
    "RFC 9110 section 5.6.7",
)
NOT_MODIFIED = Rule(
    "http-not-modified", "http", "304 answers a conditional GET or HEAD only.", "RFC 9110 section 15.4.5"
)
VALIDATOR = Rule(
    "http-validator",
    "http",
    "If-Modified-Since repeats the Last-Modified, and If-None-Match the ETag, of the stored response.",
    "RFC 9111 section 4.3.1",
)
RULES = (
    LINE_END, REQUEST_LINE, STATUS_LINE, FIELD_LINE, HEAD_END, HOST, CONTENT_LENGTH, FRAMING, CHUNK_SIZE, CHUNK_END,
    NO_CONTENT, UNREQUESTED, PERSISTENCE, DATE_FORMAT, NOT_MODIFIED, VALIDATOR,
)  # fmt: skip

_REQUEST = re.compile(rb"(" + TOKEN + rb") (" + REQUEST_TARGET + rb") (" + VERSION + rb")\Z")
_STATUS = re.compile(rb"(" + VERSION + rb") ([1-5][0-9]{2}) (" + TEXT + rb")\Z")
_FIELD = re.compile(rb"(" + TOKEN + rb"):[\t ]*(" + TEXT + rb")\Z")
_NEXT_RESPONSE = re.compile(rb"HTTP/[0-9]\.[0-9] [0-9]{3}[ \r\n]")
_DECIMAL = re.compile(rb"[0-9]+\Z")
_IMF_FIXDATE = "%a, %d %b %Y %H:%M:%S GMT"
_DATES = (b"date", b"last-modified", b"if-modified-since", b"if-unmodified-since")
# Minimum time in ns between response and close for a close by time-out; a sooner close must be announced.
# No server has an idle time-out as short as IDLE_NS; Apache's default KeepAliveTimeout is 5 s.
IDLE_NS = 50_000_000


@dataclass
class Head:
    """Head of an HTTP/1 message: words of the start line, fields, and the stream offsets of head and content.

    `fields` has (name in lower case, value, offset of the line) for each field line.
    """

    start: int
    content: int
    words: tuple[bytes, bytes, bytes]
    fields: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    end: int = 0

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of all field lines with this name (in lower case)."""
        return [value for known, value, _ in self.fields if known == name]

    def tokens(self, name: bytes) -> set[bytes]:
        """Return the list elements of a field, in lower case."""
        return {one.strip().lower() for value in self.values(name) for one in value.split(b",")}

    def line_of(self, name: bytes) -> tuple[bytes, int]:
        """Return (value, offset) of the first field line with this name. Raises StopIteration if there is none."""
        return next((value, at) for known, value, at in self.fields if known == name)


class _StopError(Exception):
    """Exception for a syntax error after which the rest of the stream cannot be parsed."""


@dataclass
class _StreamParser:
    """Tolerant HTTP/1 parser of one direction of a connection; it records violations of message rules."""

    source: Source
    closed: bool
    violations: list[Violation] = field(default_factory=list)
    bare_lf: bool = False

    @property
    def data(self) -> bytes:
        return self.source.stream.data

    def note(self, rule: Rule, start: int, end: int, found: str, expected: str) -> None:
        self.violations.append(self.source.violation(rule, start, end, found, expected))

    def line(self, at: int) -> tuple[bytes, int]:
        """Return (line at an offset without its line end, offset of the next line). Raises _StopError without one."""
        end = self.data.find(b"\n", at)
        if end < 0:
            raise _StopError
        if end > at and self.data[end - 1 : end] == b"\r":
            return self.data[at : end - 1], end + 1
        if not self.bare_lf:
            # Report only the first LF without CR of each direction, since a faulty program ends all lines so.
            self.bare_lf = True
            shown = self.data[max(at, end - 40) : end]
            self.note(LINE_END, max(at, end - 40), end + 1, "the line ends in LF alone", f"{as_text(shown)}\\r\\n")
        return self.data[at:end], end + 1

    def head(self, at: int, rule: Rule) -> Head:
        """Parse a message head. Raises _StopError if the start line is invalid or the head has no end."""
        # RFC 9112 section 2.2: a server ignores an empty line before a request line.
        start, (line, after) = at, self.line(at)
        pattern = _REQUEST if rule is REQUEST_LINE else _STATUS
        words = pattern.match(line)
        if words is None:
            example = "GET /index.html HTTP/1.1\\r\\n" if rule is REQUEST_LINE else "HTTP/1.1 200 OK\\r\\n"
            self.note(rule, start, after, f"not a {'request' if rule is REQUEST_LINE else 'status'} line", example)
            raise _StopError
        head = Head(start, after, (words[1], words[2], words[3]))
        while True:
            at = after
            try:
                line, after = self.line(at)
            except _StopError:
                if self.closed:
                    self.note(HEAD_END, at, len(self.data), "the stream ends inside of a message head", "\\r\\n")
                raise
            if not line:
                head.content = after
                return head
            self.field(head, line, at, after)

    def field(self, head: Head, line: bytes, at: int, after: int) -> None:
        """Parse one field line, and add the field to a message head."""
        parts = _FIELD.match(line)
        if parts is not None:
            head.fields.append((parts[1].lower(), parts[2].rstrip(b" \t"), at))
            return
        name, colon, value = line.partition(b":")
        if line[:1] in b" \t":
            found, expected = "a line folded with leading white space (obs-fold)", "the field value on one line"
        elif colon and name != name.rstrip(b" \t"):
            found, expected = "white space between field name and colon", as_text(name.rstrip() + b":" + value)
        else:
            found, expected = "not a field line", "Name: value\\r\\n"
        self.note(FIELD_LINE, at, after, found, expected)

    def content_end(self, head: Head, until_close: bool, next_message: re.Pattern[bytes] | None) -> int:
        """Check the message framing (RFC 9112 section 6), and return the offset after a message's content."""
        lengths = head.values(b"content-length")
        chunked = b"chunked" in head.tokens(b"transfer-encoding")
        if chunked and lengths:
            value, at = head.line_of(b"content-length")
            self.note(FRAMING, at, at + 16 + len(value), "Content-Length beside Transfer-Encoding", "one of the two")
        if chunked:
            return self.chunks(head.content)
        if not lengths:
            return len(self.data) if until_close else head.content
        value, at = head.line_of(b"content-length")
        if not _DECIMAL.match(value) or len(set(lengths)) > 1:
            self.note(
                CONTENT_LENGTH, at, at + 16 + len(value), f"Content-Length {as_text(value)}", "one decimal number"
            )
            raise _StopError
        return self.counted(head, int(value), at, next_message)

    def counted(self, head: Head, size: int, at: int, next_message: re.Pattern[bytes] | None) -> int:
        """Return the offset after content that is delimited by Content-Length.

        `size` is the field's value, `at` the offset of the field line. A violation is recorded if fewer or more octets
        were sent.
        """
        end, width = head.content + size, len(b"Content-Length: ") + len(str(size))
        sent = len(self.data) - head.content
        if sent < size:
            following = next_message.search(self.data, head.content) if next_message else None
            if following is not None:
                sent = following.start() - head.content
            if following is not None or self.closed:
                self.note(
                    CONTENT_LENGTH,
                    at,
                    at + width,
                    f"Content-Length {size} before {sent} octets",
                    f"Content-Length: {sent}",
                )
            return head.content + sent
        if next_message is not None and end < len(self.data) and not next_message.match(self.data, end):
            following = next_message.search(self.data, end)
            actual = (following.start() if following else len(self.data)) - head.content
            self.note(
                CONTENT_LENGTH,
                at,
                at + width,
                f"Content-Length {size} before {actual} octets",
                f"Content-Length: {actual}",
            )
            return head.content + actual
        return end

    def chunks(self, at: int) -> int:
        """Check the chunk sizes of chunked content, and return the offset after the content.

        Raises _StopError on a syntax error.
        """
        while True:
            start = at
            # Check the line before line() would report its LF: content without chunks may have lines that end in LF.
            end = self.data.find(b"\n", start) + 1
            if end and not CHUNK_LINE.match(self.data[start:end].rstrip(b"\r\n") + b"\r\n"):
                self.note(CHUNK_SIZE, start, end, "not a chunk size", "the size in hexadecimal, for example 1a\\r\\n")
                raise _StopError
            try:
                line, at = self.line(start)
            except _StopError:
                if self.closed:
                    self.note(
                        CHUNK_END, start, len(self.data), "the stream ends without the last chunk", "0\\r\\n\\r\\n"
                    )
                raise
            digits = line.partition(b";")[0].strip()
            size = int(digits, 16)
            if size == 0:
                while (pair := self.line(at))[0]:
                    at = pair[1]
                return pair[1]
            at = self.chunk(start, at, digits, size)

    def chunk(self, start: int, at: int, digits: bytes, size: int) -> int:
        """Return the offset after one chunk of chunked content. Raises _StopError if the chunk's end cannot be found.

        `start` is the offset of the chunk-size line, `at` the offset of the data. A violation is recorded if no CRLF
        follows the `size` octets of data.
        """
        if self.data[at + size : at + size + 2] == b"\r\n":
            return at + size + 2
        in_decimal = int(digits) if _DECIMAL.match(digits) else 0
        if in_decimal and self.data[at + in_decimal : at + in_decimal + 2] == b"\r\n":
            found, expected = f"chunk size {as_text(digits)} in decimal", f"{in_decimal:x}\\r\\n"
        elif at + size + 2 > len(self.data) and not self.closed:
            raise _StopError
        else:
            found, expected = f"no CRLF behind the {size} octets of the chunk", "the number of octets of the chunk"
        self.note(CHUNK_SIZE, start, at, found, expected)
        if not in_decimal:
            raise _StopError
        return at + in_decimal + 2


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the HTTP/1 connections of one interface against all rules; return message count and violations."""
    exchanges: list[tuple[str, Head, Source, Head | None]] = []
    found: list[Violation] = []
    for connection in connections(captured.at(interface)):
        if _is_http1(connection):
            parsed = dialogue(connection, interface)
            peers = f"{connection.client.address} {connection.server}"
            for request, response in zip_longest(parsed.requests, parsed.responses[: len(parsed.requests)]):
                exchanges.append((peers, request, parsed.client, response))
            found += parsed.violations
    found += _validators(exchanges)
    return Checked(sum(1 + (response is not None) for *_, response in exchanges), tuple(found))


def _is_http1(connection: Connection) -> bool:
    if is_http2(connection):
        return False
    sent, got = connection.from_client.stream.data, connection.from_server.stream.data
    return connection.server.port in (80, 8080, 3128) or bool(
        _NEXT_RESPONSE.match(got) or re.match(TOKEN + rb" [^\r\n]* HTTP/1\.[01]\r?\n", sent)
    )


@dataclass(frozen=True)
class Dialogue:
    """HTTP/1 messages of one connection: requests, final responses in the same order, and violations of the rules.

    `client` and `server` are the streams to which the offsets of heads and violations refer.
    """

    client: Source
    server: Source
    requests: tuple[Head, ...]
    responses: tuple[Head, ...]
    violations: tuple[Violation, ...]


def dialogue(connection: Connection, interface: str) -> Dialogue:
    """Parse both streams of an HTTP/1 connection, and check the messages; return them with the violations."""
    client = _StreamParser(
        Source(interface, str(connection.client), connection.from_client.stream), connection.from_client.fin is not None
    )
    server = _StreamParser(
        Source(interface, str(connection.server), connection.from_server.stream), connection.from_server.fin is not None
    )
    requests = _requests(client)
    responses = _responses(server, [head.words[0] for head in requests])
    for request in requests:
        _check_request(client, request)
    for request, response in zip(requests, responses, strict=False):
        _check_response(server, request, response)
    _check_persistence(server, connection, requests, responses)
    for place, head in enumerate(responses[len(requests) :]):
        if not (place == 0 and head.words[1] == b"408") and not client.violations:
            server.note(UNREQUESTED, head.start, head.content, "a response without a request", "no octets")
    in_order = sorted(client.violations + server.violations, key=lambda one: (one.time_ns, one.frame, one.offset))
    return Dialogue(client.source, server.source, tuple(requests), tuple(responses), tuple(in_order))


def _requests(parser: _StreamParser) -> list[Head]:
    """Parse the requests of a connection up to the first malformed one."""
    heads: list[Head] = []
    at = 0
    try:
        while at < len(parser.data):
            if parser.data[at : at + 2] == b"\r\n":
                at += 2
                continue
            head = parser.head(at, REQUEST_LINE)
            heads.append(head)
            if head.words[0] == b"CONNECT":
                break
            at = head.end = parser.content_end(head, until_close=False, next_message=None)
    except _StopError:
        pass
    return heads


def _responses(parser: _StreamParser, methods: list[bytes]) -> list[Head]:
    """Parse the final responses of a connection up to the first malformed one."""
    heads: list[Head] = []
    at = 0
    try:
        while at < len(parser.data):
            head = parser.head(at, STATUS_LINE)
            status, method = head.words[1], methods[len(heads)] if len(heads) < len(methods) else b"GET"
            interim = status.startswith(b"1")
            if not interim:
                heads.append(head)
            if status == b"101" or (method == b"CONNECT" and status.startswith(b"2")):
                break
            if interim or status in (b"204", b"304") or method == b"HEAD":
                at = head.end = _no_content(parser, head, method)
            else:
                at = head.end = parser.content_end(head, until_close=True, next_message=_NEXT_RESPONSE)
    except _StopError:
        pass
    return heads


def _no_content(parser: _StreamParser, head: Head, method: bytes) -> int:
    """Return the offset after a response that must not have content; record a violation if it has content."""
    if head.content == len(parser.data) or _NEXT_RESPONSE.match(parser.data, head.content):
        return head.content
    following = _NEXT_RESPONSE.search(parser.data, head.content)
    end = following.start() if following else len(parser.data)
    reason = "a response to HEAD" if method == b"HEAD" else f"a {as_text(head.words[1])} response"
    parser.note(NO_CONTENT, head.content, end, f"{end - head.content} octets behind the head of {reason}", "no octets")
    return end


def _check_request(parser: _StreamParser, head: Head) -> None:
    hosts = head.values(b"host")
    if head.words[2] == b"HTTP/1.1" and len(hosts) != 1:
        parser.note(
            HOST, head.start, head.content, f"{len(hosts) or 'no'} Host fields", "Host: name-of-the-server\\r\\n"
        )
    _check_dates(parser, head)


def _check_response(parser: _StreamParser, request: Head, head: Head) -> None:
    conditional = {b"if-modified-since", b"if-none-match"} & {name for name, _, _ in request.fields}
    if head.words[1] == b"304" and not conditional:
        end = parser.data.find(b"\n", head.start) + 1
        parser.note(NOT_MODIFIED, head.start, end, "304 to a request without a condition", "HTTP/1.1 200 OK\\r\\n")
    _check_dates(parser, head)


def _check_dates(parser: _StreamParser, head: Head) -> None:
    for name, value, at in head.fields:
        if name in _DATES and not _is_imf_fixdate(value):
            found = f"{as_text(value)!r} is not an IMF-fixdate"
            parser.note(DATE_FORMAT, at, at + len(name) + 2 + len(value), found, "Day, DD Mon YYYY hh:mm:ss GMT")


def _is_imf_fixdate(value: bytes) -> bool:
    try:
        text = value.decode("ascii")
        return datetime.strptime(text, _IMF_FIXDATE).strftime(_IMF_FIXDATE) == text
    except ValueError:
        return False


def _check_persistence(
    parser: _StreamParser, connection: Connection, requests: list[Head], responses: list[Head]
) -> None:
    """Record a violation if the server closed first, after a response without `Connection: close`."""
    fin, client_fin = connection.from_server.fin, connection.from_client.fin
    if fin is None or not responses or len(responses) > len(requests) or parser.violations:
        return
    if client_fin is not None and client_fin.time_ns <= fin.time_ns:
        return
    head, request = responses[-1], requests[len(responses) - 1]
    announced = b"close" in head.tokens(b"connection") or b"close" in request.tokens(b"connection")
    keeps = head.words[0] == b"HTTP/1.1" or b"keep-alive" in head.tokens(b"connection")
    old_client = request.words[2] == b"HTTP/1.0" and b"keep-alive" not in request.tokens(b"connection")
    framed = head.values(b"content-length") or b"chunked" in head.tokens(b"transfer-encoding")
    ends_with_head = head.end == head.content
    last = max(piece.time_ns for piece in parser.source.stream.span(head.start, max(head.end, head.start + 1)))
    if announced or not keeps or old_client or not (framed or ends_with_head) or fin.time_ns - last >= IDLE_NS:
        return
    parser.note(
        PERSISTENCE,
        head.start,
        head.content,
        f"the server closes (FIN in frame {fin.frame}) after a response without Connection: close",
        "Connection: close\\r\\n in this response, or a connection kept open",
    )


def _validators(exchanges: list[tuple[str, Head, Source, Head | None]]) -> Iterator[Violation]:
    """Yield a violation for each conditional request with a validator that the client never received for this target.

    A validator is the value of If-None-Match or If-Modified-Since (RFC 9110 section 13).
    """
    known: dict[tuple[str, bytes, bytes, bytes], list[bytes]] = {}
    # Sort requests by time, since a client may have several connections open simultaneously.
    in_order = sorted(exchanges, key=lambda one: one[2].stream.span(one[1].start, one[1].start + 1)[0].time_ns)
    for peers, request, source, response in in_order:
        target = (peers, next(iter(request.values(b"host")), b""), request.words[1])
        for name, validator in ((b"if-modified-since", b"last-modified"), (b"if-none-match", b"etag")):
            received = known.setdefault((*target, validator), [])
            sent = [one.strip() for value in request.values(name) for one in _validators_in(name, value)]
            if received and sent and not set(sent) & set(received):
                value, at = request.line_of(name)
                found = f"{as_text(name.title())} is {as_text(value)}, which no response to this client had"
                expected = f"{as_text(name.title())}: {as_text(received[-1])}\\r\\n"
                yield source.violation(VALIDATOR, at, at + len(name) + 2 + len(value), found, expected)
            received += response.values(validator) if response is not None else []


def _validators_in(name: bytes, value: bytes) -> list[bytes]:
    return [value] if name == b"if-modified-since" else value.split(b",")
