"""The page-load client against this origin, Python's http.server, and misbehaving servers."""

import asyncio
import hashlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab7.services.http.client import LoadError, LoadLimits, load_page, main
from lab7.services.http.page_load.strategies import STRATEGIES
from tests.loopback.http.support import HOST, PATIENCE_S

PAGE_STRATEGIES = [name for name in STRATEGIES if name != "single"]
CONNECTIONS = {"1.0-serial": 3, "1.0-parallel": 3}
# Strategies for an HTTP/1.0 server.
TEXT_STRATEGIES = [name for name in PAGE_STRATEGIES if name not in ("2", "2-push")]


@contextmanager
def server_that_sends(*responses: bytes) -> Iterator[int]:
    """Run a server that on each connection reads once, sends these octets, and closes."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            for response in responses:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(response)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE_S)


@pytest.fixture(scope="module")
def other_port(root: Path) -> Iterator[int]:
    with ThreadingHTTPServer((HOST, 0), partial(SimpleHTTPRequestHandler, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize("strategy", PAGE_STRATEGIES)
def test_each_strategy_loads_the_page_on_its_number_of_connections(port: int, root: Path, strategy: str) -> None:
    report = asyncio.run(load_page(f"http://{HOST}:{port}/", strategy))
    names = ["index.html", "a.txt", "sub/b.js"]
    expected = [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]
    assert [item.sha256 for item in report.objects] == expected
    assert {item.status for item in report.objects} == {200}
    assert len(report.connections) == CONNECTIONS.get(strategy, 1)
    for item in report.objects:
        assert 0 <= item.request_s <= item.first_byte_s <= item.end_s <= report.total_s


@pytest.mark.parametrize("strategy", TEXT_STRATEGIES)
def test_each_strategy_works_with_a_server_that_speaks_1_0(other_port: int, strategy: str) -> None:
    report = asyncio.run(load_page(f"http://{HOST}:{other_port}/", strategy))
    assert [item.status for item in report.objects] == [200, 200, 200]


def test_pipelined_requests_leave_before_any_response_comes(port: int) -> None:
    report = asyncio.run(load_page(f"http://{HOST}:{port}/", "1.1-pipelined"))
    first, second = report.objects[1:]
    assert first.request_s == second.request_s <= first.first_byte_s


def test_the_command_prints_json_or_a_table(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://{HOST}:{port}/"
    assert main([url, "--strategy", "1.0-parallel", "--parallel", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["strategy"], len(report["objects"])) == ("1.0-parallel", 3)
    assert main([url]) == 0
    assert "3 objects" in capsys.readouterr().out


def test_a_single_object_goes_to_a_file(port: int, root: Path, tmp_path: Path) -> None:
    output = tmp_path / "large"
    assert main([f"http://{HOST}:{port}/large.bin", "--strategy", "single", "--output", str(output)]) == 0
    assert output.read_bytes() == (root / "large.bin").read_bytes()


def test_objects_of_another_origin_come_from_there(port: int, other_port: int) -> None:
    page = f'<img src="http://{HOST}:{port}/a.txt"><img src="http://{HOST}:{other_port}/a.txt">'.encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n" % len(page)
    with server_that_sends(head + page) as first:
        report = asyncio.run(load_page(f"http://{HOST}:{first}/", "1.1-pipelined"))
    assert [item.status for item in report.objects] == [200, 200, 200]
    assert len(report.connections) == 3


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200",
        OK + b"Content-Length: 5\r\n\r\nhi",
        OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhi",
        b"SSH-2.0-x\r\n\r\n",
    ],
)
def test_a_response_that_is_none_is_one_sentence(response: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with server_that_sends(response) as port:
        assert main([f"http://{HOST}:{port}/", "--strategy", "1.0-serial"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("client: ")
    assert message.count("\n") == 1


def test_unanswered_requests_are_retried_after_a_close() -> None:
    page = b'<img src="a"><img src="b">'
    pages = OK + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(page) + page
    response = OK + b"Content-Length: 1\r\nConnection: close\r\n\r\nx"
    with server_that_sends(pages, response, response) as port:
        report = asyncio.run(load_page(f"http://{HOST}:{port}/", "1.1-pipelined"))
    assert [item.size_bytes for item in report.objects] == [len(page), 1, 1]


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_allowed() -> None:
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}/"
        with pytest.raises(LoadError, match=r"within 0\.05 s"):
            asyncio.run(load_page(url, "1.1-persistent", limits=LoadLimits(wait_s=0.05)))


def test_a_refused_connection_is_one_sentence_and_status_1() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
    done = subprocess.run(
        [sys.executable, "-m", "lab7.services.http.client", f"http://{HOST}:{port}/"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_response_that_does_not_go_on_is_not_awaited_as_long_as_one_that_has_not_begun() -> None:
    """RFC 9112 section 8: a recipient cannot tell when an incomplete message goes on."""

    def stalls(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(65_536)
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")
            peer.recv(1)

    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=stalls, args=(listener,), daemon=True).start()
        url = f"http://{HOST}:{listener.getsockname()[1]}/"
        limits = LoadLimits(wait_s=PATIENCE_S, stall_s=0.2)
        with pytest.raises(LoadError, match=r"did not go on within 0\.2 s"):
            asyncio.run(load_page(url, "1.1-persistent", limits=limits))
