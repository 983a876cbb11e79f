"""One client connection of HTTP/1 on asyncio: send requests, read their responses, with the time of each step.

async with connect(session, link.origin) as connection:
    [fetched] = await connection.exchange([link], HTTP_1_1)
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from services.http.fields import FieldLine
from services.http.http1.client_connection import ClientConnection
from services.http.messages import HTTP_1_1, Closed, Data, EndOfMessage, Event, Fault, Response, Version
from services.http.page_load.load import Arriving, Fetched, LoadError, Session, Sink, Wire, page_request
from services.http.page_load.timing import ObjectReport
from services.http.urls import Link, Origin


@asynccontextmanager
async def connect(session: Session, origin: Origin) -> AsyncIterator["Connection"]:
    """Open a connection for the length of a `with`; raises LoadError."""
    async with session.open(origin) as wire:
        yield Connection(wire)


class Connection:
    """A connection to an origin, on which requests go out and responses come back in order."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._session = wire.session
        self._read_s = 0.0
        self._first_byte_s: float | None = None
        self.sent_octets = 0
        self._core = ClientConnection(wire.session.bounds.object_octets)

    @property
    def persistent(self) -> bool:
        """Whether another request may follow."""
        return self._core.persistent

    @property
    def has_switched(self) -> bool:
        """Whether the server took up an upgrade: the response is still to come, by the other protocol."""
        return self._core.has_switched

    def take_rest(self) -> bytes:
        """Return what came of the other protocol behind 101."""
        return self._core.take_rest()

    async def exchange(
        self,
        links: Sequence[Link],
        version: Version = HTTP_1_1,
        sink: Sink | None = None,
        extra: Sequence[FieldLine] = (),
    ) -> list[Fetched]:
        """Send a GET for each link, all in one write, and return the responses that came, in the same order.

        Fewer come back than went out where the server ends the connection after a whole response, or switches to
        another protocol. The content goes to `sink`, piece by piece. Raises LoadError for anything that is no response.
        """
        requests = [self._core.send_request(page_request(link, version, extra)) for link in links]
        request_s = self._session.elapsed_s()
        octets = b"".join(requests)
        self.sent_octets += len(octets)
        self._wire.write(octets)
        done: list[Fetched] = []
        arriving = Arriving(sink)
        while len(done) < len(links):
            link = links[len(done)]
            events = await self._read(link)
            if not events or isinstance(events[0], Closed) or self.has_switched:
                break
            for event in events:
                self._note(event, arriving, link)
                if isinstance(event, EndOfMessage):
                    done.append(self._fetched(link, arriving, request_s, len(requests[len(done)])))
                    arriving = Arriving(sink)
                    link = links[min(len(done), len(links) - 1)]
        return done

    async def _read(self, link: Link) -> list[Event]:
        """Return the next events, none at a clean end of the connection."""
        while self._core.unanswered:
            data = await self._wire.read(f"nothing came of {link.url}")
            self._read_s = self._session.elapsed_s()
            if self._first_byte_s is None:
                self._first_byte_s = self._read_s
            events = self._core.receive_data(data) if data else self._core.receive_eof()
            if events or not data:
                return events
        return []

    def _note(self, event: Event, arriving: Arriving, link: Link) -> None:
        if isinstance(event, Fault):
            raise LoadError(f"{link.url} was not loaded: {event.detail}")
        if isinstance(event, Response) and event.status >= 200:
            arriving.status, arriving.fields = event.status, event.fields
        if isinstance(event, Data):
            arriving.take(event.data)

    def _fetched(self, link: Link, arriving: Arriving, request_s: float, request_size_bytes: int) -> Fetched:
        report = ObjectReport(
            link.url,
            arriving.status,
            arriving.size_octets,
            arriving.digest.hexdigest(),
            request_s,
            self._read_s if self._first_byte_s is None else self._first_byte_s,
            self._read_s,
            self._wire.number,
            request_header_size_bytes=request_size_bytes,
            response_header_size_bytes=self._core.take_head_size(),
        )
        # What was read beyond this response is the next one's first octets.
        self._first_byte_s = self._read_s if self._core.unparsed_octets else None
        return Fetched(link, report, arriving.fields)
