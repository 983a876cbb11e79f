"""The origin over HTTP/2 tested with independent clients: curl, nghttp, h2load, and h2 on a socket."""

import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import pytest

from tests.loopback.http.support import HOST, PATIENCE_S, origin_process, run
from tests.loopback.http.test_clients import needs_curl
from tests.loopback.http.test_shell import fails

needs_nghttp = pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed (nghttp2-client)")
needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed (nghttp2-client)")
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")

WRITTEN = ("-w", "\n%{http_version} %{http_code}", "--max-time", "15")


@pytest.fixture(scope="module")
def pushing(root: Path) -> Iterator[int]:
    with origin_process(root, "--echo", "/echo", "--push") as port:
        yield port


@pytest.fixture(scope="module")
def secured(root: Path) -> Iterator[int]:
    with origin_process(root, "--echo", "/echo", "--tls") as port:
        yield port


def curl(url: str, *flags: str) -> bytes:
    return run("curl", "-sS", *WRITTEN, *flags, url)


@needs_curl
@pytest.mark.parametrize("flag", ["--http2-prior-knowledge", "--http2"])
def test_curl_in_cleartext(port: int, root: Path, flag: str) -> None:
    url = f"http://{HOST}:{port}"
    assert curl(f"{url}/a.txt", flag) == b"0123456789\n2 200"
    assert curl(f"{url}/large.bin", flag) == (root / "large.bin").read_bytes() + b"\n2 200"
    assert curl(f"{url}/nope", flag, "-o", "/dev/null") == b"\n2 404"
    assert curl(f"{url}/a.txt", flag, "-r", "2-4") == b"234\n2 206"
    assert curl(f"{url}/a.txt", flag, "-z", "Sun, 06 Nov 1994 08:49:37 GMT") == b"\n2 304"
    assert b"content-length: 10\r\n" in curl(f"{url}/a.txt", flag, "--head")


@needs_curl
@pytest.mark.parametrize("flag", ["--http2-prior-knowledge", "--http2"])
def test_curl_s_content_comes_back(port: int, tmp_path: Path, flag: str) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(b"x" * 3_000_000)
    url = f"http://{HOST}:{port}/echo"
    assert curl(url, flag, "--data", "hello") == b"hello\n2 200"
    assert curl(url, flag, "--data-binary", f"@{sent}") == sent.read_bytes() + b"\n2 200"
    assert curl(url, flag, "-T", str(sent)) == sent.read_bytes() + b"\n2 200"


@needs_curl
@needs_openssl
def test_curl_over_tls_agrees_on_either_version(secured: int, root: Path) -> None:
    url = f"https://{HOST}:{secured}"
    assert curl(f"{url}/large.bin", "--http2", "-k") == (root / "large.bin").read_bytes() + b"\n2 200"
    assert curl(f"{url}/a.txt", "--http1.1", "-k") == b"0123456789\n1.1 200"
    assert curl(f"{url}/a.txt", "--no-alpn", "-k") == b"0123456789\n1.1 200"
    assert curl(f"{url}/echo", "-k", "--tlsv1.2", "--tls-max", "1.2", "-d", "hi") == b"hi\n2 200"


@needs_openssl
def test_tls_below_1_2_is_refused(secured: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version = ssl.TLSVersion.TLSv1
    with socket.create_connection((HOST, secured), timeout=PATIENCE_S) as client_socket, pytest.raises(ssl.SSLError):
        context.wrap_socket(client_socket)


@needs_curl
@needs_openssl
def test_tls_secrets_are_written_for_decryption_of_captures(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "secrets"))
    with origin_process(root, "--tls") as port:
        monkeypatch.delenv("SSLKEYLOGFILE")
        curl(f"https://{HOST}:{port}/a.txt", "-k")
    assert "CLIENT_TRAFFIC_SECRET_0 " in (tmp_path / "secrets").read_text()


@needs_curl
@needs_openssl
def test_a_certificate_of_one_s_own(root: Path, certificate: tuple[str, str]) -> None:
    with origin_process(root, "--tls", *certificate) as port:
        assert curl(f"https://{HOST}:{port}/a.txt", "--cacert", certificate[0]) == b"0123456789\n2 200"


@needs_nghttp
def test_nghttp_loads_a_page_with_its_objects(port: int) -> None:
    output = run("nghttp", "-ans", f"http://{HOST}:{port}/").decode()
    rows = re.findall(r"^ *(\d+) .* (\d{3}) +\S+ (/\S*)$", output, re.MULTILINE)
    assert {(int(stream) % 2, status, path) for stream, status, path in rows} == {
        (1, "200", "/"),
        (1, "200", "/a.txt"),
        (1, "200", "/sub/b.js"),
    }


@needs_nghttp
def test_nghttp_accepts_pushed_objects(pushing: int) -> None:
    output = run("nghttp", "-ans", f"http://{HOST}:{pushing}/").decode()
    rows = re.findall(r"^ *(\d+) .* (\d{3}) +\S+ (/\S*)$", output, re.MULTILINE)
    assert {(int(stream) % 2, status, path) for stream, status, path in rows} == {
        (1, "200", "/"),
        (0, "200", "/a.txt"),
        (0, "200", "/sub/b.js"),
    }


@needs_nghttp
@pytest.mark.parametrize("flags", [("-u",), ("--no-push",), ("-w", "10", "-W", "12"), ("-b", "50"), ("-p", "7")])
def test_nghttp_in_its_ways(port: int, root: Path, flags: tuple[str, ...]) -> None:
    assert run("nghttp", *flags, f"http://{HOST}:{port}/large.bin") == (root / "large.bin").read_bytes()


@needs_nghttp
def test_nghttp_sends_content_and_trailers(port: int, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(b"x" * 500_000)
    url = f"http://{HOST}:{port}/echo"
    assert run("nghttp", "-d", str(sent), "--trailer", "x-sum: 1", url) == sent.read_bytes()
    assert run("nghttp", "--continuation", "-H", "x-long: " + "y" * 900, f"http://{HOST}:{port}/a.txt") == b"0123456789"


@needs_h2load
@pytest.mark.parametrize("secure", [False, pytest.param(True, marks=needs_openssl)])
def test_h2load_fails_no_request(port: int, secured: int, secure: bool) -> None:
    url = f"https://{HOST}:{secured}/a.txt" if secure else f"http://{HOST}:{port}/a.txt"
    output = run("h2load", "-n1000", "-c10", "-m10", url).decode()
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in output
    assert "1000 2xx" in output


@needs_h2load
def test_h2load_with_large_files(port: int) -> None:
    output = run("h2load", "-n40", "-c4", "-m10", "-w20", "-W20", f"http://{HOST}:{port}/large.bin").decode()
    assert "40 succeeded, 0 failed, 0 errored, 0 timeout" in output


@contextmanager
def h2_client(port: int) -> Iterator[tuple[h2.connection.H2Connection, socket.socket]]:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    connection.initiate_connection()
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as client_socket:
        client_socket.sendall(connection.data_to_send())
        yield connection, client_socket


def test_h2_with_a_hundred_requests_at_once(port: int) -> None:
    bodies: dict[int, bytes] = {}
    ended: set[int] = set()
    with h2_client(port) as (connection, client_socket):
        for stream_id in range(1, 201, 2):
            connection.send_headers(
                stream_id, [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/echo")]
            )
            connection.send_data(stream_id, b"%d" % stream_id * 100, end_stream=True)
        client_socket.sendall(connection.data_to_send())
        while len(ended) < 100:
            for event in connection.receive_data(client_socket.recv(65_536)):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                    connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            client_socket.sendall(connection.data_to_send())
    assert bodies == {stream_id: b"%d" % stream_id * 100 for stream_id in range(1, 201, 2)}


def test_flags_for_tls_that_make_no_sense_are_one_sentence(root: Path, tmp_path: Path) -> None:
    flags = ("--root", str(root), "--port", "0", "--listen", HOST)
    assert "--tls" in fails(*flags, "--tls", "only-one")
    assert "--tls" in fails(*flags, "--tls", str(tmp_path / "no"), str(tmp_path / "none"))
