"""Which objects does a server push with a page? (RFC 9113 section 8.4)

Those of the page's own origin that a client would find in it, when the request is a plain GET for the page itself: a
client that has the page and asks whether it is still good is likely to have the objects too, and HEAD wants no
content at all. A page that is not held in memory (see static.py) is not searched, and pushes nothing.
"""

from collections.abc import Iterator
from functools import lru_cache

from services.http.conditional import CONDITIONAL_NAMES
from services.http.fields import FieldLine, Fields
from services.http.http2.header_lists import HTTP_2
from services.http.http2.limits import PUSHED_OBJECTS, REMEMBERED_PAGES
from services.http.messages import Request, Response
from services.http.page_load.page import find_links
from services.http.urls import parse_url

# What a promised request takes over from the page's: what a response may depend on (RFC 9110 section 12.5.5).
_TAKEN_OVER = (b"user-agent", b"accept-language")
_HTML = (b"text/html", b"application/xhtml")


def promised_requests(request: Request, response: Response, scheme: bytes) -> Iterator[Request]:
    """Yield the requests that a response's page leads to, in the order of the page."""
    if request.method != b"GET" or request.fields.has_any(CONDITIONAL_NAMES):
        return
    kind = (response.fields.get(b"content-type") or b"").lower()
    if response.status != 200 or not kind.startswith(_HTML) or not isinstance(response.body, bytes):
        return
    authority = request.fields.get(b"host") or b""
    kept: list[FieldLine] = [(b"host", authority)]
    kept += [(name, value) for name in _TAKEN_OVER for value in request.fields.get_all(name)]
    fields = Fields(tuple(kept))
    for target in _targets(response.body, b"%b://%b%b" % (scheme, authority, request.request_target)):
        yield Request(b"GET", target, fields, HTTP_2)


@lru_cache(maxsize=REMEMBERED_PAGES)
def _targets(page: bytes, url: bytes) -> tuple[bytes, ...]:
    try:
        own = parse_url(url.decode("ascii"))
    except ValueError:
        return ()
    # RFC 9113 section 8.4: what is pushed must be of an origin that the server speaks for.
    links = find_links(page, own.url)
    return tuple(link.request_target for link in links if link.origin == own.origin)[:PUSHED_OBJECTS]
