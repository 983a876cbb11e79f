"""Summaries of frames: what is shown of each protocol, and that no octets raise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from lab7.experiments.view.summary import TEXT_MAX, Summary, summarise

ETHER = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
A_TO_B = ETHER / IP(src="10.0.0.1", dst="10.0.0.2")
SEGMENT = TCP(sport=40000, dport=80, flags="PA")
QUESTION = DNSQR(qname="www.example.com")
ANSWER = DNSRR(rrname="www.example.com", rdata="1.2.3.4")


def seen(packet: Any) -> Summary:
    return summarise(bytes(packet))


@pytest.mark.parametrize(
    ("packet", "protocol", "text"),
    [
        (A_TO_B / TCP(sport=40000, dport=80, flags="S"), "tcp", "SYN"),
        (A_TO_B / TCP(sport=80, dport=40000, flags="FA"), "tcp", "FIN, ACK"),
        (A_TO_B / SEGMENT / b"GET /a HTTP/1.1\r\nHost: b\r\n\r\n", "http", "GET /a HTTP/1.1"),
        (A_TO_B / TCP(sport=8080, dport=40000) / b"HTTP/1.1 404 Not Found\r\n", "http", "HTTP/1.1 404 Not Found"),
        (A_TO_B / SEGMENT / b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http", "HTTP/2 connection preface"),
        (A_TO_B / TCP(sport=40000, dport=25) / b"MAIL FROM:<a@b>\r\n", "smtp", "MAIL FROM:<a@b>"),
        (A_TO_B / TCP(sport=21, dport=40000) / b"220 ready\r\n", "ftp", "220 ready"),
        (A_TO_B / SEGMENT / b"\x00\x01\x02", "tcp", "data, 3 octets"),
        (A_TO_B / UDP(sport=40000, dport=53) / DNS(qd=QUESTION), "dns", "www.example.com. A?"),
        (
            A_TO_B / UDP(sport=53, dport=40000) / DNS(qr=1, qd=QUESTION, an=ANSWER),
            "dns",
            "www.example.com. A: A 1.2.3.4",
        ),
        (A_TO_B / UDP(sport=53, dport=40000) / DNS(qr=1, rcode=3, qd=QUESTION), "dns", "www.example.com. A: NXDOMAIN"),
        (A_TO_B / UDP(sport=53, dport=40000) / DNS(qr=1, qd=QUESTION), "dns", "www.example.com. A: no data"),
        (A_TO_B / UDP(sport=1, dport=2) / b"abc", "udp", "3 octets"),
        (A_TO_B / ICMP(type=8, seq=3), "icmp", "echo request, seq 3"),
        (ETHER / Dot1Q(vlan=3) / IP() / ICMP(type=0, seq=1), "icmp", "echo reply, seq 1"),
        (ETHER / ARP(op=1, psrc="10.0.0.1", pdst="10.0.0.2"), "arp", "who has 10.0.0.2? tell 10.0.0.1"),
        (ETHER / IP(frag=5) / b"abc", "ip", "fragment"),
        (Ether(type=0x88CC) / b"abc", "ethernet", "type 0x88cc"),
    ],
    ids=str,
)  # fmt: skip
def test_a_frame_is_summarised_in_a_line(packet: Any, protocol: str, text: str) -> None:
    found = seen(packet)
    assert (found.protocol, found.text) == (protocol, text)


def test_ends_have_address_and_port() -> None:
    found = seen(A_TO_B / SEGMENT)
    assert (found.source, found.target) == ("10.0.0.1:40000", "10.0.0.2:80")
    found = seen(ETHER / IPv6(src="2001:db8::1", dst="2001:db8::2") / TCP(sport=1, dport=2))
    assert (found.source, found.target) == ("[2001:db8::1]:1", "[2001:db8::2]:2")


def test_octets_of_strangers_neither_steer_a_terminal_nor_are_long() -> None:
    text = seen(A_TO_B / SEGMENT / (b"GET /\x1b[2J" + b"a" * 500 + b" HTTP/1.1\r\n")).text
    assert "\x1b" not in text
    assert len(text) <= TEXT_MAX


@given(st.binary(max_size=120), st.integers(0, 60))
def test_no_octets_raise(octets: bytes, cut: int) -> None:
    summarise(octets)
    summarise(bytes(ETHER)[:14] + octets)
    whole = bytes(A_TO_B / UDP(sport=53, dport=53) / DNS(qd=QUESTION))
    summarise(whole[:cut] + octets)
