"""Truncation of the frames in a capture after its evaluation, to save disk space: each keeps only its first octets.

The caller passes a function that returns, for a frame, the number of octets to keep. A truncated frame keeps its
number, time stamp and original length, as in a capture with a snap length, so that sizes and times can still be
checked. Most of a file of truncated frames is packet headers, which compress well; the file is therefore compressed too
(gzip, RFC 1952). Wireshark, tshark, scapy and lab7 read it under the same name.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from lab7.experiments.harness.capture.pcapng import PcapngWriter, read_packets

# Function: frame -> number of its first octets to keep.
Kept = Callable[[bytes], int]
LEVEL = 6


@dataclass(frozen=True)
class Shortened:
    """Effect of the truncation on a capture: number of truncated frames, and of octets removed from them."""

    frames: int
    octets: int

    @property
    def sentence(self) -> str:
        """Return a sentence for the run's result about the removed octets and the compression."""
        return (
            f"{self.octets:,} octets of content in {self.frames:,} frames are left out: the run was judged with them, "
            "and these frames were then cut behind their headers; the file is compressed by gzip, which Wireshark and "
            "lab7 read as it is (`zcat FILE | tcpdump -r -` for tcpdump)"
        )


def shorten(path: Path, kept: Kept) -> Shortened | None:
    """Truncate the frames of a pcapng file written by lab7, compress the file, and replace it atomically.

    `kept`: function that returns the number of leading octets of a frame to keep. Returns None, with the file
    unchanged, if every frame is kept whole. Raises CaptureReadError, OSError.
    """
    packets, counts = read_packets(path)
    lengths = [min(max(kept(packet.data), 0), len(packet.data)) for packet in packets]
    lost = [len(packet.data) - length for packet, length in zip(packets, lengths, strict=True)]
    if not any(lost):
        return None
    places = {name: place for place, name in enumerate(counts)}
    partial = path.with_name(path.name + ".part")
    # Neither name nor time in the header of gzip, so that runs of one seed have the same file.
    with (
        partial.open("wb") as file,
        gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as compressed,
        BufferedWriter(compressed, 1 << 20) as stream,
    ):
        writer = PcapngWriter(stream, list(counts))
        for packet, length in zip(packets, lengths, strict=True):
            writer.packet(places[packet.interface], packet.time_ns, packet.data[:length], packet.wire_length)
        for name, count in counts.items():
            writer.statistics(places[name], received=count.packets + count.dropped, dropped=count.dropped)
    partial.replace(path)
    return Shortened(sum(1 for octets in lost if octets), sum(lost))
