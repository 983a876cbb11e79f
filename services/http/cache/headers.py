"""The fields of a response on their way through a cache: which are relayed, stored, updated (RFC 9111 3.1 and 3.2).

Left out: trailer fields, which section 3.1 lets a cache discard.
"""

from math import floor

from services.http.cache.directives import DEPENDED_ON, ResponseDirectives
from services.http.cache.freshness import http_date
from services.http.dates import format_date
from services.http.fields import FieldLine, Fields
from services.http.messages import Response
from services.http.syntax import lower_tokens

# RFC 9110 section 7.6.1: fields of the connection, whether or not Connection names them.
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings")
)
# RFC 9111 section 3.1: fields of the proxy that the cache uses. Trailer announces what is not stored.
NEVER_STORED = HOP_BY_HOP | {b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization", b"trailer"}
# RFC 9111 section 3.2: Content-Length is never updated, and Content-Range is processed when a response is stored.
# What arrives tells its own age.
_NOT_UPDATED = frozenset((b"content-length", b"content-range"))


def relayed(response: Response, response_time: float) -> Response:
    """Return a received head without the fields of its connection, and with a Date.

    RFC 9110 section 6.6.1: a recipient with a clock records the time of receipt where Date is absent or not valid.
    """
    fields = response.fields
    has_date = http_date(fields.get(b"date"), response_time) is not None
    if has_date and not fields.has_any(HOP_BY_HOP):
        return response
    # RFC 9110 section 7.6.1: what is for all recipients, as Cache-Control is, must not be named in Connection.
    removed = HOP_BY_HOP | set(lower_tokens(fields.get(b"connection"))) - DEPENDED_ON
    # RFC 9112 section 6.3: Transfer-Encoding overrides a Content-Length, which is not passed on.
    if b"transfer-encoding" in fields:
        removed |= {b"content-length"}
    kept = fields.without(removed if has_date else removed | {b"date"})
    if not has_date:
        kept = kept.adding((b"Date", format_date(floor(response_time))))
    return Response(response.status, kept, reason=response.reason, version=response.version)


def excepted(directives: ResponseDirectives) -> frozenset[bytes]:
    """Return the lower-case names of the fields that are not stored (RFC 9111 section 3.1).

    Sections 5.2.2.4 and 5.2.2.7: no-cache and private with field names.
    """
    return NEVER_STORED | directives.no_cache_fields | directives.private_fields


def stored_fields(response: Response, directives: ResponseDirectives) -> Fields:
    """Return the fields of a relayed head that are stored."""
    names = excepted(directives)
    return response.fields.without(names) if response.fields.has_any(names) else response.fields


def updated_fields(stored: Fields, new: Response) -> Fields:
    """Return stored fields updated from a relayed head, 304 or other (RFC 9111 section 3.2).

    What the result is not to keep by section 3.1 is still in it: see stored_fields.
    """
    arriving = tuple(line for line in new.fields.lines if line[0].lower() not in _NOT_UPDATED)
    replaced = {line[0].lower() for line in arriving}
    # Section 4.2.3: without an Age the new response comes from the origin; the old one's says nothing any more.
    return stored.without(replaced | {b"age"}).adding(*arriving)


def lines_of(fields: Fields, names: frozenset[bytes]) -> tuple[FieldLine, ...]:
    """Return the lines of the named fields."""
    return tuple(line for line in fields.lines if line[0].lower() in names)
