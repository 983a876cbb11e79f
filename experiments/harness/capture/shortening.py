"""Shortening of a capture after its run was judged: frames keep the octets that a function selects, and their lengths.

A frame that is shortened keeps its number, its time and its original length, as a frame beyond the snap length does, so
that sizes and times can still be checked. The rest of its octets is gone. Of a shortened frame most is its entry in the
file, so that the file is compressed as well (gzip, RFC 1952): Wireshark, tshark, scapy and lab7 read it under its name.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.capture.reader import read_packets

# Frame -> number of its first octets that are kept.
Kept = Callable[[bytes], int]
LEVEL = 6


@dataclass(frozen=True)
class Shortened:
    """Number of frames that lost octets, and of the octets left out of the capture."""

    frames: int
    octets: int

    @property
    def sentence(self) -> str:
        """Return the sentence for the result that says what the capture lacks."""
        return (
            f"{self.octets:,} octets of content in {self.frames:,} frames are left out: the run was judged with them, "
            "and these frames were then cut behind their headers; the file is compressed by gzip, which Wireshark and "
            "lab7 read as it is (`zcat FILE | tcpdump -r -` for tcpdump)"
        )


def shorten(path: Path, kept: Kept) -> Shortened | None:
    """Cut the frames of a pcapng file of lab7's, and compress it, atomically; None if every frame is kept whole.

    Raises CaptureReadError, OSError.
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
