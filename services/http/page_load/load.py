"""One page load under way: its clock, its bounds, the names it resolved and the connections it opened, on asyncio.

    async with session.open(link.origin) as wire:
        wire.write(octets)
        octets = await wire.read("nothing came")

Bounds: each wait for the peer, the size of each object, and the page as a whole (in load_page).
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from services.http.fields import FieldLine, Fields
from services.http.messages import NO_FIELDS, Request, Version
from services.http.page_load.timing import ConnectionReport, ObjectReport
from services.http.urls import Link, Origin
from services.tls import HTTP_1, Trust, client_context

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
class Arriving:
    """The response that is being read."""

    sink: Sink | None
    status: int = 0
    fields: Fields = NO_FIELDS
    size_octets: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def take(self, data: bytes) -> None:
        """Take some of its content."""
        self.size_octets += len(data)
        self.digest.update(data)
        if self.sink is not None:
            self.sink(data)


def page_request(link: Link, version: Version, extra: Sequence[FieldLine] = ()) -> Request:
    """Return the request for an object, the same by every strategy but for `extra`."""
    lines = ((b"Host", link.origin.authority), (b"User-Agent", USER_AGENT), (b"Accept", b"*/*"), *extra)
    return Request(b"GET", link.request_target, Fields(lines), version)


@dataclass(slots=True)
class Wire:
    """An open connection, with its index in the report."""

    session: "Session"
    origin: Origin
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    @property
    def protocol(self) -> str | None:
        """What was agreed on in TLS, if anything was."""
        secured: ssl.SSLObject | None = self.writer.get_extra_info("ssl_object")
        return None if secured is None else secured.selected_alpn_protocol()

    async def read(self, complaint: str) -> bytes:
        """Return what comes next, nothing at the end; a reset ends a connection as its end does. Raises LoadError."""
        try:
            return await self.session.within(self.reader.read(READ_OCTETS), complaint)
        except OSError:
            return b""

    def write(self, octets: bytes) -> None:
        """Send octets, if there are any and the connection is still there to take them."""
        if octets and not self.writer.is_closing():
            self.writer.write(octets)


class Session:
    """One page load: its clock, its bounds, the addresses it resolved and the connections it opened."""

    def __init__(self, bounds: Bounds, trust: Trust | None = None) -> None:
        self.bounds = bounds
        self.connections: list[ConnectionReport] = []
        self._trust = trust or Trust()
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._addresses: dict[Origin, list[tuple[str, int]]] = {}

    def elapsed_s(self) -> float:
        """Return the seconds since the load began."""
        return self._loop.time() - self._started

    @asynccontextmanager
    async def open(self, origin: Origin, protocol: str = HTTP_1) -> AsyncIterator[Wire]:
        """Open a connection for the length of a `with`, and in TLS ask for `protocol`; raises LoadError."""
        # Reading the authorities is no part of any time that is reported.
        context = self._context(origin, protocol)
        opened_s = self.elapsed_s()
        addresses = await self._resolve(origin)
        resolved_s = self.elapsed_s()
        reader, writer, address = await self._open(origin, addresses)
        connected_s = self.elapsed_s()
        try:
            if context is not None:
                await self._secure(origin, writer, context)
            self.connections.append(
                ConnectionReport(
                    origin.host,
                    origin.port,
                    address,
                    opened_s,
                    resolved_s - opened_s,
                    connected_s - resolved_s,
                    self.elapsed_s() - connected_s if context is not None else 0.0,
                )
            )
            yield Wire(self, origin, reader, writer, len(self.connections) - 1)
        finally:
            writer.close()

    def _context(self, origin: Origin, protocol: str) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        try:
            return client_context(self._trust, protocol)
        except OSError as error:
            raise LoadError(f"the authorities in {self._trust.authorities} cannot be read: {error}") from error

    async def _secure(self, origin: Origin, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        place = f"{origin.host} port {origin.port}"
        try:
            handshake = writer.start_tls(context, server_hostname=origin.host)
            await self.within(handshake, f"no TLS handshake with {place}")
        except (OSError, ValueError) as error:
            raise LoadError(f"no TLS connection to {place}: {error}") from error

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
