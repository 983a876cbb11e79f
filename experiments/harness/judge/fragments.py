"""Reassembly of IPv4 fragments into whole datagrams (RFC 791 section 3.2).

Fragments may arrive in any order, repeated and overlapping; the first copy of an octet counts. If a fragment is missing
from the capture, the whole datagram is left out, since no host can have reassembled it. Left out: IPv6 fragments (RFC
8200 section 4.5), and fragments inside of tunnels.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

ETHERTYPE_IPV4 = b"\x08\x00"
# EtherTypes of VLAN tags (IEEE 802.1Q), customer and service; each tag has TAG_BYTES octets.
VLAN_TAGS = (b"\x81\x00", b"\x88\xa8")
TYPE_AT, TAG_BYTES, HEADER_BYTES_MIN = 12, 4, 20
MORE_FRAGMENTS, OFFSET = 0x2000, 0x1FFF
OFFSET_UNIT_BYTES, DATAGRAM_BYTES_MAX = 8, 65535
# Reassembly time-out in ns, as Linux's net.ipv4.ipfrag_time: later fragments belong to another datagram.
TIMER_NS = 30_000_000_000

_Key = tuple[bytes, bytes, bytes]


@dataclass
class _Fragments:
    """Fragments of one IPv4 datagram that have been captured so far."""

    began_ns: int
    head: bytes = b""  # the first fragment's octets, up to the end of its IP header
    end: int | None = None
    octets: dict[int, bytes] = field(default_factory=dict)

    def payload(self) -> bytes | None:
        """Return the payload of the reassembled datagram; None while a fragment is missing."""
        whole = bytearray()
        for start in sorted(self.octets):
            if start > len(whole):
                return None
            whole += self.octets[start][len(whole) - start :]
        return bytes(whole[: self.end]) if self.head and self.end is not None and len(whole) >= self.end else None


def ipv4_offset(data: bytes) -> int:
    """Return the offset of a frame's IPv4 header, after any VLAN tags; 0 without a complete IPv4 header."""
    at = TYPE_AT
    while data[at : at + 2] in VLAN_TAGS:
        at += TAG_BYTES
    return at + 2 if data[at : at + 2] == ETHERTYPE_IPV4 and len(data) >= at + 2 + HEADER_BYTES_MIN else 0


class Reassembler:
    """Reassembler of the IPv4 datagrams at one interface; frames are added one at a time."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, _Fragments] = {}

    def add(self, data: bytes, time_ns: int) -> bytes | None:
        """Add a frame; return the frame itself if unfragmented, the datagram if now complete, else None."""
        start = ipv4_offset(data)
        fragment = int.from_bytes(data[start + 6 : start + 8], "big") if start else 0
        if not start or not fragment & (MORE_FRAGMENTS | OFFSET):
            return data
        header = data[start:]
        (length,) = struct.unpack_from("!H", header, 2)
        header_bytes, offset = 4 * (header[0] & 0x0F), OFFSET_UNIT_BYTES * (fragment & OFFSET)
        payload = header[header_bytes:length]
        # Ignore fragments that were captured in part, and fragments that end beyond the maximum datagram size.
        if header_bytes < HEADER_BYTES_MIN or length > len(header) or offset + len(payload) > DATAGRAM_BYTES_MAX:
            return None
        # RFC 791 section 3.2: identification, source, destination and protocol identify the fragments of a datagram.
        key = (header[4:6], header[12:20], header[9:10])
        found = self._waiting.get(key)
        if found is None or time_ns - found.began_ns > TIMER_NS:
            found = self._waiting[key] = _Fragments(time_ns)
        if offset == 0:
            found.head = found.head or data[: start + header_bytes]
        if not fragment & MORE_FRAGMENTS:
            found.end = offset + len(payload)
        if len(payload) > len(found.octets.get(offset, b"")):
            found.octets[offset] = payload
        whole = found.payload()
        if whole is None or len(found.head) - ipv4_offset(found.head) + len(whole) > DATAGRAM_BYTES_MAX:
            return None
        del self._waiting[key]
        return _unfragmented(found.head, whole)


def _unfragmented(head: bytes, payload: bytes) -> bytes:
    start = ipv4_offset(head)
    header = bytearray(head)
    struct.pack_into("!H", header, start + 2, len(head) - start + len(payload))
    struct.pack_into("!H", header, start + 6, 0)
    return bytes(header) + payload
