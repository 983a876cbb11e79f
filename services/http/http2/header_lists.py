"""HTTP/2 header lists: request parser, request and response encoders (RFC 9113 sections 8.1.1, 8.2 and 8.3, RFC 8441).

    >>> parse_request([(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a")], b"http")
    Request(method=b'GET', request_target=b'/', fields=Fields(((b'host', b'a'),)), version=(2, 0))

The second argument is the scheme of the connection. A malformed list raises MalformedError, a stream error; a
well-formed request that cannot be served raises HTTPError, which becomes an error response. Extended CONNECT for
WebSocket (RFC 8441 section 5) is converted to the equivalent GET with Upgrade (RFC 6455 section 4.1). If the server
does not announce extended CONNECT, :protocol is an unknown pseudo-header field.
"""

import re
from collections.abc import Iterable, Sequence

from lab7.services.http import limits
from lab7.services.http.errors import HTTPError, LocalProtocolError
from lab7.services.http.fields import FieldLine, Fields, is_token
from lab7.services.http.http1.codec import content_length
from lab7.services.http.http2.errors import MalformedError
from lab7.services.http.http2.limits import HEADER_LIST_OCTETS
from lab7.services.http.messages import Request, Version, is_host, split_target

HTTP_2: Version = (2, 0)

_METHOD, _SCHEME, _PATH, _AUTHORITY = b":method", b":scheme", b":path", b":authority"
_PROTOCOL = b":protocol"
_PSEUDO = frozenset((_METHOD, _SCHEME, _PATH, _AUTHORITY))
_EXTENDED_PSEUDO = _PSEUDO | {_PROTOCOL}
_WEBSOCKET = b"websocket"
# Fields of the opening handshake that have no meaning over HTTP/2 (RFC 8441 section 5).
HANDSHAKE_OF_HTTP_1 = frozenset((b"sec-websocket-key", b"sec-websocket-accept"))
# RFC 9113 section 8.2.2
CONNECTION_SPECIFIC = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
# RFC 9113 section 8.2.1: lower-case names; values without control characters and without white space around them.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]++")
_VALUE = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
# RFC 9113 section 6.5.2: a field counts 32 octets more than its name and value in the size of a header list.
_FIELD_OVERHEAD = 32


def parse_request(lines: Sequence[FieldLine], scheme: bytes, extended_connect: bool = False) -> Request:
    """Parse a request's header list into a Request; `scheme` is the connection's. Raises MalformedError, HTTPError."""
    pseudo, fields = _split(lines, _EXTENDED_PSEUDO if extended_connect else _PSEUDO)
    if _PROTOCOL in pseudo:
        pseudo, fields = _websocket_handshake(pseudo, fields)
    method = _required(pseudo, _METHOD)
    if not is_token(method):
        raise MalformedError("the method is not a token")
    # RFC 9113 section 8.5: CONNECT has neither :scheme nor :path.
    if method == b"CONNECT":
        if _SCHEME in pseudo or _PATH in pseudo:
            raise MalformedError("CONNECT must not have :scheme or :path")
        target = _required(pseudo, _AUTHORITY)
    else:
        _required(pseudo, _SCHEME)
        target = _required(pseudo, _PATH)
        # RFC 9113 section 8.3.1: a path begins with a slash, or is the asterisk of OPTIONS.
        if not target.startswith(b"/") and (method, target) != (b"OPTIONS", b"*"):
            raise MalformedError(":path is not a valid path")
    request = Request(method, target, _with_host(pseudo.get(_AUTHORITY), fields), HTTP_2)
    _check_size(lines)
    # RFC 9110 section 7.4
    if method != b"CONNECT" and pseudo[_SCHEME].lower() != scheme:
        raise HTTPError(421, f"the server has {scheme.decode('ascii')} resources only on this connection")
    split_target(method, target)
    return request


def _websocket_handshake(
    pseudo: dict[bytes, bytes], fields: list[FieldLine]
) -> tuple[dict[bytes, bytes], list[FieldLine]]:
    """Convert an extended CONNECT to the equivalent GET with Upgrade (RFC 8441 sections 4 and 5)."""
    if pseudo.get(_METHOD) != b"CONNECT":
        raise MalformedError(":protocol without CONNECT")
    if any(name == b"content-length" for name, _ in fields):
        # RFC 9110 section 9.3.6: what follows is for the tunnel.
        raise MalformedError("an extended CONNECT must not have content")
    # RFC 9220 section 3: 501 for a protocol that is not supported.
    if pseudo[_PROTOCOL].lower() != _WEBSOCKET:
        raise HTTPError(501, "WebSocket is the only protocol of an extended CONNECT that is supported")
    kept = [line for line in fields if line[0] not in HANDSHAKE_OF_HTTP_1]
    return {**pseudo, _METHOD: b"GET"}, [*kept, (b"upgrade", _WEBSOCKET), (b"connection", b"upgrade")]


def is_extended_connect(request: Request) -> bool:
    """Return whether a request from parse_request() was an extended CONNECT: it has Upgrade, which HTTP/2 forbids."""
    return b"upgrade" in request.fields


def parse_content_length(request: Request) -> int | None:
    """Return Content-Length, None if absent; raises MalformedError, or HTTPError 413 if it has too many digits."""
    try:
        return content_length(request.fields)
    except HTTPError as error:
        if error.status == 413:
            raise
        raise MalformedError(error.detail) from error


def parse_trailers(lines: Sequence[FieldLine]) -> Fields:
    """Parse a trailer section; raises MalformedError, or HTTPError 431 if it is too large."""
    pseudo, fields = _split(lines, _PSEUDO)
    # RFC 9113 section 8.1: trailers have no pseudo-header fields.
    if pseudo:
        raise MalformedError("a trailer section contains a pseudo-header field")
    _check_size(lines)
    return Fields(tuple(fields))


def _split(lines: Sequence[FieldLine], known: frozenset[bytes]) -> tuple[dict[bytes, bytes], list[FieldLine]]:
    pseudo: dict[bytes, bytes] = {}
    fields: list[FieldLine] = []
    for name, value in lines:
        if _VALUE.fullmatch(value) is None:
            raise MalformedError("a field value contains a forbidden character or surrounding white space")
        if name.startswith(b":"):
            if name not in known:
                raise MalformedError("unknown pseudo-header field")
            _add_pseudo(pseudo, name, value, late=bool(fields))
        else:
            _check_field(name, value)
            fields.append((name, value))
    return pseudo, fields


def _add_pseudo(pseudo: dict[bytes, bytes], name: bytes, value: bytes, late: bool) -> None:
    """Add a pseudo-header field to the dict `pseudo`; `late` is True if a regular field precedes it.

    Raises MalformedError if the field is repeated or late (RFC 9113 section 8.3).
    """
    if late:
        raise MalformedError("a pseudo-header field follows a regular field")
    if name in pseudo:
        raise MalformedError("a pseudo-header field occurs twice")
    pseudo[name] = value


def _check_field(name: bytes, value: bytes) -> None:
    if _NAME.fullmatch(name) is None:
        raise MalformedError("a field name is empty, or contains upper case or a forbidden character")
    # RFC 9113 section 8.2.2: connection-specific fields of HTTP/1 are malformed, as is TE other than "trailers".
    if name in CONNECTION_SPECIFIC or (name == b"te" and value.lower() != b"trailers"):
        raise MalformedError("a connection-specific field is not allowed in HTTP/2")


def _required(pseudo: dict[bytes, bytes], name: bytes) -> bytes:
    value = pseudo.get(name)
    # RFC 9113 section 8.3.1: a required pseudo-header field occurs exactly once, and :path is not empty.
    if not value:
        raise MalformedError(f"no {name.decode('ascii')}")
    return value


def _with_host(authority: bytes | None, fields: list[FieldLine]) -> Fields:
    """Return the fields in the form of an HTTP/1 request: Host first, the Cookie lines joined.

    Raises MalformedError.
    """
    hosts = [value for name, value in fields if name == b"host"]
    if authority is None and not hosts:
        raise HTTPError(400, "a request needs :authority or Host")
    host = hosts[0] if authority is None else authority
    # RFC 9113 section 8.3.1: a request whose Host differs from :authority is malformed.
    if any(other.lower() != host.lower() for other in hosts):
        raise MalformedError("Host differs from :authority")
    # RFC 9110 section 4.2.4: is_host() also rejects user information.
    if not host or not is_host(host):
        raise HTTPError(400, "the authority is not a host with an optional port")
    others = [line for line in fields if line[0] not in (b"host", b"cookie")]
    # RFC 9113 section 8.2.3: Cookie may be split into several lines.
    cookies = [value for name, value in fields if name == b"cookie"]
    if cookies:
        others.append((b"cookie", b"; ".join(cookies)))
    return Fields(((b"host", host), *others))


def _check_size(lines: Sequence[FieldLine]) -> None:
    """Raise HTTPError 431 for a header list above SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 section 10.5.1)."""
    size = sum(len(name) + len(value) + _FIELD_OVERHEAD for name, value in lines)
    if size > HEADER_LIST_OCTETS:
        raise HTTPError(431, f"the header section is larger than {HEADER_LIST_OCTETS} octets")
    if len(lines) > limits.FIELD_LINES + len(_PSEUDO):
        raise HTTPError(431, f"more than {limits.FIELD_LINES} field lines")


def response_header_list(status: int, fields: Iterable[FieldLine], date: bytes, length: int | None) -> list[FieldLine]:
    """Return a response's header list; raises LocalProtocolError on an invalid field name or value."""
    lines = interim_header_list(status, fields)
    # RFC 9110 section 6.6.1: Date is added unless the forwarded response has one.
    if not any(name == b"date" for name, _ in lines):
        lines.append((b"date", date))
    if length is not None:
        lines.append((b"content-length", b"%d" % length))
    return lines


def interim_header_list(status: int, fields: Iterable[FieldLine]) -> list[FieldLine]:
    """Return the header list of an interim response; raises LocalProtocolError on an invalid field name or value."""
    return [(b":status", b"%d" % status), *field_list(fields)]


def field_list(fields: Iterable[FieldLine]) -> list[FieldLine]:
    """Return fields without pseudo-header fields, such as trailers; raises LocalProtocolError on an invalid one."""
    lines: list[FieldLine] = []
    for name, value in fields:
        lower = name.lower()
        if _NAME.fullmatch(lower) is None or _VALUE.fullmatch(value) is None:
            raise LocalProtocolError(f"invalid field line: {name!r}: {value!r}")
        # RFC 9113 section 8.2.2: connection-specific fields of HTTP/1 are not sent.
        if lower not in CONNECTION_SPECIFIC:
            lines.append((lower, value))
    return lines


def request_header_list(request: Request, scheme: bytes) -> list[FieldLine]:
    """Return the header list of a request, sent by a client or promised by a server (RFC 9113 8.3.1 and 8.4.1)."""
    authority = request.fields.get(b"host") or b""
    rest = [(name.lower(), value) for name, value in request.fields if name.lower() != b"host"]
    pseudo = ((_METHOD, request.method), (_SCHEME, scheme), (_AUTHORITY, authority), (_PATH, request.request_target))
    return [*pseudo, *rest]
