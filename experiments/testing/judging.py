"""Checks of captured messages in a test (pytest fixture `judge`): RFC requirements, and claims of the course.

A message rule is a check of a captured message against an RFC requirement (MUST or SHOULD). A claim is a statement
about a protocol that captured packets confirm or contradict.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.analysis.capture_claims import DECIDERS, LACKING, decide_claims
from lab7.experiments.analysis.inspection import CHECKS, inspect
from lab7.experiments.analysis.rules.rule import Violation
from lab7.experiments.harness.catalogue.known_claims import known_claims
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.judge.verdict import Verdict

# Maximum number of violations in the message of a failed test.
SHOWN = 10


@dataclass(frozen=True)
class Judgement:
    """Result of the check of a capture: message counts by protocol, violations of rules, verdicts by claim id."""

    messages: dict[str, int]
    violations: tuple[Violation, ...]
    claims: dict[str, Verdict]


class Judge:
    """Callable that checks captured messages, and fails the test if a rule is violated or a claim is not shown."""

    def __init__(self, captured: Callable[[], CaptureFile]) -> None:
        self._captured = captured

    def __call__(
        self,
        *claims: str,
        capture: str | Path | CaptureFile | None = None,
        protocols: Collection[str] = tuple(CHECKS),
        strict: bool = False,
    ) -> Judgement:
        """Check all messages, and decide the claims with these ids; return the result if nothing is wrong.

        `capture`: a file, or frames already read; by default the capture of the test's network. `strict`: violations of
        recommendations (SHOULD) count too. Raises AssertionError with a sentence per fault, ValueError.
        """
        __tracebackhide__ = True
        judgement = self.examine(*claims, capture=capture, protocols=protocols)
        wrong = [one for one in judgement.violations if strict or one.rule.level == "must"]
        faults = [f"{one.rule.id}: {one.sentence}\n    {one.text}" for one in wrong[:SHOWN]]
        faults += [f"{len(wrong) - SHOWN} more violations"] if len(wrong) > SHOWN else []
        faults += [
            f"claim {one.id} {one.verdict}: {one.evidence}"
            for one in judgement.claims.values()
            if one.verdict != "shown"
        ]
        if not judgement.messages:
            faults.append(f"the capture has no message of {', '.join(protocols)}")
        if faults:
            raise AssertionError("\n".join(faults))
        return judgement

    def examine(
        self,
        *claims: str,
        capture: str | Path | CaptureFile | None = None,
        protocols: Collection[str] = tuple(CHECKS),
    ) -> Judgement:
        """Return the result of the checks without failing the test.

        Raises ValueError for claims that no capture alone can decide.
        """
        for name in claims:
            if name not in known_claims():
                raise ValueError(
                    f"there is no claim {name}{did_you_mean(name, known_claims())}: `lab7 claims` lists them"
                )
            if name not in DECIDERS:
                raise ValueError(f"claim {name} cannot be decided from a capture: {LACKING.get(name, 'it is unknown')}")
        if unknown := set(protocols) - set(CHECKS):
            raise ValueError(f"there are no rules for {', '.join(sorted(unknown))}, only for {', '.join(CHECKS)}")
        if capture is None:
            captured = self._captured()
        else:
            captured = capture if isinstance(capture, CaptureFile) else read_capture(Path(capture))
        found = inspect(captured, tuple(protocols))
        verdicts = {one.id: one for one in decide_claims(captured)} if claims else {}
        return Judgement(dict(found.messages), found.violations, {name: verdicts[name] for name in claims})
