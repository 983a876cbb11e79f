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
from collections.abc import Mapping
from dataclasses import dataclass

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


def segments(size_bytes: int, mss_bytes: int = MSS_BYTES) -> int:
    """Return how many TCP segments carry this many octets."""
    return math.ceil(size_bytes / mss_bytes)


def transmission_time_s(size_bytes: int, rate_bps: float | None, mss_bytes: int = MSS_BYTES) -> float:
    """Return how long a link of this rate takes to send these octets with the headers of their segments."""
    if rate_bps is None:
        return 0.0
    on_the_wire = size_bytes + segments(size_bytes, mss_bytes) * SEGMENT_OVERHEAD_BYTES
    return on_the_wire * 8 / rate_bps


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
