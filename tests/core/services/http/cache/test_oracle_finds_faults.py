"""Mutation tests of the oracle: it detects each of these broken caches by the histories that the correct one passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from lab7.services.http.cache import lookup
from lab7.services.http.cache import response as cache_response
from lab7.services.http.cache.decisions import Forward, Policy, ResponseActions, Serve
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request, Response
from tests.core.services.http.cache.histories import history, run

# By the tenth part of these each fault is found.
SEEDS = 2_000

Function = Callable[..., Any]
decide, handle_response, handle_failure = lookup.decide, cache_response.handle_response, cache_response.handle_failure


def _without(message: Any, *names: bytes) -> Any:
    return replace(message, fields=message.fields.without(names))


def blind_to_vary(request: Request, uri: bytes, stored: Any, now: float, policy: Policy) -> Any:
    """A mutation that ignores Vary: every request matches the newest stored response."""
    chosen = [line for line in (stored[0].request_fields if stored else ()) if line[0] in (b"X-V", b"Accept-Language")]
    fields = Fields((*_without(request, b"x-v", b"accept-language").fields, *chosen))
    return decide(replace(request, fields=fields) if stored else request, uri, stored, now, policy)


def slow_clock(request: Request, uri: bytes, stored: Any, now: float, policy: Policy) -> Any:
    return decide(request, uri, stored, now - 20, policy)


def deaf_to_the_client(request: Request, uri: bytes, stored: Any, now: float, policy: Policy) -> Any:
    return decide(_without(request, b"cache-control"), uri, stored, now, policy)


def late_age(request: Request, uri: bytes, stored: Any, now: float, policy: Policy) -> Any:
    decision = decide(request, uri, stored, now, policy)
    return replace(decision, age_s=decision.age_s + 2) if isinstance(decision, Serve) else decision


def unmarked_part(request: Request, uri: bytes, stored: Any, now: float, policy: Policy) -> Any:
    """A mutation that treats a partial stored response as complete."""
    return decide(request, uri, [replace(one, span=None) for one in stored], now, policy)


def never_satisfied(*arguments: Any) -> Any:
    request, uri, _, now, policy = arguments
    return decide(request, uri, (), now, policy)


def stores_for_everybody(uri: bytes, forward: Forward, *others: Any) -> ResponseActions:
    original, request = _without(forward.original, b"authorization"), _without(forward.request, b"authorization")
    return handle_response(uri, replace(forward, original=original, request=request), *others)


def remembers_what_changed(*arguments: Any) -> ResponseActions:
    return replace(handle_response(*arguments), invalidates=())


def invalidates_elsewhere(*arguments: Any) -> ResponseActions:
    received = handle_response(*arguments)
    more = (b"http://evil.test/s",) if received.invalidates else ()
    return replace(received, invalidates=received.invalidates + more)


def heeds_no_directive(uri: bytes, forward: Forward, response: Response, *others: Any) -> ResponseActions:
    """A mutation that treats every response as fresh for long."""
    fields = _without(response, b"cache-control", b"cdn-cache-control").fields
    response = replace(response, fields=fields.adding((b"Cache-Control", b"max-age=50")))
    return handle_response(uri, forward, response, *others)


def keeps_the_old_head(*arguments: Any) -> ResponseActions:
    received = handle_response(*arguments)
    return replace(received, updates=tuple((old, old) for old, _ in received.updates))


def believes_every_304(uri: bytes, forward: Forward, response: Response, *others: Any) -> ResponseActions:
    if response.status == 304 and forward.validating:
        tag = forward.validating[0].response.fields.get(b"etag")
        kept = _without(response, b"etag")
        response = kept if tag is None else replace(kept, fields=kept.fields.adding((b"ETag", tag)))
    return handle_response(uri, forward, response, *others)


def joins_backwards(*arguments: Any) -> ResponseActions:
    received = handle_response(*arguments)
    return replace(received, pieces=received.pieces[::-1])


def serves_whatever_there_is(uri: bytes, forward: Forward, now: float, policy: Policy) -> Any:
    """A mutation that serves any stale response when upstream fails."""
    fallback = forward.fallback or (forward.validating[0] if forward.validating else None)
    if fallback is None:
        return None
    open_handed = replace(fallback, response=_without(fallback.response, b"cache-control", b"cdn-cache-control"))
    served = handle_failure(uri, replace(forward, fallback=open_handed), now, policy)
    return served if served is None else replace(served, stored=fallback)


DECIDING = (blind_to_vary, slow_clock, deaf_to_the_client, late_age, unmarked_part, never_satisfied)
RECEIVING = (
    *(stores_for_everybody, remembers_what_changed, invalidates_elsewhere, heeds_no_directive, keeps_the_old_head),
    *(believes_every_304, joins_backwards),
)
FAULTS: list[tuple[object, str, Function]] = [
    *((lookup, "decide", fault) for fault in DECIDING),
    *((cache_response, "handle_response", fault) for fault in RECEIVING),
    (cache_response, "handle_failure", serves_whatever_there_is),
]


@pytest.mark.parametrize(("module", "name", "fault"), FAULTS, ids=[fault.__name__ for _, _, fault in FAULTS])
def test_a_broken_cache_is_found_out(
    module: object, name: str, fault: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, fault)
    with pytest.raises((AssertionError, KeyError)):
        _run_all()


def _run_all() -> None:
    for seed in range(SEEDS):
        random = Random(seed)
        steps = history(random, random.choice(((b"/s",), (b"/v",))), ranged=random.choice((False, True)))
        run(steps, Policy())
