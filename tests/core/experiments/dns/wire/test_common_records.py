"""Common DNS messages: dnspython's reading is the same as scapy's, and all else is left to scapy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRMX, DNSRROPT, DNSRRSOA

from lab7.experiments.dns.wire import messages
from lab7.experiments.dns.wire.common_records import parse_common
from lab7.experiments.dns.wire.messages import Carrier, MalformedMessage, read_message
from lab7.experiments.harness.judge.frames import read_capture

CARRIER = Carrier(1, 0, "10.0.0.1", 4000, "10.0.0.2", 53, "udp")
CAPTURES = Path(__file__).parents[2] / "ladder" / "captures"
LABEL = st.text("abcxyzABC019-_", min_size=1, max_size=12)
NAMES = st.lists(LABEL, max_size=4).map(lambda labels: "".join(f"{label}." for label in labels) or ".")
TTLS = st.sampled_from((0, 1, 300, 2**31 - 1, 2**31, 2**32 - 1))
NUMBER = st.integers(0, 2**32 - 1)


def record(kind: str, value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(DNSRR, rrname=NAMES, type=st.just(kind), ttl=TTLS, rdata=value)


RECORDS = st.one_of(
    record("A", st.ip_addresses(v=4).map(str)),
    record("AAAA", st.ip_addresses(v=6).map(str)),
    *(record(kind, NAMES) for kind in ("NS", "CNAME", "PTR")),
    record("TXT", st.just([b"text"])),
    st.builds(DNSRRMX, rrname=NAMES, ttl=TTLS, preference=st.integers(0, 65535), exchange=NAMES),
    st.builds(DNSRRSOA, rrname=NAMES, ttl=TTLS, mname=NAMES, rname=NAMES, serial=NUMBER, minimum=NUMBER),
)
OPTS = st.builds(DNSRROPT, rclass=st.integers(0, 65535), extrcode=st.integers(0, 255), z=st.sampled_from((0, 0x8000)))
BIT = st.integers(0, 1)
MESSAGES = st.builds(
    DNS,
    id=st.integers(0, 65535),
    **dict.fromkeys(("qr", "aa", "tc", "rd", "ra", "z", "ad", "cd"), BIT),
    opcode=st.sampled_from((0, 0, 0, 2, 4)),
    rcode=st.integers(0, 15),
    qd=st.lists(st.builds(DNSQR, qname=NAMES, qtype=st.sampled_from((1, 15, 28, 255, 999))), max_size=2),
    an=st.lists(RECORDS, max_size=3),
    ns=st.lists(RECORDS, max_size=2),
    ar=st.one_of(st.lists(RECORDS, max_size=2), st.lists(OPTS, min_size=1, max_size=1)),
).map(bytes)


def both(octets: bytes) -> tuple[object, object]:
    """Read octets as `read_message` does, and by scapy alone."""
    found: list[object] = []
    for read in (read_message, messages._by_scapy):
        try:
            found.append(read(octets, CARRIER))
        except MalformedMessage as error:
            found.append(str(error))
    return found[0], found[1]


@given(MESSAGES)
def test_both_readers_read_the_same(octets: bytes) -> None:
    ours, scapys = both(octets)
    assert ours == scapys


@given(MESSAGES, st.data())
def test_both_readers_refuse_the_same(octets: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(octets) - 1))
    damaged = data.draw(st.sampled_from((octets[:place], octets + b"\0", octets[:12] + octets[13:])))
    ours, scapys = both(damaged)
    assert ours == scapys


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURES.glob("dns-*.pcap")))
def test_messages_of_bind_are_read_the_same(name: str) -> None:
    frames = [frame for frame in read_capture(CAPTURES / name).frames if frame.udp is not None]
    for frame in frames:
        assert frame.udp is not None
        ours, scapys = both(frame.udp.payload)
        assert ours == scapys


def test_a_common_answer_needs_no_scapy(monkeypatch: pytest.MonkeyPatch) -> None:
    octets = bytes(DNS(id=7, qr=1, qd=DNSQR(qname="www.example.com"), an=[DNSRR(rrname="www.example.com", ttl=5)]))
    monkeypatch.setattr(messages, "_by_scapy", None)
    assert read_message(octets, CARRIER).question == messages.Question("www.example.com.", "A")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0\7",
        bytes(DNS(opcode=5, qd=DNSQR(qname="example.com"))),
        bytes(DNS(qr=1, qd=DNSQR(qname="a.b"), an=[DNSRR(rrname="a.b", type="TXT", rdata=b"text")])),
        bytes(DNS(qr=1, qd=DNSQR(qname="a.b"), an=[DNSRR(rrname="a.b", ttl=2**31)])),
        bytes(DNS(qd=[DNSQR(qname="a.b"), DNSQR(qname="a.c")])),
    ],
)
def test_what_is_not_common_is_left_to_scapy(octets: bytes) -> None:
    assert parse_common(octets) is None
