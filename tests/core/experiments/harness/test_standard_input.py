"""Standard input of a command in virtual time: what is read of each kind, and its limits."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from lab7.experiments.harness.virtual_time import standard_input
from lab7.topologies.emulation.errors import EmulationError


def write_and_close(descriptor: int, content: bytes) -> None:
    os.write(descriptor, content)
    os.close(descriptor)


def through_a_pipe(content: bytes) -> bytes | None:
    read_end, write_end = os.pipe()
    writer = threading.Thread(target=write_and_close, args=(write_end, content))
    writer.start()
    try:
        return standard_input.read(read_end)
    finally:
        writer.join()
        os.close(read_end)


@pytest.mark.parametrize("content", [b"", b"nodes\nexit\n", bytes(50_000)])
def test_a_pipe_is_read_to_its_end(content: bytes) -> None:
    assert through_a_pipe(content) == content


def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "commands").write_bytes(b"first\nsecond\n")
    descriptor = os.open(tmp_path / "commands", os.O_RDONLY)
    os.read(descriptor, 6)
    assert standard_input.read(descriptor) == b"second\n"
    os.close(descriptor)


def test_the_null_device_is_an_empty_input() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert standard_input.read(descriptor) == b""
    os.close(descriptor)


def test_nothing_is_read_from_a_terminal_or_a_closed_descriptor() -> None:
    ours, its = os.openpty()
    os.write(ours, b"typed\n")
    assert standard_input.read(its) is None
    os.close(ours)
    os.close(its)
    assert standard_input.read(its) is None


def test_a_late_input_is_waited_for_with_a_notice(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standard_input, "NOTICE_S", 0.0)
    read_end, write_end = os.pipe()
    timer = threading.Timer(0.2, write_and_close, (write_end, b"late"))
    timer.start()
    assert standard_input.read(read_end) == b"late"
    os.close(read_end)
    assert capsys.readouterr().err == f"{standard_input.NOTICE}\n"


def test_an_input_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "LIMIT_BYTES", 5)
    with pytest.raises(EmulationError, match="standard input is longer than"):
        through_a_pipe(b"123456")
