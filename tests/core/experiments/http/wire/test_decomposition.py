"""The terms of a page load sum to its total, and are the ones its strategy predicts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.harness.clock import VARIABLE, Clock
from lab7.experiments.harness.judge.decomposition import READING_NS, TERMS, TURN_NS_MAX, Interval, sum_up
from lab7.experiments.http.wire.page_load import decompose, page_load
from tests.core.experiments.harness.wire import CLIENT, INTERFACE, SERVER, Tcp, Wire
from tests.core.experiments.http.pages import BODY_MS, RTT_MS, load, parallel, persistent, pipelined, serial


@pytest.mark.parametrize(
    ("traffic", "handshakes", "requests"),
    [(serial, 3, 3), (parallel, 2, 2), (persistent, 1, 3), (pipelined, 1, 2)],
)
def test_each_strategy_spends_its_round_trips(
    traffic: Callable[[Wire], Wire], handshakes: int, requests: int, tmp_path: Path
) -> None:
    found = decompose(load(traffic(Wire()), tmp_path))
    assert found.terms["tcp_handshake"] * 1e3 == pytest.approx(handshakes * RTT_MS)
    assert found.terms["request"] * 1e3 == pytest.approx(requests * RTT_MS)
    assert found.terms["transmission"] * 1e3 == pytest.approx(3 * BODY_MS)
    assert found.terms["dns"] == 0
    assert sum(found.terms.values()) == pytest.approx(found.total_s)
    # The client's 0.1 ms between a FIN and its own is all that nothing explains.
    assert found.terms["residual"] * 1e3 <= 0.2 + 1e-6


def test_dns_in_front_is_a_term_of_its_own(tmp_path: Path) -> None:
    wire = Wire()
    query = DNS(id=7, qd=DNSQR(qname="www.example.com"))
    wire.add(Ether() / IP(src=CLIENT, dst=SERVER) / UDP(sport=3000, dport=53) / query)
    wire.after(15)
    answer = DNS(id=7, qr=1, qd=DNSQR(qname="www.example.com"))
    wire.add(Ether() / IP(src=SERVER, dst=CLIENT) / UDP(sport=53, dport=3000) / answer)
    wire.after(2)
    capture = serial(wire).capture(tmp_path)
    found = decompose(page_load(capture, INTERFACE), capture.at(INTERFACE))
    assert found.terms["dns"] * 1e3 == pytest.approx(15)
    assert found.terms["residual"] * 1e3 == pytest.approx(2.2)
    assert sum(found.terms.values()) == pytest.approx(found.total_s)


def test_a_load_without_response_has_no_duration(tmp_path: Path) -> None:
    wire = Wire()
    Tcp(wire).open()
    with pytest.raises(ValueError, match="without a response"):
        decompose(load(wire, tmp_path))


@given(
    st.lists(st.builds(Interval, st.sampled_from(TERMS), st.integers(0, 100), st.integers(0, 100)), max_size=12),
    st.integers(0, 50),
    st.integers(51, 100),
)
def test_whatever_overlaps_the_terms_sum_to_the_total(intervals: list[Interval], start: int, end: int) -> None:
    proper = [one for one in intervals if one.start_ns <= one.end_ns]
    found = sum_up(proper, start, end)
    assert math.isclose(sum(found.terms.values()), (end - start) / 1e9)
    for moment in range(start, end):
        present = [one.term for one in proper if one.start_ns <= moment < one.end_ns]
        if not present:
            assert found.terms["residual"] > 0


@pytest.fixture
def _virtual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Clock("virtual", "6.1", "0" * 12).to_text())


@pytest.mark.usefixtures("_virtual")
@pytest.mark.parametrize(
    ("gap_ns", "read_ns"),
    [
        (READING_NS, READING_NS),
        (37 * READING_NS, 37 * READING_NS),
        (37 * READING_NS + 1, 0),
        (TURN_NS_MAX, TURN_NS_MAX),
        # A timer of 1 ms is a whole number of readings as well.
        (1_000_000, 0),
        (40_000_000, 0),
    ],
)
def test_in_virtual_time_only_readings_of_the_clock_are_told_from_the_residual(gap_ns: int, read_ns: int) -> None:
    found = sum_up([Interval("request", 0, 50), Interval("request", 50 + gap_ns, 100 + gap_ns)], 0, 100 + gap_ns)
    in_ns = {term: round(value_s * 1e9) for term, value_s in found.terms.items()}
    assert (in_ns["clock_readings"], in_ns["residual"]) == (read_ns, gap_ns - read_ns)
    assert sum(in_ns.values()) == 100 + gap_ns


@pytest.mark.usefixtures("_virtual")
def test_a_stretch_is_judged_as_a_whole() -> None:
    """The empty interval within it does not divide it into two that are no whole numbers of readings."""
    found = sum_up([Interval("request", 0, 10), Interval("request", 25, 25)], 0, 10 + READING_NS)
    assert round(found.terms["clock_readings"] * 1e9) == READING_NS


def test_in_real_time_all_uncovered_time_is_residual() -> None:
    found = sum_up([Interval("request", 0, 50)], 0, 50 + READING_NS)
    assert "clock_readings" not in found.terms
    assert round(found.terms["residual"] * 1e9) == READING_NS
