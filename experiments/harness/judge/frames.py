"""Captured Ethernet frames, and the TCP connections that they form at one interface.

    captured = read_capture(path)
    for connection in connections(captured.at("client:client-eth0")): ...

scapy, an implementation independent of lab7, dissects a frame on first access, since dissection is slow and most checks
use one interface only. TCP headers are unpacked without scapy if IP carries the segment directly (`Frame.tcp`); scapy
dissects segments in fragments, segments behind extension headers, and malformed segments.

Connections (RFC 9293): the client is the sender of the SYN. A connection begins with its SYN; segments of connections
opened before the capture began are skipped, because the start of their streams is unknown. Ports may be reused: a SYN
with another initial sequence number opens another connection, a SYN with the same number is a retransmission. Left out:
the urgent pointer.

A run may have several captures, so that the number of a frame has the name of its capture:

    number = FrameNumber(7, "capture-kept.pcapng")      # an integer: number == 7
    by_capture([number])                                # {"capture-kept.pcapng": (7,)}

The numbers are made here, so that every part of an experiment that passes a number on passes the name of the capture
as well.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from ipaddress import IPv6Address
from pathlib import Path
from typing import Any, Self

from lab7.experiments.harness.capture.pcapng import InterfaceCounts, Packet, read_packets, read_readable
from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.fragments import Reassembler, ipv4_offset, ipv6_offset
from lab7.experiments.harness.judge.reassembly import Segment, Stream, reassemble, unwrap

# EtherType, protocol numbers and offsets within the frame for IPv4 (RFC 894; RFC 791 section 3.1; RFC 768).
IPV4, TCP_PROTOCOL, UDP_PROTOCOL = b"\x08\x00", 6, 17
ETHERNET_BYTES, IPV4_PROTOCOL, IPV4_OPTIONS = 14, 23, 34
# EtherType and offsets within the frame for IPv6 (RFC 2464 section 3; RFC 8200 section 3); ICMPv6 (RFC 4443).
IPV6, IPV6_NEXT_HEADER, IPV6_PAYLOAD, ICMPV6_PROTOCOL = b"\x86\xdd", 20, 54, 58
UPPER_LAYERS = (TCP_PROTOCOL, UDP_PROTOCOL, ICMPV6_PROTOCOL)
DONT_FRAGMENT = 0x4000
UDP_HEADER_BYTES = 8
# Ports and length of the UDP header (RFC 768).
_UDP = struct.Struct("!HHH")
# Fixed part of the TCP header (RFC 9293 section 3.1): ports, sequence and acknowledgement number, data offset, flags.
_TCP = struct.Struct("!HHIIBB")
TCP_HEADER_BYTES, IPV4_HEADER_BYTES, IPV6_HEADER_BYTES = 20, 20, 40
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


class FrameNumber(int):
    """Number of a frame in a capture, from 1, as an integer with the capture's file name.

    Numbers from different captures are equal if the integers are equal. Therefore use by_capture() to remove
    duplicates.
    """

    capture: str

    def __new__(cls, number: int, capture: str) -> Self:
        """Return the number of a frame in the capture of this file name."""
        made = super().__new__(cls, number)
        made.capture = capture
        return made

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        """Return the arguments of __new__, for copies (copy.deepcopy, pickle)."""
        return int(self), self.capture


def by_capture(numbers: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """Return file name of a capture -> numbers of its frames, without duplicates, in the order of `numbers`.

    Numbers without a capture are left out.
    """
    found: dict[str, dict[int, None]] = {}
    for number in numbers:
        if isinstance(number, FrameNumber):
            found.setdefault(number.capture, {})[int(number)] = None
    return {capture: tuple(some) for capture, some in found.items()}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address and port of one end of a TCP connection or a UDP datagram."""

    address: str
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class TcpSegment:
    """TCP segment of a frame: source and target endpoint, sequence number, flags octet of the header, and payload."""

    source: Endpoint
    target: Endpoint
    sequence: int
    flags: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UdpDatagram:
    """UDP datagram of a frame: source and target endpoint, length field of the header, and captured payload.

    The payload may be followed by padding of the Ethernet frame.
    """

    source: Endpoint
    target: Endpoint
    length: int
    payload: bytes = field(repr=False)


@dataclass(frozen=True)
class Frame:
    """Captured Ethernet frame, with its number, time and interface.

    `number`: number of the frame in the file, from 1, as in Wireshark (FrameNumber if it was read from a file).
    `interface`: label of the interface in the capture. `wire_length`: original length in octets, greater than
    `len(data)` for a truncated frame.
    """

    number: int
    interface: str
    time_ns: int
    data: bytes = field(repr=False)
    wire_length: int

    @cached_property
    def packet(self) -> Any:
        """Return the frame as a scapy Ether packet; as scapy Raw if too short or malformed."""
        return _dissected(self.data)

    @cached_property
    def tcp(self) -> TcpSegment | None:
        """Return the TCP segment in the frame; None if it has none, or if the TCP header was not captured whole."""
        if not self.may_carry(TCP_PROTOCOL):
            return None
        found = _unpacked(self.data)
        return _segment_by_scapy(self.packet) if found is None else found

    @property
    def udp(self) -> UdpDatagram | None:
        """Return the UDP datagram in the frame; None if it has none, or if the UDP header was not captured completely.

        The payload is not dissected here, since the parser of its protocol does this.
        """
        if not self.may_carry(UDP_PROTOCOL):
            return None
        packet = _ip_packet(self.data, UDP_PROTOCOL)
        if packet is None:
            return _datagram_by_scapy(self.data, self.packet)
        source, target, at, _ = packet
        if len(self.data) < at + UDP_HEADER_BYTES:
            return None
        source_port, target_port, length = _UDP.unpack_from(self.data, at)
        ends = Endpoint(source, source_port), Endpoint(target, target_port)
        return UdpDatagram(*ends, length, self.data[at + UDP_HEADER_BYTES :])

    @property
    def truncated(self) -> bool:
        """Return True if the snap length of the capture cut off a part of the frame's IP packet."""
        start = ipv4_offset(self.data)
        length = int.from_bytes(self.data[start + 2 : start + 4], "big") if start else 0
        return len(self.data) < min(self.wire_length, start + length if length else self.wire_length)

    def may_carry(self, protocol: int) -> bool:
        """Return False if the protocol number in the frame's IP header is that of another protocol than `protocol`.

        This is a fast filter before scapy's dissection.
        """
        kind = self.data[12:14]
        if kind == IPV4 and len(self.data) >= IPV4_OPTIONS:
            return self.data[IPV4_PROTOCOL] == protocol
        if kind == IPV6 and len(self.data) >= IPV6_PAYLOAD and self.data[IPV6_NEXT_HEADER] in UPPER_LAYERS:
            return self.data[IPV6_NEXT_HEADER] == protocol
        return True


def _unpacked(data: bytes) -> TcpSegment | None:
    """Return the TCP segment of an unfragmented IPv4 or IPv6 packet without extension headers; None for others."""
    packet = _ip_packet(data, TCP_PROTOCOL)
    if packet is None:
        return None
    source, target, at, end = packet
    segment = data[at:end]
    if end < at + TCP_HEADER_BYTES or len(segment) < TCP_HEADER_BYTES:
        return None
    source_port, target_port, sequence, _, offset, flags = _TCP.unpack_from(segment)
    payload = segment[4 * (offset >> 4) :]
    return TcpSegment(Endpoint(source, source_port), Endpoint(target, target_port), sequence, flags, payload)


def _ip_packet(data: bytes, protocol: int) -> tuple[str, str, int, int] | None:
    """Return (source, target, offset of the transport header, end of the packet) of an unfragmented IP packet.

    The end is computed from the IP header, so that padding is excluded. Returns None if the packet has another protocol
    number than `protocol`, or IPv6 extension headers.
    """
    at = ipv4_offset(data)
    if at:
        header, length = 4 * (data[at] & 0x0F), int.from_bytes(data[at + 2 : at + 4], "big")
        fragment = int.from_bytes(data[at + 6 : at + 8], "big") & ~DONT_FRAGMENT
        if data[at] >> 4 != 4 or header < IPV4_HEADER_BYTES or fragment or data[at + 9] != protocol:
            return None
        source, target = _ipv4_text(data[at + 12 : at + 16]), _ipv4_text(data[at + 16 : at + 20])
        return source, target, at + header, at + length
    at = ipv6_offset(data)
    if not at or data[at] >> 4 != 6 or data[at + 6] != protocol:
        return None
    end = at + IPV6_HEADER_BYTES + int.from_bytes(data[at + 4 : at + 6], "big")
    return _ipv6_text(data[at + 8 : at + 24]), _ipv6_text(data[at + 24 : at + 40]), at + IPV6_HEADER_BYTES, end


@lru_cache(4096)
def _ipv4_text(octets: bytes) -> str:
    return ".".join(map(str, octets))


@lru_cache(4096)
def _ipv6_text(octets: bytes) -> str:
    return str(IPv6Address(octets))


def _segment_by_scapy(packet: Any) -> TcpSegment | None:
    network = network_layer(packet)
    if network is None or layers.TCP not in packet:
        return None
    tcp = packet[layers.TCP]
    # The octets of the dissected TCP layer exclude the padding of short Ethernet frames.
    payload = bytes(tcp.original)[4 * tcp.dataofs :]
    ends = Endpoint(network.src, tcp.sport), Endpoint(network.dst, tcp.dport)
    return TcpSegment(*ends, tcp.seq, int(tcp.flags) & 0xFF, payload)


def _datagram_by_scapy(data: bytes, packet: Any) -> UdpDatagram | None:
    network = network_layer(packet)
    if network is None or layers.UDP not in packet:
        return None
    udp = packet[layers.UDP]
    payload = data[len(packet.original) - len(udp.original) + UDP_HEADER_BYTES :]
    return UdpDatagram(Endpoint(network.src, udp.sport), Endpoint(network.dst, udp.dport), int(udp.len), payload)


def _dissected(data: bytes) -> Any:
    if len(data) >= ETHERNET_BYTES:
        # Suppress all exceptions, since scapy's fields raise arbitrary ones on malformed octets.
        with suppress(Exception):
            return layers.Ether(data)
    return layers.Raw(data)


class InterfaceFrames(tuple[Frame, ...]):
    """Frames of one interface in file order. The TCP connections among them are determined once, and cached."""

    @cached_property
    def connections(self) -> tuple[Connection, ...]:
        """The TCP connections among the frames, in the order of their SYNs."""
        return tuple(_connections(self))


@dataclass(frozen=True)
class CaptureFile:
    """Content of a capture file: frames in file order, and packet counts keyed by interface label.

    `host_names`: address -> name of the host in the run, including hosts whose interfaces were not captured. `damage`:
    a sentence about the defect, if the file could be read only in part; else None.
    """

    frames: tuple[Frame, ...]
    counts: Mapping[str, InterfaceCounts]
    host_names: Mapping[str, str] = field(default_factory=dict)
    damage: str | None = None

    def at(self, interface: str) -> InterfaceFrames:
        """Return the frames of one interface in file order. Raises KeyError if the capture has no such interface."""
        if interface not in self.counts:
            raise KeyError(f"no interface {interface!r} in this capture, only {', '.join(self.counts)}")
        return self._by_interface.get(interface, InterfaceFrames())

    @cached_property
    def _by_interface(self) -> dict[str, InterfaceFrames]:
        frames: dict[str, list[Frame]] = {}
        for frame in self.frames:
            frames.setdefault(frame.interface, []).append(frame)
        return {interface: InterfaceFrames(some) for interface, some in frames.items()}

    def dropped(self, interface: str) -> int:
        """Return the number of packets on this interface that the kernel dropped instead of capturing."""
        return self.counts[interface].dropped


def read_capture(path: Path) -> CaptureFile:
    """Read a pcap or pcapng file of any program. Raises CaptureReadError with a one-sentence message."""
    return _capture_file(path, *read_packets(path))


def read_readable_capture(path: Path) -> CaptureFile:
    """Read a capture file up to its first defect, which is described in `damage`. Raises CaptureReadError."""
    packets, counts, damage = read_readable(path)
    return replace(_capture_file(path, packets, counts), damage=damage)


def _capture_file(path: Path, packets: Sequence[Packet], counts: Mapping[str, InterfaceCounts]) -> CaptureFile:
    frames = (
        Frame(FrameNumber(number, path.name), packet.interface, packet.time_ns, packet.data, packet.wire_length)
        for number, packet in enumerate(packets, start=1)
    )
    return CaptureFile(tuple(frames), counts)


def datagrams(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames of one interface, with each fragmented IP datagram reassembled into one frame.

    The reassembled frame has the number and time of the fragment that completed the datagram.
    """
    reassembler = Reassembler()
    for frame in frames:
        data = reassembler.add(frame.data, frame.time_ns)
        if data is frame.data:
            yield frame
        elif data is not None:
            yield replace(frame, data=data, wire_length=len(data))


@dataclass(frozen=True)
class Mark:
    """Reference to a captured frame: its number, and its time stamp in ns."""

    frame: int
    time_ns: int


@dataclass
class Direction:
    """One direction of a TCP connection: SYN or SYN-ACK, segments with payload in order of capture, FIN and RST."""

    syn: Mark | None = None
    syn_count: int = 0
    initial_sequence: int | None = None
    segments: list[Segment] = field(default_factory=list)
    fin: Mark | None = None
    fin_sequence: int | None = None
    reset: Mark | None = None
    first_ack: Mark | None = None
    truncated: bool = False  # True if a part of a payload was not captured

    def add(self, frame: Frame, tcp: TcpSegment) -> None:
        """Record a segment of this direction; call in the order of capture."""
        mark = Mark(frame.number, frame.time_ns)
        first = tcp.sequence + 1 if tcp.flags & SYN else tcp.sequence
        if tcp.flags & SYN:
            self.syn_count += 1
            self.syn = self.syn or mark
            self.initial_sequence = tcp.sequence
        elif tcp.flags & ACK:
            self.first_ack = self.first_ack or mark
        self.truncated |= frame.truncated
        if tcp.payload:
            self.segments.append(Segment(first, tcp.payload, frame.number, frame.time_ns))
        if tcp.flags & FIN and self.fin is None:
            self.fin, self.fin_sequence = mark, first + len(tcp.payload)
        if tcp.flags & RST:
            self.reset = self.reset or mark

    @cached_property
    def stream(self) -> Stream:
        """Return the reassembled octets of this direction; an empty stream if the SYN was not captured."""
        if self.initial_sequence is None:
            return Stream(b"", (), whole=not self.segments)
        first = self.initial_sequence + 1
        end = None if self.fin_sequence is None else unwrap(self.fin_sequence - first, _sent(self.segments))
        return reassemble(first, self.segments, end)


@dataclass
class Connection:
    """TCP connection as captured at one interface: endpoints of client and server, and both directions."""

    client: Endpoint
    server: Endpoint
    from_client: Direction
    from_server: Direction

    @property
    def syn(self) -> Mark:
        """Return frame number and time of the client's first SYN."""
        assert self.from_client.syn is not None
        return self.from_client.syn

    @property
    def established(self) -> bool:
        """Return True if the three-way handshake (SYN, SYN-ACK, ACK) was captured in order."""
        answer, ack = self.from_server.syn, self.from_client.first_ack
        return answer is not None and ack is not None and self.syn.frame < answer.frame < ack.frame

    @property
    def whole(self) -> bool:
        """Return True if both streams were captured without a gap."""
        return all(way.stream.whole and not way.truncated for way in (self.from_client, self.from_server))


@dataclass(frozen=True)
class ConnectionTraffic:
    """All TCP connections at one interface, of any protocol, as evidence for a claim (see `verdict.Traffic`)."""

    connections: tuple[Connection, ...]
    dropped: int = 0

    @property
    def absence(self) -> str | None:
        """Return None: a capture without connections is evidence, too, for claims about connections of any protocol."""
        return None

    @property
    def gap(self) -> str | None:
        """Return a clause about the first incompletely captured connection; None if all are complete."""
        cut = next((connection for connection in self.connections if not connection.whole), None)
        return None if cut is None else f"the capture of the connection opened in frame {cut.syn.frame} is incomplete"

    @property
    def violation(self) -> None:
        """Return None, since no grammar applies to connections of any protocol."""
        return None


def connections(frames: Iterable[Frame]) -> list[Connection]:
    """Return the TCP connections among the frames of one interface, in the order of their SYNs."""
    return list(frames.connections) if isinstance(frames, InterfaceFrames) else _connections(frames)


def _connections(frames: Iterable[Frame]) -> list[Connection]:
    found: list[Connection] = []
    current: dict[frozenset[Endpoint], Connection] = {}
    for frame in datagrams(frames):
        tcp = frame.tcp
        if tcp is None:
            continue
        source, target = tcp.source, tcp.target
        key = frozenset((source, target))
        if _opens(tcp, current.get(key)):
            current[key] = Connection(source, target, Direction(), Direction())
            found.append(current[key])
        if key in current:
            connection = current[key]
            (connection.from_client if source == connection.client else connection.from_server).add(frame, tcp)
    return found


def network_layer(packet: Any) -> Any:
    """Return the IPv4 or IPv6 layer of a scapy packet; None if the packet has neither."""
    return next((packet[layer] for layer in (layers.IP, layers.IPv6) if layer in packet), None)


def payload_bytes(tcp: Any) -> int:
    """Return the number of octets that a TCP segment carries, without the padding of a short Ethernet frame."""
    return len(tcp.original) - int(tcp.dataofs) * 4


def _sent(segments: list[Segment]) -> int:
    return sum(len(segment.payload) for segment in segments)


def _opens(tcp: TcpSegment, known: Connection | None) -> bool:
    if tcp.flags & (SYN | ACK) != SYN:
        return False
    if known is None or tcp.source != known.client:
        return True
    return known.from_client.initial_sequence != tcp.sequence
