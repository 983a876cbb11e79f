"""In what order a page's requests go out, and on which connections: one function a strategy, all in one table.

    report = await load_page("http://server/", "1.1-pipelined")

A base page that names n-1 objects on one server takes, with X the time of transmission:
    1.0-serial      2n RTT + X       a connection for each object, one after the other
    1.0-parallel    4 RTT + X        the named objects at once, a connection for each
    1.1-persistent  (n+1) RTT + X    one connection, each request after the response before it
    1.1-pipelined   3 RTT + X        one connection, all requests for the named objects in one write
Objects of another origin than the page's are fetched too, from their own origin by the same strategy.
RFC 9112 sections 9.3 (persistence), 9.3.2 (pipelining, with what was not answered asked again) and 9.4.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from services.http.fetch import Bounds, Connection, Fetched, LoadError, Session, Sink
from services.http.limits import PIPELINED_REQUESTS
from services.http.messages import HTTP_1_0, HTTP_1_1
from services.http.page import find_links
from services.http.report import PageReport
from services.http.urls import Link, Origin, parse_url

# Browsers open six connections to a host; with the lesson's pages, all objects at once.
DEFAULT_PARALLEL = 6

Result = TypeVar("Result")


class Plan:
    """One load under way: the session, the base page's content as it came, and what was fetched."""

    def __init__(self, session: Session, link: Link, parallel: int, sink: Sink | None) -> None:
        self.session = session
        self.link = link
        self.parallel = parallel
        self.fetched: list[Fetched] = []
        self._page = bytearray()
        self._sink = sink

    def take_page(self, data: bytes) -> None:
        """Keep a piece of the base page."""
        if len(self._page) + len(data) > self.session.bounds.page_octets:
            raise LoadError(f"{self.link.url} is larger than {self.session.bounds.page_octets} octets")
        self._page += data

    @property
    def sink(self) -> Sink:
        """Where the content of the first object goes."""
        return self._sink or self.take_page

    def named(self) -> list[Link]:
        """Return what the base page, which has been fetched, names."""
        kind = self.fetched[0].fields.get(b"content-type") or b""
        if not kind.lower().startswith((b"text/html", b"application/xhtml")):
            return []
        links = find_links(bytes(self._page), self.link.url)
        if len(links) > self.session.bounds.objects:
            raise LoadError(f"{self.link.url} names more than {self.session.bounds.objects} objects")
        return links

    async def alone(self, link: Link, sink: Sink | None = None) -> Fetched:
        """Fetch one object by HTTP/1.0 on a connection of its own."""
        async with self.session.connect(link.origin) as connection:
            return _only(link, await connection.exchange([link], HTTP_1_0, sink))


def _only(link: Link, fetched: Sequence[Fetched]) -> Fetched:
    if not fetched:
        raise LoadError(f"{link.url} was not loaded: the server closed the connection")
    return fetched[0]


async def _single(plan: Plan) -> None:
    async with plan.session.connect(plan.link.origin) as connection:
        plan.fetched.append(_only(plan.link, await connection.exchange([plan.link], HTTP_1_1, plan.sink)))


async def _serial(plan: Plan) -> None:
    plan.fetched.append(await plan.alone(plan.link, plan.sink))
    for link in plan.named():
        plan.fetched.append(await plan.alone(link))


async def _parallel(plan: Plan) -> None:
    plan.fetched.append(await plan.alone(plan.link, plan.sink))
    room = asyncio.Semaphore(plan.parallel)

    async def fetch(link: Link) -> Fetched:
        async with room:
            return await plan.alone(link)

    plan.fetched += await _all(fetch(link) for link in plan.named())


async def _all(jobs: Iterable[Coroutine[Any, Any, Result]]) -> list[Result]:
    """Run all jobs at once; the first failure cancels the others and is the one that is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(job) for job in jobs]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    return [task.result() for task in tasks]


class _Kept:
    """At most one open connection an origin, opened anew where the server has closed it."""

    def __init__(self, session: Session, stack: AsyncExitStack) -> None:
        self._session = session
        self._stack = stack
        self._open: dict[Origin, Connection] = {}

    async def to(self, origin: Origin) -> Connection:
        kept = self._open.get(origin)
        if kept is None or not kept.persistent:
            kept = await self._stack.enter_async_context(self._session.connect(origin))
            self._open[origin] = kept
        return kept


async def _persistent(plan: Plan) -> None:
    async with AsyncExitStack() as stack:
        kept = _Kept(plan.session, stack)
        plan.fetched += await _pipeline(kept, [plan.link], plan.sink)
        for link in plan.named():
            plan.fetched += await _pipeline(kept, [link], None)


async def _pipelined(plan: Plan) -> None:
    async with AsyncExitStack() as stack:
        kept = _Kept(plan.session, stack)
        plan.fetched += await _pipeline(kept, [plan.link], plan.sink)
        groups: dict[Origin, list[Link]] = {}
        for link in plan.named():
            groups.setdefault(link.origin, []).append(link)
        for fetched in await _all(_pipeline(kept, group, None) for group in groups.values()):
            plan.fetched += fetched


async def _pipeline(kept: _Kept, links: Sequence[Link], sink: Sink | None) -> list[Fetched]:
    """Fetch links of one origin, all asked for at once.

    RFC 9112 section 9.3.2: what a closing server left unanswered is asked for again on a new connection; a kept
    connection may have been closed while it was idle (section 9.5), so one fruitless try is allowed.
    """
    done: list[Fetched] = []
    fruitless = 0
    while len(done) < len(links):
        connection = await kept.to(links[0].origin)
        came = await connection.exchange(links[len(done) :][:PIPELINED_REQUESTS], HTTP_1_1, sink)
        fruitless = 0 if came else fruitless + 1
        if fruitless > 1:
            raise LoadError(f"{links[len(done)].url} was not loaded: the server closed the connection")
        done += came
    return done


SINGLE = "single"

STRATEGIES: dict[str, Callable[[Plan], Awaitable[None]]] = {
    "1.0-serial": _serial,
    "1.0-parallel": _parallel,
    "1.1-persistent": _persistent,
    "1.1-pipelined": _pipelined,
    SINGLE: _single,
}


async def load_page(
    url: str,
    strategy: str,
    *,
    parallel: int = DEFAULT_PARALLEL,
    bounds: Bounds | None = None,
    sink: Sink | None = None,
) -> PageReport:
    """Load a page by one of STRATEGIES and report on it; times are the event loop's, in seconds from the start.

    `parallel` bounds the connections of 1.0-parallel. `sink`, if given, gets the content of a `single` load. Raises
    LoadError, in one sentence, when any object gets no whole response, and KeyError for an unknown strategy.
    """
    run = STRATEGIES[strategy]
    bounds = bounds or Bounds()
    try:
        link = parse_url(url)
    except ValueError as error:
        raise LoadError(str(error)) from error
    plan = Plan(Session(bounds), link, parallel, sink)
    try:
        async with asyncio.timeout(bounds.page_s):
            await run(plan)
    except TimeoutError as error:
        raise LoadError(f"{url} was not loaded within {bounds.page_s:g} s") from error
    objects = tuple(fetched.report for fetched in plan.fetched)
    size_bytes = sum(item.size_bytes for item in objects)
    total_s = max(item.end_s for item in objects)
    return PageReport(link.url, strategy, objects, tuple(plan.session.connections), total_s, size_bytes)
