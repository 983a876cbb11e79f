"""The forward proxy between independent clients and raw origins: forwarding of requests and responses."""

import asyncio
import hashlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.loopback.http.proxied import (
    RunningProxy,
    always,
    curl,
    exchange,
    field_values,
    is_in_order,
    proxy_process,
    raw_origin,
    response,
)
from tests.loopback.http.support import HOST, PATIENCE_S, origin_process, read_to_end, read_until

HELLO = response(b"hello", "ETag: x")
# More than all buffers, and more than the process may grow by while forwarding it.
HUGE_OCTETS = 200 * 1024 * 1024
GROWTH_KIB = 64 * 1024


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with proxy_process("--no-cache", "--name", "lab7", "--status", "/numbers") as running:
        yield running


def ask(port: int, target: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/{version}", f"Host: {HOST}:{port}", *lines, "", ""]).encode()


def test_curl_gets_a_file_through(proxy: RunningProxy, port: int, root: Path) -> None:
    done = curl("-x", proxy.url, f"http://{HOST}:{port}/large.bin")
    assert done.returncode == 0
    assert done.stdout == (root / "large.bin").read_bytes()


def test_http_client_keeps_its_connection(proxy: RunningProxy) -> None:
    with raw_origin(always(HELLO)) as origin:
        connection = http.client.HTTPConnection(HOST, proxy.port, timeout=PATIENCE_S)
        for _ in range(5):
            connection.request("GET", f"{origin.base}/a")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"hello")
            assert answer.getheader("Via") == "1.1 lab7"
        connection.close()
    assert origin.connections == 1
    assert len(origin.requests) == 5


def test_many_clients_at_once(proxy: RunningProxy) -> None:
    async def load(base: str) -> list[bytes]:
        connector = aiohttp.TCPConnector(limit=200)
        async with aiohttp.ClientSession(connector=connector) as session:

            async def fetch(number: int) -> bytes:
                async with session.get(f"{base}/{number}", proxy=proxy.url) as answer:
                    return await answer.read()

            return await asyncio.gather(*(fetch(number) for number in range(200)))

    def echo(peer: socket.socket, request: bytes) -> bool:
        peer.sendall(response(request.split()[1]))
        return True

    with raw_origin(echo) as origin:
        assert asyncio.run(load(origin.base)) == [b"/%d" % number for number in range(200)]


@pytest.mark.parametrize("method", ["GET", "DELETE", "PROPFIND", "BREW"])
def test_any_method_arrives(proxy: RunningProxy, method: str) -> None:
    with raw_origin(always(HELLO)) as origin:
        exchange(proxy.port, ask(origin.port, f"{origin.base}/x?y", method=method), b"hello")
    assert origin.requests[0].startswith(f"{method} /x?y HTTP/1.1\r\n".encode())


def test_an_upload_is_forwarded_with_any_framing(proxy: RunningProxy, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(os.urandom(3_000_000))
    with raw_origin(always(HELLO)) as origin:
        curl("-x", proxy.url, "--data-binary", f"@{upload}", f"{origin.base}/")
        curl("-x", proxy.url, "-H", "Transfer-Encoding: chunked", "--data-binary", f"@{upload}", f"{origin.base}/")
    sized, chunked = origin.requests
    assert sized.endswith(upload.read_bytes())
    assert field_values(sized, b"content-length") == [b"3000000"]
    assert field_values(chunked, b"transfer-encoding") == [b"chunked"]
    assert field_values(chunked, b"content-length") == []


def test_content_goes_on_before_it_is_complete_and_so_does_the_answer(proxy: RunningProxy) -> None:
    got, go = threading.Event(), threading.Event()

    def answer(peer: socket.socket, request: bytes) -> bool:
        assert b"first" in request
        got.set()
        peer.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nearly\r\n")
        assert go.wait(PATIENCE_S)
        peer.sendall(b"4\r\nlate\r\n0\r\n\r\n")
        return False

    with raw_origin(answer) as origin, socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(ask(origin.port, f"{origin.base}/", "Content-Length: 5", method="POST") + b"fi")
        client.sendall(b"rst")
        assert got.wait(PATIENCE_S)
        assert read_until(client, b"early")
        go.set()
        assert read_until(client, b"0\r\n\r\n")


def test_only_the_origin_requests_content_with_100(proxy: RunningProxy) -> None:
    listener = socket.create_server((HOST, 0))
    with listener, socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as client:
        port = listener.getsockname()[1]
        lines = ("Content-Length: 3", "Expect: 100-continue")
        client.sendall(ask(port, f"http://{HOST}:{port}/", *lines, method="PUT"))
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(PATIENCE_S)
            head = read_until(peer, b"\r\n\r\n")
            assert field_values(head, b"expect") == [b"100-continue"]
            peer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
            client.sendall(b"put")
            assert read_until(peer, b"put")
            peer.sendall(HELLO)
            assert read_until(client, b"hello")


def test_early_hints_go_ahead_but_not_to_an_old_client(proxy: RunningProxy) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    with raw_origin(always(hints + HELLO)) as origin:
        new = exchange(proxy.port, ask(origin.port, f"{origin.base}/"), b"hello")
        old = exchange(proxy.port, ask(origin.port, f"{origin.base}/", version="1.0"), b"hello")
    assert is_in_order(new, [b"HTTP/1.1 103 ", b"Link: </a.css>", b"HTTP/1.1 102 ", b"HTTP/1.1 200 "])
    assert old.startswith(b"HTTP/1.1 200 ")


def test_trailers_arrive(proxy: RunningProxy) -> None:
    octets = (
        b"HTTP/1.1 200 OK\r\nTrailer: Digest\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nDigest: d\r\n\r\n"
    )
    with raw_origin(always(octets)) as origin:
        lines = ("TE: trailers", "Connection: TE")
        received = exchange(proxy.port, ask(origin.port, f"{origin.base}/", *lines), b"Digest: d\r\n\r\n")
    assert field_values(received, b"trailer") == [b"Digest"]
    assert field_values(origin.requests[0], b"te") == [b"trailers"]


def test_an_old_origin_s_content_ends_with_its_connection(proxy: RunningProxy) -> None:
    with raw_origin(always(b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nold content", stays=False)) as origin:
        done = curl("-x", proxy.url, "-i", f"{origin.base}/")
    assert done.returncode == 0
    assert done.stdout.endswith(b"old content")
    assert b"Via: 1.0 lab7" in done.stdout


def test_an_old_client_gets_no_chunks(proxy: RunningProxy) -> None:
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"

    def answer(peer: socket.socket, request: bytes) -> bool:
        del request
        peer.sendall(chunks)
        peer.sendall(b"3\r\ndef\r\n0\r\n\r\n")
        return True

    with raw_origin(answer) as origin, socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as client:
        client.sendall(ask(origin.port, f"{origin.base}/", version="1.0"))
        received = read_to_end(client)
    assert received.endswith(b"\r\n\r\nabcdef")
    assert field_values(received, b"transfer-encoding") == []


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_response_without_content_leaves_the_connection_usable(proxy: RunningProxy, status: str) -> None:
    empty = f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()
    with raw_origin(always(empty)) as origin:
        twice = ask(origin.port, f"{origin.base}/") * 2
        with socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S) as client:
            client.sendall(twice)
            client.shutdown(socket.SHUT_WR)
            received = read_to_end(client)
    assert received.count(f"HTTP/1.1 {status}".encode()) == 2


def test_head_says_the_length_that_the_origin_says(proxy: RunningProxy) -> None:
    with raw_origin(always(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")) as origin:
        done = curl("-x", proxy.url, "-I", f"{origin.base}/")
    assert field_values(done.stdout, b"content-length") == [b"1234"]


def test_an_unknown_status_is_forwarded(proxy: RunningProxy) -> None:
    with raw_origin(always(response(b"odd", status="299 Very Odd"))) as origin:
        assert exchange(proxy.port, ask(origin.port, f"{origin.base}/"), b"odd").startswith(
            b"HTTP/1.1 299 Very Odd\r\n"
        )


def test_a_huge_object_passes_through_little_memory(proxy: RunningProxy, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(HUGE_OCTETS)
    curl("-x", proxy.url, "http://127.0.0.1:9/")
    before = proxy.most_memory_kib
    with origin_process(tmp_path) as port:
        slow = socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S)
        slow.sendall(ask(port, f"http://{HOST}:{port}/huge"))
        done = curl("-x", proxy.url, "-o", "/dev/null", "-w", "%{size_download}", f"http://{HOST}:{port}/huge")
        slow.close()
    assert done.stdout == str(HUGE_OCTETS).encode()
    assert proxy.most_memory_kib - before < GROWTH_KIB


def test_max_forwards_ends_at_the_proxy(proxy: RunningProxy) -> None:
    with raw_origin(always(HELLO)) as origin:
        traced = exchange(
            proxy.port,
            ask(origin.port, f"{origin.base}/", "Max-Forwards: 0", "Cookie: c", method="TRACE"),
            b"\r\n\r\nT",
        )
        exchange(proxy.port, ask(origin.port, f"{origin.base}/", "Max-Forwards: 1", method="OPTIONS"), b"hello")
    assert field_values(traced, b"content-type") == [b"message/http"]
    assert len(origin.requests) == 1
    assert field_values(origin.requests[0], b"max-forwards") == [b"0"]


def test_a_loop_ends(proxy: RunningProxy) -> None:
    target = f"http://{HOST}:{proxy.port}/x"
    assert exchange(proxy.port, ask(proxy.port, target), b"\r\n\r\n").startswith(b"HTTP/1.1 508 ")


def test_a_forward_proxy_has_no_resources_of_its_own(proxy: RunningProxy) -> None:
    assert exchange(proxy.port, ask(proxy.port, "/x"), b"\r\n\r\n").startswith(b"HTTP/1.1 421 ")


def test_a_proxy_whose_origin_is_itself_says_so() -> None:
    with socket.create_server((HOST, 0)) as taken:
        free = taken.getsockname()[1]
    flags = ("--no-cache", "--port", str(free), "--origin", f"http://{HOST}:{free}")
    with proxy_process(*flags) as reverse:
        assert exchange(reverse.port, ask(free, "/x"), b"\r\n\r\n").startswith(b"HTTP/1.1 508 ")


def test_chained_proxies_on_one_port_are_no_loop() -> None:
    # Containers and Mininet's hosts may share the machine's name, and their proxies have one port.
    with socket.create_server((HOST, 0)) as taken, raw_origin(always(HELLO)) as origin:
        port = str(taken.getsockname()[1])
        taken.close()
        with (
            proxy_process("--port", port, "--origin", origin.base, host="127.0.0.2") as inner,
            proxy_process("--port", port, "--origin", f"http://127.0.0.2:{port}") as outer,
        ):
            done = curl("-i", f"{outer.url}/x")
    assert inner.port == outer.port
    assert done.stdout.endswith(b"hello")
    first, second = field_values(origin.requests[0], b"via")
    assert first != second


def test_the_numbers_can_be_asked_for(proxy: RunningProxy) -> None:
    numbers = json.loads(curl(f"{proxy.url}/numbers").stdout)
    assert numbers["requests"] > 0
    assert numbers["hits"] == 0


def test_a_reverse_proxy_s_files_are_those_of_the_origin(port: int, root: Path) -> None:
    with proxy_process("--no-cache", "--origin", f"http://{HOST}:{port}") as reverse:
        done = curl(f"{reverse.url}/large.bin")
        h2 = curl("--http2-prior-knowledge", f"{reverse.url}/large.bin", "-w", "%{http_version}")
    digest = hashlib.sha256((root / "large.bin").read_bytes()).digest()
    assert hashlib.sha256(done.stdout).digest() == digest
    assert hashlib.sha256(h2.stdout[:-1]).digest() == digest
    assert h2.stdout.endswith(b"2")


def test_a_reverse_proxy_passes_the_host_on() -> None:
    with raw_origin(always(HELLO)) as origin, proxy_process("--no-cache", "--origin", origin.base) as reverse:
        curl("-H", "Host: shop.example", f"{reverse.url}/a%2fb")
    assert origin.requests[0].startswith(b"GET /a%2fb HTTP/1.1\r\nHost: shop.example\r\n")
