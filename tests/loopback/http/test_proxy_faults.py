"""Origins that are down, slow, cut off or wrong: the client's view, without effect on other clients."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from lab7.services.eventlog import EventLog
from lab7.services.http.intermediary.proxy import Proxy
from lab7.services.http.intermediary.settings import Settings, UpstreamLimits
from lab7.services.http.messages import Response
from lab7.services.http.server.context import Limits
from lab7.services.http.server.server import HTTPServer
from tests.loopback.http.proxied import (
    RawOrigin,
    RunningProxy,
    always,
    curl,
    exchange,
    proxy_process,
    raw_origin,
    response,
)
from tests.loopback.http.support import HOST, PATIENCE_S, listen, read_to_end, read_until

HELLO = response(b"hello")
# Short enough for a test, and longer than any operation that does not wait.
SHORT_S = 0.5
# curl's exit status for content that ended early, and for a connection that was reset.
PARTIAL, RESET, STREAM_RESET = 18, 56, 92


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with proxy_process("--no-cache", "--name", "lab7") as running:
        yield running


@contextmanager
def proxy_in_thread(limits: UpstreamLimits) -> Iterator[int]:
    """Run a proxy with these limits in a thread, and yield its port."""
    started, ports = threading.Event(), [0]
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        log = EventLog(None, time.time)
        proxy = Proxy(Settings(b"lab7", limits=limits), loop, log, time.time)
        server = HTTPServer(lambda *_: Response(500), log, time.time, Limits(), relay=proxy, speaks_http_2=False)
        listening, ports[0] = listen(server)
        started.set()
        await stop.wait()
        listening.close()
        await server.stop()
        await proxy.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.close()


def get(origin: RawOrigin, *lines: str, method: str = "GET") -> bytes:
    head = [f"{method} {origin.base}/x HTTP/1.1", f"Host: {HOST}:{origin.port}", *lines, "", ""]
    return "\r\n".join(head).encode()


def test_an_origin_that_is_down_is_a_bad_gateway(proxy: RunningProxy) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{http_code}", f"http://{HOST}:{port}/")
    assert done.stdout == b"502"


def test_an_unknown_name_is_a_bad_gateway(proxy: RunningProxy) -> None:
    done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{http_code}", "http://nobody.invalid/")
    assert done.stdout == b"502"


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 100 + HELLO,
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000 + b"\r\n\r\n",
    ],
)
def test_a_response_that_cannot_be_relied_on_is_not_passed_on(proxy: RunningProxy, octets: bytes) -> None:
    with raw_origin(always(octets, stays=False)) as origin:
        done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{http_code}", f"{origin.base}/")
    assert done.stdout == b"502"


@pytest.mark.parametrize(
    ("octets", "codes"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", {PARTIAL}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", {PARTIAL, RESET}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", {PARTIAL, RESET}),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\nhello", {PARTIAL, RESET}),
    ],
)
@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
def test_content_that_is_cut_off_is_seen_to_be(
    proxy: RunningProxy, octets: bytes, codes: set[int], version: str
) -> None:
    with raw_origin(always(octets, stays=False)) as origin:
        done = curl(version, "-x", proxy.url, f"{origin.base}/")
    # For an HTTP/1.0 client the content is close-delimited, so the connection is reset.
    assert done.returncode in codes | {RESET}


def test_content_that_is_cut_off_ends_an_http_2_stream_by_a_reset() -> None:
    cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    with raw_origin(always(cut, stays=False)) as origin, proxy_process("--origin", origin.base) as reverse:
        done = curl("--http2-prior-knowledge", f"{reverse.url}/")
    assert done.returncode == STREAM_RESET


def test_more_content_than_its_length_is_not_the_next_response(proxy: RunningProxy) -> None:
    evil = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    with raw_origin(always(HELLO + evil)) as origin:
        for _ in range(3):
            assert curl("-x", proxy.url, f"{origin.base}/").stdout == b"hello"
    assert origin.connections == 3


def test_a_connection_that_died_while_idle_costs_a_second_try(proxy: RunningProxy) -> None:
    connections: list[int] = []

    def once(peer: socket.socket, request: bytes) -> bool:
        del request
        connections.append(peer.fileno())
        if len(connections) == 2:
            # As if the request crossed the close of the persistent connection.
            return False
        peer.sendall(HELLO)
        return True

    with raw_origin(once) as origin:
        client = http.client.HTTPConnection(HOST, proxy.port, timeout=PATIENCE_S)
        statuses = []
        for _ in range(2):
            client.request("GET", f"{origin.base}/")
            answer = client.getresponse()
            statuses.append((answer.status, answer.read()))
        client.close()
    assert statuses == [(200, b"hello")] * 2
    assert origin.connections == 2
    assert len(connections) == 3


def test_a_request_that_may_have_been_processed_is_not_retried(proxy: RunningProxy) -> None:
    def once(peer: socket.socket, request: bytes) -> bool:
        if request.startswith(b"POST"):
            return False
        peer.sendall(HELLO)
        return True

    with raw_origin(once) as origin:
        exchange(proxy.port, get(origin), b"hello")
        answer = exchange(proxy.port, get(origin, "Content-Length: 1", method="POST") + b"x", b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert sum(request.startswith(b"POST") for request in origin.requests) == 1


def test_a_non_idempotent_request_gets_a_new_connection(proxy: RunningProxy) -> None:
    """A non-idempotent request could be lost on a connection that the origin is closing (RFC 9110 section 9.2.2)."""

    def first_alone(peer: socket.socket, request: bytes) -> bool:
        if request.startswith(b"POST") and peer in kept:
            return False
        kept.append(peer)
        peer.sendall(HELLO)
        return True

    kept: list[socket.socket] = []
    with raw_origin(first_alone) as origin:
        exchange(proxy.port, get(origin), b"hello")
        answer = exchange(proxy.port, get(origin, "Content-Length: 1", method="POST") + b"x", b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert origin.connections == 2


def test_a_request_that_never_ends_does_not_seem_to_at_the_origin(proxy: RunningProxy) -> None:
    with socket.create_server((HOST, 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as client:
            head = f"POST http://{HOST}:{port}/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            client.sendall(head.encode() + b"3\r\nabc\r\n")
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(PATIENCE_S)
                received = read_until(peer, b"abc\r\n")
                client.sendall(b"not a chunk\r\n")
                assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")
                with suppress(ConnectionResetError):
                    received += read_to_end(peer)
    assert received.endswith(b"\r\n3\r\nabc\r\n")


def test_an_origin_that_does_not_answer_is_given_up() -> None:
    def silent(peer: socket.socket, request: bytes) -> bool:
        del request
        peer.recv(1)
        return False

    with raw_origin(silent) as origin, proxy_in_thread(UpstreamLimits(head_s=SHORT_S, sweep_s=0.05)) as port:
        assert exchange(port, get(origin), b"\r\n\r\n").startswith(b"HTTP/1.1 504 ")


def test_content_that_stops_coming_is_broken_off() -> None:
    def stalls(peer: socket.socket, request: bytes) -> bool:
        del request
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        peer.recv(1)
        return False

    with (
        raw_origin(stalls) as origin,
        proxy_in_thread(UpstreamLimits(stall_s=SHORT_S, sweep_s=0.05)) as port,
        socket.create_connection((HOST, port), timeout=PATIENCE_S) as client,
    ):
        client.sendall(get(origin))
        assert read_to_end(client).endswith(b"\r\n\r\nhello")


def test_a_bound_on_connections_makes_requests_wait_for_each_other() -> None:
    most, now = [0], [0]
    lock = threading.Lock()

    def counting(peer: socket.socket, request: bytes) -> bool:
        del request
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        peer.sendall(HELLO)
        return True

    answers: list[bytes] = []
    with raw_origin(counting) as origin, proxy_in_thread(UpstreamLimits(connections_per_origin=3)) as port:
        threads = [
            threading.Thread(target=lambda: answers.append(exchange(port, get(origin), b"hello"))) for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert len(answers) == 30
    assert most[0] <= 3
    assert origin.connections == 3


def test_room_for_all_origins_is_made_of_idle_connections() -> None:
    with (
        raw_origin(always(HELLO)) as first,
        raw_origin(always(HELLO)) as other,
        proxy_in_thread(UpstreamLimits(connections=1)) as port,
    ):
        for origin in (first, other, first):
            assert exchange(port, get(origin), b"hello").endswith(b"hello")


def test_waiting_for_a_connection_ends() -> None:
    go = threading.Event()

    def waits(peer: socket.socket, request: bytes) -> bool:
        del request
        go.wait(PATIENCE_S)
        peer.sendall(HELLO)
        return True

    limits = UpstreamLimits(connections_per_origin=1, connect_s=SHORT_S)
    with (
        raw_origin(waits) as origin,
        proxy_in_thread(limits) as port,
        socket.create_connection((HOST, port), timeout=PATIENCE_S) as first,
    ):
        first.sendall(get(origin))
        while not origin.requests:
            time.sleep(0.01)
        assert exchange(port, get(origin), b"\r\n\r\n").startswith(b"HTTP/1.1 504 ")
        go.set()
        assert read_until(first, b"hello").startswith(b"HTTP/1.1 200 ")


def test_a_client_that_goes_away_ends_its_request_alone(proxy: RunningProxy) -> None:
    left, go = threading.Event(), threading.Event()

    def answer(peer: socket.socket, request: bytes) -> bool:
        if b"/slow" not in request:
            go.wait(PATIENCE_S)
            peer.sendall(HELLO)
            return True
        if peer.recv(1) == b"":
            left.set()
        return False

    with raw_origin(answer) as origin:
        leaver = socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S)
        leaver.sendall(get(origin).replace(b"/x ", b"/slow "))
        with socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as stayer:
            stayer.sendall(get(origin))
            while len(origin.requests) < 2:
                time.sleep(0.01)
            leaver.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            leaver.close()
            assert left.wait(PATIENCE_S)
            go.set()
            assert read_until(stayer, b"hello").startswith(b"HTTP/1.1 200 ")


def test_a_client_that_does_not_read_does_not_block_others(proxy: RunningProxy) -> None:
    large = response(b"x" * 30_000_000)
    with raw_origin(always(large)) as origin, socket.create_connection((HOST, proxy.port)) as idle:
        idle.sendall(get(origin))
        done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{size_download}", f"{origin.base}/")
        assert done.stdout == b"30000000"
