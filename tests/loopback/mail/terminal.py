"""Pseudo-terminal for programs that require one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time

ROWS, COLUMNS = 24, 80
PATIENCE_S = 30.0


def on_terminal(*command: str) -> bytes:
    """Run a program to its end on a terminal without input, and return its output.

    The caller's standard input is not used: `script` would pass its end of file on as a key.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=_control
    )
    os.close(theirs)
    try:
        shown = _read(ours)
        assert process.wait(PATIENCE_S) == 0, shown
        return shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _control() -> None:
    # Make this the controlling terminal of the new session.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _read(descriptor: int) -> bytes:
    """Read until the last program on the terminal has exited (EIO)."""
    shown = b""
    end = time.monotonic() + PATIENCE_S
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    with contextlib.suppress(OSError):
        while poll.poll(max(0.0, end - time.monotonic()) * 1e3):
            shown += os.read(descriptor, 65_536)
        raise AssertionError(f"it does not end: {shown!r}")
    return shown
