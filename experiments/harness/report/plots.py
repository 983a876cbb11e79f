"""Bar plots of comparisons: measured terms beside theory's as stacked bars, every sample as a dot.

matplotlib is optional (the extra `plots`). The colours are those of Okabe and Ito (Color Universal Design, 2008), which
colour-blind readers can distinguish; theory is hatched as well, so that the two bars differ without colour.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments.harness.results.result import Comparison

COLOURS = {
    "dns": "#CC79A7",
    "tcp_handshake": "#0072B2",
    "request": "#E69F00",
    "transmission": "#009E73",
    "residual": "#8C8C8C",
}
OTHER_COLOURS = ("#56B4E9", "#D55E00", "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#7B3294", "#8C510A")
LEGEND_COLUMNS = 4
INK = "#22262B"
FORMULA_COLUMNS = 36
BAR = 0.34
INCHES_A_LINE = 0.42
STYLE = {"svg.fonttype": "none", "svg.hashsalt": "lab7", "font.family": "sans-serif", "font.size": 10.5}


class PlotUnavailable(RuntimeError):  # noqa: N818 - a state of the installation, told to the reader of the page
    """matplotlib is not installed; the message has the installation instructions."""


def plot_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Return the plot as one <svg> element. Raises PlotUnavailable without matplotlib."""

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        _draw(axes, comparisons, _colours(comparisons))
        _dress(axes, comparisons)
        figure.legend(loc="outside upper center", ncols=LEGEND_COLUMNS, frameon=False, labelcolor=INK)

    lines = sum(2 + len(comparison.formula) // FORMULA_COLUMNS for comparison in comparisons)
    return draw_svg((8.2, 1.5 + INCHES_A_LINE * lines), paint)


def draw_svg(size_inches: tuple[float, float], paint: Callable[[Any], None]) -> str:
    """Return the drawing of `paint` on a matplotlib figure in lab7's style, as one <svg> element.

    Raises PlotUnavailable without matplotlib.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotUnavailable("The plot needs matplotlib: pip install 'lab7[plots]'") from error
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size_inches, layout="constrained")
        paint(figure)
        output = io.StringIO()
        # No date: the same result gives the same page.
        figure.savefig(output, format="svg", metadata={"Date": None})
    text = output.getvalue()
    return text[text.index("<svg") :]


def _colours(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return a colour for every term that occurs, in stacking order."""
    names = [name for comparison in comparisons for name in (*comparison.terms, *comparison.theory_terms)]
    known = {name: colour for name, colour in COLOURS.items() if name in names}
    others = [name for name in dict.fromkeys(names) if name not in COLOURS]
    free = [colour for colour in OTHER_COLOURS if colour not in known.values()]
    spare = {name: free[index % len(free)] for index, name in enumerate(others)}
    residual = {name: known.pop(name) for name in ("residual",) if name in known}
    return {**known, **spare, **residual}


def _draw(axes: Any, comparisons: Sequence[Comparison], colours: Mapping[str, str]) -> None:
    drawn: set[str] = set()
    for row, comparison in enumerate(comparisons):
        upper, lower = row - BAR / 2 - 0.02, row + BAR / 2 + 0.02
        _stack(axes, upper, comparison.terms, colours, drawn, hatch="")
        _stack(axes, lower, comparison.theory_terms, colours, drawn, hatch="////")
        label = "samples" if row == 0 else None
        samples = [sample * 1e3 for sample in comparison.samples_s]
        axes.scatter(
            samples, [upper] * len(samples), s=16, color=INK, edgecolors="white", linewidths=0.6, zorder=3, label=label
        )
        edge = max(*samples, comparison.theory_s * 1e3)
        axes.annotate(
            f"ratio {comparison.ratio:.2f}", (edge, row), (8, 0), textcoords="offset points", va="center", color=INK
        )


def _stack(
    axes: Any, y: float, terms: Mapping[str, float], colours: Mapping[str, str], drawn: set[str], hatch: str
) -> None:
    left = 0.0
    for name, colour in colours.items():
        width = terms.get(name, 0.0) * 1e3
        if width <= 0:
            continue
        # matplotlib leaves a label that begins with an underscore out of the legend: one entry per term.
        label = f"_{name}" if name in drawn or hatch else name.replace("_", " ")
        alpha = 0.55 if hatch else 1.0
        axes.barh(
            y, width, BAR, left, color=colour, alpha=alpha, hatch=hatch, edgecolor="white", linewidth=0.8, label=label
        )
        if not hatch:
            drawn.add(name)
        left += width


def _dress(axes: Any, comparisons: Sequence[Comparison]) -> None:
    axes.set_yticks(
        range(len(comparisons)),
        [f"{comparison.name}\n{textwrap.fill(comparison.formula, FORMULA_COLUMNS)}" for comparison in comparisons],
        color=INK,
    )
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds (upper bar: measured; hatched bar: theory; ratio: measured / theory)", color=INK)
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color="#D9DCE0", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="both", length=0, labelcolor=INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
