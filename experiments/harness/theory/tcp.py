"""Closed-form formulas for TCP (transmission time, slow start), and `Theory`, the result type of all formulas.

RTT is the round-trip time of short messages: propagation in both directions and, if sizes are given, transmission of
one frame in each direction (a SYN and its SYN-ACK, for example; about 0.1 ms each at 10 Mbit/s). X is the transmission
time of the responses at the bottleneck. The formulas for page loads are in lab7.experiments.http.theory, those for
other protocols in the theory modules of their packages. Each is a sum of terms with the same names as the measured
terms (judge.decomposition).

The formulas hold if each burst of responses fits into TCP's initial congestion window of ten segments (RFC 6928), so
that the server never waits for an acknowledgement. Otherwise `slow_start_stall_s` returns the time to add. Left out:
the transmission time of acknowledgements, DNS, processing time, and loss.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

# Header octets per segment: Ethernet (RFC 894), IPv4 (RFC 791), TCP (RFC 9293), time stamps option (RFC 7323).
SEGMENT_OVERHEAD_BYTES = 14 + 20 + 20 + 12
MSS_BYTES = 1500 - 20 - 20 - 12
# Octets of a SYN's frame, with 20 octets of TCP options such as MSS and time stamps (RFC 9293 section 3.2, RFC 7323).
SYN_FRAME_BYTES = 14 + 20 + 20 + 20
INITIAL_WINDOW_SEGMENTS = 10  # RFC 6928 section 2


# Tolerance of a comparison: TOLERANCE_SHARE of theory plus TOLERANCE_OF_ROUND_TRIP_S for each round trip.
# TOLERANCE_OF_ROUND_TRIP_S covers processors that leave an idle state, and the kernel's work on a frame at each hop.
TOLERANCE_SHARE, TOLERANCE_OF_ROUND_TRIP_S = 0.005, 0.0005
# Tolerated relative error of dialogues whose short exchanges involve several programs (name and mail servers).
TOLERANCE_OF_DIALOGUE = 0.03


def tolerance_of_round_trips(rtt_s: float) -> float:
    """Return the tolerated relative error of a time that consists of round trips of `rtt_s`; 0.01 for 100 ms."""
    return round(TOLERANCE_SHARE + TOLERANCE_OF_ROUND_TRIP_S / rtt_s, 4)


@dataclass(frozen=True)
class Theory:
    """Predicted time from a closed-form formula: total and terms in s (the terms sum to the total), formula and source.

    `symbols`: symbol of the formula -> its value with unit, and its meaning.
    """

    total_s: float
    terms: Mapping[str, float]
    formula: str
    source: str
    symbols: Mapping[str, str] = field(default_factory=dict)

    def plus(self, terms: Mapping[str, float]) -> Theory:
        """Return the prediction with terms added for effects that the formula leaves out; terms of 0 s are dropped."""
        more = {name: value_s for name, value_s in terms.items() if value_s}
        every = {**self.terms, **{name: self.terms.get(name, 0.0) + value_s for name, value_s in more.items()}}
        return Theory(sum(every.values()), every, self.formula, self.source, self.symbols)


def in_ms(seconds: float) -> str:
    """Return a time as text in ms, with unit and at most four digits, for the legend of a formula."""
    return f"{seconds * 1e3:.4g} ms"


def transmission_symbol(x_s: float, what: str, terms_s: Mapping[str, float]) -> str:
    """Return the legend text of X, the transmission time `x_s` of the octets `what`: its value, and its parts by term.

    `terms_s`: term -> the part of X that this term contains. All times are in s.
    """
    parts = [f"{in_ms(part_s)} in {term.replace('_', ' ')}" for term, part_s in terms_s.items() if part_s > 0]
    return f"{in_ms(x_s)}, transmission time of {what}" + (f" (of which {', '.join(parts)})" if parts else "")


def is_symbol_of(formula: str, symbol: str) -> bool:
    """Return True if a formula contains the symbol as a word of its own."""
    return re.search(rf"(?<![A-Za-z]){re.escape(symbol)}(?![A-Za-z])", formula) is not None


def segments(size_bytes: int, mss_bytes: int = MSS_BYTES) -> int:
    """Return the number of TCP segments that carry `size_bytes` octets."""
    return math.ceil(size_bytes / mss_bytes)


def transmission_time_s(size_bytes: int, rate_bps: float | None, mss_bytes: int = MSS_BYTES) -> float:
    """Return the transmission time in s on a link of `size_bytes` octets and their segments' headers."""
    if rate_bps is None:
        return 0.0
    on_the_wire = size_bytes + segments(size_bytes, mss_bytes) * SEGMENT_OVERHEAD_BYTES
    return on_the_wire * 8 / rate_bps


def slow_start_rounds(segment_count: int, initial_window: int = INITIAL_WINDOW_SEGMENTS) -> int:
    """Return the number of round trips in which slow start sends this many segments.

    Source: RFC 5681 section 3.1. The window doubles in each round; windows of w, 2w, 4w, ... carry w(2^k - 1) segments
    in k rounds.
    """
    return math.ceil(math.log2(segment_count / initial_window + 1)) if segment_count > 0 else 0


def slow_start_stall_s(
    size_bytes: int,
    rtt_s: float,
    rate_bps: float | None = None,
    mss_bytes: int = MSS_BYTES,
    window_segments: int = INITIAL_WINDOW_SEGMENTS,
) -> float:
    """Return the time in s for which slow start leaves the link idle during one response.

    After each window except the last, the server waits for the first acknowledgement: one round trip and the
    transmission time of one segment, minus the transmission time of the window. Source: Kurose and Ross, 3rd edition,
    section 3.7.2 (latency with a dynamic congestion window), with the initial window of RFC 6928 in place of one
    segment.
    """
    segment_s = transmission_time_s(mss_bytes, rate_bps, mss_bytes)
    rounds = slow_start_rounds(segments(size_bytes, mss_bytes), window_segments)
    windows = (window_segments << k for k in range(rounds - 1))
    return sum(max(0.0, rtt_s + segment_s - window * segment_s) for window in windows)
