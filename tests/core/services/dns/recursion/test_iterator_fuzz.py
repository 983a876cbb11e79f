"""Fuzzing of the iterator: with arbitrary responses it ends within its budget, and accepts data in bailiwick only."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.message import Message, Question, Record
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.codec.rdata import rdata_from_text
from lab7.services.dns.recursion import iterator, query
from lab7.services.dns.recursion.cache import Failure, Negative
from lab7.services.dns.recursion.query import ResponseMatcher, UpstreamQuery
from tests.core.services.dns.recursion.simulated_internet import Behaviour, World, name, world

INSIDE = ["example.com.", "www.example.com.", "a.www.example.com.", "ns1.example.com.", "old.example.com."]
OUTSIDE = [".", "com.", "victim.com.", "www.victim.org.", "org.", "net."]
NAMES = INSIDE + OUTSIDE
TYPES = {
    RRType.A: st.sampled_from(["127.0.1.3", "127.0.1.4", "127.0.3.1"]),
    RRType.NS: st.sampled_from(NAMES),
    RRType.CNAME: st.sampled_from(NAMES),
    RRType.DNAME: st.sampled_from(NAMES),
    RRType.SOA: st.just("a. b. 1 1 1 1 60"),
    RRType.MX: st.sampled_from(NAMES).map(lambda host: f"10 {host}"),
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    rtype = draw(st.sampled_from(list(TYPES)))
    data = rdata_from_text(rtype, draw(TYPES[rtype]))
    return Record(name(draw(st.sampled_from(NAMES))), rtype, RRClass.IN, draw(st.integers(0, 100)), data)


SECTIONS = st.lists(records(), max_size=5).map(tuple)
REPLIES = st.builds(
    Message,
    qr=st.just(True),
    aa=st.booleans(),
    tc=st.booleans(),
    rcode=st.sampled_from([Rcode.NOERROR] * 3 + list(Rcode)[:7]),
    answers=SECTIONS,
    authority=SECTIONS,
    additional=SECTIONS,
)


def chaotic(replies: list[Message]) -> Behaviour:
    """Return a server that sends the replies in turn, whatever the query."""
    sent = [0]

    def answer(query: Message, _: UpstreamQuery) -> Message:
        sent[0] += 1
        return replace(replies[sent[0] % len(replies)], id=query.id, questions=query.questions)

    return answer


@settings(deadline=None, max_examples=150)
@given(
    st.lists(REPLIES, min_size=1, max_size=6),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(INSIDE), st.sampled_from(["A", "MX", "NS", "ANY"])), min_size=1, max_size=4),
)
def test_work_is_bounded_and_lies_stay_at_home(
    replies: list[Message], minimise: bool, questions: list[tuple[str, str]]
) -> None:
    server = chaotic(replies)
    internet = World({**world(s3=server, s4=server).servers, "127.0.3.1": server}, minimise=minimise)
    for text, rtype in questions:
        result = internet.resolve(text, rtype)
        assert result.queries <= query.QUERIES_MAX
        assert len(result.answers) <= 4 * iterator.ALIASES_MAX
        internet.now += 1.5
    cache, now = internet.context.cache, internet.now
    for text in ("victim.com.", "www.victim.org.", "org."):
        for kind in TYPES:
            found = cache.get(name(text), kind, now)
            # NXDOMAIN by the authoritative servers of com and org.
            assert found is None or isinstance(found, Negative | Failure)
    assert [found.zone for found, _ in cache.delegations(name("www.victim.org."), now)] in ([], [name("org.")])


@settings(deadline=None)
@given(st.binary(max_size=80), st.booleans())
def test_octets_never_do_more_than_be_dropped(octets: bytes, exact_case: bool) -> None:
    qname = Name.from_text("www.example.com.")
    ask = UpstreamQuery("127.0.0.1", Question(qname, RRType.A), qname, ROOT, 1.0, exact_case=exact_case)
    matcher = ResponseMatcher(ask, 7)
    for data in (octets, b"\0\7" + octets, matcher.to_wire()[:2] + b"\x80" + octets):
        matcher.accept(data)
