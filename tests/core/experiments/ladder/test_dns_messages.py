"""Ladders of DNS messages that are malformed, captured in part, in fragments, or at other ports than 53."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import Ether

from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.ladder.ladder import Arrow, ladder_of
from tests.core.experiments.harness.wire import CLIENT, SERVER, Tcp, Wire
from tests.core.experiments.ladder.wire import datagram

NAME = "www.example.com."
ASKED = [DNSQR(qname=NAME, qtype="A")]
QUERY = bytes(DNS(id=7, rd=1, qd=ASKED))
ANSWER = bytes(DNS(id=7, qr=1, qd=ASKED, an=[DNSRR(rrname=NAME, type="A", rdata="192.0.2.80", ttl=60)]))
# The name of the record is a pointer to itself.
LOOP = QUERY[:7] + b"\1" + QUERY[8:] + b"\xc0\x21\0\1\0\1\0\0\0\0\0\4\xc0\0\2\1"


def to_server(payload: bytes, port: int = 53) -> bytes:
    return datagram(payload, ports=(5000, port))


def to_client(payload: bytes, port: int = 53) -> bytes:
    return datagram(payload, SERVER, CLIENT, (port, 5000))


def frames(*datas: bytes) -> CaptureFile:
    """Return a capture of frames, 1 ms apart."""
    found = tuple(Frame(number, "a", number * 10**6, data, len(data)) for number, data in enumerate(datas, 1))
    return CaptureFile(found, {"a": InterfaceCounts(len(found), 0)})


def dns(captured: CaptureFile) -> list[str]:
    return [_shown(arrow) for arrow in ladder_of(captured).arrows if arrow.protocol == "dns"]


def _shown(arrow: Arrow) -> str:
    return f"{'<' if arrow.response else '>'} {arrow.label}"


@pytest.mark.parametrize(
    ("octets", "shown"),
    [
        (ANSWER[:-1], "< malformed: www.example.com. A"),
        (ANSWER + b"x", "< malformed: www.example.com. A"),
        (ANSWER[:20], "< malformed: response"),
        (ANSWER[:1], "< malformed: response"),
        (QUERY[:-2], "> malformed: query"),
    ],
)
def test_a_malformed_message_is_an_arrow_with_its_question_if_that_is_whole(octets: bytes, shown: str) -> None:
    assert dns(frames(to_server(QUERY), to_client(octets))) == ["> www.example.com. A?", shown]


def test_a_message_that_was_captured_in_part_is_an_arrow() -> None:
    whole = frames(to_server(QUERY), to_client(ANSWER))
    asked, answered = whole.frames
    cut = (replace(asked, data=asked.data[:50]), replace(answered, data=answered.data[:80]))
    assert dns(replace(whole, frames=cut)) == ["> captured in part: query", "< captured in part: www.example.com. A"]


def test_a_stream_that_ends_within_a_message_has_its_beginning_as_an_arrow(tmp_path: Path) -> None:
    wire = Wire()
    connection = Tcp(wire, server_port=53).open()
    connection.client("PA", len(QUERY).to_bytes(2, "big") + QUERY)
    connection.server("PA", len(ANSWER).to_bytes(2, "big") + ANSWER[:-4])
    connection.close()
    assert dns(wire.capture(tmp_path)) == ["> www.example.com. A?", "< malformed: www.example.com. A"]


def ipv6_fragments() -> list[bytes]:
    ends = {"src": "2001:db8::2", "dst": "2001:db8::1"}
    octets = bytes(IPv6(bytes(IPv6(**ends) / UDP(sport=53, dport=5000) / ANSWER)).payload)
    first = IPv6ExtHdrFragment(nh=17, offset=0, m=1, id=1) / octets[:48]
    second = IPv6ExtHdrFragment(nh=17, offset=6, id=1) / octets[48:]
    return [bytes(Ether() / IPv6(**ends) / part) for part in (first, second)]


def ipv4_fragments() -> list[bytes]:
    return [bytes(part) for part in fragment(Ether(to_client(ANSWER)), fragsize=48)]


@pytest.mark.parametrize("parts", [ipv4_fragments(), ipv6_fragments()])
def test_a_response_in_fragments_is_an_arrow_and_its_first_fragment_alone_is_one_too(parts: list[bytes]) -> None:
    assert dns(frames(*parts)) == ["< www.example.com. A 192.0.2.80"]
    assert dns(frames(*parts[::-1])) == ["< www.example.com. A 192.0.2.80"]
    assert dns(frames(*parts[:1])) == ["< captured in part: www.example.com. A"]
    assert dns(frames(*parts[1:])) == []


@pytest.mark.parametrize("port", [443, 8053])
def test_a_server_at_another_port_is_recognised_by_its_response(port: int) -> None:
    lost = bytes(DNS(id=9, qd=[DNSQR(qname="lost.example.com.", qtype="A")]))
    captured = frames(
        to_server(QUERY, port), to_client(ANSWER, port), to_server(lost, port), to_server(b"x" * 40, port)
    )
    assert dns(captured) == ["> www.example.com. A?", "< www.example.com. A 192.0.2.80", "> lost.example.com. A?"]


@pytest.mark.parametrize("port", [5353, 5355])
def test_multicast_dns_and_llmnr_are_other_protocols(port: int) -> None:
    assert dns(frames(to_server(QUERY, port), to_client(ANSWER, port))) == []


def test_datagrams_at_other_ports_without_a_matching_pair_are_no_dns() -> None:
    other = bytes(DNS(id=8, qr=1, qd=ASKED))
    assert dns(frames(to_server(QUERY, 8053), to_client(other, 8053), to_client(QUERY, 8053))) == []


def test_a_loop_of_compression_pointers_prints_no_warning() -> None:
    program = f"""
from lab7.experiments.dns.wire.messages import Carrier, MalformedMessage, read_message
try:
    read_message({LOOP!r}, Carrier(1, 0, "a", 1, "b", 2, "udp"))
except MalformedMessage:
    pass
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
