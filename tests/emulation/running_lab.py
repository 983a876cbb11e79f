"""A running `lab7 run`: its processes by role, and the end of one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.emulation.processes import Process, descendants, namespaces
from tests.emulation.support import LAB7, PATIENCE_S, eventually, one_sentence, start_lab7

CANNOT = 3
# No measure of a death, which takes a fraction of a second: what hangs is found by it, also on a busy machine.
ENDS_WITHIN_S = 30.0
FORK_SERVER, RECORDER = "topologies.emulation.process.forkserver", "experiments.harness.capture.recorder"


@dataclass(frozen=True)
class Run:
    """A running `lab7 run` and what it writes to."""

    process: subprocess.Popen[bytes]
    results: Path

    @property
    def family(self) -> list[Process]:
        return descendants(self.process.pid)

    def roles(self) -> dict[str, list[Process]]:
        """Its processes by role: init, inner, forkserver, capture, and by name the modules that the fork server runs.

        Left out: network tools and other programs, which come and go.
        """
        family = sorted(self.family, key=lambda one: one.pid)
        init = [one for one in family if one.parent == self.process.pid]
        inner = [one for one in family if one.parent in {each.pid for each in init} and str(LAB7) in one.words]
        inside = [one for one in family if one.parent in {each.pid for each in inner}]
        server = [one for one in inside if FORK_SERVER in one.words]
        found = {
            "init": init,
            "inner": inner,
            "forkserver": server,
            "capture": [one for one in inside if RECORDER in one.words],
        }
        for one in family:
            if one.parent in {each.pid for each in server} and one.name not in ("", "python", "python3"):
                found.setdefault(one.name, []).append(one)
        return {role: processes for role, processes in found.items() if processes}

    def find(self, role: str, number: int = 0) -> Process | None:
        """The process of this role and number; None if there is none now."""
        found = self.roles().get(role[:15], [])
        return found[number] if len(found) > number else None

    def captures(self, more_than: int = 1000) -> bool:
        """Whether packets are being captured, and some are in the file."""
        return any(_size(path) > more_than for path in self.results.glob("*/*/*.raw"))

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, or for the end of the run."""
        assert eventually(lambda: condition() or self.process.poll() is not None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def start_run(*words: str, cwd: Path) -> Run:
    return Run(start_lab7("run", *words, "--time", "real", cwd=cwd), cwd / "results")


def kill(run: Run, role: str, number: int = 0) -> str:
    """Kill one process by SIGKILL, check that nothing is left, and return the one sentence that lab7 says."""
    run.wait(lambda: run.find(role, number) is not None)
    victim = run.find(role, number)
    assert victim is not None, run.process.communicate()
    return end_by(run, victim, signal.SIGKILL)


def end_by(run: Run, victim: Process, number: int, code: int = CANNOT) -> str:
    """Send a signal that ends the run, check that nothing is left, and return the one sentence that lab7 says."""
    family = run.family
    made = set().union(*(namespaces(one.pid) for one in family)) - namespaces(os.getpid())
    began_s = time.monotonic()
    os.kill(victim.pid, number)
    output, errors = run.process.communicate(timeout=ENDS_WITHIN_S)
    print(f"{victim.pid}: ended after {time.monotonic() - began_s:.2f} s")
    assert run.process.returncode == code, (output, errors)
    assert output == b""
    assert eventually(lambda: not any(one.lives for one in family)), [one.words for one in family if one.lives]
    assert eventually(lambda: not any(namespaces(one.pid) & made for one in Process.all()))
    sentence = one_sentence(subprocess.CompletedProcess(run.process.args, code, "", errors.decode()))
    assert sentence.startswith("lab7: ")
    return sentence.removeprefix("lab7: ")


def finish(run: Run) -> None:
    """End a run that a test has left."""
    run.process.kill()
    run.process.communicate(timeout=PATIENCE_S)
