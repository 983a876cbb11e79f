"""Response cache of the resolver: equal to responses encoded anew, but for id, case, TTLs and order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import EDNS, Message, Option, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.server.responder import AgingResponseCache, Client, ServerCodec

CLIENT = Client("127.0.0.1", 5000)
ANSWERS = "alias.example.com. 300 CNAME www.example.com.\n" + "".join(
    f"www.example.com. 60 A 192.0.2.{last}\n" for last in (1, 2, 3)
)


def query_for(text: str, message_id: int = 1, edns: EDNS | None = None, rtype: int = RRType.A) -> Message:
    return Message(id=message_id, rd=True, questions=(Question(Name.from_text(text), rtype),), edns=edns)


def answered(query: Message, answers: str = ANSWERS, authority: str = "", rcode: int = Rcode.NOERROR) -> bytes:
    sections = [tuple(entry.record for entry in parse_master_file(text)) for text in (answers, authority)]
    reply = replace(query.reply(rcode), ra=True, answers=sections[0], authority=sections[1])
    return ServerCodec(1232).encode(query, reply, CLIENT)


def stored(query: Message, wire: bytes, now: float = 100.0) -> AgingResponseCache:
    cache = AgingResponseCache()
    cache.put(query.to_wire(), query, wire, now)
    return cache


@pytest.mark.parametrize("edns", [None, EDNS(), EDNS(do=True), EDNS(udp_size=4096)])
def test_id_and_spelling_are_the_querys_and_the_ttls_those_of_now(edns: EDNS | None) -> None:
    first = query_for("alias.example.com.", edns=edns)
    cache = stored(first, answered(first))
    other = query_for("ALIAS.eXample.com.", 77, edns)
    wire = cache.get(other.to_wire(), 110.5)
    assert wire is not None
    message = Message.from_wire(wire)
    assert (message.id, message.questions[0].name.labels) == (77, other.questions[0].name.labels)
    assert [record.ttl for record in message.answers] == [289, 49, 49, 49]
    assert message.edns == Message.from_wire(answered(first)).edns
    assert message.answers[0].name.labels == other.questions[0].name.labels


def test_responses_count_with_all_their_rotations() -> None:
    """Thirty-two rotations of as many addresses are 17,000 octets: a client asks for as many such names as it likes."""
    cache = AgingResponseCache(100)
    for number in range(100):
        query = query_for(f"a{number}.example.com.", edns=EDNS())
        answers = "".join(f"a{number}.example.com. 60 A 192.0.2.{last}\n" for last in range(32))
        wire = answered(query, answers)
        cache.put(query.to_wire(), query, wire, 100.0)
    assert 1 <= len(cache) <= 100 * 1000 // (32 * 500)


def test_addresses_take_turns() -> None:
    query = query_for("alias.example.com.")
    cache = stored(query, answered(query))
    orders = []
    for _ in range(4):
        message = Message.from_wire(cache.get(query.to_wire(), 101.0) or b"")
        orders.append([record.rdata.to_text()[-1] for record in message.answers[1:]])
        assert message.answers[0].rtype == RRType.CNAME
    assert orders == [["2", "3", "1"], ["3", "1", "2"], ["1", "2", "3"], ["2", "3", "1"]]


def test_the_first_ttl_that_ends_ends_the_answer() -> None:
    query = query_for("alias.example.com.")
    cache = stored(query, answered(query))
    assert cache.get(query.to_wire(), 159.99) is not None
    assert cache.get(query.to_wire(), 160.0) is None
    assert cache.get(query.to_wire(), 101.0) is None


@pytest.mark.parametrize(
    "other",
    [
        query_for("alias.example.com.", rtype=RRType.AAAA),
        query_for("alias.example.com.", edns=EDNS()),
        query_for("alia.example.com."),
        replace(query_for("alias.example.com."), rd=False),
        replace(query_for("alias.example.com."), cd=True),
    ],
    ids=["type", "edns", "name", "rd", "cd"],
)
def test_another_query_gets_nothing(other: Message) -> None:
    query = query_for("alias.example.com.")
    assert stored(query, answered(query)).get(other.to_wire(), 101.0) is None


def test_type_octets_that_are_letters_are_not_folded() -> None:
    # HTTPS is 65, an "A"; 97 is an "a".
    query = query_for("alias.example.com.", rtype=RRType.HTTPS)
    cache = stored(query, answered(query))
    assert cache.get(query_for("alias.example.com.", rtype=97).to_wire(), 101.0) is None


@pytest.mark.parametrize(
    ("answers", "authority", "rcode", "is_kept"),
    [
        ("", "example.com. 60 SOA a. b. 1 1 1 1 60", Rcode.NXDOMAIN, True),
        ("", "example.com. 60 SOA a. b. 1 1 1 1 60", Rcode.NOERROR, True),
        ("", "", Rcode.NXDOMAIN, False),
        ("", "", Rcode.SERVFAIL, False),
        ("www.example.com. 0 A 192.0.2.1", "", Rcode.NOERROR, False),
        ("www.example.com. 5 A 192.0.2.1", "", Rcode.REFUSED, False),
        ("".join(f"www.example.com. 5 A 192.0.2.{n}\n" for n in range(99)), "", Rcode.NOERROR, False),
    ],
)
def test_cacheable_responses(answers: str, authority: str, rcode: int, is_kept: bool) -> None:
    query = query_for("www.example.com.")
    cache = stored(query, answered(query, answers, authority, rcode))
    assert (cache.get(query.to_wire(), 100.5) is not None) == is_kept


def test_queries_with_options_are_answered_anew() -> None:
    query = query_for("www.example.com.", edns=EDNS(options=(Option(10, b"12345678"),)))
    assert stored(query, answered(query)).get(query.to_wire(), 101.0) is None


@settings(deadline=None)
@given(st.integers(0, 480).map(lambda eighths: eighths / 8), st.integers(0, 65_535))
def test_the_octets_are_those_of_a_message_made_anew(after_s: float, message_id: int) -> None:
    answers = "www.example.com. 60 MX 10 mail.example.com.\nwww.example.com. 60 MX 20 other.net.\n"
    query = query_for("www.example.com.", message_id, EDNS(), RRType.MX)
    wire = stored(query, answered(query, answers)).get(query.to_wire(), 100.0 + after_s)
    if after_s >= 60:
        assert wire is None
    else:
        left = int(60 - after_s)
        assert wire == answered(query, answers.replace(" 60 ", f" {left} "))
