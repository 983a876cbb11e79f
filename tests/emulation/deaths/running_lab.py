"""A running `lab7 run`: its processes by role, and the end of one of them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from lab7.topologies.emulation.process.launcher import readable
from tests.emulation.deaths import without_timeouts
from tests.emulation.processes import Process, descendants, namespaces
from tests.emulation.support import PATIENCE_S, environment, eventually

CANNOT = 3
# No measure of a death, which takes a fraction of a second: what hangs is found by it, also on a busy machine.
ENDS_WITHIN_S = 30.0
FORK_SERVER, RECORDER = "lab7.topologies.emulation.process.forkserver", "lab7.experiments.harness.capture.recorder"
# With time-outs that are longer than ENDS_WITHIN_S, no run ends in time that has waited for one.
COMMAND = (sys.executable, "-P", str(without_timeouts.__file__))
# Children of the fork server that are no services: the rest is what hosts serve, and clients.
NO_SERVICES = ("host_process", "carrier", "probe")
# As ps shows a child of the fork server that has not been given its name yet.
BEING_STARTED = ("", "python", "python3")


@dataclass
class Run:
    """A running command and what it writes to. held: the process in the sandbox, where it is suspended."""

    process: subprocess.Popen[bytes]
    results: Path
    held: Process | None = None

    @property
    def family(self) -> list[Process]:
        return descendants(self.process.pid)

    @property
    def outer(self) -> Process:
        """The process that was started, outside of the sandbox."""
        found = Process.read(self.process.pid)
        assert found is not None
        return found

    def roles(self) -> dict[str, list[Process]]:
        """All its processes by role.

        outer, init, inner, forkserver, capture; what the fork server started, by the name of its module, cut to the 15
        characters of comm (proc(5)); and everything else by its name, with a plus: programs, which come and go.
        """
        family = sorted(self.family, key=lambda one: one.pid)
        init = [one for one in family if one.parent == self.process.pid]
        inner = [one for one in family if one.parent in {each.pid for each in init} and COMMAND[-1] in one.words]
        inside = [one for one in family if one.parent in {each.pid for each in inner}]
        server = [one for one in inside if FORK_SERVER in one.words]
        found = {
            "outer": [self.outer],
            "init": init,
            "inner": inner,
            "forkserver": server,
            "capture": [one for one in inside if RECORDER in one.words],
        }
        known = {one.pid for some in found.values() for one in some}
        for one in family:
            if one.pid not in known:
                started = one.parent in {each.pid for each in server} and one.name not in BEING_STARTED
                found.setdefault(one.name if started else f"+{one.name}", []).append(one)
        return {role: processes for role, processes in found.items() if processes}

    def find(self, role: str, number: int = 0) -> Process | None:
        """The process of this role and number; None if there is none now."""
        found = self.roles().get(role[:15], [])
        return found[number] if len(found) > number else None

    def serves(self) -> bool:
        """Whether a service, or a client, of a host exists."""
        standing = {"outer", "init", "inner", "forkserver", "capture", *NO_SERVICES}
        return any(role not in standing and not role.startswith("+") for role in self.roles())

    def captures(self, more_than: int = 1000) -> bool:
        """Whether packets are being captured, and so many octets of them are in files."""
        files = [*self.results.glob("*/*/*.raw"), *self.results.glob("*/*/*.pcapng")]
        return any(path.suffix == ".raw" for path in files) and sum(map(_size, files)) > more_than

    def judges(self) -> bool:
        """Whether packets were captured and the network is gone."""
        return bool(list(self.results.glob("*/*/*.pcapng"))) and set(self.roles()) == {"outer", "init", "inner"}

    def hold(self) -> None:
        """Suspend the process in the sandbox, so that a short moment lasts until `end_by`."""
        self.held = self.find("inner")
        if self.held is not None:
            os.kill(self.held.pid, signal.SIGSTOP)

    def signal(self, victim: Process, number: int) -> None:
        """Send a signal to a process, and resume the one that is held."""
        os.kill(victim.pid, number)
        if self.held is not None:
            with suppress(ProcessLookupError):
                os.kill(self.held.pid, signal.SIGCONT)

    @property
    def has_result(self) -> bool:
        """Whether a result is complete."""
        return bool(list(self.results.glob("*/*/result.json")))

    def wait(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, or for the end of the run."""
        assert eventually(lambda: condition() or self.process.poll() is not None)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


@dataclass(frozen=True)
class End:
    """The end of a run: what it said, its exit code, and when both came, counted from the signal that ended it."""

    said: list[str]
    code: int
    sentence_s: float
    exit_s: float

    @property
    def sentence(self) -> str:
        """The one sentence without the name of the command."""
        (line,) = self.said
        assert line.startswith("lab7: "), line
        return line.removeprefix("lab7: ")


@dataclass
class Latencies:
    """The latencies of many ends, by what was done."""

    ends: dict[str, list[End]] = field(default_factory=dict)

    def add(self, what: str, end: End) -> None:
        self.ends.setdefault(what, []).append(end)

    def table(self) -> list[str]:
        """Median and maximum to the sentence and to the exit, in ms."""
        rows = [f"{'':28} {'ends':>5} {'sentence ms':>16} {'exit ms':>16}   (median, maximum)"]
        every = [end for some in self.ends.values() for end in some]
        for what, some in [*sorted(self.ends.items()), ("all", every)]:
            figures = [sorted(times) for times in ([end.sentence_s for end in some], [end.exit_s for end in some])]
            shown = [f"{times[len(times) // 2] * 1e3:8.0f}{times[-1] * 1e3:8.0f}" for times in figures]
            rows.append(f"{what:28} {len(some):5} {shown[0]} {shown[1]}")
        return rows


def start_run(*words: str, cwd: Path, entering: Sequence[str] = ()) -> Run:
    """Start `lab7 run WORDS` in real time, without time-outs."""
    return start(*("run", *words, "--time", "real"), cwd=cwd, entering=entering)


def start(*words: str, cwd: Path, entering: Sequence[str] = (), changes: dict[str, str] | None = None) -> Run:
    """Start `lab7 WORDS` without time-outs, by way of `entering` where that is given."""
    process = subprocess.Popen(
        [*entering, *COMMAND, *words],
        cwd=cwd,
        env=environment(changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    return Run(process, cwd / "results")


def caught(run: Run, role: str) -> Process | None:
    """A process that comes and goes, suspended before it can go; None if there is none now, or it is gone."""
    victim = run.find(role)
    if victim is None:
        return None
    with suppress(ProcessLookupError):
        os.kill(victim.pid, signal.SIGSTOP)
    eventually(lambda: (now := Process.read(victim.pid)) is None or now.state in "TZX", PATIENCE_S)
    return victim if victim.lives else None


def end_by(run: Run, victim: Process, number: int, code: int = CANNOT) -> End:
    """Send a signal that ends the run, and check its exit code, that it printed no result, and that nothing is left."""
    family = run.family
    end = end_of(run, lambda: run.signal(victim, number))
    assert end.code == code, end
    assert not any("Traceback" in line for line in end.said)
    assert eventually(lambda: not any(one.lives for one in family)), [one.words for one in family if one.lives]
    return end


def end_of(run: Run, do: Callable[[], object]) -> End:
    """Do what ends a run, and wait for the end, and for that of its namespaces."""
    made = set().union(*(namespaces(one.pid) for one in run.family)) - namespaces(os.getpid())
    stderr = run.process.stderr
    assert stderr is not None
    # Of processes that are there already: the kernel gives the number of a namespace that is gone to the next one made.
    present = Process.all()
    began_s = time.monotonic()
    do()
    said, said_s = b"", 0.0
    while True:
        left_s = began_s + ENDS_WITHIN_S - time.monotonic()
        assert readable(stderr, left_s), (said, [(one.name, one.state) for one in run.family])
        piece = os.read(stderr.fileno(), 65536)
        said_s = said_s or time.monotonic() - began_s
        said += piece
        if not piece:
            break
    output, _ = run.process.communicate(timeout=ENDS_WITHIN_S)
    exit_s = time.monotonic() - began_s
    assert not output
    assert eventually(lambda: not any(one.lives and namespaces(one.pid) & made for one in present))
    return End(said.decode().splitlines(), run.process.returncode, said_s, exit_s)


def finish(run: Run) -> None:
    """End a run that a test has left, and remove its results."""
    run.process.kill()
    run.process.communicate(timeout=PATIENCE_S)
    shutil.rmtree(run.results, ignore_errors=True)
