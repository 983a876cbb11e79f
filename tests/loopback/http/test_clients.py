"""The origin tested with independent clients: curl, wget, http.client, aiohttp."""

import asyncio
import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.loopback.http.support import HOST, PATIENCE_S, run

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needs_wget = pytest.mark.skipif(shutil.which("wget") is None, reason="wget is not installed")


def curl(port: int, path: str, *flags: str) -> bytes:
    return run("curl", "-sS", "--max-time", "15", *flags, f"http://{HOST}:{port}{path}")


@needs_curl
def test_curl_gets_the_content_of_the_file(port: int, root: Path) -> None:
    assert curl(port, "/a.txt") == b"0123456789"
    assert curl(port, "/large.bin") == (root / "large.bin").read_bytes()
    assert curl(port, "/sub", "-L") == b"below"
    assert curl(port, "/sub/a%20b.txt") == b"space"


@needs_curl
@pytest.mark.parametrize("flags", [("--http1.0",), ("--http1.1",), ("-H", "Connection: close")])
def test_curl_in_each_version(port: int, flags: tuple[str, ...]) -> None:
    assert curl(port, "/a.txt", *flags) == b"0123456789"


@needs_curl
def test_curl_asks_for_the_head_ranges_and_news(port: int) -> None:
    assert b"Content-Length: 10\r\n" in curl(port, "/a.txt", "--head")
    assert curl(port, "/a.txt", "-r", "2-4") == b"234"
    assert curl(port, "/large.bin", "-r", "-1024", "-o", "-").__len__() == 1024
    code = ("-o", "/dev/null", "-w", "%{http_code}")
    assert curl(port, "/a.txt", "-z", "Sun, 06 Nov 1994 08:49:37 GMT", *code) == b"304"
    assert curl(port, "/a.txt", "-z", "-Mon, 07 Nov 1994 08:49:37 GMT", *code) == b"200"
    assert curl(port, "/nope", *code) == b"404"
    assert curl(port, "/a.txt", "-X", "DELETE", *code) == b"405"


@needs_curl
def test_curl_s_content_comes_back(port: int, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(b"x" * 2_000_000)
    assert curl(port, "/echo", "--data", "hello") == b"hello"
    assert curl(port, "/echo", "-X", "PUT", "--data", "hello") == b"hello"
    assert curl(port, "/echo", "--data-binary", f"@{sent}", "-H", "Expect: 100-continue") == sent.read_bytes()
    assert curl(port, "/echo", "-T", str(sent), "-H", "Transfer-Encoding: chunked") == sent.read_bytes()


@needs_curl
def test_curl_keeps_its_connection(port: int) -> None:
    url = f"http://{HOST}:{port}/a.txt"
    counts = run("curl", "-sS", "-w", "%{num_connects}", "-o", "/dev/null", url, "-o", "/dev/null", url)
    assert counts == b"10"


@needs_wget
def test_wget_fetches_a_page_with_its_objects(port: int, tmp_path: Path) -> None:
    run("wget", "-q", "-p", "-nH", "-P", str(tmp_path), f"http://{HOST}:{port}/")
    assert {path.name for path in tmp_path.rglob("*.*")} >= {"index.html", "a.txt", "b.js"}


@needs_wget
def test_wget_continues_a_file(port: int, tmp_path: Path, root: Path) -> None:
    whole = (root / "large.bin").read_bytes()
    (tmp_path / "large.bin").write_bytes(whole[:1000])
    run("wget", "-q", "-c", "-P", str(tmp_path), f"http://{HOST}:{port}/large.bin")
    assert (tmp_path / "large.bin").read_bytes() == whole


def test_http_client_uses_one_connection_for_all(port: int) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=PATIENCE_S)
    for _ in range(3):
        connection.request("GET", "/a.txt")
        assert connection.getresponse().read() == b"0123456789"
        connection.request("HEAD", "/large.bin")
        assert connection.getresponse().read() == b""
        connection.request(
            "POST", "/echo", iter([b"a", b"b"]), encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert connection.getresponse().read() == b"ab"
    connection.close()


def test_urllib_understands_errors_and_redirects(port: int) -> None:
    with urllib.request.urlopen(f"http://{HOST}:{port}/sub", timeout=PATIENCE_S) as response:
        assert response.read() == b"below"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://{HOST}:{port}/nope", timeout=PATIENCE_S)
    assert caught.value.code == 404
    caught.value.close()


def test_aiohttp_with_a_hundred_requests_at_once(port: int) -> None:
    aiohttp = pytest.importorskip("aiohttp")

    async def load() -> list[bytes]:
        async with aiohttp.ClientSession() as session:

            async def fetch(number: int) -> bytes:
                async with session.post(f"http://{HOST}:{port}/echo", data=b"%d" % number) as response:
                    return bytes(await response.read())

            return await asyncio.gather(*(fetch(number) for number in range(100)))

    assert asyncio.run(load()) == [b"%d" % number for number in range(100)]
