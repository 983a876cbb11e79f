"""Queueing models: a link as an M/D/1 queue, and an LRU cache in front of the link.

    link = Queue(arrival_rate=150.0, service_s=0.0065)              # requests per s, transmission time of an object
    link.utilisation, link.wait_s                                   # 0.975, 0.127: the Pollaczek-Khinchine mean
    waits = waits_s(arrivals_s, link.service_s)                     # wait in s of each of these arrivals
    WaitInterval.of(link, span_s=3600, seed=1).around(waits)        # confidence interval of their mean (batch means)
    characteristic_hit_rate(zipf_weights(1000, 0.8), entries=150)   # hit rate of an LRU cache (Che's approximation)

A link with a constant rate and an unbounded queue, whose objects have one size, is an M/D/1 queue if the requests are a
Poisson process. The mean wait converges slowly, and the more slowly the nearer the utilisation is to 1
(`relaxation_s`). A run of some seconds is only a sample of the process. The cache experiments therefore draw workloads
until one is close to the long-run formulas (`representative`); this choice uses computed values, never measured ones.
"""

from __future__ import annotations

import math
import statistics
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat
from random import Random

POLLACZEK_KHINCHINE = "Pollaczek-Khinchine formula for M/D/1: Kleinrock, Queueing Systems, volume 1, section 5.6"
CHE = "Che, Tung and Wang, Hierarchical Web Caching Systems, IEEE JSAC 20(7), 2002"
BATCH_MEANS = "batch means: Law, Simulation Modeling and Analysis, section 9.5.3"
# LEVEL is the confidence level; batch means use BATCHES batches of a span; quantiles come from SPANS simulated spans.
BATCHES, SPANS, LEVEL = 10, 500, 0.99
# Number of bisection steps in Che's approximation of a cache's hit rate; each step halves the interval.
STEPS = 100


@dataclass(frozen=True)
class Queue:
    """M/D/1 queue: Poisson arrivals (rate per second), and one server with a constant service time (seconds)."""

    arrival_rate: float
    service_s: float

    @property
    def utilisation(self) -> float:
        """Return the share of time in which the server is busy; from 1 on, the queue grows without bound."""
        return self.arrival_rate * self.service_s

    @property
    def wait_s(self) -> float:
        """Return the mean wait in s before service starts; infinite if the utilisation is at least 1."""
        load = self.utilisation
        return math.inf if load >= 1 else load * self.service_s / (2 * (1 - load))

    @property
    def relaxation_s(self) -> float:
        """Return the order of magnitude of the time, in s, in which the queue reaches equilibrium.

        This is S / (1 - rho)^2 for the service time S and the utilisation rho.
        """
        return math.inf if self.utilisation >= 1 else self.service_s / (1 - self.utilisation) ** 2


def waits_s(arrivals_s: Iterable[float], service_s: float | Iterable[float]) -> list[float]:
    """Return the wait in s of each arrival at a single server, idle at first (Lindley's recursion, 1952).

    `service_s`: one service time for all arrivals, or one per arrival.
    """
    waits: list[float] = []
    free_s = -math.inf
    services_s = repeat(service_s) if isinstance(service_s, float) else service_s
    # Use zip() without strict=True, since a constant service time is an infinite iterator.
    for arrival_s, takes_s in zip(arrivals_s, services_s):  # noqa: B905
        start_s = max(arrival_s, free_s)
        waits.append(start_s - arrival_s)
        free_s = start_s + takes_s
    return waits


def most_under_way(arrivals_s: Sequence[float], delays_s: Sequence[float]) -> int:
    """Return the maximum number of simultaneous requests with these arrival times and durations in s."""
    changes = [(at_s, 1) for at_s in arrivals_s]
    changes += [(at_s + delay_s, -1) for at_s, delay_s in zip(arrivals_s, delays_s, strict=True)]
    # Sorting processes ends (-1) before starts (+1) at equal times.
    return max(accumulate(change for _, change in sorted(changes)), default=0)


def poisson_s(rate: float, span_s: float, random: Random) -> list[float]:
    """Return the arrival times of a Poisson process of `rate` per second, within `span_s` seconds."""
    arrivals, at_s = list[float](), random.expovariate(rate)
    while at_s <= span_s:
        arrivals.append(at_s)
        at_s += random.expovariate(rate)
    return arrivals


def batch_means(waits: Sequence[float]) -> tuple[float, float]:
    """Return (mean of waits, standard error of the mean) by the method of batch means, from BATCHES equal batches.

    The remaining waits, fewer than BATCHES, are ignored. Raises ValueError for fewer waits than batches.
    """
    size = len(waits) // BATCHES
    if not size:
        raise ValueError(f"at least {BATCHES} waits are needed")
    means = [statistics.fmean(waits[number * size : (number + 1) * size]) for number in range(BATCHES)]
    return statistics.fmean(means), statistics.stdev(means) / math.sqrt(BATCHES)


@dataclass(frozen=True)
class WaitInterval:
    """Confidence interval (level LEVEL) for a queue's mean wait by batch means, with simulated quantiles.

    Student's quantiles assume independent batches with a normal distribution. Near saturation neither holds: a time
    span with few long waits has both a low mean and a small spread. At a utilisation of 0.9 and in a span of 4000
    service times, a nominal 99 % interval contains the true mean in only 91 % of the spans. The quantiles are therefore
    taken from simulations of the same queue. `low`, `high`: quantiles of (mean - formula's mean) / standard error.
    """

    low: float
    high: float

    @classmethod
    def of(cls, queue: Queue, span_s: float, seed: int) -> WaitInterval:
        """Estimate the quantiles of the studentised mean wait from SPANS simulations of `span_s` seconds each.

        Raises ValueError if a simulation has too few arrivals.
        """
        random, found = Random(f"calibration {seed}"), list[float]()
        for _ in range(SPANS):
            waits = waits_s(poisson_s(queue.arrival_rate, span_s, random), queue.service_s)
            mean_s, error_s = batch_means(waits)
            found.append((mean_s - queue.wait_s) / error_s)
        found.sort()
        # The quantile q of a distribution is estimated by the sample of rank q (n + 1) among n samples.
        rank = int((SPANS + 1) * (1 - LEVEL) / 2)
        return cls(found[rank - 1], found[-rank])

    def around(self, waits: Sequence[float]) -> tuple[float, float]:
        """Return the confidence interval (low, high) in s for the mean wait. Raises ValueError for too few waits."""
        mean_s, error_s = batch_means(waits)
        return mean_s - self.high * error_s, mean_s - self.low * error_s


@dataclass(frozen=True)
class CacheOutcome:
    """Outcome of a request to a cache in front of a link: a hit, a miss that crossed the link, or a collapsed request.

    `wait_s`: time in s that the response waited for the link before it was sent. `joined_s`: time in s that a collapsed
    request waited for the response to an earlier request for the same object (RFC 9111 section 4). Both are 0 for a
    hit.
    """

    crossed: bool = False
    wait_s: float = 0.0
    joined_s: float = 0.0


def cache_outcomes(
    arrivals_s: Sequence[float],
    objects: Sequence[int],
    rtt_s: float,
    service_s: float,
    cache: Lru | Sequence[bool] | None = None,
) -> list[CacheOutcome]:
    """Simulate a cache (None: no cache) whose misses queue at a link; return the outcome of each request.

    `service_s`: transmission time of one object on the link. `rtt_s`: time from a request to the start of its response,
    without the wait for the link. An object is stored when its response is complete; a request for it before that is a
    collapsed request, and waits until then (RFC 9111 section 4). `cache` is an LRU cache, or a sequence with one value
    per request: True if the cache forwarded it. Waits are computed by Lindley's recursion.
    """
    if cache is None:
        return [CacheOutcome(True, wait_s) for wait_s in waits_s(arrivals_s, service_s)]
    lru = cache if isinstance(cache, Lru) else Lru(len(objects))
    forwarded = [None] * len(objects) if isinstance(cache, Lru) else list(cache)
    on_the_way: OrderedDict[int, float] = OrderedDict()
    free_s, outcomes = -math.inf, list[CacheOutcome]()
    for arrival_s, number, forwards in zip(arrivals_s, objects, forwarded, strict=True):
        # Store completed responses in the order of the requests, since the link's single queue keeps this order.
        while on_the_way and next(iter(on_the_way.values())) <= arrival_s:
            lru.put(on_the_way.popitem(last=False)[0])
        if number in on_the_way and not forwards:
            outcomes.append(CacheOutcome(joined_s=on_the_way[number] - arrival_s))
        elif lru.find(number) if forwards is None else not forwards:
            outcomes.append(CacheOutcome())
        else:
            start_s = max(arrival_s, free_s)
            free_s = start_s + service_s
            # Keep the earlier of two responses in flight, for which collapsed requests wait.
            on_the_way.setdefault(number, free_s + rtt_s)
            outcomes.append(CacheOutcome(True, start_s - arrival_s))
    return outcomes


def zipf_weights(count: int, exponent: float) -> list[float]:
    """Return the request probabilities of `count` objects, proportional to rank^-exponent (Zipf's law)."""
    raw = [rank**-exponent for rank in range(1, count + 1)]
    total = sum(raw)
    return [weight / total for weight in raw]


def characteristic_hit_rate(weights: Sequence[float], entries: int) -> float:
    """Return the hit rate of an LRU cache of `entries` objects, by Che's approximation.

    An object stays in the cache for the characteristic time T, in which `entries` different objects are requested; a
    further request for the object within T is a hit. Requests are independent of each other.
    """
    if entries <= 0:
        return 0.0
    if entries >= len(weights):
        return 1.0
    low, high = 0.0, 1.0
    while _held(weights, high) < entries:
        high *= 2
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _held(weights, middle) < entries else (low, middle)
    return sum(weight * -math.expm1(-weight * high) for weight in weights)


def _held(weights: Sequence[float], time: float) -> float:
    """Return the expected number of different objects requested within `time`.

    `time` is in units of the mean time between requests.
    """
    return sum(-math.expm1(-weight * time) for weight in weights)


def entries_for(weights: Sequence[float], hit_rate: float) -> int:
    """Return the least number of entries with which an LRU cache reaches `hit_rate`, by Che's approximation."""
    low, high = 0, len(weights)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if characteristic_hit_rate(weights, middle) < hit_rate else (low, middle)
    return low


class Lru:
    """Model of an LRU cache of at most `entries` objects, which are identified by numbers."""

    def __init__(self, entries: int, held: Iterable[int] = ()) -> None:
        """Create a cache that already holds the objects `held`, ordered from the least recently used."""
        self._entries = entries
        self._held: OrderedDict[int, None] = OrderedDict()
        for number in held:
            self.put(number)

    def ask(self, number: int) -> bool:
        """Request an object by its number; return True for a hit. A miss stores the object."""
        hit = self.find(number)
        if not hit:
            self.put(number)
        return hit

    def find(self, number: int) -> bool:
        """Return True if an object is stored; the object then becomes the most recently used one."""
        if number not in self._held:
            return False
        self._held.move_to_end(number)
        return True

    def put(self, number: int) -> None:
        """Store an object; a full cache evicts the least recently used one."""
        self._held[number] = None
        self._held.move_to_end(number)
        if len(self._held) > self._entries:
            self._held.popitem(last=False)

    def contents(self) -> list[int]:
        """Return the stored objects, the least recently used first."""
        return list(self._held)
