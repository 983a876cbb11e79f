"""Launcher of services: starts modules (`lab7.services.http.origin --port 80`) in hosts, until each prints READY.

A user's Python file with a function main(argv) (`/home/ann/time_server.py --port 37`) is started like a module. Any
other command line is an external program (see program).
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
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.interpreter import full_name, module_command
from lab7.topologies.emulation.user_module import is_user_file
from lab7.topologies.emulation.watch import (
    FORK_SERVER,
    OTHER,
    STATUS_TIMEOUT_S,
    Watch,
    Watched,
    how_it_ended,
    last_line,
    last_lines,
    shorten,
)

READY = b"READY"
READY_TIMEOUT_S = 15.0
STOP_TIMEOUT_S = 3.0
# Seconds to wait for the last output of a process that has closed its standard output, unless it exits before.
LAST_WORDS_TIMEOUT_S = 0.5
SLICE_S = 0.05
# Lines of standard error in the message for a service that has ended before it was READY.
LAST_LINES = 3
NAME = "the fork server, which starts the services (lab7.topologies.emulation.process.forkserver),"
LINE_MAX_BYTES = 4 * 1024 * 1024
PACKAGE = "lab7."
# Maximum number of requests to the fork server without a reply: their datagrams fit the socket's buffers.
REQUESTS_MAX = 32


def readable(source: Any, timeout_s: float) -> bool:
    """Wait until a descriptor, or an object that has one, is readable or at end of file; return False on a timeout.

    poll is used, because select fails for descriptors from 1024 on, which a program with many networks has.
    """
    poll = select.poll()
    poll.register(source, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1e3))


class Start:
    """Request to the fork server to start a process; the attributes `pid` and `pidfd` wait for the reply.

    Both raise EmulationError if the fork server has ended.
    """

    def __init__(self, forkserver: "ForkServer") -> None:
        self._forkserver = forkserver
        self.process: tuple[int, int] | None = None

    @property
    def pid(self) -> int:
        """Return the process id, after the fork server has replied."""
        return self._forkserver.await_start(self)[0]

    @property
    def pidfd(self) -> int:
        """Return a pidfd of the process, which the caller closes, after the fork server has replied."""
        return self._forkserver.await_start(self)[1]


class ForkServer:
    """Client of the fork server (process.forkserver), which it starts; closing it kills all processes started by it.

    watch: the testbed's process monitor; errors: file for the fork server's own standard error.
    """

    def __init__(self, preload: Iterable[str] = (), *, watch: Watch | None = None, errors: Path | None = None) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        known = [name for name in sorted(set(preload)) if is_module(name)]
        with theirs, open(errors, "wb") if errors else contextlib.nullcontext() as sink:
            self._program = subprocess.Popen(
                module_command("lab7.topologies.emulation.process.forkserver", str(theirs.fileno()), *known),
                pass_fds=[theirs.fileno()],
                stderr=sink,
                start_new_session=True,
            )
        self.watch = watch
        self._channel = ours
        # The lock protects the fork server's socket, from which the process monitor's thread reads exit codes, too.
        self._lock = threading.Lock()
        self._exit_codes: dict[int, int] = {}
        # Requests without a reply, in their order.
        self._starts: deque[Start] = deque()
        # Pidfds of children whose exit has not been reported yet.
        self._children: dict[int, int] = {}
        self._pidfd = os.pidfd_open(self._program.pid)
        self._last_output = partial(last_line, errors) if errors else str
        self._watched = Watched(
            self._pidfd, self._program.pid, NAME, self._program.poll, self._last_output, rank=FORK_SERVER
        )
        if watch is not None:
            watch.add(self._watched)

    def start(
        self,
        argv: Sequence[str],
        *,
        namespaces: Sequence[str] = (),
        cwd: str = "/",
        streams: tuple[int, int, int] = (0, 1, 2),
    ) -> Start:
        """Request a process that runs a module; return the Start, whose attributes wait for the reply.

        argv: module and its arguments; namespaces: files of the namespaces in which it runs (none: this process's).
        """
        request = {"module": argv[0], "argv": list(argv[1:]), "namespaces": list(namespaces), "cwd": cwd}
        start = Start(self)
        with self._lock:
            while len(self._starts) >= REQUESTS_MAX:
                self._await_message()
            try:
                socket.send_fds(self._channel, [json.dumps(request).encode()], list(streams))
            except OSError:
                raise self._gone() from None
            self._starts.append(start)
        return start

    def await_start(self, start: Start) -> tuple[int, int]:
        """Wait for the fork server's reply to a request; return (process id, pidfd)."""
        with self._lock:
            while start.process is None:
                self._await_message()
            return start.process

    def _await_message(self) -> None:
        if self._receive() is None:
            raise self._gone()

    def exit_code(self, pid: int, timeout_s: float = 0.0) -> int | None:
        """Return the exit code of a process that the fork server started (negative: a signal).

        Returns None if the process still runs after `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        while (code := self._collected(pid)) is None:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            # The wait is in short intervals, because another thread may read the awaited message.
            readable(self._channel, min(left_s, SLICE_S))
        return code

    def kill(self) -> None:
        """Kill the fork server, and with it every process that it started; close() waits for their exits."""
        if self.watch is not None:
            self.watch.remove(self._watched)
        self._program.kill()
        self._program.wait()

    def close(self) -> None:
        """Stop the fork server and every process that it started, and wait for the exits; idempotent."""
        if self._channel.fileno() < 0:
            return
        if self.watch is not None:
            self.watch.remove(self._watched)
        self._channel.close()
        try:
            self._program.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()
        os.close(self._pidfd)
        with self._lock:
            children, self._children = self._children, {}
        deadline_s = time.monotonic() + STOP_TIMEOUT_S
        for pidfd in children.values():
            # Every child is killed with the server (PR_SET_PDEATHSIG), which releases its devices and descriptors.
            readable(pidfd, deadline_s - time.monotonic())
            os.close(pidfd)

    def _collected(self, pid: int) -> int | None:
        """Return the exit code of a process if the fork server has reported its exit, else None."""
        if self._channel.fileno() < 0:
            return self._exit_codes.get(pid, -signal.SIGKILL)
        if not self._lock.acquire(timeout=SLICE_S):
            return None
        try:
            while pid not in self._exit_codes and readable(self._channel, 0.0):
                if self._receive() is None:
                    return -signal.SIGKILL  # every child dies with the server
            return self._exit_codes.get(pid)
        finally:
            self._lock.release()

    def _receive(self) -> dict[str, int] | None:
        """Read one message of the fork server (an exit, or a reply to a request), store it and return it.

        Returns None if the fork server has ended.
        """
        try:
            data, descriptors, _, _ = socket.recv_fds(self._channel, 65536, 1)
        except OSError:
            data, descriptors = b"", []
        if not data:
            return None
        message: dict[str, int] = json.loads(data)
        pid = message["pid"]
        if "exit_code" in message:
            self._exit_codes[pid] = message["exit_code"]
            if (pidfd := self._children.pop(pid, None)) is not None:
                os.close(pidfd)
        else:
            self._children[pid] = os.dup(descriptors[0])
            self._starts.popleft().process = pid, descriptors[0]
        return message

    def _gone(self) -> EmulationError:
        output = self._last_output()
        return EmulationError(f"{NAME} has ended{f': {output}' if output else ''}; run `lab7 doctor`")


class Service:
    """One running service of a host, started by a command line, with pipes as its standard streams.

    The process monitor (see watch) watches the service until it is stopped. Before the service is READY, only its death
    by a signal ends the network with an error; from then on, also an exit with a code other than 0; and if `lasts` is
    set, any exit.

    start: request to the fork server for the process, whose reply is awaited at the first use; host: name of the host,
    for messages.
    """

    def __init__(
        self,
        command: str,
        start: Start,
        streams: tuple[int, int],
        errors: Path,
        forkserver: ForkServer,
        *,
        name: str = "",
        rank: int = OTHER,
        host: str = "",
    ) -> None:
        self.command = command
        self.lasts = False
        self.ready_line = ""
        self._start = start
        self._name, self._rank, self._host = name or command, rank, host
        self._serves = False
        self._stdin, self._stdout = streams
        self._open: tuple[int, ...] = streams
        self._received = b""
        self._errors = errors
        self._forkserver = forkserver
        self._told_to_stop = False

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._watched.pid

    def attend(self) -> None:
        """Wait until the fork server has started the process, and add the process to the process monitor."""
        assert self._watched

    @property
    def pidfd(self) -> int:
        """Return the pidfd of the process, which belongs to this object."""
        return self._watched.pidfd

    def has_ended(self) -> bool:
        """Return whether the service's process has ended, or stop() was called."""
        return not self._open or readable(self.pidfd, 0.0)

    @cached_property
    def _watched(self) -> Watched:
        pid, pidfd = self._start.pid, self._start.pidfd
        self._open = (*self._open, pidfd)
        ended, output = partial(self.exit_code, STATUS_TIMEOUT_S), partial(last_line, self._errors)
        watched = Watched(pidfd, pid, self._name, ended, output, self._is_death, self._rank, self._serves)
        if self._forkserver.watch is not None:
            self._forkserver.watch.add(watched)
        return watched

    def expect_to_serve(self) -> None:
        """Declare that the service runs until stop(): an earlier exit, once it is READY, ends the run with an error."""
        self.lasts = self._serves = True
        if "_watched" in vars(self):
            self._watched.serves = True

    def _is_death(self, code: int) -> bool:
        return code < 0 or (bool(self.ready_line) and (self.lasts or code != 0))

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> str:
        """Wait for the line that begins with READY; return it. Raises EmulationError as await_ready() does."""
        await_ready([self], timeout_s)
        return self.ready_line

    def receive_ready(self) -> bool:
        """Read the available output, which must be readable; return True if it contains the line READY.

        Raises EmulationError, as await_ready(), at end of file or for another line.
        """
        piece = os.read(self._stdout, 65536)
        self._received += piece
        if not piece:
            raise EmulationError(self._failure())
        if b"\n" not in self._received and len(self._received) <= LINE_MAX_BYTES:
            return False
        line, _, self._received = self._received.partition(b"\n")
        if not line.startswith(READY):
            raise EmulationError(f"{self._called()} printed {line[:80]!r} instead of READY")
        self.ready_line = line.decode(errors="replace")
        return True

    def fileno(self) -> int:
        """Return the descriptor of the service's standard output."""
        return self._stdout

    def _called(self) -> str:
        return f"`{shorten(self.command)}`{f' of host {self._host}' if self._host else ''}"

    def _failure(self) -> str:
        """Return the error message for a process that has ended before it printed READY."""
        code = self.exit_code(LAST_WORDS_TIMEOUT_S)
        how = "closed its standard output" if code is None else how_it_ended(code)
        said = " | ".join(line.strip() for line in last_lines(self._errors, LAST_LINES))
        return f"{self._called()} {how} before it was READY{f': {said}' if said else ''}"

    def late(self, timeout_s: float) -> EmulationError:
        """Return the error for a service that has not printed READY after `timeout_s` seconds."""
        return EmulationError(f"{self._called()} did not print READY within {timeout_s:g} s{self._last_output()}")

    def become(self, words: Sequence[str], errors: Path, name: str) -> None:
        """Make a host process (see host_process) a service that runs another module's main(); do not wait for READY."""
        self.command, self.ready_line, self._name, self._rank, self._errors = shlex.join(words), "", name, OTHER, errors
        watched = self._watched
        watched.name, watched.rank, watched.said = name, OTHER, partial(last_line, errors)
        self.lasts = False
        self.write_line(json.dumps({"module": words[0], "argv": list(words[1:]), "errors": str(errors)}))

    def write_line(self, line: str) -> None:
        """Write one line to the service's standard input. Raises EmulationError if the service has exited."""
        try:
            os.write(self._stdin, line.encode() + b"\n")
        except BrokenPipeError:
            raise EmulationError(f"`{shorten(self.command)}` has ended{self._last_output()}") from None

    def read_line(self, timeout_s: float) -> bytes:
        """Return the next line of output, without line end. Raises EmulationError at end of file or on a timeout."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._received:
            piece = self._read(deadline)
            if piece is None:
                raise EmulationError(f"{self._called()} printed no line within {timeout_s:g} s{self._last_output()}")
            if not piece or len(self._received) > LINE_MAX_BYTES:
                raise EmulationError(f"`{shorten(self.command)}` ended{self._last_output()}")
            self._received += piece
        line, _, self._received = self._received.partition(b"\n")
        return line

    def read_output(self, timeout_s: float) -> bytes:
        """Return the service's standard output up to the exit. Raises EmulationError on a timeout."""
        deadline = time.monotonic() + timeout_s
        pieces = [self._received]
        while True:
            piece = self._read(deadline)
            if piece is None:
                raise EmulationError(f"`{shorten(self.command)}` did not end within {timeout_s:g} s")
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def finish(self, timeout_s: float) -> bytes:
        """Wait for the service's exit; return its standard output.

        Raises EmulationError for a failure or after a timeout.
        """
        output = self.read_output(timeout_s)
        code = self.exit_code(timeout_s)
        self.stop()
        if code != 0:
            raise EmulationError(f"`{shorten(self.command)}` failed{self._last_output()}")
        return output

    def _read(self, deadline_s: float) -> bytes | None:
        """Return the next octets of the service's standard output; empty at end of file, None on a timeout."""
        left_s = max(0.0, deadline_s - time.monotonic())
        if not readable(self._stdout, left_s):
            return None
        return os.read(self._stdout, 65536)

    def exit_code(self, timeout_s: float = 0.0) -> int | None:
        """Return the service's exit code (negative: a signal); None if it still runs after `timeout_s` seconds."""
        return self._forkserver.exit_code(self.pid, timeout_s)

    def errors(self) -> str:
        """Return the text that the service has written to standard error so far."""
        with contextlib.suppress(OSError):
            return self._errors.read_text(errors="replace").strip()
        return ""

    def _last_output(self) -> str:
        self.exit_code(LAST_WORDS_TIMEOUT_S)
        output = last_line(self._errors)
        return f": {output}" if output else ""

    def expect_end(self) -> None:
        """Remove the service from the process monitor, so that an exit from now on is no error."""
        if self._forkserver.watch is not None:
            self._forkserver.watch.remove(self._watched)

    def terminate(self) -> None:
        """Send SIGTERM once to the service, and do not wait for its exit, unlike stop()."""
        self.expect_end()
        if not self._told_to_stop and self.exit_code() is None:
            self._told_to_stop = True
            self.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop the service by SIGTERM, and by SIGKILL after STOP_TIMEOUT_S; idempotent."""
        self.terminate()
        if self.exit_code(STOP_TIMEOUT_S if self._told_to_stop else 0.0) is None:
            self.send_signal(signal.SIGKILL)
            self.exit_code(STOP_TIMEOUT_S)
        # Descriptors are closed once only, because the number of a closed descriptor is soon reused.
        descriptors, self._open = self._open, ()
        for descriptor in descriptors:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, without effect after the exit; call expect_end() before a signal that ends the service."""
        if self._open:
            with contextlib.suppress(ProcessLookupError, EmulationError):
                signal.pidfd_send_signal(self.pidfd, number)

    def kill(self) -> None:
        """Kill the service by SIGKILL, as a crash would end it."""
        self.expect_end()
        self.send_signal(signal.SIGKILL)
        self.exit_code(STOP_TIMEOUT_S)


def await_ready(services: Sequence[Service], timeout_s: float = READY_TIMEOUT_S) -> None:
    """Wait until every service has printed READY. Raises EmulationError for the first that ends or prints another line.

    timeout_s: maximum time from one READY to the next, in seconds, since all services share the processors.
    """
    waiting = {service.fileno(): service for service in services if not service.ready_line}
    poll = select.poll()
    for service in waiting.values():
        # From here on the process monitor watches the process.
        service.attend()
        poll.register(service, select.POLLIN)
    deadline_s = time.monotonic() + timeout_s
    while waiting:
        events = poll.poll(max(0.0, deadline_s - time.monotonic()) * 1e3)
        if not events:
            raise next(iter(waiting.values())).late(timeout_s)
        for descriptor, _ in events:
            if waiting[descriptor].receive_ready():
                poll.unregister(descriptor)
                del waiting[descriptor]
                deadline_s = time.monotonic() + timeout_s


def is_module(name: str) -> bool:
    """Return whether a word is the name of a module of this project that the fork server can run."""
    module = full_name(name)
    if not module.startswith(PACKAGE):
        return False
    with contextlib.suppress(ModuleNotFoundError):
        return importlib.util.find_spec(module) is not None
    return False


def is_service(name: str) -> bool:
    """Return whether a word is the name of a module of this project or the path of a Python file."""
    return is_module(name) or is_user_file(name)


def split_command(command: str | Sequence[str]) -> list[str]:
    """Split a command line into words; a module's name becomes its full name, a Python file an absolute path.

    Raises EmulationError for a module or a Python file that does not exist.
    """
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise EmulationError("empty command in serves=")
    words[0] = full_name(words[0])
    if words[0].startswith(PACKAGE) and not is_module(words[0]):
        raise EmulationError(f"there is no module {words[0]}: check the spelling in serves=")
    if is_user_file(words[0]):
        if not Path(words[0]).is_file():
            raise EmulationError(f"there is no file {words[0]!r}: give the absolute path in serves=")
        words[0] = str(Path(words[0]).resolve())
    return words


def start_service(
    forkserver: ForkServer,
    command: str | Sequence[str],
    *,
    cwd: Path,
    name: str,
    namespaces: Sequence[str] = (),
    called: str | None = None,
    rank: int = OTHER,
    host: str = "",
) -> Service:
    """Start a module's main() as a service in a host, without waiting for READY; standard error goes to `cwd`/NAME.err.

    namespaces: files of the namespaces that the service enters; called: description of the service for the message
    about its exit (None: the command line); rank: see watch; host: see Service.
    """
    words = split_command(command)
    errors = cwd / f"{name}.err"
    child_stdin, stdin = os.pipe()
    stdout, child_stdout = os.pipe()
    with open(errors, "wb") as error_file:
        try:
            streams = (child_stdin, child_stdout, error_file.fileno())
            start = forkserver.start(words, namespaces=namespaces, cwd=str(cwd), streams=streams)
        finally:
            os.close(child_stdin)
            os.close(child_stdout)
    line = shlex.join(words)
    called = called or f"the program {line}"
    return Service(line, start, (stdin, stdout), errors, forkserver, name=called, rank=rank, host=host)
