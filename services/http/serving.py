"""One connection to a server on asyncio: octets to the core, its events to the resource, responses to the socket.

Owns the socket, the order of writing, back-pressure and the phase that the server's sweep holds a deadline against;
takes no decision of the protocol. What one batch of requests earns goes out in one write.
"""

import asyncio
import socket
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, cast

from services.http.dates import format_date
from services.http.http2.serving import Http2Serving
from services.http.http2.upgrade import SWITCHING, upgrade_settings, upgraded
from services.http.messages import Body, Closed, Data, EndOfMessage, Event, Fault, Request, Response
from services.http.opening import Choice, Opening
from services.http.pages import page_response
from services.http.phase import Phase
from services.http.server_connection import ServerConnection

if TYPE_CHECKING:
    from services.http.server import HTTPServer

# Read from a file and written at a time: enough for one full window of a fast path.
PIECE_OCTETS = 262_144
# Unparsed octets above which the socket is not read until answers went out: the bound on pipelining.
WAITING_OCTETS = 65_536
# Requests answered before other connections get their turn.
BATCH_REQUESTS = 32


class Serving(asyncio.Protocol):
    """Serves one client."""

    def __init__(self, server: "HTTPServer") -> None:
        self.phase = Phase.IDLE
        self.deadline = 0.0
        self._server = server
        self._core = ServerConnection(server.limits.body_octets)
        self._opening: Opening | None = Opening()
        self._transport: asyncio.Transport
        self._peer = ""
        self._request: Request | None = None
        self._received = bytearray()
        self._out: list[bytes] = []
        self._begun = 0.0
        self._status = 0
        self._sent_octets = 0
        self._progress = -1
        self._linger_end = 0.0
        self._body: Body | None = None
        self._task: asyncio.Task[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._peer_ended = False
        self._batch = 0
        self._answered = False

    # What asyncio calls, in the order of a connection's life.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # A small response must not wait for the acknowledgement of the one before (RFC 9112 section 9.3.2).
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._server.log.enabled:
            self._peer = "{}:{}".format(*(transport.get_extra_info("peername") or ("?", "?"))[:2])
        self.deadline = self._server.now() + self._server.limits.idle_s
        if not self._server.admit(self):
            self._refuse(503, "All connections are in use.")
            self._flush()
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            # RFC 9113 section 3.2: over TLS the version is agreed on in the handshake.
            self._opening = None
            if tls.selected_alpn_protocol() == "h2" and self.phase is not Phase.LINGER:
                self._hand_over(b"")

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.LINGER:
            # RFC 9112 section 9.6: who still sends has not yet read the response.
            self.deadline = min(self._server.now() + self._server.limits.linger_s, self._linger_end)
            return
        if self._opening is not None:
            choice, octets = self._opening.feed(data), self._opening.octets
            if choice is not Choice.HTTP_1:
                self._begin()
                if choice is Choice.HTTP_2:
                    self._hand_over(octets)
                return
            self._opening, data = None, octets
        events = self._core.receive_data(data)
        # RFC 9112 section 2.2: an empty line is no request.
        if events or self._core.waiting_octets:
            self._begin()
        self._consume(events)

    def eof_received(self) -> bool:
        self._peer_ended = True
        if self.phase is Phase.LINGER:
            self._transport.close()
            return False
        if self._opening is not None:
            opening, self._opening = self._opening, None
            self._consume(self._core.receive_data(opening.octets))
        self._consume(self._core.receive_eof())
        # The response to what was asked may still be on its way.
        return not self._transport.is_closing()

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._body is not None:
            self._pump()
        else:
            self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.phase = Phase.LINGER
        self._drop_body()
        if self._task is not None:
            self._task.cancel()
        self._server.forget(self)

    # What the server's sweep calls.

    def check_deadline(self, now: float) -> None:
        """Act on a wait that has lasted too long."""
        if now < self.deadline:
            return
        writes = self._body is not None or self._transport.get_write_buffer_size() > 0
        if writes and self._moved():
            # Also inside a request: whoever still reads the response before it is not to lose that.
            self.deadline = now + self._server.limits.stall_s
        elif self.phase is Phase.REQUEST:
            self._take(self._core.time_out())
            self._flush()
        elif self.phase is Phase.IDLE and not writes:
            self._transport.close()
        elif self._task is None:
            self._transport.abort()

    def _moved(self) -> bool:
        """Tell whether the client has taken anything since the last look."""
        before, self._progress = self._progress, self._sent_octets - self._transport.get_write_buffer_size()
        return self._progress != before

    def stop(self) -> None:
        """Take no further request, and end after the response under way, if there is one."""
        self._core.persistent = False
        if self._body is None and self._task is None:
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def _hand_over(self, octets: bytes) -> None:
        """Go on in HTTP/2, which has sent `octets`."""
        self._leave().take_over(octets, self._write_paused)

    def _leave(self) -> Http2Serving:
        self._flush()
        self.phase = Phase.LINGER
        after = Http2Serving(self._server, self._transport, self._peer)
        self._server.replace(self, after)
        return after

    # From events to a response.

    def _begin(self) -> None:
        now = self._server.now()
        if self.phase is Phase.IDLE:
            self.phase = Phase.REQUEST
            self._begun = now
            self.deadline = now + self._server.limits.head_s

    def _go_on(self) -> None:
        """Take up what the client sent ahead."""
        self._batch = 0
        if self._may_go_on():
            self._begun = self._server.now()
            self._consume(self._core.next_exchange())

    def _may_go_on(self) -> bool:
        return (
            self._core.is_sent
            and self._body is None
            and not self._write_paused
            and self.phase is not Phase.LINGER
            and not self._transport.is_closing()
        )

    def _consume(self, events: Sequence[Event]) -> None:
        while True:
            for event in events:
                self._take(event)
            if not self._may_go_on():
                break
            self._batch += 1
            if self._batch > BATCH_REQUESTS and self._core.waiting_octets:
                self._server.loop.call_soon(self._go_on)
                break
            events = self._core.next_exchange()
        self._flush()
        self._settle()

    def _take(self, event: Event) -> None:
        if isinstance(event, Request):
            self._open(event)
        elif isinstance(event, EndOfMessage):
            self._answer()
        elif isinstance(event, Data):
            self._received += event.data
            self._extend(len(event.data))
        elif isinstance(event, Fault):
            self._refuse(event.status, f"The request cannot be used: {event.detail}.")
        elif isinstance(event, Closed):
            self._transport.close()

    def _open(self, request: Request) -> None:
        self._request = request
        if self._core.wants_continue:
            # RFC 9110 section 10.1.1: the final response at once where the head decides it.
            refusal = self._server.refuse(request)
            if refusal is None:
                self._write(self._core.send_continue())
            else:
                # The client may send the content or not, and nobody could tell which: no request can follow.
                self._send(refusal, close=True)

    def _extend(self, octets: int) -> None:
        """Content that keeps coming may take its time, at no less than the least rate."""
        most = self._server.now() + self._server.limits.body_s
        self.deadline = min(self.deadline + octets / self._server.limits.body_rate_octets_s, most)

    def _answer(self) -> None:
        request = self._request
        if request is None:
            return
        body = b""
        if self._received:
            body = bytes(self._received)
            self._received.clear()
        settings = upgrade_settings(request) if b"upgrade" in request.fields else None
        if settings is not None and self._transport.get_extra_info("ssl_object") is None:
            self._write(SWITCHING)
            rest = self._core.switch()
            self._leave().take_over_upgraded(settings, upgraded(request), body, rest, self._write_paused)
            return
        answer = self._server.answer(request, body)
        if isinstance(answer, Response):
            self._send(answer)
        else:
            self.phase = Phase.ANSWER
            self._task = self._server.loop.create_task(self._answer_later(answer))

    async def _answer_later(self, answer: Awaitable[Response]) -> None:
        response = await answer
        self._task = None
        self._send(response)
        self._flush()
        self._go_on()
        self._settle()

    def _refuse(self, status: int, detail: str) -> None:
        if self._core.is_sent or self._body is not None:
            # Too late for a reply: a response to this request is already on its way.
            self._transport.abort()
            return
        self._received.clear()
        self._send(page_response(status, detail), close=True)

    def _send(self, response: Response, close: bool = False) -> None:
        self._status, self._sent_octets = response.status, 0
        date = format_date(int(self._server.wall_clock()))
        self._write(self._core.send_response(response, date, close))
        if isinstance(response.body, bytes):
            self._finish()
            return
        self._body = response.body
        if self._core.is_sent:
            self._drop_body()
            self._finish()
        else:
            self.phase = Phase.ANSWER
            self.deadline = self._server.now() + self._server.limits.stall_s
            self._server.loop.call_soon(self._pump)

    # From a response to the socket.

    def _pump(self) -> None:
        """Write one piece; the next when the transport has room and others had their turn."""
        body = self._body
        if body is None or self._write_paused or self._transport.is_closing():
            return
        try:
            data = body.read(PIECE_OCTETS)
            self._write(self._core.send_data(data) if data else self._core.send_end())
        except Exception as error:
            # The head is out, so the only honest sign is a connection that ends early (RFC 9112 section 8).
            self._server.log.write("broken", peer=self._peer, error=str(error))
            self._transport.abort()
            return
        self._flush()
        if data:
            if not self._write_paused:
                self._server.loop.call_soon(self._pump)
            return
        self._drop_body()
        self._finish()
        self._go_on()
        self._settle()

    def _drop_body(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()

    def _finish(self) -> None:
        """The response is written: log it, and close where the connection is not to be used again."""
        if self._server.log.enabled:
            self._log()
        self._request = None
        self._answered = True
        if not self._core.persistent:
            self._linger()

    def _linger(self) -> None:
        """RFC 9112 section 9.6: end this side, then read on until the client ends its own, or a time passed."""
        self._flush()
        self.phase = Phase.LINGER
        now, limits = self._server.now(), self._server.limits
        self.deadline, self._linger_end = now + limits.linger_s, now + limits.linger_most_s
        if self._peer_ended or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()

    def _write(self, octets: bytes) -> None:
        self._out.append(octets)
        self._sent_octets += len(octets)

    def _flush(self) -> None:
        out = self._out
        if out and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._out = []

    def _settle(self) -> None:
        """Set phase, deadline and reading to what is now waited for."""
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        waiting = self._core.waiting_octets
        if self._core.is_sent:
            self._await_reader()
        elif self._answered and self._body is None and self._task is None:
            # Once a response, not once a read: octets that trickle in must not put off the deadline.
            self._answered = False
            self._batch = 0
            self._await_request(begun=waiting > 0 or self._request is not None)
        self._read_when(waiting <= WAITING_OCTETS)

    def _await_reader(self) -> None:
        """What the client sent ahead waits for this side, which waits for the client to take its responses."""
        if self.phase is not Phase.ANSWER:
            self.phase = Phase.ANSWER
            self.deadline = self._server.now() + self._server.limits.stall_s

    def _await_request(self, begun: bool) -> None:
        self.phase = Phase.REQUEST if begun else Phase.IDLE
        limits = self._server.limits
        self.deadline = self._server.now() + (limits.head_s if begun else limits.idle_s)

    def _read_when(self, wanted: bool) -> None:
        if wanted == self._read_paused:
            self._read_paused = not wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _log(self) -> None:
        request = self._request
        self._server.log.write(
            "request",
            peer=self._peer,
            method=None if request is None else request.method,
            target=None if request is None else request.request_target,
            status=self._status,
            bytes=self._sent_octets,
            duration_s=round(self._server.now() - self._begun, 6),
        )
