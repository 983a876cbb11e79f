"""Zones and servers that deviate from the RFCs, and parents and children that disagree: the answers all the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import Message
from lab7.services.dns.codec.rdata import rdata_from_text
from lab7.services.dns.recursion.query import UpstreamQuery
from tests.core.services.dns.recursion.simulated_internet import (
    COM_ZONE,
    EXAMPLE_ZONE,
    ROOT_ADDRESS,
    Behaviour,
    World,
    authoritative,
    forwarding,
    name,
    saying,
    saying_all,
    silent,
    texts,
    world,
    zone,
)

GOOD = ["www.example.com. A 192.0.2.1", "www.example.com. A 192.0.2.2"]
EXAMPLE = authoritative(EXAMPLE_ZONE)
SOA = "example.com. SOA a. b. 1 1 1 1 60"


def changed(server: Behaviour, aa: bool = False, ra: bool = False) -> Behaviour:
    """Return a server whose responses have other flags."""

    def answer(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = server(query, ask)
        return None if reply is None else replace(reply, aa=aa, ra=ra)

    return answer


def for_name(qname: str, special: Behaviour, usual: Behaviour) -> Behaviour:
    """Return a server that has other responses for one name."""

    def answer(query: Message, ask: UpstreamQuery) -> Message | None:
        return (special if query.questions[0].name == name(qname) else usual)(query, ask)

    return answer


# Negative answers and referrals.


@pytest.mark.parametrize("rcode", [Rcode.NXDOMAIN, Rcode.NOERROR])
def test_a_negative_answer_with_the_soa_needs_no_aa(rcode: int) -> None:
    """RFC 2308 section 2."""
    bare = saying(SOA, "authority", aa=False, rcode=rcode)
    internet = world(s3=bare, s4=bare)
    result = internet.resolve("x.example.com")
    assert (result.rcode, result.queries, texts(result.authority)) == (rcode, 3, [SOA])
    assert internet.resolve("x.example.com").queries == 0


WEAK = {
    "nxdomain, without AA": saying("", aa=False, rcode=Rcode.NXDOMAIN),
    "nxdomain of the zone above": saying("com. SOA a. b. 1 1 1 1 60", "authority", rcode=Rcode.NXDOMAIN),
    "nxdomain of another zone": saying("other.com. SOA a. b. 1 1 1 1 60", "authority", rcode=Rcode.NXDOMAIN),
    "nothing, without AA": saying("", aa=False),
}


@pytest.mark.parametrize("bare", WEAK.values(), ids=WEAK.keys())
def test_a_doubtful_negative_answer_is_the_last_resort(bare: Behaviour) -> None:
    for seed in range(4):
        internet = World(world(s3=bare).servers, seed=seed)
        assert texts(internet.resolve("www.example.com").answers) == GOOD
        assert internet.asked_of("127.0.1.3") <= 1
    internet = world(s3=bare, s4=bare)
    result = internet.resolve("www.example.com")
    # Each server once, and cached by none.
    assert (result.answers, result.authority, result.queries) == ((), (), 4)
    assert result.rcode in (Rcode.NXDOMAIN, Rcode.NOERROR)
    assert internet.resolve("www.example.com").queries == 2


def test_an_nxdomain_with_records_of_the_name_is_no_answer() -> None:
    """As in BIND; behind an alias an NXDOMAIN is about the target (RFC 6604 section 3)."""
    both = saying("www.example.com. A 192.0.2.66", rcode=Rcode.NXDOMAIN)
    assert texts(world(s3=both).resolve("www.example.com").answers) == GOOD
    assert world(s3=both, s4=both).resolve("www.example.com").rcode == Rcode.SERVFAIL
    alias = for_name("x.example.com", saying("x.example.com. CNAME www.example.com.", rcode=Rcode.NXDOMAIN), EXAMPLE)
    assert texts(world(s3=alias, s4=alias).resolve("x.example.com").answers)[1:] == GOOD


def test_an_alias_comes_before_other_data_and_is_one() -> None:
    """RFC 2181 section 10.1."""
    both = saying(
        "x.example.com. CNAME www.example.com.\nx.example.com. CNAME mail.example.com.\nx.example.com. A 192.0.2.9"
    )
    server = for_name("x.example.com", both, EXAMPLE)
    internet = world(s3=server, s4=server)
    assert texts(internet.resolve("x.example.com").answers) == ["x.example.com. CNAME www.example.com.", *GOOD]
    assert texts(internet.resolve("x.example.com", "CNAME").answers) == ["x.example.com. CNAME www.example.com."]


def test_a_recursive_server_is_used_where_no_authoritative_one_answers() -> None:
    cached = changed(saying("www.example.com. A 203.0.113.1"), aa=False, ra=True)
    for seed in range(4):
        internet = World(world(s3=cached).servers, seed=seed)
        assert texts(internet.resolve("www.example.com").answers) == GOOD
    internet = world(s3=cached, s4=cached)
    result = internet.resolve("www.example.com")
    assert (texts(result.answers), result.queries) == (["www.example.com. A 203.0.113.1"], 4)


def test_an_answer_without_aa_and_without_ra_is_used() -> None:
    old = changed(EXAMPLE, aa=False)
    internet = world(s3=old, s4=old)
    assert (texts(internet.resolve("www.example.com").answers), len(internet.asked)) == (GOOD, 3)


@pytest.mark.parametrize("rtype", ["A", "NS"])
def test_a_referral_in_the_answer_section_is_followed(rtype: str) -> None:
    def misplacing(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = authoritative(COM_ZONE)(query, ask)
        return None if reply is None else replace(reply, answers=reply.authority, authority=())

    internet = world(s2=misplacing)
    qname = "www.example.com" if rtype == "A" else "example.com"
    result = internet.resolve(qname, rtype)
    assert (result.rcode, internet.path[:2], len(internet.asked)) == (Rcode.NOERROR, ["1", "2"], 3)
    wanted = GOOD if rtype == "A" else ["example.com. NS ns1.example.com.", "example.com. NS ns2.example.com."]
    assert texts(result.answers) == wanted


def test_ds_is_queried_of_the_parent_and_ns_of_the_child() -> None:
    """RFC 4035 section 3.1.4.1: the parent zone is authoritative for DS at the cut."""
    internet = world()
    internet.resolve("www.example.com")
    assert (internet.resolve("example.com", "DS").rcode, internet.path) == (Rcode.NOERROR, ["2"])
    assert internet.resolve("example.com", "NS").answers[0].rtype == RRType.NS
    assert internet.path[0] in "34"
    assert internet.resolve(".", "DS").rcode == Rcode.NOERROR


@pytest.mark.parametrize("rcode", [Rcode.NXDOMAIN, Rcode.NOERROR])
def test_a_forwarder_denies_without_an_soa(rcode: int) -> None:
    bare = changed(saying("", aa=False, rcode=rcode), ra=True)
    internet = World({"127.0.1.9": bare}, roots=forwarding("127.0.1.9"))
    result = internet.resolve("www.example.com")
    assert (result.rcode, result.answers, result.queries) == (rcode, (), 1)


# Glue.


def without_glue(server: Behaviour) -> Behaviour:
    """Return a server whose referrals lack their glue."""

    def answer(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = server(query, ask)
        return None if reply is None else replace(reply, additional=())

    return answer


COM = authoritative(COM_ZONE)
GLUE = {
    "in the additional section": COM,
    "as an answer": saying("ns1.example.com. A 127.0.1.3", aa=False),
    "as an answer with AA": saying("ns1.example.com. A 127.0.1.3"),
}


@pytest.mark.parametrize("given", GLUE.values(), ids=GLUE.keys())
def test_missing_glue_is_queried_of_the_parent(given: Behaviour) -> None:
    """RFC 1034 section 5.3.3."""
    internet = world(s2=for_name("ns1.example.com", given, without_glue(COM)))
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert internet.path[-1] == "3"
    # Glue is no answer.
    assert texts(internet.resolve("ns1.example.com").answers) == ["ns1.example.com. A 127.0.1.3"]
    assert internet.path == ["3"]
    # It is kept with the delegation, and ends with it.
    internet.resolve("mail.example.com")
    assert internet.path == ["3"]


def test_missing_glue_is_queried_for_where_the_servers_with_glue_fail() -> None:
    def partial(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = COM(query, ask)
        if reply is None or query.questions[0].name == name("ns2.example.com"):
            return reply
        return replace(reply, additional=tuple(one for one in reply.additional if one.name == name("ns1.example.com")))

    internet = world(s2=partial, s3=silent)
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert [str(ask.question.name) for ask in internet.asked if ask.address == "127.0.1.2"][1:] == ["ns2.example.com."]


def test_missing_glue_of_a_chain_of_zones_is_bounded() -> None:
    internet = world(s2=without_glue(COM))
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL
    assert internet.resolve("ns1.example.com").rcode == Rcode.SERVFAIL
    assert len(internet.asked) <= 8


# Parent and child disagree.


def test_the_zones_own_ns_set_is_used_once_it_is_known() -> None:
    child = zone("example.com.", "@ NS ns3\nns3 A 127.0.1.13\nwww A 192.0.2.13\nmail A 192.0.2.14\n")
    both = authoritative(child)
    internet = world(s3=both, s4=both, s13=both)
    internet.resolve("www.example.com")
    assert internet.path[-1] in "34"
    internet.resolve("example.com", "NS")
    internet.resolve("ns3.example.com")
    internet.resolve("mail.example.com")
    assert internet.path == ["13"]
    # The parent's servers are the last resort.
    internet.servers["127.0.1.13"] = silent
    assert internet.resolve("x.example.com").rcode == Rcode.NXDOMAIN
    assert internet.path[0] == "13"
    assert internet.path[-1] in "34"


def test_the_zones_own_ns_set_ends_with_the_parents_ttl() -> None:
    """A domain that is sold: its old servers repeat their own NS RRset, with a TTL of a day."""
    old = zone("example.com.", "@ 86400 NS ns1\nns1 86400 A 127.0.1.3\nwww 60 A 192.0.2.13\n")
    new = zone("example.com.", "@ NS ns\nns A 127.0.1.23\nwww 60 A 192.0.2.23\n")
    internet = world(s3=authoritative(old), s4=authoritative(old), s23=authoritative(new))
    internet.resolve("www.example.com")
    internet.resolve("example.com", "NS")
    internet.resolve("ns1.example.com")
    internet.servers["127.0.1.2"] = authoritative(
        zone("com.", "@ NS a.gtld.test.\nexample NS ns.example\nns.example A 127.0.1.23\n")
    )
    internet.now += 301
    assert texts(internet.resolve("www.example.com").answers) == ["www.example.com. A 192.0.2.23"]


def test_an_unrequested_ns_set_changes_no_delegation() -> None:
    """CVE-2025-11411: one spoofed response to a random name takes over the zone."""
    forged = saying_all("r1.example.com. A 192.0.2.9", "example.com. NS ns.evil.com.\n", "ns.evil.com. A 127.0.1.66")
    internet = world()
    internet.resolve("www.example.com")
    internet.servers |= {"127.0.1.3": forged, "127.0.1.4": forged}
    internet.resolve("r1.example.com")
    internet.servers |= {"127.0.1.3": EXAMPLE, "127.0.1.4": EXAMPLE}
    for number in range(4):
        internet.resolve(f"n{number}.example.com")
        assert internet.asked_of("127.0.1.66") == 0


def test_glue_is_the_last_resort_where_the_zones_own_address_is_wrong() -> None:
    wrong = zone("example.com.", "@ NS ns1\n@ NS ns2\nns1 A 127.0.1.77\nns2 A 127.0.1.78\nwww A 192.0.2.1\n")
    internet = world(s3=authoritative(wrong), s4=authoritative(wrong))
    internet.resolve("ns1.example.com")
    internet.resolve("ns2.example.com")
    assert texts(internet.resolve("www.example.com").answers) == GOOD[:1]
    assert {"77", "78"} >= set(internet.path[:2])
    assert internet.path[-1] in "34"


def test_glue_of_the_hosts_own_zone_is_the_last_resort() -> None:
    """provided.com is served by ns.provider.net, whose own zone has another address for it than net has."""
    wrong = zone("provider.net.", "@ NS ns\nns A 127.0.1.77\n")
    right = zone("provided.com.", "@ NS ns.provider.net.\nwww A 192.0.2.61\n")
    internet = world(s6=authoritative(wrong, right))
    assert texts(internet.resolve("www.provided.com").answers) == ["www.provided.com. A 192.0.2.61"]
    assert internet.path[-2:] == ["77", "6"]


def test_a_host_of_which_only_old_glue_is_known_is_resolved_as_the_last_resort() -> None:
    """RFC 2181 section 5.4.1: the answer about the host is better than glue. As in BIND and Unbound."""
    com = zone("com.", "@ NS a.gtld.test.\nprovided NS host\nhost A 127.0.1.6\n")

    def delegates(query: Message, ask: UpstreamQuery) -> Message | None:
        reply, old = authoritative(com)(query, ask), rdata_from_text(RRType.A, "127.0.1.77")
        return reply and replace(reply, additional=tuple(replace(one, rdata=old) for one in reply.additional))

    refused = saying("example.com. A 192.0.2.66", rcode=Rcode.REFUSED)
    internet = world(s2=delegates, s77=refused)
    assert texts(internet.resolve("www.provided.com").answers) == ["www.provided.com. A 192.0.2.61"]
    assert internet.path == ["1", "2", "77", "2", "6"]
    # A server that did not respond yet gets its retries first.
    internet = world(s2=delegates, s77=silent)
    assert texts(internet.resolve("www.provided.com").answers) == ["www.provided.com. A 192.0.2.61"]
    assert internet.path == ["1", "2", "77", "77", "77", "2", "6"]


# Forged data about all names below.


def test_a_forged_dname_at_the_apex_is_about_the_queried_name_only() -> None:
    forged = saying("example.com. 86400 DNAME evil.net.\nr1.example.com. CNAME r1.evil.net.")
    internet = world(s3=for_name("r1.example.com", forged, EXAMPLE), s4=for_name("r1.example.com", forged, EXAMPLE))
    internet.resolve("r1.example.com")
    for qname in ("www.example.com", "mail.example.com"):
        assert "DNAME" not in str(texts(internet.resolve(qname).answers))
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert internet.resolve("example.com", "DNAME").answers == ()


def test_a_forged_nxdomain_is_about_the_queried_name_only() -> None:
    denied = saying(SOA, "authority", rcode=Rcode.NXDOMAIN)
    server = for_name("down.below.example.com", denied, EXAMPLE)
    internet = world(s3=server, s4=server)
    assert internet.resolve("down.below.example.com").rcode == Rcode.NXDOMAIN
    assert internet.resolve("deep.down.below.example.com").rcode == Rcode.NOERROR


# IPv6.

V6_COM = zone(
    "com.",
    """
@ NS a.gtld.test.
six NS ns.six
ns.six AAAA 2001:db8::6
dual NS ns.dual
ns.dual A 127.0.1.20
ns.dual AAAA 2001:db8::20
glueless NS ns6.provider.net.
""",
)


def six_world(ipv6: bool = True) -> World:
    """Return an Internet where six.com has IPv6 only, dual.com both, and glueless.com an IPv6 server without glue."""
    dual = authoritative(zone("dual.com.", "@ NS ns\nns A 127.0.1.20\nns AAAA 2001:db8::20\n*.w A 192.0.2.20\n"))
    provider = zone("provider.net.", "@ NS ns\nns A 127.0.1.6\nns6 AAAA 2001:db8::7\n")
    servers = world(s2=COM, s6=authoritative(provider), s20=dual).servers
    net = authoritative(zone("net.", "@ NS a.gtld.test.\nprovider NS ns.provider\nns.provider A 127.0.1.6\n"))
    com = authoritative(V6_COM)

    def tld(query: Message, ask: UpstreamQuery) -> Message | None:
        return (net if query.questions[0].name.is_below(name("net")) else com)(query, ask)

    servers |= {
        "127.0.1.2": tld,
        "2001:db8::6": authoritative(zone("six.com.", "@ NS ns\nns AAAA 2001:db8::6\nwww A 192.0.2.6\n")),
        "2001:db8::7": authoritative(zone("glueless.com.", "@ NS ns6.provider.net.\nwww A 192.0.2.7\n")),
        "2001:db8::20": dual,
    }
    return World(servers, ipv6=ipv6)


@pytest.mark.parametrize("domain", ["six", "glueless"])
def test_servers_with_ipv6_only(domain: str) -> None:
    result = six_world().resolve(f"www.{domain}.com")
    assert (result.rcode, len(result.answers)) == (Rcode.NOERROR, 1)
    without = six_world(ipv6=False)
    assert without.resolve(f"www.{domain}.com").rcode == Rcode.SERVFAIL
    assert not any(":" in ask.address for ask in without.asked)


@pytest.mark.parametrize("slow", ["127.0.1.20", "2001:db8::20"])
def test_of_two_ip_versions_the_faster_is_preferred(slow: str) -> None:
    internet = six_world()
    internet.rtts = {slow: 0.3}
    for number in range(3):
        internet.resolve(f"n{number}.w.dual.com")
    for number in range(5):
        internet.resolve(f"m{number}.w.dual.com")
        assert slow not in [ask.address for ask in internet.asked]


# Do-not-query addresses.

BAD = [
    "127.0.0.1",
    "0.0.0.0",
    "169.254.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:192.0.2.1",
]


@pytest.mark.parametrize("glue", [True, False])
@pytest.mark.parametrize("bad", BAD)
def test_special_addresses_that_zones_name_are_not_queried(bad: str, glue: bool) -> None:
    rtype = "AAAA" if ":" in bad else "A"
    referral = "evil.com. NS ns.evil.com." if glue else "evil.com. NS ns6.provider.net."
    com = saying_all(authority=referral, additional=f"ns.evil.com. {rtype} {bad}" if glue else "", aa=False)
    provider = authoritative(zone("provider.net.", f"@ NS ns\nns A 192.0.2.6\nns6 {rtype} {bad}\n"))
    net = authoritative(zone("net.", "@ NS a.gtld.test.\nprovider NS ns.provider\nns.provider A 192.0.2.6\n"))

    def tld(query: Message, ask: UpstreamQuery) -> Message | None:
        return (net if query.questions[0].name.is_below(name("net")) else com)(query, ask)

    text = "@ NS a.root.test.\ncom NS a.gtld.test.\nnet NS a.gtld.test.\na.gtld.test. A 192.0.2.2\n"
    internet = World(
        {"192.0.2.1": authoritative(zone(".", text)), "192.0.2.2": tld, "192.0.2.6": provider},
        roots=replace(ROOTS, glue={name("a.root.test"): ("192.0.2.1",)}),
    )
    assert internet.resolve("www.evil.com").rcode == Rcode.SERVFAIL
    assert {ask.address for ask in internet.asked} <= {"192.0.2.1", "192.0.2.2", "192.0.2.6"}


ROOTS = World({}).roots


def test_the_whole_loopback_network_is_queried_where_the_root_is_on_it() -> None:
    internet = world()
    assert internet.context.roots.glue[name("a.root.test")] == (ROOT_ADDRESS,)
    assert texts(internet.resolve("www.example.com").answers) == GOOD
