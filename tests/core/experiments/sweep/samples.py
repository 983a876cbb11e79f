"""A sweep of a sample experiment, and an engine that answers from memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, NoReturn

from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.experiment import Experiment, Parameter, Run
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.parameters import choices, listed, seconds, whole
from lab7.experiments.harness.results.result import Check, Comparison, Fidelity, Result, Timing
from lab7.experiments.harness.theory.tcp import Theory
from lab7.experiments.sweep.cell import Cell, make_cells
from lab7.experiments.sweep.cell_run import Task
from lab7.experiments.sweep.definition import Definition, parse_definition
from lab7.experiments.sweep.engines import Engine
from lab7.experiments.sweep.sweep import Plan
from tests.core.experiments.harness.samples import sample_result

TEXT = """
experiment = "sample"
seeds = 3
[set]
rtt = ["20ms", "60ms"]
objects = 1
[replace]
origin = ["lab7", "nginx"]
"""


def never(_run: Run) -> NoReturn:
    raise AssertionError("a run was not asked for")


EXPERIMENT = Experiment(
    name="sample",
    question="How long?",
    claims=("H9",),
    parameters={
        "rtt": Parameter("50ms", seconds, "the round-trip time"),
        "objects": Parameter("3", whole(1, 9), "the number of objects"),
        "which": Parameter("all", choices(("a", "b")), "some of them"),
        "rates": Parameter("1", listed(whole(1, 9)), "the rates"),
    },
    run=never,
    roles=("origin",),
)
VIRTUAL = Clock("virtual", "6.1", "abc")


def plan(text: str = TEXT, clock: Clock = VIRTUAL) -> Plan:
    definition = parse_definition(text)
    return Plan(definition, EXPERIMENT, clock, tuple(cells(definition, clock)))


def cells(
    definition: Definition, clock: Clock = VIRTUAL, version: str = "1", digests: Mapping[str, str] | None = None
) -> list[Cell]:
    return make_cells(definition, EXPERIMENT, clock, version, digests or {})


def result_of(task: Task, fidelity: str = "valid", **changes: Any) -> Result:
    """A result whose time is three round trips and the seed in ms."""
    rtt_s = seconds(task["given"]["rtt"])
    total_s = 3 * rtt_s + task["seed"] / 1e3
    timing = Timing(total_s, {"request": 3 * rtt_s, "residual": task["seed"] / 1e3})
    theory = Theory(3 * rtt_s, {"request": 3 * rtt_s}, "3 RTT", "a book")
    check = Check("RTT", "20 ms", "31 ms", "suspect" if fidelity == "suspect" else "valid")
    return dataclasses.replace(
        sample_result(),
        experiment="sample",
        seed=task["seed"],
        clock=Clock(**task["clock"]),
        comparisons=(Comparison.of("page", [timing], theory, 0.1),),
        claims=(Verdict("H9", "shown", "Seen.", (1,)),),
        fidelity=Fidelity(check.verdict, (check,)),
        **changes,
    )


class MemoryEngine:
    """An engine whose tasks end at once with the outcome of a function; `tasks` are those that it was given."""

    def __init__(self, outcome: Callable[[Task, int], dict[str, Any] | BaseException], width: int = 2) -> None:
        self.tasks: list[Task] = []
        self._outcome = outcome
        self.engine = Engine("memory", self._submit, lambda: width)

    def _submit(self, task: Task) -> Future[dict[str, Any]]:
        self.tasks.append(task)
        future: Future[dict[str, Any]] = Future()
        outcome = self._outcome(task, self.tasks.count(task))
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
        return future
