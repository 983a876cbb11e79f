"""Responses to forwarded requests: freshen, combine, store, relay or invalidate (RFC 9111 sections 3 and 4.3 to 4.4).

    actions = handle_response(uri, forward, response, request_time, response_time, store.find(uri), policy)

A 304 to the cache's own validators freshens a stored response, which the client gets; any other response is relayed,
and stored if method, status, request and directives all permit it, and if it can ever be reused or validated. A
stale response replaces a server error if stale-if-error permits it (RFC 5861 section 4).

RFC 9111 sections 3 to 3.5, 4.3.3 to 4.4 and 5.2; RFC 9110 sections 9.3 and 15.3.7. Not stored: responses to methods
other than GET, HEAD, POST and PATCH (the definitions of other methods allow no caching or define no cache key); 206
with several ranges; and responses with "Vary: *", which never match a request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import floor

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Forward, Policy, ResponseActions, Serve
from lab7.services.http.cache.directives import ResponseDirectives, request_directives
from lab7.services.http.cache.freshness import (
    HEURISTICALLY_CACHEABLE,
    Candidate,
    DerivedMetadata,
    EffectiveControl,
    derived_metadata,
    effective_control,
)
from lab7.services.http.cache.keys import resolved_key
from lab7.services.http.cache.lookup import directives_of, find_candidates
from lab7.services.http.cache.reuse import (
    cache_status_forward,
    cache_status_hit,
    is_complete,
    is_range_request,
    is_same_representation,
    is_suitable,
    parse_content_range,
    pieces,
    serve,
    union,
)
from lab7.services.http.cache.stored import ContentSpan, StoredResponse
from lab7.services.http.cache.validation import (
    CLIENT_PRECONDITIONS,
    freshen,
    identify_updated,
    is_confirmed,
    relayed,
    select_lines,
    stored_fields,
)
from lab7.services.http.conditional import entity_tags, is_same_tag
from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.messages import Request, Response, has_content

# Invalidation.

# Safe methods: RFC 9110 section 9.2.1, PROPFIND (RFC 4918), REPORT (RFC 3253) and SEARCH (RFC 5323).
# Other methods are not safe: their successful response invalidates stored responses (RFC 9111 section 4.4).
SAFE_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH"))


def invalidated(method: bytes, uri: bytes, response: Response) -> tuple[bytes, ...]:
    """Return the cache keys invalidated by a response to an unsafe method, `uri` first (RFC 9111 section 4.4).

    Location and Content-Location are included if they have the same origin.
    """
    # A non-error response: 2xx or 3xx.
    if method in SAFE_METHODS or not 200 <= response.status < 400:
        return ()
    keys = [uri]
    for name in (b"location", b"content-location"):
        for reference in response.fields.get_all(name):
            key = resolved_key(uri, reference)
            if key is not None and key not in keys:
                keys.append(key)
    return tuple(keys)


# Storable responses.

# RFC 9110 section 9.3.3, RFC 5789 section 2: with Content-Location, a POST or PATCH response may satisfy a later GET.
_WITH_CONTENT_LOCATION = frozenset((b"POST", b"PATCH"))
# RFC 9111 section 5.2.2.3: this cache understands the final status codes of RFC 9110 section 15 except 304.
# The cache also understands registered status codes whose RFC has no rule on caching.
UNDERSTOOD = frozenset(
    (*range(200, 208), 226, *range(300, 304), 305, 307, 308, *range(400, 418), 421, 422, 423, 424, 426, 451)
) | frozenset((500, 501, 502, 503, 504, 505, 506, 507, 508))
# A 304 updates stored responses, a 407 comes from the proxy itself; RFC 6585 sections 3 to 6 forbid storing the others.
NEVER_STORED_STATUS = frozenset((304, 407, 428, 429, 431, 511))
# RFC 9110 sections 15.5.13, 15.5.17 and 15.5.18: 412, 416 and 417 depend on fields outside the cache key.
# A response with status 412, 416 or 417 is stored only if the request has none of the fields that can cause it.
ANSWERS_TO_FIELDS = {412: CLIENT_PRECONDITIONS, 416: (b"range",), 417: (b"expect",)}


def storable(
    request: Request,
    uri: bytes,
    response: Response,
    request_time: float,
    response_time: float,
    policy: Policy,
) -> StoredResponse | None:
    """Return the response in the form to be stored.

    Returns None if storing is forbidden, or useless because the response could never be reused. `request` is the
    forwarded request without the cache's preconditions; `response` comes from validation.relayed().
    """
    control = effective_control(response, policy)
    if not (
        _method_allows(request, uri, response, control)
        and _status_allows(request, response, control.directives)
        and _request_allows(request, control.directives)
        and _directives_allow(response, control)
    ):
        return None
    span = _span(response)
    stored = StoredResponse(
        uri=uri,
        method=request.method,
        request_fields=request.fields,
        request_time=request_time,
        response_time=response_time,
        response=_head(response, stored_fields(response, control.directives), is_whole=span is None),
        span=span,
    )
    return stored if _is_useful(derived_metadata(stored, policy), control) else None


def truncated(stored: StoredResponse, received_octets: int) -> StoredResponse | None:
    """Return the partial response to store after content ended early; None if it must not be stored (RFC 9111 3.3).

    `stored` is the result of storable(), `received_octets` the size of the content received. Only content that a Range
    request can complete later is stored: that of a 200 to GET with a strong entity tag (section 3.4).
    """
    tag = stored.response.fields.get(b"etag")
    if stored.method != b"GET" or stored.response.status != 200 or received_octets <= 0 or tag is None:
        return None
    if not tag.startswith(b'"'):
        return None
    if stored.span is not None:
        span = replace(stored.span, last=stored.span.first + received_octets - 1)
        return replace(stored, span=span) if span.last < stored.span.last else None
    length = stored.response.fields.get(b"content-length") or b""
    complete = int(length) if length.isdigit() and len(length) < 20 else None
    if complete is not None and complete <= received_octets:
        return None
    response = _head(stored.response, stored.response.fields.without((b"content-length",)), is_whole=False)
    return replace(stored, response=response, span=ContentSpan(0, received_octets - 1, complete))


def _span(response: Response) -> ContentSpan | None:
    """Return the span of a partial response; None for a complete one, even if it is a 206 (RFC 9110 15.3.7)."""
    span = parse_content_range(response.fields) if response.status == 206 else None
    # A 206 with all octets counts as complete only with Content-Length, by which truncation is detected.
    is_all = span is not None and is_complete(span) and b"content-length" in response.fields
    return None if is_all else span


def _head(response: Response, fields: Fields, *, is_whole: bool) -> Response:
    """Return the head to be stored: for a 206, a 200 without Content-Range, which is incomplete.

    RFC 9111 section 3.3.
    """
    # RFC 9110 section 7.6.3: Via has the version in which the response was received.
    if response.status != 206:
        return Response(response.status, fields, reason=response.reason, version=response.version)
    fields = fields.without((b"content-range",) if is_whole else (b"content-range", b"content-length"))
    return Response(200, fields, version=response.version)


def _method_allows(request: Request, uri: bytes, response: Response, control: EffectiveControl) -> bool:
    if request.method in (b"GET", b"HEAD"):
        # RFC 9110 section 9.3.1: content of a GET has no semantics; a response that depends on content is not stored.
        return not has_content(request)
    # RFC 9110 section 9.3.3: a POST or PATCH response needs explicit freshness, and the target in Content-Location.
    if request.method not in _WITH_CONTENT_LOCATION or response.status != 200 or not control.is_explicit:
        return False
    location = response.fields.get(b"content-location")
    return location is not None and resolved_key(uri, location) == uri


def is_about_fields(request: Request, response: Response) -> bool:
    """Return True if the response's status may depend on a request field that is not part of the cache key.

    For example, a 416 is a response to Range.
    """
    return request.fields.has_any(ANSWERS_TO_FIELDS.get(response.status, ()))


def _status_allows(request: Request, response: Response, directives: ResponseDirectives) -> bool:
    status = response.status
    # RFC 9111 section 3: only final status codes are stored; with must-understand, only the codes in UNDERSTOOD.
    if status < 200 or status in NEVER_STORED_STATUS:
        return False
    if is_about_fields(request, response):
        return False
    if directives.must_understand and status not in UNDERSTOOD:
        return False
    if status != 206:
        return True
    # RFC 9111 section 3.3: a 206 is stored only if it answers a GET with Range (RFC 9110 section 15.3.7).
    span = parse_content_range(response.fields)
    if span is None or not is_range_request(request):
        return False
    length = response.fields.get(b"content-length")
    return length is None or length == b"%d" % len(span)


def request_allows(request: Request, response: Response, policy: Policy) -> bool:
    """Return True if a request permits storing its response (RFC 9111 sections 3.5 and 5.2.1.5)."""
    return _request_allows(request, effective_control(response, policy).directives)


def _request_allows(request: Request, directives: ResponseDirectives) -> bool:
    fields = request.fields
    # RFC 9111 section 5.2.1.5
    if request_directives(tuple(fields.get_all(b"cache-control")), None).no_store:
        return False
    # RFC 9111 section 3.5
    return b"authorization" not in fields or (
        directives.must_revalidate or directives.public or directives.s_maxage is not None
    )


def may_remain_stored(response: Response, policy: Policy) -> bool:
    """Return True if the updated fields of a stored response permit keeping it (RFC 9111 3.2, 5.2.2.5 and 5.2.2.7)."""
    return _directives_allow(response, effective_control(response, policy))


def _directives_allow(response: Response, control: EffectiveControl) -> bool:
    directives = control.directives
    # RFC 9111 section 5.2.2.3: must-understand, if the status code is understood, overrides no-store.
    if directives.no_store and not (directives.must_understand and response.status in UNDERSTOOD):
        return False
    # RFC 9111 section 5.2.2.7: a shared cache stores no private response.
    if directives.private:
        return False
    # RFC 9111 section 3: storing requires an explicit expiration time, public, or a heuristically cacheable status.
    return control.is_explicit or directives.public or response.status in HEURISTICALLY_CACHEABLE


def _is_useful(metadata: DerivedMetadata, control: EffectiveControl) -> bool:
    """Return whether a response can be reused or validated later, so that storing it is useful (RFC 9111 section 3)."""
    # RFC 9111 section 4.1: a response with "Vary: *" never matches a request.
    if metadata.names is None:
        return False
    if metadata.has_validator or (metadata.lifetime_s > metadata.initial_age_s and not metadata.directives.no_cache):
        return True
    # A response that is stale from the start and has no validator is useful only if stale reuse is permitted.
    given = metadata.directives
    is_meant_to_stay = control.is_explicit or given.public or given.stale_while_revalidate or given.stale_if_error
    return bool(is_meant_to_stay) and not metadata.is_prohibited_stale


# Decision about a received response.

# RFC 5861 section 4: the errors that stale-if-error applies to.
SERVER_ERRORS = frozenset((500, 502, 503, 504))
# Status codes of responses that show the resource's current state and so outdate older stored responses.
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
        """Return the pairs (old, new) of stored responses whose update may be stored; none after no-store.

        RFC 9111 section 5.2.1.5.
        """
        original = self.forward.original
        return tuple(pair for pair in updates if request_allows(original, pair[1].response, self.policy))

    def not_storable(self, updates: Pairs) -> tuple[StoredResponse, ...]:
        return tuple(new for _, new in updates if not may_remain_stored(new.response, self.policy))

    def storable(self) -> StoredResponse | None:
        # Check the forwarded request: unlike the client's, it has the cache's own preconditions.
        if self.forward.reason == b"bypass" or is_about_fields(self.forward.request, self.head):
            return None
        original = self.forward.original
        return storable(original, self.uri, self.head, self.request_time, self.response_time, self.policy)

    def status_line(self, stored: StoredResponse | None, *, is_stored: bool, status: int | None = None) -> FieldLine:
        ttl_s = None if stored is None else ttl(stored, self.response_time, self.policy)
        return cache_status_forward(
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
    """Return the ResponseActions of a received response: relay, store, freshen or invalidate; only relay a 1xx.

    `uri` is the request's cache key, `response` the head received for forward.request, and `stored` the responses
    stored under `uri`. `request_time` and `response_time` are the times when the request was sent and the head was
    received (wall clock, seconds since 1970 UTC).
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
    """Return the decision to serve a stale response if upstream did not respond; None if an error must be sent.

    RFC 9111 section 4.2.4, RFC 5861 section 4. The error's status is 502 or 504; RFC 9111 section 5.2.2.2 requires 504
    if must-revalidate prohibits the stale response.
    """
    return _stale_fallback(forward, now, policy, None, uri)


def ttl(stored: StoredResponse, now: float, policy: Policy) -> int:
    """Return the remaining freshness lifetime in seconds, negative if stale (RFC 9211 section 2.4)."""
    metadata = derived_metadata(stored, policy)
    return metadata.lifetime_s - floor(metadata.age_s(now))


def _stale_fallback(forward: Forward, now: float, policy: Policy, status: int | None, uri: bytes) -> Serve | None:
    """Return the decision to serve forward.fallback stale if that is permitted, else None.

    `status` is the status of the error response, None if upstream did not respond.
    """
    stored = forward.fallback
    if stored is None:
        return None
    metadata = derived_metadata(stored, policy)
    staleness = metadata.age_s(now) - metadata.lifetime_s
    # RFC 9111 section 4.2.4: a prohibition of stale responses applies when disconnected, too.
    if metadata.directives.no_cache or (staleness >= 0 and metadata.is_prohibited_stale):
        return None
    # RFC 5861 section 4: stale-if-error may be in the response or in the request; the longer time applies.
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
        line = cache_status_hit(policy, uri, ttl_s, detail=b"unreachable")
    else:
        line = cache_status_forward(policy, uri, forward, forward_status=status, ttl_s=ttl_s)
    return serve(forward.original, stored, now, policy, line)


def _not_modified(exchange: _Exchange) -> ResponseActions:
    """Return ResponseActions for a 304: serve a freshened response, relay the 304, or retry (RFC 9111 4.3.2-4.3.4)."""
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
        # The 304 matches no stored response and no validator of the client: repeat the request without validators.
        return replace(done, retry=Forward(forward.original, forward.original, forward.reason))
    return replace(done, response=_add_field_line(head, exchange.status_line(None, is_stored=False)))


def _answers(exchange: _Exchange, stored: StoredResponse) -> bool:
    return is_suitable(stored, derived_metadata(stored, exchange.policy), exchange.forward.original)


def _is_clients(exchange: _Exchange) -> bool:
    """Return True if the entity tag of a 304 is in the client's own If-None-Match (RFC 9111 section 4.3.2)."""
    client_tags = entity_tags(exchange.forward.original.fields.get(b"if-none-match") or b"") or []
    tag = exchange.head.fields.get(b"etag") or b""
    return any(is_same_tag(tag, candidate, strongly=False) for candidate in client_tags)


def _validated(exchange: _Exchange, stored: StoredResponse) -> Serve:
    """Return the decision to serve a stored response that a 304 has freshened.

    The response has an Age field only if the 304 had one: otherwise the origin itself has validated it (RFC 9111
    section 5.1).
    """
    head, policy = exchange.head, exchange.policy
    # RFC 9111 section 5.2.2.4: after a validation, the response may carry the fields that are not stored.
    names = effective_control(stored.response, policy).directives
    extra = select_lines(head.fields, names.no_cache_fields | names.private_fields)
    line = exchange.status_line(stored, is_stored=False, status=304)
    request = exchange.forward.original
    with_age = b"age" in head.fields
    return serve(request, stored, exchange.response_time, policy, line, with_age=with_age, extra=extra)


def _completed(exchange: _Exchange, part: StoredResponse) -> ResponseActions:
    """Return ResponseActions for the response to a Range request that completes `part` (RFC 9111 sections 3.3, 3.4)."""
    original = exchange.forward.original
    new = parse_content_range(exchange.head.fields) if exchange.head.status == 206 else None
    old = part.span
    metadata = derived_metadata(part, exchange.policy)
    whole = None if new is None or old is None else union(old, new)
    is_whole = whole is not None and is_complete(whole) and new is not None and old is not None
    if not is_whole or not is_same_representation(metadata, exchange.head) or new is None or old is None:
        return ResponseActions(
            exchange.head, retry=Forward(original, original, exchange.forward.reason), removals=(part,)
        )
    merged = replace(exchange.freshen(part), span=None, size_octets=None, name="")
    response, policy = merged.response, exchange.policy
    # RFC 9213 section 2.2: the directives of the arriving response and of the merged one must both permit storing.
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
        pieces=pieces(part, old, new),
        relays_pieces=True,
    )


def _combined(exchange: _Exchange) -> ResponseActions | None:
    """Return ResponseActions that combine a 206 with stored content; None if impossible (RFC 9111 section 3.4)."""
    new = parse_content_range(exchange.head.fields)
    fresh = exchange.storable()
    if new is None or fresh is None:
        return None
    for stored, metadata in exchange.candidates:
        if not is_same_representation(metadata, exchange.head) or stored.response.status != 200:
            continue
        whole = None if stored.span is None else union(stored.span, new)
        if whole == stored.span:
            # The stored content covers the arriving part: update the stored fields only.
            relay = _add_field_line(exchange.head, exchange.status_line(None, is_stored=False))
            return ResponseActions(relay, updates=((stored, exchange.freshen(stored)),))
        if whole is not None and stored.span is not None:
            return _joined(exchange, stored, stored.span, new, whole)
    return None


def _joined(
    exchange: _Exchange, stored: StoredResponse, old: ContentSpan, new: ContentSpan, whole: ContentSpan
) -> ResponseActions:
    span = None if is_complete(whole) else whole
    merged = replace(exchange.freshen(stored), span=span, size_octets=None, name="")
    relay = _add_field_line(exchange.head, exchange.status_line(merged, is_stored=True))
    return ResponseActions(relay, store=merged, pieces=pieces(stored, old, new))


def _after_head(exchange: _Exchange) -> ResponseActions:
    """Return ResponseActions for a 200 to HEAD: freshen the stored responses to GET that it confirms, remove others."""
    get_responses = [candidate for candidate, _ in exchange.candidates if candidate.method != b"HEAD"]
    confirmed = [candidate for candidate in get_responses if is_confirmed(exchange.head, candidate)]
    contradicted = tuple(candidate for candidate in get_responses if candidate not in confirmed)
    updates = exchange.permitted(exchange.pairs(confirmed))
    # The updated response to GET satisfies HEAD as well: do not store the response to HEAD as a second entry.
    plain = _relayed(exchange, may_store=not updates)
    return replace(plain, updates=updates, removals=(*contradicted, *exchange.not_storable(updates)))


def _relayed(exchange: _Exchange, may_store: bool = True) -> ResponseActions:
    """Return ResponseActions to relay a response, and to store it if permitted (RFC 9111 sections 3 and 4.4)."""
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
    """Return the stored responses that a full response proves to be outdated (RFC 9111 section 4.3.3).

    Outdated are the candidates whose entity tag differs from the response's. The result is empty if the new response is
    stored, since it then replaces the outdated ones in the store.
    """
    request, head = exchange.forward.original, exchange.head
    if stored is not None or request.method != b"GET" or head.status not in _CURRENT:
        return ()
    if exchange.forward.reason == b"bypass":
        return ()
    # RFC 9111 section 3.5: a response to one user's credentials does not outdate responses to other users.
    if b"authorization" in request.fields:
        return ()
    tag = head.fields.get(b"etag")
    return tuple(candidate for candidate, metadata in exchange.candidates if tag is None or metadata.entity_tag != tag)


def _add_field_line(head: Response, line: FieldLine) -> Response:
    return Response(head.status, Fields((*head.fields.lines, line)), reason=head.reason, version=head.version)
