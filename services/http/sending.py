"""How a server's connection writes: responses in order, content as the socket and its source allow, then the end.

The lower half of serving.py, which turns requests into these responses. What is written gathers until _flush(). A
body that breaks off takes the connection with it, so that nobody takes a part for the whole (RFC 9112 section 8).
"""

import asyncio
import socket
import struct
from typing import TYPE_CHECKING

from services.connections import Stage
from services.http.arrival import Arrival
from services.http.dates import format_date
from services.http.inbound import Takeover
from services.http.messages import Arriving, Body, Request, Response
from services.http.phase import Phase
from services.http.server_connection import ServerConnection
from services.listener import Slot

if TYPE_CHECKING:
    from services.http.server import HTTPServer

# Read from a file and written at a time: enough for one full window of a fast path.
PIECE_OCTETS = 262_144
# SO_LINGER on, for no time: the connection ends with RST (RFC 9293 section 3.10.5, ABORT).
RESET = struct.pack("ii", 1, 0)


class Sending(asyncio.Protocol):
    """One client's connection as far as it is written to."""

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

    def _go_on(self) -> None:
        """Take up what the client sent ahead."""
        raise NotImplementedError

    def _settle(self) -> None:
        """Set phase, deadline and reading to what is now waited for."""
        raise NotImplementedError

    def _give_away(self, body: Takeover) -> None:
        """Leave the connection to `body`, once the response's head is written."""
        raise NotImplementedError

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
