"""HTTP/2: one connection an origin, everything asked for at once; one function a strategy.

RFC 9113 sections 3.3 (prior knowledge), 5.1.2 (as many streams as the server takes), 6.8 and 8.7 (what a server did
not look at is asked again) and 8.4 (push); RFC 7540 section 3.2 (Upgrade: h2c, refused or not).
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from services.http.http2.client_connection import Http2ClientConnection
from services.http.messages import HTTP_1_1
from services.http.page_load.connection import Connection
from services.http.page_load.http1 import Kept, pipeline
from services.http.page_load.http2_connection import Http2Connection, connect
from services.http.page_load.load import Fetched, LoadError, Session, Sink
from services.http.page_load.plan import Plan, all_at_once, only
from services.http.urls import Link, Origin


class Kept2:
    """At most one open connection an origin, opened anew where the server has closed it."""

    def __init__(self, session: Session, stack: AsyncExitStack, push: bool = False) -> None:
        self._session = session
        self._stack = stack
        self._push = push
        self._open: dict[Origin, Http2Connection] = {}

    async def to(self, origin: Origin) -> Http2Connection:
        """Return the connection to an origin."""
        kept = self._open.get(origin)
        if kept is None or not kept.is_open:
            kept = await self._stack.enter_async_context(connect(self._session, origin, self._push))
            self._open[origin] = kept
        return kept

    def keep(self, origin: Origin, connection: Http2Connection) -> None:
        """Take a connection that was opened in another way."""
        self._open[origin] = connection
        self._stack.callback(connection.say_goodbye)


async def multiplexed(plan: Plan) -> None:
    """2: the page, then all that it names at once; the server is told not to push."""
    await _load(plan, push=False)


async def pushed(plan: Plan) -> None:
    """2-push: the page, and with it what the server pushes; only the rest is asked for."""
    await _load(plan, push=True)


async def _load(plan: Plan, push: bool) -> None:
    async with AsyncExitStack() as stack:
        kept = Kept2(plan.session, stack, push)
        plan.fetched += await all_streams(kept, [plan.link], plan.sink)
        await _load_named(plan, kept)


async def _load_named(plan: Plan, kept: Kept2) -> None:
    groups = plan.named_by_origin().values()
    for fetched in await all_at_once(all_streams(kept, group, None) for group in groups):
        plan.fetched += fetched


async def all_streams(kept: Kept2, links: Sequence[Link], sink: Sink | None) -> list[Fetched]:
    """Fetch links of one origin, all asked for at once, and what the server did not look at once more."""
    done: dict[int, Fetched] = {}
    fruitless = 0
    while waiting := [index for index in range(len(links)) if index not in done]:
        connection = await kept.to(links[0].origin)
        came = await connection.fetch([links[index] for index in waiting], sink)
        found = {index: one for index, one in zip(waiting, came, strict=True) if one is not None}
        done |= found
        fruitless = 0 if found else fruitless + 1
        if fruitless > 1:
            raise LoadError(f"{links[waiting[0]].url} was not loaded: the server closed the connection")
    return [done[index] for index in range(len(links))]


async def upgraded(plan: Plan) -> None:
    """2-upgrade: the page's request offers h2c; the rest goes by HTTP/2, or by 1.1 where the server stays with that."""
    if plan.link.origin.scheme != "http":
        raise LoadError(f"{plan.link.url} is secured: there the version is agreed on in TLS, not by an upgrade")
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(plan.session.open(plan.link.origin))
        core, first = Http2ClientConnection(push=False), Connection(wire)
        # RFC 7540 section 3.2.1: both fields are for this connection alone.
        offer = (
            (b"Connection", b"Upgrade, HTTP2-Settings"),
            (b"Upgrade", b"h2c"),
            (b"HTTP2-Settings", core.offer_upgrade()),
        )
        asked_s = plan.session.elapsed_s()
        came = await first.exchange([plan.link], HTTP_1_1, plan.sink, offer)
        if not first.has_switched:
            plan.fetched.append(only(plan.link, came))
            await _go_on_in_text(plan, stack, first)
            return
        second, kept = Http2Connection(wire, core), Kept2(plan.session, stack)
        kept.keep(plan.link.origin, second)
        second.begin_upgraded(first.take_rest(), asked_s, plan.sink)
        page = await second.complete(plan.link, 1)
        plan.fetched.append(only(plan.link, [page] if page else []))
        # The request was one of HTTP/1.1, and so is its size.
        plan.fetched[0].report = replace(plan.fetched[0].report, request_header_size_bytes=first.sent_octets)
        await _load_named(plan, kept)


async def _go_on_in_text(plan: Plan, stack: AsyncExitStack, first: Connection) -> None:
    """Load what the page names as 1.1-persistent does, on the connection that is there."""
    kept = Kept(plan.session, stack)
    kept.keep(plan.link.origin, first)
    for link in plan.named():
        plan.fetched += await pipeline(kept, [link], None)
