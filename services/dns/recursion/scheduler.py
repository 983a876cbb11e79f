"""Scheduler of a resolver: runs concurrent resolutions; clients with the same question share one of them.

RFC 5452 section 5 is the reason for sharing: a query that is sent once gives a spoofer one chance, and not as many as
there are clients (the birthday attack). So at most one query is outstanding for a name, type and class:

- Clients with the same question and the same client subnet (EDNS Client Subnet, RFC 7871) share one resolution.
- Clients with the same question and different subnets are resolved one after the other. Each resolution looks in the
  caches first: a subnet that the scope of an earlier answer covers needs no query. A client chooses its subnet freely,
  so if every subnet had a query of its own, a client could cause any number of outstanding queries (CVE-2025-5994,
  "RebirthDay"). The price is that clients of many subnets wait for one another if scopes are narrow.
- Resolutions of different questions may need the same query, for an alias or a server's address. If both would send the
  same message to the same server, they share one query; otherwise the second waits until the first has ended.

Limits bounds the resolutions in progress, and the resolutions that one client waits for; further questions get
SERVFAIL. A question that has waited longer than SECONDS_MAX for another resolution gets SERVFAIL as well.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.codes import Rcode
from lab7.services.dns.codec.message import Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Delegation
from lab7.services.dns.recursion.context import ResolverContext
from lab7.services.dns.recursion.iterator import Resolution, Result
from lab7.services.dns.recursion.query import SECONDS_MAX, Outcome, UpstreamQuery
from lab7.services.dns.recursion.stale import CLIENT_RESPONSE_TIMER_S


@dataclass(frozen=True, slots=True)
class Limits:
    """Maximum numbers of resolutions in progress, in total and per client; further questions get SERVFAIL."""

    # The default of BIND's recursive-clients.
    resolutions: int = 1000
    # Resolutions that one client may wait for: a tenth of the total, so that one client cannot exhaust it.
    waiting_per_client: int = 100


class QuerySender(Protocol):
    """Interface of the transport for upstream queries."""

    def send(self, query: UpstreamQuery) -> Awaitable[Outcome]:
        """Send an upstream query; return its outcome."""


class Scheduler:
    """Scheduler of concurrent resolutions; clients with the same question share one resolution."""

    def __init__(
        self,
        context: ResolverContext,
        upstream: QuerySender,
        now: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        self.context = context
        self.now = now
        self._upstream = upstream
        self._limits = limits or Limits()
        self._in_progress: dict[tuple[Question, Name | None, Network | None], asyncio.Task[Result]] = {}
        # Last task per queue; a queue has the resolutions of one question for different client networks.
        self._queue_tails: dict[tuple[Question, Name | None], asyncio.Task[Result]] = {}
        self._outstanding: dict[Question, tuple[UpstreamQuery, asyncio.Future[Outcome]]] = {}
        self._waiting: Counter[str] = Counter()

    def resolve(
        self,
        question: Question,
        client: str,
        start: Delegation | None = None,
        subnet: Network | None = None,
    ) -> Result | Awaitable[Result]:
        """Return the result for a question, or an awaitable of it if upstream queries are needed.

        `subnet` is the client's network for EDNS Client Subnet.
        """
        key = (question, None if start is None else start.zone, subnet)
        task = self._in_progress.get(key)
        if task is None:
            resolution = Resolution(question, self.context, start, subnet)
            step = resolution.start(self.now())
            if isinstance(step, Result):
                return step
            if len(self._in_progress) >= self._limits.resolutions:
                return Result(Rcode.SERVFAIL, detail="too many concurrent resolutions")
        if self._waiting[client] >= self._limits.waiting_per_client:
            return Result(Rcode.SERVFAIL, detail="too many concurrent resolutions for one client")
        if task is None:
            tail = self._queue_tails.get(key[:2])
            run = self._run(resolution, step) if tail is None else self._run_after(tail, question, start, subnet)
            task = asyncio.ensure_future(run)
            self._in_progress[key] = self._queue_tails[key[:2]] = task
            task.add_done_callback(lambda task: self._remove(key, task))
        return self._wait(task, client, question if start is None else None)

    def variants(self) -> dict[tuple[bool, bool], "Scheduler"]:
        """Return the schedulers for client queries with DO or CD, keyed by the flags (DO, CD).

        There is one scheduler for each context in the `variants` of this scheduler's context.
        """
        siblings = {id(one): self.sibling(one) for one in self.context.variants.values()}
        return {flags: siblings[id(one)] for flags, one in self.context.variants.items()}

    def sibling(self, context: ResolverContext) -> "Scheduler":
        """Return a scheduler with another context; both share the outstanding queries and the limits per client."""
        scheduler = Scheduler(context, self._upstream, self.now, self._limits)
        scheduler._outstanding, scheduler._waiting = self._outstanding, self._waiting
        return scheduler

    async def stop(self) -> None:
        """Cancel the resolutions in progress."""
        tasks = list(self._in_progress.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, task: "asyncio.Task[Result]", client: str, question: Question | None) -> Result:
        self._waiting[client] += 1
        try:
            if self.context.cache.stale_s and question is not None:
                # RFC 8767 section 5: an expired answer for a client that would wait too long; the resolution goes on.
                done, _ = await asyncio.wait([task], timeout=CLIENT_RESPONSE_TIMER_S)
                stale = None if done else Resolution(question, self.context).stale(self.now())
                if stale is not None:
                    return stale
            # shield(): a client that disconnects must not cancel the resolution for other clients.
            return await asyncio.shield(task)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _remove(self, key: tuple[Question, Name | None, Network | None], task: "asyncio.Task[Result]") -> None:
        self._in_progress.pop(key, None)
        if self._queue_tails.get(key[:2]) is task:
            del self._queue_tails[key[:2]]

    async def _run_after(
        self, tail: "asyncio.Task[Result]", question: Question, start: Delegation | None, subnet: Network | None
    ) -> Result:
        """Resolve a question after the task `tail`, which resolves the same question for another client network.

        The answer that `tail` has cached may be valid for `subnet` as well; then no upstream query is needed.
        """
        started = self.now()
        await asyncio.wait([tail])
        if self.now() - started >= SECONDS_MAX:
            return Result(Rcode.SERVFAIL, detail="timeout while waiting for a resolution of the same question")
        resolution = Resolution(question, self.context, start, subnet)
        return await self._run(resolution, resolution.start(self.now()))

    async def _run(self, resolution: Resolution, step: UpstreamQuery | Result) -> Result:
        while isinstance(step, UpstreamQuery):
            outcome = await self._send(step)
            if outcome is None:
                detail = "timeout while waiting for an identical outstanding query"
                return Result(Rcode.SERVFAIL, queries=resolution.queries, detail=detail)
            step = resolution.receive(outcome, self.now())
        return step

    async def _send(self, query: UpstreamQuery) -> Outcome | None:
        """Send an upstream query, and return its outcome; None if it has waited too long for another query.

        At most one query for a question is outstanding. If an equal query is outstanding, its outcome is shared; if a
        different query for the same question is outstanding, this query is sent after its end.
        """
        question, started = query.question, self.now()
        while (outstanding := self._outstanding.get(question)) is not None:
            other, answered = outstanding
            if _is_same(other, query):
                return await asyncio.shield(answered)
            await asyncio.wait([answered])
            if self.now() - started >= SECONDS_MAX:
                return None
        answered = asyncio.get_running_loop().create_future()
        self._outstanding[question] = query, answered
        try:
            answered.set_result(await self._upstream.send(query))
        except Exception as error:
            answered.set_exception(error)
        finally:
            del self._outstanding[question]
            # If the server stops, the future has neither result nor exception: cancel it for the tasks that await it.
            answered.cancel()
        return await answered


def _is_same(query: UpstreamQuery, other: UpstreamQuery) -> bool:
    """Tell whether two upstream queries are equal; case of the qname, timeout and zone may differ."""
    return replace(query, spelling=other.spelling, timeout_s=other.timeout_s, zone=other.zone) == other
