"""Read a capture into frames: number, interface, time and the packet as scapy dissects it.

scapy reads the pcapng file and knows the layers; it is nobody's here, and that is what makes it a judge.
Frames are dissected when they are first looked at, since scapy takes its time and most checks want one
interface only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from experiments.harness.pcapng import InterfaceCounts, read_counts


@dataclass(frozen=True)
class Frame:
    """One captured frame.

    `number` counts from 1 through the file, as Wireshark counts; `interface` is the label it was captured
    under; `wire_length` is in octets, and more than `len(data)` if the capture cut the frame short.
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
        """Return how many packets the kernel dropped on this interface before they could be captured."""
        return self.counts[interface].dropped


def read_capture(path: Path) -> CaptureFile:
    """Read a capture written by this harness. Raises PcapngError if it is not whole."""
    counts = read_counts(path)
    frames: list[Frame] = []
    if any(count.packets for count in counts.values()):
        with RawPcapNgReader(str(path)) as reader:
            for number, (data, meta) in enumerate(reader, start=1):
                time_ns = (meta.tshigh << 32) | meta.tslow
                frames.append(Frame(number, meta.ifname.decode(), time_ns, data, meta.wirelen))
    return CaptureFile(tuple(frames), counts)
