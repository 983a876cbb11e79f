"""What a cheating or broken name server could do and still answer in the right form: its zones tell the difference."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from experiments.harness.dns_lab import given_zones
from experiments.harness.judge import dns_cache_claims, dns_claims, dns_path_claims
from experiments.harness.judge.dns_cache_claims import Workload
from experiments.harness.judge.dns_message import DnsMessage
from experiments.harness.judge.dns_zones import GivenRecord, GivenZones
from experiments.harness.judge.http import Contradiction
from experiments.harness.judge.verdict import Verdict
from tests.core.harness.dns_lookups import CHAIN, NAME, PATH, WEB, cached, iterative, recursive, referral
from tests.core.harness.dns_wire import ADDRESSES, Net, a, mx, opt, rr
from topologies.dns import make_names

ELSEWHERE = "10.9.9.9"
SERVER = "server1.example.com"
ZONES = GivenZones(
    [
        GivenRecord("com.", "NS", 300, "NS.com."),
        GivenRecord("ns.com.", "A", 300, ADDRESSES["com"]),
        GivenRecord("example.com.", "NS", 300, "ns.example.com."),
        GivenRecord("ns.example.com.", "A", 300, ADDRESSES["example"]),
        GivenRecord("example.com.", "MX", 300, "10 A.example.com."),
        GivenRecord("alias.example.com.", "CNAME", 300, "Server1.example.com."),
        GivenRecord("server1.example.com.", "A", 300, WEB),
        GivenRecord("www.example.com.", "A", 300, WEB),
        GivenRecord("big.example.com.", "TXT", 300, '"whole"'),
        *(
            GivenRecord(f"{domain}.", kind, 300, value)
            for domain in ("shop.org", "bookshop.uk")
            for kind, value in (("NS", "ns.provider.org."),)
        ),
        GivenRecord("ns.provider.org.", "A", 300, ADDRESSES["provider"]),
        GivenRecord("www.shop.org.", "A", 300, WEB),
        GivenRecord("www.bookshop.uk.", "A", 300, WEB),
    ]
)


def said(*answer: Any, name: str = NAME, qtype: str = "A") -> DnsMessage:
    net = Net()
    net.ask("local", "example", name, qtype, list(answer), aa=1)
    response = net.at("local").exchanges[0].response
    assert response is not None
    return response


# The zones.


def test_the_zones_of_the_topology_are_known_to_the_judge() -> None:
    zones = given_zones(make_names(changing=[2]))
    assert zones.answer("www.example.com", "A") == (
        [("www.example.com.", "server1.example.com.")],
        frozenset({"10.53.4.1"}),
    )
    assert zones.values("example.com", "MX") == {"10 server2.example.com.", "20 server3.example.com."}
    assert zones.values("1.4.53.10.in-addr.arpa", "PTR") == {"server1.example.com."}
    assert zones.ttls("ttl2.example.com", "A") == {2}
    # Its own TTL, and the one that it has in negative answers.
    assert zones.ttls("example.com", "SOA") == {300, 3600}
    assert zones.values("nobody.example.com", "A") == frozenset()


ALIAS = rr("alias.example.com", "CNAME", "server1.example.com")


@pytest.mark.parametrize(
    ("response", "name"),
    [
        (said(a(NAME, WEB)), NAME),
        (said(ALIAS, a(SERVER, WEB), name="alias.example.com"), "alias.example.com"),
    ],
)
def test_what_the_zones_have_is_right(response: DnsMessage, name: str) -> None:
    ZONES.answered(response, name, "A")


@pytest.mark.parametrize(
    ("response", "name"),
    [
        (said(a(NAME, ELSEWHERE)), NAME),
        (said(), NAME),
        (said(a(NAME, WEB), a(NAME, ELSEWHERE)), NAME),
        (said(a(NAME, WEB), a("other.example.com", WEB)), NAME),
        (said(a("alias.example.com", WEB)), "alias.example.com"),
        (said(ALIAS), "alias.example.com"),
        (said(ALIAS, a(SERVER, ELSEWHERE)), "alias.example.com"),
        (said(rr("alias.example.com", "CNAME", NAME), a(NAME, WEB)), "alias.example.com"),
        (said(a("no.example.com", WEB)), "no.example.com"),
    ],
    ids=[
        "another address",
        "nothing",
        "one more",
        "beside it",
        "flattened",
        "alias alone",
        "behind the alias",
        "another target",
        "invented",
    ],
)
def test_what_the_zones_do_not_have_contradicts(response: DnsMessage, name: str) -> None:
    with pytest.raises(Contradiction):
        ZONES.answered(response, name, "A")


def test_a_server_that_does_not_serve_the_target_may_end_at_the_alias() -> None:
    ZONES.answered(said(ALIAS, name="alias.example.com"), "alias.example.com", "A", whole=False)
    with pytest.raises(Contradiction):
        ZONES.answered(said(a("alias.example.com", WEB)), "alias.example.com", "A", whole=False)


# D1


def big(text: str = "whole", tc: int = 1, by_tcp: bool = True, server: str = "local", client: str = "client") -> Net:
    net = Net()
    net.ask(client, server, "big.example.com", "TXT", tc=tc)
    if by_tcp:
        net.after(1).tcp(client, server, "big.example.com", "TXT", answer=[rr("big.example.com", "TXT", text)])
    return net


def small() -> Net:
    net = Net()
    net.ask("client", "local", NAME, answer=[a(NAME, WEB)])
    return net


def d1(net: Net, upstream: Net | None = None) -> Verdict:
    above = None if upstream is None else upstream.at("local")
    return dns_claims.d1(small().at("client"), net.at("client"), above, ZONES)


def test_the_whole_answer_by_tcp_shows_d1() -> None:
    assert d1(big()).verdict == "shown"


def test_another_text_of_the_same_length_by_tcp_contradicts_d1() -> None:
    assert d1(big("whale")).verdict == "failed"


def test_an_error_in_the_place_of_a_truncated_answer_contradicts_d1() -> None:
    net = Net()
    net.ask("client", "local", "big.example.com", "TXT", rcode=2)
    assert d1(net).verdict == "failed"


def test_a_server_above_has_to_truncate_and_to_serve_tcp_as_well() -> None:
    long = Net()
    answer = [a("big.example.com", f"10.9.1.{number}") for number in range(100)]
    long.ask("local", "example", "big.example.com", answer=answer, aa=1)
    assert "takes 512" in d1(big(), long).evidence
    assert d1(big(), big(by_tcp=False, client="local", server="example")).verdict == "failed"
    # This would have passed whole.
    needless = big(client="local", server="example")
    assert "is truncated, though" in d1(big(), needless).evidence


# D3, D5, D6


@pytest.mark.parametrize(
    ("decide", "name", "qtype", "answer"),
    [
        (
            lambda traffic: dns_claims.d3(traffic, WEB, SERVER),
            "1.0.9.10.in-addr.arpa",
            "PTR",
            [rr("1.0.9.10.in-addr.arpa", "PTR", SERVER)],
        ),
        (
            lambda traffic: dns_claims.d5(traffic, "example.com", [(10, "a.example.com"), (20, "b.example.com")]),
            "example.com",
            "MX",
            [mx("example.com", 10, "a.example.com"), mx("example.com", 20, "b.example.com")],
        ),
    ],
)
def test_a_record_beside_the_answer_contradicts(
    decide: Callable[[Any], Verdict], name: str, qtype: str, answer: list[Any]
) -> None:
    for more, verdict in (([], "shown"), ([a("other.example.com", ELSEWHERE)], "failed")):
        net = Net()
        net.ask("client", "local", name, qtype, [*answer, *more])
        assert decide(net.at("client")).verdict == verdict


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
    return dns_path_claims.d7(net.at("local"), [net.at("client")], {NAME: PATH}, ADDRESSES, ZONES)


def d8(net: Net) -> Verdict:
    return dns_path_claims.d8(net.at("local"), NAME, ADDRESSES, PATH, ZONES)


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
    assert dns_path_claims.d8(net.at("local"), NAME, ADDRESSES, PATH).verdict == "failed"


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
    assert dns_path_claims.d9(by_host, NAME, ADDRESSES, CHAIN, ZONES).verdict == "shown"
    net = Net()
    queries = [net.query(asker, asked, NAME, rd=1) for asker, asked in pairwise(CHAIN)]
    for number, query in enumerate(reversed(queries)):
        net.after(1).answer(query, [a(NAME, ELSEWHERE)], ra=int(number > 0), aa=int(number == 0))
    by_host = {host: net.at(host) for host in CHAIN[:-1]}
    assert dns_path_claims.d9(by_host, NAME, ADDRESSES, CHAIN).verdict == "shown"
    assert dns_path_claims.d9(by_host, NAME, ADDRESSES, CHAIN, ZONES).verdict == "failed"


# D10


def d10(net: Net, start_ns: int) -> Verdict:
    window = (start_ns, 2**62)
    return dns_cache_claims.d10([net.at("client")], net.at("local"), NAME, ADDRESSES, window, zones=ZONES, cold=True)


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
    assert "claims authority" in d10(net, start_ns).evidence


# D11


def d11(net: Net, ttl_s: int = 10) -> Verdict:
    return dns_cache_claims.d11(net.at("client"), net.at("local"), NAME, ADDRESSES, ttl_s=ttl_s, cold=True)


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
    assert "before it is fetched" in d11(lives(first=False)).evidence
    net = Net()
    cached(net, ttl=9)
    assert "never fetched" in d11(net).evidence


# D12


def workload(fetched: int, told: int, value: str = WEB) -> Workload:
    net = Net()
    for _ in range(fetched):
        iterative(net, value=value)
    for _ in range(told):
        cached(net, value=value)
    return Workload((net.at("client"),), net.at("root"))


def d12(cached_workload: Workload) -> Verdict:
    return dns_cache_claims.d12(workload(10, 0), cached_workload, ADDRESSES, 5, ZONES, cold=True)


def test_an_empty_cache_asks_the_root_once_at_least() -> None:
    assert d12(workload(1, 9)).verdict == "shown"
    assert d12(workload(0, 10)).verdict == "failed"


def test_a_cache_that_answers_anything_spares_the_root_and_contradicts_d12() -> None:
    assert d12(workload(1, 9, ELSEWHERE)).verdict == "failed"


# D13


def swept(net: Net, ttl_s: float, changes: list[tuple[int, list[str]]]) -> Verdict:
    def count() -> list[dns_cache_claims.TtlPoint]:
        point = dns_cache_claims.ttl_point(ttl_s, [net.at("client")], net.at("local"), NAME, ADDRESSES, changes)
        return [point, *(dns_cache_claims.TtlPoint(*one) for one in ((1e3, 1, 30, 100), (2e3, 1, 50, 100)))]

    return dns_cache_claims.d13_of([net.at("client"), net.at("local")], count)[1]


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
    point = dns_cache_claims.ttl_point(2, [net.at("client")], net.at("local"), NAME, ADDRESSES, changes)
    assert (point.stale_answers, point.answers) == (1, 2)


def test_an_answer_staler_than_its_ttl_contradicts_d13() -> None:
    net, changes = stale_for(6)
    verdict = swept(net, 2, changes)
    assert (verdict.verdict, "after that was replaced" in verdict.evidence) == ("failed", True)


def test_a_value_that_the_name_never_had_contradicts_d13() -> None:
    net, changes = stale_for(1, ELSEWHERE)
    assert "which it never was" in swept(net, 2, changes).evidence


def test_a_server_that_tells_another_ttl_contradicts_d13() -> None:
    net, changes = stale_for(1, ttl=9)
    assert "2 s in its zone" in swept(net, 2, changes).evidence


# D14


def d14(net: Net) -> Verdict:
    return dns_claims.d14(net.at("local"), ADDRESSES, ZONES, cold=True)


def test_records_as_the_zones_have_them_show_d14() -> None:
    net = Net()
    iterative(net)
    assert d14(net).verdict == "shown"


def test_a_local_server_that_asks_nobody_contradicts_d14() -> None:
    assert "asks no server" in d14(small()).evidence


WRONG: dict[str, dict[str, Any]] = {
    "another server": {"authority": [rr("com", "NS", "ns2.com")], "additional": [a("ns2.com", ADDRESSES["com"])]},
    "another owner": {"authority": [rr("org", "NS", "ns.com")], "additional": [a("ns.com", ADDRESSES["com"])]},
    "another ttl": {"authority": [rr("com", "NS", "ns.com", 7)], "additional": [a("ns.com", ADDRESSES["com"])]},
    "other glue": {"authority": [rr("com", "NS", "ns.com")], "additional": [a("ns.com", ADDRESSES["example"])]},
    "more glue": {"authority": [rr("com", "NS", "ns.com")], "additional": [a("x.com", ADDRESSES["example"]), opt()]},
}


@pytest.mark.parametrize("sections", WRONG.values(), ids=WRONG)
def test_a_referral_that_the_zones_do_not_have_contradicts_d14(sections: dict[str, Any]) -> None:
    net = Net()
    iterative(net)
    net.ask("local", "root", "other.com", **sections)
    assert d14(net).verdict == "failed"


def test_a_ttl_that_the_zones_do_not_have_contradicts_d14() -> None:
    for server, ttl, verdict in (("example", 301, "failed"), ("example", 299, "failed"), ("local", 299, "shown")):
        net = Net()
        iterative(net)
        net.ask("client" if server == "local" else "local", server, NAME, answer=[a(NAME, WEB, ttl)], aa=1)
        assert d14(net).verdict == verdict
    net = Net()
    iterative(net)
    cached(net, ttl=301)
    assert "more than the 300 of its zone" in d14(net).evidence


# D15


def hired(value: str = WEB, later_server: str = "ns.provider.org", rcode: int = 0) -> Net:
    net = Net()
    net.ask("local", "com", NAME, **referral("example.com", "example"))
    net.ask("local", "example", NAME, answer=[a(NAME, WEB)], aa=1)
    for domain in ("shop.org", "bookshop.uk"):
        name = f"www.{domain}"
        net.ask("local", "root", name, **referral(domain, "provider", "ns.provider.org"))
        records = [] if rcode else [a(name, value)]
        net.ask("local", "provider", name, answer=records, aa=1, rcode=rcode)
        net.ask("local", "provider", domain, "NS", [rr(domain, "NS", later_server)], aa=1)
    return net


def d15(net: Net) -> Verdict:
    own = ("example.com", "ns.example.com")
    pairs = [("shop.org", "ns.provider.org"), ("bookshop.uk", "ns.provider.org")]
    return dns_path_claims.d15(net.at("local"), own, pairs, ZONES)


def test_a_provider_that_answers_as_its_zones_do_shows_d15() -> None:
    assert d15(hired()).verdict == "shown"


@pytest.mark.parametrize(
    "net",
    [hired(ELSEWHERE), hired(later_server="ns.shop.org"), hired(rcode=3)],
    ids=["another address", "another server in its own NS", "no such name"],
)
def test_a_provider_that_answers_otherwise_contradicts_d15(net: Net) -> None:
    assert d15(net).verdict == "failed"
