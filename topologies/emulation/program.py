"""A program that is not ours as a host's service: ready when it listens, stopped as it was started."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from topologies.emulation.errors import EmulationError
from topologies.emulation.launcher import READY_TIMEOUT_S, STOP_TIMEOUT_S

LISTEN = "0A"  # enum in the kernel's include/net/tcp_states.h
UNCONNECTED = "07"  # TCP_CLOSE there: what a UDP socket is that is bound and connected to no peer
TCP_TABLES, UDP_TABLES = ("tcp", "tcp6"), ("udp", "udp6")
POLL_S = 0.01


class Program:
    """One running program of a host. Its output goes to a file, whose last line explains an early end."""

    def __init__(self, words: Sequence[str], entering: Sequence[str], host_pid: int, output: Path) -> None:
        self.command = shlex.join(words)
        if shutil.which(words[0]) is None:
            raise EmulationError(f"there is no program {words[0]}: check its spelling, or install it")
        self._host_pid = host_pid
        self._output = output
        with open(output, "wb") as sink:
            self._process = subprocess.Popen(
                [*entering, *words],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def wait_listening(self, port: int, timeout_s: float = READY_TIMEOUT_S, by_udp: bool = False) -> None:
        """Wait until the host listens on a TCP port, or with `by_udp` on that UDP port. Raises EmulationError."""
        deadline = time.monotonic() + timeout_s
        while not (self._listens(port) or (by_udp and self._listens(port, UDP_TABLES, UNCONNECTED))):
            if self._process.poll() is not None:
                raise EmulationError(f"`{self.command}` ended before it listened on port {port}{self._said()}")
            if time.monotonic() > deadline:
                raise EmulationError(f"`{self.command}` does not listen on port {port} after {timeout_s:g} s")
            # The kernel has no event for "somebody listens"; this is a poll with a bound.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(POLL_S)

    def _listens(self, port: int, tables: Sequence[str] = TCP_TABLES, state: str = LISTEN) -> bool:
        suffix = f":{port:04X}"
        for table in tables:
            with contextlib.suppress(OSError):
                rows = Path(f"/proc/{self._host_pid}/net/{table}").read_text().splitlines()[1:]
                if any(row.split()[1].endswith(suffix) and row.split()[3] == state for row in rows):
                    return True
        return False

    def _said(self) -> str:
        lines = self._output.read_text(errors="replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def exit_code(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens where it has ended."""
        self._process.send_signal(number)

    def stop(self) -> None:
        """Ask it and all that it has started to end, then insist; safe to call twice."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is None:
                self._signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it and all that it has started at once (SIGKILL)."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        # A daemon makes process groups of its own; whoever is born meanwhile is in one of them as well.
        for group in {self.pid, *(group for _, group in _offspring(self.pid))}:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)


def _offspring(pid: int) -> list[tuple[int, int]]:
    """The processes that a process has started, and those that they have, each with its process group."""
    children: dict[int, list[tuple[int, int]]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # proc(5): behind the name, which stands in parentheses, come the state, the parent and the group.
            _, parent, group, *_ = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(parent), []).append((int(name), int(group)))
    found = list(children.get(pid, []))
    for one, _ in found:
        found += children.get(one, [])
    return found
