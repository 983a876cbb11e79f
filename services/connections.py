"""Connections of a TCP service on asyncio: listening sockets, admission, eviction, deadlines and shutdown.

    connections = ConnectionSet(loop, ConnectionLimits(1000), refusal, log)   # refusal(reason): reply if not admitted
    listener = Listener(loop, listening_socket, factory, connections)   # factory(slot) returns a protocol

    slot.attach(connection)                         # in connection_made(): deadline checks, eviction, shutdown
    slot.start(coroutine)                           # run a task of the connection
    slot.complete(Stage.IDLE)                       # a command, request or query is complete
    slot.release()                                  # in connection_lost()

    await connections.drain(task_s=5.0, close_s=5.0)    # at shutdown: wait for the connections to close
    await connections.cancel()                          # or: cancel the tasks of the connections

A Listener accepts connections. Each admitted connection has a Slot: its handle from accept() to connection_lost(). The
ConnectionTable decides without I/O whether a new connection is admitted or refused, and which older one is evicted,
that is closed to make room for it (RFC 4732 section 3.4, RFC 7766 sections 6.2.2 and 6.2.3, RFC 9112 section 9.5). The
ConnectionSet carries out these decisions for all ports of the service. Its timer, a Sweep, periodically calls
check_deadline() of every attached connection. A connection is admitted before its TLS handshake, so that connections
that never complete the handshake count as well.

At shutdown, a service calls cancel() instead of drain() if each of its connections is a single task: a cancelled task
closes its connection.

A connection refers to its Slot and not to the server, so that modules of connections do not import modules of servers.
"""

import asyncio
import errno
import fcntl
import resource
import socket
import ssl
import struct
import termios
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum, auto
from ipaddress import IPv6Address, ip_address
from math import ceil
from typing import Any, Protocol

from lab7.services.eventlog import EventLog
from lab7.services.memory import release_frames, return_freed_memory


class Sweep:
    """Periodic timer for the deadlines of all connections: calls the function `look` every `period_s` seconds.

    The timer runs as long as `look` returns True, which means that connections are left; an idle server uses no CPU
    time. This matters most with a simulated clock (virtual time), which skips idle hours. One timer for all connections
    costs less than one per connection.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float, look: Callable[[], bool]) -> None:
        self._loop = loop
        self._period_s = period_s
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Schedule the next call of `look`, the timer's callback, unless a call is already scheduled."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._period_s, self._run)

    def cancel(self) -> None:
        """Cancel the periodic timer; wake() may start it again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        if self._look():
            self.wake()


def paid_deadline(deadline: float, octets: int, rate_octets_s: float, latest: float) -> float:
    """Return a deadline extended by the time that `octets` take at `rate_octets_s`, but not beyond `latest`.

    `octets` is the size of the content just received. Only a client that sends at least at this rate can keep extending
    its deadline, so sending slowly does not keep a connection open. The model is MinRate of Apache's mod_reqtimeout.
    """
    return max(deadline, min(deadline + octets / rate_octets_s, latest))


def acknowledge(transport: asyncio.BaseTransport) -> None:
    """Send the TCP acknowledgement of received octets without delay, if the system supports it (Linux: TCP_QUICKACK).

    Call this after input that gets no reply yet, such as half a command. A client that writes a command in two parts
    sends the second part only when the first is acknowledged (Nagle algorithm, RFC 9293 section 3.7.4), and a delayed
    acknowledgement would delay the second part by 40 ms (section 3.8.6.3). The option holds until the next read only.
    """
    option = getattr(socket, "TCP_QUICKACK", None)
    raw = transport.get_extra_info("socket")
    if option is not None and raw is not None and not transport.is_closing():
        with suppress(OSError):
            raw.setsockopt(socket.IPPROTO_TCP, option, 1)


# Share of a full connection table that one address may have: Postfix's default, 50 of 100 processes.
ADDRESS_SHARE = 0.5
# Share of a full connection table that one network prefix may have: midway between ADDRESS_SHARE and the whole table.
PREFIX_SHARE = 0.75
# Share of the table reserved for addresses and prefixes below ADDRESS_SHARE and PREFIX_SHARE.
RESERVED_SHARE = 1 / 8
# IPv4 prefix length that counts as one source: a /24 is the longest routed on the Internet (RIPE-399 section 2).
IPV4_PREFIX_BITS = 24
# IPv6 prefix length that counts as one source: an end site has a /56 or more (RFC 6177 section 2).
IPV6_PREFIX_BITS = 56
# Seconds in which a new connection is evicted last: two retransmissions, after 1 s and 2 s (RFC 6298 2.1 and 5.5).
OPENING_GRACE_S = 3.0
# Number of active connections of one address that are never evicted: browsers open 6 to one host.
PROTECTED_PER_ADDRESS = 8
# Number of active connections of one prefix that are never evicted: PROTECTED_PER_ADDRESS for each of eight hosts.
PROTECTED_PER_PREFIX = 64


class _HasDescriptor(Protocol):
    def fileno(self) -> int: ...


def send_queue_octets(connection: _HasDescriptor | None) -> int:
    """Return the number of octets in a socket's send queue, unsent or unacknowledged (tcp(7), SIOCOUTQ).

    A shrinking queue shows that a slow peer still receives, although the socket is not writable yet: it becomes
    writable only once a large share of its send buffer (up to 4 MiB) is free. Return 0 if the length of the queue
    cannot be read.
    """
    if connection is None:
        return 0
    try:
        octets: int = struct.unpack("i", fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4)))[0]
    except (OSError, ValueError):
        return 0
    return octets


class Stage(IntEnum):
    """Protocol stage of a connection, in the order of eviction: connections at the first stage are evicted first."""

    OPENING = 0
    """In the TLS handshake, without a complete command or request, or not logged in where there is a login."""
    IDLE = 1
    """Between two commands or requests, where there is no login."""
    ACTIVE = 2
    """With a command, request or transfer under way, or logged in."""


class Refusal(Enum):
    """Reason to refuse a connection: the table is full, or the client's address has too many connections."""

    FULL = auto()
    ADDRESS = auto()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Maximum numbers of concurrent connections: in total, and per client address (None: no such limit)."""

    connections: int
    per_address: int | None = None


@dataclass(eq=False, slots=True)
class TableEntry:
    """Entry of a ConnectionTable: client address, network prefix, stage, and time of the last complete command."""

    address: str
    prefix: str
    completed_at: float
    stage: Stage = Stage.OPENING

    def complete(self, now: float) -> None:
        """Record the time `now` of the connection's last complete command, request or query."""
        self.completed_at = now


@dataclass(frozen=True, slots=True)
class Admission:
    """Result of ConnectionTable.admit(): the admitted connection, and the one evicted for it (None: none).

    The caller closes the evicted connection.
    """

    entry: TableEntry
    evicted: TableEntry | None = None


def prefix_of(address: str) -> str:
    """Return the network prefix of an IP address as text, such as `c00002/24` for 192.0.2.7.

    All addresses of one prefix count as one source; its length is IPV4_PREFIX_BITS or IPV6_PREFIX_BITS. Text that is no
    IP address is returned unchanged.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return f"{int(parsed) >> (128 - IPV6_PREFIX_BITS):x}/{IPV6_PREFIX_BITS}"
        parsed = parsed.ipv4_mapped
    return f"{int(parsed) >> (32 - IPV4_PREFIX_BITS):x}/{IPV4_PREFIX_BITS}"


@dataclass(slots=True)
class ConnectionTable:
    """Connection table of one service: decides, without I/O or clock, which connection to admit, evict or refuse.

        table = ConnectionTable(ConnectionLimits(1000))
        admitted = table.admit("192.0.2.7", now)       # Admission(entry, evicted=None) or Refusal.FULL
        admitted.entry.complete(now)                   # a command, request or query is complete
        table.remove(admitted.entry)

    If a full table refused new connections, one client that keeps its connections open would deny service to all
    others. So a new connection evicts another one (RFC 4732 section 3.4 and RFC 7766 section 6.2.2 leave the choice to
    the server). The order of eviction:

        1. connections without a complete command, or not logged in, once OPENING_GRACE_S have passed
        2. idle connections, between two commands (a server may close them any time: RFC 9112 section 9.5, RFC 7766
           section 6.2.3)
        3. active or logged-in connections of an address or prefix with more connections than its fair share
        4. connections that have only just been opened

    Among equals, the prefix with the most connections comes first, then the address with the most, then the connection
    whose last complete command is the oldest. An active or logged-in connection of an address and prefix within their
    fair shares is never evicted.

    An attacker that connects again and again must evict only its own connections. Therefore connections of a source
    that has no more connections than the source of the new one are protected: an active one is not evicted, and any
    other only if it has been silent for OPENING_GRACE_S, or is an idle connection of the new connection's own address.

    ADDRESS_SHARE and PREFIX_SHARE apply only while the table is nearly full. A single host (a benchmark, a network
    behind one NAT) may therefore have nearly the whole table as long as there are no other clients.
    """

    limits: ConnectionLimits
    _entries: dict[TableEntry, None] = field(default_factory=dict)
    _by_address: Counter[str] = field(default_factory=Counter)
    _by_prefix: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, entry: TableEntry) -> bool:
        return entry in self._entries

    def admit(self, address: str, now: float) -> Admission | Refusal:
        """Admit a new connection, if need be by evicting another one; return a Refusal if none may be evicted."""
        new_entry = TableEntry(address, prefix_of(address), now)
        refusal, candidates = self._exceeded_limit(new_entry)
        evicted = None
        if refusal is not None:
            evicted = self._least_useful(new_entry, candidates, now)
            if evicted is None:
                return refusal
            self.remove(evicted)
        self._entries[new_entry] = None
        self._by_address[address] += 1
        self._by_prefix[new_entry.prefix] += 1
        return Admission(new_entry, evicted)

    def remove(self, entry: TableEntry) -> None:
        """Remove a connection from the table, if it is in the table."""
        if entry not in self._entries:
            return
        del self._entries[entry]
        for counter, key in ((self._by_address, entry.address), (self._by_prefix, entry.prefix)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    def evict_any(self, now: float) -> TableEntry | None:
        """Remove the connection that is first in the order of eviction, and return it; None if none may be evicted."""
        evicted = self._least_useful(TableEntry("", "", now), list(self._entries), now)
        if evicted is not None:
            self.remove(evicted)
        return evicted

    def _exceeded_limit(self, new_entry: TableEntry) -> tuple[Refusal | None, list[TableEntry]]:
        """Return (Refusal or None, eviction candidates) for a new connection; None: it exceeds no limit."""
        maximum, limits = self.limits.connections, self.limits
        address_count, prefix_count = self._by_address[new_entry.address], self._by_prefix[new_entry.prefix]
        nearly_full = len(self._entries) >= maximum - int(maximum * RESERVED_SHARE)
        is_over = limits.per_address is not None and address_count >= limits.per_address
        if is_over or (nearly_full and address_count >= max(1, int(maximum * ADDRESS_SHARE))):
            return Refusal.ADDRESS, [entry for entry in self._entries if entry.address == new_entry.address]
        if nearly_full and prefix_count >= max(1, int(maximum * PREFIX_SHARE)):
            return Refusal.FULL, [entry for entry in self._entries if entry.prefix == new_entry.prefix]
        return (None, []) if len(self._entries) < maximum else (Refusal.FULL, list(self._entries))

    def _least_useful(self, new_entry: TableEntry, candidates: list[TableEntry], now: float) -> TableEntry | None:
        by_address, by_prefix = self._by_address, self._by_prefix
        address_share = self._fair_share(by_address, new_entry.address, PROTECTED_PER_ADDRESS)
        addresses = {new_entry.address, *(entry.address for entry in candidates)}
        if len(addresses) > 1:
            # If only connections of one prefix may be evicted, its addresses share the prefix's limit, not the table.
            address_share = min(address_share, max(PROTECTED_PER_ADDRESS, ceil(len(candidates) / len(addresses))))
        prefix_share = self._fair_share(by_prefix, new_entry.prefix, PROTECTED_PER_PREFIX)
        own_weight = (by_prefix[new_entry.prefix], by_address[new_entry.address])
        best: tuple[int, int, int, float] | None = None
        evicted: TableEntry | None = None
        for entry in candidates:
            prefix_count, address_count = by_prefix[entry.prefix], by_address[entry.address]
            is_large = address_count > address_share or prefix_count > prefix_share
            is_young = now - entry.completed_at < OPENING_GRACE_S
            if (prefix_count, address_count) <= own_weight and not self._may_evict(new_entry, entry, is_young):
                continue
            if entry.stage is Stage.ACTIVE:
                if not is_large:
                    continue
                rank = 2
            elif entry.stage is Stage.IDLE:
                rank = 1
            else:
                rank = 3 if is_young and not is_large else 0
            key = (rank, -prefix_count, -address_count, entry.completed_at)
            if best is None or key < best:
                best, evicted = key, entry
        return evicted

    @staticmethod
    def _may_evict(new_entry: TableEntry, entry: TableEntry, is_young: bool) -> bool:
        """Return whether `entry` may be evicted although its source has no more connections than that of `new_entry`.

        `is_young` is True if `entry` was opened, or completed a command, less than OPENING_GRACE_S ago.
        """
        if entry.stage is Stage.ACTIVE:
            return False
        return not is_young or (entry.stage is Stage.IDLE and entry.address == new_entry.address)

    def _fair_share(self, counts: Counter[str], key: str, protected: int) -> int:
        sources = len(counts) + (key not in counts)
        return max(protected, self.limits.connections // sources)


# Time in seconds for an evicted or refused client to read the last reply before the socket is shut down.
FAREWELL_S = 1.0
# Maximum share of connections that may wait FAREWELL_S; above this share the oldest waiting connection is shut down.
FAREWELL_SHARE = 1 / 8
# Seconds between two sweeps, which check the deadlines of all connections.
SWEEP_S = 0.5
# Minimum peak of concurrent connections after which memory is returned to the operating system, once most are closed.
MANY_CONNECTIONS = 128
# Share of the peak of concurrent connections that may still be open when memory is returned.
FEW_LEFT_SHARE = 1 / 4
# Delay in seconds of the return of memory, since further connections close meanwhile.
RETURN_MEMORY_S = 0.5
# File descriptors reserved for libraries, logs and listening sockets.
OTHER_FILES = 64
# Share of the unreserved descriptors for connections: many need a second descriptor, for a file or another server.
CONNECTIONS_OF_FILES = 0.75


class Connection(Protocol):
    """Interface of a client's connection, by which a ConnectionSet checks deadlines, evicts and shuts down."""

    def check_deadline(self, now: float) -> None:
        """Check the deadline; if it has passed, close the connection or send the protocol's error reply."""

    def stop(self) -> None:
        """Close the connection after the current command or request, because the service stops."""

    def abort(self) -> None:
        """Close the connection at once, and discard unsent octets."""

    def evict(self) -> None:
        """Close the connection, with a last reply if the protocol has one, to make room for a new connection."""


def _no_reply(_: Refusal) -> bytes:
    return b""


def fit_to_open_files(limits: ConnectionLimits) -> ConnectionLimits:
    """Return `limits`, with fewer connections if the process may not open enough files for them (RLIMIT_NOFILE)."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return limits
    most = max(1, int((files - OTHER_FILES) * CONNECTIONS_OF_FILES))
    return replace(limits, connections=min(limits.connections, most))


class Slot:
    """Handle of one connection that the limits admitted: its entry in the table of connections, and its socket."""

    def __init__(self, connections: "ConnectionSet", entry: TableEntry, accepted: socket.socket) -> None:
        self.on_evict: Callable[[], object] | None = None
        """Closes the connection with a last reply; attach() sets it. None: the socket is shut down without one."""
        self._connections = connections
        self._entry = entry
        self._accepted = accepted

    @property
    def address(self) -> str:
        """Address of the connection's client."""
        return self._entry.address

    @property
    def stage(self) -> Stage:
        """Stage of the connection, which determines the order of eviction."""
        return self._entry.stage

    @stage.setter
    def stage(self, stage: Stage) -> None:
        self._entry.stage = stage

    def attach(self, connection: Connection) -> None:
        """Register `connection`, in place of an earlier one, for deadline checks, eviction and shutdown."""
        self.on_evict = connection.evict
        self._connections.attach(self, connection)

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine of the connection as a task; the ConnectionSet's drain() awaits it, cancel() cancels it."""
        return self._connections.start(coroutine)

    def complete(self, stage: Stage) -> None:
        """Record a complete command, request or query, and set the connection's stage."""
        self._entry.stage = stage
        self._entry.complete(self._connections.now())

    def release(self) -> None:
        """Remove the closed connection from the ConnectionSet and its table."""
        self._connections.forget(self._entry, self)

    # Methods that the ConnectionSet calls.

    @property
    def is_closed(self) -> bool:
        """True once the socket of the connection is closed."""
        return self._accepted.fileno() < 0

    def evict(self) -> None:
        """Close the connection, with a last reply if the protocol has one.

        The socket is shut down after FAREWELL_S at the latest.
        """
        if self.on_evict is not None:
            self.on_evict()
            self._connections.start_farewell(self._accepted)
        else:
            self.shut_down()

    def shut_down(self) -> None:
        """Shut the socket down in both directions, so that asyncio's transport reports the end of the connection."""
        with suppress(OSError):
            self._accepted.shutdown(socket.SHUT_RDWR)


class ConnectionSet:
    """All connections of one service. Iteration yields the attached Connection objects, the oldest first."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ConnectionLimits,
        refusal: Callable[[Refusal], bytes] = _no_reply,
        log: EventLog | None = None,
        sweep_s: float = SWEEP_S,
    ) -> None:
        """Create an empty set.

        `refusal` returns the octets of the reply to a client that is refused; the reply is sent only on ports without
        TLS.
        """
        self.table = ConnectionTable(fit_to_open_files(limits))
        self._farewells_max = max(1, int(self.table.limits.connections * FAREWELL_SHARE))
        self.now = loop.time
        self._loop = loop
        self._refusal = refusal
        self._log = log
        self._slots: dict[TableEntry, Slot] = {}
        self._attached: dict[Slot, Connection] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._sweep = Sweep(loop, sweep_s, self.sweep)
        self._empty = asyncio.Event()
        self._most = 0
        self._returning: asyncio.TimerHandle | None = None
        self._farewells: dict[socket.socket, asyncio.TimerHandle] = {}
        self._refused: set[socket.socket] = set()

    def __len__(self) -> int:
        return len(self._attached)

    def __iter__(self) -> Iterator[Connection]:
        return iter(tuple(self._attached.values()))

    # From accept() to connection_lost().

    def admit(self, accepted: socket.socket, address: str, speaks_tls: bool) -> Slot | None:
        """Admit an accepted connection, if needed by evicting another one.

        Returns the Slot (handle) of the connection, None if the connection is refused.
        """
        if len(self.table) >= self.table.limits.connections:
            self._remove_closed()
        result = self.table.admit(address, self.now())
        if isinstance(result, Refusal):
            self._refuse(accepted, address, b"" if speaks_tls else self._refusal(result))
            return None
        self._evict(result)
        self._most = max(self._most, len(self.table))
        slot = self._slots[result.entry] = Slot(self, result.entry, accepted)
        return slot

    def attach(self, slot: Slot, connection: Connection) -> None:
        """Register `connection` for deadline checks and shutdown, in place of an earlier one of the same `slot`."""
        # A connection that replaces another one is moved to the end of the iteration order.
        self._attached.pop(slot, None)
        self._attached[slot] = connection
        self._empty.clear()
        self._sweep.wake()

    def start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a coroutine of a connection as a task; drain() awaits it, cancel() cancels it."""
        task = self._loop.create_task(coroutine)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    def forget(self, entry: TableEntry, slot: Slot) -> None:
        """Remove a closed connection from the set and its table."""
        self._remove(entry)
        self._attached.pop(slot, None)
        # Break the reference cycle of slot and connection, which would otherwise wait for the garbage collector.
        slot.on_evict = None
        if not self._attached:
            self._empty.set()
        if self._most >= MANY_CONNECTIONS and len(self.table) <= self._most * FEW_LEFT_SHARE:
            self._most = len(self.table)
            if self._returning is None:
                self._returning = self._loop.call_later(RETURN_MEMORY_S, self._return_memory)

    def _return_memory(self) -> None:
        self._returning = None
        return_freed_memory()

    # Deadlines and shutdown.

    def sweep(self) -> bool:
        """Call check_deadline() of every attached connection; return whether any connection is left."""
        now = self.now()
        for connection in self:
            connection.check_deadline(now)
        return bool(self._attached)

    async def drain(self, task_s: float = 0.0, close_s: float | None = None) -> None:
        """Stop every connection, and wait at most `task_s` seconds for the tasks of the connections.

        Then, if `close_s` is given, wait at most `close_s` seconds until all connections are closed, and abort the
        rest; without `close_s`, leave connections open.
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
        if self._returning is not None:
            self._returning.cancel()
        # Wait for one iteration of the event loop, in which aborted transports call connection_lost().
        await asyncio.sleep(0)

    async def cancel(self) -> None:
        """Cancel the tasks of all connections, and wait until all tasks have ended."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # Eviction and refusal.

    def evict_any(self) -> None:
        """Free a file descriptor: shut down the first connection in the order of eviction, if any may be evicted."""
        self._remove_closed()
        entry = self.table.evict_any(self.now())
        slot = None if entry is None else self._slots.pop(entry, None)
        if slot is not None:
            slot.shut_down()

    def start_farewell(self, leaving: socket.socket) -> None:
        """Shut down an evicted or refused client's socket after FAREWELL_S: the client can read the last reply."""
        if len(self._farewells) >= self._farewells_max:
            oldest = next(iter(self._farewells))
            self._farewells[oldest].cancel()
            self._end_farewell(oldest)
        self._farewells[leaving] = self._loop.call_later(FAREWELL_S, self._end_farewell, leaving)

    def end_farewells(self) -> None:
        """Shut down at once the sockets of all evicted and refused clients that start_farewell() left open."""
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

    def _remove(self, entry: TableEntry) -> None:
        self.table.remove(entry)
        self._slots.pop(entry, None)

    def _remove_closed(self) -> None:
        """Remove connections with closed sockets from the table, without waiting for connection_lost()."""
        for entry, slot in list(self._slots.items()):
            if slot.is_closed:
                self._remove(entry)


# Maximum connections accepted per iteration of the event loop, so that open connections are served in between.
ACCEPTS_PER_TURN = 128
# Seconds until the next accept() if file descriptors are exhausted: an evicted connection is closed by then.
ACCEPT_AGAIN_S = 0.02

_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

Factory = Callable[[Slot], asyncio.BaseProtocol]


class Listener:
    """A listening socket: accepts connections, and passes each to the ConnectionSet for admission.

    When file descriptors are exhausted, the listener evicts a connection and pauses for ACCEPT_AGAIN_S. The listening
    socket remains readable in this state, and without the pause the event loop would repeat the failing accept() in a
    busy loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        factory: Factory,
        connections: ConnectionSet,
        tls: ssl.SSLContext | None = None,
        handshake_s: float | None = None,
    ) -> None:
        """Start to accept connections on `listening`, a non-blocking socket in the listening state."""
        self._loop, self._listening, self._factory, self._connections = loop, listening, factory, connections
        self._tls, self._handshake_s = tls, handshake_s
        self._opening: set[asyncio.Task[None]] = set()
        self._again: asyncio.TimerHandle | None = None
        loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Stop accepting and cancel unfinished TLS handshakes; open connections stay open."""
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
                # accept(2) may return a pending error of the new connection, such as ECONNABORTED, which is ignored.
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
        """Pause accepting for ACCEPT_AGAIN_S, because file descriptors or memory are exhausted."""
        self._loop.remove_reader(self._listening)
        self._again = self._loop.call_later(ACCEPT_AGAIN_S, self._loop.add_reader, self._listening, self._accept)

    async def _open(self, accepted: socket.socket, slot: Slot) -> None:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._factory(slot), accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_s
            )
        except (OSError, asyncio.CancelledError) as error:
            # The TLS handshake failed (ssl.SSLError is an OSError), or was cancelled by close().
            self._drop(accepted, slot)
            release_frames(error)
        except Exception as error:
            self._drop(accepted, slot)
            self._loop.call_exception_handler({"message": "failed to serve a connection", "exception": error})

    @staticmethod
    def _drop(accepted: socket.socket, slot: Slot) -> None:
        slot.release()
        accepted.close()
