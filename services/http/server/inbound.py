"""Interface of a request for a relay: streamed content, the client's address, and interim responses.

A relay is a handler that is called at the head of a request instead of at its end: an intermediary forwards content
while it receives it (RFC 9110 sections 7.6 and 10.1.1).
"""

import asyncio
from typing import TYPE_CHECKING, Protocol

from services.http.messages import Response, StreamedBody
from services.http.server.body_stream import BodyStream
from services.listener import Slot

if TYPE_CHECKING:
    from services.http.server.server import HTTPServer, Served


class Inbound(Protocol):
    """One request's content and client."""

    @property
    def content(self) -> BodyStream | None:
        """The request's content; None for a request without content."""
        ...

    @property
    def peer(self) -> str:
        """The client's address and port."""
        ...

    def send_interim(self, response: Response) -> None:
        """Send a 1xx response before the final one, unless the client's version has none."""
        ...


class BufferedRequest:
    """A request with complete content: over HTTP/2 this server buffers it first."""

    def __init__(self, content: bytes, peer: str) -> None:
        self.content: BodyStream | None = None
        self.peer = peer
        if content:
            self.content = BodyStream(len(content))
            self.content.feed(content)
            self.content.finish()

    def send_interim(self, response: Response) -> None:
        """Drop it: interim responses are optional here (RFC 9110 section 15.2)."""


class Takeover(StreamedBody):
    """A response body that takes over the connection after the response's head: a tunnel (RFC 9110 9.3.6)."""

    def take_over(self, server: "HTTPServer", transport: asyncio.Transport, slot: Slot, octets: bytes) -> "Served":
        """Return the protocol that takes over; `octets` were received after the request."""
        raise NotImplementedError
