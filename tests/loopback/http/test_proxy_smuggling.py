"""Request smuggling: ambiguous requests are rejected by the proxy, and not forwarded."""

import socket
from collections.abc import Iterator

import pytest

from tests.loopback.http.proxied import (
    RawOrigin,
    RunningProxy,
    always,
    exchange,
    field_values,
    proxy_process,
    raw_origin,
    response,
)
from tests.loopback.http.support import HOST, PATIENCE_S, read_to_end

HELLO = response(b"hello")
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture(scope="module")
def origin() -> Iterator[RawOrigin]:
    with raw_origin(always(HELLO)) as running:
        yield running


@pytest.fixture(scope="module", params=["forward", "reverse"])
def proxy(request: pytest.FixtureRequest, origin: RawOrigin) -> Iterator[RunningProxy]:
    flags = ("--origin", origin.base) if request.param == "reverse" else ()
    with proxy_process("--name", "lab7", *flags) as running:
        yield running


def talk(port: int, octets: bytes) -> bytes:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as client:
        client.sendall(octets)
        client.shutdown(socket.SHUT_WR)
        try:
            return read_to_end(client)
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize(
    ("lines", "content"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 40\r\n", b"0\r\n\r\n"),
        (b"Content-Length: 0\r\nContent-Length: 36\r\n", b""),
        (b"Content-Length: 36\r\nContent-Length: 36\r\n", b""),
        (b"Content-Length: 0, 36\r\n", b""),
        (b"Content-Length: +0\r\n", b""),
        (b"Content-Length: 0x0\r\n", b""),
        (b"Content-Length: 0 0\r\n", b""),
        (b"Content-Length: 99999999999999999999999999\r\n", b""),
        (b"Transfer-Encoding: identity\r\n", b""),
        (b"Transfer-Encoding: chunked, identity\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
        (b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n"),
        (b"Content-Length : 0\r\n", b""),
        (b" Content-Length: 0\r\n", b""),
        (b"A: b\r\n Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        (b"A: b\nContent-Length: 36\r\n", b""),
        (b"A: b\rContent-Length: 36\r\n", b""),
        (b"A: b\x00c\r\n", b""),
        (b"A\x00: b\r\n", b""),
        (b": b\r\n", b""),
        (b"A\r\n", b""),
        (b"Host: other\r\n", b""),
        (b"Transfer-Encoding: chunked\r\n", b"ffffffffffffffff1\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"-1\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"0x1\r\na\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b" 0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"1\nab\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"1;a=\nb\r\na\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"1\r\nab\r\n0\r\n\r\n"),
    ],
)
def test_ambiguous_framing_is_refused(proxy: RunningProxy, origin: RawOrigin, lines: bytes, content: bytes) -> None:
    before = len(origin.requests)
    target = f"{origin.base}/front".encode()
    answer = talk(proxy.port, b"POST " + target + b" HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n" + content + SMUGGLED)
    assert answer[:13] in (b"HTTP/1.1 400 ", b"HTTP/1.1 413 ", b"HTTP/1.1 501 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    forwarded = origin.requests[before:]
    assert not any(b"smuggled" in request.partition(b"\r\n")[0] for request in forwarded)
    # Content with an invalid coding may have been forwarded in part, but never its end.
    assert not any(request.endswith(b"0\r\n\r\n") for request in forwarded)


@pytest.mark.parametrize(
    "line",
    [
        b"GET  http://a/ HTTP/1.1",
        b"GET http://a/ HTTP/1.1 ",
        b"GET http://a/\tHTTP/1.1",
        b"GET http://a/ b HTTP/1.1",
        b"GET http://a/#f HTTP/1.1",
        b"GET http://u@a/ HTTP/1.1",
        b"GET http:///x HTTP/1.1",
        b"GET http://a:99999/ HTTP/1.1",
        b"GET //a/ HTTP/1.1\r\nHost: b",
        b"GE(T http://a/ HTTP/1.1",
        b"GET http://a/",
        b"GET https://a/ HTTP/1.1",
        b"GET ftp://a/ HTTP/1.1",
        b"GET http://a\\@b/ HTTP/1.1",
    ],
)
def test_a_request_line_with_two_meanings_is_refused(proxy: RunningProxy, origin: RawOrigin, line: bytes) -> None:
    before = len(origin.requests)
    answer = talk(proxy.port, line + b"\r\nHost: a\r\n\r\n")
    assert answer[:10] == b"HTTP/1.1 4"
    assert len(origin.requests) == before


def test_content_of_get_is_not_the_next_request(proxy: RunningProxy, origin: RawOrigin) -> None:
    before = len(origin.requests)
    head = f"GET {origin.base}/a HTTP/1.1\r\nHost: a\r\nContent-Length: {len(SMUGGLED)}\r\n\r\n".encode()
    exchange(proxy.port, head + SMUGGLED, b"hello")
    [forwarded] = origin.requests[before:]
    assert forwarded.startswith(b"GET /a HTTP/1.1\r\n")
    assert forwarded.endswith(SMUGGLED)


def test_the_host_beside_an_absolute_target_goes_nowhere(proxy: RunningProxy, origin: RawOrigin) -> None:
    before = len(origin.requests)
    exchange(proxy.port, f"GET {origin.base}/a HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode(), b"hello")
    assert field_values(origin.requests[before], b"host") == [f"{HOST}:{origin.port}".encode()]


def test_credentials_for_the_proxy_stay_here(proxy: RunningProxy, origin: RawOrigin) -> None:
    before = len(origin.requests)
    lines = "Host: a\r\nProxy-Authorization: Basic x\r\nProxy-Connection: close\r\nConnection: X-Secret\r\nX-Secret: s"
    exchange(proxy.port, f"GET {origin.base}/b HTTP/1.1\r\n{lines}\r\n\r\n".encode(), b"hello")
    forwarded = origin.requests[before].lower()
    assert b"proxy-" not in forwarded
    assert b"secret" not in forwarded
