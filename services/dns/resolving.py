"""Carries resolutions out: what each asks for is asked, and clients with the same question share one.

RFC 5452 section 5 is why: a question that goes out once gives a forger one chance and not as many as there are clients.
At most so many run at once, and no client has more than its part of them waiting; beyond that the answer is SERVFAIL.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from services.dns.address_space import Network
from services.dns.asking import Ask, Outcome
from services.dns.codes import Rcode
from services.dns.delegation import Delegation
from services.dns.knowledge import Knowledge
from services.dns.name import Name
from services.dns.records import Question
from services.dns.resolution import Resolution, Result


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
            task = asyncio.ensure_future(self._carry_out(resolution, todo))
            self._under_way[key] = task
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
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

    async def _carry_out(self, resolution: Resolution, todo: Ask | Result) -> Result:
        while isinstance(todo, Ask):
            outcome = await self._upstream.ask(todo)
            todo = resolution.receive(outcome, self.now())
        return todo
