"""Start line and field lines of an HTTP/1 message: parser and formatter (RFC 9112 sections 2 to 5).

    >>> parse_request_head(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n").method
    b'GET'

Left out: bare LF as a line end, more than one space in a start line, and folded lines. A recipient may accept these,
but recipients that disagree on them permit request smuggling, so all are rejected.
"""

import re

from services.http import limits
from services.http.errors import HTTPError, LocalProtocolError
from services.http.fields import FieldLine, Fields
from services.http.messages import Request, Response, Version
from services.http.syntax import TCHAR
from services.http.targets import is_host, split_target

HEAD_END = b"\r\n\r\n"

# RFC 9112 section 5: name, colon, value, with no control characters but HTAB (RFC 9110 section 5.5).
_FIELD_LINES = re.compile(rb"(?:%b++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+" % TCHAR)
_REQUEST_LINE = re.compile(rb"(%b++) ([^\x00-\x20\x7f]++) HTTP/(\d)\.(\d)" % TCHAR)
_VERSION_AT_END = re.compile(rb".* HTTP/\d\.\d", re.DOTALL)
_STATUS_LINE = re.compile(rb"HTTP/(\d)\.(\d) ([1-9]\d\d)(?: ([\t\x20-\x7e\x80-\xff]*+))?")
# RFC 9112 section 2.2: a bare CR, or (this server's choice) a bare LF.
_BARE_LINE_END = re.compile(rb"\r(?!\n|\Z)|(?<!\r)\n")
_SPACE_BEFORE_COLON = re.compile(rb"^%b+[ \t]+:" % TCHAR, re.MULTILINE)
_FOLD = re.compile(rb"(?:\A|\n)[ \t]")
_SENT_VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*+")
_NAME = re.compile(TCHAR + rb"++")


def parse_request_head(head: bytes) -> Request:
    """Parse a request's head, with its empty line; raises HTTPError."""
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
        raise HTTPError(505, "this server speaks HTTP/1.0 and HTTP/1.1")
    return method, request_target, (1, int(minor))


def parse_response_head(head: bytes) -> Response:
    """Parse a response's head, with its empty line; raises HTTPError 502."""
    line, _, rest = head.partition(b"\r\n")
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise HTTPError(502, "the status line is malformed")
    major, minor, status, reason = match.groups()
    if major != b"1":
        raise HTTPError(502, "the response is not HTTP/1")
    return Response(int(status), parse_field_lines(rest[:-2]), reason=reason or b"", version=(1, int(minor)))


def parse_field_lines(block: bytes) -> Fields:
    """Parse a header or trailer section, without its empty line; raises HTTPError 400 or 431."""
    if _FIELD_LINES.fullmatch(block) is None:
        raise HTTPError(400, _why_bad_field_lines(block))
    lines: list[FieldLine] = []
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        lines.append((name, value.strip(b" \t")))
    if len(lines) > limits.FIELD_LINES:
        raise HTTPError(431, f"more than {limits.FIELD_LINES} field lines")
    return Fields(tuple(lines))


def _check_host(request: Request) -> None:
    """Require a valid Host field in HTTP/1.1, and at most one in any version (RFC 9112 section 3.2)."""
    hosts = request.fields.get_all(b"host")
    if len(hosts) > 1:
        raise HTTPError(400, "more than one Host field")
    if hosts and not is_host(hosts[0]):
        raise HTTPError(400, "the Host field is not a host with an optional port")
    if not hosts and request.version >= (1, 1):
        raise HTTPError(400, "an HTTP/1.1 request needs a Host field")


def _why_bad_request_line(line: bytes) -> str:
    if _BARE_LINE_END.search(line):
        return "a CR or an LF stands alone"
    if _VERSION_AT_END.fullmatch(line) is None:
        return "the request line does not end in an HTTP version"
    return "the request line is not method, space, target, space, version"


def _why_bad_field_lines(block: bytes) -> str:
    # RFC 9112 section 5.1
    if _SPACE_BEFORE_COLON.search(block):
        return "white space between a field name and its colon"
    # RFC 9112 sections 2.2 and 5.2
    if _FOLD.search(block):
        return "a field line begins with white space"
    if _BARE_LINE_END.search(block):
        return "a CR or an LF stands alone"
    return "a field line is not name, colon, value"


def check_partial_head(partial: bytes) -> None:
    """Check an incomplete head; raises HTTPError 400 if it cannot become valid."""
    if _BARE_LINE_END.search(partial):
        raise HTTPError(400, "a CR or an LF stands alone")


def check_line_length(line: bytes) -> None:
    """Check the length of a complete or incomplete request line; raises HTTPError 414."""
    # RFC 9112 section 3; RFC 9110 section 15.5.15
    if len(line) > limits.REQUEST_LINE_OCTETS:
        raise HTTPError(414, f"the request line is longer than {limits.REQUEST_LINE_OCTETS} octets")


def format_field_lines(fields: Fields) -> bytes:
    """Format field lines; raises LocalProtocolError on an invalid name or value."""
    out = []
    for name, value in fields:
        # RFC 9110 section 5.5: no CR, LF or NUL in a value.
        if _NAME.fullmatch(name) is None or _SENT_VALUE.fullmatch(value) is None:
            raise LocalProtocolError(f"not a field line: {name!r}: {value!r}")
        out.append(b"%b: %b\r\n" % (name, value))
    return b"".join(out)


def format_request_head(request: Request) -> bytes:
    """Format the head of a request, with its empty line; raises LocalProtocolError if it is invalid."""
    line = b"%b %b HTTP/%d.%d" % (request.method, request.request_target, *request.version)
    if _REQUEST_LINE.fullmatch(line) is None:
        raise LocalProtocolError(f"not a request line: {line!r}")
    return b"%b\r\n%b\r\n" % (line, format_field_lines(request.fields))


def format_response_head(response: Response) -> bytes:
    """Format the head of a response, with its empty line; raises LocalProtocolError if it is invalid."""
    # RFC 9112 section 4: the space after the status code is sent even if the reason phrase is empty.
    line = b"HTTP/%d.%d %d %b" % (*response.version, response.status, response.phrase)
    if _STATUS_LINE.fullmatch(line) is None:
        raise LocalProtocolError(f"not a status line: {line!r}")
    return b"%b\r\n%b\r\n" % (line, format_field_lines(response.fields))
