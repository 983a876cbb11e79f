"""Runner of one experiment, which writes the result folder: result.json, timings.csv, report.html, captures."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from lab7.experiments.harness import clock
from lab7.experiments.harness.capture.shortening import shorten
from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.experiment import Experiment, Outcome, Run
from lab7.experiments.harness.faults import Faults
from lab7.experiments.harness.fidelity.certificate import certificate, undisturbed_check, without_standstill
from lab7.experiments.harness.implementations.registry import Implementation
from lab7.experiments.harness.parameters import written
from lab7.experiments.harness.report.page import REPORT_NAME, write_report
from lab7.experiments.harness.results.deviations import (
    ended_early,
    explained,
    find_violations,
    is_checked,
    program_outputs,
)
from lab7.experiments.harness.results.incomplete import complete, make_folder, salvage_captures, unfinished, writing
from lab7.experiments.harness.results.network_record import recorded
from lab7.experiments.harness.results.partial import begin_step, recording
from lab7.experiments.harness.results.result import (
    TIMINGS_NAME,
    Environment,
    Files,
    MessageViolation,
    Result,
    Timing,
    write_timings,
)
from lab7.topologies.emulation.errors import EmulationError, MachineError, ProgramError, TopologyError
from lab7.topologies.emulation.testbed import choose_backend
from lab7.topologies.emulation.watch import ServerDied


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
    faults: Faults,
    full: bool,
    step: Callable[[str, float], None],
    attempt: int = 1,
    folder: Path | None = None,
    started: datetime | None = None,
    command: str = "",
    report: bool = True,
) -> tuple[Path, Result]:
    """Run an experiment with `given` parameters; return (result folder, result).

    `step`: function that receives the progress as (text, share from 0 to 1). `attempt`: counts the runs of one
    experiment in one command (see reruns). `folder` and `started`: a result folder made by the caller, and the start of
    the run. `command`: the command line, for the result. `report`: True to write the report. Raises ParameterError,
    EmulationError, LabDied.
    """
    parameters = experiment.read_parameters(given, full)
    started, began_s = started or datetime.now(UTC), time.monotonic()
    folder = folder or make_folder(results, experiment.name, started)
    count = experiment.repeat if repeat is None else repeat

    def noted(what: str, share: float) -> None:
        begin_step(what)
        step(what, share)

    context = Run(parameters, seed, count, links, sandboxed, folder, noted, replacements, faults)
    with unfinished(folder), recording(folder), recorded() as networks:
        outcome = _run(experiment, context)
    claims, violations = outcome.claims, tuple[MessageViolation, ...]()
    if is_checked(context) and not experiment.judges_messages:
        step("checking the messages", 0.95)
        claims, violations = explained(claims, find_violations(folder))
    left_out = _shortened(experiment, folder)
    result = Result(
        experiment=experiment.name,
        question=experiment.question,
        parameters=_stored(parameters, count),
        seed=seed,
        started=started.isoformat(timespec="seconds"),
        duration_s=round(time.monotonic() - began_s, 3),
        implementations=outcome.implementations,
        claims=without_standstill(claims, outcome.fidelity.checks),
        comparisons=outcome.comparisons,
        fidelity=certificate([*outcome.fidelity.checks, *undisturbed_check(outcome.comparisons)]),
        files=Files(
            outcome.capture,
            TIMINGS_NAME,
            REPORT_NAME if report else None,
            _sha256(folder, outcome.capture),
            program_outputs(folder),
            left_out,
        ),
        attempt=attempt,
        clock=clock.current(),
        faults=faults,
        violations=violations,
        replaced={role: one.describe() for role, one in replacements.items()},
        environment=_environment(links, command),
        network=networks.description,
        parameter_texts=_texts(experiment, parameters),
    )
    step("writing the report" if report else "writing the result", 0.97)
    with writing(folder):
        write_timings(folder, _beside(outcome))
        if report:
            own = {one.id: one for one in experiment.own_claims}
            write_report(folder, result, {**load_claims(), **own}, outcome.plot)
        # Write result.json last, since a folder with result.json counts as complete.
        result.save(folder)
        complete(folder)
    return folder, result


def _environment(links: str, command: str) -> Environment:
    version = ""
    # Without an installation, as on PYTHONPATH alone, there is no version.
    with suppress(PackageNotFoundError):
        version = metadata.version("lab7")
    host = os.uname()
    return Environment(version, f"{host.sysname} {host.release} {host.machine}", choose_backend(links), command)


def _run(experiment: Experiment, context: Run) -> Outcome:
    """Run an experiment and return its outcome.

    If a user's program fails after packets were captured, the outcome is that of a run that ended early.
    """
    try:
        return experiment.run(context)
    except (MachineError, ProgramError, TopologyError):
        raise
    except EmulationError as error:
        if not _has_packets(context):
            raise
        return ended_early(experiment, context, str(error))
    except ServerDied as death:
        own = [one.program for one in context.replacements.values() if one.own]
        if not any(program in str(death) for program in own) or not _has_packets(context):
            raise
        return ended_early(experiment, context, str(death))


def _has_packets(context: Run) -> bool:
    """Return True if the run's captures contain packets whose messages are to be checked."""
    salvage_captures(context.folder)
    return is_checked(context) and any(context.folder.glob("*.pcapng"))


def _shortened(experiment: Experiment, folder: Path) -> dict[str, str]:
    """Truncate the frames in the captures to the octets that the experiment keeps.

    Returns capture -> sentence about the truncation.
    """
    if experiment.kept_octets is None:
        return {}
    with writing(folder):
        found = {path.name: shorten(path, experiment.kept_octets) for path in sorted(folder.glob("*.pcapng"))}
    return {name: one.sentence for name, one in found.items() if one is not None}


def _sha256(folder: Path, name: str | None) -> str | None:
    if name is None:
        return None
    with (folder / name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored(parameters: Mapping[str, Any], repeat: int) -> dict[str, Any]:
    return {**parameters, "repeat": repeat}


def _texts(experiment: Experiment, parameters: Mapping[str, Any]) -> dict[str, str]:
    return {name: written(value, experiment.parameters[name].parse) for name, value in parameters.items()}


def _beside(outcome: Outcome) -> dict[str, list[Timing]]:
    """Return name of a measured time -> its samples.

    The delays by other load become separate terms of a sample if the time has a prediction.
    """
    theories = {one.name: one.theory_terms for one in outcome.comparisons}
    return {
        name: [one.beside(theories[name]) if name in theories else one for one in some]
        for name, some in outcome.timings.items()
    }
