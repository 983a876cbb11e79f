"""Reassembly of IPv4 and IPv6 fragments into whole datagrams (RFC 791 section 3.2, RFC 8200 section 4.5).

Fragments may arrive in any order and repeated. IPv4 fragments may overlap, and the first copy of an octet counts; an
IPv6 datagram with overlapping fragments is left out, since its receiver must discard it. If a fragment is missing from
the capture, the whole datagram is left out as well, since no host can have reassembled it. Left out: fragments inside
of tunnels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = b"\x08\x00", b"\x86\xdd"
# EtherTypes of VLAN tags (IEEE 802.1Q), customer and service; each tag has TAG_BYTES octets.
VLAN_TAGS = (b"\x81\x00", b"\x88\xa8")
TYPE_AT, TAG_BYTES, HEADER_BYTES_MIN = 12, 4, 20
MORE_FRAGMENTS, OFFSET = 0x2000, 0x1FFF
# IPv6 header and its extension headers (RFC 8200 sections 3, 4.3 to 4.6): Hop-by-Hop Options, Routing and Destination
# Options may precede the Fragment header, and their length is in units of eight octets, without the first unit.
IPV6_HEADER_BYTES, IPV6_NEXT_HEADER_AT, IPV6_LENGTH_AT = 40, 6, 4
FRAGMENT_HEADER, FRAGMENT_HEADER_BYTES, BEFORE_FRAGMENT = 44, 8, (0, 43, 60)
IPV6_MORE_FRAGMENTS, IPV6_OFFSET = 0x0001, 0xFFF8
OFFSET_UNIT_BYTES, DATAGRAM_BYTES_MAX = 8, 65535
# Reassembly time-out in ns, as Linux's net.ipv4.ipfrag_time: later fragments belong to another datagram.
TIMER_NS = 30_000_000_000

_Key = tuple[bytes, ...]


@dataclass(frozen=True)
class _Fragment:
    """Fragment of an IP datagram: position of its payload, and the headers that the unfragmented datagram has.

    `length_at` is the offset of the IP header's length field; the field counts the octets after the offset
    `length_from`.
    """

    key: _Key
    head: bytes
    offset: int
    more: bool
    payload: bytes
    length_at: int
    length_from: int
    may_overlap: bool

    def unfragmented(self, payload: bytes) -> bytes | None:
        """Return a frame with the unfragmented datagram for this payload; None if that datagram would be too large."""
        frame = bytearray(self.head + payload)
        length = len(frame) - self.length_from
        if length > DATAGRAM_BYTES_MAX:
            return None
        struct.pack_into("!H", frame, self.length_at, length)
        return bytes(frame)


@dataclass
class _Fragments:
    """Fragments of one datagram that have been captured so far."""

    began_ns: int
    first: _Fragment | None = None
    end: int | None = None
    octets: dict[int, bytes] = field(default_factory=dict)

    def add(self, fragment: _Fragment) -> None:
        """Add a captured fragment of this datagram."""
        if fragment.offset == 0:
            self.first = self.first or fragment
        if not fragment.more:
            self.end = fragment.offset + len(fragment.payload)
        if len(fragment.payload) > len(self.octets.get(fragment.offset, b"")):
            self.octets[fragment.offset] = fragment.payload

    def datagram(self) -> bytes | None:
        """Return the frame of the reassembled datagram; None while a fragment is missing."""
        if self.first is None or self.end is None:
            return None
        whole = bytearray()
        for start in sorted(self.octets):
            if start > len(whole) or (start < len(whole) and not self.first.may_overlap):
                return None
            whole += self.octets[start][len(whole) - start :]
        return self.first.unfragmented(bytes(whole[: self.end])) if len(whole) >= self.end else None


def after_tags(data: bytes) -> int:
    """Return the offset of a frame's EtherType, after any VLAN tags."""
    at = TYPE_AT
    while data[at : at + 2] in VLAN_TAGS:
        at += TAG_BYTES
    return at


def ipv4_offset(data: bytes) -> int:
    """Return the offset of a frame's IPv4 header, after any VLAN tags; 0 without a complete IPv4 header."""
    at = after_tags(data)
    return at + 2 if data[at : at + 2] == ETHERTYPE_IPV4 and len(data) >= at + 2 + HEADER_BYTES_MIN else 0


def ipv6_offset(data: bytes) -> int:
    """Return the offset of a frame's IPv6 header, after any VLAN tags; 0 without a complete IPv6 header."""
    at = after_tags(data)
    return at + 2 if data[at : at + 2] == ETHERTYPE_IPV6 and len(data) >= at + 2 + IPV6_HEADER_BYTES else 0


def is_first_fragment(data: bytes) -> bool:
    """Return True for a frame with the first of several fragments of a datagram."""
    start = ipv4_offset(data)
    if start:
        return int.from_bytes(data[start + 6 : start + 8], "big") & (MORE_FRAGMENTS | OFFSET) == MORE_FRAGMENTS
    header = _fragment_header(data, start) if (start := ipv6_offset(data)) else None
    if header is None:
        return False
    position = int.from_bytes(data[header[1] + 2 : header[1] + 4], "big")
    return position & (IPV6_OFFSET | IPV6_MORE_FRAGMENTS) == IPV6_MORE_FRAGMENTS


class Reassembler:
    """Reassembler of the IP datagrams at one interface; frames are added one at a time."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, _Fragments] = {}

    def add(self, data: bytes, time_ns: int) -> bytes | None:
        """Add a frame; return the frame if unfragmented, the whole datagram at its last fragment, otherwise None."""
        is_fragment, fragment = _fragment(data)
        if not is_fragment:
            return data
        # Ignore fragments that were captured in part, and fragments that end beyond the maximum datagram size.
        if fragment is None or fragment.offset + len(fragment.payload) > DATAGRAM_BYTES_MAX:
            return None
        if not fragment.offset and not fragment.more:
            # RFC 6946 section 4: such an IPv6 packet is whole, whatever fragments have the same identification.
            return fragment.unfragmented(fragment.payload)
        found = self._waiting.get(fragment.key)
        if found is None or time_ns - found.began_ns > TIMER_NS:
            found = self._waiting[fragment.key] = _Fragments(time_ns)
        found.add(fragment)
        whole = found.datagram()
        if whole is not None:
            del self._waiting[fragment.key]
        return whole


def _fragment(data: bytes) -> tuple[bool, _Fragment | None]:
    """Parse the fragment in a frame; return (True if the frame holds a fragment, the fragment).

    The fragment is None if it was not captured completely.
    """
    start = ipv4_offset(data)
    if start:
        field = int.from_bytes(data[start + 6 : start + 8], "big")
        return (True, _ipv4_fragment(data, start, field)) if field & (MORE_FRAGMENTS | OFFSET) else (False, None)
    start = ipv6_offset(data)
    if start and (at := _fragment_header(data, start)):
        return True, _ipv6_fragment(data, start, *at)
    return False, None


def _ipv4_fragment(data: bytes, start: int, field: int) -> _Fragment | None:
    header = data[start:]
    (length,) = struct.unpack_from("!H", header, 2)
    header_bytes = 4 * (header[0] & 0x0F)
    if header_bytes < HEADER_BYTES_MIN or length > len(header):
        return None
    head = bytearray(data[: start + header_bytes])
    struct.pack_into("!H", head, start + 6, 0)
    return _Fragment(
        # RFC 791 section 3.2: identification, source, destination and protocol identify the fragments of a datagram.
        key=(header[4:6], header[12:20], header[9:10]),
        head=bytes(head),
        offset=OFFSET_UNIT_BYTES * (field & OFFSET),
        more=bool(field & MORE_FRAGMENTS),
        payload=header[header_bytes:length],
        length_at=start + 2,
        length_from=start,
        may_overlap=True,
    )


def _fragment_header(data: bytes, start: int) -> tuple[int, int] | None:
    """Return (offset of the field that announces the Fragment header, offset of this header) in an IPv6 packet.

    The field is the Next Header field before the header. Returns None if there is no complete Fragment header.
    """
    field, at = start + IPV6_NEXT_HEADER_AT, start + IPV6_HEADER_BYTES
    while data[field] in BEFORE_FRAGMENT and at + 2 <= len(data):
        field, at = at, at + 8 * (data[at + 1] + 1)
    return (field, at) if data[field] == FRAGMENT_HEADER and at + FRAGMENT_HEADER_BYTES <= len(data) else None


def _ipv6_fragment(data: bytes, start: int, field: int, at: int) -> _Fragment | None:
    end = start + IPV6_HEADER_BYTES + int.from_bytes(data[start + IPV6_LENGTH_AT : start + IPV6_LENGTH_AT + 2], "big")
    if end > len(data):
        return None
    next_header, position = data[at], int.from_bytes(data[at + 2 : at + 4], "big")
    return _Fragment(
        # RFC 8200 section 4.5: source, destination and identification identify the fragments of a packet.
        key=(data[start + 8 : start + IPV6_HEADER_BYTES], data[at + 4 : at + FRAGMENT_HEADER_BYTES]),
        head=data[:field] + bytes([next_header]) + data[field + 1 : at],
        offset=position & IPV6_OFFSET,
        more=bool(position & IPV6_MORE_FRAGMENTS),
        payload=data[at + FRAGMENT_HEADER_BYTES : end],
        length_at=start + IPV6_LENGTH_AT,
        length_from=start + IPV6_HEADER_BYTES,
        may_overlap=False,
    )
