"""Frames dissected as far as a judge needs: the same headers as scapy finds in the whole frame."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from experiments.harness.judge import frames
from experiments.harness.judge.frames import Frame

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
def test_headers_and_protocols_are_those_of_the_whole_frame(packet: Any) -> None:
    one = frame(packet)
    whole, headers = Ether(one.data), one.headers
    for layer in (IP, IPv6, UDP, TCP):
        assert (layer in headers) == (layer in whole)
        if layer in whole:
            there, here = whole[layer].fields, headers[layer].fields
            assert here == there
    for protocol, layer in ((frames.UDP_PROTOCOL, UDP), (frames.TCP_PROTOCOL, TCP)):
        assert one.may_carry(protocol) or layer not in whole


def test_what_a_datagram_carries_is_not_dissected() -> None:
    for network in (V4, IPv6()):
        one = frame(network / UDP_53)
        assert not one.headers[UDP].payload
        assert not one.may_carry(frames.TCP_PROTOCOL)
        assert not frame(network / TCP()).may_carry(frames.UDP_PROTOCOL)


@pytest.mark.parametrize("length", [14, 20, 33, 34, 41])
def test_a_frame_that_is_cut_short_is_read_as_far_as_it_goes(length: int) -> None:
    data = bytes(Ether() / V4 / UDP_53)[:length]
    one = Frame(1, "a:a-eth0", 0, data, 100)
    assert one.headers is one.packet
    one.may_carry(frames.UDP_PROTOCOL)
