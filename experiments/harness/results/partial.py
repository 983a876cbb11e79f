"""Partial results of a run: partial.csv in its folder, with the times measured so far, until the result is complete.

Each row is one measurement: the step of the run (as the progress bar names it), the number of the measurement within
that step, its start (ns since the Unix epoch, on the capture's clock), and its duration in s. A run that is stopped or
killed keeps the file. The result of a complete run has the same times, with their parts, in timings.csv.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness import clock

PARTIAL_NAME = "partial.csv"
HEADER = ("step", "sample", "start_ns", "duration_s")


@dataclass
class Partial:
    """Writer of partial.csv: current step of the experiment, and number of measurements in this step and in total."""

    path: Path
    step: str = ""
    number: int = 0
    count: int = 0

    def begin(self, step: str) -> None:
        """Set the name of the current step; the numbers of its measurements start from 1."""
        if step != self.step:
            self.step, self.number = step, 0

    def add(self, start_ns: int, end_ns: int) -> None:
        """Append one measurement. An error of the disk is ignored, since the result is written later."""
        self.number += 1
        self.count += 1
        rows = [HEADER] if self.count == 1 else []
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([*rows, (self.step, self.number, start_ns, f"{(end_ns - start_ns) / 1e9:.9f}")])
        # In virtual time, hostfs would keep the row in the kernel, which is killed at Ctrl-C.
        sync = os.O_SYNC if clock.current().word == "virtual" else 0
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | sync, 0o666)
            with contextlib.closing(os.fdopen(descriptor, "w", encoding="utf-8")) as file:
                file.write(text.getvalue())


_running: list[Partial] = []


def begin_step(step: str) -> None:
    """Set the current step of the running experiment; no effect outside of a run."""
    if _running:
        _running[-1].begin(step)


def add_measurement(start_ns: int, end_ns: int) -> None:
    """Record a measurement of the running experiment; no effect outside of a run."""
    if _running:
        _running[-1].add(start_ns, end_ns)


@contextlib.contextmanager
def recording(folder: Path) -> Iterator[Partial]:
    """Record the measurements made during a `with` block in partial.csv of a result folder."""
    _running.append(Partial(folder / PARTIAL_NAME))
    try:
        yield _running[-1]
    finally:
        _running.pop()


def count(folder: Path) -> int:
    """Return the number of measurements in partial.csv of a folder; 0 if the file does not exist."""
    try:
        with (folder / PARTIAL_NAME).open(encoding="utf-8", newline="") as file:
            return max(0, sum(1 for _ in csv.reader(file)) - 1)
    except OSError:
        return 0
