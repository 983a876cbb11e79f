"""Comparison of the cache with an oracle written from RFC 9111 alone: histories of requests, changes and waits."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab7.services.http.cache.decisions import Policy
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Request
from tests.core.services.http.cache.histories import POLICIES, START, Ask, Step, Wait, histories, history, run
from tests.core.services.http.cache.honest_origin import PATHS, Mood, Origin
from tests.core.services.http.cache.model_cache import ModelCache

CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]
USUAL = settings(max_examples=1000, suppress_health_check=CHECKS)
SEEDS = 5000

Steps = list[Step]


@USUAL
@given(histories(), st.sampled_from(POLICIES), st.booleans())
def test_a_history_breaks_no_rule(steps: Steps, policy: Policy, replaces: bool) -> None:
    run(steps, policy, replaces)


@USUAL
@given(histories((b"/v", b"/a"), longest=12), st.sampled_from(POLICIES), st.booleans())
def test_no_history_mixes_variants(steps: Steps, policy: Policy, replaces: bool) -> None:
    run(steps, policy, replaces)


@USUAL
@given(histories((b"/s", b"/w", b"/l"), ranged=True, longest=12), st.sampled_from(POLICIES), st.booleans())
def test_no_history_mixes_parts(steps: Steps, policy: Policy, replaces: bool) -> None:
    run(steps, policy, replaces)


CUT = Ask(mood=Mood(targeted=b"must-revalidate, max-age=5", outcome="cut"))
STALE = Ask(mood=Mood(targeted=b"must-revalidate, max-age=3"))
PRIVATE_FIELD = Mood(cache_control=b'private="X-More", max-age=50', more=((b"X-More", b"1"),))


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Ask(mood=Mood(cache_control=b"max-age=0")), Ask()], id="stale at once, nothing permits that"),
        pytest.param([CUT, Ask(mood=Mood(cache_control=b"no-store")), Ask()], id="the missing end is not to be stored"),
        pytest.param([CUT, Ask(lines=((b"Authorization", b"x"),)), Ask()], id="the missing end is for one user"),
        pytest.param([STALE, Wait(4.0), Ask(mood=PRIVATE_FIELD), Ask()], id="a field of the 304 is for one user"),
    ],
)
def test_a_history_that_broke_a_rule_once(steps: Steps) -> None:
    """Directives of a stored targeted field apply, and so do those of each later response."""
    run(steps, Policy())


@pytest.mark.slow
@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("paths", [PATHS, (b"/s",), (b"/s", b"/v"), (b"/w", b"/l", b"/n"), (b"/a",)])
def test_no_long_history_breaks_a_rule(paths: tuple[bytes, ...], ranged: bool) -> None:
    """Seeds instead of hypothesis: no shrinking, but ten times as many histories."""
    for seed in range(SEEDS):
        random = Random(seed)
        steps = history(random, paths, ranged=ranged, longest=25)
        try:
            run(steps, random.choice(POLICIES), random.choice((True, False)))
        except Exception as error:
            raise AssertionError(f"{seed}: {steps}") from error


@settings(max_examples=200, suppress_health_check=CHECKS)
@given(
    st.lists(
        st.tuples(
            st.sampled_from((b"/s", b"/n", b"/v")),
            st.sampled_from((b"a", b"b")),
            st.sampled_from((b"max-age=%d", b"s-maxage=%d", b"public, max-age=%d")),
            st.sampled_from((0, 1, 5, 60)),
            st.sampled_from((0, 1, 4, 5, 30)),
        ),
        max_size=25,
    )
)
def test_plain_requests_hit_exactly_while_the_response_is_fresh(
    steps: list[tuple[bytes, bytes, bytes, int, int]],
) -> None:
    """The RFC leaves no choice here."""
    # Whole seconds: Date tells no fraction of one, and so a response may be taken for older than it is.
    now, fresh_until = int(START), dict[tuple[bytes, bytes], int]()
    origin = Origin(now)
    cache = ModelCache(origin, Policy())
    for path, variant, directive, lifetime, wait in steps:
        key = (path, variant if path == b"/v" else b"")
        request = Request(b"GET", path, Fields(((b"Host", b"o.test"), (b"X-V", variant))))
        answer = cache.ask(request, now, Mood(cache_control=directive % lifetime, validates=False), Mood())
        assert answer.is_stored == (now < fresh_until.get(key, 0)), "needless, or too late"
        if not answer.is_stored:
            fresh_until[key] = now + lifetime
        now += wait
