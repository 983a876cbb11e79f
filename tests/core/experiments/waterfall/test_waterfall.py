"""Waterfalls of a result: cumulative terms beside theory's, marks, and bars from the packets of the median sample."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.report.page import render_report, write_report
from lab7.experiments.harness.results.result import CaptureSpan, Comparison, Result, Timing
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.waterfall.bars import Bar, bars_of
from lab7.experiments.waterfall.objects import Phase
from lab7.experiments.waterfall.run_waterfall import BARS_MAX, run_waterfalls
from lab7.experiments.waterfall.svg import PAGE, PHASE_WORDS, PHONE, Layout, render_bars, render_terms, term_bars
from tests.core.experiments.harness.samples import sample_result, sample_run
from tests.core.experiments.harness.wire import MS, Wire
from tests.core.experiments.http.pages import persistent

SPAN = CaptureSpan("capture.pcapng", 0, 169 * MS)
SECONDS = st.floats(-0.01, 10, allow_nan=False)


def run(folder: Path, span: CaptureSpan | None = SPAN, wire: Wire | None = None) -> tuple[Path, Result]:
    timing = Timing(0.169, {"tcp_handshake": 0.04, "request": 0.12, "transmission": 0.009}, span=span)
    sample_run(folder, wire or persistent(Wire()), {"page": [timing]})
    return folder, Result.load(folder)


@given(st.dictionaries(st.sampled_from(["dns", "request", "residual", "framing"]), SECONDS, min_size=1))
def test_terms_are_cumulative_and_end_at_their_sum(terms: dict[str, float]) -> None:
    rows = term_bars(terms, {}, True)
    position = 0.0
    for row in rows:
        assert row.start_s == pytest.approx(position)
        position += row.length_s
    assert position == pytest.approx(sum(terms.values()))
    assert all(row.length_s for row in rows)


@pytest.mark.parametrize(("within", "word"), [(True, "furthest"), (False, "off")])
def test_the_term_furthest_from_theory_is_marked(within: bool, word: str) -> None:
    rows = term_bars({"dns": 0.1, "request": 0.5}, {"dns": 0.1, "request": 0.3, "framing": 0.1}, within)
    assert {row.name: row.mark for row in rows} == {"dns": "", "request": word, "framing": ""}
    assert word in render_terms("terms", rows)


def test_noise_is_not_marked_and_has_no_sign() -> None:
    rows = term_bars({"request": 0.5, "dns": 0.0999999}, {"request": 0.5, "dns": 0.1}, within=True)
    assert {row.mark for row in rows} == {""}
    assert "\N{MINUS SIGN}" not in render_terms("terms", rows)


def test_the_bars_are_those_of_the_span(tmp_path: Path) -> None:
    (found,) = run_waterfalls(*run(tmp_path / "run"))
    assert [row.label for row in found.rows] == ["GET /", "GET /a", "GET /b"]
    assert found.rows[0].start_s == 0
    assert found.rows[-1].end_s == pytest.approx(0.169)
    assert [words for words, _ in found.rows[0].phases] == ["TCP handshake", "request sent", "waiting", "receiving"]


def test_the_span_of_the_median_sample_is_in_result_json(tmp_path: Path) -> None:
    folder, result = run(tmp_path / "run")
    (stored,) = json.loads((folder / "result.json").read_text())["comparisons"]
    assert stored["span"] == {"capture": "capture.pcapng", "start_ns": 0, "end_ns": 169 * MS}
    assert result.comparisons[0].span == SPAN


def test_of_several_samples_the_span_is_that_of_the_median() -> None:
    timings = [
        Timing(total, {"request": total}, span=CaptureSpan("c", number, number))
        for number, total in enumerate((3.0, 1.0, 2.0))
    ]
    found = Comparison.of("page", timings, http_page_load("1.1-persistent", 0.1, [1]), 0.1)
    assert found.span == CaptureSpan("c", 2, 2)


@pytest.mark.parametrize(
    "span", [None, CaptureSpan("gone.pcapng", 0, 1), CaptureSpan("capture.pcapng", 10**12, 10**12)]
)
def test_a_comparison_without_packets_has_its_terms_alone(span: CaptureSpan | None, tmp_path: Path) -> None:
    (found,) = run_waterfalls(*run(tmp_path / "run", span))
    assert found.terms is not None
    assert found.bars is None


def test_a_capture_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    persistent(Wire()).capture(tmp_path)
    folder, result = run(tmp_path / "run", CaptureSpan("../capture.pcapng", 0, 169 * MS))
    (folder / "capture.pcapng").unlink()
    (found,) = run_waterfalls(folder, result)
    assert found.bars is None


def test_many_exchanges_are_cut_and_counted(tmp_path: Path) -> None:
    wire = persistent(Wire(), tuple(f"/{number}" for number in range(BARS_MAX + 3)))
    (found,) = run_waterfalls(*run(tmp_path / "run", CaptureSpan("capture.pcapng", 0, 10**12), wire))
    assert (len(found.rows), found.left_out) == (BARS_MAX, 3)


def test_svg_is_well_formed_and_text_from_packets_is_escaped(tmp_path: Path) -> None:
    wire = persistent(Wire(), ("/?a=1&b=%3Cscript%3E", "/a'"))
    captured = wire.capture(tmp_path)
    drawn = render_bars("<title> & more", bars_of(captured, 0, 2**62), captured.frames[0].time_ns, 2**61)
    ElementTree.fromstring(drawn)
    assert "a=1&amp;b" in drawn


def test_bars_stay_inside_the_picture(tmp_path: Path) -> None:
    (found,) = run_waterfalls(*run(tmp_path / "run"))
    for drawn in (found.terms, found.bars):
        assert drawn is not None
        for one in drawn.split("</svg>")[:-1]:
            (width,) = map(float, re.findall(r'viewBox="0 0 (\d+)', one))
            for x, length in re.findall(r'<rect x="([\d.-]+)" y="[\d.]+" width="([\d.]+)"', one):
                assert 0 <= float(x) <= float(x) + float(length) <= width


def test_the_report_has_the_waterfalls_and_a_table_behind_them(tmp_path: Path) -> None:
    folder, result = run(tmp_path / "run")
    page = write_report(folder, result, {}).read_text()
    assert "Where the time went" in page
    assert page.count('<svg class="waterfall on-page"') == 2
    assert page.count('<svg class="waterfall on-phone"') == 2
    assert "The exchanges as a table" in page
    assert "<script" not in page


def test_a_report_without_comparisons_has_no_such_section() -> None:
    assert "Where the time went" not in render_report(sample_result(comparisons=()), {})


@given(SECONDS, st.dictionaries(st.sampled_from(["a", "b", "c", "residual"]), SECONDS))
def test_a_timing_with_a_residual_adds_up_to_the_nanosecond(total_s: float, terms: dict[str, float]) -> None:
    one = Timing.with_residual(total_s, terms)
    assert sum(round(value_s * 1e9) for value_s in one.terms.values()) == round(total_s * 1e9)
    assert list(one.terms)[-1] == "residual"


@given(st.lists(st.lists(st.integers(0, 10**9), min_size=3, max_size=3), min_size=1, max_size=50))
def test_means_of_whole_ns_leave_no_residual(samples: list[list[int]]) -> None:
    means = [sum(column) / len(samples) / 1e9 for column in zip(*samples, strict=True)]
    total_s = sum(map(sum, samples)) / len(samples) / 1e9
    one = Timing.with_residual(total_s, dict(zip("abc", means, strict=True)))
    assert one.terms["residual"] == 0
    assert sum(round(value_s * 1e9) for value_s in one.terms.values()) == round(one.total_s * 1e9)


def test_a_residual_of_a_nanosecond_is_no_rounding() -> None:
    assert Timing.with_residual(2e-9, {"a": 1e-9}).terms == {"a": 1e-9, "residual": 1e-9}


@pytest.mark.parametrize("layout", [PAGE, PHONE])
def test_a_legend_of_all_phases_stays_inside_the_picture(layout: Layout) -> None:
    phases = tuple(Phase(name, number, number + 1) for number, name in enumerate(PHASE_WORDS))
    drawn = render_bars("bars", [Bar("GET /", "a", phases, 1)], 0, len(phases), layout)
    (width, height) = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', drawn)[0])
    for words in PHASE_WORDS.values():
        ((x, y),) = re.findall(rf'<text x="(\d+)" y="(\d+)">{words}</text>', drawn)
        assert float(x) + 6.6 * len(words) <= width
        assert float(y) < height
