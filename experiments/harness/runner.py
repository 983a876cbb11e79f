"""Run one experiment into a result folder: measure, judge, write result.json, timings.csv and report.html."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.harness import clock
from experiments.harness.claims import load_claims
from experiments.harness.experiment import Experiment, Run
from experiments.harness.implementations.registry import Implementation
from experiments.harness.report import write_report
from experiments.harness.result import Files, Result
from experiments.harness.result_folder import TIMINGS_NAME, new_folder, write_timings
from topologies.emulation.errors import EmulationError

REPORT_NAME = "report.html"


def run_experiment(
    experiment: Experiment,
    given: Mapping[str, str],
    *,
    results: Path,
    seed: int,
    repeat: int | None,
    links: str,
    sandboxed: bool,
    replacements: Mapping[str, Implementation],
    full: bool,
    step: Callable[[str, float], None],
    attempt: int = 1,
    folder: Path | None = None,
    started: datetime | None = None,
) -> tuple[Path, Result]:
    """Run an experiment with `given` parameters; returns its folder and its result.

    `step` is told what is being done and which share of all is done; `attempt` counts the runs of one command (see
    reruns). `folder` and `started`: where they are made elsewhere. Raises ParameterError, EmulationError.
    """
    parameters = experiment.read_parameters(given, full)
    started, began_s = started or datetime.now(UTC), time.monotonic()
    folder = folder or _folder(results, experiment.name, started)
    count = experiment.repeat if repeat is None else repeat
    try:
        outcome = experiment.run(Run(parameters, seed, count, links, sandboxed, folder, step, replacements))
    except BaseException:
        # What was captured before it failed is kept; an empty folder would only be in the way.
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise
    write_timings(folder, outcome.timings)
    result = Result(
        experiment=experiment.name,
        question=experiment.question,
        parameters=_stored(parameters, count),
        seed=seed,
        started=started.isoformat(timespec="seconds"),
        duration_s=round(time.monotonic() - began_s, 3),
        implementations=outcome.implementations,
        claims=outcome.claims,
        comparisons=outcome.comparisons,
        fidelity=outcome.fidelity,
        files=Files(capture=outcome.capture, timings=TIMINGS_NAME, report=REPORT_NAME),
        attempt=attempt,
        clock=clock.current(),
    )
    step("writing the report", 0.97)
    write_report(folder, result, {**load_claims(), **{one.id: one for one in experiment.own_claims}}, outcome.plot)
    # Last, because a folder with a result.json is a whole one.
    result.save(folder)
    return folder, result


def _folder(results: Path, name: str, started: datetime) -> Path:
    """A new folder for this run. Raises EmulationError where none can be made."""
    try:
        return new_folder(results, name, started)
    except OSError as error:
        raise EmulationError(
            f"no results can be kept in {results} ({error.strerror}): name a folder by --results"
        ) from error


def _stored(parameters: Mapping[str, Any], repeat: int) -> dict[str, Any]:
    return {**parameters, "repeat": repeat}
