"""Journeys of packets through a capture of several interfaces: frame at the sender, frame at the receiver, or loss.

    journeys = Journeys(captured)
    journeys.of(17)            -> Journey(sent=<frame 17>, received=<frame 21>, lost=False)     # by frame number
    journeys.host("10.0.0.1")  -> "client"

Two frames are the same packet if their octets from the IP header on are equal, apart from the fields that routers and
network cards change: TTL (hop limit), DSCP and ECN, and checksums. Several equal packets (repeated datagrams) are
matched in order. In lab7's captures, the label of an interface is HOST:INTERFACE. An address belongs to the host at
which packets from the address are captured first, or packets to it last, unless the topology of the run names the host.
In a capture of one interface, every packet is sent and received at the same time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

from lab7.experiments.harness.judge.fragments import ipv4_offset, ipv6_offset
from lab7.experiments.harness.judge.frames import TCP_PROTOCOL, UDP_PROTOCOL, CaptureFile, Frame

IPV6_HEADER_BYTES = 40
# Offset of the checksum in the header of a transport protocol (RFC 9293 section 3.1, RFC 768).
CHECKSUM_AT = {TCP_PROTOCOL: 16, UDP_PROTOCOL: 6}


@dataclass(frozen=True)
class Journey:
    """Frames of one packet: at the sender's interface, and at the receiver's (None: not captured there).

    `lost`: the receiver's interface was captured, and the packet did not arrive. A packet that left less than the
    longest journey time before the end of the capture may still have been on its way, and does not count as lost.
    """

    sent: Frame
    received: Frame | None
    lost: bool = False


class Journeys:
    """Journeys of all packets of a capture, keyed by frame number, and the host of each IP address."""

    def __init__(self, captured: CaptureFile) -> None:
        self._captured = captured
        self._frames = {frame.number: frame for frame in captured.frames}
        self._places: dict[int, tuple[Frame, ...]] = {}
        self._ends: dict[int, tuple[str, str]] = {}
        groups = self._groups()
        self.hosts = self._hosts_of(groups)
        for frames in groups:
            for frame in frames:
                self._places[frame.number] = frames
        self._captured_hosts = {host_of(interface) for interface in captured.counts}
        self._longest_ns = max((frames[-1].time_ns - frames[0].time_ns for frames in groups), default=0)
        self._end_ns = max((frame.time_ns for frame in captured.frames), default=0)

    def host(self, address: str) -> str:
        """Return the host that has an address; the address itself if the host is unknown."""
        return self.hosts.get(address) or self._captured.host_names.get(address, address)

    def ends(self, number: int) -> tuple[str, str] | None:
        """Return source and destination address of the packet in a frame; None for a packet that is not IP."""
        return self._ends.get(number)

    def of(self, number: int) -> Journey:
        """Return the journey of the packet in a frame, given by its number. Raises KeyError for an unknown number."""
        frame = self._frames[number]
        frames = self._places.get(number, (frame,))
        sent, received = frames[0], frames[-1]
        ends = self._ends.get(number)
        if ends is None or len(self._captured.counts) == 1:
            return Journey(sent, received)
        leaves, arrives = (self.hosts.get(address) for address in ends)
        # On a link without delay, the frames at both ends have the same time, in any order.
        first = (one for one in frames if one.time_ns == sent.time_ns and host_of(one.interface) == leaves)
        sent = next(first, sent)
        if arrives not in self._captured_hosts:
            # The receiver's interface was not captured.
            return Journey(sent, None if len(frames) == 1 else received)
        there = [one for one in frames if host_of(one.interface) == arrives]
        ended = frame.time_ns + self._longest_ns > self._end_ns
        return Journey(sent, there[-1] if there else None, lost=not there and not ended)

    def _groups(self) -> list[tuple[Frame, ...]]:
        """Return the groups of frames that are the same packet at different interfaces, each group in order of time."""
        waiting: dict[bytes, dict[str, list[Frame]]] = defaultdict(lambda: defaultdict(list))
        for frame in self._captured.frames:
            key, ends = identity(frame.data)
            if ends is not None:
                self._ends[frame.number] = ends
            waiting[key][frame.interface].append(frame)
        groups: list[tuple[Frame, ...]] = []
        for places in waiting.values():
            groups += _matched(places)
        return groups

    def _hosts_of(self, groups: list[tuple[Frame, ...]]) -> dict[str, str]:
        """Return address -> host for the addresses of packets that were captured at several interfaces."""
        votes: dict[str, Counter[str]] = defaultdict(Counter)
        for frames in groups:
            ends = self._ends.get(frames[0].number)
            if ends is not None and len(frames) > 1:
                votes[ends[0]][host_of(frames[0].interface)] += 1
                votes[ends[1]][host_of(frames[-1].interface)] += 1
        named = self._captured.host_names
        return {address: named.get(address) or count.most_common(1)[0][0] for address, count in votes.items()}


def host_of(interface: str) -> str:
    """Return the host's name in an interface label HOST:INTERFACE."""
    return interface.partition(":")[0]


def _matched(places: Mapping[str, list[Frame]]) -> list[tuple[Frame, ...]]:
    """Match equal packets at several interfaces; return for each packet the group of its frames.

    The nth packet at one interface is the nth at the others; if some were lost, the times decide.
    """
    if len(places) == 1:
        return [(frame,) for frames in places.values() for frame in frames]
    left = {interface: sorted(frames, key=lambda one: one.time_ns) for interface, frames in places.items()}
    groups: list[tuple[Frame, ...]] = []
    while any(left.values()):
        first = min((frames[0] for frames in left.values() if frames), key=lambda one: (one.time_ns, one.number))
        following = [one.time_ns for one in left[first.interface][1:2]]
        group = [left[first.interface].pop(0)]
        for interface, frames in left.items():
            # If one of the equal packets was lost, a frame captured after the next packet left belongs to that one.
            if interface != first.interface and frames and not _belongs_to_next(frames, following, left, first):
                group.append(frames.pop(0))
        groups.append(tuple(sorted(group, key=lambda one: (one.time_ns, one.number))))
    return groups


def _belongs_to_next(frames: list[Frame], following: list[int], left: Mapping[str, list[Frame]], first: Frame) -> bool:
    if not following or frames[0].time_ns < following[0]:
        return False
    return len(frames) <= len(left[first.interface])


def identity(data: bytes) -> tuple[bytes, tuple[str, str] | None]:
    """Return (octets that identify a packet at every interface, its source and destination address or None)."""
    at = ipv4_offset(data)
    if at:
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        header = 4 * (data[at] & 0x0F)
        # Without type of service, time to live and checksum (RFC 791 section 3.1).
        fixed = data[at : at + 1] + data[at + 2 : at + 8] + data[at + 9 : at + 10] + data[at + 12 : at + header]
        ends = _dotted(data[at + 12 : at + 16]), _dotted(data[at + 16 : at + 20])
        fragment = int.from_bytes(data[at + 6 : at + 8], "big") & 0x1FFF
        payload = data[at + header : at + length] if length else data[at + header :]
        return fixed + (payload if fragment else _without_checksum(data[at + 9], payload)), ends
    at = ipv6_offset(data)
    if at:
        length = int.from_bytes(data[at + 4 : at + 6], "big")
        end = at + IPV6_HEADER_BYTES + length
        # Without traffic class and hop limit (RFC 8200 section 3).
        fixed = data[at + 4 : at + 7] + data[at + 8 : at + IPV6_HEADER_BYTES]
        ends = _colons(data[at + 8 : at + 24]), _colons(data[at + 24 : at + 40])
        return fixed + _without_checksum(data[at + 6], data[at + IPV6_HEADER_BYTES : end]), ends
    return data, None


def _without_checksum(protocol: int, payload: bytes) -> bytes:
    at = CHECKSUM_AT.get(protocol)
    return payload if at is None else payload[:at] + payload[at + 2 :]


def _dotted(octets: bytes) -> str:
    return ".".join(map(str, octets))


def _colons(octets: bytes) -> str:
    return str(IPv6Address(octets))
