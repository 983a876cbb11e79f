"""Collapsed requests: one request to the origin for concurrent clients, also if some disconnect."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import aiohttp
import pytest

from tests.loopback.http.proxied import (
    FRESH,
    Gate,
    RunningProxy,
    always,
    client,
    curl,
    exchange,
    get,
    leave,
    proxy_process,
    raw_origin,
    response,
    status_of,
    until,
)
from tests.loopback.http.support import PATIENCE_S, read_to_end, read_until

HUGE_OCTETS = 200 * 1024 * 1024
GROWTH_KIB = 64 * 1024


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with proxy_process("--name", "lab7", "--status", "/numbers", "--object", "1000000") as running:
        yield running


@pytest.mark.parametrize("rest", [b"", b"lo"])
def test_sixty_four_clients_at_once_are_one_request(proxy: RunningProxy, rest: bytes) -> None:
    gate = Gate(b"" if not rest else response(b"hello", FRESH)[: -len(rest)], rest or response(b"hello", FRESH))

    async def load(base: str) -> list[tuple[int, bytes]]:
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def fetch() -> tuple[int, bytes]:
                async with session.get(f"{base}/{rest!r}", proxy=proxy.url) as answer:
                    return answer.status, await answer.read()

            tasks = [asyncio.create_task(fetch()) for _ in range(64)]
            await asyncio.sleep(0.3)
            gate.go.set()
            return await asyncio.gather(*tasks)

    with raw_origin(gate) as origin:
        assert asyncio.run(load(origin.base)) == [(200, b"hello")] * 64
    assert len(origin.requests) == 1


def test_no_moment_is_left_in_which_a_second_request_goes_out(proxy: RunningProxy) -> None:
    """With a fast origin, requests arrive at the very moment when another one's response is complete."""

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


def test_a_follower_reads_content_before_it_is_complete(proxy: RunningProxy) -> None:
    gate = Gate(response(b"hello", FRESH)[:-2], b"lo")
    with raw_origin(gate) as origin, client(proxy.port, get(origin)) as first:
        read_until(first, b"hel")
        with client(proxy.port, get(origin)) as second:
            received = read_until(second, b"hel")
            assert status_of(received) == b"lab7; fwd=uri-miss; collapsed"
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
def test_uncacheable_responses_are_not_shared(proxy: RunningProxy, line: str) -> None:
    gate = Gate(b"", response(b"hello", line))
    with raw_origin(gate) as origin, client(proxy.port, get(origin)) as first:
        until(lambda: len(origin.requests) == 1)
        with client(proxy.port, get(origin)) as second:
            time.sleep(0.1)
            gate.go.set()
            assert read_until(first, b"hello").startswith(b"HTTP/1.1 200 ")
            received = read_until(second, b"hello")
        assert status_of(received).endswith(b"; collapsed=?0")
        third = exchange(proxy.port, get(origin), b"hello")
        assert status_of(third) == b"lab7; fwd=uri-miss"
    assert len(origin.requests) == 3


def test_a_response_in_progress_is_not_stored_after_an_invalidation(proxy: RunningProxy) -> None:
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


# A request that is shared with others, and two that are not: with credentials, and with a range.
@pytest.mark.parametrize("line", ["X-A: 1", "Authorization: Basic YTpi", "Range: bytes=0-99"])
def test_no_response_to_a_request_sent_before_an_invalidation_is_stored(proxy: RunningProxy, line: str) -> None:
    public = "Cache-Control: max-age=600, public"
    gate = Gate(b"", response(b"before", public))
    arrived = threading.Event()

    def answer(peer: socket.socket, request: bytes) -> bool:
        if request.startswith(b"GET") and not gate.go.is_set():
            arrived.set()
            return gate(peer, request)
        peer.sendall(response(b"after", public))
        return True

    with raw_origin(answer) as origin, client(proxy.port, get(origin, line)) as first:
        assert arrived.wait(PATIENCE_S)
        exchange(proxy.port, get(origin, "Content-Length: 1", method="PUT") + b"x", b"after")
        gate.go.set()
        read_until(first, b"before")
        assert exchange(proxy.port, get(origin), b"after").endswith(b"\r\n\r\nafter")


def test_a_response_too_large_to_store_still_reaches_all_followers(proxy: RunningProxy) -> None:
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
        # The second request is forwarded: nothing was stored.
        with client(proxy.port, get(origin, "Connection: close")) as third:
            assert read_to_end(third).partition(b"\r\n\r\n")[2].count(b"x") == size
    assert len(origin.requests) == 2


def test_a_response_too_large_to_store_takes_little_memory(proxy: RunningProxy) -> None:
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
