"""Files and outputs that cannot be written: one sentence and exit code 3, and no device is replaced by a file."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lab7.experiments.harness.doctor import examination
from lab7.experiments.harness.results.atomic import atomic, write_atomically
from lab7.topologies.emulation.watch import shorten
from lab7.topologies.emulation.wire import tap

REPOSITORY = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize("words", [("--help",), ("list",), ("claims", "--json")])
def test_a_full_disk_under_standard_output_is_one_sentence(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "lab7.experiments.harness.cli", *words],
            cwd=REPOSITORY,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.stderr.splitlines() == [
        "lab7: cannot write the output (No space left on device): free some space, or write to another disk"
    ]
    assert done.returncode == 3


def test_a_special_file_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "text")
    assert os.read(reader, 10) == b"text"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = write_atomically(tmp_path / "file", "old")
    with pytest.raises(OSError, match="full"), atomic(path) as partial:  # noqa: PT012 - the block writes, then fails
        partial.write_text("new")
        raise OSError(errno.ENOSPC, "full")
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("file", "old")]


@pytest.mark.parametrize(
    ("number", "says", "never"),
    [
        (errno.EACCES, "this user may not open /dev/net/tun (Permission denied): `sudo chmod 0666", "modprobe"),
        (errno.EPERM, "--cap-add NET_ADMIN", "modprobe"),
        (errno.ENOENT, "sudo modprobe tun", "chmod"),
        (errno.EBUSY, "could not be made (Device or resource busy)", "modprobe"),
    ],
)
def test_the_reason_why_there_is_no_tap_is_told_with_its_own_remedy(
    number: int, says: str, never: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OSError(number, os.strerror(number))
    assert says in tap.why_no_tap(error)
    assert never not in tap.why_no_tap(error)

    def refuse(*_arguments: object) -> int:
        raise error

    monkeypatch.setattr(os, "open", refuse)
    finding = examination._tap()
    assert (finding.good, finding.remedy) == (False, tap.why_no_tap(error))


def test_a_command_line_in_a_message_has_no_json() -> None:
    line = 'lab7.topologies.emulation.wire.carrier \'{"ends": [{"pid": 9, "name": "a-eth0"}], "shapes": []}\''
    assert shorten(line) == "lab7.topologies.emulation.wire.carrier ..."
    assert shorten('python -m job [{"a": 1}]') == "python -m job ..."
    assert shorten("nginx -c '{port}' [::1]:80") == "nginx -c '{port}' [::1]:80"
