"""Tables of results: one row per measured time, claim, sample or run, as a pandas DataFrame if pandas is installed.

A claim is a statement about a protocol, with the verdict of a run on it. A sample is one repetition of a measurement.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lab7.experiments.export.tables import csv_of, write_parquet
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.result import Result, read_results
from lab7.experiments.harness.results.timings import samples_of
from lab7.experiments.harness.template_engine import render

Row = dict[str, Any]
RowKind = Literal["comparisons", "claims", "samples", "runs"]
# Rows that a table shows in a notebook or a terminal.
SHOWN_ROWS = 60


@dataclass(frozen=True)
class Table:
    """Table made of columns of equal length, for machines without pandas; None stands for an absent value."""

    columns: Mapping[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), []))

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows as dictionaries."""
        for values in zip(*self.columns.values(), strict=True):
            yield dict(zip(self.columns, values, strict=True))

    def to_csv(self, path: str | Path) -> Path:
        """Write the table as CSV (RFC 4180)."""
        return write_atomically(Path(path), csv_of(dict(self.columns)))

    def to_parquet(self, path: str | Path) -> None:
        """Write the table as Apache Parquet. Raises ExtraMissingError without pyarrow."""
        write_parquet(dict(self.columns), Path(path))

    def __str__(self) -> str:
        rows = [[_cell(value) for value in row.values()] for row in list(self)[:SHOWN_ROWS]]
        widths = [max(map(len, cells)) for cells in zip(self.columns, *rows, strict=True)]
        lines = [list(self.columns), *rows]
        more = [f"{len(self) - SHOWN_ROWS} more rows"] if len(self) > SHOWN_ROWS else []
        return "\n".join(
            ["  ".join(map(str.ljust, cells, widths)).rstrip() for cells in lines if cells] + more,
        )

    def _repr_html_(self) -> str:
        shown = list(self)[:SHOWN_ROWS]
        rows = [[_cell(value) for value in row.values()] for row in shown]
        return render("table.html.j2", columns=list(self.columns), rows=rows, left_out=len(self) - len(shown))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def results(folder: str | Path = "results", rows: RowKind = "comparisons") -> Any:
    """Return a table of all results below a folder, oldest first, as pandas DataFrame, or Table without pandas.

    `rows` selects the kind of rows: "comparisons" (one per measured time, with its prediction), "claims", "samples"
    (each with its terms) or "runs". Every row has the run's experiment, start, seed, clock, fidelity, implementations,
    parameters (in the parser's units: times in s) and folder. Raises NotADirectoryError, ValueError.
    """
    folder = Path(folder)
    if rows not in ROWS:
        raise ValueError(f"rows={rows!r}: choose one of {', '.join(ROWS)}")
    if not folder.is_dir():
        raise NotADirectoryError(f"there is no folder {folder}: `lab7 run --results {folder}` makes it")
    return table_of([row for path, result in read_results(folder) for row in rows_of(path, result, rows)])


def rows_of(folder: Path, result: Result, rows: RowKind) -> list[Row]:
    """Return the rows of one result; the columns that describe the run come first."""
    head = _run_columns(folder, result)
    return [{**head, **row, "folder": str(folder)} for row in ROWS[rows](folder, result)]


def table_of(rows: list[Row]) -> Any:
    """Return rows as a pandas DataFrame, or as a Table if pandas is not installed; a column has values of one type."""
    names = list(dict.fromkeys(name for row in rows for name in row if name != "folder"))
    columns = {name: _of_one_type([row.get(name) for row in rows]) for name in [*names, "folder"]} if rows else {}
    if importlib.util.find_spec("pandas") is None:
        return Table(columns)
    import pandas

    return pandas.DataFrame(columns)


def _of_one_type(values: list[Any]) -> list[Any]:
    """Convert the values of a column to one type (numbers, booleans or text), since Parquet's columns are typed."""
    there = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in there):
        return values
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        whole = all(isinstance(value, int) for value in there)
        return values if whole else [None if value is None else float(value) for value in values]
    return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]


def _run_columns(folder: Path, result: Result) -> Row:
    return {
        "run": folder.name,
        "experiment": result.experiment,
        "started": result.started,
        "seed": result.seed,
        "clock": result.clock.word,
        "fidelity": result.fidelity.verdict,
        "implementations": ", ".join(f"{role}={name}" for role, name in result.implementations.items()),
        **{f"parameter.{name}": value for name, value in result.parameters.items()},
    }


def _comparison_rows(_folder: Path, result: Result) -> list[Row]:
    return [
        {
            "comparison": one.name,
            "samples": len(one.samples_s),
            "theory_s": one.theory_s,
            "measured_s": one.measured_s,
            "ratio": one.ratio,
            "tolerance": one.tolerance,
            "within": one.within,
            "formula": one.formula,
        }
        for one in result.comparisons
    ]


def _claim_rows(_folder: Path, result: Result) -> list[Row]:
    return [{"claim": one.id, "verdict": one.verdict, "evidence": one.evidence} for one in result.claims]


def _sample_rows(folder: Path, result: Result) -> list[Row]:
    return [
        {
            "comparison": one.comparison,
            "sample": one.number,
            "total_s": one.total_s,
            **{f"{term}_s": value_s for term, value_s in one.terms.items()},
            "disturbed": one.disturbed,
        }
        for one in samples_of(folder, result)
    ]


def _run_rows(_folder: Path, result: Result) -> list[Row]:
    words = [one.verdict for one in result.claims]
    counts = {f"claims_{word}": words.count(word) for word in ("shown", "failed", "undecided")}
    return [{"duration_s": result.duration_s, "attempt": result.attempt, **counts}]


ROWS: Mapping[str, Callable[[Path, Result], list[Row]]] = {
    "comparisons": _comparison_rows,
    "claims": _claim_rows,
    "samples": _sample_rows,
    "runs": _run_rows,
}
