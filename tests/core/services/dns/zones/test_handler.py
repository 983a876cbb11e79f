"""Authoritative responder: a cached response is identical to one encoded anew, including address rotation."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.message import EDNS, Message, Option, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.server.responder import STATIC_RESPONSES_MAX, Client
from lab7.services.dns.zones.handler import AuthoritativeResponder, Authority, MinimalResponses
from lab7.services.dns.zones.zone import Zones
from tests.core.services.dns.transcripts import zone

TEXT = """
www    A     192.0.2.1
www    A     192.0.2.2
www    A     192.0.2.3
www    AAAA  2001:db8::1
www    AAAA  2001:db8::2
*.w    A     192.0.2.4
*.w    A     192.0.2.5
alias  CNAME www
old    DNAME new
x.new  A     192.0.2.6
cut    NS    ns.cut
ns.cut A     192.0.2.7
@      MX    10 www
big    TXT   "{}" "{}" "{}"
\\000z  A     192.0.2.8
""".format(*["t" * 250] * 3)
ZONES = Zones([zone(TEXT)])
UDP, TCP = Client("192.0.2.9", 53), Client("192.0.2.9", 53, over_tcp=True)
NAMES = [
    ".",
    "www",
    "q.w",
    "Q.r.W",
    "alias",
    "x.old",
    "a.cut",
    "ns.cut",
    "@",
    "big",
    "none",
    "A.none",
    r"\000z",
    r"b.\000w.w",
]


def respond(caching: bool, rotate: bool = True) -> AuthoritativeResponder:
    return AuthoritativeResponder(Authority(ZONES), rotate=rotate, responses_max=STATIC_RESPONSES_MAX if caching else 0)


@st.composite
def queries(draw: st.DrawFn) -> tuple[bytes, Client]:
    text = draw(st.sampled_from(NAMES))
    name = Name.from_text("example." if text == "@" else text, None if text == "." else Name.from_text("example."))
    cased = Name(tuple(label.swapcase() if draw(st.booleans()) else label for label in name.labels))
    edns = draw(st.none() | st.builds(EDNS, st.sampled_from([512, 700, 1232, 4096]), st.sampled_from([0, 0, 0, 1]),
                                      st.booleans(), st.sampled_from([(), (Option(10, b"12345678"),)])))  # fmt: skip
    rtype = draw(
        st.sampled_from([RRType.A, RRType.AAAA, RRType.TXT, RRType.MX, RRType.ANY, RRType.SOA, RRType.AXFR, 65])
    )
    message = Message(id=draw(st.integers(0, 65_535)), rd=draw(st.booleans()), cd=draw(st.booleans()), edns=edns,
                      questions=(Question(cased, rtype, draw(st.sampled_from([1, 1, 1, 3, 255]))),))  # fmt: skip
    octets = bytearray(message.to_wire())
    if draw(st.integers(0, 9)) == 0:
        octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    return bytes(octets), draw(st.sampled_from([UDP, UDP, UDP, TCP]))


@settings(max_examples=300)
@given(st.lists(queries(), min_size=1, max_size=40), st.booleans())
def test_kept_responses_are_those_that_would_be_made(asked: list[tuple[bytes, Client]], rotate: bool) -> None:
    with_cache, without = respond(True, rotate), respond(False, rotate)
    # Encoded, then by the folded name, then by the exact octets.
    for data, client in asked * 3:
        assert with_cache(data, client) == without(data, client)


def ask(server: AuthoritativeResponder, name: str, client: Client = UDP, **changes: object) -> Message:
    query = replace(Message(id=1, questions=(Question(Name.from_text(name), RRType.A),)), **changes)  # type: ignore[arg-type]
    response = server(query.to_wire(), client)
    assert response is not None
    return Message.from_wire(response)


def first(message: Message) -> str:
    return message.answers[0].rdata.to_text()


def test_addresses_rotate_across_clients_and_transports() -> None:
    server = respond(True)
    turns = [ask(server, "www.example."), ask(server, "WWW.example."), ask(server, "www.example.", rd=True)]
    turns += [
        ask(server, "www.example.", edns=EDNS(options=(Option(10, b"12345678"),))),
        ask(server, "www.example.", TCP),
    ]
    assert [first(one)[-1] for one in turns] == ["1", "2", "3", "1", "2"]


def test_without_rotation_the_order_is_the_files() -> None:
    server = respond(True, rotate=False)
    assert [first(ask(server, "www.example.")) for _ in range(4)] == ["192.0.2.1"] * 4


def test_the_question_has_the_spelling_of_the_query() -> None:
    server = respond(True)
    for name in ("www.example.", "WWW.EXAMPLE.", "wWw.eXample."):
        message = ask(server, name)
        assert [str(one.name) for one in message.questions] == [name]
        assert [str(one.name) for one in message.answers] == [name] * 3


@pytest.mark.parametrize(
    ("minimal", "with_rd", "without_rd"),
    [
        ("no", (1, 2), (1, 2)),
        ("no-auth-recursive", (0, 1), (1, 2)),
        ("no-auth", (0, 1), (0, 1)),
        ("yes", (0, 0), (0, 0)),
    ],
)
def test_minimal_responses(minimal: str, with_rd: tuple[int, int], without_rd: tuple[int, int]) -> None:
    """RRsets of name servers, and hosts whose addresses are there."""
    server = AuthoritativeResponder(Authority(ZONES, MinimalResponses(minimal)), rotate=False)
    for _ in range(2):
        for rd, expected in ((True, with_rd), (False, without_rd)):
            found = ask(server, "example.", rd=rd, questions=(Question(Name.from_text("example."), RRType.MX),))
            assert (len(found.authority), len({record.name for record in found.additional})) == expected


def test_an_ns_set_that_does_not_fit_is_left_out_without_tc() -> None:
    # The answer ends at octet 503; 512 fit.
    text = 'big TXT "{}" "{}"\n'.format("t" * 240, "t" * 220)
    server = AuthoritativeResponder(Authority(Zones([zone(text)]), MinimalResponses.NO))
    found = ask(server, "big.example.", questions=(Question(Name.from_text("big.example."), RRType.TXT),))
    assert (found.tc, len(found.answers), found.authority, found.additional) == (False, 1, (), ())


def test_glue_of_a_referral_comes_before_other_addresses_where_both_do_not_fit() -> None:
    """RFC 9471 section 2: without glue of the cut TC is set, without addresses of other hosts it is not."""
    hosts = [f"n{number}.{place}" for number in range(6) for place in ("sib", "sub")]
    text = "".join(f"sub NS {host}\n{host} A 192.0.2.1\n{host} AAAA 2001:db8::1\n" for host in hosts)
    server = AuthoritativeResponder(Authority(Zones([zone(text + "sib NS n0.sib\n")])))
    edns = EDNS(udp_size=600)
    found = ask(server, "www.sub.example.", edns=edns)
    glue = [record for record in found.additional if record.name.is_below(Name.from_text("sub.example."))]
    assert (found.tc, len(glue), len(found.additional) > 12) == (False, 12, True)
    # The addresses of other hosts are of IPv4 first, as many as fit.
    assert {record.rtype for record in found.additional if record not in glue} == {RRType.A}
    assert ask(server, "www.sub.example.", edns=EDNS(udp_size=512)).tc


def test_the_response_cache_is_bounded() -> None:
    server = AuthoritativeResponder(Authority(ZONES), responses_max=10)
    for number in range(100):
        ask(server, f"n{number}.example.")
        assert 0 < len(server._cache) <= 10


def test_the_responses_of_many_spellings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab7.services.dns.server.responder.EXACT_RESPONSES_MAX", 3)
    server = respond(True)
    for name in ["ns.example.", *(f"n{s}.exampl{e}." for s in "sS" for e in "eE"), "ns.example."] * 2:
        assert [str(one.name) for one in ask(server, name).answers] == [name]
    assert len(server._cache._exact) <= 3
