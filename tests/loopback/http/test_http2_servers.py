"""The page-load client against independent servers: nginx with every version and TLS, and nghttpd."""

import asyncio
import hashlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab7.services.http.client import load_objects
from tests.loopback.http.support import HOST, PATIENCE_S
from tests.loopback.http.test_http2_client import BLIND, NAMES, expect_page, load, needs_openssl

needs_nginx = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
needs_nghttpd = pytest.mark.skipif(shutil.which("nghttpd") is None, reason="nghttpd is not installed (nghttp2-server)")

NGINX = """
daemon off; error_log {folder}/error.log; pid {folder}/pid;
events {{ worker_connections 64; }}
http {{
    access_log off; types {{ text/html html; application/javascript js; }}
    client_body_temp_path {folder}/c; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{ listen {host}:{text}; root {root}; }}
    server {{ listen {host}:{binary} http2; root {root}; http2_push_preload on; }}
    server {{ listen {host}:{pushing} http2; root {root}; location = / {{ http2_push /a.txt; index index.html; }}
              location = /index.html {{ http2_push /a.txt; }} }}
    server {{ listen {host}:{secured} ssl http2; root {root};
              ssl_certificate {certificate}; ssl_certificate_key {key}; }}
}}
"""


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    """Run a server without a READY line: connect to its port until it accepts."""
    given_up = time.monotonic() + PATIENCE_S
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            while process.poll() is None and time.monotonic() < given_up:
                try:
                    socket.create_connection((HOST, port)).close()
                    break
                except ConnectionRefusedError:
                    continue
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def readable(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """A copy of the site that a server can read after it has changed its user."""
    folder = tmp_path_factory.mktemp("readable") / "www"
    shutil.copytree(root, folder, ignore=shutil.ignore_patterns("out*"))
    for path in (folder, *folder.parents):
        if path.owner() == folder.owner() and path != Path("/"):
            path.chmod(path.stat().st_mode | 0o055)
    return folder


@pytest.fixture(scope="module")
def nginx(
    readable: Path, certificate: tuple[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, int]]:
    folder = tmp_path_factory.mktemp("nginx")
    ports = dict(zip(("text", "binary", "pushing", "secured"), free_ports(4), strict=True))
    certificate_file, key = certificate
    text = NGINX.format(folder=folder, host=HOST, root=readable, certificate=certificate_file, key=key, **ports)
    (folder / "conf").write_text(text)
    command = ["nginx", "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(folder / "conf")]
    with running(command, ports["secured"]):
        yield ports


@needs_nginx
@needs_openssl
@pytest.mark.parametrize(
    ("server", "strategy"),
    [
        *(
            ("text", strategy)
            for strategy in ("1.0-serial", "1.0-parallel", "1.1-persistent", "1.1-pipelined", "2-upgrade")
        ),
        *(("binary", strategy) for strategy in ("2", "2-push")),
        *(("secured", strategy) for strategy in ("1.1-persistent", "1.1-pipelined", "2", "2-push")),
    ],
)
def test_pages_of_nginx(nginx: dict[str, int], root: Path, server: str, strategy: str) -> None:
    scheme = "https" if server == "secured" else "http"
    report = load(f"{scheme}://{HOST}:{nginx[server]}/", strategy, BLIND)
    assert [item.status for item in report.objects] == [200, 200, 200]
    assert [item.size_bytes for item in report.objects] == [(root / name).stat().st_size for name in NAMES]


@needs_nginx
@needs_openssl
def test_pushes_of_nginx(nginx: dict[str, int], root: Path) -> None:
    report = load(f"http://{HOST}:{nginx['pushing']}/", "2-push")
    expect_page(report, root)
    assert [item.pushed for item in report.objects] == [False, True, False]


@needs_nginx
@needs_openssl
def test_a_large_object_of_nginx(nginx: dict[str, int], root: Path) -> None:
    large = f"http://{HOST}:{nginx['binary']}/large.bin"
    report = asyncio.run(load_objects([large] * 10, "2"))
    assert {item.sha256 for item in report.objects} == {hashlib.sha256((root / "large.bin").read_bytes()).hexdigest()}


@needs_nghttpd
def test_nghttpd_and_its_pushes(readable: Path, root: Path) -> None:
    [port] = free_ports(1)
    command = ["nghttpd", "--no-tls", "-a", HOST, "-d", str(readable), "--push=/=/a.txt", str(port)]
    with running(command, port):
        expect_page(load(f"http://{HOST}:{port}/", "2"), root)
        report = load(f"http://{HOST}:{port}/", "2-push")
        expect_page(report, root)
        assert [item.pushed for item in report.objects] == [False, True, False]
        expect_page(load(f"http://{HOST}:{port}/", "2-push"), root)
