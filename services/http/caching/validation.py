"""Asking upstream whether stored responses are still good, and for what is missing (RFC 9111 sections 4.3.1, 3.3).

    GET /a HTTP/1.1
    If-None-Match: "v1", "v2"
    If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT

Left out: asking about stored responses that Vary keeps from answering this request, which section 4.3.1 permits. Too
many origins give all variants of a resource one entity tag, and their 304 would select the wrong one.
"""

from collections.abc import Sequence

from services.http.caching.facts import Known
from services.http.caching.spans import asks_for_range, is_suitable
from services.http.caching.stored import StoredResponse
from services.http.conditional import CONDITIONAL_NAMES, entity_tags
from services.http.fields import FieldLine, Fields
from services.http.messages import Request

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
