"""Schemes: the target of a request, and the connection on which it arrives (RFC 9110 section 7.4, RFC 9112 3.2.2)."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.http.proxied import proxy_process
from tests.loopback.http.support import HOST, PATIENCE_S, origin_process, read_answers, read_to_end, talk

# Method, target, and the status codes on a cleartext connection and on one with TLS.
CASES = [
    ("GET", "/a.txt", 200, 200),
    ("GET", "http://b/a.txt", 200, 421),
    ("GET", "HTTP://b:1/a.txt", 200, 421),
    ("GET", "https://b/a.txt", 421, 200),
    ("GET", "HTTPS://b:1/a.txt", 421, 200),
    ("GET", "https://b/nope", 421, 404),
    ("GET", "ftp://b/a.txt", 421, 421),
    ("HEAD", "https://b/a.txt", 421, 200),
    ("OPTIONS", "https://b", 421, 200),
    ("OPTIONS", "http://b", 200, 421),
    ("OPTIONS", "*", 200, 200),
    ("GET", "https:///a.txt", 400, 400),
    ("GET", "https://u@b/a.txt", 400, 400),
    ("GET", "/a.txt?https://b/", 200, 200),
]


@pytest.fixture(scope="module")
def secure(root: Path) -> Iterator[int]:
    with origin_process(root, "--tls") as running:
        yield running


def _request(method: str, target: str) -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()


def _status(octets: bytes, method: str) -> int:
    [answer] = read_answers(octets, (method,))
    return answer.status


@pytest.mark.parametrize(("method", "target", "status", "_"), CASES)
def test_on_a_cleartext_connection(port: int, method: str, target: str, status: int, _: int) -> None:
    assert _status(talk(port, _request(method, target)), method) == status


@pytest.mark.parametrize(("method", "target", "_", "status"), CASES)
def test_on_a_connection_with_tls(secure: int, method: str, target: str, _: int, status: int) -> None:
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((HOST, secure), timeout=PATIENCE_S) as raw,
        trusting.wrap_socket(raw, server_hostname="localhost") as peer,
    ):
        peer.sendall(_request(method, target))
        assert _status(read_to_end(peer), method) == status


@pytest.mark.parametrize("target", ["https://b/", "ftp://b/", "ws://b/"])
def test_a_forward_proxy_has_http_alone(target: str) -> None:
    with proxy_process() as proxy:
        assert _status(talk(proxy.port, _request("GET", target)), "GET") == 421
