"""Salvage of a killed recorder's raw records into a capture file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scapy.utils import PcapNgReader

from lab7.experiments.harness.capture.recorder import RECORD, raw_of, salvage

FRAMES = [bytes([number]) * (60 + number) for number in range(3)]
HEADER = json.dumps(["here", "there"]).encode() + b"\n"


def records() -> list[bytes]:
    """Return three records, the later ones first."""
    times_ns = (3_000, 2_000, 1_000)
    return [
        RECORD.pack(number % 2, len(frame), len(frame), time_ns) + frame
        for number, (frame, time_ns) in enumerate(zip(FRAMES, times_ns, strict=True))
    ]


@pytest.mark.parametrize("cut", [0, 1, len(FRAMES[2]), len(FRAMES[2]) + 5])
def test_whole_records_are_kept_in_the_order_of_their_times(tmp_path: Path, cut: int) -> None:
    target = tmp_path / "capture.pcapng"
    octets = HEADER + b"".join(records())
    raw_of(target).write_bytes(octets[: len(octets) - cut])
    salvage(target)
    with PcapNgReader(str(target)) as reader:
        packets = [(packet.sniffed_on, bytes(packet)) for packet in reader]
    whole = [("here", FRAMES[2]), ("there", FRAMES[1]), ("here", FRAMES[0])]
    assert packets == (whole if cut == 0 else whole[1:])
    assert [path.name for path in tmp_path.iterdir()] == ["capture.pcapng"]


def test_a_hole_that_the_end_of_a_kernel_left_in_the_file_is_no_record(tmp_path: Path) -> None:
    target = tmp_path / "capture.pcapng"
    raw_of(target).write_bytes(HEADER + records()[0] + bytes(4096))
    salvage(target)
    with PcapNgReader(str(target)) as reader:
        assert [bytes(packet) for packet in reader] == [FRAMES[0]]


@pytest.mark.parametrize("octets", [b"", HEADER[:5], HEADER, HEADER + records()[0][:-1]])
def test_of_nothing_no_capture_is_made(tmp_path: Path, octets: bytes) -> None:
    target = tmp_path / "capture.pcapng"
    raw_of(target).write_bytes(octets)
    salvage(target)
    assert list(tmp_path.iterdir()) == []


def test_a_whole_capture_is_left_as_it_is(tmp_path: Path) -> None:
    target = tmp_path / "capture.pcapng"
    target.write_bytes(b"whole")
    raw_of(target).write_bytes(HEADER)
    salvage(target)
    assert target.read_bytes() == b"whole"
