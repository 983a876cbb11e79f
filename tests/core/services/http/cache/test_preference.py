"""Choice among stored responses by the weights of a request (RFC 9111 section 4.1, RFC 9110 sections 12.4 and 12.5)."""

import itertools
from dataclasses import replace

import pytest

from lab7.services.http.cache.decisions import Serve
from lab7.services.http.cache.lookup import decide
from lab7.services.http.cache.preference import preference
from lab7.services.http.cache.stored import StoredResponse
from tests.core.services.http.cache.exchanges import NOW, URI, entry, fields, get


@pytest.mark.parametrize(
    ("request_line", "response_line", "expected"),
    [
        ("Accept-Language: de, en;q=0.5", "Content-Language: de", 1000),
        ("Accept-Language: de, en;q=0.5", "Content-Language: en-GB", 500),
        ("Accept-Language: de, en;q=0.5", "Content-Language: fr", 0),
        ("Accept-Language: en;q=0.5, en-gb", "Content-Language: EN-GB", 1000),
        ("Accept-Language: en-gb", "Content-Language: en", 0),
        ("Accept-Language: eng", "Content-Language: en", 0),
        ("Accept-Language: de, *;q=0.1", "Content-Language: fr", 100),
        ("Accept-Language: de;q=0, *;q=0.1", "Content-Language: de", 0),
        ("Accept-Language: de;q=0.3, fr;q=0.7", "Content-Language: de, fr", 700),
        ("Accept-Language: de", "X: 1", 1000),
        ("Accept-Encoding: gzip, br;q=0.8", "Content-Encoding: br", 800),
        ("Accept-Encoding: gzip;q=0.001", "Content-Encoding: X-GZIP", 1),
        ("Accept-Encoding: gzip, br;q=0.8", "Content-Encoding: br, gzip", 800),
        ("Accept-Encoding: gzip", "Content-Encoding: br", 0),
        ("Accept-Encoding: gzip, *;q=0.2", "Content-Encoding: br", 200),
        ("Accept-Encoding: gzip", "X: 1", 1),
        ("Accept-Encoding: gzip, identity;q=0.5", "X: 1", 500),
        ("Accept-Encoding: gzip, *;q=0", "X: 1", 0),
        ("Accept-Encoding:", "Content-Encoding: gzip", 0),
        ("Accept: text/html;q=0.4, text/*;q=0.3, */*;q=0.2", "Content-Type: text/html; charset=utf-8", 400),
        ("Accept: text/html;q=0.4, text/*;q=0.3, */*;q=0.2", "Content-Type: text/plain", 300),
        ("Accept: text/html;q=0.4, text/*;q=0.3, */*;q=0.2", "Content-Type: image/png", 200),
        ("Accept: text/html;level=1, text/html;q=0.7", "Content-Type: Text/HTML;level=1", 1000),
        ("Accept: text/html;level=1, text/html;q=0.7", "Content-Type: text/html;level=2", 700),
        ('Accept: text/html;title="a;q=0.1"', 'Content-Type: text/html;title="a;q=0.1"', 1000),
        ("Accept: text/html", "Content-Type: image/png", 0),
        ("Accept: text/html", "X: 1", 1000),
        ("Accept: text/html;q=2", "Content-Type: text/html", 1000),
        ("X-Other: a;q=0.5", "X: 1", 1),
    ],
)
def test_the_weight_of_a_response(request_line: str, response_line: str, expected: int) -> None:
    name = request_line.partition(":")[0].lower().encode()
    assert preference(fields(response_line), fields(request_line), [name]) == expected


def test_weights_of_several_fields_multiply() -> None:
    request = fields("Accept-Language: de, en;q=0.5", "Accept-Encoding: gzip, br;q=0.8")
    response = fields("Content-Language: en", "Content-Encoding: br")
    assert preference(response, request, [b"accept-language", b"accept-encoding"]) == 400_000
    # A field of the request that Vary does not nominate does not count, and one that it lacks counts as 1.
    assert preference(response, request, [b"accept-encoding"]) == 800
    assert preference(response, fields(), [b"accept-encoding"]) == 1000


WISHES = ["Accept-Language: de, en;q=0.5", "Accept-Encoding: gzip, br;q=0.8"]


def variant(vary: str, *lines: str, offset_s: int = 0, max_age: int = 600) -> StoredResponse:
    """Return a stored response to a request with WISHES, received that much after NOW."""
    lines = (f"Vary: {vary}", f"Cache-Control: max-age={max_age}", *lines)
    stored = entry(*lines, request=get(*WISHES), name=f"{vary} {lines}")
    return replace(stored, response_time=NOW + offset_s)


def chosen(*stored: StoredResponse, wishes: list[str] | None = None) -> StoredResponse:
    """Return the stored response that is served to a request, the same in any order of the stored ones."""
    served = set()
    for order in itertools.permutations(stored):
        decision = decide(get(*(WISHES if wishes is None else wishes)), URI, order, NOW + 60)
        assert isinstance(decision, Serve)
        served.add(decision.stored.name)
    assert len(served) == 1
    return next(one for one in stored if one.name in served)


def test_the_preferred_of_several_matching_responses_is_served() -> None:
    english = variant("Accept-Language", "Content-Language: en", offset_s=9)
    german = variant("Accept-Language, Accept-Encoding", "Content-Language: de", "Content-Encoding: br")
    # By language and coding: en without a coding is 500 * 1, de in br is 1000 * 800.
    assert chosen(english, german) is german


def test_of_equally_preferred_responses_the_most_recent_is_served() -> None:
    older = variant("Accept-Language", "Content-Language: de")
    newer = variant("Accept-Language, Accept", "Content-Language: de", offset_s=1)
    assert chosen(older, newer) is newer


def test_a_response_without_vary_is_served_if_no_other_matches() -> None:
    plain = entry("Cache-Control: max-age=600", "Content-Language: de", name="plain")
    english = variant("Accept-Language", "Content-Language: en")
    assert chosen(plain, english) is english
    assert chosen(plain, english, wishes=["Accept-Language: de"]) is plain


def test_a_stale_preferred_response_leaves_its_place_to_a_fresh_one() -> None:
    english = variant("Accept-Language", "Content-Language: en")
    german = variant("Accept-Language, Accept-Encoding", "Content-Language: de", max_age=30)
    assert chosen(english, german) is english
