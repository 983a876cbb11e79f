"""HTTP server of the live view on loopback: a web page, an event stream (server-sent events), and commands by POST.

The path begins with a random token. The Host field must name this server; this prevents DNS rebinding, by which a web
page of another site reaches the loopback address. A POST must come from the page itself (Origin). The page may load
from this server only (Content-Security-Policy). Connections, requests and events are bounded.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lab7.experiments.harness.template_engine import environment
from lab7.experiments.view.diagram import draw
from lab7.experiments.view.feed import Feed, link_name
from lab7.experiments.view.ring import Ring
from lab7.experiments.view.terminals import Terminals
from lab7.topologies.emulation.control.client import ask
from lab7.topologies.emulation.control.protocol import parse_settings
from lab7.topologies.emulation.errors import EmulationError

HOST = "127.0.0.1"
ASSETS = Path(__file__).resolve().parent / "assets"
FILES = {"view.css": "text/css; charset=utf-8", "view.js": "text/javascript; charset=utf-8"}
TOKEN_BYTES = 24
EVENTS_MAX = 4000
# Maximum number of packets shown per second; further packets are only counted.
PACKETS_PER_S = 300
CONNECTIONS_MAX = 40
BODY_MAX_BYTES = 64 * 1024
TEXT_MAX = 8192
IDLE_TIMEOUT_S = 30.0
# Interval in s of comments in a stream without events; writing them reveals that the page was closed.
HEARTBEAT_S = 10.0
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class RefusedError(Exception):
    """Error for an HTTP request that is rejected, with the status of the response."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class View:
    """State of the live view of one network: its events, its terminals, and the commands that the web page may send."""

    def __init__(self, feed: Feed) -> None:
        self.name = feed.name
        self._feed = feed
        self.ring = Ring(EVENTS_MAX)
        self.terminals = Terminals(self.name, self._terminal_said)
        self._commands: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "terminal": self._type,
            "link": self._set_link,
            "cable": self._set_cable,
            "service": self._service,
        }

    def run(self) -> None:
        """Collect events until the network is down."""
        second, shown, omitted = 0, 0, 0
        try:
            for event in self._feed.events():
                if event["event"] == "packet":
                    if int(event["time"]) != second:
                        second, shown = int(event["time"]), 0
                    shown += 1
                    if shown > PACKETS_PER_S:
                        omitted += 1
                        continue
                if omitted and event["event"] == "sample":
                    self.ring.add({"event": "omitted", "time": event["time"], "packets": omitted})
                    omitted = 0
                self.ring.add(event)
        finally:
            self.terminals.close()
            self.ring.close()

    def page(self) -> str:
        """Return the HTML of the web page."""
        described = self._feed.described
        template = environment().from_string((ASSETS / "page.html.j2").read_text(encoding="utf-8"))
        return template.render(network=described, picture=draw(described), title=described["name"])

    def state(self) -> dict[str, Any]:
        """Return the state of the network, the last output of each terminal, and the number of the last event."""
        last = self.ring.last
        described = ask(self.name, "info")
        for link in described["links"]:
            link["name"] = link_name(link)
        return {"network": described, "terminals": self.terminals.kept(), "last": last}

    def command(self, name: str, fields: Mapping[str, Any]) -> Any:
        """Execute a command that the web page sent. Raises EmulationError and RefusedError."""
        if name not in self._commands:
            raise RefusedError(HTTPStatus.NOT_FOUND, f"there is no command {name[:40]!r}")
        return self._commands[name](fields)

    def _terminal_said(self, host: str, text: str | None) -> None:
        self.ring.add({"event": "output", "host": host, "text": text})

    def _type(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.terminals.write(_text(fields, "host"), _text(fields, "text", empty=True))
        return {}

    def _set_link(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        settings = parse_settings(_text(fields, "settings").split())
        return ask(self.name, "link", link=_text(fields, "link"), set=settings, only_from="")

    def _set_cable(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return ask(self.name, "cable", link=_text(fields, "link"), up=fields.get("up") is True)

    def _service(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        return ask(self.name, "service", host=_text(fields, "host"), action=_text(fields, "action"))


def _text(fields: Mapping[str, Any], name: str, *, empty: bool = False) -> str:
    text = fields.get(name)
    if not isinstance(text, str) or len(text) > TEXT_MAX or not (text or empty):
        raise RefusedError(HTTPStatus.BAD_REQUEST, f"the field {name!r} is missing, or no text, or too long")
    return text


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lab7", ""
    timeout = IDLE_TIMEOUT_S
    server: ViewServer

    def log_message(self, *_args: Any) -> None:
        """Discard log messages."""

    def do_GET(self) -> None:
        """Send the page, one of its files, the state as JSON, or the event stream."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Execute the command in a POST request."""
        self._answer(self._post)

    def _answer(self, method: Callable[[str], None]) -> None:
        try:
            method(self._path())
        except RefusedError as refused:
            # Close the connection, since the body of the rejected request may not have been read.
            self.close_connection = True
            self._send(refused.status, "text/plain; charset=utf-8", f"{refused}\n".encode())
        except EmulationError as error:
            self._send_json({"error": str(error)}, HTTPStatus.CONFLICT)
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _path(self) -> str:
        """Return the request's path after the access token. Raises RefusedError for a wrong Host, Origin or token."""
        if self.headers.get_all("Host") not in [[host] for host in self.server.hosts]:
            raise RefusedError(HTTPStatus.MISDIRECTED_REQUEST, "this server is reached by its address only")
        origin = self.headers.get("Origin")
        own = [f"http://{host}" for host in self.server.hosts]
        if (origin is not None and origin not in own) or (origin is None and self.command == "POST"):
            raise RefusedError(HTTPStatus.FORBIDDEN, "the request does not come from the page of this server")
        _, token, *rest = [*self.path.partition("?")[0].split("/", 2), ""][:3]
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise RefusedError(HTTPStatus.NOT_FOUND, "the address of the page has a token, as `lab7 view` prints it")
        return rest[0]

    def _get(self, path: str) -> None:
        view = self.server.view
        if path == "":
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", view.page().encode())
        elif path in FILES:
            self._send(HTTPStatus.OK, FILES[path], (ASSETS / path).read_bytes())
        elif path == "state":
            self._send_json(view.state())
        elif path == "events":
            self._stream(view.ring)
        else:
            raise RefusedError(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self, path: str) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > BODY_MAX_BYTES:
            status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if length else HTTPStatus.LENGTH_REQUIRED
            raise RefusedError(status, "the length of the command is missing or too large")
        if self.headers.get_content_type() != "application/json":
            raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "commands are JSON")
        try:
            fields = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            raise RefusedError(HTTPStatus.BAD_REQUEST, "the command is not a JSON object")
        self._send_json(self.server.view.command(path, fields))

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _stream(self, ring: Ring) -> None:
        """Send events until the browser disconnects or the network is down; report the number of events missed.

        The first event is the one after `?after=` or, if a browser connects again, after Last-Event-ID.
        """
        given = self.headers.get("Last-Event-ID") or self.path.partition("?after=")[2]
        number = min(int(given), ring.last) if given.isdecimal() and len(given) < 20 else ring.last
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        for name, value in {**HEADERS, "Content-Type": "text/event-stream", "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        # Send some octets at once, since a browser reports the connection as open only then.
        self.wfile.write(b"retry: 2000\n\n")
        while True:
            number, events, missed = ring.after(number, HEARTBEAT_S)
            lines = [f"id: {number}\n"]
            if missed:
                lines.append(f"data: {json.dumps({'event': 'missed', 'events': missed})}\n\n")
            lines += [f"data: {json.dumps(event)}\n\n" for event in events] or [": nothing new\n\n"]
            if ring.closed and not events:
                return
            self.wfile.write("".join(lines).encode())


class ViewServer(ThreadingHTTPServer):
    """HTTP server of one network's live view, on `port` or on a free port of loopback."""

    daemon_threads = True
    request_queue_size = CONNECTIONS_MAX

    def __init__(self, view: View, port: int = 0) -> None:
        self.view = view
        self.token = secrets.token_urlsafe(TOKEN_BYTES)
        self._slots = threading.BoundedSemaphore(CONNECTIONS_MAX)
        super().__init__((HOST, port), _Handler)
        self.hosts = [f"{name}:{self.server_port}" for name in (HOST, "localhost")]

    @property
    def url(self) -> str:
        """URL of the web page with the live view."""
        return f"http://{self.hosts[0]}/{self.token}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a separate thread, or close it at once if there are too many."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, and decrement the number of open connections at its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore errors of a connection, which is then closed."""


def serve(name: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve the live view of a network until it is down; call `tell` with the address of the page."""
    with Feed(name) as feed:
        view = View(feed)
        server = ViewServer(view, port)
        threading.Thread(target=server.serve_forever, name="view", daemon=True).start()
        tell(server.url)
        try:
            view.run()
            # Leave time for the last event to reach the pages.
            time.sleep(0.5)
        finally:
            server.shutdown()
            server.server_close()
