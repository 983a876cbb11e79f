"""Dead, slow, lame and malicious servers: the results of the iterator, and the number of queries."""

from __future__ import annotations

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import Message
from lab7.services.dns.recursion import iterator, query
from lab7.services.dns.recursion.cache import Failure
from lab7.services.dns.recursion.query import UpstreamQuery
from lab7.services.dns.recursion.root_hints import root_delegation
from tests.core.services.dns.recursion.simulated_internet import (
    COM_ZONE,
    EXAMPLE_ZONE,
    ROOT_ADDRESS,
    Behaviour,
    World,
    authoritative,
    failing,
    name,
    nobody,
    refusing,
    saying,
    saying_all,
    silent,
    texts,
    world,
    zone,
)

GOOD = ["www.example.com. A 192.0.2.1", "www.example.com. A 192.0.2.2"]
EXAMPLE = authoritative(EXAMPLE_ZONE)


def upward(query: Message, _: UpstreamQuery) -> Message | None:
    """Refer to the root, as old lame servers did."""
    return saying("@ NS a.root.test.", "authority", aa=False)(query, _)


USELESS = {
    "silent": silent,
    "nobody": nobody,
    "refusing": refusing,
    "failing": failing,
    "referral upward": upward,
    "referral sideways": saying("other.com. NS ns.other.com.", "authority", aa=False),
    "referral to itself": saying("example.com. NS ns1.example.com.", "authority", aa=False),
    "an answer to another question": saying("mail.example.com. A 192.0.2.8"),
    "an answer of another class": saying("www.example.com. CH A \\# 4 c0000208"),
    "referral upward, with AA": saying("@ NS a.root.test.", "authority"),
    "referral to the parent, with AA": saying("com. NS a.gtld.test.", "authority"),
    "no data, of the zone above": saying("com. SOA a. b. 1 1 1 1 60", "authority"),
    "yxdomain, without a DNAME": saying("", rcode=Rcode.YXDOMAIN),
    "not authoritative for the zone": saying("", rcode=Rcode.NOTAUTH),
}


@pytest.mark.parametrize("behaviour", USELESS.values(), ids=USELESS.keys())
def test_the_next_server_is_asked(behaviour: Behaviour) -> None:
    for seed in range(4):
        internet = World(world(s3=behaviour).servers, seed=seed)
        assert texts(internet.resolve("www.example.com").answers) == GOOD
        assert internet.asked_of("127.0.1.3") <= 1
        assert internet.asked_of("127.0.1.4") == 1


@pytest.mark.parametrize("behaviour", USELESS.values(), ids=USELESS.keys())
def test_with_no_other_server_it_fails_in_bounded_work(behaviour: Behaviour) -> None:
    internet = world(s3=behaviour, s4=behaviour)
    result = internet.resolve("www.example.com")
    assert (result.rcode, result.answers) == (Rcode.SERVFAIL, ())
    assert result.detail
    # At most three queries for the same question to one server.
    assert internet.asked_of("127.0.1.3") <= iterator.QUERIES_PER_SERVER_MAX


def test_a_failure_is_remembered_and_for_longer_each_time() -> None:
    internet = world(s3=refusing, s4=refusing)
    kept_s = []
    for _ in range(12):
        assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL
        assert internet.resolve("www.example.com").queries == 0
        failure = internet.context.cache.get(name("www.example.com"), RRType.A, internet.now)
        assert isinstance(failure, Failure)
        kept_s.append(failure.ttl_s)
        internet.now += failure.ttl_s
    assert kept_s[:4] == [1, 2, 4, 8]
    # RFC 9520 section 3.2
    assert min(kept_s) >= 1
    assert max(kept_s) == 300


def test_a_server_that_comes_back_is_found() -> None:
    internet = world(s3=silent, s4=silent)
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL
    internet.servers["127.0.1.3"] = EXAMPLE
    internet.now += 2
    assert texts(internet.resolve("www.example.com").answers) == GOOD


def test_a_dead_server_is_asked_last_and_waited_for_longer_each_time() -> None:
    internet = world(s3=silent, s4=silent)
    internet.resolve("www.example.com")
    waits = [ask.timeout_s for ask in internet.asked if ask.address == "127.0.1.3"]
    assert waits == sorted(set(waits))
    internet.servers["127.0.1.4"] = EXAMPLE
    internet.now += 400
    for number in range(5):
        internet.resolve(f"n{number}.example.com")
        assert internet.asked_of("127.0.1.4") == 1
    # Once the good server is known, the dead one is not queried.
    assert internet.asked_of("127.0.1.3") == 0


def test_the_faster_server_is_preferred_after_each_had_its_turn() -> None:
    internet = World(world().servers, rtts={"127.0.1.3": 0.3})
    for number in range(3):
        internet.resolve(f"n{number}.example.com")
    counts = {"127.0.1.3": 0, "127.0.1.4": 0}
    for number in range(10):
        internet.resolve(f"m{number}.example.com")
        for address in counts:
            counts[address] += internet.asked_of(address)
    assert counts == {"127.0.1.3": 0, "127.0.1.4": 10}


def test_a_slow_server_is_waited_for_at_the_second_try() -> None:
    internet = World(world().servers, rtts={"127.0.1.3": 1.2, "127.0.1.4": 1.2})
    assert texts(internet.resolve("www.example.com").answers) == GOOD


def test_a_lame_server_is_remembered_as_that() -> None:
    internet = world(s3=refusing)
    for number in range(20):
        internet.resolve(f"n{number}.example.com")
    assert internet.context.infra_cache.is_lame("127.0.1.3", name("example.com"), internet.now)
    assert not internet.context.infra_cache.is_lame("127.0.1.3", name("other.com"), internet.now)
    internet.resolve("last.example.com")
    assert internet.asked_of("127.0.1.3") == 0


# Circles and floods.


def test_zones_that_need_each_other_to_be_found_fail() -> None:
    com = zone("com.", "@ NS a.gtld.test.\na NS ns.b\nb NS ns.a\n")
    internet = world(s2=authoritative(com))
    result = internet.resolve("www.a.com")
    assert result.rcode == Rcode.SERVFAIL
    assert result.queries <= 6
    # A circular dependency of one question does not fail another.
    for host in ("ns.a.com", "ns.b.com"):
        assert internet.context.cache.get(name(host), RRType.A, internet.now) is None


def test_a_host_with_dead_servers_is_a_cached_failure() -> None:
    internet = world(s6=silent)
    assert internet.resolve("www.provided.com").rcode == Rcode.SERVFAIL
    assert isinstance(internet.context.cache.get(name("ns.provider.net"), RRType.A, internet.now), Failure)
    internet.resolve("other.provided.com")
    assert internet.asked_of("127.0.1.6") == 0


def test_a_zone_that_needs_itself_to_be_found_fails() -> None:
    com = zone("com.", "@ NS a.gtld.test.\na NS ns.a\n")
    internet = world(s2=authoritative(com))
    assert internet.resolve("www.a.com").rcode == Rcode.SERVFAIL
    # RFC 1034 section 5.3.3: after the referral, the parent's server is queried for the missing glue.
    assert internet.path == ["1", "2", "2"]
    assert str(internet.asked[-1].question.name) == "ns.a.com."


def test_the_host_of_a_zone_is_no_alias() -> None:
    # RFC 2181 section 10.3
    com = zone("com.", "@ NS a.gtld.test.\na NS alias.example.com.\nexample NS ns1.example\nns1.example A 127.0.1.3\n")
    internet = world(s2=authoritative(com))
    assert internet.resolve("www.a.com").rcode == Rcode.SERVFAIL


def test_referrals_without_end_fail() -> None:
    def deeper(query: Message, ask: UpstreamQuery) -> Message | None:
        cut = query.questions[0].name.suffix(min(len(ask.zone) + 1, len(query.questions[0].name)))
        return saying_all(authority=f"{cut} NS ns.{cut}", additional=f"ns.{cut} A 127.0.1.30", aa=False)(query, ask)

    internet = World({ROOT_ADDRESS: deeper, "127.0.1.30": deeper})
    result = internet.resolve(".".join("a" * 110))
    assert (result.rcode, result.queries) == (Rcode.SERVFAIL, query.QUERIES_MAX)


def test_an_attack_by_many_hosts_without_glue_is_bounded() -> None:
    """NXNSAttack, CVE-2020-12662: a referral to as many hosts of a victim as fit the message."""
    hosts = "".join(f"attack.com. NS host{number}.example.com.\n" for number in range(200))
    authority = authoritative(COM_ZONE)

    def attacker(query: Message, ask: UpstreamQuery) -> Message | None:
        if query.questions[0].name.is_below(name("attack.com")):
            return saying(hosts, "authority", aa=False)(query, ask)
        return authority(query, ask)

    internet = world(s2=attacker)
    result = internet.resolve("www.attack.com")
    assert result.rcode == Rcode.SERVFAIL
    victim = internet.asked_of("127.0.1.3") + internet.asked_of("127.0.1.4")
    assert 1 <= victim <= iterator.HOSTS_PER_DELEGATION_MAX


def test_an_attack_in_generations_is_bounded() -> None:
    """Each host without glue leads to a zone with more of them."""

    def attacker(query: Message, ask: UpstreamQuery) -> Message | None:
        qname = query.questions[0].name
        cut = qname.suffix(2) if len(qname) > 2 else qname
        prefix = cut.labels[0].decode()
        hosts = "".join(f"{cut} NS ns.{prefix}{number}.com.\n" for number in range(16))
        return saying(hosts, "authority", aa=False)(query, ask)

    internet = world(s2=attacker)
    result = internet.resolve("www.x.com")
    assert result.rcode == Rcode.SERVFAIL
    assert result.queries <= 2 * query.HOST_LOOKUPS_MAX + 4


def test_the_time_for_a_question_is_bounded() -> None:
    addresses = tuple(f"127.0.2.{number}" for number in range(8))
    roots = root_delegation({name(f"r{number}.test"): (address,) for number, address in enumerate(addresses)})
    internet = World({}, roots=roots)
    begun = internet.now
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL
    assert internet.now - begun == pytest.approx(query.SECONDS_MAX)


def test_with_no_server_at_all_it_fails_at_once() -> None:
    internet = World({}, roots=root_delegation({}))
    assert (internet.resolve("www.example.com").rcode, internet.asked) == (Rcode.SERVFAIL, [])
