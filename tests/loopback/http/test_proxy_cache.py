"""The caching proxy in front of raw origins: hits, misses, and uncacheable responses."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.http.proxied import (
    FRESH,
    RunningProxy,
    always,
    curl,
    exchange,
    field_values,
    get,
    proxy_process,
    raw_origin,
    response,
    status_of,
    until,
)
from tests.loopback.http.support import HOST


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with proxy_process("--name", "lab7", "--status", "/numbers", "--object", "1000000") as running:
        yield running


def test_a_fresh_response_is_requested_once(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"hello", FRESH))) as origin:
        answers = [exchange(proxy.port, get(origin), b"hello") for _ in range(3)]
    assert len(origin.requests) == 1
    assert [status_of(answer) for answer in answers] == [
        b"lab7; fwd=uri-miss; stored",
        b"lab7; hit",
        b"lab7; hit",
    ]
    assert field_values(answers[0], b"age") == []
    assert len(field_values(answers[1], b"age")) == 1


def test_variants_are_kept_apart(proxy: RunningProxy) -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        language = field_values(request, b"accept-language")[0]
        peer.sendall(response(language * 3, FRESH, "Vary: Accept-Language"))
        return True

    with raw_origin(answer) as origin:
        for _ in range(2):
            for language in ("de", "fr"):
                exchange(proxy.port, get(origin, f"Accept-Language: {language}"), language.encode() * 3)
    assert len(origin.requests) == 2


def test_a_field_that_connection_hides_poisons_no_variant(proxy: RunningProxy) -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        language = (field_values(request, b"accept-language") or [b"any"])[0]
        peer.sendall(response(language * 3, FRESH, "Vary: Accept-Language"))
        return True

    with raw_origin(answer) as origin:
        hidden = get(origin, "Accept-Language: de", "Connection: Accept-Language")
        assert exchange(proxy.port, hidden, b"any").endswith(b"anyanyany")
        assert exchange(proxy.port, get(origin, "Accept-Language: de"), b"dedede").endswith(b"dedede")


@pytest.mark.parametrize(
    "line", ["X-Forwarded-Host: evil", "X-Forwarded-Proto: https", "X-Original-URL: /admin", "Forwarded: host=evil"]
)
def test_fields_outside_the_key_change_nothing_here(proxy: RunningProxy, line: str) -> None:
    with raw_origin(always(response(b"hello", FRESH))) as origin:
        exchange(proxy.port, get(origin, line), b"hello")
        received = exchange(proxy.port, get(origin), b"hello")
    assert origin.requests[0].startswith(b"GET /x HTTP/1.1\r\nHost: %b:%d\r\n" % (HOST.encode(), origin.port))
    assert status_of(received) == b"lab7; hit"


def test_the_host_is_part_of_a_reverse_proxy_s_key() -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        peer.sendall(response(field_values(request, b"host")[0], FRESH))
        return True

    with raw_origin(answer) as origin, proxy_process("--origin", origin.base) as reverse:
        for _ in range(2):
            for host in ("a.example", "b.example"):
                assert curl("-H", f"Host: {host}", f"{reverse.url}/").stdout == host.encode()
        # Only the target's authority counts.
        octets = b"GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n"
        assert exchange(reverse.port, octets, b"a.example").endswith(b"a.example")
    assert len(origin.requests) == 2


def test_a_validation_is_answered_from_storage(proxy: RunningProxy) -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        if field_values(request, b"if-none-match") == [b'"1"']:
            peer.sendall(b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nX-New: yes\r\nCache-Control: max-age=600\r\n\r\n')
        else:
            peer.sendall(response(b"hello", 'ETag: "1"', "Cache-Control: max-age=0"))
        return True

    with raw_origin(answer) as origin:
        answers = [exchange(proxy.port, get(origin), b"hello") for _ in range(3)]
    assert len(origin.requests) == 2
    assert status_of(answers[1]).startswith(b"lab7; fwd=stale; fwd-status=304")
    assert field_values(answers[1], b"x-new") == [b"yes"]
    assert status_of(answers[2]) == b"lab7; hit"


def test_a_client_s_own_validator_gets_304_from_storage(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"hello", FRESH, 'ETag: "1"'))) as origin:
        exchange(proxy.port, get(origin), b"hello")
        received = exchange(proxy.port, get(origin, 'If-None-Match: "1"'), b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 304 ")
    assert len(origin.requests) == 1


def test_ranges_and_head_come_from_storage(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"0123456789", FRESH, 'ETag: "1"'))) as origin:
        exchange(proxy.port, get(origin), b"0123456789")
        part = exchange(proxy.port, get(origin, "Range: bytes=2-4"), b"234")
        parts = exchange(proxy.port, get(origin, "Range: bytes=0-1,8-9"), b"--\r\n")
        beyond = exchange(proxy.port, get(origin, "Range: bytes=99-"), b"\r\n\r\n")
        done = curl("-x", proxy.url, "-I", f"{origin.base}/x")
    assert part.startswith(b"HTTP/1.1 206 ")
    assert part.endswith(b"\r\n\r\n234")
    assert field_values(part, b"content-range") == [b"bytes 2-4/10"]
    assert b"multipart/byteranges" in parts
    assert beyond.startswith(b"HTTP/1.1 416 ")
    assert field_values(done.stdout, b"content-length") == [b"10"]
    assert len(origin.requests) == 1


def test_only_if_cached_is_not_forwarded(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"hello", FRESH))) as origin:
        received = exchange(proxy.port, get(origin, "Cache-Control: only-if-cached"), b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 504 ")
    assert origin.requests == []


def test_a_changed_resource_is_requested_anew(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"hello", FRESH))) as origin:
        exchange(proxy.port, get(origin), b"hello")
        exchange(proxy.port, get(origin, "Content-Length: 1", method="POST") + b"x", b"hello")
        assert status_of(exchange(proxy.port, get(origin), b"hello")) == b"lab7; fwd=uri-miss; stored"
    assert len(origin.requests) == 3


def test_something_stale_is_sent_at_once_and_validated_behind_the_scenes(proxy: RunningProxy) -> None:
    line = "Cache-Control: max-age=0, stale-while-revalidate=600"
    with raw_origin(always(response(b"hello", line, 'ETag: "1"'))) as origin:
        exchange(proxy.port, get(origin), b"hello")
        received = exchange(proxy.port, get(origin), b"hello")
        until(lambda: len(origin.requests) == 2)
    assert status_of(received) == b"lab7; hit"
    assert field_values(origin.requests[1], b"if-none-match") == [b'"1"']


def test_something_stale_is_better_than_an_error(proxy: RunningProxy) -> None:
    down = threading.Event()

    def answer(peer: socket.socket, request: bytes) -> bool:
        del request
        if down.is_set():
            peer.sendall(response(b"broken", status="500 Internal Server Error"))
        else:
            peer.sendall(response(b"hello", "Cache-Control: max-age=0, stale-if-error=600"))
        return True

    with raw_origin(answer) as origin:
        exchange(proxy.port, get(origin), b"hello")
        down.set()
        received = exchange(proxy.port, get(origin), b"hello")
        assert received.startswith(b"HTTP/1.1 200 ")
    # Now the connection is closed.
    assert exchange(proxy.port, get(origin), b"hello").startswith(b"HTTP/1.1 200 ")
    assert exchange(proxy.port, get(origin, path="/other"), b"\r\n\r\n").startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    "cut",
    [
        response(b"hello", FRESH, 'ETag: "1"')[:-2],
        b'HTTP/1.1 200 OK\r\nETag: "1"\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n',
    ],
)
def test_an_incomplete_response_is_never_served_as_complete(proxy: RunningProxy, cut: bytes) -> None:
    requests: list[bytes] = []

    def answer(peer: socket.socket, request: bytes) -> bool:
        requests.append(request)
        if len(requests) == 1:
            peer.sendall(cut)
            return False
        if field_values(request, b"range"):
            lines = ('ETag: "1"', FRESH, "Content-Range: bytes 3-4/5")
            peer.sendall(response(b"lo", *lines, status="206 Partial Content"))
        else:
            peer.sendall(response(b"hello", FRESH, 'ETag: "1"'))
        return True

    with raw_origin(answer) as origin:
        assert curl("-x", proxy.url, f"{origin.base}/x").returncode != 0
        for _ in range(2):
            done = curl("-x", proxy.url, f"{origin.base}/x")
            assert (done.returncode, done.stdout) == (0, b"hello")
    # Only the rest was requested, if its size was known.
    assert len(requests) == 2
    assert bool(field_values(requests[1], b"range")) is (b"chunked" not in cut)


def test_parts_that_clients_asked_for_become_one(proxy: RunningProxy) -> None:
    whole = b"0123456789"

    def answer(peer: socket.socket, request: bytes) -> bool:
        first, _, last = field_values(request, b"range")[0].removeprefix(b"bytes=").partition(b"-")
        part = whole[int(first) : int(last) + 1]
        described = f"Content-Range: bytes {int(first)}-{int(last)}/10"
        peer.sendall(response(part, FRESH, 'ETag: "1"', described, status="206 Partial Content"))
        return True

    with raw_origin(answer) as origin:
        for wanted, content in (("0-4", b"01234"), ("3-9", b"3456789")):
            received = exchange(proxy.port, get(origin, f"Range: bytes={wanted}"), content)
            assert received.endswith(b"\r\n\r\n" + content)
        assert exchange(proxy.port, get(origin), whole).endswith(b"\r\n\r\n" + whole)
    assert len(origin.requests) == 2


def test_stored_responses_on_disk_survive_a_restart(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    with raw_origin(always(response(content, FRESH))) as origin:
        for _ in range(2):
            with proxy_process("--disk", str(tmp_path)) as proxy:
                assert curl("-x", proxy.url, f"{origin.base}/x").stdout == content
    assert len(origin.requests) == 1


def test_the_counters_match_the_requests() -> None:
    with (
        raw_origin(always(response(b"hello", FRESH))) as origin,
        proxy_process("--origin", origin.base, "--status", "/numbers") as reverse,
    ):
        for _ in range(3):
            curl(f"{reverse.url}/x")
        numbers = json.loads(curl(f"{reverse.url}/numbers").stdout)
    assert (numbers["hits"], numbers["misses"], numbers["entries"]) == (2, 1, 1)
    assert numbers["client_octets"] > 3 * len(b"hello")
    assert numbers["upstream_octets"] > len(b"hello")


def test_a_client_that_is_not_permitted_is_rejected() -> None:
    with raw_origin(always(response(b"hello"))) as origin:
        for network, status in (("127.0.0.0/8", b"200"), ("192.0.2.0/24", b"403")):
            with proxy_process("--allow-client", network) as proxy:
                done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{http_code}", f"{origin.base}/x")
                assert done.stdout == status
