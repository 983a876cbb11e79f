"""Process monitor of an emulated network: an unexpected exit of any of its processes ends the run with an error.

Every process is watched through its pidfd (pidfd_open(2)), all of them by one thread with epoll(7). On an exit, the
thread sends a signal to the main thread, which interrupts any blocking call there (a pipe, a child, a sleep:
signal(7)). The signal handler raises LabDied (an exception with a one-sentence message), but only once, so that nothing
interrupts the tear-down that follows. Python runs no signal handlers in other threads: a testbed in such a thread
raises LabDied only when it is taken down.

A process that is stopped on purpose is removed from the monitor first, by the methods `stop` and `kill` of services and
programs.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Signal that interrupts the main thread: a real-time signal, which no library uses.
SIGNAL = signal.SIGRTMIN + 7
# Seconds until SIGNAL is sent again: a signal sent just before a blocking call does not interrupt that call.
RESEND_S = 0.02
# Seconds to wait for further exits from one cause, such as those of a dead fork server's children.
SETTLE_S = 0.01
# Seconds to wait for the fork server's report of a child's exit code on a busy machine.
STATUS_TIMEOUT_S = 5.0
# Seconds to wait for a pidfd after an error that a process exit may have caused, such as a reset connection.
GRACE_S = 0.2
COMMAND_MAX = 120
# JSON argument, quoted for a shell, and all text after it, which error messages leave out: it hides the error's reason.
_JSON_ARGUMENT = re.compile(r"'?[{\[][\"{\[].*", re.DOTALL)
# Minimum number of processes being stopped at which processes that have ended are removed from the list.
ENDING_LEAST = 16
# Signals that stop the command; SIGINT is left to Python, which raises KeyboardInterrupt.
STOPPING = (signal.SIGTERM, signal.SIGHUP)
STOPPED = ("T", "t")  # proc(5): by a signal, by a tracer
LAST_WORDS_MAX = 300

# Ranks of processes: of several exits at once, the exit with the smallest rank is reported as the cause.
FORK_SERVER, HOLDER, OTHER = range(3)


class LabDied(BaseException):
    """Error for a process of a running network that has ended unexpectedly; the message is one sentence.

    Like KeyboardInterrupt, it may be raised between any two instructions, and is not derived from Exception: a handler
    for expected errors (a refused connection, a client's failure) must not catch it as a result of the experiment.
    """

    def kept_in(self, folder: str) -> LabDied:
        """Return a copy of this error whose message also names the folder with the packets captured so far."""
        return type(self)(kept_in(self, folder))


def kept_in(error: BaseException, folder: str) -> str:
    """Return the message of an error that ended a run, extended by the folder with the packets captured so far."""
    return f"{error}; packets captured until then are in {folder}"


class Stopped(BaseException):
    """Error that ends a lab7 command after the signal `number`, such as SIGTERM; the message is one sentence.

    It is not derived from Exception, so that no handler for expected errors catches it.
    """

    def __init__(self, number: int, sentence: str = "") -> None:
        super().__init__(sentence or f"stopped by {signal.Signals(number).name}")
        self.number = number

    def kept_in(self, folder: str) -> Stopped:
        """Return a copy of this error whose message also names the folder with the packets captured so far."""
        return type(self)(self.number, kept_in(self, folder))


class ServerDied(LabDied):
    """Error for a host's service that has exited by itself: a failure of the server under test."""


@dataclass(eq=False)
class Watched:
    """A process in the process monitor, with functions that tell how it ended.

    name       description of the process and its host
    ended      function that returns the exit code, negative for a signal
    said       function that returns the last line of the output
    is_death   function that returns whether an exit code is fatal to the network
    rank       of several processes that died at once, the one of the lowest rank is reported as the cause
    serves     the process is a service of a host
    """

    pidfd: int
    pid: int
    name: str
    ended: Callable[[], int | None]
    said: Callable[[], str]
    is_death: Callable[[int], bool] = lambda _code: True
    rank: int = OTHER
    serves: bool = False


class Watch:
    """Monitor of the processes of one running network; `death` is the error for the first fatal exit, None before.

    server_died: function called with an error message when a host's service exits; the network then stays up.
    """

    def __init__(self, server_died: Callable[[str], None] | None = None) -> None:
        self._server_died = server_died
        self.death: LabDied | None = None
        self._watched: dict[int, Watched] = {}
        self._descriptors: dict[Watched, int] = {}
        # Processes that are being stopped on purpose, until they exit; a suspended one delays the stop.
        self._ending: dict[int, Watched] = {}
        self._ending_max = ENDING_LEAST
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._delivered = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def open(self) -> None:
        """Start the monitor thread; from then on a fatal exit interrupts the main thread."""
        _interrupting.append(self)
        if threading.current_thread() is threading.main_thread():
            _install()
        self._thread.start()

    def add(self, watched: Watched) -> None:
        """Add a process to the monitor, in which it stays until it is removed or has exited."""
        with self._lock:
            if not self._epoll.closed:
                # The pidfd is duplicated, because its owner may close the original at any time.
                descriptor = fcntl.fcntl(watched.pidfd, fcntl.F_DUPFD_CLOEXEC, 0)
                self._watched[descriptor] = watched
                self._descriptors[watched] = descriptor
                self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, watched: Watched) -> None:
        """Remove a process from the monitor before it is stopped on purpose; idempotent.

        If the process has exited already, it did so by itself, and stays in the monitor until the thread has handled
        its exit.
        """
        with self._lock:
            descriptor = self._descriptors.get(watched)
            if descriptor is not None and not _has_ended(descriptor):
                self._epoll.unregister(descriptor)
                self._ending[descriptor] = self._watched.pop(descriptor)
                del self._descriptors[watched]
            if len(self._ending) > self._ending_max:
                self._forget_ended()

    def stopped(self) -> list[str]:
        """Return the names of the processes that are suspended at this moment (SIGSTOP, Ctrl-Z)."""
        with self._lock:
            self._forget_ended()
            processes = [*self._watched.values(), *self._ending.values()]
            return [process.name for process in processes if _state(process.pid) in STOPPED]

    def close(self, failing: bool) -> None:
        """End the monitor thread, so that no exit interrupts the main thread any more.

        failing: an exception is propagating, whose cause may be an exit that has not been reported yet.
        """
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        if self.death is None:
            os.eventfd_read(self._wake)
            if self._epoll.poll(GRACE_S if failing else 0):
                self._collect_exits()
        if self in _interrupting:
            _interrupting.remove(self)
        if threading.current_thread() is threading.main_thread():
            _uninstall()

    def release(self) -> None:
        """Close the descriptors of the monitor: pidfds, epoll descriptor and wake-up descriptor."""
        with self._lock:
            for descriptor in list(self._watched):
                self._unregister(descriptor)
            for descriptor in self._ending:
                os.close(descriptor)
            self._ending.clear()
            if not self._epoll.closed:
                self._epoll.close()
                os.close(self._wake)

    def undelivered_death(self) -> LabDied | None:
        """Return the error for a fatal exit, for the signal handler to raise.

        Returns None if there is none or it was returned before.
        """
        if self.death is None or self._delivered:
            return None
        self._delivered = True
        return None if self._closing else self.death

    def _unregister(self, descriptor: int) -> Watched | None:
        watched = self._watched.pop(descriptor, None)
        if watched is not None:
            del self._descriptors[watched]
            self._epoll.unregister(descriptor)
            os.close(descriptor)
        return watched

    def _forget_ended(self) -> None:
        for descriptor in [each for each in self._ending if _has_ended(each)]:
            del self._ending[descriptor]
            os.close(descriptor)
        # The limit grows with the number of processes, so that the amortised cost of the search is constant.
        self._ending_max = 2 * len(self._ending) + ENDING_LEAST

    def _run(self) -> None:
        while not self._closing:
            self._epoll.poll()
            if not self._closing and self._collect_exits():
                self._interrupt()
                return

    def _collect_exits(self) -> bool:
        """Remove processes that have exited from the monitor.

        Returns True if one of the exits is fatal to the network.
        """
        time.sleep(SETTLE_S)
        with self._lock:
            exited = [self._unregister(descriptor) for descriptor, _ in self._epoll.poll(0)]
        ended = [(process, process.ended()) for process in exited if process is not None]
        deaths = [(process, code) for process, code in ended if code is None or process.is_death(code)]
        if self._server_died is not None and all(process.serves for process, _ in deaths):
            for death in deaths:
                self._server_died(_sentence(*death))
            return False
        if deaths:
            cause, code = min(deaths, key=lambda death: death[0].rank)
            self.death = (ServerDied if cause.serves else LabDied)(_sentence(cause, code))
        return bool(deaths)

    def _interrupt(self) -> None:
        main = threading.main_thread().ident
        while _installed and main is not None and not self._delivered and not self._closing:
            signal.pthread_kill(main, SIGNAL)
            time.sleep(RESEND_S)


# Process monitors (Watch) that interrupt the main thread; global, as signal handlers are.
_interrupting: list[Watch] = []
_installed: list[Any] = []
_holds = 0
_held_back: list[LabDied | Stopped] = []


def current() -> Watch | None:
    """Return the process monitor of the network whose `with` block was entered last; None outside of such blocks."""
    return _interrupting[-1] if _interrupting else None


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Defer interruption of the main thread: the error for an exit within the block is raised when the block ends."""
    global _holds
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _holds += 1
    try:
        yield
    finally:
        _holds -= 1
        if not _holds and _held_back:
            raise _held_back.pop()


def _on_signal(*_: Any) -> None:
    for watch in list(_interrupting):
        if (death := watch.undelivered_death()) is not None:
            _raise(death)


def _raise(error: LabDied | Stopped) -> None:
    """Raise LabDied or Stopped in the main thread: now or, within interrupts_deferred(), at the end of the block."""
    if not _holds:
        raise error
    _held_back.append(error)


def stop_by_signals() -> None:
    """Handle SIGTERM and SIGHUP by raising Stopped in the main thread, so that captured packets are kept.

    Further signals are ignored while Stopped propagates.
    """
    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _on_stop)


class _Fork(threading.local):
    """Handlers around os.fork(), so that a forked child does not raise Stopped on SIGTERM and SIGHUP (STOPPING).

    The networks that Stopped takes down are not the child's. The signals are blocked during the fork: Python would
    discard one that reaches the child before its handlers are reset.
    """

    def __init__(self) -> None:
        self._mask: set[int] = set()

    def before(self) -> None:
        """Block the signals STOPPING (SIGTERM and SIGHUP) in the calling thread, before a fork."""
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)

    def after_in_parent(self) -> None:
        """Restore the signal mask in the parent, after a fork."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def after_in_child(self) -> None:
        """Restore the default actions of STOPPING (SIGTERM, SIGHUP) in the child, then the signal mask."""
        for number in STOPPING:
            if signal.getsignal(number) is _on_stop:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)


_fork = _Fork()
os.register_at_fork(before=_fork.before, after_in_parent=_fork.after_in_parent, after_in_child=_fork.after_in_child)


def _on_stop(number: int, _frame: Any) -> None:
    for each in STOPPING:
        signal.signal(each, signal.SIG_IGN)
    leave_closed_terminal()
    _raise(Stopped(number))


def leave_closed_terminal() -> bool:
    """Redirect standard output and error to /dev/null if their terminal has been closed; return whether one was closed.

    Every write to a closed terminal fails (EIO), even the write of an error message.
    """
    closed = [number for number in (1, 2) if _is_closed_terminal(number)]
    if closed:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        for number in closed:
            os.dup2(null, number)
        os.close(null)
    return bool(closed)


def _is_closed_terminal(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    hung_up = any(event & select.POLLHUP for _, event in poll.poll(0))
    return hung_up and stat.S_ISCHR(os.fstat(descriptor).st_mode)


def _install() -> None:
    if not _installed:
        _installed.append(signal.signal(SIGNAL, _on_signal))


def _uninstall() -> None:
    if _installed and not _interrupting:
        signal.signal(SIGNAL, _installed.pop() or signal.SIG_DFL)
        _held_back.clear()


def _state(pid: int) -> str:
    with suppress(OSError):
        # /proc/PID/stat is parsed from the last parenthesis, since the program's name may contain anything.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _sentence(process: Watched, code: int | None) -> str:
    output = process.said()[:LAST_WORDS_MAX]
    return f"{process.name} {how_it_ended(code)}{f': {output}' if output else ''}"


def how_it_ended(code: int | None) -> str:
    """Return a phrase such as "ended with exit status 1", or for a negative code "was killed by SIGKILL"."""
    if code is None:
        return "has ended"
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def program_of(command: str, host: str) -> str:
    """Return a description of a host's program for messages; a long command line is shortened."""
    return f"the program {shorten(command)} of host {host}"


def shorten(command: str) -> str:
    """Shorten a command line for a message: replace JSON arguments by `...`, and cut it to COMMAND_MAX characters."""
    command = _JSON_ARGUMENT.sub("...", command)
    return command if len(command) <= COMMAND_MAX else f"{command[:COMMAND_MAX]}..."


def last_line(file: Path) -> str:
    """Return the last line of a program's output file; empty if there is none."""
    return "".join(last_lines(file, 1)).strip()


def last_lines(file: Path, count: int) -> list[str]:
    """Return the last lines of a program's output file, at most `count`."""
    with suppress(OSError):
        return file.read_text(errors="replace").strip().splitlines()[-count:]
    return []
