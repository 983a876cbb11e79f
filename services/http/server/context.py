"""The context that all connections of an HTTP server share: handler, limits, log, clock and counters.

A connection holds this object and never the server, which is above it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from services.connections import Connection, Slot
from services.eventlog import EventLog
from services.http import limits
from services.http.http2.limits import TimeLimits
from services.http.messages import Request, Response
from services.http.server.error_pages import page_response
from services.http.server.inbound import Inbound
from services.http.server.phase import Phase

Result = TypeVar("Result")


class LazyResponse(Generic[Result]):
    """A coroutine that starts when it is awaited: LazyResponse(handle, request) calls handle(request) on `await`.

    Unlike a coroutine it may be dropped without being awaited, so a cancelled request does no work.
    """

    __slots__ = ("_arguments", "_function")

    def __init__(self, function: Callable[..., Coroutine[Any, Any, Result]], *arguments: object) -> None:
        self._function = function
        self._arguments = arguments

    def __await__(self) -> Generator[Any, None, Result]:
        return self._function(*self._arguments).__await__()


Handler = Callable[[Request, bytes], Response | Awaitable[Response]]
# A handler that is called at the head of a request; its coroutine is cancelled when the client disconnects.
Relay = Callable[[Request, Inbound], Response | Awaitable[Response]]
Refuse = Callable[[Request], Response | None]


class Served(Connection, Protocol):
    """A connection as the server sees it, whatever its protocol."""

    phase: Phase
    deadline: float
    slot: Slot


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits for the clients of one server: counts, octets and seconds."""

    # Concurrent connections: nginx's worker_connections default.
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


class ServerContext:
    """Calls the handler or relay of one server; its exceptions become 500 responses."""

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
    ) -> None:
        """The parameters are those of HTTPServer."""
        self.limits = bounds
        self.log = log
        self.wall_clock = wall_clock
        self.loop = asyncio.get_running_loop()
        self.now = self.loop.time
        self.push = push
        self.speaks_http_2 = speaks_http_2
        self.relays = relay is not None
        self.sent_octets = 0
        """Octets of the responses that are sent in full, heads and content."""
        self._handler = handler
        self._relay = relay
        self._refusal = refusal

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

    async def _guarded(self, answer: Awaitable[Response]) -> Response:
        try:
            return await answer
        except Exception as error:
            return self._failed(error)

    def _failed(self, error: Exception) -> Response:
        self.log.write("failed", error=f"{type(error).__name__}: {error}")
        return page_response(500, "The server failed to answer.")
