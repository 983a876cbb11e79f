"""Boot the kernel, wait for its jobs, end it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.judge.frames import CaptureFile, read_capture
from tests.kernel.jobs import JOBS

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = "linux.uml"
MEMORY = "1G"
# From the start to the first line of process 1, on a busy machine; a job then has its own time-out.
BOOT_TIMEOUT_S = 60.0
POLL_S = 0.1
END_TIMEOUT_S = 10.0
# When the kernel ends by itself, should nobody be there to end it.
LIMIT_S = BOOT_TIMEOUT_S + sum(job.timeout_s for job in JOBS)


@dataclass(frozen=True)
class Ended:
    """How a job ended, and what it wrote."""

    code: int
    took_s: float
    stdout: str
    stderr: str

    def json(self) -> Any:
        """What it wrote, read as JSON; an AssertionError shows what came instead."""
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"no JSON but {self.stdout!r}, {self.stderr!r}") from None


class Kernel:
    """A running kernel, which does the jobs in their order; a context manager."""

    def __init__(self, findings: Path) -> None:
        self.findings = findings
        self._console = findings / "console.log"

    def __enter__(self) -> Kernel:
        handed_on = {
            "REPOSITORY": REPOSITORY,
            "FINDINGS": self.findings,
            "PYTHON": sys.executable,
            "LIMIT_S": f"{LIMIT_S:g}",
        }
        words = [
            f"mem={MEMORY}",
            "root=none rootfstype=hostfs rootflags=/ ro quiet con=null con0=null,fd:1",
            f"init={REPOSITORY}/tests/kernel/init.sh",
            f"uml_dir={self.findings}/uml",
            *(f"{name}={value}" for name, value in handed_on.items()),
        ]
        with open(self._console, "wb") as console:
            self._process = subprocess.Popen(
                # When this process dies, however it dies, so does the kernel.
                ["setpriv", "--pdeathsig", "KILL", PROGRAM, *" ".join(words).split(" ")],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            # It ends by itself when all jobs are done.
            self._process.wait(END_TIMEOUT_S if self._ended(JOBS[-1].name) else 0)
        # Its programs are processes of this machine, in one group with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        shutil.rmtree(self.findings / "uml", ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the kernel, and of its process group."""
        return self._process.pid

    def job(self, name: str) -> Ended:
        """How a job ended, when it has. An AssertionError when it or the kernel did not get that far."""
        deadline_s = time.monotonic() + LIMIT_S
        while not self._ended(name):
            assert self._process.poll() is None, f"the kernel ended before the job {name}: {self.said()}"
            assert time.monotonic() < deadline_s, f"no end of the job {name}: {self.said()}"
            # There is no event for "a file is there" on all file systems: a poll with a bound.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_S)
        how = json.loads((self.findings / f"{name}.json").read_text())
        wrote = [(self.findings / f"{name}.{stream}").read_text(errors="replace") for stream in ("stdout", "stderr")]
        return Ended(how["code"], how["took_s"], *wrote)

    def capture(self, name: str) -> CaptureFile:
        """A capture among the findings."""
        return read_capture(self.findings / name)

    def said(self) -> str:
        """The last lines of the console."""
        return " | ".join(self._console.read_text(errors="replace").splitlines()[-5:])

    def _ended(self, name: str) -> bool:
        return (self.findings / f"{name}.json").exists()
