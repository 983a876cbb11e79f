"""Octets on a captured link, and the verdict on the claim that a cache or CDN reduces them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab7.experiments.cache.wire.legs import Span
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict, failed, shown, undecided


@dataclass(frozen=True)
class LinkUse:
    """Use of a link during a workload: octets and number of all frames in both directions, headers included."""

    octets: int
    frames: int
    dropped: int


@dataclass(frozen=True)
class ReliefWording:
    """Phrases to be inserted into the text of a verdict on saved octets.

    They name the workload, the link, the captured end of the link, the cache or CDN (`saver`), and the store that
    serves responses without using the link (`copy`).
    """

    workload: str
    link: str
    # The captured end of the link.
    end: str
    saver: str
    # Name of the store that serves responses without using the link: a cache or a replica.
    copy: str


def link_use(captured: CaptureFile, interface: str, span: Span, but: Sequence[Span] = ()) -> LinkUse:
    """Return the numbers of octets and frames captured at one end of a link.

    Only frames within `span`, but outside the time spans `but`, are counted. Raises KeyError if the interface was not
    captured.
    """
    seen = [
        frame.wire_length
        for frame in captured.at(interface)
        if span[0] <= frame.time_ns < span[1] and not any(start <= frame.time_ns < end for start, end in but)
    ]
    return LinkUse(sum(seen), len(seen), captured.dropped(interface))


def decide_relief(claim: str, words: ReliefWording, without: LinkUse, relieved: LinkUse, from_copies: int) -> Verdict:
    """Decide a claim that a cache or CDN reduces the octets on a link, from the same workload without and with it.

    `from_copies` is the number of responses that the cache or CDN served without using the link. If it is 0, the
    verdict is undecided: without stored responses, fewer octets are due to something else, such as persistent
    connections.
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
    """Return a relative change as text for evidence, such as `40% less`."""
    return f"{abs(1 - after / before):.0%} {'less' if after <= before else 'more'}"
