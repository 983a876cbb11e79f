"""Connections of one page load on asyncio: name resolution, TCP and TLS set-up with their times, and time limits.

    async with connector.open(link.origin) as stream:       # a NetworkStream
        stream.write(octets)
        octets = await stream.read("no response")           # LoadError "no response ..." after a timeout

Limits: the time of each network operation, the size of each object, and the time of the whole load (in load_page).
"""

import asyncio
import hashlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from lab7.services.http.fields import FieldLine, Fields
from lab7.services.http.messages import NO_FIELDS, Request, Version
from lab7.services.http.page_load import happy_eyeballs
from lab7.services.http.page_load.happy_eyeballs import Address
from lab7.services.http.page_load.timing import ConnectionReport, ObjectReport
from lab7.services.http.urls import Link, Origin
from lab7.services.tls import HTTP_1, Trust, client_context

USER_AGENT = b"lab7"
READ_OCTETS = 262_144

Result = TypeVar("Result")
Sink = Callable[[bytes], object]


class LoadError(Exception):
    """Error for a page that could not be loaded; the message gives the reason in one sentence."""


@dataclass(frozen=True, slots=True)
class LoadLimits:
    """Limits of a page load: seconds per network operation and per page, octets per object, objects per page."""

    wait_s: float = 30.0
    # Timeout in seconds for the next octets of a response that has begun.
    stall_s: float = 30.0
    page_s: float = 300.0
    object_octets: int = 256 * 1024 * 1024
    # Maximum size of the base page, which is buffered for the HTML parser.
    page_octets: int = 16 * 1024 * 1024
    # Maximum objects of a page: the HTTP Archive's median page has about seventy, pages of experiments have fewer.
    objects: int = 512


@dataclass(slots=True)
class Fetched:
    """A completely received response: Link, ObjectReport and header fields; the content was passed to a callback."""

    link: Link
    report: ObjectReport
    fields: Fields


@dataclass(slots=True)
class IncomingResponse:
    """Response that is being received: its status, its fields, and the size and hash of its content so far."""

    sink: Sink | None
    status: int = 0
    fields: Fields = NO_FIELDS
    size_octets: int = 0
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> None:
        """Add a piece of content: count and hash it, and pass it to the sink, if any."""
        self.size_octets += len(data)
        self.digest.update(data)
        if self.sink is not None:
            self.sink(data)


def page_request(link: Link, version: Version, extra: Sequence[FieldLine] = ()) -> Request:
    """Return the GET request for an object of a page; `extra` are additional header fields, such as Upgrade."""
    lines = ((b"Host", link.origin.authority), (b"User-Agent", USER_AGENT), (b"Accept", b"*/*"), *extra)
    return Request(b"GET", link.request_target, Fields(lines), version)


@dataclass(slots=True)
class NetworkStream:
    """Open TCP or TLS connection to an origin; `number` is the index of its ConnectionReport in the page report."""

    connector: "Connector"
    origin: Origin
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    number: int

    @property
    def protocol(self) -> str | None:
        """The protocol negotiated with ALPN, None without TLS or ALPN."""
        secured: ssl.SSLObject | None = self.writer.get_extra_info("ssl_object")
        return None if secured is None else secured.selected_alpn_protocol()

    async def read(self, failure: str, limit_s: float | None = None) -> bytes:
        """Return the next octets, b"" at the end or after a reset.

        Raises LoadError on a timeout; its message begins with `failure`.
        """
        try:
            return await self.connector.with_timeout(self.reader.read(READ_OCTETS), failure, limit_s)
        except OSError:
            return b""

    def write(self, octets: bytes) -> None:
        """Send octets; do nothing for b"" or while the connection is closing."""
        if octets and not self.writer.is_closing():
            self.writer.write(octets)


class Connector:
    """Opener of connections for one page load; holds the clock, limits, resolved addresses and connection reports."""

    def __init__(self, limits: LoadLimits, trust: Trust | None = None) -> None:
        self.limits = limits
        self.connections: list[ConnectionReport] = []
        self._trust = trust or Trust()
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._addresses: dict[Origin, list[tuple[str, int]]] = {}

    def elapsed_s(self) -> float:
        """Return the time since the start of the page load in seconds."""
        return self._loop.time() - self._started

    @asynccontextmanager
    async def open(self, origin: Origin, protocol: str = HTTP_1) -> AsyncIterator[NetworkStream]:
        """Open a connection for an `async with` block; raises LoadError. Over TLS, offer `protocol` by ALPN."""
        # Create the context before the clock starts: loading CA certificates is not part of a reported time.
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
            yield NetworkStream(self, origin, reader, writer, len(self.connections) - 1)
        finally:
            writer.close()

    def _context(self, origin: Origin, protocol: str) -> ssl.SSLContext | None:
        if origin.scheme != "https":
            return None
        try:
            return client_context(self._trust, protocol)
        except OSError as error:
            raise LoadError(f"CA certificates {self._trust.authorities} cannot be read: {error}") from error

    async def _secure(self, origin: Origin, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        place = f"{origin.host} port {origin.port}"
        try:
            handshake = writer.start_tls(context, server_hostname=origin.host)
            await self.with_timeout(handshake, f"the TLS handshake with {place} did not complete")
        except (OSError, ValueError) as error:
            raise LoadError(f"TLS handshake with {place} failed: {error}") from error

    async def _resolve(self, origin: Origin) -> list[tuple[str, int]]:
        """Resolve an origin into (address, port) pairs, once per page load, as a browser's cache does."""
        if origin not in self._addresses:
            lookup = self._loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
            try:
                results = await self.with_timeout(lookup, f"the name {origin.host} was not resolved")
            except (OSError, UnicodeError) as error:
                raise LoadError(f"cannot resolve the name {origin.host}: {error}") from error
            self._addresses[origin] = [(str(item[4][0]), origin.port) for item in results]
        return self._addresses[origin]

    async def _open(
        self, origin: Origin, addresses: Sequence[Address]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, str]:
        async def attempt(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            connecting = asyncio.open_connection(*address)
            return await self.with_timeout(
                connecting, f"no connection to {address[0]} port {address[1]} was established"
            )

        try:
            (reader, writer), address = await happy_eyeballs.connect(
                addresses, attempt, lambda opened: opened[1].close()
            )
        except (OSError, LoadError) as error:
            raise LoadError(f"cannot connect to {origin.host} port {origin.port}: {error}") from error
        return reader, writer, address[0]

    async def with_timeout(self, step: Awaitable[Result], failure: str, limit_s: float | None = None) -> Result:
        """Await one network operation for at most `limit_s` seconds (default: LoadLimits.wait_s); return its result.

        Raises LoadError on a timeout; its message begins with `failure`.
        """
        limit_s = self.limits.wait_s if limit_s is None else limit_s
        try:
            async with asyncio.timeout(limit_s):
                return await step
        except TimeoutError as error:
            raise LoadError(f"{failure} within {limit_s:g} s") from error
