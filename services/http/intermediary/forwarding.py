"""Message forwarding: routes, and changes to requests, responses and trailers (RFC 9110 section 7.6).

    >>> request = Request(b"GET", b"http://example.com/a?b", Fields(((b"Host", b"other"),)))
    >>> route(request, None)                   # None: a forward proxy; else the origin of a reverse proxy
    Route(origin=Origin(host='example.com', port=80, scheme='http'), authority=b'example.com', request_target=b'/a?b')

    forwarded_request(strip_hop_by_hop(request), route, b"lab7", length=0, trailers=False)      # adds Host and Via
    build_response(b"GET", head, body, b"lab7")         # adds Via; the connection adds framing fields

A forward proxy requires absolute-form and ignores Host. A reverse proxy sends every request to its single origin,
whatever host the request names; the named host is forwarded in Host and is part of the cache key. A proxy without a
cache forwards the target as received (section 7.7); the caching proxy forwards the normalised target of the cache key
(section 4.2.3, cache/keys.py).

Removed are the fields listed in Connection and all hop-by-hop fields (section 7.6.1), including Proxy-Authorization and
Proxy-Authenticate: this proxy has no authentication of its own, and must not forward credentials for a proxy.

RFC 9110 sections 6.5.1, 6.6.1, 7.1, 7.2, 7.6.2, 7.6.3, 9.3.7, 9.3.8 and 10.1.4; RFC 9112 sections 3.2, 3.3, 6.3, 7.1.2
and 9.3. Left out: transformation of content (RFC 9110 section 7.7), so no-transform is always obeyed.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from lab7.services.http.cache.keys import normalised
from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import HOP_BY_HOP, PROXY_AUTHENTICATION, FieldLine, Fields, list_members, lower_tokens
from lab7.services.http.http1.codec import format_request_head
from lab7.services.http.intermediary.cache_fill import FillReader
from lab7.services.http.limits import CONTENT_LENGTH_DIGITS
from lab7.services.http.messages import ASTERISK, HTTP_1_1, Body, Request, Response, StreamedBody, Version, split_target
from lab7.services.http.server.body_stream import BUFFER_OCTETS, BodyStream
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.urls import DEFAULT_PORTS, Origin

# Routes (RFC 9112 sections 3.2 and 3.3).

_SCHEME_AND_AUTHORITY = re.compile(rb"[^:/?]++://[^/?]++")
HTTP_PORT = DEFAULT_PORTS["http"]


@dataclass(frozen=True, slots=True)
class Route:
    """Destination of a request: the origin to connect to, the value of Host, and the target in origin-form."""

    origin: Origin
    authority: bytes
    request_target: bytes


def route(request: Request, origin: Origin | None) -> Route:
    """Return the Route of a request: to the origin in its absolute-form target, or to a reverse proxy's `origin`.

    Raises HTTPError.
    """
    target = split_target(request.method, request.request_target)
    if target.authority is None:
        if origin is None:
            # RFC 9110 section 7.4: the request is directed at this server, which has no resources of its own.
            raise HTTPError(421, "the request target of a forward proxy must be in absolute-form")
        # RFC 9112 section 3.3: an HTTP/1.0 request may lack Host; the origin's authority is the default.
        authority = request.fields.get(b"host") or origin.authority
        return Route(origin, authority, request.request_target)
    rest = _SCHEME_AND_AUTHORITY.sub(b"", request.request_target, count=1)
    if not rest.startswith(b"/"):
        # RFC 9112 sections 3.2.1 and 3.2.4: an empty path is sent as a slash, and for OPTIONS as an asterisk.
        rest = ASTERISK if target.path == ASTERISK else b"/" + rest
    return Route(origin or authority_origin(target.authority), target.authority, rest)


def normal_route(sent: Route) -> Route:
    """Return a route with Host and request target in normal form, as in the cache key (cache/keys.py)."""
    return Route(sent.origin, *normalised(b"http", sent.authority, sent.request_target))


@lru_cache(maxsize=1024)
def authority_origin(authority: bytes, default_port: int = HTTP_PORT) -> Origin:
    """Return the origin of a syntactically valid authority; raises HTTPError 400 for an empty host or port 0."""
    host, _, port = authority.rpartition(b":") if _has_port(authority) else (authority, b"", b"")
    name = host.decode("ascii").strip("[]").lower()
    number = int(port or default_port)
    if not name or number == 0:
        raise HTTPError(400, "the target's authority has no host, or port 0")
    return Origin(name, number)


def _has_port(authority: bytes) -> bool:
    return b":" in authority.rpartition(b"]")[2]


# Requests and trailers.

# Fields that are not forwarded: hop-by-hop fields, and credentials for the authentication of another proxy.
NOT_FORWARDED = HOP_BY_HOP | PROXY_AUTHENTICATION
FRAMING = frozenset((b"content-length", b"transfer-encoding"))
# Fields of the client's request that forwarded_request() replaces; without chunks there is no trailer section.
_BUILT = FRAMING | {b"host"}
_BUILT_WITH_LENGTH = _BUILT | {b"trailer"}
# RFC 9110 section 6.5.1: fields for framing, routing, authentication or request modification are no trailer fields.
NEVER_TRAILERS = NOT_FORWARDED | {
    b"age",
    b"authorization",
    b"cache-control",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"date",
    b"expect",
    b"expires",
    b"host",
    b"location",
    b"max-forwards",
    b"range",
    b"retry-after",
    b"set-cookie",
    b"trailer",
    b"vary",
    b"via",
    b"warning",
    b"www-authenticate",
}
# RFC 9110 section 9.3.8: fields with credentials, which TRACE must not reflect.
SECRET = (b"authorization", b"cookie", b"proxy-authorization")
# RFC 9110 section 8.6: methods that define a meaning for content, so that Content-Length: 0 is sent as well.
WITH_CONTENT = frozenset((b"POST", b"PUT", b"PATCH"))
WEBSOCKET = b"websocket"
# RFC 6455 section 1.3
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# RFC 5842 section 7.2: a forwarding loop gets 508 Loop Detected; RFC 9110 section 7.6.3 leaves the reaction open.
LOOP_DETECTED = 508


def strip_hop_by_hop(request: Request) -> Request:
    """Return a request without hop-by-hop fields, so that they do not influence later decisions."""
    fields = without_hop_by_hop(request.fields)
    return (
        request
        if fields is request.fields
        else Request(request.method, request.request_target, fields, request.version)
    )


def without_hop_by_hop(fields: Fields) -> Fields:
    """Return fields without the hop-by-hop fields and without the fields that Connection lists."""
    if not fields.has_any(NOT_FORWARDED):
        return fields
    return fields.without(NOT_FORWARDED | set(lower_tokens(fields.get(b"connection"))))


def check_request(request: Request, name: bytes) -> None:
    """Check that a request may be forwarded: it has no forwarding loop in Via, and CONNECT has no content.

    `name` is the pseudonym of this intermediary in Via. Raises HTTPError.
    """
    if b"via" in request.fields and name.lower() in _via_names(request.fields):
        raise HTTPError(LOOP_DETECTED, "forwarding loop: Via contains the name of this proxy")
    if request.method == b"CONNECT" and request.fields.has_any((b"content-length", b"transfer-encoding")):
        # RFC 9110 section 9.3.6: CONNECT has no content; octets after the request belong to the tunnel.
        raise HTTPError(400, "a CONNECT request must not have content")


def _via_names(fields: Fields) -> list[bytes]:
    members = list_members((fields.get(b"via") or b"").lower())
    return [words[1] for member in members if len(words := member.split()) > 1]


def remaining_forwards(request: Request) -> int | None:
    """Parse Max-Forwards of a TRACE or OPTIONS request; None if there is no limit (RFC 9110 section 7.6.2)."""
    if request.method not in (b"TRACE", b"OPTIONS"):
        return None
    values = request.fields.get_all(b"max-forwards")
    if len(values) != 1 or not values[0].isdigit():
        return None
    # RFC 9110 section 7.6.2: a value may become smaller, down to this recipient's maximum; ten digits are enough.
    return int(values[0].lstrip(b"0")[:10] or b"0")


def own_response(request: Request) -> Response:
    """Build the response of this proxy to TRACE or OPTIONS as the final recipient (RFC 9110 7.6.2, 9.3.7 and 9.3.8)."""
    if request.method == b"OPTIONS":
        return Response(200, Fields(((b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT"),)))
    if request.fields.has_any((b"content-length", b"transfer-encoding")):
        return page_response(400, "A TRACE request must not have content.")
    shown = Request(request.method, request.request_target, request.fields.without(SECRET), request.version)
    return Response(200, Fields(((b"Content-Type", b"message/http"),)), format_request_head(shown))


def takes_trailers(fields: Fields) -> bool:
    """Return True if the client accepts trailer fields: `TE: trailers` (RFC 9110 section 10.1.4)."""
    return b"te" in fields and b"trailers" in lower_tokens(fields.get(b"te"))


def offers_websocket(request: Request) -> bool:
    """Return True if a request offers WebSocket (RFC 6455 section 4.1), the only upgrade that is forwarded.

    Other upgrades, such as h2c, would let later requests bypass this intermediary.
    """
    fields = request.fields
    return (
        b"upgrade" in fields
        and request.method == b"GET"
        and request.version >= HTTP_1_1
        and WEBSOCKET in lower_tokens(fields.get(b"upgrade"))
        and b"upgrade" in lower_tokens(fields.get(b"connection"))
        and not fields.has_any(FRAMING)
    )


def websocket_accept(key: bytes) -> bytes:
    """Return the Sec-WebSocket-Accept of a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest())


def forwarded_request(
    request: Request, route: Route, name: bytes, length: int | None, trailers: bool, upgrade: bool = False
) -> Request:
    """Return the request to send to the origin of `route`, built from the client's without hop-by-hop fields.

    `length` is the size of the content in octets: 0 without content, None for chunked. `trailers` is True if the client
    accepts trailer fields, `upgrade` if it offers WebSocket.
    """
    # RFC 9112 section 3.2: Host is the target's authority, and the first field.
    lines: list[FieldLine] = [(b"Host", route.authority)]
    left = remaining_forwards(request)
    dropped = _BUILT if length is None else _BUILT_WITH_LENGTH
    if left is not None:
        dropped |= {b"max-forwards"}
    lines += [line for line in request.fields.lines if line[0].lower() not in dropped]
    if left is not None:
        lines.append((b"Max-Forwards", b"%d" % (left - 1)))
    lines.append((b"Via", via(request.version, name)))
    if upgrade:
        lines += [(b"Upgrade", WEBSOCKET), (b"Connection", b"Upgrade")]
    elif trailers:
        lines += [(b"TE", b"trailers"), (b"Connection", b"TE")]
    if length is None:
        lines.append((b"Transfer-Encoding", b"chunked"))
    elif length > 0 or request.method in WITH_CONTENT or b"content-length" in request.fields:
        lines.append((b"Content-Length", b"%d" % length))
    return Request(request.method, route.request_target, Fields(tuple(lines)), HTTP_1_1)


def forwarded_trailers(trailers: Fields) -> Fields:
    """Return the trailer fields that may be forwarded as trailers (RFC 9110 section 6.5.1)."""
    return trailers.without(NEVER_TRAILERS) if len(trailers) else trailers


@lru_cache(maxsize=16)
def via(version: Version, name: bytes) -> bytes:
    """Return this intermediary's member of Via, such as `1.1 lab7` (RFC 9110 section 7.6.3)."""
    major, minor = version
    return b"%d %b" % (major, name) if major > 1 else b"%d.%d %b" % (major, minor, name)


# Responses to clients.


class ConcatenatedBody(StreamedBody):
    """Response body that concatenates stored and arriving parts of a representation (RFC 9111 section 3.4).

    read() raises OSError if a part fails.
    """

    def __init__(self, bodies: Sequence[Body | StreamedBody]) -> None:
        sizes = [body.size_octets for body in bodies]
        super().__init__(sum(size for size in sizes if size is not None) if None not in sizes else None)
        self._bodies = list(reversed(bodies))
        for body in bodies:
            if isinstance(body, StreamedBody):
                body.on_more = self._more

    def read(self, limit_octets: int) -> bytes | None:
        """Return the next octets, b"" at the end, None while none are available."""
        while self._bodies:
            data = self._bodies[-1].read(limit_octets)
            if data is None or data:
                return data
            self._bodies.pop().close()
        return b""

    def close(self) -> None:
        """Close all concatenated bodies."""
        while self._bodies:
            self._bodies.pop().close()

    def _more(self) -> None:
        self.on_more()


_REPLACED = NOT_FORWARDED | {b"content-length"}


class EmptyBody(StreamedBody):
    """Body of a response to HEAD: no content, but the length of the content that a GET would return."""

    def read(self, limit_octets: int) -> bytes | None:
        """Return b"", the end of the content."""
        del limit_octets
        return b""

    def close(self) -> None:
        """Do nothing: there is no content to release."""


def parse_content_length(head: Response) -> int | None:
    """Parse a head's Content-Length; return None if it is absent or invalid."""
    value = head.fields.get(b"content-length")
    if value is None or not value.isdigit():
        return None
    digits = value.lstrip(b"0")
    return int(digits or b"0") if len(digits) <= CONTENT_LENGTH_DIGITS else None


def build_response(
    method: bytes, head: Response, body: bytes | Body | StreamedBody, name: bytes, version: Version = HTTP_1_1
) -> Response:
    """Return the response to a client's request, built from a received or stored head and its body.

    `method` is the request's; `version` is the HTTP version of that head, for Via. For HEAD, only the length of the
    body is used. Small content that has arrived completely is converted to bytes.
    """
    fields = Fields((*without_hop_by_hop(head.fields).lines_without(_REPLACED), (b"Via", via(version, name))))
    if method == b"HEAD":
        length = parse_content_length(head)
        if not isinstance(body, bytes):
            length = body.size_octets if length is None else length
            body.close()
        body = EmptyBody(length)
    elif isinstance(body, FillReader | BodyStream):
        body = buffered_content(body)
    return Response(head.status, fields, body, head.reason)


def switching_response(head: Response, body: StreamedBody, name: bytes) -> Response:
    """Build the 101 response that accepts WebSocket (RFC 6455 section 4.2.2), without the field Connection.

    The connection to the client adds that field when it sends the response.
    """
    kept = without_hop_by_hop(head.fields).lines_without(_REPLACED)
    lines = (*kept, (b"Via", via(head.version, name)), (b"Upgrade", WEBSOCKET))
    return Response(head.status, Fields(lines), body, head.reason)


def buffered_content(body: FillReader | BodyStream) -> bytes | StreamedBody:
    """Return small content that has arrived completely as bytes; return any other content unchanged, as a Body.

    Bytes are the cheapest form to send.
    """
    waiting = body.remaining_octets
    if waiting is None or waiting > BUFFER_OCTETS or len(body.trailers):
        return body
    return body.read_all()
