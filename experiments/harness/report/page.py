"""HTML reports: the page of one result (report.html), and the index over all results.

A page starts with the claims (statements of the course), their verdicts, and the verdict on the emulation's fidelity.
It then compares every measured time with the prediction of a closed-form formula, term by term. The page makes no HTTP
request: style and plot are embedded. Text from the result is escaped by jinja2.

The plot shows the measured terms and the predicted terms as two stacked bars, and every sample (measured repetition) as
a dot. The colours are those of Okabe and Ito (Color Universal Design, 2008), which colour-blind readers can
distinguish; the prediction is hatched as well, so that the two bars differ without colour.
"""

from __future__ import annotations

import importlib
import io
import statistics
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.fidelity.disturbance import DISTURBED_SHARE
from lab7.experiments.harness.judge.verdict import Verdict, citation, counted, listed
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.incomplete import INCOMPLETE_NAME, find_incomplete
from lab7.experiments.harness.results.latest import OWN, Latest, find_latest_by_variant
from lab7.experiments.harness.results.result import Comparison, Result, furthest_term, read_results
from lab7.experiments.harness.results.run_folder import SWEEPS
from lab7.experiments.harness.results.terms import IN_OTHERS, only_theory, term_meaning, terms_of
from lab7.experiments.harness.template_engine import declare, render
from lab7.services.packages import how_to_install

REPORT_NAME = "report.html"
# Module of the ladders in a report; imported by name, because its readers of protocols are above this layer.
PICTURES = "lab7.experiments.ladder.run_pictures"
WATERFALLS = "lab7.experiments.waterfall.run_waterfall"
OVERVIEW = "lab7.experiments.waterfall.overview"
NETWORK = "lab7.experiments.network.run_network"
MOST_FRAMES = 12
# Heading of the index section for claims that no installed experiment declares, such as those of a user's file.
OWN_CLAIMS = "Claims of single experiments"
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
    """Error because matplotlib is not installed; the message has the installation instructions."""


def plot_comparisons(comparisons: Sequence[Comparison]) -> str:
    """Return a bar chart of measured and predicted terms as an <svg> element. Raises PlotUnavailable."""

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        _draw(axes, comparisons, _colours(comparisons))
        _dress(axes, comparisons)
        figure.legend(loc="outside upper center", ncols=LEGEND_COLUMNS, frameon=False, labelcolor=INK)

    lines = sum(2 + len(comparison.formula) // FORMULA_COLUMNS for comparison in comparisons)
    return draw_svg((8.2, 1.5 + INCHES_A_LINE * lines), paint)


def draw_svg(size_inches: tuple[float, float], paint: Callable[[Any], None]) -> str:
    """Call `paint` with a matplotlib figure in lab7's style; return the plot as one <svg> element.

    Raises PlotUnavailable if matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise PlotUnavailable(f"The plot needs matplotlib: {how_to_install('matplotlib')}") from error
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size_inches, layout="constrained")
        paint(figure)
        output = io.StringIO()
        # Omit the date, so that the same result gives the same page.
        figure.savefig(output, format="svg", metadata={"Date": None})
    text = output.getvalue()
    return text[text.index("<svg") :]


def _colours(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return term -> colour, in the order in which the bar chart stacks the terms (parts of a time)."""
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
        # Give each term one legend entry, by an underscore before all other labels, which matplotlib then leaves out.
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


@dataclass(frozen=True)
class TermRow:
    """Row of a report's table of terms: measured and predicted time in s.

    `furthest`: True for the term with the greatest difference, if that is noticeable. `only_theory`: True for a
    correction to the formula, which has no measured time of its own.
    """

    name: str
    measured_s: float
    theory_s: float
    furthest: bool
    only_theory: bool = False

    @property
    def difference_s(self) -> float:
        """Return measured minus predicted time, in s."""
        return self.measured_s - self.theory_s


@dataclass(frozen=True)
class IndexRow:
    """Row of the index over runs: the run, the link to its report, and True if the run is the experiment's newest."""

    result: Result
    href: str
    newest: bool


@dataclass(frozen=True)
class IncompleteRow:
    """Row of the index for an incomplete run: its folder, the reason, and the files that were kept."""

    name: str
    reason: str
    files: tuple[str, ...]


def render_report(
    result: Result,
    claims: Mapping[str, Claim],
    own_plot: str | None = None,
    pictures: Any = None,
    waterfalls: Sequence[Any] = (),
    network: Any = None,
) -> str:
    """Return the HTML page of one result. A claim that is not in `claims` is listed by its id only.

    `own_plot`: an SVG made by the experiment, in place of the bar chart of comparisons. `pictures`: ladder diagrams of
    the run, and the frames that its evidence cites (RunPictures). `waterfalls`: waterfall diagrams of the comparisons.
    `network`: the topology and the traffic of its paths (RunNetwork).
    """
    plot, no_plot = (Markup(own_plot), None) if own_plot else _plot(result.comparisons)
    return render(
        "report.html.j2",
        result=result,
        claims=claims,
        counts=_counts(result.claims),
        plot=plot,
        no_plot=no_plot,
        pictures=pictures,
        waterfalls=waterfalls,
        network=network,
        overview=importlib.import_module(OVERVIEW).overview_of(result),
    )


def write_report(
    folder: Path,
    result: Result,
    claims: Mapping[str, Claim],
    own_plot: str | None = None,
) -> Path:
    """Write report.html into the folder of a result; return its path. The arguments are those of render_report."""
    pictures = importlib.import_module(PICTURES).run_pictures(folder, result)
    waterfalls = importlib.import_module(WATERFALLS).run_waterfalls(folder, result)
    network = importlib.import_module(NETWORK).run_network(folder, result)
    return write_atomically(
        folder / REPORT_NAME, render_report(result, claims, own_plot, pictures, waterfalls, network)
    )


def render_index(
    runs: Sequence[IndexRow],
    latest: Mapping[str, Latest],
    claims: Mapping[str, Claim],
    hrefs: Mapping[Path, str],
    incomplete: Sequence[IncompleteRow] = (),
    others: Mapping[str, Mapping[str, Latest]] | None = None,
    sweeps: Mapping[str, str] | None = None,
) -> str:
    """Return the HTML index over runs: every claim with its newest verdict, then the runs, newest first, and sweeps.

    `hrefs`: folder of a run -> link to its report. `incomplete`: runs that did not end. `others`: latest verdicts in
    runs with replaced programs or faults, as text about these (Result.variant) -> claim id -> verdict. `sweeps`: name
    of a sweep -> link to its report.
    """
    groups: dict[str, list[Claim]] = {}
    for claim in claims.values():
        groups.setdefault(claim.group, []).append(claim)
    # The statements of the claims of a user's file are in the reports of its runs.
    if own := [Claim(name, OWN_CLAIMS, "", "") for name in latest if name not in claims]:
        groups[OWN_CLAIMS] = own
    return render(
        "index.html.j2",
        runs=runs,
        latest=latest,
        hrefs=hrefs,
        groups=groups,
        counts=_counts([one.verdict for one in latest.values()]),
        judged=len(latest),
        own=len(own),
        total=len(claims) + len(own),
        incomplete=incomplete,
        others=others or {},
        sweeps=sweeps or {},
    )


def write_index(results: Path, claims: Mapping[str, Claim]) -> Path:
    """Write report.html, the index over all results in the folder `results`; return its path."""
    seen: set[str] = set()
    rows: list[IndexRow] = []
    hrefs: dict[Path, str] = {}
    for folder, result in reversed(list(read_results(results))):
        hrefs[folder] = folder.relative_to(results).as_posix() + "/" + (result.files.report or "result.json")
        rows.append(IndexRow(result, hrefs[folder], newest=result.experiment not in seen))
        seen.add(result.experiment)
    unfinished = [
        IncompleteRow(
            folder.relative_to(results).as_posix(),
            reason,
            tuple(sorted(path.name for path in folder.iterdir() if path.name != INCOMPLETE_NAME)),
        )
        for folder, reason in find_incomplete(results).items()
    ]
    latest = find_latest_by_variant(results)
    others = {name: found for name, found in latest.items() if name != OWN}
    sweeps = {
        path.parent.name: path.relative_to(results).as_posix()
        for path in sorted((results / SWEEPS).glob(f"*/{REPORT_NAME}"))
    }
    page = render_index(rows, latest[OWN], claims, hrefs, unfinished, others, sweeps)
    return write_atomically(results / REPORT_NAME, page)


def term_rows(comparison: Comparison) -> list[TermRow]:
    """Return a measured time and its prediction as rows (term, measured, predicted); a missing term counts as 0 s."""
    names = terms_of(comparison)
    pairs = {name: (comparison.terms.get(name, 0.0), comparison.theory_terms.get(name, 0.0)) for name in names}
    off = furthest_term(comparison.terms, comparison.theory_terms, comparison.within)
    return [
        TermRow(name, *pair, furthest=name == off, only_theory=only_theory(comparison, name))
        for name, pair in pairs.items()
    ]


def legend(comparisons: Sequence[Comparison]) -> dict[str, dict[str, list[str]]]:
    """Return the legend of the formulas: symbol -> its text -> names of the measured times with this text.

    The text is the symbol's value and meaning, which may differ between measured times.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for comparison in comparisons:
        for symbol, text in comparison.symbols.items():
            found.setdefault(symbol, {}).setdefault(text, []).append(comparison.name)
    return found


def meanings(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return term -> meaning, for the terms of the comparisons whose meaning is known."""
    names = dict.fromkeys(name for comparison in comparisons for name in terms_of(comparison))
    return {name: words for name in names if (words := term_meaning(name))}


def _plot(comparisons: Sequence[Comparison]) -> tuple[Markup | None, str | None]:
    if not comparisons:
        return None, None
    try:
        # Mark the plot as safe HTML, since matplotlib escapes the text in the SVG.
        return Markup(plot_comparisons(comparisons)), None
    except PlotUnavailable as reason:
        return None, str(reason)


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    counts = {"shown": 0, "failed": 0, "undecided": 0}
    for verdict in verdicts:
        counts[verdict.verdict] += 1
    return counts


def term_words(name: str) -> str:
    """Return a term's name in words for display: `tcp_handshake` becomes "TCP handshake"."""
    return name.replace("tcp_", "TCP ").replace("dns", "DNS").replace("_", " ")


def _milliseconds(seconds: float) -> str:
    value = seconds * 1e3
    # Write the minus sign as U+2212, which is as wide as a digit.
    return f"{value:z,.1f}".replace(",", "\u202f").replace("-", "\u2212")


def _signed(seconds: float) -> str:
    """Return a difference of times as text in ms with its sign, in the format of _milliseconds."""
    return ("+" if seconds >= 0 else "") + _milliseconds(seconds)


def _exact(seconds: float) -> str:
    """Return a time in ms with three decimals, so that terms add up to their total."""
    return f"{seconds * 1e3:z,.3f}".replace(",", "\u202f").replace("-", "\N{MINUS SIGN}")


def _spread(comparison: Comparison) -> str:
    low, high = min(comparison.samples_s), max(comparison.samples_s)
    text = f"{_milliseconds(low)} to {_milliseconds(high)}"
    if len(comparison.samples_s) > 1:
        text += f", s = {_milliseconds(statistics.stdev(comparison.samples_s))}"
    return text


def _frames(numbers: Sequence[int]) -> str:
    return listed(numbers, MOST_FRAMES)


def _cited(verdict: Verdict, main: str | None, pictures: Any = None) -> str:
    """Return the frames that a verdict cites as HTML: numbers by capture, with links to the frames shown in the page.

    `main`: the run's principal capture; `pictures`: RunPictures of the page. At most MOST_FRAMES are listed per
    capture.
    """
    cited = verdict.cited(main)
    if pictures is None:
        return citation(cited, main, MOST_FRAMES)
    anchors = pictures.anchors
    parts = []
    for capture, numbers in cited.items():
        links = [
            Markup('<a href="#{}">{}</a>').format(anchors[capture, number], number)
            if (capture, number) in anchors
            else Markup(number)
            for number in numbers[:MOST_FRAMES]
        ]
        noun = "frame" if len(numbers) == 1 else "frames"
        more = f" and {len(numbers) - MOST_FRAMES} more" if len(numbers) > MOST_FRAMES else ""
        of = "" if cited.keys() <= {main} else f" of {capture}"
        parts.append(Markup("{} {}{}{}").format(noun, Markup(", ").join(links), more, of))
    return Markup("; ").join(parts)


declare(
    filters={
        "ms": _milliseconds,
        "signed": _signed,
        "frames": _frames,
        "term": term_words,
        "exact": _exact,
        "cited": _cited,
        "counted": counted,
    },
    legend=legend,
    meanings=meanings,
    in_others=IN_OTHERS,
    term_rows=term_rows,
    spread=_spread,
    disturbed_share=f"{DISTURBED_SHARE:.0%}",
)
