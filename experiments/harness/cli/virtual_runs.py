"""Parallel runs of experiments in virtual time: each run has a user-mode Linux kernel, whose clock skips idle time.

Results are reported in the order of the command line, whichever run ends first.
"""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab7.experiments.harness.cli import common
from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.results.incomplete import kept_files
from lab7.experiments.harness.results.repeatability import first_difference, sentence
from lab7.experiments.harness.results.result import Result
from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime
from lab7.topologies.emulation.watch import Stopped

# Experiment to run, and the JSON request for the process in the user-mode kernel.
Wanted = tuple[Experiment, Mapping[str, Any]]
Found = tuple[Path, Result]
# Suffix of the result folder of a second run (--twice) that differs from the first.
SECOND = "-second"


@dataclass(frozen=True)
class Callbacks:
    """Functions that are called with each finished run (folder, result), and with the result of each comparison.

    Two runs of an experiment are compared if the command line has --twice.
    """

    result: Callable[[Found], None]
    comparison: Callable[[str], None]


@dataclass
class ParallelRuns:
    """Result of parallel runs: (folder, result) of each run, and the number of runs that differed when repeated."""

    found: list[Found] = field(default_factory=list)
    different: int = 0


def run_in_parallel(
    virtual: VirtualTime, wanted: Sequence[Wanted], results: Path, jobs: int, callbacks: Callbacks, twice: bool = False
) -> ParallelRuns:
    """Run experiments in virtual time, at most `jobs` at a time. Raises EmulationError.

    With `twice`, each runs a second time, and both results are compared.
    """
    done = ParallelRuns()
    with (
        _scratch(results, twice) as seconds,
        common.Bars(announced=len(wanted) > 1) as bars,
        ThreadPoolExecutor(jobs) as pool,
    ):

        def run(request_of_experiment: Wanted, place: Path) -> Found:
            experiment, request = request_of_experiment
            with bars.bar(experiment.name) as step:
                folder = virtual.run(place, experiment.name, {"kind": "run", **request}, step)
            return folder, Result.load(folder)

        places = [results, *seconds]
        running: dict[tuple[int, Path], Future[Found]] = {}
        # Start the longest experiments first, so that no long one runs alone at the end.
        for number, job in sorted(enumerate(wanted), key=lambda numbered: -numbered[1][0].cost):
            running |= {(number, place): pool.submit(run, job, place) for place in places}
        try:
            for number, (_experiment, request) in enumerate(wanted):
                done.found.append(running[number, results].result())
                with bars.away():
                    callbacks.result(done.found[-1])
                if twice:
                    second = running[number, places[1]].result()
                    with bars.away():
                        done.different += _compare(done.found[-1], second, request, callbacks)
        except BaseException as error:
            end = Stopped(signal.SIGINT) if isinstance(error, KeyboardInterrupt) else error
            virtual.stop(str(end) if isinstance(end, Stopped) else "another run of the command failed")
            pool.shutdown(cancel_futures=True)
            if isinstance(end, Stopped):
                kept = [folder for folder in virtual.kept if Path(folder).parent.parent == results]
                raise (
                    end.kept_in(" and ".join(kept_files(Path(folder)) for folder in kept)) if kept else end
                ) from None
            raise
    return done


@contextmanager
def _scratch(results: Path, twice: bool) -> Iterator[list[Path]]:
    """Yield a list with a temporary folder for the second runs; an empty list if `twice` is False."""
    if not twice:
        yield []
        return
    results.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".second-", dir=results) as folder:
        yield [Path(folder)]


def _compare(first: Found, second: Found, request: Mapping[str, Any], callbacks: Callbacks) -> bool:
    """Compare the result folders of two runs and report the outcome; return True if they differ.

    On a difference, the second folder is kept.
    """
    difference = first_difference(first[0], second[0])
    sentence_text = sentence(first[1], difference, [text.partition("=")[0] for text in request["replace"]])
    if difference is not None:
        kept = first[0].with_name(first[0].name + SECOND)
        shutil.copytree(second[0], kept)
        sentence_text += f"; the second run: {kept}"
    callbacks.comparison(sentence_text)
    return difference is not None
