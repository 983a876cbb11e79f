"""Resolutions side by side: who shares one, who has to go without, and what a stop leaves behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_network
from random import Random

from services.dns.access import Access
from services.dns.asking import Ask, Outcome, Replied
from services.dns.cache import Cache
from services.dns.codes import Rcode, RRType
from services.dns.delegation import root_delegation
from services.dns.knowledge import Knowledge
from services.dns.master_file import parse_master_file
from services.dns.message import Message
from services.dns.name import Name
from services.dns.records import Question
from services.dns.resolution import Result
from services.dns.resolving import Bounds, Resolving
from services.dns.server_table import ServerTable


class Held:
    """An upstream whose answers come when the test says so."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.go = asyncio.Event()

    async def ask(self, ask: Ask) -> Outcome:
        self.asked.append(ask)
        await self.go.wait()
        question = replace(ask.question, name=ask.question.name)
        records = tuple(entry.record for entry in parse_master_file(f"{question.name} 60 A 192.0.2.1"))
        return Replied(Message(qr=True, aa=True, questions=(question,), answers=records), 0.01)


def resolving(held: Held, bounds: Bounds) -> Resolving:
    random = Random(1)
    roots = root_delegation({Name.from_text("r."): ("127.0.0.1",)})
    return Resolving(Knowledge(roots, Cache(), ServerTable(random), random), held, lambda: 0.0, bounds)


def question(text: str) -> Question:
    return Question(Name.from_text(text), RRType.A)


async def settled(*waiting: object) -> list[Result]:
    return [one if isinstance(one, Result) else await one for one in waiting]  # type: ignore[misc]


def test_the_same_question_goes_out_once() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Bounds())
        waiting = [asyncio.ensure_future(settled(resolver.resolve(question(text), "c"))) for text in ("a.", "A.", "b.")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(held.asked) == 2
        held.go.set()
        results = [(await one)[0] for one in waiting]
        assert [result.rcode for result in results] == [Rcode.NOERROR] * 3
        assert isinstance(resolver.resolve(question("a."), "c"), Result)

    asyncio.run(scene())


def test_the_same_question_goes_out_once_for_each_network_of_clients() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Bounds())
        subnets = [ip_network(text) for text in ("10.8.1.0/24", "10.8.2.0/24", "10.8.1.0/24")]
        results = [resolver.resolve(question("a."), "c", subnet=subnet) for subnet in (*subnets, None)]
        waiting = [asyncio.ensure_future(settled(result)) for result in results]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(held.asked) == 3
        held.go.set()
        assert [(await one)[0].rcode for one in waiting] == [Rcode.NOERROR] * 4

    asyncio.run(scene())


def test_a_client_that_goes_away_takes_nothing_from_the_others() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Bounds())
        first, second = (asyncio.ensure_future(settled(resolver.resolve(question("a."), "c"))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        held.go.set()
        assert (await second)[0].rcode == Rcode.NOERROR

    asyncio.run(scene())


def test_there_is_a_bound_for_all_and_one_for_each_client() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Bounds(resolutions=3, waiting_per_client=2))

        async def ask(text: str, client: str) -> Result:
            return (await settled(resolver.resolve(question(text), client)))[0]

        waiting = [asyncio.ensure_future(ask(text, "one")) for text in ("a.", "b.")]
        await asyncio.sleep(0)
        assert (await ask("c.", "one")).detail == "too many questions of one client"
        waiting.append(asyncio.ensure_future(ask("c.", "two")))
        await asyncio.sleep(0)
        assert (await ask("d.", "two")).detail == "too many questions at once"
        held.go.set()
        assert [result.rcode for result in await asyncio.gather(*waiting)] == [Rcode.NOERROR] * 3
        # And then there is room again.
        assert (await ask("d.", "one")).rcode == Rcode.NOERROR

    asyncio.run(scene())


def test_a_stop_leaves_nothing_under_way() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Bounds())
        waiting = asyncio.ensure_future(settled(resolver.resolve(question("a."), "c")))
        await asyncio.sleep(0)
        await resolver.stop()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())


def test_who_may_ask() -> None:
    access = Access()
    assert [access.allows(host) for host in ("127.0.0.1", "10.53.0.1", "192.168.1.1", "::1", "fe80::1%eth0")] == [
        True
    ] * 5
    assert [access.allows(host) for host in ("8.8.8.8", "2600::1", "::ffff:8.8.8.8")] == [False] * 3
    assert access.allows("::ffff:10.0.0.1")
