"""Shared HTTP cache, sans-IO: which responses to store, reuse and validate (RFC 9111, 5861, 8246, 9211, 9213).

    decision = decide(request, uri, stored, now, policy)         # Serve | Forward | Unsatisfiable
    actions = handle_response(uri, forward, response, request_time, now, stored, policy)      # ResponseActions
    fallback = handle_failure(uri, forward, now, policy)         # Serve | None

The three functions decide and change nothing: the store (services/http/storage) and the connections
(services/http/intermediary) carry the decision out. `now` is an argument, so that tests need no clock.

A request passes through up to three decisions.

1. Reuse (lookup.decide, RFC 9111 section 4). The cache key is the target URI (keys.py). The candidates are the
   responses stored under this key whose Vary fields match the request (section 4.1). Each candidate is FRESH, STALE
   (the client's max-stale accepts it), WHILE_REVALIDATED (within stale-while-revalidate, RFC 5861 section 3), or not
   reusable. Fresh means that current_age is less than the freshness lifetime (freshness.py, sections 4.2.1 to 4.2.3).
   The reusable candidate with the highest weight in the request's Accept fields (preference.py) becomes a Serve; of
   several with equal weight, the most recent. A Serve is a 200, a 304 to the client's own precondition, or a 206 to the
   client's Range (reuse.py). Without a reusable candidate, only-if-cached gives Unsatisfiable, a 504, and every other
   request a Forward.

2. Validation (validation.py, section 4.3). A Forward carries the validators of all candidates: their entity tags in one
   If-None-Match, and If-Modified-Since if a single response is validated. The client's own If-None-Match is merged with
   the cache's. A 304 may therefore select a response of this cache or of the client: response.py compares the entity
   tag of the 304 with both. If only a prefix of the representation is stored, the Forward is instead a Range request
   with If-Range for the rest (section 3.3).

3. Storing (response.handle_response, sections 3, 3.2 to 3.4, 4.3.3 to 4.4). A 304 freshens the stored responses that it
   identifies, and the client gets one of them. A 206 is combined with stored parts of the same representation. Any
   other response is relayed, and stored if method, status, request and directives all permit it (response.py). A
   response to an unsafe method invalidates the target URI. A 5xx, or no response (response.handle_failure), is
   replaced by a stale response if stale-if-error or the policy permits it and no directive prohibits it.

Directives have one order of precedence: the first valid targeted field (RFC 9213), then Cache-Control, then Expires,
then the heuristic. freshness.effective_control() applies it, and all later code uses its result.

Hits are the frequent case. Metadata that depends on the stored response alone is derived once and cached with the
stored response (freshness.py), and all hits of a plain GET within one second share one Serve.

Left out: caching for a single user (a private cache), and multipart/byteranges as a stored form.
"""
