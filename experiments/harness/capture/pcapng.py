"""Writer of pcapng capture files; the module `reader` reads such files.

Follows draft-ietf-opsawg-pcapng: one Section Header Block, one Interface Description Block per interface (if_name,
if_tsresol), one Enhanced Packet Block per packet, and one Interface Statistics Block per interface at the end. Every
interface has the same link type, snap length and time resolution, because tcpdump refuses a file in which they differ.

Optional are Name Resolution Blocks (host names), comments of packets, and Decryption Secrets Blocks (TLS keys). Left
out: packet direction.

    with open("capture.pcapng", "wb") as stream:
        writer = PcapngWriter(stream, ["client:client-eth0"])
        writer.packet(0, time_ns=1_700_000_000_000_000_000, data=frame)
        writer.statistics(0, received=1, dropped=0)
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import BinaryIO

SECTION_HEADER = 0x0A0D0D0A
INTERFACE_DESCRIPTION = 1
NAME_RESOLUTION = 4
INTERFACE_STATISTICS = 5
ENHANCED_PACKET = 6
DECRYPTION_SECRETS = 10
TLS_KEY_LOG = 0x544C534B

LINKTYPE_ETHERNET = 1
# Snap length in octets, as tcpdump's default: no frame is longer, even with segmentation offload.
SNAP_LENGTH = 262_144

BYTE_ORDER_MAGIC = 0x1A2B3C4D
UNKNOWN_SECTION_LENGTH = -1
# Record types of name resolution (section 4.5), by the version of the address.
NAME_RECORDS = {4: 1, 6: 2}
OPTION_END = 0
OPTION_COMMENT = 1
OPTION_IF_NAME = 2
OPTION_IF_TSRESOL = 9
OPTION_ISB_IFRECV = 4
OPTION_ISB_IFDROP = 5
NANOSECONDS = 9  # if_tsresol: a negative power of ten


@dataclass(frozen=True)
class InterfaceCounts:
    """Packet counts of one interface: packets in the file, and packets that the kernel dropped (0 if unknown)."""

    packets: int
    dropped: int


class PcapngWriter:
    """Writer of one pcapng section to a binary stream.

    `interfaces` are the names of the interfaces; `packet` and `statistics` refer to them by position.
    """

    def __init__(self, stream: BinaryIO, interfaces: Sequence[str]) -> None:
        self._stream = stream
        self._last_ns = 0
        self._write(SECTION_HEADER, struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_SECTION_LENGTH))
        for name in interfaces:
            self._write(INTERFACE_DESCRIPTION, _interface_body(name))

    def names(self, hosts: Mapping[str, str]) -> None:
        """Append a Name Resolution Block: host names (IPv4 or IPv6 address -> name), which Wireshark can display."""
        records = b""
        for text, name in hosts.items():
            address = ip_address(text)
            records += _option(NAME_RECORDS[address.version], address.packed + name.encode("utf-8") + b"\0")
        self._write(NAME_RESOLUTION, records + _option(0, b""))

    def tls_secrets(self, key_log: bytes) -> None:
        """Append TLS secrets in the format of SSLKEYLOGFILE, before the packets that they decrypt (section 4.7)."""
        self._write(DECRYPTION_SECRETS, struct.pack("<II", TLS_KEY_LOG, len(key_log)) + _padded(key_log))

    def packet(
        self, interface: int, time_ns: int, data: bytes, wire_length: int | None = None, comments: Sequence[str] = ()
    ) -> None:
        """Append one packet captured at `time_ns`; `wire_length` is the original length in octets (None: len(data))."""
        captured = data[:SNAP_LENGTH]
        length = len(data) if wire_length is None else wire_length
        self._last_ns = max(self._last_ns, time_ns)
        head = struct.pack(
            "<IIIII", interface, time_ns >> 32, time_ns & 0xFFFFFFFF, len(captured), length
        )  # draft-ietf-opsawg-pcapng section 4.3
        options = b"".join(_option(OPTION_COMMENT, comment.encode("utf-8")) for comment in comments)
        self._write(
            ENHANCED_PACKET, head + _padded(captured) + options + (_option(OPTION_END, b"") if options else b"")
        )

    def statistics(self, interface: int, received: int, dropped: int) -> None:
        """Append the packet counts of one interface, with the time of the latest packet."""
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
