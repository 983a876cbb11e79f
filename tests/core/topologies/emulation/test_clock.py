"""Lateness of wake-ups is learnt from samples, without outliers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.topologies.emulation.wire import clock
from lab7.topologies.emulation.wire.clock import FIRST_GUESS_NS, LATENESS_MAX_NS, NS, Lateness

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


def test_a_thread_that_waited_for_a_processor_knows_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = tmp_path / "schedstat"
    counted.write_text("5000 1700 3\n")
    monkeypatch.setattr(clock, "SCHEDSTAT", str(counted))
    queue = clock.RunQueue()
    assert queue.waited_ns() == 1700
    counted.write_text("5000 2900 4\n")
    assert queue.waited_ns() == 2900


def test_a_kernel_that_counts_no_waiting_gives_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "SCHEDSTAT", str(tmp_path / "none"))
    assert clock.RunQueue().waited_ns() == 0


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def waits_at_each_look(monkeypatch: pytest.MonkeyPatch) -> int:
    """A thread that has waited 1 ms more for a processor at each look."""
    looks = count()
    monkeypatch.setattr(clock.RunQueue, "waited_ns", lambda _self: next(looks) * MS)
    return MS


def test_what_woke_a_sleeper_waited_with_it_for_a_processor(pipe: tuple[int, int], waits_at_each_look: int) -> None:
    os.write(pipe[1], b"frame")
    sleeper = clock.Sleeper([pipe[0]])
    assert sleeper.wait(None) == [pipe[0]]
    assert sleeper.waited_ns == waits_at_each_look


def test_what_came_when_the_time_was_over_did_not(
    pipe: tuple[int, int], waits_at_each_look: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert waits_at_each_look
    moments = iter([0, 10 * MS])  # it slept until 1 ms, was woken by that time, and had a processor at 10 ms
    monkeypatch.setattr("time.monotonic_ns", lambda: next(moments))
    monkeypatch.setattr("select.select", lambda ready, *_rest: (ready, [], []))
    os.write(pipe[1], b"frame")
    sleeper = clock.Sleeper([pipe[0]])
    assert sleeper.wait(MS) == [pipe[0]]
    assert sleeper.waited_ns == 0
