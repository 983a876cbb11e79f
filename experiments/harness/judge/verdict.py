"""Verdict on a claim, with its evidence and frame numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Word = Literal["shown", "failed", "undecided"]
WORDS: tuple[str, ...] = get_args(Word)


@dataclass(frozen=True)
class Verdict:
    """The result of checking one claim.

    `evidence` is one sentence with the figures; `frames` are the numbers of the frames that it cites, counted from 1
    through the whole capture, as Wireshark and tcpdump --number count.
    """

    id: str
    verdict: Word
    evidence: str
    frames: tuple[int, ...] = ()


def shown(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return the verdict that the capture confirms the claim."""
    return Verdict(claim_id, "shown", evidence, tuple(frames))


def failed(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return the verdict that the capture contradicts the claim."""
    return Verdict(claim_id, "failed", evidence, tuple(frames))


def undecided(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return the verdict that the capture is insufficient: it has gaps, or lacks the traffic in question."""
    return Verdict(claim_id, "undecided", evidence, tuple(frames))


class Contradiction(Exception):  # noqa: N818 - a finding about the traffic, not an error of the program
    """The traffic contradicts the claim; carries the evidence and its frames."""

    def __init__(self, evidence: str, *frames: int) -> None:
        super().__init__(evidence)
        self.evidence = evidence
        self.frames = frames


def listed(frames: Sequence[int], most: int = 8) -> str:
    """Format frame numbers as a comma-separated list, truncated after `most`."""
    text = ", ".join(str(frame) for frame in frames[:most])
    return f"{text} and {len(frames) - most} more" if len(frames) > most else text


def timed(packets: Verdict, measured_s: float, theory_s: float, tolerance: float) -> Verdict:
    """Combine the verdict on the packets with the comparison of a measured time with theory.

    The claim is shown only if the packets show it and `measured_s` lies within `tolerance` (0.15: fifteen per cent) of
    `theory_s`.
    """
    ratio = measured_s / theory_s
    figures = f"measured {measured_s * 1e3:.1f} ms, theory {theory_s * 1e3:.1f} ms, ratio {ratio:.3f}"
    if packets.verdict != "shown":
        return Verdict(packets.id, packets.verdict, f"{packets.evidence} ({figures}.)", packets.frames)
    if abs(ratio - 1) > tolerance:
        evidence = f"{packets.evidence} But {figures}, outside the tolerance of {tolerance * 100:.3g}%."
        return failed(packets.id, evidence, packets.frames)
    evidence = f"{packets.evidence} And {figures}, within the tolerance of {tolerance * 100:.3g}%."
    return Verdict(packets.id, "shown", evidence, packets.frames)
