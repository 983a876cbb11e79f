"""Every strategy by which the client loads a page, in one table, and what each takes.

    report = await load_page("http://server/", "1.1-pipelined")
    report = await load_objects(["http://server/large", "http://server/small"], "2")

A base page that names n-1 objects on one server takes, with X the time of transmission:
    1.0-serial      2n RTT + X       a connection for each object, one after the other
    1.0-parallel    4 RTT + X        the named objects at once, a connection for each
    1.1-persistent  (n+1) RTT + X    one connection, each request after the response before it
    1.1-pipelined   3 RTT + X        one connection, all requests for the named objects in one write
    2               3 RTT + X        one connection by prior knowledge, the named objects at once as streams
    2-upgrade       3 RTT + X        the same, the first request in HTTP/1.1 with Upgrade: h2c
    2-push          2 RTT + X        the same by prior knowledge, the objects sent by the server unasked
With TLS, 1.2 adds two round trips to each connection and 1.3 one. Objects of another origin than the page's are fetched
too, from their own origin by the same strategy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import TypeVar

from services.http.page_load.http1 import Kept, parallel, persistent, pipeline, pipelined, serial, single
from services.http.page_load.http2 import Kept2, all_streams, multiplexed, pushed, upgraded
from services.http.page_load.load import Bounds, Fetched, LoadError, Session, Sink
from services.http.page_load.plan import Plan
from services.http.page_load.timing import PageReport
from services.http.urls import Link, parse_url
from services.tls import Trust

# Browsers open six connections to a host; with the lesson's pages, all objects at once.
DEFAULT_PARALLEL = 6

SINGLE = "single"

Result = TypeVar("Result")

STRATEGIES: dict[str, Callable[[Plan], Awaitable[None]]] = {
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
    bounds: Bounds | None = None,
    sink: Sink | None = None,
    trust: Trust | None = None,
) -> PageReport:
    """Load a page by one of STRATEGIES and report on it; times are the event loop's, in seconds from the start.

    `parallel` bounds the connections of 1.0-parallel. `sink`, if given, gets the content of a `single` load. `trust`
    is for https. Raises LoadError, in one sentence, when any object gets no whole response, and KeyError for an
    unknown strategy.
    """
    run = STRATEGIES[strategy]
    plan = Plan(Session(bounds or Bounds(), trust), _parsed(url), parallel, sink)
    await _within_bounds(run(plan), url, plan.session)
    return _report(plan.link.url, strategy, plan.fetched, plan.session)


async def _objects_pipelined(session: Session, links: Sequence[Link]) -> list[Fetched]:
    async with AsyncExitStack() as stack:
        return await pipeline(Kept(session, stack), links, None)


async def _objects_multiplexed(session: Session, links: Sequence[Link]) -> list[Fetched]:
    async with AsyncExitStack() as stack:
        return await all_streams(Kept2(session, stack), links, None)


OBJECT_STRATEGIES: dict[str, Callable[[Session, Sequence[Link]], Awaitable[list[Fetched]]]] = {
    "1.1-pipelined": _objects_pipelined,
    "2": _objects_multiplexed,
}


async def load_objects(
    urls: Sequence[str], strategy: str, *, bounds: Bounds | None = None, trust: Trust | None = None
) -> PageReport:
    """Ask for all `urls`, which are of one origin, back to back on one connection, and report in their order.

    Nothing is read as a page. The strategy is one of OBJECT_STRATEGIES. Raises LoadError as load_page() does, also for
    URLs of several origins, and KeyError for another strategy.
    """
    run = OBJECT_STRATEGIES[strategy]
    links = [_parsed(url) for url in urls]
    if len({link.origin for link in links}) != 1:
        raise LoadError("the objects are not all of one origin")
    session = Session(bounds or Bounds(), trust)
    fetched = await _within_bounds(run(session, links), urls[0], session)
    return _report(links[0].url, strategy, fetched, session)


def _parsed(url: str) -> Link:
    try:
        return parse_url(url)
    except ValueError as error:
        raise LoadError(str(error)) from error


async def _within_bounds(loading: Awaitable[Result], url: str, session: Session) -> Result:
    bounds = session.bounds
    try:
        async with asyncio.timeout(bounds.page_s):
            return await loading
    except TimeoutError as error:
        raise LoadError(f"{url} was not loaded within {bounds.page_s:g} s") from error


def _report(url: str, strategy: str, fetched: Sequence[Fetched], session: Session) -> PageReport:
    objects = tuple(one.report for one in fetched)
    size_bytes = sum(item.size_bytes for item in objects)
    total_s = max(item.end_s for item in objects)
    return PageReport(url, strategy, objects, tuple(session.connections), total_s, size_bytes)
