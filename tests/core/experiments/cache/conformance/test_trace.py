"""Packets on both sides of a cache become the steps of a check, whole, cut or broken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from lab7.experiments.cache.conformance.trace import CheckSeen, RequestSeen, check_seen, requests_at
from tests.core.experiments.harness.wire import INTERFACE, Tcp, Wire

PROXY, ORIGIN = 3128, 80
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def get(target: str, *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: www.example.com", *lines, "", ""]).encode()


class Both:
    """A wire with a client's connections to a proxy and the proxy's own to an origin, one a request."""

    def __init__(self) -> None:
        self.wire = Wire()
        self._port = 40000

    def client(self, request: bytes, response: bytes | None = OK, *, close: bool = True) -> Both:
        return self._exchange(PROXY, request, response, close)

    def origin(self, request: bytes, response: bytes | None = OK, *, close: bool = True) -> Both:
        return self._exchange(ORIGIN, request, response, close)

    def _exchange(self, server_port: int, request: bytes, response: bytes | None, close: bool) -> Both:
        self._port += 1
        tcp = Tcp(self.wire, port=self._port, server_port=server_port).open(1)
        self.wire.after(1)
        tcp.client("PA", request)
        self.wire.after(1)
        if response is not None:
            tcp.server("PA", response)
        if close:
            tcp.close()
        self.wire.after(1)
        return self

    def seen(self, folder: Path, copies: Sequence[int] = (1,), name: str = "check") -> CheckSeen:
        client, origin = self.legs(folder)
        return check_seen(name, copies, [b""] * len(copies), client, origin)

    def legs(self, folder: Path) -> tuple[list[RequestSeen], list[RequestSeen]]:
        captured = self.wire.capture(folder)
        return requests_at(captured, INTERFACE, PROXY), requests_at(captured, INTERFACE, ORIGIN)


def test_a_whole_exchange_has_its_words_its_fields_and_its_frames(tmp_path: Path) -> None:
    both = Both().client(get("http://www.example.com/check?a=1", "Lab-Step: 1"))
    ((asked,), origin) = both.legs(tmp_path)
    assert origin == []
    assert (asked.method, asked.path, asked.values("Lab-Step"), asked.frame) == (b"GET", b"/check?a=1", [b"1"], 4)
    assert asked.answer is not None
    assert (asked.answer.status, asked.answer.content, asked.answer.whole, asked.answer.frame) == (
        200,
        b"hello",
        True,
        5,
    )
    assert asked.answer.values("content-length") == [b"5"]
    assert asked.closed


def test_a_request_to_the_origin_belongs_to_the_step_that_is_under_way(tmp_path: Path) -> None:
    both = Both().client(get("/check")).origin(get("/check")).client(get("/check")).client(get("/check"))
    both.origin(get("/check")).origin(get("/check"))
    seen = both.seen(tmp_path, (1, 1, 1))
    assert [(len(step.client), len(step.origin)) for step in seen.steps] == [(1, 1), (1, 0), (1, 2)]


def test_copies_of_a_step_are_told_by_their_number(tmp_path: Path) -> None:
    both = Both().client(get("/check")).client(get("/check")).client(get("/check"))
    assert [len(step.client) for step in both.seen(tmp_path, (2, 1)).steps] == [2, 1]


def test_other_checks_are_left_out(tmp_path: Path) -> None:
    both = Both().client(get("/check/part")).client(get("/check-more")).client(get("/checks")).client(get("/"))
    both.origin(get("/check-more"))
    (step,) = both.seen(tmp_path).steps
    assert ([one.path for one in step.client], step.origin) == ([b"/check/part"], ())


def test_a_step_that_never_came_has_nothing_and_takes_nothing(tmp_path: Path) -> None:
    both = Both().client(get("/check")).origin(get("/check"))
    first, second = both.seen(tmp_path, (1, 1)).steps
    assert (len(first.origin), second.client, second.origin) == (1, (), ())


@pytest.mark.parametrize(
    ("response", "content"),
    [
        (OK[:-2], b"hel"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"3\r\nabc\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK[:-2], b"hel"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", b"hello"),
    ],
)
def test_a_response_that_is_cut_or_broken_is_not_whole(response: bytes, content: bytes, tmp_path: Path) -> None:
    ((asked,), _) = Both().client(get("/check"), response).legs(tmp_path)
    assert asked.answer is not None
    assert (asked.answer.status, asked.answer.content, asked.answer.whole) == (200, content, False)


def test_a_response_without_a_length_ends_with_the_connection(tmp_path: Path) -> None:
    ((asked,), _) = Both().client(get("/check"), b"HTTP/1.1 200 OK\r\n\r\nhello").legs(tmp_path)
    assert asked.answer is not None
    assert (asked.answer.content, asked.answer.whole) == (b"hello", True)


@pytest.mark.parametrize("close", [True, False])
def test_no_response_is_none(close: bool, tmp_path: Path) -> None:
    ((asked,), _) = Both().client(get("/check"), None, close=close).legs(tmp_path)
    assert (asked.answer, asked.closed) == (None, close)


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Content-Length: 6"),
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Word : 1",),
    ],
)
def test_a_request_that_breaks_the_grammar_is_read_all_the_same(lines: tuple[str, ...], tmp_path: Path) -> None:
    broken = get("http://www.example.com/check", *lines, method="POST") + b"hello"
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    both = Both().client(broken, refused).origin(broken)
    (step,) = both.seen(tmp_path).steps
    (client,), (origin,) = step.client, step.origin
    for asked in (client, origin):
        assert (asked.method, asked.path) == (b"POST", b"/check")
        names = [name.decode() for name, _ in asked.fields]
        assert names[1:] == [line.partition(":")[0].strip().lower() for line in lines]
    assert client.answer is not None
    assert client.answer.status == 400


def test_what_follows_on_the_connection_is_a_request_of_its_own(tmp_path: Path) -> None:
    both = Both().client(get("/check")).origin(get("/check") + get("/check/smuggled"), OK + OK)
    (step,) = both.seen(tmp_path).steps
    assert [one.path for one in step.origin] == [b"/check", b"/check/smuggled"]
    assert all(one.answer is not None and one.answer.whole for one in step.origin)


def test_an_interface_that_was_not_captured_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        requests_at(Both().client(get("/check")).wire.capture(tmp_path), "origin:origin-eth0", ORIGIN)
