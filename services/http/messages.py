"""HTTP messages, request targets and connection events, for all versions (RFC 9110 section 6, RFC 9112 section 3.2).

A connection decodes octets into a Request or a Response, then Data for each piece of content, then EndOfMessage:

    Request(b"GET", b"/", fields=Fields(...)), EndOfMessage()

A Fault is an error of the peer, after which no further input is parsed; Closed is the end of the connection between two
messages. A request target has one of four forms (origin-form, absolute-form, authority-form, asterisk-form). The target
below has absolute-form:

    >>> split_target(b"GET", b"http://www.example/a%20b?q=1")
    Target(authority=b'www.example', path=b'/a%20b', query=b'q=1')

Path and query may have any visible ASCII character except "#", and a percent sign without two hexadecimal digits, as in
nginx and Apache: browsers send characters that RFC 3986 excludes (WHATWG URL sections 1.3 and 4.4), such as "[]", "{}",
"|" and "^" in a query. A target with such characters is accepted unchanged and never repaired, so that no two
recipients interpret a target differently. percent_encode() converts such a target to valid URI syntax.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from http import HTTPStatus
from ipaddress import AddressValueError, IPv6Address
from typing import Protocol

from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields

Version = tuple[int, int]
HTTP_1_0: Version = (1, 0)
HTTP_1_1: Version = (1, 1)

NO_FIELDS = Fields()
PHRASES = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# RFC 9110 renamed some reason phrases of older registries; Python 3.11 still has the old phrases.
PHRASES |= {413: b"Content Too Large", 414: b"URI Too Long"}
PHRASES |= {416: b"Range Not Satisfiable", 422: b"Unprocessable Content"}
# RFC 9110 section 15.5.19 keeps status 418 unused.
PHRASES.pop(418, None)


class Body(Protocol):
    """Content of a response that is read in pieces.

    `size_octets` is None if the size is unknown before the last piece.
    """

    size_octets: int | None

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets, at most `limit_octets`; raises OSError on failure."""
        ...

    def close(self) -> None:
        """Release the body's resources; idempotent."""
        ...


def do_nothing() -> None:
    """Do nothing: the default value of callbacks."""


# Maximum octets of one read if all content is wanted.
READ_ALL_OCTETS = 1 << 20


class StreamedBody:
    """Content of a response that may still be arriving: read() returns None while no data is available.

    `on_more` is called when there may be more to read. `trailers` are valid once read() has returned b"".
    """

    def __init__(self, size_octets: int | None = None) -> None:
        self.size_octets = size_octets
        self.trailers = NO_FIELDS
        self.on_more: Callable[[], None] = do_nothing

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while no data is available; raises OSError on failure."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the resources of the body, possibly before its end; idempotent."""
        raise NotImplementedError

    def read_all(self) -> bytes:
        """Return all unread content as bytes, and close the body.

        May be called only after the content has arrived completely.
        """
        pieces = []
        while piece := self.read(READ_ALL_OCTETS):
            pieces.append(piece)
        self.close()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@dataclass(frozen=True, slots=True)
class Request:
    """HTTP request without its content; `request_target` is the target as received, `version` is (major, minor)."""

    method: bytes
    request_target: bytes
    fields: Fields = NO_FIELDS
    version: Version = HTTP_1_1


@dataclass(frozen=True, slots=True)
class Response:
    """HTTP response, interim (1xx) or final; `body` is used only for responses to be sent."""

    status: int
    fields: Fields = NO_FIELDS
    body: bytes | Body | StreamedBody = b""
    reason: bytes | None = None
    version: Version = HTTP_1_1

    @property
    def phrase(self) -> bytes:
        """Reason phrase: as received, or else the one registered for the status code."""
        return PHRASES.get(self.status, b"") if self.reason is None else self.reason


@dataclass(frozen=True, slots=True)
class Data:
    """Event of an HTTP/1 connection: a piece of the content, with the transfer coding decoded."""

    data: bytes


@dataclass(frozen=True, slots=True)
class EndOfMessage:
    """Event of an HTTP/1 connection: the end of the content, with the trailer fields (RFC 9110 section 6.5.1)."""

    trailers: Fields = field(default=NO_FIELDS)


@dataclass(frozen=True, slots=True)
class Closed:
    """Event of an HTTP/1 connection: the peer closed its side of the connection between two messages."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Event of an HTTP/1 connection: an error of the peer, with status code and reason for the error response."""

    status: int
    detail: str


Event = Request | Response | Data | EndOfMessage | Closed | Fault
END = EndOfMessage()


def has_content(request: Request) -> bool:
    """Return True if a request has Transfer-Encoding, or a Content-Length above 0 (RFC 9112 section 6.3)."""
    length = request.fields.get(b"content-length")
    return b"transfer-encoding" in request.fields or (length is not None and length.strip(b"0") != b"")


# Request targets (RFC 9112 section 3.2) and their percent-encoding (RFC 3986 section 2.1).

# RFC 3986 sections 2.1 to 2.3
_PERCENT_ENCODED = rb"%[0-9A-Fa-f]{2}"
_UNRESERVED = rb"0-9A-Za-z\-._~"
_SUB_DELIMS = rb"!$&'()*+,;="
# RFC 3986 section 3.2.2: an IP literal or a registered name, then an optional port, any number of digits.
_HOST = re.compile(
    rb"(?:\[(?:(?P<ipv6>[0-9A-Fa-f:.]++)|[Vv][0-9A-Fa-f]++\.[%b%b:]++)\]|(?>(?:[%b%b]|%b)*))(?::(?P<port>\d*+))?"
    % (_UNRESERVED, _SUB_DELIMS, _UNRESERVED, _SUB_DELIMS, _PERCENT_ENCODED)
)
# RFC 9112 sections 3 and 3.2.1: path and query have visible ASCII characters only, and no fragment.
_PATH_AND_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*+")
# Characters that RFC 3986 sections 3.3 and 3.4 exclude from path and query.
_NOT_IN_URI = re.compile(rb"%%(?![0-9A-Fa-f]{2})|[^%b%b:@/?%%]" % (_UNRESERVED, _SUB_DELIMS))
_ABSOLUTE = re.compile(rb"(?P<scheme>[A-Za-z][0-9A-Za-z+\-.]*)://(?P<authority>[^/?]*)(?P<rest>.*)")
_ENCODED_UNRESERVED = re.compile(rb"%(2[DEde]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

LARGEST_PORT = 65535
# Longest authority whose check is cached: the longest host name, and a port.
HOST_OCTETS_KEPT = 261
ASTERISK = b"*"


@dataclass(frozen=True, slots=True)
class Target:
    """The components of a request target, still percent-encoded; authority is None if the target has none."""

    authority: bytes | None
    path: bytes
    query: bytes | None


def is_host(value: bytes) -> bool:
    """Return whether `value` is uri-host [":" port] (RFC 9110 section 7.2), or empty."""
    return _is_known_host(value) if len(value) <= HOST_OCTETS_KEPT else _is_host(value)


def _is_host(value: bytes) -> bool:
    # RFC 9112 section 3.2: an empty Host is valid. RFC 9110 section 4.2.1: a port without a host is not.
    match = None if value.startswith(b":") else _HOST.fullmatch(value)
    if match is None or (match["ipv6"] is not None and not _is_ipv6(match["ipv6"])):
        return False
    # Remove leading zeros of a port, which are allowed, so that int() is called on a short number only.
    port = (match["port"] or b"").lstrip(b"0")
    return len(port) <= len(str(LARGEST_PORT)) and int(port or b"0") <= LARGEST_PORT


_is_known_host = lru_cache(maxsize=1024)(_is_host)


def _is_ipv6(digits: bytes) -> bool:
    try:
        IPv6Address(digits.decode("ascii"))
    except AddressValueError:
        return False
    return True


@lru_cache(maxsize=1024)
def split_target(method: bytes, request_target: bytes) -> Target:
    """Split a request target into its components; raises HTTPError 400, or 421 for a scheme that is not served."""
    # RFC 9112 section 3.2.3: authority-form is used with CONNECT only, and CONNECT uses no other form.
    if method == b"CONNECT":
        return _authority_form(request_target)
    if request_target.startswith(b"/"):
        return Target(None, *_path_and_query(request_target))
    # RFC 9112 section 3.2.4: asterisk-form is used with OPTIONS only.
    if request_target == ASTERISK and method == b"OPTIONS":
        return Target(None, ASTERISK, None)
    return _absolute_form(method, request_target)


def _authority_form(request_target: bytes) -> Target:
    host, _, port = request_target.rpartition(b":")
    if not (host and port and is_host(request_target)):
        raise HTTPError(400, "the target of CONNECT must be HOST:PORT")
    return Target(request_target, b"", None)


def _absolute_form(method: bytes, request_target: bytes) -> Target:
    """Split a target in absolute-form, which a server must accept from any client (RFC 9112 section 3.2.2)."""
    match = _ABSOLUTE.fullmatch(request_target)
    if match is None:
        raise HTTPError(400, "the request target does not have one of the four forms of RFC 9112 section 3.2")
    scheme, authority = match["scheme"].lower(), match["authority"]
    # RFC 9110 section 7.4: no connection is authoritative for another scheme; which of the two, each connection checks.
    if scheme not in (b"http", b"https"):
        raise HTTPError(421, "the server has http and https resources only")
    # RFC 9110 sections 4.2.1 (an empty host is invalid) and 4.2.4 (user information is an error).
    if not authority or not is_host(authority):
        raise HTTPError(400, "the request target's authority is not valid")
    path, query = _path_and_query(match["rest"])
    # RFC 9112 section 3.2.4: OPTIONS for a URI without path and query is a request about the server.
    empty = ASTERISK if method == b"OPTIONS" and query is None else b"/"
    return Target(authority, path or empty, query)


def _path_and_query(octets: bytes) -> tuple[bytes, bytes | None]:
    # RFC 9112 section 3: recipients that repair an invalid target may disagree on it (request smuggling).
    if _PATH_AND_QUERY.fullmatch(octets) is None:
        raise HTTPError(400, "the request target contains white space, a control or non-ASCII character, or a fragment")
    path, mark, query = octets.partition(b"?")
    return path, query if mark else None


def decode_unreserved(path: bytes) -> bytes:
    """Decode percent-encoded unreserved characters (RFC 3986 section 6.2.2.2).

    A path with an invalid percent-encoding (has_bad_percent) is returned unchanged.
    """
    # A path with an invalid percent-encoding stays as it is: decoding "%%37e" to "%7e" would change its meaning.
    if b"%" not in path or has_bad_percent(path):
        return path
    return _ENCODED_UNRESERVED.sub(lambda match: bytes((int(match[1], 16),)), path)


def has_bad_percent(octets: bytes) -> bool:
    """Return whether a percent sign is not followed by two hexadecimal digits (RFC 3986 section 2.1)."""
    return _BAD_PERCENT.search(octets) is not None


def percent_decode(path: bytes) -> bytes:
    """Percent-decode `path`; a percent sign without two hexadecimal digits stays (WHATWG URL section 1.3)."""
    return _PERCENT.sub(lambda match: bytes((int(match[1], 16),)), path) if b"%" in path else path


def percent_encode(octets: bytes) -> bytes:
    """Percent-encode octets that are invalid in a URI's path and query, as is "%" without two hexadecimal digits."""
    return _NOT_IN_URI.sub(lambda match: b"%%%02X" % match[0][0], octets)
