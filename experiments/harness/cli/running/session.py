"""Execution of a command in a running network, attached to this process's terminal or standard streams."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import shutil
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from typing import Any

from lab7.topologies.emulation import watch
from lab7.topologies.emulation.control.channel import Channel, ClosedError
from lab7.topologies.emulation.control.client import connected, receive_reply, send_request
from lab7.topologies.emulation.control.protocol import ENVIRONMENT
from lab7.topologies.emulation.errors import EmulationError

# Signals that are passed on to a command on pipes; on a terminal, the command's pseudo-terminal makes signals of keys.
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
READ_BYTES = 65536
# Time in s for reading a command's last output, if a background program of the command keeps the terminal open.
LAST_OUTPUT_S = 0.3
START_TIMEOUT_S = 1.0


def run_in(name: str, operation: str, **fields: Any) -> int:
    """Run the command of `lab7 exec` or `lab7 attach` in a running network; return the command's exit code.

    If all three standard streams are terminals, the command gets a pseudo-terminal; otherwise it inherits the streams.
    Raises EmulationError, also if the network is stopped meanwhile.
    """
    environment = {variable: os.environ[variable] for variable in ENVIRONMENT if variable in os.environ}
    on_terminal = all(_is_terminal(number) for number in range(3))
    size = shutil.get_terminal_size()
    terminal = [size.lines, size.columns] if on_terminal else None
    sys.stdout.flush()
    with connected(name) as channel:
        if not on_terminal:
            streams = [_open_or_null(number) for number in range(3)]
            with _Signals(channel) as signals:
                send_request(channel, operation, streams, terminal=None, environment=environment, **fields)
                receive_reply(channel)
                signals.started()
                return _exit_code(channel, name)
        send_request(channel, operation, terminal=terminal, environment=environment, **fields)
        _, (master,) = receive_reply(channel)
        try:
            return _on_terminal(channel, master, name)
        finally:
            os.close(master)


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number)
    except OSError:
        return False


def _open_or_null(number: int) -> int:
    """Return a standard stream, or an open descriptor of /dev/null if the stream is closed."""
    try:
        os.fstat(number)
    except OSError:
        return os.open(os.devnull, os.O_RDWR)
    return number


class _Signals:
    """Context manager that forwards the signals of this process to the command, if the command has no terminal.

    Signals that arrive before the command has started are held until then; after START_TIMEOUT_S they end this process.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: list[int] = []
        self._has_started = False

    def __enter__(self) -> _Signals:
        self._before = {number: signal.signal(number, self._on_signal) for number in PASSED_ON}
        self._before[signal.SIGALRM] = signal.signal(signal.SIGALRM, self._on_timeout)
        return self

    def __exit__(self, *_error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def started(self) -> None:
        """Forward the held signals, and from now on every signal immediately."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._has_started = True
        for number in self._waiting:
            self._send(number)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._has_started:
            self._send(number)
        else:
            self._waiting.append(number)
            signal.setitimer(signal.ITIMER_REAL, START_TIMEOUT_S)

    def _on_timeout(self, *_: object) -> None:
        if not self._has_started:
            raise watch.Stopped(self._waiting[0])

    def _send(self, number: int) -> None:
        with contextlib.suppress(ClosedError):
            self._channel.send({"signal": number})


def _exit_code(channel: Channel, name: str) -> int:
    try:
        message, _ = channel.receive()
    except ClosedError:
        raise EmulationError(f"the network {name} has been taken down") from None
    return int(message["exit"])


def _on_terminal(channel: Channel, master: int, name: str) -> int:
    watch.stop_by_signals()
    with _raw_terminal(), _resized(master):
        poll = select.poll()
        for descriptor in (0, master, channel.fileno()):
            poll.register(descriptor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if channel.fileno() in ready:
                break
            if master in ready and not _copy(master, 1):
                # The last program has closed the terminal; the exit code arrives next.
                poll.unregister(master)
            if 0 in ready and not _copy(0, master):
                poll.unregister(0)
        deadline_s = time.monotonic() + LAST_OUTPUT_S
        while select.select([master], [], [], max(0.0, deadline_s - time.monotonic()))[0] and _copy(master, 1):
            pass
    return _exit_code(channel, name)


def _copy(source: int, target: int) -> bool:
    """Copy available octets from one descriptor to another; return False at the end, or if `target` is closed."""
    try:
        octets = os.read(source, READ_BYTES)
        while octets:
            octets = octets[os.write(target, octets) :]
            if not octets:
                return True
    except OSError:
        # EIO: no program has the terminal of the command open any more.
        pass
    return False


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    """Put the terminal into raw mode during a `with` block, so that Ctrl-C reaches the command."""
    before = termios.tcgetattr(0)
    try:
        tty.setraw(0, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _resized(master: int) -> Iterator[None]:
    """Keep the command's pseudo-terminal at the size of this terminal (SIGWINCH) during a `with` block."""

    def resize(*_: object) -> None:
        with contextlib.suppress(OSError):
            fcntl.ioctl(master, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))

    before = signal.signal(signal.SIGWINCH, resize)
    resize()
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)
