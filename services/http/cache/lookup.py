"""Cache lookup: serve a stored response, forward the request, or fail (RFC 9111 sections 4 to 4.3 and 5.2.1).

    decision = decide(request, uri, store.find(uri), now, policy)

The candidates are the stored responses whose Vary fields match the request. They are sorted by the request's weights in
the fields that Vary nominates, then by Date, the most recent first (section 4.1), and the first reusable candidate is
served. If no candidate is reusable, the request is forwarded with the validators of all candidates. Request directives
are obeyed although they are advisory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import floor

from lab7.services.http.cache.decisions import DEFAULT_POLICY, Decision, Forward, Policy, Serve, Unsatisfiable
from lab7.services.http.cache.directives import NO_REQUEST_DIRECTIVES, RequestDirectives, request_directives
from lab7.services.http.cache.freshness import Candidate, DerivedMetadata, derived_metadata
from lab7.services.http.cache.preference import preference
from lab7.services.http.cache.reuse import cache_status_hit, is_range_request, is_suitable, serve
from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.cache.validation import (
    CLIENT_PRECONDITIONS,
    add_validators,
    completion_request,
    without_preconditions,
)
from lab7.services.http.conditional import CONDITIONAL_NAMES
from lab7.services.http.messages import Request, Response, has_content

# A GET without any of the listed fields is plain: no precondition, range, cache directive or content.
_NOT_PLAIN = CONDITIONAL_NAMES | {b"cache-control", b"pragma", b"content-length", b"transfer-encoding"}
_READS = (b"GET", b"HEAD")


class Reuse(Enum):
    """Result of the check whether a stored response may be reused for a request, and the reason."""

    FRESH = "fresh"
    STALE = "stale, accepted by max-stale"
    WHILE_REVALIDATED = "stale, within stale-while-revalidate"
    REQUEST_FORBIDS = "fresh, refused by a request directive"
    TOO_STALE = "stale"


_REUSED = (Reuse.FRESH, Reuse.STALE, Reuse.WHILE_REVALIDATED)


@dataclass(frozen=True, slots=True)
class _AssessedCandidate:
    stored: StoredResponse
    metadata: DerivedMetadata
    reuse: Reuse
    is_suitable: bool


def decide(
    request: Request, uri: bytes, stored: Sequence[StoredResponse], now: float, policy: Policy = DEFAULT_POLICY
) -> Decision:
    """Return the decision about a request: Serve a stored response, Forward the request, or Unsatisfiable (504).

    `uri` is the request's cache key (keys.cache_key), `stored` the responses stored under that key, `now` the wall
    clock in seconds since 1970 UTC. `request` is the client's request without hop-by-hop fields, except the fields that
    frame its content (Content-Length, Transfer-Encoding).
    """
    if request.method == b"GET" and not request.fields.has_any(_NOT_PLAIN):
        answer = _plain_hit(request, uri, stored, now, policy)
        return answer or _considered(request, NO_REQUEST_DIRECTIVES, uri, stored, now, policy)
    # RFC 9111 section 4: requests with other methods than GET and HEAD are forwarded.
    if request.method not in _READS:
        return Forward(request, request, b"method")
    if has_content(request):
        return Forward(request, request, b"bypass")
    return _considered(request, directives_of(request), uri, stored, now, policy)


def directives_of(request: Request) -> RequestDirectives:
    """Parse the cache directives of a request: those of Cache-Control, or else of Pragma."""
    return request_directives(tuple(request.fields.get_all(b"cache-control")), request.fields.get(b"pragma"))


def find_candidates(request: Request, stored: Sequence[StoredResponse], policy: Policy) -> list[Candidate]:
    """Return (StoredResponse, DerivedMetadata) pairs of the responses that match a request by method and Vary.

    Responses with Vary come first (RFC 9111 section 4.1), and among equals the most recent by Date (section 4).
    """
    matching = []
    for candidate in stored:
        # RFC 9110 section 9.3.2: a response to HEAD has no content, so it cannot satisfy GET.
        if candidate.method == b"HEAD" and request.method != b"HEAD":
            continue
        metadata = derived_metadata(candidate, policy)
        if metadata.answers(request.fields):
            matching.append((candidate, metadata))
    return sorted(matching, key=_recency, reverse=True) if len(matching) > 1 else matching


def _by_preference(request: Request, candidates: list[Candidate]) -> list[Candidate]:
    """Sort the pairs from find_candidates(): responses with Vary first, then by weights in the request's Accept fields.

    RFC 9111 section 4.1. Pairs with equal weights keep their order.
    """
    if len(candidates) < 2:
        return candidates
    nominated = {name for _, metadata in candidates for name in metadata.names or ()}

    def rank(candidate: Candidate) -> tuple[bool, int]:
        stored, metadata = candidate
        return bool(metadata.names), preference(stored.response.fields, request.fields, nominated)

    return sorted(candidates, key=rank, reverse=True)


def _recency(candidate: Candidate) -> tuple[bool, int, float]:
    return bool(candidate[1].names), candidate[1].date, candidate[0].response_time


def _plain_hit(
    request: Request, uri: bytes, stored: Sequence[StoredResponse], now: float, policy: Policy
) -> Serve | None:
    """Return the decision to serve a plain GET if the preferred stored response is fresh and complete; None otherwise.

    A plain GET has no preconditions, Range, cache directives or content.
    """
    matching = _by_preference(request, find_candidates(request, stored, policy))
    if not matching:
        return None
    candidate, metadata = matching[0]
    age = metadata.age_s(now)
    if candidate.span is not None or metadata.lifetime_s <= age or metadata.directives.no_cache:
        return None
    latest = metadata.latest
    if latest is None or latest.age_s != floor(age):
        line = cache_status_hit(policy, uri, metadata.lifetime_s - floor(age))
        latest = metadata.latest = serve(request, candidate, now, policy, line)
    return latest


def _considered(
    request: Request,
    requested: RequestDirectives,
    uri: bytes,
    stored: Sequence[StoredResponse],
    now: float,
    policy: Policy,
) -> Decision:
    matching = _by_preference(request, find_candidates(request, stored, policy))
    candidates = [
        _AssessedCandidate(
            candidate,
            metadata,
            _reuse(metadata, requested, metadata.age_s(now)),
            is_suitable(candidate, metadata, request),
        )
        for candidate, metadata in matching
    ]
    for candidate in candidates:
        if candidate.is_suitable and candidate.reuse in _REUSED:
            return _served(request, candidate, uri, now, policy)
    # RFC 9111 section 5.2.1.7: only-if-cached forbids forwarding.
    if requested.only_if_cached:
        return Unsatisfiable(Response(504))
    return _forward(request, requested, candidates, _reason(request, stored, candidates))


def _reuse(metadata: DerivedMetadata, requested: RequestDirectives, age: float) -> Reuse:
    """Return whether a stored response may be reused (RFC 9111 sections 4.2, 4.2.4, 5.2.1, RFC 5861, RFC 8246).

    `age` is the current age of the response, in seconds.
    """
    staleness = age - metadata.lifetime_s
    is_fresh = staleness < 0
    refused = Reuse.REQUEST_FORBIDS if is_fresh else Reuse.TOO_STALE
    directives = metadata.directives
    # RFC 9111 sections 5.2.1.4 and 5.2.2.4: no-cache forbids reuse without validation.
    if requested.no_cache or directives.no_cache:
        return refused if requested.no_cache else Reuse.TOO_STALE
    # RFC 9111 section 5.2.1.3: the response must stay fresh for at least min-fresh seconds.
    if requested.min_fresh is not None and -staleness < requested.min_fresh:
        return refused
    # RFC 9111 section 5.2.1.1; RFC 8246 section 2: a fresh immutable response is not revalidated.
    if requested.max_age is not None and age > requested.max_age and not (is_fresh and directives.immutable):
        return refused
    if is_fresh:
        return Reuse.FRESH
    # RFC 9111 section 4.2.4: no request directive overrides a response directive that prohibits stale reuse.
    if metadata.is_prohibited_stale:
        return Reuse.TOO_STALE
    # RFC 9111 section 5.2.1.2: max-stale=N accepts a response that has been stale for at most N seconds.
    if requested.max_stale is not None and staleness <= requested.max_stale:
        return Reuse.STALE
    # RFC 9111 section 5.2.1.1: max-age without max-stale refuses stale responses, also while revalidating.
    if 0 < directives.stale_while_revalidate >= staleness and requested.max_age is None:
        return Reuse.WHILE_REVALIDATED
    return Reuse.TOO_STALE


def _served(request: Request, candidate: _AssessedCandidate, uri: bytes, now: float, policy: Policy) -> Serve:
    revalidate = None
    if candidate.reuse is Reuse.WHILE_REVALIDATED:
        # RFC 5861 section 3: revalidate by a GET of the complete representation, even for HEAD or a range request.
        wanted = without_preconditions(Request(b"GET", request.request_target, request.fields, request.version))
        asking, about = add_validators(wanted, [(candidate.stored, candidate.metadata)])
        revalidate = Forward(wanted, asking, b"stale", about, may_collapse=True)
    line = cache_status_hit(policy, uri, candidate.metadata.lifetime_s - floor(candidate.metadata.age_s(now)))
    return serve(request, candidate.stored, now, policy, line, revalidate=revalidate)


def _reason(request: Request, stored: Sequence[StoredResponse], candidates: list[_AssessedCandidate]) -> bytes:
    """Return the most specific reason for forwarding, the parameter fwd of Cache-Status (RFC 9211 section 2.2)."""
    if not candidates:
        usable = [candidate for candidate in stored if candidate.method != b"HEAD" or request.method == b"HEAD"]
        return b"vary-miss" if usable else b"uri-miss"
    suitable = [candidate for candidate in candidates if candidate.is_suitable]
    if not suitable:
        return b"partial"
    return b"request" if suitable[0].reuse is Reuse.REQUEST_FORBIDS else b"stale"


def _forward(
    request: Request, requested: RequestDirectives, candidates: list[_AssessedCandidate], reason: bytes
) -> Forward:
    pairs = [(candidate.stored, candidate.metadata) for candidate in candidates]
    asking, about = add_validators(request, pairs)
    if (
        not any(candidate.is_suitable for candidate in candidates)
        and (rest := completion_request(request, pairs)) is not None
    ):
        return Forward(request, rest[0], reason, completing=rest[1])
    is_shared = request.method == b"GET" and not is_range_request(request) and b"authorization" not in request.fields
    is_clients_own = not about and request.fields.has_any(CLIENT_PRECONDITIONS)
    return Forward(
        request,
        asking,
        reason,
        validating=about,
        fallback=_fallback(requested, candidates),
        may_collapse=is_shared and not is_clients_own and not requested.no_cache and not requested.no_store,
    )


def _fallback(requested: RequestDirectives, candidates: list[_AssessedCandidate]) -> StoredResponse | None:
    """Return the stored response that may be served stale if the origin fails or sends a server error.

    Returns None without a suitable candidate, and if the request has no-cache without stale-if-error (RFC 9111 section
    5.2.1.4).
    """
    if requested.no_cache and not requested.stale_if_error:
        return None
    for candidate in candidates:
        if candidate.is_suitable and not candidate.metadata.directives.no_cache:
            return candidate.stored
    return None
