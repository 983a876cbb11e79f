"""Spoofed and false responses, and servers that deviate from the RFCs: the data that the iterator accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Question, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Cache, InfraCache
from lab7.services.dns.recursion.query import MISMATCH_GRACE_S, UpstreamQuery
from tests.core.services.dns.recursion.simulated_internet import (
    EXAMPLE_ZONE,
    ROOT_ZONE,
    RTT_S,
    Behaviour,
    World,
    authoritative,
    forwarding,
    name,
    saying,
    saying_all,
    texts,
    world,
    zone,
)

GOOD = ["www.example.com. A 192.0.2.1", "www.example.com. A 192.0.2.2"]
EXAMPLE = authoritative(EXAMPLE_ZONE)


# False responses.


def test_out_of_bailiwick_records_are_ignored_in_all_sections() -> None:
    evil = "www.victim.net. A 203.0.113.1\nvictim.net. NS ns.evil.com.\nns.evil.com. A 203.0.113.2\n"
    soa = "victim.net. SOA a. b. 1 1 1 1 86400\n"
    lying = saying_all("www.example.com. A 192.0.2.1\n" + evil, evil + soa, evil)
    internet = world(s3=lying, s4=lying)
    assert texts(internet.resolve("www.example.com").answers) == GOOD[:1]
    cache, now = internet.context.cache, internet.now
    for text, rtype in (("www.victim.net", RRType.A), ("ns.evil.com", RRType.A), ("victim.net", RRType.NS)):
        assert cache.get(name(text), rtype, now) is None
    assert {str(found.zone) for found, _ in cache.delegations(name("www.victim.net"), now)} == set()


def test_an_alias_does_not_carry_foreign_data_in() -> None:
    lying = saying("www.example.com. CNAME host.provider.net.\nhost.provider.net. A 203.0.113.1")
    internet = world(s3=lying, s4=lying)
    assert texts(internet.resolve("www.example.com").answers)[-1] == "host.provider.net. A 192.0.2.60"


def test_glue_for_other_names_leads_nowhere() -> None:
    lying = saying_all(
        authority="example.com. NS ns.provider.net.",
        # The server of provider.net is out of com's bailiwick.
        additional="ns.provider.net. A 203.0.113.1\nwww.example.com. A 203.0.113.2\na.gtld.test. A 203.0.113.3",
        aa=False,
    )
    internet = world(s2=lying)
    internet.servers["127.0.1.1"] = authoritative(ROOT_ZONE)
    internet.resolve("www.example.com")
    assert not any(ask.address.startswith("203.") for ask in internet.asked)


def test_glue_is_no_answer() -> None:
    internet = world()
    internet.resolve("www.example.com")
    result = internet.resolve("ns1.example.com")
    assert (result.queries, texts(result.answers)) == (1, ["ns1.example.com. A 127.0.1.3"])


def test_a_referral_does_not_replace_an_answer() -> None:
    internet = world()
    internet.resolve("ns1.example.com")
    before = internet.context.cache.get(name("ns1.example.com"), RRType.A, internet.now)
    assert isinstance(before, RRset)
    lying = saying_all(
        authority="below.example.com. NS ns1.example.com.", additional="ns1.example.com. A 203.0.113.1", aa=False
    )
    internet.servers |= {"127.0.1.3": lying, "127.0.1.4": lying}
    internet.resolve("www.below.example.com")
    after = internet.context.cache.get(name("ns1.example.com"), RRType.A, internet.now)
    assert isinstance(after, RRset)
    assert after.rdatas == before.rdatas


def test_answers_without_aa_do_not_replace_those_with_aa() -> None:
    internet = world()
    internet.resolve("www.example.com")
    liar = saying("any.example.com. CNAME www.example.com.\nwww.example.com. A 203.0.113.1", aa=False)
    internet.servers |= {"127.0.1.3": liar, "127.0.1.4": liar}
    internet.resolve("any.example.com")
    assert texts(internet.resolve("www.example.com").answers) == GOOD


# Responses that do not match.


def forging(change: Message) -> Callable[[bytes, UpstreamQuery], Iterable[bytes]]:
    """Return a wire that delivers a spoofed message before the genuine one."""

    def wire(data: bytes, _: UpstreamQuery) -> Iterable[bytes]:
        true = Message.from_wire(data)
        forged = replace(true, id=change.id or true.id, questions=change.questions or true.questions)
        yield forged.to_wire()
        yield data

    return wire


FORGED = {
    "another id": Message(id=8),
    "another name": Message(questions=(Question(name("other.example.com"), RRType.A),)),
    "another type": Message(questions=(Question(name("www.example.com"), RRType.MX),)),
    "another class": Message(questions=(Question(name("www.example.com"), RRType.A, 3),)),
    "another question in all": Message(questions=(Question(name("victim.net"), RRType.A),)),
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED.keys())
def test_mismatched_responses_are_dropped_and_the_wait_continues(change: Message) -> None:
    internet = World(world().servers, wire=forging(change))
    result = internet.resolve("www.example.com")
    assert (texts(result.answers), result.queries) == (GOOD, 3)


@pytest.mark.parametrize("octets", [b"", b"\0", b"\0\7", b"\0\7\x80", bytes(11), b"\0\7" + bytes(40)])
def test_octets_that_are_no_message_are_dropped(octets: bytes) -> None:
    internet = World(world().servers, wire=lambda data, _: (octets, data, octets))
    assert internet.resolve("www.example.com").queries == 3


def test_a_query_is_no_answer() -> None:
    internet = World(world().servers, wire=lambda data, _: (data[:2] + b"\x00" + data[3:], data))
    assert internet.resolve("www.example.com").queries == 3


def test_an_answer_in_other_case_is_dropped() -> None:
    def wire(data: bytes, ask: UpstreamQuery) -> Iterable[bytes]:
        forged = Message.from_wire(data)
        question = replace(forged.questions[0], name=Name(ask.spelling.folded))
        yield replace(forged, questions=(question,), rcode=Rcode.NXDOMAIN).to_wire()
        yield data

    internet = World(world().servers, wire=wire)
    assert texts(internet.resolve("www.example.com").answers) == GOOD


def folding(data: bytes, _: UpstreamQuery) -> Iterable[bytes]:
    """Behave as a server that does not preserve case."""
    message = Message.from_wire(data)
    yield replace(
        message, questions=tuple(replace(one, name=Name(one.name.folded)) for one in message.questions)
    ).to_wire()


def test_servers_that_do_not_preserve_case_are_queried_again_at_once_in_plain_case() -> None:
    internet = World(world().servers, wire=folding)
    begun = internet.now
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert [(ask.tcp, ask.exact_case) for ask in internet.asked] == [(False, True), (False, False)] * 3
    assert internet.now - begun == pytest.approx(3 * (2 * RTT_S + MISMATCH_GRACE_S))
    for number in range(6):
        internet.resolve(f"n{number}.example.com")
    internet.resolve("last.example.com")
    assert [(ask.tcp, ask.exact_case) for ask in internet.asked] == [(False, False)]


@pytest.mark.parametrize("has_tcp", [True, False])
def test_responses_in_other_case_whose_content_differs_are_compared_over_tcp(has_tcp: bool) -> None:
    def changing(data: bytes, ask: UpstreamQuery) -> Iterable[bytes]:
        if ask.tcp:
            yield from (folding(data, ask) if has_tcp else ())
            return
        for folded in folding(data, ask):
            message = Message.from_wire(folded)
            text = f"{message.questions[0].name} 300 A 203.0.113.{len(internet.asked)}"
            changed = saying(text)(message, ask)
            assert changed is not None
            yield replace(message, answers=changed.answers).to_wire()

    internet = world()
    internet.resolve("mail.example.com")
    internet.wire = changing
    result = internet.resolve("www.example.com")
    forms = [(ask.tcp, ask.exact_case) for ask in internet.asked]
    assert forms == [(False, True), (False, False), (True, False)]
    # Without TCP there is nothing better than the response in plain case.
    assert texts(result.answers) == (GOOD if has_tcp else ["www.example.com. A 203.0.113.2"])
    internet.resolve("n.example.com")
    assert [ask.exact_case for ask in internet.asked if ask.address == internet.asked[0].address] == [False]


def without_question(data: bytes, _: UpstreamQuery) -> Iterable[bytes]:
    yield replace(Message.from_wire(data), questions=()).to_wire()


def cut_short(data: bytes, _: UpstreamQuery) -> Iterable[bytes]:
    yield data[:-1]


@pytest.mark.parametrize("defect", [without_question, cut_short])
def test_responses_that_cannot_match_are_queried_again_at_once_over_tcp(
    defect: Callable[[bytes, UpstreamQuery], Iterable[bytes]],
) -> None:
    internet = world()
    internet.resolve("mail.example.com")
    begun, internet.wire = internet.now, lambda data, ask: (data,) if ask.tcp else defect(data, ask)
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert [ask.tcp for ask in internet.asked] == [False, True]
    assert internet.now - begun == pytest.approx(2 * RTT_S + MISMATCH_GRACE_S)
    # A server that does so over TCP as well has no usable response, and the failure takes no timeout.
    begun, internet.wire = internet.now, defect
    assert internet.resolve("n.example.com").rcode == Rcode.SERVFAIL
    assert [ask.tcp for ask in internet.asked] == [False, True] * 2
    assert internet.now - begun == pytest.approx(2 * (2 * RTT_S + 2 * MISMATCH_GRACE_S))


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.REFUSED, Rcode.NOTIMP, Rcode.FORMERR])
def test_errors_may_lack_the_question(rcode: int) -> None:
    """RFC 6891 section 7: a server may return a header only."""

    def bare(query: Message, _: UpstreamQuery) -> Message:
        return replace(query.reply(rcode), questions=())

    for seed in range(4):
        internet = World(world(s3=bare).servers, seed=seed)
        begun = internet.now
        assert texts(internet.resolve("www.example.com").answers) == GOOD
        assert internet.now - begun == pytest.approx(len(internet.asked) * RTT_S)


def test_octets_behind_a_message_are_ignored() -> None:
    internet = World(world().servers, wire=lambda data, _: (data + b"\0trailing",))
    result = internet.resolve("www.example.com")
    assert (texts(result.answers), result.queries) == (GOOD, 3)


def test_a_truncated_response_over_tcp_is_no_answer() -> None:
    def short(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = EXAMPLE(query, ask)
        return None if reply is None else replace(reply, tc=True, answers=reply.answers[:1])

    internet = world(s3=short)
    for number in range(4):
        internet.context.infra_cache = InfraCache(Random(number))
        internet.context.cache = Cache()
        assert texts(internet.resolve("www.example.com").answers) == GOOD
        # RFC 9520 section 3.1: the same query is not repeated.
        assert internet.asked_of("127.0.1.3") in (0, 2)
    internet = world(s3=short, s4=short)
    assert internet.resolve("www.example.com").rcode == Rcode.SERVFAIL


def test_a_truncated_answer_is_asked_for_again_over_tcp() -> None:
    def short(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = EXAMPLE(query, ask)
        return reply if ask.tcp or reply is None else replace(reply, tc=True, answers=reply.answers[:1])

    internet = world(s3=short, s4=short)
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert [ask.tcp for ask in internet.asked] == [False, False, False, True]


def test_a_truncated_answer_without_tcp_leads_to_the_next_server() -> None:
    def short(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = EXAMPLE(query, ask)
        return None if ask.tcp or reply is None else replace(reply, tc=True, answers=())

    internet = world(s3=short)
    assert texts(internet.resolve("www.example.com").answers) == GOOD


@pytest.mark.parametrize(("rcode", "bare"), [(Rcode.FORMERR, False), (Rcode.FORMERR, True), (Rcode.NOTIMP, False)])
def test_a_server_from_before_edns_is_asked_without(bare: bool, rcode: int) -> None:
    def old(query: Message, ask: UpstreamQuery) -> Message | None:
        if query.edns is None:
            return EXAMPLE(query, ask)
        return replace(query.reply(rcode), questions=() if bare else query.questions)

    internet = world(s3=old, s4=old)
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert [ask.edns for ask in internet.asked] == [True, True, True, False]
    for number in range(2):
        internet.resolve(f"n{number}.example.com")
    internet.resolve("mail.example.com")
    assert [ask.edns for ask in internet.asked] == [False]


@pytest.mark.parametrize("over_tcp", [True, False])
def test_a_server_that_requires_a_cookie_is_queried_over_tcp(over_tcp: bool) -> None:
    """RFC 7873 section 5.3: a server requires cookies over UDP only; one that does over TCP, too, is left."""

    def strict(query: Message, ask: UpstreamQuery) -> Message | None:
        if ask.tcp and over_tcp:
            return EXAMPLE(query, ask)
        return replace(query.reply(Rcode.BADCOOKIE), edns=EDNS())

    internet = world(s3=strict, s4=strict)
    result = internet.resolve("www.example.com")
    assert texts(result.answers) == (GOOD if over_tcp else [])
    assert [ask.tcp for ask in internet.asked] == [False, False, *[False, True] * (1 if over_tcp else 2)]


# Behind an alias (RFC 2181 section 5.4.1).


def lying_about(qname: str, lie: Behaviour, true: Behaviour = EXAMPLE) -> Behaviour:
    """Return a server whose answers for one name are spoofed."""

    def answer(query: Message, ask: UpstreamQuery) -> Message | None:
        return (lie if query.questions[0].name == name(qname) else true)(query, ask)

    return answer


SOA = "example.com. SOA a. b. 1 1 1 1 300\n"
BEHIND = {
    "an address": saying("r1.example.com. CNAME www.example.com.\nwww.example.com. A 203.0.113.1"),
    "an address of a zone below": saying("r1.example.com. CNAME a.cut.example.com.\na.cut.example.com. A 203.0.113.1"),
    "another alias": saying(
        "r1.example.com. CNAME www.example.com.\nwww.example.com. CNAME evil.example.com.\n"
        "evil.example.com. A 203.0.113.1"
    ),
    "no name": saying_all("r1.example.com. CNAME www.example.com.", SOA, rcode=Rcode.NXDOMAIN),
    "no name, of the zone itself": saying_all("r1.example.com. CNAME example.com.", SOA, rcode=Rcode.NXDOMAIN),
    "no data": saying_all("r1.example.com. CNAME www.example.com.", SOA),
}
CUT = zone(
    "example.com.",
    "@ NS ns1\n@ A 192.0.2.7\nns1 A 127.0.1.3\nwww A 192.0.2.1\nwww A 192.0.2.2\ncut NS ns.cut\nns.cut A 127.0.1.13\n",
)
BELOW = authoritative(zone("cut.example.com.", "@ NS ns\nns A 127.0.1.13\na A 192.0.2.13\n"))


@pytest.mark.parametrize("lie", BEHIND.values(), ids=BEHIND.keys())
def test_records_behind_an_alias_are_ignored(lie: Behaviour) -> None:
    server = lying_about("r1.example.com", lie, authoritative(CUT))
    internet = world(s3=server, s4=server, s13=BELOW)
    result = internet.resolve("r1.example.com")
    # The target is queried again, so not even this answer is false.
    assert result.rcode in (Rcode.NOERROR, Rcode.SERVFAIL)
    assert "203.0.113.1" not in str(texts(result.answers))
    assert texts(internet.resolve("www.example.com").answers) == GOOD
    assert texts(internet.resolve("a.cut.example.com").answers) == ["a.cut.example.com. A 192.0.2.13"]
    assert internet.resolve("evil.example.com").rcode == Rcode.NXDOMAIN


def test_nothing_behind_a_dname_is_believed() -> None:
    lie = saying_all("old.example.com. DNAME cut.example.com.\na.cut.example.com. A 203.0.113.1")
    server = lying_about("a.old.example.com", lie, authoritative(CUT))
    internet = world(s3=server, s4=server, s13=BELOW)
    result = internet.resolve("a.old.example.com")
    assert texts(result.answers)[-1] == "a.cut.example.com. A 192.0.2.13"
    denied = saying_all("old.example.com. DNAME cut.example.com.", SOA, rcode=Rcode.NXDOMAIN)
    server = lying_about("a.old.example.com", denied, authoritative(CUT))
    internet = world(s3=server, s4=server, s13=BELOW)
    assert internet.resolve("a.old.example.com").rcode == Rcode.NOERROR
    assert texts(internet.resolve("a.cut.example.com").answers) == ["a.cut.example.com. A 192.0.2.13"]


def test_nxdomain_behind_an_alias_is_the_targets_own_servers_to_say() -> None:
    """RFC 6604 section 3: the response code is about the last name of the chain."""
    internet = world()
    result = internet.resolve("gone.example.com")
    assert (result.rcode, texts(result.answers)) == (
        Rcode.NXDOMAIN,
        ["gone.example.com. CNAME nothing.example.com."],
    )
    assert str(internet.asked[-1].question.name) == "nothing.example.com."


FORWARDED = {
    "an address": saying("r1.evil.com. CNAME www.example.com.\nwww.example.com. A 203.0.113.1", aa=False),
    "no name": saying_all("r1.evil.com. CNAME example.com.", "com. SOA a. b. 1 1 1 1 300", aa=False, rcode=3),
    "no data": saying_all("r1.evil.com. CNAME www.example.com.", "com. SOA a. b. 1 1 1 1 300", aa=False),
    "an address beside the chain": saying("r1.evil.com. A 192.0.2.9\nwww.example.com. A 203.0.113.1", aa=False),
}


@pytest.mark.parametrize("lie", FORWARDED.values(), ids=FORWARDED.keys())
def test_a_forged_answer_of_a_forwarder_enters_no_other_name(lie: Behaviour) -> None:
    true = saying("www.example.com. A 192.0.2.1\nwww.example.com. A 192.0.2.2", aa=False)
    internet = World({"127.0.1.9": lying_about("r1.evil.com", lie, true)}, roots=forwarding("127.0.1.9"))
    internet.resolve("r1.evil.com")
    result = internet.resolve("www.example.com")
    assert (texts(result.answers), result.queries) == (GOOD, 1)
