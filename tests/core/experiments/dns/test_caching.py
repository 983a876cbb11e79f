"""Expected stale answers of the TTL sweep: this run's queries and changes replayed, and the long-run share."""

from __future__ import annotations

import pytest

from lab7.experiments.dns.caching import _panels, stale_answers
from lab7.experiments.dns.claims.ttl import TtlPoint


@pytest.mark.parametrize(("ttl_s", "stale"), [(0, 0), (1, 3 * 3), (2, 2 + 4 + 6 + 8 + 5), (4, 12 + 15 + 5)])
def test_a_short_run_is_replayed_query_by_query(ttl_s: int, stale: int) -> None:
    """With a TTL of 1 s, queries 0, 6, 12, ... go upstream; the change before query 9 makes 9, 10 and 11 stale."""
    assert stale_answers(ttl_s, 0.2, 9, 50) == stale


@pytest.mark.parametrize(("ttl_s", "share"), [(1, 1 / (2 * 1.81)), (4, 1 - 1.81 / 8)])
def test_a_long_run_approaches_the_formula(ttl_s: int, share: float) -> None:
    assert stale_answers(ttl_s, 0.01, 181, 181 * 401 * 10) / (181 * 401 * 10) == pytest.approx(share, rel=0.01)


def test_the_plot_has_the_replay_beside_the_long_run() -> None:
    parameters = {"ttl": [0, 1, 2, 4], "period_ms": 200, "periods": 50, "per_change": 9}
    points = [TtlPoint(0, 50, 0, 50), TtlPoint(1, 9, 9, 50), TtlPoint(2, 5, 25, 50), TtlPoint(4, 3, 32, 50)]
    (shares,) = _panels(parameters, points)[1].series
    assert shares.refined == shares.measured
