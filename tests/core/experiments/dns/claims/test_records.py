"""D1 to D6 and D14: captures that show each, contradict it in several ways, or cannot decide it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import pytest
from scapy.layers.dns import DNSRR
from scapy.layers.inet import UDP

from lab7.experiments.dns.claims import records as claims
from lab7.experiments.dns.claims import transport as transport
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.judge.verdict import Verdict
from tests.core.experiments.dns.dns_lookups import NAME, WEB, iterative, referral
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a, mx, opt, rr

POOL = [f"10.9.0.{number}" for number in (1, 2, 3)]
MAIL = [mx("example.com", 20, "b.example.com"), mx("example.com", 10, "A.example.com")]
RANKED = [(10, "a.example.com"), (20, "b.example.com")]
ALIAS = [rr("www.example.com", "CNAME", "Server1.example.com"), a("server1.example.com", WEB)]
REVERSE = "1.0.9.10.in-addr.arpa"


def d2(traffic: DnsTraffic) -> Verdict:
    return claims.decide_address_lookup(traffic, "WWW.example.com.", [WEB])


def d3(traffic: DnsTraffic) -> Verdict:
    return claims.decide_reverse_lookup(traffic, WEB, "server1.Example.com")


def d4(traffic: DnsTraffic) -> Verdict:
    return claims.decide_alias(traffic, NAME, "server1.example.com")


def d4_with_addresses(traffic: DnsTraffic) -> Verdict:
    return claims.decide_alias(traffic, NAME, "server1.example.com", [WEB])


def d5(traffic: DnsTraffic) -> Verdict:
    return claims.decide_mail_exchange(traffic, "example.com", RANKED)


Decide = Callable[[DnsTraffic], Verdict]
SHOWN: list[tuple[Decide, str, str, list[Any]]] = [
    (d2, NAME, "A", [a("wWw.example.com", WEB)]),
    (d2, NAME, "A", ALIAS),
    (d3, REVERSE, "PTR", [rr(REVERSE, "PTR", "server1.example.com")]),
    (d4, NAME, "A", ALIAS),
    (d4_with_addresses, NAME, "A", ALIAS),
    (d5, "example.com", "MX", MAIL),
]
FAILED: list[tuple[Decide, str, str, list[Any]]] = [
    (d2, NAME, "A", []),
    (d2, NAME, "A", [a(NAME, "10.9.9.9")]),
    (d2, NAME, "A", [a(NAME, WEB), a(NAME, "10.9.9.9")]),
    (d2, NAME, "A", [a(NAME, WEB), a(NAME, WEB)]),
    (d2, NAME, "A", [a(NAME, WEB), a("other.example.com", WEB)]),
    (d2, NAME, "A", [a("other.example.com", WEB)]),
    (d2, NAME, "A", [rr(NAME, "CNAME", NAME)]),
    (d3, REVERSE, "PTR", [rr(REVERSE, "PTR", "other.example.com")]),
    (d3, REVERSE, "PTR", [a(REVERSE, WEB)]),
    (d4, NAME, "A", [a(NAME, WEB)]),
    (d4, NAME, "A", ALIAS[:1]),
    (d4, NAME, "A", ALIAS[::-1]),
    (d4, NAME, "A", [*ALIAS, a(NAME, WEB)]),
    (d4, NAME, "A", [*ALIAS, rr(NAME, "TXT", "beside a CNAME")]),
    (d4, NAME, "A", [rr(NAME, "CNAME", "server2.example.com"), a("server2.example.com", WEB)]),
    (d4_with_addresses, NAME, "A", [ALIAS[0], a("server1.example.com", "10.9.9.9")]),
    (d5, "example.com", "MX", MAIL[:1]),
    (d5, "example.com", "MX", [mx("example.com", 10, "b.example.com"), mx("example.com", 20, "a.example.com")]),
    (d5, "example.com", "MX", [mx("example.com", 10, "b.example.com"), mx("example.com", 10, "a.example.com")]),
]


@pytest.mark.parametrize(("decide", "name", "qtype", "answer"), SHOWN)
def test_the_right_answer_shows_the_claim(decide: Decide, name: str, qtype: str, answer: list[Any]) -> None:
    net = Net()
    net.ask("client", "local", name, qtype, answer)
    verdict = decide(net.at("client"))
    assert verdict.verdict == "shown", verdict.evidence
    assert verdict.frames == (1, 4)


@pytest.mark.parametrize(("decide", "name", "qtype", "answer"), FAILED)
def test_a_wrong_answer_contradicts_the_claim(decide: Decide, name: str, qtype: str, answer: list[Any]) -> None:
    net = Net()
    net.ask("client", "local", name, qtype, answer)
    verdict = decide(net.at("client"))
    assert verdict.verdict == "failed", verdict.evidence
    assert 4 in verdict.frames
    assert "frame 4" in verdict.evidence


@pytest.mark.parametrize(("decide", "name", "qtype", "answer"), SHOWN)
def test_one_wrong_answer_among_right_ones_contradicts(
    decide: Decide, name: str, qtype: str, answer: list[Any]
) -> None:
    net = Net()
    net.ask("client", "local", name, qtype, answer)
    net.ask("client", "local", name, qtype, [])
    assert decide(net.at("client")).verdict == "failed"


@pytest.mark.parametrize(("decide", "name", "qtype", "answer"), SHOWN)
def test_without_whole_traffic_nothing_is_decided(decide: Decide, name: str, qtype: str, answer: list[Any]) -> None:
    net = Net()
    assert decide(net.at("client")).verdict == "undecided"
    net.ask("client", "local", "unrelated.example.com", qtype, answer)
    assert decide(net.at("client")).verdict == "undecided"
    net.ask("client", "local", name, qtype, answer)
    dropped = decide(net.at("client", dropped=2))
    assert (dropped.verdict, "dropped 2" in dropped.evidence) == ("undecided", True)


@pytest.mark.parametrize(("decide", "name", "qtype", "answer"), SHOWN)
@pytest.mark.parametrize("rcode", [2, 3, 5])
def test_an_error_contradicts_the_claim(decide: Decide, name: str, qtype: str, answer: list[Any], rcode: int) -> None:
    net = Net()
    net.ask("client", "local", name, qtype, answer, rcode=rcode)
    verdict = decide(net.at("client"))
    assert verdict.verdict == "failed"
    assert {2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}[rcode] in verdict.evidence


def test_a_message_that_cannot_be_read_contradicts_the_claim() -> None:
    net = Net()
    net.ask("client", "local", NAME, answer=[a(NAME, WEB)])
    net.add("local", "client", UDP(sport=53, dport=50001), b"no message at all")
    verdict = d2(net.at("client"))
    assert (verdict.verdict, verdict.frames) == ("failed", (6,))


def test_a_query_without_a_response_contradicts_unless_it_is_asked_again() -> None:
    net = Net()
    net.query("client", "local", NAME)
    assert d2(net.at("client")).verdict == "failed"
    net.after(5000).ask("client", "local", NAME, answer=[a(NAME, WEB)])
    assert d2(net.at("client")).verdict == "shown"


def test_preferences_of_one_server_have_no_order() -> None:
    net = Net()
    net.ask("client", "local", "example.com", "MX", MAIL[:1])
    assert claims.decide_mail_exchange(net.at("client"), "example.com", RANKED[1:]).verdict == "undecided"


# D1


def small() -> Net:
    net = Net()
    net.ask("client", "local", NAME, answer=[a(NAME, WEB)])
    return net


BIG = [a("big.example.com", f"10.9.1.{number}") for number in range(100)]


def truncated(
    cut: Sequence[Any] = (), by_tcp: Sequence[Any] | None = BIG, tc: int = 1, name: str = "big.example.com"
) -> Net:
    net = Net()
    net.ask("client", "local", "big.example.com", answer=cut, tc=tc)
    if by_tcp is not None:
        net.after(1).tcp("client", "local", name, answer=by_tcp)
    return net


@pytest.mark.parametrize("cut", [[], BIG[:10]])
def test_a_truncated_answer_is_fetched_by_tcp(cut: list[Any]) -> None:
    verdict = transport.decide_transport(small().at("client"), truncated(cut).at("client"))
    assert verdict.verdict == "shown", verdict.evidence
    assert "TC in frame 4" in verdict.evidence
    assert "100 records" in verdict.evidence


@pytest.mark.parametrize(
    "net",
    [
        truncated(by_tcp=None),
        truncated(BIG[:10], by_tcp=BIG[:10]),
        truncated(BIG[:10], by_tcp=BIG[1:]),
        truncated(name="other.example.com"),
        truncated(BIG),
    ],
    ids=["no TCP", "no more by TCP", "other data", "other question", "too long for a datagram"],
)
def test_a_truncated_answer_that_is_not_fetched_whole_contradicts_d1(net: Net) -> None:
    verdict = transport.decide_transport(small().at("client"), net.at("client"))
    assert verdict.verdict == "failed", verdict.evidence
    assert verdict.frames


def test_tcp_before_the_truncated_answer_is_not_because_of_it() -> None:
    net = Net()
    net.tcp("client", "local", "big.example.com", answer=BIG)
    net.after(1).ask("client", "local", "big.example.com", tc=1)
    assert transport.decide_transport(small().at("client"), net.at("client")).verdict == "failed"


def test_tcp_without_need_contradicts_d1() -> None:
    net = small()
    net.tcp("client", "local", NAME, answer=[a(NAME, WEB)])
    verdict = transport.decide_transport(net.at("client"), truncated().at("client"))
    assert verdict.verdict == "failed"
    assert "uses TCP, although no answer was truncated" in verdict.evidence


def test_an_answer_may_be_as_long_as_edns_allows() -> None:
    net = small()
    asked = net.query("client", "local", "big.example.com", extra=[opt(4096)])
    net.after(1).answer(asked, BIG)
    assert transport.decide_transport(net.at("client"), truncated().at("client")).verdict == "shown"
    asked = net.query("client", "local", "big.example.com", extra=[opt(1232)])
    net.after(1).answer(asked, BIG)
    assert transport.decide_transport(net.at("client"), truncated().at("client")).verdict == "failed"


def test_without_a_truncated_answer_d1_is_undecided() -> None:
    assert transport.decide_transport(small().at("client"), small().at("client")).verdict == "undecided"
    assert transport.decide_transport(Net().at("client"), truncated().at("client")).verdict == "undecided"
    assert transport.decide_transport(small().at("client"), truncated().at("client", dropped=1)).verdict == "undecided"


# D6


def pool(orders: Sequence[Sequence[str]]) -> Verdict:
    net = Net()
    for order in orders:
        net.ask("client", "local", "pool.example.com", answer=[a("pool.example.com", one) for one in order])
    return claims.decide_address_rotation(net.at("client"), "pool.example.com", POOL)


def turned(count: int) -> list[list[str]]:
    return [POOL[number % 3 :] + POOL[: number % 3] for number in range(count)]


def test_a_cyclic_order_shows_d6() -> None:
    verdict = pool(turned(7))
    assert verdict.verdict == "shown", verdict.evidence
    assert "10.9.0.1 3, 10.9.0.2 2, 10.9.0.3 2" in verdict.evidence
    assert len(verdict.frames) == 14


def test_a_random_order_shows_d6() -> None:
    random = Random(7)
    verdict = pool([random.sample(POOL, 3) for _ in range(60)])
    assert verdict.verdict == "shown", verdict.evidence
    assert "chi-square" in verdict.evidence


@pytest.mark.parametrize(
    "orders",
    [
        [POOL] * 6,
        [POOL, POOL, POOL, POOL[::-1]] * 10,
        [*turned(30), POOL[:2]],
        [*turned(30), [*POOL, "10.9.9.9"]],
        [[*POOL[:2], POOL[0]]] * 6,
    ],
    ids=["constant", "one never first", "one missing", "one too many", "one twice"],
)
def test_an_uneven_order_or_another_set_contradicts_d6(orders: list[list[str]]) -> None:
    verdict = pool(orders)
    assert verdict.verdict == "failed", verdict.evidence
    assert verdict.frames


@pytest.mark.parametrize("orders", [turned(5), [*turned(6), POOL, POOL], []], ids=["few", "uneven but few", "nothing"])
def test_few_answers_leave_d6_undecided(orders: list[list[str]]) -> None:
    assert pool(orders).verdict == "undecided"


def test_one_address_has_no_order() -> None:
    net = Net()
    for _ in range(9):
        net.ask("client", "local", NAME, answer=[a(NAME, WEB)])
    assert claims.decide_address_rotation(net.at("client"), NAME, [WEB]).verdict == "undecided"


@pytest.mark.parametrize(("degrees", "exact"), [(1, 10.828), (2, 13.816), (3, 16.266), (9, 27.877)])
def test_the_chi_square_bound_is_near_the_quantile(degrees: int, exact: float) -> None:
    assert exact <= claims.chi_square_bound(degrees) <= exact * 1.04


# D14


def looked_up() -> Net:
    net = Net()
    iterative(net)
    return net


def test_referrals_that_are_followed_show_d14() -> None:
    verdict = claims.decide_record_fields(looked_up().at("local"), ADDRESSES)
    assert verdict.verdict == "shown", verdict.evidence
    assert "2 referrals" in verdict.evidence
    assert "A, NS" in verdict.evidence


def test_a_name_server_without_glue_is_looked_up_first() -> None:
    net = Net()
    net.ask(
        "local", "root", "www.shop.com", authority=[rr("com", "NS", "ns.com")], additional=[a("ns.com", "10.2.0.53")]
    )
    net.ask("local", "com", "www.shop.com", authority=[rr("shop.com", "NS", "ns.provider.org")])
    net.ask("local", "root", "ns.provider.org", answer=[a("ns.provider.org", ADDRESSES["provider"])])
    net.ask("local", "provider", "www.shop.com", answer=[a("www.shop.com", WEB)], aa=1)
    verdict = claims.decide_record_fields(net.at("local"), ADDRESSES)
    assert verdict.verdict == "shown", verdict.evidence
    assert "2 referrals" in verdict.evidence


@pytest.mark.parametrize("front", ["", "_."])
def test_a_resolver_may_show_no_more_of_a_name_than_it_needs(front: str) -> None:
    net = Net()
    net.ask("local", "root", front + "com", **referral("com", "com"))
    net.ask("local", "com", front + "example.com", **referral("example.com", "example"))
    net.ask("local", "example", NAME, answer=[a(NAME, WEB)], aa=1)
    assert claims.decide_record_fields(net.at("local"), ADDRESSES).verdict == "shown"


def test_the_next_query_elsewhere_contradicts_d14() -> None:
    net = Net()
    iterative(net, path=("root", "com", "example"))
    net.ask("local", "root", "a.example.com", **referral("com", "com"))
    net.ask("local", "provider", "a.example.com", answer=[a("a.example.com", WEB)], aa=1)
    verdict = claims.decide_record_fields(net.at("local"), ADDRESSES)
    assert verdict.verdict == "failed"
    assert ADDRESSES["provider"] in verdict.evidence


@pytest.mark.parametrize(
    "record",
    [
        DNSRR(rrname=NAME, type="TXT", rclass=3, ttl=1, rdata="chaos"),
        DNSRR(rrname=NAME, type="A", ttl=2**31, rdata=WEB),
    ],
    ids=["class", "ttl"],
)
def test_a_record_that_is_none_contradicts_d14(record: Any) -> None:
    net = looked_up()
    net.ask("client", "local", NAME, answer=[record])
    assert claims.decide_record_fields(net.at("local"), ADDRESSES).verdict == "failed"


def test_without_a_referral_that_is_followed_d14_is_undecided() -> None:
    net = Net()
    net.ask("local", "root", NAME, **referral("com", "com"))
    assert claims.decide_record_fields(net.at("local"), ADDRESSES).verdict == "undecided"
    net.ask("local", "root", "www.shop.org", authority=[rr("shop.org", "NS", "ns.nobody.uk")])
    net.ask("local", "provider", "www.shop.org", aa=1)
    assert claims.decide_record_fields(net.at("local"), ADDRESSES).verdict == "undecided"
    assert claims.decide_record_fields(small().at("local"), ADDRESSES).verdict == "undecided"
    assert claims.decide_record_fields(looked_up().at("local", dropped=1), ADDRESSES).verdict == "undecided"
