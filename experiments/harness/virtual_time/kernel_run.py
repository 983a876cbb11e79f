"""A run in virtual time, seen from outside: a result folder is made, a kernel boots, runs it and ends.

Each run has a kernel of its own, so several are run side by side without disturbing each other's times.
"""

from __future__ import annotations

import compileall
import contextlib
import json
import math
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from experiments.harness import clock
from experiments.harness.results.folder import new_folder
from experiments.harness.results.incomplete import leave, salvage_captures
from experiments.harness.virtual_time.job import ANSWER, PROGRESS, REQUEST, RESULT_PLACE
from topologies.emulation.errors import EmulationError
from topologies.emulation.process.interpreter import module_command
from topologies.emulation.virtual import job, kernel
from topologies.emulation.virtual.job import Job
from topologies.emulation.virtual.machine import Ended, Machine, OverdueError

Step = Callable[[str, float], None]
# A program that computes for ever stops virtual time, so that no time-out of the run itself can end it. Then the run is
# ended after so much processor time in which neither the kernel's clock nor the run got on: that does not depend on
# what else the machine does. The judges compute while the clock stands still, too, but for less than half of it.
STILL_LIMIT_S = 60.0
# Changes it: for a slow machine, and for the tests of this bound.
STILL_VARIABLE = "LAB7_STILL_LIMIT"
# Until the first step: a network starts within a moment of its own clock, which takes 10 s of a processor, or 25 s of a
# crowded one. A command (lab7 exec) has no steps.
STILL_LIMIT_START_S = 120.0
# And if the clock moves, but no step of the run is done. Of the experiments no step takes a quarter of it; those of
# long runs (--full) take longer.
QUIET_LIMIT_S = 120.0
QUIET_LIMIT_FULL_S = 1800.0
# And if it uses no processor time at all, on the host's clock.
STALL_LIMIT_S = 300.0
LOOK_S = 1.0
PACKAGES = ("services", "topologies", "experiments")
# On the kernel's own clock: the times of an experiment are weeks at most. A processor needs half a minute to let so
# long pass, since an idle kernel has its own timers (of the neighbour tables, for example).
VIRTUAL_LIMIT_S = 100 * 86_400.0


def compile_packages() -> None:
    """Compile what has changed of lab7: each kernel would do it again, and could not keep it."""
    for name in PACKAGES:
        # One that may not be written is compiled inside, as before.
        compileall.compile_dir(job.PACKAGE_ROOT / name, quiet=2)


def still_limit_s(environment: Mapping[str, str] = os.environ) -> float:
    """Return the bound of processor time while the clock stands still, in s. Raises ValueError with a sentence."""
    text = environment.get(STILL_VARIABLE, "")
    if not text:
        return STILL_LIMIT_S
    try:
        given_s = float(text)
    except ValueError:
        given_s = math.nan
    if not 0 < given_s < math.inf:
        raise ValueError(f"{STILL_VARIABLE}={text} cannot be: it takes seconds of processor time above 0, such as 60")
    return given_s


class StoppedError(EmulationError):
    """The run was stopped from outside."""


@dataclass
class Relay:
    """Copies what grows in a job's folder: its output, and its progress.

    grown, moved: there was output or progress, and the kernel's clock has moved, since they were last reset.
    begun: a first step was told.
    """

    folder: Path
    step: Step
    live: bool
    grown: bool = False
    moved: bool = False
    begun: bool = False
    _read: dict[str, int] = field(default_factory=dict)

    def __call__(self) -> None:
        """Copy what is new."""
        for line in self._new(PROGRESS).splitlines():
            with contextlib.suppress(ValueError):
                what, share = json.loads(line)
                self.step(what, share)
            self.grown = self.begun = True
        self.moved = bool(self._new(job.BEATS)) or self.moved
        if self.live:
            self.output()

    def output(self) -> None:
        """Write what the job has written since."""
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


class Patience:
    """Ends a run that gets no further: its clock stands still, or no step is done, or it does not even compute."""

    def __init__(
        self, machine: Machine, relay: Relay, quiet_limit_s: float, still_limit_s: float = STILL_LIMIT_S
    ) -> None:
        self._machine, self._relay = machine, relay
        self._quiet_limit_s, self._still_limit_s = quiet_limit_s, still_limit_s
        self._looked_s = self._computed_s = 0.0
        # Processor time used until now, until the last step, and until the clock last moved.
        self._used_s = self._grown_used_s = self._moved_used_s = 0.0

    def check(self) -> None:
        """Look, now and then. Raises OverdueError."""
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
            raise OverdueError(f"it computed for {still_limit_s:g} s while its clock stood still")
        if used_s - self._grown_used_s > self._quiet_limit_s:
            raise OverdueError(f"it computed for {self._quiet_limit_s:g} s without any progress")
        if now_s - self._computed_s > STALL_LIMIT_S:
            raise OverdueError(f"it did nothing for {STALL_LIMIT_S:g} s")


@dataclass(frozen=True)
class VirtualTime:
    """The kernel for the runs of one command, and what ends them all."""

    kernel: kernel.Kernel
    seed: int = 1
    quiet_limit_s: float = QUIET_LIMIT_S
    still_limit_s: float = STILL_LIMIT_S
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def clock(self) -> clock.Clock:
        """As a result names it."""
        return clock.Clock("virtual", self.kernel.version, self.kernel.recipe)

    def command(self, words: Sequence[str], what: str) -> int:
        """Run a command line, its output as it comes; returns its exit code. Raises EmulationError."""
        made = self._job(words, {}, {})
        if sys.stdout.isatty() and sys.stderr.isatty():
            size = os.get_terminal_size(sys.stdout.fileno())
            made = replace(made, terminal=(size.lines, size.columns))
        with Machine(self.kernel, made) as machine:
            relay = Relay(machine.folder, lambda _what, _share: None, live=True)
            ended = self._wait(machine, relay, what)
            relay.output()
        return ended.code

    def run(self, results: Path, name: str, request: Mapping[str, Any], step: Step) -> Path:
        """Run an experiment or a matrix (see virtual_job) into a new result folder, which is returned.

        Raises EmulationError; what was found until then is kept.
        """
        started = datetime.now(UTC)
        try:
            folder = new_folder(results, name, started)
        except OSError as error:
            raise EmulationError(
                f"no results can be kept in {results} ({error.strerror}): name a folder by --results"
            ) from error
        whole = {**request, "started": started.isoformat(), "seed": self.seed}
        words = module_command("experiments.harness.virtual_time.job")
        made = self._job(words, {REQUEST: json.dumps(whole)}, {str(folder.resolve()): RESULT_PLACE})
        try:
            with Machine(self.kernel, made) as machine:
                self._answer(machine, Relay(machine.folder, step, live=False), name, folder)
        except BaseException as error:
            salvage_captures(folder)
            with contextlib.suppress(OSError):
                leave(folder, str(error) or type(error).__name__)
            raise
        return folder

    def _job(self, words: Sequence[str], more: Mapping[str, str], places: Mapping[str, str]) -> Job:
        here = os.getcwd()
        environment = {**job.handed_on(os.environ, self.seed), **more, clock.VARIABLE: self.clock.to_text()}
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(job.PACKAGE_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        )
        shown = {} if here == "/" else {here: here}
        return Job(tuple(words), environment, here, {**shown, **places}, VIRTUAL_LIMIT_S, self.seed)

    def _wait(self, machine: Machine, relay: Relay, what: str) -> Ended:
        patience = Patience(machine, relay, self.quiet_limit_s, self.still_limit_s)

        def meanwhile() -> None:
            relay()
            if self.stopped.is_set():
                raise StoppedError("stopped")
            patience.check()

        try:
            return machine.wait(None, meanwhile)
        except OverdueError as error:
            relay.output()
            raise EmulationError(
                f"{what} was ended ({error}): a program that computes or forks for ever stops virtual time; "
                "`--time real` shows which"
            ) from error

    def _answer(self, machine: Machine, relay: Relay, name: str, folder: Path) -> None:
        ended = self._wait(machine, relay, name)
        relay.output()
        try:
            error = json.loads((machine.folder / ANSWER).read_text())["error"]
        except (OSError, ValueError):
            raise EmulationError(
                f"{name} broke off in virtual time with exit code {ended.code}; `--time real` may show why"
            ) from None
        if error is not None:
            # The folder has another name inside.
            raise EmulationError(error.replace(RESULT_PLACE, str(folder)))
