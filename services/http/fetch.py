"""One client connection on asyncio: resolve, connect, send requests, read their responses, with the time of each step.

    async with session.connect(link.origin) as connection:
        [fetched] = await connection.exchange([link], HTTP_1_1)

Bounds: each wait for the peer, the size of each object, and the page as a whole (in load_page).
"""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from services.http.client_connection import ClientConnection
from services.http.fields import Fields
from services.http.messages import (
    HTTP_1_1,
    NO_FIELDS,
    Closed,
    Data,
    EndOfMessage,
    Event,
    Fault,
    Request,
    Response,
    Version,
)
from services.http.report import ConnectionReport, ObjectReport
from services.http.urls import Link, Origin

USER_AGENT = b"lab7"
READ_OCTETS = 262_144

Result = TypeVar("Result")
Sink = Callable[[bytes], object]


class LoadError(Exception):
    """A page cannot be loaded; the text is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a load may take: seconds for each wait and for the page, octets an object, objects a page."""

    wait_s: float = 30.0
    page_s: float = 300.0
    object_octets: int = 256 * 1024 * 1024
    # A page is parsed whole, so it is held whole.
    page_octets: int = 16 * 1024 * 1024
    # The HTTP Archive's median page has some seventy requests; this is several times the largest lesson.
    objects: int = 512


@dataclass(slots=True)
class Fetched:
    """A response whose content went to a sink, and the report on it."""

    link: Link
    report: ObjectReport
    fields: Fields


@dataclass(slots=True)
class _Arriving:
    """The response that is being read."""

    sink: Sink | None
    status: int = 0
    fields: Fields = NO_FIELDS
    size_octets: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class Session:
    """One page load: its clock, its bounds, the addresses it resolved and the connections it opened."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.connections: list[ConnectionReport] = []
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._addresses: dict[Origin, list[tuple[str, int]]] = {}

    def elapsed_s(self) -> float:
        """Return the seconds since the load began."""
        return self._loop.time() - self._started

    @asynccontextmanager
    async def connect(self, origin: Origin) -> AsyncIterator["Connection"]:
        """Open a connection for the length of a `with`; raises LoadError."""
        opened_s = self.elapsed_s()
        addresses = await self._resolve(origin)
        resolved_s = self.elapsed_s()
        reader, writer, address = await self._open(origin, addresses)
        connected_s = self.elapsed_s()
        self.connections.append(
            ConnectionReport(
                origin.host, origin.port, address, opened_s, resolved_s - opened_s, connected_s - resolved_s
            )
        )
        try:
            yield Connection(self, origin, reader, writer, len(self.connections) - 1)
        finally:
            writer.close()

    async def _resolve(self, origin: Origin) -> list[tuple[str, int]]:
        """Return the addresses of a host, asked for once a load as a browser's cache does."""
        if origin not in self._addresses:
            asked = self._loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            try:
                found = await self.within(asked, f"no answer about the name {origin.host}")
            except (OSError, UnicodeError) as error:
                raise LoadError(f"the name {origin.host} cannot be resolved: {error}") from error
            self._addresses[origin] = [(str(item[4][0]), origin.port) for item in found]
        return self._addresses[origin]

    async def _open(
        self, origin: Origin, addresses: Sequence[tuple[str, int]]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        failure: Exception | None = None
        for address, port in addresses:
            try:
                opening = asyncio.open_connection(address, port)
                reader, writer = await self.within(opening, f"no connection to {address} port {port}")
            except (OSError, LoadError) as error:
                failure = error
            else:
                return reader, writer, address
        raise LoadError(f"{origin.host} port {origin.port} cannot be reached: {failure}")

    async def within(self, step: Awaitable[Result], complaint: str) -> Result:
        """Wait for one step of the peer's, no longer than the bound; raises LoadError with the complaint."""
        try:
            async with asyncio.timeout(self.bounds.wait_s):
                return await step
        except TimeoutError as error:
            raise LoadError(f"{complaint} within {self.bounds.wait_s:g} s") from error


class Connection:
    """A connection to an origin, on which requests go out and responses come back in order."""

    def __init__(
        self,
        session: Session,
        origin: Origin,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        number: int,
    ) -> None:
        self._session = session
        self._origin = origin
        self._reader = reader
        self._writer = writer
        self._number = number
        self._read_s = 0.0
        self._first_byte_s: float | None = None
        self._core = ClientConnection(session.bounds.object_octets)

    @property
    def persistent(self) -> bool:
        """Whether another request may follow."""
        return self._core.persistent

    async def exchange(
        self, links: Sequence[Link], version: Version = HTTP_1_1, sink: Sink | None = None
    ) -> list[Fetched]:
        """Send a GET for each link, all in one write, and return the responses that came, in the same order.

        Fewer come back than went out where the server ends the connection after a whole response. The content goes
        to `sink`, piece by piece. Raises LoadError for anything that is no response.
        """
        octets = b"".join(self._core.send_request(self._request(link, version)) for link in links)
        request_s = self._session.elapsed_s()
        self._writer.write(octets)
        waiting = list(reversed(links))
        done: list[Fetched] = []
        arriving = _Arriving(sink)
        while waiting:
            events = await self._read(waiting[-1])
            if not events or isinstance(events[0], Closed):
                break
            for event in events:
                self._note(event, arriving, waiting[-1])
                if isinstance(event, EndOfMessage):
                    done.append(self._fetched(waiting.pop(), arriving, request_s))
                    arriving = _Arriving(sink)
        return done

    def _request(self, link: Link, version: Version) -> Request:
        fields = Fields(((b"Host", link.origin.authority), (b"User-Agent", USER_AGENT), (b"Accept", b"*/*")))
        return Request(b"GET", link.request_target, fields, version)

    async def _read(self, link: Link) -> list[Event]:
        """Return the next events, none at a clean end of the connection."""
        while self._core.unanswered:
            try:
                waited = self._reader.read(READ_OCTETS)
                data = await self._session.within(waited, f"nothing came of {link.url}")
            except OSError:
                # A reset ends the connection as its end does: early inside a message, else between two.
                data = b""
            self._read_s = self._session.elapsed_s()
            if self._first_byte_s is None:
                self._first_byte_s = self._read_s
            events = self._core.receive_data(data) if data else self._core.receive_eof()
            if events or not data:
                return events
        return []

    def _note(self, event: Event, arriving: _Arriving, link: Link) -> None:
        if isinstance(event, Fault):
            raise LoadError(f"{link.url} was not loaded: {event.detail}")
        if isinstance(event, Response) and event.status >= 200:
            arriving.status, arriving.fields = event.status, event.fields
        if isinstance(event, Data):
            arriving.size_octets += len(event.data)
            arriving.digest.update(event.data)
            if arriving.sink is not None:
                arriving.sink(event.data)

    def _fetched(self, link: Link, arriving: _Arriving, request_s: float) -> Fetched:
        report = ObjectReport(
            link.url,
            arriving.status,
            arriving.size_octets,
            arriving.digest.hexdigest(),
            request_s,
            self._read_s if self._first_byte_s is None else self._first_byte_s,
            self._read_s,
            self._number,
        )
        # What was read beyond this response is the next one's first octets.
        self._first_byte_s = self._read_s if self._core.waiting_octets else None
        return Fetched(link, report, arriving.fields)
