"""Service processes with `--fault`, and the rules that a capture of their messages violates."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab7.experiments.analysis.inspection import inspect
from lab7.experiments.harness.judge.frames import CaptureFile

HOST = "127.0.0.1"
# A bound of every wait, not a measurement.
PATIENCE_S = 30.0
REPOSITORY = Path(__file__).resolve().parents[3]
_REPLY_END = re.compile(rb"(?:[2-5][0-9]{2} [^\n]*|\+OK[^\n]*|-ERR[^\n]*)\n\Z")


def fault_flags(fault: str | None) -> list[str]:
    """Return the flags for a fault, none for None."""
    return [] if fault is None else ["--fault", fault]


@contextmanager
def service(module: str, *flags: str, listen: str = HOST, port: int = 0) -> Iterator[int]:
    """Run a service as a process and yield its port; its READY line names exactly the faults among the flags."""
    command = [sys.executable, "-m", f"lab7.services.{module}", "--listen", listen, "--port", str(port), *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        try:
            ready = (process.stdout.readline() if process.stdout else "").split()
            assert ready[:1] == ["READY"], ready
            given = [f"fault={flags[at + 1]}" for at, flag in enumerate(flags) if flag == "--fault"]
            assert ready[3:] == given, ready
            yield int(ready[2].rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def violated(captured: CaptureFile, *protocols: str) -> set[str]:
    """Return the ids of the rules that a capture violates; every violation has octets, a section and a correction."""
    found = inspect(captured, protocols) if protocols else inspect(captured)
    assert found.messages
    for one in found.violations:
        assert one.rule.section.startswith("RFC ")
        assert one.octets
        assert one.expected
        assert one.frame
    return {one.rule.id for one in found.violations}


class LineClient:
    """A client of a line protocol that takes any line end, as students' servers send them."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((HOST, port), PATIENCE_S)

    def __enter__(self) -> LineClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def read(self, end: re.Pattern[bytes] = _REPLY_END) -> bytes:
        """Return the octets up to a final reply line, or to the end of the connection."""
        octets = b""
        while not end.search(octets):
            piece = self._socket.recv(65_536)
            if not piece:
                break
            octets += piece
        return octets

    def say(self, *commands: bytes, end: re.Pattern[bytes] = _REPLY_END) -> bytes:
        """Send each command and wait for its reply; return the last."""
        reply = b""
        for command in commands:
            self._socket.sendall(command + b"\r\n")
            reply = self.read(end)
        return reply


def free_port(addresses: Sequence[str]) -> int:
    """Return a TCP and UDP port that is free on all these addresses."""
    while True:
        with socket.create_server((addresses[0], 0)) as first:
            port = int(first.getsockname()[1])
        try:
            for address in addresses:
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as probe:
                        probe.bind((address, port))
        except OSError:
            continue
        return port
