"""Validation of stored responses: conditional requests, freshening by a 304 or HEAD, and the header fields to store.

    GET /a HTTP/1.1
    If-None-Match: "v1", "v2"
    If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT

RFC 9111 sections 3.1 and 3.2 (header fields to relay, to store and to update), 3.3 and 4.3. Left out: trailer fields,
which section 3.1 lets a cache discard. Section 4.3.1 also permits sending the validators of stored responses whose Vary
does not match the request. This cache does not send them: many origins give all variants of a resource the same entity
tag, so that a 304 would select the wrong variant.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import floor

from lab7.services.http.cache.decisions import Policy
from lab7.services.http.cache.directives import DEPENDED_ON, ResponseDirectives
from lab7.services.http.cache.freshness import Candidate, effective_control, http_date
from lab7.services.http.cache.reuse import is_range_request, is_suitable
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.conditional import CONDITIONAL_NAMES, entity_tags, is_entity_tag, is_same_tag
from lab7.services.http.fields import HOP_BY_HOP, PROXY_AUTHENTICATION, FieldLine, Fields, format_date, lower_tokens
from lab7.services.http.messages import Request, Response

# RFC 9111 section 3.1: fields that are never stored; Trailer is among them, since trailer fields are not stored.
NEVER_STORED = HOP_BY_HOP | PROXY_AUTHENTICATION | {b"trailer"}
# RFC 9111 section 3.2: Content-Length is never updated, and Content-Range is processed when a response is stored.
_NOT_UPDATED = frozenset((b"content-length", b"content-range"))


def relayed(response: Response, response_time: float) -> Response:
    """Return the head of a received response without hop-by-hop fields, and with a Date field.

    RFC 9110 section 6.6.1: a recipient with a clock inserts the time of receipt if Date is absent or invalid.
    """
    fields = response.fields
    has_date = http_date(fields.get(b"date"), response_time) is not None
    if has_date and not fields.has_any(HOP_BY_HOP):
        return response
    # RFC 9110 section 7.6.1: Connection must not list end-to-end fields; a listed Cache-Control is kept nevertheless.
    removed = HOP_BY_HOP | set(lower_tokens(fields.get(b"connection"))) - DEPENDED_ON
    # RFC 9112 section 6.3: Transfer-Encoding overrides Content-Length, which is not forwarded then.
    if b"transfer-encoding" in fields:
        removed |= {b"content-length"}
    kept = fields.without(removed if has_date else removed | {b"date"})
    if not has_date:
        kept = kept.adding((b"Date", format_date(floor(response_time))))
    return Response(response.status, kept, reason=response.reason, version=response.version)


def excluded_fields(directives: ResponseDirectives) -> frozenset[bytes]:
    """Return the lower-case names of a response's fields not to be stored (RFC 9111 3.1, 5.2.2.4 and 5.2.2.7)."""
    return NEVER_STORED | directives.no_cache_fields | directives.private_fields


def stored_fields(response: Response, directives: ResponseDirectives) -> Fields:
    """Return the fields of a response that may be stored; `response` is a head that relayed() returned."""
    names = excluded_fields(directives)
    return response.fields.without(names) if response.fields.has_any(names) else response.fields


def updated_fields(stored: Fields, new: Response) -> Fields:
    """Return stored fields updated from a later response's head, which relayed() returned (RFC 9111 section 3.2).

    The caller applies stored_fields() to the result: it may still have fields that section 3.1 excludes.
    """
    arriving = tuple(line for line in new.fields.lines if line[0].lower() not in _NOT_UPDATED)
    replaced = {line[0].lower() for line in arriving}
    # RFC 9111 section 4.2.3: the old Age no longer applies, even if the new response has no Age.
    return stored.without(replaced | {b"age"}).adding(*arriving)


def select_lines(fields: Fields, names: frozenset[bytes]) -> tuple[FieldLine, ...]:
    """Return the field lines whose lower-case names are in `names`, in their order."""
    return tuple(line for line in fields.lines if line[0].lower() in names)


def identify_updated(
    head: Response, candidates: Sequence[Candidate], validated: Sequence[StoredResponse]
) -> list[Candidate]:
    """Return the stored responses that a 304 updates, most recent first (RFC 9111 section 4.3.4).

    `candidates` are those that match the request, as pairs with their metadata, most recent first. `validated` are the
    stored responses whose validators the request carried; () if the client sent If-None-Match itself.
    """
    tag = head.fields.get(b"etag")
    if tag is not None and is_entity_tag(tag):
        same = [
            candidate for candidate in candidates if is_same_tag(tag, candidate[1].entity_tag or b"", strongly=False)
        ]
        if tag.startswith(b"W/"):
            return same[:1]
        # RFC 9110 section 8.8.3.2: a strong validator identifies a response by strong comparison.
        return [candidate for candidate in same if candidate[1].has_strong_tag]
    modified = head.fields.get(b"last-modified")
    if modified is not None:
        date = http_date(modified, candidates[0][0].response_time) if candidates else None
        return [candidate for candidate in candidates if date is not None and candidate[1].last_modified == date][:1]
    # RFC 9110 section 15.4.5 requires ETag in a 304: without ETag, a 304 can update only a single validated response.
    if len(validated) == 1:
        return [candidate for candidate in candidates if _is_same_entry(candidate[0], validated[0])]
    only = candidates[0] if len(candidates) == 1 else None
    return [only] if only is not None and not only[1].has_validator else []


def _is_same_entry(candidate: StoredResponse, other: StoredResponse) -> bool:
    """Return whether two stored responses are the same entry of the store, even if freshened in between."""
    return candidate.name == other.name if candidate.name else candidate == other


def freshen(
    stored: StoredResponse,
    head: Response,
    request_fields: Fields,
    request_time: float,
    response_time: float,
    policy: Policy,
) -> StoredResponse:
    """Return a stored response with fields and age updated from the head of a later response (RFC 9111 section 3.2).

    `request_fields` are the fields of the request that `head` responds to; they replace the stored request fields.
    """
    status, reason = stored.response.status, stored.response.reason
    # RFC 9111 section 3.2: fields of the later head that are themselves excluded from storing update nothing.
    arriving = Response(head.status, stored_fields(head, effective_control(head, policy).directives))
    merged = Response(status, updated_fields(stored.response.fields, arriving), reason=reason)
    kept = stored_fields(merged, effective_control(merged, policy).directives)
    return replace(
        stored,
        request_fields=request_fields,
        request_time=request_time,
        response_time=response_time,
        response=Response(status, kept, reason=reason, version=stored.response.version),
    )


def is_confirmed(head: Response, stored: StoredResponse) -> bool:
    """Return True if a 200 to HEAD confirms that the stored response to GET is still current.

    RFC 9111 section 4.3.5.
    """
    if stored.response.status != head.status:
        return False
    for name in (b"etag", b"last-modified"):
        received = head.fields.get(name)
        if received is not None and received != stored.response.fields.get(name):
            return False
    length = head.fields.get(b"content-length")
    return length is None or length == _complete_length(stored)


def _complete_length(stored: StoredResponse) -> bytes | None:
    size = stored.size_octets if stored.span is None else stored.span.complete_length
    return stored.response.fields.get(b"content-length") if size is None else b"%d" % size


CLIENT_PRECONDITIONS = (b"if-match", b"if-none-match", b"if-modified-since", b"if-unmodified-since")
_ABOUT_CHANGE = (b"if-none-match", b"if-modified-since")
# Fields of a client's request that the cache's own requests omit: preconditions and cache directives.
_CLIENTS_WISH = CONDITIONAL_NAMES | {b"cache-control", b"pragma"}


def add_validators(request: Request, candidates: Sequence[Candidate]) -> tuple[Request, tuple[StoredResponse, ...]]:
    """Add the validators of stored responses to a request; return the new request and the responses it validates.

    `candidates` match the request under Vary. The result is the unchanged request and () if no candidate has a
    validator, or if the client's If-None-Match cannot be merged with the candidates' entity tags.
    """
    known = [candidate for candidate in candidates if _can_validate(request, candidate)]
    tags = list(dict.fromkeys(metadata.entity_tag for _, metadata in known if metadata.entity_tag is not None))
    clients = request.fields.get(b"if-none-match")
    if clients is not None:
        return _merge_client_tags(request, known, tags, clients)
    lines: list[FieldLine] = []
    if tags:
        lines.append((b"If-None-Match", b", ".join(tags)))
    # RFC 9111 section 4.3.1: If-Modified-Since SHOULD be sent if one response is validated, without a range.
    is_dated = len(known) == 1 and not is_range_request(request) and known[0][1].last_modified is not None
    if is_dated:
        lines.append((b"If-Modified-Since", known[0][0].response.fields.get(b"last-modified") or b""))
    if not lines:
        return request, ()
    # Replace the client's If-Modified-Since by the stored Last-Modified: a 304 must validate the stored response.
    chosen = tuple(candidate for candidate, metadata in known if metadata.entity_tag is not None or is_dated)
    return _replace_fields(request, request.fields.without(_ABOUT_CHANGE).adding(*lines)), chosen


def without_preconditions(request: Request) -> Request:
    """Return a client's request without its preconditions, to which the cache adds its own (RFC 9111 section 4.3.1)."""
    return _replace_fields(request, request.fields.without(_CLIENTS_WISH))


def completion_request(request: Request, candidates: Sequence[Candidate]) -> tuple[Request, StoredResponse] | None:
    """Return a request for the missing end of a stored partial response, together with that response (RFC 9111 3.3).

    Returns None without a suitable partial response: it must start at octet 0 and have a strong entity tag and a known
    complete length.
    """
    if request.method != b"GET" or request.fields.has_any(CONDITIONAL_NAMES):
        return None
    for stored, metadata in candidates:
        span = stored.span
        if span is None or span.first or span.complete_length is None or not metadata.has_strong_tag:
            continue
        # RFC 9110 section 13.1.5: if the representation has changed, the response is the complete new one.
        rest = ((b"Range", b"bytes=%d-" % (span.last + 1)), (b"If-Range", metadata.entity_tag or b""))
        return _replace_fields(request, request.fields.adding(*rest)), stored
    return None


def _can_validate(request: Request, candidate: Candidate) -> bool:
    stored, metadata = candidate
    # RFC 9110 section 13.2.1: preconditions apply to successful responses only.
    # RFC 9111 section 4.3.2: a partial response is validated only if it covers the requested range.
    return metadata.has_validator and 200 <= stored.response.status < 300 and is_suitable(stored, metadata, request)


def _merge_client_tags(
    request: Request, known: list[Candidate], tags: list[bytes], clients: bytes
) -> tuple[Request, tuple[StoredResponse, ...]]:
    """Merge the client's If-None-Match with the cache's entity tags (RFC 9111 section 4.3.2).

    If-Modified-Since is dropped, since it is ignored beside If-None-Match.
    """
    client_tags = entity_tags(clients)
    if client_tags is None or not tags:
        return request, ()
    union = b", ".join(dict.fromkeys([*client_tags, *tags]))
    chosen = tuple(candidate for candidate, metadata in known if metadata.entity_tag is not None)
    return _replace_fields(request, request.fields.without(_ABOUT_CHANGE).adding((b"If-None-Match", union))), chosen


def _replace_fields(request: Request, fields: Fields) -> Request:
    return Request(request.method, request.request_target, fields, request.version)
