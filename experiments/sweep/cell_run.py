"""Execution of one cell (run) of a sweep, in any process of any machine.

In virtual time the cell runs in a user-mode Linux kernel, whose clock skips idle time; in real time by `lab7 run`. A
task is the request to run a cell, as JSON data (experiment, parameters, seed, ...), which a Dask scheduler can pass to
another machine. The outcome is `{"result": ...}` as in result.json, or `{"error": sentence}`. In real time a machine
runs one cell at a time, by a lock of the whole machine (flock(2)). `lab7 run` inherits the lock: if this process dies,
the next cell still waits for that run to end.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.results.result import Result, ResultError
from lab7.experiments.sweep.cell import Cell
from lab7.experiments.sweep.definition import Definition
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.virtual import kernel

Task = dict[str, Any]
# Reasons for stopping all runs of this process; empty while they may continue.
Reasons = list[str]
MACHINE_LOCK = Path("/tmp/lab7-real-time.lock")
POLL_S = 0.2
# Time in s that a run in real time has to take its network down after SIGTERM.
STOP_S = 20.0


def lab7_version() -> str:
    """Return the version of the installed lab7."""
    return metadata.version("lab7")


def task_of(cell: Cell, definition: Definition) -> Task:
    """Return the request to run a cell of a sweep (a task), as JSON data for run_task in another process."""
    return {
        "experiment": definition.experiment,
        "given": dict(cell.point.given),
        "replace": [f"{role}={what}" for role, what in cell.point.replace.items()],
        "seed": cell.point.seed,
        "repeat": definition.repeat,
        "full": definition.full,
        "links": definition.links,
        "clock": dict(cell.depends["clock"]),
        "lab7": cell.depends["lab7"],
    }


def run_task(task: Task, folder: str | None = None, reasons: Reasons | None = None) -> dict[str, Any]:
    """Run the cell that a task describes; return the outcome as JSON data, with the key `result` or `error`.

    `folder` is for the files of the run; None means a temporary folder.
    """
    if task["lab7"] != lab7_version():
        return {
            "error": f"this machine has lab7 {lab7_version()}, the sweep needs {task['lab7']}: install that version"
        }
    place = Path(tempfile.mkdtemp(prefix="lab7-cell-", dir=folder))
    try:
        clock = Clock(**task["clock"])
        if clock.word == "virtual":
            found = _run_virtual(task, clock, place, reasons)
        else:
            with machine_lock(reasons) as descriptor:
                found = _run_real(task, place, descriptor, reasons)
        return {"result": found.to_json()}
    except (EmulationError, ResultError, OSError) as error:
        return {"error": str(error) or type(error).__name__}
    finally:
        shutil.rmtree(place, ignore_errors=True)


@cache
def _compile_once() -> None:
    from lab7.experiments.harness.virtual_time.kernel_run import compile_packages

    compile_packages()


# A lock, because several threads of a process may start their first cell at the same time.
_compiling = threading.Lock()


def _run_virtual(task: Task, clock: Clock, place: Path, reasons: Reasons | None) -> Result:
    """Run a cell (run of a sweep) in a user-mode kernel, in virtual time. Raises EmulationError, ResultError."""
    from lab7.experiments.harness.virtual_time.kernel_run import QUIET_LIMIT_FULL_S, QUIET_LIMIT_S, VirtualTime

    built = kernel.require()
    virtual = VirtualTime(
        built,
        task["seed"],
        QUIET_LIMIT_FULL_S if task["full"] else QUIET_LIMIT_S,
        reasons=[] if reasons is None else reasons,
    )
    if virtual.clock != clock:
        raise EmulationError(
            f"this machine has the kernel of virtual time {built.version} ({built.recipe}), the sweep needs "
            f"{clock.kernel} ({clock.configuration}): build the same one by `lab7 doctor --fix`"
        )
    with _compiling:
        _compile_once()
    request = {name: task[name] for name in ("given", "repeat", "full", "replace")}
    # A cell's folder is removed, and with it a report, which takes as long as the rest of a short run.
    words = {"kind": "run", "name": task["experiment"], "fault": [], "report": False, **request}
    return Result.load(virtual.run(place, "run", words, lambda _what, _share: None))


def _run_real(task: Task, place: Path, descriptor: int, reasons: Reasons | None) -> Result:
    """Run a cell (run of a sweep) by `lab7 run`, a separate process, in real time.

    Raises EmulationError, ResultError.
    """
    errors = place / "errors"
    with open(errors, "wb") as stderr:
        process = subprocess.Popen(
            _real_words(task, place),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            pass_fds=(descriptor,),
            # In a new session the run gets no Ctrl-C from the terminal; this process ends the run itself.
            start_new_session=True,
        )
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_S)
                    break
                if reasons:
                    raise EmulationError(reasons[0])
        finally:
            _end(process)
    for path in place.glob("results/*/*/result.json"):
        return Result.load(path.parent)
    lines = errors.read_text(errors="replace").strip().splitlines()
    said = lines[-1].removeprefix("lab7: ").removeprefix("Error: ") if lines else f"exit status {process.returncode}"
    raise EmulationError(said)


def _real_words(task: Task, place: Path) -> Sequence[str]:
    words = ["run", task["experiment"], "--time", "real", "--again", "0", "--seed", str(task["seed"])]
    words += ["--links", task["links"], "--results", str(place / "results"), "--json"]
    words += [word for name, text in task["given"].items() for word in ("--set", f"{name}={text}")]
    words += [word for text in task["replace"] for word in ("--replace", text)]
    words += ["--repeat", str(task["repeat"])] if task["repeat"] is not None else []
    return module_command("lab7.experiments.harness.cli", *words, *(["--full"] if task["full"] else []))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process by SIGTERM; after STOP_S seconds, kill its session by SIGKILL."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def machine_lock(reasons: Reasons | None = None, path: Path = MACHINE_LOCK) -> Iterator[int]:
    """Hold the machine-wide lock for runs in real time during a `with` block; yield its descriptor.

    Raises EmulationError.
    """
    descriptor = _open_lock(path)
    try:
        pause = threading.Event()
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if reasons:
                    raise EmulationError(reasons[0]) from None
                pause.wait(POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _open_lock(path: Path) -> int:
    """Open the lock file read-only, so that all users of a machine can share the file; flock(2) permits this."""
    try:
        # Without O_CREAT: protected_regular (proc(5)) forbids that for another user's file in /tmp.
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with suppress(OSError):
            os.fchmod(descriptor, 0o644)
        return descriptor
