"""Execution of a parameter sweep: all cells (runs) without a final result, and the rows of the sweep's table.

Each finished cell is stored at once, so that Ctrl-C, SIGKILL or a crash of the machine loses only the running cells.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.discovery import UnknownNameError, find_experiments
from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.implementations.registry import parse_replacement
from lab7.experiments.harness.results.result import Result
from lab7.experiments.sweep.backlog import Backlog, is_settled
from lab7.experiments.sweep.cell import Cell, make_cells, shuffled
from lab7.experiments.sweep.cell_run import lab7_version, task_of
from lab7.experiments.sweep.definition import Definition
from lab7.experiments.sweep.engines import Engine
from lab7.experiments.sweep.store import Store
from lab7.experiments.sweep.table import TableRun
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.user_module import is_user_file

WAIT_S = 0.5
# A sweep ends after FAILURES_MAX consecutive runs without a result, since all cells then fail for the same cause.
FAILURES_MAX = 5
Failures = dict[str, str]


@dataclass(frozen=True)
class Plan:
    """Plan of a sweep, parsed and checked: definition, experiment, clock, and cells (runs) in the order of the grid."""

    definition: Definition
    experiment: Experiment
    clock: Clock
    cells: tuple[Cell, ...]


@dataclass
class Progress:
    """Progress of a sweep: number of cells (runs), names of the cells with a final result, and errors.

    `failures`: cell name -> error message, for the cells whose last run failed.
    """

    total: int
    settled: set[str] = field(default_factory=set)
    failures: Failures = field(default_factory=dict)


@dataclass(frozen=True)
class Callbacks:
    """Functions to call at each change of the progress, and with each sentence about a cell's rerun or failure."""

    progress: Callable[[Progress], None]
    sentence: Callable[[str], None]


def make_plan(definition: Definition, clock: Clock) -> Plan:
    """Check a definition against its experiment, and return the plan of the sweep.

    Raises DefinitionError, UnknownNameError, ParameterError, ReplacementError, EmulationError.
    """
    found = find_experiments((definition.experiment,))
    if len(found) > 1:
        raise UnknownNameError(
            f"{definition.experiment!r} is the start of several names: "
            f"give one of {', '.join(one.name for one in found)}"
        )
    experiment = found[0]
    for role, programs in definition.roles.items():
        for what in programs:
            replacement = parse_replacement(f"{role}={what}", experiment.roles)[1]
            if replacement is not None:
                replacement.require()
    cells = make_cells(definition, experiment, clock, lab7_version(), _digests(definition))
    return Plan(definition, experiment, clock, tuple(cells))


def _digests(definition: Definition) -> dict[str, str]:
    """Return file name as written -> SHA-256 of the file.

    The files are the experiment's file, if it is a user's, and the files in the command lines of replacements.
    """
    names = [definition.experiment] if is_user_file(definition.experiment) else []
    names += [word for programs in definition.roles.values() for what in programs for word in shlex.split(what)[1:]]
    return {name: hashlib.sha256(Path(name).read_bytes()).hexdigest() for name in names if Path(name).is_file()}


def run_sweep(plan: Plan, store: Store, engine: Engine, callbacks: Callbacks) -> Progress:
    """Run the cells of a sweep that have no final result, in random order; return the progress.

    Raises EmulationError.
    """
    definition, word = plan.definition, plan.clock.word
    progress, attempts = Progress(len(plan.cells)), dict[str, int]()
    for cell in plan.cells:
        stored = store.load(cell)
        if stored is not None:
            attempts[cell.name] = stored.attempt
            if is_settled(stored.result.fidelity.verdict, stored.attempt, definition.again, word):
                progress.settled.add(cell.name)
    callbacks.progress(progress)
    wanted = [cell for cell in plan.cells if cell.name not in progress.settled]
    backlog = Backlog(shuffled(wanted, definition.order_seed), definition.again, word, attempts)
    _run(backlog, plan, store, engine, progress, callbacks)
    return progress


def _run(backlog: Backlog, plan: Plan, store: Store, engine: Engine, progress: Progress, callbacks: Callbacks) -> None:
    running: dict[Future[dict[str, Any]], Cell] = {}
    in_a_row = 0
    while len(backlog) or running:
        width = engine.width()
        while len(running) < width and (cell := backlog.take()) is not None:
            running[engine.submit(task_of(cell, plan.definition))] = cell
        # Wait with a time limit, so that the handlers of signals run and a new worker gets cells.
        for future in wait(running, WAIT_S, FIRST_COMPLETED).done:
            cell = running.pop(future)
            error = _settle(cell, _outcome(future), backlog, store, progress, callbacks)
            in_a_row = in_a_row + 1 if error else 0
            if in_a_row >= FAILURES_MAX:
                raise EmulationError(f"{in_a_row} runs in a row gave no result, the last one: {error}")


def _outcome(future: Future[dict[str, Any]]) -> dict[str, Any]:
    """Return the outcome of a task; an exception of the executor, such as a dead worker, becomes an error outcome."""
    try:
        return future.result()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}".replace("\n", " ")}


def _settle(
    cell: Cell,
    outcome: dict[str, Any],
    backlog: Backlog,
    store: Store,
    progress: Progress,
    callbacks: Callbacks,
) -> str | None:
    """Store the outcome of a cell's run, and queue the cell again if a rerun is due; return the error message.

    Returns None if the run has not failed.
    """
    error = outcome.get("error")
    if error is None:
        result = Result.from_json(outcome["result"])
        valid, why = result.fidelity.verdict == "valid", _suspicion(result)
        store.save(cell, outcome["result"], backlog.attempt(cell) + 1)
        progress.failures.pop(cell.name, None)
    else:
        valid, why = False, error
        progress.failures[cell.name] = error
    if backlog.settle(cell, valid=valid, failed=error is not None):
        if error is None:
            progress.settled.add(cell.name)
        else:
            callbacks.sentence(f"{cell.point.label} has no result: {why}")
    else:
        callbacks.sentence(f"{cell.point.label} is run again: {why}")
    callbacks.progress(progress)
    return error


def _suspicion(result: Result) -> str:
    return "; ".join(f"{check.name} {check.measured}" for check in result.fidelity.checks if check.verdict != "valid")


def table_runs(plan: Plan, store: Store) -> Iterable[TableRun]:
    """Yield the stored runs of a sweep in the order of the grid."""
    for cell in plan.cells:
        stored = store.load(cell)
        if stored is not None:
            values = {name: cell.values[name] for name in cell.point.given}
            yield TableRun(cell.name, values, cell.point.replace, stored.result, stored.attempt)
