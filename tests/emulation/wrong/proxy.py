"""A small caching proxy, forward or reverse, that is right but for one fault, which the command line names.

    python tests/emulation/wrong/proxy.py FAULT --port 3128                           a forward proxy
    python tests/emulation/wrong/proxy.py FAULT --port 80 --origin 10.8.9.1:80        a reverse proxy, such as a replica

RFC 9111: responses with 200 are stored; a fresh one is served with Age, a stale one validated by both of its
validators; requests for one object wait for the one that is under way. GET alone, Content-Length alone.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import re
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import urlsplit

FAULTS = {
    "none": "no fault at all",
    "garbled-hits": "what comes from the cache alone has other octets, as many as it should",
    "never-validates": "what is stored is fresh for ever",
    "unconditional": "what is stale is fetched anew, under no condition",
    "own-date": "If-Modified-Since says when the copy was fetched, not its Last-Modified",
    "passes-304": "the origin's 304 goes on to the client, which had no condition",
    "keeps-old": "a 200 to a conditional request goes on to the client, but the old copy is kept for fresh",
    "old-fields": "the content of a 200 to a conditional request takes the old one's place, its fields do not",
    "ignores-no-cache": "a response with no-cache is served for a second without asking",
    "page-alone": "the page is validated, what else is stale is served without asking",
    "stores-nothing": "every request is fetched anew",
    "makes-up": "octets are made up, and the origin is never asked",
    "tunnel": "octets go to and fro between client and origin as they are",
    "absolute-form": "the origin is asked in absolute-form, as a proxy is",
    "not-found": "one object of the page is answered with 404, without asking",
    "fetches-twice": "one object of the page is fetched twice when it is lacking",
    "fetches-each": "requests for one object at once are all fetched",
    "no-validators": "ETag and Last-Modified are left out of responses",
}
VICTIM = "picture-1.png"
ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "proxy-connection"}
NEVER_S = 1e9
Lines = list[tuple[str, str]]


@dataclass
class Stored:
    """A stored response, when it was asked for, and for how long it is fresh."""

    lines: Lines
    body: bytes
    asked_s: float
    lifetime_s: float

    @property
    def age_s(self) -> float:
        """The time since the origin was asked."""
        return time.monotonic() - self.asked_s

    def value(self, name: str) -> str | None:
        """The value of a field."""
        return next((value for known, value in self.lines if known.lower() == name), None)


class Cache:
    """Everything stored, with a lock for each object; `fault` is what it does wrong."""

    def __init__(self, fault: str, origin: tuple[str, int] | None) -> None:
        self.fault, self.origin = fault, origin
        self.stored: dict[str, Stored] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def lock(self, path: str) -> threading.Lock:
        """The lock of an object, under which it is fetched."""
        if self.fault == "fetches-each":
            return threading.Lock()
        with self._guard:
            return self._locks.setdefault(path, threading.Lock())

    def lifetime_s(self, path: str, lines: Lines) -> float:
        """For how long a response is fresh: RFC 9111 section 4.2.1, and a tenth of its age without a lifetime."""
        said = {name.lower(): value for name, value in lines}
        control = said.get("cache-control", "")
        if self.fault == "never-validates" or (self.fault == "page-alone" and not path.endswith("/")):
            return NEVER_S
        if "no-store" in control:
            return 0.0
        if "no-cache" in control:
            return 1.0 if self.fault == "ignores-no-cache" else 0.0
        if found := re.search(r"max-age=(\d+)", control):
            return float(found[1])
        if "date" in said and "last-modified" in said:
            return (_seconds(said["date"]) - _seconds(said["last-modified"])) / 10
        return 0.0


def _seconds(date: str) -> float:
    return parsedate_to_datetime(date).timestamp()


class Handler(socketserver.StreamRequestHandler):
    """One client's connection, and one to the origin on its behalf."""

    server: Server

    def setup(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None

    def handle(self) -> None:
        try:
            if self.server.cache.fault == "tunnel":
                self._tunnel()
                return
            while head := self._head():
                self._answer(*head)
        except (OSError, http.client.HTTPException):
            return
        finally:
            if self._upstream is not None:
                self._upstream.close()

    def _head(self) -> tuple[str, Lines] | None:
        """The target and the fields of the next request."""
        words = self.rfile.readline(8192).decode("latin-1").split()
        if len(words) != 3:
            return None
        lines: Lines = []
        while (line := self.rfile.readline(8192).decode("latin-1").strip()) and len(lines) < 100:
            name, _, value = line.partition(":")
            lines.append((name, value.strip()))
        return words[1], lines

    def _answer(self, target: str, asked: Lines) -> None:
        parts, cache = urlsplit(target), self.server.cache
        path = parts.path + (f"?{parts.query}" if parts.query else "") or "/"
        host = parts.netloc or next((value for name, value in asked if name.lower() == "host"), "")
        if cache.fault == "makes-up":
            self._send(200, [("Cache-Control", "max-age=60")], _made_up(path))
        elif cache.fault == "not-found" and path.endswith(VICTIM):
            self._send(404, [], b"Not found.\n")
        else:
            with cache.lock(path):
                status, lines, body = self._get(path, host)
            self._send(status, lines, body)

    def _get(self, path: str, host: str) -> tuple[int, Lines, bytes]:
        """A response from the store, or from the origin."""
        cache = self.server.cache
        known = None if cache.fault == "stores-nothing" else cache.stored.get(path)
        if known is not None and known.age_s < known.lifetime_s:
            body = known.body
            if cache.fault == "garbled-hits":
                body = bytes(octet ^ 1 for octet in body[:10]) + body[10:]
            return 200, [*known.lines, ("Age", str(int(known.age_s)))], body
        asked_s = time.monotonic()
        status, lines, body = self._fetch(path, host, known)
        if cache.fault == "fetches-twice" and path.endswith(VICTIM) and known is None:
            status, lines, body = self._fetch(path, host, known)
        if status == 304 and known is not None:
            if cache.fault == "passes-304":
                self._keep(path, known.lines, known.body, asked_s)
                return status, lines, body
            # RFC 9111 section 4.3.4: the fields of the 304 take the place of the stored ones.
            fresh = {name.lower() for name, _ in lines}
            lines = [*lines, *((name, value) for name, value in known.lines if name.lower() not in fresh)]
            return 200, lines, self._keep(path, lines, known.body, asked_s)
        if status == 200 and cache.fault == "keeps-old" and known is not None:
            self._keep(path, known.lines, known.body, asked_s)
        elif status == 200 and cache.fault == "old-fields" and known is not None:
            self._keep(path, known.lines, body, asked_s)
        elif status == 200:
            self._keep(path, lines, body, asked_s)
        return status, lines, body

    def _keep(self, path: str, lines: Lines, body: bytes, asked_s: float) -> bytes:
        cache = self.server.cache
        cache.stored[path] = Stored(lines, body, asked_s, cache.lifetime_s(path, lines))
        return body

    def _fetch(self, path: str, host: str, known: Stored | None) -> tuple[int, Lines, bytes]:
        """Ask the origin, again on a new connection where it has closed the old one."""
        fields = {"Host": host, "Via": "1.1 wrong"}
        if known is not None and self.server.cache.fault != "unconditional":
            date, tag = known.value("last-modified"), known.value("etag")
            if self.server.cache.fault == "own-date":
                date = formatdate(time.time() - known.age_s, usegmt=True)
            fields |= {"If-Modified-Since": date} if date else {}
            fields |= {"If-None-Match": tag} if tag else {}
        target = f"http://{host}{path}" if self.server.cache.fault == "absolute-form" else path
        for _ in range(2):
            if self._upstream is None:
                self._upstream = http.client.HTTPConnection(*self._origin_of(host), timeout=20)
                self._upstream.connect()
                self._upstream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._upstream.request("GET", target, headers=fields)
                response = self._upstream.getresponse()
                body = response.read()
                lines = [(name, value) for name, value in response.getheaders() if name.lower() not in ONE_HOP]
                return response.status, lines, body
            except (OSError, http.client.HTTPException):
                self._upstream.close()
                self._upstream = None
        return 502, [], b"The origin does not answer.\n"

    def _origin_of(self, host: str) -> tuple[str, int]:
        name, _, port = host.partition(":")
        return self.server.cache.origin or (name, int(port or 80))

    def _send(self, status: int, lines: Lines, body: bytes) -> None:
        if self.server.cache.fault == "no-validators":
            lines = [(name, value) for name, value in lines if name.lower() not in ("etag", "last-modified")]
        head = [f"HTTP/1.1 {status} {http.client.responses[status]}", *(f"{name}: {value}" for name, value in lines)]
        if status != 304:
            head.append(f"Content-Length: {len(body)}")
        octets = "\r\n".join([*head, "Via: 1.1 wrong", "", ""]).encode("latin-1")
        self.wfile.write(octets + (b"" if status == 304 else body))

    def _tunnel(self) -> None:
        """Relay octets both ways; where to, the first request says."""
        first = self.request.recv(65_536)
        if not first:
            return
        found = re.search(rb"\r\nhost:[ \t]*([^\r]+)\r\n", first, re.IGNORECASE)
        with socket.create_connection(self._origin_of(found[1].decode() if found else "")) as far:
            far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far.sendall(first)
            back = threading.Thread(target=_relay, args=(far, self.request), daemon=True)
            back.start()
            _relay(self.request, far)
            back.join()


def _relay(source: socket.socket, target: socket.socket) -> None:
    try:
        while octets := source.recv(65_536):
            target.sendall(octets)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _made_up(path: str) -> bytes:
    return hashlib.sha256(path.encode()).hexdigest().encode() * 60


class Server(socketserver.ThreadingTCPServer):
    """All clients' connections."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, cache: Cache) -> None:
        self.cache = cache
        super().__init__(("0.0.0.0", port), Handler)


def main(argv: Sequence[str]) -> int:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description="Be a caching proxy with a fault.")
    parser.add_argument("fault", choices=sorted(FAULTS), help="what it does wrong")
    parser.add_argument("--port", type=int, required=True, help="where to listen")
    parser.add_argument("--origin", help="HOST:PORT of the only origin (default: the one that a request names)")
    options = parser.parse_args(argv)
    host, _, port = (options.origin or "").rpartition(":")
    with Server(options.port, Cache(options.fault, (host, int(port)) if host else None)) as server:
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
