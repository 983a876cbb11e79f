"""The cache in front of origins of raw octets: what is asked for once, what is sent from storage, and what never is."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.loopback.http.proxied import (
    RawOrigin,
    RunningProxy,
    always,
    curl,
    exchange,
    field_values,
    proxy_process,
    raw_origin,
    response,
)
from tests.loopback.http.support import HOST, PATIENCE_S, read_to_end, read_until

FRESH = "Cache-Control: max-age=600"
HUGE_OCTETS = 200 * 1024 * 1024
GROWTH_KIB = 64 * 1024


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with proxy_process("--name", "lab7", "--status", "/numbers", "--object", "1000000") as running:
        yield running


def get(origin: RawOrigin, *lines: str, path: str = "/x", method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {origin.base}{path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def status_of(answer: bytes) -> bytes:
    """Return Cache-Status without the time to live."""
    value = field_values(answer, b"cache-status")[0]
    return b"; ".join(part for part in value.split(b"; ") if not part.startswith(b"ttl="))


def until(condition: Callable[[], bool]) -> None:
    """Wait for what must come about."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Gate:
    """An origin that sends a head and some content, and the rest when it is told to."""

    def __init__(self, first: bytes, rest: bytes) -> None:
        self.first, self.rest = first, rest
        self.go = threading.Event()
        self.left = threading.Event()

    def __call__(self, peer: socket.socket, request: bytes) -> bool:
        """Answer."""
        del request
        peer.sendall(self.first)
        self.go.wait(PATIENCE_S)
        try:
            peer.sendall(self.rest)
        except OSError:
            self.left.set()
            return False
        return True


@contextmanager
def client(port: int, octets: bytes) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        yield peer


def leave(peer: socket.socket) -> None:
    """Go away as a browser does whose user has closed it."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()


def test_what_is_fresh_is_asked_for_once(proxy: RunningProxy) -> None:
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


@pytest.mark.parametrize("rest", [b"", b"lo"])
def test_sixty_four_clients_at_once_are_one_request(proxy: RunningProxy, rest: bytes) -> None:
    gate = Gate(b"" if not rest else response(b"hello", FRESH)[: -len(rest)], rest or response(b"hello", FRESH))

    async def load(base: str) -> list[tuple[int, bytes]]:
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def one() -> tuple[int, bytes]:
                async with session.get(f"{base}/{rest!r}", proxy=proxy.url) as answer:
                    return answer.status, await answer.read()

            tasks = [asyncio.create_task(one()) for _ in range(64)]
            await asyncio.sleep(0.3)
            gate.go.set()
            return await asyncio.gather(*tasks)

    with raw_origin(gate) as origin:
        assert asyncio.run(load(origin.base)) == [(200, b"hello")] * 64
    assert len(origin.requests) == 1


def test_no_moment_is_left_in_which_a_second_request_goes_out(proxy: RunningProxy) -> None:
    """An origin that answers at once: somebody always asks just when another one's response has come."""

    async def load(base: str) -> None:
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def all_in_order() -> None:
                for number in range(50):
                    async with session.get(f"{base}/{number}", proxy=proxy.url) as answer:
                        assert await answer.read() == b"hello"

            await asyncio.gather(*(all_in_order() for _ in range(64)))

    with raw_origin(always(response(b"hello", FRESH))) as origin:
        asyncio.run(load(origin.base))
    assert len(origin.requests) == 50


def test_a_follower_reads_what_has_come_before_the_rest_has(proxy: RunningProxy) -> None:
    gate = Gate(response(b"hello", FRESH)[:-2], b"lo")
    with raw_origin(gate) as origin, client(proxy.port, get(origin)) as first:
        read_until(first, b"hel")
        with client(proxy.port, get(origin)) as second:
            came = read_until(second, b"hel")
            assert status_of(came) == b"lab7; fwd=uri-miss; collapsed"
            gate.go.set()
            assert read_until(second, b"lo").endswith(b"lo")
    assert len(origin.requests) == 1


def test_followers_do_not_suffer_when_the_first_leaves(proxy: RunningProxy) -> None:
    gate = Gate(response(b"hello", FRESH)[:-2], b"lo")
    with raw_origin(gate) as origin, client(proxy.port, get(origin)) as first:
        read_until(first, b"hel")
        with client(proxy.port, get(origin)) as second:
            read_until(second, b"hel")
            leave(first)
            gate.go.set()
            assert read_until(second, b"lo").endswith(b"lo")


def test_nor_when_the_first_leaves_before_there_is_an_answer(proxy: RunningProxy) -> None:
    gate = Gate(b"", response(b"hello", FRESH))
    with raw_origin(gate) as origin, client(proxy.port, get(origin)) as first:
        until(lambda: len(origin.requests) == 1)
        with client(proxy.port, get(origin)) as second:
            time.sleep(0.1)
            leave(first)
            time.sleep(0.1)
            gate.go.set()
            assert read_until(second, b"hello").startswith(b"HTTP/1.1 200 ")
    assert len(origin.requests) == 1


def test_when_everybody_leaves_the_origin_is_left_as_well(proxy: RunningProxy) -> None:
    head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: 900000000\r\n\r\n"
    gate = Gate(head + b"hel", b"x" * 50_000_000)
    with raw_origin(gate) as origin:
        with client(proxy.port, get(origin)) as first, client(proxy.port, get(origin)) as second:
            read_until(first, b"hel")
            read_until(second, b"hel")
            leave(first)
            leave(second)
        time.sleep(0.1)
        gate.go.set()
        assert gate.left.wait(PATIENCE_S)


@pytest.mark.parametrize("line", ["Cache-Control: no-store", "Cache-Control: private", "Vary: *"])
def test_what_cannot_be_shared_is_each_one_s_own(proxy: RunningProxy, line: str) -> None:
    gate = Gate(b"", response(b"hello", line))
    with raw_origin(gate) as origin, client(proxy.port, get(origin)) as first:
        until(lambda: len(origin.requests) == 1)
        with client(proxy.port, get(origin)) as second:
            time.sleep(0.1)
            gate.go.set()
            assert read_until(first, b"hello").startswith(b"HTTP/1.1 200 ")
            came = read_until(second, b"hello")
        assert status_of(came).endswith(b"; collapsed=?0")
        third = exchange(proxy.port, get(origin), b"hello")
        assert status_of(third) == b"lab7; fwd=uri-miss"
    assert len(origin.requests) == 3


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
        came = exchange(proxy.port, get(origin), b"hello")
    assert origin.requests[0].startswith(b"GET /x HTTP/1.1\r\nHost: %b:%d\r\n" % (HOST.encode(), origin.port))
    assert status_of(came) == b"lab7; hit"


def test_the_host_is_part_of_a_reverse_proxy_s_key() -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        peer.sendall(response(field_values(request, b"host")[0], FRESH))
        return True

    with raw_origin(answer) as origin, proxy_process("--origin", origin.base) as reverse:
        for _ in range(2):
            for host in ("a.example", "b.example"):
                assert curl("-H", f"Host: {host}", f"{reverse.url}/").stdout == host.encode()
        # The target's authority is the one that counts, and it alone.
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
        came = exchange(proxy.port, get(origin, 'If-None-Match: "1"'), b"\r\n\r\n")
    assert came.startswith(b"HTTP/1.1 304 ")
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


def test_only_if_cached_asks_nobody(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"hello", FRESH))) as origin:
        came = exchange(proxy.port, get(origin, "Cache-Control: only-if-cached"), b"\r\n\r\n")
    assert came.startswith(b"HTTP/1.1 504 ")
    assert origin.requests == []


def test_what_is_changed_is_asked_for_anew(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"hello", FRESH))) as origin:
        exchange(proxy.port, get(origin), b"hello")
        exchange(proxy.port, get(origin, "Content-Length: 1", method="POST") + b"x", b"hello")
        assert status_of(exchange(proxy.port, get(origin), b"hello")) == b"lab7; fwd=uri-miss; stored"
    assert len(origin.requests) == 3


def test_a_change_meanwhile_keeps_what_is_under_way_out_of_the_store(proxy: RunningProxy) -> None:
    gate = Gate(response(b"before", FRESH)[:-3], b"ore")

    def answer(peer: socket.socket, request: bytes) -> bool:
        if request.startswith(b"GET") and not gate.go.is_set():
            return gate(peer, request)
        peer.sendall(response(b"after", FRESH))
        return True

    with raw_origin(answer) as origin, client(proxy.port, get(origin)) as first:
        read_until(first, b"bef")
        exchange(proxy.port, get(origin, "Content-Length: 1", method="PUT") + b"x", b"after")
        gate.go.set()
        assert read_until(first, b"ore") == b"ore"
        assert exchange(proxy.port, get(origin), b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")
        assert status_of(exchange(proxy.port, get(origin), b"after")) == b"lab7; hit"


def test_something_stale_is_sent_at_once_and_validated_behind_the_scenes(proxy: RunningProxy) -> None:
    line = "Cache-Control: max-age=0, stale-while-revalidate=600"
    with raw_origin(always(response(b"hello", line, 'ETag: "1"'))) as origin:
        exchange(proxy.port, get(origin), b"hello")
        came = exchange(proxy.port, get(origin), b"hello")
        until(lambda: len(origin.requests) == 2)
    assert status_of(came) == b"lab7; hit"
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
        came = exchange(proxy.port, get(origin), b"hello")
        assert came.startswith(b"HTTP/1.1 200 ")
    # Now it is gone altogether.
    assert exchange(proxy.port, get(origin), b"hello").startswith(b"HTTP/1.1 200 ")
    assert exchange(proxy.port, get(origin, path="/other"), b"\r\n\r\n").startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize(
    "cut",
    [
        response(b"hello", FRESH, 'ETag: "1"')[:-2],
        b'HTTP/1.1 200 OK\r\nETag: "1"\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n',
    ],
)
def test_what_was_cut_off_is_never_taken_for_the_whole(proxy: RunningProxy, cut: bytes) -> None:
    asked: list[bytes] = []

    def answer(peer: socket.socket, request: bytes) -> bool:
        asked.append(request)
        if len(asked) == 1:
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
    # The rest alone was asked for, where it was known how much that is.
    assert len(asked) == 2
    assert bool(field_values(asked[1], b"range")) is (b"chunked" not in cut)


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
            came = exchange(proxy.port, get(origin, f"Range: bytes={wanted}"), content)
            assert came.endswith(b"\r\n\r\n" + content)
        assert exchange(proxy.port, get(origin), whole).endswith(b"\r\n\r\n" + whole)
    assert len(origin.requests) == 2


def test_what_turns_out_too_large_still_reaches_all_who_wait(proxy: RunningProxy) -> None:
    size = 3_000_000
    piece = b"%x\r\n%b\r\n" % (size // 2, b"x" * (size // 2))
    head = b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n"
    gate = Gate(head, piece * 2 + b"0\r\n\r\n")
    with (
        raw_origin(gate) as origin,
        client(proxy.port, get(origin, "Connection: close")) as first,
        client(proxy.port, get(origin, "Connection: close")) as second,
    ):
        read_until(first, b"hel")
        read_until(second, b"hel")
        gate.go.set()
        for peer in (first, second):
            octets = read_to_end(peer)
            assert octets.count(b"x") == size
            assert octets.endswith(b"0\r\n\r\n")
        assert len(origin.requests) == 1
        # A second one is asked for again: nothing of it is stored.
        with client(proxy.port, get(origin, "Connection: close")) as third:
            assert read_to_end(third).partition(b"\r\n\r\n")[2].count(b"x") == size
    assert len(origin.requests) == 2


def test_what_is_too_large_to_be_stored_takes_little_memory(proxy: RunningProxy) -> None:
    def answer(peer: socket.socket, request: bytes) -> bool:
        del request
        peer.sendall(f"HTTP/1.1 200 OK\r\n{FRESH}\r\nContent-Length: {HUGE_OCTETS}\r\n\r\n".encode())
        for _ in range(HUGE_OCTETS // 1_048_576):
            peer.sendall(bytes(1_048_576))
        return True

    with raw_origin(answer) as origin:
        before = proxy.most_memory_kib
        with client(proxy.port, get(origin)) as slow:
            read_until(slow, b"\r\n\r\n")
            done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{size_download}", f"{origin.base}/x")
    assert done.stdout == str(HUGE_OCTETS).encode()
    assert proxy.most_memory_kib - before < GROWTH_KIB


def test_the_disk_keeps_what_was_stored_over_a_restart(tmp_path: Path) -> None:
    content = bytes(range(256)) * 1000
    with raw_origin(always(response(content, FRESH))) as origin:
        for _ in range(2):
            with proxy_process("--disk", str(tmp_path)) as proxy:
                assert curl("-x", proxy.url, f"{origin.base}/x").stdout == content
    assert len(origin.requests) == 1


def test_the_numbers_tell_what_happened() -> None:
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


def test_whom_the_operator_does_not_name_is_not_served() -> None:
    with raw_origin(always(response(b"hello"))) as origin:
        for network, status in (("127.0.0.0/8", b"200"), ("192.0.2.0/24", b"403")):
            with proxy_process("--allow-client", network) as proxy:
                done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{http_code}", f"{origin.base}/x")
                assert done.stdout == status
