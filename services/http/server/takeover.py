"""Protocol takeover: a response after whose header another protocol uses the connection (RFC 9110 section 9.3.6)."""

import asyncio

from services.connections import Slot
from services.http.messages import StreamedBody
from services.http.server.context import Served, ServerContext


class Takeover(StreamedBody):
    """A response body that takes over the connection after the response's head: a tunnel (RFC 9110 9.3.6)."""

    def take_over(self, context: ServerContext, transport: asyncio.Transport, slot: Slot, octets: bytes) -> Served:
        """Return the protocol that takes over the connection; `octets` were received after the request."""
        raise NotImplementedError
