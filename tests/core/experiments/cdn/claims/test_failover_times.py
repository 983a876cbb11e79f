"""C8 by many faults: the distribution that theory gives, and what is made of the packets of each."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from lab7.experiments.cdn.claims.failover_times import (
    EARLY,
    PERIOD,
    REMAINING,
    FailOverTheory,
    decide_failover_times,
    fail_over,
)
from tests.core.experiments.cdn.claims.test_failover import AFTER, BEFORE, MEANWHILE, OTHER, OWN, USUAL, episode
from tests.core.experiments.harness.verdicts import said

LONG = FailOverTheory(ttl_s=300, every_s=43, interval_s=60)
# Near to the episodes of test_cdn_failover.
SHORT = FailOverTheory(ttl_s=2, every_s=0.8, interval_s=0.4)


def drawn(theory: FailOverTheory, count: int) -> list[float]:
    """Fail-over times as the process itself gives them."""
    random, found = Random(1), []
    for _ in range(count):
        left_s, check_s = random.random() * theory.cycle_s, random.random() * theory.interval_s
        found.append(left_s + theory.cycle_s * (left_s <= check_s))
    return found


def test_the_distribution_is_that_of_the_process() -> None:
    times_s = drawn(LONG, 20_000)
    assert LONG.cycle_s == 301
    assert LONG.mean_s == (301 + 60) / 2
    assert statistics.fmean(times_s) == pytest.approx(LONG.mean_s, rel=0.02)
    assert statistics.pstdev(times_s) == pytest.approx(LONG.deviation_s, rel=0.02)
    assert LONG.distance(times_s) < LONG.distance_allowed(len(times_s))
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        assert LONG.share(LONG.quantile_s(share)) == pytest.approx(share)


def test_another_distribution_is_told_from_it() -> None:
    # Without the answers that are fetched before the check.
    times_s = [time_s % LONG.cycle_s for time_s in drawn(LONG, 1000)]
    assert LONG.distance(times_s) > LONG.distance_allowed(len(times_s))


def test_the_terms_of_a_fault_add_up(tmp_path: Path) -> None:
    one = fail_over(episode(tmp_path))
    assert one is not None
    # The answer of 100 ms, with 2 s, at a fault at 1000 ms; fetched again at 1200 ms; served at 3000 ms.
    assert one.total_s == pytest.approx(2.0)
    assert one.terms[REMAINING] == pytest.approx(1.101)
    assert one.terms[EARLY] == pytest.approx(1.1)
    assert one.terms[PERIOD] == pytest.approx(-0.201)
    assert sum(one.terms.values()) == pytest.approx(one.total_s)


def test_faults_within_their_bounds_show_c8_and_one_outside_does_not(tmp_path: Path) -> None:
    good = episode(tmp_path)
    verdict = said(
        decide_failover_times([good, good], SHORT),
        "shown",
        "After each of 2 faults of 10.8.1.10 (2 of them affected a request) users were served within 2.6 s (TTL 2 s)",
        "mean 2.0 s",
        "theory 1.4 s",
    )
    assert len(verdict.frames) == 3
    late = episode(tmp_path, [*BEFORE, *MEANWHILE, (3700.0, OWN, False), (3900.0, OTHER, True)])
    said(decide_failover_times([good, late], SHORT), "failed", "2.70 s after the fault")
    said(
        decide_failover_times([good, replace(good, serving=frozenset([OWN]))], SHORT),
        "failed",
        "which is not a replica or the origin",
    )


def test_a_fault_that_is_over_before_a_request_comes_lasts_until_that(tmp_path: Path) -> None:
    met, missed = episode(tmp_path), episode(tmp_path, [*BEFORE, *AFTER])
    one = fail_over(missed)
    assert one is not None
    assert one.total_s == pytest.approx(2.0)
    said(
        decide_failover_times([missed, met], SHORT),
        "shown",
        "After each of 2 faults of 10.8.1.10 (1 of them affected a request) users were served within 2.6 s (TTL 2 s)",
    )


def test_without_faults_that_are_met_c8_is_undecided(tmp_path: Path) -> None:
    said(decide_failover_times([], SHORT), "undecided", "No replica failed")
    said(
        decide_failover_times([episode(tmp_path, [*BEFORE, *AFTER])], SHORT), "undecided", "No fault affected a request"
    )
    said(decide_failover_times([episode(tmp_path, answers=USUAL[2:])], SHORT), "undecided", "No answer has")
