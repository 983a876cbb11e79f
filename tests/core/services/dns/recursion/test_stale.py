"""Stale answers (RFC 8767): when expired data is used, for how long, and when it is not."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Question
from lab7.services.dns.recursion.cache import STALE_TTL_S, Cache, InfraCache, Trust
from lab7.services.dns.recursion.context import ResolverContext
from lab7.services.dns.recursion.handler import recursive_reply
from lab7.services.dns.recursion.iterator import Result
from lab7.services.dns.recursion.query import Outcome, TimedOut, UpstreamQuery
from lab7.services.dns.recursion.root_hints import root_delegation
from lab7.services.dns.recursion.scheduler import Scheduler
from lab7.services.dns.security.extended_error import ErrorCode, extended_errors
from tests.core.services.dns.recursion.signed_internet import (
    changed,
    example_zones,
    is_authenticated,
    reply_to,
    signed_world,
    without,
)
from tests.core.services.dns.recursion.simulated_internet import World, authoritative, name, silent, texts, world
from tests.core.services.dns.security.records import rrset

STALE_S = 1000


def keeping(internet: World, stale_s: int = STALE_S) -> World:
    """Return the Internet with a resolver that keeps expired data."""
    internet.context.cache = Cache(1000, stale_s=stale_s)
    return internet


def silenced(internet: World) -> World:
    """Stop all servers, and let all that is cached expire."""
    internet.servers = dict.fromkeys(internet.servers, silent)
    internet.now += 400
    return internet


def code(result: Result) -> int | None:
    return None if result.extended_error is None else result.extended_error.code


def test_expired_data_is_used_where_servers_do_not_respond_and_is_marked() -> None:
    internet = keeping(world())
    internet.resolve("alias.example.com")
    result = silenced(internet).resolve("alias.example.com")
    assert texts(result.answers)[0] == "alias.example.com. CNAME www.example.com."
    assert {rrset_.ttl for rrset_ in result.answers} == {STALE_TTL_S}
    assert code(result) == ErrorCode.STALE_ANSWER
    query = Message(questions=(Question(name("alias.example.com"), RRType.A),), edns=EDNS())
    assert [error.code for error in extended_errors(recursive_reply(query, result))] == [ErrorCode.STALE_ANSWER]
    # The failure is cached, and the stale answer is used without another query.
    again = internet.resolve("alias.example.com")
    assert (again.queries, code(again)) == (0, ErrorCode.STALE_ANSWER)


def test_a_negative_answer_can_be_stale_too() -> None:
    internet = keeping(world())
    internet.resolve("nothing.example.com")
    result = silenced(internet).resolve("nothing.example.com")
    assert (result.rcode, code(result)) == (Rcode.NXDOMAIN, ErrorCode.STALE_NXDOMAIN_ANSWER)


def test_data_that_expired_too_long_ago_is_not_used_and_by_default_none_is() -> None:
    for stale_s, rcode in ((STALE_S, Rcode.SERVFAIL), (0, Rcode.SERVFAIL), (3 * STALE_S, Rcode.NOERROR)):
        internet = keeping(world(), stale_s)
        internet.resolve("www.example.com")
        internet.now += STALE_S
        assert silenced(internet).resolve("www.example.com").rcode == rcode


def test_a_server_that_responds_again_replaces_stale_data() -> None:
    internet = keeping(world())
    servers = internet.servers
    internet.resolve("www.example.com")
    assert code(silenced(internet).resolve("www.example.com")) == ErrorCode.STALE_ANSWER
    internet.servers, internet.now = servers, internet.now + 300
    result = internet.resolve("www.example.com")
    assert (code(result), result.answers[0].ttl) == (None, 300)


def test_stale_data_is_not_authenticated_and_does_not_replace_bogus_data() -> None:
    internet = keeping(signed_world())
    assert is_authenticated(internet.resolve("www.example.com"))
    servers = internet.servers
    result = silenced(internet).resolve("www.example.com")
    assert (result.rcode, is_authenticated(result)) == (Rcode.NOERROR, False)
    assert any(record.rtype == RRType.RRSIG for record in reply_to(result, "www.example.com.", RRType.A).answers)
    stripped = changed(authoritative(*example_zones()), without(RRType.RRSIG, of=RRType.A))
    internet.servers = servers | {"127.0.1.3": stripped, "127.0.1.4": stripped}
    internet.now += 300
    bogus = internet.resolve("www.example.com")
    assert (bogus.rcode, code(bogus)) == (Rcode.SERVFAIL, ErrorCode.RRSIGS_MISSING)


class Dead:
    """An upstream that never responds."""

    async def send(self, _: UpstreamQuery) -> Outcome:
        await asyncio.Event().wait()
        return TimedOut()


def test_a_client_gets_stale_data_before_the_resolution_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab7.services.dns.recursion.scheduler.CLIENT_RESPONSE_TIMER_S", 0.01)

    async def scene() -> None:
        random, cache = Random(1), Cache(100, stale_s=STALE_S)
        roots = root_delegation({name("r."): ("192.0.2.53",)})
        cache.put(rrset("www.example. 60 A 192.0.2.1"), Trust.AUTHORITATIVE_ANSWER, 0.0)
        context = ResolverContext(roots, cache, InfraCache(random), random)
        scheduler = Scheduler(context, Dead(), lambda: 100.0)
        waiting = scheduler.resolve(Question(name("www.example."), RRType.A), "client")
        assert not isinstance(waiting, Result)
        result = await waiting
        assert (texts(result.answers), code(result)) == (["www.example. A 192.0.2.1"], ErrorCode.STALE_ANSWER)
        await scheduler.stop()

    asyncio.run(scene())
