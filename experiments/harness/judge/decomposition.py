"""Decomposition of a page load's duration into named terms (summands), from packets at the client's own interface.

A page load is a set of intervals, each with a term:

    dns            query sent                         to  its response received
    tcp_handshake  first SYN sent                     to  SYN-ACK received
    request        last octet of the request sent     to  first octet of its response received
    transmission   first octet of a response received to  its last octet received

The total runs from the first SYN sent (or the first query, if earlier) to the last octet of the last response received.
If intervals overlap, as on parallel connections and with pipelining, each moment counts once, by priority: transmission
while a response is arriving, else request while a request is pending, else tcp_handshake, else dns. Time that no
interval covers is the term residual, mostly processing time of the client. The terms therefore sum to the total
exactly.

In virtual time (the simulated clock of a user-mode kernel) a computation takes no time, but each reading of the clock,
by a program or its kernel, moves the clock by READING_NS. A gap between the intervals is the term clock_readings if it
is a multiple of READING_NS and at most TURN_NS_MAX. Otherwise it is residual, for example a wait of the client by a
timer.

Two consequences of measuring packets: an octet counts as received when the segment that carries it has arrived whole,
so the link's transmission time of the first segment of a response is part of request; and a stall in the middle of a
response (a lost segment, a small congestion window) is part of transmission. The closed-form predictions in each
protocol's `theory` module are divided into terms in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.harness import clock
from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.frames import Frame

# Terms of a page load in order of priority: time in overlapping intervals counts for the first term.
TERMS = ("transmission", "request", "tcp_handshake", "dns")
RESIDUAL = "residual"
CLOCK_READINGS = "clock_readings"
# Advance of the virtual clock by one reading of it, in ns (TIMER_MULTIPLIER of the patched user-mode kernel).
READING_NS = 32
# Maximum duration in ns of clock readings between the arrival of a message and the next one sent: 3125 readings, while
# programs read the clock a dozen times for each message. The shortest timer of a program (poll(2)) is 1 ms.
TURN_NS_MAX = 100_000


@dataclass(frozen=True)
class Interval:
    """Interval [start_ns, end_ns) of a measured duration, and the term (part of the duration) to which it belongs."""

    term: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Decomposition:
    """Duration of a page load or session in s, and the terms (parts) that add up to it."""

    total_s: float
    terms: Mapping[str, float]


def sum_up(intervals: Iterable[Interval], start_ns: int, end_ns: int, priority: Sequence[str] = TERMS) -> Decomposition:
    """Decompose the time [start_ns, end_ns) into terms: each moment counts for one of the intervals that contain it.

    The interval is chosen by its term's place in `priority`. For gaps between the intervals see `uncovered`.
    """
    clipped = [
        Interval(interval.term, max(interval.start_ns, start_ns), min(interval.end_ns, end_ns))
        for interval in intervals
        if interval.end_ns > start_ns and interval.start_ns < end_ns
    ]
    edges = sorted({start_ns, end_ns, *(one.start_ns for one in clipped), *(one.end_ns for one in clipped)})
    spent = dict.fromkeys(reversed(priority), 0)
    gaps: list[Interval] = []
    for low, high in pairwise(edges):
        present = {one.term for one in clipped if one.start_ns <= low and high <= one.end_ns}
        term = next((term for term in priority if term in present), None)
        if term is not None:
            spent[term] += high - low
        elif gaps and gaps[-1].end_ns == low:
            gaps[-1] = Interval(RESIDUAL, gaps[-1].start_ns, high)
        else:
            gaps.append(Interval(RESIDUAL, low, high))
    own = uncovered(gap.end_ns - gap.start_ns for gap in gaps)
    return Decomposition((end_ns - start_ns) / 1e9, {term: value / 1e9 for term, value in (spent | own).items()})


def uncovered(gaps_ns: Iterable[int]) -> dict[str, int]:
    """Return term -> duration in ns, for the gaps that no interval covers.

    In real time all gaps are `residual`. In virtual time each reading of the clock advances the clock; gaps that can
    consist of readings alone are `clock_readings`, all others `residual`.
    """
    gaps_ns = list(gaps_ns)
    if clock.current().word != "virtual":
        return {RESIDUAL: sum(gaps_ns)}
    read = sum(gap_ns for gap_ns in gaps_ns if is_clock_readings(gap_ns))
    return {CLOCK_READINGS: read, RESIDUAL: sum(gaps_ns) - read}


def is_clock_readings(gap_ns: int) -> bool:
    """Return True if a gap of virtual time, in ns, can come from clock readings alone (each advances the clock)."""
    return 0 <= gap_ns <= TURN_NS_MAX and gap_ns % READING_NS == 0


def dns_intervals(frames: Iterable[Frame]) -> list[Interval]:
    """Return the interval from each DNS query to its response.

    `frames` are those of one interface, in order of time.
    """
    asked: dict[tuple[int, int], int] = {}
    intervals: list[Interval] = []
    for frame in frames:
        packet = frame.packet
        if layers.UDP not in packet or layers.DNS not in packet:
            continue
        udp, dns = packet[layers.UDP], packet[layers.DNS]
        if not dns.qr:
            # The wait for a retransmitted query starts with the query's first transmission.
            asked.setdefault((udp.sport, dns.id), frame.time_ns)
        elif (udp.dport, dns.id) in asked:
            intervals.append(Interval("dns", asked.pop((udp.dport, dns.id)), frame.time_ns))
    return intervals
