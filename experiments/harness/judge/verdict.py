"""The answer to a claim, with the evidence for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

Word = Literal["shown", "failed", "undecided"]
WORDS: tuple[str, ...] = get_args(Word)


@dataclass(frozen=True)
class Verdict:
    """What a check found out about one claim.

    `evidence` is one sentence with the figures; `frames` are the frame numbers it rests on, counted from 1
    through the whole capture, as Wireshark and tcpdump --number count them.
    """

    id: str
    verdict: Word
    evidence: str
    frames: tuple[int, ...] = ()


def shown(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """The capture holds what the claim says."""
    return Verdict(claim_id, "shown", evidence, tuple(frames))


def failed(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """The capture holds something that the claim excludes."""
    return Verdict(claim_id, "failed", evidence, tuple(frames))


def undecided(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """The capture cannot tell: it is not whole, or there is no such traffic in it."""
    return Verdict(claim_id, "undecided", evidence, tuple(frames))
