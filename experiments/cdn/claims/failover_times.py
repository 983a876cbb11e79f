"""Verdict on course claim C8 from many failures of a CDN replica, and the theoretical distribution of fail-over times.

Claim C8: users are served again within the TTL plus the interval of the health checks.

The resolver near the users caches a DNS answer for its TTL T. A user sends a request every E seconds. The resolver
therefore queries the CDN's name server once in a cycle of C = E * ceil(T / E) seconds. A replica fails at a random
time. The time R from the failure to the resolver's next query is uniform on [0, C]. The time D from the failure to the
CDN's next health check is uniform on [0, I]; I is the interval of the checks. If the check comes first, the next query
already gets another replica. Otherwise this query gets the failed replica once more, and the resolver keeps it for
another cycle. The fail-over time F is

    F = R       if R > D        R uniform on [0, C], D uniform on [0, I], independent, I <= C
        R + C   else            mean: C / 2 + C * P(R < D) = (C + I) / 2

Fail-over times are measured in packets: DNS answers with the failed replica, captured at the resolver, and the user's
first successful request.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.cdn.claims.failover import NS, Episode, check_episode, first_served, naming_answers
from lab7.experiments.cdn.claims.replicas import require_valid
from lab7.experiments.dns.wire.traffic import merged
from lab7.experiments.harness.judge.verdict import Finding, Inconclusive, Verdict, decide, decides, undecided
from lab7.experiments.harness.results.result import Timing

REMAINING, EARLY, PERIOD = "remaining TTL", "fetched before the check", "next request"
SOURCE = "inspection paradox of a deterministic renewal process: Kleinrock, Queueing Systems, volume 1, section 5.2"
QUANTILES = (0.25, 0.5, 0.75)
# Confidence level of the tests, and its quantiles of the normal and Kolmogorov's distribution (Smirnov 1948).
LEVEL, NORMAL_Z, KOLMOGOROV = 0.99, 2.5758, 1.6276


@dataclass(frozen=True)
class FailOverTheory:
    """Theoretical distribution of the fail-over time, for a TTL, a request period and a health check interval in s."""

    ttl_s: float
    every_s: float
    interval_s: float

    @property
    def cycle_s(self) -> float:
        """Return the time in s between two queries of the resolver: the TTL, rounded up to whole request periods."""
        return self.every_s * math.ceil(self.ttl_s / self.every_s)

    @property
    def mean_s(self) -> float:
        """Return the mean fail-over time in s."""
        return (self.cycle_s + self.interval_s) / 2

    @property
    def deviation_s(self) -> float:
        """Return the standard deviation of the fail-over time in s."""
        cycle_s, check_s = self.cycle_s, self.interval_s
        # Second moment of the fail-over time: E[R^2] + E[2 R C + C^2 if R < D], in the module docstring's symbols.
        square = cycle_s**2 / 3 + 2 * check_s**2 / 6 + cycle_s * check_s / 2
        return math.sqrt(square - self.mean_s**2)

    def share(self, time_s: float) -> float:
        """Return the cumulative distribution function: the probability that the fail-over time is at most `time_s`."""
        cycle_s, check_s = self.cycle_s, self.interval_s
        early_s = min(max(time_s, 0.0), check_s)
        late_s = min(max(time_s - cycle_s, 0.0), check_s)
        flat_s = min(max(time_s - check_s, 0.0), cycle_s - check_s)
        return (early_s**2 / (2 * check_s) + flat_s + late_s - late_s**2 / (2 * check_s)) / cycle_s

    def quantile_s(self, share: float) -> float:
        """Return the fail-over time in s that is not exceeded with probability `share` (a quantile)."""
        low, high = 0.0, self.cycle_s + self.interval_s
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.share(middle) < share else (low, middle)
        return high

    def quantile_tolerance(self, share: float, count: int) -> float:
        """Return the permitted relative deviation of an empirical quantile of `count` fail-over times from theory.

        It follows from the asymptotic normal distribution of the quantile at the confidence level LEVEL.
        """
        step_s = self.cycle_s / 1000
        here_s = self.quantile_s(share)
        density = (self.share(here_s + step_s) - self.share(here_s - step_s)) / (2 * step_s)
        return NORMAL_Z * math.sqrt(share * (1 - share) / count) / density / here_s

    def distance(self, times_s: Sequence[float]) -> float:
        """Return the Kolmogorov-Smirnov distance between measured fail-over times and the theoretical distribution."""
        count = len(times_s)
        shares = [self.share(time_s) for time_s in sorted(times_s)]
        return max(max((rank + 1) / count - share, share - rank / count) for rank, share in enumerate(shares))

    @staticmethod
    def distance_allowed(count: int) -> float:
        """Return the critical Kolmogorov-Smirnov distance for `count` fail-over times at significance level 1 %."""
        return KOLMOGOROV / math.sqrt(count)


def fail_over(episode: Episode) -> Timing | None:
    """Return the fail-over time, from a fault to the user's next successful request; None if no request succeeded.

    If the fault affected no request, the next request counts. The time is divided into three terms: the remaining TTL
    of the cached DNS answer; the further cycles of answers with the failed replica, fetched before the health check
    failed; and the time from the expiry of the last such answer to the next request.
    """
    served = first_served(episode, episode.users[0])
    answers = naming_answers(episode)
    before = [answer for answer in answers if answer.time_ns <= episode.fault.began_ns]
    if served is None or not before:
        return None
    began_ns, ttl_s = episode.fault.began_ns, episode.fault.ttl_s
    later = [answer.time_ns for answer in answers if began_ns < answer.time_ns <= episode.fault.noticed_ns]
    used = [before[-1].time_ns, *later]
    total_s = (served.began_ns - began_ns) / NS
    remaining_s = (used[0] - began_ns) / NS + ttl_s
    early_s = sum(after - one for one, after in pairwise(used)) / NS
    return Timing(total_s, {REMAINING: remaining_s, EARLY: early_s, PERIOD: total_s - remaining_s - early_s})


@decides("C8")
def decide_failover_times(claim: str, episodes: Sequence[Episode], theory: FailOverTheory) -> Verdict:
    """Decide claim C8 from many failures of a replica: after each, users are served again within the permitted time.

    The evidence text compares the measured fail-over times with their theoretical distribution (mean, quartiles,
    Kolmogorov-Smirnov distance). Undecided if no failure affected a request, or if no request was served after a
    failure.
    """

    if not episodes:
        return undecided(claim, "No replica failed in the experiment.")
    loads = [user.load for episode in episodes for user in episode.users]
    traffics = [one for episode in episodes for one in (episode.server, *(user.dns for user in episode.users))]

    def check() -> Finding:
        require_valid(loads)
        met = [frames for frames in map(check_episode, episodes) if frames]
        if not met:
            raise Inconclusive("No fault affected a request.")
        times_s = [one.total_s for one in map(fail_over, episodes) if one is not None]
        count, fault = len(times_s), episodes[-1].fault
        if count < len(episodes):
            raise Inconclusive(f"No request was served after {len(episodes) - count} of {len(episodes)} faults.")
        mean_s = statistics.fmean(times_s)
        half_s = NORMAL_Z * statistics.stdev(times_s) / math.sqrt(count) if count > 1 else math.inf
        sample = [quantile(times_s, share) for share in QUANTILES]
        expected = [theory.quantile_s(share) for share in QUANTILES]
        return (
            f"After each of {count} faults of {fault.address} ({len(met)} of them affected a request) users "
            f"were served within {fault.allowed_s:.1f} s (TTL {fault.ttl_s:g} s): mean {mean_s:.1f} s "
            f"({LEVEL:.0%} confidence interval +-{half_s:.1f} s; theory {theory.mean_s:.1f} s), quartiles "
            f"{_listed(sample)} s (theory {_listed(expected)} s), maximum {max(times_s):.1f} s; "
            f"Kolmogorov-Smirnov distance to the theory {theory.distance(times_s):.3f} (significance level 1 "
            f"%: {theory.distance_allowed(count):.3f}). The last fault: first failure, last failure and first "
            f"request served in frames {', '.join(map(str, met[-1]))}."
        ), dict.fromkeys(met[-1])

    return decide(claim, [*loads, merged(traffics)], check)


def quantile(times_s: Sequence[float], share: float) -> float:
    """Return the empirical quantile of measured times in s for a fraction `share`.

    It is the smallest of the times that a fraction of at least `share` of the times do not exceed.
    """
    return sorted(times_s)[max(0, math.ceil(share * len(times_s)) - 1)]


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.0f}" for value in values)
