"""Vary, and selection among stored responses (RFC 9111 sections 4 and 4.1)."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.http.cache.keys import matches_vary, nominated_fields, normalised_value, same_key
from services.http.cache.stored import StoredResponse
from services.http.messages import Response
from tests.core.services.http.cache.exchanges import (
    NOW,
    URI,
    Cache,
    date,
    decided,
    entry,
    fields,
    get,
    is_stored,
    ok,
    outcome,
    served,
)


def matches(vary: list[str], first: list[str], second: list[str]) -> bool:
    stored = entry(*(f"Vary: {value}" for value in vary), "Cache-Control: max-age=60", request=get(*first))
    return matches_vary(stored, get(*second).fields)


@pytest.mark.parametrize(
    ("first", "second", "is_match"),
    [
        (["A: 1"], ["A: 1"], True),
        (["A: 1"], ["a: 1"], True),
        (["A: 1"], ["A: 2"], False),
        (["A: 1"], ["A: 1", "B: 2"], True),
        # absent only matches absent
        ([], [], True),
        (["A: 1"], [], False),
        ([], ["A: 1"], False),
        ([], ["A:"], False),
        # lines combine, and the order of an unknown list's members counts
        (["A: 1, 2"], ["A: 1", "A: 2"], True),
        (["A: 1,2"], ["A:  1 ,\t2 ,"], True),
        (["A: 1, 2"], ["A: 2, 1"], False),
        (["A: x"], ["A: X"], False),
        (['A: "1,2"'], ['A: "1, 2"'], False),
        (["A: 1 2"], ["A: 1  2"], False),
    ],
)
def test_4_1_any_field(first: list[str], second: list[str], is_match: bool) -> None:
    assert matches(["A"], first, second) is is_match


@pytest.mark.parametrize(
    ("name", "first", "second", "is_match"),
    [
        ("Accept-Language", "en, de", "de,en", True),
        ("Accept-Language", "en-GB", "EN-gb", True),
        ("Accept-Language", "en;q=0.5, de", "de, en ; q = 0.50", True),
        ("Accept-Language", "en;q=1", "en", True),
        ("Accept-Language", "en;q=1.000", "en", True),
        ("Accept-Language", "en;q=0", "en", False),
        ("Accept-Language", "en;q=0.1", "en;q=0.01", False),
        ("Accept-Language", "en", "en, de", False),
        ("Accept-Encoding", "gzip, BR;q=0.8", "br;q=0.8,GZIP", True),
        ("Accept-Encoding", "gzip", "gzip;q=0", False),
        ("Accept-Charset", "utf-8, *;q=0.1", "*;q=0.1, UTF-8", True),
        ("Accept", "Text/HTML;Level=1, */*;q=0.1", "*/*;q=0.1,text/html; level=1", True),
        # RFC 9110 section 8.3.1: a parameter's value may be case-sensitive.
        ("Accept", "text/html;level=A", "text/html;level=a", False),
        ("Accept", "text/html", "text/plain", False),
        # not lists: white space around a comma is part of the value
        ("User-Agent", "a (b, c)", "a (b,c)", False),
        ("User-Agent", "a", " a ", True),
        ("Cookie", "a=1, b", "a=1,b", False),
    ],
)
def test_4_1_what_a_fields_own_definition_makes_the_same(name: str, first: str, second: str, is_match: bool) -> None:
    assert matches([name], [f"{name}: {first}"], [f"{name}: {second}"]) is is_match


@pytest.mark.parametrize(
    ("vary", "names"),
    [
        ([], ()),
        ([""], ()),
        (["A, b"], (b"a", b"b")),
        (["B", "a,B"], (b"a", b"b")),
        (["*"], None),
        (["a, *"], None),
        (["a", "*"], None),
        (["a b"], None),
    ],
)
def test_4_1_names(vary: list[str], names: tuple[bytes, ...] | None) -> None:
    assert nominated_fields(fields(*(f"Vary: {value}" for value in vary))) == names


def test_4_1_star_never_matches_and_is_not_stored() -> None:
    assert not is_stored("Vary: *", "Cache-Control: max-age=60", 'ETag: "a"')
    assert not is_stored("Vary: a", "Vary: b, *", "Cache-Control: max-age=60")


def test_4_1_two_fields_must_both_match() -> None:
    assert matches(["A", "B"], ["A: 1", "B: 2"], ["B: 2", "A: 1"])
    assert not matches(["A", "B"], ["A: 1", "B: 2"], ["A: 1", "B: 3"])


def test_4_the_most_recent_one_by_date_is_chosen() -> None:
    control = "Cache-Control: max-age=600"
    answer = Response(200, fields(control, f"Date: {date(-50)}"))
    old = StoredResponse(URI, b"GET", get().fields, NOW, NOW, answer, 10, None, "1")
    new = entry(control, "X: new", name="2")
    assert served(get(), old, new).stored is new
    assert served(get(), new, old).stored is new


def test_4_1_one_with_vary_goes_before_one_without() -> None:
    control = "Cache-Control: max-age=600"
    plain = entry(control, name="1")
    english = entry(control, "Vary: Accept-Language", request=get("Accept-Language: en"), name="2")
    assert served(get("Accept-Language: en"), plain, english).stored is english
    assert served(get("Accept-Language: en"), english, plain).stored is english
    assert served(get("Accept-Language: fr"), english, plain).stored is plain


def test_4_an_older_one_that_is_fresh_is_better_than_a_newer_one_that_is_not() -> None:
    fresh = entry("Cache-Control: max-age=600", name="1")
    stale = entry("Cache-Control: max-age=1", "Vary: A", name="2")
    assert served(get(), stale, fresh, after=10).stored is fresh


def test_4_1_none_that_matches_is_a_vary_miss() -> None:
    stored = entry("Cache-Control: max-age=600", "Vary: A", request=get("A: 1"))
    assert outcome(decided(get("A: 2"), stored)) == "vary-miss"
    assert outcome(decided(get("A: 2"))) == "uri-miss"


def test_variants_stay_side_by_side_and_each_replaces_its_own() -> None:
    cache = Cache()
    answer = ok("Cache-Control: max-age=600", "Vary: A")
    for value in ("1", "2"):
        cache.ask(get(f"A: {value}"), (answer, value.encode()))
    assert [cache.ask(get(f"A: {value}"))[1] for value in ("1", "2", "1")] == [b"1", b"2", b"1"]
    cache.ask(get("A: 1", "Cache-Control: no-cache"), (answer, b"new"))
    assert [cache.ask(get(f"A: {value}"))[1] for value in ("1", "2")] == [b"new", b"2"]


def test_same_key_where_the_old_one_would_answer_the_new_ones_request() -> None:
    control = "Cache-Control: max-age=600"
    plain, varied = entry(control), entry(control, "Vary: A", request=get("A: 1"))
    assert same_key(plain, varied)
    assert not same_key(varied, plain)
    assert same_key(varied, entry(control, request=get("A: 1")))


NAMES = st.sampled_from([b"accept", b"accept-language", b"accept-encoding", b"user-agent", b"x"])


def test_a_long_value_without_end_of_a_quoted_string_is_kept() -> None:
    """Of 64 KiB of escaped quotation marks each could begin a string: a search from each takes half a minute."""
    value = b'"' + b'\\"' * 32768
    assert normalised_value(b"accept", value) == value


@example(b"accept", b'"a,","')
@given(NAMES, st.binary(max_size=60) | st.text('enq=;.,01 *"', max_size=60).map(str.encode))
def test_a_normalised_value_is_its_own_normalised_value(name: bytes, value: bytes) -> None:
    once = normalised_value(name, value)
    assert normalised_value(name, once) == once
