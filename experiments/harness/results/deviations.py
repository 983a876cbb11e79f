"""Violations of RFC requirements by the messages of a run, as the likely cause of a claim that was not confirmed.

In runs with a user's own program, or with deliberate faults, all messages are checked (lab7.experiments.analysis). If
the packets do not confirm a claim (a statement about a protocol), its evidence may only be that a page could not be
loaded. The first violation in the packets is the likely cause of that, and is therefore cited in the evidence of the
first such claim. The module also makes the outcome of a run that ended early.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from lab7.experiments.harness.experiment import Experiment, Outcome, Run
from lab7.experiments.harness.judge.frames import FrameNumber
from lab7.experiments.harness.judge.verdict import Verdict, judged, undecided
from lab7.experiments.harness.results.result import Check, Fidelity, MessageViolation
from lab7.topologies.emulation.watch import last_line

# Import FINDER by name when needed, since this layer must not import the message rules of lab7.experiments.analysis.
PROGRAM_OUTPUTS = "program-*.log"
# Name of the fidelity check that marks a run that ended early.
EARLY = "run"
FINDER = "lab7.experiments.analysis.run_violations"


def is_checked(context: Run) -> bool:
    """Return True if a run's messages are to be checked: in runs with a user's program or with faults."""
    return bool(context.faults) or any(one.own for one in context.replacements.values())


def find_violations(folder: Path) -> tuple[MessageViolation, ...]:
    """Return the first violation of each RFC rule by the messages in the captures of a result folder."""
    return tuple(cast("list[MessageViolation]", importlib.import_module(FINDER).find_violations(folder)))


def program_outputs(folder: Path) -> dict[str, str]:
    """Return file name -> last line, for the files with the output of users' programs; empty files are removed."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob(PROGRAM_OUTPUTS)):
        if path.stat().st_size:
            found[path.name] = last_line(path)
        else:
            path.unlink()
    return found


def explained(
    claims: Sequence[Verdict], violations: Sequence[MessageViolation]
) -> tuple[tuple[Verdict, ...], tuple[MessageViolation, ...]]:
    """Cite the first RFC violation in the evidence of the first claim not shown; return (claims, violations).

    If the claim was undecided and the violated rule is a requirement (MUST), the claim fails. The returned violations
    have the claim's id.
    """
    at = next((place for place, claim in enumerate(claims) if claim.verdict != "shown"), None)
    if at is None or not violations:
        return tuple(claims), tuple(violations)
    first, claim = violations[0], claims[at]
    evidence = f"{claim.evidence.rstrip('.')}. First deviation in the messages ({first.capture}): {first.sentence}"
    word = "failed" if claim.verdict == "undecided" and first.level == "must" else claim.verdict
    told = judged(claim.id, word, evidence, (*claim.frames, FrameNumber(first.frame, first.capture)))
    return (
        (*claims[:at], told, *claims[at + 1 :]),
        tuple(replace(one, claim=claim.id) for one in violations),
    )


def ended_early(experiment: Experiment, context: Run, reason: str) -> Outcome:
    """Return the outcome of a run that ended before its verdicts: all claims undecided, fidelity suspect."""
    captures = sorted(path.name for path in context.folder.glob("*.pcapng"))
    check = Check(EARLY, "to its end", f"ended early: {reason}", "suspect")
    return Outcome(
        claims=tuple(undecided(claim, f"The run ended early: {reason}.") for claim in experiment.claims),
        comparisons=(),
        fidelity=Fidelity("suspect", (check,)),
        implementations={role: one.describe() for role, one in context.replacements.items()},
        capture=captures[0] if captures else None,
    )
