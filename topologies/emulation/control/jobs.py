"""Execution of commands in a running network, for clients of its control server, on their streams or a pseudo-terminal.

A client is a process, such as `lab7 exec`, that controls the network over a Unix socket. A command is ended if its
client disconnects: the process groups of the command and of its descendants get SIGHUP, as if their terminal were
closed, and SIGKILL after HANGUP_S. A daemon, which is no longer a descendant, keeps running.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence

from lab7.topologies.emulation.control.channel import Channel, ClosedError
from lab7.topologies.emulation.control.protocol import STREAMS, ProtocolError
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.process.program import descendants

HANGUP_S = 0.5
# Seconds that a client may take to read the message with the exit code.
SEND_TIMEOUT_S = 10.0


def run_job(
    channel: Channel,
    words: Sequence[str],
    streams: Sequence[int],
    *,
    terminal: Sequence[int] | None,
    environment: Mapping[str, str],
    keep: Sequence[int] = (),
) -> None:
    """Run a command for a client until it exits or the client disconnects; send the exit code to the client.

        streams    the client's standard streams
        terminal   rows and columns of a pseudo-terminal to use instead, whose master is sent to the client
        keep       descriptors that the command inherits

    The exit code is 128 + signal number for a command killed by a signal, as in a shell. Raises EmulationError for a
    command that cannot be started.
    """
    master, used = -1, list(streams)
    try:
        if terminal is not None:
            master, slave = os.openpty()
            used = [slave] * STREAMS
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *terminal, 0, 0))
        process = _start(words, used, on_terminal=terminal is not None, environment=environment, keep=keep)
        try:
            channel.send({"ok": True, "pid": process.pid}, [master] if master >= 0 else [], SEND_TIMEOUT_S)
        except ClosedError:
            _hang_up(process)
            raise
    finally:
        if master >= 0:
            os.close(master)
            os.close(used[0])
        # The client sees the end of its pipes only if no copy of them stays open here.
        for descriptor in streams:
            os.close(descriptor)
    code = _attend(channel, process)
    if code is not None:
        channel.send({"exit": code}, timeout_s=SEND_TIMEOUT_S)


def _start(
    words: Sequence[str],
    streams: Sequence[int],
    *,
    on_terminal: bool,
    environment: Mapping[str, str],
    keep: Sequence[int],
) -> subprocess.Popen[bytes]:
    # setsid(1) makes the pseudo-terminal the controlling terminal, without which there is no job control.
    command = ["setsid", "--ctty", *words] if on_terminal else list(words)
    try:
        return subprocess.Popen(
            command,
            stdin=streams[0],
            stdout=streams[1],
            stderr=streams[2],
            start_new_session=not on_terminal,
            env={**os.environ, **environment},
            pass_fds=keep,
        )
    except OSError as error:
        raise EmulationError(f"the command cannot be started ({error.strerror})") from None


def _attend(channel: Channel, process: subprocess.Popen[bytes]) -> int | None:
    """Wait for the end of a command, and send it the signals that the client requests; return its exit code.

    Returns None if the client disconnects first.
    """
    pidfd = os.pidfd_open(process.pid)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(channel.fileno(), select.POLLIN)
    try:
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if pidfd in ready:
                code = process.wait()
                return code if code >= 0 else 128 - code
            try:
                message, descriptors = channel.receive(0.0)
                for descriptor in descriptors:
                    os.close(descriptor)
                _pass_on(process, message.get("signal"))
            except (ClosedError, ProtocolError, TimeoutError):
                _hang_up(process)
                return None
    finally:
        os.close(pidfd)


def _pass_on(process: subprocess.Popen[bytes], number: object) -> None:
    if isinstance(number, int) and number in signal.Signals.__members__.values():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _hang_up(process: subprocess.Popen[bytes]) -> None:
    """End a command and its descendants: send SIGHUP, then SIGKILL after HANGUP_S."""
    groups = {process.pid, *(group for _, group in descendants(process.pid))}
    _signal(groups, signal.SIGHUP)
    _signal(groups, signal.SIGCONT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(HANGUP_S)
    _signal(groups | {group for _, group in descendants(process.pid)}, signal.SIGKILL)
    process.wait()


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)
