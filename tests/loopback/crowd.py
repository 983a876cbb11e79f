"""Clients that keep others out: many connections that are opened and kept, silent or with a byte now and then."""

from __future__ import annotations

import resource
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
# Descriptors for two ends of a thousand connections and what a test has beside them.
OPEN_FILES = 4096
# In each turn some connections send a byte, so that each does every TRICKLE_TURNS turns: slowly, as it is the places
# that the attacker takes and not the processor.
TURN_S = 0.05
TRICKLE_TURNS = 60
# Connections opened again in one turn.
AGAIN = 5


def raise_file_limit() -> None:
    """Let this process, and the servers that it starts, open as many files as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def addresses(count: int) -> list[str]:
    """Return addresses of this machine in as many networks."""
    return [f"127.{10 + number}.7.{1 + number}" for number in range(count)]


@dataclass
class Crowd:
    """Connections from some addresses to one port; each is opened again when the server has closed it."""

    port: int
    sources: Sequence[str]
    count: int
    opening: bytes
    trickle: bytes
    _open: dict[int, socket.socket] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)
    # How often the server closed one.
    closed: int = 0

    def connect(self) -> None:
        """Open all connections and wait until the kernel has made them."""
        for number in range(self.count):
            self._connect(self.sources[number % len(self.sources)])

    def _connect(self, source: str) -> None:
        made = socket.create_connection((HOST, self.port), 20.0, source_address=(source, 0))
        made.setblocking(False)
        if self.opening:
            made.send(self.opening)
        self._open[made.fileno()] = made

    def keep(self) -> None:
        """Send a byte on each now and then, and open those again that are closed, until stop()."""
        turn = 0
        while not self._stopped.wait(TURN_S):
            turn += 1
            poller = select.poll()
            for descriptor in self._open:
                poller.register(descriptor, select.POLLIN | select.POLLHUP | select.POLLERR)
            for descriptor, _ in poller.poll(0):
                if self._is_over(self._open[descriptor]):
                    self._open.pop(descriptor).close()
                    self.closed += 1
            for made in list(self._open.values())[turn % TRICKLE_TURNS :: TRICKLE_TURNS]:
                self._send(made)
            missing = min(AGAIN, self.count - len(self._open))
            for number in range(missing):
                self._connect(self.sources[number % len(self.sources)])

    def _send(self, made: socket.socket) -> None:
        try:
            made.send(self.trickle)
        except OSError:
            return

    @staticmethod
    def _is_over(made: socket.socket) -> bool:
        try:
            return made.recv(4096) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def stop(self) -> None:
        """End the attack."""
        self._stopped.set()

    def close(self) -> None:
        """Close all connections."""
        for made in self._open.values():
            made.close()


@contextmanager
def crowd(
    port: int, sources: Sequence[str], count: int, opening: bytes = b"", trickle: bytes = b"x"
) -> Iterator[Crowd]:
    """Attack a port for as long as the context lasts; it stands when the context begins."""
    attack = Crowd(port, sources, count, opening, trickle)
    attack.connect()
    thread = threading.Thread(target=attack.keep)
    thread.start()
    try:
        yield attack
        assert thread.is_alive()
    finally:
        attack.stop()
        thread.join()
        attack.close()
