"""Header fields to relay, to store and to update (RFC 9111 sections 3.1 and 3.2).

Left out: trailer fields, which section 3.1 lets a cache discard.
"""

from math import floor

from services.http.cache.directives import DEPENDED_ON, ResponseDirectives
from services.http.cache.freshness import http_date
from services.http.dates import format_date
from services.http.fields import FieldLine, Fields
from services.http.messages import Response
from services.http.syntax import lower_tokens

# RFC 9110 section 7.6.1: hop-by-hop fields, even if Connection does not list them.
HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade", b"http2-settings")
)
# RFC 9111 section 3.1: fields of the proxy's own authentication. Trailer goes because trailer fields are not stored.
NEVER_STORED = HOP_BY_HOP | {b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization", b"trailer"}
# RFC 9111 section 3.2: Content-Length is never updated, and Content-Range is processed when a response is stored.
_NOT_UPDATED = frozenset((b"content-length", b"content-range"))


def relayed(response: Response, response_time: float) -> Response:
    """Return a received head without hop-by-hop fields, and with a Date.

    RFC 9110 section 6.6.1: a recipient with a clock inserts the time of receipt where Date is absent or invalid.
    """
    fields = response.fields
    has_date = http_date(fields.get(b"date"), response_time) is not None
    if has_date and not fields.has_any(HOP_BY_HOP):
        return response
    # RFC 9110 section 7.6.1: Connection must not list end-to-end fields such as Cache-Control; they are ignored.
    removed = HOP_BY_HOP | set(lower_tokens(fields.get(b"connection"))) - DEPENDED_ON
    # RFC 9112 section 6.3: Transfer-Encoding overrides Content-Length, which is not forwarded then.
    if b"transfer-encoding" in fields:
        removed |= {b"content-length"}
    kept = fields.without(removed if has_date else removed | {b"date"})
    if not has_date:
        kept = kept.adding((b"Date", format_date(floor(response_time))))
    return Response(response.status, kept, reason=response.reason, version=response.version)


def excluded_fields(directives: ResponseDirectives) -> frozenset[bytes]:
    """Return the lower-case names of the fields that are not stored (RFC 9111 sections 3.1, 5.2.2.4 and 5.2.2.7)."""
    return NEVER_STORED | directives.no_cache_fields | directives.private_fields


def stored_fields(response: Response, directives: ResponseDirectives) -> Fields:
    """Return the fields of a relayed head that are stored."""
    names = excluded_fields(directives)
    return response.fields.without(names) if response.fields.has_any(names) else response.fields


def updated_fields(stored: Fields, new: Response) -> Fields:
    """Return stored fields updated from a relayed head, 304 or other (RFC 9111 section 3.2).

    The caller applies stored_fields() to the result: it may still have fields that section 3.1 excludes.
    """
    arriving = tuple(line for line in new.fields.lines if line[0].lower() not in _NOT_UPDATED)
    replaced = {line[0].lower() for line in arriving}
    # Section 4.2.3: the old Age no longer applies, even where the new response, straight from the origin, has none.
    return stored.without(replaced | {b"age"}).adding(*arriving)


def select_lines(fields: Fields, names: frozenset[bytes]) -> tuple[FieldLine, ...]:
    """Return the field lines with these lower-case names."""
    return tuple(line for line in fields.lines if line[0].lower() in names)
