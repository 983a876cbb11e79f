"""What a relay sees of the client that it answers: the content as it comes, and the way back for interim responses.

A relay is a handler that is asked at the head of a request, not at its end: an intermediary passes content on while
it comes (RFC 9110 sections 7.6 and 10.1.1).
"""

import asyncio
from typing import TYPE_CHECKING, Protocol

from services.http.messages import Arriving, Response
from services.http.server.body_stream import Arrival
from services.listener import Slot

if TYPE_CHECKING:
    from services.http.server.server import HTTPServer, Served


class Inbound(Protocol):
    """One request's client. `content` is None for a request without any."""

    @property
    def content(self) -> Arrival | None:
        """The request's content."""
        ...

    @property
    def peer(self) -> str:
        """Who asks: address and port."""
        ...

    def send_interim(self, response: Response) -> None:
        """Send a 1xx response ahead of the final one, where the client's version has them."""
        ...


class Whole:
    """A request that came as a whole, by a version whose content this server gathers first."""

    def __init__(self, content: bytes, peer: str) -> None:
        self.content: Arrival | None = None
        self.peer = peer
        if content:
            self.content = Arrival(len(content))
            self.content.feed(content)
            self.content.finish()

    def send_interim(self, response: Response) -> None:
        """Leave it out, as every recipient may (RFC 9110 section 15.2 asks no more of a client)."""


class Takeover(Arriving):
    """No content, but who goes on with the client's connection behind this response's head (RFC 9110 9.3.6)."""

    def take_over(self, server: "HTTPServer", transport: asyncio.Transport, slot: Slot, octets: bytes) -> "Served":
        """Return who is served from here on; `octets` came behind the request."""
        raise NotImplementedError
