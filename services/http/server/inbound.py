"""Interface of a request that a relay forwards: streamed content, the client's address, and interim responses.

A relay is a handler that is called at the head of a request instead of at its end: an intermediary forwards content
while it receives it (RFC 9110 sections 7.6 and 10.1.1).
"""

from typing import Protocol

from lab7.services.http.messages import Response
from lab7.services.http.server.body_stream import BodyStream


class Inbound(Protocol):
    """Content of one request as it arrives, and its client."""

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
    """Request with complete content, which the server buffers over HTTP/2 before it calls a relay."""

    def __init__(self, content: bytes, peer: str) -> None:
        self.content: BodyStream | None = None
        self.peer = peer
        if content:
            self.content = BodyStream(len(content))
            self.content.feed(content)
            self.content.finish()

    def send_interim(self, response: Response) -> None:
        """Drop the response: interim responses are optional here (RFC 9110 section 15.2)."""
