"""Effects of a link on frames: exact times, bounded queues, and losses within the bounds of their distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.topologies.emulation.shape import Shape
from lab7.topologies.emulation.wire.effects import NS, Chain, Delay, Effect, Loss, Rate, Reorder, build, waiting

FRAME_BYTES = 1500
MBIT = 1e6
TRIALS = 20_000
# A right estimate is beyond five standard errors once in two million times, and the seeds are fixed.
ERRORS = 5


def fates(effect: Effect, arrivals: list[tuple[int, int]]) -> list[int | None]:
    """Return the exit times of frames given as (size, arrival time)."""
    return [effect.exit_ns(size, now) for size, now in arrivals]


def assert_frequency(hits: int, trials: int, probability: float) -> None:
    error = math.sqrt(probability * (1 - probability) / trials)
    assert abs(hits / trials - probability) <= ERRORS * error


def test_a_frame_takes_its_size_over_the_rate() -> None:
    # 1500 octets at 12 Mbit/s: 12000 bits, one millisecond.
    assert Rate(12 * MBIT, 10).exit_ns(FRAME_BYTES, 7) == 7 + 1_000_000


def test_frames_of_one_burst_leave_one_transmission_apart() -> None:
    rate = Rate(12 * MBIT, 10)
    assert fates(rate, [(FRAME_BYTES, 0)] * 4) == [1_000_000, 2_000_000, 3_000_000, 4_000_000]


def test_an_idle_transmitter_saves_nothing_up() -> None:
    rate = Rate(12 * MBIT, 10)
    rate.exit_ns(FRAME_BYTES, 0)
    assert rate.exit_ns(FRAME_BYTES, 60 * NS) == 60 * NS + 1_000_000


@pytest.mark.parametrize("queue_frames", [1, 2, 5])
def test_the_queue_counts_the_frame_being_sent_and_drops_the_last_to_come(queue_frames: int) -> None:
    rate = Rate(12 * MBIT, queue_frames)
    found = fates(rate, [(FRAME_BYTES, 0)] * (queue_frames + 2))
    assert found[:queue_frames] == [(number + 1) * 1_000_000 for number in range(queue_frames)]
    assert found[queue_frames:] == [None, None]


@pytest.mark.parametrize("trace", [False, True])
def test_the_queue_holds_what_is_not_sent_yet_and_not_what_propagates(trace: bool, tmp_path: Path) -> None:
    file = tmp_path / "rate.trace"
    # An opportunity of a full frame each millisecond, as 12 Mbit/s.
    file.write_text("1\n")
    shape = Shape(trace=str(file)) if trace else Shape(rate_bps=1514 * 8000)
    direction = build(replace(shape, delay_s=0.5, queue_frames=3), Random(1))
    assert waiting(direction, 0) == 0
    found = fates(direction, [(1514, 0)] * 4)
    assert found.count(None) == 1
    sent_ns = [time_ns - NS // 2 for time_ns in found if time_ns is not None]
    assert [waiting(direction, time_ns) for time_ns in sent_ns] == [2, 1, 0]


def test_a_direction_without_a_rate_has_no_queue() -> None:
    direction = build(Shape(delay_s=0.5, loss=0.1), Random(1))
    fates(direction, [(FRAME_BYTES, 0)] * 4)
    assert waiting(direction, 0) == 0


def test_a_place_in_the_queue_is_free_the_moment_a_frame_has_been_sent() -> None:
    rate = Rate(12 * MBIT, 1)
    assert rate.exit_ns(FRAME_BYTES, 0) == 1_000_000
    assert rate.exit_ns(FRAME_BYTES, 999_999) is None
    assert rate.exit_ns(FRAME_BYTES, 1_000_000) == 2_000_000


def test_a_dropped_frame_takes_no_time_of_the_transmitter() -> None:
    rate = Rate(12 * MBIT, 1)
    fates(rate, [(FRAME_BYTES, 0)] * 50)
    assert rate.exit_ns(FRAME_BYTES, 1_000_000) == 2_000_000


def test_delay_adds_the_same_to_every_size() -> None:
    delay = Delay(0.05, 0.0, Random(1))
    assert fates(delay, [(60, 5), (FRAME_BYTES, 5)]) == [50_000_005, 50_000_005]


def test_jitter_stays_within_its_bounds_and_uses_both_sides() -> None:
    delay = Delay(0.010, 0.004, Random(2))
    exits = [out for out in fates(delay, [(60, 0)] * TRIALS) if out is not None]
    assert len(exits) == TRIALS
    assert 6_000_000 <= min(exits) < 6_050_000
    assert 13_950_000 < max(exits) <= 14_000_000


@pytest.mark.parametrize("probability", [0.001, 0.02, 0.5])
def test_loss_loses_its_share_and_alters_no_time(probability: float) -> None:
    found = fates(Loss(probability, Random(3)), [(60, 9)] * TRIALS)
    assert set(found) == {None, 9}
    assert_frequency(found.count(None), TRIALS, probability)


def test_losses_are_independent_of_each_other() -> None:
    found = fates(Loss(0.2, Random(4)), [(60, 9)] * TRIALS)
    after_a_loss = [second for first, second in pairwise(found) if first is None]
    assert_frequency(after_a_loss.count(None), len(after_a_loss), 0.2)


def test_certain_loss_lets_nothing_through_and_no_loss_everything() -> None:
    assert set(fates(Loss(1.0, Random(5)), [(60, 9)] * 1000)) == {None}
    assert set(fates(Loss(0.0, Random(5)), [(60, 9)] * 1000)) == {9}


def test_reordered_frames_skip_the_delay() -> None:
    random = Random(6)
    found = fates(Reorder(0.25, Delay(0.01, 0.0, random), random), [(60, 1)] * TRIALS)
    assert set(found) == {1, 10_000_001}
    assert_frequency(found.count(1), TRIALS, 0.25)


def test_a_chain_hands_each_exit_on_as_the_next_arrival() -> None:
    chain = Chain([Rate(12 * MBIT, 10), Delay(0.002, 0.0, Random(7))])
    assert fates(chain, [(FRAME_BYTES, 0)] * 2) == [3_000_000, 4_000_000]


def test_an_empty_chain_is_a_plain_wire() -> None:
    assert build(Shape(), Random(8)).exit_ns(FRAME_BYTES, 11) == 11


def test_a_lost_frame_takes_no_place_in_the_queue() -> None:
    """Loss stands in front of the transmitter: with one place, losing all frames would else fill it."""
    chain = build(Shape(rate_bps=12 * MBIT, loss=0.5, queue_frames=1), Random(9))
    found = [chain.exit_ns(FRAME_BYTES, number * 1_000_000) for number in range(1000)]
    kept = [(number, out) for number, out in enumerate(found) if out is not None]
    assert all(out == (number + 1) * 1_000_000 for number, out in kept)
    assert_frequency(1000 - len(kept), 1000, 0.5)


def test_the_queue_of_a_built_chain_does_not_hold_what_is_already_on_the_wire() -> None:
    chain = build(Shape(rate_bps=12 * MBIT, delay_s=1.0, queue_frames=1), Random(10))
    assert fates(chain, [(FRAME_BYTES, 0), (FRAME_BYTES, 1_000_000)]) == [1_001_000_000, 1_002_000_000]


shapes = st.builds(
    lambda rate, delay, jitter_share, loss, reorder, queue: Shape(
        rate, delay, delay * jitter_share, loss, reorder, queue
    ),
    st.none() | st.floats(1e3, 1e10),
    st.floats(0, 60),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(1, 1000),
)
sizes = st.integers(14, 65_536)
arrivals = st.lists(st.tuples(sizes, st.integers(0, 10 * NS)), max_size=60).map(
    lambda frames: sorted(frames, key=lambda frame: frame[1])
)
seeds = st.integers(0, 2**64 - 1)


@given(shapes, arrivals, seeds)
def test_no_frame_leaves_before_it_came(shape: Shape, frames: list[tuple[int, int]], seed: int) -> None:
    found = fates(build(shape, Random(seed)), frames)
    assert all(out is None or out >= now for out, (_, now) in zip(found, frames, strict=True))


@given(shapes, arrivals, seeds)
def test_without_jitter_and_reordering_frames_keep_their_order(
    shape: Shape, frames: list[tuple[int, int]], seed: int
) -> None:
    calm = Shape(shape.rate_bps, shape.delay_s, 0.0, shape.loss, 0.0, shape.queue_frames)
    kept = [out for out in fates(build(calm, Random(seed)), frames) if out is not None]
    assert kept == sorted(kept)


@given(shapes, arrivals, seeds)
def test_the_same_seed_gives_the_same_fate(shape: Shape, frames: list[tuple[int, int]], seed: int) -> None:
    make: Callable[[], Effect] = lambda: build(shape, Random(seed))  # noqa: E731
    assert fates(make(), frames) == fates(make(), frames)


@given(st.floats(1e4, 1e9), st.lists(sizes, min_size=1, max_size=50))
def test_a_busy_transmitter_sends_at_its_rate_to_the_nanosecond_a_frame(rate_bps: float, burst: list[int]) -> None:
    found = fates(Rate(rate_bps, 1000), [(size, 0) for size in burst])
    assert found[-1] is not None
    assert abs(found[-1] - sum(burst) * 8 * NS / rate_bps) <= len(burst)
