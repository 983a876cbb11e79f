"""Cache keys: normalised target URIs (RFC 9111 section 2, RFC 9110 section 4.2.3).

    >>> cache_key(split_target(b"GET", b"/%7euser?a=%c3"), b"WWW.Example:80")
    b'http://www.example/~user?a=%C3'

Left out: removing dot segments (RFC 3986 section 6.2.2.3). Some origins treat them literally, and would then have two
resources under one key.
"""

import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

from services.http.targets import Target, normalised

DEFAULT_PORTS = {b"http": b"80", b"https": b"443"}
URIS_KEPT = 4096

_LOWER_HEX = re.compile(rb"%(?:[a-f][0-9A-Fa-f]|[0-9A-F][a-f])")
_ABSOLUTE = re.compile(rb"(?P<scheme>[A-Za-z][0-9A-Za-z+\-.]*+)://(?P<authority>[^/?#]*+)(?P<rest>[^#]*+)")


@lru_cache(maxsize=URIS_KEPT)
def cache_key(target: Target, host: bytes, scheme: bytes = b"http") -> bytes:
    """Return the target URI of a request (RFC 9112 section 3.3) as a cache key.

    `target` is a parsed request target that is not of the authority form, `host` the Host field's value, which a
    target of the absolute form overrides, and `scheme` that of the connection or of the target.
    """
    authority = host if target.authority is None else target.authority
    rest = target.path if target.query is None else b"%b?%b" % (target.path, target.query)
    return _build_key(scheme.lower(), authority, rest)


@lru_cache(maxsize=URIS_KEPT)
def resolved_key(base: bytes, reference: bytes) -> bytes | None:
    """Resolve a URI reference against `base`, itself a key, and return its cache key (RFC 3986 section 5.2).

    None for a URI of another origin (RFC 9111 section 4.4, RFC 9110 section 4.3.1).
    """
    try:
        joined = urljoin(base.decode("latin-1"), reference.decode("latin-1")).encode("latin-1")
        urlsplit(joined)
    except ValueError:
        return None
    match = _ABSOLUTE.match(joined)
    if match is None:
        return None
    key = _build_key(match["scheme"].lower(), match["authority"], match["rest"])
    return key if origin_of(key) == origin_of(base) else None


def origin_of(key: bytes) -> bytes:
    """Return the origin of a cache key: its scheme and authority (RFC 9110 section 4.3.1)."""
    scheme, _, rest = key.partition(b"://")
    return b"%b://%b" % (scheme, re.split(rb"[/?*]", rest, maxsplit=1)[0])


def _build_key(scheme: bytes, authority: bytes, rest: bytes) -> bytes:
    """Join with lower-case scheme and host, no default port, "/" for an empty path (RFC 9110 section 4.2.3)."""
    authority = authority.rpartition(b"@")[2].lower()
    host, colon, port = authority.rpartition(b":")
    if colon and (not port or port.isdigit()):
        port = port.lstrip(b"0")
        authority = host if port in (b"", DEFAULT_PORTS.get(scheme)) else b"%b:%b" % (host, port)
    if not rest.startswith(b"/") and rest != b"*":
        rest = b"/" + rest
    # RFC 3986 sections 6.2.2.1 and 6.2.2.2
    if b"%" in rest:
        rest = _LOWER_HEX.sub(lambda match: match[0].upper(), normalised(rest))
    return b"%b://%b%b" % (scheme, authority, rest)
