"""Special names: localhost, invalid and onion are answered without a query (RFC 6761, RFC 7686)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import Question
from lab7.services.dns.recursion.iterator import from_cache
from tests.core.services.dns.recursion.signed_internet import is_authenticated, signed_world
from tests.core.services.dns.recursion.simulated_internet import authoritative, name, texts, world, zone


@pytest.mark.parametrize(
    ("question", "answers"),
    [
        ("localhost A", ["localhost. A 127.0.0.1"]),
        ("LocalHost AAAA", ["LocalHost. AAAA ::1"]),
        ("a.b.localhost A", ["a.b.localhost. A 127.0.0.1"]),
        ("localhost ANY", ["localhost. A 127.0.0.1", "localhost. AAAA ::1"]),
        ("localhost MX", []),
        ("localhost NS", []),
        ("x.localhost DS", []),
        ("1.0.0.127.in-addr.arpa PTR", ["1.0.0.127.in-addr.arpa. PTR localhost."]),
        (f"1.{'0.' * 31}ip6.arpa PTR", [f"1.{'0.' * 31}ip6.arpa. PTR localhost."]),
        ("1.0.0.127.in-addr.arpa A", []),
    ],
)
def test_localhost_is_answered_without_a_query(question: str, answers: list[str]) -> None:
    qname, rtype = question.split()
    for internet in (world(), replace(world(), entries_max=0), signed_world()):
        result = internet.resolve(qname, rtype)
        assert (result.rcode, texts(result.answers), internet.asked) == (Rcode.NOERROR, answers, [])
        assert [rrset.rtype for rrset in result.authority] == ([] if answers else [RRType.SOA])
        assert not is_authenticated(result)
        without_rd = from_cache(internet.context, Question(name(qname), RRType[rtype]), internet.now)
        assert (without_rd.answers, without_rd.authority) == (result.answers, result.authority)


@pytest.mark.parametrize("qname", ["invalid", "a.b.Invalid", "x.onion", "onion"])
def test_names_that_nobody_has_are_nxdomain_without_a_query(qname: str) -> None:
    """RFC 6761 section 6.4, RFC 7686 section 2."""
    for internet in (world(), signed_world()):
        result = internet.resolve(qname)
        assert (result.rcode, result.answers, internet.asked) == (Rcode.NXDOMAIN, (), [])
        assert [rrset.name for rrset in result.authority] == [name(qname).suffix(1)]
        assert not is_authenticated(result)


@pytest.mark.parametrize(
    "qname", ["localhost.example.com", "xlocalhost", "invalid.example.com", "xonion", "2.0.0.127.in-addr.arpa"]
)
def test_other_names_are_resolved(qname: str) -> None:
    internet = world()
    assert internet.resolve(qname).rcode == Rcode.NXDOMAIN
    assert internet.asked


def test_an_alias_and_a_name_server_lead_to_no_query_for_localhost() -> None:
    text = "@ NS ns1\nns1 A 127.0.1.3\nhere CNAME localhost.\nsub NS x.localhost.\n"
    server = authoritative(zone("example.com.", text))
    internet = world(s3=server, s4=server)
    assert texts(internet.resolve("here.example.com").answers)[-1] == "localhost. A 127.0.0.1"
    internet.resolve("www.sub.example.com")
    assert not any(ask.question.name.is_below(name("localhost")) for ask in internet.asked)
