"""Errors and failures upstream (RFC 9111 sections 4.2.4 and 4.3.3, RFC 5861 section 4)."""

import pytest

from lab7.services.http.cache.decisions import Policy
from lab7.services.http.cache.response import handle_failure
from tests.core.services.http.cache.exchanges import NOW, URI, Cache, entry, forwarded, get, ok

GIVEN = 'ETag: "a"'


def after_error(control: str, error: int | None, after: float, wish: str = "", policy: Policy | None = None) -> int:
    """Return the client's status at `after` when upstream responds with `error`; None for no response."""
    cache = Cache(policy or Policy())
    cache.ask(get(), (ok(f"Cache-Control: {control}", GIVEN), b"kept"))
    request = get(f"Cache-Control: {wish}") if wish else get()
    answer = None if error is None else (ok(status=error), b"error")
    response, content = cache.ask(request, answer, after=after)
    assert (content == b"kept") == (response.status == 200)
    return response.status


@pytest.mark.parametrize("error", [500, 502, 503, 504, None])
@pytest.mark.parametrize(
    ("control", "wish", "after", "is_kept"),
    [
        ("max-age=60, stale-if-error=30", "", 89, True),
        ("max-age=60, stale-if-error=30", "", 90, True),
        ("max-age=60", "stale-if-error=30", 89, True),
        ("max-age=60, stale-if-error=30", "max-age=0", 30, True),
        ("max-age=60, stale-if-error=30", "no-cache", 30, False),
        # 4.2.4: nothing overrides these.
        ("max-age=60, stale-if-error=30, must-revalidate", "", 70, False),
        ("max-age=60, stale-if-error=30, proxy-revalidate", "", 70, False),
        ("s-maxage=60, stale-if-error=30", "", 70, False),
        ("no-cache, stale-if-error=30", "", 70, False),
        ("no-cache", "stale-if-error=30", 70, False),
    ],
)
def test_rfc5861_4_stale_if_error(error: int | None, control: str, wish: str, after: float, is_kept: bool) -> None:
    assert after_error(control, error, after, wish) == (200 if is_kept else error or 504)


@pytest.mark.parametrize("error", [500, 502, 503, 504])
def test_rfc5861_4_an_error_after_its_time_is_passed_on(error: int) -> None:
    assert after_error("max-age=60, stale-if-error=30", error, 91) == error
    assert after_error("max-age=60", error, 61) == error


@pytest.mark.parametrize(
    ("control", "wish", "after", "is_kept"),
    [
        ("max-age=60, stale-if-error=30", "", 91, False),
        ("max-age=60, stale-if-error=30", "stale-if-error=40", 91, True),
        ("max-age=60, stale-if-error=30", "stale-if-error=5", 91, False),
        ("max-age=60", "stale-if-error=30", 91, False),
        ("max-age=60, stale-if-error=0", "", 61, False),
        ("max-age=60, stale-if-error=0", "max-age=0", 30, True),
        ("max-age=60, stale-if-error=many", "", 61, False),
        # An advice that is not valid says nothing.
        ("max-age=60", "stale-if-error=many", 91, True),
    ],
)
def test_rfc5861_4_its_time_bounds_what_is_served_when_disconnected(
    control: str, wish: str, after: float, is_kept: bool
) -> None:
    assert after_error(control, None, after, wish) == (200 if is_kept else 504)


@pytest.mark.parametrize("status", [501, 505, 404, 429])
def test_rfc5861_4_other_statuses_are_no_errors(status: int) -> None:
    assert after_error("max-age=60, stale-if-error=30", status, 70) == status


def test_4_2_4_disconnected() -> None:
    assert after_error("max-age=60", None, 1000) == 200
    assert after_error("max-age=60", None, 60 + 8 * 86_400) == 504
    assert after_error("max-age=60", None, 1000, policy=Policy(stale_on_failure=False)) == 504
    assert after_error("max-age=60", None, 1000, policy=Policy(stale_most_s=100)) == 504
    assert after_error("max-age=60", None, 30, wish="no-cache") == 504
    assert after_error("max-age=60, must-revalidate", None, 30, wish="max-age=0") == 200
    assert after_error("max-age=60, must-revalidate", None, 60) == 504


def test_4_3_3_a_server_error_as_if_the_server_had_not_responded() -> None:
    policy = Policy(stale_on_error=True)
    assert after_error("max-age=60", 503, 70, policy=policy) == 200
    assert after_error("max-age=60, must-revalidate", 503, 70, policy=policy) == 503


def test_nothing_stored_nothing_instead() -> None:
    cache = Cache()
    assert cache.ask(get(), None)[0].status == 504
    assert cache.ask(get(method=b"POST"), None)[0].status == 504


def test_rfc5861_4_a_stale_answer_says_so() -> None:
    cache = Cache()
    cache.ask(get(), (ok("Cache-Control: max-age=60, stale-if-error=30"), b"kept"))
    error = cache.ask(get(), (ok(status=503), b""), after=70)[0]
    assert error.fields.get(b"age") == b"70"
    assert error.fields.get(b"cache-status") == b"lab7; fwd=stale; fwd-status=503; ttl=-10"
    down = cache.ask(get(), None, after=70)[0]
    assert down.fields.get(b"cache-status") == b"lab7; hit; ttl=-10; detail=unreachable"
    assert b"warning" not in down.fields


def test_4_2_what_has_reached_its_lifetime_is_stale() -> None:
    stored = entry("Cache-Control: max-age=60")
    answer = handle_failure(URI, forwarded(get(), stored, after=60), NOW + 60)
    assert answer is not None
    assert answer.is_stale


def test_an_error_does_not_replace_what_is_stored() -> None:
    cache = Cache()
    cache.ask(get(), (ok("Cache-Control: max-age=60", GIVEN), b"kept"))
    assert cache.ask(get(), (ok(status=503), b"error"), after=70)[0].status == 503
    fresh = ok("Cache-Control: max-age=60", GIVEN, status=304)
    assert cache.ask(get(), (fresh, b""), after=71)[1] == b"kept"
