"""pcapng files: a writer, and a reader of the packet and drop counts that close them.

Follows draft-ietf-opsawg-pcapng: one Section Header Block, one Interface Description Block per interface (if_name,
if_tsresol), one Enhanced Packet Block per packet, and one Interface Statistics Block per interface at the end. Every
interface has the same link type, snap length and time resolution, because tcpdump refuses a file in which they differ.

Left out: name resolution, decryption secrets, comments and packet direction, since no check reads them.

    with open("capture.pcapng", "wb") as stream:
        writer = PcapngWriter(stream, ["client:client-eth0"])
        writer.packet(0, time_ns=1_700_000_000_000_000_000, data=frame)
        writer.statistics(0, received=1, dropped=0)
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6

LINKTYPE_ETHERNET = 1
# tcpdump's own default: no frame is longer, not even one that segmentation offload left whole.
SNAP_LENGTH = 262_144

BYTE_ORDER_MAGIC = 0x1A2B3C4D
UNKNOWN_SECTION_LENGTH = -1
OPTION_END = 0
OPTION_IF_NAME = 2
OPTION_IF_TSRESOL = 9
OPTION_ISB_IFRECV = 4
OPTION_ISB_IFDROP = 5
NANOSECONDS = 9  # if_tsresol: a negative power of ten


class PcapngError(ValueError):
    """The file is not a complete little-endian pcapng capture."""


@dataclass(frozen=True)
class InterfaceCounts:
    """Counts of one interface: packets in the file, and packets that the kernel dropped before they were read."""

    packets: int
    dropped: int


class PcapngWriter:
    """Appends the blocks of one capture to a binary stream.

    `interfaces` are the names to write, in the order by which `packet` refers to them.
    """

    def __init__(self, stream: BinaryIO, interfaces: Sequence[str]) -> None:
        self._stream = stream
        self._last_ns = 0
        self._write(SECTION_HEADER, struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_SECTION_LENGTH))
        for name in interfaces:
            self._write(INTERFACE_DESCRIPTION, _interface_body(name))

    def packet(self, interface: int, time_ns: int, data: bytes, wire_length: int | None = None) -> None:
        """Append one packet; `wire_length` in octets if it was longer on the wire than `data`."""
        captured = data[:SNAP_LENGTH]
        length = len(data) if wire_length is None else wire_length
        self._last_ns = max(self._last_ns, time_ns)
        head = struct.pack(
            "<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(captured), length
        )  # draft-ietf-opsawg-pcapng section 4.3
        self._write(ENHANCED_PACKET, head + _padded(captured))

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """Append the counts of one interface, stamped with the time of the last packet written."""
        head = struct.pack("<III", interface, self._last_ns >> 32, self._last_ns & 0xFFFFFFFF)
        options = (
            _option(OPTION_ISB_IFRECV, struct.pack("<Q", received))
            + _option(OPTION_ISB_IFDROP, struct.pack("<Q", dropped))
            + _option(OPTION_END, b"")
        )
        self._write(INTERFACE_STATISTICS, head + options)

    def _write(self, block_type: int, body: bytes) -> None:
        length = len(body) + 12
        self._stream.write(struct.pack("<II", block_type, length) + body + struct.pack("<I", length))


def read_counts(path: Path) -> dict[str, InterfaceCounts]:
    """Return the counts of every interface of a capture that `PcapngWriter` wrote.

    An interface without a statistics block is absent: its drops are unknown. Raises PcapngError if the file is
    truncated or is no little-endian pcapng.
    """
    names: list[str] = []
    packets: dict[int, int] = {}
    dropped: dict[int, int] = {}
    with path.open("rb") as stream:
        for block_type, body in _blocks(stream):
            if block_type == INTERFACE_DESCRIPTION:
                names.append(_options(body[8:]).get(OPTION_IF_NAME, b"").decode("utf-8", "replace"))
            elif block_type == ENHANCED_PACKET:
                (interface,) = struct.unpack_from("<I", body)
                packets[interface] = packets.get(interface, 0) + 1
            elif block_type == INTERFACE_STATISTICS:
                (interface,) = struct.unpack_from("<I", body)
                (dropped[interface],) = struct.unpack("<Q", _options(body[12:])[OPTION_ISB_IFDROP])
    return {names[index]: InterfaceCounts(packets.get(index, 0), lost) for index, lost in dropped.items()}


def _interface_body(name: str) -> bytes:
    options = (
        _option(OPTION_IF_NAME, name.encode("utf-8"))
        + _option(OPTION_IF_TSRESOL, bytes([NANOSECONDS]))
        + _option(OPTION_END, b"")
    )
    return struct.pack("<HHI", LINKTYPE_ETHERNET, 0, SNAP_LENGTH) + options


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _blocks(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield (block type, body) for every block up to the end of the file."""
    while header := stream.read(8):
        if len(header) < 8:
            raise PcapngError("the file ends inside a block")
        block_type, length = struct.unpack("<II", header)
        if length < 12 or length % 4:
            raise PcapngError(f"invalid block length {length}")
        rest = stream.read(length - 8)
        if len(rest) != length - 8 or struct.unpack("<I", rest[-4:])[0] != length:
            raise PcapngError("the two lengths of a block differ, or the file ends inside it")
        yield block_type, rest[:-4]


def _options(data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    while len(data) >= 4:
        code, length = struct.unpack_from("<HH", data)
        if code == OPTION_END:
            break
        options[code] = data[4 : 4 + length]
        data = data[4 + length + -length % 4 :]
    return options
