"""Closed-form load time of a web page through a caching proxy: round trips on the campus and on the access link.

A client opens one connection to the cache on its campus and requests n objects, one after the other. The cache forwards
m of these requests to the origin, over c new connections. RTT_campus is the round-trip time between client and cache,
RTT that between cache and origin, over the access link. X is the transmission time of the m responses on the access
link. The load time is

    (n+1) RTT_campus + (m+c) RTT + X

A hit does not cross the access link: m = 0 if all requests are hits. A validation takes a round trip on the access
link, but its 304 response adds no content to X. A miss takes a round trip on each of the two links, as a request
without a cache does. Without a cache all n requests cross both links, and the load time is (n+1) (RTT_campus + RTT) +
X, as in lab7.experiments.http.theory.

Processing time, acknowledgements and loss are not included. The formula is valid if every response fits TCP's initial
window of ten segments.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab7.experiments.harness.theory.round_trips import CAMPUS, RTT, RoundTrips
from lab7.experiments.harness.theory.tcp import (
    MSS_BYTES,
    SYN_FRAME_BYTES,
    Theory,
    transmission_symbol,
    transmission_time_s,
)

SOURCE = "Kurose and Ross, Computer Networking: A Top-Down Approach, sections 2.2.2 and 2.2.5"


def cached_visit(
    objects: int,
    campus_rtt_s: float,
    rtt_s: float,
    rate_bps: float,
    responses_bytes: Sequence[int],
    request_size_bytes: int,
    connections: int,
) -> Theory:
    """Return the theoretical load time of a page of `objects` objects through a cache, divided into terms in s.

    rtt_s and rate_bps belong to the access link. responses_bytes are the sizes of the origin's m responses, header
    sections included; request_size_bytes is the size of the largest request to the origin; connections is the number of
    connections that the cache opens to the origin. Raises ValueError if `objects` is 0.
    """
    if objects < 1:
        raise ValueError("a visit needs at least one object")
    first_s = sum(transmission_time_s(min(size, MSS_BYTES), rate_bps) for size in responses_bytes)
    asking_s = transmission_time_s(request_size_bytes, rate_bps)
    rest_s = sum(transmission_time_s(size, rate_bps) for size in responses_bytes) - first_s
    rtts_s = {CAMPUS: campus_rtt_s, RTT: rtt_s}
    visit = RoundTrips(rtts_s, compact=True, n=objects, m=len(responses_bytes), c=connections)
    visit.trips("tcp_handshake", 1, rtt=CAMPUS)
    visit.trips("request", n=1, rtt=CAMPUS)
    visit.trips("origin_handshake", c=1, frames_s=2 * SYN_FRAME_BYTES * 8 / rate_bps)
    visit.trips("origin_request", m=1, frames_s=asking_s, more_s=(first_s,))
    # X is the transmission term, which the formula lacks if the cache sends no request to the origin.
    crosses = bool(responses_bytes or connections)
    visit.add("transmission", rest_s, "X" if crosses else "")
    visit.define(n="objects requested", m="requests to the origin", c="connections that the cache opened to the origin")
    if crosses:
        parts_s = {"origin_request": first_s, "transmission": rest_s}
        visit.legend({"X": transmission_symbol(first_s + rest_s, "the origin's responses on the access link", parts_s)})
    return visit.theory(SOURCE)
