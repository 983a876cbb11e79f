"""Request targets as browsers send them: at the origin, through the proxy, and from the page-load client."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.services.http.client import load_page
from lab7.services.http.page_load.strategies import STRATEGIES
from tests.loopback.http.proxied import (
    FRESH,
    RunningProxy,
    curl,
    exchange,
    get,
    proxy_process,
    raw_origin,
    response,
)
from tests.loopback.http.support import HOST, origin_process, read_answers, run, talk

# Names of files, as they are and as RFC 3986 has them.
ODD_NAMES = {
    "a|b.txt": "a%7Cb.txt",
    "[1]{2}.txt": "%5B1%5D%7B2%7D.txt",
    '"<\\^`.txt': "%22%3C%5C%5E%60.txt",
    "100%.txt": "100%25.txt",
    "%zz.txt": "%25zz.txt",
}
PAGE = """<link rel=stylesheet href="a|b.txt?family=One|Two&x[]={1}"><img src="[1]{2}.txt"><img src="100%.txt?50%">"""


@pytest.fixture(scope="module")
def odd_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    for name in ODD_NAMES:
        (folder / name).write_text(name)
    (folder / "\\evil").mkdir()
    (folder / "index.html").write_text(PAGE)
    return folder


@pytest.fixture(scope="module")
def odd_port(odd_root: Path) -> Iterator[int]:
    with origin_process(odd_root) as port:
        yield port


@pytest.fixture(scope="module")
def proxy() -> Iterator[RunningProxy]:
    with proxy_process("--name", "lab7") as running:
        yield running


def echo_target(peer: socket.socket, request: bytes) -> bool:
    """Answer with the target, as an origin for which each spelling is another resource."""
    peer.sendall(response(request.split(b" ")[1], FRESH))
    return True


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
@pytest.mark.parametrize("name", ODD_NAMES)
def test_curl_gets_names_raw_and_encoded(odd_port: int, version: str, name: str) -> None:
    for path in (f"{name}?x[]={{1}}|^%", ODD_NAMES[name]):
        done = run("curl", "-sS", "-g", "--path-as-is", version, f"http://{HOST}:{odd_port}/{path}")
        assert done.decode() == name


@pytest.mark.parametrize("name", ODD_NAMES)
def test_curl_gets_names_through_the_proxy(odd_port: int, proxy: RunningProxy, name: str) -> None:
    for path in (f"{name}?x[]={{1}}|^%", ODD_NAMES[name]):
        done = curl("-g", "--path-as-is", "-x", proxy.url, f"http://{HOST}:{odd_port}/{path}")
        assert done.stdout.decode() == name


def test_a_redirect_is_a_uri_of_the_same_origin(odd_port: int) -> None:
    octets = talk(odd_port, b"GET /\\evil?[] HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    answer = read_answers(octets, ["GET"])[0]
    assert (answer.status, answer.field("Location")) == (301, "/%5Cevil/?%5B%5D")


@pytest.mark.parametrize("target", ["/a|b?x[]=^", "/%zz", "/%%37e", "/a?100%", "/\\x", '/"'])
def test_the_proxy_forwards_odd_targets_as_they_are(proxy: RunningProxy, target: str) -> None:
    with raw_origin(echo_target) as origin:
        for _ in range(2):
            answer = exchange(proxy.port, get(origin, path=target), target.encode())
            assert answer.endswith(b"\r\n\r\n" + target.encode())
    assert len(origin.requests) == 1


@pytest.mark.parametrize(("one", "other"), [("/%7Ea", "/~a"), ("/a%2fb", "/a%2Fb"), ("/?%41", "/?A")])
def test_no_spelling_poisons_another(proxy: RunningProxy, one: str, other: str) -> None:
    for first, second in ((one, other), (other, one)):
        with raw_origin(echo_target) as origin:
            answers = [exchange(proxy.port, get(origin, path=path), other.encode()) for path in (first, second)]
        assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [other.encode()] * 2
        assert len(origin.requests) == 1


def test_without_a_cache_the_target_goes_on_as_sent() -> None:
    with proxy_process("--no-cache") as proxy, raw_origin(echo_target) as origin:
        answer = exchange(proxy.port, get(origin, path="/%7Ea%2f"), b"/%7Ea%2f")
    assert answer.endswith(b"/%7Ea%2f")


@pytest.mark.parametrize("strategy", [name for name in STRATEGIES if name != "single"])
def test_the_client_encodes_the_links_of_a_page(odd_port: int, strategy: str) -> None:
    report = asyncio.run(load_page(f"http://{HOST}:{odd_port}/", strategy))
    assert [item.status for item in report.objects] == [200] * 4
    assert sorted(item.size_bytes for item in report.objects[1:]) == [7, 8, 10]


def test_a_page_in_another_charset_has_its_queries_in_it() -> None:
    page = '<meta charset=iso-8859-2><img src="\u0151.png?q=\u0151&p=\u20ac">'.encode("iso-8859-2", "xmlcharrefreplace")

    def answer(peer: socket.socket, request: bytes) -> bool:
        is_page = request.startswith(b"GET / ")
        peer.sendall(response(page if is_page else b"x", "Content-Type: text/html"))
        return True

    with raw_origin(answer) as origin:
        asyncio.run(load_page(f"{origin.base}/", "1.1-persistent"))
    assert origin.requests[1].startswith(b"GET /%C5%91.png?q=%F5&p=%26%238364%3B HTTP/1.1\r\n")
