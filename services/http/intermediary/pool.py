"""Pool of persistent connections to origins, bounded per origin and in total (RFC 9112 sections 9.3 to 9.6).

    response = await pool.exchange(origin, request, content=None, on_interim=None)     # without content, 1xx ignored
    response.body                                      # a BodyStream, from which the content is read while it arrives

RFC 9112 section 9.3.1 and RFC 9110 section 9.2.2: if the origin closes a reused connection before the response, the
request is retried once on a new connection. Only a request that may be retried is sent on a reused connection: its
method is idempotent, and it has neither content nor Upgrade. Any other request gets a new connection, as in squid.
After 101 (Switching Protocols) the connection leaves the pool, and response.body is a Tunnel, which relays octets
between the client and this connection.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from lab7.services.connections import Sweep, send_queue_octets
from lab7.services.http.errors import UpstreamError
from lab7.services.http.fields import lower_tokens
from lab7.services.http.http1.connection import ClientConnection
from lab7.services.http.intermediary.forwarding import forwarded_trailers, parse_content_length
from lab7.services.http.intermediary.settings import (
    INTERIM_RESPONSES,
    KEEP_ALIVE_MARGIN_S,
    RESPONSE_OCTETS,
    UpstreamLimits,
)
from lab7.services.http.intermediary.tunnel import Tunnel, TunnelEnd
from lab7.services.http.messages import Data, EndOfMessage, Event, Fault, Request, Response, do_nothing
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.urls import Origin

# Maximum octets of request content per write to the origin.
PIECE_OCTETS = 65_536

OnInterim = Callable[[Response], None]


class ClosedEarlyError(UpstreamError):
    """Error for a persistent connection that closed before the first octet of a response (RFC 9112 section 9.3.1)."""

    def __init__(self) -> None:
        super().__init__(502, "the origin closed the connection before its response")


class UpstreamConnection(asyncio.Protocol):
    """Connection to one origin on asyncio: one exchange at a time, request and response content streamed.

    Backpressure works in both directions: reading from the origin pauses while the client's buffer is full, and reading
    from the client pauses while the origin's buffer is full. A truncated response is truncated for the client, too.
    `on_free` is called with the connection when it becomes idle, `on_lost` when it has been closed.
    """

    def __init__(
        self,
        limits: UpstreamLimits,
        now: Callable[[], float],
        on_free: Callable[["UpstreamConnection"], None],
        on_lost: Callable[["UpstreamConnection"], None],
    ) -> None:
        self.free_since = 0.0
        self.idle_s = limits.idle_s
        self.received_octets = 0
        self._limits = limits
        self._now = now
        self._on_free, self._on_lost = on_free, on_lost
        self._core = ClientConnection(RESPONSE_OCTETS)
        self._transport: asyncio.Transport
        self._head: asyncio.Future[Response] | None = None
        self._body: BodyStream | None = None
        self._content: BodyStream | None = None
        self._on_interim: OnInterim | None = None
        self._progressed_at = 0.0
        self._queued_octets = -1
        self._exchanges = 0
        self._interims = 0
        self._has_responded = False
        self._write_paused = False
        self._read_paused = False

    # asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.received_octets += len(data)
        self._has_responded = True
        self._handle_events(self._core.receive_data(data))

    def eof_received(self) -> bool:
        self._handle_events(self._core.receive_eof())
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        # eof_received() has handled an orderly close; any other close truncates close-delimited content.
        del exc
        self._fail(self._closed_error())
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._progressed_at = self._now()
        self._send_content()

    # Interface for the pool.

    @property
    def is_open(self) -> bool:
        """True while the connection can send another request."""
        return self._core.persistent and not self._transport.is_closing()

    def close(self) -> None:
        """Close the connection at once, and fail the exchange that is in progress on it."""
        self._transport.abort()

    def check(self, now: float) -> None:
        """Check the timeouts: close the connection if it was idle too long, or fail its exchange with 504."""
        waited = now - self._progressed_at
        if self._head is None and self._body is None:
            if now - self.free_since >= self.idle_s:
                self._transport.close()
        elif not self._core.is_request_sent:
            if self._write_paused and waited >= self._limits.stall_s and not self._origin_receives(now):
                self._abort(UpstreamError(504, "timeout while sending the request to the origin"))
        elif self._head is not None:
            if waited >= self._limits.head_s:
                self._abort(UpstreamError(504, "timeout while waiting for the origin's response"))
        elif not self._read_paused and waited >= self._limits.stall_s:
            self._abort(UpstreamError(504, "timeout while receiving the origin's response"))

    def _origin_receives(self, now: float) -> bool:
        """Return whether the origin receives the request: the socket's send queue has changed since the last check."""
        before, self._queued_octets = self._queued_octets, send_queue_octets(self._transport.get_extra_info("socket"))
        if self._queued_octets != before:
            self._progressed_at = now
        return self._queued_octets != before

    # Exchange.

    async def send_request(
        self, request: Request, content: BodyStream | None, on_interim: OnInterim | None
    ) -> Response:
        """Send a request and return the response's head, whose body is a BodyStream or a Tunnel; raises UpstreamError.

        Cancelling the exchange closes the connection, as does closing the body before its end.
        """
        self._head = asyncio.get_running_loop().create_future()
        self._progressed_at = self._now()
        self._interims, self._has_responded = 0, False
        self._on_interim = on_interim
        self._content = content
        octets = self._core.open_request(request)
        if content is None:
            octets += self._core.send_end()
        self._transport.write(octets)
        if content is not None:
            content.on_more = self._send_content
            self._send_content()
        try:
            return await self._head
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            self._exchanges += 1

    def _send_content(self) -> None:
        content = self._content
        while content is not None and not self._write_paused and not self._transport.is_closing():
            try:
                data = content.read(PIECE_OCTETS)
            except OSError:
                # Close the connection if the client's content is truncated: the origin then sees an incomplete request.
                self.close()
                return
            if data is None:
                return
            self._progressed_at = self._now()
            if not data:
                self._content = None
                self._transport.write(self._core.send_end(forwarded_trailers(content.trailers)))
                return
            self._transport.write(self._core.send_data(data))

    # Events of the connection core.

    def _handle_events(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Data):
                self._handle_data(event.data)
            elif isinstance(event, Response):
                self._handle_head(event)
            elif isinstance(event, EndOfMessage):
                self._handle_end(event)
            elif isinstance(event, Fault):
                self._abort(UpstreamError(502, f"invalid response from the origin: {event.detail}"))

    def _handle_head(self, response: Response) -> None:
        if response.status == 101:
            self._switch(response)
        elif response.status < 200:
            self._interims += 1
            if self._interims > INTERIM_RESPONSES:
                self._abort(UpstreamError(502, "too many interim responses from the origin"))
            elif self._on_interim is not None:
                self._on_interim(response)
        else:
            self._start_response(response)

    def _switch(self, response: Response) -> None:
        """Leave HTTP after a 101 (RFC 9110 section 7.8): the connection becomes the far end of a tunnel."""
        far = TunnelEnd()
        self._transport.pause_reading()
        self._transport.set_protocol(far)
        far.adopt(self._transport)
        if rest := self._core.take_rest():
            far.data_received(rest)
        head, self._head = self._head, None
        self._on_lost(self)
        if head is None or head.done():
            far.abort()
        else:
            head.set_result(replace(response, body=Tunnel(far, self._limits.tunnel_idle_s)))

    def _start_response(self, response: Response) -> None:
        head, self._head = self._head, None
        self._progressed_at = self._now()
        self._note_keep_alive(response)
        body = self._body = BodyStream(parse_content_length(response))
        body.on_room = self._resume
        body.on_close = self.close
        if head is not None and not head.done():
            head.set_result(Response(response.status, response.fields, body, response.reason, response.version))

    def _handle_data(self, data: bytes) -> None:
        body = self._body
        if body is None:
            return
        self._progressed_at = self._now()
        body.feed(data)
        if body.is_full and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._read_paused and not self._transport.is_closing():
            self._read_paused = False
            self._progressed_at = self._now()
            self._transport.resume_reading()

    def _handle_end(self, end: EndOfMessage) -> None:
        body, self._body = self._body, None
        is_sent, self._content = self._core.is_request_sent, None
        self._on_interim = None
        if body is not None:
            body.finish(forwarded_trailers(end.trailers))
            body.on_room = body.on_close = do_nothing
        self._resume()
        self.free_since = self._now()
        if is_sent and self.is_open:
            self._on_free(self)
        else:
            # RFC 9112 section 9.6: close, also if the response ended before the request was sent completely.
            self._transport.close()

    def _abort(self, error: UpstreamError) -> None:
        self._fail(error)
        self._transport.abort()

    def _fail(self, error: UpstreamError) -> None:
        head, self._head = self._head, None
        body, self._body = self._body, None
        self._content = None
        if head is not None and not head.done():
            head.set_exception(error)
        if body is not None:
            body.fail(error.detail)

    def _closed_error(self) -> UpstreamError:
        if self._exchanges and not self._has_responded:
            return ClosedEarlyError()
        return UpstreamError(502, "the origin closed the connection before its response")

    def _note_keep_alive(self, response: Response) -> None:
        """Set the idle timeout to less than the origin's own timeout, if the origin announces one in Keep-Alive.

        So no request is sent on a connection that the origin is just closing.
        """
        for parameter in lower_tokens(response.fields.get(b"keep-alive")):
            name, _, value = parameter.partition(b"=")
            if name == b"timeout" and value.isdigit() and len(value) < 10:
                self.idle_s = min(self._limits.idle_s, max(int(value) - KEEP_ALIVE_MARGIN_S, 0.0))


IDEMPOTENT = frozenset((b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"))


class Pool:
    """Pool of persistent connections to origins, with a maximum number per origin and in total."""

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
        """Send a request to `origin` and return the response's head; raises UpstreamError.

        The body of the response is a BodyStream, or a Tunnel if the status is 101.
        """
        may_repeat = request.method in IDEMPOTENT and content is None and b"upgrade" not in request.fields
        # An idle connection needs no timeout, and is the usual case.
        connection = self._take_idle(origin) if may_repeat else None
        if connection is None:
            connection = await self._connection(origin, is_new=not may_repeat)
        try:
            return await connection.send_request(request, content, on_interim)
        except ClosedEarlyError:
            if not may_repeat:
                raise
        connection = await self._connection(origin, is_new=True)
        return await connection.send_request(request, content, on_interim)

    async def _connection(self, origin: Origin, is_new: bool) -> UpstreamConnection:
        """Return an idle connection to the origin; open a new one if none is idle, or if `is_new` is set.

        Waits while the pool is full; raises UpstreamError 504 after the connect timeout.
        """
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
            # Take the most recently used connection, the least likely to have been closed by the origin.
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
            # The limit per origin is reached: close an idle connection to the origin to make room for a new one.
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
        """Wake one request that waits for a connection, preferably to this origin."""
        if not self._waiting:
            return
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
