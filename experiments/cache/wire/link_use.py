"""Octets on a link during a workload, and the share saved by stored copies nearer to the clients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiments.cache.wire.legs import Span
from experiments.harness.judge.frames import CaptureFile
from experiments.harness.judge.verdict import Verdict, failed, shown, undecided


@dataclass(frozen=True)
class LinkUse:
    """Use of a link during a workload: octets of all frames with their headers, in both directions."""

    octets: int
    frames: int
    dropped: int


@dataclass(frozen=True)
class ReliefWording:
    """Phrases for a verdict on savings, as in: `the same visits on the access link, without the cache and with it`."""

    workload: str
    link: str
    # The captured end of the link.
    end: str
    saver: str
    # Name of the store (cache or replica) that serves the responses which did not cross the link.
    copy: str


def link_use(captured: CaptureFile, interface: str, span: Span, but: Sequence[Span] = ()) -> LinkUse:
    """Return octets and frames at one end of a link within a span, except in the spans `but`.

    Raises KeyError without such an interface.
    """
    seen = [
        frame.wire_length
        for frame in captured.at(interface)
        if span[0] <= frame.time_ns < span[1] and not any(start <= frame.time_ns < end for start, end in but)
    ]
    return LinkUse(sum(seen), len(seen), captured.dropped(interface))


def decide_relief(claim: str, words: ReliefWording, without: LinkUse, relieved: LinkUse, from_copies: int) -> Verdict:
    """Decide a claim from the octets of one workload on a link, without and with a cache or CDN (the saver).

    `from_copies`: number of responses served from copies alone. A saver that stores nothing may save octets as well, by
    persistent connections; the verdict is then undecided.
    """
    dropped = without.dropped + relieved.dropped
    if dropped:
        return undecided(claim, f"Not decidable: the captures at {words.link} dropped {dropped} packets.")
    if not without.octets:
        return undecided(claim, f"No frames crossed {words.link}.")
    figures = (
        f"{words.workload} took {without.octets} octets in {without.frames} frames on {words.link} without "
        f"{words.saver} and {relieved.octets} in {relieved.frames} with it "
        f"({change(without.octets, relieved.octets)})"
    )
    if relieved.octets >= without.octets:
        return failed(claim, f"The traffic did not decrease: {figures}.")
    if not from_copies:
        return undecided(claim, f"No response came from {words.copy}, although {figures}.")
    return shown(claim, f"Counted at {words.end}, {figures}; {from_copies} responses came from {words.copy}.")


def change(before: float, after: float) -> str:
    """Format a relative change for evidence texts, as a percentage."""
    return f"{abs(1 - after / before):.0%} {'less' if after <= before else 'more'}"
