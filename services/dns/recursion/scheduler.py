"""Carries resolutions out: what each asks for is asked, and clients with the same question share one.

RFC 5452 section 5 is why: a question that goes out once gives a forger one chance and not as many as there are clients
(the birthday attack). So there is at most one outstanding query for a name, type and class, whoever needs it:

- Clients with the same question and the same network share one resolution.
- Clients with the same question and other networks (RFC 7871) take turns, and each turn begins with the cache: what an
  answer's scope covers costs no query. A client chooses its subnet freely, so if subnets had queries of their own, a
  client could open as many as it likes (CVE-2025-5994, "RebirthDay"). The price is that the first clients of many
  networks wait for one another where the scopes are narrow.
- Resolutions of other questions that come to the same query, by aliases or for the address of a server, share its
  outcome where it goes to the same server in the same form, and wait for it where it does not.

At most so many run at once, and no client has more than its part of them waiting; beyond that the answer is SERVFAIL.
What waits for longer than a question may take gets SERVFAIL as well.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from services.dns.address_space import Network
from services.dns.codec.codes import Rcode
from services.dns.codec.name import Name
from services.dns.codec.records import Question
from services.dns.recursion.budget import SECONDS_MAX
from services.dns.recursion.context import Knowledge
from services.dns.recursion.delegation import Delegation
from services.dns.recursion.query import Ask, Outcome
from services.dns.recursion.resolution import Resolution, Result


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much goes on at once."""

    # BIND's recursive-clients.
    resolutions: int = 1000
    # A tenth of it, so that one client cannot keep out all others.
    waiting_per_client: int = 100


class Asker(Protocol):
    """What carries a query to a server and brings back what came of it."""

    def ask(self, ask: Ask) -> Awaitable[Outcome]:
        """Send one query and return what came of it."""


class Resolving:
    """The resolutions that are under way."""

    def __init__(
        self, known: Knowledge, upstream: Asker, now: Callable[[], float], bounds: Bounds | None = None
    ) -> None:
        self.known = known
        self.now = now
        self._upstream = upstream
        self._bounds = bounds or Bounds()
        self._under_way: dict[tuple[Question, Name | None, Network | None], asyncio.Task[Result]] = {}
        # The last in the line of those that have a question in common, and differ in the client's network.
        self._lines: dict[tuple[Question, Name | None], asyncio.Task[Result]] = {}
        self._outstanding: dict[Question, tuple[Ask, asyncio.Future[Outcome]]] = {}
        self._waiting: Counter[str] = Counter()

    def resolve(
        self,
        question: Question,
        client: str,
        start: Delegation | None = None,
        subnet: Network | None = None,
    ) -> Result | Awaitable[Result]:
        """Return the result where no network is needed, else what brings it; with `subnet` that of those clients."""
        key = (question, None if start is None else start.zone, subnet)
        task = self._under_way.get(key)
        if task is None:
            resolution = Resolution(question, self.known, start, subnet)
            todo = resolution.start(self.now())
            if isinstance(todo, Result):
                return todo
            if len(self._under_way) >= self._bounds.resolutions:
                return Result(Rcode.SERVFAIL, detail="too many questions at once")
        if self._waiting[client] >= self._bounds.waiting_per_client:
            return Result(Rcode.SERVFAIL, detail="too many questions of one client")
        if task is None:
            ahead = self._lines.get(key[:2])
            begin = self._carry_out(resolution, todo) if ahead is None else self._after(ahead, question, start, subnet)
            task = asyncio.ensure_future(begin)
            self._under_way[key] = self._lines[key[:2]] = task
            task.add_done_callback(lambda ended: self._forget(key, ended))
        return self._wait(task, client)

    async def stop(self) -> None:
        """End what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, task: "asyncio.Task[Result]", client: str) -> Result:
        self._waiting[client] += 1
        try:
            # A client that goes away does not take the answer from the others.
            return await asyncio.shield(task)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]

    def _forget(self, key: tuple[Question, Name | None, Network | None], ended: "asyncio.Task[Result]") -> None:
        self._under_way.pop(key, None)
        if self._lines.get(key[:2]) is ended:
            del self._lines[key[:2]]

    async def _after(
        self, ahead: "asyncio.Task[Result]", question: Question, start: Delegation | None, subnet: Network | None
    ) -> Result:
        """Resolve once the one ahead in the line has ended; what that brought may be the answer here as well."""
        begun = self.now()
        await asyncio.wait([ahead])
        if self.now() - begun >= SECONDS_MAX:
            return Result(Rcode.SERVFAIL, detail="the same question of other clients took too long")
        resolution = Resolution(question, self.known, start, subnet)
        return await self._carry_out(resolution, resolution.start(self.now()))

    async def _carry_out(self, resolution: Resolution, todo: Ask | Result) -> Result:
        while isinstance(todo, Ask):
            outcome = await self._ask(todo)
            if outcome is None:
                detail = "the same query was outstanding for too long"
                return Result(Rcode.SERVFAIL, queries=resolution.queries, detail=detail)
            todo = resolution.receive(outcome, self.now())
        return todo

    async def _ask(self, ask: Ask) -> Outcome | None:
        """Return what comes of a query of which at most one is outstanding; None where its turn does not come."""
        question, begun = ask.question, self.now()
        while (outstanding := self._outstanding.get(question)) is not None:
            asked, answered = outstanding
            if _is_same(asked, ask):
                return await asyncio.shield(answered)
            await asyncio.wait([answered])
            if self.now() - begun >= SECONDS_MAX:
                return None
        answered = asyncio.get_running_loop().create_future()
        self._outstanding[question] = ask, answered
        try:
            answered.set_result(await self._upstream.ask(ask))
        except Exception as error:
            answered.set_exception(error)
        finally:
            del self._outstanding[question]
            # At a stop it ends with neither.
            answered.cancel()
        return await answered


def _is_same(one: Ask, other: Ask) -> bool:
    """Tell whether two queries are equal but for what is drawn at random and for how long each is waited for."""
    return replace(one, spelling=other.spelling, timeout_s=other.timeout_s, zone=other.zone) == other
