"""Verdict on a claim (shown, failed or undecided), with evidence and the numbers of the frames cited.

A claim is a statement of the course that captured packets confirm or contradict (experiments/claims.toml).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Concatenate, Generic, Literal, ParamSpec, Protocol, get_args

from lab7.experiments.harness.judge.frames import by_capture

Word = Literal["shown", "failed", "undecided"]
P = ParamSpec("P")
WORDS: tuple[str, ...] = get_args(Word)
# Result of a check: evidence as one sentence, and the numbers of the frames cited in the evidence.
Finding = tuple[str, Iterable[int]]


@dataclass(frozen=True)
class Verdict:
    """Verdict on one claim: shown, failed or undecided.

    `evidence` is one sentence with the measured values; `frames` are the numbers of the frames that it cites, counted
    from 1 through the whole capture, as Wireshark and tcpdump --number count. `captures`: file name of a capture -> the
    frame numbers that refer to this capture; empty in results of older versions, and for frames of unknown origin.
    """

    id: str
    verdict: Word
    evidence: str
    frames: tuple[int, ...] = ()
    captures: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def cited(self, default: str | None) -> Mapping[str, tuple[int, ...]]:
        """Return file name of a capture -> numbers of the frames that the evidence cites in it.

        `default`: the capture of a verdict without `captures`, such as one of an older version.
        """
        if self.captures or default is None or not self.frames:
            return self.captures
        return {default: tuple(dict.fromkeys(self.frames))}


def judged(claim_id: str, word: Word, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return a verdict on a claim; its `captures` are derived from `frames`, numbers with the name of their capture."""
    numbers = tuple(frames)
    return Verdict(claim_id, word, evidence, numbers, by_capture(numbers))


def shown(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return the verdict `shown`: the capture confirms the claim."""
    return judged(claim_id, "shown", evidence, frames)


def failed(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return the verdict `failed`: the capture contradicts the claim."""
    return judged(claim_id, "failed", evidence, frames)


def undecided(claim_id: str, evidence: str, frames: Iterable[int] = ()) -> Verdict:
    """Return the verdict `undecided`: the capture has gaps, or lacks the traffic that the claim is about."""
    return judged(claim_id, "undecided", evidence, frames)


class Contradiction(Exception):  # noqa: N818 - a finding about the traffic, not an error of the program
    """Exception for traffic that contradicts a claim; it carries the evidence and the frame numbers."""

    def __init__(self, evidence: str, *frames: int) -> None:
        super().__init__(evidence)
        self.evidence = evidence
        self.frames = frames


class Inconclusive(Exception):  # noqa: N818 - a finding about the traffic, not an error of the program
    """Exception for traffic that neither confirms nor contradicts a claim; the message has the reason."""


class Traffic(Protocol):
    """Protocol for the traffic at one interface that serves as evidence for a claim, such as sessions or page loads."""

    @property
    def dropped(self) -> int:
        """Return the number of packets that the capture dropped."""

    @property
    def absence(self) -> str | None:
        """Return a clause such as "no HTTP connection in the capture" if the traffic is missing; otherwise None."""

    @property
    def gap(self) -> str | None:
        """Return a clause about an incompletely captured connection; None if all are complete."""

    @property
    def violation(self) -> Contradiction | None:
        """Return a Contradiction for the first violation of the protocol's grammar; None if there is none."""


def insufficiency(traffic: Iterable[Traffic]) -> str | None:
    """Return a clause with the reason why the traffic is insufficient evidence; None if it is sufficient."""
    captured = list(traffic)
    if not captured:
        return "the capture has no traffic"
    if dropped := max(one.dropped for one in captured):
        return f"the capture dropped {dropped} packets"
    lacking = next((one.absence for one in captured if one.absence is not None), None)
    return lacking or next((one.gap for one in captured if one.gap is not None), None)


def decide(claim: str, traffic: Iterable[Traffic], check: Callable[[], Finding]) -> Verdict:
    """Return the verdict on a claim that the function `check` determines from captured traffic.

    `check` returns (evidence, frame numbers), or raises Contradiction (failed) or Inconclusive (undecided). It is not
    called if the traffic is insufficient (the verdict is `undecided`), or violates the protocol's grammar (`failed`).
    """
    captured = list(traffic)
    try:
        if (lacking := insufficiency(captured)) is not None:
            raise Inconclusive(f"Not decidable: {lacking}.")
        for violation in (one.violation for one in captured):
            if violation is not None:
                raise violation
        evidence, frames = check()
    except Inconclusive as reason:
        return undecided(claim, str(reason))
    except Contradiction as contradiction:
        return failed(claim, contradiction.evidence, contradiction.frames)
    return shown(claim, evidence, frames)


def listed(frames: Iterable[int], most: int = 8) -> str:
    """Format frame numbers as a comma-separated list without duplicates: at most `most`, and the count of the rest.

    Several messages can be in one frame, as in HTTP/2 and in DNS over TCP.
    """
    return figures(list(dict.fromkeys(frames)), most)


def figures(values: Sequence[int], most: int = 8) -> str:
    """Format integers as a comma-separated list with duplicates: at most `most` of them, and the count of the rest."""
    text = ", ".join(map(str, values[:most]))
    return f"{text} and {len(values) - most} more" if len(values) > most else text


def in_frames(frames: Iterable[int], most: int = 8) -> str:
    """Format frame numbers as `frame 3` or `frames 3, 4`, with the list of listed()."""
    single = tuple(dict.fromkeys(frames))
    return f"frame{'' if len(single) == 1 else 's'} {listed(single, most)}"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun: 1 message, 2 messages; 1 query, 2 queries."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def citation(cited: Mapping[str, Iterable[int]], main: str | None, most: int = 8) -> str:
    """Format cited frames by capture: `frames 3, 4`, or `frames 3, 4 of capture-kept.pcapng; frame 2 of ...`.

    The name is left out if all of the frames are in `main`, the run's principal capture.
    """
    if cited.keys() <= {main}:
        return "; ".join(in_frames(numbers, most) for numbers in cited.values())
    return "; ".join(f"{in_frames(numbers, most)} of {capture}" for capture, numbers in cited.items())


def evidence_of(verdict: Verdict, main: str | None) -> str:
    """Return the evidence of a verdict, followed by the cited frames in brackets.

    `main`: the run's principal capture, whose name is left out (see citation).
    """
    return f"{verdict.evidence} [{citation(verdict.cited(main), main)}]" if verdict.frames else verdict.evidence


def timed(packets: Verdict, measured_s: float, theory_s: float, tolerance: float) -> Verdict:
    """Combine a claim's verdict from packets with the comparison of a measured and a predicted time.

    The claim is shown only if the packets show it, and `measured_s` differs from the prediction `theory_s` by at most
    `tolerance`, a fraction of `theory_s`.
    """
    ratio = measured_s / theory_s
    figures = f"measured {measured_s * 1e3:.1f} ms, theory {theory_s * 1e3:.1f} ms, ratio {ratio:.3f}"
    if packets.verdict != "shown":
        return replace(packets, evidence=f"{packets.evidence} ({figures}.)")
    if abs(ratio - 1) > tolerance:
        evidence = f"{packets.evidence} But {figures}, outside the tolerance of {tolerance * 100:.3g}%."
        return replace(packets, verdict="failed", evidence=evidence)
    evidence = f"{packets.evidence} And {figures}, within the tolerance of {tolerance * 100:.3g}%."
    return replace(packets, evidence=evidence)


class ClaimDecider(Generic[P]):
    """Function that decides one claim, together with the claim's id; made by the decorator `decides`."""

    __name__: str

    def __init__(self, claim: str, function: Callable[Concatenate[str, P], Verdict]) -> None:
        self.claim = claim
        self._function = function
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Verdict:
        """Call the deciding function with the claim's id, and return the verdict."""
        return self._function(self.claim, *args, **kwargs)


def decides(claim: str) -> Callable[[Callable[Concatenate[str, P], Verdict]], ClaimDecider[P]]:
    """Return a decorator that passes a claim's id to a deciding function as its first argument.

    The statements of the course's claims are in experiments/claims.toml.
    """
    return lambda function: ClaimDecider(claim, function)
