"""Shared HTTP cache, sans-IO: which responses to store, reuse and validate (RFC 9111, 5861, 8246, 9211, 9213).

    decision = decide(request, uri, stored, now, policy)         # Serve | Forward | Unsatisfiable
    actions = handle_response(uri, forward, response, request_time, now, stored, policy)      # ResponseActions
    fallback = handle_failure(uri, forward, now, policy)         # Serve | None

These three functions only decide. The store (services/http/storage) and the connections (services/http/intermediary)
carry out the decisions: Serve a stored response, Forward the request to the origin, or respond that it is Unsatisfiable
(504). `now` is an argument, so that tests need no clock.

A request passes through up to three decisions: reuse, validation and storing.

Reuse (lookup.decide, RFC 9111 section 4). The cache key is the target URI (keys.py). The candidates are the responses
stored under this key whose Vary fields match the request (section 4.1). A candidate may be reused if it is FRESH, STALE
(and the client's max-stale accepts it), or WHILE_REVALIDATED (stale, within stale-while-revalidate, RFC 5861 section
3). It is fresh while its current_age is less than its freshness lifetime (freshness.py, sections 4.2.1 to 4.2.3). Of
the reusable candidates, the one with the highest weight in the request's Accept fields is served (preference.py); of
several with equal weight, the most recent. The client gets a 200, a 304 to its own precondition, or a 206 to its Range
(reuse.py). Without a reusable candidate the request is forwarded, or gets a 504 if it has only-if-cached.

Validation (validation.py, section 4.3). A forwarded request carries the validators of all candidates: their entity tags
in one If-None-Match, and If-Modified-Since if a single response is validated. The client's own If-None-Match is merged
with the cache's. A 304 may therefore select a response of this cache or of the client: response.py compares the entity
tag of the 304 with both. If only a prefix of the representation is stored, the request instead asks for the rest with
Range and If-Range (section 3.3).

Storing (response.handle_response, sections 3, 3.2 to 3.4, 4.3.3 to 4.4). A 304 freshens the stored responses that it
identifies, and the client gets one of them. A 206 is combined with stored parts of the same representation. Any other
response is relayed, and stored if method, status, request and directives all permit it (response.py). A response to an
unsafe method invalidates the target URI. A 5xx, or no response (response.handle_failure), is replaced by a stale
response if stale-if-error or the policy permits it and no directive prohibits it.

Cache directives have one order of precedence: the first valid targeted field (RFC 9213), then Cache-Control, then
Expires, then the heuristic. freshness.effective_control() applies it, and all later code uses its result.

Cache hits are frequent, so their cost is kept low. Metadata that depends on the stored response alone is derived once
and cached with the stored response (freshness.py), and all hits of a plain GET within one second share one Serve
object.

Left out: caching for a single user (a private cache), and multipart/byteranges as a stored form.
"""
