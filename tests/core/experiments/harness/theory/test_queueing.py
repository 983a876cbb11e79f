"""Queueing formulas against simulations and known values; workloads that are representative."""

from __future__ import annotations

import math
import statistics
from itertools import accumulate, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.cache.workload import NEAR, Plan, representative
from lab7.experiments.harness.theory.queueing import (
    BATCHES,
    CacheOutcome,
    Lru,
    Queue,
    WaitInterval,
    batch_means,
    cache_outcomes,
    characteristic_hit_rate,
    entries_for,
    most_under_way,
    poisson_s,
    waits_s,
    zipf_weights,
)


def test_the_textbooks_access_link() -> None:
    # 15 requests a second of 100 kbit over 1.54 Mbit/s
    link = Queue(15, 100e3 / 1.54e6)
    assert link.utilisation == pytest.approx(0.974, abs=0.001)
    assert Queue(0.6 * 15, 100e3 / 1.54e6).utilisation == pytest.approx(0.584, abs=0.001)


@pytest.mark.parametrize("load", [0.2, 0.5, 0.8])
def test_pollaczek_and_khinchine_agree_with_a_simulated_queue(load: float) -> None:
    random = Random(1)
    arrivals = accumulate(random.expovariate(load) for _ in range(200_000))
    assert statistics.fmean(waits_s(arrivals, 1.0)) == pytest.approx(Queue(load, 1.0).wait_s, rel=0.05)


def test_a_queue_that_is_asked_too_much_has_no_mean() -> None:
    assert Queue(2, 0.5).wait_s == math.inf
    assert Queue(2, 0.6).relaxation_s == math.inf


@given(st.lists(st.floats(0, 10), max_size=30), st.floats(0.001, 5))
def test_lindley_serves_in_order_one_at_a_time(gaps: list[float], service_s: float) -> None:
    arrivals = list(accumulate(gaps))
    starts = [at + wait for at, wait in zip(arrivals, waits_s(arrivals, service_s), strict=True)]
    assert all(start >= at for start, at in zip(starts, arrivals, strict=True))
    assert all(later - earlier >= service_s * 0.999 for earlier, later in pairwise(starts))


def test_each_arrival_can_have_a_service_time_of_its_own() -> None:
    assert waits_s([0.0, 1.0, 2.0], [2.0, 0.5, 1.0]) == [0.0, 1.0, 0.5]
    assert waits_s([0.0, 1.0, 2.0], 2.0) == [0.0, 1.0, 2.0]


def test_requests_under_way_are_counted() -> None:
    assert most_under_way([], []) == 0
    # The second begins when the first ends; the third while the second is under way.
    assert most_under_way([0.0, 1.0, 2.0], [1.0, 1.5, 1.0]) == 2
    assert most_under_way([0.0, 1.0, 2.0], [1.0, 1.0, 1.0]) == 1


def test_poisson_arrivals_fill_their_span() -> None:
    arrivals = poisson_s(2.0, 5000.0, Random(3))
    assert len(arrivals) == pytest.approx(10_000, abs=4 * math.sqrt(10_000))
    assert arrivals == sorted(arrivals)
    assert 4990 < arrivals[-1] <= 5000
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    # The standard deviation of an exponential distribution is its mean.
    assert statistics.stdev(gaps) == pytest.approx(statistics.fmean(gaps), rel=0.05)


def test_batch_means_are_of_equal_batches() -> None:
    waits = [float(number // 4) for number in range(4 * BATCHES)] + [1000.0]
    mean_s, error_s = batch_means(waits)
    assert mean_s == pytest.approx((BATCHES - 1) / 2)
    assert error_s == pytest.approx(statistics.stdev(range(BATCHES)) / math.sqrt(BATCHES))
    with pytest.raises(ValueError, match="at least 10"):
        batch_means([1.0] * (BATCHES - 1))


def test_the_interval_holds_the_formulas_mean_and_not_another_queues() -> None:
    queue, span_s = Queue(1.0, 0.8), 600.0
    interval = WaitInterval.of(queue, span_s, seed=1)
    # Long waits are rare: the interval reaches further up than down.
    assert -interval.low > interval.high > 0

    def held(other: Queue) -> float:
        """The share of spans of another queue whose interval holds the mean of this one."""
        spans = (waits_s(poisson_s(1.0, span_s, Random(f"{seed}")), other.service_s) for seed in range(200))
        ends = [interval.around(waits) for waits in spans]
        return statistics.fmean(low_s <= queue.wait_s <= high_s for low_s, high_s in ends)

    assert held(queue) > 0.96
    assert held(Queue(1.0, 0.4)) < 0.01


def test_che_agrees_with_a_simulated_lru_cache() -> None:
    weights, random = zipf_weights(500, 0.8), Random(2)
    cache = Lru(60)
    hits = [cache.ask(number) for number in random.choices(range(500), weights, k=60_000)][10_000:]
    assert statistics.fmean(hits) == pytest.approx(characteristic_hit_rate(weights, 60), rel=0.03)


@pytest.mark.parametrize(("entries", "rate"), [(0, 0.0), (10, 1.0), (11, 1.0)])
def test_a_cache_of_nothing_and_of_all(entries: int, rate: float) -> None:
    assert characteristic_hit_rate(zipf_weights(10, 1.0), entries) == rate


def test_the_entries_for_a_hit_rate_are_the_least_that_give_it() -> None:
    weights = zipf_weights(200, 0.9)
    entries = entries_for(weights, 0.4)
    assert characteristic_hit_rate(weights, entries - 1) < 0.4 <= characteristic_hit_rate(weights, entries)


def test_an_lru_list_forgets_what_was_unused_longest() -> None:
    cache = Lru(2)
    assert [cache.ask(number) for number in (1, 2, 1, 3, 2, 1)] == [False, False, True, False, False, False]
    assert cache.contents() == [2, 1]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_workload_is_typical_and_the_same_for_a_seed(seed: int) -> None:
    plan, service_s = Plan(300, 1500, 1000, 0.8, 113), 100e3 / 30.8e6
    workload = representative(plan, service_s, seed)
    assert workload.distance <= NEAR
    assert workload.mean_wait_s(service_s, cached=False) == pytest.approx(Queue(300, service_s).wait_s, rel=NEAR)
    again = representative(plan, service_s, seed)
    assert (again.arrivals_s, again.objects) == (workload.arrivals_s, workload.objects)
    assert len(workload.arrivals_at_link(cached=True)) == 1500 - sum(workload.hits)


def test_without_a_cache_every_request_crosses_the_link() -> None:
    arrivals = [0.0, 0.1, 0.15, 5.0]
    found = cache_outcomes(arrivals, [7, 7, 7, 7], 1.0, 0.2)
    assert found == [CacheOutcome(True, wait_s) for wait_s in waits_s(arrivals, 0.2)]


def test_a_request_for_what_is_on_its_way_waits_for_that_and_no_longer() -> None:
    # 7 is there at 1.2 s, 8 behind it at 1.4 s; 9 was held, and is the one that leaves for both.
    found = cache_outcomes([0.0, 0.1, 0.5, 0.6, 2.0, 2.1, 2.2], [7, 8, 7, 9, 7, 8, 9], 1.0, 0.2, Lru(2, [6, 9]))
    joined = found.pop(2)
    assert (joined.crossed, joined.wait_s) == (False, 0.0)
    assert joined.joined_s == pytest.approx(0.7)
    assert [one.crossed for one in found] == [True, True, False, False, False, True]
    assert found[1].wait_s == pytest.approx(0.1)
    assert found[2] == found[3] == CacheOutcome()


def test_another_cache_is_held_to_what_it_forwards() -> None:
    # It fetches 7 twice although that is on its way, and answers 9, which it never asked for.
    found = cache_outcomes([0.0, 0.1, 0.5, 0.6], [7, 7, 7, 9], 1.0, 0.2, [True, True, False, False])
    assert [one.crossed for one in found] == [True, True, False, False]
    assert found[1].wait_s == pytest.approx(0.1)
    assert found[2].joined_s == pytest.approx(0.7)
    assert found[3] == CacheOutcome()


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 5)), max_size=40), st.integers(1, 6))
def test_passages_with_instant_responses_are_those_of_the_list(asked: list[tuple[float, int]], entries: int) -> None:
    arrivals, objects = list(accumulate(gap_s for gap_s, _ in asked)), [number for _, number in asked]
    lru = Lru(entries)
    assert [one.crossed for one in cache_outcomes(arrivals, objects, 0.0, 0.0, Lru(entries))] == [
        not lru.ask(number) for number in objects
    ]
