"""A cell of the DNS matrix: answers that pass, and each way to fail, from captures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lab7.experiments.dns.claims.evidence import GivenRecord, GivenZones
from lab7.experiments.dns.claims.interop import NXDOMAIN, Asked, Resolving, Role, answered, resolved
from lab7.experiments.harness.judge.verdict import Verdict
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a, opt, rr, soa

NAME, WEB = "www.example.com", "10.9.0.1"
SOA = "ns1.example.com. admin.example.com. 7 0 0 0 60"
ZONES = GivenZones(
    [
        GivenRecord("www.example.com.", "CNAME", 300, "server1.example.com."),
        GivenRecord("server1.example.com.", "A", 300, WEB),
        GivenRecord("example.com.", "SOA", 60, SOA),
    ]
)
ADDRESS, ALIAS = Asked("server1.example.com.", "A"), Asked(NAME, "A")
NO_NAME, NO_DATA = Asked("nobody.example.com", "A", NXDOMAIN), Asked("server1.example.com", "TXT")
A = a("server1.example.com", WEB)
CHAIN = [rr(NAME, "CNAME", "server1.example.com"), A]
END = [soa("example.com")]
SERVER: Role = "authoritative"


def cell(net: Net, asked: Asked, role: Role = SERVER, server: str = "example") -> Verdict:
    return answered("cell", net.at("client"), asked, ZONES, ADDRESSES["client"], ADDRESSES[server], role)


def test_an_answer_of_the_zones_passes() -> None:
    right: list[tuple[Asked, list[Any], dict[str, Any]]] = [
        (ADDRESS, [A], {}),
        (ALIAS, CHAIN, {}),
        (NO_NAME, [], {"authority": END, "rcode": 3}),
        (NO_DATA, [], {"authority": END}),
    ]
    for asked, answer, how in right:
        net = Net()
        net.ask("client", "example", asked.name, asked.rtype, answer, aa=1, **how)
        assert (cell(net, asked).verdict, cell(net, asked).frames) == ("shown", (1, 4))


WRONG: list[tuple[Asked, list[Any], dict[str, Any], str]] = [
    (ADDRESS, [a("server1.example.com", "10.9.9.9")], {"aa": 1}, "has 10.9.9.9, but the zones have 10.9.0.1"),
    (ADDRESS, [a("server1.example.com", WEB, ttl=301)], {"aa": 1}, "TTL 301, more than the 300 of its zone"),
    (ADDRESS, [A], {}, "is not authoritative (AA=0)"),
    (ADDRESS, [], {"rcode": 2}, "is answered with SERVFAIL in frame 4"),
    (ADDRESS, [], {"rcode": 3, "aa": 1}, "is answered with NXDOMAIN in frame 4, not NOERROR"),
    (ALIAS, CHAIN[:1], {"aa": 1}, "but the zones have 10.9.0.1, CNAME server1.example.com."),
    (NO_NAME, [], {"aa": 1, "authority": END}, "is answered with NOERROR in frame 4, not NXDOMAIN"),
    (NO_NAME, [], {"aa": 1, "rcode": 3}, "has 0 SOA records of the zone, not 1"),
    (NO_NAME, [], {"aa": 1, "rcode": 3, "authority": [soa("example.org")]}, "has 1 SOA records of the zone"),
    (NO_DATA, [A], {"aa": 1}, "server1.example.com. A 10.9.0.1"),
    (ADDRESS, [A], {"aa": 1, "tc": 1}, "is truncated, but server1.example.com. A is not repeated by TCP"),
]


@pytest.mark.parametrize(("asked", "answer", "how", "says"), WRONG, ids=[one[3] for one in WRONG])
def test_another_answer_fails(asked: Asked, answer: list[Any], how: dict[str, Any], says: str) -> None:
    net = Net()
    net.ask("client", "example", asked.name, asked.rtype, answer, **how)
    verdict = cell(net, asked)
    assert (verdict.verdict, says in verdict.evidence) == ("failed", True), verdict.evidence
    assert verdict.frames


def test_a_client_that_asks_for_something_else_or_somebody_else_fails() -> None:
    net = Net()
    net.ask("client", "example", "server1.example.com", "AAAA", aa=1)
    assert "frame 1 asks server1.example.com. AAAA of 10.3.0.53" in cell(net, ADDRESS).evidence
    net = Net()
    net.ask("client", "com", "server1.example.com", "A", [A], aa=1)
    assert cell(net, ADDRESS).verdict == "failed"


def test_a_query_without_a_response_fails() -> None:
    net = Net()
    net.query("client", "example", "server1.example.com")
    assert "in frame 1 gets no response" in cell(net, ADDRESS).evidence


def test_a_resolver_must_offer_recursion() -> None:
    net = Net()
    net.ask("client", "local", "server1.example.com", "A", [A])
    assert "offers no recursion (RA=0)" in cell(net, ADDRESS, "local", "local").evidence
    net = Net()
    net.ask("client", "local", "server1.example.com", "A", [A], ra=1)
    assert cell(net, ADDRESS, "local", "local").verdict == "shown"


def by_tcp(net: Net) -> None:
    net.tcp("client", "example", "server1.example.com", answer=[A], aa=1)


def by_larger_datagrams(net: Net) -> None:
    asked = net.query("client", "example", "server1.example.com", extra=[opt(4096)])
    net.after(5).answer(asked, [A], aa=1)


def the_same_again(net: Net) -> None:
    net.ask("client", "example", "server1.example.com", "A", [A], aa=1)


@pytest.mark.parametrize(
    ("again", "word"), [(by_tcp, "shown"), (by_larger_datagrams, "shown"), (the_same_again, "failed")]
)
def test_after_truncation_the_query_is_repeated_for_more(again: Callable[[Net], None], word: str) -> None:
    net = Net()
    net.ask("client", "example", "server1.example.com", "A", aa=1, tc=1)
    again(net.after(5))
    assert cell(net, ADDRESS).verdict == word


def test_a_datagram_larger_than_permitted_fails() -> None:
    net = Net()
    many = [rr("server1.example.com", "A", WEB) for _ in range(40)]
    net.ask("client", "example", "server1.example.com", "A", many, aa=1)
    assert "but the query in frame 1 permits 512" in cell(net, ADDRESS).evidence


def resolution(net: Net) -> Verdict:
    hosts = Resolving(ADDRESSES["client"], ADDRESSES["local"], ADDRESSES["example"])
    return resolved("cell", net.at("client"), net.at("local"), ADDRESS, ZONES, hosts)


def test_a_resolver_passes_if_it_asked_the_server_and_each_response_was_sound() -> None:
    net = Net()
    waits = net.query("client", "local", "server1.example.com")
    net.after(1).ask("local", "example", "server1.example.com", "A", [A], aa=1)
    net.after(1).answer(waits, [A], ra=1)
    verdict = resolution(net)
    assert verdict.verdict == "shown", verdict.evidence
    assert "Queries of the resolver to the server: 1." in verdict.evidence


def test_a_resolver_that_did_not_ask_the_server_or_was_refused_fails() -> None:
    net = Net()
    net.ask("client", "local", "server1.example.com", "A", [A], ra=1)
    assert "did not ask 10.3.0.53" in resolution(net).evidence
    net = Net()
    waits = net.query("client", "local", "server1.example.com")
    net.after(1).ask("local", "example", "server1.example.com", "A", rcode=5)
    net.after(1).answer(waits, [A], ra=1)
    assert "is answered with REFUSED" in resolution(net).evidence
