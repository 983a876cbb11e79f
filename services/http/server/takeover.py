"""Takeover of an HTTP connection by another protocol, such as a tunnel, after a response head (RFC 9110 section 9.3.6).

Over HTTP/2, the other protocol takes over only the stream of the request (RFC 8441 section 5).
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from lab7.services.connections import Slot
from lab7.services.http.messages import StreamedBody
from lab7.services.http.server.context import Served, ServerContext


class StreamTakeover(Protocol):
    """Interface of another protocol on one HTTP/2 stream, such as a tunnel; `body` has the octets to send."""

    body: StreamedBody

    def data_received(self, data: bytes) -> None:
        """Handle octets received from the client."""
        ...

    def eof_received(self) -> bool:
        """Handle the client's half-close of the stream: no more octets follow."""
        ...

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle the reset of the stream, or the end of the connection."""
        ...

    def is_idle(self, now: float) -> bool:
        """Return whether no octets have passed in either direction for the idle timeout."""
        ...

    def stop(self) -> None:
        """End both directions, because the server stops."""
        ...


class Takeover(StreamedBody):
    """Response body after which another protocol, such as a tunnel, takes over the connection or stream.

    RFC 9110 section 9.3.6.
    """

    def take_over(self, context: ServerContext, transport: asyncio.Transport, slot: Slot, octets: bytes) -> Served:
        """Return the object that serves the connection from here on; `octets` were received after the request."""
        raise NotImplementedError

    def take_over_stream(self, hold: Callable[[bool], None], now: float) -> StreamTakeover:
        """Return the object that serves an HTTP/2 stream from here on.

        `hold` is called with True to pause the octets from the client, with False to resume them.
        """
        raise NotImplementedError
