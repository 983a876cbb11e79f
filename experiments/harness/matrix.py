"""A matrix: every implementation of a server against every client, or every check, each cell judged from packets.

cells  [{server, client, protocol, verdict: pass | fail | unused | unsupported | not installed, evidence, frames,
            capture, known_cause, level, says}]

A matrix of checks has the check as `client` and the RFC's section as `protocol`; `level` is required or allowed there,
`says` what is checked. unused: what the RFC allows and this implementation does not do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from experiments.harness import clock
from experiments.harness.results.incomplete import complete, make_folder, unfinished, writing
from experiments.harness.results.result import write_atomically
from experiments.harness.templating import render

CellWord = Literal["pass", "fail", "unused", "unsupported", "not installed"]
FORMAT = 1
MATRIX_NAME = "matrix.json"
JUDGED = ("pass", "fail", "unused")


@dataclass(frozen=True)
class Cell:
    """One server asked by one client with one protocol; `frames` are of the file `capture`.

    `known_cause`: why a failing cell fails, where that has been found out.
    """

    server: str
    client: str
    protocol: str
    verdict: CellWord
    evidence: str
    frames: tuple[int, ...] = ()
    capture: str | None = None
    known_cause: str | None = None
    level: str | None = None
    says: str | None = None

    @property
    def column(self) -> str:
        """What heads its column."""
        return f"{self.client} {self.protocol}"


@dataclass(frozen=True)
class MatrixRun:
    """What running a matrix is given: where captures go, and how to tell what is being done."""

    folder: Path
    links: str
    sandboxed: bool
    step: Callable[[str, float], None]


@dataclass(frozen=True)
class Matrix:
    """One matrix by name, its question, how to fill it, and what its rows are."""

    name: str
    question: str
    run: Callable[[MatrixRun], list[Cell]]
    rows: str = "client"


def run_matrix(
    matrix: Matrix,
    results: Path,
    links: str,
    sandboxed: bool,
    step: Callable[[str, float], None],
    *,
    folder: Path | None = None,
    started: datetime | None = None,
) -> tuple[Path, list[Cell]]:
    """Fill a matrix into a result folder (matrix.json, matrix.html, captures); returns the folder and the cells.

    `folder` and `started`: where they are made elsewhere.
    """
    started = started or datetime.now(UTC)
    folder = folder or make_folder(results, f"matrix-{matrix.name}", started)
    with unfinished(folder):
        cells = matrix.run(MatrixRun(folder, links, sandboxed, step))
    data = {
        "format": FORMAT,
        "matrix": matrix.name,
        "question": matrix.question,
        "started": started.isoformat(timespec="seconds"),
        "clock": asdict(clock.current()),
        "cells": [asdict(cell) for cell in cells],
    }
    servers, columns = axes(cells)
    page = render(
        "matrix.html.j2",
        matrix=matrix,
        started=data["started"],
        servers=servers,
        columns=columns,
        cells={(cell.server, cell.column): cell for cell in cells},
        levels=level_counts(cells),
        failing=[cell for cell in cells if cell.verdict == "fail"],
    )
    with writing(folder):
        write_atomically(folder / "matrix.html", page)
        write_atomically(folder / MATRIX_NAME, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        complete(folder)
    return folder, cells


def axes(cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """The servers and the columns of a matrix, in the order of their first cells."""
    return list(dict.fromkeys(cell.server for cell in cells)), list(dict.fromkeys(cell.column for cell in cells))


def level_counts(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    """Of each server how many checks of each level it passes, as "passed/all": {level: {server: text}}.

    What is not installed has none; a check that a required one presupposes and that is unused counts as not passed.
    """
    counts: dict[str, dict[str, str]] = {}
    for level in dict.fromkeys(cell.level for cell in cells if cell.level is not None):
        for server in axes(cells)[0]:
            of = [one for one in cells if (one.level, one.server) == (level, server) and one.verdict in JUDGED]
            passed = sum(one.verdict == "pass" for one in of)
            counts.setdefault(level, {})[server] = f"{passed}/{len(of)}" if of else ""
    return counts


def load_cells(folder: Path) -> list[Cell]:
    """The cells of a matrix that was filled. Raises OSError, ValueError."""
    rows = json.loads((folder / MATRIX_NAME).read_text(encoding="utf-8"))["cells"]
    return [Cell(**{**row, "frames": tuple(row["frames"])}) for row in rows]
