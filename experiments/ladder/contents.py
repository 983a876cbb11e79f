"""Summary of the packets of a capture by protocol, shown if a ladder diagram would have no message.

    contents(captured.frames)       -> "14 packets: UDP port 123 (12); ARP (2)"

A UDP datagram counts by the lower of its two ports, as servers have the lower one. A tunnelled packet counts by the
tunnel's protocol, because packets inside of tunnels are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from lab7.experiments.harness.judge.fragments import Reassembler, after_tags, ipv4_offset, ipv6_offset
from lab7.experiments.harness.judge.frames import Frame

KINDS_MAX = 4
_INSIDE = "whose inner packets are not read"
# Names of EtherTypes (IEEE 802 numbers), of IP's protocol numbers and of the ports of tunnels (IANA).
ETHERTYPES = {
    0x0800: "incomplete IPv4",
    0x0806: "ARP",
    0x86DD: "incomplete IPv6",
    0x8847: "MPLS",
    0x8863: "PPPoE discovery",
    0x8864: "PPPoE",
    0x888E: "EAPOL",
    0x88CC: "LLDP",
}
PROTOCOLS = {
    1: "ICMP",
    2: "IGMP",
    4: f"IPv4 in IP, {_INSIDE}",
    6: "TCP with an incomplete header",
    17: "UDP with an incomplete header",
    41: f"IPv6 in IP, {_INSIDE}",
    47: f"GRE, {_INSIDE}",
    50: "ESP",
    51: "AH",
    58: "ICMPv6",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    132: "SCTP",
}
TUNNEL_PORTS = {1701: "L2TP", 2152: "GTP", 3544: "Teredo", 4789: "VXLAN"}
IPV4_PROTOCOL_AT, IPV6_NEXT_HEADER_AT, ETHERTYPE_MIN = 9, 6, 0x0600


def contents(frames: Iterable[Frame]) -> str:
    """Return a text with the number of packets, in total and of each kind; the most frequent kinds come first."""
    counts = Counter(map(kind, frames))
    total = counts.total()
    packets = "1 packet" if total == 1 else f"{total:,} packets"
    if len(counts) == 1:
        return f"{packets}: {next(iter(counts))}"
    named = [f"{name} ({count:,})" for name, count in counts.most_common(KINDS_MAX)]
    others = total - sum(count for _, count in counts.most_common(KINDS_MAX))
    return f"{packets}: " + "; ".join([*named, *([f"others ({others:,})"] if others else [])])


def kind(frame: Frame) -> str:
    """Return the kind of a frame's packet as text: its protocol, and for UDP the lower port."""
    data = frame.data
    if Reassembler().add(data, frame.time_ns) is not data:
        return "fragments of IP datagrams"
    if frame.tcp is not None:
        return "TCP"
    if (udp := frame.udp) is not None:
        ports = (udp.source.port, udp.target.port)
        tunnel = next((TUNNEL_PORTS[port] for port in ports if port in TUNNEL_PORTS), None)
        return f"UDP port {min(ports)}" if tunnel is None else f"{tunnel}, {_INSIDE}"
    if at := ipv4_offset(data):
        return _protocol(data[at + IPV4_PROTOCOL_AT])
    if at := ipv6_offset(data):
        return _protocol(data[at + IPV6_NEXT_HEADER_AT])
    at = after_tags(data)
    number = int.from_bytes(data[at : at + 2], "big")
    if number < ETHERTYPE_MIN:
        return "IEEE 802.2" if len(data) > at + 2 else "less than an Ethernet header"
    return ETHERTYPES.get(number, f"EtherType 0x{number:04x}")


def _protocol(number: int) -> str:
    return PROTOCOLS.get(number, f"IP protocol {number}")
