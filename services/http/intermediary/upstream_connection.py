"""Upstream connection on asyncio: one exchange at a time, request and response content streamed (RFC 9112 section 9).

    response = await connection.send_request(request, content, on_interim)    # the head; response.body is a BodyStream

Backpressure works in both directions: reading from the origin pauses while the client's buffer is full, and reading
from the client while the origin's is. A truncated response is truncated for the client, too.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from services.http.errors import HTTPError
from services.http.http1.client_connection import ClientConnection
from services.http.http1.framing import content_length
from services.http.intermediary.forwarding import forwarded_trailers
from services.http.intermediary.settings import INTERIM_RESPONSES, KEEP_ALIVE_MARGIN_S, RESPONSE_OCTETS, UpstreamLimits
from services.http.messages import Data, EndOfMessage, Event, Fault, Request, Response, do_nothing
from services.http.server.body_stream import BodyStream
from services.http.syntax import lower_tokens

# Maximum request content per write to the origin.
PIECE_OCTETS = 65_536

OnInterim = Callable[[Response], None]


class UpstreamError(Exception):
    """No usable response: status 502 for an invalid or missing one, 504 for a timeout."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ClosedEarlyError(UpstreamError):
    """A persistent connection closed before the first octet of this response (RFC 9112 section 9.3.1)."""

    def __init__(self) -> None:
        super().__init__(502, "the origin closed the connection before its response")


class UpstreamConnection(asyncio.Protocol):
    """A connection to one origin.

    `on_free` is called with the connection when it is idle, `on_lost` when it has been closed.
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
        # An orderly close has been handled by eof_received(): any other one truncates content delimited by the close.
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
        """Abort the connection, and the exchange on it."""
        self._transport.abort()

    def check(self, now: float) -> None:
        """Enforce the timeouts."""
        waited = now - self._progressed_at
        if self._head is None and self._body is None:
            if now - self.free_since >= self.idle_s:
                self._transport.close()
        elif not self._core.is_request_sent:
            if self._write_paused and waited >= self._limits.stall_s:
                self._abort(UpstreamError(504, "timeout while sending the request to the origin"))
        elif self._head is not None:
            if waited >= self._limits.head_s:
                self._abort(UpstreamError(504, "timeout while waiting for the origin's response"))
        elif not self._read_paused and waited >= self._limits.stall_s:
            self._abort(UpstreamError(504, "timeout while receiving the origin's response"))

    # Exchange.

    async def send_request(
        self, request: Request, content: BodyStream | None, on_interim: OnInterim | None
    ) -> Response:
        """Send a request and return the response's head, whose body is a BodyStream; raises UpstreamError.

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
                # The client's content is truncated: the origin must see an incomplete request.
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
        if response.status < 200:
            self._interims += 1
            if self._interims > INTERIM_RESPONSES:
                self._abort(UpstreamError(502, "too many interim responses from the origin"))
            elif self._on_interim is not None:
                self._on_interim(response)
            return
        head, self._head = self._head, None
        self._progressed_at = self._now()
        self._note_keep_alive(response)
        body = self._body = BodyStream(_size(response))
        body.on_room = self._resume
        body.on_close = self.close
        if head is not None and not head.done():
            head.set_result(replace(response, body=body))

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
            # RFC 9112 section 9.6; also where the response ended before the request was sent completely.
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
        """Shorten the idle timeout to the one in Keep-Alive, so that no request is sent on a closing connection."""
        for parameter in lower_tokens(response.fields.get(b"keep-alive")):
            name, _, value = parameter.partition(b"=")
            if name == b"timeout" and value.isdigit() and len(value) < 10:
                self.idle_s = min(self._limits.idle_s, max(int(value) - KEEP_ALIVE_MARGIN_S, 0.0))


def _size(response: Response) -> int | None:
    try:
        return content_length(response.fields)
    except HTTPError:
        # An invalid length in a response that has no content: to HEAD, or 204 and 304.
        return None
