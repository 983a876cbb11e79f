"""DNS over HTTPS messages: the query in an HTTP request, and the HTTP response around a DNS response (RFC 8484).

    GET /dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB       the query in base64url, without padding
    POST /dns-query   content-type: application/dns-message                the query as content

RFC 8484 sections 4.1 (requests), 4.2.1 (status codes: a DNS response with any rcode, such as NXDOMAIN or SERVFAIL, has
HTTP status 200) and 5.1 (the freshness lifetime is the lowest TTL). Left out: HTTP/2 push, and padding (RFC 8467).
"""

import base64
import binascii

from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.message import MESSAGE_OCTETS_MAX, Message
from lab7.services.dns.codec.rdata import SOA
from lab7.services.http.errors import HTTPError
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request, Response, split_target
from lab7.services.http.server.error_pages import page_response

# Path of DNS over HTTPS: RFC 8484 section 4.1 prescribes none, but its examples and browsers use this path.
PATH = b"/dns-query"
MEDIA_TYPE = b"application/dns-message"
METHODS = b"GET, HEAD, POST"
_PARAMETER = b"dns="


def query_in(request: Request) -> bytes | None:
    """Return the DNS query in the target of a GET request; None for POST, whose content is the query; raises HTTPError.

    The status is 404 for another path, 405 for another method, 415 for content of another media type, 400 for a query
    that is missing or not base64url, 413 for a query that is too long.
    """
    target = split_target(request.method, request.request_target)
    if target.path != PATH:
        raise HTTPError(404, "DNS over HTTPS is at /dns-query")
    if request.method == b"POST":
        media_type = (request.fields.get(b"content-type") or b"").partition(b";")[0].strip().lower()
        if media_type != MEDIA_TYPE:
            raise HTTPError(415, "the content is not application/dns-message")
        return None
    if request.method not in (b"GET", b"HEAD"):
        raise HTTPError(405, "the methods of DNS over HTTPS are GET and POST")
    values = [part[len(_PARAMETER) :] for part in (target.query or b"").split(b"&") if part.startswith(_PARAMETER)]
    if len(values) != 1 or not values[0]:
        raise HTTPError(400, "the request has no parameter dns, or several")
    try:
        octets = base64.b64decode(values[0] + b"=" * (-len(values[0]) % 4), b"-_", validate=True)
    except binascii.Error as error:
        raise HTTPError(400, "the parameter dns is not base64url without padding") from error
    if len(octets) > MESSAGE_OCTETS_MAX:
        raise HTTPError(413, "the query is longer than a DNS message")
    return octets


def response_with(wire: bytes | None) -> Response:
    """Return the HTTP response whose content is a DNS response; for a dropped query, an error page with status 400."""
    if wire is None:
        return page_response(400, "The message is not a DNS query.")
    lifetime = b"max-age=%d" % freshness_lifetime(wire)
    return Response(200, Fields(((b"Content-Type", MEDIA_TYPE), (b"Cache-Control", lifetime))), wire)


def error_response(error: HTTPError) -> Response:
    """Return the HTTP response for an invalid request."""
    lines = ((b"Allow", METHODS),) if error.status == 405 else ()
    return page_response(error.status, f"{error.detail[:1].upper()}{error.detail[1:]}.", *lines)


def freshness_lifetime(wire: bytes) -> int:
    """Return the freshness lifetime of a response in seconds: its lowest TTL, 0 for an error (RFC 8484 section 5.1)."""
    try:
        message = Message.from_wire(wire)
    except WireError:
        return 0
    if message.answers:
        return min(record.ttl for record in message.answers)
    negative = [min(record.ttl, record.rdata.minimum) for record in message.authority if isinstance(record.rdata, SOA)]
    return min(negative, default=0)
