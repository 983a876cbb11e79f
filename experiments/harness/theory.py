"""Closed forms for the time of a page load, with every term named as the judge's decomposition names it.

A page of n objects: one base page, and n - 1 objects that it names. X is the total transmission time of the
n responses at the bottleneck. The formulas are the ones of the textbook (Kurose and Ross, Computer
Networking: A Top-Down Approach, section 2.2.2; the HTTP/2 ones follow from RFC 9113 sections 5 and 8.4 by
the same argument):

    1.0-serial       2n RTT + X       every object pays a handshake and a request
    1.0-parallel     4 RTT + X        base page, then all others side by side
    1.1-persistent   (n+1) RTT + X    one handshake, a request an object
    1.1-pipelined    3 RTT + X        handshake, base page, then all requests together
    2                3 RTT + X        the same on one connection with streams
    2-push           2 RTT + X        the objects arrive behind the base page unasked

RTT is what a short exchange takes: there and back, and the transmission of its own two frames, which is
named when `request_size_bytes` is given (a SYN and its answer, or a request; 0.1 ms each at 10 Mbit/s).

Where they hold: each burst of responses fits in TCP's initial congestion window of ten segments (RFC 6928),
so that nothing waits for an acknowledgement; `within_initial_window` says whether. Where it does not,
`slow_start_stall_s` gives the time to add. Left out: the transmission time of acknowledgements,
DNS, processing time, and loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KUROSE_ROSS = "Kurose and Ross, Computer Networking: A Top-Down Approach, section 2.2.2"
RFC_9113 = "RFC 9113, sections 5 and 8.4"

# Ethernet (RFC 894) 14, IPv4 (RFC 791) 20, TCP (RFC 9293) 20, time stamps option with padding (RFC 7323) 12.
SEGMENT_OVERHEAD_BYTES = 14 + 20 + 20 + 12
MSS_BYTES = 1500 - 20 - 20 - 12
# A SYN carries 20 octets of options (RFC 9293 section 3.2, RFC 7323): maximum segment size, time stamps, ...
SYN_FRAME_BYTES = 14 + 20 + 20 + 20
INITIAL_WINDOW_SEGMENTS = 10  # RFC 6928 section 2


# What a comparison may be off: a share of theory, and of each round trip this much that nothing accounts for (a
# processor that leaves an idle state, the kernel's own work on a frame at each hop): 1 % at 100 ms, 3 % at 20 ms.
TOLERANCE_SHARE, TOLERANCE_OF_ROUND_TRIP_S = 0.005, 0.0005
# Of dialogues, whose short exchanges go by several programs (a name server, a mail server and its disk).
TOLERANCE_OF_DIALOGUE = 0.03


def tolerance_of_round_trips(rtt_s: float) -> float:
    """Return the tolerance of a measured time that consists of round trips of this length: 0.01 at 100 ms."""
    return round(TOLERANCE_SHARE + TOLERANCE_OF_ROUND_TRIP_S / rtt_s, 4)


@dataclass(frozen=True)
class Theory:
    """What a formula predicts: total and terms in seconds (the terms sum to the total), the formula, its source."""

    total_s: float
    terms: Mapping[str, float]
    formula: str
    source: str

    def plus(self, terms: Mapping[str, float]) -> Theory:
        """Return the same formula with terms of their own for what it leaves out; those of 0 s are left out."""
        more = {name: value_s for name, value_s in terms.items() if value_s}
        every = {**self.terms, **{name: self.terms.get(name, 0.0) + value_s for name, value_s in more.items()}}
        return Theory(sum(every.values()), every, self.formula, self.source)


@dataclass(frozen=True)
class _Form:
    """Round trips of a strategy as functions of n, and how the formula is written.

    `awaited` says for how many of the n responses the client waits with nothing else arriving.
    """

    handshakes: int | None  # None: one for each object
    requests: int | None
    awaited: int | None
    formula: str
    source: str


_FORMS: Mapping[str, _Form] = {
    "1.0-serial": _Form(None, None, None, "2n RTT + X", KUROSE_ROSS),
    "1.0-parallel": _Form(2, 2, 2, "4 RTT + X", KUROSE_ROSS),
    "1.1-persistent": _Form(1, None, None, "(n+1) RTT + X", KUROSE_ROSS),
    "1.1-pipelined": _Form(1, 2, 2, "3 RTT + X", KUROSE_ROSS),
    "2": _Form(1, 2, 2, "3 RTT + X", RFC_9113),
    "2-push": _Form(1, 1, 1, "2 RTT + X", RFC_9113),
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
    """Return the time to load a page of these objects, the base page first.

    `sizes_bytes` are the bodies; `head_size_bytes` is added to each for its status line and header lines;
    `rate_bps` is the bottleneck's rate, None if it is not limited (X = 0); `request_size_bytes` is the size of
    a request, None to take `rtt_s` as including the frames of a handshake and of a request. The transmission
    time of each response that the client waits for is divided as the judge divides it: its first segment under
    request, the rest under transmission. With `slow_start`, what `page_stall_s` says is added to transmission.
    Raises KeyError for an unknown strategy, ValueError for an empty page.
    """
    form, n = _FORMS[strategy], len(sizes_bytes)
    if n == 0:
        raise ValueError("a page has at least its base page")
    sizes = [size + head_size_bytes for size in sizes_bytes]
    # A base page that names nothing is not followed by a second round.
    handshakes, requests, awaited = (
        n if count is None else min(count, n) for count in (form.handshakes, form.requests, form.awaited)
    )
    x_s = sum(transmission_time_s(size, rate_bps, mss_bytes) for size in sizes)
    first_s = sum(transmission_time_s(min(size, mss_bytes), rate_bps, mss_bytes) for size in sizes[:awaited])
    syns_s = asking_s = 0.0
    if request_size_bytes is not None and rate_bps is not None:
        syns_s = 2 * SYN_FRAME_BYTES * 8 / rate_bps
        asking_s = transmission_time_s(request_size_bytes, rate_bps, mss_bytes)
    terms = {
        "tcp_handshake": handshakes * (rtt_s + syns_s),
        "request": requests * (rtt_s + asking_s) + first_s,
        "transmission": x_s - first_s,
    }
    formula = form.formula
    if slow_start:
        terms["transmission"] += page_stall_s(strategy, rtt_s, sizes, rate_bps, mss_bytes)
        formula += " + slow start"
    return Theory(sum(terms.values()), terms, formula, form.source)


def segments(size_bytes: int, mss_bytes: int = MSS_BYTES) -> int:
    """Return how many TCP segments carry this many octets."""
    return math.ceil(size_bytes / mss_bytes)


def transmission_time_s(size_bytes: int, rate_bps: float | None, mss_bytes: int = MSS_BYTES) -> float:
    """Return how long a link of this rate takes to send these octets with the headers of their segments."""
    if rate_bps is None:
        return 0.0
    on_the_wire = size_bytes + segments(size_bytes, mss_bytes) * SEGMENT_OVERHEAD_BYTES
    return on_the_wire * 8 / rate_bps


def within_initial_window(
    strategy: str, sizes_bytes: Sequence[int], head_size_bytes: int = 0, mss_bytes: int = MSS_BYTES
) -> bool:
    """Say whether the formula of this strategy holds for these sizes: every burst fits the initial window.

    A burst is what a server sends on one connection without hearing from the client in between: one
    response, or, with pipelining and HTTP/2, all named objects together; with push, the whole page.
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
    """Return the time for which slow start leaves the link idle during a page load.

    On one connection the window has grown by every segment acknowledged before (RFC 5681 section 3.1); parallel
    connections stall at the same time, the longest of them counts.
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


def slow_start_rounds(segment_count: int, initial_window: int = INITIAL_WINDOW_SEGMENTS) -> int:
    """Return in how many windows slow start sends this many segments, each twice the one before.

    Source: RFC 5681 section 3.1; windows of w, 2w, 4w, ... carry w(2^k - 1) segments in k rounds.
    """
    return math.ceil(math.log2(segment_count / initial_window + 1)) if segment_count > 0 else 0


def slow_start_stall_s(
    size_bytes: int,
    rtt_s: float,
    rate_bps: float | None = None,
    mss_bytes: int = MSS_BYTES,
    window_segments: int = INITIAL_WINDOW_SEGMENTS,
) -> float:
    """Return the time for which slow start leaves the link idle while one response is sent.

    Behind each window but the last the server waits for the first acknowledgement: one round trip and one
    segment, less the time the window itself takes to send. Source: Kurose and Ross, 3rd edition, section
    3.7.2 (latency with a dynamic congestion window), with the initial window of RFC 6928 in place of one
    segment.
    """
    segment_s = transmission_time_s(mss_bytes, rate_bps, mss_bytes)
    rounds = slow_start_rounds(segments(size_bytes, mss_bytes), window_segments)
    windows = (window_segments << k for k in range(rounds - 1))
    return sum(max(0.0, rtt_s + segment_s - window * segment_s) for window in windows)
