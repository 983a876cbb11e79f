"""Conditional requests of the cache and of the client, and their responses (RFC 9111 sections 4.3.1 to 4.3.4)."""

import pytest

from lab7.services.http.cache.stored import ContentSpan
from lab7.services.http.messages import Request, Response
from tests.core.services.http.cache.exchanges import URI, Cache, date, entry, forwarded, get, ok, served

MODIFIED = f"Last-Modified: {date(-1000)}"
SINCE = f"If-Modified-Since: {date(-1000)}"
TAG = 'ETag: "a"'
STALE = "Cache-Control: max-age=1"


def asked(request: Request, *stored_lines: list[str]) -> Request:
    """Return the forwarded request when these stored responses are stale."""
    stored = [entry(*lines, name=str(number)) for number, lines in enumerate(stored_lines)]
    return forwarded(request, *stored, after=10).request


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ([STALE, TAG, MODIFIED], ['If-None-Match: "a"', SINCE]),
        ([STALE, TAG], ['If-None-Match: "a"']),
        ([STALE, 'ETag: W/"a"'], ['If-None-Match: W/"a"']),
        ([STALE, MODIFIED], [SINCE]),
        # no validators
        ([STALE], []),
        ([STALE, "ETag: a", "Last-Modified: yesterday"], []),
        ([STALE, "ETag: a", MODIFIED], [SINCE]),
    ],
)
def test_4_3_1_validators_of_what_is_stored(stored: list[str], expected: list[str]) -> None:
    assert asked(get(), stored) == get(*expected)


def test_4_3_1_all_that_could_be_chosen_are_asked_about() -> None:
    assert asked(get(), [STALE, TAG, MODIFIED], [STALE, 'ETag: "b"'], [STALE, TAG]) == get('If-None-Match: "a", "b"')


def test_4_3_1_only_successful_responses_are_asked_about() -> None:
    stored = entry(STALE, TAG, status=404)
    assert forwarded(get(), stored, after=10).request == get()


def test_4_3_1_what_vary_keeps_apart_is_not_asked_about() -> None:
    stored = entry(STALE, TAG, "Vary: A", request=get("A: 1"))
    assert forwarded(get("A: 2"), stored, after=10).request == get("A: 2")


@pytest.mark.parametrize(
    ("stored", "clients", "expected"),
    [
        # 4.3.2: the union of both lists
        ([STALE, TAG], ['If-None-Match: "c"'], ['If-None-Match: "c", "a"']),
        ([STALE, TAG], ['If-None-Match: "c", "a"'], ['If-None-Match: "c", "a"']),
        (
            [STALE, TAG, MODIFIED],
            ['If-None-Match: W/"c"', f"If-Modified-Since: {date(0)}"],
            ['If-None-Match: W/"c", "a"'],
        ),
        # no list to be united with
        ([STALE, TAG], ["If-None-Match: *"], ["If-None-Match: *"]),
        ([STALE, TAG], ["If-None-Match: c"], ["If-None-Match: c"]),
        # a list takes precedence over a date, and ours has no tag to add
        ([STALE, MODIFIED], ['If-None-Match: "c"'], ['If-None-Match: "c"']),
        # a date of the client's gives way to ours
        ([STALE, MODIFIED], [f"If-Modified-Since: {date(-5)}"], [SINCE]),
        ([STALE, TAG], [f"If-Modified-Since: {date(-5)}"], ['If-None-Match: "a"']),
        # nothing of ours
        ([STALE], [f"If-Modified-Since: {date(-5)}"], [f"If-Modified-Since: {date(-5)}"]),
        ([STALE, TAG], ['If-Match: "c"'], ['If-Match: "c"', 'If-None-Match: "a"']),
    ],
)
def test_4_3_2_the_clients_preconditions_and_ours(stored: list[str], clients: list[str], expected: list[str]) -> None:
    assert asked(get(*clients), stored) == get(*expected)


def test_4_3_2_with_nothing_stored_the_clients_preconditions_pass() -> None:
    request = get('If-None-Match: "c"', SINCE, 'If-Match: "d"')
    assert forwarded(request).request is request


@pytest.mark.parametrize(
    ("stored", "clients", "status"),
    [
        ([TAG], ['If-None-Match: "a"'], 304),
        ([TAG], ['If-None-Match: "b"'], 200),
        ([TAG], ['If-None-Match: "b", "a"'], 304),
        ([TAG], ['If-None-Match: "b"', 'If-None-Match: "a"'], 304),
        ([TAG], ["If-None-Match: *"], 304),
        # weak comparison
        ([TAG], ['If-None-Match: W/"a"'], 304),
        (['ETag: W/"a"'], ['If-None-Match: "a"'], 304),
        # malformed
        ([TAG], ["If-None-Match: a"], 200),
        (["ETag: a"], ["If-None-Match: a"], 200),
        ([MODIFIED], ['If-None-Match: "a"'], 200),
        # If-None-Match takes precedence
        ([TAG, MODIFIED], ['If-None-Match: "b"', SINCE], 200),
        ([TAG, MODIFIED], ['If-None-Match: "a"', f"If-Modified-Since: {date(-5000)}"], 304),
        ([MODIFIED], [SINCE], 304),
        ([MODIFIED], [f"If-Modified-Since: {date(-999)}"], 304),
        ([MODIFIED], [f"If-Modified-Since: {date(-1001)}"], 200),
        ([MODIFIED], ["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], 200),
        ([MODIFIED], ["If-Modified-Since: yesterday"], 200),
        # without Last-Modified, Date
        ([TAG], [f"If-Modified-Since: {date(0)}"], 304),
        ([TAG], [f"If-Modified-Since: {date(-1)}"], 200),
        # not applicable to a cache
        ([TAG], ['If-Match: "b"'], 200),
        ([MODIFIED], [f"If-Unmodified-Since: {date(-5000)}"], 200),
        ([TAG], ['If-Match: "b"', 'If-None-Match: "a"'], 304),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_4_3_2_the_clients_preconditions_on_what_is_fresh(
    stored: list[str], clients: list[str], status: int, method: bytes
) -> None:
    answer = served(get(*clients, method=method), entry("Cache-Control: max-age=60", *stored), after=1)
    assert answer.response.status == status
    assert answer.segments == (() if status == 304 or method == b"HEAD" else None)


@pytest.mark.parametrize("status", [301, 404, 500])
def test_rfc9110_13_2_1_no_preconditions_where_the_answer_is_no_success(status: int) -> None:
    stored = entry("Cache-Control: max-age=60", TAG, status=status)
    assert served(get('If-None-Match: "a"'), stored).response.status == status


def test_rfc9110_15_4_5_the_fields_of_a_304() -> None:
    kept = [
        "Cache-Control: max-age=60",
        "Content-Location: /b",
        f"Expires: {date(9)}",
        "Vary: A",
        "Set-Cookie: a=1",
        "X: 1",
    ]
    dropped = ["Content-Type: text/plain", "Content-Encoding: gzip", "Content-Language: en", MODIFIED]
    stored = entry(*kept, TAG, *dropped)
    expected = ok(*kept, TAG, "Age: 7", "Cache-Status: lab7; hit; ttl=53", status=304)
    assert served(get('If-None-Match: "a"'), stored, after=7).response == expected
    without_tag = served(get(SINCE), entry(*kept, *dropped), after=7).response
    assert without_tag.fields.get(b"last-modified") == date(-1000).encode()


def revalidated(
    stored: list[str], answer: Response, request: Request | None = None, *more: tuple[Response, bytes]
) -> tuple[Cache, Response, bytes]:
    """Return a cache with a stale response that upstream validates at 10, and the client's response."""
    cache = Cache()
    cache.ask(get(), (ok(*stored), b"0123456789"))
    response, content = cache.ask(request or get(), (answer, b"new"), *more, after=10)
    return cache, response, content


def answer_at_10(*lines: str, status: int = 304) -> Response:
    return ok(f"Date: {date(10)}", *lines, status=status, dated=False)


def test_4_3_3_a_304_is_answered_from_storage_and_freshens() -> None:
    cache, response, content = revalidated([STALE, TAG], answer_at_10(TAG, "Cache-Control: max-age=60"))
    assert (response.status, content) == (200, b"0123456789")
    assert response.fields.get(b"cache-status") == b"lab7; fwd=stale; fwd-status=304; ttl=60"
    assert b"age" not in response.fields
    response, content = cache.ask(get(), after=69)
    assert response.fields.get(b"age") == b"59"


def test_4_3_3_a_304_of_a_cache_upstream_brings_its_age() -> None:
    cache, response, _ = revalidated([STALE, TAG, "Age: 50"], answer_at_10(TAG, "Age: 20", "Cache-Control: max-age=60"))
    assert response.fields.get(b"age") == b"20"
    assert cache.ask(get(), after=49)[0].fields.get(b"age") == b"59"
    cache, response, _ = revalidated(["Cache-Control: max-age=60", TAG, "Age: 55"], answer_at_10(TAG))
    assert b"age" not in response.fields


def test_4_3_3_a_full_response_is_used_and_takes_the_place() -> None:
    cache, response, content = revalidated(
        [STALE, TAG], answer_at_10('ETag: "b"', "Cache-Control: max-age=60", status=200)
    )
    assert (response.status, content) == (200, b"new")
    assert cache.ask(get(), after=11)[1] == b"new"
    assert len(cache.stored[URI]) == 1


def test_4_3_3_a_full_response_that_is_not_stored_ends_the_old_one() -> None:
    cache, _, content = revalidated([STALE, TAG], answer_at_10("Cache-Control: no-store", status=200))
    assert content == b"new"
    assert cache.stored[URI] == []


@pytest.mark.parametrize(
    ("lines", "request_lines", "is_kept"),
    [
        ([TAG], ["Cache-Control: no-store"], True),
        (['ETag: "b"'], ["Cache-Control: no-store"], False),
        ([], ["Cache-Control: no-store"], False),
        # a response to one user's credentials does not outdate those for others
        ([], ["Authorization: x"], True),
        ([], ["Content-Length: 1"], True),
    ],
)
def test_4_3_3_only_what_is_outdated_goes(lines: list[str], request_lines: list[str], is_kept: bool) -> None:
    cache, _, _ = revalidated([STALE, TAG], answer_at_10(*lines, status=200), get(*request_lines))
    assert bool(cache.stored[URI]) is is_kept


@pytest.mark.parametrize("status", [206, 401, 403, 412, 416, 429, 500])
def test_4_3_3_other_answers_do_not_outdate(status: int) -> None:
    cache, _, _ = revalidated([STALE, TAG], answer_at_10(status=status))
    assert len(cache.stored[URI]) == 1


def test_3_what_is_about_the_caches_own_precondition_is_not_stored() -> None:
    cache, response, _ = revalidated([STALE, TAG], answer_at_10("Cache-Control: max-age=60", status=412))
    assert response.status == 412
    assert [stored.response.status for stored in cache.stored[URI]] == [200]


def test_4_3_2_a_304_to_the_clients_tag_and_to_ours() -> None:
    """A 304 with a tag that is not in the client's list becomes a 200."""
    request = get('If-None-Match: "c"')
    _, response, content = revalidated([STALE, TAG], answer_at_10(TAG), request)
    assert (response.status, content) == (200, b"0123456789")
    _, response, content = revalidated([STALE, TAG], answer_at_10('ETag: "c"'), request)
    assert (response.status, content) == (304, b"new")
    _, response, content = revalidated([STALE, TAG], answer_at_10(TAG), get('If-None-Match: "a"'))
    assert (response.status, content) == (304, b"")


def test_4_3_2_a_304_about_nobody_knows_what_is_asked_again() -> None:
    request = get('If-None-Match: "c"')
    again = answer_at_10('ETag: "d"', status=200)
    cache, response, content = revalidated([STALE, TAG], answer_at_10(), request, (again, b"again"))
    assert cache.seen[1:] == [get('If-None-Match: "c", "a"'), request]
    assert (response.status, content) == (200, b"again")


def test_4_3_4_a_304_with_another_strong_tag_updates_nothing() -> None:
    again = answer_at_10('ETag: "b"', status=200)
    cache, response, content = revalidated([STALE, TAG], answer_at_10('ETag: "b"'), None, (again, b"again"))
    assert cache.seen[1:] == [get('If-None-Match: "a"'), get()]
    assert (response.status, content) == (200, b"again")


def test_4_3_2_the_clients_date_is_held_against_what_was_validated() -> None:
    clients = get(f"If-Modified-Since: {date(-5)}")
    cache, response, _ = revalidated([STALE, MODIFIED], answer_at_10(MODIFIED), clients)
    assert cache.seen[1] == get(SINCE)
    assert response.status == 304
    clients = get(f"If-Modified-Since: {date(-5000)}")
    assert revalidated([STALE, MODIFIED], answer_at_10(MODIFIED), clients)[1].status == 200


def test_a_304_to_the_clients_own_precondition_is_relayed() -> None:
    cache = Cache()
    response, _ = cache.ask(get('If-None-Match: "c"'), (answer_at_10('ETag: "c"'), b""))
    assert response.status == 304
    assert response.fields.get(b"cache-status") == b"lab7; fwd=uri-miss"
    assert not cache.stored.get(URI)


def test_a_304_to_the_clients_own_precondition_freshens_what_it_identifies() -> None:
    cache, response, _ = revalidated(
        [STALE, MODIFIED], answer_at_10(MODIFIED, "Cache-Control: max-age=60"), get('If-None-Match: "c"')
    )
    assert response.status == 304
    assert cache.ask(get(), after=60)[1] == b"0123456789"


def test_a_304_that_nobody_asked_for_is_relayed() -> None:
    cache = Cache()
    assert cache.ask(get(), (answer_at_10(), b""))[0].status == 304


def test_5_2_2_4_no_cache_is_validated_each_time() -> None:
    cache = Cache()
    cache.ask(get(), (ok("Cache-Control: no-cache", TAG), b"0123456789"))
    for after in (0, 1):
        assert cache.ask(get(), (ok(TAG, status=304), b""), after=after)[1] == b"0123456789"
    assert cache.seen[1:] == [get('If-None-Match: "a"')] * 2


def test_5_2_2_4_a_field_that_is_not_stored_goes_with_what_was_validated() -> None:
    control = 'Cache-Control: max-age=1, no-cache="Set-Cookie"'
    cache, response, _ = revalidated([control, TAG, "Set-Cookie: a=1"], answer_at_10(TAG, "Set-Cookie: a=2"))
    assert response.fields.get_all(b"set-cookie") == [b"a=2"]
    assert all(b"set-cookie" not in one.response.fields for one in cache.stored[URI])


def test_5_2_1_5_what_a_request_with_no_store_brings_is_not_stored() -> None:
    cache, response, content = revalidated(
        [STALE, TAG], answer_at_10(TAG, "X: 1", "Cache-Control: max-age=60"), get("Cache-Control: no-store")
    )
    assert (response.status, content) == (200, b"0123456789")
    assert response.fields.get(b"x") == b"1"
    assert cache.stored[URI][0].response.fields.get(b"x") is None


def test_5_2_2_5_a_304_with_no_store_is_used_once() -> None:
    cache, response, content = revalidated([STALE, TAG], answer_at_10(TAG, "Cache-Control: no-store"))
    assert (response.status, content) == (200, b"0123456789")
    assert cache.stored[URI] == []


def test_4_3_2_part_of_a_representation_is_not_asked_about() -> None:
    part = entry(STALE, TAG, "Content-Range: bytes 2-4/10", status=206, request=get("Range: bytes=2-4"), size=3)
    assert part.span == ContentSpan(2, 4, 10)
    assert forwarded(get('If-None-Match: "c"'), part, after=10).request == get('If-None-Match: "c"')
    within = get('If-None-Match: "c"', "Range: bytes=3-4")
    assert forwarded(within, part, after=10).request.fields.get(b"if-none-match") == b'"c", "a"'
