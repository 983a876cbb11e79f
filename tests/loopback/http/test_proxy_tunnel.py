"""CONNECT tunnels: permitted destinations; octets and half-closes in both directions."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.loopback.http.proxied import RunningProxy, curl, exchange, proxy_process
from tests.loopback.http.support import HOST, PATIENCE_S, origin_process, read_to_end, read_until

LARGE = bytes(range(256)) * 40_000


@contextmanager
def echo_server() -> Iterator[int]:
    """Run a server that sends back its input, and then half-closes."""
    listener = socket.create_server((HOST, 0))

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.settimeout(PATIENCE_S)
            peer.sendall(b"welcome")
            while piece := peer.recv(65_536):
                peer.sendall(piece)
            peer.sendall(b"bye")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(PATIENCE_S)


def connect(proxy: RunningProxy, port: int, ahead: bytes = b"") -> socket.socket:
    client = socket.create_connection((HOST, proxy.port), timeout=PATIENCE_S)
    client.sendall(f"CONNECT {HOST}:{port} HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode() + ahead)
    return client


def test_octets_and_ends_pass_both_ways() -> None:
    with (
        echo_server() as port,
        proxy_process("--allow-connect", f"{HOST}:{port}") as proxy,
        connect(proxy, port, b"ahead") as client,
    ):

        def send() -> None:
            client.sendall(LARGE)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = read_to_end(client)
        sender.join(PATIENCE_S)
    head, _, octets = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length" not in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert octets == b"welcome" + b"ahead" + LARGE + b"bye"


@pytest.mark.parametrize("flags", [(), ("--allow-connect", "*:1"), ("--allow-connect", "other.example:{port}")])
def test_destinations_that_are_not_permitted_are_rejected(flags: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        allowed = [flag.format(port=port) for flag in flags]
        with proxy_process(*allowed, "--log", str(log)) as proxy, connect(proxy, port) as client:
            assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 403 ")
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert '"refused"' in log.read_text()


def test_a_server_that_is_not_there_is_a_bad_gateway() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
    with proxy_process("--allow-connect", f"*:{port}") as proxy, connect(proxy, port) as client:
        assert read_until(client, b"\r\n\r\n").startswith(b"HTTP/1.1 502 ")


def test_content_in_connect_is_refused() -> None:
    connect_with_content = b"CONNECT a:9 HTTP/1.1\r\nHost: a:9\r\nContent-Length: 3\r\n\r\nabc"
    with proxy_process("--allow-connect", "*:9") as proxy:
        assert exchange(proxy.port, connect_with_content, b"\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_a_reset_on_one_side_is_one_on_the_other() -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with proxy_process("--allow-connect", f"*:{port}") as proxy, connect(proxy, port) as client:
            peer, _ = server.accept()
            with peer:
                read_until(client, b"\r\n\r\n")
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.close()
                peer.settimeout(PATIENCE_S)
                with suppress(ConnectionResetError):
                    assert peer.recv(1) == b""


def test_tls_goes_through(root: Path, certificate: tuple[str, str]) -> None:
    with origin_process(root, "--tls", *certificate) as port, proxy_process("--allow-connect", f"*:{port}") as proxy:
        done = curl("-x", proxy.url, "--cacert", certificate[0], f"https://{HOST}:{port}/a.txt")
    assert (done.returncode, done.stdout) == (0, b"0123456789")
