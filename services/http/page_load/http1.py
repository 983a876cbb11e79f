"""HTTP/1: in what order a page's requests go out, and on which connections, one function a strategy.

RFC 9112 sections 9.3 (persistence), 9.3.2 (pipelining, with what was not answered asked again) and 9.4.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from services.http.limits import PIPELINED_REQUESTS
from services.http.messages import HTTP_1_0, HTTP_1_1
from services.http.page_load.connection import Connection, connect
from services.http.page_load.load import Fetched, LoadError, Session, Sink
from services.http.page_load.plan import Plan, all_at_once, only
from services.http.urls import Link, Origin


async def _alone(plan: Plan, link: Link, sink: Sink | None = None) -> Fetched:
    """Fetch one object by HTTP/1.0 on a connection of its own."""
    async with connect(plan.session, link.origin) as connection:
        return only(link, await connection.exchange([link], HTTP_1_0, sink))


async def single(plan: Plan) -> None:
    """Fetch one object by HTTP/1.1."""
    async with connect(plan.session, plan.link.origin) as connection:
        plan.fetched.append(only(plan.link, await connection.exchange([plan.link], HTTP_1_1, plan.sink)))


async def serial(plan: Plan) -> None:
    """1.0-serial: a connection for each object, one after the other."""
    plan.fetched.append(await _alone(plan, plan.link, plan.sink))
    for link in plan.named():
        plan.fetched.append(await _alone(plan, link))


async def parallel(plan: Plan) -> None:
    """1.0-parallel: the named objects at once, a connection for each."""
    plan.fetched.append(await _alone(plan, plan.link, plan.sink))
    room = asyncio.Semaphore(plan.parallel)

    async def fetch(link: Link) -> Fetched:
        async with room:
            return await _alone(plan, link)

    plan.fetched += await all_at_once(fetch(link) for link in plan.named())


class Kept:
    """At most one open connection an origin, opened anew where the server has closed it."""

    def __init__(self, session: Session, stack: AsyncExitStack) -> None:
        self._session = session
        self._stack = stack
        self._open: dict[Origin, Connection] = {}

    async def to(self, origin: Origin) -> Connection:
        """Return the connection to an origin."""
        kept = self._open.get(origin)
        if kept is None or not kept.persistent:
            kept = await self._stack.enter_async_context(connect(self._session, origin))
            self._open[origin] = kept
        return kept

    def keep(self, origin: Origin, connection: Connection) -> None:
        """Take a connection that was opened in another way."""
        self._open[origin] = connection


async def persistent(plan: Plan) -> None:
    """1.1-persistent: one connection, each request after the response before it."""
    async with AsyncExitStack() as stack:
        kept = Kept(plan.session, stack)
        plan.fetched += await pipeline(kept, [plan.link], plan.sink)
        for link in plan.named():
            plan.fetched += await pipeline(kept, [link], None)


async def pipelined(plan: Plan) -> None:
    """1.1-pipelined: one connection, all requests for the named objects in one write."""
    async with AsyncExitStack() as stack:
        kept = Kept(plan.session, stack)
        plan.fetched += await pipeline(kept, [plan.link], plan.sink)
        groups = plan.named_by_origin().values()
        for fetched in await all_at_once(pipeline(kept, group, None) for group in groups):
            plan.fetched += fetched


async def pipeline(kept: Kept, links: Sequence[Link], sink: Sink | None) -> list[Fetched]:
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
