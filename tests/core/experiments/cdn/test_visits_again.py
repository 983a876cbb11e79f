"""Visits that the machine disturbed and others that took their place: which count, in web-cache and in cdn."""

from __future__ import annotations

from lab7.experiments.cache import web_cache
from lab7.experiments.cdn import delivery
from lab7.experiments.harness.measurement import Window
from lab7.topologies.cdn import REGIONS


def windows(*starts: int) -> list[Window]:
    return [Window(start, start + 1) for start in starts]


def test_of_a_visit_to_a_cache_that_was_made_again_the_last_one_counts() -> None:
    visits = web_cache.Visits(filling=windows(4))
    visits.windows[web_cache.COLD] = [windows(0, 2), windows(6)]
    visits.windows[web_cache.WARM] = [windows(3), windows(7)]
    assert visits.spans(web_cache.COLD) == [(0, 1), (2, 3), (6, 7)]
    assert sorted(visits.counted) == [(2, 3), (3, 4), (6, 7), (7, 8)]
    assert sorted(visits.not_counted) == [(0, 1), (4, 5)]
    assert visits.span == (0, 8)


def test_of_a_visit_to_a_cdn_that_was_made_again_the_last_one_counts() -> None:
    visits = delivery.Visits()
    for region in REGIONS:
        visits.windows[region, delivery.FIRST] = [windows(1)]
    visits.windows["eu", delivery.FIRST] = [windows(0, 5)]
    visits.windows["eu", delivery.AGAIN] = [windows(7), windows(8, 9)]
    assert visits.spans("eu", delivery.FIRST) == [(0, 1), (5, 6)]
    assert visits.spans("eu", delivery.FIRST, delivery.AGAIN)[-1] == (9, 10)
    assert visits.not_counted == [(0, 1), (8, 9)]
    assert visits.span == (0, 10)
