"""HTTP/1 message rules: each fault gives exactly one violation, with its octets, and correct messages give none."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.analysis.inspection import inspect
from lab7.experiments.analysis.rules.rule import Violation
from tests.core.experiments.harness.wire import Tcp, Wire

HOST = b"Host: www.example.com\r\n"
GET = b"GET /index.html HTTP/1.1\r\n" + HOST + b"\r\n"
LAST_MODIFIED = b"Sun, 06 Nov 1994 08:49:37 GMT"


def ok(body: bytes = b"hello", fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def violations(
    folder: Path, exchanges: list[tuple[bytes, bytes]], server_closes: bool = False, server_port: int = 80
) -> list[Violation]:
    wire = Wire()
    tcp = Tcp(wire, server_port=server_port).open()
    for request, response in exchanges:
        tcp.client("PA", request)
        wire.after(1)
        tcp.server("PA", response)
        wire.after(1)
    if server_closes:
        tcp.close()
    else:
        tcp.client("FA")
        tcp.server("FA")
    return list(inspect(wire.capture(folder), ("http",)).violations)


CORRECT = {
    "content-length": [(GET, ok())],
    "two on one connection": [(GET, ok()), (GET, ok(b"HTTP/1.1 200 OK inside of the content\r\n"))],
    "chunked": [(GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n")],
    "until close": [(GET, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nany length")],
    "not modified": [
        (GET, ok(fields=b"Last-Modified: " + LAST_MODIFIED + b"\r\n")),
        (
            GET[:-2] + b"If-Modified-Since: " + LAST_MODIFIED + b"\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        ),
    ],
    "interim response": [(GET, b"HTTP/1.1 103 Early Hints\r\n\r\n" + ok())],
    "head": [(GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")],
}


@pytest.mark.parametrize("name", CORRECT)
def test_correct_messages_give_no_violation(name: str, tmp_path: Path) -> None:
    assert violations(tmp_path, CORRECT[name]) == []


FAULTS = {
    "bare LF": ([(GET, ok().replace(b"\r\n", b"\n"))], "http-line-end", b"HTTP/1.1 200 OK\n"),
    "decimal chunk size": (
        [(GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n0123456789abcdef\r\n0\r\n\r\n")],
        "http-chunk-size",
        b"16\r\n",
    ),
    "Content-Length too small": (
        [(GET, ok().replace(b"Content-Length: 5", b"Content-Length: 3")), (GET, ok())],
        "http-content-length",
        b"Content-Length: 3",
    ),
    "Content-Length too large": (
        [(GET, ok().replace(b"Content-Length: 5", b"Content-Length: 9")), (GET, ok())],
        "http-content-length",
        b"Content-Length: 9",
    ),
    "Content-Length too large at the end": (
        [(GET, ok().replace(b"Content-Length: 5", b"Content-Length: 9"))],
        "http-content-length",
        b"Content-Length: 9",
    ),
    "304 with content": (
        [
            (
                GET[:-2] + b'If-None-Match: "1"\r\n\r\n',
                b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
            ),
            (GET, ok()),
        ],
        "http-no-content",
        b"hello",
    ),
    "304 without a condition": (
        [(GET, b"HTTP/1.1 304 Not Modified\r\n\r\n")],
        "http-not-modified",
        b"HTTP/1.1 304 Not Modified\r\n",
    ),
    "wrong date of a conditional GET": (
        [
            (GET, ok(fields=b"Last-Modified: " + LAST_MODIFIED + b"\r\n")),
            (GET[:-2] + b"If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT\r\n\r\n", ok()),
        ],
        "http-validator",
        b"If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT",
    ),
    "no Host": ([(b"GET / HTTP/1.1\r\n\r\n", ok())], "http-host", b"GET / HTTP/1.1\r\n\r\n"),
    "space before the colon": (
        [(GET, ok(fields=b"Server : x\r\n"))],
        "http-field-line",
        b"Server : x\r\n",
    ),
    "date in another form": (
        [(GET, ok(fields=b"Date: 2030-01-01 00:00:00\r\n"))],
        "http-date-format",
        b"Date: 2030-01-01 00:00:00",
    ),
    "chunked content without chunks": (
        [(GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\nworld\n")],
        "http-chunk-size",
        b"hello\n",
    ),
    "no last chunk": (
        [(GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")],
        "http-chunk-end",
        b"",
    ),
    "not a status line": ([(GET, b"200 OK HTTP/1.1\r\n\r\n")], "http-status-line", b"200 OK HTTP/1.1\r\n"),
    "both framings": (
        [
            (
                GET,
                b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            )
        ],
        "http-framing",
        b"Content-Length: 5",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_one_violation_with_its_octets(name: str, tmp_path: Path) -> None:
    exchanges, rule, octets = FAULTS[name]
    found = violations(tmp_path, exchanges)
    assert [(one.rule.id, one.octets) for one in found] == [(rule, octets)]
    (one,) = found
    assert one.rule.section in one.sentence
    assert f"Frame {one.frame}" in one.sentence


def test_a_connection_closed_without_notice(tmp_path: Path) -> None:
    (one,) = violations(tmp_path, [(GET, ok(fields=b"Connection: keep-alive\r\n"))], server_closes=True)
    assert one.rule.id == "http-persistence"


@pytest.mark.parametrize(
    "fields", [b"Connection: close\r\n", b"Connection: Close, foo\r\n"], ids=["close", "list with close"]
)
def test_a_connection_closed_with_notice(fields: bytes, tmp_path: Path) -> None:
    assert violations(tmp_path, [(GET, ok(fields=fields))], server_closes=True) == []


def test_http_at_another_port_is_recognised(tmp_path: Path) -> None:
    (one,) = violations(tmp_path, [(GET, b"HTTP/1.1 304 Not Modified\r\n\r\n")], server_port=8099)
    assert one.rule.id == "http-not-modified"
