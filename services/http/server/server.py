"""HTTP server on asyncio for HTTP/1 and HTTP/2: creates a connection object for each accepted TCP connection.

    server = HTTPServer(handler, log, time.time)
    await shell.open_tcp(server.protocol, connections=server.connections)     # shell: the service's runtime

`handler` is a function of a Request and its content that returns a Response, or an awaitable of one. The connection
classes are in http1_connection.py and http2_connection.py. When all connections are in use, services/connections.py
decides which one is evicted for a new one.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

from lab7.services.connections import ConnectionLimits, ConnectionSet, Refusal, Slot
from lab7.services.eventlog import EventLog
from lab7.services.http.fields import format_date
from lab7.services.http.http1.connection import ServerConnection
from lab7.services.http.server.context import Handler, Limits, Refuse, Relay, Served, ServerContext
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.http1_connection import Http1Connection
from lab7.services.http.server.phase import Phase


class HTTPServer:
    """HTTP server for any number of connections; calls a handler, or a relay such as a proxy, for their requests."""

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
        takes_websocket: bool = False,
        keeps_http_1_0: bool = True,
    ) -> None:
        """Create a server without listening sockets; `protocol` is the factory for its connections, each with a Slot.

        `handler` is called with complete requests. If there is a `relay`, it is called instead, as soon as the head of
        a request has arrived. `refusal` is a function of a request's head that returns an error response, or None for a
        valid head; the error is sent instead of 100 Continue. `push` enables server push of a page's objects to HTTP/2
        clients that permit it. `takes_websocket` means that the relay forwards WebSocket, so that HTTP/2 clients may
        use it. `keeps_http_1_0` is False for a forward proxy, which closes connections to HTTP/1.0 clients.
        """
        limits = bounds or Limits()
        self.context = ServerContext(
            handler, log, wall_clock, limits, push, refusal, relay, speaks_http_2, takes_websocket, keeps_http_1_0
        )
        self.protocol: Callable[[Slot], Http1Connection] = partial(Http1Connection, self.context)
        maxima = ConnectionLimits(limits.connections)
        self.connections = ConnectionSet(self.context.loop, maxima, self._no_room, log, limits.sweep_s)

    @property
    def under_way_count(self) -> int:
        """Number of connections with a response in progress."""
        connections = cast(Iterable[Served], self.connections)
        return sum(connection.phase is Phase.ANSWER for connection in connections)

    async def stop(self) -> None:
        """Close all connections once their responses in progress are complete, after `drain_s` seconds at most."""
        await self.connections.drain(close_s=self.context.limits.drain_s)

    def _no_room(self, _: Refusal) -> bytes:
        """Return the octets of a 503 response to a client whose connection is refused (RFC 9110 section 15.6.4)."""
        response = page_response(503, "The connection limit is reached: try again later.")
        date = format_date(int(self.context.wall_clock()))
        return ServerConnection(self.context.limits.body_octets).send_response(response, date, close=True)
