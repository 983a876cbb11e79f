"""Overview of all measured times of a run on one axis, and what makes the slowest one longer."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.report.page import render_report
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory
from lab7.experiments.waterfall.overview import ROWS_MAX, difference_of, overview_of
from tests.core.experiments.harness.samples import sample_result

SVG = "{http://www.w3.org/2000/svg}"


def compared(name: str, **terms_s: float) -> Comparison:
    total_s = sum(terms_s.values())
    theory = Theory(total_s, terms_s, f"formula of {name}", "a textbook")
    return Comparison.of(name, [Timing(total_s, terms_s)], theory, 0.1)


SERIAL = compared("serial", tcp_handshake=0.3, request=0.302, origin_request=0.01)
PIPELINED = compared("pipelined", tcp_handshake=0.1, request=0.2, origin_request=0.012)


def widths(svg: str) -> list[tuple[str, float]]:
    """Return colour and width of each bar of 16 px, in order."""
    bars = [one.attrib for one in ElementTree.fromstring(svg).iter(SVG + "rect")]
    return [(bar["fill"], float(bar["width"])) for bar in bars if bar["height"] == "16"]


def page_form(comparisons: list[Comparison]) -> str:
    overview = overview_of(sample_result(comparisons=tuple(comparisons)))
    assert overview is not None
    return overview.svg.partition("</svg>")[0] + "</svg>"


def test_the_terms_of_the_difference_add_up_to_it() -> None:
    found = difference_of([PIPELINED, SERIAL])
    assert found is not None
    assert (found.slowest, found.fastest) == ("serial", "pipelined")
    assert found.factor == pytest.approx(0.612 / 0.312)
    assert found.difference_s == pytest.approx(0.3)
    assert [name for name, _ in found.terms] == ["TCP handshake", "request", "origin request"]
    assert [value for _, value in found.terms] == pytest.approx([0.2, 0.102, -0.002])
    assert sum(value for _, value in found.terms) + found.rest_s == pytest.approx(found.difference_s)


@pytest.mark.parametrize("comparisons", [[], [SERIAL], [SERIAL, replace(SERIAL, name="again")]])
def test_one_time_or_equal_ones_have_no_difference(comparisons: list[Comparison]) -> None:
    assert difference_of(comparisons) is None


def test_the_bars_are_to_one_scale_in_colours_that_differ() -> None:
    bars = widths(page_form([SERIAL, PIPELINED]))
    scale = bars[0][1] / 0.3
    assert [width / scale for _, width in bars] == pytest.approx([0.3, 0.302, 0.01, 0.1, 0.2, 0.012], abs=0.001)
    assert bars[0][0] == bars[3][0]
    assert len({colour for colour, _ in bars}) == 3


def test_each_time_has_its_total_its_terms_and_its_factor() -> None:
    root = ElementTree.fromstring(page_form([SERIAL, PIPELINED]))
    words = ["".join(one.itertext()) for one in root.iter(SVG + "text")]
    assert {"612.0 ms", "TCP handshake 300.0", "request 302.0", "2.0 \N{MULTIPLICATION SIGN} pipelined"} <= set(words)
    assert {"312.0 ms", "the fastest"} <= set(words)


def test_more_times_than_fit_are_counted() -> None:
    many = tuple(replace(SERIAL, name=f"n{one}") for one in range(ROWS_MAX + 3))
    overview = overview_of(sample_result(comparisons=many))
    assert overview is not None
    assert overview.left_out == 3


def test_the_report_begins_with_the_answer() -> None:
    result = sample_result(comparisons=(SERIAL, PIPELINED))
    page = re.sub(r"\s+", " ", render_report(result, load_claims()))
    assert (
        "<b>serial</b> takes 2.0 times as long as <b>pipelined</b>: 300.0 ms more, of which TCP handshake +200.0, "
        "request +102.0, origin request \N{MINUS SIGN}2.0 ms."
    ) in page
    assert page.index('class="answer"') < page.index("<h2>Claims</h2>")


def test_a_hostile_name_stays_text() -> None:
    hostile = replace(SERIAL, name="<script>x</script>")
    page = render_report(sample_result(comparisons=(hostile, PIPELINED)), load_claims())
    assert "<script" not in page


def test_a_run_without_times_has_no_overview() -> None:
    assert overview_of(sample_result(comparisons=())) is None
