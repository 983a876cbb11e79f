"""Line plots for reports: measured points and the curves predicted by theory, in panels side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lab7.experiments.harness.report.page import INK, PlotUnavailable, draw_svg

# Colours of Okabe and Ito (2008) without their yellow, which is too light for lines on white.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#8C8C8C")
MARKERS = "osD^vPX*"
NOTE_COLUMNS, PHONE_NOTE_COLUMNS = 100, 48
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Series:
    """Data series of a plot: measured points, predicted curve, and optionally a refined prediction (dashed).

    `half_widths`: half-width of the confidence interval of each measured point, drawn as an error bar; empty if there
    are no intervals.
    """

    name: str
    measured: Points
    theory: Points
    refined: Points = ()
    half_widths: Sequence[float] = ()


@dataclass(frozen=True)
class Panel:
    """Panel of a line plot: title, axis labels and series; `categories` are labels for the x values 0, 1, ..."""

    title: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    categories: Sequence[str] = ()


def plot_lines(panels: Sequence[Panel], note: str, phone: bool = False) -> str | None:
    """Return the panels as one <svg> element, with the text `note` below; None if matplotlib is not installed.

    `phone`: True for the narrow form for the screen of a phone, with one panel below the other.
    """

    def paint(figure: Any) -> None:
        grid = figure.subplots(*((len(panels), 1) if phone else (1, len(panels))), squeeze=False).flat
        # Use the same colour and marker for a series in all panels, and list every series in one legend.
        names = list(dict.fromkeys(series.name for panel in panels for series in panel.series))
        handles: dict[str, Any] = {}
        for axes, panel in zip(grid, panels, strict=True):
            handles |= _paint_panel(axes, panel, names)
        shown = [handles[name] for name in names]
        figure.legend(
            shown, names, loc="outside upper center", ncols=max(1, min(len(names), 1 if phone else 6)), frameon=False
        )
        figure.supxlabel(textwrap.fill(note, PHONE_NOTE_COLUMNS if phone else NOTE_COLUMNS), fontsize=9.5, color=INK)

    try:
        return draw_svg((4.3, 4.2 * len(panels)) if phone else (4.3 * max(2, len(panels)), 4.6), paint)
    except PlotUnavailable:
        return None


def _paint_panel(axes: Any, panel: Panel, names: Sequence[str]) -> dict[str, Any]:
    """Plot one panel on matplotlib axes; return series name -> legend handle."""
    handles = {}
    for series in panel.series:
        number = names.index(series.name)
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        if series.theory:
            axes.plot(*_columns(series.theory), color=colour, linewidth=1.3)
        if series.refined:
            axes.plot(*_columns(series.refined), color=colour, linewidth=1.2, linestyle=(0, (4, 2)))
        handles[series.name] = axes.scatter(*_columns(series.measured), color=colour, marker=marker, s=30, zorder=3)
        if series.half_widths:
            points = _columns(series.measured)
            axes.errorbar(*points, series.half_widths, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=2)
    axes.set_title(panel.title, fontsize=11, color=INK)
    axes.set_xlabel(panel.x_label, color=INK)
    axes.set_ylabel(panel.y_label, color=INK)
    if panel.categories:
        axes.set_xticks(range(len(panel.categories)), panel.categories)
        axes.set_xlim(-0.5, len(panel.categories) - 0.5)
    else:
        axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(color="#E3E6E9", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelcolor=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return handles


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
