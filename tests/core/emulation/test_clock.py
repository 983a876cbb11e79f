"""How late sleeps end is learnt from what was seen, and absurd lateness is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topologies.emulation.wire.clock import FIRST_GUESS_NS, LATENESS_MAX_NS, NS, Lateness

MS = 1_000_000


def taught(asleep_ns: int, late_ns: int, times: int = 100) -> Lateness:
    lateness = Lateness()
    for _ in range(times):
        lateness.learn(asleep_ns, late_ns)
    return lateness


def test_before_anything_was_seen_there_is_a_guess() -> None:
    assert Lateness().expected_ns(5 * MS) == FIRST_GUESS_NS


@pytest.mark.parametrize("late_ns", [50_000, 150_000])
def test_what_is_seen_again_and_again_is_expected(late_ns: int) -> None:
    assert taught(5 * MS, late_ns).expected_ns(5 * MS) == pytest.approx(late_ns, abs=5)


def test_one_sight_moves_the_expectation_part_of_the_way() -> None:
    assert FIRST_GUESS_NS < taught(5 * MS, 150_000, times=1).expected_ns(5 * MS) < 150_000


def test_a_longer_sleep_is_never_expected_to_end_less_late() -> None:
    lateness = taught(5 * MS, 150_000)
    assert lateness.expected_ns(50 * MS) == lateness.expected_ns(5 * MS)


def test_what_long_sleeps_taught_does_not_touch_short_ones() -> None:
    assert taught(50 * MS, 150_000).expected_ns(MS) == FIRST_GUESS_NS


@pytest.mark.parametrize("late_ns", [-1, LATENESS_MAX_NS + 1, NS])
def test_absurd_lateness_is_left_out(late_ns: int) -> None:
    assert taught(5 * MS, late_ns).expected_ns(5 * MS) == FIRST_GUESS_NS


@given(st.lists(st.tuples(st.integers(0, 3600 * NS), st.integers(-NS, NS))), st.integers(0, 3600 * NS))
def test_the_expectation_is_always_a_usual_lateness(sights: list[tuple[int, int]], asleep_ns: int) -> None:
    lateness = Lateness()
    for sight in sights:
        lateness.learn(*sight)
    assert 0 <= lateness.expected_ns(asleep_ns) <= LATENESS_MAX_NS
    assert lateness.expected_ns(asleep_ns) <= lateness.expected_ns(2 * asleep_ns + 1)
