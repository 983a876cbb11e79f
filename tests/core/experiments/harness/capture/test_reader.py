"""Capture files of other programs: every format that is read, and one sentence for whatever is not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether

from lab7.experiments.harness.capture.pcapng import (
    CaptureReadError,
    InterfaceCounts,
    Packet,
    PcapngWriter,
    read_packets,
    read_readable,
)

DATAGRAM = bytes(IP(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53) / b"four")
ADDRESS = bytes.fromhex("020000000001")
FRAME = bytes(6) + ADDRESS + b"\x08\x00" + DATAGRAM
TIME_NS = 1_700_000_000_123_456_789
MICROSECONDS_NS = TIME_NS // 1000 * 1000


def pcap(order: str = "<", magic: int = 0xA1B23C4D, link_type: int = 1, frames: tuple[bytes, ...] = (FRAME,)) -> bytes:
    header = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    divisor = 1000 if magic == 0xA1B2C3D4 else 1
    seconds, fraction = TIME_NS // 10**9, TIME_NS % 10**9 // divisor
    packets = (struct.pack(f"{order}IIII", seconds, fraction, len(one), len(one)) + one for one in frames)
    return header + b"".join(packets)


def block(order: str, kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    length = struct.pack(f"{order}I", len(padded) + 12)
    return struct.pack(f"{order}I", kind) + length + padded + length


def option(order: str, code: int, value: bytes) -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, options: bytes = b"", link_type: int = 1, snap_length: int = 0) -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", link_type, 0, snap_length) + options)


def enhanced(order: str, ticks: int, data: bytes = FRAME, number: int = 0) -> bytes:
    head = struct.pack(f"{order}IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data) + 1)
    return block(order, 6, head + data)


def ours(path: Path) -> bytes:
    with path.open("wb") as stream:
        writer = PcapngWriter(stream, ["a", "b"])
        writer.packet(1, TIME_NS, FRAME)
        writer.packet(1, TIME_NS + 1, FRAME)
        writer.statistics(0, received=0, dropped=0)
        writer.statistics(1, received=3, dropped=1)
    return path.read_bytes()


def without_statistics(octets: bytes) -> bytes:
    """The file without its Interface Statistics Blocks, as Wireshark's editcap saves it."""
    kept, at = b"", 0
    while at < len(octets):
        kind, length = struct.unpack_from("<II", octets, at)
        kept += octets[at : at + length] if kind != 5 else b""
        at += length
    return kept


def read_or_refused(path: Path) -> tuple[list[Packet], dict[str, InterfaceCounts]] | None:
    """The packets and counts of a file; None if it is refused by one sentence."""
    refusal = ""
    try:
        return read_packets(path)
    except CaptureReadError as error:
        refusal = str(error)
    assert refusal.startswith(f"{path} ")
    assert "\n" not in refusal
    return None


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(octets: bytes) -> Path:
        path = tmp_path / "capture"
        path.write_bytes(octets)
        return path

    return save


def test_our_own_file_has_its_packets_and_counts(tmp_path: Path) -> None:
    ours(tmp_path / "ours")
    packets, counts = read_packets(tmp_path / "ours")
    assert [(one.interface, one.time_ns, one.data) for one in packets] == [
        ("b", TIME_NS, FRAME),
        ("b", TIME_NS + 1, FRAME),
    ]
    assert counts == {"a": InterfaceCounts(0, 0), "b": InterfaceCounts(2, 1)}


def test_a_file_that_another_program_saved_again_has_no_drops(saved: Callable[[bytes], Path], tmp_path: Path) -> None:
    octets = ours(tmp_path / "ours")
    again = without_statistics(octets)
    assert len(again) < len(octets)
    packets, counts = read_packets(saved(again))
    assert [one.data for one in packets] == [FRAME, FRAME]
    assert counts == {"a": InterfaceCounts(0, 0), "b": InterfaceCounts(2, 0)}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(("magic", "time_ns"), [(0xA1B2C3D4, MICROSECONDS_NS), (0xA1B23C4D, TIME_NS)])
def test_pcap_in_both_byte_orders_and_resolutions(
    saved: Callable[[bytes], Path], order: str, magic: int, time_ns: int
) -> None:
    packets, counts = read_packets(saved(pcap(order, magic)))
    assert [(one.interface, one.time_ns, one.data) for one in packets] == [("interface 0", time_ns, FRAME)]
    assert counts == {"interface 0": InterfaceCounts(1, 0)}


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize(
    ("options", "ticks", "time_ns"),
    [
        (lambda _: b"", TIME_NS // 1000, MICROSECONDS_NS),
        (lambda order: option(order, 9, b"\x09"), TIME_NS, TIME_NS),
        (lambda order: option(order, 9, b"\x81"), 3, 1_500_000_000),  # halves of a second
        (lambda order: option(order, 9, b"\x00") + option(order, 14, struct.pack(f"{order}q", 5)), 2, 7 * 10**9),
    ],
)
def test_pcapng_in_both_byte_orders_and_all_resolutions(
    saved: Callable[[bytes], Path], order: str, options: Callable[[str], bytes], ticks: int, time_ns: int
) -> None:
    octets = section(order) + interface(order, option(order, 2, b"eth7") + options(order)) + enhanced(order, ticks)
    ((one,), counts) = read_packets(saved(octets))
    assert (one.interface, one.time_ns, one.data, one.wire_length) == ("eth7", time_ns, FRAME, len(FRAME) + 1)
    assert counts == {"eth7": InterfaceCounts(1, 0)}


def test_sections_number_their_interfaces_each(saved: Callable[[bytes], Path]) -> None:
    little = section("<") + interface("<", option("<", 2, b"a")) + enhanced("<", 1)
    big = section(">") + interface(">", option(">", 2, b"b")) + enhanced(">", 2)
    packets, _ = read_packets(saved(little + big))
    assert [(one.interface, one.time_ns) for one in packets] == [("a", 1000), ("b", 2000)]


def test_simple_and_obsolete_packet_blocks(saved: Callable[[bytes], Path]) -> None:
    simple = block("<", 3, struct.pack("<I", 500) + FRAME[:20])
    obsolete = block("<", 2, struct.pack("<HHIIII", 0, 3, 0, 7, len(FRAME), len(FRAME)) + FRAME)
    unknown = block("<", 0x0BAD, b"whatever")
    octets = section("<") + interface("<", snap_length=20) + unknown + simple + obsolete
    packets, _ = read_packets(saved(octets))
    assert [(one.time_ns, one.data, one.wire_length) for one in packets] == [
        (0, FRAME[:20], 500),
        (7000, FRAME, len(FRAME)),
    ]


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_files(saved: Callable[[bytes], Path], compress: Callable[[bytes], bytes]) -> None:
    packets, _ = read_packets(saved(compress(pcap())))
    assert [one.data for one in packets] == [FRAME]


@pytest.mark.parametrize(
    ("link_type", "data", "expected"),
    [
        (113, struct.pack("!HHH8sH", 0, 1, 6, ADDRESS + b"\0\0", 0x0800) + DATAGRAM, FRAME),
        (276, struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, 0, 6, ADDRESS + b"\0\0") + DATAGRAM, FRAME),
        (101, DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (12, DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (228, DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (0, b"\x02\0\0\0" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (0, b"\0\0\0\x02" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (108, b"\0\0\0\x02" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (0, b"\x1e\0\0\0" + bytes(IPv6()), bytes(12) + b"\x86\xdd" + bytes(IPv6())),
        (229, bytes(IPv6()), bytes(12) + b"\x86\xdd" + bytes(IPv6())),
        (9, b"\xff\x03\x00\x21" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (9, b"\x00\x21" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (9, b"\xff\x03\x21" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (9, b"\xff\x03\x00\x57" + bytes(IPv6()), bytes(12) + b"\x86\xdd" + bytes(IPv6())),
        (9, b"\xff\x03\xc0\x21LCP", bytes(12) + b"\x88\xb5LCP"),
        (9, b"\x0f\x00\x08\x00" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (104, b"\x0f\x00\x08\x00" + DATAGRAM, bytes(12) + b"\x08\x00" + DATAGRAM),
        (104, b"\x8f\x00\x80\x35SLARP", bytes(12) + b"\x80\x35SLARP"),
        (9, b"", b""),
        (9, b"\xff\x03\x00", b""),
        (104, b"\x0f\0\x08", b""),
        (0, b"\x07\0\0\0no IP", bytes(12) + b"\x88\xb5no IP"),
        (113, b"short", b""),
        (276, b"short", b""),
        (0, b"sh", b""),
        (101, b"", b""),
    ],
)
def test_other_link_types_get_an_ethernet_header(
    saved: Callable[[bytes], Path], link_type: int, data: bytes, expected: bytes
) -> None:
    ((one,), _) = read_packets(saved(pcap(link_type=link_type, frames=(data,))))
    assert one.data == expected
    assert one.wire_length == len(expected)


def test_vlan_tags_and_short_frames_remain(saved: Callable[[bytes], Path]) -> None:
    tagged = bytes(Ether() / Dot1Q(vlan=7) / IP(DATAGRAM))
    packets, _ = read_packets(saved(pcap(frames=(tagged, b"", b"short"))))
    assert [one.data for one in packets] == [tagged, b"", b"short"]


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "is empty"),
        (b"GET / HTTP/1.1\r\n\r\n", "is not a capture file: it has neither the pcap nor the pcapng format"),
        (b"\x28\xb5\x2f\xfd....", "is compressed by Zstandard: decompress it first, by `unzstd`"),
        (pcap(link_type=105), "has packets of link type 105 (the first is packet 1): supported are Ethernet"),
        (pcap()[:-1], "is truncated: it ends before its first packet"),
        (pcap(frames=(FRAME, FRAME))[:-1], "is truncated: it ends after packet 1; `editcap` keeps"),
        (gzip.compress(pcap(), mtime=0)[:-4], "is truncated: its compressed data are incomplete"),
        (gzip.compress(pcap(), mtime=0)[:-8] + bytes(8), "cannot be decompressed (CRC check failed"),
        (
            pcap()[:24] + struct.pack("<IIII", 0, 0, 2**31, 9),
            "is damaged: its packet 1 claims 2147483648 octets",
        ),
        (struct.pack("<IHHiIII", 0xA1B2C3D4, 3, 0, 0, 0, 9, 1), "has version 3.0 of the pcap format"),
        (section("<") + enhanced("<", 1), "is damaged: its packet 1 has an interface without a description"),
        (section("<") + block("<", 1, b""), "is damaged: a block of 0 octets is too short for its fields"),
        (section("<")[:-4] + b"\xff" * 4, "is damaged after packet 0: the two lengths of a block differ"),
        (section("<")[:8] + b"abcd", "is damaged: the byte-order magic of a section is wrong"),
    ],
)
def test_what_is_wrong_is_one_sentence(saved: Callable[[bytes], Path], octets: bytes, says: str) -> None:
    path = saved(octets)
    with pytest.raises(CaptureReadError) as raised:
        read_packets(path)
    assert str(raised.value).startswith(f"{path} {says}")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("octets", "count", "says"),
    [
        (pcap(frames=(FRAME, FRAME)), 2, None),
        (pcap(frames=(FRAME, FRAME))[:-1], 1, "is truncated: it ends after packet 1"),
        (pcap(frames=(FRAME, FRAME)) + b"\0" * 7, 2, "is truncated: it ends after packet 2"),
        (pcap(frames=(FRAME, FRAME)) + b"\xff" * 16, 2, "is damaged: its packet 3 claims"),
        (gzip.compress(pcap(frames=(FRAME, FRAME)), mtime=0)[:-4], 2, "is truncated: its compressed data"),
    ],
)
def test_what_is_before_a_defect_can_be_read(
    saved: Callable[[bytes], Path], octets: bytes, count: int, says: str | None
) -> None:
    packets, counts, damage = read_readable(saved(octets))
    assert (len(packets), counts["interface 0"].packets) == (count, count)
    assert (damage is None) if says is None else (damage is not None and says in damage)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CaptureReadError, match=r"nothing cannot be read \(No such file or directory\)"):
        read_packets(tmp_path / "nothing")
    with pytest.raises(CaptureReadError, match=r"cannot be read \(Is a directory\)"):
        read_packets(tmp_path)


FORMATS = {
    "pcap": pcap(frames=(FRAME, FRAME)),
    "pcapng": section("<") + interface("<", option("<", 2, b"eth7")) + enhanced("<", 1) + enhanced("<", 2),
    "gzip": gzip.compress(pcap(frames=(FRAME, FRAME)), mtime=0),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_cut_short_at_any_octet_is_read_or_refused(saved: Callable[[bytes], Path], name: str) -> None:
    octets = FORMATS[name]
    whole = [one.data for one in read_packets(saved(octets))[0]]
    for length in range(len(octets)):
        # Cut between two packets: the format does not tell that there were more.
        kept, _ = read_or_refused(saved(octets[:length])) or ([], {})
        assert [one.data for one in kept] == whole[: len(kept)]
        assert len(kept) < len(whole)


@given(
    name=st.sampled_from(sorted(FORMATS)),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
    tail=st.binary(max_size=40),
)
@example(name="pcap", changes=[(20, 113)], tail=b"")
def test_any_octets_are_a_capture_or_one_sentence(
    name: str, changes: list[tuple[int, int]], tail: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    octets = bytearray(FORMATS[name])
    for place, value in changes:
        octets[place % len(octets)] = value
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(octets) + tail)
    packets, counts = read_or_refused(path) or ([], {})
    assert sum(count.packets for count in counts.values()) == len(packets)


@pytest.mark.skipif(shutil.which("tcpdump") is None, reason="tcpdump is not installed")
@pytest.mark.parametrize("octets", [FORMATS["pcap"], FORMATS["pcapng"], pcap(">", 0xA1B2C3D4)])
def test_a_file_that_tcpdump_writes_again_is_read(tmp_path: Path, octets: bytes) -> None:
    (tmp_path / "first").write_bytes(octets)
    subprocess.run(
        ["tcpdump", "-r", tmp_path / "first", "-w", tmp_path / "again"], cwd=tmp_path, capture_output=True, check=True
    )
    here, there = (read_packets(tmp_path / name)[0] for name in ("first", "again"))
    assert [one.data for one in there] == [one.data for one in here]
    assert [one.time_ns // 1000 for one in there] == [one.time_ns // 1000 for one in here]
