"""What an intermediary changes in a message that it passes on, and nothing else (RFC 9110 sections 7.6 and 6.6.1).

    forwarded_request(stripped(request), route, b"lab7")     # Host, Via; Content-Length or chunked

Removed are the fields that Connection names and those that are for one connection whoever names them (section 7.6.1);
Proxy-Authorization and Proxy-Authenticate among them, since this proxy has no authentication and forwards nobody's
credentials for it. Obeyed: RFC 9110 sections 6.5.1, 6.6.1, 7.2, 7.6.2, 7.6.3, 9.3.7, 9.3.8 and 10.1.4; RFC 9112
sections 6.3, 7.1.2 and 9.3. Left out: transformation of content (section 7.7), so no-transform is always obeyed.
"""

from collections.abc import Collection
from functools import lru_cache

from services.http.errors import HTTPError
from services.http.fields import FieldLine, Fields
from services.http.http1.head import format_request_head
from services.http.intermediary.routing import Route
from services.http.messages import HTTP_1_1, Request, Response, Version
from services.http.server.error_pages import page_response
from services.http.syntax import list_members, lower_tokens

# RFC 9110 section 7.6.1, the fields of the connection itself; 11.7: those of a proxy's own authentication.
HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
    )
)
FRAMING = frozenset((b"content-length", b"transfer-encoding"))
# RFC 9110 section 6.5.1: what changes framing, routing, authentication or the request itself is never a trailer field.
NEVER_TRAILERS = HOP_BY_HOP | {
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
# RFC 9110 section 9.3.8: what TRACE is not to reflect.
SECRET = (b"authorization", b"cookie", b"proxy-authorization")
# RFC 9110 section 8.6: methods that have a meaning for content say its length even where that is 0.
WITH_CONTENT = frozenset((b"POST", b"PUT", b"PATCH"))
# RFC 5842 section 7.2; RFC 9110 section 7.6.3 leaves to the intermediary what it does about a loop.
LOOP_DETECTED = 508


def stripped(request: Request) -> Request:
    """Return a request without the fields of the connection it came on, which no decision may rest on."""
    fields = without_hop_by_hop(request.fields)
    return (
        request
        if fields is request.fields
        else Request(request.method, request.request_target, fields, request.version)
    )


def without_hop_by_hop(fields: Fields) -> Fields:
    """Return fields without those of one connection."""
    if not fields.has_any(HOP_BY_HOP):
        return fields
    return fields.without(HOP_BY_HOP | set(lower_tokens(fields.get(b"connection"))))


def check_request(request: Request, name: bytes) -> None:
    """Refuse a request that this intermediary, of the pseudonym `name`, must not pass on; raises HTTPError."""
    if b"via" in request.fields and name.lower() in _via_names(request.fields):
        raise HTTPError(LOOP_DETECTED, "the request came through this proxy before")
    if request.method == b"CONNECT" and request.fields.has_any((b"content-length", b"transfer-encoding")):
        # RFC 9110 section 9.3.6: CONNECT has no content, and what follows it belongs to the tunnel.
        raise HTTPError(400, "CONNECT with content")


def _via_names(fields: Fields) -> list[bytes]:
    members = list_members((fields.get(b"via") or b"").lower())
    return [words[1] for member in members if len(words := member.split()) > 1]


def forwards_left(request: Request) -> int | None:
    """Return how often TRACE or OPTIONS may be passed on, None where nothing bounds it (RFC 9110 section 7.6.2)."""
    if request.method not in (b"TRACE", b"OPTIONS"):
        return None
    values = request.fields.get_all(b"max-forwards")
    if len(values) != 1 or not values[0].isdigit():
        return None
    return int(values[0][:10])


def own_answer(request: Request) -> Response:
    """Return the answer of the last recipient to TRACE or OPTIONS (RFC 9110 sections 7.6.2, 9.3.7 and 9.3.8)."""
    if request.method == b"OPTIONS":
        return Response(200, Fields(((b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, TRACE, CONNECT"),)))
    if request.fields.has_any((b"content-length", b"transfer-encoding")):
        return page_response(400, "TRACE has no content.")
    shown = Request(request.method, request.request_target, request.fields.without(SECRET), request.version)
    return Response(200, Fields(((b"Content-Type", b"message/http"),)), format_request_head(shown))


def takes_trailers(fields: Fields) -> bool:
    """Tell whether the client said that it takes trailer fields (RFC 9110 section 10.1.4)."""
    return b"te" in fields and b"trailers" in lower_tokens(fields.get(b"te"))


def forwarded_request(request: Request, route: Route, name: bytes, length: int | None, trailers: bool) -> Request:
    """Return a stripped request as it goes to `route`.

    `length` is the octets of content, None where it is chunked, and where there is no content 0. `trailers` tells
    whether the client takes trailer fields.
    """
    # RFC 9112 section 3.2: Host is the target's, and comes first.
    lines: list[FieldLine] = [(b"Host", route.authority)]
    left = forwards_left(request)
    dropped: Collection[bytes] = {b"host", *FRAMING, *([] if length is None else [b"trailer"])}
    if left is not None:
        dropped = {*dropped, b"max-forwards"}
    lines += [line for line in request.fields.lines if line[0].lower() not in dropped]
    if left is not None:
        lines.append((b"Max-Forwards", b"%d" % (left - 1)))
    lines.append((b"Via", via(request.version, name)))
    if trailers:
        lines += [(b"TE", b"trailers"), (b"Connection", b"TE")]
    if length is None:
        lines.append((b"Transfer-Encoding", b"chunked"))
    elif length > 0 or request.method in WITH_CONTENT or b"content-length" in request.fields:
        lines.append((b"Content-Length", b"%d" % length))
    return Request(request.method, route.request_target, Fields(tuple(lines)), HTTP_1_1)


def forwarded_trailers(trailers: Fields) -> Fields:
    """Return the trailer fields that may be passed on apart from the header (RFC 9110 section 6.5.1)."""
    return trailers.without(NEVER_TRAILERS) if len(trailers) else trailers


@lru_cache(maxsize=16)
def via(version: Version, name: bytes) -> bytes:
    """Return this intermediary's member of Via (RFC 9110 section 7.6.3)."""
    major, minor = version
    return b"%d %b" % (major, name) if major > 1 else b"%d.%d %b" % (major, minor, name)
