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

from lab7.experiments.harness.judge.decomposition import TERMS, Interval, sum_up
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
