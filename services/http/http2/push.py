"""Selection of the objects that an HTTP/2 server pushes with an HTML page (RFC 9113 section 8.4).

The server pushes the objects of the page's own origin that the HTML links to, and only after an unconditional GET: a
client that revalidates the page probably has the objects too, and a response to HEAD has no content. A page that is not
cached in memory (files/static.py) is not parsed, so nothing is pushed with it.
"""

from collections.abc import Iterator
from functools import lru_cache

from lab7.services.http.conditional import CONDITIONAL_NAMES
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.http2.header_lists import HTTP_2
from lab7.services.http.http2.limits import CACHED_PAGES, PUSHED_OBJECTS
from lab7.services.http.messages import Request, Response
from lab7.services.http.page_load.html_links import find_links
from lab7.services.http.urls import parse_url

# Fields copied from the page's request into promised requests: a response may vary by the fields (RFC 9110 12.5.5).
_COPIED = (b"user-agent", b"accept-language")
_HTML = (b"text/html", b"application/xhtml")


def promised_requests(request: Request, response: Response, scheme: bytes) -> Iterator[Request]:
    """Yield the requests to promise with an HTML response, one for each embedded object, in document order."""
    if request.method != b"GET" or request.fields.has_any(CONDITIONAL_NAMES):
        return
    kind = (response.fields.get(b"content-type") or b"").lower()
    if response.status != 200 or not kind.startswith(_HTML) or not isinstance(response.body, bytes):
        return
    authority = request.fields.get(b"host") or b""
    kept: list[FieldLine] = [(b"host", authority)]
    kept += [(name, value) for name in _COPIED for value in request.fields.get_all(name)]
    fields = Fields(tuple(kept))
    for target in _targets(response.body, b"%b://%b%b" % (scheme, authority, request.request_target), kind):
        yield Request(b"GET", target, fields, HTTP_2)


@lru_cache(maxsize=CACHED_PAGES)
def _targets(page: bytes, url: bytes, content_type: bytes) -> tuple[bytes, ...]:
    try:
        own = parse_url(url.decode("ascii"))
    except ValueError:
        return ()
    # RFC 9113 section 8.4: only requests for which the server is authoritative are promised.
    links = find_links(page, own.url, content_type)
    return tuple(link.request_target for link in links if link.origin == own.origin)[:PUSHED_OBJECTS]
