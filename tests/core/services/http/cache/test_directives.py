"""Cache-Control in responses and requests (RFC 9111 sections 1.2.2 and 5.2), and targeted fields (RFC 9213)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cache.directives import (
    INFINITY_S,
    NO_REQUEST_DIRECTIVES,
    NO_RESPONSE_DIRECTIVES,
    RequestDirectives,
    delta_seconds,
    request_directives,
    response_directives,
    targeted_directives,
)
from lab7.services.http.cache.structured_fields import OTHER, Value, parse_dictionary


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"0", 0),
        (b"60", 60),
        (b"007", 7),
        (b"2147483647", 2_147_483_647),
        # 1.2.2: a value greater than the greatest is 2^31.
        (b"2147483648", INFINITY_S),
        (b"2147483649", INFINITY_S),
        (b"99999999999999999999999999", INFINITY_S),
        (b"9" * 10_000, INFINITY_S),
        (b"0" * 10_000 + b"5", 5),
        (b"-1", None),
        (b"+1", None),
        (b"1.0", None),
        (b"1 ", None),
        (b"1_0", None),
        (b"", None),
        (b"abc", None),
        ("٣".encode(), None),
    ],
)
def test_1_2_2_delta_seconds(value: bytes, seconds: int | None) -> None:
    assert delta_seconds(value) == seconds


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        (["max-age=60"], 60),
        (["MAX-age=60"], 60),
        (["  max-age=60\t"], 60),
        (["public,max-age=60,x"], 60),
        ([",, max-age=60 , ,"], 60),
        (["public", "max-age=60"], 60),
        # 5.2: both forms of an argument are accepted.
        (['max-age="60"'], 60),
        (['max-age="6\\0"'], 60),
        (["max-age=99999999999"], INFINITY_S),
        # 5.2.3: unknown directives, and known ones within a quoted-string, say nothing.
        (['x="max-age=5, no-store", max-age=60'], 60),
        (['x="a\\", max-age=5", max-age=60'], 60),
        (["x-max-age=5, max-age=60, max-agee=7"], 60),
        (["max-age=60, ="], 60),
        # 4.2.1: an invalid value makes the response stale.
        (["max-age"], 0),
        (["max-age="], 0),
        (['max-age=""'], 0),
        (["max-age=-5"], 0),
        (["max-age=5.5"], 0),
        (["max-age=5s"], 0),
        (["max-age=a5"], 0),
        (["max-age='60'"], 0),
        (["max-age= 60"], 0),
        (["max-age =60"], 0),
        (["max-age=60 5"], 0),
        # 4.2.1: of several the first, or stale. What allows less than the first is heard.
        (["max-age=60, max-age=60"], 60),
        (["max-age=60, max-age=600"], 60),
        (["max-age=60", "max-age=600"], 60),
        (["max-age=600, max-age=60"], 0),
        (["max-age=600, max-age=x"], 0),
        # A quote that is not closed ends with its line.
        (['x="a', "max-age=60", 'y="b'], 60),
        (["no-store"], None),
        ([""], None),
        ([], None),
    ],
)
def test_5_2_2_1_max_age(lines: list[str], seconds: int | None) -> None:
    assert response_directives(tuple(map(str.encode, lines))).max_age == seconds


@pytest.mark.parametrize("name", ["no-store", "must-revalidate", "proxy-revalidate", "immutable"])
@pytest.mark.parametrize("form", ["{}", "{}=1", '{}="x"', "{} =1", "a, {}", "a=1 ,{}"])
def test_5_2_a_flag_counts_whatever_stands_behind_it(name: str, form: str) -> None:
    directives = response_directives((form.format(name.upper()).encode(),))
    assert getattr(directives, name.replace("-", "_")) is True


@pytest.mark.parametrize("name", ["public", "must-understand"])
def test_5_2_a_flag_that_allows_more_has_no_argument(name: str) -> None:
    assert getattr(response_directives((name.encode(),)), name.replace("-", "_")) is True
    assert getattr(response_directives((name.encode() + b"=x",)), name.replace("-", "_")) is False


@pytest.mark.parametrize("name", ["no_cache", "private"])
@pytest.mark.parametrize(
    ("argument", "is_whole", "names"),
    [
        ("", True, set()),
        ('="Set-Cookie"', False, {b"set-cookie"}),
        ('="set-cookie , X-a,"', False, {b"set-cookie", b"x-a"}),
        ("=Set-Cookie", False, {b"set-cookie"}),
        ('=""', True, set()),
        ("=", True, set()),
        ('="a b"', True, set()),
        ('="a', True, set()),
        # What reuse rests on cannot be taken out of a response.
        ('="Vary"', True, set()),
        ('="x, Cache-Control"', True, set()),
    ],
)
def test_5_2_2_4_and_7_names(name: str, argument: str, is_whole: bool, names: set[bytes]) -> None:
    directives = response_directives((f"{name.replace('_', '-')}{argument}".encode(),))
    assert getattr(directives, name) is is_whole
    assert getattr(directives, f"{name}_fields") == names


def test_5_2_2_4_the_unqualified_form_is_the_more_restrictive() -> None:
    assert response_directives((b'no-cache="a", no-cache',)).no_cache
    assert response_directives((b'private="a"', b"private")).private


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("max-age=5", RequestDirectives(max_age=5)),
        ("max-age=5, max-age=3", RequestDirectives(max_age=3)),
        # 5.2.1: advisory; an invalid directive is ignored.
        ("max-age=x", NO_REQUEST_DIRECTIVES),
        ("max-stale", RequestDirectives(max_stale=INFINITY_S)),
        ("max-stale=5", RequestDirectives(max_stale=5)),
        ("max-stale, max-stale=5", RequestDirectives(max_stale=5)),
        ("max-stale=", NO_REQUEST_DIRECTIVES),
        ("min-fresh=5, min-fresh=9", RequestDirectives(min_fresh=9)),
        ("no-cache, no-store", RequestDirectives(no_cache=True, no_store=True)),
        ("only-if-cached", RequestDirectives(only_if_cached=True)),
        ("stale-if-error=9", RequestDirectives(stale_if_error=9)),
        ("immutable, x=1", NO_REQUEST_DIRECTIVES),
    ],
)
def test_5_2_1_request_directives(value: str, expected: RequestDirectives) -> None:
    assert request_directives((value.encode(),), None) == expected


def test_5_4_pragma_counts_where_there_is_no_cache_control() -> None:
    assert request_directives((), b"x, No-Cache").no_cache
    assert not request_directives((), b"x").no_cache
    assert not request_directives((b"max-age=5",), b"no-cache").no_cache


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"", {}),
        (b"  ", {}),
        (b"a", {b"a": True}),
        (
            b'a=1, b=-2,c=?0\t,\td=tok/en;x=1;y, e="q\\"\\\\"',
            {b"a": 1, b"b": -2, b"c": False, b"d": b"tok/en", b"e": b'q"\\'},
        ),
        (b"a=1, a=2", {b"a": 2}),
        (b'a=1.5, b=:aGk=:, c=(1 "x";p 3);q', {b"a": OTHER, b"b": OTHER, b"c": OTHER}),
        (b"a;p=1", {b"a": True}),
        (b"*a=1", {b"*a": 1}),
        # RFC 8941 section 4.2: any of these and the whole field fails.
        (b"a=1,", None),
        (b",a=1", None),
        (b"a=1,,b", None),
        (b"a=1 b=2", None),
        (b"A=1", None),
        (b"a =1", None),
        (b"a= 1", None),
        (b"a=", None),
        (b'a="x', None),
        (b'a="\\x"', None),
        (b'a="\xff"', None),
        (b"a=1234567890123456", None),
        (b"a=1.2345", None),
        (b"a=1.", None),
        (b"a=?2", None),
        (b"a=(1", None),
        (b"a=1;", None),
        (b"max-age=60; b", {b"max-age": 60}),
    ],
)
def test_rfc8941_3_2_dictionaries(value: bytes, members: dict[bytes, Value] | None) -> None:
    assert parse_dictionary(value) == members


@pytest.mark.parametrize(
    ("value", "max_age"),
    [
        (b"max-age=60", 60),
        (b"max-age=60;x=1", 60),
        (b"max-age=10, max-age=60", 60),
        # RFC 9213 section 2.1: no value of another type, and no coercion.
        (b'max-age="60"', 0),
        (b"max-age=60.0", 0),
        (b"max-age", 0),
        (b"max-age=-1", 0),
        (b"max-age=999999999999999", INFINITY_S),
    ],
)
def test_rfc9213_2_1_values(value: bytes, max_age: int) -> None:
    directives = targeted_directives(value)
    assert directives is not None
    assert directives.max_age == max_age


def test_rfc9213_2_1_flags() -> None:
    directives = targeted_directives(b'no-store, must-revalidate=?1, no-cache="a, b", private=?0')
    assert directives is not None
    assert directives.no_store
    assert directives.must_revalidate
    assert not directives.private
    assert directives.no_cache_fields == {b"a", b"b"}


@pytest.mark.parametrize("value", [b"", b"  ", b"Max-Age=60", b"max-age=60,", b"max-age =60", b"max-age=60, no store"])
def test_rfc9213_2_1_an_empty_or_malformed_field_is_ignored(value: bytes) -> None:
    assert targeted_directives(value) is None


@given(
    st.lists(st.binary(max_size=60) | st.text('max-age=," \\;s0159nocache', max_size=60).map(str.encode), max_size=3)
)
def test_no_octets_crash_the_readers(lines: list[bytes]) -> None:
    response_directives(tuple(lines))
    request_directives(tuple(lines), b"".join(lines))
    for line in lines:
        targeted_directives(line)
        delta_seconds(line)


@given(st.text('xyz=," \\;09', max_size=40).map(str.encode))
def test_5_2_3_what_is_not_known_says_nothing(line: bytes) -> None:
    assert response_directives((line,)) == NO_RESPONSE_DIRECTIVES
