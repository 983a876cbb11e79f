"""Faulty name servers that answer in the right form: their zones tell the difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab7.experiments.dns.claims import records as dns_records
from lab7.experiments.dns.claims import resolution, transport
from lab7.experiments.dns.claims.evidence import GivenRecord, GivenZones
from lab7.experiments.dns.lab import given_zones
from lab7.experiments.dns.wire.messages import DnsMessage
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict
from lab7.topologies.dns import make_names
from tests.core.experiments.dns.dns_lookups import NAME, WEB, cached, iterative, referral
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a, mx, opt, rr

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
    return transport.decide_transport(small().at("client"), net.at("client"), above, ZONES)


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
    assert "but the query in frame 1 permits 512" in d1(big(), long).evidence
    assert d1(big(), big(by_tcp=False, client="local", server="example")).verdict == "failed"
    # This would have passed whole.
    needless = big(client="local", server="example")
    assert "is truncated, although the whole answer has" in d1(big(), needless).evidence


# D3, D5, D6


@pytest.mark.parametrize(
    ("decide", "name", "qtype", "answer"),
    [
        (
            lambda traffic: dns_records.decide_reverse_lookup(traffic, WEB, SERVER),
            "1.0.9.10.in-addr.arpa",
            "PTR",
            [rr("1.0.9.10.in-addr.arpa", "PTR", SERVER)],
        ),
        (
            lambda traffic: dns_records.decide_mail_exchange(
                traffic, "example.com", [(10, "a.example.com"), (20, "b.example.com")]
            ),
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


# D14


def d14(net: Net) -> Verdict:
    return dns_records.decide_record_fields(net.at("local"), ADDRESSES, ZONES, cold=True)


def test_records_as_the_zones_have_them_show_d14() -> None:
    net = Net()
    iterative(net)
    assert d14(net).verdict == "shown"


def test_a_local_server_that_asks_nobody_contradicts_d14() -> None:
    assert "but sends no query upstream in the capture" in d14(small()).evidence


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
    return resolution.decide_zone_hosting(net.at("local"), own, pairs, ZONES)


def test_a_provider_that_answers_as_its_zones_do_shows_d15() -> None:
    assert d15(hired()).verdict == "shown"


@pytest.mark.parametrize(
    "net",
    [hired(ELSEWHERE), hired(later_server="ns.shop.org"), hired(rcode=3)],
    ids=["another address", "another server in its own NS", "no such name"],
)
def test_a_provider_that_answers_otherwise_contradicts_d15(net: Net) -> None:
    assert d15(net).verdict == "failed"
