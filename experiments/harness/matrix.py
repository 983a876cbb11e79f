"""Test matrices: every server implementation against every client (interoperability) or every check (conformance).

    cells  [{server, client, protocol, verdict: pass | fail | unused | unsupported | not installed, evidence, frames,
                capture, known_cause, level, says}]

A cell is one server with one client and protocol. Its verdict is decided from captured packets, unless a program is
missing or reports an error. `evidence` is the reason for the verdict in one sentence; it cites the packets `frames` in
the file `capture`. `known_cause` is the cause of a failure, if known. The verdict `unsupported` means that the server
or the client does not implement the protocol.

In a conformance matrix, `client` is the check, `protocol` the RFC section, `level` is the requirement of the RFC
(required or allowed), and `says` is the text of the check. The verdict `unused` means that the server does not
implement a behaviour that the RFC allows.

A protocol's matrix module declares the clients (`Column`), and runs one server at a time. `Place` is the position of a
cell (server, client, protocol); its methods make the cell from the result.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lab7.experiments.harness import clock
from lab7.experiments.harness.implementations.registry import OURS, Implementation
from lab7.experiments.harness.judge.verdict import Verdict, Word, in_frames
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.incomplete import complete, make_folder, unfinished, writing
from lab7.experiments.harness.template_engine import render

CellWord = Literal["pass", "fail", "unused", "unsupported", "not installed"]
FORMAT = 1
MATRIX_NAME = "matrix.json"
# Imported when a matrix is written, since pictures are made from results and not the other way round.
PICTURES = "lab7.experiments.ladder.run_pictures"
JUDGED = ("pass", "fail", "unused")
VERDICT_WORDS: Mapping[Word, CellWord] = {"shown": "pass", "failed": "fail", "undecided": "fail"}


@dataclass(frozen=True)
class Cell:
    """Cell of a test matrix: verdict on one server with one client and protocol, with evidence.

    `frames` are frame numbers in the file `capture`. `known_cause`: the cause of a failure, if the registry of programs
    has one.
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
        """Return the heading of the cell's column: client and protocol."""
        return f"{self.client} {self.protocol}"


@dataclass(frozen=True)
class Column:
    """Column of a matrix: a client program, or None for lab7's own client."""

    client: Implementation | None

    @property
    def name(self) -> str:
        """Return the name of the client; `lab7` for lab7's own."""
        return name_of(self.client)

    @property
    def installed(self) -> bool:
        """Return True if the client is installed on this machine."""
        return self.client is None or self.client.installed()


def name_of(implementation: Implementation | None) -> str:
    """Return the name of an implementation as shown in a matrix; `lab7` for None (lab7's own)."""
    return OURS if implementation is None else implementation.name


@dataclass(frozen=True)
class Place:
    """Position of a cell in a matrix (server, client, protocol), with methods that make the cell from a result."""

    server: str
    client: str
    protocol: str
    level: str | None = None
    says: str | None = None

    def not_installed(self, implementation: Implementation) -> Cell:
        """Return the cell of a server or client that is not installed, with installation instructions."""
        return self.cell("not installed", implementation.how_to_get())

    def unsupported(self, reason: str) -> Cell:
        """Return the cell of a protocol that the server or the client does not implement."""
        return self.cell("unsupported", reason)

    def failed(self, reason: str, capture: str | None = None, known_cause: str | None = None) -> Cell:
        """Return the cell of a failure that packets do not show; `reason` is, for example, a client's error message."""
        return self.cell("fail", reason, (), capture, known_cause)

    def judged(self, verdict: Verdict, capture: str, known_cause: str | None = None) -> Cell:
        """Return the cell for a verdict on packets; `known_cause` is kept if the verdict is a failure."""
        return self.cell(VERDICT_WORDS[verdict.verdict], verdict.evidence, verdict.frames, capture, known_cause)

    def cell(
        self,
        word: CellWord,
        evidence: str,
        frames: tuple[int, ...] = (),
        capture: str | None = None,
        known_cause: str | None = None,
    ) -> Cell:
        """Return a cell with the result `word` (pass, fail, ...) and its evidence; `known_cause` only for a failure."""
        cause = known_cause if word == "fail" else None
        names = self.server, self.client, self.protocol
        return Cell(*names, word, evidence, frames, capture, cause, self.level, self.says)


@dataclass(frozen=True)
class MatrixRun:
    """Input of one run of a matrix: folder for captures, kind of links, seed, progress callback (text, share)."""

    folder: Path
    links: str
    sandboxed: bool
    step: Callable[[str, float], None]
    seed: int = 0


@dataclass(frozen=True)
class Matrix:
    """Declaration of a test matrix: name, question, heading of the rows, and the function that returns the cells."""

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
    """Run a matrix, and write matrix.json, matrix.html and captures to a result folder; return (folder, cells).

    `folder` and `started`: a result folder made by the caller, and the start of the run.
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
        in_frames=in_frames,
        matrix=matrix,
        started=data["started"],
        servers=servers,
        columns=columns,
        cells={(cell.server, cell.column): cell for cell in cells},
        cell_numbers={cell: number for number, cell in enumerate(cells, 1)},
        levels=level_counts(cells),
        failing=[cell for cell in cells if cell.verdict == "fail"],
        pictures=pictures_of(folder, cells),
    )
    with writing(folder):
        write_atomically(folder / "matrix.html", page)
        write_atomically(folder / MATRIX_NAME, json.dumps(data, indent=2, ensure_ascii=False) + "\n")
        complete(folder)
    return folder, cells


def pictures_of(folder: Path, cells: Sequence[Cell]) -> Mapping[int, Any]:
    """Return cell number (from 1) -> ladder diagram and frames (CellPictures), for the cells that cite frames."""
    cited = {
        number: (cell.capture, cell.frames) for number, cell in enumerate(cells, 1) if cell.capture and cell.frames
    }
    found: Mapping[int, Any] = importlib.import_module(PICTURES).cell_pictures(folder, cited)
    return found


def axes(cells: Sequence[Cell]) -> tuple[list[str], list[str]]:
    """Return (servers, column headings) of a matrix, each in the order of first appearance."""
    return list(dict.fromkeys(cell.server for cell in cells)), list(dict.fromkeys(cell.column for cell in cells))


def level_counts(cells: Sequence[Cell]) -> dict[str, dict[str, str]]:
    """Return level (required or allowed by the RFC) -> server -> text "passed/all", the counts of checks of this level.

    The text of a server that is not installed is empty. An unused check counts as not passed.
    """
    counts: dict[str, dict[str, str]] = {}
    for level in dict.fromkeys(cell.level for cell in cells if cell.level is not None):
        for server in axes(cells)[0]:
            judged = [cell for cell in cells if (cell.level, cell.server) == (level, server) and cell.verdict in JUDGED]
            passed = sum(cell.verdict == "pass" for cell in judged)
            counts.setdefault(level, {})[server] = f"{passed}/{len(judged)}" if judged else ""
    return counts


def load_cells(folder: Path) -> list[Cell]:
    """Read the cells of a matrix from matrix.json in a result folder. Raises OSError, ValueError."""
    rows = json.loads((folder / MATRIX_NAME).read_text(encoding="utf-8"))["cells"]
    return [Cell(**{**row, "frames": tuple(row["frames"])}) for row in rows]
