"""D10 to D13: what caching does, shown, contradicted in several ways, and undecided."""

from __future__ import annotations

import pytest

from lab7.experiments.dns.claims import caching as claims
from lab7.experiments.dns.claims import ttl as sweep
from lab7.experiments.dns.claims.caching import Workload
from lab7.experiments.dns.claims.ttl import TtlPoint
from lab7.experiments.harness.judge.verdict import Verdict
from tests.core.experiments.dns.dns_lookups import NAME, WEB, cached, iterative
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a

END_NS = 2**62


def d10(net: Net, start_ns: int, dropped: int = 0) -> Verdict:
    clients = [net.at("client", dropped), net.at("other")]
    return claims.decide_cache_hit(clients, net.at("local"), NAME, ADDRESSES, (start_ns, END_NS))


@pytest.mark.parametrize("client", ["client", "other"])
def test_a_second_query_with_none_upstream_shows_d10(client: str) -> None:
    net = Net()
    iterative(net)
    start_ns = net.after(1000).now_ns
    cached(net, client=client)
    verdict = d10(net, start_ns)
    assert verdict.verdict == "shown", verdict.evidence
    assert "causes 3 queries upstream (frames 3" in verdict.evidence
    assert "64.0 ms" in verdict.evidence
    assert "causes none and takes 1.0 ms" in verdict.evidence


def test_a_second_query_that_goes_upstream_contradicts_d10() -> None:
    net = Net()
    iterative(net)
    start_ns = net.after(1000).now_ns
    iterative(net, path=("example",))
    verdict = d10(net, start_ns)
    assert verdict.verdict == "failed"
    assert "the local server sends a query upstream, in frame" in verdict.evidence


@pytest.mark.parametrize("value", ["10.9.9.9", ""])
def test_another_answer_from_the_cache_contradicts_d10(value: str) -> None:
    net = Net()
    iterative(net)
    start_ns = net.after(1000).now_ns
    net.ask("client", "local", NAME, answer=[a(NAME, value)] if value else [])
    assert d10(net, start_ns).verdict == "failed"


def test_a_query_past_the_local_server_contradicts_d10() -> None:
    net = Net()
    iterative(net)
    start_ns = net.after(1000).now_ns
    net.ask("client", "example", NAME, answer=[a(NAME, WEB)], aa=1)
    assert d10(net, start_ns).verdict == "failed"


def test_without_a_first_and_a_second_query_d10_is_undecided() -> None:
    net = Net()
    start_ns = net.now_ns
    assert d10(net, start_ns).verdict == "undecided"
    iterative(net)
    assert d10(net, start_ns).verdict == "undecided"
    assert d10(net, net.now_ns).verdict == "undecided"
    cached(net.after(1000))
    assert d10(net, net.now_ns - 1_000_000, dropped=1).verdict == "undecided"
    warm = Net()
    cached(warm)
    start_ns = warm.after(1000).now_ns
    cached(warm)
    assert "causes no query upstream, so that the cache was not empty" in d10(warm, start_ns).evidence


# D11


def d11(net: Net, dropped: int = 0) -> Verdict:
    return claims.decide_ttl_countdown(net.at("client", dropped), net.at("local"), NAME, ADDRESSES)


def lives(*told: tuple[float, int], refetch_ms: float = 10_500, ttl: int = 10) -> Net:
    """Fetched with `ttl` at 0; told from the cache (ms, ttl); fetched again at `refetch_ms` after the first time."""
    net = Net()
    iterative(net, ttl=ttl, path=("example",))
    start_ms = net.now_ms
    for at_ms, each in told:
        net.now_ms = start_ms + at_ms
        cached(net, ttl=each)
    net.now_ms = start_ms + refetch_ms
    iterative(net, ttl=ttl, path=("example",))
    return net


@pytest.mark.parametrize("told", [[(2000, 8), (5500, 5), (9000, 1)], [(5500, 4)], [(9900, 0)]])
def test_a_ttl_that_counts_down_shows_d11(told: list[tuple[float, int]]) -> None:
    verdict = d11(lives(*told))
    assert verdict.verdict == "shown", verdict.evidence
    assert "A has TTL 10 s (frame 6)" in verdict.evidence
    assert f"{len(told)} cached answers the TTL counts down" in verdict.evidence


@pytest.mark.parametrize(
    "net",
    [
        lives((5000, 10)),
        lives((3000, 7), (5000, 8)),
        lives((2000, 8), (2500, 9)),
        lives((5000, 0)),
        lives((5000, 5), (15000, 0), refetch_ms=20_000),
        lives((2000, 8), refetch_ms=4000),
    ],
    ids=["does not fall", "grows", "grows within the tolerance", "falls at once", "outlives its ttl", "dies early"],
)
def test_a_ttl_that_does_not_count_down_contradicts_d11(net: Net) -> None:
    verdict = d11(net)
    assert verdict.verdict == "failed", verdict.evidence
    assert verdict.frames


def test_different_ttls_in_one_set_contradict_d11() -> None:
    net = lives((2000, 8))
    net.after(1000).ask("client", "local", NAME, answer=[a(NAME, WEB, 9), a(NAME, "10.9.0.2", 8)])
    assert "2 different TTLs" in d11(net).evidence


def test_without_a_whole_life_d11_is_undecided() -> None:
    net = Net()
    assert d11(net).verdict == "undecided"
    iterative(net, ttl=10)
    cached(net.after(2000), ttl=8)
    assert d11(net).verdict == "undecided"
    assert d11(lives()).verdict == "undecided"
    assert d11(lives((2000, 8)), dropped=1).verdict == "undecided"
    warm = Net()
    cached(warm)
    assert "The local server sends no query upstream for" in d11(warm).evidence


# D12


def workload(fetched: int, told: int, names: str = NAME, dropped: int = 0) -> Workload:
    net = Net()
    for _ in range(fetched):
        iterative(net, names)
    for _ in range(told):
        cached(net, names)
    return Workload((net.at("client"), net.at("other")), net.at("root", dropped))


def test_fewer_queries_at_the_root_show_d12() -> None:
    verdict = claims.decide_root_relief(workload(10, 0), workload(1, 9), ADDRESSES, ratio=5)
    assert verdict.verdict == "shown", verdict.evidence
    assert "10 queries of the clients cause 10 queries to the root without caches and 1 with caches" in verdict.evidence
    assert verdict.frames


def test_none_at_the_root_are_fewer_still() -> None:
    assert claims.decide_root_relief(workload(10, 0), workload(0, 10), ADDRESSES, ratio=5).verdict == "shown"


@pytest.mark.parametrize("fetched", [3, 10])
def test_as_many_queries_at_the_root_contradict_d12(fetched: int) -> None:
    verdict = claims.decide_root_relief(workload(10, 0), workload(fetched, 10 - fetched), ADDRESSES, ratio=5)
    assert verdict.verdict == "failed"
    assert f"cause 10 queries to the root without caches and {fetched} with caches" in verdict.evidence


def test_another_workload_leaves_d12_undecided() -> None:
    for other in (workload(1, 8), workload(1, 9, "other.example.com"), workload(0, 0), workload(1, 9, dropped=1)):
        assert claims.decide_root_relief(workload(10, 0), other, ADDRESSES, ratio=5).verdict == "undecided"
    assert claims.decide_root_relief(workload(0, 10), workload(0, 10), ADDRESSES, ratio=5).verdict == "undecided"


def test_a_client_without_an_answer_contradicts_d12() -> None:
    net = Net()
    net.ask("client", "local", NAME, rcode=2)
    assert (
        claims.decide_root_relief(workload(1, 0), Workload((net.at("client"),), net.at("root")), ADDRESSES, 1).verdict
        == "failed"
    )


# D13

GOOD = [(0.0, 100, 0, 100), (1.0, 40, 6, 100), (4.0, 12, 20, 100), (16.0, 3, 55, 100)]


def test_opposite_trends_show_d13() -> None:
    verdict = sweep.decide_ttl_trade_off(GOOD[::-1])
    assert verdict.verdict == "shown", verdict.evidence
    assert "4 s: 12 queries upstream and 20 stale for 100 answers" in verdict.evidence


def test_d13_forgives_a_little_against_the_trend_but_not_at_the_ends() -> None:
    little = [GOOD[0], (1.0, 12, 21, 100), (4.0, 14, 20, 100), GOOD[3]]
    assert sweep.decide_ttl_trade_off(little).verdict == "shown"
    assert sweep.decide_ttl_trade_off(little, tolerance=0).verdict == "failed"


@pytest.mark.parametrize(
    "wrong",
    [(16.0, 100, 55, 100), (16.0, 40, 55, 100), (16.0, 3, 0, 100), (16.0, 3, 5, 100)],
    ids=["as many at the ends", "rises again", "never stale", "less stale again"],
)
def test_no_trend_contradicts_d13(wrong: tuple[float, int, int, int]) -> None:
    assert sweep.decide_ttl_trade_off([*GOOD[:3], wrong]).verdict == "failed"


def test_shares_count_not_numbers() -> None:
    doubled = [*GOOD[:3], (16.0, 30, 550, 1000)]
    assert sweep.decide_ttl_trade_off(doubled).verdict == "shown"


def test_few_points_leave_d13_undecided() -> None:
    assert sweep.decide_ttl_trade_off(GOOD[:2]).verdict == "undecided"
    assert sweep.decide_ttl_trade_off([*GOOD[:2], GOOD[1]]).verdict == "undecided"
    assert sweep.decide_ttl_trade_off([*GOOD[:3], (16.0, 0, 0, 0)]).verdict == "undecided"
    assert sweep.decide_ttl_trade_off([]).verdict == "undecided"


def test_a_point_of_the_sweep_is_counted_from_packets() -> None:
    net = Net()
    before_ns = net.now_ns
    iterative(net)
    cached(net.after(1000))
    changed_ns = net.after(1000).now_ns
    cached(net)
    cached(net.after(1000), client="other")
    iterative(net.after(1000), path=("example",), value="10.9.0.2")
    point = sweep.ttl_point(
        300.0,
        [net.at("client"), net.at("other")],
        net.at("local"),
        NAME,
        ADDRESSES,
        [(before_ns, [WEB]), (changed_ns, ["10.9.0.2"])],
    )
    assert point == TtlPoint(300.0, upstream_queries=4, stale_answers=2, answers=5)
