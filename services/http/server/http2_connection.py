"""HTTP/2 server connection on asyncio: socket, backpressure, deadlines and request handling around the sans-IO core.

The server accepts each connection as an Http1Connection (http1_connection.py); once the connection preface, ALPN or
Upgrade selects HTTP/2, an Http2Connection takes over its transport. Http2Connection owns the socket, backpressure and
deadlines; the sans-IO core (http2/server_connection.py) makes all decisions of the protocol. Requests are handled while
they are parsed, and the responses to one batch go out in one write. Content is read and written in slices as the socket
accepts them, so that the memory for outgoing content is bounded.
"""

import asyncio
import socket
from collections.abc import Awaitable, Iterable
from functools import partial

from lab7.services.connections import Slot, Stage, send_queue_octets
from lab7.services.http.errors import LocalProtocolError
from lab7.services.http.fields import format_date
from lab7.services.http.http2 import limits
from lab7.services.http.http2.events import (
    ConnectionTerminated,
    ContinueExpected,
    Event,
    RequestReceived,
    RequestRejected,
    StreamCancelled,
    TunnelData,
)
from lab7.services.http.http2.header_lists import HANDSHAKE_OF_HTTP_1
from lab7.services.http.http2.push import promised_requests
from lab7.services.http.http2.server_connection import Http2ServerConnection
from lab7.services.http.http2.streams import Closing, Stream
from lab7.services.http.limits import REQUEST_BODY_OCTETS
from lab7.services.http.messages import Request, Response
from lab7.services.http.server.context import ServerContext
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.inbound import BufferedRequest
from lab7.services.http.server.phase import Phase
from lab7.services.http.server.takeover import StreamTakeover, Takeover

# Maximum unsent octets in the kernel's buffer and in the transport's: two frames each.
# With a small limit, an object requested during a large response is scheduled soon on a slow link.
UNSENT_OCTETS = 32_768
# Fraction of the linger time that applies over TLS, where the connection cannot be half-closed.
TLS_LINGER = 0.25


class Http2Connection(asyncio.Protocol):
    """Server's connection to one client that has selected HTTP/2, by connection preface, ALPN or Upgrade."""

    def __init__(self, context: ServerContext, transport: asyncio.Transport, peer: str, slot: Slot) -> None:
        self.slot = slot
        self.phase = Phase.REQUEST
        self.deadline = 0.0
        self._context = context
        self._transport = transport
        self._peer = peer
        bounds = context.limits
        self._scheme = b"https" if transport.get_extra_info("ssl_object") is not None else b"http"
        # HTTP/2 buffers content that HTTP/1 would stream to a relay, so the content limit is the size of that buffer.
        body_octets = min(bounds.body_octets, REQUEST_BODY_OCTETS) if context.relays else bounds.body_octets
        self._core = Http2ServerConnection(
            self._scheme, body_octets, bounds.time_limits(), context.now(), context.takes_websocket
        )
        self._core.on_more(self._schedule)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        # Tunnels keyed by stream, streams whose input a tunnel has paused, and input received before the response.
        self._tunnels: dict[int, StreamTakeover] = {}
        self._held: set[int] = set()
        self._early: dict[int, list[TunnelData]] = {}
        self._written_octets = 0
        self._progress = -1
        self._write_paused = False
        self._read_paused = False
        self._peer_ended = False
        self._is_scheduled = False

    def take_over(self, octets: bytes, write_paused: bool) -> None:
        """Start the connection with `octets`, received on it while the HTTP version was detected."""
        self._write_paused = write_paused
        self._attach()
        self._receive(octets)

    def take_over_upgraded(
        self, settings: bytes, request: Request, content: bytes, octets: bytes, write_paused: bool
    ) -> None:
        """Start the connection with a request received by HTTP/1.1 with Upgrade: h2c, and the octets after it."""
        self._write_paused = write_paused
        self._attach()
        for event in self._core.upgrade(settings, request, content):
            self._handle(event)
        self._receive(octets)

    def _attach(self) -> None:
        self._transport.set_protocol(self)
        self._transport.set_write_buffer_limits(high=UNSENT_OCTETS)
        raw = self._transport.get_extra_info("socket")
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if raw is not None and option is not None:
            raw.setsockopt(socket.IPPROTO_TCP, option, UNSENT_OCTETS)

    # asyncio.Protocol.

    def data_received(self, data: bytes) -> None:
        if self.phase is not Phase.LINGER:
            self._receive(data)

    def eof_received(self) -> bool:
        self._peer_ended = True
        if self.phase is Phase.LINGER:
            self._transport.close()
        else:
            # Complete the requests received so far, as far as flow control permits without a WINDOW_UPDATE.
            self._core.stop()
            self._advance()
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._schedule()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.phase = Phase.LINGER
        self._core.abandon()
        for task in self._tasks.values():
            task.cancel()
        for tunnel in self._tunnels.values():
            tunnel.connection_lost(None)
        self.slot.release()

    # Called by the server.

    def check_deadline(self, now: float) -> None:
        """Handle expired time limits: reject requests with 408, close or abort the connection."""
        if self.phase is Phase.LINGER:
            if now >= self.deadline:
                self._transport.abort()
            return
        for event in self._core.check_timeouts(now):
            self._handle(event)
        for stream_id, tunnel in list(self._tunnels.items()):
            if tunnel.is_idle(now):
                self._context.log.write("tunnel_idle", stream=stream_id)
                tunnel.connection_lost(None)
                self._core.cancel_stream(stream_id)
        if self._core.is_sending or self._transport.get_write_buffer_size() > 0:
            if self._has_progressed() or self.phase is not Phase.ANSWER:
                self.phase = Phase.ANSWER
                self.deadline = now + self._context.limits.stall_s
            elif now >= self.deadline:
                self._transport.abort()
                return
        elif self.phase is Phase.IDLE and now >= self.deadline:
            self._core.stop()
        self._advance()

    def _has_progressed(self) -> bool:
        """Return whether the client has received any octets since the last check."""
        queued = self._transport.get_write_buffer_size() + send_queue_octets(self._transport.get_extra_info("socket"))
        before, self._progress = self._progress, self._written_octets - queued
        return self._progress != before

    def stop(self) -> None:
        """Accept no further request, and close once requests in progress are answered."""
        self._core.stop()
        for tunnel in list(self._tunnels.values()):
            tunnel.stop()
        self._advance()

    def abort(self) -> None:
        """Abort the connection."""
        self._transport.abort()

    def evict(self) -> None:
        """Close the connection to make room for another client, with GOAWAY (RFC 9113 section 6.8).

        The last stream number in GOAWAY shows which requests the client may retry.
        """
        self._core.stop()
        self._advance()
        if self.phase is not Phase.LINGER:
            self._transport.abort()

    # From events to responses.

    def _receive(self, data: bytes) -> None:
        """Parse received octets and handle the requests, until the limit of buffered response octets is reached."""
        events = self._core.receive_data(data, self._context.now())
        while events:
            for event in events:
                self._handle(event)
            if self._write_paused or self._core.outgoing_octets >= limits.OUTGOING_OCTETS:
                break
            events = self._core.receive_data(b"", self._context.now())
        self._advance()

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._handle_request(event)
        elif isinstance(event, ContinueExpected):
            self._continue_or_refuse(event)
        elif isinstance(event, RequestRejected):
            self._respond(event.stream_id, page_response(event.status, f"Request rejected: {event.detail}."))
        elif isinstance(event, StreamCancelled):
            task = self._tasks.pop(event.stream_id, None)
            if task is not None:
                task.cancel()
            tunnel = self._forget_tunnel(event.stream_id)
            if tunnel is not None:
                tunnel.connection_lost(None)
        elif isinstance(event, TunnelData):
            self._pass_on(event)
        elif isinstance(event, ConnectionTerminated):
            self._context.log.write("fault", peer=self._peer, code=event.code.name, error=event.detail)

    def _continue_or_refuse(self, event: ContinueExpected) -> None:
        # RFC 9110 section 10.1.1: if the request's head decides the final response, send that instead of 100.
        refusal = self._context.refuse(event.request)
        if refusal is None:
            self._core.send_interim(event.stream_id, Response(100))
        else:
            self._respond(event.stream_id, refusal)

    def _send_interim(self, stream_id: int, response: Response) -> None:
        """Send a 1xx response; if HTTP/2 cannot express it, drop it, since the final response does not depend on it."""
        try:
            self._core.send_interim(stream_id, response)
        except LocalProtocolError as error:
            self._context.log.write("failed", error=str(error))
        self._advance()

    def _handle_request(self, event: RequestReceived) -> None:
        if not self._core.can_respond(event.stream_id):
            return
        self.slot.stage = Stage.ACTIVE
        if self._context.relays:
            send_interim = partial(self._send_interim, event.stream_id)
            inbound = BufferedRequest(event.content, event.trailers, self._peer, send_interim)
            answer = self._context.relay(event.request, inbound)
        else:
            answer = self._context.answer(event.request, event.content)
        if not isinstance(answer, Response):
            self._respond_when_ready(event, answer)
        elif self._context.push:
            self._respond_with_pushes(event, answer)
        else:
            self._respond(event.stream_id, answer)

    def _respond_when_ready(self, event: RequestReceived, answer: Awaitable[Response]) -> None:
        async def wait() -> None:
            response = await answer
            self._tasks.pop(event.stream_id, None)
            self._respond_with_pushes(event, response)
            self._advance()

        self._tasks[event.stream_id] = self._context.loop.create_task(wait())

    def _respond(self, stream_id: int, response: Response) -> None:
        date = format_date(int(self._context.wall_clock()))
        if isinstance(response.body, Takeover) and self._core.can_respond(stream_id):
            response = self._open_tunnel(stream_id, response, response.body)
        try:
            self._core.send_response(stream_id, response, date)
        except LocalProtocolError as error:
            # Invalid header fields in the handler's response are an error of this stream only.
            self._context.log.write("failed", error=str(error))
            if not isinstance(response.body, bytes):
                response.body.close()
            self._core.send_response(stream_id, page_response(500, "Internal server error."), date)

    # Tunnels.

    def _open_tunnel(self, stream_id: int, response: Response, body: Takeover) -> Response:
        """Convert a 101 response to the 200 response that opens a tunnel on an HTTP/2 stream (RFC 8441 section 5)."""
        tunnel = self._tunnels[stream_id] = body.take_over_stream(partial(self._hold, stream_id), self._context.now())
        for early in self._early.pop(stream_id, ()):
            self._pass_on(early)
        return Response(200, response.fields.without(HANDSHAKE_OF_HTTP_1), tunnel.body)

    def _pass_on(self, event: TunnelData) -> None:
        """Forward octets that the client has sent on a tunnel's stream to the tunnel.

        Until the tunnel is open, they are buffered; the stream window bounds the buffer.
        """
        tunnel = self._tunnels.get(event.stream_id)
        if tunnel is None:
            if self._core.can_respond(event.stream_id):
                self._early.setdefault(event.stream_id, []).append(event)
            return
        if event.data:
            tunnel.data_received(event.data)
        if event.is_last:
            tunnel.eof_received()
        elif event.stream_id not in self._held:
            self._core.credit(event.stream_id)

    def _hold(self, stream_id: int, is_held: bool) -> None:
        if is_held:
            self._held.add(stream_id)
        else:
            self._held.discard(stream_id)
            self._core.credit(stream_id)
            self._schedule()

    def _forget_tunnel(self, stream_id: int) -> StreamTakeover | None:
        self._held.discard(stream_id)
        self._early.pop(stream_id, None)
        return self._tunnels.pop(stream_id, None)

    def _respond_with_pushes(self, event: RequestReceived, response: Response) -> None:
        """Promise the objects of an HTML page, then send the page, then its objects (RFC 9113 section 8.4.1)."""
        pushed = list(self._push(event, response)) if self._context.push else []
        self._respond(event.stream_id, response)
        for stream_id, answer in pushed:
            self._respond(stream_id, answer)

    def _push(self, event: RequestReceived, response: Response) -> Iterable[tuple[int, Response]]:
        if not self._core.can_respond(event.stream_id):
            return
        left = self._core.available_pushes()
        for request in promised_requests(event.request, response, self._scheme):
            if left <= 0:
                break
            answer = self._context.answer(request, b"")
            # Promise an object only if its response is available now, with status 200.
            if isinstance(answer, Response) and answer.status == 200:
                left -= 1
                yield self._core.promise(event.stream_id, request), answer
            elif isinstance(answer, Response) and not isinstance(answer.body, bytes):
                answer.body.close()

    # From responses to the socket.

    def _schedule(self) -> None:
        """Schedule further parsing and sending for the next iteration of the event loop, after other connections."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._context.loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._is_scheduled = False
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        if self._core.unparsed_octets and not self._write_paused:
            self._receive(b"")
        else:
            self._advance()

    def _advance(self) -> None:
        """Write the frames that are ready to the socket, and log closed streams.

        Then update phase, deadline and reading.
        """
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        if self._core.can_produce and not self._write_paused:
            for error in self._core.produce(limits.TURN_OCTETS):
                self._context.log.write("broken", peer=self._peer, error=error)
        octets = self._core.data_to_send()
        if octets:
            self._written_octets += len(octets)
            self._transport.write(octets)
        for stream in self._core.take_closed():
            self._context.sent_octets += stream.sent_octets
            self._forget_tunnel(stream.stream_id)
            if self._context.log.enabled:
                self._log(stream)
        self._update_phase()

    def _update_phase(self) -> None:
        """Set the connection's phase and idle deadline after input or output; pause or resume reading if needed.

        The connection is closed if nothing is left to do.
        """
        core = self._core
        if core.is_over or (core.is_stopped and not core.open_streams):
            self._linger()
            return
        if self._peer_ended and not (core.can_produce or core.has_frame or self._tasks):
            self._transport.close()
            return
        if not self._write_paused and (core.can_produce or core.has_frame):
            self._schedule()
        self._set_reading(not self._write_paused and core.unparsed_octets <= limits.OUTGOING_OCTETS)
        if core.open_streams:
            self.slot.stage = Stage.ACTIVE
            if self.phase is not Phase.ANSWER:
                self.phase = Phase.REQUEST
        elif self.phase is not Phase.IDLE or self.slot.stage is Stage.ACTIVE:
            # Set the idle deadline once, when the last stream closes: PING and other frames do not extend it.
            self.phase = Phase.IDLE
            self.deadline = self._context.now() + self._context.limits.idle_s
            if self.slot.stage is Stage.ACTIVE:
                self.slot.complete(Stage.IDLE)

    def _set_reading(self, wanted: bool) -> None:
        if wanted == self._read_paused:
            self._read_paused = not wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _linger(self) -> None:
        """Half-close, then read for a limited time.

        Closing at once could cause a TCP reset that destroys the GOAWAY in transit (RFC 9113 section 5.4.1).
        """
        self.phase = Phase.LINGER
        self.deadline = self._context.now() + self._context.limits.linger_s
        self._set_reading(True)
        if self._peer_ended:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            # asyncio's TLS cannot half-close, so the client sees the end only after the linger time: shorten it.
            self.deadline -= self._context.limits.linger_s * (1 - TLS_LINGER)

    def _log(self, stream: Stream) -> None:
        request = stream.request
        self._context.log.write(
            "request",
            peer=self._peer,
            version="2",
            stream=stream.stream_id,
            pushed=stream.stream_id % 2 == 0,
            method=None if request is None else request.method,
            target=None if request is None else request.request_target,
            status=stream.status,
            reset=stream.closing is not Closing.BY_END,
            bytes=stream.sent_octets,
            request_header_size_bytes=stream.request_header_size_bytes,
            response_header_size_bytes=stream.response_header_size_bytes,
            duration_s=round(self._context.now() - stream.begun, 6),
        )
