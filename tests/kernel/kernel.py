"""Boot the kernels, wait for their jobs, end them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.harness.judge.frames import CaptureFile, read_capture
from tests.kernel.jobs import KERNELS, Job

REPOSITORY = Path(__file__).resolve().parents[2]
PROGRAM = "linux.uml"
MEMORY = "1G"
NICE = "-10"
# From the start to the first line of process 1, on a busy machine; a job then has its own time-out.
BOOT_TIMEOUT_S = 60.0
# Enough for a first process on a machine with a load of ten; a kernel that has panicked spins and never ends.
TRIAL_TIMEOUT_S = 10.0
BOOTED, PANIC = "init: booted", "Kernel panic"
POLL_S = 0.1
END_TIMEOUT_S = 10.0


def _bound_to_us() -> list[str]:
    """The command before the kernel's. Its programs are processes of this machine; in a PID namespace of their own they
    end when the kernel does, and the kernel when this process does, however that dies. It measures times, so it comes
    before what else runs on this machine, where this user may ask for that."""
    first = ["nice", "-n", NICE] if os.geteuid() == 0 else []
    as_user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
    return [*first, "setpriv", "--pdeathsig", "KILL", "unshare", *as_user, "--pid", "--fork", "--kill-child=KILL"]


def cannot_boot(program: str = PROGRAM, timeout_s: float = TRIAL_TIMEOUT_S) -> str:
    """Why this kernel cannot start a process on this machine; empty if it can.

    User-mode Linux 6.1 saves the registers of a process in 2,696 octets. Where the processor's XSAVE area is larger
    (AMX, from Sapphire Rapids on), it panics at its first process and spins until it is killed.
    """
    with tempfile.TemporaryDirectory(prefix="lab7-trial-") as folder:
        words = [
            *("mem=64M", "root=none", "rootfstype=hostfs", "rootflags=/", "ro", "con=null", "con0=null,fd:1"),
            *(f"init={REPOSITORY}/tests/kernel/boot.sh", f"uml_dir={folder}"),
        ]
        with subprocess.Popen(
            [*_bound_to_us(), program, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            # The kernel's processes are in a PID namespace that ends with it: that ends the output, too.
            late = threading.Event()

            def give_up() -> None:
                late.set()
                process.kill()

            timer = threading.Timer(timeout_s, give_up)
            timer.start()
            assert process.stdout is not None
            last = ""
            try:
                for line in process.stdout:
                    last = line.decode(errors="replace").strip() or last
                    if BOOTED in last:
                        return ""
                    if PANIC in last:
                        return f"{program} cannot start a process on this machine's processor: {last}"
            finally:
                timer.cancel()
                process.kill()
        how = f"did not start a process within {timeout_s:g} s" if late.is_set() else "ended before its first process"
        return f"{program} {how}: {last or 'it printed nothing'}"


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

    def __init__(self, findings: Path, jobs: Sequence[Job]) -> None:
        self.findings = findings
        self.jobs = jobs
        # When it ends by itself, should nobody be there to end it.
        self._limit_s = BOOT_TIMEOUT_S + sum(job.timeout_s for job in jobs)
        self._console = findings / "console.log"

    def __enter__(self) -> Kernel:
        handed_on = {
            "REPOSITORY": REPOSITORY,
            "FINDINGS": self.findings,
            "PYTHON": sys.executable,
            "JOBS": ",".join(job.name for job in self.jobs),
            "LIMIT_S": f"{self._limit_s:g}",
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
                [*_bound_to_us(), PROGRAM, *" ".join(words).split(" ")],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # Where sessions share the processor among them (sched(7), autogroup), niceness counts within one only.
        with contextlib.suppress(OSError):
            Path(f"/proc/{self._process.pid}/autogroup").write_text(NICE)
        return self

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            # It ends by itself when all jobs are done.
            self._process.wait(END_TIMEOUT_S if self._ended(self.jobs[-1].name) else 0)
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.findings / "uml", ignore_errors=True)

    def job(self, name: str) -> Ended:
        """How a job ended, when it has. An AssertionError when it or the kernel did not get that far."""
        deadline_s = time.monotonic() + self._limit_s
        while not self._ended(name):
            assert self._process.poll() is None, f"the kernel ended before the job {name}: {self.said()}"
            assert time.monotonic() < deadline_s, f"no end of the job {name}: {self.said()}"
            # There is no event for "a file is there" on all file systems: a poll with a bound.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_S)
        how = json.loads((self.findings / f"{name}.json").read_text())
        wrote = [(self.findings / f"{name}.{stream}").read_text(errors="replace") for stream in ("stdout", "stderr")]
        return Ended(how["code"], how["took_s"], wrote[0], wrote[1], self.findings)

    def console(self) -> list[str]:
        """What the kernel and its first process said so far."""
        return self._console.read_text(errors="replace").splitlines()

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
