"""One connection to a server on asyncio: octets to the core, its events to the resource, responses to the socket.

Owns reading, back-pressure and the phase that the server's sweep holds a deadline against; takes no decision of the
protocol. What one batch of requests earns goes out in one write (sending.py). A relay is asked as soon as a head is
there, and passes the content on while it comes; any other handler is asked when all of it came.
"""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, cast

from services.connections import Stage, paid_deadline
from services.http.dates import format_date
from services.http.http1.server_connection import ServerConnection
from services.http.http1.version_detection import Detected, VersionDetector
from services.http.http2.upgrade import SWITCHING, upgrade_settings, upgraded
from services.http.messages import Arriving, Body, Closed, Data, EndOfMessage, Event, Fault, Request, Response
from services.http.server.body_stream import Arrival
from services.http.server.error_pages import page_response
from services.http.server.http2_connection import Http2Connection
from services.http.server.inbound import Takeover
from services.http.server.phase import Phase
from services.listener import Slot

if TYPE_CHECKING:
    from services.http.server.server import HTTPServer

# Read from a file and written at a time: enough for one full window of a fast path.
PIECE_OCTETS = 262_144
# SO_LINGER on, for no time: the connection ends with RST (RFC 9293 section 3.10.5, ABORT).
RESET = struct.pack("ii", 1, 0)
# Unparsed octets above which the socket is not read until answers went out: the bound on pipelining.
WAITING_OCTETS = 65_536
# Requests answered before other connections get their turn.
BATCH_REQUESTS = 32


class Serving(asyncio.Protocol):
    """Serves one client."""

    def __init__(self, server: "HTTPServer", slot: Slot) -> None:
        self.slot = slot
        self.phase = Phase.IDLE
        self.deadline = 0.0
        self._server = server
        self._core = ServerConnection(server.limits.body_octets)
        self._transport: asyncio.Transport
        self._peer = ""
        self._request: Request | None = None
        self._incoming: Arrival | None = None
        self._out: list[bytes] = []
        self._begun = 0.0
        self._status = 0
        self._sent_octets = 0
        self._progress = -1
        self._linger_end = 0.0
        self._body: Body | Arriving | None = None
        self._is_starved = False
        self._write_paused = False
        self._read_paused = False
        self._peer_ended = False
        self._answered = False
        self._version_detector: VersionDetector | None = VersionDetector() if server.speaks_http_2 else None
        self._received = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._batch = 0

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
        self._server.serve(self)
        tls = transport.get_extra_info("ssl_object")
        if tls is not None:
            # RFC 9113 section 3.2: over TLS the version is agreed on in the handshake.
            self._version_detector = None
            if tls.selected_alpn_protocol() == "h2":
                self._hand_over(b"")

    def data_received(self, data: bytes) -> None:
        if self.phase is Phase.LINGER:
            # RFC 9112 section 9.6: who still sends has not yet read the response.
            self.deadline = min(self._server.now() + self._server.limits.linger_s, self._linger_end)
            return
        if self._version_detector is not None:
            detected, octets = self._version_detector.feed(data), self._version_detector.octets
            if detected is not Detected.HTTP_1:
                self._begin()
                if detected is Detected.HTTP_2:
                    self._hand_over(octets)
                return
            self._version_detector, data = None, octets
        events = self._core.receive_data(data)
        # RFC 9112 section 2.2: an empty line is no request.
        if events or self._core.unparsed_octets:
            self._begin()
        self._consume(events)

    def eof_received(self) -> bool:
        self._peer_ended = True
        if self.phase is Phase.LINGER:
            self._transport.close()
            return False
        if self._version_detector is not None:
            detector, self._version_detector = self._version_detector, None
            self._consume(self._core.receive_data(detector.octets))
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
        if self._body is not None:
            self._server.sent_octets += self._sent_octets
        self._drop_body()
        self._drop_incoming("the client went away")
        if self._task is not None:
            self._task.cancel()
        self._server.forget(self)

    # What the server's sweep calls.

    def check_deadline(self, now: float) -> None:
        """Act on a wait that has lasted too long."""
        if now < self.deadline:
            return
        unsent = self._transport.get_write_buffer_size()
        writes = self._body is not None or unsent > 0
        if (writes and self._moved()) or self._waits_elsewhere(unsent):
            # Also inside a request: whoever still reads the response before it is not to lose that.
            self.deadline = now + self._server.limits.stall_s
        elif self.phase is Phase.REQUEST:
            self._take(self._core.time_out())
            self._flush()
        elif self.phase is Phase.IDLE and not writes:
            self._transport.close()
        elif self._task is None:
            self._transport.abort()

    def _waits_elsewhere(self, unsent: int) -> bool:
        """Tell whether it is no fault of the client's that nothing moves: content has not come, or finds no room."""
        if self._body is not None:
            return self._is_starved and unsent == 0
        return self.phase is Phase.REQUEST and self._incoming is not None and self._incoming.is_full

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

    def evict(self) -> None:
        """End for another client's sake, with a last response where one can still be sent."""
        if self._body is not None:
            self._break_off("evicted: all connections are in use")
        elif self._task is not None:
            self._refuse(503, "All connections are in use.")
            self._flush()
        elif self.phase is Phase.REQUEST:
            self._take(self._core.time_out())
            self._flush()
        elif self.phase is Phase.LINGER:
            self._transport.abort()
        else:
            self._transport.close()

    def _hand_over(self, octets: bytes) -> None:
        """Go on in HTTP/2, which has sent `octets`."""
        self._leave().take_over(octets, self._write_paused)

    def _leave(self) -> Http2Connection:
        self._flush()
        self.phase = Phase.LINGER
        after = Http2Connection(self._server, self._transport, self._peer, self.slot)
        self._server.replace(self, after)
        return after

    def _give_away(self, body: Takeover) -> None:
        rest = self._core.take_rest()
        self._flush()
        if self._server.log.enabled:
            self._log()
        self.phase = Phase.LINGER
        after = body.take_over(self._server, self._transport, self.slot, rest)
        self._server.replace(self, after)

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
            if self._batch > BATCH_REQUESTS and self._core.unparsed_octets:
                self._server.loop.call_soon(self._go_on)
                break
            events = self._core.next_exchange()
        self._flush()
        self._settle()

    def _take(self, event: Event) -> None:
        if isinstance(event, Request):
            self._open(event)
        elif isinstance(event, EndOfMessage):
            if self._incoming is None:
                self._answer()
            else:
                self._end_incoming(event)
        elif isinstance(event, Data):
            self._take_data(event.data)
        elif isinstance(event, Fault):
            self._refuse(event.status, f"The request cannot be used: {event.detail}.")
        elif isinstance(event, Closed):
            self._transport.close()

    def _open(self, request: Request) -> None:
        self._request = request
        self.slot.stage = Stage.ACTIVE
        if self._core.wants_continue:
            # RFC 9110 section 10.1.1: the final response at once where the head decides it.
            refusal = self._server.refuse(request)
            if refusal is not None:
                # The client may send the content or not, and nobody could tell which: no request can follow.
                self._send(refusal, close=True)
                return
            if not self._server.relays:
                self._write(self._core.send_continue())
        if self._server.relays and self._core.has_content:
            self._incoming = Arrival()
            self._incoming.on_room = self._settle
            self._answer()

    def _take_data(self, data: bytes) -> None:
        if self._incoming is None:
            self._received += data
        else:
            self._incoming.feed(data)
        self._extend(len(data))

    def _end_incoming(self, end: EndOfMessage) -> None:
        if self._incoming is not None:
            self._incoming.finish(end.trailers)
        if self._task is not None:
            self.phase = Phase.ANSWER

    def _extend(self, octets: int) -> None:
        """Content that keeps coming may take its time, at no less than the least rate."""
        limits = self._server.limits
        latest = self._server.now() + limits.body_s
        self.deadline = paid_deadline(self.deadline, octets, limits.body_rate_octets_s, latest)

    def _answer(self) -> None:
        request = self._request
        if request is None:
            return
        body = b""
        if self._received:
            body = bytes(self._received)
            self._received.clear()
        settings = upgrade_settings(request) if b"upgrade" in request.fields and not self._server.relays else None
        if settings is not None and self._transport.get_extra_info("ssl_object") is None:
            self._write(SWITCHING)
            rest = self._core.switch()
            self._leave().take_over_upgraded(settings, upgraded(request), body, rest, self._write_paused)
            return
        answer = self._server.relay(request, self) if self._server.relays else self._server.answer(request, body)
        if isinstance(answer, Response):
            self._send(answer)
            return
        if self._incoming is None or self._incoming.is_complete:
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
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._drop_incoming("the content broke off")
        self._received.clear()
        self._send(page_response(status, detail), close=True)

    # What a relay sees of this side (inbound.py).

    @property
    def content(self) -> Arrival | None:
        return self._incoming

    @property
    def peer(self) -> str:
        return self._peer or "{}:{}".format(*(self._transport.get_extra_info("peername") or ("?", "?"))[:2])

    def send_interim(self, response: Response) -> None:
        if self._task is not None and not self._transport.is_closing():
            self._write(self._core.send_interim(response))
            self._flush()

    # Responses, written in order; what is written gathers until _flush().

    def _send(self, response: Response, close: bool = False) -> None:
        self._status, self._sent_octets = response.status, 0
        date = format_date(int(self._server.wall_clock()))
        body = response.body
        self._write(self._core.send_response(response, date, close))
        if isinstance(body, bytes):
            self._finish()
        elif isinstance(body, Takeover):
            self._give_away(body)
        else:
            self._send_body(body)

    def _send_body(self, body: Body | Arriving) -> None:
        self._body = body
        if self._core.is_sent:
            self._drop_body()
            self._finish()
            return
        if isinstance(body, Arriving):
            body.on_more = self._pump
        self.phase = Phase.ANSWER
        self.deadline = self._server.now() + self._server.limits.stall_s
        self._server.loop.call_soon(self._pump)

    def _pump(self) -> None:
        """Write one piece; the next when the transport has room and others had their turn."""
        body = self._body
        if body is None or self._write_paused or self._transport.is_closing():
            return
        try:
            is_over = self._write_pieces(body)
        except Exception as error:
            self._break_off(str(error))
            return
        self._flush()
        if is_over:
            self._drop_body()
            self._finish()
            self._go_on()
            self._settle()
        elif not (self._write_paused or self._is_starved):
            self._server.loop.call_soon(self._pump)

    def _write_pieces(self, body: Body | Arriving) -> bool:
        """Write what is one turn's; returns whether that was the last."""
        octets = 0
        while octets < PIECE_OCTETS:
            data = body.read(PIECE_OCTETS - octets)
            self._is_starved = data is None
            if not data:
                if data is not None:
                    self._write(self._end_of(body))
                return data is not None
            self._write(self._core.send_data(data))
            octets += len(data)
            if not isinstance(body, Arriving):
                break
        return False

    def _end_of(self, body: Body | Arriving) -> bytes:
        return self._core.send_end(body.trailers) if isinstance(body, Arriving) else self._core.send_end()

    def _break_off(self, error: str) -> None:
        """The head is out, so the only honest sign is a connection that ends early (RFC 9112 section 8)."""
        self._server.log.write("broken", peer=self._peer, error=error)
        raw = self._transport.get_extra_info("socket")
        if self._core.ends_with_connection and raw is not None:
            # Content that ends with the connection would seem complete: only a reset tells that it is not.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()

    def _drop_body(self) -> None:
        body, self._body = self._body, None
        self._is_starved = False
        if body is not None:
            body.close()

    def _finish(self) -> None:
        """The response is written: log it, and close where the connection is not to be used again."""
        self._server.sent_octets += self._sent_octets
        if self._server.log.enabled:
            self._log()
        self._request = None
        self._answered = True
        if self._incoming is not None:
            self._drop_incoming("the response is through")
        if not self._core.persistent:
            self._linger()

    def _linger(self) -> None:
        """RFC 9112 section 9.6: end this side, then read on until the client ends its own, or a time passed."""
        self._flush()
        self._read_when(True)
        self.phase = Phase.LINGER
        self.slot.complete(Stage.IDLE)
        now, limits = self._server.now(), self._server.limits
        self.deadline, self._linger_end = now + limits.linger_s, now + limits.linger_most_s
        if self._peer_ended or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()

    def _drop_incoming(self, why: str) -> None:
        """Pass on no more of the request's content."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.fail(why)

    def _write(self, octets: bytes) -> None:
        self._out.append(octets)
        self._sent_octets += len(octets)

    def _flush(self) -> None:
        out = self._out
        if out and not self._transport.is_closing():
            self._transport.write(out[0] if len(out) == 1 else b"".join(out))
        self._out = []

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

    # What is waited for.

    def _settle(self) -> None:
        """Set phase, deadline and reading to what is now waited for."""
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        waiting = self._core.unparsed_octets
        if self._core.is_sent:
            self._await_reader()
        elif self._answered and self._body is None and self._task is None:
            # Once a response, not once a read: octets that trickle in must not put off the deadline.
            self._answered = False
            self._batch = 0
            self._await_request(begun=waiting > 0 or self._request is not None)
        is_full = self._incoming is not None and self._incoming.is_full
        self._read_when(waiting <= WAITING_OCTETS and not is_full)

    def _await_reader(self) -> None:
        """What the client sent ahead waits for this side, which waits for the client to take its responses."""
        if self.phase is not Phase.ANSWER:
            self.phase = Phase.ANSWER
            self.deadline = self._server.now() + self._server.limits.stall_s

    def _await_request(self, begun: bool) -> None:
        self.slot.complete(Stage.ACTIVE if self._request is not None else Stage.IDLE)
        self.phase = Phase.REQUEST if begun else Phase.IDLE
        limits = self._server.limits
        self.deadline = self._server.now() + (limits.head_s if begun else limits.idle_s)
