"""Selection of experiments that `lab7 run` repeats after an inconclusive result, and its closing summary of all claims.

A run is repeated if its fidelity is suspect (a check of the network's properties or of the machine's load failed), a
measured time is outside its tolerance, or a claim (a statement that packets decide) is undecided. A claim that packets
contradict is not a reason: its verdict does not depend on the load of the machine. Every run keeps its result folder;
the last run of an experiment counts, and its result contains the number of the attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab7.experiments.harness.judge.verdict import Verdict, counted
from lab7.experiments.harness.results.result import Result

# Default maximum number of reruns per experiment (`lab7 run --again N`).
RERUNS = 2
SAME_AGAIN = "a run with this seed has the same result, so choose another seed or other parameters"


def is_inconclusive(result: Result) -> bool:
    """Return True if a result is inconclusive: suspect fidelity, a time outside tolerance, or an undecided claim."""
    undecided = any(claim.verdict == "undecided" for claim in result.claims)
    return _disturbed(result) or undecided


def should_rerun(attempts: Sequence[Result]) -> bool:
    """Return True if an experiment is to be repeated after these attempts, oldest first.

    It is not repeated if two runs are valid, have all times within tolerance, and leave the same claims undecided. The
    reason is then not the machine, but for example a parameter.
    """
    last = attempts[-1]
    if not is_inconclusive(last):
        return False
    if len(attempts) == 1 or _disturbed(last):
        return True
    return _not_shown(attempts[-2]) != _not_shown(last)


def summary(results: Sequence[tuple[Path, Result]], options: str = "") -> list[str]:
    """Return the closing lines of `lab7 run`: the number of claims shown, and a remedy for each other claim.

    If several runs judge the same claim, the first line has the number of verdicts as well. `options`: the options of
    the command line, which are repeated in a suggested command.
    """
    claims = [claim for _, result in results for claim in result.claims]
    shown = sum(claim.verdict == "shown" for claim in claims)
    rows = [row for folder, result in results for row in _open(folder, result)]
    single = {claim.id for claim in claims}
    head = f"{shown} of {len(claims)} claims shown"
    if len(single) < len(claims):
        head = f"{shown} of {len(claims)} verdicts shown, on {counted(len(single), 'claim')}"
    if not rows:
        return [head]
    # Name each experiment once, in a command on a line of its own, so that the command can be pasted.
    again = " ".join(dict.fromkeys(result.experiment for _, result in results if _by_machine(result)))
    advice = (
        [f"stop other programs, then run again what they may have disturbed:\n    lab7 run {again} {options}".rstrip()]
        if again
        else []
    )
    kind = "not shown" if shown < len(claims) else "suspect"
    return [f"{head}; {kind}:", *rows, *"\n".join(advice).splitlines()]


def _disturbed(result: Result) -> bool:
    return result.fidelity.verdict != "valid" or not all(comparison.within for comparison in result.comparisons)


def _not_shown(result: Result) -> set[tuple[str, str]]:
    return {(claim.id, claim.verdict) for claim in result.claims if claim.verdict != "shown"}


def _open(folder: Path, result: Result) -> list[str]:
    name = result.experiment
    rows = [f"  {name} {claim.id} {claim.verdict}: {_advice(folder, result, claim)}" for claim in _open_claims(result)]
    if result.fidelity.verdict != "valid":
        reasons = ", ".join(check.name for check in result.fidelity.checks if check.verdict != "valid")
        remedy = f"; {SAME_AGAIN}" if result.clock.word == "virtual" else ""
        rows.append(f"  {name} fidelity suspect: {reasons}{remedy}")
    return rows


def _open_claims(result: Result) -> list[Verdict]:
    return [claim for claim in result.claims if claim.verdict != "shown"]


def _by_machine(result: Result) -> bool:
    """Return True if a result is inconclusive, and other load on the machine may be the cause.

    In virtual time other load has no effect.
    """
    return result.clock.word != "virtual" and is_inconclusive(result)


def _advice(folder: Path, result: Result, claim: Verdict) -> str:
    report = f"{folder}/{result.files.report}"
    if result.clock.word == "virtual" and (claim.verdict == "undecided" or _disturbed(result)):
        return f"{SAME_AGAIN}; see {report}"
    return f"see {report}"
