"""Measured times of an experiment run as a table in CSV or Apache Parquet.

A row is one repetition of a measurement, with its duration in s and the parts of the duration, such as tcp_handshake_s.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab7.experiments.harness.results.atomic import atomic
from lab7.experiments.harness.results.result import Result
from lab7.experiments.harness.results.timings import Sample
from lab7.services.packages import how_to_install


class ExtraMissingError(RuntimeError):
    """Error for an optional dependency (extra) that is not installed; the message is the installation command."""


def columns_of(result: Result, samples: Sequence[Sample]) -> dict[str, list[Any]]:
    """Return a run's samples as a table: column name -> values, one value per sample (measured repetition).

    Columns: experiment, start and seed of the run, comparison, sample number, predicted time, total, each term (part)
    of the total, disturbed. A term that a sample lacks is None.
    """
    terms = list(dict.fromkeys(term for sample in samples for term in sample.terms))
    theories = {comparison.name: comparison.theory_s for comparison in result.comparisons}
    count = len(samples)
    return {
        "experiment": [result.experiment] * count,
        "started": [result.started] * count,
        "seed": [result.seed] * count,
        "comparison": [sample.comparison for sample in samples],
        "sample": [sample.number for sample in samples],
        "theory_s": [theories.get(sample.comparison) for sample in samples],
        "total_s": [sample.total_s for sample in samples],
        **{f"{term}_s": [sample.terms.get(term) for sample in samples] for term in terms},
        "disturbed": [sample.disturbed for sample in samples],
    }


def csv_of(columns: dict[str, list[Any]]) -> str:
    """Return a table (column name -> values) as CSV (RFC 4180) with LF line ends; an absent value is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def write_parquet(columns: dict[str, list[Any]], path: Path) -> None:
    """Write a table (column name -> values) as a Parquet file.

    Raises ExtraMissingError without pyarrow, OSError.
    """
    try:
        arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise ExtraMissingError(f"Parquet needs pyarrow: {how_to_install('pyarrow')}") from error
    with atomic(path) as partial:
        parquet.write_table(arrow.table(columns), partial)
