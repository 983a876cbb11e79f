"""Ranges of stored responses, and stored parts (RFC 9111 sections 3.3 and 3.4, RFC 9110 section 14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cache import reuse
from lab7.services.http.cache.response import truncated
from lab7.services.http.cache.stored import ContentSpan
from lab7.services.http.messages import Request, Response
from tests.core.services.http.cache.exchanges import (
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

WHOLE = b"0123456789"
TAG = 'ETag: "a"'
CONTROL = ["Cache-Control: max-age=60", TAG]


def with_whole(*lines: str) -> Cache:
    cache = Cache()
    cache.ask(get(), (ok(*CONTROL, "Content-Type: text/plain", *lines), WHOLE))
    return cache


def ranged(value: str, *lines: str) -> Request:
    return get(f"Range: {value}", *lines)


def part(first: int, last: int, *lines: str, complete: str = "10", tag: str = TAG) -> tuple[Response, bytes]:
    """Return the origin's response to a range request."""
    content_range = f"Content-Range: bytes {first}-{last}/{complete}"
    control = "Cache-Control: max-age=60"
    return ok(control, tag, content_range, "Content-Type: text/plain", *lines, status=206), WHOLE[first : last + 1]


def with_part(first: int, last: int, **options: str) -> Cache:
    cache = Cache()
    cache.ask(ranged(f"bytes={first}-{last}"), part(first, last, **options))
    return cache


@pytest.mark.parametrize(
    ("value", "content_range", "content"),
    [
        ("bytes=2-4", b"bytes 2-4/10", b"234"),
        ("bytes=7-", b"bytes 7-9/10", b"789"),
        ("bytes=-3", b"bytes 7-9/10", b"789"),
        ("bytes=-99", b"bytes 0-9/10", WHOLE),
        ("bytes=5-99", b"bytes 5-9/10", b"56789"),
        ("BYTES=0-0", b"bytes 0-0/10", b"0"),
        ("bytes=10-", b"bytes */10", b""),
        ("bytes=-0", b"bytes */10", b""),
        # RFC 9110 section 14.2: ignored
        ("bytes=4-2", None, WHOLE),
        ("lines=1-2", None, WHOLE),
        ("bytes", None, WHOLE),
    ],
)
def test_rfc9110_14_2_a_range_of_what_is_whole(value: str, content_range: bytes | None, content: bytes) -> None:
    response, sent = with_whole().ask(ranged(value), after=7)
    expected = 200 if content_range is None else 416 if b"*" in content_range else 206
    assert (response.status, sent) == (expected, content)
    assert response.fields.get(b"content-range") == content_range
    assert response.fields.get(b"content-length") == b"%d" % len(content)
    assert response.fields.get(b"age") == b"7"
    assert response.fields.get(b"etag") == b'"a"'
    assert response.fields.get(b"cache-status") == b"lab7; hit; ttl=53"


def test_rfc9110_15_3_7_2_several_ranges() -> None:
    response, sent = with_whole().ask(ranged("bytes=0-1,-2"))
    assert response.status == 206
    kind, _, boundary = (response.fields.get(b"content-type") or b"").partition(b"; boundary=")
    assert kind == b"multipart/byteranges"
    head = b"Content-Type: text/plain\r\nContent-Range: bytes %b/10\r\n\r\n"
    expected = b"--%b\r\n" + head % b"0-1" + b"01\r\n--%b\r\n" + head % b"8-9" + b"89\r\n--%b--\r\n"
    assert sent == expected % (boundary, boundary, boundary)
    assert response.fields.get(b"content-length") == b"%d" % len(sent)
    assert b"content-range" not in response.fields


@pytest.mark.parametrize(
    ("stored", "if_range", "status"),
    [
        ([TAG], '"a"', 206),
        ([TAG], '"b"', 200),
        ([TAG], 'W/"a"', 200),
        (['ETag: W/"a"'], 'W/"a"', 200),
        ([f"Last-Modified: {date(-60)}"], date(-60), 206),
        ([f"Last-Modified: {date(-60)}"], date(-59), 200),
        # RFC 9110 section 8.8.2.2: a date of this very second is weak.
        ([f"Last-Modified: {date(0)}"], date(0), 200),
        ([TAG], date(0), 200),
    ],
)
def test_rfc9110_13_1_5_if_range(stored: list[str], if_range: str, status: int) -> None:
    one = entry("Cache-Control: max-age=60", *stored)
    assert served(ranged("bytes=2-4", f"If-Range: {if_range}"), one).response.status == status


def test_rfc9110_15_3_7_after_if_range_what_the_client_has_is_left_out() -> None:
    response, _ = with_whole(f"Last-Modified: {date(-60)}").ask(ranged("bytes=2-4", 'If-Range: "a"'))
    assert not response.fields.has_any((b"content-type", b"last-modified"))
    assert response.fields.has_any((b"etag",))


def test_rfc9110_13_2_2_preconditions_go_before_ranges() -> None:
    assert with_whole().ask(ranged("bytes=2-4", 'If-None-Match: "a"'))[0].status == 304
    assert with_whole().ask(ranged("bytes=2-4", 'If-None-Match: "b"'))[0].status == 206


def test_rfc9110_14_2_a_range_has_a_meaning_for_get_and_200_alone() -> None:
    one = entry(*CONTROL)
    assert served(get("Range: bytes=2-4", method=b"HEAD"), one).response.status == 200
    assert served(ranged("bytes=2-4"), entry(*CONTROL, status=404)).response.status == 404


def test_a_range_of_what_is_still_arriving_is_asked_for_upstream() -> None:
    request = ranged("bytes=2-4")
    decision = forwarded(request, entry(*CONTROL, size=None))
    assert (decision.reason, decision.request) == (b"partial", request)


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("bytes=2-6", b"23456"),
        ("bytes=3-4", b"34"),
        ("bytes=3-4,6-6", None),
        ("bytes=2-7", None),
        ("bytes=1-4", None),
        ("bytes=3-", None),
        ("bytes=-1", None),
        ("bytes=0-0", None),
        ("bytes=20-", None),
    ],
)
def test_3_3_a_part_answers_ranges_within_it(value: str, content: bytes | None) -> None:
    cache = with_part(2, 6)
    if content is not None:
        response, sent = cache.ask(ranged(value), after=5)
        assert (response.status, sent) == (206, content)
        assert response.fields.get(b"age") == b"5"
        return
    decision = decided(ranged(value), *cache.stored[URI])
    assert outcome(decision) == ("fresh" if value == "bytes=3-4,6-6" else "partial")


def test_3_3_a_part_at_the_end_answers_open_ranges_and_suffixes() -> None:
    cache = with_part(5, 9)
    assert cache.ask(ranged("bytes=7-"))[1] == b"789"
    assert cache.ask(ranged("bytes=-2"))[1] == b"89"


def test_3_3_a_part_of_unknown_whole_answers_closed_ranges() -> None:
    cache = with_part(2, 6, complete="*")
    response, content = cache.ask(ranged("bytes=3-4"))
    assert (response.fields.get(b"content-range"), content) == (b"bytes 3-4/*", b"34")
    for value in ("bytes=3-", "bytes=-1", "bytes=3-7", "bytes=5-4"):
        assert outcome(decided(ranged(value), *cache.stored[URI])) == "partial"


@pytest.mark.parametrize("request_", [get(), get(method=b"HEAD"), get("Range: lines=1-2")])
def test_3_3_a_part_answers_nothing_else(request_: Request) -> None:
    assert outcome(decided(request_, *with_part(0, 6).stored[URI])) == "partial"


def test_3_3_if_range_of_another_representation_wants_all_of_it() -> None:
    request = ranged("bytes=3-4", 'If-Range: "b"')
    assert outcome(decided(request, *with_part(0, 6).stored[URI])) == "partial"


def test_a_range_request_that_cannot_be_answered_goes_on_as_it_is() -> None:
    request = ranged("bytes=2-9", 'If-Range: "a"')
    assert forwarded(request).request is request
    assert forwarded(request, *with_part(2, 6).stored[URI]).request is request


def test_3_4_parts_that_touch_are_combined() -> None:
    cache = with_part(2, 4)
    assert cache.ask(ranged("bytes=5-6"), part(5, 6))[1] == b"56"
    assert [one.span for one in cache.stored[URI]] == [ContentSpan(2, 6, 10)]
    assert cache.ask(ranged("bytes=2-6"))[1] == b"23456"
    cache.ask(ranged("bytes=0-3"), part(0, 3))
    assert cache.ask(ranged("bytes=0-6"))[1] == b"0123456"
    cache.ask(ranged("bytes=6-9"), part(6, 9))
    assert [one.span for one in cache.stored[URI]] == [None]
    assert cache.ask(get())[1] == WHOLE


def test_3_4_a_part_around_what_is_stored() -> None:
    cache = with_part(4, 5)
    cache.ask(ranged("bytes=2-7"), part(2, 7))
    assert cache.ask(ranged("bytes=2-7"))[1] == b"234567"


def test_3_4_a_part_of_what_is_stored_brings_newer_fields() -> None:
    cache = with_whole()
    answer, content = part(2, 4, "X: new")
    cache.ask(get("Range: bytes=2-4", "Cache-Control: no-cache"), (answer, content), after=50)
    assert cache.ask(get())[0].fields.get(b"x") == b"new"
    assert cache.ask(get())[1] == WHOLE


def test_3_4_parts_that_do_not_touch_stay_side_by_side() -> None:
    cache = with_part(0, 1)
    cache.ask(ranged("bytes=5-6"), part(5, 6))
    assert cache.ask(ranged("bytes=0-1"))[1] == b"01"
    assert cache.ask(ranged("bytes=5-6"))[1] == b"56"


@pytest.mark.parametrize("tag", ['ETag: "b"', 'ETag: W/"a"', "X: no tag"])
def test_3_4_without_the_same_strong_validator_the_new_part_takes_the_place(tag: str) -> None:
    cache = with_part(2, 4)
    cache.ask(ranged("bytes=5-6"), part(5, 6, tag=tag))
    assert [one.span for one in cache.stored[URI]] == [ContentSpan(5, 6, 10)]


@pytest.mark.parametrize("line", ["Cache-Control: no-store", "Authorization: x"])
def test_3_4_what_may_not_be_stored_is_not_combined(line: str) -> None:
    cache = with_part(2, 4)
    assert cache.ask(ranged("bytes=5-6", line), part(5, 6))[1] == b"56"
    assert [one.span for one in cache.stored[URI]] == [ContentSpan(2, 4, 10)]


def test_3_3_a_part_of_one_octet() -> None:
    assert with_part(3, 3).ask(ranged("bytes=3-3"))[1] == b"3"


@pytest.mark.parametrize(
    "stored",
    [part(1, 4), part(0, 4, complete="*"), part(0, 4, tag='ETag: W/"a"'), part(0, 4, tag="X: no tag")],
    ids=["not from the beginning", "no complete length", "a weak tag", "no tag"],
)
def test_3_3_not_every_part_can_be_completed(stored: tuple[Response, bytes]) -> None:
    cache = Cache()
    cache.ask(ranged("bytes=0-4"), stored)
    assert len(cache.stored[URI]) == 1
    assert forwarded(get(), *cache.stored[URI]).request == get()


def incomplete(received: int = 4) -> Cache:
    """Return a cache that has stored the first octets of a truncated 200."""
    cache = with_whole("Content-Length: 10")
    [stored] = cache.stored[URI]
    kept = truncated(stored, received)
    assert kept is not None
    object.__setattr__(kept, "size_octets", received)
    cache.contents[kept.name] = WHOLE[:received]
    cache.stored[URI] = [kept]
    return cache


def test_3_3_an_incomplete_response_is_completed() -> None:
    cache = incomplete()
    response, content = cache.ask(get("Accept: x"), part(4, 9, "X: new"), after=5)
    assert cache.seen[-1] == get("Accept: x", "Range: bytes=4-", 'If-Range: "a"')
    assert (response.status, content) == (200, WHOLE)
    assert response.fields.get(b"content-length") == b"10"
    assert response.fields.get(b"x") == b"new"
    assert b"content-range" not in response.fields
    assert response.fields.get(b"cache-status") == b"lab7; fwd=partial; fwd-status=206; ttl=55; stored"
    assert cache.ask(get(), after=6)[1] == WHOLE
    assert len(cache.stored[URI]) == 1


def test_3_3_a_response_that_changed_meanwhile_comes_as_a_whole() -> None:
    cache = incomplete()
    assert cache.ask(get(), (ok("Cache-Control: max-age=60", 'ETag: "b"'), b"new"))[1] == b"new"
    assert cache.ask(get())[1] == b"new"


@pytest.mark.parametrize(
    "answer",
    [
        part(4, 9, tag='ETag: "b"'),
        part(4, 9, tag='ETag: W/"a"'),
        part(5, 9),
        part(4, 8),
        part(4, 9, complete="11"),
        part(4, 9, complete="*"),
        (ok("Content-Range: bytes */3", status=416), b""),
        (ok(status=206), b"456789"),
    ],
)
def test_3_3_an_end_that_does_not_fit_is_not_used(answer: tuple[Response, bytes]) -> None:
    cache = incomplete()
    if answer[0].fields.get(b"content-range") == b"bytes 4-9/*":
        # The stored part knows how long the whole is.
        assert cache.ask(get(), answer)[1] == WHOLE
        return
    response, content = cache.ask(get(), answer, (ok(*CONTROL), b"all of it"))
    assert cache.seen[-1] == get()
    assert (response.status, content) == (200, b"all of it")


def test_3_3_what_may_not_be_stored_is_completed_for_the_client_alone() -> None:
    cache = incomplete()
    assert cache.ask(get("Cache-Control: no-store"), part(4, 9))[1] == WHOLE
    assert [one.span for one in cache.stored[URI]] == [ContentSpan(0, 3, 10)]


@pytest.mark.parametrize("line", ['If-None-Match: "x"', f"If-Modified-Since: {date(0)}", "Range: bytes=1-8"])
def test_3_3_only_a_plain_get_is_completed(line: str) -> None:
    assert forwarded(get(line), *incomplete().stored[URI]).request == get(line)


def test_a_range_of_what_is_stale_is_validated_and_then_cut() -> None:
    cache = with_whole()
    request = ranged("bytes=2-4")
    answer = ok(TAG, "Cache-Control: max-age=60", f"Date: {date(70)}", status=304, dated=False)
    response, content = cache.ask(request, (answer, b""), after=70)
    assert cache.seen[-1] == get("Range: bytes=2-4", 'If-None-Match: "a"')
    assert (response.status, content) == (206, b"234")


def test_4_3_1_a_subrange_of_what_has_only_a_date_is_not_validated() -> None:
    stored = entry("Cache-Control: max-age=1", f"Last-Modified: {date(-60)}")
    request = ranged("bytes=2-4")
    assert forwarded(request, stored, after=70).request is request


@pytest.mark.parametrize(
    ("old", "new", "whole"),
    [
        (ContentSpan(0, 4, None), ContentSpan(5, 9, None), ContentSpan(0, 9, None)),
        (ContentSpan(0, 4, None), ContentSpan(5, 9, 10), ContentSpan(0, 9, 10)),
        (ContentSpan(0, 4, 10), ContentSpan(5, 9, 11), None),
        (ContentSpan(0, 9, None), ContentSpan(2, 3, 5), None),
        (ContentSpan(0, 9, None), ContentSpan(2, 3, 10), ContentSpan(0, 9, 10)),
    ],
)
def test_3_4_parts_agree_on_the_complete_length(old: ContentSpan, new: ContentSpan, whole: ContentSpan | None) -> None:
    assert reuse.union(old, new) == whole
    assert reuse.union(new, old) == whole


SPANS = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted)


@given(SPANS, SPANS)
def test_3_4_pieces_are_the_union(old: list[int], new: list[int]) -> None:
    stored = entry(*CONTROL)
    spans = ContentSpan(old[0], old[1], 10), ContentSpan(new[0], new[1], 10)
    whole = reuse.union(*spans)
    touches = not (old[1] + 1 < new[0] or new[1] + 1 < old[0])
    assert (whole is not None) is touches
    if whole is None:
        return
    contents = {True: WHOLE[old[0] : old[1] + 1], False: WHOLE[new[0] : new[1] + 1]}
    pieces = reuse.pieces(stored, *spans)
    cut = [contents[one.stored is not None][one.span.first : one.span.last + 1] for one in pieces]
    assert b"".join(cut) == WHOLE[whole.first : whole.last + 1]
    assert all(len(one) == len(piece.span) > 0 for one, piece in zip(cut, pieces, strict=True))
