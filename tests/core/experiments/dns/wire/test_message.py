"""DNS messages come out of a capture as they went in, and what is none is reported."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRSRV
from scapy.layers.inet import ICMP, IP, UDP

from lab7.experiments.dns.wire.messages import Carrier, MalformedMessage, Question, canonical, is_within, read_message
from lab7.experiments.dns.wire.traffic import DnsTraffic
from tests.core.experiments.dns.dns_wire import ADDRESSES, Net, a, mx, opt, rr, soa

CARRIER = Carrier(3, 30, "10.0.0.1", 5000, "10.0.0.2", 53, "udp")
NAME = "www.example.com"

labels = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=5).map(".".join)
ttls = st.integers(0, 2**31 - 1)
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).map(str)


@st.composite
def records(draw: st.DrawFn) -> tuple[Any, tuple[str, str, int, str]]:
    """A record as scapy builds it, and what the judge must make of it."""
    name, ttl = draw(names), draw(ttls)
    rrtype = draw(st.sampled_from(["A", "AAAA", "NS", "CNAME", "PTR", "MX", "SRV", "TXT"]))
    if rrtype == "MX":
        preference, target = draw(st.integers(0, 65535)), draw(names)
        return mx(name, preference, target, ttl), (name, rrtype, ttl, f"{preference} {canonical(target)}")
    if rrtype == "SRV":
        target = draw(names)
        built = DNSRRSRV(rrname=name, ttl=ttl, priority=1, weight=2, port=25, target=target)
        return built, (name, rrtype, ttl, f"1 2 25 {canonical(target)}")
    if rrtype == "TXT":
        text = draw(labels)
        return DNSRR(rrname=name, type=rrtype, ttl=ttl, rdata=[text]), (name, rrtype, ttl, f'"{text}"')
    value = draw({"A": ipv4, "AAAA": ipv6}.get(rrtype, names))
    return rr(name, rrtype, value, ttl), (name, rrtype, ttl, value if rrtype[0] == "A" else canonical(value))


sections = st.lists(records(), max_size=4)


@given(names, st.integers(0, 65535), sections, sections, sections, st.booleans(), st.booleans())
def test_a_message_is_read_as_it_was_built(
    qname: str, number: int, answer: list[Any], authority: list[Any], additional: list[Any], flag: bool, packed: bool
) -> None:
    built = DNS(id=number, qr=1, aa=flag, tc=not flag, rd=flag, ra=not flag, rcode=3, qd=[DNSQR(qname=qname)])
    built.an, built.ns, built.ar = ([one for one, _ in each] for each in (answer, authority, additional))
    octets = bytes(built.compress()) if packed else bytes(built)
    message = read_message(octets, CARRIER)
    assert message.question == Question(canonical(qname), "A", "IN")
    assert (message.id, message.is_response, message.rcode) == (number, True, 3)
    assert (message.aa, message.tc, message.rd, message.ra) == (flag, not flag, flag, not flag)
    assert message.size_bytes == len(octets)
    for found, expected in ((message.answer, answer), (message.authority, authority), (message.additional, additional)):
        wanted = [(canonical(name), rrtype, ttl, rdata) for _, (name, rrtype, ttl, rdata) in expected]
        assert [(one.name, one.type, one.ttl, one.rdata) for one in found] == wanted
        assert all(one.rclass == "IN" for one in found)


@given(sections.filter(bool), st.data())
def test_a_message_cut_short_or_with_trailing_octets_is_malformed(section: list[Any], data: st.DataObject) -> None:
    octets = bytes(DNS(qr=1, qd=[DNSQR(qname=NAME)], an=[one for one, _ in section]))
    kept = data.draw(st.integers(0, len(octets) - 1))
    for wrong in (octets[:kept], octets + b"\0", octets + data.draw(st.binary(min_size=1, max_size=5))):
        with pytest.raises(MalformedMessage):
            read_message(wrong, CARRIER)


@given(st.binary(max_size=80))
def test_any_octets_are_a_message_or_malformed(octets: bytes) -> None:
    try:
        message = read_message(octets, CARRIER)
    except MalformedMessage:
        return
    assert message.size_bytes == len(octets)


@pytest.mark.parametrize("length", [0, 3, 5])
def test_an_address_of_the_wrong_length_is_malformed(length: int) -> None:
    record = DNSRR(rrname=NAME, type=99, rdata=bytes(length))
    octets = bytes(DNS(qr=1, qd=[DNSQR(qname=NAME)], an=[record])).replace(b"\0\x63", b"\0\x01")
    with pytest.raises(MalformedMessage):
        read_message(octets, CARRIER)


def test_two_questions_are_malformed() -> None:
    with pytest.raises(MalformedMessage, match="2 questions"):
        read_message(bytes(DNS(qd=[DNSQR(qname="a"), DNSQR(qname="b")])), CARRIER)


def test_types_and_classes_without_a_name_are_numbers() -> None:
    record = DNSRR(rrname=NAME, type=4711, rclass=42, rdata=b"\x01\xff")
    message = read_message(bytes(DNS(qr=1, qd=[], an=[record])), CARRIER)
    (found,) = message.answer
    assert (found.type, found.rclass, found.rdata) == ("TYPE4711", "CLASS42", r"\# 2 01ff")
    assert message.question is None


def test_opt_says_how_much_its_sender_takes_and_extends_the_rcode() -> None:
    extended = opt(4096)
    extended.extrcode = 1
    message = read_message(bytes(DNS(qr=1, qd=[DNSQR(qname=NAME)], ar=[extended])), CARRIER)
    assert (message.edns_size_bytes, message.udp_limit_bytes, message.rcode) == (4096, 4096, 16)
    assert read_message(bytes(DNS(qd=[DNSQR(qname=NAME)])), CARRIER).udp_limit_bytes == 512


def test_soa_and_mx_are_text() -> None:
    octets = bytes(DNS(qr=1, qd=[], an=[mx("example.com", 10, "Mail.example.com")], ns=[soa("example.com")]))
    message = read_message(octets, CARRIER)
    assert message.answer[0].mx == (10, "mail.example.com.")
    assert message.authority[0].rdata == "ns1.example.com. admin.example.com. 7 0 0 0 60"


@pytest.mark.parametrize(
    ("name", "domain", "within"),
    [
        ("www.example.com.", "example.com.", True),
        ("example.com.", "example.com.", True),
        ("badexample.com.", "example.com.", False),
        ("com.", "example.com.", False),
        ("com.", ".", True),
    ],
)
def test_within_goes_by_labels(name: str, domain: str, within: bool) -> None:
    assert is_within(name, domain) == within


def test_a_response_belongs_to_its_query_whatever_the_case() -> None:
    net = Net()
    asked = net.query("client", "local", "wWw.eXample.com")
    asked.name = "WWW.example.com"
    net.after(20).answer(asked, [a(NAME, "10.9.0.1")])
    (exchange,) = net.at("client").exchanges
    assert exchange.query.question == Question("www.example.com.", "A")
    assert exchange.response is not None
    assert exchange.duration_s == pytest.approx(0.02)
    assert (exchange.query.transport, exchange.query.target_port, exchange.query.target) == ("udp", 53, "10.0.0.53")


@pytest.mark.parametrize("wrong", ["id", "port", "name", "qtype", "target"])
def test_a_response_to_something_else_is_a_stray(wrong: str) -> None:
    net = Net()
    asked = net.query("client", "local", NAME)
    changed = {"id": asked.id ^ 1, "port": asked.port + 1, "name": "other", "qtype": "MX", "target": "root"}
    setattr(asked, wrong, changed[wrong])
    net.answer(asked)
    traffic = net.at("client")
    assert [one.response for one in traffic.exchanges] == [None]
    assert traffic.exchanges[0].duration_s is None
    assert len(traffic.strays) == 1


def test_an_error_may_leave_the_question_out() -> None:
    net = Net()
    asked = net.query("client", "local", NAME)
    net.add("local", "client", UDP(sport=53, dport=asked.port), DNS(id=asked.id, qr=1, rcode=1, qd=[]))
    (exchange,) = net.at("client").exchanges
    assert exchange.response is not None
    assert exchange.response.question is None


def test_a_query_sent_again_is_the_same_exchange() -> None:
    net = Net()
    asked = net.query("client", "local", NAME)
    net.after(5000).send(asked)
    net.after(20).answer(asked)
    (exchange,) = net.at("client").exchanges
    assert exchange.response is not None
    assert len(exchange.repeats) == 1


def test_windows_go_by_the_query() -> None:
    net = Net()
    net.ask("client", "local", "one")
    middle = net.after(1).now_ns
    net.ask("client", "local", "two")
    traffic = net.at("client")
    halves = [traffic.between(0, middle), traffic.between(middle, 2**63)]
    assert [[str(one.query.question) for one in half.exchanges] for half in halves] == [["one. A"], ["two. A"]]


def test_what_is_no_message_is_a_problem() -> None:
    net = Net()
    net.ask("client", "local", NAME)
    net.add("local", "client", UDP(sport=53, dport=50001), b"hello")
    net.add("local", "client", UDP(sport=53, dport=50001, len=200), bytes(20))
    traffic = net.at("client")
    assert len(traffic.exchanges) == 1
    assert [problem.frame for problem in traffic.problems] == [6, 8]
    assert "octets has an incomplete header" in traffic.problems[0].text
    assert "the frame holds only 28 of 200 octets of the datagram" in traffic.problems[1].text


def test_other_ports_and_quoted_datagrams_are_no_dns() -> None:
    net = Net()
    net.add("client", "local", UDP(sport=5000, dport=5300), DNS(qd=[DNSQR(qname=NAME)]))
    quoted = IP(src=ADDRESSES["client"], dst=ADDRESSES["local"]) / UDP(sport=5000, dport=53) / bytes(8)
    net.add("local", "client", ICMP(type=3, code=3), quoted)
    assert net.at("client") == DnsTraffic()


@given(st.sets(st.integers(1, 60)), st.sampled_from([0, 1]))
def test_tcp_may_cut_a_message_anywhere(cut: set[int], gap_ms: float) -> None:
    net = Net()
    addresses = [a(NAME, f"10.9.0.{number}") for number in range(1, 5)]
    net.tcp("client", "local", NAME, cut=sorted(cut), gap_ms=gap_ms, answer=addresses)
    traffic = net.at("client")
    (exchange,) = traffic.exchanges
    assert not traffic.problems
    assert not traffic.holes
    assert (exchange.query.transport, exchange.response is not None) == ("tcp", True)
    assert exchange.response is not None
    assert [one.rdata for one in exchange.response.answer] == [f"10.9.0.{number}" for number in range(1, 5)]
    last = [frame for frame in net.capture().at("client") if "PA" in str(frame.packet["TCP"].flags)][-1]
    assert (exchange.response.frame, exchange.response.time_ns) == (last.number, last.time_ns)


def test_a_hole_in_a_tcp_stream_is_no_problem_but_no_evidence() -> None:
    net = Net()
    net.tcp("client", "local", NAME, cut=[20, 40], answer=[a(NAME, "10.9.0.1")])
    at_client = [frame for frame in net.frames if frame.interface == "client"]
    net.frames.remove(at_client[4])
    traffic = net.at("client")
    assert [hole.frame for hole in traffic.holes] == [at_client[0].number]
    assert not traffic.problems
    assert traffic.exchanges[0].response is None


def test_a_tcp_stream_that_ends_inside_a_message_is_a_problem() -> None:
    net = Net()
    net.tcp("client", "local", NAME, cut=[30], answer=[a(NAME, "10.9.0.1")])
    kept = [frame for frame in net.frames if frame.interface == "client"]
    # Without the last segment and the FIN nobody can say that anything is missing.
    net.frames = kept[:-2]
    (problem,) = net.at("client").problems
    assert "30 octets into a message" in problem.text


# A dynamic update (RFC 2136) of example.com., zone class IN, and its records' octets.
ZONE = b"\7example\3com\0\0\6\0\1"
OWNER = b"\1a\xc0\x0c"
DELETE_A = OWNER + bytes.fromhex("0001 00ff 00000000 0000")  # section 2.5.2: class ANY
DELETE_ALL = OWNER + bytes.fromhex("00ff 00ff 00000000 0000")  # section 2.5.3: type and class ANY
NO_NAME = OWNER + bytes.fromhex("00ff 00fe 00000000 0000")  # section 2.4.5: class NONE
NO_MX = OWNER + bytes.fromhex("000f 00fe 00000000 0000")  # section 2.4.3
DELETE_ONE = OWNER + bytes.fromhex("0001 00fe 00000000 0004 0a000001")  # section 2.5.4: class NONE, with RDATA
ADD = OWNER + bytes.fromhex("0001 0001 0000003c 0004 0a000001")  # section 2.5.1


def update(prerequisites: list[bytes], updates: list[bytes], opcode: int = 5, flags: int = 0) -> bytes:
    counts = (1, len(prerequisites), len(updates), 0)
    head = bytes([0, 1, flags << 7 | opcode << 3, 0]) + b"".join(count.to_bytes(2, "big") for count in counts)
    return head + ZONE + b"".join(prerequisites) + b"".join(updates)


def test_an_update_has_records_without_rdata() -> None:
    message = read_message(update([NO_NAME, NO_MX], [DELETE_A, DELETE_ALL, DELETE_ONE, ADD]), CARRIER)
    assert (message.opcode, message.question) == (5, Question("example.com.", "SOA", "IN"))
    found = [(one.name, one.type, one.rclass, one.rdata) for one in message.records]
    assert found == [
        ("a.example.com.", "ALL", "NONE", ""),
        ("a.example.com.", "MX", "NONE", ""),
        ("a.example.com.", "A", "ANY", ""),
        ("a.example.com.", "ALL", "ANY", ""),
        ("a.example.com.", "A", "NONE", "10.0.0.1"),
        ("a.example.com.", "A", "IN", "10.0.0.1"),
    ]


@pytest.mark.parametrize(
    "octets",
    [
        update([], [DELETE_A], opcode=0),  # only an update may have such a record
        update([], [ADD[:-6] + b"\0\0"]),  # class IN without RDATA: RFC 2136 section 3.4.1.2, FORMERR
        update([], [DELETE_A])[:-1],
        update([], [DELETE_A]) + b"\0",
    ],
)
def test_a_record_without_rdata_elsewhere_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_message(octets, CARRIER)


def test_an_update_is_an_exchange_with_its_response() -> None:
    net = Net()
    net.add("client", "local", UDP(sport=5000, dport=53), update([], [DELETE_A, ADD]))
    net.add("local", "client", UDP(sport=53, dport=5000), b"\0\1\xa8\0" + bytes(8))
    traffic = net.at("client")
    (exchange,) = traffic.exchanges
    assert exchange.response is not None
    assert (traffic.problems, traffic.strays) == ((), ())
