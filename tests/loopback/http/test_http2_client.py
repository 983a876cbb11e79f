"""The page-load client with HTTP/2 and TLS, against this origin, nginx, nghttpd, and failing servers."""

import asyncio
import hashlib
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import pytest

from lab7.services.http.client import LoadError, LoadLimits, Trust, load_objects, load_page, main
from lab7.services.http.page_load.timing import PageReport
from lab7.services.http.server.context import Limits
from tests.loopback.http.support import HOST, PATIENCE_S, origin_in_thread, origin_process

SECOND = ("2", "2-upgrade", "2-push")
NAMES = ("index.html", "a.txt", "sub/b.js")
BLIND = Trust(blind=True)

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def load(url: str, strategy: str, trust: Trust | None = None, limits: LoadLimits | None = None) -> PageReport:
    return asyncio.run(load_page(url, strategy, trust=trust, limits=limits))


def expect_page(report: PageReport, root: Path) -> None:
    expected = [hashlib.sha256((root / name).read_bytes()).hexdigest() for name in NAMES]
    assert [item.sha256 for item in report.objects] == expected
    assert {item.status for item in report.objects} == {200}
    assert len(report.connections) == 1


@pytest.fixture(scope="module")
def pushing(root: Path) -> Iterator[int]:
    with origin_in_thread(root, Limits(), push=True) as port:
        yield port


@pytest.fixture(scope="module")
def secured(root: Path) -> Iterator[int]:
    with origin_process(root, "--tls", "--push") as port:
        yield port


# This project's origin.


def test_pushed_objects_are_not_requested(pushing: int, root: Path) -> None:
    report = load(f"http://{HOST}:{pushing}/", "2-push")
    expect_page(report, root)
    assert [item.pushed for item in report.objects] == [False, True, True]


@pytest.mark.parametrize("strategy", ["2", "2-upgrade"])
def test_nothing_is_pushed_to_a_client_that_disables_push(pushing: int, root: Path, strategy: str) -> None:
    report = load(f"http://{HOST}:{pushing}/", strategy)
    expect_page(report, root)
    assert not any(item.pushed for item in report.objects)


def test_without_pushes_everything_is_asked_for(port: int, root: Path) -> None:
    report = load(f"http://{HOST}:{port}/", "2-push")
    expect_page(report, root)
    assert not any(item.pushed for item in report.objects)


def test_named_objects_are_asked_for_at_once(port: int) -> None:
    first, second = load(f"http://{HOST}:{port}/", "2").objects[1:]
    assert first.request_s == second.request_s <= first.first_byte_s


def test_header_sizes_are_those_on_the_wire(port: int) -> None:
    text = load(f"http://{HOST}:{port}/", "1.1-persistent").objects
    binary = load(f"http://{HOST}:{port}/", "2").objects
    authority = f"{HOST}:{port}"
    head = f"GET / HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: lab7\r\nAccept: */*\r\n\r\n"
    assert text[0].request_header_size_bytes == len(head)
    assert all(item.response_header_size_bytes > 100 for item in text)
    # By then the fields of the second request except :path are in the dynamic table.
    assert binary[1].request_header_size_bytes <= 5 + len("/a.txt") + 2
    assert all(b.response_header_size_bytes < t.response_header_size_bytes for b, t in zip(binary, text, strict=True))


def test_objects_without_a_page_in_the_given_order(port: int, root: Path) -> None:
    urls = [f"http://{HOST}:{port}/{name}" for name in ("large.bin", "a.txt", "a.txt", "")]
    expected = [(root / name).stat().st_size for name in ("large.bin", "a.txt", "a.txt", "index.html")]
    for strategy in ("1.1-pipelined", "2"):
        report = asyncio.run(load_objects(urls, strategy))
        assert [item.url for item in report.objects] == urls
        assert [item.size_bytes for item in report.objects] == expected
        assert len({item.request_s for item in report.objects}) == 1
        assert len(report.connections) == 1


def test_a_small_object_waits_behind_a_large_one_in_1_1_alone(port: int) -> None:
    urls = [f"http://{HOST}:{port}/{name}" for name in ("large.bin", "a.txt")]
    for strategy, waits in (("1.1-pipelined", True), ("2", False)):
        large, small = asyncio.run(load_objects(urls, strategy)).objects
        assert (small.end_s >= large.end_s) == waits


def test_objects_of_two_origins_are_one_sentence(port: int) -> None:
    with pytest.raises(LoadError, match="one origin"):
        asyncio.run(load_objects([f"http://{HOST}:{port}/", "http://localhost/"], "2"))
    with pytest.raises(KeyError):
        asyncio.run(load_objects([f"http://{HOST}:{port}/"], "1.0-serial"))


def test_more_objects_than_streams(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("".join(f'<img src="{number}">' for number in range(350)))
    for number in range(350):
        (tmp_path / str(number)).write_text(str(number))
    for push in (False, True):
        with origin_in_thread(tmp_path, Limits(), push) as port:
            for strategy in ("2", "2-push", "2-upgrade"):
                report = load(f"http://{HOST}:{port}/", strategy)
                assert len(report.objects) == 351
                assert {item.status for item in report.objects} == {200}
                assert sum(item.pushed for item in report.objects) == (100 if push and strategy == "2-push" else 0)


@needs_openssl
@pytest.mark.parametrize("strategy", ["1.0-serial", "1.1-persistent", "1.1-pipelined", "2", "2-push"])
def test_over_tls(secured: int, strategy: str) -> None:
    report = load(f"https://{HOST}:{secured}/", strategy, BLIND)
    assert [item.status for item in report.objects] == [200, 200, 200]
    assert all(connection.tls_s > 0 for connection in report.connections)
    assert any(item.pushed for item in report.objects) == (strategy == "2-push")


@needs_openssl
def test_a_certificate_is_accepted_by_clients_that_trust_it(
    root: Path, certificate: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with origin_process(root, "--tls", *certificate) as port:
        url = f"https://{HOST}:{port}/"
        assert main([url, "--strategy", "2"]) == 1
        assert "certificate" in capsys.readouterr().err
        assert main([url, "--strategy", "2", "--ca", certificate[0]]) == 0
        assert main([url, "--strategy", "2", "--insecure"]) == 0
        assert main([url, "--strategy", "2-upgrade", "--insecure"]) == 1
        assert main([url, "--strategy", "2", "--ca", "/no/such/file"]) == 1


# Servers that close, refuse, abort, or use another protocol.

Script = Callable[[h2.connection.H2Connection, list[h2.events.RequestReceived]], bool]


@contextmanager
def scripted(*scripts: Script) -> Iterator[int]:
    """Run a server that on each connection passes all requests so far to a script, until that returns the end."""
    with socket.create_server((HOST, 0)) as listener:
        listener.settimeout(PATIENCE_S)

        def serve() -> None:
            for script in scripts:
                accepted, _ = listener.accept()
                with accepted:
                    accepted.settimeout(PATIENCE_S)
                    _converse(accepted, script)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE_S)


def _converse(accepted: socket.socket, script: Script) -> None:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    requests: list[h2.events.RequestReceived] = []
    over = False
    while not over:
        octets = accepted.recv(65_536)
        if not octets:
            return
        requests += [event for event in connection.receive_data(octets) if isinstance(event, h2.events.RequestReceived)]
        over = script(connection, requests)
        accepted.sendall(connection.data_to_send())


def answer(connection: h2.connection.H2Connection, stream_id: int, body: bytes, kind: str = "text/plain") -> None:
    connection.send_headers(stream_id, [(":status", "200"), ("content-type", kind)])
    connection.send_data(stream_id, body, end_stream=True)


PAGE = b'<img src="a"><img src="b">'


def goes_away(connection: h2.connection.H2Connection, requests: list[h2.events.RequestReceived]) -> bool:
    """Send the page, then GOAWAY."""
    if [request.stream_id for request in requests] == [1]:
        answer(connection, 1, PAGE, "text/html")
        requests.clear()
    if requests:
        connection.close_connection(last_stream_id=1)
    return bool(requests)


def refuses_once(connection: h2.connection.H2Connection, requests: list[h2.events.RequestReceived]) -> bool:
    """Send the page and the first object; refuse the second, and send it on the retry."""
    for request in requests:
        stream_id = request.stream_id or 0
        if stream_id == 5:
            connection.reset_stream(5, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            answer(connection, stream_id, PAGE if stream_id == 1 else b"x", "text/html")
    over = any(request.stream_id == 7 for request in requests)
    requests.clear()
    return over


def answers_all(connection: h2.connection.H2Connection, requests: list[h2.events.RequestReceived]) -> bool:
    for request in requests:
        answer(connection, request.stream_id or 0, b"x")
    return len(requests) == 2


def test_unprocessed_requests_are_retried_after_goaway() -> None:
    with scripted(goes_away, answers_all) as port:
        report = load(f"http://{HOST}:{port}/", "2")
    assert [item.size_bytes for item in report.objects] == [len(PAGE), 1, 1]
    assert len(report.connections) == 2


def test_refused_requests_are_retried() -> None:
    with scripted(refuses_once) as port:
        report = load(f"http://{HOST}:{port}/", "2")
    assert [item.size_bytes for item in report.objects] == [len(PAGE), 1, 1]
    assert len(report.connections) == 1


def breaks_off(connection: h2.connection.H2Connection, requests: list[h2.events.RequestReceived]) -> bool:
    if requests:
        connection.send_headers(1, [(":status", "200"), ("content-length", "9")])
        connection.send_data(1, b"x")
    return bool(requests)


def resets(connection: h2.connection.H2Connection, requests: list[h2.events.RequestReceived]) -> bool:
    if requests:
        connection.reset_stream(1, h2.errors.ErrorCodes.INTERNAL_ERROR)
    return bool(requests)


def closes(_: h2.connection.H2Connection, requests: list[h2.events.RequestReceived]) -> bool:
    return bool(requests)


@pytest.mark.parametrize("scripts", [(breaks_off,), (resets,), (closes, closes)])
def test_a_response_that_does_not_come_to_its_end_is_one_sentence(
    scripts: tuple[Script, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(*scripts) as port:
        assert main([f"http://{HOST}:{port}/", "--strategy", "2"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("client: ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("strategy", ["2", "2-push"])
def test_a_server_of_http_1_is_one_sentence(strategy: str) -> None:
    with socket.create_server((HOST, 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.recv(65_536)
                accepted.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(LoadError, match="was not loaded"):
            load(f"http://{HOST}:{listener.getsockname()[1]}/", strategy)
        thread.join(PATIENCE_S)


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_allowed() -> None:
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}/"
        for strategy in SECOND:
            with pytest.raises(LoadError, match=r"within 0\.05 s"):
                load(url, strategy, limits=LoadLimits(wait_s=0.05))


def test_preface_settings_and_request_leave_in_one_piece() -> None:
    with socket.create_server((HOST, 0)) as silent:
        url = f"http://{HOST}:{silent.getsockname()[1]}/"
        with pytest.raises(LoadError):
            load(url, "2", limits=LoadLimits(wait_s=0.05))
        accepted, _ = silent.accept()
        with accepted:
            octets = accepted.recv(65_536)
    assert octets.startswith(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    events = connection.receive_data(octets)
    assert any(isinstance(event, h2.events.RequestReceived) for event in events)
    assert connection.remote_settings.enable_push == 0
