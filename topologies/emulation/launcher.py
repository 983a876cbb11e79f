"""Start modules (`services.http.origin --port 80`) in hosts by the fork server, and wait until they say READY.

A file of a person's own (`/home/ann/time_server.py --port 37`) is such a module, if it has a main(argv). What is
neither is a Program (see program).
"""

import contextlib
import importlib.util
import json
import os
import select
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from topologies.emulation.errors import EmulationError
from topologies.emulation.interpreter import module_command
from topologies.emulation.own_file import is_own_file

READY = b"READY"
READY_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 3.0
LINE_MAX_BYTES = 4 * 1024 * 1024
ROOMS = ("services.", "topologies.", "experiments.")


def readable(source: Any, timeout_s: float) -> bool:
    """Wait until a descriptor, or an object that has one, can be read, or has ended; False when that took too long.

    By poll, since select knows no descriptors from 1024 on, and a program with many networks has such.
    """
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1e3))


class ForkServer:
    """The caller's end of topologies.emulation.forkserver. Close it to end every process that it started."""

    def __init__(self, preload: Iterable[str] = ()) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        known = [name for name in sorted(set(preload)) if is_module(name)]
        with theirs:
            self._program = subprocess.Popen(
                module_command("topologies.emulation.forkserver", str(theirs.fileno()), *known),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._channel = ours
        self._exit_codes: dict[int, int] = {}

    def start(
        self,
        argv: Sequence[str],
        *,
        host_pid: int = 0,
        cwd: str = "/",
        streams: tuple[int, int, int] = (0, 1, 2),
    ) -> int:
        """Run `module arg ...` in the namespaces of `host_pid` (0: here); returns the new process's id."""
        request = {"module": argv[0], "argv": list(argv[1:]), "host_pid": host_pid, "cwd": cwd}
        socket.send_fds(self._channel, [json.dumps(request).encode()], list(streams))
        while True:
            message = self._receive()
            if message is None:
                raise EmulationError("the process that starts the services has died; run `lab7 doctor`")
            if "exit_code" not in message:
                return message["pid"]

    def exit_code(self, pid: int, timeout_s: float = 0.0) -> int | None:
        """How a process ended (negative: by that signal), or None if it still runs after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while pid not in self._exit_codes:
            left_s = max(0.0, deadline - time.monotonic())
            if not self._readable(left_s):
                return None
            if self._receive() is None:
                return -signal.SIGKILL
        return self._exit_codes[pid]

    def close(self) -> None:
        """End the server and with it every process that it started."""
        self._channel.close()
        try:
            self._program.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()

    def _readable(self, timeout_s: float) -> bool:
        return readable(self._channel, timeout_s)

    def _receive(self) -> dict[str, int] | None:
        data = self._channel.recv(65536)
        if not data:
            return None
        message: dict[str, int] = json.loads(data)
        if "exit_code" in message:
            self._exit_codes[message["pid"]] = message["exit_code"]
        return message


class Service:
    """One running service of a host, started by a command line; its standard streams are pipes to here."""

    def __init__(self, command: str, pid: int, streams: tuple[int, int], errors: Path, forkserver: ForkServer) -> None:
        self.command = command
        self.pid = pid
        self.ready_line = ""
        self._stdin, self._stdout = streams
        self._open: tuple[int, ...] = streams
        self._received = b""
        self._errors = errors
        self._forkserver = forkserver

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> str:
        """Wait for the line that begins with READY and return it. Raises EmulationError with what it said."""
        line = self.read_line(timeout_s)
        if not line.startswith(READY):
            raise EmulationError(f"`{self.command}` said {line[:80]!r} instead of READY")
        self.ready_line = line.decode(errors="replace")
        return self.ready_line

    def write_line(self, line: str) -> None:
        """Write one line to its standard input. Raises EmulationError when it has ended."""
        try:
            os.write(self._stdin, line.encode() + b"\n")
        except BrokenPipeError:
            raise EmulationError(f"`{self.command}` has ended{self._said()}") from None

    def read_line(self, timeout_s: float) -> bytes:
        """The next line of its standard output, without its end. Raises EmulationError on its end or a time-out."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._received:
            piece = self._read(deadline)
            if piece is None:
                raise EmulationError(f"`{self.command}` said nothing within {timeout_s:g} s{self._said()}")
            if not piece or len(self._received) > LINE_MAX_BYTES:
                raise EmulationError(f"`{self.command}` ended{self._said()}")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line

    def read_output(self, timeout_s: float) -> bytes:
        """All that it writes to its standard output until it ends. Raises EmulationError on a time-out."""
        deadline = time.monotonic() + timeout_s
        pieces = [self._received]
        while True:
            piece = self._read(deadline)
            if piece is None:
                raise EmulationError(f"`{self.command}` did not end within {timeout_s:g} s")
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def finish(self, timeout_s: float) -> bytes:
        """Wait for its end and return all its output. Raises EmulationError if it fails or does not end in time."""
        output = self.read_output(timeout_s)
        code = self.exit_code(timeout_s)
        self.stop()
        if code != 0:
            raise EmulationError(f"`{self.command}` failed{self._said()}")
        return output

    def _read(self, deadline_s: float) -> bytes | None:
        """What comes next; empty at the end, None if nothing comes in time."""
        left_s = max(0.0, deadline_s - time.monotonic())
        if not readable(self._stdout, left_s):
            return None
        return os.read(self._stdout, 65536)

    def exit_code(self, timeout_s: float = 0.0) -> int | None:
        """Its exit code, or None if it still runs after `timeout_s` seconds."""
        return self._forkserver.exit_code(self.pid, timeout_s)

    def errors(self) -> str:
        """What it wrote to its standard error so far."""
        with contextlib.suppress(OSError):
            return self._errors.read_text(errors="replace").strip()
        return ""

    def _said(self) -> str:
        self.exit_code(0.5)
        lines = self.errors().splitlines()
        return f": {lines[-1]}" if lines else ""

    def stop(self) -> None:
        """Ask it to end (SIGTERM), then insist (SIGKILL); safe to call twice."""
        for number, timeout_s in ((signal.SIGTERM, STOP_TIMEOUT_S), (signal.SIGKILL, STOP_TIMEOUT_S)):
            if self.exit_code() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
                self.exit_code(timeout_s)
        # Once: the number of a closed descriptor soon is somebody else's.
        descriptors, self._open = self._open, ()
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        self.send_signal(signal.SIGKILL)
        self.exit_code(STOP_TIMEOUT_S)


def is_module(name: str) -> bool:
    """Whether a command's first word names a module of this project that the fork server can run."""
    if not name.startswith(ROOMS):
        return False
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(name) is not None
    return False


def is_service(name: str) -> bool:
    """Whether a command's first word is a module of this project, or a Python file of a person's own."""
    return is_module(name) or is_own_file(name)


def split_command(command: str | Sequence[str]) -> list[str]:
    """A command line as a list of words, a file as its whole path.

    Raises EmulationError when it names a module or a Python file that does not exist.
    """
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise EmulationError("a host was given an empty command to serve")
    if words[0].startswith(ROOMS) and not is_module(words[0]):
        raise EmulationError(f"there is no module {words[0]}: check the spelling of what the host serves")
    if is_own_file(words[0]):
        if not Path(words[0]).is_file():
            raise EmulationError(f"there is no file {words[0]!r}: give the whole path of what the host serves")
        words[0] = str(Path(words[0]).resolve())
    return words


def start_service(
    forkserver: ForkServer, command: str | Sequence[str], *, host_pid: int, cwd: Path, name: str
) -> Service:
    """Start a module's main in a host, its standard error kept in `cwd`/NAME.err; does not wait for READY."""
    words = split_command(command)
    errors = cwd / f"{name}.err"
    child_stdin, stdin = os.pipe()
    stdout, child_stdout = os.pipe()
    with open(errors, "wb") as error_file:
        try:
            streams = (child_stdin, child_stdout, error_file.fileno())
            pid = forkserver.start(words, host_pid=host_pid, cwd=str(cwd), streams=streams)
        finally:
            os.close(child_stdin)
            os.close(child_stdout)
    return Service(shlex.join(words), pid, (stdin, stdout), errors, forkserver)
