"""Executors for a sweep's runs: `local` on this machine, `dask` on the workers of a Dask scheduler (dask.distributed).

An engine is an executor (concurrent.futures) with the number of tasks that it executes concurrently. The Dask engine
takes the scheduler's address, or starts a local cluster with one process per worker. If a worker dies, the Dask
scheduler runs the worker's task again on another worker.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab7.experiments.export.tables import ExtraMissingError
from lab7.experiments.harness.clock import ClockWord
from lab7.experiments.sweep.cell_run import Reasons, Task, run_task
from lab7.services.packages import how_to_install
from lab7.topologies.emulation.errors import EmulationError

CONNECT_TIMEOUT = "10s"
# Number of tasks submitted per thread of Dask's workers, so that no thread is idle between two tasks.
TASKS_A_THREAD = 2
# A task of a local cluster counts as failed after this number of its workers have died.
DEATHS_MAX = 3


@dataclass
class Engine:
    """Executor of a sweep's runs: `submit` submits one task (a run as JSON data), and returns a Future of its outcome.

    `width` returns the number of tasks that run concurrently.
    """

    name: str
    submit: Callable[[Task], Future[dict[str, Any]]]
    width: Callable[[], int]
    reasons: Reasons = field(default_factory=list)

    def stop(self, why: str) -> None:
        """Stop the running tasks of this process; each returns an error."""
        self.reasons.append(why)


@contextmanager
def local_engine(clock: ClockWord, jobs: int, folder: Path) -> Iterator[Engine]:
    """Yield the engine of this machine, with up to `jobs` concurrent runs in virtual time, and one in real time."""
    width, reasons = jobs if clock == "virtual" else 1, list[str]()
    with ThreadPoolExecutor(width, "cell") as pool:
        engine = Engine("local", lambda task: pool.submit(run_task, task, str(folder), reasons), lambda: width, reasons)
        try:
            yield engine
        except BaseException as error:
            engine.stop(str(error) or type(error).__name__)
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def dask_engine(clock: ClockWord, scheduler: str | None, workers: int) -> Iterator[Engine]:
    """Yield the engine of the Dask scheduler at the address `scheduler`; None: of a new local cluster.

    `workers`: number of workers of a local cluster. Raises ExtraMissingError if dask.distributed is not installed,
    EmulationError if the scheduler does not answer.
    """
    distributed = _import_distributed()
    with ExitStack() as stack:
        address = scheduler or stack.enter_context(_local_cluster(distributed, clock, workers)).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False))
        except (OSError, ValueError) as error:
            raise EmulationError(
                f"no Dask scheduler answers at {address}: start one by `dask scheduler`, and workers by "
                "`dask worker ADDRESS` on each machine"
            ) from error
        executor = client.get_executor(pure=False)
        try:
            yield Engine("dask", lambda task: executor.submit(run_on_worker, task), lambda: _width(client, address))
        finally:
            executor.shutdown(wait=False)


def run_on_worker(task: Task) -> dict[str, Any]:
    """Run a task in a Dask worker; its files are in the worker's own folder, which Dask removes."""
    worker = importlib.import_module("distributed").get_worker()
    return run_task(task, worker.local_directory)


def _width(client: Any, address: str) -> int:
    """Return the number of tasks that the Dask workers can hold, running or waiting. Raises EmulationError."""
    try:
        threads: dict[str, int] = client.nthreads()
    except (OSError, ValueError, RuntimeError) as error:
        raise EmulationError(
            f"the Dask scheduler at {address} no longer answers: start it again, and continue by the same command"
        ) from error
    return max(1, TASKS_A_THREAD * sum(threads.values()))


def _local_cluster(distributed: Any, clock: ClockWord, workers: int) -> Any:
    """Return a local Dask cluster of worker processes, each of which runs one task at a time."""
    importlib.import_module("dask").config.set({"distributed.scheduler.allowed-failures": DEATHS_MAX})
    return distributed.LocalCluster(
        n_workers=workers if clock == "virtual" else 1,
        threads_per_worker=1,
        processes=True,
        # A free port of the loopback interface, since two clusters on one machine cannot share the default.
        dashboard_address="127.0.0.1:0",
        host="127.0.0.1",
        silence_logs=logging.CRITICAL,
    )


def _import_distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ExtraMissingError(f"the engine dask needs dask.distributed: {how_to_install('distributed')}") from error
