"""One HTTP/2 connection to a server on asyncio: the counterpart of serving.py, which hands the transport over.

Owns the socket, back-pressure and deadlines; takes no decision of the protocol. Responses are made while the requests
are read, and what one batch of requests earns goes out in one write; content follows a slice at a time, as the
socket takes it, so that what waits in memory is bounded whatever the client asks for.
"""

import asyncio
import socket
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from services.connections import Stage
from services.http.dates import format_date
from services.http.errors import LocalProtocolError
from services.http.http2 import limits
from services.http.http2.events import Asked, Cancelled, Ended, Event, Refused
from services.http.http2.push import promised_requests
from services.http.http2.server_connection import Http2ServerConnection
from services.http.http2.streams import Closing, Stream
from services.http.limits import REQUEST_BODY_OCTETS
from services.http.messages import Request, Response
from services.http.server.error_pages import page_response
from services.http.server.inbound import Whole
from services.http.server.phase import Phase
from services.listener import Slot

if TYPE_CHECKING:
    from services.http.server.server import HTTPServer

# Octets that the kernel, and the transport before it, hold and have not sent: two frames each, so that an object that
# is asked for while a large one is under way still gets its turns soon on a slow link.
UNSENT_OCTETS = 32_768
# How much of the time to linger remains where the client cannot be shown that nothing more will come.
TLS_LINGER = 0.25


class Http2Serving(asyncio.Protocol):
    """Serves one client."""

    def __init__(self, server: "HTTPServer", transport: asyncio.Transport, peer: str, slot: Slot) -> None:
        self.slot = slot
        self.phase = Phase.REQUEST
        self.deadline = 0.0
        self._server = server
        self._transport = transport
        self._peer = peer
        bounds = server.limits
        self._scheme = b"https" if transport.get_extra_info("ssl_object") is not None else b"http"
        # Content is gathered here, so where others stream it, it is held to what can be held.
        body_octets = min(bounds.body_octets, REQUEST_BODY_OCTETS) if server.relays else bounds.body_octets
        self._core = Http2ServerConnection(self._scheme, body_octets, bounds.waits(), server.now())
        self._core.on_more(self._schedule)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._written_octets = 0
        self._progress = -1
        self._write_paused = False
        self._read_paused = False
        self._peer_ended = False
        self._is_scheduled = False

    def take_over(self, octets: bytes, write_paused: bool) -> None:
        """Begin with octets that came already."""
        self._write_paused = write_paused
        self._begin()
        self._consume(octets)

    def take_over_upgraded(
        self, settings: bytes, request: Request, content: bytes, octets: bytes, write_paused: bool
    ) -> None:
        """Begin with a request that came by HTTP/1.1 and the octets behind it."""
        self._write_paused = write_paused
        self._begin()
        for event in self._core.upgrade(settings, request, content):
            self._take(event)
        self._consume(octets)

    def _begin(self) -> None:
        self._transport.set_protocol(self)
        self._transport.set_write_buffer_limits(high=UNSENT_OCTETS)
        raw = self._transport.get_extra_info("socket")
        option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
        if raw is not None and option is not None:
            raw.setsockopt(socket.IPPROTO_TCP, option, UNSENT_OCTETS)

    # What asyncio calls.

    def data_received(self, data: bytes) -> None:
        if self.phase is not Phase.LINGER:
            self._consume(data)

    def eof_received(self) -> bool:
        self._peer_ended = True
        if self.phase is Phase.LINGER:
            self._transport.close()
        else:
            # What was asked for is still answered, as far as that needs no further word from the client.
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
        self._server.forget(self)

    # What the server calls.

    def check_deadline(self, now: float) -> None:
        """Act on a wait that has lasted too long."""
        if self.phase is Phase.LINGER:
            if now >= self.deadline:
                self._transport.abort()
            return
        for event in self._core.check(now):
            self._take(event)
        if self._core.is_sending or self._transport.get_write_buffer_size() > 0:
            if self._moved() or self.phase is not Phase.ANSWER:
                self.phase = Phase.ANSWER
                self.deadline = now + self._server.limits.stall_s
            elif now >= self.deadline:
                self._transport.abort()
                return
        elif self.phase is Phase.IDLE and now >= self.deadline:
            self._core.stop()
        self._advance()

    def _moved(self) -> bool:
        """Tell whether the client has taken anything since the last look."""
        before, self._progress = self._progress, self._written_octets - self._transport.get_write_buffer_size()
        return self._progress != before

    def stop(self) -> None:
        """Take no further request, and end once those under way are answered."""
        self._core.stop()
        self._advance()

    def abort(self) -> None:
        """End at once."""
        self._transport.abort()

    def evict(self) -> None:
        """End for another client's sake (RFC 9113 section 6.8: GOAWAY tells which requests may be sent again)."""
        self._core.stop()
        self._advance()
        if self.phase is not Phase.LINGER:
            self._transport.abort()

    # From events to responses.

    def _consume(self, data: bytes) -> None:
        """Read requests and answer them, as long as there is room for the answers."""
        events = self._core.receive_data(data, self._server.now())
        while events:
            for event in events:
                self._take(event)
            if self._write_paused or self._core.outgoing_octets >= limits.OUTGOING_OCTETS:
                break
            events = self._core.receive_data(b"", self._server.now())
        self._advance()

    def _take(self, event: Event) -> None:
        if isinstance(event, Asked):
            self._answer(event)
        elif isinstance(event, Refused):
            self._respond(event.stream_id, page_response(event.status, f"The request cannot be used: {event.detail}."))
        elif isinstance(event, Cancelled):
            task = self._tasks.pop(event.stream_id, None)
            if task is not None:
                task.cancel()
        elif isinstance(event, Ended):
            self._server.log.write("fault", peer=self._peer, code=event.code.name, error=event.detail)

    def _answer(self, asked: Asked) -> None:
        if not self._core.has_stream(asked.stream_id):
            return
        self.slot.stage = Stage.ACTIVE
        if self._server.relays:
            answer = self._server.relay(asked.request, Whole(asked.content, self._peer))
        else:
            answer = self._server.answer(asked.request, asked.content)
        if not isinstance(answer, Response):
            self._later(asked, answer)
        elif self._server.push:
            self._respond_with_pushes(asked, answer)
        else:
            self._respond(asked.stream_id, answer)

    def _later(self, asked: Asked, answer: Awaitable[Response]) -> None:
        async def wait() -> None:
            response = await answer
            self._tasks.pop(asked.stream_id, None)
            self._respond_with_pushes(asked, response)
            self._advance()

        self._tasks[asked.stream_id] = self._server.loop.create_task(wait())

    def _respond(self, stream_id: int, response: Response) -> None:
        date = format_date(int(self._server.wall_clock()))
        try:
            self._core.send_response(stream_id, response, date)
        except LocalProtocolError as error:
            # The handler's fields are none that can be sent: its failure, and no other stream's.
            self._server.log.write("failed", error=str(error))
            if not isinstance(response.body, bytes):
                response.body.close()
            self._core.send_response(stream_id, page_response(500, "The server failed to answer."), date)

    def _respond_with_pushes(self, asked: Asked, response: Response) -> None:
        """Promise what the page names, then send the page, then what was promised (RFC 9113 section 8.4.1)."""
        pushed = list(self._promise(asked, response)) if self._server.push else []
        self._respond(asked.stream_id, response)
        for stream_id, answer in pushed:
            self._respond(stream_id, answer)

    def _promise(self, asked: Asked, response: Response) -> Iterable[tuple[int, Response]]:
        if not self._core.has_stream(asked.stream_id):
            return
        left = self._core.pushes_left()
        for request in promised_requests(asked.request, response, self._scheme):
            if left <= 0:
                break
            answer = self._server.answer(request, b"")
            # Only what can be had now, and is there, is promised.
            if isinstance(answer, Response) and answer.status == 200:
                left -= 1
                yield self._core.promise(asked.stream_id, request), answer
            elif isinstance(answer, Response) and not isinstance(answer.body, bytes):
                answer.body.close()

    # From responses to the socket.

    def _schedule(self) -> None:
        """Go on in the next turn of the loop, once the others had theirs."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._server.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_scheduled = False
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        if self._core.waiting_octets and not self._write_paused:
            self._consume(b"")
        else:
            self._advance()

    def _advance(self) -> None:
        """Send what there is and what its turn is, then see to what is waited for."""
        if self.phase is Phase.LINGER or self._transport.is_closing():
            return
        if self._core.has_turns and not self._write_paused:
            for error in self._core.produce(limits.TURN_OCTETS):
                self._server.log.write("broken", peer=self._peer, error=error)
        octets = self._core.data_to_send()
        if octets:
            self._written_octets += len(octets)
            self._transport.write(octets)
        for stream in self._core.take_done():
            self._server.sent_octets += stream.sent_octets
            if self._server.log.enabled:
                self._log(stream)
        self._settle()

    def _settle(self) -> None:
        core = self._core
        if core.is_over or (core.is_stopped and not core.open_streams):
            self._linger()
            return
        if self._peer_ended and not (core.has_turns or core.has_whole_frame or self._tasks):
            self._transport.close()
            return
        if not self._write_paused and (core.has_turns or core.has_whole_frame):
            self._schedule()
        self._read_when(not self._write_paused and core.waiting_octets <= limits.OUTGOING_OCTETS)
        if core.open_streams:
            self.slot.stage = Stage.ACTIVE
            if self.phase is not Phase.ANSWER:
                self.phase = Phase.REQUEST
        elif self.phase is not Phase.IDLE or self.slot.stage is Stage.ACTIVE:
            # Once, when the last stream ended: PING and its like do not put off the deadline.
            self.phase = Phase.IDLE
            self.deadline = self._server.now() + self._server.limits.idle_s
            if self.slot.stage is Stage.ACTIVE:
                self.slot.complete(Stage.IDLE)

    def _read_when(self, wanted: bool) -> None:
        if wanted == self._read_paused:
            self._read_paused = not wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _linger(self) -> None:
        """End this side, then read on for a time: an early end would cost the client the GOAWAY (RFC 9113 5.4.1)."""
        self.phase = Phase.LINGER
        self.deadline = self._server.now() + self._server.limits.linger_s
        self._read_when(True)
        if self._peer_ended:
            self._transport.close()
        elif self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            # TLS has no half-closed connection, so the client has only this end to see.
            self.deadline -= self._server.limits.linger_s * (1 - TLS_LINGER)

    def _log(self, stream: Stream) -> None:
        request = stream.request
        self._server.log.write(
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
            duration_s=round(self._server.now() - stream.begun, 6),
        )
