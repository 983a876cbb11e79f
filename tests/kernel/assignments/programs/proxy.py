"""A student's caching proxy, on sockets alone; the tests put one bug into it at a time."""

import argparse
import socket
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

VIA = ("Via", "1.1 student")
OWN = {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade", "content-length"}
Fields = list[tuple[str, str]]


@dataclass
class Stored:
    status: str
    fields: Fields
    content: bytes
    request: Fields
    age_s: float
    received_s: float

    def age(self) -> float:
        return self.age_s + time.time() - self.received_s

    def is_fresh(self) -> bool:
        cache = directives(self.fields)
        return "no-cache" not in cache and self.age() < lifetime(cache)


def value(fields: Fields, name: str) -> str:
    return ", ".join(text for each, text in fields if each.lower() == name)


def directives(fields: Fields) -> dict[str, str]:
    parts = [part.strip().partition("=") for part in value(fields, "cache-control").split(",")]
    return {name.lower(): text.strip('"') for name, _, text in parts}


def lifetime(cache: dict[str, str]) -> float:
    text = cache.get("max-age", "")
    return float(text) if text.isdigit() else 0.0


def end_to_end(fields: Fields) -> Fields:
    named = {name.strip().lower() for name in value(fields, "connection").split(",")}
    return [(name, text) for name, text in fields if name.lower() not in OWN | named]


class Reader:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.data = b""

    def more(self) -> bool:
        block = self.connection.recv(65536)
        self.data += block
        return bool(block)

    def head(self) -> tuple[str, Fields]:
        while b"\r\n\r\n" not in self.data:
            if not self.more():
                raise EOFError("closed before the end of a head")
        text, _, self.data = self.data.partition(b"\r\n\r\n")
        first, *lines = text.decode("latin-1").split("\r\n")
        return first, [(name, rest.strip()) for name, _, rest in (line.partition(":") for line in lines)]

    def exactly(self, size: int) -> bytes:
        while len(self.data) < size:
            if not self.more():
                raise EOFError("closed before the end of the content")
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def line(self) -> bytes:
        while b"\r\n" not in self.data:
            if not self.more():
                raise EOFError("closed in a line")
        line, _, self.data = self.data.partition(b"\r\n")
        return line

    def content(self, fields: Fields, is_response: bool) -> bytes:
        if "chunked" in value(fields, "transfer-encoding").lower():
            content = b""
            while size := int(self.line().partition(b";")[0], 16):
                content += self.exactly(size)
                self.exactly(2)
            while self.line():
                pass
            return content
        length = value(fields, "content-length")
        if length:
            return self.exactly(int(length))
        while is_response and self.more():
            pass
        return self.exactly(len(self.data)) if is_response else b""


def head(first: str, fields: Fields) -> bytes:
    return "\r\n".join([first, *(f"{name}: {text}" for name, text in fields), "", ""]).encode("latin-1")


def connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), 10)


class Proxy:
    def __init__(self) -> None:
        self.cache: dict[str, list[Stored]] = {}
        self.lock = threading.Lock()

    def key(self, url: str) -> str:
        return url

    def find(self, url: str, request: Fields) -> Stored | None:
        for stored in self.cache.get(self.key(url), []):
            names = [name.strip().lower() for name in value(stored.fields, "vary").split(",") if name.strip()]
            if all(value(stored.request, name) == value(request, name) for name in names):
                return stored
        return None

    def may_store(self, method: str, status: str, fields: Fields) -> bool:
        cache = directives(fields)
        if "no-store" in cache:
            return False
        if "private" in cache:
            return False
        if status != "200":
            return False
        return method == "GET" and ("max-age" in cache or value(fields, "etag") != "")

    def store(self, url: str, stored: Stored) -> None:
        old = self.find(url, stored.request)
        kept = [one for one in self.cache.get(self.key(url), []) if one is not old]
        self.cache[self.key(url)] = [*kept, stored]

    def ask(self, method: str, url: str, fields: Fields, content: bytes) -> tuple[str, Fields, bytes]:
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        out = [*end_to_end(fields), VIA, ("Connection", "close")]
        if content or method == "POST":
            out.append(("Content-Length", str(len(content))))
        with connect(parts.hostname or "", parts.port or 80) as origin:
            origin.sendall(head(f"{method} {target} HTTP/1.1", out) + content)
            reader = Reader(origin)
            first, got = reader.head()
            status = first.split(" ")[1]
            empty = method == "HEAD" or status in ("204", "304")
            return status, got, b"" if empty else reader.content(got, True)

    def respond(self, client: socket.socket) -> None:
        reader = Reader(client)
        first, fields = reader.head()
        method, url, _ = first.split(" ")
        content = reader.content(fields, False)
        with self.lock:
            status, out, body = self.answer(method, url, fields, content)
        out = [*end_to_end(out), VIA, ("Connection", "close")]
        if method != "HEAD" and status != "304":
            out.append(("Content-Length", str(len(body))))
        client.sendall(head(f"HTTP/1.1 {status} Relayed", out) + (b"" if method == "HEAD" else body))

    def answer(self, method: str, url: str, fields: Fields, content: bytes) -> tuple[str, Fields, bytes]:
        stored = self.find(url, fields) if method == "GET" else None
        if stored is not None and stored.is_fresh():
            return self.reuse(stored)
        sent = list(fields)
        if stored is not None and value(stored.fields, "etag"):
            sent.append(("If-None-Match", value(stored.fields, "etag")))
        try:
            status, got, body = self.ask(method, url, sent, content)
        except (OSError, EOFError):
            return "504", [("Content-Type", "text/plain")], b"the origin does not answer\n"
        if status == "304" and stored is not None:
            names = {name.lower() for name, _ in got}
            stored.fields = [one for one in stored.fields if one[0].lower() not in names] + got
            stored.age_s, stored.received_s = 0.0, time.time()
            return self.reuse(stored)
        if method not in ("GET", "HEAD") and status[0] in "23":
            self.cache.pop(self.key(url), None)
        if self.may_store(method, status, got):
            age = value(got, "age")
            self.store(url, Stored(status, got, body, fields, float(age) if age.isdigit() else 0.0, time.time()))
        return status, got, body

    def reuse(self, stored: Stored) -> tuple[str, Fields, bytes]:
        kept = [one for one in stored.fields if one[0].lower() != "age"]
        return stored.status, [*kept, ("Age", str(int(stored.age())))], stored.content

    def serve(self, client: socket.socket) -> None:
        with client:
            try:
                self.respond(client)
            except (OSError, EOFError, ValueError):
                return


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    options = parser.parse_args()
    proxy = Proxy()
    with socket.create_server(("", options.port)) as server:
        while True:
            connection, _ = server.accept()
            threading.Thread(target=proxy.serve, args=(connection,), daemon=True).start()


main()
