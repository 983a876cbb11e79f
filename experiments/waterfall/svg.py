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

ROW_PX, TOP_PX, BOTTOM_PX = 30.0, 30.0, 12.0
# Bars narrower than this are drawn as a line of this width.
THIN_PX = 1.5
# Distance of a text from the edge, and height of the lines of text above a bar on a phone.
EDGE_PX, TEXT_PX = 6.0, 24.0
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
.waterfall .mark { fill: var(--ink, #1d2126); }
.waterfall .theory { fill: none; stroke: var(--soft, #565e68); stroke-width: 1; }
.waterfall .off { fill: var(--failed, #a3211b); font-weight: 700; }
.waterfall .furthest { font-weight: 700; }
.waterfall .number { text-anchor: end; }
"""


@dataclass(frozen=True)
class Layout:
    """Dimensions of a waterfall diagram in pixels: width, space beside the bars, height of a row, top of its bars.

    `label_letters`: maximum number of letters in a label; the widest common ones, capitals, take 7.5 px. `ticks`:
    approximate number of lines of the time axis. `words`: additional CSS classes of the element.
    """

    width: float = 880.0
    left: float = 230.0
    right: float = 150.0
    row: float = ROW_PX
    bar_top: float = 0.0
    label_letters: int = 28
    ticks: int = 6
    words: str = ""

    def label(self, y: float, text: str, word: str = "") -> str:
        """Return SVG for a text on the left of a row, beside the bar, or above it if there is no space beside it."""
        if self.bar_top:
            return f'<text class="{word}" x="0" y="{y:.1f}">{escape(text)}</text>'
        return f'<text class="{f"number {word}".rstrip()}" x="{self.left - 10:.0f}" y="{y:.1f}">{escape(text)}</text>'

    def number(self, y: float, text: str, word: str = "") -> str:
        """Return SVG for a text at the right edge."""
        x = self.width - (0 if self.bar_top else EDGE_PX)
        return f'<text class="{f"number {word}".rstrip()}" x="{x:.0f}" y="{y:.1f}">{escape(text)}</text>'


PAGE = Layout(words="on-page")
# The screen of a phone: texts are above the bars.
PHONE = Layout(310.0, EDGE_PX, EDGE_PX, ROW_PX + TEXT_PX, TEXT_PX + 3, 26, 4, "on-phone")


@dataclass(frozen=True)
class TermBar:
    """Row of a diagram of terms: start and length in s, measured and predicted.

    `only_theory`: True for a correction to the formula, which has no measured time of its own. `mark`: for the term
    that differs most from its prediction, `off` or `furthest` (see term_bars), else empty.
    """

    name: str
    start_s: float
    length_s: float
    theory_start_s: float
    theory_s: float
    mark: str = ""
    only_theory: bool = False

    @property
    def difference_s(self) -> float:
        """Return measured minus predicted length, in s."""
        return self.length_s - self.theory_s


def render_terms(title: str, rows: Sequence[TermBar], layout: Layout = PAGE) -> str:
    """Return the diagram of a measured time's terms (parts) as an <svg> element. Raises ValueError without rows."""
    if not rows:
        raise ValueError("a waterfall needs at least one term")
    ends = [edge for row in rows for edge in (row.start_s + row.length_s, row.theory_start_s + row.theory_s)]
    axis = Axis(max(ends), layout)
    names = [row.name for row in rows]
    parts = [*opened(title, len(rows), layout), *axis.grid(len(rows))]
    for place, row in enumerate(rows):
        y = TOP_PX + layout.row * place
        bar = y + layout.bar_top
        difference = f"{_signed(row.difference_s)} to theory"
        text = f"{row.name}: measured {_ms(row.length_s)} ms, {difference} {_ms(row.theory_s)} ms"
        if row.only_theory:
            difference = f"theory {_signed(row.theory_s)}"
            text = f"{row.name}: {difference} ms, measured within the other terms"
        fill = f'fill="{colour_of(row.name, names)}"'
        words = {"off": " \N{BLACK UP-POINTING TRIANGLE} off", "furthest": " furthest"}.get(row.mark, "")
        parts += [
            f"<g><title>{escape(text)}</title>",
            layout.label(y + 17, _cut(row.name, layout)),
            "" if row.only_theory else axis.bar(row.start_s, row.length_s, bar + 4, 12, fill),
            axis.bar(row.theory_start_s, row.theory_s, bar + 18, 6, 'class="theory"'),
            layout.number(y + 14, ("\N{EN DASH}" if row.only_theory else _ms(row.length_s)) + words, row.mark),
            layout.number(y + 26, difference, "soft"),
            "</g>",
        ]
    return "\n".join([*parts, "</svg>", ""])


def render_bars(title: str, bars: Sequence[Bar], start_ns: int, end_ns: int, layout: Layout = PAGE) -> str:
    """Return the waterfall diagram of requests and responses as an <svg> element. Raises ValueError without bars."""
    if not bars:
        raise ValueError("a waterfall needs at least one bar")
    axis = Axis((max(end_ns, *(bar.end_ns for bar in bars)) - start_ns) / 1e9, layout)
    names = {phase.name for bar in bars for phase in bar.phases}
    legend = list(_legend(names, TOP_PX + layout.row * len(bars) + 12, layout))
    parts = [*opened(title, len(bars), layout, len(legend)), *axis.grid(len(bars))]
    for place, bar in enumerate(bars):
        y = TOP_PX + layout.row * place
        parts += [
            f"<g><title>{escape(describe(bar, start_ns))}</title>",
            layout.label(y + 14, _cut(bar.label, layout)),
            layout.label(y + 26, bar.lane, "soft"),
        ]
        for phase in bar.phases:
            span_s = (phase.end_ns - phase.start_ns) / 1e9
            fill = f'fill="{PHASE_COLOURS[phase.name]}"'
            parts.append(axis.bar((phase.start_ns - start_ns) / 1e9, span_s, y + layout.bar_top + 7, 14, fill))
        parts += [
            layout.number(y + 14, _ms((bar.end_ns - bar.start_ns) / 1e9)),
            layout.number(y + 26, bar.outcome, "soft"),
            "</g>",
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


class Axis:
    """Linear time axis from 0 to `end_s`, drawn between the spaces on the left and on the right."""

    def __init__(self, end_s: float, layout: Layout) -> None:
        self._end_s, self._layout = end_s if end_s > 0 else 1e-9, layout
        self._scale = (layout.width - layout.left - layout.right) / self._end_s

    def bar(self, start_s: float, length_s: float, y: float, height: float, paint: str) -> str:
        """Return SVG for a bar at a time on the axis; `paint`: its SVG attributes for colour."""
        # The bar of a negative term runs backwards from its start.
        left, right = sorted((start_s, start_s + length_s))
        width = max((right - left) * self._scale, THIN_PX)
        x = self._layout.left + left * self._scale
        return f'<rect x="{x:.2f}" y="{y:.1f}" width="{width:.2f}" height="{height}" {paint}/>'

    def grid(self, rows: int) -> Iterator[str]:
        """Yield SVG for the lines of the axis across `rows` rows, and for their times."""
        layout = self._layout
        step_s = _round_step(self._end_s / layout.ticks)
        for tick in range(int(self._end_s / step_s) + 1):
            x = layout.left + tick * step_s * self._scale
            bottom = TOP_PX + layout.row * rows
            yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP_PX - 6:.0f}" y2="{bottom:.0f}"/>'
            yield (
                f'<text class="soft" text-anchor="middle" x="{x:.1f}" y="{TOP_PX - 12:.0f}">{tick * step_s * 1e3:g}'
                "</text>"
            )
        if not layout.bar_top:
            yield layout.number(TOP_PX - 12, "ms", "soft")


def _round_step(step_s: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least `step_s`."""
    power: float = 10.0 ** math.floor(math.log10(step_s))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= step_s), 10 * power)


def opened(title: str, rows: int, layout: Layout, legend_lines: int = 0) -> list[str]:
    """Return the opening lines of an <svg> element with space for `rows` rows and `legend_lines` lines of legend."""
    height = TOP_PX + layout.row * rows + ROW_PX * legend_lines + BOTTOM_PX
    return [
        f'<svg class="waterfall {layout.words}" xmlns="http://www.w3.org/2000/svg" '
        f'viewBox="0 0 {layout.width:.0f} {height:.0f}" width="{layout.width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label={quoteattr(title)}>',
        f"<title>{escape(title)}</title>",
        f"<style>{STYLE}</style>",
    ]


def _legend(used: set[str], y: float, layout: Layout) -> Iterator[str]:
    """Yield SVG for the legend of the phases in `used`, with its first line at the height `y` in pixels."""
    row: list[str] = []
    x = layout.left
    for name in (*PHASES, *WAYS, EXCHANGE):
        if name not in used:
            continue
        width = 34 + 6.6 * len(PHASE_WORDS[name])
        if x + width > layout.width and row:
            yield "".join(row)
            row, x, y = [], layout.left, y + ROW_PX
        row += [
            f'<rect x="{x:.0f}" y="{y:.0f}" width="12" height="12" fill="{PHASE_COLOURS[name]}"/>',
            f'<text x="{x + 17:.0f}" y="{y + 10:.0f}">{PHASE_WORDS[name]}</text>',
        ]
        x += width
    yield "".join(row)


def colour_of(name: str, names: Sequence[str]) -> str:
    """Return the colour of a term among all terms of a diagram; colours repeat if there are more terms than colours."""
    if name in COLOURS:
        return COLOURS[name]
    others = [one for one in names if one not in COLOURS]
    taken = {COLOURS[one] for one in names if one in COLOURS}
    free = [colour for colour in OTHER_COLOURS if colour not in taken]
    return free[others.index(name) % len(free)]


def _cut(text: str, layout: Layout) -> str:
    text = text.replace("_", " ") if " " not in text else text
    return text if len(text) <= layout.label_letters else text[: layout.label_letters - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:z,.3f}".replace("-", "\N{MINUS SIGN}")


def _signed(seconds: float) -> str:
    return f"{seconds * 1e3:+z,.3f}".replace("-", "\N{MINUS SIGN}")


def term_bars(terms: Mapping[str, float], theory: Mapping[str, float], within: bool) -> list[TermBar]:
    """Return a row for each term (part) of a time; each row starts at the end of the previous one.

    Terms of 0 s are omitted. The term that differs most from its prediction is marked: `off` if the total is outside
    its tolerance, else `furthest` if the difference is noticeable (see furthest_term).
    """
    names = [name for name in dict.fromkeys((*terms, *theory)) if terms.get(name) or theory.get(name)]
    furthest = furthest_term(terms, theory, within)
    rows, start_s, theory_start_s = [], 0.0, 0.0
    for name in names:
        mark = "" if name != furthest else "furthest" if within else "off"
        times = (start_s, terms.get(name, 0.0), theory_start_s, theory.get(name, 0.0))
        rows.append(TermBar(name, *times, mark, only_theory=name not in terms))
        start_s += terms.get(name, 0.0)
        theory_start_s += theory.get(name, 0.0)
    return rows
