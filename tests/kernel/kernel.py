"""Boot the kernels, wait for their jobs, end them.

It is the kernel of virtual time, here with the host's clock: links are compared with wires, which have no other.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.topologies.emulation.virtual import kernel as kernels
from lab7.topologies.emulation.virtual.job import Job
from lab7.topologies.emulation.virtual.machine import Machine, OverdueError
from tests.kernel.jobs import KERNELS
from tests.kernel.jobs import Job as LaneJob

REPOSITORY = Path(__file__).resolve().parents[2]
NICE = -10
# From the start to the first line of process 1, on a busy machine; a job then has its own time-out.
BOOT_TIMEOUT_S = 60.0
POLL_S = 0.1
END_TIMEOUT_S = 10.0


def _first() -> list[str]:
    """The command before the kernel's: it measures times, so it comes before what else runs on this machine, where this
    user may ask for that."""
    return ["nice", "-n", str(NICE)] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Ended:
    """How a job ended, and what it wrote."""

    code: int
    took_s: float
    stdout: str
    stderr: str
    findings: Path

    def capture(self, name: str) -> CaptureFile:
        """A capture that it left."""
        return read_capture(self.findings / name)

    def json(self) -> Any:
        """What it wrote, read as JSON; an AssertionError shows what came instead."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no JSON but {self.stdout!r}, {self.stderr!r}") from None


class Kernel:
    """A running kernel, which does these jobs in their order; a context manager."""

    def __init__(self, findings: Path, jobs: Sequence[LaneJob]) -> None:
        self.findings = findings
        self.jobs = jobs
        # When it ends by itself, should nobody be there to end it.
        self._limit_s = BOOT_TIMEOUT_S + sum(job.timeout_s for job in jobs)

    def __enter__(self) -> Kernel:
        names = ",".join(job.name for job in self.jobs)
        words = (sys.executable, "-m", "tests.kernel.guest", str(self.findings), names)
        folders = {str(self.findings): str(self.findings)}
        # Stock Mininet's popen(shell=True) raises KeyError where no login has set SHELL (a build server, a cron job).
        environment = {"SHELL": "/bin/sh", **os.environ}
        job = Job(words, environment, str(REPOSITORY), folders, self._limit_s, virtual=False)
        self._machine = Machine(kernels.require(), job, first=_first())
        self._machine.__enter__()
        # Where sessions share the processor among them (sched(7), autogroup), niceness counts within one only.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._machine.pid}/autogroup").write_text(str(NICE))
        return self

    def __exit__(self, *_error: object) -> None:
        if self._ended(self.jobs[-1].name):
            # It ends by itself when all jobs are done.
            with contextlib.suppress(OverdueError):
                self._machine.wait(self._machine.real_s() + END_TIMEOUT_S)
        self._machine.__exit__(None, None, None)

    def job(self, name: str) -> Ended:
        """How a job ended, when it has. An AssertionError when it or the kernel did not get that far."""
        deadline_s = time.monotonic() + self._limit_s
        while not self._ended(name):
            assert self._machine.poll() is None or self._ended(name), f"the kernel ended before the job {name}"
            assert time.monotonic() < deadline_s, f"no end of the job {name}: {self.said()}"
            # There is no event for "a file is there" on all file systems: a poll with a bound.
            time.sleep(POLL_S)
        how = json.loads((self.findings / f"{name}.json").read_text())
        wrote = [(self.findings / f"{name}.{stream}").read_text(errors="replace") for stream in ("stdout", "stderr")]
        return Ended(how["code"], how["took_s"], wrote[0], wrote[1], self.findings)

    def console(self) -> list[str]:
        """What the kernel and its first process said so far."""
        return self._machine.console()

    def said(self) -> str:
        """The last lines of the console."""
        return " | ".join(self.console()[-5:])

    def _ended(self, name: str) -> bool:
        return (self.findings / f"{name}.json").exists()


class Lane:
    """The kernels side by side; a context manager."""

    def __init__(self, findings: Path) -> None:
        self.kernels = [Kernel(findings / f"kernel{number}", jobs) for number, jobs in enumerate(KERNELS, start=1)]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Lane:
        with contextlib.ExitStack() as stack:
            for kernel in self.kernels:
                kernel.findings.mkdir()
                stack.enter_context(kernel)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def job(self, name: str) -> Ended:
        """See Kernel."""
        return next(kernel for kernel in self.kernels if name in {job.name for job in kernel.jobs}).job(name)
