"""Fragmented IP datagrams are read as whole ones, in any order of their fragments, and those with a gap are not."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, PadN
from scapy.layers.l2 import Dot1Q, Ether

from lab7.experiments.dns.wire.traffic import dns_exchanges
from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge.fragments import TIMER_NS, is_first_fragment
from lab7.experiments.harness.judge.frames import CaptureFile, Frame, connections, datagrams

V4 = IP(src="10.0.0.1", dst="10.0.0.2", id=7)
QUERY = UDP(sport=5000, dport=53) / DNS(qd=[DNSQR(qname="a." * 90)])
HEAD = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x0800))


V6 = IPv6(src="2001:db8::1", dst="2001:db8::2")
OPTIONS = IPv6ExtHdrDestOpt(nh=44, options=[PadN(optdata=bytes(4))])


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


def ipv6_pieces(size: int = 48, before: Any = None, identification: int = 7) -> list[Any]:
    """Return the fragments of a query over IPv6; `before`: extension headers before the Fragment header."""
    octets = bytes(IPv6(bytes(V6 / QUERY)).payload)
    head = V6 / before if before is not None else IPv6(src=V6.src, dst=V6.dst, nh=44)
    return [
        head
        / IPv6ExtHdrFragment(nh=17, offset=start // 8, m=start + size < len(octets), id=identification)
        / octets[start : start + size]
        for start in range(0, len(octets), size)
    ]


HEAD6 = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x86DD))


@pytest.mark.parametrize("head", [HEAD6, bytes(Ether() / Dot1Q(vlan=7, type=0x86DD))])
@pytest.mark.parametrize("before", [None, OPTIONS])
def test_an_ipv6_datagram_is_whole_whatever_the_order_of_its_fragments(head: bytes, before: Any) -> None:
    parts = ipv6_pieces(before=before)
    for order in (parts, parts[::-1], [parts[1], *parts]):
        (whole,) = datagrams(frames(*order, head=head))
        assert whole.udp is not None
        assert (whole.udp.source.address, whole.udp.target.port) == ("2001:db8::1", 53)
        assert bytes(whole.packet[UDP]) == bytes(IPv6(bytes(V6 / QUERY))[UDP])
        assert whole.packet[IPv6].plen == len(whole.data) - len(head) - 40


def test_ipv6_fragments_that_are_missing_overlap_or_belong_to_another_datagram_are_no_datagram() -> None:
    first, *rest = ipv6_pieces()
    other = ipv6_pieces(identification=8)[0]
    overlapping = ipv6_pieces(64)[0]
    for parts in (rest, [other, *rest], [overlapping, *rest]):
        assert not list(datagrams(frames(*parts, head=HEAD6)))
    assert not list(datagrams([replace(one, data=one.data[:-1]) for one in frames(first, *rest, head=HEAD6)]))


def test_the_first_of_several_fragments_is_recognised() -> None:
    fragments = [[HEAD + bytes(part) for part in pieces(V4 / QUERY)], [HEAD6 + bytes(part) for part in ipv6_pieces()]]
    for parts in fragments:
        assert [is_first_fragment(part) for part in parts] == [True] + [False] * (len(parts) - 1)
    whole = [HEAD + bytes(V4 / QUERY), HEAD6 + bytes(V6 / QUERY), HEAD6 + bytes(ipv6_pieces(1000)[0]), HEAD6, b""]
    assert not any(map(is_first_fragment, whole))


def test_an_ipv6_packet_whose_only_fragment_is_the_whole_is_read_at_once() -> None:
    (atomic,) = ipv6_pieces(1000)
    found = list(datagrams(frames(ipv6_pieces()[0], atomic, head=HEAD6)))
    assert [one.number for one in found] == [2]
    assert DNS in found[0].packet
