"""Zone lookup of random zones and questions, compared with an oracle that follows the RFCs literally."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import given, settings
from hypothesis import strategies as st

from lab7.services.dns.codec.codes import Rcode, type_from_text, type_to_text
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Question, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, MX, SOA, TXT, A, SingleName
from lab7.services.dns.zones.zone import Zone, Zones, answer_question
from tests.core.services.dns.zones.oracle import Labels, Oracle, Row

PARENT: Labels = ("p",)
CHILD: Labels = ("a", "p")
OTHER: Labels = ("q",)
ORIGINS = (PARENT, CHILD, OTHER)
# Few labels, so that names collide; the long one makes names that are too long.
LABELS = st.sampled_from(["a", "b", "*", "c", "w" * 60])
NAMES = st.builds(lambda labels, origin: (*labels, *origin), st.lists(LABELS, max_size=4), st.sampled_from(ORIGINS))
TARGETS = st.one_of(NAMES, st.just(("a", "elsewhere")))
SOA_VALUE = (("ns", "x"), ("h", "x"), 1, 2, 3, 4, 30)
TYPES = ("A", "AAAA", "TXT", "MX", "CNAME", "DNAME", "NS", "DS", "SOA", "ANY", "SRV")

VALUES: dict[str, st.SearchStrategy[object]] = {
    "A": st.integers(1, 3).map(lambda number: str(IPv4Address(number))),
    "AAAA": st.integers(1, 3).map(lambda number: str(IPv6Address(number))),
    "TXT": st.sampled_from(["t", "u"]),
    "MX": st.tuples(st.just(10), TARGETS),
    "CNAME": TARGETS,
    "DNAME": TARGETS,
    "NS": TARGETS,
}


@st.composite
def rows_of(draw: st.DrawFn, origin: Labels) -> list[Row]:
    """Generate a valid zone: SOA and NS at the apex, no data beside aliases, one TTL per RRset."""
    rows: list[Row] = [(origin, "SOA", 60, SOA_VALUE), (origin, "NS", 22, ("b", *origin))]
    kinds: dict[Labels, set[str]] = {origin: {"SOA", "NS"}}
    for _ in range(draw(st.integers(0, 9))):
        owner = (*draw(st.lists(LABELS, min_size=0, max_size=3)), *origin)
        rtype = draw(st.sampled_from(sorted(VALUES)))
        have = kinds.setdefault(owner, set())
        alone = "CNAME" in have or (rtype == "CNAME" and have)
        row: Row = (owner, rtype, 20 + len(rtype), draw(VALUES[rtype]))
        if alone or (rtype in have and rtype == "DNAME") or row in rows:
            continue
        have.add(rtype)
        rows.append(row)
    return rows


def text_of(name: Labels) -> str:
    return ".".join(name) + "."


def value_text(rtype: str, value: object) -> str:
    if rtype == "SOA":
        return "ns.x. h.x. 1 2 3 4 30"
    if isinstance(value, tuple):
        return f"10 {text_of(value[1])}" if rtype == "MX" else text_of(value)
    return str(value)


def zone_of(rows: list[Row]) -> Zone:
    lines = [f"{text_of(owner)} {ttl} {rtype} {value_text(rtype, value)}" for owner, rtype, ttl, value in rows]
    return Zone.from_entries(parse_master_file("\n".join(lines)))


def labels_of(name: Name) -> Labels:
    return tuple(label.decode() for label in name.folded)


def value_of(rdata: Rdata) -> object:
    match rdata:
        case A(address) | AAAA(address):
            return str(address)
        case TXT(strings):
            return strings[0].decode()
        case MX(preference, exchange):
            return (preference, labels_of(exchange))
        case SOA():
            return SOA_VALUE
        case SingleName(target):
            return labels_of(target)
    raise AssertionError(rdata)


def flat(rrsets: list[RRset]) -> list[Row]:
    return sorted(
        (
            (labels_of(one.name), type_to_text(one.rtype), one.ttl, value_of(rdata))
            for one in rrsets
            for rdata in one.rdatas
        ),
        key=repr,
    )


@settings(max_examples=600)
@given(st.data())
def test_every_answer_is_the_rfcs(data: st.DataObject) -> None:
    served = data.draw(st.sampled_from([(PARENT,), (PARENT, CHILD), (PARENT, OTHER), ORIGINS]))
    rows = {origin: data.draw(rows_of(origin)) for origin in served}
    zones = Zones(zone_of(one) for one in rows.values())
    oracle = Oracle(rows)
    owners = [row[0] for one in rows.values() for row in one]
    for _ in range(12):
        qname = data.draw(st.one_of(NAMES, st.sampled_from(owners), st.sampled_from(owners).map(lambda n: ("x", *n))))
        qtype = data.draw(st.sampled_from(TYPES))
        if sum(len(label) + 1 for label in qname) > 254:
            continue
        answer = answer_question(zones, Question(Name.from_text(text_of(qname)), type_from_text(qtype)))
        expected = oracle.ask(qname, qtype)
        assert (Rcode(answer.rcode).name, answer.aa) == (expected.rcode, expected.aa)
        for ours, theirs in (
            (answer.answers, expected.answers),
            (answer.authority, expected.authority),
            (answer.additional, expected.additional),
        ):
            assert flat(ours) == sorted(theirs, key=repr)
