"""Result folder of a sweep: one file per finished cell (run), written atomically, and the table, its schema and plots.

    results/sweeps/NAME/
        cells/HASH.json     the parameters of the cell, and its result as in result.json
        running/            folders of unfinished runs, removed at the next start
        table.csv  table.parquet  table.schema.json  plot-1.svg ...  report.html

A lock on the folder prevents concurrent use by two `lab7 sweep` processes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.result import Result, ResultError
from lab7.experiments.sweep.cell import Cell
from lab7.topologies.emulation.errors import EmulationError

FORMAT = 1
CELLS, RUNNING, LOCK = "cells", "running", "lock"


@dataclass(frozen=True)
class Stored:
    """Stored result of a cell (one run of a sweep), and the number of attempts that it took (`attempt`)."""

    result: Result
    attempt: int


def cannot_write(path: Path, error: OSError) -> EmulationError:
    """Return the error for a file of the sweep that cannot be written."""
    return EmulationError(f"cannot write {path} ({error.strerror or error}): free some space, then continue the sweep")


class Store:
    """Result folder of one sweep, with methods to load and save the results of its cells (runs)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def running(self) -> Path:
        """Return the path of the folder of unfinished runs."""
        return self.folder / RUNNING

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder, lock it, and remove unfinished runs of a killed sweep. Raises EmulationError."""
        try:
            (self.folder / CELLS).mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise EmulationError(
                f"cannot store results in {self.folder} ({error.strerror}): name a folder with --results"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise EmulationError(
                f"another `lab7 sweep` writes to {self.folder}: wait for its end, or name another folder with --results"
            ) from None
        try:
            shutil.rmtree(self.running, ignore_errors=True)
            self.running.mkdir(exist_ok=True)
            yield
        finally:
            shutil.rmtree(self.running, ignore_errors=True)
            os.close(descriptor)

    def load(self, cell: Cell) -> Stored | None:
        """Return the stored result of a cell; None if its file is missing, or damaged by a crash of the machine."""
        try:
            data = json.loads(self._path(cell).read_text(encoding="utf-8"))
            if data["format"] != FORMAT:
                return None
            return Stored(Result.from_json(data["result"]), int(data["attempt"]))
        except (OSError, ValueError, KeyError, TypeError, ResultError):
            return None

    def save(self, cell: Cell, result: Mapping[str, Any], attempt: int) -> None:
        """Write the result of a finished cell, as JSON data, atomically. Raises EmulationError."""
        data = {"format": FORMAT, "depends": cell.depends, "attempt": attempt, "result": result}
        self.write(f"{CELLS}/{cell.name}.json", json.dumps(data, indent=1, ensure_ascii=False) + "\n")

    def write(self, name: str, text: str) -> Path:
        """Write a text file of the sweep atomically; return its path. Raises EmulationError."""
        try:
            return write_atomically(self.folder / name, text)
        except OSError as error:
            raise cannot_write(self.folder / name, error) from error

    def _path(self, cell: Cell) -> Path:
        return self.folder / CELLS / f"{cell.name}.json"
