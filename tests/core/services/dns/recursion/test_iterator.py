"""Iterator: the servers queried, their order, and the results."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import Message, Question
from lab7.services.dns.codec.name import ROOT
from lab7.services.dns.recursion import iterator
from lab7.services.dns.recursion.cache import Service
from lab7.services.dns.recursion.iterator import from_cache
from lab7.services.dns.recursion.query import UpstreamQuery
from lab7.services.dns.recursion.root_hints import root_delegation
from tests.core.services.dns.recursion.simulated_internet import (
    Behaviour,
    World,
    authoritative,
    failing,
    forwarding,
    name,
    refusing,
    saying,
    silent,
    texts,
    world,
    zone,
)


def test_from_the_root_down_and_then_from_the_cache() -> None:
    internet = world()
    result = internet.resolve("www.example.com")
    assert (result.rcode, texts(result.answers)) == (
        Rcode.NOERROR,
        ["www.example.com. A 192.0.2.1", "www.example.com. A 192.0.2.2"],
    )
    assert internet.path[:2] == ["1", "2"]
    assert internet.path[2] in "34"
    assert [str(ask.zone) for ask in internet.asked] == [".", "com.", "example.com."]
    assert not any(ask.recursion_desired for ask in internet.asked)
    assert internet.resolve("www.example.com").queries == 0


def test_a_second_name_begins_at_the_nearest_delegation() -> None:
    internet = world()
    internet.resolve("www.example.com")
    assert internet.resolve("mail.example.com").queries == 1
    assert internet.resolve("www.provided.com").queries > 1
    assert "1" in internet.path
    # net's delegation is the only one that was missing.
    assert internet.path[0] == "2"


def test_the_ttl_counts_down_and_then_the_network_is_asked_again() -> None:
    internet = world()
    internet.resolve("www.example.com")
    begun = internet.now
    internet.now = begun + 100.5
    assert [rrset.ttl for rrset in internet.resolve("www.example.com").answers] == [199]
    internet.now = begun + 300
    assert internet.resolve("www.example.com").queries == 3


def test_a_ttl_of_zero_is_used_once() -> None:
    internet = world()
    assert internet.resolve("once.example.com").queries == 3
    again = internet.resolve("once.example.com")
    assert (again.queries, again.answers[0].ttl) == (1, 0)


def test_without_a_cache_every_question_goes_all_the_way() -> None:
    internet = World(world().servers, entries_max=0)
    assert [internet.resolve("www.example.com").queries for _ in range(3)] == [3, 3, 3]


@pytest.mark.parametrize("entries_max", [1000, 0])
def test_the_target_of_an_alias_within_the_zone_is_asked_for_there(entries_max: int) -> None:
    internet = World(world().servers, entries_max=entries_max)
    result = internet.resolve("alias.example.com")
    assert texts(result.answers)[0] == "alias.example.com. CNAME www.example.com."
    # One more query, and not from the root again, even without a cache.
    assert (len(result.answers), result.queries) == (2, 4)
    assert (str(internet.asked[-1].question.name), str(internet.asked[-1].zone)) == ("www.example.com.", "example.com.")


def test_each_link_of_a_chain_is_remembered_for_itself() -> None:
    internet = world()
    internet.resolve("alias.example.com")
    assert internet.resolve("www.example.com").queries == 0
    assert internet.resolve("alias.example.com").queries == 0
    assert internet.resolve("alias.example.com", "CNAME").queries == 0


def test_an_alias_into_another_zone_is_followed_there() -> None:
    internet = world()
    result = internet.resolve("away.example.com")
    assert texts(result.answers) == [
        "away.example.com. CNAME host.provider.net.",
        "host.provider.net. A 192.0.2.60",
    ]
    assert internet.path[0:2] == ["1", "2"]
    assert internet.path[3:] == ["1", "2", "6"]


def test_an_alias_to_nothing_is_nxdomain_with_the_alias() -> None:
    internet = world()
    for queries in (4, 0):
        result = internet.resolve("gone.example.com")
        assert (result.rcode, result.queries) == (Rcode.NXDOMAIN, queries)
        assert texts(result.answers) == ["gone.example.com. CNAME nothing.example.com."]
        assert [rrset.rtype for rrset in result.authority] == [RRType.SOA]


def test_aliases_in_a_circle_fail() -> None:
    internet = world()
    result = internet.resolve("loop1.example.com")
    assert (result.rcode, result.answers) == (Rcode.SERVFAIL, ())
    assert result.queries <= 4


def test_aliases_without_end_fail() -> None:
    endless = zone("example.com.", "@ NS ns1\n" + "".join(f"c{n} CNAME c{n + 1}\n" for n in range(60)))
    internet = world(s3=authoritative(endless), s4=authoritative(endless))
    result = internet.resolve("c0.example.com")
    assert result.rcode == Rcode.SERVFAIL
    assert result.queries <= 3 + iterator.ALIASES_MAX


def test_a_dname_is_cached_for_the_name_that_was_queried() -> None:
    internet = world()
    result = internet.resolve("a.old.example.com")
    assert texts(result.answers) == [
        "old.example.com. DNAME new.example.com.",
        "a.old.example.com. CNAME a.new.example.com.",
        "a.new.example.com. A 192.0.2.9",
    ]
    again = internet.resolve("a.old.example.com")
    assert (texts(again.answers), again.queries) == (texts(result.answers), 0)
    alias = internet.resolve("a.old.example.com", "CNAME")
    assert (texts(alias.answers), alias.queries) == (texts(result.answers)[:2], 0)
    other = internet.resolve("b.old.example.com")
    # Its own query, and that for the new name.
    assert (other.rcode, other.queries) == (Rcode.NXDOMAIN, 2)


def test_a_dname_into_another_zone() -> None:
    internet = world()
    result = internet.resolve("host.far.example.com")
    assert (result.rcode, texts(result.answers)[-1]) == (Rcode.NOERROR, "host.provider.net. A 192.0.2.60")


def test_a_dname_that_makes_a_name_too_long() -> None:
    long = ".".join(["x" * 60] * 3)
    longer = zone("example.com.", f"@ NS ns1\nold DNAME {long}.new\n")
    internet = world(s3=authoritative(longer), s4=authoritative(longer))
    result = internet.resolve(f"{'y' * 60}.old.example.com")
    assert (result.rcode, texts(result.answers)) == (
        Rcode.YXDOMAIN,
        [f"old.example.com. DNAME {long}.new.example.com."],
    )


def test_a_forged_cname_beside_a_dname_is_made_anew() -> None:
    lying = saying("old.example.com. DNAME new.example.com.\na.old.example.com. CNAME evil.example.com.")
    internet = world(s3=lying, s4=lying)
    internet.resolve("a.old.example.com")
    assert internet.context.cache.get(name("a.old.example.com"), RRType.CNAME, internet.now) is None


def test_negative_answers_live_as_long_as_the_soas_minimum() -> None:
    internet = world()
    for qname, rtype, rcode in (
        ("nope.example.com", "A", Rcode.NXDOMAIN),
        ("www.example.com", "MX", Rcode.NOERROR),
    ):
        first = internet.resolve(qname, rtype)
        assert (first.rcode, first.answers, first.authority[0].ttl) == (rcode, (), 60)
        begun = internet.now
        internet.now += 10
        again = internet.resolve(qname, rtype)
        assert (again.rcode, again.queries, again.authority[0].ttl) == (rcode, 0, 50)
        internet.now = begun + 60
        assert internet.resolve(qname, rtype).queries > 0


def test_nxdomain_covers_all_types_of_the_name() -> None:
    internet = world()
    internet.resolve("nope.example.com")
    assert (internet.resolve("nope.example.com", "MX").rcode, len(internet.asked)) == (Rcode.NXDOMAIN, 0)


def test_nxdomain_of_an_empty_non_terminal_hides_no_name_below() -> None:
    """RFC 8020 section 2 lets it cover all names below; without DNSSEC, resolvers query for those."""
    whole = world().servers["127.0.1.3"]

    def denying(query: Message, ask: UpstreamQuery) -> Message | None:
        if query.questions[0].name == name("below.example.com"):
            return saying("example.com. SOA a. b. 1 1 1 1 60", "authority", rcode=Rcode.NXDOMAIN)(query, ask)
        return whole(query, ask)

    internet = world(s3=denying, s4=denying)
    assert internet.resolve("below.example.com").rcode == Rcode.NXDOMAIN
    assert texts(internet.resolve("deep.down.below.example.com").answers) == [
        "deep.down.below.example.com. A 192.0.2.5"
    ]


def test_an_empty_non_terminal_is_no_nxdomain() -> None:
    internet = world()
    middle = internet.resolve("down.below.example.com")
    assert (middle.rcode, middle.answers) == (Rcode.NOERROR, ())
    assert texts(internet.resolve("deep.down.below.example.com").answers) == [
        "deep.down.below.example.com. A 192.0.2.5"
    ]


def test_a_negative_answer_without_an_soa_is_not_remembered() -> None:
    bare = saying("", rcode=Rcode.NXDOMAIN)
    internet = world(s3=bare, s4=bare)
    assert internet.resolve("nope.example.com").rcode == Rcode.NXDOMAIN
    assert internet.resolve("nope.example.com").queries == 1


def test_any_brings_every_set_and_is_asked_for_each_time() -> None:
    internet = world()
    for _ in range(2):
        result = internet.resolve("example.com", "ANY")
        assert {rrset.rtype for rrset in result.answers} == {RRType.SOA, RRType.NS, RRType.MX}
        assert result.queries > 0


def test_ds_is_asked_of_the_parent() -> None:
    internet = world()
    internet.resolve("www.example.com")
    result = internet.resolve("example.com", "DS")
    assert (internet.path, result.rcode, result.authority[0].name) == (["2"], Rcode.NOERROR, name("com"))


def test_a_host_without_glue_is_looked_up() -> None:
    internet = world()
    result = internet.resolve("www.provided.com")
    assert texts(result.answers) == ["www.provided.com. A 192.0.2.61"]
    # root, com; then for ns.provider.net: root, net, provider.net; then that server.
    assert internet.path == ["1", "2", "1", "2", "6", "6"]
    assert [str(ask.question.name) for ask in internet.asked[2:5]] == ["ns.provider.net."] * 3


def test_a_forwarder_is_asked_for_everything() -> None:
    answer = saying("www.example.com. CNAME web.other.net.\nweb.other.net. A 192.0.2.1", aa=False)
    internet = World({"127.0.1.9": answer}, roots=forwarding("127.0.1.9"))
    result = internet.resolve("www.example.com")
    assert (len(result.answers), internet.path) == (2, ["9"])
    assert internet.asked[0].recursion_desired
    # The rest of the chain was the answer to that question, and is not cached.
    assert internet.resolve("web.other.net").queries == 1


def test_a_forwarders_referral_is_not_followed() -> None:
    internet = World({"127.0.1.9": world().servers["127.0.1.1"], **world().servers}, roots=forwarding("127.0.1.9"))
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL
    assert set(internet.path) == {"9"}


def test_a_forwarders_negative_answer_counts_without_aa() -> None:
    negative = saying("com. SOA a. b. 1 1 1 1 60", "authority", aa=False, rcode=Rcode.NXDOMAIN)
    internet = World({"127.0.1.9": negative}, roots=forwarding("127.0.1.9"))
    assert [internet.resolve("nope.com").queries for _ in range(2)] == [1, 0]


def test_from_a_given_start_an_alias_that_leads_out_is_left_to_the_asker() -> None:
    internet = world()
    start = replace(root_delegation({name("ns1.example.com"): ("127.0.1.3",)}), zone=name("example.com"))
    result = internet.resolve("away.example.com", start=replace(start, service=Service.RECURSIVE))
    assert texts(result.answers) == ["away.example.com. CNAME host.provider.net."]
    assert [ask.recursion_desired for ask in internet.asked] == [True]


def test_the_cache_alone_answers_or_refers() -> None:
    internet = world()
    question = Question(name("www.example.com"), RRType.A)
    assert [rrset.name for rrset in from_cache(internet.context, question, internet.now).authority] == [ROOT]
    internet.resolve("mail.example.com")
    referral = from_cache(internet.context, question, internet.now)
    assert (referral.answers, [rrset.name for rrset in referral.authority]) == ((), [name("example.com")])
    internet.resolve("alias.example.com")
    assert len(from_cache(internet.context, Question(name("alias.example.com"), RRType.A), internet.now).answers) == 2


def test_names_are_remembered_as_they_were_asked_for_and_not_in_random_case() -> None:
    internet = world()
    result = internet.resolve("example.com", "MX")
    assert texts(result.answers) == ["example.com. MX 10 mail.example.com."]
    assert any(ask.spelling.labels != ask.question.name.labels for ask in internet.asked)


@pytest.mark.parametrize("seed", range(5))
def test_minimised_each_zone_sees_no_more_than_it_must(seed: int) -> None:
    internet = World(world().servers, minimise=True, seed=seed)
    result = internet.resolve("deep.down.below.example.com")
    assert texts(result.answers) == ["deep.down.below.example.com. A 192.0.2.5"]
    seen = [(str(ask.zone), str(ask.question.name)) for ask in internet.asked]
    assert seen == [
        (".", "com."),
        ("com.", "example.com."),
        ("example.com.", "below.example.com."),
        ("example.com.", "down.below.example.com."),
        ("example.com.", "deep.down.below.example.com."),
    ]


def test_minimised_a_server_that_denies_an_empty_non_terminal_hides_nothing() -> None:
    whole = world().servers["127.0.1.3"]

    def denying(query: Message, ask: UpstreamQuery) -> Message | None:
        if query.questions[0].name == name("below.example.com"):
            return saying("example.com. SOA a. b. 1 1 1 1 60", "authority", rcode=Rcode.NXDOMAIN)(query, ask)
        return whole(query, ask)

    internet = World(world(s3=denying, s4=denying).servers, minimise=True)
    assert texts(internet.resolve("deep.down.below.example.com").answers) == [
        "deep.down.below.example.com. A 192.0.2.5"
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("broken", [refusing, failing, silent, saying("", aa=False), saying("", rcode=Rcode.FORMERR)])
def test_minimised_a_server_that_fails_for_an_empty_non_terminal_hides_nothing(broken: Behaviour, seed: int) -> None:
    """RFC 9156 section 2.3."""
    whole = world().servers["127.0.1.3"]

    def picky(query: Message, ask: UpstreamQuery) -> Message | None:
        return (broken if query.questions[0].name == name("below.example.com") else whole)(query, ask)

    internet = World(world(s3=picky, s4=picky).servers, minimise=True, seed=seed)
    assert texts(internet.resolve("deep.down.below.example.com").answers) == [
        "deep.down.below.example.com. A 192.0.2.5"
    ]
    assert not internet.context.infra_cache.is_lame("127.0.1.3", name("example.com"), internet.now)


def test_minimised_an_alias_at_a_name_above_is_no_answer() -> None:
    aliased = zone("example.com.", "@ NS ns1\nbelow CNAME www\nwww A 192.0.2.1\nd.below A 192.0.2.5\nold DNAME new\n")
    internet = World(world(s3=authoritative(aliased), s4=authoritative(aliased)).servers, minimise=True)
    assert texts(internet.resolve("d.below.example.com").answers) == ["d.below.example.com. A 192.0.2.5"]
    result = internet.resolve("a.b.old.example.com")
    assert texts(result.answers) == [
        "old.example.com. DNAME new.example.com.",
        "a.b.old.example.com. CNAME a.b.new.example.com.",
    ]
    assert result.rcode == Rcode.NXDOMAIN


def test_minimised_a_wildcard_and_ds_are_found() -> None:
    wild = zone("example.com.", "@ NS ns1\n*.w A 192.0.2.7\n")
    internet = World(world(s3=authoritative(wild), s4=authoritative(wild)).servers, minimise=True)
    assert texts(internet.resolve("a.b.c.w.example.com").answers) == ["a.b.c.w.example.com. A 192.0.2.7"]
    assert internet.resolve("example.com", "DS").rcode == Rcode.NOERROR
    assert internet.path == ["2"]


def test_minimised_a_name_of_many_labels_costs_a_bounded_number_of_queries() -> None:
    labels = ".".join("abcdefghijklmnopqrstuvwxyz")
    many = zone("example.com.", f"@ NS ns1\n{labels} A 192.0.2.3\n")
    internet = World(world(s3=authoritative(many), s4=authoritative(many)).servers, minimise=True)
    assert internet.resolve(f"{labels}.example.com").rcode == Rcode.NOERROR
    assert len(internet.asked) <= 11


def test_an_address_that_was_asked_for_replaces_glue() -> None:
    moved = zone("example.com.", "@ NS ns1\n@ NS ns2\nns1 A 127.0.1.14\nns2 A 127.0.1.14\nwww A 192.0.2.14\n")
    internet = world(s3=authoritative(moved), s4=authoritative(moved), s14=authoritative(moved))
    for host in ("ns1", "ns2"):
        internet.resolve(f"{host}.example.com")
    internet.resolve("www.example.com")
    assert internet.path == ["14"]
