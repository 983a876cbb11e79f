"""Asking upstream whether stored responses are still good, and for what is missing (RFC 9111 sections 4.3.1, 3.3).

    GET /a HTTP/1.1
    If-None-Match: "v1", "v2"
    If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT

Left out: asking about stored responses that Vary keeps from answering this request, which section 4.3.1 permits. Too
many origins give all variants of a resource one entity tag, and their 304 would select the wrong one.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.http.cache.decisions import Policy
from services.http.cache.derived import Known
from services.http.cache.freshness import control, http_date
from services.http.cache.headers import stored_fields, updated_fields
from services.http.cache.ranges import asks_for_range, is_suitable
from services.http.cache.stored import StoredResponse
from services.http.conditional import CONDITIONAL_NAMES, entity_tags, is_entity_tag, is_same_tag
from services.http.fields import FieldLine, Fields
from services.http.messages import Request, Response

# Stored responses that a 304 or a HEAD response says are still good, or are not (RFC 9111 sections 4.3.4, 4.3.5).


def identified(head: Response, candidates: Sequence[Known], asked_about: Sequence[StoredResponse]) -> list[Known]:
    """Return which stored responses a 304 updates, most recent first (RFC 9111 section 4.3.4).

    `candidates` are those that could have been chosen for the request, most recent first, and `asked_about` those
    whose validators it carried, with none of the client's own beside them.
    """
    tag = head.fields.get(b"etag")
    if tag is not None and is_entity_tag(tag):
        same = [one for one in candidates if is_same_tag(tag, one[1].entity_tag or b"", strongly=False)]
        if tag.startswith(b"W/"):
            return same[:1]
        # A strong validator identifies by strong comparison (RFC 9110 section 8.8.3.2).
        return [one for one in same if one[1].has_strong_tag]
    modified = head.fields.get(b"last-modified")
    if modified is not None:
        date = http_date(modified, candidates[0][0].response_time) if candidates else None
        return [one for one in candidates if date is not None and one[1].last_modified == date][:1]
    # A 304 must repeat the ETag (RFC 9110 section 15.4.5). Of one that does not, and is about one response alone,
    # there is no doubt what it is about.
    if len(asked_about) == 1:
        return [one for one in candidates if _is_same_entry(one[0], asked_about[0])]
    only = candidates[0] if len(candidates) == 1 else None
    return [only] if only is not None and not only[1].has_validator else []


def _is_same_entry(one: StoredResponse, other: StoredResponse) -> bool:
    """A response that was freshened meanwhile has kept its name."""
    return one.name == other.name if one.name else one == other


def freshened(
    stored: StoredResponse,
    head: Response,
    request_fields: Fields,
    request_time: float,
    response_time: float,
    policy: Policy,
) -> StoredResponse:
    """Return a stored response updated from a relayed head (RFC 9111 section 3.2), as old as that is.

    `request_fields` are those of the request that brought the head: it is for them that the response was selected.
    """
    status, reason = stored.response.status, stored.response.reason
    # RFC 9111 section 3.2: but for what the head itself says is not to be stored.
    arriving = Response(head.status, stored_fields(head, control(head, policy).directives))
    merged = Response(status, updated_fields(stored.response.fields, arriving), reason=reason)
    kept = stored_fields(merged, control(merged, policy).directives)
    return replace(
        stored,
        request_fields=request_fields,
        request_time=request_time,
        response_time=response_time,
        response=Response(status, kept, reason=reason, version=stored.response.version),
    )


def is_confirmed(head: Response, stored: StoredResponse) -> bool:
    """Tell whether a 200 to HEAD describes the stored response to GET (RFC 9111 section 4.3.5)."""
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
# What belongs to the client's own wish and not to a request that the cache makes for itself.
_CLIENTS_WISH = CONDITIONAL_NAMES | {b"cache-control", b"pragma"}


def validating(request: Request, candidates: Sequence[Known]) -> tuple[Request, tuple[StoredResponse, ...]]:
    """Return the request with validators of stored responses in it, and those responses.

    `candidates` are those that Vary lets answer the request. The request comes back unchanged, with (), where none can
    be validated, or where the client's own preconditions leave no room.
    """
    known = [one for one in candidates if _can_validate(request, one)]
    tags = list(dict.fromkeys(facts.entity_tag for _, facts in known if facts.entity_tag is not None))
    clients = request.fields.get(b"if-none-match")
    if clients is not None:
        return _with_union(request, known, tags, clients)
    lines: list[FieldLine] = []
    if tags:
        lines.append((b"If-None-Match", b", ".join(tags)))
    # RFC 9111 section 4.3.1: SHOULD, when a single response is validated and no subrange is asked for.
    is_dated = len(known) == 1 and not asks_for_range(request) and known[0][1].last_modified is not None
    if is_dated:
        lines.append((b"If-Modified-Since", known[0][0].response.fields.get(b"last-modified") or b""))
    if not lines:
        return request, ()
    # The client's date gives way: 304 must mean that what is stored here is good.
    chosen = tuple(one for one, facts in known if facts.entity_tag is not None or is_dated)
    return _with(request, request.fields.without(_ABOUT_CHANGE).adding(*lines)), chosen


def unconditional(request: Request) -> Request:
    """Return a request that the cache makes for itself, from a client's (RFC 9111 section 4.3.1)."""
    return _with(request, request.fields.without(_CLIENTS_WISH))


def completing(request: Request, candidates: Sequence[Known]) -> tuple[Request, StoredResponse] | None:
    """Return the request for the end of a stored partial response, and that response (RFC 9111 section 3.3).

    None where there is none that begins at the beginning, has a strong validator and says how long it is to be.
    """
    if request.method != b"GET" or request.fields.has_any(CONDITIONAL_NAMES):
        return None
    for stored, facts in candidates:
        span = stored.span
        if span is None or span.first or span.complete_length is None or not facts.has_strong_tag:
            continue
        # RFC 9110 section 13.1.5: should the representation have changed, all of the new one comes.
        rest = ((b"Range", b"bytes=%d-" % (span.last + 1)), (b"If-Range", facts.entity_tag or b""))
        return _with(request, request.fields.adding(*rest)), stored
    return None


def _can_validate(request: Request, one: Known) -> bool:
    stored, facts = one
    # RFC 9110 section 13.2.1: preconditions are about successful responses. RFC 9111 section 4.3.2: no part of a
    # representation, unless the request is for what it holds.
    return facts.has_validator and 200 <= stored.response.status < 300 and is_suitable(stored, facts, request)


def _with_union(
    request: Request, known: list[Known], tags: list[bytes], clients: bytes
) -> tuple[Request, tuple[StoredResponse, ...]]:
    """RFC 9111 section 4.3.2: the client's list and ours in one. If-Modified-Since is ignored beside it."""
    theirs = entity_tags(clients)
    if theirs is None or not tags:
        return request, ()
    union = b", ".join(dict.fromkeys([*theirs, *tags]))
    chosen = tuple(one for one, facts in known if facts.entity_tag is not None)
    return _with(request, request.fields.without(_ABOUT_CHANGE).adding((b"If-None-Match", union))), chosen


def _with(request: Request, fields: Fields) -> Request:
    return Request(request.method, request.request_target, fields, request.version)
