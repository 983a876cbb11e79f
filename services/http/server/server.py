"""HTTP server on asyncio: its handler, its limits, and the sweep that enforces deadlines.

    server = HTTPServer(handler, log, time.time)
    await shell.open_tcp(server.protocol, connections=server.connections)

`handler` is a function of a Request and its content that returns a Response, or an awaitable of one. A client that
stalls in a request gets 408 and is closed; an idle connection is closed silently. When all connections are in use,
services/connection_table.py decides which one is evicted for a new one.
"""

from collections.abc import Callable, Iterable
from typing import cast

from services.connection_table import ConnectionLimits, Refusal
from services.connections import ConnectionSet, Slot
from services.eventlog import EventLog
from services.http.dates import format_date
from services.http.http1.server_connection import ServerConnection
from services.http.server.connection import Http1Connection
from services.http.server.context import Handler, Limits, Refuse, Relay, Served, ServerContext
from services.http.server.error_pages import page_response
from services.http.server.phase import Phase


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
        limits = bounds or Limits()
        self.context = ServerContext(handler, log, wall_clock, limits, push, refusal, relay, speaks_http_2)
        maxima = ConnectionLimits(limits.connections)
        self.connections = ConnectionSet(self.context.loop, maxima, self._no_room, log, limits.sweep_s)

    def protocol(self, slot: Slot) -> Http1Connection:
        """Return the protocol for a new connection."""
        return Http1Connection(self.context, slot)

    @property
    def under_way_count(self) -> int:
        """The number of connections with a response in progress."""
        connections = cast(Iterable[Served], self.connections)
        return sum(connection.phase is Phase.ANSWER for connection in connections)

    async def stop(self) -> None:
        """Close all connections once their responses in progress are complete, at the latest after drain_s."""
        await self.connections.drain(close_s=self.context.limits.drain_s)

    def _no_room(self, _: Refusal) -> bytes:
        """Return the 503 for a connection that is not admitted (RFC 9110 section 15.6.4)."""
        response = page_response(503, "All connections are in use.")
        date = format_date(int(self.context.wall_clock()))
        return ServerConnection(self.context.limits.body_octets).send_response(response, date, close=True)
