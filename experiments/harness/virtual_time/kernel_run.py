"""Run in virtual time, seen from the host: result folder, boot of a user-mode Linux kernel for the run, supervision.

In virtual time, the kernel's clock stands still while programs compute, and skips idle time.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab7.experiments.harness import clock
from lab7.experiments.harness.results.incomplete import kept_files, mark_failed
from lab7.experiments.harness.results.result import new_folder
from lab7.experiments.harness.virtual_time import standard_input
from lab7.experiments.harness.virtual_time.job import ANSWER, PROGRESS, REQUEST, RESULT_PLACE
from lab7.topologies.emulation.errors import EmulationError, MachineError, ProgramError
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.emulation.virtual import job, kernel
from lab7.topologies.emulation.virtual.job import Job
from lab7.topologies.emulation.virtual.machine import Ended, Machine, OverdueError
from lab7.topologies.emulation.watch import Stopped, kept_in

Step = Callable[[str, float], None]
# A run is ended after STILL_LIMIT_S s of CPU time without progress report or advance of the virtual clock.
# Judging a capture takes less than half of STILL_LIMIT_S, while the virtual clock stands still.
STILL_LIMIT_S = 60.0
# Environment variable that overrides STILL_LIMIT_S, for a slow machine and for tests.
STILL_VARIABLE = "LAB7_STILL_LIMIT"
# Before the first progress report the limit is at least STILL_LIMIT_START_S, while the network starts.
# Starting a network takes 10 s of CPU time, or 25 s on a loaded machine; `lab7 exec` reports no progress.
STILL_LIMIT_START_S = 120.0
# A run is ended after QUIET_LIMIT_S s of CPU time without a progress report, four times the longest interval.
# QUIET_LIMIT_FULL_S is the limit for long runs (--full), which report progress less often.
QUIET_LIMIT_S = 120.0
QUIET_LIMIT_FULL_S = 1800.0
# A run is ended after STALL_LIMIT_S seconds of host time in which the user-mode kernel uses no CPU time.
STALL_LIMIT_S = 300.0
LOOK_S = 1.0
PACKAGES = ("services", "topologies", "experiments")
# A run is ended after VIRTUAL_LIMIT_S of virtual time (100 days), since experiments take weeks at most.
# A run of idle processes reaches VIRTUAL_LIMIT_S after half a minute of CPU time, for the kernel's timers.
VIRTUAL_LIMIT_S = 100 * 86_400.0


def compile_packages() -> None:
    """Compile changed modules of lab7 to bytecode on the host, once, instead of in each user-mode kernel."""
    for name in PACKAGES:
        # compile_dir() ignores errors: modules in a read-only folder are compiled in each kernel instead.
        compileall.compile_dir(job.PACKAGE_ROOT / "lab7" / name, quiet=2)


def still_limit_s(environment: Mapping[str, str] = os.environ) -> float:
    """Return the maximum CPU time in s that a run may use without an advance of the virtual clock.

    The environment variable STILL_VARIABLE overrides the default. Raises ValueError for an invalid value.
    """
    text = environment.get(STILL_VARIABLE, "")
    if not text:
        return STILL_LIMIT_S
    try:
        given_s = float(text)
    except ValueError:
        given_s = math.nan
    if not 0 < given_s < math.inf:
        raise ValueError(f"{STILL_VARIABLE}={text} is invalid: give seconds of processor time above 0, such as 60")
    return given_s


class StoppedError(EmulationError):
    """Error of a run in virtual time that its caller has stopped."""


class StandstillError(EmulationError):
    """Error of a run in virtual time whose clock did not advance, or that made no progress, for too long."""


@dataclass
class Relay:
    """Relay of a virtual-time run's output and progress, from files to the terminal and to the progress callback.

    Since the caller last reset them, `grown` is True if output or progress has appeared, and `moved` is True if the
    virtual clock has advanced. `begun` is True after the first progress report.
    """

    folder: Path
    step: Step
    live: bool
    grown: bool = False
    moved: bool = False
    begun: bool = False
    _read: dict[str, int] = field(default_factory=dict)

    def __call__(self) -> None:
        """Copy new progress to the callback and, if `live`, new output to the terminal."""
        for line in self._new(PROGRESS).splitlines():
            with contextlib.suppress(ValueError):
                what, share = json.loads(line)
                self.step(what, share)
            self.grown = self.begun = True
        self.moved = bool(self._new(job.BEATS)) or self.moved
        if self.live:
            self.output()

    def output(self) -> None:
        """Write new output of the virtual-time run to standard output and standard error."""
        for name, stream in ((job.STDOUT, sys.stdout), (job.STDERR, sys.stderr)):
            if new := self._new(name):
                self.grown = True
                stream.flush()
                stream.buffer.write(new)
                stream.flush()

    def _new(self, name: str) -> bytes:
        try:
            with open(self.folder / name, "rb") as file:
                file.seek(self._read.get(name, 0))
                new = file.read()
        except FileNotFoundError:
            return b""
        self._read[name] = self._read.get(name, 0) + len(new)
        return new


class ProgressLimits:
    """Limits for a virtual-time run without progress: two of CPU time, and one of host time.

    They are the CPU time without an advance of the virtual clock, the CPU time without a progress report, and the time
    on the host in which the kernel uses no CPU time.
    """

    def __init__(
        self, machine: Machine, relay: Relay, quiet_limit_s: float, still_limit_s: float = STILL_LIMIT_S
    ) -> None:
        self._machine, self._relay = machine, relay
        # The limit for a clock that stands still has an effect only below the limit for a missing progress report.
        self._quiet_limit_s, self._still_limit_s = max(quiet_limit_s, still_limit_s), still_limit_s
        self._looked_s = self._computed_s = 0.0
        # CPU time in s used until now, until the last progress report, and until the clock last advanced.
        self._used_s = self._grown_used_s = self._moved_used_s = 0.0

    def check(self) -> None:
        """Raise OverdueError if a limit is exceeded; the limits are checked at most once every LOOK_S seconds."""
        now_s = self._machine.real_s()
        if now_s - self._looked_s < LOOK_S:
            return
        self._looked_s, used_s = now_s, self._machine.used_s()
        if used_s != self._used_s:
            self._used_s, self._computed_s = used_s, now_s
        if self._relay.grown:
            self._grown_used_s = self._moved_used_s = used_s
        if self._relay.moved:
            self._moved_used_s = used_s
        self._relay.grown = self._relay.moved = False
        still_limit_s = self._still_limit_s
        if not self._relay.begun:
            still_limit_s = max(still_limit_s, STILL_LIMIT_START_S)
        if used_s - self._moved_used_s > still_limit_s:
            raise OverdueError(f"no progress of the virtual clock in {still_limit_s:g} s of processor time")
        if used_s - self._grown_used_s > self._quiet_limit_s:
            raise OverdueError(f"no progress in {self._quiet_limit_s:g} s of processor time")
        if now_s - self._computed_s > STALL_LIMIT_S:
            raise OverdueError(f"idle for {STALL_LIMIT_S:g} s")


@dataclass(frozen=True)
class VirtualTime:
    """Runner of experiments in virtual time for one command, with kernel, seed and limits; stop() ends all its runs."""

    kernel: kernel.Kernel
    seed: int = 1
    quiet_limit_s: float = QUIET_LIMIT_S
    still_limit_s: float = STILL_LIMIT_S
    # Reasons given to stop(), and folders of unfinished runs that have captured packets.
    reasons: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    def stop(self, why: str) -> None:
        """Stop all runs in virtual time, from any thread; `why` is the reason in the error of each run."""
        self.reasons.append(why)

    @property
    def stopped(self) -> bool:
        """Return True after stop() was called."""
        return bool(self.reasons)

    @property
    def clock(self) -> clock.Clock:
        """Return the description of the virtual clock, as recorded in a result."""
        return clock.Clock("virtual", self.kernel.version, self.kernel.recipe)

    def command(self, words: Sequence[str], what: str, folders: Sequence[Path] = ()) -> int:
        """Run a command line in a user-mode kernel, and relay its input and output; return its exit code.

        `folders`: folders that are writable in addition to the current folder. Raises EmulationError.
        """
        shown = {place: place for place in (str(folder.resolve()) for folder in folders) if place != "/"}
        kernel_job = replace(self._job(words, {}, shown), stdin=standard_input.read())
        if sys.stdout.isatty() and sys.stderr.isatty():
            size = os.get_terminal_size(sys.stdout.fileno())
            kernel_job = replace(kernel_job, terminal=(size.lines, size.columns))
        with Machine(self.kernel, kernel_job) as machine:
            relay = Relay(machine.folder, lambda _what, _share: None, live=True)
            ended = self._wait(machine, relay, what)
            relay.output()
        return ended.code

    def run(self, results: Path, name: str, request: Mapping[str, Any], step: Step) -> Path:
        """Run an experiment or a matrix in a user-mode kernel (see job); return the new result folder.

        Raises EmulationError; captured packets are then kept.
        """
        started = datetime.now(UTC)
        try:
            folder = new_folder(results, name, started)
        except OSError as error:
            raise EmulationError(
                f"cannot store results in {results} ({error.strerror}): name a folder with --results"
            ) from error
        try:
            self.call(folder, name, {**request, "started": started.isoformat()}, step)
        except BaseException as error:
            end = Stopped(signal.SIGINT) if isinstance(error, KeyboardInterrupt) else error
            if mark_failed(folder, str(end) or type(end).__name__):
                self.kept.append(str(folder))
                if isinstance(end, Stopped):
                    raise end.kept_in(kept_files(folder)) from None
                if isinstance(end, MachineError):
                    raise MachineError(kept_in(end, kept_files(folder))) from error
            if end is error:
                raise
            raise end from None
        return folder

    def call(self, folder: Path, name: str, request: Mapping[str, Any], step: Step) -> None:
        """Execute a request (see job) in a user-mode kernel, with results in `folder`. Raises EmulationError.

        Error messages begin with `name`.
        """
        words = module_command("lab7.experiments.harness.virtual_time.job")
        text = json.dumps({**request, "seed": self.seed})
        kernel_job = self._job(words, {REQUEST: text}, {str(folder.resolve()): RESULT_PLACE})
        with Machine(self.kernel, kernel_job) as machine:
            self._answer(machine, Relay(machine.folder, step, live=False), name, folder)

    def _job(self, words: Sequence[str], more: Mapping[str, str], places: Mapping[str, str]) -> Job:
        here = os.getcwd()
        environment = {**job.job_environment(os.environ, self.seed), **more, clock.VARIABLE: self.clock.to_text()}
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(job.PACKAGE_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        )
        shown = {} if here == "/" else {here: here}
        return Job(tuple(words), environment, here, {**shown, **places}, VIRTUAL_LIMIT_S, self.seed)

    def _wait(self, machine: Machine, relay: Relay, what: str) -> Ended:
        limits = ProgressLimits(machine, relay, self.quiet_limit_s, self.still_limit_s)

        def meanwhile() -> None:
            relay()
            if self.stopped:
                raise StoppedError(self.reasons[0])
            limits.check()

        try:
            return machine.wait(None, meanwhile)
        except OverdueError as error:
            relay.output()
            raise StandstillError(
                f"{what} was ended ({error}): a program that loops or forks endlessly stops virtual time; "
                "find it with `--time real`"
            ) from error

    def _answer(self, machine: Machine, relay: Relay, name: str, folder: Path) -> None:
        ended = self._wait(machine, relay, name)
        relay.output()
        try:
            answer = json.loads((machine.folder / ANSWER).read_text())
        except (OSError, ValueError):
            raise EmulationError(
                f"{name} failed in virtual time with exit code {ended.code}: run it with `--time real` to see the cause"
            ) from None
        raise_error(answer, folder)


def raise_error(answer: Mapping[str, Any], folder: Path) -> None:
    """Raise the error in a virtual-time run's answer file, if any; paths in the kernel become those on the host."""
    if answer["error"] is None:
        return
    message, program = answer["error"].replace(RESULT_PLACE, str(folder)), answer["program"]
    if program is None:
        raise EmulationError(message)
    output = Path(program["output"].replace(RESULT_PLACE, str(folder)))
    raise ProgramError(message, program["command"], program["status"], output)
