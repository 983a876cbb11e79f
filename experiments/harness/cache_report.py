"""The plots of the experiment on the web cache: visits beside theory, and how old what clients got under load was."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from experiments.harness.judge.cache import text
from experiments.harness.judge.cache_freshness import Delivery
from experiments.harness.report_lines import Panel, Series, plot_lines
from experiments.harness.report_plot import PlotUnavailable, plot_comparisons
from experiments.harness.result import Comparison

NOTE = (
    "a point is a response that a client got; lines: what max-age allows (caches that count whole seconds may be one "
    "second above it); no-cache allows what was current when it was asked for"
)


def plot(comparisons: Sequence[Comparison], got: Sequence[Delivery]) -> str | None:
    """Return bars and panels as SVG elements, one below the other; None without matplotlib."""
    try:
        bars = plot_comparisons(comparisons)
    except PlotUnavailable:
        return None
    return bars + (plot_lines(_panels(got), NOTE) or "") if got else bars


def _panels(got: Sequence[Delivery]) -> list[Panel]:
    ages = Panel("age", "time in s", "since the origin was asked, in s", _series(got, lambda one: one.age_s))
    staleness = Panel(
        "staleness", "time in s", "since it was replaced, in s", _series(got, lambda one: one.staleness_s)
    )
    return [ages, staleness]


def _series(got: Sequence[Delivery], height: Callable[[Delivery], float]) -> list[Series]:
    """One series an object; its line is what max-age allows."""
    start_ns = min(one.answered_ns for one in got)
    end_s = (max(one.answered_ns for one in got) - start_ns) / 1e9
    series = []
    for path in sorted({one.path for one in got}):
        mine = [one for one in got if one.path == path]
        limit = mine[0].max_age_s
        allowed = [] if limit is None else [(0.0, limit), (end_s, limit)]
        name = text(path).rpartition("/")[2].partition(".")[0]
        label = f"{name} ({'no-cache' if limit is None else f'max-age={limit:g}'})"
        points = [((one.answered_ns - start_ns) / 1e9, height(one)) for one in mine]
        series.append(Series(label, points, allowed))
    return series
