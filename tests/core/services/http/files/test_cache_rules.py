"""Cache-Control rules of the origin."""

from pathlib import Path

import pytest

from lab7.services.http.fields import Fields
from lab7.services.http.files.static import CacheRule, Representation, StaticFiles, cache_control, parse_rule
from lab7.services.http.messages import Request
from lab7.services.http.origin import Origin

LATER = 4_000_000_000.0
RULES = [CacheRule("/news/*", b"no-cache"), CacheRule("*.html", b"max-age=60"), CacheRule("*", b"public")]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/news/today.html", b"no-cache"),
        ("/news/2030/today.html", b"no-cache"),
        ("/index.html", b"max-age=60"),
        ("/INDEX.HTML", b"public"),
    ],
)
def test_the_first_rule_that_fits_decides(path: str, value: bytes) -> None:
    assert cache_control(RULES, path) == value


def test_without_a_rule_that_fits_nothing_is_said() -> None:
    assert cache_control(RULES[:2], "/a.png") is None
    assert cache_control((), "/a.png") is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("*=no-store", CacheRule("*", b"no-store")),
        ("/a/*=max-age=1, must-revalidate", CacheRule("/a/*", b"max-age=1, must-revalidate")),
        ('*=private="set-cookie, x" ,max-age=0', CacheRule("*", b'private="set-cookie, x" ,max-age=0')),
    ],
)
def test_a_rule_is_read_up_to_the_first_equals_sign(text: str, rule: CacheRule) -> None:
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "*", "*=", "=no-cache", "*=max age", "*=max-age=", "*=a\r\nX: y", "*=a,,b", '*=a="\\', "*=é"]
)
def test_an_invalid_rule_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"does not have the form|is not"):
        parse_rule(text)


def test_a_pattern_matches_the_file_name_not_the_request_path(tmp_path: Path) -> None:
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "index.html").write_text("new")
    files = StaticFiles(tmp_path, lambda: LATER, RULES)
    for path in (b"/news/", b"//news/index.html", b"/n%65ws/index.html"):
        representation = files.find(path)
        assert isinstance(representation, Representation)
        assert representation.response.fields.get(b"cache-control") == b"no-cache"


def test_a_304_says_it_again(tmp_path: Path) -> None:
    """A 304 has Cache-Control, to update stored responses (RFC 9110 section 15.4.5)."""
    (tmp_path / "a.html").write_text("old")
    origin = Origin(tmp_path, lambda: LATER, cache_rules=RULES)
    whole = origin(Request(b"GET", b"/a.html", Fields(((b"Host", b"a"),))), b"")
    assert whole.fields.get(b"cache-control") == b"max-age=60"
    tag = whole.fields.get(b"etag") or b""
    asked = Request(b"GET", b"/a.html", Fields(((b"Host", b"a"), (b"If-None-Match", tag))))
    not_modified = origin(asked, b"")
    assert not_modified.status == 304
    assert not_modified.fields.get(b"cache-control") == b"max-age=60"
