"""The trial boot before the kernel lane: a kernel that cannot start a process is found at once and leaves nothing."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from tests.emulation.support import eventually
from tests.kernel.kernel import cannot_boot

PANIC = "Kernel panic - not syncing: ptrace set fp regs failed, errno = 14"
# A command line of a process that no other test starts.
MARK = "lab7-kernel-trial"


def kernel(folder: Path, script: str) -> str:
    """A program in the place of the kernel."""
    path = folder / MARK
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def running() -> list[str]:
    found = []
    for one in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(one.read_bytes().decode(errors="replace"))
    return [line for line in found if MARK in line]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"echo '{PANIC}'; while :; do :; done", f"cannot start a process on this machine's processor: {PANIC}"),
        ("while :; do :; done", "did not start a process within 1 s: it printed nothing"),
        ("echo 'Linux version 6.1'", "ended before its first process: Linux version 6.1"),
    ],
)
def test_a_kernel_without_a_first_process_is_told_in_a_line_and_killed(script: str, said: str, tmp_path: Path) -> None:
    assert cannot_boot(kernel(tmp_path, script), 1.0) == f"{tmp_path}/{MARK} {said}"
    assert eventually(lambda: not running())


def test_a_kernel_with_a_first_process_is_taken(tmp_path: Path) -> None:
    assert cannot_boot(kernel(tmp_path, "echo 'init: booted'; sleep 60")) == ""
    assert eventually(lambda: not running())
