"""Workload generator for HTTP caches: Poisson request arrivals, popularity by Zipf's law, reproducible by a seed.

    workload = representative(Plan(rate=300, requests=1500, objects=1000, exponent=0.8, entries=160), service_s, seed)

The plan has the rate of requests per second, the numbers of requests, objects and cache entries, and Zipf's exponent;
service_s is the transmission time of an object on the link.

In a queue near saturation, the mean waiting time converges only after minutes of arrivals. To permit shorter runs, the
generator draws one sequence after the other from the seed until a sequence is typical: its mean waiting times (by
Lindley's recursion) and its hit rate (by a simulated LRU cache) are within a few per cent of the long-run formulas.
This choice is made before any packet is sent, independently of measured times.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from lab7.experiments.harness.theory.queueing import Lru, Queue, characteristic_hit_rate, waits_s, zipf_weights

# Number of warm-up requests per entry of the LRU list, which bring the list into its steady state.
SETTLE = 20
# NEAR is the maximum relative deviation of a workload from the long-run formulas; DRAWS limits the attempts.
NEAR, DRAWS = 0.03, 2000


@dataclass(frozen=True)
class Plan:
    """Parameters of a workload: requests per second; number of requests, objects and cache entries; Zipf exponent."""

    rate: float
    requests: int
    objects: int
    exponent: float
    entries: int


@dataclass(frozen=True)
class Workload:
    """Sequence of requests: for each request the arrival time in s, the object number, and whether it is a cache hit.

    `held` are the objects in the LRU cache at the start, least recently used first. `distance` is the largest relative
    deviation of the sequence from the theoretical means (see `representative`).
    """

    arrivals_s: Sequence[float]
    objects: Sequence[int]
    hits: Sequence[bool]
    held: Sequence[int]
    distance: float

    @property
    def hit_rate(self) -> float:
        """Return the share of requests that are cache hits."""
        return sum(self.hits) / len(self.hits)

    def arrivals_at_link(self, cached: bool) -> list[float]:
        """Return the arrival times in s at the link: those of cache misses if `cached`, otherwise of all requests."""
        if not cached:
            return list(self.arrivals_s)
        return [time_s for time_s, hit in zip(self.arrivals_s, self.hits, strict=True) if not hit]

    def mean_wait_s(self, service_s: float, cached: bool) -> float:
        """Return the mean queueing delay in s, by Lindley's recursion, of the requests that cross the link."""
        return statistics.fmean(waits_s(self.arrivals_at_link(cached), service_s) or [0.0])


def draw(plan: Plan, weights: Sequence[float], random: Random) -> Workload:
    """Return one random sequence of requests, not yet compared with theory (`distance` is 0)."""
    arrivals = list(accumulate(random.expovariate(plan.rate) for _ in range(plan.requests)))
    population = range(len(weights))
    cache = Lru(plan.entries)
    for number in random.choices(population, weights, k=SETTLE * plan.entries):
        cache.ask(number)
    held = cache.contents()
    objects = random.choices(population, weights, k=plan.requests)
    return Workload(arrivals, objects, [cache.ask(number) for number in objects], held, 0.0)


def representative(plan: Plan, service_s: float, seed: int) -> Workload:
    """Return the first random sequence within NEAR (a fraction) of the theoretical means.

    After DRAWS attempts, the closest one is returned. `service_s` is the transmission time of one object on the link.
    The mean waiting times with and without the cache, the hit rate, and the duration are compared.
    """
    random = Random(f"workload {seed}")
    weights = zipf_weights(plan.objects, plan.exponent)
    expected = characteristic_hit_rate(weights, plan.entries)
    best: Workload | None = None
    for _ in range(DRAWS):
        one = _measured(draw(plan, weights, random), plan, service_s, expected)
        if best is None or one.distance < best.distance:
            best = one
        if best.distance <= NEAR:
            break
    assert best is not None
    return best


def _measured(one: Workload, plan: Plan, service_s: float, expected: float) -> Workload:
    direct = Queue(plan.rate, service_s).wait_s
    behind = Queue(plan.rate * (1 - expected), service_s).wait_s
    length_s = plan.requests / plan.rate
    distance = max(
        abs(one.arrivals_s[-1] / length_s - 1),
        abs(one.mean_wait_s(service_s, cached=False) / direct - 1),
        abs(one.hit_rate / expected - 1) if expected else 0.0,
        # Compare the sum of wait and service time, since the wait alone is a small part of the response time.
        abs(one.mean_wait_s(service_s, cached=True) - behind) / (behind + service_s),
    )
    return Workload(one.arrivals_s, one.objects, one.hits, one.held, distance)
