"""Capture files: a writer of pcapng, and a reader of pcap and pcapng, also compressed, as Ethernet frames.

    with open("capture.pcapng", "wb") as stream:
        writer = PcapngWriter(stream, ["client:client-eth0"])
        writer.packet(0, time_ns=1_700_000_000_000_000_000, data=frame)
        writer.statistics(0, received=1, dropped=0)

The writer follows draft-ietf-opsawg-pcapng: one Section Header Block, one Interface Description Block per interface
(if_name, if_tsresol), one Enhanced Packet Block per packet, and one Interface Statistics Block per interface at the
end. Every interface has the same link type, snap length and time resolution, because tcpdump refuses a file in which
they differ. Optional are Name Resolution Blocks (host names), comments of packets, and Decryption Secrets Blocks (TLS
keys). Left out: packet direction.

The reader follows draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng: both byte orders, time stamps of any
resolution, several sections and interfaces, Enhanced, Simple and (obsolete) Packet Blocks, and the drop counts of
Interface Statistics Blocks. gzip, bzip2 and xz are decompressed.

Any other link header (Linux cooked capture, raw IP, BSD loopback, PPP, Cisco HDLC) is replaced by an Ethernet header
with the known addresses, so that all code that parses frames handles one format only. VLAN tags are kept. A packet
shorter than its link header becomes an empty frame.

Every defect of a file raises CaptureReadError with a message of one sentence. By default a truncated or damaged file is
rejected as a whole, because the missing packets may be the evidence of a run. `read_readable` reads such a file up to
the defect and returns a sentence about the defect, for commands that display captures. Left out: name resolution,
decryption secrets, comments.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import IO, BinaryIO, NoReturn, Protocol

from lab7.topologies.emulation.errors import EmulationError

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

NS = 1_000_000_000
# Time stamp units per second by pcap magic number (draft-ietf-opsawg-pcap section 4).
PCAP_MAGICS = {0xA1B2C3D4: 1_000_000, 0xA1B23C4D: NS}
PCAP_MAJOR = 2
PCAP_HEADER_BYTES, PCAP_PACKET_BYTES = 24, 16
SIMPLE_PACKET, OBSOLETE_PACKET = 3, 2
OPTION_IF_TSOFFSET, OPTION_ISB_OSDROP = 14, 7
DEFAULT_TSRESOL = 6  # draft-ietf-opsawg-pcapng section 4.2: microseconds
BLOCK_BYTES_MIN = 12
# A pcapng block longer than BLOCK_BYTES_MAX is refused as damaged; the limit is Wireshark's MAX_BLOCK_SIZE.
BLOCK_BYTES_MAX = 16 << 20
# A file that decompresses to more than DECOMPRESSED_BYTES_MAX is refused: zeros compress to a thousandth.
DECOMPRESSED_BYTES_MAX = 2 << 30


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


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Return `size` octets, or fewer at the end of the file."""


# Magic number at the start of a compressed file -> function that opens a decompressor.
COMPRESSIONS: dict[bytes, Callable[[IO[bytes]], _Readable]] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\x00": lzma.LZMAFile,
}
# Magic number of an unsupported format -> description and conversion instructions for the error message.
FOREIGN = {
    b"\x28\xb5\x2f\xfd": ("is compressed by Zstandard", "decompress it first, by `unzstd`"),
    b"\x04\x22\x4d\x18": ("is compressed by LZ4", "decompress it first, by `unlz4`"),
    b"PK\x03\x04": ("is a ZIP archive", "extract the capture from it first"),
    b"snoop\x00\x00\x00": ("is a snoop capture", "convert it by `editcap -F pcapng`"),
    b"\x34\xcd\xb2\xa1": ("is a modified pcap capture", "convert it by `editcap -F pcapng`"),
    b"\xa1\xb2\xcd\x34": ("is a modified pcap capture", "convert it by `editcap -F pcapng`"),
}
MAGIC_BYTES_MAX = max(map(len, (*COMPRESSIONS, *FOREIGN)))

# Numbers of link types, from https://www.tcpdump.org/linktypes.html.
LINKTYPE_NULL, LINKTYPE_PPP, LINKTYPE_RAW, LINKTYPE_C_HDLC, LINKTYPE_LOOP, LINKTYPE_LINUX_SLL = 0, 9, 101, 104, 108, 113
LINKTYPE_IPV4, LINKTYPE_IPV6, LINKTYPE_LINUX_SLL2 = 228, 229, 276
# Link type numbers that some operating systems write for raw IP (DLT_RAW).
DLT_RAW = (12, 14)
ETHERNET_BYTES, ADDRESS_BYTES = 14, 6
ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
# EtherType for packets whose link type has no EtherType: IEEE 802's first local experimental EtherType.
ETHERTYPE_NONE, ETHERTYPE_MIN = 0x88B5, 0x0600
# EtherType by address family: AF_INET is 2 everywhere; AF_INET6 differs between Linux, the BSDs and macOS.
FAMILIES = {2: ETHERTYPE_IPV4, **dict.fromkeys((10, 24, 28, 30), ETHERTYPE_IPV6)}
# PPP's address and control field (RFC 1662 section 3.1), and EtherType by its protocol field (RFC 1332, RFC 5072).
PPP_ALL_STATIONS = b"\xff\x03"
PPP_PROTOCOLS = {0x0021: ETHERTYPE_IPV4, 0x0057: ETHERTYPE_IPV6}
# Address octets of Cisco HDLC, unicast and broadcast (RFC 1547 section 4.3.1); a control octet and an EtherType follow.
C_HDLC_ADDRESSES, C_HDLC_BYTES = (b"\x0f", b"\x8f"), 4
_SLL, _SLL2 = struct.Struct("!HHH8sH"), struct.Struct("!HHIHBB8s")


class CaptureReadError(EmulationError):
    """Failure to read a capture file; the message is one sentence with the reason."""


class _FormatError(Exception):
    """Content that is not a valid capture file; the message continues a sentence that starts with the file's name."""


@dataclass(frozen=True)
class Packet:
    """Packet of a capture file: interface, time in ns since 1970, frame with Ethernet header, original length."""

    interface: str
    time_ns: int
    data: bytes
    wire_length: int


@dataclass
class _Interface:
    """Interface description of a capture file: link type, snap length, time stamp resolution, and packet counts."""

    name: str
    link_type: int
    snap_length: int = 0
    resolution: int = 1_000_000
    offset_s: int = 0
    packets: int = 0
    dropped: int = 0


def read_packets(path: Path) -> tuple[list[Packet], dict[str, InterfaceCounts]]:
    """Return (packets in file order, interface name -> packet counts) of a capture file. Raises CaptureReadError.

    An unnamed interface is called `interface N`. If the file has no drop counts (pcap, or a pcapng that another program
    has saved), `dropped` is 0.
    """
    packets, counts, damage = read_readable(path)
    if damage is not None:
        raise CaptureReadError(damage)
    return packets, counts


def read_readable(path: Path) -> tuple[list[Packet], dict[str, InterfaceCounts], str | None]:
    """Read a capture file up to its first defect; return (packets, counts, sentence on the defect or None).

    Packets and counts per interface are as for `read_packets`. Raises CaptureReadError for a file without a readable
    packet.
    """
    interfaces: list[_Interface] = []
    packets: list[Packet] = []
    damage = None
    try:
        with path.open("rb") as file:
            # Append in a loop: if the generator raises an exception, list() would discard the packets before it.
            for packet in _packets(_opened(file), interfaces):
                packets.append(packet)
    except _FormatError as error:
        damage = f"{path} {error}"
    except EOFError:
        damage = f"{path} is truncated: its compressed data are incomplete"
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        damage = f"{path} cannot be decompressed ({error})"
    except OSError as error:
        damage = f"{path} cannot be read ({error.strerror or error})"
    if damage is not None and not packets:
        raise CaptureReadError(damage)
    counts: dict[str, InterfaceCounts] = {}
    for one in interfaces:
        other = counts.get(one.name, InterfaceCounts(0, 0))
        counts[one.name] = InterfaceCounts(other.packets + one.packets, other.dropped + one.dropped)
    return packets, counts, damage


class _Source:
    """Decompressed octets of a capture file; counts packets for the error message about a truncated file."""

    def __init__(self, stream: _Readable, compressed: bool) -> None:
        self._stream = stream
        self._left = DECOMPRESSED_BYTES_MAX if compressed else None
        self.packets = 0

    def take(self, size: int) -> bytes:
        """Return `size` octets. Raises _FormatError if the file ends earlier."""
        octets = self.take_any(size)
        if len(octets) < size:
            self.cut_short()
        return octets

    def take_any(self, size: int) -> bytes:
        """Return `size` octets, or fewer at the end of the file. Raises _FormatError beyond DECOMPRESSED_BYTES_MAX."""
        octets = self._stream.read(size)
        if self._left is not None:
            self._left -= len(octets)
            if self._left < 0:
                raise _FormatError(f"decompresses to more than {DECOMPRESSED_BYTES_MAX >> 30} GiB")
        return octets

    def cut_short(self) -> NoReturn:
        """Raise _FormatError for a file that ends within a packet or header."""
        if not self.packets:
            raise _FormatError("is truncated: it ends before its first packet")
        raise _FormatError(
            f"is truncated: it ends after packet {self.packets}; `editcap` keeps the packets before that"
        )


def is_capture(start: bytes) -> bool:
    """Return True if the first octets of a file are those of an uncompressed pcapng or pcap file."""
    return any(int.from_bytes(start[:4], order) in (SECTION_HEADER, *PCAP_MAGICS) for order in ("big", "little"))


def _opened(file: IO[bytes]) -> _Source:
    magic = file.read(MAGIC_BYTES_MAX)
    file.seek(0)
    if not magic:
        raise _FormatError("is empty")
    for start, (what, remedy) in FOREIGN.items():
        if magic.startswith(start):
            raise _FormatError(f"{what}: {remedy}")
    for start, decompress in COMPRESSIONS.items():
        if magic.startswith(start):
            return _Source(decompress(file), compressed=True)
    return _Source(file, compressed=False)


def _packets(source: _Source, interfaces: list[_Interface]) -> Iterator[Packet]:
    """Yield the packets of a pcap or pcapng file, and append the file's interfaces to `interfaces`."""
    magic = source.take(4)
    if int.from_bytes(magic, "big") == SECTION_HEADER:
        return _pcapng(source, magic, interfaces)
    for order in ("<", ">"):
        resolution = PCAP_MAGICS.get(struct.unpack(f"{order}I", magic)[0])
        if resolution is not None:
            return _pcap(source, order, resolution, interfaces)
    raise _FormatError("is not a capture file: it has neither the pcap nor the pcapng format")


def _pcap(source: _Source, order: str, resolution: int, interfaces: list[_Interface]) -> Iterator[Packet]:
    header = source.take(PCAP_HEADER_BYTES - 4)
    major, minor, _, _, _, network = struct.unpack(f"{order}HHIIII", header)
    if major != PCAP_MAJOR:
        raise _FormatError(f"has version {major}.{minor} of the pcap format, but only {PCAP_MAJOR}.4 is supported")
    # Keep the lower 16 bits, the link type; the upper bits describe the frame check sequence.
    interface = _Interface("interface 0", network & 0xFFFF, resolution=resolution)
    interfaces.append(interface)
    head = struct.Struct(f"{order}IIII")
    while octets := source.take_any(PCAP_PACKET_BYTES):
        if len(octets) < PCAP_PACKET_BYTES:
            source.cut_short()
        seconds, fraction, captured, wire_length = head.unpack(octets)
        _check_length(source, captured)
        time_ns = seconds * NS + fraction * NS // resolution
        yield _packet(source, interface, time_ns, source.take(captured), wire_length)


def _check_length(source: _Source, captured: int) -> None:
    if captured > SNAP_LENGTH:
        raise _FormatError(
            f"is damaged: its packet {source.packets + 1} claims {captured} octets, more than {SNAP_LENGTH}"
        )


def _packet(source: _Source, interface: _Interface, time_ns: int, data: bytes, wire_length: int) -> Packet:
    source.packets += 1
    interface.packets += 1
    if interface.link_type != LINKTYPE_ETHERNET:
        frame = _with_ethernet_header(interface.link_type, data, source.packets)
        wire_length, data = max(0, wire_length + len(frame) - len(data)), frame
    return Packet(interface.name, time_ns, data, max(wire_length, len(data)))


# pcapng.


def _pcapng(source: _Source, magic: bytes, interfaces: list[_Interface]) -> Iterator[Packet]:
    order, here = "<", 0  # position of the section's interface 0 in `interfaces`
    head = magic + source.take(4)
    while head:
        if len(head) < 8:
            source.cut_short()
        if int.from_bytes(head[:4], "big") == SECTION_HEADER:
            order, here = _byte_order(byte_order := source.take(4)), len(interfaces)
            _block(source, order, head, byte_order)
        else:
            block_type, body = _block(source, order, head)
            section = interfaces[here:]
            if block_type == INTERFACE_DESCRIPTION:
                interfaces.append(_interface(order, body, len(interfaces)))
            elif block_type in (ENHANCED_PACKET, OBSOLETE_PACKET):
                yield _timed_packet(source, order, block_type, body, section)
            elif block_type == SIMPLE_PACKET:
                yield _simple_packet(source, order, body, section)
            elif block_type == INTERFACE_STATISTICS:
                _note_drops(order, body, section)
        head = source.take_any(8)


def _byte_order(octets: bytes) -> str:
    for order in ("<", ">"):
        if struct.unpack(f"{order}I", octets)[0] == BYTE_ORDER_MAGIC:
            return order
    raise _FormatError("is damaged: the byte-order magic of a section is wrong")


def _block(source: _Source, order: str, head: bytes, already: bytes = b"") -> tuple[int, bytes]:
    """Read the rest of a pcapng block; return (type, body).

    `head`: the block's type and length fields; `already`: the first octets of its body, if they have been read too.
    """
    block_type, length = struct.unpack(f"{order}II", head)
    if not BLOCK_BYTES_MIN <= length <= BLOCK_BYTES_MAX or length % 4:
        raise _FormatError(f"is damaged after packet {source.packets}: a block of {length} octets")
    rest = already + source.take(length - len(head) - len(already))
    if struct.unpack(f"{order}I", rest[-4:])[0] != length:
        raise _FormatError(f"is damaged after packet {source.packets}: the two lengths of a block differ")
    return block_type, rest[:-4]


def _fields(order: str, layout: str, body: bytes) -> tuple[int, ...]:
    try:
        return struct.unpack_from(order + layout, body)
    except struct.error:
        raise _FormatError(f"is damaged: a block of {len(body)} octets is too short for its fields") from None


def _interface(order: str, body: bytes, number: int) -> _Interface:
    link_type, _, snap_length = _fields(order, "HHI", body)
    options = _options(order, body[8:])
    name = options.get(OPTION_IF_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
    # Option if_tsresol is the time stamp resolution: 10^-n s, or 2^-n s if the upper bit is set (pcapng section 4.2).
    (resolution,) = options.get(OPTION_IF_TSRESOL, b"")[:1] or (DEFAULT_TSRESOL,)
    exponent = resolution & 0x7F
    offset = options.get(OPTION_IF_TSOFFSET, b"")
    return _Interface(
        name or f"interface {number}",
        link_type,
        snap_length,
        2**exponent if resolution & 0x80 else 10**exponent,
        struct.unpack(f"{order}q", offset)[0] if len(offset) == 8 else 0,
    )


def _options(order: str, data: bytes) -> dict[int, bytes]:
    options: dict[int, bytes] = {}
    while len(data) >= 4:
        code, length = struct.unpack_from(f"{order}HH", data)
        if code == OPTION_END:
            break
        options[code] = data[4 : 4 + length]
        data = data[4 + length + -length % 4 :]
    return options


def _of(interfaces: list[_Interface], number: int, source: _Source) -> _Interface:
    if number >= len(interfaces):
        raise _FormatError(f"is damaged: its packet {source.packets + 1} has an interface without a description")
    return interfaces[number]


def _timed_packet(source: _Source, order: str, block_type: int, body: bytes, interfaces: list[_Interface]) -> Packet:
    # An Enhanced Packet Block (pcapng section 4.3) has a 32-bit interface number, a Packet Block a 16-bit one.
    number, high, low, captured, wire_length = _fields(order, "IIIII", body)
    if block_type == OBSOLETE_PACKET:
        (number,) = _fields(order, "H", body)
    interface = _of(interfaces, number, source)
    time_ns = interface.offset_s * NS + (high << 32 | low) * NS // interface.resolution
    return _packet(source, interface, time_ns, _captured(source, body[20:], captured), wire_length)


def _simple_packet(source: _Source, order: str, body: bytes, interfaces: list[_Interface]) -> Packet:
    # A Simple Packet Block (pcapng section 4.4) belongs to interface 0, has no time, and may be cut to the snap length.
    (wire_length,) = _fields(order, "I", body)
    interface = _of(interfaces, 0, source)
    captured = min(wire_length, interface.snap_length or wire_length)
    return _packet(source, interface, 0, _captured(source, body[4:], captured), wire_length)


def _captured(source: _Source, data: bytes, length: int) -> bytes:
    if length > len(data):
        raise _FormatError(f"is damaged: its packet {source.packets + 1} is longer than its block")
    return data[:length]


def _note_drops(order: str, body: bytes, interfaces: list[_Interface]) -> None:
    """Set an interface's drop count to the total in an Interface Statistics Block (pcapng section 4.6)."""
    (number,) = _fields(order, "I", body)
    options = _options(order, body[12:])
    lost = [options[code] for code in (OPTION_ISB_IFDROP, OPTION_ISB_OSDROP) if len(options.get(code, b"")) == 8]
    if number < len(interfaces):
        interfaces[number].dropped = sum(struct.unpack(f"{order}Q", octets)[0] for octets in lost)


# Link headers.


def _with_ethernet_header(link_type: int, data: bytes, number: int) -> bytes:
    """Replace a packet's link header by an Ethernet header; return b"" if the link header is incomplete."""
    if link_type in (LINKTYPE_RAW, LINKTYPE_IPV4, LINKTYPE_IPV6, *DLT_RAW):
        version = data[0] >> 4 if data else 0
        return _frame({4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}.get(version, 0), data) if data else b""
    if link_type in (LINKTYPE_NULL, LINKTYPE_LOOP):
        # A BSD loopback header has the address family in the capturing machine's byte order, not in the file's.
        family = min(int.from_bytes(data[:4], "big"), int.from_bytes(data[:4], "little"))
        return _frame(FAMILIES.get(family, 0), data[4:]) if len(data) >= 4 else b""
    if link_type == LINKTYPE_PPP and data[:1] not in C_HDLC_ADDRESSES:
        return _from_ppp(data.removeprefix(PPP_ALL_STATIONS))
    if link_type in (LINKTYPE_PPP, LINKTYPE_C_HDLC):
        # Some programs write the link type of PPP for Cisco HDLC as well.
        if len(data) < C_HDLC_BYTES:
            return b""
        return _frame(int.from_bytes(data[2:C_HDLC_BYTES], "big"), data[C_HDLC_BYTES:])
    if link_type == LINKTYPE_LINUX_SLL:
        if len(data) < _SLL.size:
            return b""
        _, _, length, address, protocol = _SLL.unpack_from(data)
        return _frame(protocol, data[_SLL.size :], address[:length])
    if link_type == LINKTYPE_LINUX_SLL2:
        if len(data) < _SLL2.size:
            return b""
        protocol, _, _, _, _, length, address = _SLL2.unpack_from(data)
        return _frame(protocol, data[_SLL2.size :], address[:length])
    raise _FormatError(
        f"has packets of link type {link_type} (the first is packet {number}): supported are Ethernet, Linux "
        "cooked capture (SLL, SLL2), raw IP, BSD loopback, PPP and Cisco HDLC"
    )


def _from_ppp(data: bytes) -> bytes:
    """Replace a PPP frame's protocol field by an Ethernet header.

    The field has one octet if that octet is odd, otherwise two (RFC 1661 section 2).
    """
    length = 1 if data[:1] and data[0] & 1 else 2
    protocol = int.from_bytes(data[:length], "big")
    return _frame(PPP_PROTOCOLS.get(protocol, 0), data[length:]) if len(data) >= length else b""


def _frame(ethertype: int, payload: bytes, source: bytes = b"") -> bytes:
    """Return an Ethernet frame with a payload; the source address is zero unless `source` has six octets."""
    address = source if len(source) == ADDRESS_BYTES else bytes(ADDRESS_BYTES)
    number = ethertype if ethertype >= ETHERTYPE_MIN else ETHERTYPE_NONE
    return bytes(ADDRESS_BYTES) + address + number.to_bytes(2, "big") + payload
