"""Cache keys (RFC 9110 section 4.2.3) and references in responses (RFC 9111 section 4.4, RFC 3986 section 5)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cache.keys import cache_key, origin_of, resolved_key
from lab7.services.http.messages import split_target


@pytest.mark.parametrize(
    ("target", "host", "key"),
    [
        (b"/a", b"www.example", b"http://www.example/a"),
        (b"/a", b"WWW.Example", b"http://www.example/a"),
        (b"/a", b"www.example:80", b"http://www.example/a"),
        (b"/a", b"www.example:", b"http://www.example/a"),
        (b"/a", b"www.example:0080", b"http://www.example/a"),
        (b"/a", b"www.example:8080", b"http://www.example:8080/a"),
        (b"/a", b"12345", b"http://12345/a"),
        (b"/a", b"[::1]:80", b"http://[::1]/a"),
        (b"/a", b"[::1]", b"http://[::1]/a"),
        # The path's case is its own; a query is part of the key, an empty one too.
        (b"/A?B=c", b"h", b"http://h/A?B=c"),
        (b"/a?", b"h", b"http://h/a?"),
        # RFC 9112 section 3.2.2: the absolute form overrides Host.
        (b"HTTP://WWW.Example:80", b"other", b"http://www.example/"),
        (b"http://www.example?q", b"other", b"http://www.example/?q"),
        # RFC 3986 sections 6.2.2.1 and 6.2.2.2
        (b"/%7euser%2f%c3", b"h", b"http://h/~user%2F%C3"),
        (b"/a%2fb", b"h", b"http://h/a%2Fb"),
        (b"/%41", b"h", b"http://h/A"),
        (b"/?%41=%2b", b"h", b"http://h/?A=%2B"),
        # Characters that browsers send are not repaired; decoding behind a percent sign alone would change the meaning.
        (b"/a|b?x[]=%41", b"h", b"http://h/a|b?x[]=A"),
        (b"/a%7cb", b"h", b"http://h/a%7Cb"),
        (b"/%%37e?%e4%zz", b"h", b"http://h/%%37e?%e4%zz"),
        # Left alone: dot segments, empty segments.
        (b"/a/../b//c", b"h", b"http://h/a/../b//c"),
    ],
)
def test_4_2_3_cache_key(target: bytes, host: bytes, key: bytes) -> None:
    assert cache_key(split_target(b"GET", target), host) == key


def test_the_scheme_is_part_of_the_key() -> None:
    target = split_target(b"GET", b"/a")
    assert cache_key(target, b"h:443", b"https") == b"https://h/a"
    assert cache_key(target, b"h:80", b"https") == b"https://h:80/a"
    assert cache_key(split_target(b"OPTIONS", b"*"), b"h") == b"http://h*"


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        (b"/c", b"http://h/c"),
        (b"c", b"http://h/a/c"),
        (b"../c?d#e", b"http://h/c?d"),
        (b"?q", b"http://h/a/b?q"),
        (b"http://H:80/%7e", b"http://h/~"),
        (b"//h/x", b"http://h/x"),
        # RFC 9111 section 4.4: of another origin, nothing.
        (b"http://other/c", None),
        (b"//other/c", None),
        (b"https://h/c", None),
        (b"http://h:8080/c", None),
        (b"mailto:a@h", None),
        (b"http://[/", None),
        (b"http://h.evil/c", None),
    ],
)
def test_4_4_references_of_the_same_origin(reference: bytes, key: bytes | None) -> None:
    assert resolved_key(b"http://h/a/b", reference) == key


@given(st.binary(max_size=60))
def test_no_reference_crashes_and_none_leaves_its_origin(reference: bytes) -> None:
    key = resolved_key(b"http://h/a/b", reference)
    assert key is None or origin_of(key) == b"http://h"


@given(st.text("/%aA27eE?&=.~-", max_size=30))
def test_a_key_is_its_own_key(path: str) -> None:
    key = resolved_key(b"http://h/", b"/" + path.lstrip("/").encode())
    assert key is not None
    assert cache_key(split_target(b"GET", b"/"), b"h") == b"http://h/"
    assert resolved_key(b"http://h/", key) == key
