"""The frame-time record of a wire: a ring buffer in shared memory, written by one process and read by others."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.topologies.emulation.wire import record
from lab7.topologies.emulation.wire.record import Reader, Writer


def test_a_reader_gets_each_frame_once(tmp_path: Path) -> None:
    writer, reader = Writer(tmp_path / "wire"), Reader(tmp_path / "wire")
    assert list(reader.news()) == []
    writer.add(10, 11)
    writer.add(20, 19)
    assert list(reader.news()) == [10, 11, 20, 19]
    writer.add(30, 30)
    assert list(reader.news()) == [30, 30]
    assert list(Reader(tmp_path / "wire").news()) == [10, 11, 20, 19, 30, 30]


@pytest.mark.parametrize("frames", [5, 6, 9, 10, 13])
def test_of_more_frames_than_it_holds_the_last_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: int
) -> None:
    monkeypatch.setattr(record, "FRAMES_MAX", 5)
    writer, reader = Writer(tmp_path / "wire"), Reader(tmp_path / "wire")
    for number in range(frames):
        writer.add(number, number + 1)
    expected = [value for number in range(frames - 5, frames) for value in (number, number + 1)]
    assert list(reader.news()) == expected


def test_without_a_record_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Reader(tmp_path / "wire")
