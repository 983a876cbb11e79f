"""Scheduler: shared resolutions, limits, and stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from random import Random

import pytest

from lab7.services.dns.codec.client_subnet import ClientSubnet, SubnetPolicy
from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import EDNS, Message, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Cache, Delegation, InfraCache
from lab7.services.dns.recursion.context import ResolverContext
from lab7.services.dns.recursion.ecs_cache import ECSCache
from lab7.services.dns.recursion.handler import AccessList
from lab7.services.dns.recursion.iterator import Result
from lab7.services.dns.recursion.query import Outcome, Replied, UpstreamQuery
from lab7.services.dns.recursion.root_hints import root_delegation
from lab7.services.dns.recursion.scheduler import Limits, Scheduler


class Held:
    """An upstream whose responses the test releases."""

    def __init__(self) -> None:
        self.asked: list[UpstreamQuery] = []
        self.go = asyncio.Event()

    async def send(self, query: UpstreamQuery) -> Outcome:
        self.asked.append(query)
        await self.go.wait()
        question = replace(query.question, name=query.question.name)
        records = tuple(entry.record for entry in parse_master_file(f"{question.name} 60 A 192.0.2.1"))
        return Replied(Message(qr=True, aa=True, questions=(question,), answers=records), 0.01)


def resolving(held: Held, bounds: Limits) -> Scheduler:
    random = Random(1)
    roots = root_delegation({Name.from_text("r."): ("192.0.2.53",)})
    return Scheduler(ResolverContext(roots, Cache(), InfraCache(random), random), held, lambda: 0.0, bounds)


def question(text: str) -> Question:
    return Question(Name.from_text(text), RRType.A)


async def settled(*waiting: object) -> list[Result]:
    return [one if isinstance(one, Result) else await one for one in waiting]  # type: ignore[misc]


def test_the_same_question_goes_out_once() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Limits())
        waiting = [asyncio.ensure_future(settled(resolver.resolve(question(text), "c"))) for text in ("a.", "A.", "b.")]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(held.asked) == 2
        held.go.set()
        results = [(await one)[0] for one in waiting]
        assert [result.rcode for result in results] == [Rcode.NOERROR] * 3
        assert isinstance(resolver.resolve(question("a."), "c"), Result)

    asyncio.run(scene())


class Telling:
    """An upstream that responds in the next iteration of the loop, with a scope; it counts outstanding queries."""

    def __init__(self, scope: int, ttl: int = 60, alias: str | None = None) -> None:
        self.asked: list[UpstreamQuery] = []
        self.most = 0
        self._outstanding: Counter[Question] = Counter()
        self._scope = scope
        self._ttl = ttl
        self._alias = alias

    async def send(self, query: UpstreamQuery) -> Outcome:
        self.asked.append(query)
        self._outstanding[query.question] += 1
        self.most = max(self.most, *self._outstanding.values())
        await asyncio.sleep(0.001)
        self._outstanding[query.question] -= 1
        name = str(query.question.name)
        data = "A 192.0.2.1" if self._alias in (None, name) else f"CNAME {self._alias}"
        records = tuple(entry.record for entry in parse_master_file(f"{name} {self._ttl} {data}"))
        options = () if query.subnet is None else (ClientSubnet(query.subnet, self._scope).to_option(),)
        message = Message(qr=True, aa=True, questions=(query.question,), answers=records, edns=EDNS(options=options))
        return Replied(message, 0.01)


def telling(upstream: Telling, clock: Callable[[], float] = lambda: 0.0) -> Scheduler:
    """Return a scheduler that sends client subnets to a server of example.com."""
    random = Random(1)
    context = ResolverContext(
        root_delegation({}), Cache(), InfraCache(random), random, ecs_cache=ECSCache(SubnetPolicy())
    )
    zone = Name.from_text("example.com.")
    context.cache.put_delegation(Delegation(zone, (zone,), {zone: ("192.0.2.53",)}, 300), 0.0)
    return Scheduler(context, upstream, clock)


SUBNETS = [ip_network(f"10.8.{number}.0/24") for number in range(40)]


@pytest.mark.parametrize(("scope", "queries"), [(16, 1), (20, 3), (24, 40), (0, 1)])
def test_clients_of_many_networks_have_one_query_outstanding(scope: int, queries: int) -> None:
    """CVE-2025-5994."""

    async def scene() -> None:
        upstream = Telling(scope)
        resolver = telling(upstream)
        asked = question("www.example.com.")
        results = [resolver.resolve(asked, f"c{number}", subnet=net) for number, net in enumerate(SUBNETS)]
        found = await settled(*results)
        assert [result.rcode for result in found] == [Rcode.NOERROR] * len(SUBNETS)
        # Networks within the scope of an answer need no query.
        assert (upstream.most, len(upstream.asked)) == (1, queries)

    asyncio.run(scene())


@pytest.mark.parametrize("ttl", [60, 0])
def test_aliases_of_one_name_have_one_query_outstanding_for_it(ttl: int) -> None:
    async def scene() -> None:
        upstream = Telling(24, ttl, alias="www.example.com.")
        resolver = telling(upstream)
        results = [
            resolver.resolve(question(f"r{number}.example.com."), "c", subnet=net) for number, net in enumerate(SUBNETS)
        ]
        assert [result.rcode for result in await settled(*results)] == [Rcode.NOERROR] * len(SUBNETS)
        assert upstream.most == 1

    asyncio.run(scene())


def test_resolutions_that_come_to_the_same_query_share_it() -> None:
    async def scene() -> None:
        upstream = Telling(0, alias="www.example.com.")
        resolver = telling(upstream)
        results = [resolver.resolve(question(f"r{number}.example.com."), "c") for number in range(9)]
        assert [len(result.answers) for result in await settled(*results)] == [2] * 9
        assert [str(ask.question.name) for ask in upstream.asked].count("www.example.com.") == 1

    asyncio.run(scene())


def test_an_upstream_error_fails_all_shared_resolutions() -> None:
    class Broken(Telling):
        async def send(self, query: UpstreamQuery) -> Outcome:
            await super().send(query)
            raise ValueError("no socket")

    async def scene() -> None:
        resolver = telling(Broken(0))
        names = ("r1.example.com.", "r1.example.com.")
        results = [resolver.resolve(question(text), "c", subnet=net) for text, net in zip(names, SUBNETS, strict=False)]
        found = await asyncio.gather(*map(settled, results), return_exceptions=True)
        assert [type(one) for one in found] == [ValueError, ValueError]

    asyncio.run(scene())


def test_waiting_too_long_for_others_is_servfail() -> None:
    async def scene() -> None:
        now = 0.0
        upstream = Telling(24)
        resolver = telling(upstream, lambda: now)
        first, second = (resolver.resolve(question("www.example.com."), "c", subnet=net) for net in SUBNETS[:2])
        waiting = [asyncio.ensure_future(settled(one)) for one in (first, second)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        now = 11.0
        assert [(await one)[0].rcode for one in waiting] == [Rcode.NOERROR, Rcode.SERVFAIL]
        assert len(upstream.asked) == 1

    asyncio.run(scene())


def test_a_client_that_goes_away_takes_nothing_from_the_others() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Limits())
        first, second = (asyncio.ensure_future(settled(resolver.resolve(question("a."), "c"))) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        held.go.set()
        assert (await second)[0].rcode == Rcode.NOERROR

    asyncio.run(scene())


def test_there_is_a_bound_for_all_and_one_for_each_client() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Limits(resolutions=3, waiting_per_client=2))

        async def ask(text: str, client: str) -> Result:
            return (await settled(resolver.resolve(question(text), client)))[0]

        waiting = [asyncio.ensure_future(ask(text, "one")) for text in ("a.", "b.")]
        await asyncio.sleep(0)
        assert (await ask("c.", "one")).detail == "too many concurrent resolutions for one client"
        waiting.append(asyncio.ensure_future(ask("c.", "two")))
        await asyncio.sleep(0)
        assert (await ask("d.", "two")).detail == "too many concurrent resolutions"
        held.go.set()
        assert [result.rcode for result in await asyncio.gather(*waiting)] == [Rcode.NOERROR] * 3
        # And then the limit is not reached any more.
        assert (await ask("d.", "one")).rcode == Rcode.NOERROR

    asyncio.run(scene())


def test_a_stop_leaves_nothing_under_way() -> None:
    async def scene() -> None:
        held = Held()
        resolver = resolving(held, Limits())
        waiting = asyncio.ensure_future(settled(resolver.resolve(question("a."), "c")))
        await asyncio.sleep(0)
        await resolver.stop()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(scene())


def test_access_list() -> None:
    access = AccessList()
    assert [access.allows(host) for host in ("192.0.2.53", "10.53.0.1", "192.168.1.1", "::1", "fe80::1%eth0")] == [
        True
    ] * 5
    assert [access.allows(host) for host in ("8.8.8.8", "2600::1", "::ffff:8.8.8.8")] == [False] * 3
    assert access.allows("::ffff:10.0.0.1")
