"""Closed forms against sums computed by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.theory.tcp import segments, slow_start_rounds, slow_start_stall_s, transmission_time_s
from lab7.experiments.http.theory import STRATEGIES, http_page_load, page_stall_s, within_initial_window

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


def full(count: int) -> int:
    """Return the octets of so many full segments."""
    return count * 1448


# Windows of 10, 20, 40, ... segments (RFC 6928, RFC 5681): behind each but the last, one round trip.
@pytest.mark.parametrize(("count", "round_trips"), [(1, 0), (10, 0), (11, 1), (30, 1), (31, 2), (70, 2), (71, 3)])
def test_a_page_alone_stalls_behind_every_window_but_the_last(count: int, round_trips: int) -> None:
    for strategy in STRATEGIES:
        assert page_stall_s(strategy, RTT_S, [full(count)]) == pytest.approx(round_trips * RTT_S)


@pytest.mark.parametrize(
    ("strategy", "counts", "round_trips"),
    [
        # Each connection begins with 10 segments.
        ("1.0-serial", [11, 11, 31], 1 + 1 + 2),
        ("1.0-serial", [10, 10, 10], 0),
        # Side by side the longest counts.
        ("1.0-parallel", [11, 11, 31], 1 + 2),
        ("1.0-parallel", [10, 31, 31], 2),
        # The window has grown by every acknowledged segment: 10, then 10 + 10, then 10 + 10 + 20.
        ("1.1-persistent", [10, 20, 40], 0),
        ("1.1-persistent", [10, 21, 42], 1 + 1),
        ("1.1-persistent", [11, 21, 42], 1),
        ("1.1-persistent", [1, 11, 22], 0),
        ("1.1-persistent", [1, 12, 1], 1),
        # All objects that the page references are one burst.
        ("1.1-pipelined", [10, 10, 10], 0),
        ("1.1-pipelined", [10, 10, 11], 1),
        ("2", [10, 10, 10], 0),
        ("2", [11, 30, 34], 1 + 2),
        # With push, the page as well.
        ("2-push", [4, 3, 3], 0),
        ("2-push", [4, 4, 3], 1),
        ("2-push", [10, 10, 10], 1),
        ("2-push", [10, 10, 11], 2),
    ],
)
def test_the_bursts_of_each_strategy_stall_as_summed_by_hand(
    strategy: str, counts: list[int], round_trips: int
) -> None:
    assert page_stall_s(strategy, RTT_S, [full(count) for count in counts]) == pytest.approx(round_trips * RTT_S)


def test_a_stall_is_shorter_by_what_the_window_takes_to_send() -> None:
    segment_s = (1448 + 66) * 8 / 1e7
    # 31 segments: behind the window of 10 and behind that of 20.
    behind = [RTT_S + segment_s - window * segment_s for window in (10, 20)]
    assert page_stall_s("2-push", RTT_S, [full(11), full(20)], 1e7) == pytest.approx(sum(behind))
    assert page_stall_s("1.1-persistent", RTT_S, [full(11), full(22)], 1e7) == pytest.approx(
        behind[0] + RTT_S + segment_s - 21 * segment_s
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_slow_start_adds_its_stall_to_transmission_and_to_nothing_else(strategy: str) -> None:
    sizes = [full(11), full(31), 500]
    without, with_it = (
        http_page_load(strategy, RTT_S, sizes, 1e7, head_size_bytes=200, slow_start=slow_start)
        for slow_start in (False, True)
    )
    stall_s = page_stall_s(strategy, RTT_S, [size + 200 for size in sizes], 1e7)
    assert stall_s > 0
    assert with_it.total_s - without.total_s == pytest.approx(stall_s)
    assert with_it.terms["transmission"] - without.terms["transmission"] == pytest.approx(stall_s)
    assert {**with_it.terms, "transmission": 0} == {**without.terms, "transmission": 0}
    assert with_it.formula == f"{without.formula} + slow start"


@given(st.sampled_from(STRATEGIES), st.lists(st.integers(0, 100_000), min_size=1, max_size=10))
def test_where_every_burst_fits_the_initial_window_slow_start_adds_nothing(strategy: str, sizes: list[int]) -> None:
    if within_initial_window(strategy, sizes):
        assert page_stall_s(strategy, RTT_S, sizes) == 0


@pytest.mark.parametrize(
    ("strategy", "handshakes", "requests"),
    [
        ("1.0-serial", 3, 3),
        ("1.0-parallel", 2, 2),
        ("1.1-persistent", 1, 3),
        ("1.1-pipelined", 1, 2),
        ("2", 1, 2),
        ("2-push", 1, 1),
    ],
)
def test_a_request_s_size_adds_the_transmission_of_its_frames_and_of_the_handshake_s(
    strategy: str, handshakes: int, requests: int
) -> None:
    plain = http_page_load(strategy, RTT_S, [1000] * 3, 1e6)
    exact = http_page_load(strategy, RTT_S, [1000] * 3, 1e6, request_size_bytes=150)
    # SYN and SYN-ACK: 14 + 20 + 20 + 20 octets each; the request: 150 octets in one segment with 66 octets of headers.
    syns_s, request_s = 2 * 74 * 8e-6, (150 + 66) * 8e-6
    added = {name: exact.terms[name] - plain.terms[name] for name in plain.terms}
    assert added["tcp_handshake"] == pytest.approx(handshakes * syns_s)
    assert added["request"] == pytest.approx(requests * request_s)
    assert added["transmission"] == pytest.approx(0)
    assert exact.total_s - plain.total_s == pytest.approx(handshakes * syns_s + requests * request_s)


def test_a_request_of_two_segments_has_two_headers() -> None:
    plain, exact = (http_page_load("2-push", RTT_S, [9], 1e6, request_size_bytes=size) for size in (None, 1449))
    assert exact.terms["request"] - plain.terms["request"] == pytest.approx((1449 + 2 * 66) * 8e-6)


def test_without_a_rate_a_request_s_size_adds_nothing() -> None:
    assert http_page_load("2", RTT_S, [9], None, request_size_bytes=150).total_s == pytest.approx(2 * RTT_S)
