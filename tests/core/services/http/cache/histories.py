"""Histories of a cache for hypothesis: requests, responses of the origin, changes of resources, and time."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st

from lab7.services.http.cache.decisions import Policy
from lab7.services.http.fields import FieldLine, Fields, format_date
from lab7.services.http.messages import Request
from tests.core.services.http.cache.client_view import check_answer
from tests.core.services.http.cache.honest_origin import PATHS, Mood, Origin
from tests.core.services.http.cache.model_cache import Answer, ModelCache

START = 1_700_000_000.25


@dataclass(frozen=True)
class Ask:
    """A client's request. `condition` and `tagged_range` are resolved against what the origin has at that time."""

    path: bytes = b"/s"
    method: bytes = b"GET"
    lines: tuple[FieldLine, ...] = ()
    condition: str = ""
    range: bytes | None = None
    if_range: str = ""
    mood: Mood = field(default=Mood())
    later: Mood = field(default=Mood())


@dataclass(frozen=True)
class Wait:
    seconds: float


@dataclass(frozen=True)
class Change:
    path: bytes
    minor: bool = False


Step = Ask | Wait | Change


def run(steps: list[Step], policy: Policy, replaces: bool = True) -> list[Answer]:
    """Run a history with all checks; return the responses."""
    now, answers = START, []
    origin = Origin(now)
    cache = ModelCache(origin, policy, replaces)
    for step in steps:
        if isinstance(step, Wait):
            now += step.seconds
        elif isinstance(step, Change):
            origin.change(step.path, now, step.minor)
        else:
            request = resolved(step, origin)
            answers.append(cache.ask(request, now, step.mood, step.later))
            check_answer(origin, request, answers[-1])
            now = max(now, cache.clock)
    return answers


def resolved(ask: Ask, origin: Origin) -> Request:
    request = Request(ask.method, ask.path, Fields(((b"Host", b"o.test"), *ask.lines)))
    resource, variant = origin.resources[ask.path], origin.variant(ask.path, request)
    tag = origin.tag(ask.path, variant, resource.version) or b'"none"'
    older = origin.tag(ask.path, variant, max(0, resource.version - 1)) or b'"none"'
    changed = int(resource.changed)
    lines = {
        "": (),
        "its tag": ((b"If-None-Match", tag),),
        "an older tag": ((b"If-None-Match", older),),
        "weakly": ((b"If-None-Match", b'"x", W/' + tag.removeprefix(b"W/")),),
        "any": ((b"If-None-Match", b"*"),),
        "both": ((b"If-None-Match", b'"x"'), (b"If-Modified-Since", format_date(changed))),
        "since its change": ((b"If-Modified-Since", format_date(changed)),),
        "since before": ((b"If-Modified-Since", format_date(changed - 50)),),
        "since nonsense": ((b"If-Modified-Since", b"yesterday"),),
        "match": ((b"If-Match", tag),),
        "no match": ((b"If-Match", b'"x"'),),
    }[ask.condition]
    if ask.range is not None:
        lines += ((b"Range", ask.range),)
        condition = {"": None, "its tag": tag, "an older tag": older, "date": format_date(changed)}[ask.if_range]
        lines += () if condition is None else ((b"If-Range", condition),)
    return Request(ask.method, ask.path, Fields((*request.fields, *lines)))


CACHE_CONTROL = (
    *(b"max-age=10", b"max-age=100") * 6,
    *(None, b"max-age=0", b"no-cache", b"no-store", b"private", b"public", b"s-maxage=10", b"s-maxage=0, max-age=100"),
    *(b"max-age=5, must-revalidate", b"max-age=5, proxy-revalidate", b"s-maxage=100, max-age=0", b"public, max-age=10"),
    *(b"max-age=5, stale-while-revalidate=20", b"max-age=5, stale-if-error=50", b"max-age=0, stale-if-error=5"),
    *(
        b'max-age="10"',
        b"MAX-AGE=10",
        b"max-age=abc",
        b"max-age=-1",
        b"max-age=1.5",
        b"max-age",
        b"max-age=99999999999",
    ),
    *(b"max-age=100, max-age=5", b"max-age=5, max-age=100", b", ,max-age=50,,", b"immutable, max-age=50"),
    *(b'private="X-More", max-age=50', b'no-cache="X-More, x-other", max-age=50', b'no-cache="x-more"'),
    *(b"must-understand, no-store, max-age=50", b'max-age=50, unknown="a, no-store"', b"s-maxage=abc, max-age=50"),
    *(b"max-age=5, must-revalidate, stale-if-error=60", b"no-cache, max-age=100, stale-while-revalidate=100"),
    *(b"NO-STORE, max-age=100", b"max-age=100, No-Cache", b"max-age=100, s-maxage=5", b"must-revalidate"),
)
TARGETED = (
    *(b"max-age=20", b"no-store", b"max-age=0", b"private", b"", b"max-age=,", b"MAX-AGE=100", b"no-cache"),
    *(b"must-revalidate, max-age=3", b"max-age=5, stale-while-revalidate=20"),
)
ASKED = (
    *(b"no-cache", b"no-store", b"max-age=0", b"max-age=5", b"min-fresh=6", b"max-stale", b"max-stale=5"),
    *(b"only-if-cached", b"max-age=3, max-stale=20", b"no-transform", b"unknown", b"stale-if-error=30"),
    *(b"only-if-cached, max-stale", b"max-age=abc", b"min-fresh=x", b"max-stale=x"),
)
MORE: tuple[tuple[FieldLine, ...], ...] = (
    ((b"X-More", b"1"), (b"X-Other", b"2")),
    ((b"Connection", b"x-hop, close"), (b"X-Hop", b"1"), (b"Proxy-Authenticate", b"Basic"), (b"Keep-Alive", b"5")),
    ((b"Vary", b"*"),),
    ((b"vary", b"X-Nobody, x-v"),),
    ((b"Location", b"/w"),),
    ((b"Location", b"http://evil.test/s"),),
    ((b"Content-Location", b"self"),),
    ((b"Content-Location", b"/l"), (b"Set-Cookie", b"a=1")),
)
CONDITIONS = ("its tag", "an older tag", "weakly", "any", "both", "since its change", "since before", "since nonsense")
RANGES = (b"bytes=0-4", b"bytes=5-", b"bytes=-3", b"bytes=2-3,8-9", b"bytes=1000-", b"bytes=x", b"lines=1-2")
MORE_RANGES = (b"bytes=0-9", b"bytes=10-", b"bytes=0-", b"bytes=3-12", b"bytes=10-19", b"bytes=-0", b"bytes=20-10")
STATUSES = (203, 204, 301, 302, 404, 410, 500, 503, 502, 599, 299, 501)


def history(random: Random, paths: tuple[bytes, ...] = PATHS, *, ranged: bool = False, longest: int = 14) -> list[Step]:
    """Generate a history from a source of randomness, hypothesis's or a seeded one. Simple choices come first."""
    steps: list[Step] = []
    for _ in range(random.randint(2, longest)):
        kind = random.randint(0, 9)
        if kind < 7:
            steps.append(_ask(random, paths, ranged))
        elif kind < 9:
            steps.append(Wait(random.choice((4.0, 9.7, 12.0, 0.3, 1.0, 40.0, 200.0, 90_000.0))))
        else:
            steps.append(Change(random.choice(paths), random.choice((False, True))))
    return steps


def _ask(random: Random, paths: tuple[bytes, ...], ranged: bool) -> Ask:
    ranges = (None, *RANGES, *MORE_RANGES) if ranged else (None,) * 40 + RANGES
    return Ask(
        path=random.choice(paths),
        method=random.choice((b"GET",) * 26 + (b"HEAD",) * 3 + (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"WHAT")),
        lines=_lines(random),
        condition=random.choice(("",) * 24 + CONDITIONS + ("match", "no match")),
        range=random.choice(ranges),
        if_range=random.choice(("",) * 6 + ("its tag", "an older tag", "date")),
        mood=_mood(random, cuts=4 if ranged else 1),
        later=_mood(random, cuts=1),
    )


def _lines(random: Random) -> tuple[FieldLine, ...]:
    drawn = (
        (b"Cache-Control", random.choice((None,) * 20 + ASKED)),
        (b"Authorization", random.choice((None,) * 10 + (b"Basic eA==",))),
        (b"X-V", random.choice((None, None, b"a1", b"a2", b"b"))),
        (b"Accept-Language", random.choice((None, None, b"de", b"DE", b"dx", b"en"))),
    )
    return tuple((name, value) for name, value in drawn if value is not None)


def _mood(random: Random, cuts: int) -> Mood:
    return Mood(
        status=random.choice((200,) * 40 + STATUSES),
        cache_control=random.choice(CACHE_CONTROL),
        targeted=random.choice((None,) * 40 + TARGETED),
        expires=random.choice((None,) * 12 + (20, -20, b"0", b"soon")),
        date=random.choice((0,) * 12 + (None, -8, 8, b"today")),
        age=random.choice((None,) * 12 + (b"0", b"4", b"x", b"-1", b"4, 70", b"9999999999999")),
        more=random.choice(((),) * 16 + MORE),
        validates=random.choice((True,) * 9 + (False,)),
        ranges=random.choice((True,) * 4 + (False,)),
        foreign_tag=random.choice((False,) * 19 + (True,)),
        outcome=random.choice(("answer",) * 10 + ("fail",) + ("cut",) * cuts),
        delay_s=random.choice((0.0, 0.0, 0.5, 3.0)),
    )


def histories(
    paths: tuple[bytes, ...] = PATHS, *, ranged: bool = False, longest: int = 14
) -> st.SearchStrategy[list[Step]]:
    return st.randoms(use_true_random=False).map(lambda random: history(random, paths, ranged=ranged, longest=longest))


POLICIES = (Policy(), Policy(), Policy(stale_on_error=True), Policy(stale_on_failure=False))
