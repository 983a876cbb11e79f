"""W1 and W2, and where a visit's time goes when it leads through a cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.cache.claims.savings import (
    count_connections,
    decide_link_relief,
    decide_visit_time,
    decompose_visit,
)
from lab7.experiments.cache.theory import cached_visit
from lab7.experiments.cache.wire.link_use import LinkUse, link_use
from lab7.experiments.harness.theory.tcp import SEGMENT_OVERHEAD_BYTES
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.page_load import page_load
from tests.core.experiments.cache.claims.cache_wire import (
    FORWARD_PORT,
    LAN_MS,
    ONE,
    RTT_MS,
    Campus,
    fetched,
    not_modified,
)
from tests.core.experiments.harness.verdicts import said
from tests.core.experiments.harness.wire import INTERFACE


def test_w1_compares_the_means_of_the_same_visits() -> None:
    said(decide_visit_time([0.2, 0.2], [0.25, 0.05], []), "shown", "200.0 ms", "150.0 ms", "25% less")
    said(decide_visit_time([0.2, 0.2], [0.25, 0.15], []), "failed", "the cache does not shorten the visits")
    said(
        decide_visit_time([0.2, 0.2], [0.25, 0.05], ["warm"]),
        "undecided",
        "but warm differ from theory by more than the tolerance",
    )
    said(decide_visit_time([0.2, 0.2], [0.05], []), "undecided")
    said(decide_visit_time([], [], []), "undecided")


def test_w2_compares_octets() -> None:
    said(
        decide_link_relief(LinkUse(1000, 9, 0), LinkUse(400, 5, 0), 3),
        "shown",
        "1000 octets in 9 frames",
        "60% less",
        "3 responses",
    )
    said(decide_link_relief(LinkUse(1000, 9, 0), LinkUse(1000, 9, 0), 3), "failed")
    said(decide_link_relief(LinkUse(1000, 9, 0), LinkUse(400, 5, 3), 3), "undecided", "dropped 3")
    said(decide_link_relief(LinkUse(1000, 9, 0), LinkUse(400, 5, 0), 0), "undecided", "No response came from the cache")
    said(decide_link_relief(LinkUse(0, 0, 0), LinkUse(0, 0, 0), 0), "undecided")


def test_the_use_of_a_link_is_its_frames_within_the_span(tmp_path: Path) -> None:
    campus = Campus()
    campus.ask("/a", fetched())
    span = campus.ask("/b", fetched())
    captured = campus.wire.capture(tmp_path)
    inside = [frame for frame in captured.frames if span[0] <= frame.time_ns < span[1]]
    use = link_use(captured, INTERFACE, span)
    assert use == LinkUse(sum(len(frame.data) for frame in inside), len(inside), 0)
    assert 0 < use.frames < len(captured.frames)
    everything = (captured.frames[0].time_ns, captured.frames[-1].time_ns + 1)
    rest = link_use(captured, INTERFACE, everything, [span])
    assert rest.frames + use.frames == len(captured.frames)
    assert rest.octets + use.octets == link_use(captured, INTERFACE, everything).octets


def parts(campus: Campus, span: tuple[int, int], folder: Path) -> dict[str, float]:
    """The terms of a visit in ms, the client's interface being the proxy's own."""
    load = page_load(campus.wire.capture(folder), INTERFACE, [FORWARD_PORT]).between(*span)
    found = decompose_visit(load, campus.legs(folder), span)
    assert sum(found.terms.values()) == pytest.approx(found.total_s)
    return {name: round(value * 1e3, 3) for name, value in found.terms.items() if value}


def test_a_miss_waits_for_the_origin_and_a_hit_does_not(tmp_path: Path) -> None:
    campus = Campus()
    miss = campus.ask("/a", fetched())
    stale = campus.ask("/a", not_modified())
    hit = campus.ask("/a", None)
    assert parts(campus, miss, tmp_path) == {
        "tcp_handshake": LAN_MS,
        "origin_handshake": RTT_MS,
        "origin_request": RTT_MS,
    }
    assert parts(campus, stale, tmp_path) == {"tcp_handshake": LAN_MS, "origin_request": RTT_MS}
    assert parts(campus, hit, tmp_path) == {"tcp_handshake": LAN_MS}
    legs = campus.legs(tmp_path)
    assert [count_connections(legs, span) for span in (miss, stale, hit)] == [1, 0, 0]


def test_a_visit_without_a_response_has_no_duration(tmp_path: Path) -> None:
    campus = Campus()
    campus._connect(ONE, "10.7.0.100", FORWARD_PORT, LAN_MS)
    load = page_load(campus.wire.capture(tmp_path), INTERFACE, [FORWARD_PORT])
    with pytest.raises(ValueError, match="no duration"):
        decompose_visit(load, campus.legs(tmp_path), (0, campus.now_ns))


RATE_BPS = 10e6


def test_a_hit_costs_round_trips_on_the_campus_alone() -> None:
    theory = cached_visit(4, 0.01, 0.04, RATE_BPS, [], 0, 0)
    assert theory.total_s == pytest.approx(5 * 0.01)
    assert theory.formula == "(n+1) RTT campus"


def test_a_miss_costs_what_a_request_without_the_cache_does_and_the_campus() -> None:
    sizes, asking = [4000, 4000, 4000], 200
    theory = cached_visit(3, 0.01, 0.04, RATE_BPS, sizes, asking, 1)
    direct = http_page_load("1.1-persistent", 0.04, sizes, RATE_BPS, request_size_bytes=asking)
    assert theory.total_s == pytest.approx(direct.total_s + 4 * 0.01)
    assert theory.terms["transmission"] == pytest.approx(direct.terms["transmission"])
    assert sum(theory.terms.values()) == pytest.approx(theory.total_s)


def test_a_validated_copy_costs_a_round_trip_and_no_body() -> None:
    theory = cached_visit(1, 0.01, 0.04, RATE_BPS, [200], 300, 0)
    heads_s = (500 + 2 * SEGMENT_OVERHEAD_BYTES) * 8 / RATE_BPS
    assert theory.total_s == pytest.approx(2 * 0.01 + 0.04 + heads_s)


def test_a_visit_is_to_something() -> None:
    with pytest.raises(ValueError, match="at least one"):
        cached_visit(0, 0.01, 0.04, RATE_BPS, [], 0, 0)
