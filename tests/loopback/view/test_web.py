"""Server of the live view: who reaches it, what it refuses, and that nothing of it grows."""

from __future__ import annotations

import http.client
import json
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from lab7.experiments.view import web
from lab7.experiments.view.feed import Feed

NODE: dict[str, Any] = {"interfaces": [], "services": [], "names": []}
DESCRIBED = {
    "name": "web",
    "topology": "web",
    "hosts": [{"name": "a", **NODE}, {"name": "b<script>", **NODE}],
    "switches": [{"name": "s1", "interfaces": []}],
    "links": [{"nodes": ["a", "s1"], "interfaces": ["a-eth0", "s1-eth1"], "shapes": [None, None], "up": True}],
    "tries": ["a echo '<b>'"],
    "backend": "wire",
}


class Network:
    """Stands for the feed of a network: events are put in by a test; None ends it."""

    name = "web"
    described = DESCRIBED

    def __init__(self) -> None:
        self.waiting: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def events(self) -> Iterator[dict[str, Any]]:
        while (event := self.waiting.get(timeout=60)) is not None:
            yield event


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture
def server(network: Network, monkeypatch: pytest.MonkeyPatch) -> Iterator[web.ViewServer]:
    monkeypatch.setattr(web, "ask", lambda _name, operation, **_: json.loads(json.dumps(DESCRIBED)) | {"op": operation})
    view = web.View(cast(Feed, network))
    running = web.ViewServer(view)
    collector = threading.Thread(target=view.run)
    collector.start()
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    yield running
    network.waiting.put(None)
    collector.join(60)
    running.shutdown()
    running.server_close()


def request(
    server: web.ViewServer,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    fields: Mapping[str, str | None] | None = None,
) -> tuple[int, Mapping[str, str], bytes]:
    """One request, as the page makes it but for `fields` (None: left out)."""
    own = f"127.0.0.1:{server.server_port}"
    given: dict[str, str | None] = {"Host": own}
    if method == "POST":
        given |= {
            "Origin": f"http://{own}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body or b"")),
        }
    given |= fields or {}
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    for name, value in given.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders(body)
    response = connection.getresponse()
    found = response.status, dict(response.getheaders()), response.read()
    connection.close()
    return found


def at(server: web.ViewServer, path: str) -> str:
    return f"/{server.token}/{path}"


def post(
    server: web.ViewServer, command: str, given: Any, fields: Mapping[str, str | None] | None = None
) -> tuple[int, bytes]:
    status, _, body = request(server, at(server, command), "POST", json.dumps(given).encode(), fields)
    return status, body


def test_the_page_loads_from_its_server_alone_and_escapes_names(server: web.ViewServer) -> None:
    status, headers, body = request(server, at(server, ""))
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert b"b<script>" not in body
    assert b"<b>" not in body
    assert b"http" not in body.replace(b"http://www.w3.org", b"")


@pytest.mark.parametrize("file", ["view.css", "view.js", "state"])
def test_its_files_are_there(server: web.ViewServer, file: str) -> None:
    assert request(server, at(server, file))[0] == 200


@pytest.mark.parametrize("path", ["/", "/x/", "/x/state", "", "/../../etc/passwd", "/%2e/"])
def test_without_the_token_there_is_nothing(server: web.ViewServer, path: str) -> None:
    assert request(server, path)[0] == 404


@pytest.mark.parametrize("path", ["../web.py", "page.html.j2", "view.css/", "%2e%2e/web.py"])
def test_no_other_file_is_served(server: web.ViewServer, path: str) -> None:
    assert request(server, at(server, path))[0] == 404


@pytest.mark.parametrize("host", [None, "evil.example", "127.0.0.1", "127.0.0.1:1", "localhost:80"])
def test_a_name_of_another_site_does_not_reach_it(server: web.ViewServer, host: str | None) -> None:
    assert request(server, at(server, "state"), fields={"Host": host})[0] == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_another_origin_is_refused(server: web.ViewServer, origin: str) -> None:
    assert request(server, at(server, "state"), fields={"Origin": origin})[0] == 403
    assert post(server, "cable", {"link": "a-s1", "up": False}, fields={"Origin": origin})[0] == 403


def test_a_command_must_come_from_the_page(server: web.ViewServer) -> None:
    given = {"link": "a-s1", "up": False}
    assert post(server, "cable", given)[0] == 200
    assert post(server, "cable", given, {"Origin": None})[0] == 403
    # The type of a form, which a page of any site can send.
    assert post(server, "cable", given, {"Content-Type": "text/plain"})[0] == 415


@pytest.mark.parametrize(
    ("body", "fields", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"[" * 50_000, {}, 400),
        (b"{}", {"Content-Length": None}, 411),
        (b"", {"Content-Length": str(1 << 30)}, 413),
        (b"", {"Content-Length": "-1"}, 413),
        (b"{}", {}, 400),
        (b'{"link": 3, "up": true}', {}, 400),
        (json.dumps({"link": "x" * 10_000, "up": True}).encode(), {}, 400),
    ],
)
def test_a_malformed_command_is_refused(
    server: web.ViewServer, body: bytes, fields: dict[str, str | None], status: int
) -> None:
    assert request(server, at(server, "cable"), "POST", body, fields)[0] == status


def test_a_slip_is_told_in_a_sentence(server: web.ViewServer) -> None:
    status, body = post(server, "link", {"link": "a-s1", "settings": "delay=5"})
    assert (status, json.loads(body)["error"]) == (409, "delay=5 lacks its unit: write delay=5ms")
    assert post(server, "fly", {})[0] == 404


def stream(server: web.ViewServer, fields: str = "") -> socket.socket:
    """The stream of events from the first one on, or from that which `fields` name."""
    connection = socket.create_connection(("127.0.0.1", server.server_port), timeout=60)
    head = f"GET {at(server, 'events?after=0')} HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n{fields}\r\n"
    connection.sendall(head.encode())
    return connection


def read_until(connection: socket.socket, text: bytes) -> bytes:
    found = b""
    while text not in found:
        piece = connection.recv(65536)
        assert piece, found[-500:]
        found += piece
    return found


def packet(number: int, second: float = 0.0) -> dict[str, Any]:
    return {"event": "packet", "time": second, "number": number}


def test_events_reach_the_page_and_the_end_of_the_network_ends_the_stream(
    server: web.ViewServer, network: Network
) -> None:
    with stream(server) as connection:
        read_until(connection, b"retry: ")
        network.waiting.put(packet(7))
        assert b'"number": 7' in read_until(connection, b'"number": 7}\n\n')
        network.waiting.put({"event": "down"})
        network.waiting.put(None)
        read_until(connection, b'"down"}\n\n')
        assert connection.recv(100) == b""


def test_packets_that_pass_too_fast_are_counted(server: web.ViewServer, network: Network) -> None:
    with stream(server) as connection:
        read_until(connection, b"retry: ")
        for number in range(web.PACKETS_PER_S + 50):
            network.waiting.put(packet(number))
        network.waiting.put({"event": "sample", "time": 1.0, "links": []})
        said = read_until(connection, b'"sample"')
    assert said.count(b'"packet"') == web.PACKETS_PER_S
    assert b'{"event": "omitted", "time": 1.0, "packets": 50}' in said


def test_a_page_that_was_away_learns_what_it_missed(server: web.ViewServer, network: Network) -> None:
    """Hours of events: what is kept does not grow."""
    for number in range(3 * web.EVENTS_MAX):
        network.waiting.put({"event": "link", "number": number})
    while server.view.ring.last < 3 * web.EVENTS_MAX:
        server.view.ring.after(server.view.ring.last, 1)
    with stream(server, "Last-Event-ID: 5\r\n") as connection:
        said = read_until(connection, b'"number": %d}\n\n' % (3 * web.EVENTS_MAX - 1))
    assert b'{"event": "missed", "events": %d}' % (2 * web.EVENTS_MAX - 5) in said
    assert said.count(b'"link"') == web.EVENTS_MAX


def test_the_number_of_connections_is_bounded(server: web.ViewServer) -> None:
    streams = [stream(server) for _ in range(web.CONNECTIONS_MAX)]
    for connection in streams:
        read_until(connection, b"retry: ")
    with stream(server) as connection:
        assert _refused(connection)
    for connection in streams:
        connection.close()


def _refused(connection: socket.socket) -> bool:
    try:
        return connection.recv(100) == b""
    except ConnectionError:
        return True
