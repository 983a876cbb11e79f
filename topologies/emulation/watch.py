"""The watch over a lab's processes: one that ends without having been told to ends the run, with one sentence.

Every process is watched by its pidfd (pidfd_open(2)), all of them by one thread with epoll(7). When one has died, the
thread sends a signal to the main thread, which interrupts whatever it waits for there (a pipe, a child, a sleep:
signal(7)), and the signal's handler raises LabDied; once, so that nothing interrupts the tear-down behind it. A testbed
in another thread than the main one, where Python runs no handlers, learns of a death when it is taken down.

Before a process is stopped on purpose it is taken off the watch: `stop` and `kill` of services and programs do that.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# A real-time signal, which no library or program uses for a purpose of its own.
SIGNAL = signal.SIGRTMIN + 7
# A signal that comes just before the main thread begins to wait does not interrupt it: it is sent again until it does.
RESEND_S = 0.02
# What one death has caused (a fork server takes its children along) is there this much later, so the cause can be told.
SETTLE_S = 0.01
# How long the fork server may take, on a busy machine, to say how a child of its own ended. When it has died itself its
# channel ends at once.
STATUS_TIMEOUT_S = 5.0
# How long after an error that a death may have caused (a connection was reset) its pidfd is still waited for.
GRACE_S = 0.2
COMMAND_MAX = 120
STOPPED = ("T", "t")  # proc(5): by a signal, by a tracer
LAST_WORDS_MAX = 300

# Which of several deaths at once is told: the smallest is the cause of the others.
FORK_SERVER, HOLDER, OTHER = range(3)


class LabDied(BaseException):
    """A process of the lab has died; the message is one sentence.

    Like KeyboardInterrupt it comes between any two instructions, and is no Exception: a handler of errors that an
    experiment expects (a server refused, a client gave up) must not take it for the outcome of the experiment.
    """

    def kept_in(self, folder: str) -> LabDied:
        """The same, which says where to find what was captured until then."""
        return type(self)(f"{self}; what was captured until then is in {folder}")


class ServerDied(LabDied):
    """What a host serves has ended by itself: the failure of that server, where it is one under test."""


@dataclass(eq=False)
class Watched:
    """One process, by its pidfd and its id.

    `name`: what it is and where; `ended`: its exit code, negative for a signal; `said`: its last line; `is_death`:
    whether an end with this exit code is the death of the lab; `serves`: it is what a host serves.
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
    """The watch of one testbed. `death`: what has happened, None as long as all is well.

    server_died: what is called with the sentence on a server of a host that has died, if the network is to stay up.
    """

    def __init__(self, server_died: Callable[[str], None] | None = None) -> None:
        self._server_died = server_died
        self.death: LabDied | None = None
        self._watched: dict[int, Watched] = {}
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._delivered = False
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def open(self) -> None:
        """Begin: from now on a death interrupts the main thread."""
        _interrupting.append(self)
        if threading.current_thread() is threading.main_thread():
            _install()
        self._thread.start()

    def add(self, watched: Watched) -> None:
        """Watch a process until it is removed, or has ended."""
        with self._lock:
            if not self._epoll.closed:
                # A copy, so that its owner may close its own at any time.
                descriptor = fcntl.fcntl(watched.pidfd, fcntl.F_DUPFD_CLOEXEC, 0)
                self._watched[descriptor] = watched
                self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, watched: Watched) -> None:
        """Watch a process no longer, because it is about to be stopped; safe to call twice.

        One that has ended already did so by itself, and stays on the watch until that has been looked at.
        """
        with self._lock:
            for descriptor, one in self._watched.items():
                if one is watched:
                    if not _has_ended(descriptor):
                        self._take(descriptor)
                    return

    def stopped(self) -> list[str]:
        """What is suspended at this moment (SIGSTOP, Ctrl-Z), by its name."""
        with self._lock:
            return [one.name for one in self._watched.values() if _state(one.pid) in STOPPED]

    def close(self, failing: bool) -> None:
        """End: nothing interrupts any more. `failing`: an error is under way, which a death may have caused."""
        self._closing = True
        os.eventfd_write(self._wake, 1)
        self._thread.join()
        if self.death is None:
            os.eventfd_read(self._wake)
            if self._epoll.poll(GRACE_S if failing else 0):
                self._look()
        if self in _interrupting:
            _interrupting.remove(self)
        if threading.current_thread() is threading.main_thread():
            _uninstall()

    def release(self) -> None:
        """Give the descriptors back."""
        with self._lock:
            for descriptor in list(self._watched):
                self._take(descriptor)
            if not self._epoll.closed:
                self._epoll.close()
                os.close(self._wake)

    def take_delivery(self) -> LabDied | None:
        """The death that the main thread has not been told of yet; called in the signal's handler."""
        if self.death is None or self._delivered:
            return None
        self._delivered = True
        return None if self._closing else self.death

    def _take(self, descriptor: int) -> Watched | None:
        watched = self._watched.pop(descriptor, None)
        if watched is not None:
            self._epoll.unregister(descriptor)
            os.close(descriptor)
        return watched

    def _run(self) -> None:
        while not self._closing:
            self._epoll.poll()
            if not self._closing and self._look():
                self._interrupt()
                return

    def _look(self) -> bool:
        """Take what has ended off the watch; returns whether that is the death of the lab."""
        time.sleep(SETTLE_S)
        with self._lock:
            taken = [self._take(descriptor) for descriptor, _ in self._epoll.poll(0)]
        ended = [(one, one.ended()) for one in taken if one is not None]
        deaths = [(one, code) for one, code in ended if code is None or one.is_death(code)]
        if self._server_died is not None and all(one.serves for one, _ in deaths):
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


# Those whose deaths interrupt the main thread, and the state of that: one for the process, as its signals are.
_interrupting: list[Watch] = []
_installed: list[Any] = []
_holds = 0
_held_back: list[LabDied] = []


def current() -> Watch | None:
    """The watch of the testbed that was entered last, if there is one."""
    return _interrupting[-1] if _interrupting else None


@contextmanager
def held() -> Iterator[None]:
    """Within this block no death interrupts the main thread; one that comes meanwhile does when it ends."""
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
    for one in list(_interrupting):
        if (death := one.take_delivery()) is not None:
            if not _holds:
                raise death
            _held_back.append(death)


def _install() -> None:
    if not _installed:
        _installed.append(signal.signal(SIGNAL, _on_signal))


def _uninstall() -> None:
    if _installed and not _interrupting:
        signal.signal(SIGNAL, _installed.pop() or signal.SIG_DFL)
        _held_back.clear()


def _state(pid: int) -> str:
    with suppress(OSError):
        # Behind the name of the program, which may hold anything, in parentheses.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _sentence(one: Watched, code: int | None) -> str:
    said = one.said()[:LAST_WORDS_MAX]
    return f"{one.name} {how_it_ended(code)}{f': {said}' if said else ''}"


def how_it_ended(code: int | None) -> str:
    """An exit code in words; negative: a signal's number."""
    if code is None:
        return "has ended"
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def program_of(command: str, host: str) -> str:
    """What a sentence calls a program, or a service, of a host; a long command line is cut."""
    return f"the program {shorten(command)} of host {host}"


def shorten(command: str) -> str:
    """A command line, cut where it is too long for a sentence."""
    return command if len(command) <= COMMAND_MAX else f"{command[:COMMAND_MAX]}..."


def last_line(file: Path) -> str:
    """The last line of a file that holds what a program said; empty where there is none."""
    with suppress(OSError):
        lines = file.read_text(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else ""
    return ""
