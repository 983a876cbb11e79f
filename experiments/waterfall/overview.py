"""Overview of the measured times of a run: bars on one time axis, divided into terms, and slowest and fastest compared.

    overview = overview_of(result)
    overview.svg            # the diagram
    overview.difference     # the slowest time compared with the fastest, term by term

The terms (parts) are those of the median samples, and add up to these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lab7.experiments.harness.report.page import term_words
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.waterfall.svg import PAGE, PHONE, TOP_PX, Axis, Layout, colour_of, opened

ROWS_MAX = 12
# Terms below this share of a time are not named, and differences below this factor are none.
NAMED_SHARE, SAME_FACTOR = 0.003, 1.05
ROW_PX, PHONE_ROW_PX, SWATCH_PX, CHARACTER_PX = 46.0, 76.0, 9, 5.7
PHONE_LINES = 2


@dataclass(frozen=True)
class Difference:
    """Comparison of the slowest with the fastest measured time: names, quotient, difference in s, and its terms.

    `terms`: (term in words, difference in s), the greatest first. They add up to `difference_s` together with `rest_s`.
    """

    slowest: str
    fastest: str
    factor: float
    difference_s: float
    terms: tuple[tuple[str, float], ...]
    rest_s: float
    formulas: tuple[str, str]


@dataclass(frozen=True)
class Overview:
    """Overview of all measured times: diagram as SVG (for a page, and for a phone), and the comparison of two times.

    `difference`: the slowest time compared with the fastest. `left_out`: number of times that the diagram omits.
    """

    svg: str
    difference: Difference | None
    left_out: int = 0


def overview_of(result: Result) -> Overview | None:
    """Return the overview of a result's measured times; None if it has none."""
    every = [one for one in result.comparisons if one.terms]
    if not every:
        return None
    shown = every[:ROWS_MAX]
    fastest = min(every, key=lambda one: one.raw_s)
    drawn = "".join(_render(shown, fastest, layout) for layout in (_PAGE, _PHONE))
    return Overview(drawn, difference_of(every), len(every) - len(shown))


def difference_of(comparisons: Sequence[Comparison]) -> Difference | None:
    """Return the comparison of the slowest with the fastest time; None for fewer than two times or about equal ones."""
    if not comparisons:
        return None
    slow, fast = (pick(comparisons, key=_total_s) for pick in (max, min))
    if slow is fast or _total_s(slow) < SAME_FACTOR * _total_s(fast):
        return None
    terms = sorted(_differences(slow, fast).items(), key=lambda one: -abs(one[1]))
    named = tuple((term_words(name), by_s) for name, by_s in terms if abs(by_s) >= NAMED_SHARE * _total_s(slow))
    by_s = _total_s(slow) - _total_s(fast)
    rest_s = by_s - sum(value for _, value in named)
    return Difference(
        slow.name, fast.name, _total_s(slow) / _total_s(fast), by_s, named, rest_s, (slow.formula, fast.formula)
    )


def _total_s(comparison: Comparison) -> float:
    return sum(comparison.terms.values())


def _differences(slow: Comparison, fast: Comparison) -> Mapping[str, float]:
    names = dict.fromkeys((*slow.terms, *fast.terms))
    return {name: slow.terms.get(name, 0.0) - fast.terms.get(name, 0.0) for name in names}


_PAGE = Layout(PAGE.width, PAGE.left, PAGE.right, ROW_PX, words="overview on-page")
_PHONE = Layout(
    PHONE.width, PHONE.left, PHONE.right, PHONE_ROW_PX, 20.0, PHONE.label_letters, PHONE.ticks, "overview on-phone"
)


def _render(comparisons: Sequence[Comparison], fastest: Comparison, layout: Layout) -> str:
    axis = Axis(max(max(_total_s(one), one.theory_s) for one in comparisons), layout)
    names = list(dict.fromkeys(name for one in comparisons for name in one.terms))
    title = "All measured times and their terms, in milliseconds"
    parts = [*opened(title, len(comparisons), layout), *axis.grid(len(comparisons))]
    for place, one in enumerate(comparisons):
        y = TOP_PX + layout.row * place
        factor = _total_s(one) / _total_s(fastest)
        beside = "the fastest" if one is fastest else f"{factor:.1f} \N{MULTIPLICATION SIGN} {fastest.name}"
        if len(beside) > 22:
            beside = f"{factor:.1f} \N{MULTIPLICATION SIGN} the fastest"
        parts += [
            f"<g><title>{escape(_described(one))}</title>",
            layout.label(y + 15, _short(one.name, layout)),
            *_bar(one, names, axis, y + layout.bar_top),
            layout.number(y + 15, f"{_total_s(one) * 1e3:,.1f} ms"),
            *_terms(one, names, y + layout.bar_top + 31, layout),
            "</g>",
        ]
        if len(comparisons) > 1 and not layout.bar_top:
            parts.append(layout.number(y + 31, beside, "soft"))
    return "\n".join([*parts, "</svg>", ""])


def _bar(one: Comparison, names: Sequence[str], axis: Axis, y: float) -> Iterator[str]:
    at_s = 0.0
    for name in names:
        length_s = one.terms.get(name, 0.0)
        if length_s > 0:
            yield axis.bar(at_s, length_s, y + 3, 16, f'fill="{colour_of(name, names)}"')
            at_s += length_s
    yield axis.bar(one.theory_s, 0, y, 22, 'class="mark"')


def _terms(one: Comparison, names: Sequence[str], y: float, layout: Layout) -> Iterator[str]:
    """Yield SVG for the names and times of terms, each behind a square of its colour, on as many lines as needed."""
    x, lines = layout.left, 1
    for name in names:
        value_s = one.terms.get(name, 0.0)
        if abs(value_s) < NAMED_SHARE * _total_s(one):
            continue
        text = f"{term_words(name)} {value_s * 1e3:,.1f}"
        width = SWATCH_PX + 4 + CHARACTER_PX * len(text) + 10
        if x + width > layout.width and x > layout.left:
            if lines == (PHONE_LINES if layout.bar_top else 1):
                return
            x, y, lines = layout.left, y + 14, lines + 1
        square = f'width="{SWATCH_PX}" height="{SWATCH_PX}" fill="{colour_of(name, names)}"'
        yield f'<rect x="{x:.0f}" y="{y - 8:.0f}" {square}/>'
        yield f'<text class="soft" x="{x + SWATCH_PX + 4:.0f}" y="{y:.0f}">{escape(text)}</text>'
        x += width


def _described(one: Comparison) -> str:
    terms = ", ".join(f"{term_words(name)} {value_s * 1e3:,.3f}" for name, value_s in one.terms.items() if value_s)
    return f"{one.name}: {_total_s(one) * 1e3:,.3f} ms ({terms}); theory {one.theory_s * 1e3:,.3f} ms, {one.formula}"


def _short(text: str, layout: Layout) -> str:
    return text if len(text) <= layout.label_letters else text[: layout.label_letters - 1] + "\N{HORIZONTAL ELLIPSIS}"
