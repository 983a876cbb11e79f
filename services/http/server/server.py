"""An HTTP server on asyncio: its connections, its limits, and one sweep that holds them to their deadlines.

    server = HTTPServer(handler, log, time.time)
    await shell.open_tcp(server.protocol, connections=server.connections)

`handler` is a function of a Request and its content that returns a Response, or an awaitable of one. Whoever stalls
gets 408 and is closed, an idle connection is closed silently, and neither costs any other connection anything. Which
connection is closed for a new one when all are in use is decided in services/connections.py.
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
from services.http.server.connection import Serving
from services.http.server.error_pages import page_response
from services.http.server.inbound import Inbound
from services.http.server.lazy import Later
from services.http.server.phase import Phase
from services.listener import Connections, Slot
from services.sweep import Sweep

Handler = Callable[[Request, bytes], Response | Awaitable[Response]]
# A handler that is asked at the head of a request; its coroutine is cancelled when the client goes away.
Relay = Callable[[Request, Inbound], Response | Awaitable[Response]]
Refuse = Callable[[Request], Response | None]


class Served(Protocol):
    """A connection as the server sees it, whatever it speaks."""

    phase: Phase
    deadline: float
    slot: Slot

    def check_deadline(self, now: float) -> None:
        """Act on a wait that has lasted too long."""
        ...

    def stop(self) -> None:
        """Take no further request, and end once those under way are answered."""
        ...

    def abort(self) -> None:
        """End at once."""
        ...

    def evict(self) -> None:
        """End for another client's sake, with a last response where one can still be sent."""
        ...


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server gives its clients: counts, octets and seconds."""

    # nginx's worker_connections default.
    connections: int = 1024
    body_octets: int = limits.REQUEST_BODY_OCTETS
    # Apache's mod_reqtimeout defaults: 20 s for a head; content 20 s, longer while 500 octets a second come.
    head_s: float = 20.0
    body_s: float = 20.0
    body_rate_octets_s: float = 500.0
    # Between nginx's 75 s and Apache's 5 s; a lab's slow link needs more than Apache gives.
    idle_s: float = 30.0
    # nginx's send_timeout is 60 s between two writes; half of it still is many round trips of any lab's link.
    stall_s: float = 30.0
    # After the last response: nginx waits 5 s for each further octet, Apache 2 s; both 30 s for all of them.
    linger_s: float = 2.0
    linger_most_s: float = 30.0
    # nghttpx waits 10 s for SETTINGS to be acknowledged.
    settings_s: float = 10.0
    # On a stop, what responses under way may still take; Docker kills after 10 s.
    drain_s: float = 5.0
    # How often deadlines are looked at.
    sweep_s: float = 0.5

    def time_limits(self) -> TimeLimits:
        """Return how long a connection of HTTP/2 waits for its peer."""
        return TimeLimits(self.head_s, self.body_s, self.body_rate_octets_s, self.settings_s)


class HTTPServer:
    """Serves `handler` on any number of connections."""

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
        """`relay` takes the handler's place for all that clients ask.

        `push`: send the objects that a page names before they are asked for, to whoever takes them.

        `refusal` tells which error a request earns by its head alone, so that nobody is asked for content in vain.
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
        """What responses took on their way to clients, heads and content, as far as they are through."""
        self.connections = Connections(self.loop, ConnectionLimits(self.limits.connections), self._no_room, log)
        self._connections: dict[Served, None] = {}
        self._emptied = asyncio.Event()
        self._sweep = Sweep(self.loop, self.limits.sweep_s, self._look)

    def protocol(self, slot: Slot) -> Serving:
        """Return the protocol for a new connection."""
        return Serving(self, slot)

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def under_way_count(self) -> int:
        """How many connections wait for a response, or for the rest of one."""
        return sum(connection.phase is Phase.ANSWER for connection in self._connections)

    def serve(self, connection: Served) -> None:
        """Hold a new connection to its deadlines from here on."""
        self._connections[connection] = None
        self._sweep.wake()
        connection.slot.on_evict = connection.evict

    def forget(self, connection: Served) -> None:
        """Count a connection out."""
        self._connections.pop(connection, None)
        connection.slot.release()
        if not self._connections:
            self._emptied.set()

    def replace(self, before: Served, after: Served) -> None:
        """Count one connection on that has another protocol from here on."""
        del self._connections[before]
        self.serve(after)

    def answer(self, request: Request, body: bytes) -> Response | Awaitable[Response]:
        """Return what the handler makes of a request; its failure is a 500 response, never a lost connection."""
        try:
            answer = self._handler(request, body)
        except Exception as error:
            return self._failed(error)
        return answer if isinstance(answer, Response) else Later(self._guarded, answer)

    def relay(self, request: Request, inbound: Inbound) -> Response | Awaitable[Response]:
        """Return what the relay makes of a request whose content may still be on its way."""
        if self._relay is None:
            raise TypeError("this server has a handler, not a relay")
        try:
            answer = self._relay(request, inbound)
        except Exception as error:
            return self._failed(error)
        return answer if isinstance(answer, Response) else Later(self._guarded, answer)

    def refuse(self, request: Request) -> Response | None:
        """Return the error that a request earns whatever its content, None where there is none."""
        try:
            return None if self._refusal is None else self._refusal(request)
        except Exception as error:
            return self._failed(error)

    async def stop(self) -> None:
        """End every connection, each once the responses under way on it are through or had their time."""
        self._emptied.clear()
        for connection in list(self._connections):
            connection.stop()
        # One turn of the loop for the transports to let go.
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
        """RFC 9110 section 15.6.4: a server may also refuse the connection; a client learns more from a response."""
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
