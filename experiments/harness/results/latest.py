"""Latest verdict on each claim (statement of the course about a protocol), over all results in a folder.

A run with `--replace` has another program in place of one of lab7's services, and a run with `--fault` has a deliberate
protocol error. Verdicts of such runs are listed separately, since they are about the other program or the error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import FidelityWord, read_results

# Variant of a run in which all programs are lab7's own, without faults (see Result.variant).
OWN = ""


@dataclass(frozen=True)
class Latest:
    """Latest verdict on a claim, with its run: experiment, start time, fidelity, folder, file name of the capture."""

    verdict: Verdict
    experiment: str
    started: str
    fidelity: FidelityWord
    folder: Path
    capture: str | None


def find_latest_by_variant(results: Path) -> dict[str, dict[str, Latest]]:
    """Return variant -> claim id -> latest verdict, from all runs under `results`.

    A variant is a text about replaced programs and faults (Result.variant); OWN, lab7's own services, is first.
    """
    found: dict[str, dict[str, Latest]] = {OWN: {}}
    for folder, result in read_results(results):
        for verdict in result.claims:
            latest = Latest(
                verdict, result.experiment, result.started, result.fidelity.verdict, folder, result.files.capture
            )
            found.setdefault(result.variant, {})[verdict.id] = latest
    return found


def find_latest(results: Path) -> dict[str, Latest]:
    """Return claim id -> latest verdict by lab7's own services, from all runs under `results`."""
    return find_latest_by_variant(results)[OWN]
