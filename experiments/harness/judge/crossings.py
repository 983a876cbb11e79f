"""Thousands of requests and responses on persistent connections, from the packets' headers alone.

For an experiment under load the full judge would take minutes: scapy dissects some thousand frames a second. Here the
fixed headers are read directly (Ethernet RFC 894, IPv4 RFC 791, TCP RFC 9293 section 3.1), and of the payload the
first line of each message. A connection carries one exchange at a time: a request begins where "GET " does, after a
response is over, and its response is what the server sends until the next request. Left out: pipelining, HTTP/2, IPv6,
reassembly; a segment that was sent twice is counted, and the experiment says so.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from experiments.harness.judge.frames import Frame

ETHERNET_BYTES, IPV4, TCP = 14, 0x0800, 6
_ETHERTYPE = struct.Struct("!12xH")
_TCP = struct.Struct("!HHII")
Address = tuple[bytes, int]


@dataclass(slots=True)
class Crossing:
    """One exchange as one interface saw it: when the request was seen, and first and last segment of the response.

    `end` is the sequence number of the response's last octet, by which the same response is known elsewhere;
    `wire_bytes` is what the response's frames took, their headers included.
    """

    client: Address
    server: Address
    target: bytes
    asked_ns: int
    frame: int
    first_ns: int = 0
    last_ns: int = 0
    end: int = 0
    wire_bytes: int = 0
    status: bytes = b""

    @property
    def key(self) -> tuple[Address, Address, int]:
        """The same for one response at every interface."""
        return self.client, self.server, self.end


@dataclass
class Traffic:
    """All exchanges in the order of their requests, and how many segments repeated octets that were seen before."""

    crossings: list[Crossing] = field(default_factory=list)
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class _Segment:
    source: Address
    target: Address
    sequence: int
    payload: bytes


def crossings(frames: Iterable[Frame], port: int) -> Traffic:
    """Return the exchanges with servers at this port among the frames of one interface."""
    traffic = Traffic()
    current: dict[tuple[Address, Address], Crossing] = {}
    highest: dict[tuple[Address, Address], int] = {}
    for frame, segment in _segments(frames):
        way = segment.source, segment.target
        end = (segment.sequence + len(segment.payload)) % 2**32
        if way in highest and not _is_after(end, highest[way]):
            traffic.repeated += 1
            continue
        highest[way] = end
        if segment.target[1] == port and segment.payload.startswith(b"GET "):
            target = segment.payload.split(b" ", 2)[1]
            current[way] = Crossing(segment.source, segment.target, target, frame.time_ns, frame.number)
            traffic.crossings.append(current[way])
        elif segment.source[1] == port and (way[1], way[0]) in current:
            _extend(current[way[1], way[0]], frame, segment.payload, end)
    return traffic


def _extend(crossing: Crossing, frame: Frame, payload: bytes, end: int) -> None:
    if not crossing.first_ns:
        crossing.first_ns = frame.time_ns
        crossing.status = payload.split(b" ", 2)[1] if payload.startswith(b"HTTP/1.") else b""
    crossing.last_ns, crossing.end = frame.time_ns, end
    crossing.wire_bytes += frame.wire_length


def _is_after(sequence: int, other: int) -> bool:
    """RFC 9293 section 3.4: sequence numbers are compared modulo 2^32."""
    return 0 < (sequence - other) % 2**32 < 2**31


def _segments(frames: Iterable[Frame]) -> Iterator[tuple[Frame, _Segment]]:
    """Every TCP segment with a payload."""
    for frame in frames:
        data = frame.data
        if len(data) < ETHERNET_BYTES + 40 or _ETHERTYPE.unpack_from(data)[0] != IPV4:
            continue
        header = (data[ETHERNET_BYTES] & 0x0F) * 4
        if data[ETHERNET_BYTES + 9] != TCP:
            continue
        total = int.from_bytes(data[ETHERNET_BYTES + 2 : ETHERNET_BYTES + 4], "big")
        start = ETHERNET_BYTES + header
        source_port, target_port, sequence, _ = _TCP.unpack_from(data, start)
        payload = data[start + (data[start + 12] >> 4) * 4 : ETHERNET_BYTES + total]
        if payload:
            source, target = data[ETHERNET_BYTES + 12 : ETHERNET_BYTES + 16], data[ETHERNET_BYTES + 16 : start]
            yield frame, _Segment((source, source_port), (target[:4], target_port), sequence, payload)
