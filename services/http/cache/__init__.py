"""Shared HTTP cache, sans-IO: which responses to store, reuse and validate (RFC 9111, 5861, 8246, 9211, 9213).

    decision = decide(request, uri, stored, now, policy)         # Serve | Forward | Unsatisfiable
    actions = handle_response(uri, forward, response, request_time, now, stored, policy)      # ResponseActions
    fallback = handle_failure(uri, forward, now, policy)         # Serve | None

The three functions decide and change nothing: the store (services/http/storage) and the connections
(services/http/intermediary) carry the decision out. `now` is an argument, so that tests need no clock.

A request passes through up to three decisions.

1. Reuse (lookup.decide, RFC 9111 section 4). The cache key is the target URI (keys.py). Of the responses stored under
   it, those remain whose Vary fields match the request (section 4.1). Each of them is FRESH, STALE where the
   client's max-stale accepts that, WHILE_REVALIDATED within stale-while-revalidate (RFC 5861 section 3), or not
   reusable. Fresh means that current_age is less than the freshness lifetime (freshness.py, sections 4.2.1 to 4.2.3).
   The reusable response that the request's weights prefer (preference.py), of several the most recent, becomes a Serve:
   200, or 304 to the client's own precondition, or 206 to its Range (reuse.py). Otherwise only-if-cached gives
   Unsatisfiable, a 504, and every other request a Forward.

2. Validation (validation.py, section 4.3). A Forward carries the validators of all stored responses that match: their
   entity tags as one If-None-Match, and If-Modified-Since where a single response is validated. A client's own
   If-None-Match is merged with them, so a 304 may be about a response of the cache or of the client: response.py
   compares the entity tag of the 304 with both. A stored prefix of the representation is completed by a Range request
   with If-Range (section 3.3) instead.

3. Storing (response.handle_response, sections 3, 3.2 to 3.4, 4.3.3 to 4.4). A 304 freshens the stored responses that it
   identifies, and the client gets one of them. A 206 is combined with stored parts of the same representation. Any
   other response is relayed, and stored where method, status, request and directives all permit it (response.py). A
   response to an unsafe method invalidates the target URI. A 5xx, or no response (response.handle_failure), is
   replaced by a stale response where stale-if-error or the policy permits it and no directive prohibits it.

Directives have one order of precedence: the first valid targeted field (RFC 9213), then Cache-Control, then Expires,
then the heuristic. freshness.effective_control() applies it, and all later code uses its result.

Hits are the frequent case. Everything that depends on the stored response alone is derived once and cached with it
(freshness.py), and within one second all hits of a plain GET share one Serve.

Left out: caching for a single user (a private cache), and multipart/byteranges as a stored form.
"""
