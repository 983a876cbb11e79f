"""Page-load strategies of HTTP/1, one function each: serial, parallel, persistent, pipelined.

Each function fetches the objects of a page with its own number of connections and order of requests. RFC 9112 sections
9.3 (persistence), 9.3.2 (pipelining, with retries of unanswered requests) and 9.4 (concurrency). strategies.py compares
the load times of all strategies.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from lab7.services.http.limits import PIPELINED_REQUESTS
from lab7.services.http.messages import HTTP_1_0, HTTP_1_1
from lab7.services.http.page_load.connector import Connector, Fetched, LoadError, Sink
from lab7.services.http.page_load.http1_connection import Http1Connection, connect
from lab7.services.http.page_load.load_state import LoadState, run_concurrently, single_response
from lab7.services.http.urls import Link, Origin


async def _fetch_alone(load: LoadState, link: Link, sink: Sink | None = None) -> Fetched:
    """Fetch one object by HTTP/1.0 on a new connection; return the response as a Fetched."""
    async with connect(load.connector, link.origin) as connection:
        return single_response(link, await connection.exchange([link], HTTP_1_0, sink))


async def single(load: LoadState) -> None:
    """Load one URL by HTTP/1.1, without parsing it for embedded objects."""
    async with connect(load.connector, load.link.origin) as connection:
        load.fetched.append(single_response(load.link, await connection.exchange([load.link], HTTP_1_1, load.sink)))


async def serial(load: LoadState) -> None:
    """Load a page by strategy 1.0-serial: one object after another, each on a new connection."""
    load.fetched.append(await _fetch_alone(load, load.link, load.sink))
    for link in load.links():
        load.fetched.append(await _fetch_alone(load, link))


async def parallel(load: LoadState) -> None:
    """Load a page by strategy 1.0-parallel: one new connection per object, at most `load.parallel` of them at once."""
    load.fetched.append(await _fetch_alone(load, load.link, load.sink))
    slots = asyncio.Semaphore(load.parallel)

    async def fetch(link: Link) -> Fetched:
        async with slots:
            return await _fetch_alone(load, link)

    load.fetched += await run_concurrently(fetch(link) for link in load.links())


class Http1Connections:
    """Persistent HTTP/1.1 connections of a page load, one per origin; a connection closed by the server is replaced."""

    def __init__(self, connector: Connector, stack: AsyncExitStack) -> None:
        self._connector = connector
        self._stack = stack
        self._open: dict[Origin, Http1Connection] = {}

    async def get(self, origin: Origin) -> Http1Connection:
        """Return the connection to an origin, opening it if necessary."""
        connection = self._open.get(origin)
        if connection is None or not connection.persistent:
            connection = await self._stack.enter_async_context(connect(self._connector, origin))
            self._open[origin] = connection
        return connection

    def add(self, origin: Origin, connection: Http1Connection) -> None:
        """Add a connection that is already open, to be used for requests to its origin."""
        self._open[origin] = connection


async def persistent(load: LoadState) -> None:
    """Load a page by strategy 1.1-persistent: one connection, each request after the previous response."""
    async with AsyncExitStack() as stack:
        connections = Http1Connections(load.connector, stack)
        load.fetched += await fetch_pipelined(connections, [load.link], load.sink)
        for link in load.links():
            load.fetched += await fetch_pipelined(connections, [link], None)


async def pipelined(load: LoadState) -> None:
    """Load a page by strategy 1.1-pipelined: one connection, the requests for all objects in one write."""
    async with AsyncExitStack() as stack:
        connections = Http1Connections(load.connector, stack)
        load.fetched += await fetch_pipelined(connections, [load.link], load.sink)
        groups = load.links_by_origin().values()
        for fetched in await run_concurrently(fetch_pipelined(connections, group, None) for group in groups):
            load.fetched += fetched


async def fetch_pipelined(connections: Http1Connections, links: Sequence[Link], sink: Sink | None) -> list[Fetched]:
    """Fetch links of one origin with pipelined requests.

    Unanswered requests are retried on a new connection (RFC 9112 section 9.3.2). One attempt without any response is
    tolerated, because the server may have closed an idle persistent connection (section 9.5).
    """
    fetched: list[Fetched] = []
    failed_attempts = 0
    while len(fetched) < len(links):
        connection = await connections.get(links[0].origin)
        responses = await connection.exchange(links[len(fetched) :][:PIPELINED_REQUESTS], HTTP_1_1, sink)
        failed_attempts = 0 if responses else failed_attempts + 1
        if failed_attempts > 1:
            raise LoadError(f"{links[len(fetched)].url} was not loaded: the server closed the connection")
        fetched += responses
    return fetched
