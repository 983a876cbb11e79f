"""Frames dissected as far as a judge needs: the same headers as scapy finds in the whole frame."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Padding, Raw

from lab7.experiments.dns.wire.traffic import dns_exchanges
from lab7.experiments.ftp.wire.sessions import ftp_traffic
from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge import frames
from lab7.experiments.harness.judge.frames import CaptureFile, Endpoint, Frame, TcpSegment, connections
from lab7.experiments.http.wire.page_load import page_load
from lab7.experiments.mail.wire.imap import imap_traffic
from lab7.experiments.mail.wire.pop3 import pop3_traffic
from lab7.experiments.mail.wire.smtp import smtp_traffic

AT = "a:a-eth0"

UDP_53 = UDP(sport=5000, dport=53) / Raw(b"\1\2" + bytes(40))
V4 = IP(src="10.0.0.1", dst="10.0.0.2")


def frame(packet: Any) -> Frame:
    data = bytes(Ether() / packet)
    return Frame(1, "a:a-eth0", 0, data, len(data))


@pytest.mark.parametrize(
    "packet",
    [
        V4 / UDP_53,
        IP(options=b"\1\1\1\1") / UDP_53,
        IP(flags="DF") / UDP_53,
        IP(flags="MF") / UDP_53,
        IP(frag=3, proto=17) / Raw(bytes(60)),
        IP(proto=17) / Raw(b"\0\1"),
        IPv6() / UDP_53,
        IPv6() / IPv6ExtHdrDestOpt() / UDP_53,
        IPv6() / IPv6ExtHdrFragment(m=1) / UDP_53,
        IPv6(nh=17) / Raw(b"\0\1"),
        IPv6() / TCP(dport=53),
        IPv6() / ICMPv6EchoRequest(),
        Dot1Q(vlan=7) / V4 / UDP_53,
        V4 / TCP(dport=53),
        V4 / ICMP(),
        ARP(),
    ],
    ids=str,
)
def test_datagrams_and_protocols_are_those_that_scapy_finds(packet: Any) -> None:
    one = frame(packet)
    whole = Ether(one.data)
    assert (one.udp is not None) == (UDP in whole)
    if one.udp is not None:
        network, udp = frames.network_layer(whole), whole[UDP]
        assert (one.udp.source, one.udp.target) == (Endpoint(network.src, udp.sport), Endpoint(network.dst, udp.dport))
        assert one.udp.length == udp.len
        assert one.udp.payload.startswith(bytes(udp.payload))
    for protocol, layer in ((frames.UDP_PROTOCOL, UDP), (frames.TCP_PROTOCOL, TCP)):
        assert one.may_carry(protocol) or layer not in whole


@pytest.mark.parametrize("network", [V4, IPv6(), Dot1Q(vlan=7) / V4], ids=str)
def test_a_datagram_needs_no_dissection(network: Any) -> None:
    one = frame(network / UDP_53)
    assert one.udp is not None
    assert "packet" not in vars(one)
    assert frame(network / TCP()).udp is None


@pytest.mark.parametrize("length", [14, 20, 33, 34, 41])
def test_a_frame_that_is_cut_short_has_no_datagram(length: int) -> None:
    data = bytes(Ether() / V4 / UDP_53)[:length]
    one = Frame(1, "a:a-eth0", 0, data, 100)
    assert one.udp is None
    one.may_carry(frames.UDP_PROTOCOL)


def read_by_all(*octets: bytes, cut: int = 0) -> None:
    """Every reader of a capture; `cut` octets of each frame were not captured."""
    every = [Frame(number, AT, number, data, len(data) + cut) for number, data in enumerate(octets, 1)]
    capture = CaptureFile(tuple(every), {AT: InterfaceCounts(len(every), 0)})
    for connection in connections(every):
        assert connection.from_client.stream.data is not None
    dns_exchanges(capture, AT)
    page_load(capture, AT)
    ftp_traffic(capture, AT)
    smtp_traffic(capture, AT)
    pop3_traffic(capture, AT)
    imap_traffic(capture, AT)


@pytest.mark.parametrize("length", range(61))
def test_a_frame_of_any_length_is_read(length: int) -> None:
    for packet in (
        V4 / UDP_53,
        V4 / TCP(dport=80, flags="S") / bytes(20),
        IPv6() / UDP_53,
        Dot1Q(vlan=7) / V4 / UDP_53,
    ):
        data = bytes(Ether() / packet)
        read_by_all(data[:length])
        read_by_all(data[:length], cut=len(data) - length)
        Frame(1, AT, 0, data[:length], length).packet.show2(dump=True)


@given(st.lists(st.binary(max_size=90), max_size=3))
def test_any_octets_are_frames(octets: list[bytes]) -> None:
    read_by_all(*octets)


TCP_AND_UDP = [
    bytes(Ether() / V4 / TCP(sport=40000, dport=port, flags="S", seq=9)) for port in (21, 25, 53, 80, 110, 143)
] + [
    bytes(Ether() / V4 / TCP(sport=40000, dport=port, flags="PA", seq=10) / b"a1 GET / X 1\r\n\r\n")
    for port in (21, 25, 53, 80, 110, 143)
]


@given(
    octets=st.lists(st.sampled_from([*TCP_AND_UDP, bytes(Ether() / V4 / UDP_53)]), max_size=6),
    changes=st.lists(st.tuples(st.integers(12, 80), st.integers(0, 255)), max_size=8),
)
def test_damaged_headers_are_frames(octets: list[bytes], changes: list[tuple[int, int]]) -> None:
    damaged = [bytearray(data) for data in octets]
    for number, (place, value) in enumerate(changes):
        if damaged:
            data = damaged[number % len(damaged)]
            data[place % len(data)] = value
    read_by_all(*map(bytes, damaged))


def test_a_datagram_and_a_stream_captured_in_part_are_a_hole_and_no_violation() -> None:
    query = bytes(Ether() / V4 / UDP_53)
    cut = [Frame(1, AT, 0, query[:50], len(query))]
    traffic = dns_exchanges(CaptureFile(tuple(cut), {AT: InterfaceCounts(1, 0)}), AT)
    assert traffic.gap == "frame 1 was captured incompletely"
    assert traffic.violation is None
    there = {"sport": 5000, "dport": 80}
    octets = [
        bytes(Ether() / V4 / TCP(**there, flags="S", seq=9)),
        bytes(Ether() / V4 / TCP(**there, flags="PA", seq=10) / b"GET /"),
    ]
    first, last = (Frame(number, AT, 0, data, len(data)) for number, data in enumerate(octets, 1))
    (whole,) = connections([first, last])
    (part,) = connections([first, Frame(2, AT, 0, octets[1][:-2], len(octets[1]))])
    assert (whole.whole, part.whole) == (True, False)


def test_padding_and_a_frame_check_sequence_that_were_not_captured_are_no_hole() -> None:
    data = bytes(Ether() / V4 / UDP(sport=5000, dport=53) / b"four")
    assert not Frame(1, AT, 0, data, 64).truncated
    assert Frame(1, AT, 0, data[:-1], 64).truncated


def by_scapy(one: Frame) -> TcpSegment | None:
    """Return the TCP segment as scapy's dissection of the whole frame has it."""
    if not one.may_carry(frames.TCP_PROTOCOL):
        return None
    return frames._segment_by_scapy(one.packet)


TCP_80 = TCP(sport=40000, dport=80, seq=2**32 - 1, ack=7, flags="PA", options=[("NOP", None), ("MSS", 1460)])
V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")


@pytest.mark.parametrize(
    "packet",
    [
        V4 / TCP_80 / Raw(b"GET /"),
        V4 / TCP(flags="SEC"),
        IP(options=b"\1\1\1\1") / TCP_80 / Raw(b"x" * 1000),
        V4 / TCP_80 / Raw(b"x") / Padding(b"\0" * 9),
        Dot1Q(vlan=3) / V4 / TCP_80 / Raw(b"x"),
        Dot1Q(vlan=3) / Dot1Q(vlan=4) / V6 / TCP_80 / Raw(b"x"),
        V6 / TCP_80 / Raw(b"hello"),
        V6 / IPv6ExtHdrDestOpt() / TCP_80 / Raw(b"hello"),
        IP(frag=3, proto=6) / Raw(bytes(40)),
        IP(flags="MF") / TCP_80 / Raw(b"x"),
        IP(len=0) / TCP_80 / Raw(b"x"),
        IP(len=30) / TCP_80 / Raw(b"x"),
        IP(ihl=3) / TCP_80,
        V4 / TCP(dataofs=2) / Raw(b"abc"),
        V4 / TCP(dataofs=15) / Raw(b"abc"),
        V4 / UDP_53,
        ARP(),
    ],
)
def test_a_tcp_segment_is_unpacked_as_scapy_dissects_it(packet: Any) -> None:
    whole = frame(packet)
    assert whole.tcp == by_scapy(whole)
    for length in range(len(whole.data)):
        cut = Frame(1, AT, 0, whole.data[:length], len(whole.data))
        assert cut.tcp == by_scapy(cut), length


@given(st.binary(max_size=120), st.sampled_from([b"\x08\0", b"\x86\xdd", b"\x81\0\0\1\x08\0"]))
def test_a_tcp_segment_of_any_octets_is_that_of_scapy(octets: bytes, kind: bytes) -> None:
    one = Frame(1, AT, 0, bytes(12) + kind + octets, 200)
    assert one.tcp == by_scapy(one)
