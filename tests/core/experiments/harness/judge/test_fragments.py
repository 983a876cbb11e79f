"""Fragmented IPv4 datagrams are read as whole ones, in any order of their fragments, and those with a gap are not."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.l2 import Dot1Q, Ether

from lab7.experiments.dns.wire.traffic import dns_exchanges
from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge.fragments import TIMER_NS
from lab7.experiments.harness.judge.frames import CaptureFile, Frame, connections, datagrams

V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=7)
QUERY = UDP(sport=5000, dport=53) / DNS(qd=[DNSQR(qname="a." * 90)])
HEAD = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x0800))


def frames(*packets: Any, head: bytes = HEAD, every_ns: int = 1000) -> list[Frame]:
    octets = [head + bytes(packet) for packet in packets]
    return [Frame(number, "a", number * every_ns, data, len(data)) for number, data in enumerate(octets, 1)]


def pieces(packet: Any, size: int = 48) -> list[Any]:
    return fragment(IP(bytes(packet)), fragsize=size)  # type: ignore[no-any-return]


@given(st.randoms(use_true_random=False), st.integers(8, 200), st.booleans())
def test_a_datagram_is_whole_whatever_the_order_of_its_fragments(random: Random, size: int, repeated: bool) -> None:
    packet = V4 / QUERY
    parts = pieces(packet, size)
    if repeated:
        parts.insert(0, random.choice(parts))
    random.shuffle(parts)
    found = [one.packet for one in datagrams(frames(*parts))]
    # A copy that comes after its datagram begins one that is never whole.
    (whole,) = found
    assert bytes(whole[UDP]) == bytes(packet[UDP])
    assert (whole[IP].src, whole[IP].len) == ("10.0.0.1", len(packet))


def test_options_and_vlan_tags_do_not_hide_fragments() -> None:
    packet = IP(src="10.0.0.1", dst="10.0.0.2", options=[IPOption_NOP()] * 4) / QUERY
    tagged = bytes(Ether() / Dot1Q(vlan=7, type=0x0800))
    (whole,) = datagrams(frames(*pieces(packet), head=tagged))
    assert bytes(whole.packet[UDP]) == bytes(IP(bytes(packet))[UDP])
    assert whole.packet[Dot1Q].vlan == 7


def test_a_datagram_with_a_missing_fragment_is_left_out() -> None:
    parts = pieces(V4 / QUERY)
    for missing in range(len(parts)):
        assert not list(datagrams(frames(*parts[:missing], *parts[missing + 1 :])))


def test_an_identification_that_is_used_again_later_is_another_datagram() -> None:
    first, *rest = pieces(V4 / QUERY)
    assert not list(datagrams(frames(first, *rest[:-1], rest[-1], every_ns=TIMER_NS)))
    assert len(list(datagrams(frames(first, *rest)))) == 1


def test_other_frames_pass_in_their_order() -> None:
    others = [V4 / UDP() / b"one", IP(flags="DF") / TCP(), V4 / UDP() / b"two"]
    assert list(datagrams(frames(*others))) == frames(*others)
    parts = pieces(V4 / QUERY, 150)
    mixed = [*parts[:1], others[0], *parts[1:], others[1]]
    assert [one.number for one in datagrams(frames(*mixed))] == [2, len(parts) + 1, len(parts) + 2]


def test_more_octets_than_a_datagram_may_have_are_none() -> None:
    last = IP(src="10.0.0.1", dst="10.0.0.2", id=7, frag=8191, proto=17) / bytes(100)
    first = IP(src="10.0.0.1", dst="10.0.0.2", id=7, flags="MF", proto=17) / bytes(1000)
    assert not list(datagrams(frames(first, last)))


def test_a_query_in_fragments_is_one_query_and_no_problem() -> None:
    answer = UDP(sport=53, dport=5000) / DNS(qr=1, qd=[DNSQR(qname="a." * 90)])
    back = IP(src="10.0.0.2", dst="10.0.0.1", id=9) / answer
    capture = CaptureFile(tuple(frames(*pieces(V4 / QUERY), *pieces(back))), {"a": InterfaceCounts(0, 0)})
    traffic = dns_exchanges(capture, "a")
    (exchange,) = traffic.exchanges
    assert exchange.response is not None
    assert (traffic.problems, traffic.holes, traffic.strays) == ((), (), ())


@pytest.mark.parametrize("size", [24, 100])
def test_segments_in_fragments_are_those_of_a_connection(size: int) -> None:
    there = {"sport": 5000, "dport": 80}
    parts = [V4 / TCP(**there, seq=10, flags="S")]
    parts += pieces(V4 / TCP(**there, seq=11, flags="PA") / bytes(range(200)), size)
    (connection,) = connections(frames(*parts))
    assert connection.from_client.stream.data == bytes(range(200))
    assert connection.whole
