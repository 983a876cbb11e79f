"""Experiments in virtual time, side by side, each in a kernel of its own; results come in the order of the names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from experiments.harness.cli import common
from experiments.harness.experiment import Experiment
from experiments.harness.result import Result
from experiments.harness.virtual import VirtualTime

# An experiment, and what the kernel is told of it.
Wanted = tuple[Experiment, Mapping[str, Any]]
Found = tuple[Path, Result]


def run_side_by_side(
    virtual: VirtualTime, wanted: Sequence[Wanted], results: Path, jobs: int, told: Callable[[Result], None]
) -> list[Found]:
    """Run them, at most `jobs` at a time; `told` gets each result in its turn. Raises EmulationError."""
    found: list[Found] = []
    with common.Bars() as bars, ThreadPoolExecutor(jobs) as pool:

        def run(one: Wanted) -> Found:
            experiment, request = one
            with bars.bar(experiment.name) as step:
                folder = virtual.run(results, experiment.name, {"kind": "run", **request}, step)
            return folder, Result.load(folder)

        running = [pool.submit(run, one) for one in wanted]
        try:
            for each in running:
                found.append(each.result())
                with bars.away():
                    told(found[-1][1])
        except BaseException:
            virtual.stopped.set()
            pool.shutdown(cancel_futures=True)
            raise
    return found
