"""Context shared by all connections of an HTTP server: request handler, limits, log, clock and counters.

A handler gets complete requests. A relay, such as the handler of a proxy, gets a request as soon as its head has
arrived. A connection refers to the ServerContext and never to the HTTPServer, which is in a higher layer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from lab7.services.connections import Connection, Slot
from lab7.services.eventlog import EventLog
from lab7.services.http import limits
from lab7.services.http.http1.connection import ServerConnection
from lab7.services.http.http2.limits import TimeLimits
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.inbound import Inbound
from lab7.services.http.server.phase import Phase

Result = TypeVar("Result")


class LazyResponse(Generic[Result]):
    """Awaitable response that is computed on demand: `await LazyResponse(handle, request)` awaits handle(request).

    Unlike a coroutine object it may be dropped without being awaited, so a cancelled request does no work.
    """

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Result]], *arguments: object) -> None:
        self._function = function
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, Result]:
        return self._function(*self._arguments).__await__()


# A LazyResponse and not a coroutine: a cancelled request drops it without awaiting it.
EventualResponse = Response | LazyResponse[Response]
Handler = Callable[[Request, bytes], EventualResponse]
# Handler that is called when the head of a request has arrived; a disconnect of the client cancels its coroutine.
Relay = Callable[[Request, Inbound], EventualResponse]
Refuse = Callable[[Request], Response | None]


class Served(Connection, Protocol):
    """Interface of a client's HTTP connection, of any version: phase, deadline, Slot (handle in the ConnectionSet)."""

    phase: Phase
    deadline: float
    slot: Slot


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for the clients of one HTTP server: numbers of connections, sizes in octets, times in seconds."""

    # Maximum number of concurrent connections: worker_connections in nginx's sample configuration.
    connections: int = 1024
    body_octets: int = limits.REQUEST_BODY_OCTETS
    # Seconds for a request's head, and for content, extended at a minimum rate: Apache's mod_reqtimeout defaults.
    head_s: float = 20.0
    body_s: float = 20.0
    body_rate_octets_s: float = 500.0
    # Idle time in seconds of a persistent connection: nginx has 75, Apache 5, too short for slow emulated links.
    idle_s: float = 30.0
    # Seconds without progress of a response: half of nginx's send_timeout, still many round trips of an emulated link.
    stall_s: float = 30.0
    # Seconds to read on after the last response: 2 from each read as in Apache, 30 in all as in nginx.
    linger_s: float = 2.0
    linger_most_s: float = 30.0
    # Seconds until SETTINGS must be acknowledged: as in nghttpx.
    settings_s: float = 10.0
    # Seconds after SIGTERM for responses in progress: Docker kills a container after 10 s.
    drain_s: float = 5.0
    # Seconds between two checks of the deadlines.
    sweep_s: float = 0.5

    def time_limits(self) -> TimeLimits:
        """Return the subset of time limits that an HTTP/2 connection enforces."""
        return TimeLimits(self.head_s, self.body_s, self.body_rate_octets_s, self.settings_s)


class ServerContext:
    """State shared by all connections of one HTTP server: limits, log, clock, counters, and the handler or relay.

    A handler is called with complete requests, a relay (such as a proxy) as soon as a request's head has arrived.
    """

    def __init__(
        self,
        handler: Handler,
        log: EventLog,
        wall_clock: Callable[[], float],
        bounds: Limits,
        push: bool = False,
        refusal: Refuse | None = None,
        relay: Relay | None = None,
        speaks_http_2: bool = True,
        takes_websocket: bool = False,
        keeps_http_1_0: bool = True,
    ) -> None:
        """Create a context; the parameters are those of HTTPServer, which documents them; `bounds` are the limits."""
        self.takes_websocket = takes_websocket
        self.keeps_http_1_0 = keeps_http_1_0
        self.limits = bounds
        self.log = log
        self.wall_clock = wall_clock
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.push = push
        self.speaks_http_2 = speaks_http_2
        self.relays = relay is not None
        self.core: Callable[[int], ServerConnection] = ServerConnection
        """Class of the core of HTTP/1 connections; a server with faults has another (services/http/faults.py)."""
        self.sent_octets = 0
        """Octets of the responses that are sent in full, heads and content."""
        self._handler = handler
        self._relay = relay
        self._refusal = refusal

    def answer(self, request: Request, body: bytes) -> Response | Awaitable[Response]:
        """Call the handler with a complete request; return its response or an awaitable, 500 after an exception."""
        try:
            answer = self._handler(request, body)
        except Exception as error:
            return self._failed(error)
        return answer if isinstance(answer, Response) else LazyResponse(self._guarded, answer)

    def relay(self, request: Request, inbound: Inbound) -> Response | Awaitable[Response]:
        """Call the relay (a proxy) with a request that may be incomplete; return its response or an awaitable."""
        if self._relay is None:
            raise TypeError("the server has no relay for this request")
        try:
            answer = self._relay(request, inbound)
        except Exception as error:
            return self._failed(error)
        return answer if isinstance(answer, Response) else LazyResponse(self._guarded, answer)

    def refuse(self, request: Request) -> Response | None:
        """Return the error response to a request that is invalid by its head alone; None if the head is valid."""
        try:
            return None if self._refusal is None else self._refusal(request)
        except Exception as error:
            return self._failed(error)

    async def _guarded(self, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> Response:
        self.log.write("failed", error=f"{type(error).__name__}: {error}")
        return page_response(500, "Internal server error.")
