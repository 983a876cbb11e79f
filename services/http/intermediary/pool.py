"""Connection pool: persistent connections to origins, bounded per origin and in total (RFC 9112 section 9.3).

    response = await pool.exchange(origin, request, None, None)

RFC 9112 section 9.3.1 and RFC 9110 section 9.2.2: a request on a persistent connection that the origin closes before
its response is retried once on a new connection, where its method is idempotent and it has no content. All other
requests get a new connection at once, as in squid.
"""

import asyncio
import socket
from collections import deque

from services.http.intermediary.settings import UpstreamLimits
from services.http.intermediary.upstream_connection import (
    ClosedEarlyError,
    OnInterim,
    UpstreamConnection,
    UpstreamError,
)
from services.http.messages import Request, Response
from services.http.server.body_stream import BodyStream
from services.http.urls import Origin
from services.sweep import Sweep

IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))


class Pool:
    """A pool of connections to any number of origins."""

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: UpstreamLimits) -> None:
        self._loop = loop
        self._limits = limits
        self._idle: dict[Origin, deque[UpstreamConnection]] = {}
        self._origins: dict[UpstreamConnection, Origin] = {}
        self._counts: dict[Origin, int] = {}
        self._count = 0
        self._waiting: dict[Origin, deque[asyncio.Future[None]]] = {}
        self._received_octets = 0
        self._sweep = Sweep(loop, limits.sweep_s, self._check_timeouts)

    @property
    def received_octets(self) -> int:
        """Octets received from all origins, including heads."""
        return self._received_octets + sum(connection.received_octets for connection in self._origins)

    @property
    def connection_count(self) -> int:
        """Number of connections that are open or connecting."""
        return self._count

    def close(self) -> None:
        """Close all connections."""
        self._sweep.cancel()
        for connection in list(self._origins):
            connection.close()

    async def exchange(
        self, origin: Origin, request: Request, content: BodyStream | None, on_interim: OnInterim | None
    ) -> Response:
        """Send a request to `origin` and return the response's head, its body a BodyStream; raises UpstreamError."""
        may_repeat = request.method in IDEMPOTENT and content is None
        connection = await self._connection(origin, is_new=not may_repeat)
        try:
            return await connection.send_request(request, content, on_interim)
        except ClosedEarlyError:
            if not may_repeat:
                raise
        connection = await self._connection(origin, is_new=True)
        return await connection.send_request(request, content, on_interim)

    async def _connection(self, origin: Origin, is_new: bool) -> UpstreamConnection:
        """Return an idle connection, or a new one where none is idle or `is_new` is set."""
        try:
            async with asyncio.timeout(self._limits.connect_s):
                while True:
                    connection = None if is_new else self._take_idle(origin)
                    if connection is not None:
                        return connection
                    if self._has_room(origin):
                        return await self._open(origin)
                    await self._wait(origin)
        except TimeoutError as error:
            raise UpstreamError(504, "timeout while connecting to the origin") from error

    def _take_idle(self, origin: Origin) -> UpstreamConnection | None:
        idle = self._idle.get(origin)
        while idle:
            # The most recently used one is the least likely to have been closed by the origin.
            connection = idle.pop()
            if not connection.is_open:
                continue
            if self._loop.time() - connection.free_since < connection.idle_s:
                return connection
            connection.close()
        return None

    def _has_room(self, origin: Origin) -> bool:
        of_origin = self._counts.get(origin, 0)
        if of_origin >= self._limits.connections_per_origin:
            # Evict an idle connection for the new one.
            return self._close_idle(origin)
        if self._count < self._limits.connections:
            return True
        return any(self._close_idle(other) for other in list(self._idle))

    def _close_idle(self, origin: Origin) -> bool:
        idle = self._idle.get(origin)
        if not idle:
            return False
        connection = idle.popleft()
        self._forget(connection)
        connection.close()
        return True

    async def _open(self, origin: Origin) -> UpstreamConnection:
        self._count += 1
        self._counts[origin] = self._counts.get(origin, 0) + 1

        def make() -> UpstreamConnection:
            return UpstreamConnection(self._limits, self._loop.time, self._free, self._lost)

        try:
            _, connection = await self._loop.create_connection(make, origin.host, origin.port)
        except BaseException as error:
            self._uncount(origin)
            if isinstance(error, OSError | UnicodeError):
                raise UpstreamError(
                    502, f"no connection to {origin.host} port {origin.port}: {_reason(error)}"
                ) from error
            raise
        self._origins[connection] = origin
        self._sweep.wake()
        return connection

    async def _wait(self, origin: Origin) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.setdefault(origin, deque()).append(future)
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._wake(origin)
            raise

    def _wake(self, origin: Origin) -> None:
        """Wake one request that waits for a connection: to this origin, or else to any."""
        for place in (origin, *self._waiting):
            waiting = self._waiting.get(place)
            while waiting:
                future = waiting.popleft()
                if not future.done():
                    future.set_result(None)
                    return
        self._waiting = {place: waiting for place, waiting in self._waiting.items() if waiting}

    def _free(self, connection: UpstreamConnection) -> None:
        origin = self._origins.get(connection)
        if origin is None:
            connection.close()
            return
        idle = self._idle.setdefault(origin, deque())
        idle.append(connection)
        if len(idle) > self._limits.idle_connections_per_origin:
            idle[0].close()
        self._wake(origin)

    def _lost(self, connection: UpstreamConnection) -> None:
        if connection in self._origins:
            self._forget(connection)

    def _forget(self, connection: UpstreamConnection) -> None:
        origin = self._origins.pop(connection)
        self._received_octets += connection.received_octets
        idle = self._idle.get(origin)
        if idle is not None:
            if connection in idle:
                idle.remove(connection)
            if not idle:
                del self._idle[origin]
        self._uncount(origin)

    def _uncount(self, origin: Origin) -> None:
        self._count -= 1
        self._counts[origin] -= 1
        if not self._counts[origin]:
            del self._counts[origin]
        self._wake(origin)

    def _check_timeouts(self) -> bool:
        now = self._loop.time()
        for connection in list(self._origins):
            connection.check(now)
        return bool(self._origins)


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, socket.gaierror):
        return "the host name cannot be resolved"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
