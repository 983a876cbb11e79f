"""Result folders: results/<experiment>/<UTC time>-<6 hex>, one per run.

folder = new_folder(Path("results"), "http_versions")   # results/http_versions/20300102T030405Z-9f01ab
"""

from __future__ import annotations

import csv
import io
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from experiments.harness.judge.verdict import Verdict
from experiments.harness.results.result import RESULT_NAME, FidelityWord, Result, ResultError, Timing, write_atomically

TIMINGS_NAME = "timings.csv"


@dataclass(frozen=True)
class Latest:
    """The latest verdict on a claim, and its run."""

    verdict: Verdict
    experiment: str
    started: str
    fidelity: FidelityWord
    folder: Path


def new_folder(results: Path, experiment: str, now: datetime | None = None) -> Path:
    """Make and return a folder for one run; two runs at the same moment get two folders."""
    moment = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    while True:
        folder = results / experiment / f"{moment}-{secrets.token_hex(3)}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder


def read_results(results: Path) -> Iterator[tuple[Path, Result]]:
    """Yield (folder, result) for every complete result, newest last; folders without one are skipped."""
    entries: list[tuple[str, str, Path, Result]] = []
    for path in results.glob(f"*/*/{RESULT_NAME}"):
        try:
            result = Result.load(path.parent)
        except (OSError, ResultError):
            # Incomplete after a kill, or a foreign file: skip it.
            continue
        entries.append((result.started, path.parent.name, path.parent, result))
    for _, _, folder, result in sorted(entries, key=lambda entry: entry[:2]):
        yield folder, result


def find_latest(results: Path) -> dict[str, Latest]:
    """Return the latest verdict on every claim in the runs under `results`."""
    return {
        verdict.id: Latest(verdict, result.experiment, result.started, result.fidelity.verdict, folder)
        for folder, result in read_results(results)
        for verdict in result.claims
    }


def write_timings(folder: Path, timings: Mapping[str, Sequence[Timing]]) -> Path:
    """Write timings.csv: one row per sample, with its comparison's name, total and terms in seconds.

    In real time the last columns are: whether the machine disturbed the sample beyond the bound, the total of the
    counted disturbance (its terms are no more than the sample's slack over theory), and the latest frame with its wire.
    """
    every = [sample for samples in timings.values() for sample in samples]
    terms = list(dict.fromkeys(term for timing in every for term in timing.terms))
    real = any(timing.disturbance is not None for timing in every)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    header = ["name", "sample", "total_s", *(f"{term}_s" for term in terms)]
    writer.writerow([*header, "disturbed", "counted_s", "latest_frame_s", "wire"] if real else header)
    for name, samples in timings.items():
        for number, timing in enumerate(samples, start=1):
            cells = [f"{timing.terms[term]:.9f}" if term in timing.terms else "" for term in terms]
            row = [name, number, f"{timing.total_s:.9f}", *cells]
            writer.writerow([*row, *_disturbed_cells(timing)] if real else row)
    return write_atomically(folder / TIMINGS_NAME, text.getvalue())


def _disturbed_cells(timing: Timing) -> list[str]:
    if timing.disturbance is None:
        return ["", "", "", ""]
    counted_s = sum(timing.disturbance.terms().values())
    return [
        "yes" if timing.disturbed else "no",
        f"{counted_s:.9f}",
        f"{timing.disturbance.late_frame_s:.9f}",
        timing.disturbance.wire,
    ]
