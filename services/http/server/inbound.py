"""Interface of an HTTP request in progress: its content while it arrives, the client's address, and 1xx responses.

Relays use it: a relay is a handler that is called at the head of a request instead of at its end. An intermediary is a
relay, since it forwards content while it receives it (RFC 9110 sections 7.6 and 10.1.1).
"""

from collections.abc import Callable
from typing import Protocol

from lab7.services.http.fields import Fields
from lab7.services.http.messages import Response
from lab7.services.http.server.body_stream import BodyStream


class Inbound(Protocol):
    """Interface by which a proxy accesses a request in progress: content, client address, interim responses."""

    @property
    def content(self) -> BodyStream | None:
        """Content of the request; None for a request without content."""
        ...

    @property
    def peer(self) -> str:
        """Address and port of the client."""
        ...

    def send_interim(self, response: Response) -> None:
        """Send a 1xx response before the final one, unless the client's HTTP version has no 1xx."""
        ...


class BufferedRequest:
    """Request whose content is complete: over HTTP/2 the server buffers the content before it calls a proxy."""

    def __init__(self, content: bytes, trailers: Fields, peer: str, send_interim: Callable[[Response], None]) -> None:
        self.content: BodyStream | None = None
        self.peer = peer
        self._send_interim = send_interim
        if content:
            self.content = BodyStream(len(content))
            self.content.feed(content)
            self.content.finish(trailers)

    def send_interim(self, response: Response) -> None:
        """Send a 1xx response before the final one."""
        self._send_interim(response)
