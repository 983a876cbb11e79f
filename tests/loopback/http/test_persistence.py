"""Persistence of a client's connection, by version, Connection field and kind of server (RFC 9112 section 9.3)."""

from collections.abc import Iterator

import pytest

from tests.loopback.http.proxied import FRESH, RawOrigin, always, proxy_process, raw_origin, response
from tests.loopback.http.support import read_answers, talk

# Version and field lines of a request; does a server persist, and does a forward proxy?
CASES = [
    ("1.1", (), True, True),
    ("1.1", ("Connection: close",), False, False),
    ("1.1", ("Connection: CLOSE",), False, False),
    ("1.1", ("Connection: a, close , b",), False, False),
    ("1.1", ("Connection: a", "Connection: close"), False, False),
    ("1.1", ("Connection: keep-alive",), True, True),
    ("1.1", ("Connection: keep-alive, close",), False, False),
    ("1.1", ("Connection: closed",), True, True),
    ("1.1", ("Proxy-Connection: close",), True, True),
    ("1.1", ("Keep-Alive: timeout=5",), True, True),
    ("1.2", (), True, True),
    ("1.0", (), False, False),
    ("1.0", ("Connection: keep-alive",), True, False),
    ("1.0", ("Connection: Keep-Alive",), True, False),
    ("1.0", ("Connection: keep-alive, close",), False, False),
    ("1.0", ("Connection: a, keep-alive",), True, False),
    ("1.0", ("Proxy-Connection: keep-alive",), False, False),
    ("1.0", ("Keep-Alive: timeout=5",), False, False),
]


@pytest.fixture(scope="module")
def scripted() -> Iterator[RawOrigin]:
    with raw_origin(always(response(b"hello", FRESH))) as running:
        yield running


@pytest.fixture(scope="module")
def forward(scripted: RawOrigin) -> Iterator[tuple[int, str]]:
    with proxy_process() as proxy:
        yield proxy.port, scripted.base


@pytest.fixture(scope="module")
def reverse(scripted: RawOrigin) -> Iterator[tuple[int, str]]:
    with proxy_process("--origin", scripted.base) as proxy:
        yield proxy.port, ""


def _answers(port: int, target: str, version: str, lines: tuple[str, ...]) -> int:
    """Return the number of responses to two requests of this form, after which the client closes its side."""
    request = "\r\n".join([f"GET {target} HTTP/{version}", "Host: a", *lines, "", ""]).encode()
    return len(read_answers(talk(port, request * 2), ("GET", "GET")))


@pytest.mark.parametrize(("version", "lines", "persists", "_"), CASES)
def test_an_origin(port: int, version: str, lines: tuple[str, ...], persists: bool, _: bool) -> None:
    assert _answers(port, "/a.txt", version, lines) == 1 + persists


@pytest.mark.parametrize(("version", "lines", "persists", "_"), CASES)
def test_a_reverse_proxy_is_as_an_origin(
    reverse: tuple[int, str], version: str, lines: tuple[str, ...], persists: bool, _: bool
) -> None:
    assert _answers(reverse[0], "/a.txt", version, lines) == 1 + persists


@pytest.mark.parametrize(("version", "lines", "_", "persists"), CASES)
def test_a_forward_proxy(
    forward: tuple[int, str], version: str, lines: tuple[str, ...], _: bool, persists: bool
) -> None:
    assert _answers(forward[0], f"{forward[1]}/a.txt", version, lines) == 1 + persists
