"""Recursive resolver: iterator, caches, scheduler and transport (RFC 1034 section 5.3.3).

The path of one query through the modules, from a client to an authoritative server and back:

    module                     does                                                                         I/O
    ------------------------   --------------------------------------------------------------------------   -------
    resolver                   the program: flags, wiring, start and stop                                   yes
    server.server              receives the datagram, sends the response, TCP connections and their limits  yes
    server.encrypted           with --dot-port, --doh-port: the same over TLS and HTTPS                     yes
    server.responder           decodes the query, encodes the response
                               response cache: looks up the encoded response; stores it on the way back
    recursion.handler          access list, RD and RA, client subnet; calls the scheduler
    recursion.scheduler        shares one resolution among clients with the same question, and drives it    asyncio
    recursion.iterator         resolves the question: RFC 1034 section 5.3.3 as generators of queries
    recursion.context          the state that all resolutions share: caches, settings, addresses that may be queried;
                               answers for special names, such as localhost, without a query
    recursion.cache            RRset cache and delegation cache: trust, TTLs, negative answers; infra cache: selects a
                               server by RTT, timeouts and lameness
    recursion.stale            with --serve-stale only: expired answers of the RRset cache
    recursion.query            one query: retries at one server, response matching, query budget
    recursion.transport        sends the query from a random port, receives the response                    yes
    recursion.classification   response -> answer, alias, referral, negative answer, lame
    recursion.validation       with trust anchors: response -> secure, insecure, bogus (DNSSEC); without, for clients
                               with DO: signatures are stored with the data
    recursion.ecs_cache        with EDNS Client Subnet only: answers by the client's network
    recursion.root_hints       parses --root and --root-hints

The authoritative server's part of the path is in server.server, server.responder, zones.handler and zones.zone; names,
rdata and messages are encoded and decoded in codec.name, codec.rdata and codec.message.

Names that are easily confused: `resolver` is the program; `recursive` is another program, an authoritative server that
resolves below its zone cuts with the same scheduler; `handler` is called by the server, once per query; `scheduler`
runs resolutions concurrently; `iterator` has the algorithm of one resolution, in the class Resolution, without clients
and sockets.
"""
