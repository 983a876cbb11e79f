"""Faulty name servers on the way to a name, or with a cache, held against their zones."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lab7.experiments.dns.claims import caching, resolution
from lab7.experiments.dns.claims import ttl as dns_ttl
from lab7.experiments.dns.claims.caching import Workload
from lab7.experiments.harness.judge.verdict import Verdict
from tests.core.experiments.dns.claims.test_zones import ELSEWHERE, ZONES
from tests.core.experiments.dns.dns_lookups import CHAIN, NAME, PATH, WEB, cached, iterative, recursive, referral
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a

# D7, D8


def walked(net: Net, last: Any, told: list[Any], ra: int = 1, rd: int = 0) -> Net:
    outer = net.query("client", "local", NAME)
    for host, how in (
        ("root", referral("com", "com")),
        ("com", referral("example.com", "example")),
        ("example", {"answer": [last], "aa": 1}),
    ):
        net.after(1).ask("local", host, NAME, rd=rd, **how)
    net.after(1).answer(outer, told, ra=ra)
    return net


def d7(net: Net) -> Verdict:
    return resolution.decide_resolution_path(net.at("local"), [net.at("client")], {NAME: PATH}, ADDRESSES, ZONES)


def d8(net: Net) -> Verdict:
    return resolution.decide_iterative_queries(net.at("local"), NAME, ADDRESSES, PATH, ZONES)


def test_a_walk_to_what_the_zones_have_shows_d7_and_d8() -> None:
    net = walked(Net(), a(NAME, WEB), [a(NAME, WEB)])
    assert [d7(net).verdict, d8(net).verdict] == ["shown", "shown"]


@pytest.mark.parametrize(
    ("last", "told"), [(ELSEWHERE, ELSEWHERE), (WEB, ELSEWHERE), (ELSEWHERE, WEB)], ids=["server", "local", "unused"]
)
def test_a_walk_to_another_address_contradicts_d7_and_d8(last: str, told: str) -> None:
    net = walked(Net(), a(NAME, last), [a(NAME, told)])
    assert [d7(net).verdict, d8(net).verdict] == ["failed", "failed"]


def test_a_walk_whose_end_is_not_told_contradicts_without_the_zones_too() -> None:
    net = walked(Net(), a(NAME, ELSEWHERE), [a(NAME, WEB)])
    assert resolution.decide_iterative_queries(net.at("local"), NAME, ADDRESSES, PATH).verdict == "failed"


def test_recursion_desired_on_the_way_contradicts_d8_alone() -> None:
    net = walked(Net(), a(NAME, WEB), [a(NAME, WEB)], rd=1)
    assert [d7(net).verdict, d8(net).verdict] == ["shown", "failed"]


def test_a_local_server_that_does_not_offer_recursion_contradicts_d7_alone() -> None:
    net = walked(Net(), a(NAME, WEB), [a(NAME, WEB)], ra=0)
    assert [d7(net).verdict, d8(net).verdict] == ["failed", "shown"]


# D9


def test_a_chain_that_brings_another_address_contradicts_d9() -> None:
    net = recursive(Net())
    by_host = {host: net.at(host) for host in CHAIN[:-1]}
    assert resolution.decide_recursive_queries(by_host, NAME, ADDRESSES, CHAIN, ZONES).verdict == "shown"
    net = Net()
    queries = [net.query(asker, asked, NAME, rd=1) for asker, asked in pairwise(CHAIN)]
    for number, query in enumerate(reversed(queries)):
        net.after(1).answer(query, [a(NAME, ELSEWHERE)], ra=int(number > 0), aa=int(number == 0))
    by_host = {host: net.at(host) for host in CHAIN[:-1]}
    assert resolution.decide_recursive_queries(by_host, NAME, ADDRESSES, CHAIN).verdict == "shown"
    assert resolution.decide_recursive_queries(by_host, NAME, ADDRESSES, CHAIN, ZONES).verdict == "failed"


# D10


def d10(net: Net, start_ns: int) -> Verdict:
    window = (start_ns, 2**62)
    return caching.decide_cache_hit(
        [net.at("client")], net.at("local"), NAME, ADDRESSES, window, zones=ZONES, cold=True
    )


def test_a_cache_that_tells_what_the_zones_have_shows_d10() -> None:
    net = Net()
    iterative(net)
    start_ns = net.after(1000).now_ns
    cached(net)
    assert d10(net, start_ns).verdict == "shown"


def test_what_was_never_fetched_contradicts_d10() -> None:
    net = Net()
    cached(net)
    start_ns = net.after(1000).now_ns
    cached(net)
    assert d10(net, start_ns).verdict == "failed"


def test_a_wrong_address_from_the_start_contradicts_d10() -> None:
    net = Net()
    iterative(net, value=ELSEWHERE)
    start_ns = net.after(1000).now_ns
    cached(net, value=ELSEWHERE)
    assert d10(net, start_ns).verdict == "failed"


def test_a_cache_that_claims_authority_contradicts_d10() -> None:
    net = Net()
    iterative(net)
    start_ns = net.after(1000).now_ns
    net.ask("client", "local", NAME, answer=[a(NAME, WEB)], ra=1, aa=1)
    assert "The cached answer in frame" in d10(net, start_ns).evidence


# D11


def d11(net: Net, ttl_s: int = 10) -> Verdict:
    return caching.decide_ttl_countdown(net.at("client"), net.at("local"), NAME, ADDRESSES, ttl_s=ttl_s, cold=True)


def lives(value: str = WEB, first: bool = True) -> Net:
    net = Net()
    if not first:
        cached(net, ttl=9)
    iterative(net, ttl=10, path=("example",))
    cached(net.after(5000), ttl=5, value=value)
    iterative(net.after(5500), ttl=10, path=("example",))
    return net


def test_a_life_as_long_as_the_zone_says_shows_d11() -> None:
    assert d11(lives()).verdict == "shown"


def test_another_ttl_than_the_zones_contradicts_d11() -> None:
    assert d11(lives(), ttl_s=20).verdict == "failed"


def test_another_address_than_was_fetched_contradicts_d11() -> None:
    assert d11(lives(ELSEWHERE)).verdict == "failed"


def test_what_is_told_before_it_is_fetched_contradicts_d11() -> None:
    assert "The local server answers for" in d11(lives(first=False)).evidence
    net = Net()
    cached(net, ttl=9)
    assert "but sends no query upstream in the capture" in d11(net).evidence


# D12


def workload(fetched: int, told: int, value: str = WEB) -> Workload:
    net = Net()
    for _ in range(fetched):
        iterative(net, value=value)
    for _ in range(told):
        cached(net, value=value)
    return Workload((net.at("client"),), net.at("root"))


def d12(cached_workload: Workload) -> Verdict:
    return caching.decide_root_relief(workload(10, 0), cached_workload, ADDRESSES, 5, ZONES, cold=True)


def test_an_empty_cache_asks_the_root_once_at_least() -> None:
    assert d12(workload(1, 9)).verdict == "shown"
    assert d12(workload(0, 10)).verdict == "failed"


def test_a_cache_that_answers_anything_spares_the_root_and_contradicts_d12() -> None:
    assert d12(workload(1, 9, ELSEWHERE)).verdict == "failed"


# D13


def swept(net: Net, ttl_s: float, changes: list[tuple[int, list[str]]]) -> Verdict:
    def count() -> list[dns_ttl.TtlPoint]:
        point = dns_ttl.ttl_point(ttl_s, [net.at("client")], net.at("local"), NAME, ADDRESSES, changes)
        return [point, *(dns_ttl.TtlPoint(*one) for one in ((1e3, 1, 30, 100), (2e3, 1, 50, 100)))]

    return dns_ttl.sweep_ttl([net.at("client"), net.at("local")], count)[1]


def stale_for(seconds: float, value: str = WEB, ttl: int = 2) -> tuple[Net, list[tuple[int, list[str]]]]:
    """Fetched, changed, and told again as it was, so long after the change."""
    net = Net()
    start_ns = net.now_ns
    iterative(net, ttl=ttl, path=("example",))
    changed_ns = net.after(500).now_ns
    cached(net.after(1e3 * seconds), ttl=0, value=value)
    return net, [(start_ns, [WEB]), (changed_ns, ["10.9.0.2"])]


def test_stale_answers_within_the_ttl_are_counted() -> None:
    net, changes = stale_for(1.5)
    point = dns_ttl.ttl_point(2, [net.at("client")], net.at("local"), NAME, ADDRESSES, changes)
    assert (point.stale_answers, point.answers) == (1, 2)


def test_an_answer_staler_than_its_ttl_contradicts_d13() -> None:
    net, changes = stale_for(6)
    verdict = swept(net, 2, changes)
    assert (verdict.verdict, "after the address was replaced" in verdict.evidence) == ("failed", True)


def test_a_value_that_the_name_never_had_contradicts_d13() -> None:
    net, changes = stale_for(1, ELSEWHERE)
    assert "an address that it never had" in swept(net, 2, changes).evidence


def test_a_server_that_tells_another_ttl_contradicts_d13() -> None:
    net, changes = stale_for(1, ttl=9)
    assert "2 s in its zone" in swept(net, 2, changes).evidence
