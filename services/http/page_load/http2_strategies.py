"""Page-load strategies of HTTP/2, one function each: multiplexed, pushed, upgraded from HTTP/1.1.

Each function fetches the objects of a page over one HTTP/2 connection per origin. RFC 9113 sections 3.3 (prior
knowledge), 5.1.2 (limit of concurrent streams), 6.8 and 8.7 (retries of unprocessed requests) and 8.4 (push); RFC 7540
section 3.2 (Upgrade: h2c). strategies.py compares the load times of all strategies.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from lab7.services.http.http2.client_connection import Http2ClientConnection
from lab7.services.http.messages import HTTP_1_1
from lab7.services.http.page_load.connector import Connector, Fetched, LoadError, Sink
from lab7.services.http.page_load.http1_connection import Http1Connection
from lab7.services.http.page_load.http1_strategies import Http1Connections, fetch_pipelined
from lab7.services.http.page_load.http2_connection import Http2Connection, connect
from lab7.services.http.page_load.load_state import LoadState, run_concurrently, single_response
from lab7.services.http.urls import Link, Origin


class Http2Connections:
    """HTTP/2 connections of a page load, one per origin; a connection closed by the server is replaced."""

    def __init__(self, connector: Connector, stack: AsyncExitStack, push: bool = False) -> None:
        self._connector = connector
        self._stack = stack
        self._push = push
        self._open: dict[Origin, Http2Connection] = {}

    async def get(self, origin: Origin) -> Http2Connection:
        """Return the connection to an origin, opening it if necessary."""
        connection = self._open.get(origin)
        if connection is None or not connection.is_open:
            connection = await self._stack.enter_async_context(connect(self._connector, origin, self._push))
            self._open[origin] = connection
        return connection

    def add(self, origin: Origin, connection: Http2Connection) -> None:
        """Add a connection that is already open, to be used for requests to its origin."""
        self._open[origin] = connection
        self._stack.callback(connection.send_goaway)


async def multiplexed(load: LoadState) -> None:
    """Load a page by strategy 2: the base page, then all its objects at once on streams, with push disabled."""
    await _load(load, push=False)


async def pushed(load: LoadState) -> None:
    """Load a page by strategy 2-push: the server pushes objects with the base page, others are requested."""
    await _load(load, push=True)


async def _load(load: LoadState, push: bool) -> None:
    async with AsyncExitStack() as stack:
        connections = Http2Connections(load.connector, stack, push)
        load.fetched += await fetch_streams(connections, [load.link], load.sink)
        await _load_links(load, connections)


async def _load_links(load: LoadState, connections: Http2Connections) -> None:
    groups = load.links_by_origin().values()
    for fetched in await run_concurrently(fetch_streams(connections, group, None) for group in groups):
        load.fetched += fetched


async def fetch_streams(connections: Http2Connections, links: Sequence[Link], sink: Sink | None) -> list[Fetched]:
    """Fetch links of one origin concurrently, and retry the requests that the server has not processed."""
    done: dict[int, Fetched] = {}
    failed_attempts = 0
    while waiting := [index for index in range(len(links)) if index not in done]:
        connection = await connections.get(links[0].origin)
        responses = await connection.fetch([links[index] for index in waiting], sink)
        new = {index: fetched for index, fetched in zip(waiting, responses, strict=True) if fetched is not None}
        done |= new
        failed_attempts = 0 if new else failed_attempts + 1
        if failed_attempts > 1:
            raise LoadError(f"{links[waiting[0]].url} was not loaded: the server closed the connection")
    return [done[index] for index in range(len(links))]


async def upgraded(load: LoadState) -> None:
    """Load a page by strategy 2-upgrade: the first request offers h2c; if declined, HTTP/1.1 loads the objects."""
    if load.link.origin.scheme != "http":
        raise LoadError(f"{load.link.url} is an https URL: the version is negotiated with ALPN, not by Upgrade")
    async with AsyncExitStack() as stack:
        stream = await stack.enter_async_context(load.connector.open(load.link.origin))
        core, first = Http2ClientConnection(push=False), Http1Connection(stream)
        # RFC 7540 section 3.2.1: Upgrade and HTTP2-Settings are hop-by-hop.
        offer = (
            (b"Connection", b"Upgrade, HTTP2-Settings"),
            (b"Upgrade", b"h2c"),
            (b"HTTP2-Settings", core.offer_upgrade()),
        )
        request_s = load.connector.elapsed_s()
        responses = await first.exchange([load.link], HTTP_1_1, load.sink, offer)
        if not first.has_switched:
            load.fetched.append(single_response(load.link, responses))
            await _continue_in_http1(load, stack, first)
            return
        second, connections = Http2Connection(stream, core), Http2Connections(load.connector, stack)
        connections.add(load.link.origin, second)
        second.start_upgraded(first.take_rest(), request_s, load.sink)
        page = await second.complete(load.link, 1)
        load.fetched.append(single_response(load.link, [page] if page else []))
        # The page's request was sent in HTTP/1.1, so the reported size is the size of an HTTP/1.1 head.
        load.fetched[0].report = replace(load.fetched[0].report, request_header_size_bytes=first.sent_octets)
        await _load_links(load, connections)


async def _continue_in_http1(load: LoadState, stack: AsyncExitStack, first: Http1Connection) -> None:
    """Load the objects by HTTP/1.1 on the connection that is already open, each after the previous response."""
    connections = Http1Connections(load.connector, stack)
    connections.add(load.link.origin, first)
    for link in load.links():
        load.fetched += await fetch_pipelined(connections, [link], None)
