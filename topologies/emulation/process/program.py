"""External program as a service of a host: ready when it listens on its port; stopped with all its descendants."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError, ProgramError
from lab7.topologies.emulation.process.launcher import READY_TIMEOUT_S, STOP_TIMEOUT_S
from lab7.topologies.emulation.watch import Watch, Watched, how_it_ended, last_line, shorten

LISTEN = "0A"  # enum in the kernel's include/net/tcp_states.h
UNCONNECTED = "07"  # TCP_CLOSE there: state of a UDP socket that is bound but not connected
TCP_TABLES, UDP_TABLES = ("tcp", "tcp6"), ("udp", "udp6")
POLL_S = 0.01


class Program:
    """A running external program of a host; the output goes to a file, whose last line is part of error messages.

    The process monitor watches the program from the call of `watch_over`, when the program is ready, until it is
    stopped.
    """

    def __init__(
        self,
        words: Sequence[str],
        entering: Sequence[str],
        host_pid: int,
        output: Path,
        confine: Callable[[Sequence[str]], list[str]] | None = None,
        host: str = "",
    ) -> None:
        self.command = shlex.join(words)
        self._called = f"`{shorten(self.command)}`{f' of host {host}' if host else ''}"
        self._watch: Watch | None = None
        if tools.which(words[0]) is None:
            raise EmulationError(f"there is no program {words[0]}: check its spelling, or install it")
        self._host_pid = host_pid
        self._output = output
        with open(output, "ab") as sink:
            self._process = subprocess.Popen(
                [*entering, *(words if confine is None else confine(words))],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._told_to_stop = False
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)

    def watch_over(self, watch: Watch | None, name: str, *, may_end: bool) -> None:
        """Add the program to the process monitor: an exit ends the run, except, if `may_end`, an exit with code 0."""
        output = partial(last_line, self._output)
        self._watch = watch
        self._watched = Watched(
            self._pidfd, self.pid, name, self._process.poll, output, lambda code: code != 0 or not may_end, serves=True
        )
        if watch is not None:
            watch.add(self._watched)

    def expect_end(self) -> None:
        """Remove the program from the process monitor, so that an exit from now on does not end the run."""
        if self._watch is not None:
            self._watch.remove(self._watched)

    def wait_listening(self, port: int, timeout_s: float = READY_TIMEOUT_S, by_udp: bool = False) -> None:
        """Wait until the host listens on a TCP port, or with `by_udp` on the UDP port. Raises ProgramError."""
        await_listening([(self, port, by_udp)], timeout_s)

    def is_listening(self, port: int, by_udp: bool) -> bool:
        """Return whether the host listens on the port. Raises ProgramError if it does not and the program has ended."""
        if self._listens(port) or (by_udp and self._listens(port, UDP_TABLES, UNCONNECTED)):
            return True
        if (code := self._process.poll()) is not None:
            how = f"{how_it_ended(code)} before it listened on port {port}{self._last_output()}"
            raise ProgramError(f"{self._called} {how}", self.command, code, self._output)
        return False

    def late(self, port: int, timeout_s: float) -> ProgramError:
        """Return the error for a program that does not listen after `timeout_s` seconds."""
        sentence = f"{self._called} does not listen on port {port} after {timeout_s:g} s"
        return ProgramError(sentence, self.command, None, self._output)

    def _listens(self, port: int, tables: Sequence[str] = TCP_TABLES, state: str = LISTEN) -> bool:
        suffix = f":{port:04X}"
        for table in tables:
            with contextlib.suppress(OSError):
                rows = Path(f"/proc/{self._host_pid}/net/{table}").read_text().splitlines()[1:]
                if any(row.split()[1].endswith(suffix) and row.split()[3] == state for row in rows):
                    return True
        return False

    def _last_output(self) -> str:
        output = last_line(self._output)
        return f": {output}" if output else ""

    def exit_code(self) -> int | None:
        """Return the program's exit code (negative: a signal); None while it runs."""
        return self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, without effect after the exit; call expect_end() before a signal that ends the program."""
        self._process.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM once to the program and its descendants; unlike stop(), do not wait for their exit."""
        self.expect_end()
        if not self._told_to_stop and self._process.poll() is None:
            self._told_to_stop = True
            self._signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop the program and its descendants by SIGTERM, then SIGKILL; idempotent."""
        self.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_TIMEOUT_S)
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        self._close()

    def kill(self) -> None:
        """Kill the program and its descendants by SIGKILL, even descendants that outlive the program; idempotent."""
        self.expect_end()
        if self._pidfd < 0:
            return
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._close()

    def _close(self) -> None:
        # The pidfd is closed once only, because the number of a closed descriptor is soon reused.
        pidfd, self._pidfd = self._pidfd, -1
        if pidfd >= 0:
            os.close(pidfd)

    def _signal(self, number: signal.Signals) -> None:
        # All process groups of descendants are signalled, since a daemon creates process groups.
        for group in {self.pid, *(group for _, group in descendants(self.pid))}:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, number)


def await_listening(awaited: Iterable[tuple[Program, int, bool]], timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait until every program listens; programs: (program, port, whether a UDP socket counts as well).

    timeout_s: maximum time from one program that begins to listen to the next, since all share the processors. Raises
    ProgramError for the first program that has ended, or after the timeout.
    """
    waiting = list(awaited)
    deadline_s = time.monotonic() + timeout_s
    while left := [each for each in waiting if not each[0].is_listening(*each[1:])]:
        if len(left) < len(waiting):
            deadline_s = time.monotonic() + timeout_s
        elif time.monotonic() > deadline_s:
            program, port, _ = left[0]
            raise program.late(port, timeout_s)
        waiting = left
        # The kernel reports no event when a socket begins to listen, so the table is polled.
        time.sleep(POLL_S)


def descendants(pid: int) -> list[tuple[int, int]]:
    """Return all descendants of a process, each as (process id, process group)."""
    children: dict[int, list[tuple[int, int]]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # In /proc/PID/stat (proc(5)) the state, parent and process group follow the name in parentheses.
            _, parent, group, *_ = Path("/proc", name, "stat").read_text().rpartition(")")[2].split()
            children.setdefault(int(parent), []).append((int(name), int(group)))
    found = list(children.get(pid, []))
    for child, _ in found:
        found += children.get(child, [])
    return found
