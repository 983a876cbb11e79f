"""Tunnel after CONNECT or 101: relays octets between a client and a server (RFC 9110 sections 9.3.6 and 7.8).

    request                                         response, after which the octets of both sides are relayed
    CONNECT www.example.com:443 HTTP/1.1            HTTP/1.1 200 OK
    GET /chat HTTP/1.1, Upgrade: websocket          HTTP/1.1 101 Switching Protocols
    CONNECT, :protocol websocket, in HTTP/2         :status 200; the octets are in DATA frames (RFC 8441)

settings.py has the list of permitted targets. Each direction is half-closed separately. Backpressure is end to end: if
one side does not read, the tunnel stops reading from the other side. An idle tunnel is closed after a timeout.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from lab7.services.connections import Slot, Stage
from lab7.services.http.errors import UpstreamError
from lab7.services.http.intermediary.settings import UpstreamLimits
from lab7.services.http.messages import StreamedBody
from lab7.services.http.server.body_stream import BodyStream
from lab7.services.http.server.context import Served, ServerContext
from lab7.services.http.server.phase import Phase
from lab7.services.http.server.takeover import Takeover
from lab7.services.http.urls import Origin


class TunnelEnd(asyncio.Protocol):
    """One of the two connections that a tunnel joins.

    Octets received on this connection are written to the opposite end, `other`.
    """

    def __init__(self) -> None:
        self.other: TunnelEnd | None = None
        self.on_lost: list[asyncio.Future[None]] = []
        self.has_ended = False
        self.moved_octets = 0
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def adopt(self, transport: asyncio.Transport) -> None:
        """Take over a transport that is already connected; asyncio will not call connection_made() for it."""
        self._transport = transport

    def join(self, other: "TunnelEnd") -> None:
        """Set the opposite end and start forwarding to it, beginning with the octets received so far."""
        self.other = other
        early, self._early = self._early, []
        for data in early:
            other.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.adopt(cast(asyncio.Transport, transport))
        # Reading is paused until the client's end has joined, so that no octets pile up.
        self.pause(True)

    def data_received(self, data: bytes) -> None:
        self.moved_octets += len(data)
        if self.other is None:
            self._early.append(data)
        else:
            self.other.write(data)

    def eof_received(self) -> bool:
        self.has_ended = True
        if self.other is not None:
            self.other.end()
        return True

    def pause_writing(self) -> None:
        if self.other is not None:
            self.other.pause(True)

    def resume_writing(self) -> None:
        if self.other is not None:
            self.other.pause(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self.has_ended = True
        if self.other is not None:
            if exc is None:
                self.other.finish()
            else:
                # Forward a reset as a reset, not as an orderly close.
                self.other.abort()
        self.forget()

    def forget(self) -> None:
        """Unregister this end from the server; an end at the origin is not registered."""

    def write(self, data: bytes) -> None:
        """Send octets, unless the connection is closing."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def end(self) -> None:
        """Half-close this connection; close both connections if the opposite direction has ended as well."""
        if self._transport is None or self._transport.is_closing():
            return
        if self.has_ended:
            self._transport.close()
            if self.other is not None:
                self.other.finish()
        elif self._transport.can_write_eof():
            self._transport.write_eof()

    def finish(self) -> None:
        """Close this connection once its buffered octets are sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close this connection at once and discard its buffered octets."""
        if self._transport is not None:
            self._transport.abort()

    def pause(self, is_paused: bool) -> None:
        """Pause or resume reading from this connection."""
        if self._transport is None or self._transport.is_closing():
            return
        if is_paused:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()


class ClientEnd(TunnelEnd):
    """Client's end of a tunnel over HTTP/1, subject to the server's idle timeout, eviction and shutdown."""

    def __init__(self, context: ServerContext, slot: Slot, idle_s: float) -> None:
        super().__init__()
        self.slot = slot
        self.phase = Phase.ANSWER
        self.deadline = context.now() + idle_s
        self._context = context
        self._idle_s = idle_s
        self._seen_octets = 0

    def check_deadline(self, now: float) -> None:
        """Close the tunnel after the idle timeout, if no octets have passed in either direction."""
        moved = self.moved_octets + (self.other.moved_octets if self.other is not None else 0)
        if moved != self._seen_octets:
            self._seen_octets = moved
            self.slot.complete(Stage.ACTIVE)
            self.deadline = now + self._idle_s
        elif now >= self.deadline:
            self._context.log.write("tunnel_idle", octets=moved)
            self.evict()

    def evict(self) -> None:
        """Close both connections of the tunnel at once."""
        self.abort()
        if self.other is not None:
            self.other.abort()

    def stop(self) -> None:
        """Close the connection after its buffered octets are sent: a tunnel has no end of message to wait for."""
        self.finish()

    def forget(self) -> None:
        self.slot.release()


class StreamEnd(TunnelEnd):
    """Client's end of a tunnel over HTTP/2, which is one stream (RFC 8441).

    `body` has the octets to send to the client.
    """

    def __init__(self, hold: Callable[[bool], None], idle_s: float, now: float) -> None:
        """Create the end; `hold` is called with True to pause the octets from the client, with False to resume them."""
        super().__init__()
        self.body: StreamedBody
        self._stream = self.body = BodyStream()
        self._stream.on_room = self._resume_other
        self._hold = hold
        self._idle_s = idle_s
        self._seen_octets = 0
        self._deadline = now + idle_s

    def connection_lost(self, exc: Exception | None) -> None:
        """Abort the other end of the tunnel: the stream was reset, or its connection has ended."""
        del exc
        self.has_ended = True
        if self.other is not None:
            self.other.abort()

    def write(self, data: bytes) -> None:
        """Send octets to the client; pause reading from the other end while the buffer is full."""
        self._stream.feed(data)
        if self._stream.is_full and self.other is not None:
            self.other.pause(True)

    def end(self) -> None:
        """Half-close the stream towards the client; finish the tunnel if the other direction has ended as well."""
        self._stream.finish()
        if self.has_ended and self.other is not None:
            self.other.finish()

    def finish(self) -> None:
        """Half-close the stream towards the client once the buffered octets are sent."""
        self._stream.finish()

    def abort(self) -> None:
        """Reset the stream."""
        self._stream.fail("the other end of the tunnel was reset")

    def pause(self, is_paused: bool) -> None:
        """Pause or resume the octets from the client, as the opposite end requires."""
        self._hold(is_paused)

    def is_idle(self, now: float) -> bool:
        """Return whether no octets have passed in either direction for the idle timeout."""
        moved = self.moved_octets + (0 if self.other is None else self.other.moved_octets)
        if moved != self._seen_octets:
            self._seen_octets, self._deadline = moved, now + self._idle_s
        return now >= self._deadline

    def stop(self) -> None:
        """Close both ends after the buffered octets are sent: a tunnel has no end of message to wait for."""
        self.finish()
        if self.other is not None:
            self.other.finish()

    def _resume_other(self) -> None:
        if self.other is not None:
            self.other.pause(False)


class Tunnel(Takeover):
    """Response body that turns the client's connection or HTTP/2 stream into a tunnel to a connected destination."""

    def __init__(self, far: TunnelEnd, idle_s: float) -> None:
        super().__init__()
        self._far = far
        self._idle_s = idle_s

    def take_over(self, context: ServerContext, transport: asyncio.Transport, slot: Slot, octets: bytes) -> Served:
        """Relay octets between the client's connection and the destination of the tunnel.

        `octets` were received from the client after its CONNECT or Upgrade request; they are relayed first.
        """
        near = ClientEnd(context, slot, self._idle_s)
        near.adopt(transport)
        transport.set_protocol(near)
        self._far.join(near)
        near.join(self._far)
        if octets:
            near.data_received(octets)
        self._far.pause(False)
        transport.resume_reading()
        return near

    def take_over_stream(self, hold: Callable[[bool], None], now: float) -> StreamEnd:
        """Relay octets between the client's HTTP/2 stream and the destination of the tunnel."""
        near = StreamEnd(hold, self._idle_s, now)
        self._far.join(near)
        near.join(self._far)
        self._far.pause(False)
        return near

    def close(self) -> None:
        """Abort the connection to the destination: the client disconnected before the tunnel was established."""
        self._far.abort()


async def open_tunnel(loop: asyncio.AbstractEventLoop, origin: Origin, limits: UpstreamLimits) -> Tunnel:
    """Connect to `origin` and return a tunnel to it; raises UpstreamError."""
    try:
        async with asyncio.timeout(limits.connect_s):
            _, far = await loop.create_connection(TunnelEnd, origin.host, origin.port)
    except TimeoutError as error:
        raise UpstreamError(504, "timeout while connecting to the target") from error
    except (OSError, UnicodeError) as error:
        raise UpstreamError(502, f"no connection to {origin.host} port {origin.port}") from error
    return Tunnel(far, limits.tunnel_idle_s)
