"""RoundTrips: formula text and value of a closed form come from the same steps."""

import pytest

from lab7.experiments.harness.theory.round_trips import RoundTrips


def test_constants_and_variables_are_summed_into_one_factor() -> None:
    form = RoundTrips(0.1, n=4).trips("tcp_handshake", 1).trips("request", 2, n=1).add("transmission", 0.02, "X")
    theory = form.theory("source")
    assert theory.formula == "(3 + n) RTT + X"
    assert theory.terms == pytest.approx({"tcp_handshake": 0.1, "request": 0.6, "transmission": 0.02})
    assert theory.total_s == sum(theory.terms.values())


def test_the_compact_form_has_the_variable_first() -> None:
    assert RoundTrips(0.1, compact=True, n=2).trips("a", 1).trips("b", n=1).formula == "(n+1) RTT"


def test_a_factor_of_one_variable_or_number_has_no_parentheses() -> None:
    assert RoundTrips(0.1, n=2).trips("a", n=2).formula == "2n RTT"
    assert RoundTrips(0.1).trips("a", 4).formula == "4 RTT"
    assert RoundTrips(0.1).trips("a", 1).formula == "RTT"


def test_parts_stand_in_the_order_of_their_steps() -> None:
    form = RoundTrips(0.1).add("dns", 0.3, "DNS").trips("a", 1).add("wait", 1.0, "wait").trips("b", 1)
    assert form.formula == "DNS + 2 RTT + wait"


def test_each_rtt_has_a_factor_of_its_own_and_none_where_its_variables_are_0() -> None:
    def form(misses: int) -> RoundTrips:
        rtts_s = {"RTT campus": 0.01, "RTT": 0.1}
        return RoundTrips(rtts_s, n=3, m=misses).trips("near", n=1, rtt="RTT campus").trips("far", m=1)

    assert form(2).formula == "n RTT campus + m RTT"
    assert form(2).theory("source").terms == pytest.approx({"near": 0.03, "far": 0.2})
    assert form(0).formula == "n RTT campus"


def test_frames_count_per_round_trip_and_more_once() -> None:
    theory = RoundTrips(0.1).trips("a", 3, frames_s=0.01, more_s=(0.5, 0.2)).theory("source")
    assert theory.terms == {"a": 3 * (0.1 + 0.01) + 0.5 + 0.2}


def test_a_bound_limits_the_value_and_not_the_formula() -> None:
    theory = RoundTrips(0.1).trips("request", 2, at_most=1).theory("source")
    assert (theory.formula, theory.total_s) == ("2 RTT", 0.1)
