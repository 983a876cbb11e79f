"""Expect: 100-continue over HTTP/1.1 and HTTP/2: the final response at once where the head decides it (9110 10.1.1)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.http.cache_probes import over_http2
from tests.loopback.http.cache_probes.probing import Message, Step
from tests.loopback.http.cache_probes.running import parse_answer
from tests.loopback.http.support import origin_process, talk

# Method, path, Expect, content; the final status code, and True if 100 comes before it.
CASES = [
    ("POST", "/echo", "100-continue", b"hi", 200, True),
    ("PUT", "/echo", "100-Continue", b"hi", 200, True),
    ("POST", "/echo", "100-continue, 100-continue", b"hi", 200, True),
    ("POST", "/echo", "100-continue", b"", 200, False),
    ("GET", "/a.txt", "100-continue", b"", 200, False),
    ("POST", "/a.txt", "100-continue", b"hi", 405, False),
    ("PUT", "/a.txt", "100-continue", b"hi", 405, False),
    ("POST", "/nope", "100-continue", b"hi", 404, False),
    ("BREW", "/a.txt", "100-continue", b"hi", 501, False),
    ("POST", "/echo", "wonders", b"hi", 417, False),
    ("POST", "/echo", "100-continue, wonders", b"hi", 417, False),
]


@pytest.fixture(scope="module")
def echoing(root: Path) -> Iterator[int]:
    with origin_process(root, "--echo", "/echo") as running:
        yield running


def _holds(message: Message, status: int, content: bytes, has_100: bool) -> None:
    assert message.status == status
    assert [interim.status for interim in message.interim] == [100] * has_100
    assert not has_100 or message.content == content


@pytest.mark.parametrize(("method", "path", "expect", "content", "status", "has_100"), CASES)
def test_over_http_1(
    echoing: int, method: str, path: str, expect: str, content: bytes, status: int, has_100: bool
) -> None:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nExpect: {expect}\r\nContent-Length: {len(content)}\r\n"
    # A client that waits sends no content before 100; without 100-continue it sends the content at once.
    sent = b"" if "100-continue" in expect.lower() else content
    octets = talk(echoing, head.encode() + b"Connection: close\r\n\r\n" + sent)
    got = parse_answer(octets, method)
    assert [interim.status for interim in got.interim] == [100] * has_100
    assert has_100 or got.status == status


@pytest.mark.parametrize(("method", "path", "expect", "content", "status", "has_100"), CASES)
def test_over_http_2(
    echoing: int, method: str, path: str, expect: str, content: bytes, status: int, has_100: bool
) -> None:
    step = Step((f"Expect: {expect}",), method, sent=content)
    got = over_http2.ask(echoing, step, path, ("Host: a", f"Expect: {expect}"))
    _holds(got, status, content, has_100)
