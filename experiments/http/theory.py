"""Closed-form page load times by HTTP version and use of connections: round trips and transmission times.

A page has n objects: a base page, and n - 1 objects that it references. X is the total transmission time of the n
responses at the bottleneck. The formulas for HTTP/1 are those of the textbook (Kurose and Ross, Computer Networking: A
Top-Down Approach, section 2.2.2). Those for HTTP/2 follow from RFC 9113 sections 5 and 8.4 by the same argument:

    1.0-serial       2n RTT + X       every object pays a handshake and a request
    1.0-parallel     4 RTT + X        base page, then all others in parallel
    1.1-persistent   (n+1) RTT + X    one handshake, a request per object
    1.1-pipelined    3 RTT + X        handshake, base page, then all requests together
    2                3 RTT + X        the same on one connection with streams
    2-push           2 RTT + X        the objects are pushed behind the base page

A formula holds if the server's data fit TCP's initial congestion window each time that the server sends without waiting
for the client (`within_initial_window`). Otherwise `page_stall_s` returns the time to add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.harness.theory.round_trips import MEANINGS, RoundTrips
from lab7.experiments.harness.theory.tcp import (
    INITIAL_WINDOW_SEGMENTS,
    MSS_BYTES,
    SYN_FRAME_BYTES,
    Theory,
    in_ms,
    segments,
    slow_start_stall_s,
    transmission_symbol,
    transmission_time_s,
)

KUROSE_ROSS = "Kurose and Ross, Computer Networking: A Top-Down Approach, section 2.2.2"


RFC_9113 = "RFC 9113, sections 5 and 8.4"


@dataclass(frozen=True)
class _Form:
    """Closed form of a strategy: numbers of handshakes and of request round trips; None stands for one per object.

    `awaited` is the number of responses for which the client waits while it receives nothing else.
    """

    handshakes: int | None
    requests: int | None
    awaited: int | None
    source: str


_FORMS: Mapping[str, _Form] = {
    "1.0-serial": _Form(None, None, None, KUROSE_ROSS),
    "1.0-parallel": _Form(2, 2, 2, KUROSE_ROSS),
    "1.1-persistent": _Form(1, None, None, KUROSE_ROSS),
    "1.1-pipelined": _Form(1, 2, 2, KUROSE_ROSS),
    "2": _Form(1, 2, 2, RFC_9113),
    "2-push": _Form(1, 1, 1, RFC_9113),
}


STRATEGIES = tuple(_FORMS)


def http_page_load(
    strategy: str,
    rtt_s: float,
    sizes_bytes: Sequence[int],
    rate_bps: float | None = None,
    head_size_bytes: int = 0,
    mss_bytes: int = MSS_BYTES,
    request_size_bytes: int | None = None,
    slow_start: bool = False,
) -> Theory:
    """Return the theoretical load time of a page, divided into terms; `sizes_bytes` has the page's size first.

    head_size_bytes is added to each object's size for status line and header section. rate_bps is the rate of the
    bottleneck, None if unlimited (X = 0). request_size_bytes is the size of a request, None if `rtt_s` includes the
    transmission times of handshake and request. The first segment of a response for which the client waits counts for
    the term `request`, the other segments for `transmission`. With slow_start, `page_stall_s` is added to
    `transmission`. Raises KeyError for an unknown strategy, ValueError for an empty page.
    """
    form, n = _FORMS[strategy], len(sizes_bytes)
    if n == 0:
        raise ValueError("a page needs a base page")
    sizes = [size + head_size_bytes for size in sizes_bytes]
    awaited = n if form.awaited is None else min(form.awaited, n)
    x_s = sum(transmission_time_s(size, rate_bps, mss_bytes) for size in sizes)
    first_s = sum(transmission_time_s(min(size, mss_bytes), rate_bps, mss_bytes) for size in sizes[:awaited])
    syns_s = asking_s = 0.0
    if request_size_bytes is not None and rate_bps is not None:
        syns_s = 2 * SYN_FRAME_BYTES * 8 / rate_bps
        asking_s = transmission_time_s(request_size_bytes, rate_bps, mss_bytes)
    load = RoundTrips(rtt_s, compact=True, n=n)
    for term, count, frames_s, more_s in (
        ("tcp_handshake", form.handshakes, syns_s, ()),
        ("request", form.requests, asking_s, (first_s,)),
    ):
        if count is None:
            load.trips(term, n=1, frames_s=frames_s, more_s=more_s)
        else:
            # A page of one object has no second round of requests, hence at_most=n.
            load.trips(term, count, at_most=n, frames_s=frames_s, more_s=more_s)
    if slow_start:
        stall_s = page_stall_s(strategy, rtt_s, sizes, rate_bps, mss_bytes)
        load.add("transmission", x_s - first_s + stall_s, "X + slow start")
        load.legend({"slow start": f"{in_ms(stall_s)}, {MEANINGS['slow start']}"})
    else:
        load.add("transmission", x_s - first_s, "X")
    parts_s = {"request": first_s, "transmission": x_s - first_s}
    load.define(n="objects of the page").legend({"X": transmission_symbol(x_s, "all objects", parts_s)})
    return load.theory(form.source)


def within_initial_window(
    strategy: str, sizes_bytes: Sequence[int], head_size_bytes: int = 0, mss_bytes: int = MSS_BYTES
) -> bool:
    """Return True if every burst of a page load fits TCP's initial window; the strategy's formula then holds.

    A burst is the data that a server sends on one connection without waiting for the client: usually one response; with
    pipelining and HTTP/2 all referenced objects together; with push the whole page.
    """
    counts = [segments(size + head_size_bytes, mss_bytes) for size in sizes_bytes]
    if strategy == "2-push":
        bursts = [sum(counts)]
    elif strategy in ("1.1-pipelined", "2"):
        bursts = [*counts[:1], sum(counts[1:])]
    else:
        bursts = counts
    return max(bursts) <= INITIAL_WINDOW_SEGMENTS


def page_stall_s(
    strategy: str, rtt_s: float, sizes_bytes: Sequence[int], rate_bps: float | None = None, mss_bytes: int = MSS_BYTES
) -> float:
    """Return the total time in s for which slow start leaves the link idle during a page load.

    On a persistent connection, each segment acknowledged so far has enlarged the congestion window (RFC 5681 section
    3.1). Parallel connections are idle at the same time; only the longest idle time counts.
    """

    def stall(size_bytes: int, before_bytes: int = 0) -> float:
        window = INITIAL_WINDOW_SEGMENTS + (segments(before_bytes, mss_bytes) if before_bytes else 0)
        return slow_start_stall_s(size_bytes, rtt_s, rate_bps, mss_bytes, window)

    page, named = sizes_bytes[0], list(sizes_bytes[1:])
    if strategy == "2-push":
        return stall(sum(sizes_bytes))
    if strategy == "1.0-serial":
        return sum(stall(size) for size in sizes_bytes)
    if strategy == "1.0-parallel":
        return stall(page) + max((stall(size) for size in named), default=0.0)
    if strategy == "1.1-persistent":
        return sum(stall(size, sum(sizes_bytes[:place])) for place, size in enumerate(sizes_bytes))
    return stall(page) + (stall(sum(named), page) if named else 0.0)
