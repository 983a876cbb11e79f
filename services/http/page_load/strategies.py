"""Page-load strategies: a table of all strategies, and functions that load a page or a list of objects.

    report = await load_page("http://server/", "1.1-pipelined")
    report = await load_objects(["http://server/large", "http://server/small"], "2")

A page is a base page with n-1 objects on one server. The objects become known only when the base page is parsed, so
every strategy fetches the base page first; the strategies differ in connections and in the order of later requests.
X is the transmission time of all content at the bottleneck, RTT the round-trip time. A TCP handshake takes 1 RTT
before the request can be sent, a request and the start of its response another one:

    1.0-serial      2n RTT + X       a connection for each object, sequentially
    1.0-parallel    4 RTT + X        a connection for each object, all objects at once
    1.1-persistent  (n+1) RTT + X    one connection, each request after the previous response
    1.1-pipelined   3 RTT + X        one connection, the requests for all objects in one write
    2               3 RTT + X        one connection by prior knowledge, all objects at once on streams
    2-upgrade       3 RTT + X        the same; the first request in HTTP/1.1 with Upgrade: h2c
    2-push          2 RTT + X        the same by prior knowledge; the server pushes the objects with the page

(1.0-parallel: if the argument `parallel`, the maximum number of simultaneous connections, is less than n-1, there are
further rounds of 2 RTT.) The formulas leave out slow start, the processing time of client and server, and name
resolution. TLS 1.2 adds two round trips to each connection, TLS 1.3 one; the cost is highest for 1.0-serial, which
opens a connection per object, one after the other.

Pipelining and HTTP/2 have the same formula, yet they differ. Pipelined requests must be answered in order, so a slow or
large response delays all later responses (head-of-line blocking, RFC 9112 section 9.3.2). HTTP/2 interleaves streams,
so small objects complete early; the time of the whole page is the same, since the bottleneck is the same.

Objects of other origins are fetched by the same strategy, with separate connections per origin; strategies with
concurrency fetch from all origins concurrently. A server may close a persistent connection at any time, so the
strategies retry unanswered requests on a new connection (GET is idempotent); two attempts in a row without any
response are an error.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from lab7.services.http.page_load.connector import Connector, Fetched, LoadError, LoadLimits, Sink
from lab7.services.http.page_load.http1_strategies import (
    Http1Connections,
    fetch_pipelined,
    parallel,
    persistent,
    pipelined,
    serial,
    single,
)
from lab7.services.http.page_load.http2_strategies import Http2Connections, fetch_streams, multiplexed, pushed, upgraded
from lab7.services.http.page_load.load_state import LoadState
from lab7.services.http.page_load.timing import PageReport
from lab7.services.http.urls import Link, parse_url
from lab7.services.tls import Trust

# Default number of parallel connections: browsers open six to a host, enough for most pages of the experiments.
DEFAULT_PARALLEL = 6

SINGLE = "single"

Result = TypeVar("Result")

STRATEGIES: dict[str, Callable[[LoadState], Awaitable[None]]] = {
    "1.0-serial": serial,
    "1.0-parallel": parallel,
    "1.1-persistent": persistent,
    "1.1-pipelined": pipelined,
    "2": multiplexed,
    "2-upgrade": upgraded,
    "2-push": pushed,
    SINGLE: single,
}


async def load_page(
    url: str,
    strategy: str,
    *,
    parallel: int = DEFAULT_PARALLEL,
    limits: LoadLimits | None = None,
    sink: Sink | None = None,
    trust: Trust | None = None,
) -> PageReport:
    """Load a page and its objects by a strategy in STRATEGIES.

    Return the PageReport, with times in seconds since the start. `parallel` limits the connections of 1.0-parallel.
    `sink`, if given, gets the content of a `single` load. `trust` has the trust anchors for https. Raises LoadError if
    any object gets no complete response, and KeyError for an unknown strategy.
    """
    run = STRATEGIES[strategy]
    load = LoadState(Connector(limits or LoadLimits(), trust), _parsed(url), parallel, sink)
    await _within_limit(run(load), url, load.connector)
    return _report(load.link.url, strategy, load.fetched, load.connector)


async def _objects_pipelined(connector: Connector, links: Sequence[Link]) -> list[Fetched]:
    async with AsyncExitStack() as stack:
        return await fetch_pipelined(Http1Connections(connector, stack), links, None)


async def _objects_multiplexed(connector: Connector, links: Sequence[Link]) -> list[Fetched]:
    async with AsyncExitStack() as stack:
        return await fetch_streams(Http2Connections(connector, stack), links, None)


OBJECT_STRATEGIES: dict[str, Callable[[Connector, Sequence[Link]], Awaitable[list[Fetched]]]] = {
    "1.1-pipelined": _objects_pipelined,
    "2": _objects_multiplexed,
}


async def load_objects(
    urls: Sequence[str], strategy: str, *, limits: LoadLimits | None = None, trust: Trust | None = None
) -> PageReport:
    """Request all `urls` of one origin at once on one connection, and return the report in the order of the URLs.

    The content is not parsed for links. The strategy is one of OBJECT_STRATEGIES. Raises LoadError as load_page() does,
    also for URLs of several origins, and KeyError for another strategy.
    """
    run = OBJECT_STRATEGIES[strategy]
    links = [_parsed(url) for url in urls]
    if len({link.origin for link in links}) != 1:
        raise LoadError("the URLs have more than one origin")
    connector = Connector(limits or LoadLimits(), trust)
    fetched = await _within_limit(run(connector, links), urls[0], connector)
    return _report(links[0].url, strategy, fetched, connector)


def _parsed(url: str) -> Link:
    try:
        return parse_url(url)
    except ValueError as error:
        raise LoadError(str(error)) from error


async def _within_limit(loading: Awaitable[Result], url: str, connector: Connector) -> Result:
    limits = connector.limits
    try:
        async with asyncio.timeout(limits.page_s):
            return await loading
    except TimeoutError as error:
        raise LoadError(f"{url} was not loaded within {limits.page_s:g} s") from error


def _report(url: str, strategy: str, fetched: Sequence[Fetched], connector: Connector) -> PageReport:
    objects = tuple(response.report for response in fetched)
    size_bytes = sum(item.size_bytes for item in objects)
    total_s = max(item.end_s for item in objects)
    return PageReport(url, strategy, objects, tuple(connector.connections), total_s, size_bytes)
