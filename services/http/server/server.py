"""HTTP server on asyncio: its handler, its limits, and the sweep that enforces deadlines.

    server = HTTPServer(handler, log, time.time)
    await shell.open_tcp(server.protocol, connections=server.connections)

`handler` is a function of a Request and its content that returns a Response, or an awaitable of one. A client that
stalls in a request gets 408 and is closed; an idle connection is closed silently. When all connections are in use,
services/connections.py decides which one is evicted for a new one.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from services.connections import ConnectionLimits, Refusal
from services.eventlog import EventLog
from services.http import limits
from services.http.dates import format_date
from services.http.http1.server_connection import ServerConnection
from services.http.http2.limits import TimeLimits
from services.http.messages import Request, Response
from services.http.server.connection import Http1Connection
from services.http.server.error_pages import page_response
from services.http.server.inbound import Inbound
from services.http.server.lazy import LazyResponse
from services.http.server.phase import Phase
from services.listener import Connections, Slot
from services.sweep import Sweep

Handler = Callable[[Request, bytes], Response | Awaitable[Response]]
# A handler that is called at the head of a request; its coroutine is cancelled when the client disconnects.
Relay = Callable[[Request, Inbound], Response | Awaitable[Response]]
Refuse = Callable[[Request], Response | None]


class Served(Protocol):
    """The interface of a connection for the server, whatever its protocol."""

    phase: Phase
    deadline: float
    slot: Slot

    def check_deadline(self, now: float) -> None:
        """Handle a time limit that has elapsed."""
        ...

    def stop(self) -> None:
        """Accept no further request, and close once those in progress are answered."""
        ...

    def abort(self) -> None:
        """Abort the connection."""
        ...

    def evict(self) -> None:
        """Close to make room for another client, with a last response if one can still be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for the clients of one server: counts, octets and seconds."""

    # nginx's worker_connections default.
    connections: int = 1024
    body_octets: int = limits.REQUEST_BODY_OCTETS
    # Apache's mod_reqtimeout defaults: 20 s for a head; content 20 s, longer while 500 octets a second come.
    head_s: float = 20.0
    body_s: float = 20.0
    body_rate_octets_s: float = 500.0
    # Between nginx's 75 s and Apache's 5 s, which is too short for slow emulated links.
    idle_s: float = 30.0
    # nginx's send_timeout is 60 s between two writes; half of it is still many round trips of any emulated link.
    stall_s: float = 30.0
    # After the last response: nginx waits 5 s for each further read, Apache 2 s; both 30 s in all.
    linger_s: float = 2.0
    linger_most_s: float = 30.0
    # nghttpx waits 10 s for SETTINGS to be acknowledged.
    settings_s: float = 10.0
    # On SIGTERM, for the responses in progress; Docker kills a container after 10 s.
    drain_s: float = 5.0
    # The interval of the deadline checks.
    sweep_s: float = 0.5

    def time_limits(self) -> TimeLimits:
        """Return the time limits of an HTTP/2 connection."""
        return TimeLimits(self.head_s, self.body_s, self.body_rate_octets_s, self.settings_s)


class HTTPServer:
    """Calls `handler` for the requests of any number of connections."""

    def __init__(
        self,
        handler: Handler,
        log: EventLog,
        wall_clock: Callable[[], float],
        bounds: Limits | None = None,
        push: bool = False,
        refusal: Refuse | None = None,
        relay: Relay | None = None,
        speaks_http_2: bool = True,
    ) -> None:
        """Create a server; its listeners are opened with protocol().

        `relay` replaces the handler for all requests. `push`: push the objects of a page to HTTP/2 clients that allow
        it. `refusal` returns an error response that a request gets by its head alone, so that its content is not
        requested with 100 Continue.
        """
        self._refusal = refusal
        self.push = push
        self.limits = bounds or Limits()
        self.log = log
        self.wall_clock = wall_clock
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self._handler = handler
        self._relay = relay
        self.relays = relay is not None
        self.speaks_http_2 = speaks_http_2
        self.sent_octets = 0
        """The size of all complete responses, heads and content."""
        self.connections = Connections(self.loop, ConnectionLimits(self.limits.connections), self._no_room, log)
        self._connections: dict[Served, None] = {}
        self._emptied = asyncio.Event()
        self._sweep = Sweep(self.loop, self.limits.sweep_s, self._look)

    def protocol(self, slot: Slot) -> Http1Connection:
        """Return the protocol for a new connection."""
        return Http1Connection(self, slot)

    @property
    def connection_count(self) -> int:
        """The number of open connections."""
        return len(self._connections)

    @property
    def under_way_count(self) -> int:
        """The number of connections with a response in progress."""
        return sum(connection.phase is Phase.ANSWER for connection in self._connections)

    def serve(self, connection: Served) -> None:
        """Register a connection with the sweep."""
        self._connections[connection] = None
        self._sweep.wake()
        connection.slot.on_evict = connection.evict

    def forget(self, connection: Served) -> None:
        """Unregister a closed connection."""
        self._connections.pop(connection, None)
        connection.slot.release()
        if not self._connections:
            self._emptied.set()

    def replace(self, before: Served, after: Served) -> None:
        """Register the connection that takes over the transport of another."""
        del self._connections[before]
        self.serve(after)

    def answer(self, request: Request, body: bytes) -> Response | Awaitable[Response]:
        """Call the handler; an exception becomes a 500 response, never a lost connection."""
        try:
            answer = self._handler(request, body)
        except Exception as error:
            return self._failed(error)
        return answer if isinstance(answer, Response) else LazyResponse(self._guarded, answer)

    def relay(self, request: Request, inbound: Inbound) -> Response | Awaitable[Response]:
        """Call the relay for a request whose content may still be incomplete."""
        if self._relay is None:
            raise TypeError("this server has a handler, not a relay")
        try:
            answer = self._relay(request, inbound)
        except Exception as error:
            return self._failed(error)
        return answer if isinstance(answer, Response) else LazyResponse(self._guarded, answer)

    def refuse(self, request: Request) -> Response | None:
        """Return the error response that a request gets for its head, whatever its content; None if it gets none."""
        try:
            return None if self._refusal is None else self._refusal(request)
        except Exception as error:
            return self._failed(error)

    async def stop(self) -> None:
        """Close all connections once their responses in progress are complete, at the latest after drain_s."""
        self._emptied.clear()
        for connection in list(self._connections):
            connection.stop()
        # One iteration of the event loop in which the transports close.
        await asyncio.sleep(0)
        if self._connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), self.limits.drain_s)
        for connection in list(self._connections):
            connection.abort()
        self._sweep.cancel()
        await asyncio.sleep(0)

    async def _guarded(self, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except Exception as error:
            return self._failed(error)

    def _no_room(self, _: Refusal) -> bytes:
        """Return the 503 for a connection that is not admitted (RFC 9110 section 15.6.4)."""
        response = page_response(503, "All connections are in use.")
        date = format_date(int(self.wall_clock()))
        return ServerConnection(self.limits.body_octets).send_response(response, date, close=True)

    def _failed(self, error: Exception) -> Response:
        self.log.write("failed", error=f"{type(error).__name__}: {error}")
        return page_response(500, "The server failed to answer.")

    def _look(self) -> bool:
        now = self.now()
        for connection in list(self._connections):
            connection.check_deadline(now)
        return bool(self._connections)
