"""Request routing: origin, Host and request target (RFC 9112 sections 3.2 and 3.3, RFC 9110 sections 7.1 and 7.2).

    >>> route(Request(b"GET", b"http://example.com/a?b", Fields(((b"Host", b"other"),))), None)
    Route(origin=Origin(host='example.com', port=80, scheme='http'), authority=b'example.com', request_target=b'/a?b')

A forward proxy requires absolute-form and ignores Host. A reverse proxy sends every request to its single origin,
whatever host the request names; that name is forwarded in Host and is part of the cache key. The forwarded target is
neither decoded nor normalised.
"""

import re
from dataclasses import dataclass

from services.http.errors import HTTPError
from services.http.messages import Request
from services.http.targets import ASTERISK, split_target
from services.http.urls import DEFAULT_PORTS, Origin

_SCHEME_AND_AUTHORITY = re.compile(rb"[^:/?]++://[^/?]++")
HTTP_PORT = DEFAULT_PORTS["http"]


@dataclass(frozen=True, slots=True)
class Route:
    """Destination of a request: the server to connect to, the Host to send, and the target in origin-form."""

    origin: Origin
    authority: bytes
    request_target: bytes


def route(request: Request, origin: Origin | None) -> Route:
    """Route a request by its target, or to a reverse proxy's `origin`; raises HTTPError."""
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
