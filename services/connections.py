"""The connection set of a TCP service: admission, deadlines and shutdown of its connections on all ports.

    connections = ConnectionSet(loop, ConnectionLimits(1000), refusal, log)
    slot = connections.admit(accepted, "192.0.2.7", speaks_tls=False)   # None: refused, with the protocol's reply
    slot.attach(connection)                         # in connection_made(): sweep, evict and stop it from here on
    slot.start(coroutine)                           # a task of the connection
    slot.complete(Stage.IDLE)                       # a command, request or query is complete
    slot.release()                                  # in connection_lost()
    await connections.drain(task_s=5.0, close_s=5.0)
    await connections.cancel()                      # instead, where each connection is one task that ends it

A connection knows its Slot and never its server, so that modules of connections do not import those of servers. The
connection table (connection_table.py) decides which connection is admitted, evicted or refused. One sweep (sweep.py)
calls check_deadline() of every attached connection. The socket is admitted before TLS begins, so that a connection
that never completes its handshake counts as well.
"""

import asyncio
import resource
import socket
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from services.connection_table import Admission, ConnectionLimits, ConnectionTable, Entry, Refusal, Stage
from services.eventlog import EventLog
from services.sweep import Sweep

# Seconds that an evicted or refused client has to read its last reply, before the socket is shut down.
FAREWELL_S = 1.0
# Sockets that have this time, as a share of all connections; beyond it the oldest is shut down at once.
FAREWELL_SHARE = 1 / 8
# Seconds between two sweeps.
SWEEP_S = 0.5
# File descriptors that are not connections: libraries, logs, listening sockets; and the share of the others that
# connections may have, for many need a second one, for a file or another server. nginx only warns of a low limit.
OTHER_FILES = 64
CONNECTIONS_OF_FILES = 0.75


class Connection(Protocol):
    """An open connection, as its ConnectionSet uses it."""

    def check_deadline(self, now: float) -> None:
        """Act on a deadline that has passed."""

    def stop(self) -> None:
        """Close after the work under way, because the service stops."""

    def abort(self) -> None:
        """Close at once, and discard unsent octets."""

    def evict(self) -> None:
        """Close with the protocol's last reply, because another connection takes the place of this one."""


def _no_reply(_: Refusal) -> bytes:
    return b""


def fit_to_open_files(limits: ConnectionLimits) -> ConnectionLimits:
    """Return `limits`, reduced where the process's limit of open files (RLIMIT_NOFILE) has no room for them."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits
    most = max(1, int((files - OTHER_FILES) * CONNECTIONS_OF_FILES))
    return replace(limits, connections=min(limits.connections, most))


class Slot:
    """The place of one connection in a ConnectionSet, from accept() until connection_lost()."""

    def __init__(self, connections: "ConnectionSet", entry: Entry, accepted: socket.socket) -> None:
        self.on_evict: Callable[[], object] | None = None
        """Closes the connection with a last reply; attach() sets it. None: the socket is shut down without one."""
        self._connections = connections
        self._entry = entry
        self._accepted = accepted

    @property
    def address(self) -> str:
        """The client's address."""
        return self._entry.address

    @property
    def stage(self) -> Stage:
        """The connection's stage, which the order of eviction follows."""
        return self._entry.stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._entry.stage = stage

    def attach(self, connection: Connection) -> None:
        """Sweep, evict and stop `connection` from here on, instead of any that was attached before."""
        self.on_evict = connection.evict
        self._connections.attach(self, connection)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine of the connection as a task, which drain() waits for and cancel() cancels."""
        return self._connections.start(coroutine)

    def complete(self, stage: Stage) -> None:
        """Note that a command, request or query is complete, and the connection's stage from here on."""
        self._entry.stage = stage
        self._entry.complete(self._connections.now())

    def release(self) -> None:
        """Forget the connection, which is closed."""
        self._connections.forget(self._entry, self)

    # Methods that the ConnectionSet calls.

    @property
    def is_closed(self) -> bool:
        """True once the socket is closed."""
        return self._accepted.fileno() < 0

    def evict(self) -> None:
        """Close the connection with a last reply if it has one, and shut its socket down after FAREWELL_S."""
        if self.on_evict is not None:
            self.on_evict()
            self._connections.start_farewell(self._accepted)
        else:
            self.shut_down()

    def shut_down(self) -> None:
        """Shut the socket down; its transport then sees the end of the connection."""
        with suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)


class ConnectionSet:
    """All connections of one service; iterates over the attached ones, the oldest first."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
        refusal: Callable[[Refusal], bytes] = _no_reply,
        log: EventLog | None = None,
        sweep_s: float = SWEEP_S,
    ) -> None:
        """`refusal` returns the protocol's reply to a client that is not admitted; a client of TLS gets none."""
        self.table = ConnectionTable(fit_to_open_files(limits))
        self._farewells_max = max(1, int(self.table.limits.connections * FAREWELL_SHARE))
        self.now = loop.time
        self._loop = loop
        self._refusal = refusal
        self._log = log
        self._slots: dict[Entry, Slot] = {}
        self._attached: dict[Slot, Connection] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._sweep = Sweep(loop, sweep_s, self.sweep)
        self._empty = asyncio.Event()
        self._farewells: dict[socket.socket, asyncio.TimerHandle] = {}
        self._refused: set[socket.socket] = set()

    def __len__(self) -> int:
        return len(self._attached)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._attached.values()))

    # From accept() to connection_lost().

    def admit(self, accepted: socket.socket, address: str, speaks_tls: bool) -> Slot | None:
        """Return the slot of an accepted connection; None where it was refused."""
        if len(self.table) >= self.table.limits.connections:
            self._remove_closed()
        result = self.table.admit(address, self.now())
        if isinstance(result, Refusal):
            self._refuse(accepted, address, b"" if speaks_tls else self._refusal(result))
            return None
        self._evict(result)
        slot = self._slots[result.entry] = Slot(self, result.entry, accepted)
        return slot

    def attach(self, slot: Slot, connection: Connection) -> None:
        """Sweep and stop `connection` from here on, instead of any that the slot had before."""
        # At the end of the order, also where it takes another's place.
        self._attached.pop(slot, None)
        self._attached[slot] = connection
        self._empty.clear()
        self._sweep.wake()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine of a connection as a task, which drain() waits for and cancel() cancels."""
        task = self._loop.create_task(coroutine)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def forget(self, entry: Entry, slot: Slot) -> None:
        """Remove a connection that is closed."""
        self._remove(entry)
        self._attached.pop(slot, None)
        if not self._attached:
            self._empty.set()

    # Deadlines and shutdown.

    def sweep(self) -> bool:
        """Have every attached connection check its deadline; return whether any is left."""
        now = self.now()
        for connection in self:
            connection.check_deadline(now)
        return bool(self._attached)

    async def drain(self, task_s: float = 0.0, close_s: float | None = None) -> None:
        """Stop every connection and wait at most `task_s` for their tasks.

        With `close_s`, wait at most that long until all are closed, and abort the rest; without, leave them open.
        """
        for connection in self:
            connection.stop()
        if self._tasks and task_s > 0:
            await asyncio.wait(self._tasks, timeout=task_s)
        if close_s is not None:
            if self._attached:
                with suppress(TimeoutError):
                    async with asyncio.timeout(close_s):
                        await self._empty.wait()
            for connection in self:
                connection.abort()
        self._sweep.cancel()
        # One turn of the loop, in which transports call connection_lost().
        await asyncio.sleep(0)

    async def cancel(self) -> None:
        """Cancel every task, and wait until all have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Eviction and refusal.

    def evict_any(self) -> None:
        """Evict one connection, if one may be, because the process has no file descriptor left."""
        self._remove_closed()
        entry = self.table.evict_any(self.now())
        slot = None if entry is None else self._slots.pop(entry, None)
        if slot is not None:
            slot.shut_down()

    def start_farewell(self, leaving: socket.socket) -> None:
        """Shut a socket down after FAREWELL_S, unless it is closed before."""
        if len(self._farewells) >= self._farewells_max:
            oldest = next(iter(self._farewells))
            self._farewells[oldest].cancel()
            self._end_farewell(oldest)
        self._farewells[leaving] = self._loop.call_later(FAREWELL_S, self._end_farewell, leaving)

    def end_farewells(self) -> None:
        """Shut down all sockets that still have time for a last reply."""
        for leaving, timer in list(self._farewells.items()):
            timer.cancel()
            self._end_farewell(leaving)

    def _end_farewell(self, leaving: socket.socket) -> None:
        del self._farewells[leaving]
        with suppress(OSError):
            leaving.shutdown(socket.SHUT_RDWR)
        # The transport of an evicted connection closes its socket; a refused connection has no transport.
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
        self.start_farewell(accepted)

    def _remove(self, entry: Entry) -> None:
        self.table.remove(entry)
        self._slots.pop(entry, None)

    def _remove_closed(self) -> None:
        """Remove connections from the table whose sockets are closed, before connection_lost() is called."""
        for entry, slot in list(self._slots.items()):
            if slot.is_closed:
                self._remove(entry)
