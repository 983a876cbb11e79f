"""Responses to forwarded requests: freshen, combine, store, invalidate (RFC 9111 sections 3, 4.3 and 4.4; RFC 5861).

    actions = handle_response(uri, forward, response, request_time, response_time, store.find(uri), policy)

A 304 to the cache's own validators freshens a stored response, which the client gets; any other response is relayed,
and stored where that is permitted. A stale response replaces a server error where stale-if-error permits it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor

from services.http.cache import cache_status, ranges
from services.http.cache.decisions import DEFAULT_POLICY, Forward, Policy, ResponseActions, Serve
from services.http.cache.derived import Candidate, derived_metadata
from services.http.cache.freshness import effective_control
from services.http.cache.headers import relayed, select_lines
from services.http.cache.lookup import directives_of, find_candidates
from services.http.cache.ranges import is_suitable, parse_content_range
from services.http.cache.reuse import serve
from services.http.cache.storable import (
    SAFE_METHODS,
    invalidated,
    is_about_fields,
    may_remain_stored,
    request_allows,
    storable,
)
from services.http.cache.stored import ContentSpan, StoredResponse
from services.http.cache.validation import CLIENT_PRECONDITIONS, freshen, identify_updated, is_confirmed
from services.http.conditional import entity_tags, is_same_tag
from services.http.fields import FieldLine, Fields
from services.http.messages import Response

# RFC 5861 section 4: the errors that stale-if-error applies to.
SERVER_ERRORS = frozenset((500, 502, 503, 504))
# Statuses that describe the resource's current state for all clients, so that older stored responses are outdated.
_CURRENT = frozenset((*range(200, 206), 300, 301, 302, 303, 307, 308, 404, 410))


Pairs = tuple[tuple[StoredResponse, StoredResponse], ...]


@dataclass(frozen=True, slots=True)
class _Exchange:
    uri: bytes
    forward: Forward
    head: Response
    request_time: float
    response_time: float
    candidates: list[Candidate]
    policy: Policy

    def freshen(self, stored: StoredResponse) -> StoredResponse:
        fields = self.forward.original.fields
        return freshen(stored, self.head, fields, self.request_time, self.response_time, self.policy)

    def pairs(self, stored: Sequence[StoredResponse]) -> Pairs:
        return tuple((candidate, self.freshen(candidate)) for candidate in stored)

    def permitted(self, updates: Pairs) -> Pairs:
        """Return the updates that the request permits (RFC 9111 section 5.2.1.5: none for no-store)."""
        original = self.forward.original
        return tuple(pair for pair in updates if request_allows(original, pair[1].response, self.policy))

    def not_storable(self, updates: Pairs) -> tuple[StoredResponse, ...]:
        return tuple(new for _, new in updates if not may_remain_stored(new.response, self.policy))

    def storable(self) -> StoredResponse | None:
        # forward.request, since it has the cache's own preconditions as well.
        if self.forward.reason == b"bypass" or is_about_fields(self.forward.request, self.head):
            return None
        original = self.forward.original
        return storable(original, self.uri, self.head, self.request_time, self.response_time, self.policy)

    def status_line(self, stored: StoredResponse | None, *, is_stored: bool, status: int | None = None) -> FieldLine:
        ttl_s = None if stored is None else ttl(stored, self.response_time, self.policy)
        return cache_status.forward_line(
            self.policy, self.uri, self.forward, forward_status=status, ttl_s=ttl_s, is_stored=is_stored
        )


def handle_response(
    uri: bytes,
    forward: Forward,
    response: Response,
    request_time: float,
    response_time: float,
    stored: Sequence[StoredResponse],
    policy: Policy = DEFAULT_POLICY,
) -> ResponseActions:
    """Decide about a response to `forward.request`; interim responses are only relayed.

    `uri` is the request's cache key, `response` the head as received, `request_time` and `response_time` the times when
    the request was sent and the head received (wall clock, seconds since 1970 UTC), `stored` the responses stored under
    `uri`.
    """
    head = relayed(response, response_time) if response.status >= 200 else response
    request = forward.original
    candidates = find_candidates(request, stored, policy) if request.method in (b"GET", b"HEAD") else []
    exchange = _Exchange(uri, forward, head, request_time, response_time, candidates, policy)
    if response.status < 200:
        return ResponseActions(head)
    if response.status == 304:
        return _not_modified(exchange)
    if forward.completing is not None and response.status in (206, 412, 416):
        return _completed(exchange, forward.completing)
    if response.status in SERVER_ERRORS and (
        fallback := _stale_fallback(forward, response_time, policy, response.status, uri)
    ):
        return ResponseActions(head, serve=fallback)
    if response.status == 206 and (combined := _combined(exchange)) is not None:
        return combined
    if request.method == b"HEAD" and response.status == 200:
        return _after_head(exchange)
    return _relayed(exchange)


def handle_failure(uri: bytes, forward: Forward, now: float, policy: Policy = DEFAULT_POLICY) -> Serve | None:
    """Return a stale response to serve where upstream did not respond; None: send an error.

    RFC 9111 section 4.2.4, RFC 5861 section 4. The error's status is 502 or 504; RFC 9111 section 5.2.2.2 requires 504
    where must-revalidate prohibits the stale response.
    """
    return _stale_fallback(forward, now, policy, None, uri)


def ttl(stored: StoredResponse, now: float, policy: Policy) -> int:
    """Return the remaining freshness lifetime in seconds, negative where stale (RFC 9211 section 2.4)."""
    metadata = derived_metadata(stored, policy)
    return metadata.lifetime_s - floor(metadata.age_s(now))


def _stale_fallback(forward: Forward, now: float, policy: Policy, status: int | None, uri: bytes) -> Serve | None:
    """Serve the fallback where that is permitted; `status` is the error's, None where there was no response."""
    stored = forward.fallback
    if stored is None:
        return None
    metadata = derived_metadata(stored, policy)
    staleness = metadata.age_s(now) - metadata.lifetime_s
    # RFC 9111 section 4.2.4: a prohibition of stale responses applies when disconnected, too.
    if metadata.directives.no_cache or (staleness >= 0 and metadata.is_prohibited_stale):
        return None
    # RFC 5861 section 4, in the response or in the request
    windows = (metadata.directives.stale_if_error, directives_of(forward.original).stale_if_error)
    window = max((candidate for candidate in windows if candidate is not None), default=None)
    # RFC 9111 sections 4.2.4 and 4.3.3: a 5xx to a validation may be handled as a failure to respond.
    is_disconnected = policy.stale_on_failure if status is None else policy.stale_on_error and bool(forward.validating)
    # RFC 5861 section 4: beyond the stale-if-error time, the stale response SHOULD NOT be used for any error.
    most_s = policy.stale_most_s if window is None else window
    if staleness > most_s or not (is_disconnected or window):
        return None
    ttl_s = ttl(stored, now, policy)
    if status is None:
        line = cache_status.hit_line(policy, uri, ttl_s, detail=b"unreachable")
    else:
        line = cache_status.forward_line(policy, uri, forward, forward_status=status, ttl_s=ttl_s)
    return serve(forward.original, stored, now, policy, line)


def _not_modified(exchange: _Exchange) -> ResponseActions:
    """Handle a 304 (RFC 9111 sections 4.3.2 to 4.3.4)."""
    forward, head = exchange.forward, exchange.head
    is_clients_own = forward.original.fields.has_any(CLIENT_PRECONDITIONS)
    about = () if b"if-none-match" in forward.original.fields else forward.validating
    freshened = exchange.pairs([candidate for candidate, _ in identify_updated(head, exchange.candidates, about)])
    updates = exchange.permitted(freshened)
    done = ResponseActions(head, updates=updates, removals=exchange.not_storable(updates))
    chosen = next((new for _, new in freshened if _answers(exchange, new)), None)
    if chosen is not None and (forward.validating or not is_clients_own):
        return replace(done, serve=_validated(exchange, chosen))
    says_nothing = not is_clients_own or (bool(forward.validating) and not _is_clients(exchange))
    if says_nothing and forward.request != forward.original:
        # The 304 matches neither a stored response nor the client's validators: repeat without the cache's validators.
        return replace(done, retry=Forward(forward.original, forward.original, forward.reason))
    return replace(done, response=_add_field_line(head, exchange.status_line(None, is_stored=False)))


def _answers(exchange: _Exchange, stored: StoredResponse) -> bool:
    return is_suitable(stored, derived_metadata(stored, exchange.policy), exchange.forward.original)


def _is_clients(exchange: _Exchange) -> bool:
    """Return True where a 304 matches one of the client's own entity tags (RFC 9111 section 4.3.2)."""
    client_tags = entity_tags(exchange.forward.original.fields.get(b"if-none-match") or b"") or []
    tag = exchange.head.fields.get(b"etag") or b""
    return any(is_same_tag(tag, candidate, strongly=False) for candidate in client_tags)


def _validated(exchange: _Exchange, stored: StoredResponse) -> Serve:
    """Serve the freshened response, with Age only if upstream sent one (RFC 9111 section 5.1)."""
    head, policy = exchange.head, exchange.policy
    # RFC 9111 section 5.2.2.4: after a validation, the response may carry the fields that are not stored.
    names = effective_control(stored.response, policy).directives
    extra = select_lines(head.fields, names.no_cache_fields | names.private_fields)
    line = exchange.status_line(stored, is_stored=False, status=304)
    request = exchange.forward.original
    with_age = b"age" in head.fields
    return serve(request, stored, exchange.response_time, policy, line, with_age=with_age, extra=extra)


def _completed(exchange: _Exchange, part: StoredResponse) -> ResponseActions:
    """Handle the response to a request for the missing end of a stored response (RFC 9111 sections 3.3 and 3.4)."""
    original = exchange.forward.original
    new = parse_content_range(exchange.head.fields) if exchange.head.status == 206 else None
    old = part.span
    metadata = derived_metadata(part, exchange.policy)
    whole = None if new is None or old is None else ranges.union(old, new)
    is_whole = whole is not None and ranges.is_complete(whole) and new is not None and old is not None
    if not is_whole or not ranges.is_same_representation(metadata, exchange.head) or new is None or old is None:
        return ResponseActions(
            exchange.head, retry=Forward(original, original, exchange.forward.reason), removals=(part,)
        )
    merged = replace(exchange.freshen(part), span=None, size_octets=None, name="")
    response, policy = merged.response, exchange.policy
    # RFC 9213 section 2.2: the directives of the arriving head and those of the merged head must both permit storing.
    heads = (exchange.head, response)
    is_stored = all(
        may_remain_stored(candidate, policy) and request_allows(original, candidate, policy) for candidate in heads
    )
    length = (b"Content-Length", b"%d" % (new.last + 1))
    fields = response.fields.without((b"content-length",)).adding(
        length, exchange.status_line(merged, is_stored=is_stored, status=206)
    )
    return ResponseActions(
        Response(200, fields),
        store=merged if is_stored else None,
        pieces=ranges.pieces(part, old, new),
        relays_pieces=True,
    )


def _combined(exchange: _Exchange) -> ResponseActions | None:
    """Combine a 206 with a stored part of the same representation; None where there is none (RFC 9111 section 3.4)."""
    new = parse_content_range(exchange.head.fields)
    fresh = exchange.storable()
    if new is None or fresh is None:
        return None
    for stored, metadata in exchange.candidates:
        if not ranges.is_same_representation(metadata, exchange.head) or stored.response.status != 200:
            continue
        whole = None if stored.span is None else ranges.union(stored.span, new)
        if whole == stored.span:
            # The stored content covers the new part: only the fields are updated.
            relay = _add_field_line(exchange.head, exchange.status_line(None, is_stored=False))
            return ResponseActions(relay, updates=((stored, exchange.freshen(stored)),))
        if whole is not None and stored.span is not None:
            return _joined(exchange, stored, stored.span, new, whole)
    return None


def _joined(
    exchange: _Exchange, stored: StoredResponse, old: ContentSpan, new: ContentSpan, whole: ContentSpan
) -> ResponseActions:
    span = None if ranges.is_complete(whole) else whole
    merged = replace(exchange.freshen(stored), span=span, size_octets=None, name="")
    relay = _add_field_line(exchange.head, exchange.status_line(merged, is_stored=True))
    return ResponseActions(relay, store=merged, pieces=ranges.pieces(stored, old, new))


def _after_head(exchange: _Exchange) -> ResponseActions:
    """Update the stored responses to GET that a HEAD response confirms, remove the others (RFC 9111 section 4.3.5)."""
    get_responses = [candidate for candidate, _ in exchange.candidates if candidate.method != b"HEAD"]
    confirmed = [candidate for candidate in get_responses if is_confirmed(exchange.head, candidate)]
    contradicted = tuple(candidate for candidate in get_responses if candidate not in confirmed)
    updates = exchange.permitted(exchange.pairs(confirmed))
    # A stored response to GET satisfies HEAD, too: no second entry.
    plain = _relayed(exchange, may_store=not updates)
    return replace(plain, updates=updates, removals=(*contradicted, *exchange.not_storable(updates)))


def _relayed(exchange: _Exchange, may_store: bool = True) -> ResponseActions:
    """Relay a response, and store it where that is permitted (RFC 9111 sections 3 and 4.4)."""
    forward, head = exchange.forward, exchange.head
    stored = exchange.storable() if may_store else None
    line = exchange.status_line(stored, is_stored=stored is not None)
    return ResponseActions(
        _add_field_line(head, line),
        invalidates=()
        if forward.original.method in SAFE_METHODS
        else invalidated(forward.original.method, exchange.uri, head),
        store=stored,
        removals=_outdated(exchange, stored),
    )


def _outdated(exchange: _Exchange, stored: StoredResponse | None) -> tuple[StoredResponse, ...]:
    """Return the stored responses that a full response shows to be outdated (RFC 9111 section 4.3.3).

    None where the new response is stored, since the store then replaces them.
    """
    request, head = exchange.forward.original, exchange.head
    if stored is not None or request.method != b"GET" or head.status not in _CURRENT:
        return ()
    if exchange.forward.reason == b"bypass":
        return ()
    # Section 3.5: a response to one user's credentials does not outdate those for others.
    if b"authorization" in request.fields:
        return ()
    tag = head.fields.get(b"etag")
    return tuple(candidate for candidate, metadata in exchange.candidates if tag is None or metadata.entity_tag != tag)


def _add_field_line(head: Response, line: FieldLine) -> Response:
    return Response(head.status, Fields((*head.fields.lines, line)), reason=head.reason, version=head.version)
