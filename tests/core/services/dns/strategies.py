"""Hypothesis strategies for names, rdata, records and messages."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import strategies as st

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import NameTooLongError
from lab7.services.dns.codec.fields import Opaque, Rdata
from lab7.services.dns.codec.message import EDNS, Message, Option, Question, Record
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import (
    AAAA,
    CNAME,
    DNAME,
    HINFO,
    MX,
    NAPTR,
    NS,
    PTR,
    RP,
    SOA,
    SRV,
    TXT,
    A,
)
from lab7.services.dns.codec.rdata_security import CAA, DS

U8, U16, U31, U32 = (st.integers(0, (1 << bits) - 1) for bits in (8, 16, 31, 32))
LABELS = st.one_of(
    st.sampled_from([b"www", b"WWW", b"mail", b"example", b"com", b"*", b"a.b"]), st.binary(min_size=1, max_size=63)
)


def _name(labels: list[bytes]) -> Name:
    while True:
        try:
            return Name(tuple(labels))
        except NameTooLongError:
            labels = labels[1:]


NAMES = st.lists(LABELS, max_size=8).map(_name)
STRINGS = st.binary(max_size=255)

RDATAS: dict[int, st.SearchStrategy[Rdata]] = {
    RRType.A: st.builds(A, st.integers(0, 2**32 - 1).map(IPv4Address)),
    RRType.AAAA: st.builds(AAAA, st.integers(0, 2**128 - 1).map(IPv6Address)),
    RRType.NS: st.builds(NS, NAMES),
    RRType.CNAME: st.builds(CNAME, NAMES),
    RRType.PTR: st.builds(PTR, NAMES),
    RRType.DNAME: st.builds(DNAME, NAMES),
    RRType.SOA: st.builds(SOA, NAMES, NAMES, U32, U31, U31, U31, U31),
    RRType.MX: st.builds(MX, U16, NAMES),
    RRType.TXT: st.builds(TXT, st.lists(STRINGS, min_size=1, max_size=4).map(tuple)),
    RRType.HINFO: st.builds(HINFO, STRINGS, STRINGS),
    RRType.RP: st.builds(RP, NAMES, NAMES),
    RRType.SRV: st.builds(SRV, U16, U16, U16, NAMES),
    RRType.NAPTR: st.builds(NAPTR, U16, U16, STRINGS, STRINGS, STRINGS, NAMES),
    RRType.CAA: st.builds(
        CAA, U8, st.from_regex(r"[a-z0-9]{1,15}", fullmatch=True).map(str.encode), st.binary(max_size=40)
    ),
    RRType.DS: st.builds(DS, U16, U8, st.just(2), st.binary(min_size=32, max_size=32)),
    65_280: st.builds(Opaque, st.binary(max_size=40)),
}


@st.composite
def records(draw: st.DrawFn) -> Record:
    rtype = draw(st.sampled_from(sorted(RDATAS)))
    return Record(draw(NAMES), rtype, 1, draw(U31), draw(RDATAS[rtype]))


QUESTIONS = st.builds(Question, NAMES, st.sampled_from([1, 2, 5, 12, 15, 28, 255, 65_280]), st.just(1))
OPTIONS = st.builds(Option, st.integers(20_000, 60_000), st.binary(max_size=20))
EDNSES = st.builds(EDNS, U16, st.just(0), st.booleans(), st.lists(OPTIONS, max_size=3).map(tuple))


@st.composite
def messages(draw: st.DrawFn) -> Message:
    edns = draw(st.none() | EDNSES)
    section = st.lists(records(), max_size=4).map(tuple)
    flags: dict[str, Any] = {name: draw(st.booleans()) for name in ("qr", "aa", "tc", "rd", "ra", "ad", "cd")}
    return Message(
        id=draw(U16),
        rcode=draw(st.integers(0, 15 if edns is None else 4095)),
        questions=draw(st.lists(QUESTIONS, min_size=1, max_size=1).map(tuple)),
        answers=draw(section),
        authority=draw(section),
        additional=draw(section),
        edns=edns,
        **flags,
    )
