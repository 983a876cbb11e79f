"""Reuse of stored responses (RFC 9111 sections 4, 4.2.4 and 5.2.1; RFC 5861; RFC 8246)."""

import pytest

from lab7.services.http.cache.decisions import Policy, Unsatisfiable
from lab7.services.http.cache.lookup import decide
from tests.core.services.http.cache.exchanges import (
    NOW,
    URI,
    Cache,
    date,
    decided,
    entry,
    forwarded,
    get,
    ok,
    outcome,
    served,
)

MAX_AGE = "Cache-Control: max-age=60"


@pytest.mark.parametrize(
    ("control", "wish", "after", "expected"),
    [
        ("max-age=60", "", 30, "fresh"),
        ("max-age=60", "", 60, "stale"),
        # 5.2.1.1
        ("max-age=60", "max-age=30", 30, "fresh"),
        ("max-age=60", "max-age=30", 31, "request"),
        ("max-age=60", "max-age=0", 1, "request"),
        ("max-age=60", "max-age=x", 31, "fresh"),
        ("max-age=60", "max-age=600", 61, "stale"),
        # 5.2.1.2
        ("max-age=60", "max-stale", 10_000, "stale!"),
        ("max-age=60", "max-stale=30", 89, "stale!"),
        ("max-age=60", "max-stale=30", 91, "stale"),
        ("max-age=60", "max-stale=30, max-age=100", 89, "stale!"),
        ("max-age=60", "max-stale=30, max-age=70", 80, "stale"),
        # 5.2.1.3
        ("max-age=60", "min-fresh=30", 30, "fresh"),
        ("max-age=60", "min-fresh=30", 31, "request"),
        ("max-age=60", "min-fresh=70", 0, "request"),
        ("max-age=60", "min-fresh=5, max-stale", 70, "stale"),
        # 5.2.1.4
        ("max-age=60", "no-cache", 1, "request"),
        ("max-age=60", "no-cache", 61, "stale"),
        ("max-age=60", "no-cache, max-stale", 61, "stale"),
        # 5.2.1.5: does not apply to responses stored already.
        ("max-age=60", "no-store", 1, "fresh"),
        ("max-age=60", "no-transform, x=1", 1, "fresh"),
        # 5.2.2.4
        ("no-cache, max-age=60", "", 0, "stale"),
        ("no-cache, max-age=60", "max-stale", 0, "stale"),
        ('no-cache="x", max-age=60', "", 1, "fresh"),
        # 4.2.4: no request directive overrides a prohibition of stale responses.
        ("max-age=60, must-revalidate", "", 30, "fresh"),
        ("max-age=60, must-revalidate", "max-stale", 61, "stale"),
        ("max-age=60, proxy-revalidate", "max-stale", 61, "stale"),
        ("max-age=600, s-maxage=60", "max-stale", 61, "stale"),
        # RFC 5861 section 3
        ("max-age=60, stale-while-revalidate=30", "", 59, "fresh"),
        ("max-age=60, stale-while-revalidate=30", "", 90, "stale!+revalidate"),
        ("max-age=60, stale-while-revalidate=30", "", 90.5, "stale"),
        ("max-age=60, stale-while-revalidate=x", "", 61, "stale"),
        ("max-age=60, stale-while-revalidate=30", "max-age=100", 61, "stale"),
        ("max-age=60, stale-while-revalidate=30", "no-cache", 61, "stale"),
        ("max-age=60, stale-while-revalidate=30", "max-stale=5", 61, "stale!"),
        ("max-age=60, stale-while-revalidate=30, must-revalidate", "", 61, "stale"),
        ("s-maxage=60, stale-while-revalidate=30", "", 61, "stale"),
        ("no-cache, max-age=60, stale-while-revalidate=30", "", 61, "stale"),
        # RFC 8246 section 2.1
        ("max-age=60, immutable", "max-age=0", 30, "fresh"),
        ("max-age=60, immutable", "no-cache", 30, "request"),
        ("max-age=60, immutable", "max-age=0", 61, "stale"),
        ("max-age=60", "immutable, max-age=0", 30, "request"),
    ],
)
def test_4_reuse(control: str, wish: str, after: float, expected: str) -> None:
    stored = entry(f"Cache-Control: {control}", 'ETag: "a"')
    request = get(f"Cache-Control: {wish}") if wish else get()
    found = outcome(decided(request, stored, after=after))
    if found.startswith("stale") and hasattr(decided(request, stored, after=after), "stored"):
        found = found.replace("stale", "stale!", 1)
    assert found == expected


def test_5_4_pragma_no_cache() -> None:
    stored = entry(MAX_AGE)
    assert outcome(decided(get("Pragma: no-cache"), stored)) == "request"
    assert outcome(decided(get("Pragma: no-cache", "Cache-Control: x"), stored)) == "fresh"


@pytest.mark.parametrize("after", [0, 61])
def test_5_2_1_7_only_if_cached(after: float) -> None:
    stored = entry(MAX_AGE)
    asked = get("Cache-Control: only-if-cached")
    decision = decide(asked, URI, [stored], NOW + after)
    if after:
        assert isinstance(decision, Unsatisfiable)
        assert decision.response.status == 504
    else:
        assert outcome(decision) == "fresh"
    assert outcome(decide(asked, URI, [], NOW)) == "504"
    assert outcome(decide(get("Cache-Control: only-if-cached, max-stale"), URI, [stored], NOW + 61)) == "stale"


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"OPTIONS", b"FOO"])
def test_4_other_methods_are_written_through(method: bytes) -> None:
    decision = forwarded(get("If-None-Match: x", method=method), entry(MAX_AGE))
    assert decision.reason == b"method"
    assert decision.request is decision.original
    assert not decision.may_collapse


def test_content_in_a_get_goes_past_the_cache() -> None:
    assert forwarded(get("Content-Length: 3"), entry(MAX_AGE)).reason == b"bypass"
    cache = Cache()
    cache.ask(get("Content-Length: 3"), (ok(MAX_AGE), b"x"))
    assert not cache.stored.get(URI)


def test_head_is_answered_by_get_and_not_the_other_way() -> None:
    """RFC 9110 section 9.3.2"""
    stored = entry(MAX_AGE, "Content-Type: text/plain", size=10)
    answer = served(get(method=b"HEAD"), stored)
    assert answer.segments == ()
    assert answer.response.fields.get(b"content-length") == b"10"
    of_head = entry(MAX_AGE, "Content-Length: 77", request=get(method=b"HEAD"), size=0)
    assert served(get(method=b"HEAD"), of_head).response.fields.get(b"content-length") == b"77"
    assert outcome(decided(get(), of_head)) == "uri-miss"


def test_rfc9110_9_3_3_post_answers_get_and_not_post() -> None:
    stored = entry(MAX_AGE, "Content-Location: /a", request=get(method=b"POST"))
    assert outcome(decided(get(), stored)) == "fresh"
    assert outcome(decided(get(method=b"HEAD"), stored)) == "fresh"
    assert outcome(decided(get(method=b"POST"), stored)) == "method"


def test_4_age_is_generated_and_replaces_what_was_there() -> None:
    answer = served(get(), entry("Cache-Control: max-age=600", "Age: 7"), after=30.9)
    assert answer.age_s == 37
    assert answer.response.fields.get_all(b"age") == [b"37"]


def test_4_an_answer_is_what_was_stored_with_its_length() -> None:
    answer = served(get(), entry(MAX_AGE, "X: 1", "X: 2", "Content-Length: 999", "Set-Cookie: a=1", size=10))
    assert answer.response == ok(
        MAX_AGE, "X: 1", "X: 2", "Set-Cookie: a=1", "Content-Length: 10", "Age: 0", "Cache-Status: lab7; hit; ttl=60"
    )
    assert answer.segments is None


@pytest.mark.parametrize("status", [200, 203, 301, 404, 410, 500, 599])
def test_4_any_stored_status_is_reused(status: int) -> None:
    answer = served(get(), entry(MAX_AGE, status=status))
    assert answer.response.status == status


def test_a_204_has_no_content_length() -> None:
    assert b"content-length" not in served(get(), entry(MAX_AGE, status=204, size=0)).response.fields


def test_what_is_still_arriving_has_the_length_that_it_told() -> None:
    assert (
        served(get(), entry(MAX_AGE, "Content-Length: 99", size=None)).response.fields.get(b"content-length") == b"99"
    )


def test_4_many_answers_within_a_second_are_one_and_the_next_second_has_its_own() -> None:
    stored = entry(MAX_AGE)
    assert served(get(), stored, after=5.1) is served(get("X: 1"), stored, after=5.9)
    assert served(get(), stored, after=6).age_s == 6
    assert served(get(), stored, after=5).age_s == 5


def test_a_policy_has_its_own_answers() -> None:
    stored = entry(f"Last-Modified: {date(-1000)}")
    assert outcome(decided(get(), stored, after=50)) == "fresh"
    assert outcome(decided(get(), stored, after=50, policy=Policy(heuristic_fraction=0.01))) == "stale"
    assert outcome(decided(get(), stored, after=50)) == "fresh"


@pytest.mark.parametrize(
    ("lines", "may_collapse"),
    [
        ([], True),
        (["Cookie: a=1"], True),
        (["Authorization: x"], False),
        (["Range: bytes=0-1"], False),
        (["Cache-Control: no-cache"], False),
        (["Cache-Control: no-store"], False),
        (['If-None-Match: "x"'], False),
    ],
)
def test_4_which_requests_may_wait_for_one_response(lines: list[str], may_collapse: bool) -> None:
    assert forwarded(get(*lines)).may_collapse is may_collapse


def test_rfc5861_3_what_is_asked_in_the_background() -> None:
    stored = entry("Cache-Control: max-age=60, stale-while-revalidate=30", 'ETag: "a"', f"Last-Modified: {date(-9)}")
    wish = ["Range: bytes=0-1", 'If-None-Match: "z"', "Cache-Control: max-stale=0", "Pragma: x", "Accept: y"]
    answer = served(get(*wish), stored, after=70)
    assert answer.is_stale
    assert answer.revalidate is not None
    assert answer.revalidate.original == get("Accept: y")
    expected = ["Accept: y", 'If-None-Match: "a"', f"If-Modified-Since: {date(-9)}"]
    assert answer.revalidate.request == get(*expected)
    assert answer.revalidate.validating == (stored,)


def test_rfc5861_3_a_head_is_answered_stale_and_a_get_is_asked() -> None:
    stored = entry("Cache-Control: max-age=60, stale-while-revalidate=30")
    answer = served(get(method=b"HEAD"), stored, after=70)
    assert answer.revalidate is not None
    assert answer.revalidate.request == get()


def test_rfc5861_3_the_response_to_the_background_request_is_used_next() -> None:
    cache = Cache()
    control = "Cache-Control: max-age=60, stale-while-revalidate=30"
    cache.ask(get(), (ok(control), b"one"))
    assert cache.ask(get(), after=70)[1] == b"one"
    new = ok(control, f"Date: {date(71)}", dated=False)
    cache.forward(URI, cache.background.pop(), [(new, b"two")], NOW + 71)
    assert cache.ask(get(), after=72)[1] == b"two"
    assert cache.background == []
