"""Plots of a sweep: measured times over one parameter, as means over seeds with confidence intervals, beside theory.

A panel shows one of the experiment's measured times. It has one series for each combination of the other parameters and
programs that vary; lines are the predicted times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.sweep.intervals import METHOD, mean_of
from lab7.experiments.sweep.table import Row, column_of, is_time

PANELS_A_PLOT = 3
NOTE = "points: measured, lines: theory; bars: {}"


def plots_of(
    rows: Sequence[Row], settings: Sequence[str], experiment: Experiment, x: str | None, phone: bool = False
) -> list[str]:
    """Return plots of a sweep's rows as <svg> elements; empty if nothing varies or matplotlib is not installed.

    `settings`: parameters and roles with several values. `x`: the one on the x axis, None for the first. `phone`: True
    for the narrow form for the screen of a phone.
    """
    if not settings:
        return []
    panels = panels_of(rows, settings, experiment, x or settings[0])
    note = NOTE.format(METHOD)
    groups = [panels[first : first + PANELS_A_PLOT] for first in range(0, len(panels), PANELS_A_PLOT)]
    return [svg for group in groups if (svg := plot_lines(group, note, phone)) is not None]


def panels_of(rows: Sequence[Row], settings: Sequence[str], experiment: Experiment, x: str) -> list[Panel]:
    """Return one plot panel for each measured time in the rows that has a prediction."""
    columns, names = column_of(x), dict.fromkeys(row["comparison"] for row in rows if row["comparison"] is not None)
    values = list(dict.fromkeys(row[columns] for row in rows))
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    categories = [] if numeric else [str(value) for value in values]
    # Times are plotted in ms.
    factor, unit = (1e3, " in ms") if is_time(experiment, x) else (1.0, "")
    places = {value: float(value) * factor if numeric else float(number) for number, value in enumerate(values)}
    others = [name for name in settings if name != x]
    return [
        Panel(
            name,
            f"{x}{unit}",
            "time in ms",
            _series([row for row in rows if row["comparison"] == name], columns, places, others),
            categories,
        )
        for name in names
    ]


def _series(rows: Sequence[Row], x: str, places: Mapping[object, float], others: Sequence[str]) -> list[Series]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        label = ", ".join(f"{name}={_short(row[column_of(name)])}" for name in others) or "measured"
        groups.setdefault(label, []).append(row)
    return [_one_series(label, some, x, places) for label, some in groups.items()]


def _one_series(label: str, rows: Sequence[Row], x: str, places: Mapping[object, float]) -> Series:
    at: dict[float, list[Row]] = {}
    for row in rows:
        at.setdefault(places[row[x]], []).append(row)
    means = {place: mean_of([row["measured_s"] * 1e3 for row in some]) for place, some in sorted(at.items())}
    theory = [(place, fmean(row["theory_s"] * 1e3 for row in at[place])) for place in means]
    half_widths = [mean.half_width or 0.0 for mean in means.values()]
    measured = [(place, mean.value) for place, mean in means.items()]
    return Series(label, measured, theory, half_widths=half_widths if any(half_widths) else ())


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
