"""D7 to D9 and D15: who asks whom, shown, contradicted in several ways, and undecided."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from lab7.experiments.dns.claims import resolution as claims
from lab7.experiments.harness.judge.verdict import Verdict, timed
from tests.core.experiments.dns.dns_lookups import CHAIN, NAME, PATH, WEB, cached, iterative, recursive, referral
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a, opt, rr

CLIENTS = ("client", "other")
OTHER = "www.provider.org"
LOOKUPS = {NAME: PATH, OTHER: ("root", "provider")}


def d7(net: Net, dropped: int = 0) -> Verdict:
    return claims.decide_resolution_path(
        net.at("local", dropped), [net.at(host) for host in CLIENTS], LOOKUPS, ADDRESSES
    )


def d8(net: Net, dropped: int = 0) -> Verdict:
    return claims.decide_iterative_queries(net.at("local", dropped), NAME, ADDRESSES, PATH)


def d9(net: Net, dropped: int = 0) -> Verdict:
    return claims.decide_recursive_queries({host: net.at(host, dropped) for host in CHAIN[:-1]}, NAME, ADDRESSES, CHAIN)


def both() -> Net:
    net = Net()
    iterative(net)
    iterative(net.after(10), OTHER, "other", ("root", "provider"))
    return net


def test_a_hierarchy_walked_down_shows_d7() -> None:
    verdict = d7(both())
    assert verdict.verdict == "shown", verdict.evidence
    assert "root, then com, then example" in verdict.evidence
    assert "2 queries of clients" in verdict.evidence
    assert "for 2 names" in verdict.evidence


def test_iterative_queries_show_d8() -> None:
    verdict = d8(both())
    assert verdict.verdict == "shown", verdict.evidence
    assert "10.1.0.53 20.0 ms, 10.2.0.53 20.0 ms, 10.3.0.53 20.0 ms, of 64.0 ms" in verdict.evidence
    assert timed(verdict, 0.064, 0.060, 0.15).verdict == "shown"
    assert timed(verdict, 0.064, 0.030, 0.15).verdict == "failed"


def test_recursive_queries_show_d9_and_contradict_d8() -> None:
    net = recursive(Net())
    verdict = d9(net)
    assert verdict.verdict == "shown", verdict.evidence
    assert len(verdict.frames) == 8
    assert d8(net).verdict == "failed"
    assert d9(both()).verdict == "failed"


def step(net: Net, host: str, answer: Any = (), **how: Any) -> Net:
    net.after(1).ask("local", host, NAME, answer=answer, **how)
    return net


FINAL: dict[str, Any] = {"answer": [a(NAME, WEB)], "aa": 1}
TO_COM, TO_EXAMPLE = referral("com", "com"), referral("example.com", "example")
STEPS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a server is left out": [("root", TO_EXAMPLE), ("example", FINAL)],
    "another order": [("com", TO_COM), ("root", TO_EXAMPLE), ("example", FINAL)],
    "a server not on the path": [("root", TO_COM), ("com", TO_EXAMPLE), ("provider", FINAL)],
    "an answer in the middle": [("root", TO_COM), ("com", FINAL), ("example", FINAL)],
    "a referral with authority": [("root", TO_COM), ("com", {**TO_EXAMPLE, "aa": 1}), ("example", FINAL)],
    "a referral that goes nowhere": [("root", TO_COM), ("com", TO_COM), ("example", FINAL)],
    "a referral to another zone": [("root", TO_COM), ("com", referral("shop.com", "example")), ("example", FINAL)],
    "no authority": [("root", TO_COM), ("com", TO_EXAMPLE), ("example", {**FINAL, "aa": 0})],
    "no answer": [("root", TO_COM), ("com", TO_EXAMPLE), ("example", {"aa": 1})],
    "an error": [("root", TO_COM), ("com", {"rcode": 2}), ("example", FINAL)],
    "nobody is asked": [],
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_another_path_contradicts_d7_and_d8(steps: list[tuple[str, dict[str, Any]]]) -> None:
    net = Net()
    outer = net.query("client", "local", NAME)
    for host, how in steps:
        step(net, host, **how)
    net.after(1).answer(outer, [a(NAME, WEB)])
    iterative(net.after(10), OTHER, "other", ("root", "provider"))
    for verdict in (d7(net), d8(net)):
        assert verdict.verdict == "failed", verdict.evidence
        assert verdict.frames


def test_queries_all_at_once_contradict_d8() -> None:
    net = Net()
    outer = net.query("client", "local", NAME)
    queries = [net.query("local", host, NAME) for host in PATH]
    for query, how in zip(queries, (TO_COM, TO_EXAMPLE, FINAL), strict=True):
        net.after(1).answer(query, **how)
    net.after(1).answer(outer, [a(NAME, WEB)])
    verdict = d8(net)
    assert verdict.verdict == "failed"
    assert "precedes the response" in verdict.evidence


def test_a_client_that_asks_others_contradicts_d7() -> None:
    net = both()
    net.ask("other", "root", NAME, **TO_COM)
    verdict = d7(net)
    assert verdict.verdict == "failed"
    assert "not the local server" in verdict.evidence


def test_a_lost_query_that_is_asked_again_is_no_other_path() -> None:
    net = Net()
    outer = net.query("client", "local", NAME)
    net.query("local", "root", NAME)
    net.after(800)
    for host, how in (("root", TO_COM), ("com", TO_EXAMPLE), ("example", FINAL)):
        step(net, host, **how)
    net.after(1).answer(outer, [a(NAME, WEB)])
    assert d8(net).verdict == "shown"


@pytest.mark.parametrize("front", ["", "_."])
def test_a_resolver_may_show_no_more_of_a_name_than_it_needs(front: str) -> None:
    net = Net()
    outer = net.query("client", "local", NAME)
    net.ask("local", "root", ".", "NS", [rr(".", "NS", "a.root")], aa=1)
    net.ask("local", "root", front + "com", "A", **TO_COM)
    net.ask("local", "com", front + "example.com", "A", **TO_EXAMPLE)
    net.ask("local", "example", front + "example.com", "A", aa=1)
    net.ask("local", "example", NAME, "A", **FINAL)
    net.ask("local", "root", "unrelated.org", "DS", aa=1)
    net.answer(outer, [a(NAME, WEB)], additional=[opt()])
    assert d8(net).verdict == "shown"


def test_without_the_look_up_nothing_is_decided() -> None:
    net = both()
    for verdict in (d7(net, 1), d8(net, 1), d9(recursive(Net()), 1), d7(Net()), d8(Net()), d9(Net())):
        assert verdict.verdict == "undecided"
    other = Net()
    cached(other, "unrelated.org")
    for verdict in (d7(other), d8(other), d9(other)):
        assert verdict.verdict == "undecided", verdict.evidence


def test_recursion_that_is_not_offered_contradicts_d9() -> None:
    verdict = d9(recursive(Net(), ra=0))
    assert verdict.verdict == "failed"
    assert "does not have RA set" in verdict.evidence


def test_recursion_that_is_not_desired_contradicts_d9() -> None:
    net = Net()
    outer, inner = net.query("client", "local", NAME), net.after(1).query("local", "root", NAME, rd=0)
    below = [net.after(1).query(asker, asked, NAME, rd=1) for asker, asked in (("root", "com"), ("com", "example"))]
    net.after(1).answer(below[1], [a(NAME, WEB)], aa=1)
    for query in (below[0], inner, outer):
        net.after(1).answer(query, [a(NAME, WEB)], ra=1)
    verdict = d9(net)
    assert verdict.verdict == "failed"
    assert "does not have RD set" in verdict.evidence


def test_a_local_server_that_asks_others_contradicts_d9() -> None:
    net = recursive(Net())
    net.ask("local", "com", "unrelated.com")
    verdict = d9(net)
    assert verdict.verdict == "failed"
    assert "The local queries com in frame 17" in verdict.evidence


def test_a_server_that_answers_before_it_was_answered_contradicts_d9() -> None:
    net = Net()
    outer = net.query("client", "local", NAME)
    queries = [net.query(asker, asked, NAME, rd=1) for asker, asked in pairwise(CHAIN[1:])]
    for query in queries[:-1]:
        net.after(1).answer(query, [a(NAME, WEB)], ra=1)
    net.after(1).answer(queries[-1], [a(NAME, WEB)], aa=1)
    net.after(1).answer(outer, [a(NAME, WEB)], ra=1)
    verdict = d9(net)
    assert verdict.verdict == "failed"
    assert "does not take place during that in frames" in verdict.evidence


def test_an_answer_that_changes_on_the_way_contradicts_d9() -> None:
    net = Net()
    queries = [net.query(asker, asked, NAME, rd=1) for asker, asked in pairwise(CHAIN)]
    for number, query in enumerate(reversed(queries)):
        value = "10.9.9.9" if number == 3 else WEB
        net.after(1).answer(query, [a(NAME, value)], ra=int(number > 0), aa=int(number == 0))
    verdict = d9(net)
    assert verdict.verdict == "failed"
    assert "differs from that in frame" in verdict.evidence


def test_a_chain_that_ends_early_contradicts_d9() -> None:
    verdict = d9(recursive(Net(), chain=CHAIN[:-1]))
    assert verdict.verdict == "failed"
    assert "The com server sends no query for www" in verdict.evidence


def test_no_authority_at_the_end_contradicts_d9() -> None:
    net = Net()
    queries = [net.query(asker, asked, NAME, rd=1) for asker, asked in pairwise(CHAIN)]
    for query in reversed(queries):
        net.after(1).answer(query, [a(NAME, WEB)], ra=1)
    assert "not authoritative" in d9(net).evidence


def test_a_chain_of_three_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least four roles"):
        claims.decide_recursive_queries({}, NAME, ADDRESSES, CHAIN[:3])


# D15

OWN = ("example.com", "ns.example.com")
HIRED = [("shop.org", "ns.provider.org"), ("bookshop.uk", "ns.provider.org")]


def zones(
    own_server: str = "ns.example.com", hired_server: str = "ns.provider.org", aa: int = 1, second: str = "provider"
) -> Net:
    net = Net()
    net.ask("local", "com", NAME, **referral("example.com", "example", own_server))
    net.ask("local", "example", NAME, **FINAL)
    for domain, host in (("shop.org", "provider"), ("bookshop.uk", second)):
        name = f"www.{domain}"
        net.ask("local", "root", name, **referral(domain, host, hired_server))
        net.ask("local", host, name, answer=[a(name, WEB)], aa=aa)
    return net


def d15(net: Net, dropped: int = 0) -> Verdict:
    return claims.decide_zone_hosting(net.at("local", dropped), OWN, HIRED)


def test_a_zone_of_each_kind_shows_d15() -> None:
    verdict = d15(zones())
    assert verdict.verdict == "shown", verdict.evidence
    assert ADDRESSES["provider"] in verdict.evidence


@pytest.mark.parametrize(
    "net",
    [
        zones(own_server="ns.provider.org"),
        zones(own_server="ns2.example.com"),
        zones(hired_server="ns.example.com"),
        zones(aa=0),
        zones(second="com"),
    ],
    ids=["outside", "another of its own", "another provider", "no authority", "not the same server"],
)
def test_servers_of_another_kind_contradict_d15(net: Net) -> None:
    verdict = d15(net)
    assert verdict.verdict == "failed", verdict.evidence
    assert verdict.frames


def test_a_hired_server_within_the_domain_is_none() -> None:
    net = zones()
    net.ask("local", "root", "www.own.org", **referral("own.org", "provider", "ns.own.org"))
    verdict = claims.decide_zone_hosting(net.at("local"), OWN, [*HIRED, ("own.org", "ns.own.org")])
    assert verdict.verdict == "failed"
    assert "outside of" in verdict.evidence


def test_without_zones_of_both_kinds_d15_is_undecided() -> None:
    assert d15(zones(), 1).verdict == "undecided"
    assert d15(Net()).verdict == "undecided"
    assert claims.decide_zone_hosting(zones().at("local"), OWN, HIRED[:1]).verdict == "undecided"
    only_own = Net()
    iterative(only_own)
    assert d15(only_own).verdict == "undecided"
