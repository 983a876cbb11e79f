"""Waterfall diagrams for the report of a run: measured and predicted parts of each time, and a bar per request.

A time, such as that of a page load, is measured several times. Its parts are, for example, connection setup and
waiting. The bars show the requests and responses of one measurement: the one with the median time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.ladder.named_capture import read_frames
from lab7.experiments.waterfall.bars import Bar, bars_of
from lab7.experiments.waterfall.svg import PAGE, PHASE_WORDS, PHONE, render_bars, render_terms, term_bars

# Maximum number of bars per transaction in a report; further bars are only counted.
BARS_MAX = 40


@dataclass(frozen=True)
class BarRow:
    """Row of the table below a waterfall diagram: label, lane, start and end in s, frames, octets.

    `lane`: text that names the hosts, the connection and the stream. `phases`: (name in words, duration in s).
    `outcome`: the number of octets of the response in words, or the reason why there is none.
    """

    label: str
    lane: str
    start_s: float
    end_s: float
    phases: tuple[tuple[str, float], ...]
    frames: tuple[int, ...]
    octets: int | None
    outcome: str


@dataclass(frozen=True)
class Waterfall:
    """Waterfall diagrams of one measured time as SVG: `terms` of its parts, `bars` of its requests and responses.

    The bars show the measurement with the median time. Each diagram has two elements, one for a page and one for the
    screen of a phone; the report's style shows one of them. `bars` is None if the capture has no packets of the
    measurement.
    """

    comparison: Comparison
    terms: str | None
    bars: str | None = None
    rows: tuple[BarRow, ...] = ()
    left_out: int = 0


def run_waterfalls(folder: Path, result: Result) -> tuple[Waterfall, ...]:
    """Return the waterfall diagrams of each measured time of a result.

    Without a readable capture, there are only diagrams of terms.
    """
    captures: dict[str, CaptureFile | None] = {}
    return tuple(_waterfall(folder, result, comparison, captures) for comparison in result.comparisons)


def _waterfall(
    folder: Path, result: Result, comparison: Comparison, captures: dict[str, CaptureFile | None]
) -> Waterfall:
    rows = term_bars(comparison.terms, comparison.theory_terms, comparison.within)
    title = f"Terms of {comparison.name}, measured and of theory"
    terms = "".join(render_terms(title, rows, layout) for layout in (PAGE, PHONE)) if rows else None
    span = comparison.span
    if span is None:
        return Waterfall(comparison, terms)
    if span.capture not in captures:
        captures[span.capture] = read_frames(folder / Path(span.capture).name, result)
    captured = captures[span.capture]
    if captured is None:
        return Waterfall(comparison, terms)
    first_ns = captured.frames[0].time_ns
    start_ns, end_ns = first_ns + span.start_ns, first_ns + span.end_ns
    bars = bars_of(captured, start_ns, end_ns)
    if not bars:
        return Waterfall(comparison, terms)
    shown = bars[:BARS_MAX]
    start_ns = min(start_ns, shown[0].start_ns) if shown[0].start_ns < start_ns else shown[0].start_ns
    title = f"Exchanges of the median sample of {comparison.name}"
    drawn = "".join(render_bars(title, shown, start_ns, end_ns, layout) for layout in (PAGE, PHONE))
    return Waterfall(comparison, terms, drawn, tuple(_row(bar, start_ns) for bar in shown), len(bars) - len(shown))


def _row(bar: Bar, start_ns: int) -> BarRow:
    return BarRow(
        bar.label,
        bar.lane,
        (bar.start_ns - start_ns) / 1e9,
        (bar.end_ns - start_ns) / 1e9,
        tuple((PHASE_WORDS[phase.name], (phase.end_ns - phase.start_ns) / 1e9) for phase in bar.phases),
        bar.frames,
        bar.octets,
        bar.outcome,
    )
