"""A matrix: every implementation of a server against every client, each cell judged from packets.

cells  [{server, client, protocol, verdict: pass | fail | unsupported | not installed, evidence, frames, capture,
            known_cause}]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from experiments.harness.result import write_atomically
from experiments.harness.result_folder import new_folder
from experiments.harness.templating import render

CellWord = Literal["pass", "fail", "unsupported", "not installed"]
FORMAT = 1


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
    """One matrix by name, its question, and how to fill it."""

    name: str
    question: str
    run: Callable[[MatrixRun], list[Cell]]


def run_matrix(
    matrix: Matrix, results: Path, links: str, sandboxed: bool, step: Callable[[str, float], None]
) -> tuple[Path, list[Cell]]:
    """Fill a matrix into a result folder (matrix.json, matrix.html, captures); returns the folder and the cells."""
    started = datetime.now(UTC)
    folder = new_folder(results, f"matrix-{matrix.name}", started)
    cells = matrix.run(MatrixRun(folder, links, sandboxed, step))
    data = {
        "format": FORMAT,
        "matrix": matrix.name,
        "question": matrix.question,
        "started": started.isoformat(timespec="seconds"),
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
        failing=[cell for cell in cells if cell.verdict == "fail"],
    )
    write_atomically(folder / "matrix.html", page)
    write_atomically(folder / "matrix.json", json.dumps(data, indent=2, ensure_ascii=False) + "\n")
    return folder, cells


def axes(cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """The servers and the columns of a matrix, in the order of their first cells."""
    return list(dict.fromkeys(cell.server for cell in cells)), list(dict.fromkeys(cell.column for cell in cells))
