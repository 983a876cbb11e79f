"""Invalidation by unsafe requests (RFC 9111 section 4.4)."""

import pytest

from tests.core.services.http.cache.exchanges import URI, Cache, get, ok

OTHER = b"http://www.example/b"
MAX_AGE = "Cache-Control: max-age=60"


def kept(method: bytes, status: int, *lines: str) -> set[bytes]:
    """Return which of two URIs still have a stored response after a request with this outcome."""
    cache = Cache()
    for uri in (URI, OTHER):
        cache.ask(get(), (ok(MAX_AGE), b"x"), uri=uri)
    cache.ask(get(method=method), (ok(*lines, status=status), b""))
    return {uri for uri, stored in cache.stored.items() if stored}


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"FOO", b"get", b"M-SEARCH"])
@pytest.mark.parametrize("status", [200, 201, 204, 299, 301, 303, 399])
def test_4_4_a_non_error_response_to_an_unsafe_method(method: bytes, status: int) -> None:
    assert kept(method, status) == {OTHER}


@pytest.mark.parametrize("status", [400, 404, 412, 500, 503])
def test_4_4_an_error_invalidates_nothing(status: int) -> None:
    assert kept(b"POST", status, "Location: /b") == {URI, OTHER}


@pytest.mark.parametrize("method", [b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH"])
def test_4_4_a_safe_method_invalidates_nothing(method: bytes) -> None:
    assert kept(method, 200, "Location: /b") == {URI, OTHER}


@pytest.mark.parametrize("name", ["Location", "Content-Location"])
@pytest.mark.parametrize(
    "reference", ["/b", "b", "http://www.example/b", "http://WWW.example:80/b#x", "//www.example/b"]
)
def test_4_4_location_and_content_location_of_the_same_origin(name: str, reference: str) -> None:
    assert kept(b"POST", 201, f"{name}: {reference}") == set()
    assert kept(b"POST", 400, f"{name}: {reference}") == {URI, OTHER}


@pytest.mark.parametrize(
    "reference", ["http://other/b", "https://www.example/b", "http://www.example:8080/b", "::", "/c"]
)
def test_4_4_not_of_another_origin(reference: str) -> None:
    assert kept(b"POST", 201, f"Location: {reference}") == {OTHER}


def test_4_4_all_variants_go() -> None:
    cache = Cache()
    for value in ("1", "2"):
        cache.ask(get(f"A: {value}"), (ok(MAX_AGE, "Vary: A"), b"x"))
    cache.ask(get(method=b"POST"), (ok(), b""))
    assert not cache.stored[URI]


def test_rfc9110_9_3_3_what_a_post_brings_may_be_stored_in_its_place() -> None:
    cache = Cache()
    cache.ask(get(), (ok(MAX_AGE), b"old"))
    cache.ask(get(method=b"POST"), (ok(MAX_AGE, "Content-Location: /a"), b"new"))
    assert cache.ask(get())[1] == b"new"
    cache.ask(get(method=b"POST"), (ok(MAX_AGE, "Content-Location: /a", status=500), b"error"))
    assert cache.ask(get())[1] == b"new"
