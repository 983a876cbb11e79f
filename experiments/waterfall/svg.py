"""SVG of waterfall diagrams: parts of a measured time beside their predictions, and a bar per request and response.

Colours are those of the reports (Okabe and Ito, Color Universal Design, 2008). The diagrams need no scripts. Predicted
parts are outlines below the measured bars, so that the two differ without colour; every bar has its text as a tooltip.
Times run to the right on one linear axis from the start of the measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from lab7.experiments.harness.judge.verdict import in_frames
from lab7.experiments.harness.report.page import COLOURS, OTHER_COLOURS
from lab7.experiments.harness.results.result import furthest_term
from lab7.experiments.waterfall.bars import EXCHANGE, WAYS, Bar
from lab7.experiments.waterfall.objects import PHASES

WIDTH_PX, LABEL_PX, NUMBER_PX = 880.0, 230.0, 150.0
ROW_PX, TOP_PX, BOTTOM_PX = 30.0, 30.0, 12.0
# Bars narrower than this are drawn as a line of this width.
THIN_PX = 1.5
TICKS = 6
# Letters of a label: the widest common ones, capitals, take 7.5 px of LABEL_PX.
LABEL_LETTERS = 28
# Frame numbers in the text of a bar.
FRAMES_MAX = 6
PHASE_COLOURS = {
    "dns": "#CC79A7",
    "tcp_handshake": "#0072B2",
    "request_sent": "#E69F00",
    "waiting": "#8FC7EA",
    "receiving": "#009E73",
    "client": "#8C8C8C",
    "request_way": "#E69F00",
    "server": "#8FC7EA",
    "response_way": "#009E73",
    EXCHANGE: "#8C8C8C",
}
PHASE_WORDS = {
    "dns": "DNS",
    "tcp_handshake": "TCP handshake",
    "request_sent": "request sent",
    "waiting": "waiting",
    "receiving": "receiving",
    "client": "client's own",
    "request_way": "request on its way",
    "server": "at the server",
    "response_way": "response on its way",
    EXCHANGE: "request to response",
}
STYLE = """
svg.waterfall { font: 12px/1 system-ui, "Segoe UI", Roboto, Arial, sans-serif; background: var(--card, #fff); }
.waterfall text { fill: var(--ink, #1d2126); font-variant-numeric: tabular-nums; }
.waterfall .soft { fill: var(--soft, #565e68); font-size: 10.5px; }
.waterfall .grid { stroke: var(--line, #dfe3e7); stroke-width: 1; }
.waterfall .theory { fill: none; stroke: var(--soft, #565e68); stroke-width: 1; }
.waterfall .off { fill: var(--failed, #a3211b); font-weight: 700; }
.waterfall .furthest { font-weight: 700; }
.waterfall .number { text-anchor: end; }
"""


@dataclass(frozen=True)
class TermBar:
    """Row of a diagram of terms: start and length in s, measured and predicted.

    `mark` is `off` or `furthest` for the term that differs most from its prediction (see term_bars), else empty.
    """

    name: str
    start_s: float
    length_s: float
    theory_start_s: float
    theory_s: float
    mark: str = ""

    @property
    def difference_s(self) -> float:
        """Return measured minus predicted length, in s."""
        return self.length_s - self.theory_s


def render_terms(title: str, rows: Sequence[TermBar]) -> str:
    """Return the diagram of a measured time's terms (parts) as an <svg> element. Raises ValueError without rows."""
    if not rows:
        raise ValueError("a waterfall needs at least one term")
    ends = [edge for row in rows for edge in (row.start_s + row.length_s, row.theory_start_s + row.theory_s)]
    axis = _Axis(max(ends))
    parts = [*_opened(title, len(rows)), *axis.grid(len(rows))]
    for place, row in enumerate(rows):
        y = TOP_PX + ROW_PX * place
        text = (
            f"{row.name}: measured {_ms(row.length_s)} ms, theory {_ms(row.theory_s)} ms, "
            f"difference {_signed(row.difference_s)} ms"
        )
        words = {"off": " \N{BLACK UP-POINTING TRIANGLE} off", "furthest": " furthest"}.get(row.mark, "")
        parts += [
            f"<g><title>{escape(text)}</title>",
            f'<text class="number" x="{LABEL_PX - 10:.0f}" y="{y + 17:.1f}">{escape(_cut(row.name))}</text>',
            axis.bar(row.start_s, row.length_s, y + 4, 12, f'fill="{_colour(row.name, rows)}"'),
            axis.bar(row.theory_start_s, row.theory_s, y + 18, 6, 'class="theory"'),
            f'<text class="number {row.mark}" x="{WIDTH_PX - 6:.0f}" y="{y + 14:.1f}">{_ms(row.length_s)}{words}'
            "</text>",
            f'<text class="number soft" x="{WIDTH_PX - 6:.0f}" y="{y + 26:.1f}">{_signed(row.difference_s)} to theory'
            "</text></g>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def render_bars(title: str, bars: Sequence[Bar], start_ns: int, end_ns: int) -> str:
    """Return the waterfall diagram of requests and responses as an <svg> element. Raises ValueError without bars."""
    if not bars:
        raise ValueError("a waterfall needs at least one bar")
    axis = _Axis((max(end_ns, *(bar.end_ns for bar in bars)) - start_ns) / 1e9)
    legend = list(_legend({phase.name for bar in bars for phase in bar.phases}, TOP_PX + ROW_PX * len(bars) + 12))
    parts = [*_opened(title, len(bars) + len(legend)), *axis.grid(len(bars))]
    for place, bar in enumerate(bars):
        y = TOP_PX + ROW_PX * place
        parts += [
            f"<g><title>{escape(describe(bar, start_ns))}</title>",
            f'<text class="number" x="{LABEL_PX - 10:.0f}" y="{y + 14:.1f}">{escape(_cut(bar.label))}</text>',
            f'<text class="number soft" x="{LABEL_PX - 10:.0f}" y="{y + 26:.1f}">{escape(bar.lane)}</text>',
        ]
        for phase in bar.phases:
            span_s = (phase.end_ns - phase.start_ns) / 1e9
            fill = f'fill="{PHASE_COLOURS[phase.name]}"'
            parts.append(axis.bar((phase.start_ns - start_ns) / 1e9, span_s, y + 7, 14, fill))
        octets = "no response" if bar.octets is None else f"{bar.octets:,} octets"
        parts += [
            f'<text class="number" x="{WIDTH_PX - 6:.0f}" y="{y + 14:.1f}">'
            f"{_ms((bar.end_ns - bar.start_ns) / 1e9)}</text>",
            f'<text class="number soft" x="{WIDTH_PX - 6:.0f}" y="{y + 26:.1f}">{octets}</text></g>',
        ]
    parts += legend
    return "\n".join([*parts, "</svg>", ""])


def describe(bar: Bar, start_ns: int) -> str:
    """Describe a bar in one sentence: label, lane, the phases with their times in ms since `start_ns`, frames."""
    times = [
        (phase.name, *(_ms((time_ns - start_ns) / 1e9) for time_ns in (phase.start_ns, phase.end_ns)))
        for phase in bar.phases
    ]
    phases = "; ".join(f"{PHASE_WORDS[name]} {start} to {end} ms" for name, start, end in times)
    return f"{bar.label} ({bar.lane}): {phases}; {in_frames(bar.frames, FRAMES_MAX)}"


class _Axis:
    """Linear time axis from 0 to `end_s`, drawn between the row labels on the left and the numbers on the right."""

    def __init__(self, end_s: float) -> None:
        self._end_s = end_s if end_s > 0 else 1e-9
        self._scale = (WIDTH_PX - LABEL_PX - NUMBER_PX) / self._end_s

    def bar(self, start_s: float, length_s: float, y: float, height: float, paint: str) -> str:
        # The bar of a negative term runs backwards from its start.
        left, right = sorted((start_s, start_s + length_s))
        width = max((right - left) * self._scale, THIN_PX)
        x = LABEL_PX + left * self._scale
        return f'<rect x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height}" {paint}/>'

    def grid(self, rows: int) -> Iterator[str]:
        step_s = _round_step(self._end_s / TICKS)
        for tick in range(int(self._end_s / step_s) + 1):
            x = LABEL_PX + tick * step_s * self._scale
            bottom = TOP_PX + ROW_PX * rows
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP_PX - 6:.0f}" y2="{bottom:.0f}"/>'
            yield (
                f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{TOP_PX - 12:.0f}">{tick * step_s * 1e3:g}'
                "</text>"
            )
        yield f'<text class="number soft" x="{WIDTH_PX - 6:.0f}" y="{TOP_PX - 12:.0f}">ms</text>'


def _round_step(step_s: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least `step_s`."""
    power: float = 10.0 ** math.floor(math.log10(step_s))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= step_s), 10 * power)


def _opened(title: str, rows: int) -> list[str]:
    height = TOP_PX + ROW_PX * rows + BOTTOM_PX
    return [
        f'<svg class="waterfall" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX:.0f} {height:.0f}" '
        f'width="{WIDTH_PX:.0f}" height="{height:.0f}" role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
    ]


def _legend(used: set[str], y: float) -> Iterator[str]:
    """Yield the lines of the legend as SVG, the first at the height `y`, for the phases in `used`."""
    row: list[str] = []
    x = LABEL_PX
    for name in (*PHASES, *WAYS, EXCHANGE):
        if name not in used:
            continue
        width = 34 + 6.6 * len(PHASE_WORDS[name])
        if x + width > WIDTH_PX and row:
            yield "".join(row)
            row, x, y = [], LABEL_PX, y + ROW_PX
        row += [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="12" height="12" fill="{PHASE_COLOURS[name]}"/>',
            f'<text x="{x + 17:.0f}" y="{y + 10:.0f}">{PHASE_WORDS[name]}</text>',
        ]
        x += width
    yield "".join(row)


def _colour(name: str, rows: Sequence[TermBar]) -> str:
    if name in COLOURS:
        return COLOURS[name]
    others = [row.name for row in rows if row.name not in COLOURS]
    return OTHER_COLOURS[others.index(name) % len(OTHER_COLOURS)]


def _cut(text: str) -> str:
    text = text.replace("_", " ") if " " not in text else text
    return text if len(text) <= LABEL_LETTERS else text[: LABEL_LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:z,.3f}".replace("-", "\N{MINUS SIGN}")


def _signed(seconds: float) -> str:
    return f"{seconds * 1e3:+z,.3f}".replace("-", "\N{MINUS SIGN}")


def term_bars(terms: Mapping[str, float], theory: Mapping[str, float], within: bool) -> list[TermBar]:
    """Return a row for each term (part) of a time, cumulative in measured order; terms of 0 s are omitted.

    The term that differs most from its prediction is marked: `off` if the total is outside its tolerance, else
    `furthest` if the difference is noticeable (see furthest_term).
    """
    names = [name for name in dict.fromkeys((*terms, *theory)) if terms.get(name) or theory.get(name)]
    furthest = furthest_term(terms, theory, within)
    rows, start_s, theory_start_s = [], 0.0, 0.0
    for name in names:
        mark = "" if name != furthest else "furthest" if within else "off"
        rows.append(TermBar(name, start_s, terms.get(name, 0.0), theory_start_s, theory.get(name, 0.0), mark))
        start_s += terms.get(name, 0.0)
        theory_start_s += theory.get(name, 0.0)
    return rows
