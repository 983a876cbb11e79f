"""Delivery attempts of a mail queue in a capture, and their retry intervals (RFC 5321 section 4.5.4.1).

An attempt is a TCP connection that the peer's host refuses (RST), that is not answered, or that is established.
Connections at the same time count as one attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.harness.judge.verdict import Contradiction

NS = 1_000_000_000
# Maximum time in ns between the starts of connections that belong to one delivery attempt.
AGAIN_NS = 3 * NS // 10


@dataclass(frozen=True)
class Attempt:
    """Connection attempt of an MTA: frame number and time of its SYN, and time of the SYN-ACK or of its failure."""

    frame: int
    began_ns: int
    answered_ns: int | None
    failed_ns: int | None
    how: str


@dataclass(frozen=True)
class RetryPolicy:
    """Requirements on the retries of a mail queue to an unreachable peer, in s.

    interval_s, longest_s: minimum and maximum time between attempts; keep_s: minimum time before a message expires.
    """

    interval_s: float
    longest_s: float
    keep_s: float


def was_retried(failed: Sequence[Attempt]) -> bool:
    """Return True if there are failed attempts, and the first and the last of them are at least AGAIN_NS apart."""
    return bool(failed) and failed[-1].began_ns - failed[0].began_ns >= AGAIN_NS


def attempts_by_time(failed: Sequence[Attempt]) -> list[Attempt]:
    """Return the first connection of each delivery attempt; a queue may open several connections at a time."""
    found: list[Attempt] = []
    for one in failed:
        if not found or one.began_ns - found[-1].began_ns >= AGAIN_NS:
            found.append(one)
    return found


def describe_retries(kind: str, keeping: RetryPolicy, failed: Sequence[Attempt]) -> str:
    """Return a clause that describes a queue's delivery attempts.

    Raises Contradiction if their intervals violate the retry policy.
    """
    every = attempts_by_time(failed)
    # RFC 5321 section 4.5.4.1: the retry interval SHOULD be at least 30 minutes, counted from the failed attempt's end.
    for one, other in pairwise(every):
        # Round to seconds, since timers of the operating system have a tick.
        gap_s = round((other.began_ns - (one.failed_ns or one.began_ns)) / NS)
        if not keeping.interval_s <= gap_s <= keeping.longest_s:
            raise Contradiction(
                f"{kind}: the retry follows after {gap_s} s; {keeping.interval_s:g} to {keeping.longest_s:g} "
                "s are allowed.",
                one.frame,
                other.frame,
            )
    # RFC 5321 section 4.5.4.1: "the give-up time generally needs to be at least 4-5 days".
    tried_s = (every[-1].began_ns - every[0].began_ns) / NS
    if tried_s < keeping.keep_s:
        raise Contradiction(
            f"{kind}: the last attempt follows {tried_s:.0f} s after the first one; a server must retry for "
            f"at least {keeping.keep_s:g} s.",
            every[-1].frame,
        )
    shortest_s = min((other.began_ns - one.began_ns) / NS for one, other in pairwise(every))
    return f" and each at least {shortest_s / 60:.1f} minutes after the one before, for {tried_s / 86400:.2f} days"
