"""report.html: a result as one self-contained page, and the index over all results.

The page opens with the claims and their verdicts and the fidelity verdict, and sets every measured time beside its
theory, term by term. It makes no request: style and plot are embedded. Text from the result is escaped by jinja2.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from experiments.harness.claims import Claim
from experiments.harness.fidelity.disturbance import DISTURBED_SHARE
from experiments.harness.judge.verdict import Verdict
from experiments.harness.report.plots import PlotUnavailable, plot_comparisons
from experiments.harness.results.folder import Latest, find_latest, read_results
from experiments.harness.results.result import Comparison, Result, write_atomically
from experiments.harness.template_engine import environment, render

REPORT_NAME = "report.html"
MOST_FRAMES = 12
OWN_CLAIMS = "Beside the course"


@dataclass(frozen=True)
class TermRow:
    """One term of one comparison, in seconds; `furthest` marks the term with the largest difference."""

    name: str
    measured_s: float
    theory_s: float
    furthest: bool

    @property
    def difference_s(self) -> float:
        """Measured minus theory."""
        return self.measured_s - self.theory_s


@dataclass(frozen=True)
class IndexRow:
    """One run in the index."""

    result: Result
    href: str
    newest: bool


def render_report(result: Result, claims: Mapping[str, Claim], own_plot: str | None = None) -> str:
    """Return the page of one result; a claim that is not in `claims` is listed by its id alone.

    own_plot: an SVG by the experiment itself; else every comparison gets its bars.
    """
    plot, no_plot = (Markup(own_plot), None) if own_plot else _plot(result.comparisons)
    return render(
        "report.html.j2",
        result=result,
        claims=claims,
        counts=_counts(result.claims),
        plot=plot,
        no_plot=no_plot,
    )


def write_report(folder: Path, result: Result, claims: Mapping[str, Claim], own_plot: str | None = None) -> Path:
    """Write report.html into the folder of a result; return its path."""
    return write_atomically(folder / REPORT_NAME, render_report(result, claims, own_plot))


def render_index(runs: Sequence[IndexRow], latest: Mapping[str, Latest], claims: Mapping[str, Claim]) -> str:
    """Return the page over several runs: every claim with its newest verdict, then the runs, newest first."""
    groups: dict[str, list[Claim]] = {}
    for claim in claims.values():
        groups.setdefault(claim.group, []).append(claim)
    # Claims of user experiments; their statements are in the reports of their runs.
    if own := [Claim(name, OWN_CLAIMS, "", "") for name in latest if name not in claims]:
        groups[OWN_CLAIMS] = own
    verdicts = [latest[name].verdict for name in claims if name in latest]
    return render(
        "index.html.j2",
        runs=runs,
        latest=latest,
        groups=groups,
        counts=_counts(verdicts),
        judged=len(verdicts),
        total=len(claims),
    )


def write_index(results: Path, claims: Mapping[str, Claim]) -> Path:
    """Write report.html over every result under `results`; return its path."""
    seen: set[str] = set()
    rows: list[IndexRow] = []
    for folder, result in reversed(list(read_results(results))):
        href = folder.relative_to(results).as_posix() + "/" + (result.files.report or "result.json")
        rows.append(IndexRow(result, href, newest=result.experiment not in seen))
        seen.add(result.experiment)
    return write_atomically(results / REPORT_NAME, render_index(rows, find_latest(results), claims))


def term_rows(comparison: Comparison) -> list[TermRow]:
    """Return the terms of a comparison, measured beside theory; a term that one side lacks is zero there."""
    names = list(dict.fromkeys((*comparison.terms, *comparison.theory_terms)))
    pairs = {name: (comparison.terms.get(name, 0.0), comparison.theory_terms.get(name, 0.0)) for name in names}
    off = max(pairs, key=lambda name: abs(pairs[name][0] - pairs[name][1]), default=None)
    return [TermRow(name, *pair, furthest=name == off) for name, pair in pairs.items()]


def _plot(comparisons: Sequence[Comparison]) -> tuple[Markup | None, str | None]:
    if not comparisons:
        return None, None
    try:
        # The plot's own text is escaped by matplotlib, which writes it as XML.
        return Markup(plot_comparisons(comparisons)), None
    except PlotUnavailable as reason:
        return None, str(reason)


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    counts = {"shown": 0, "failed": 0, "undecided": 0}
    for verdict in verdicts:
        counts[verdict.verdict] += 1
    return counts


def _term(name: str) -> str:
    return name.replace("tcp_", "TCP ").replace("dns", "DNS").replace("_", " ")


def _milliseconds(seconds: float) -> str:
    value = seconds * 1e3
    # U+2212, so that a negative figure is as wide as a positive one.
    return f"{value:,.1f}".replace(",", "\u202f").replace("-", "\u2212")


def _spread(comparison: Comparison) -> str:
    low, high = min(comparison.samples_s), max(comparison.samples_s)
    text = f"{_milliseconds(low)} to {_milliseconds(high)}"
    if len(comparison.samples_s) > 1:
        text += f", s = {_milliseconds(statistics.stdev(comparison.samples_s))}"
    return text


def _frames(numbers: Sequence[int]) -> str:
    text = ", ".join(str(number) for number in numbers[:MOST_FRAMES])
    more = len(numbers) - MOST_FRAMES
    return f"{text} and {more} more" if more > 0 else text


environment().filters.update(ms=_milliseconds, frames=_frames, term=_term)
environment().globals.update(term_rows=term_rows, spread=_spread, disturbed_share=f"{DISTURBED_SHARE:.0%}")
