"""Legends of formulas: each symbol of a closed form has its value and its meaning."""

from __future__ import annotations

import re

import pytest

from lab7.experiments.cache.theory import cached_visit
from lab7.experiments.cdn.delivery import FORMULAS, RTT_NAMES
from lab7.experiments.cdn.theory import by_name, interactive
from lab7.experiments.ftp.theory import ftp_session
from lab7.experiments.harness.claims import load_claims
from lab7.experiments.harness.report.page import render_report
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory
from lab7.experiments.http.theory import STRATEGIES, http_page_load
from lab7.experiments.mail.theory import access, outage, transfer
from tests.core.experiments.harness.samples import sample_result

LEG = transfer.Leg(0.02, 1e7)
VISIT = cached_visit(4, 0.01, 0.04, 1e7, [4000] * 4, 100, 1)
FORMS: dict[str, Theory] = {
    **{name: http_page_load(name, 0.1, [4000] * 3, 1e7, request_size_bytes=80) for name in STRATEGIES},
    "slow start": http_page_load("2", 0.1, [40_000] * 3, 1e7, request_size_bytes=80, slow_start=True),
    "cold": VISIT,
    "warm": cached_visit(4, 0.01, 0.04, 1e7, [], 0, 0),
    **{
        " ".join(case): by_name(VISIT, 0.06, formula, RTT_NAMES)
        for case, formula in FORMULAS.items()
        if case[0] == "CDN"
    },
    "interactive": interactive([0.1, 0.2], 0.01, 0.5),
    "ftp": ftp_session("passive", 0.02, [4000] * 3, 1e7, 5),
    "webmail": access.webmail_session("everything", 3, [2000] * 3, 0.02),
    "refused": outage.recovery(True, 0.02, 4, 1),
    "timed out": outage.recovery(False, 0.02, 4, 1),
    "smtp": transfer.smtp_connection(LEG, [3000] * 2, pipelining=False),
    "smtp, apart": transfer.smtp_connection(LEG, [3000] * 2, pipelining=True, together=False),
    "submission": transfer.submission(LEG, 3000, 0.04),
    "connecting": transfer.connecting(LEG, 0.04),
    "transfer": transfer.transfer(LEG, 3000),
    "reading": transfer.reading(LEG, 3000, 0.04),
}


def undefined(theory: Theory) -> str:
    """Return the letters of a formula that belong to no symbol of its legend."""
    text = re.sub(r"\bmax\b", "", theory.formula)
    for symbol in sorted(theory.symbols, key=len, reverse=True):
        text = re.sub(rf"(?<![A-Za-z]){re.escape(symbol)}(?![A-Za-z])", "", text)
    return "".join(re.findall("[A-Za-z]+", text))


@pytest.mark.parametrize("name", FORMS)
def test_each_symbol_of_a_formula_has_its_value_and_meaning(name: str) -> None:
    theory = FORMS[name]
    assert undefined(theory) == ""
    assert all(re.match(r"[\d.e+]+( ms)?, \w+", text) for text in theory.symbols.values()), theory.symbols
    assert theory.plus({"framing": 0.001}).symbols == theory.symbols


def test_the_parts_of_x_are_those_of_the_terms() -> None:
    theory = http_page_load("1.0-serial", 0.1, [4000] * 3, 1e7)
    assert theory.symbols["n"] == "3, objects of the page"
    assert theory.symbols["RTT"] == "100 ms, round-trip time"
    whole, first, rest = (float(one) for one in re.findall(r"([\d.]+) ms", theory.symbols["X"]))
    assert rest == pytest.approx(theory.terms["transmission"] * 1e3, rel=1e-3)
    assert first == pytest.approx((theory.terms["request"] - 0.3) * 1e3, rel=1e-3)
    assert whole == pytest.approx(first + rest, rel=1e-3)
    assert "in request" in theory.symbols["X"]
    assert "in transmission" in theory.symbols["X"]


def test_the_report_has_the_legend_of_its_formulas() -> None:
    theory = FORMS["cold"]
    one = Comparison.of("cold", [Timing(theory.total_s, theory.terms)], theory, 0.01)
    page = render_report(sample_result(comparisons=(one,)), load_claims())
    for symbol in ("n", "m", "c", "X", "RTT", "RTT campus"):
        assert f"<dt>{symbol}</dt><dd>" in page
    assert "4, requests to the origin" in page
