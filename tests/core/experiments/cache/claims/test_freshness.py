"""W6: how old a copy may be when a client gets it, by its version and by when the origin was asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.cache.claims.freshness import LiveObject, Version, decide_freshness, deliveries
from lab7.experiments.cache.wire.legs import Span
from lab7.experiments.harness.judge.verdict import Contradiction
from tests.core.experiments.cache.claims.cache_wire import RTT_MS, TWO, Campus, Upstream, fetched, replaced
from tests.core.experiments.harness.verdicts import said

AGED, CHECKED = "/aged", "/checked"


class Load:
    """Objects that change while clients ask, with their times in ms since the beginning."""

    def __init__(self, max_age_s: float | None = 2) -> None:
        self.campus = Campus()
        self.replaced_ns: int | None = None
        self.max_age_s = max_age_s
        self.path = AGED if max_age_s is not None else CHECKED
        self.campus.ask(self.path, fetched(b"old"))

    def at(self, ms: float) -> Load:
        assert ms >= self.campus.wire.now_ms
        self.campus.wire.now_ms = ms
        return self

    def replace(self) -> Load:
        self.replaced_ns = self.campus.now_ns
        return self

    def ask(self, upstream: Upstream | None, gets: bytes) -> Load:
        self.campus.ask(self.path, upstream, gets, TWO)
        return self

    @property
    def live(self) -> dict[bytes, LiveObject]:
        versions = [Version(b"old", self.replaced_ns), Version(b"new", None)]
        return {self.path.encode(): LiveObject(self.max_age_s, versions)}

    @property
    def span(self) -> list[Span]:
        return [(0, self.campus.now_ns)]


def test_a_fresh_copy_may_be_an_old_version(tmp_path: Path) -> None:
    load = Load().at(100).replace().at(1900).ask(None, b"old")
    verdict = decide_freshness(load.campus.legs(tmp_path), load.live, load.span)
    said(verdict, "shown", "1 changes", "1 of them cache hits", "max-age=2")
    (late,) = [one for one in deliveries(load.campus.legs(tmp_path), load.live, load.span) if one.from_cache]
    # The request reaches the proxy a round trip of the campus after 1900 ms; the origin was asked at about 41 ms.
    assert late.staleness_s == pytest.approx(1.8, abs=0.01)
    assert late.age_s == pytest.approx(1.86, abs=0.01)


def test_whole_seconds_may_make_a_copy_a_second_late(tmp_path: Path) -> None:
    load = Load().at(100).replace().at(2900).ask(None, b"old")
    said(decide_freshness(load.campus.legs(tmp_path), load.live, load.span), "shown")


@pytest.mark.parametrize("version", [b"old", b"new"])
def test_an_expired_copy_is_too_old_whether_it_was_replaced_or_not(version: bytes, tmp_path: Path) -> None:
    load = Load().at(100).replace()
    if version == b"new":
        load.at(200).ask(replaced(), b"new")
    load.at(3500).ask(None, version)
    said(decide_freshness(load.campus.legs(tmp_path), load.live, load.span), "failed", "max-age=2 does not allow that")


def test_the_old_version_is_too_old_even_from_an_exchange_with_the_origin(tmp_path: Path) -> None:
    load = Load().at(100).replace().at(200).ask(None, b"old").at(3500).ask(replaced(), b"old")
    said(
        decide_freshness(load.campus.legs(tmp_path), load.live, load.span),
        "failed",
        "Frame 26 has a copy of /aged that was replaced 3.44 s before and validated at the origin 0.04 s before",
    )


def test_no_cache_wants_what_was_current_when_it_was_asked_for(tmp_path: Path) -> None:
    aged = Load().at(100).replace().at(1000).ask(None, b"old")
    checked = Load(max_age_s=None)
    checked.campus, checked.replaced_ns = aged.campus, aged.replaced_ns
    aged.campus.ask(CHECKED, replaced(), b"new")
    live = aged.live | checked.live
    said(
        decide_freshness(aged.campus.legs(tmp_path), live, aged.span),
        "shown",
        "all 1 responses to requests with no-cache were current",
    )
    aged.campus.ask(CHECKED, None, b"old")
    said(
        decide_freshness(aged.campus.legs(tmp_path), live, aged.span),
        "failed",
        "s before the request, although the response has no-cache",
    )


def test_no_cache_allows_a_change_while_the_answer_is_on_its_way(tmp_path: Path) -> None:
    load = Load().at(100).replace().at(1000).ask(None, b"old")
    checked = Load(max_age_s=None)
    checked.campus = load.campus
    load.campus.ask(CHECKED, fetched(b"old"), b"old")
    checked.replaced_ns = load.campus.now_ns - round(RTT_MS / 2 * 1e6)
    said(decide_freshness(load.campus.legs(tmp_path), load.live | checked.live, load.span), "shown")


def test_a_body_that_never_was_contradicts(tmp_path: Path) -> None:
    load = Load().at(100).replace().ask(None, b"mixed")
    said(
        decide_freshness(load.campus.legs(tmp_path), load.live, load.span),
        "failed",
        "The body in frame 17 is not a version of /aged",
    )
    with pytest.raises(Contradiction):
        deliveries(load.campus.legs(tmp_path), load.live, load.span)


def test_without_a_change_or_without_a_hit_nothing_follows(tmp_path: Path) -> None:
    unchanged = Load().at(1000).ask(None, b"old")
    said(decide_freshness(unchanged.campus.legs(tmp_path), unchanged.live, unchanged.span), "undecided", "0 changes")
    unkept = Load().at(100).replace().ask(replaced(), b"new")
    said(
        decide_freshness(unkept.campus.legs(tmp_path), unkept.live, unkept.span),
        "undecided",
        "1 changes and 0 cache hits are too few to judge",
    )


@pytest.mark.parametrize("status", [304, 404, 504])
def test_an_error_in_the_place_of_a_copy_contradicts(status: int, tmp_path: Path) -> None:
    load = Load().at(100).replace().at(1000).ask(None, b"old")
    load.campus.ask(AGED, None, b"" if status == 304 else b"<h1>sorry</h1>", status=status)
    said(decide_freshness(load.campus.legs(tmp_path), load.live, load.span), "failed", f"/aged gets {status}")
