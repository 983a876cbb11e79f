"""Storing responses: conditions, and the stored fields (RFC 9111 section 3)."""

import pytest

from lab7.services.http.cache.decisions import DEFAULT_POLICY
from lab7.services.http.cache.response import storable, truncated
from lab7.services.http.cache.stored import ContentSpan
from lab7.services.http.messages import Response
from tests.core.services.http.cache.exchanges import NOW, URI, date, entry, fields, get, is_stored, ok

MODIFIED = f"Last-Modified: {date(-1000)}"
MAX_AGE = "Cache-Control: max-age=60"


@pytest.mark.parametrize("status", [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501])
def test_3_a_heuristically_cacheable_status_needs_no_directive(status: int) -> None:
    assert is_stored(MODIFIED, status=status)


@pytest.mark.parametrize("status", [201, 202, 302, 303, 307, 400, 403, 408, 499, 500, 502, 503, 504, 599, 299, 399])
@pytest.mark.parametrize(
    "line",
    [
        MAX_AGE,
        "Cache-Control: s-maxage=60",
        "Cache-Control: public",
        f"Expires: {date(60)}",
        "CDN-Cache-Control: max-age=60",
    ],
)
def test_3_any_other_final_status_needs_explicit_permission(status: int, line: str) -> None:
    assert not is_stored(MODIFIED, status=status)
    assert is_stored(MODIFIED, line, status=status)


@pytest.mark.parametrize("status", [100, 101, 103, 199])
def test_3_an_interim_response_is_never_stored(status: int) -> None:
    assert not is_stored(MAX_AGE, status=status)


@pytest.mark.parametrize("status", [304, 407, 428, 429, 431, 511])
def test_statuses_that_answer_more_than_the_key_are_never_stored(status: int) -> None:
    assert not is_stored("Cache-Control: max-age=60, public", status=status)


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (412, 'If-Match: "a"'),
        (412, "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT"),
        (416, "Range: bytes=90-"),
        (417, "Expect: 100-continue"),
    ],
)
def test_3_a_status_about_a_field_is_stored_where_the_request_has_none(status: int, line: str) -> None:
    assert is_stored(MAX_AGE, status=status)
    assert not is_stored(MODIFIED, status=status)
    assert not is_stored(MAX_AGE, request=get(line), status=status)


@pytest.mark.parametrize(
    ("lines", "stored"),
    [
        (["Cache-Control: no-store"], False),
        (["Cache-Control: no-store, max-age=60"], False),
        (["Cache-Control: max-age=60", "Cache-Control: No-Store"], False),
        (["Cache-Control: private, max-age=60"], False),
        (['Cache-Control: private="x", max-age=60'], True),
        (['Cache-Control: x="no-store", max-age=60'], True),
        # 5.2.2.4: stored, and validated each time.
        (["Cache-Control: no-cache", 'ETag: "a"'], True),
        (["Cache-Control: no-cache"], False),
        # 7.3: Set-Cookie does not inhibit caching.
        (["Set-Cookie: a=1", "Cache-Control: max-age=60"], True),
        # 5.4: Pragma in a response says nothing.
        (["Pragma: no-cache", "Cache-Control: max-age=60"], True),
        # 5.2.2.3
        (["Cache-Control: no-store, must-understand, max-age=60"], True),
        (["Cache-Control: must-understand, max-age=60"], True),
        (["Cache-Control: private, must-understand, max-age=60"], False),
        # RFC 9213 section 2.2
        (["CDN-Cache-Control: no-store", "Cache-Control: max-age=60"], False),
        (["CDN-Cache-Control: private", "Cache-Control: max-age=60"], False),
        (["CDN-Cache-Control: max-age=60", "Cache-Control: no-store"], True),
        (["CDN-Cache-Control: none", "Cache-Control: no-store", 'ETag: "a"'], True),
        (["CDN-Cache-Control: no-store,", "Cache-Control: max-age=60"], True),
        (["Surrogate-Control: no-store", "Cache-Control: max-age=60"], True),
        # 3: neither validator nor expiration time is of no use.
        ([], False),
        (["ETag: x"], False),
        (['ETag: W/"a"'], True),
        # Stale from the start, and good for max-stale or a failing origin
        (["Cache-Control: max-age=0"], True),
        (["Cache-Control: max-age=0, must-revalidate"], False),
        (["Expires: 0"], True),
    ],
)
def test_3_what_directives_say(lines: list[str], stored: bool) -> None:
    assert is_stored(*lines) is stored


@pytest.mark.parametrize(("status", "stored"), [(200, True), (404, True), (499, False), (299, False), (599, False)])
def test_5_2_2_3_must_understand_needs_a_status_that_is_understood(status: int, stored: bool) -> None:
    assert is_stored("Cache-Control: must-understand, max-age=60", status=status) is stored
    assert is_stored("Cache-Control: must-understand, no-store, max-age=60", status=status) is stored


@pytest.mark.parametrize(
    ("control", "stored"),
    [
        ("max-age=60", False),
        ("max-age=60, private", False),
        ("max-age=60, proxy-revalidate", False),
        ("max-age=60, public", True),
        ("max-age=60, must-revalidate", True),
        ("s-maxage=60", True),
        ("s-maxage=0", False),
    ],
)
def test_3_5_authorization(control: str, stored: bool) -> None:
    assert is_stored(f"Cache-Control: {control}", request=get("Authorization: Basic eA==")) is stored


def test_3_5_authorization_and_a_targeted_field() -> None:
    asked = get("Authorization: Basic eA==")
    assert is_stored("CDN-Cache-Control: max-age=60, public", request=asked)
    assert not is_stored("CDN-Cache-Control: max-age=60", "Cache-Control: public", request=asked)


def test_5_2_1_5_a_request_with_no_store() -> None:
    assert not is_stored(MAX_AGE, request=get("Cache-Control: no-store"))
    assert is_stored(MAX_AGE, request=get("Cache-Control: no-cache"))
    assert is_stored(MAX_AGE, request=get("Pragma: no-cache"))


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"FOO", b"get", b"QUERY"])
def test_3_only_methods_that_are_understood(method: bytes) -> None:
    assert not is_stored(MAX_AGE, "Content-Location: /a", request=get(method=method))


def test_rfc9110_9_3_2_head_is_stored() -> None:
    assert is_stored(MAX_AGE, request=get(method=b"HEAD"))


@pytest.mark.parametrize("method", [b"POST", b"PATCH"])
@pytest.mark.parametrize(
    ("lines", "status", "stored"),
    [
        ([MAX_AGE, "Content-Location: /a"], 200, True),
        ([MAX_AGE, "Content-Location: http://www.example:80/a"], 200, True),
        ([f"Expires: {date(60)}", "Content-Location: a"], 200, True),
        ([MAX_AGE], 200, False),
        ([MAX_AGE, "Content-Location: /b"], 200, False),
        ([MAX_AGE, "Content-Location: http://other/a"], 200, False),
        ([MODIFIED, "Content-Location: /a"], 200, False),
        ([MAX_AGE, "Content-Location: /a"], 201, False),
        (["Cache-Control: no-store, max-age=60", "Content-Location: /a"], 200, False),
    ],
)
def test_rfc9110_9_3_3_post(method: bytes, lines: list[str], status: int, stored: bool) -> None:
    assert is_stored(*lines, status=status, request=get(method=method)) is stored


def test_content_in_a_get_is_in_no_key() -> None:
    assert not is_stored(MAX_AGE, request=get("Content-Length: 3"))
    assert not is_stored(MAX_AGE, request=get("Transfer-Encoding: chunked"))
    assert is_stored(MAX_AGE, request=get("Content-Length: 0"))


def test_3_1_all_fields_are_stored_but_those_of_the_connection_and_the_proxy() -> None:
    stored = entry(
        MAX_AGE, "Connection: X-Hop", "X-Hop: 1", "Keep-Alive: 5", "Proxy-Authenticate: Basic",
        "Proxy-Authentication-Info: x", "Upgrade: y", "X-New: 2", "Set-Cookie: a=1", "Set-Cookie: b=2", "Trailer: z",
    )  # fmt: skip
    # X-Hop is removed when the head is relayed, before it is stored.
    assert stored.response.fields == fields(
        f"Date: {date(0)}", MAX_AGE, "X-Hop: 1", "X-New: 2", "Set-Cookie: a=1", "Set-Cookie: b=2"
    )


@pytest.mark.parametrize("directive", ["no-cache", "private"])
def test_3_1_fields_that_a_qualified_directive_names_are_not_stored(directive: str) -> None:
    stored = entry(f'Cache-Control: max-age=60, {directive}="Set-Cookie, x-a"', "Set-Cookie: a=1", "X-A: 1", "X-B: 2")
    assert not stored.response.fields.has_any((b"set-cookie", b"x-a"))
    assert b"x-b" in stored.response.fields


RANGE = get("Range: bytes=2-4")
PARTIAL = [MAX_AGE, 'ETag: "a"']


def test_3_3_a_206_is_stored_as_an_incomplete_200() -> None:
    stored = entry(*PARTIAL, "Content-Range: bytes 2-4/10", "Content-Length: 3", status=206, request=RANGE)
    assert stored.response.status == 200
    assert stored.span == ContentSpan(2, 4, 10)
    assert not stored.response.fields.has_any((b"content-range", b"content-length"))


@pytest.mark.parametrize(
    "value",
    ["", "bytes 4-2/10", "bytes 2-10/10", "bytes */10", "lines 2-4/10", "bytes 2-4", "bytes=2-4/10", "bytes 2-4/x"],
)
def test_3_3_a_206_whose_content_range_says_nothing_is_not_stored(value: str) -> None:
    assert not is_stored(*PARTIAL, f"Content-Range: {value}", status=206, request=RANGE)


def test_3_3_a_206_that_nobody_asked_for_or_that_contradicts_itself_is_not_stored() -> None:
    content_range = "Content-Range: bytes 2-4/10"
    assert is_stored(*PARTIAL, content_range, status=206, request=RANGE)
    assert is_stored(*PARTIAL, "Content-Range: bytes 2-4/*", status=206, request=RANGE)
    assert not is_stored(*PARTIAL, content_range, status=206)
    assert not is_stored(*PARTIAL, content_range, "Content-Length: 4", status=206, request=RANGE)
    multipart = "Content-Type: multipart/byteranges; boundary=x"
    assert not is_stored(*PARTIAL, multipart, status=206, request=get("Range: bytes=0-1,4-5"))


def test_3_3_a_200_that_ends_early_can_be_kept_as_a_part() -> None:
    stored = storable(get(), URI, ok(*PARTIAL, "Content-Length: 10"), NOW, NOW, DEFAULT_POLICY)
    assert stored is not None
    part = truncated(stored, 4)
    assert part is not None
    assert part.span == ContentSpan(0, 3, 10)
    assert b"content-length" not in part.response.fields
    assert truncated(stored, 0) is None
    assert truncated(stored, 10) is None


@pytest.mark.parametrize("lines", [[MAX_AGE], [MAX_AGE, 'ETag: W/"a"']])
def test_3_4_what_cannot_be_completed_is_not_kept(lines: list[str]) -> None:
    stored = storable(get(), URI, ok(*lines, "Content-Length: 10"), NOW, NOW, DEFAULT_POLICY)
    assert stored is not None
    assert truncated(stored, 4) is None


def test_3_3_a_chunked_200_and_a_206_that_end_early() -> None:
    chunked = storable(get(), URI, ok(*PARTIAL), NOW, NOW, DEFAULT_POLICY)
    assert chunked is not None
    part = truncated(chunked, 4)
    assert part is not None
    assert part.span == ContentSpan(0, 3, None)
    asked = storable(RANGE, URI, ok(*PARTIAL, "Content-Range: bytes 2-4/10", status=206), NOW, NOW, DEFAULT_POLICY)
    assert asked is not None
    part = truncated(asked, 2)
    assert part is not None
    assert part.span == ContentSpan(2, 3, 10)
    assert truncated(asked, 3) is None


def test_the_reason_phrase_is_stored() -> None:
    stored = storable(get(), URI, Response(200, fields(MAX_AGE), reason=b"Fine"), NOW, NOW, DEFAULT_POLICY)
    assert stored is not None
    assert stored.response.reason == b"Fine"


@pytest.mark.parametrize(("status", "line"), [(200, MAX_AGE), (206, "Content-Range: bytes 0-4/10")])
def test_rfc9110_7_6_3_the_version_in_which_it_came_is_stored(status: int, line: str) -> None:
    came = Response(status, fields(MAX_AGE, line), version=(1, 0))
    stored = storable(get("Range: bytes=0-4"), URI, came, NOW, NOW, DEFAULT_POLICY)
    assert stored is not None
    assert stored.response.version == (1, 0)


def test_3_3_a_206_that_holds_all_is_stored_as_a_complete_200() -> None:
    asked, all_of_it = get("Range: bytes=0-"), (*PARTIAL, "Content-Range: bytes 0-4/5")
    stored = storable(asked, URI, ok(*all_of_it, "Content-Length: 5", status=206), NOW, NOW, DEFAULT_POLICY)
    assert stored is not None
    assert (stored.response.status, stored.span) == (200, None)
    assert b"content-range" not in stored.response.fields
    part = truncated(stored, 3)
    assert part is not None
    assert part.span == ContentSpan(0, 2, 5)


def test_3_3_a_206_that_may_hold_all_is_a_part_where_nothing_counts_its_content() -> None:
    stored = entry(*PARTIAL, "Content-Range: bytes 0-4/5", status=206, request=get("Range: bytes=0-"))
    assert stored.span == ContentSpan(0, 4, 5)
