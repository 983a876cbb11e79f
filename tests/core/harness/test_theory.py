"""The closed forms against sums done by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.harness.theory import (
    STRATEGIES,
    http_page_load,
    segments,
    slow_start_rounds,
    slow_start_stall_s,
    transmission_time_s,
    within_initial_window,
)

RTT_S = 0.1


@pytest.mark.parametrize(
    ("strategy", "round_trips"),
    [
        ("1.0-serial", 6),
        ("1.0-parallel", 4),
        ("1.1-persistent", 4),
        ("1.1-pipelined", 3),
        ("2", 3),
        ("2-push", 2),
    ],
)
def test_three_objects_take_this_many_round_trips(strategy: str, round_trips: int) -> None:
    theory = http_page_load(strategy, RTT_S, [1000, 1000, 1000])
    assert theory.total_s == pytest.approx(round_trips * RTT_S)
    assert theory.source


@pytest.mark.parametrize(
    ("strategy", "round_trips"),
    [("1.0-serial", 20), ("1.0-parallel", 4), ("1.1-persistent", 11), ("1.1-pipelined", 3), ("2", 3)],
)
def test_ten_objects_take_this_many_round_trips(strategy: str, round_trips: int) -> None:
    assert http_page_load(strategy, RTT_S, [1000] * 10).total_s == pytest.approx(round_trips * RTT_S)


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "2-push"])
def test_a_page_alone_takes_two_round_trips(strategy: str) -> None:
    assert http_page_load(strategy, RTT_S, [1000]).total_s == pytest.approx(2 * RTT_S)


def test_transmission_counts_the_headers_of_every_segment() -> None:
    # 3000 octets are segments of 1448, 1448 and 104; each adds 66; at 1 Mbit/s an octet takes 8 microseconds.
    assert transmission_time_s(3000, 1e6) == pytest.approx((3000 + 3 * 66) * 8e-6)
    assert transmission_time_s(3000, None) == 0


def test_x_is_divided_as_the_judge_divides_it() -> None:
    theory = http_page_load("1.1-persistent", RTT_S, [2000, 500], rate_bps=1e6, head_size_bytes=100)
    # Responses of 2100 (1448 + 652) and 600 octets; the first segment of each arrives at the end of its request.
    first_s = (1448 + 66 + 600 + 66) * 8e-6
    assert theory.terms["tcp_handshake"] == pytest.approx(RTT_S)
    assert theory.terms["request"] == pytest.approx(2 * RTT_S + first_s)
    assert theory.terms["transmission"] == pytest.approx((652 + 66) * 8e-6)
    assert theory.total_s == pytest.approx(3 * RTT_S + (2100 + 600 + 3 * 66) * 8e-6)


@given(
    st.sampled_from(STRATEGIES),
    st.lists(st.integers(0, 100_000), min_size=1, max_size=10),
    st.one_of(st.none(), st.floats(1e4, 1e9)),
)
def test_terms_sum_to_the_total(strategy: str, sizes_bytes: list[int], rate_bps: float | None) -> None:
    theory = http_page_load(strategy, RTT_S, sizes_bytes, rate_bps, head_size_bytes=150)
    assert sum(theory.terms.values()) == pytest.approx(theory.total_s)
    assert min(theory.terms.values()) >= -1e-12


def test_an_empty_page_and_an_unknown_strategy_are_refused() -> None:
    with pytest.raises(ValueError, match="base page"):
        http_page_load("2", RTT_S, [])
    with pytest.raises(KeyError):
        http_page_load("0.9", RTT_S, [1])


def test_the_initial_window_bounds_each_burst() -> None:
    ten = 10 * 1448
    assert within_initial_window("1.1-persistent", [ten, ten, ten])
    assert not within_initial_window("1.1-persistent", [ten, ten + 1])
    assert not within_initial_window("1.1-persistent", [ten], head_size_bytes=1)
    assert not within_initial_window("1.1-pipelined", [1000, ten, 1])
    assert within_initial_window("1.1-pipelined", [ten, ten // 2, ten // 2])
    assert not within_initial_window("2-push", [ten, 1])


def test_slow_start_doubles_its_window_every_round() -> None:
    assert [slow_start_rounds(count) for count in (0, 1, 10, 11, 30, 31, 70, 71)] == [0, 1, 1, 2, 2, 3, 3, 4]
    assert segments(0) == 0
    assert segments(1449) == 2


def test_slow_start_waits_a_round_trip_behind_each_window_on_a_fast_link() -> None:
    assert slow_start_stall_s(70 * 1448, RTT_S) == pytest.approx(2 * RTT_S)


def test_slow_start_waits_less_while_the_window_keeps_the_link_busy() -> None:
    segment_s = (1448 + 66) * 8 / 1e7
    expected = (RTT_S + segment_s - 10 * segment_s) + (RTT_S + segment_s - 20 * segment_s)
    assert slow_start_stall_s(70 * 1448, RTT_S, 1e7) == pytest.approx(expected)
    assert slow_start_stall_s(70 * 1448, RTT_S, 1e5) == 0
