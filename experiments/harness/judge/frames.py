"""Captured frames: number, interface, time, and the packet as scapy dissects it.

scapy, an independent implementation, reads the pcapng file and dissects the layers. A frame is dissected on first
access, since scapy is slow and most checks use one interface only.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from experiments.harness.capture.pcapng import InterfaceCounts, read_counts

# RFC 894; RFC 791 section 3.1, offsets within the frame; RFC 768.
IPV4, TCP_PROTOCOL, UDP_PROTOCOL = b"\x08\x00", 6, 17
ETHERNET_BYTES, IPV4_FRAGMENT, IPV4_PROTOCOL, IPV4_OPTIONS = 14, 20, 23, 34
DONT_FRAGMENT = 0x4000
UDP_HEADER_BYTES = 8
_FRAGMENT = struct.Struct("!H")


@dataclass(frozen=True)
class Frame:
    """One captured frame.

    `number` counts from 1 through the file, as Wireshark counts; `interface` is its label in the capture; `wire_length`
    is in octets, greater than `len(data)` for a truncated frame.
    """

    number: int
    interface: str
    time_ns: int
    data: bytes = field(repr=False)
    wire_length: int

    @cached_property
    def packet(self) -> Any:
        """The frame as a scapy Ether packet."""
        return Ether(self.data)

    def may_carry(self, protocol: int) -> bool:
        """Return True if the frame may carry this IPv4 protocol; a cheap filter, so that scapy need not dissect the
        others.
        """
        return self.data[12:14] != IPV4 or len(self.data) < IPV4_OPTIONS or self.data[IPV4_PROTOCOL] == protocol

    @property
    def headers(self) -> Any:
        """The frame up to its UDP header as a scapy packet; the full packet if it is not a whole IPv4 datagram with
        UDP.

        The payload is dissected once, by the parser of its protocol.
        """
        if self.data[12:14] != IPV4 or len(self.data) < IPV4_OPTIONS or self.data[IPV4_PROTOCOL] != UDP_PROTOCOL:
            return self.packet
        end = ETHERNET_BYTES + 4 * (self.data[ETHERNET_BYTES] & 0x0F) + UDP_HEADER_BYTES
        if len(self.data) < end:
            return self.packet
        (fragment,) = _FRAGMENT.unpack_from(self.data, IPV4_FRAGMENT)
        return self.packet if fragment & ~DONT_FRAGMENT else Ether(self.data[:end])


@dataclass(frozen=True)
class CaptureFile:
    """A capture as read from disk: its frames in file order, and the counts of every interface."""

    frames: tuple[Frame, ...]
    counts: Mapping[str, InterfaceCounts]

    def at(self, interface: str) -> tuple[Frame, ...]:
        """Return the frames of one interface. Raises KeyError if the capture has no such interface."""
        if interface not in self.counts:
            raise KeyError(f"no interface {interface!r} in this capture, only {', '.join(self.counts)}")
        return tuple(frame for frame in self.frames if frame.interface == interface)

    def dropped(self, interface: str) -> int:
        """Return the number of packets that the kernel dropped on this interface before their capture."""
        return self.counts[interface].dropped


def read_capture(path: Path) -> CaptureFile:
    """Read a capture written by this harness. Raises PcapngError if it is truncated or malformed."""
    counts = read_counts(path)
    frames: list[Frame] = []
    if any(count.packets for count in counts.values()):
        with RawPcapNgReader(str(path)) as reader:
            for number, (data, meta) in enumerate(reader, start=1):
                time_ns = (meta.tshigh << 32) | meta.tslow
                frames.append(Frame(number, meta.ifname.decode(), time_ns, data, meta.wirelen))
    return CaptureFile(tuple(frames), counts)
