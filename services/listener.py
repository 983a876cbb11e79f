"""A listening socket on asyncio: accepts at once, admits by the connection table, and evicts where it is full.

    connections = Connections(loop, ConnectionLimits(1000), refusal)
    listener = Listener(loop, listening_socket, factory, connections)     # factory(slot) makes a protocol
    slot.on_evict = protocol.evict                                        # once the protocol has its transport
    slot.complete(Stage.IDLE)                                             # a command is through
    slot.release()                                                        # in connection_lost()

The socket is accepted before TLS begins, so that a connection that never completes its handshake counts as well.
What is decided is in connections.py; a protocol only tells how far it is, and how it ends with a farewell.
"""

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from services.connections import Admission, ConnectionLimits, ConnectionTable, Entry, Refusal, Stage
from services.eventlog import EventLog

# Connections accepted in one turn of the loop, before those that are open get theirs.
ACCEPTS_PER_TURN = 128
# What an evicted or refused client has to read its last reply, before the socket is closed whatever it does.
FAREWELL_S = 1.0
# Clients that have this time, as a part of all connections; beyond them the oldest is closed at once.
FAREWELL_SHARE = 1 / 8
# When to accept again after the process ran out of descriptors: an evicted connection has given its own back by then.
ACCEPT_AGAIN_S = 0.02
# Descriptors that are no connection's: libraries, logs, listening sockets; and the part of all others that connections
# may have, for many need a second one, for a file or another server. nginx only warns of a limit that is too low.
OTHER_FILES = 64
CONNECTIONS_OF_FILES = 0.75

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Factory = Callable[["Slot"], asyncio.BaseProtocol]


def _say_nothing(_: Refusal) -> bytes:
    return b""


def fitting(limits: ConnectionLimits) -> ConnectionLimits:
    """Return limits that the process's own limit of open files leaves room for."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits
    most = max(1, int((files - OTHER_FILES) * CONNECTIONS_OF_FILES))
    return replace(limits, connections=min(limits.connections, most))


class Slot:
    """One connection's place in the table, as the protocol that serves it sees it."""

    def __init__(self, connections: "Connections", entry: Entry, accepted: socket.socket) -> None:
        self.on_evict: Callable[[], object] | None = None
        """Ends the connection with a last reply, if there is one; set once there is a transport."""
        self._connections = connections
        self._entry = entry
        self._accepted = accepted

    @property
    def address(self) -> str:
        """The client's address."""
        return self._entry.address

    @property
    def stage(self) -> Stage:
        """How far the connection is."""
        return self._entry.stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._entry.stage = stage

    def complete(self, stage: Stage) -> None:
        """A command, request or query is complete, and this is how far the connection is now."""
        self._entry.stage = stage
        self._entry.complete(self._connections.now())

    def release(self) -> None:
        """The connection is over."""
        self._connections.release(self._entry)

    # What the table's owner calls.

    @property
    def is_closed(self) -> bool:
        """Whether the socket is closed already."""
        return self._accepted.fileno() < 0

    def evict(self) -> None:
        """End the connection, by its protocol if it has one, and at the latest when the time for a farewell is over."""
        if self.on_evict is not None:
            self.on_evict()
            self._connections.farewell(self._accepted)
        else:
            self.cut()

    def cut(self) -> None:
        """End the connection whatever its protocol does: for the transport it has ended."""
        with suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)


class Connections:
    """All connections of one service, on all its ports."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
        refusal: Callable[[Refusal], bytes] = _say_nothing,
        log: EventLog | None = None,
    ) -> None:
        """`refusal` is the protocol's reply to a client that is not admitted; none goes to one that wants TLS."""
        self.table = ConnectionTable(fitting(limits))
        self._farewells = max(1, int(self.table.limits.connections * FAREWELL_SHARE))
        self.now = loop.time
        self._loop = loop
        self._refusal = refusal
        self._log = log
        self._slots: dict[Entry, Slot] = {}
        self._leaving: dict[socket.socket, asyncio.TimerHandle] = {}
        self._refused: set[socket.socket] = set()

    def admit(self, accepted: socket.socket, address: str, speaks_tls: bool) -> Slot | None:
        """Return a place for an accepted connection; None where it got the protocol's refusal instead."""
        if len(self.table) >= self.table.limits.connections:
            self._forget_closed()
        result = self.table.admit(address, self.now())
        if isinstance(result, Refusal):
            self._refuse(accepted, address, b"" if speaks_tls else self._refusal(result))
            return None
        self._evict(result)
        slot = self._slots[result.entry] = Slot(self, result.entry, accepted)
        return slot

    def evict_any(self) -> None:
        """Evict one connection, if one may be, because the process has no descriptor left."""
        self._forget_closed()
        entry = self.table.evict_any(self.now())
        slot = None if entry is None else self._slots.pop(entry, None)
        if slot is not None:
            slot.cut()

    def release(self, entry: Entry) -> None:
        """Count a connection out."""
        self.table.remove(entry)
        self._slots.pop(entry, None)

    def farewell(self, leaving: socket.socket) -> None:
        """Cut a connection that is still open when it had time for its last reply."""
        if len(self._leaving) >= self._farewells:
            oldest = next(iter(self._leaving))
            self._leaving[oldest].cancel()
            self._end_farewell(oldest)
        self._leaving[leaving] = self._loop.call_later(FAREWELL_S, self._end_farewell, leaving)

    def close(self) -> None:
        """End all farewells."""
        for leaving, timer in list(self._leaving.items()):
            timer.cancel()
            self._end_farewell(leaving)

    def _end_farewell(self, leaving: socket.socket) -> None:
        del self._leaving[leaving]
        # A transport's socket is closed by its transport, which sees the end; a refused one is nobody else's.
        with suppress(OSError):
            leaving.shutdown(socket.SHUT_RDWR)
        if leaving in self._refused:
            self._refused.discard(leaving)
            leaving.close()

    def _evict(self, admission: Admission) -> None:
        if admission.evicted is None:
            return
        slot = self._slots.pop(admission.evicted, None)
        if slot is not None:
            if self._log is not None:
                self._log.write("evicted", peer=slot.address, stage=slot.stage.name.lower(), by=admission.entry.address)
            slot.evict()

    def _refuse(self, accepted: socket.socket, address: str, reply: bytes) -> None:
        if self._log is not None:
            self._log.write("refused", peer=address)
        with suppress(OSError):
            if reply:
                accepted.send(reply)
            accepted.shutdown(socket.SHUT_WR)
        self._refused.add(accepted)
        self.farewell(accepted)

    def _forget_closed(self) -> None:
        for entry, slot in list(self._slots.items()):
            if slot.is_closed:
                self.release(entry)


class Listener:
    """One listening socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        factory: Factory,
        connections: Connections,
        tls: ssl.SSLContext | None = None,
        handshake_s: float | None = None,
    ) -> None:
        """Begin to accept; `listening` is bound, listens and does not block."""
        self._loop, self._listening, self._factory, self._connections = loop, listening, factory, connections
        self._tls, self._handshake_s = tls, handshake_s
        self._opening: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more; connections that are open go on, those that are being opened end."""
        if self._listening.fileno() < 0:
            return
        self._loop.remove_reader(self._listening)
        if self._again is not None:
            self._again.cancel()
        self._listening.close()
        for task in self._opening:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # accept(2): what else is passed on from the network, such as ECONNABORTED, is the client's.
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    continue
                self._connections.evict_any()
                self._pause()
                return
            accepted.setblocking(False)
            slot = self._connections.admit(accepted, str(peer[0]), self._tls is not None)
            if slot is not None:
                task = self._loop.create_task(self._open(accepted, slot))
                self._opening.add(task)
                task.add_done_callback(self._opening.discard)

    def _pause(self) -> None:
        """Wait for a descriptor: the socket stays readable, so trying on would only take the processor."""
        self._loop.remove_reader(self._listening)
        self._again = self._loop.call_later(ACCEPT_AGAIN_S, self._loop.add_reader, self._listening, self._accept)

    async def _open(self, accepted: socket.socket, slot: Slot) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._factory(slot), accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
            )
        except (OSError, asyncio.CancelledError):
            # A handshake that failed is the client's fault (ssl.SSLError is an OSError); a cancelled one ends here.
            self._drop(accepted, slot)
        except Exception as error:
            self._drop(accepted, slot)
            self._loop.call_exception_handler({"message": "a connection could not be served", "exception": error})

    @staticmethod
    def _drop(accepted: socket.socket, slot: Slot) -> None:
        slot.release()
        accepted.close()
