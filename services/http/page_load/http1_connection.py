"""HTTP/1 client connection on asyncio, with times of connection set-up, requests and responses.

async with connect(connector, link.origin) as connection:
    [fetched] = await connection.exchange([link], HTTP_1_1)     # one Fetched (response and times) per link
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from lab7.services.http.fields import FieldLine
from lab7.services.http.http1.connection import ClientConnection
from lab7.services.http.http1.states import HalfState
from lab7.services.http.messages import HTTP_1_1, Closed, Data, EndOfMessage, Event, Fault, Response, Version
from lab7.services.http.page_load.connector import (
    Connector,
    Fetched,
    IncomingResponse,
    LoadError,
    NetworkStream,
    Sink,
    page_request,
)
from lab7.services.http.page_load.timing import ObjectReport
from lab7.services.http.urls import Link, Origin


@asynccontextmanager
async def connect(connector: Connector, origin: Origin) -> AsyncIterator["Http1Connection"]:
    """Open an HTTP/1 connection for an `async with` block; raises LoadError."""
    async with connector.open(origin) as stream:
        yield Http1Connection(stream)


class Http1Connection:
    """HTTP/1 connection to an origin, with pipelining."""

    def __init__(self, stream: NetworkStream) -> None:
        self._stream = stream
        self._connector = stream.connector
        self._read_s = 0.0
        self._first_byte_s: float | None = None
        self.sent_octets = 0
        self._core = ClientConnection(stream.connector.limits.object_octets)

    @property
    def persistent(self) -> bool:
        """True if another request may be sent on this connection."""
        return self._core.persistent

    @property
    def has_switched(self) -> bool:
        """True if the server accepted an upgrade, so that the response follows in the new protocol."""
        return self._core.has_switched

    def take_rest(self) -> bytes:
        """Return the octets of the new protocol received after 101."""
        return self._core.take_rest()

    async def exchange(
        self,
        links: Sequence[Link],
        version: Version = HTTP_1_1,
        sink: Sink | None = None,
        extra: Sequence[FieldLine] = (),
    ) -> list[Fetched]:
        """Send a GET for each link, all in one write, and return the responses in the order of the links.

        There are fewer responses than links if the server closes the connection between two responses, or switches to
        another protocol. Content is passed to `sink` as it arrives. Raises LoadError for an invalid response.
        """
        requests = [self._core.send_request(page_request(link, version, extra)) for link in links]
        request_s = self._connector.elapsed_s()
        octets = b"".join(requests)
        self.sent_octets += len(octets)
        self._stream.write(octets)
        done: list[Fetched] = []
        incoming = IncomingResponse(sink)
        while len(done) < len(links):
            link = links[len(done)]
            events = await self._read(link)
            if not events or isinstance(events[0], Closed) or self.has_switched:
                break
            for event in events:
                self._handle(event, incoming, link)
                if isinstance(event, EndOfMessage):
                    done.append(self._fetched(link, incoming, request_s, len(requests[len(done)])))
                    incoming = IncomingResponse(sink)
                    link = links[min(len(done), len(links) - 1)]
        return done

    async def _read(self, link: Link) -> list[Event]:
        """Return the next events, an empty list at the end of the connection; raises LoadError on a timeout."""
        while self._core.unanswered:
            if self._core.receiving is HalfState.BODY or self._core.unparsed_octets:
                # A part of a response has been received: wait for the missing octets at most `stall_s`.
                stall_s = self._connector.limits.stall_s
                data = await self._stream.read(f"the response for {link.url} did not go on", stall_s)
            else:
                data = await self._stream.read(f"no response for {link.url}")
            self._read_s = self._connector.elapsed_s()
            if self._first_byte_s is None:
                self._first_byte_s = self._read_s
            events = self._core.receive_data(data) if data else self._core.receive_eof()
            if events or not data:
                return events
        return []

    def _handle(self, event: Event, incoming: IncomingResponse, link: Link) -> None:
        if isinstance(event, Fault):
            raise LoadError(f"{link.url} was not loaded: {event.detail}")
        if isinstance(event, Response) and event.status >= 200:
            incoming.status, incoming.fields = event.status, event.fields
        if isinstance(event, Data):
            incoming.add(event.data)

    def _fetched(self, link: Link, incoming: IncomingResponse, request_s: float, request_size_bytes: int) -> Fetched:
        report = ObjectReport(
            link.url,
            incoming.status,
            incoming.size_octets,
            incoming.digest.hexdigest(),
            request_s,
            self._read_s if self._first_byte_s is None else self._first_byte_s,
            self._read_s,
            self._stream.number,
            request_header_size_bytes=request_size_bytes,
            response_header_size_bytes=self._core.take_head_size(),
        )
        # Octets read beyond a response begin the next response, whose first octet gets the time of this read.
        self._first_byte_s = self._read_s if self._core.unparsed_octets else None
        return Fetched(link, report, incoming.fields)
