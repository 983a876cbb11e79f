"""Protocol takeover: a response after whose head another protocol uses the connection (RFC 9110 section 9.3.6).

Over HTTP/2, the other protocol uses the stream of the request (RFC 8441 section 5).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from lab7.services.connections import Slot
from lab7.services.http.messages import StreamedBody
from lab7.services.http.server.context import Served, ServerContext


class StreamTakeover(Protocol):
    """Another protocol on one HTTP/2 stream; `body` has the octets for the client."""

    body: StreamedBody

    def data_received(self, data: bytes) -> None:
        """Handle octets from the client."""
        ...

    def eof_received(self) -> bool:
        """Handle the end of the client's octets."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the reset of the stream, or the end of the connection."""
        ...

    def is_idle(self, now: float) -> bool:
        """Return whether no octets have passed in either direction for the idle timeout."""
        ...

    def stop(self) -> None:
        """End both directions: the server stops."""
        ...


class Takeover(StreamedBody):
    """A response body that takes over connection or stream after the response's head: a tunnel (RFC 9110 9.3.6)."""

    def take_over(self, context: ServerContext, transport: asyncio.Transport, slot: Slot, octets: bytes) -> Served:
        """Return the protocol that takes over the connection; `octets` were received after the request."""
        raise NotImplementedError

    def take_over_stream(self, hold: Callable[[bool], None], now: float) -> StreamTakeover:
        """Return the protocol that takes over an HTTP/2 stream; `hold` pauses (True) or resumes the client's octets."""
        raise NotImplementedError
