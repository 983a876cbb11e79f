"""Reader of timings.csv, the table of all samples (measured repetitions) of a run with their terms.

Terms are the parts of a time, such as connection setup. `result.write_timings` writes the file.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness.results.result import TIMINGS_NAME, Result

# Columns that are no term of the sample's total.
_OTHER_COLUMNS = ("total_s", "counted_s", "latest_frame_s")


@dataclass(frozen=True)
class Sample:
    """One sample of a measured time: number from 1, total and terms (summands) in s, and True if it was disturbed."""

    comparison: str
    number: int
    total_s: float
    terms: dict[str, float]
    disturbed: bool = False


class TimingsError(ValueError):
    """Invalid timings.csv; the message is one sentence."""


def read_samples(folder: Path) -> list[Sample]:
    """Return the samples of timings.csv in a result folder; an empty list without the file. Raises TimingsError."""
    path = folder / TIMINGS_NAME
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [_sample(row) for row in csv.DictReader(stream)]
    except FileNotFoundError:
        return []
    except (KeyError, ValueError, TypeError) as error:
        raise TimingsError(f"{path} does not have the columns and numbers of a timings file") from error


def samples_of(folder: Path, result: Result) -> list[Sample]:
    """Return the samples of a run from timings.csv. Raises TimingsError.

    For a measured time that has no rows in timings.csv, the samples are those of result.json, which have no terms.
    """
    samples = read_samples(folder)
    known = {sample.comparison for sample in samples}
    for comparison in result.comparisons:
        if comparison.name not in known:
            samples += [
                Sample(comparison.name, number, total_s, {}, number in (comparison.disturbed or ()))
                for number, total_s in enumerate(comparison.samples_s, 1)
            ]
    return samples


def _sample(row: dict[str, str]) -> Sample:
    terms = {
        name.removesuffix("_s"): float(value)
        for name, value in row.items()
        if name.endswith("_s") and name not in _OTHER_COLUMNS and value
    }
    return Sample(row["name"], int(row["sample"]), float(row["total_s"]), terms, row.get("disturbed") == "yes")
