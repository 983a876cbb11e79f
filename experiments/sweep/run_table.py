"""Terminal table over several runs of one experiment (`lab7 run NAME --set rtt=20ms,60ms`, `lab7 sweep`).

Runs that differ only in their seed form one row, with the mean and its confidence interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.results.result import Result
from lab7.experiments.sweep.grid import axes_of, combinations
from lab7.experiments.sweep.intervals import mean_of
from lab7.experiments.sweep.table import Row, TableRun, column_of, is_time, rows_of, table_of

FIGURES = ("runs", "theory ms", "measured ms", "± ms", "ratio", "claims shown", "fidelity")


def settings_of(experiment: Experiment, given: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the parameters of each run (name -> value): all combinations of the values in `given`.

    `given` has a list of values for each name, separated by commas, such as `20ms,60ms`.
    """
    return combinations(axes_of(experiment, given))


def run_rows(experiment: Experiment, runs: Sequence[tuple[str, Mapping[str, str], Result]]) -> list[Row]:
    """Return the table rows of runs, each given as (name, parameter -> value as text, result)."""
    return rows_of(
        table_of(
            TableRun(name, {each: experiment.parameters[each].parse(text) for each, text in given.items()}, {}, result)
            for name, given, result in runs
        )
    )


def mean_table(
    rows: Sequence[Row], settings: Sequence[str], experiment: Experiment
) -> tuple[list[str], list[list[str]]]:
    """Return (headings, rows of texts), with one row per combination of parameter values and measured time.

    `settings`: names of the parameters and roles to show.
    """
    columns = {name: column_of(name) for name in settings}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault((*(row[column] for column in columns.values()), row["comparison"]), []).append(row)
    texts = []
    for key, some in groups.items():
        shown = [_text(value, is_time(experiment, name)) for name, value in zip(settings, key, strict=False)]
        texts.append([*shown, key[-1] or "", *_figures(some)])
    return [*settings, "time", *FIGURES], texts


def _figures(rows: Sequence[Row]) -> list[str]:
    claims = f"{sum(row['claims_shown'] for row in rows)}/{sum(row['claims'] for row in rows)}"
    suspect = sum(row["fidelity"] != "valid" for row in rows)
    fidelity = f"{suspect} suspect" if suspect else "valid"
    if rows[0]["comparison"] is None:
        return [str(len(rows)), "", "", "", "", claims, fidelity]
    mean = mean_of([row["measured_s"] * 1e3 for row in rows])
    half_width = "" if mean.half_width is None else f"{mean.half_width:.3f}"
    theory_ms, ratio = fmean(row["theory_s"] * 1e3 for row in rows), fmean(row["ratio"] for row in rows)
    return [str(len(rows)), f"{theory_ms:.2f}", f"{mean.value:.2f}", half_width, f"{ratio:.4f}", claims, fidelity]


def _text(value: Any, is_seconds: bool) -> str:
    if is_seconds and isinstance(value, int | float):
        return f"{value * 1e3:g} ms"
    return f"{value:g}" if isinstance(value, float) else str(value)
