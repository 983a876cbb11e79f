"""Freshening of stored responses by a 304 or HEAD response (RFC 9111 sections 3.2, 4.3.4 and 4.3.5)."""

import pytest

from lab7.services.http.cache.decisions import DEFAULT_POLICY
from lab7.services.http.cache.lookup import find_candidates
from lab7.services.http.cache.validation import identify_updated
from lab7.services.http.messages import Response
from tests.core.services.http.cache.exchanges import URI, Cache, date, entry, fields, get, ok

STALE = "Cache-Control: max-age=1"
TAG = 'ETag: "a"'


@pytest.mark.parametrize(
    ("stored", "head", "expected"),
    [
        # a strong validator: all with the same one
        ([['ETag: "a"'], ['ETag: "b"'], ['ETag: "a"']], 'ETag: "a"', "0 2"),
        ([['ETag: "a"']], 'ETag: "b"', ""),
        # strong comparison
        ([['ETag: W/"a"']], 'ETag: "a"', ""),
        # a weak one: the most recent that matches
        ([['ETag: W/"a"'], ['ETag: W/"a"'], ['ETag: W/"b"']], 'ETag: W/"a"', "1"),
        ([['ETag: "a"']], 'ETag: W/"a"', "0"),
        ([['ETag: "a"']], 'ETag: W/"b"', ""),
        ([[f"Last-Modified: {date(-9)}"], [f"Last-Modified: {date(-9)}"]], f"Last-Modified: {date(-9)}", "1"),
        ([[f"Last-Modified: {date(-9)}"]], f"Last-Modified: {date(-8)}", ""),
        ([[f"Last-Modified: {date(-9)}"]], "Last-Modified: x", ""),
        # the tag decides where there is one
        ([['ETag: "a"', f"Last-Modified: {date(-9)}"]], 'ETag: "b"', ""),
        # none: only one response, and that without a validator
        ([[]], "X: 1", "0"),
        ([[], []], "X: 1", ""),
        ([['ETag: "a"']], "X: 1", ""),
        ([['ETag: "a"']], "ETag: a", ""),
    ],
)
def test_4_3_4_identified(stored: list[list[str]], head: str, expected: str) -> None:
    entries = [entry(STALE, *lines, name=str(number)) for number, lines in enumerate(stored)]
    for number, one in enumerate(entries):
        object.__setattr__(one, "response_time", one.response_time + number)
    candidates = find_candidates(get(), entries, DEFAULT_POLICY)
    found = identify_updated(Response(304, fields(head)), candidates, ())
    assert " ".join(sorted(one.name for one, _ in found)) == expected


def test_4_3_4_a_bare_304_is_about_the_one_that_was_asked_about() -> None:
    one, other = entry(STALE, TAG, name="1"), entry(STALE, 'ETag: "b"', name="2")
    candidates = find_candidates(get(), [one, other], DEFAULT_POLICY)
    assert [found for found, _ in identify_updated(Response(304), candidates, [one])] == [one]
    assert identify_updated(Response(304), candidates, [one, other]) == []


def updated(stored: list[str], head: list[str], request_lines: tuple[str, ...] = ()) -> tuple[Response, Cache]:
    """Return the stored response after a 304 at 10 with these fields."""
    cache = Cache()
    cache.ask(get(*request_lines), (ok(STALE, TAG, *stored), b"0123456789"))
    answer = ok(f"Date: {date(10)}", TAG, *head, status=304, dated=False)
    cache.ask(get(*request_lines), (answer, b""), after=10)
    return cache.stored[URI][0].response, cache


@pytest.mark.parametrize(
    "name", ["X-New", "Content-Type", "Content-Encoding", "Content-Language", "Content-Foo", "Link"]
)
def test_3_2_fields_are_replaced_and_added(name: str) -> None:
    """The prefix Content- is no signal that a field is omitted from the update."""
    old, new, lower = [f"{name}: old", f"{name}: older"], [f"{name}: new"], name.lower().encode()
    assert updated(old, new)[0].fields.get_all(lower) == [b"new"]
    assert updated([], new)[0].fields.get_all(lower) == [b"new"]
    assert updated(old, [])[0].fields.get_all(lower) == [b"old", b"older"]


@pytest.mark.parametrize(
    ("stored", "head", "name", "value"),
    [
        (["Content-Length: 10"], ["Content-Length: 0"], b"content-length", b"10"),
        ([], ["Content-Length: 5"], b"content-length", None),
        ([], ["Content-Range: bytes 0-1/2"], b"content-range", None),
        ([], ["Connection: X", "X: 1"], b"x", None),
        ([], ["Connection: close"], b"connection", None),
        ([], ["Proxy-Authenticate: Basic"], b"proxy-authenticate", None),
        (
            ["Set-Cookie: a=1"],
            ["Set-Cookie: a=2", 'Cache-Control: max-age=5, private="Set-Cookie"'],
            b"set-cookie",
            None,
        ),
        (["Age: 5"], [], b"age", None),
        (["Age: 5"], ["Age: 7"], b"age", b"7"),
    ],
)
def test_3_2_fields_that_are_not_updated(stored: list[str], head: list[str], name: bytes, value: bytes | None) -> None:
    assert updated(stored, head)[0].fields.get(name) == value


def test_4_3_4_freshness_comes_from_the_304() -> None:
    _, cache = updated([], ["Cache-Control: max-age=60"])
    assert cache.ask(get(), after=69)[0].fields.get(b"age") == b"59"
    _, cache = updated([f"Expires: {date(5)}"], [f"Expires: {date(70)}", "Cache-Control: public"])
    assert cache.ask(get(), after=69)[1] == b"0123456789"


def test_4_3_4_a_304_without_date_has_the_time_of_its_receipt() -> None:
    cache = Cache()
    cache.ask(get(), (ok(STALE, TAG), b"0123456789"))
    cache.ask(get(), (Response(304, fields(TAG, "Cache-Control: max-age=60")), b""), after=1000)
    assert cache.ask(get(), after=1059)[0].fields.get(b"date") == date(1000).encode()


def test_4_3_4_only_what_vary_lets_answer_the_request_is_updated() -> None:
    cache = Cache()
    for value in ("1", "2"):
        cache.ask(get(f"A: {value}"), (ok(STALE, TAG, "Vary: A"), value.encode()))
    answer = ok(f"Date: {date(10)}", TAG, "Cache-Control: max-age=60", status=304, dated=False)
    assert cache.ask(get("A: 1"), (answer, b""), after=10)[1] == b"1"
    assert [one.response.fields.get(b"cache-control") for one in cache.stored[URI]] == [b"max-age=60", b"max-age=1"]


def test_4_3_4_vary_of_a_304_is_about_the_request_that_brought_it() -> None:
    cache = Cache()
    cache.ask(get("B: 1"), (ok(STALE, TAG), b"0123456789"))
    answer = ok(f"Date: {date(10)}", TAG, "Cache-Control: max-age=60", "Vary: B", status=304, dated=False)
    cache.ask(get("B: 2"), (answer, b""), after=10)
    assert cache.ask(get("B: 2"), after=11)[1] == b"0123456789"
    assert cache.ask(get("B: 1"), (ok(STALE), b"one"), after=11)[1] == b"one"


HEAD = get(method=b"HEAD")


def after_head(stored: list[str], head: list[str], status: int = 200) -> Cache:
    cache = Cache()
    cache.ask(get(), (ok(STALE, *stored), b"0123456789"))
    answer = ok(f"Date: {date(10)}", "Cache-Control: max-age=60", *head, status=status, dated=False)
    response, content = cache.ask(HEAD, (answer, b""), after=10)
    assert (response.status, content) == (status, b"")
    return cache


@pytest.mark.parametrize(
    ("stored", "head"),
    [
        ([TAG], [TAG]),
        ([TAG], [TAG, "Content-Length: 10"]),
        ([], []),
        ([f"Last-Modified: {date(-9)}"], [f"Last-Modified: {date(-9)}"]),
        # only received fields are compared
        ([TAG, f"Last-Modified: {date(-9)}"], [TAG]),
    ],
)
def test_4_3_5_head_updates(stored: list[str], head: list[str]) -> None:
    cache = after_head(stored, [*head, "X: new"])
    response, content = cache.ask(get(), after=69)
    assert (response.fields.get(b"x"), content) == (b"new", b"0123456789")
    assert len(cache.stored[URI]) == 1


@pytest.mark.parametrize(
    ("stored", "head"),
    [
        ([TAG], ['ETag: "b"']),
        ([TAG], ['ETag: W/"a"']),
        ([], [TAG]),
        ([f"Last-Modified: {date(-9)}"], [f"Last-Modified: {date(-8)}"]),
        ([TAG], [TAG, "Content-Length: 11"]),
        ([TAG, f"Last-Modified: {date(-9)}"], [TAG, f"Last-Modified: {date(-8)}"]),
    ],
)
def test_4_3_5_head_shows_a_change(stored: list[str], head: list[str]) -> None:
    cache = after_head(stored, head)
    assert [one.method for one in cache.stored[URI]] == [b"HEAD"]
    assert cache.ask(get(), (ok(), b"new"), after=11)[1] == b"new"
    assert cache.seen[-1] == get()


@pytest.mark.parametrize("head", [[], [TAG]])
def test_4_3_5_a_200_to_head_contradicts_another_status(head: list[str]) -> None:
    cache = Cache()
    cache.ask(get(), (ok(STALE, TAG, status=404), b"not here"))
    cache.ask(HEAD, (ok("Cache-Control: max-age=60", *head), b""), after=10)
    assert [one.method for one in cache.stored[URI]] == [b"HEAD"]


def test_4_3_5_a_stored_head_response_gives_way_to_the_next() -> None:
    cache = Cache()
    for tag in ('ETag: "a"', 'ETag: "b"'):
        cache.ask(HEAD, (ok("Cache-Control: max-age=1", tag), b""), after=5)
        cache.ask(HEAD, (ok("Cache-Control: max-age=1", tag), b""), after=10)
    assert [one.response.fields.get(b"etag") for one in cache.stored[URI]] == [b'"b"']


@pytest.mark.parametrize("status", [404, 500, 301])
def test_4_3_5_only_a_200_to_head_says_anything(status: int) -> None:
    cache = after_head([TAG], ['ETag: "b"'], status=status)
    assert b"GET" in [one.method for one in cache.stored[URI]]


def test_4_3_5_a_conditional_head() -> None:
    cache = Cache()
    cache.ask(get(), (ok(STALE, TAG), b"0123456789"))
    response, content = cache.ask(HEAD, (ok(TAG, "Cache-Control: max-age=60", status=304), b""), after=10)
    assert cache.seen[1] == get('If-None-Match: "a"', method=b"HEAD")
    assert (response.status, content, response.fields.get(b"content-length")) == (200, b"", b"10")
