"""HTTP intermediary: forward or reverse proxy with tunnels, connections to origins, and a cache (RFC 9110 section 7).

The path of one request, GET with HTTP/1.1, through the caching proxy. A hit ends at step 6; a miss takes all steps.

    step  module                             action
    1     services/connections.py            accept the connection, or evict an idle one for it
          services/http/server/              receive octets, enforce deadlines (http1_connection.py)
          services/http/http1/               parse the request: connection.py (events), codec.py (head, framing)
    2     proxy.py                           count the request, check the client's address, respond to TRACE with
                                             Max-Forwards 0, to CONNECT and to a GET of the proxy's own counters
          forwarding.py                      detect loops by Via, remove hop-by-hop fields, determine origin, Host and
                                             request target
          services/http/cache/keys.py        compute the cache key
    3     caching_proxy.py                   respond(): look up the stored responses, carry out the decision
          services/http/storage/store.py     find the responses stored under the cache key (index.py)
    4     services/http/cache/lookup.py      decide: Serve, Forward or Unsatisfiable
          services/http/cache/keys.py        match the fields nominated by Vary
          services/http/cache/freshness.py   parsed directives (directives.py), lifetime and age
    5     services/http/cache/reuse.py       Serve: build 200, 206 or 304, with Age and Cache-Status
    6     forwarding.py                      add Via, attach the content; the server sends the response
    7     services/http/cache/validation.py  Forward: add validators of stored responses
          caching_proxy.py                   join the collapsed request for the same URI, or start one
          forwarding.py                      set Host, Via and the framing fields
    8     pool.py                            take an idle connection to the origin, or open one; send the request,
                                             receive the head, stream the content
    9     services/http/cache/response.py    decide about the response: freshen, combine, store, relay, invalidate
    10    cache_fill.py                      stream the content to the clients and into the store
          services/http/storage/store.py     buffer the content in memory or in a file, and commit it

The decisions in services/http/cache and the rules in forwarding.py are functions without I/O. A CONNECT
request leaves the path at step 2 for tunnel.py.
"""
