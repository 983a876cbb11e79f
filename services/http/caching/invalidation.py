"""What a response to an unsafe request makes invalid (RFC 9111 section 4.4)."""

from services.http.caching.keys import resolved_key
from services.http.messages import Response

# The safe methods of RFC 9110 section 9.2.1, and of the IANA registry of methods: PROPFIND (RFC 4918), REPORT
# (RFC 3253), SEARCH (RFC 5323). Any other may change things.
SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH"))


def invalidated(method: bytes, uri: bytes, response: Response) -> tuple[bytes, ...]:
    """Return the cache keys of which everything stored is to be removed, `uri` first; mostly none.

    Location and Content-Location count where they are of the same origin.
    """
    # A non-error response: 2xx or 3xx.
    if method in SAFE or not 200 <= response.status < 400:
        return ()
    keys = [uri]
    for name in (b"location", b"content-location"):
        for reference in response.fields.get_all(name):
            key = resolved_key(uri, reference)
            if key is not None and key not in keys:
                keys.append(key)
    return tuple(keys)
