"""HTTP/1 server connection on asyncio: from accept to close, or to another protocol, around the sans-IO core.

The version of a cleartext connection is HTTP/2 if the client begins with the connection preface (prior knowledge,
RFC 9113 sections 3.3 and 3.4), else HTTP/1; no HTTP/1 request begins with the preface. Over TLS, ALPN selects the
version. An Http2Connection (http2_connection.py) takes over the transport of a connection that is HTTP/2.

The sans-IO core (http1/connection.py) makes all decisions of the protocol. A client that stalls in a request gets 408
and is closed; an idle connection is closed silently.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Sequence
from enum import Enum, auto
from typing import cast

from lab7.services.connections import Slot, Stage, paid_deadline, send_queue_octets
from lab7.services.http.fields import format_date
from lab7.services.http.http2.frames import PREFACE
from lab7.services.http.http2.upgrade import SWITCHING, upgrade_settings, upgraded
from lab7.services.http.messages import Body, Closed, Data, EndOfMessage, Event, Fault, Request, Response, StreamedBody
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.server.context import ServerContext
from lab7.services.http.server.error_pages import page_response
from lab7.services.http.server.http2_connection import Http2Connection
from lab7.services.http.server.phase import Phase
from lab7.services.http.server.takeover import Takeover


class DetectedVersion(Enum):
    """HTTP version found by a VersionDetector: HTTP_1, HTTP_2, or UNDECIDED until there are enough octets."""

    UNDECIDED = auto()
    HTTP_1 = auto()
    HTTP_2 = auto()


class VersionDetector:
    """Detector of the HTTP version of a cleartext connection; `octets` are all octets received so far.

    detector.feed(b"PRI * HT")        # DetectedVersion.UNDECIDED
    detector.feed(b"TP/2.0\\r\\n")      # DetectedVersion.UNDECIDED
    detector.feed(b"\\r\\nSM\\r\\n\\r\\n")  # DetectedVersion.HTTP_2
    """

    def __init__(self) -> None:
        self.octets = b""

    def feed(self, data: bytes) -> DetectedVersion:
        """Add received octets and return the HTTP version, UNDECIDED while the octets are too few."""
        self.octets += data
        if self.octets.startswith(PREFACE):
            return DetectedVersion.HTTP_2
        return DetectedVersion.UNDECIDED if PREFACE.startswith(self.octets) else DetectedVersion.HTTP_1


# Maximum octets of content read and written at a time: a full window of a fast path.
SLICE_OCTETS = 262_144
# SO_LINGER on with a timeout of zero: close() sends RST (RFC 9293 section 3.10.5, ABORT).
RESET = struct.pack("ii", 1, 0)
# Unparsed octets above which reading pauses until responses are sent, which bounds pipelining.
UNPARSED_OCTETS = 65_536
# Maximum number of pipelined requests handled before the event loop serves other connections.
BATCH_REQUESTS = 32


class Http1Connection(asyncio.Protocol):
    """Accepted client connection: connects the socket, the sans-IO ServerConnection, and the handler or relay.

    The connection owns reading, backpressure, and the phase with its deadline, which a periodic timer of the server
    checks. It makes no decisions of the protocol. The responses to one batch of pipelined requests go out in one write.
    A relay is called as soon as a request's head is complete, and streams the content; a handler is called when the
    content is complete.
    """

    def __init__(self, context: ServerContext, slot: Slot) -> None:
        self.slot = slot
        self.phase = Phase.IDLE
        self.deadline = 0.0
        self._context = context
        self._core = context.core(context.limits.body_octets)
        self._core.keeps_http_1_0 = context.keeps_http_1_0
        self._transport: asyncio.Transport
        self._peer = ""
        self._request: Request | None = None
        self._request_body: BodyStream | None = None
        self._out: list[bytes] = []
        self._begun = 0.0
        self._status = 0
        self._sent_octets = 0
        self._progress = -1
        self._linger_end = 0.0
        self._response_body: Body | StreamedBody | None = None
        self._is_starved = False
        self._write_paused = False
        self._read_paused = False
        self._peer_ended = False
        self._has_responded = False
        self._version_detector: VersionDetector | None = VersionDetector() if context.speaks_http_2 else None
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._batch = 0

    # Callbacks of asyncio.Protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # Disable Nagle's algorithm: a pipelined response must not wait for the ACK of the previous response.
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context.log.enabled:
            self._peer = "{}:{}".format(*(transport.get_extra_info("peername") or ("?", "?"))[:2])
        self.deadline = self._context.now() + self._context.limits.idle_s
        self.slot.attach(self)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            # RFC 9113 section 3.2: over TLS the version is negotiated with ALPN.
            self._version_detector = None
            self._core.scheme = b"https"
            if tls.selected_alpn_protocol() == "h2":
                self._switch_to_http2(b"")

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.LINGER:
            # RFC 9112 section 9.6: a client that still sends has not yet read the response, so lingering is extended.
            self.deadline = min(self._context.now() + self._context.limits.linger_s, self._linger_end)
            return
        if self._version_detector is not None:
            detected, octets = self._version_detector.feed(data), self._version_detector.octets
            if detected is not DetectedVersion.HTTP_1:
                self._enter_request_phase()
                if detected is DetectedVersion.HTTP_2:
                    self._switch_to_http2(octets)
                return
            self._version_detector, data = None, octets
        events = self._core.receive_data(data)
        # RFC 9112 section 2.2: empty lines alone do not start a request.
        if events or self._core.unparsed_octets:
            self._enter_request_phase()
        self._handle_events(events)

    def eof_received(self) -> bool:
        self._peer_ended = True
        if self.phase is Phase.LINGER:
            self._transport.close()
            return False
        if self._version_detector is not None:
            detector, self._version_detector = self._version_detector, None
            self._handle_events(self._core.receive_data(detector.octets))
        self._handle_events(self._core.receive_eof())
        # Keep the transport open until the response in progress is sent.
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._response_body is not None:
            self._write_body()
        else:
            self._continue()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.phase = Phase.LINGER
        if self._response_body is not None:
            self._context.sent_octets += self._sent_octets
        self._close_response_body()
        self._fail_request_body("the client closed the connection")
        if self._task is not None:
            self._task.cancel()
        self.slot.release()

    # Called by the server.

    def check_deadline(self, now: float) -> None:
        """Handle an expired deadline: extend it if the transfer has progressed; else send 408, or close, or abort."""
        if now < self.deadline:
            return
        unsent = self._transport.get_write_buffer_size()
        writes = self._response_body is not None or unsent > 0
        if (writes and self._has_progressed()) or self._is_blocked_elsewhere(unsent):
            # Extend the deadline even if the next request is incomplete: closing would cut off the response being sent.
            self.deadline = now + self._context.limits.stall_s
        elif self.phase is Phase.REQUEST:
            self._handle(self._core.time_out())
            self._flush()
        elif self.phase is Phase.IDLE and not writes:
            self._transport.close()
        elif self._task is None:
            self._transport.abort()

    def _is_blocked_elsewhere(self, unsent: int) -> bool:
        """Return whether the delay of a transfer is not caused by the client.

        This is the case if the content of the response has not arrived from its source, or if the buffer of request
        content is full.
        """
        if self._response_body is not None:
            return self._is_starved and unsent == 0
        return self.phase is Phase.REQUEST and self._request_body is not None and self._request_body.is_full

    def _has_progressed(self) -> bool:
        """Return whether the client has received any octets since the last check."""
        queued = self._transport.get_write_buffer_size() + send_queue_octets(self._transport.get_extra_info("socket"))
        before, self._progress = self._progress, self._sent_octets - queued
        return self._progress != before

    def stop(self) -> None:
        """Accept no further request, and close after the response in progress."""
        self._core.persistent = False
        if self._response_body is None and self._task is None:
            self._transport.close()

    def abort(self) -> None:
        """Abort the connection."""
        self._transport.abort()

    def evict(self) -> None:
        """Close the connection to make room for another client.

        Send a last response first if that is still possible.
        """
        if self._response_body is not None:
            self._abort_response("evicted: the connection limit is reached")
        elif self._task is not None:
            self._reject(503, "The connection limit is reached: try again later.")
            self._flush()
        elif self.phase is Phase.REQUEST:
            self._handle(self._core.time_out())
            self._flush()
        elif self.phase is Phase.LINGER:
            self._transport.abort()
        else:
            self._transport.close()

    def _switch_to_http2(self, octets: bytes) -> None:
        """Hand the connection over to HTTP/2; `octets` are all octets received so far."""
        self._replace_by_http2().take_over(octets, self._write_paused)

    def _replace_by_http2(self) -> Http2Connection:
        self._flush()
        self.phase = Phase.LINGER
        after = Http2Connection(self._context, self._transport, self.peer, self.slot)
        self.slot.attach(after)
        return after

    def _hand_over(self, body: Takeover) -> None:
        rest = self._core.take_rest()
        self._flush()
        if self._context.log.enabled:
            self._log()
        self.phase = Phase.LINGER
        after = body.take_over(self._context, self._transport, self.slot, rest)
        self.slot.attach(after)

    # Requests.

    def _enter_request_phase(self) -> None:
        now = self._context.now()
        if self.phase is Phase.IDLE:
            self.phase = Phase.REQUEST
            self._begun = now
            self.deadline = now + self._context.limits.head_s

    def _continue(self) -> None:
        """Handle the next buffered request of a pipeline, once the previous response is complete."""
        self._batch = 0
        if self._can_continue():
            self._begun = self._context.now()
            self._handle_events(self._core.next_exchange())

    def _can_continue(self) -> bool:
        return (
            self._core.is_sent
            and self._response_body is None
            and not self._write_paused
            and self.phase is not Phase.LINGER
            and not self._transport.is_closing()
        )

    def _handle_events(self, events: Sequence[Event]) -> None:
        while True:
            for event in events:
                self._handle(event)
            if not self._can_continue():
                break
            self._batch += 1
            if self._batch > BATCH_REQUESTS and self._core.unparsed_octets:
                self._context.loop.call_soon(self._continue)
                break
            events = self._core.next_exchange()
        self._flush()
        self._update_phase()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Request):
            self._start_request(event)
        elif isinstance(event, EndOfMessage):
            if self._request_body is None:
                self._handle_request()
            else:
                self._end_request_body(event)
        elif isinstance(event, Data):
            self._receive_content(event.data)
        elif isinstance(event, Fault):
            self._reject(event.status, f"Request rejected: {event.detail}.")
        elif isinstance(event, Closed):
            self._transport.close()

    def _start_request(self, request: Request) -> None:
        self._request = request
        self.slot.stage = Stage.ACTIVE
        if self._core.wants_continue:
            # RFC 9110 section 10.1.1: if the request's head decides the final response, send that instead of 100.
            refusal = self._context.refuse(request)
            if refusal is not None:
                # Close the connection: the client may send the content or not, so a next request would be ambiguous.
                self._send_response(refusal, close=True)
                return
            if not self._context.relays:
                self._write(self._core.send_continue())
        if self._context.relays and self._core.has_content:
            self._request_body = BodyStream()
            self._request_body.on_room = self._update_phase
            self._handle_request()

    def _receive_content(self, data: bytes) -> None:
        if self._request_body is None:
            self._received += data
        else:
            self._request_body.feed(data)
        self._extend_deadline(len(data))

    def _end_request_body(self, end: EndOfMessage) -> None:
        if self._request_body is not None:
            self._request_body.finish(end.trailers)
        if self._task is not None:
            self.phase = Phase.ANSWER

    def _extend_deadline(self, octets: int) -> None:
        """Extend the deadline of a request after `octets` of its content have arrived, at the minimum rate.

        The deadline is never later than the time limit for content, counted from now.
        """
        limits = self._context.limits
        latest = self._context.now() + limits.body_s
        self.deadline = paid_deadline(self.deadline, octets, limits.body_rate_octets_s, latest)

    def _handle_request(self) -> None:
        request = self._request
        if request is None:
            return
        body = b""
        if self._received:
            body = bytes(self._received)
            self._received.clear()
        settings = upgrade_settings(request) if b"upgrade" in request.fields and not self._context.relays else None
        if settings is not None and self._transport.get_extra_info("ssl_object") is None:
            self._write(SWITCHING)
            rest = self._core.switch()
            self._replace_by_http2().take_over_upgraded(settings, upgraded(request), body, rest, self._write_paused)
            return
        answer = self._context.relay(request, self) if self._context.relays else self._context.answer(request, body)
        if isinstance(answer, Response):
            self._send_response(answer)
            return
        if self._request_body is None or self._request_body.is_complete:
            self.phase = Phase.ANSWER
        self._task = self._context.loop.create_task(self._respond_when_ready(answer))

    async def _respond_when_ready(self, answer: Awaitable[Response]) -> None:
        response = await answer
        self._task = None
        self._send_response(response)
        self._flush()
        self._continue()
        self._update_phase()

    def _reject(self, status: int, detail: str) -> None:
        if self._core.is_sent or self._response_body is not None:
            # A response has started already, so an error response is impossible.
            self._transport.abort()
            return
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._fail_request_body("the content was truncated")
        self._received.clear()
        self._send_response(page_response(status, detail), close=True)

    # Inbound (inbound.py), for a relay.

    @property
    def content(self) -> BodyStream | None:
        return self._request_body

    @property
    def peer(self) -> str:
        return self._peer or "{}:{}".format(*(self._transport.get_extra_info("peername") or ("?", "?"))[:2])

    def send_interim(self, response: Response) -> None:
        if self._task is not None and not self._transport.is_closing():
            self._write(self._core.send_interim(response))
            self._flush()

    # Responses, buffered until _flush().

    def _send_response(self, response: Response, close: bool = False) -> None:
        self._status, self._sent_octets = response.status, 0
        date = format_date(int(self._context.wall_clock()))
        body = response.body
        self._write(self._core.send_response(response, date, close))
        if isinstance(body, bytes):
            self._complete_response()
        elif isinstance(body, Takeover):
            self._hand_over(body)
        else:
            self._start_response_body(body)

    def _start_response_body(self, body: Body | StreamedBody) -> None:
        self._response_body = body
        if self._core.is_sent:
            self._close_response_body()
            self._complete_response()
            return
        if isinstance(body, StreamedBody):
            body.on_more = self._write_body
        self.phase = Phase.ANSWER
        self.deadline = self._context.now() + self._context.limits.stall_s
        self._context.loop.call_soon(self._write_body)

    def _write_body(self) -> None:
        """Write a slice of the response's content and schedule the next; complete the response at the end.

        No slice is scheduled while the transport pauses or the body has no content available.
        """
        body = self._response_body
        if body is None or self._write_paused or self._transport.is_closing():
            return
        try:
            is_over = self._write_slice(body)
        except Exception as error:
            self._abort_response(str(error))
            return
        self._flush()
        if is_over:
            self._close_response_body()
            self._complete_response()
            self._continue()
            self._update_phase()
        elif not (self._write_paused or self._is_starved):
            self._context.loop.call_soon(self._write_body)

    def _write_slice(self, body: Body | StreamedBody) -> bool:
        """Write a slice of the response's content to the transport; return True if the content is complete."""
        octets = 0
        while octets < SLICE_OCTETS:
            data = body.read(SLICE_OCTETS - octets)
            self._is_starved = data is None
            if not data:
                if data is not None:
                    self._write(self._encode_end(body))
                return data is not None
            self._write(self._core.send_data(data))
            octets += len(data)
            if not isinstance(body, StreamedBody):
                break
        return False

    def _encode_end(self, body: Body | StreamedBody) -> bytes:
        return self._core.send_end(body.trailers) if isinstance(body, StreamedBody) else self._core.send_end()

    def _abort_response(self, error: str) -> None:
        """Abort a response and its connection: the client then detects the truncation (RFC 9112 section 8)."""
        self._context.log.write("broken", peer=self._peer, error=error)
        raw = self._transport.get_extra_info("socket")
        if self._core.ends_with_connection and raw is not None:
            # Reset the connection: with FIN, truncated close-delimited content would appear complete.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()

    def _close_response_body(self) -> None:
        body, self._response_body = self._response_body, None
        self._is_starved = False
        if body is not None:
            body.close()

    def _complete_response(self) -> None:
        """Log a response that is completely sent, and close the connection unless it persists."""
        self._context.sent_octets += self._sent_octets
        if self._context.log.enabled:
            self._log()
        self._request = None
        self._has_responded = True
        if self._request_body is not None:
            self._fail_request_body("the response is complete")
        if not self._core.persistent:
            self._linger()

    def _linger(self) -> None:
        """Half-close, then read until the client closes or the linger time is over (RFC 9112 section 9.6)."""
        self._flush()
        self._set_reading(True)
        self.phase = Phase.LINGER
        self.slot.complete(Stage.IDLE)
        now, limits = self._context.now(), self._context.limits
        self.deadline, self._linger_end = now + limits.linger_s, now + limits.linger_most_s
        if self._peer_ended or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()

    def _fail_request_body(self, reason: str) -> None:
        """End the request's content with an error: its reader gets OSError with `reason`."""
        body, self._request_body = self._request_body, None
        if body is not None:
            body.fail(reason)

    def _write(self, octets: bytes) -> None:
        self._out.append(octets)
        self._sent_octets += len(octets)

    def _flush(self) -> None:
        out = self._out
        if out and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._out = []

    def _set_reading(self, wanted: bool) -> None:
        if wanted == self._read_paused:
            self._read_paused = not wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _log(self) -> None:
        request = self._request
        self._context.log.write(
            "request",
            peer=self._peer,
            method=None if request is None else request.method,
            target=None if request is None else request.request_target,
            status=self._status,
            bytes=self._sent_octets,
            duration_s=round(self._context.now() - self._begun, 6),
        )

    # Phase, deadline and reading.

    def _update_phase(self) -> None:
        """Set the connection's phase and deadline after input or output; pause or resume reading if needed."""
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        waiting = self._core.unparsed_octets
        if self._core.is_sent:
            self._await_client()
        elif self._has_responded and self._response_body is None and self._task is None:
            # Extend the deadline once per response, not once per read: octets that trickle in must not extend it.
            self._has_responded = False
            self._batch = 0
            self._await_request(begun=waiting > 0 or self._request is not None)
        is_full = self._request_body is not None and self._request_body.is_full
        self._set_reading(waiting <= UNPARSED_OCTETS and not is_full)

    def _await_client(self) -> None:
        """Set phase and deadline for the wait until the client has received its responses.

        Pipelined requests wait as well.
        """
        if self.phase is not Phase.ANSWER:
            self.phase = Phase.ANSWER
            self.deadline = self._context.now() + self._context.limits.stall_s

    def _await_request(self, begun: bool) -> None:
        self.slot.complete(Stage.ACTIVE if self._request is not None else Stage.IDLE)
        self.phase = Phase.REQUEST if begun else Phase.IDLE
        limits = self._context.limits
        self.deadline = self._context.now() + (limits.head_s if begun else limits.idle_s)
