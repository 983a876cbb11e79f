"""Optimistic data after CONNECT, Upgrade or Expect: it is not parsed as a request after a refusal (RFC 9931).

A refused CONNECT closes the connection (section 7). A refused Upgrade leaves it open (section 4), and the first octets
of WebSocket, TLS and HTTP/2 are not a request of HTTP/1.1 either (section 5).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.loopback.http.proxied import (
    RawOrigin,
    always,
    field_values,
    proxy_process,
    raw_origin,
    response,
)
from tests.loopback.http.support import HOST, PATIENCE_S, origin_process, read_to_end, read_until
from tests.loopback.mail.webmail import webmail

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
CLIENT_HELLO = bytes.fromhex("160301002f0100002b0303") + bytes(32) + b"\0\0\4\x13\x01\x13\x02\1\0"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YWFhYWFhYWFhYWFhYWFhYQ==\r\n"
)
# Without HTTP2-Settings, which RFC 7540 section 3.2.1 requires.
H2C = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.fixture
def origin() -> Iterator[RawOrigin]:
    with raw_origin(always(response(b"hello"))) as running:
        yield running


def connect(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"CONNECT {target} HTTP/1.1", f"Host: {target}", *lines, "", ""]).encode()


def rest_of(peer: socket.socket) -> bytes:
    """Return all input until the server closes; it may reset the connection."""
    with suppress(ConnectionResetError):
        return read_to_end(peer)
    return b""


def sent_at_once(port: int, octets: bytes) -> bytes:
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        return rest_of(peer)


def sent_after_the_response(port: int, first: bytes, then: bytes) -> bytes:
    """Send the rest after the response to the first request, like data in flight."""
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(first)
        received = read_until(peer, b"\r\n\r\n")
        with suppress(OSError):
            peer.sendall(then)
        return received + rest_of(peer)


def is_one_refusal(received: bytes, status: int) -> bool:
    assert received.startswith(f"HTTP/1.1 {status} ".encode()), received
    assert field_values(received, b"connection") == [b"close"]
    return received.count(b"HTTP/1.1 ") == 1


def free_port() -> int:
    with socket.create_server((HOST, 0)) as server:
        port: int = server.getsockname()[1]
    return port


NOTHING = free_port()
REFUSED = {
    "not allowed": ((), f"{HOST}:{NOTHING}", (), 403),
    "no such server": (("--allow-connect", "*:{nothing}"), f"{HOST}:{NOTHING}", (), 502),
    "port 0": (("--allow-connect", "*:443"), f"{HOST}:0", (), 400),
    "with content": (("--allow-connect", "*:{nothing}"), f"{HOST}:{NOTHING}", ("Content-Length: 0",), 400),
    "a loop": (("--allow-connect", "*:{nothing}", "--name", "lab7"), f"{HOST}:{NOTHING}", ("Via: 1.1 lab7",), 508),
    "a stranger": (("--allow-client", "192.0.2.1"), f"{HOST}:{NOTHING}", (), 403),
    "kept alive": ((), f"{HOST}:{NOTHING}", ("Connection: keep-alive",), 403),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_proxy_closes_behind_a_refused_connect(case: str, origin: RawOrigin) -> None:
    flags, target, lines, status = REFUSED[case]
    first = connect(target, *lines)
    ahead = f"GET {origin.base}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with proxy_process(*(flag.format(nothing=NOTHING) for flag in flags)) as proxy:
        assert is_one_refusal(sent_at_once(proxy.port, first + ahead), status)
        assert is_one_refusal(sent_after_the_response(proxy.port, first, ahead), status)
    assert origin.requests == []


def test_a_reverse_proxy_closes_behind_a_refused_connect(origin: RawOrigin) -> None:
    first, ahead = connect(f"{HOST}:{origin.port}"), b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with proxy_process("--origin", origin.base) as proxy:
        assert is_one_refusal(sent_at_once(proxy.port, first + ahead), 403)
        assert is_one_refusal(sent_after_the_response(proxy.port, first, ahead), 403)
    assert origin.requests == []


def test_an_http_1_0_client_is_refused_the_same_way(origin: RawOrigin) -> None:
    first = connect(f"{HOST}:{origin.port}", "Connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")
    with proxy_process() as proxy:
        ahead = f"GET {origin.base}/smuggled HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        assert is_one_refusal(sent_at_once(proxy.port, first + ahead), 403)
    assert origin.requests == []


def test_an_origin_closes_behind_a_refused_connect(root: Path) -> None:
    first, ahead = connect("a.example:443"), b"GET /a.txt HTTP/1.1\r\nHost: x\r\n\r\n"
    with origin_process(root) as port:
        assert is_one_refusal(sent_at_once(port, first + ahead), 501)
        assert is_one_refusal(sent_after_the_response(port, first, ahead), 501)


def test_webmail_closes_behind_a_refused_connect(tmp_path: Path) -> None:
    first, ahead = connect("a.example:443"), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with webmail(tmp_path) as (_, port):
        received = sent_at_once(port, first + ahead)
    assert received.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501 "))
    assert is_one_refusal(received, int(received[9:12]))


def test_a_refused_upgrade_leaves_the_connection_open(root: Path) -> None:
    octets = (
        b"GET /a.txt HTTP/1.1\r\nHost: x\r\n%bX: 1\r\n\r\nGET /a.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    with origin_process(root) as port:
        for upgrade_fields in (WEBSOCKET, H2C):
            received = sent_at_once(port, octets % upgrade_fields)
            assert received.count(b"HTTP/1.1 200 ") == 2
            assert b"101" not in received.partition(b"\r\n\r\n")[0].partition(b"\r\n")[0]


@pytest.mark.parametrize("ahead", [PREFACE, CLIENT_HELLO], ids=["HTTP/2", "TLS"])
@pytest.mark.parametrize("upgrade_fields", [WEBSOCKET, H2C], ids=["websocket", "h2c"])
def test_first_octets_of_another_protocol_end_the_connection(
    upgrade_fields: bytes, ahead: bytes, origin: RawOrigin, root: Path
) -> None:
    behind = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    with origin_process(root) as port, proxy_process("--origin", origin.base) as proxy:
        for server in (port, proxy.port):
            first = b"GET /a.txt HTTP/1.1\r\nHost: x\r\n" + upgrade_fields + b"\r\n"
            received = sent_at_once(server, first + ahead + behind)
            assert received.startswith(b"HTTP/1.1 200 ")
            assert received.count(b"HTTP/1.1 ") == 2
            assert b"HTTP/1.1 400 " in received or b"HTTP/1.1 505 " in received
            assert received.lower().count(b"connection: close") == 1
    assert len(origin.requests) == 1


@pytest.mark.parametrize("line", [b"Expect: 100-continue\r\n", b"Expect: wonders\r\n", b""])
def test_content_behind_a_refusal_is_no_request(line: bytes, origin: RawOrigin, root: Path) -> None:
    content = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    first = b"POST /missing HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (line, len(content))
    with origin_process(root) as port, proxy_process("--origin", origin.base, "--allow-client", "192.0.2.1") as proxy:
        for server in (port, proxy.port):
            with socket.create_connection((HOST, server), timeout=PATIENCE_S) as peer:
                peer.sendall(first)
                received = (
                    b"" if server == port and not line.startswith(b"Expect: 100") else read_until(peer, b"\r\n\r\n")
                )
                with suppress(OSError):
                    peer.sendall(content)
                    peer.shutdown(socket.SHUT_WR)
                received += rest_of(peer)
            assert received.count(b"HTTP/1.1 ") == 1, received
            assert received.startswith(b"HTTP/1.1 4")
    assert origin.requests == []
