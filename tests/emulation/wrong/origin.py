"""An HTTP origin (1.0, 1.1, 2 with push) with one deliberate fault.

    python origin.py FAULT --port 80 --root www

FAULTS says what each does; `none` and `chunked` are right. It stands alone: it shares no code with the services or the
judge, but for hpack, which encodes header lists.
"""

from __future__ import annotations

import argparse
import itertools
import re
import socket
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

from hpack import Decoder, Encoder

FAULTS = {
    "none": "no fault",
    "chunked": "no fault: HTTP/1.1 responses have the chunked transfer coding",
    "status": "404 for every object but the page, with the file as content",
    "content": "right length, wrong octets, for every object but the page",
    "truncated": "half of the file, with a Content-Length that fits the half, for every object but the page",
    "extra": "octets behind the content that Content-Length announces (HTTP/1)",
    "saturated": "the first request for an object gets its file, every later one 404",
    "counts": "a header field counts the requests",
    "keeps-open": "an HTTP/1.0 connection stays open behind the response",
    "closes": "an HTTP/1.1 connection is closed behind each response",
    "late": "pipelined requests are answered LATE_S late",
    "reversed": "pipelined requests are answered in the reverse order",
    "phrase": "the status line has no space behind the status code",
    "lf": "lines of a response's head end in LF alone",
    "version": "the status line says HTTP/3.0",
    "literal": "the header fields of HTTP/2 responses are literals without compression",
    "sequential": "HTTP/2 responses are sent one after the other",
    "text": "the preface of HTTP/2 is answered by an HTTP/1.1 response",
    "push-none": "nothing is pushed",
    "push-other": "an object is pushed that the page does not name, in the place of one that it names",
    "push-content": "what is pushed has wrong octets",
    "push-late": "objects are promised when the page has ended",
}
# More than any tolerance, and less than the client's patience.
LATE_S = 0.3
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PUSH_PROMISE, PING = 0, 1, 4, 5, 6
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
ENABLE_PUSH = 2
PIECE = 4096
TYPES = {".html": "text/html", ".png": "image/png"}
Answer = tuple[int, bytes, dict[str, str]]


class Origin:
    """Answers requests for the files of a folder, as the fault has it."""

    def __init__(self, root: Path, fault: str) -> None:
        self.root, self.fault = root, fault
        self._count = itertools.count(1)
        self._seen: set[str] = set()

    def answer(self, path: str) -> Answer:
        """Status, content and header fields of the response to a GET."""
        file = self.root / (path.lstrip("/") + ("index.html" if path.endswith("/") else ""))
        fields = {"Date": formatdate(usegmt=True)}
        number = next(self._count)
        if self.fault == "counts":
            fields["X-Requests"] = str(number)
        if not file.is_file():
            return 404, b"not found\n", fields
        fields |= {"Last-Modified": formatdate(file.stat().st_mtime, usegmt=True), "Server": "origin"}
        fields["Content-Type"] = TYPES.get(file.suffix, "application/octet-stream")
        status, content = 200, file.read_bytes()
        seen = path in self._seen
        self._seen.add(path)
        if self.fault == "saturated" and seen:
            return 404, b"not found\n", fields
        if not path.endswith("/"):
            status, content = self._object(status, content)
        return status, content, fields

    def _object(self, status: int, content: bytes) -> tuple[int, bytes]:
        if self.fault == "status":
            return 404, content
        if self.fault == "content":
            return status, inverted(content)
        return status, content[: len(content) // 2] if self.fault == "truncated" else content


def inverted(content: bytes) -> bytes:
    return bytes(octet ^ 0xFF for octet in content)


def serve(connection: socket.socket, origin: Origin) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        data = connection.recv(65536)
        if not data.startswith(b"PRI"):
            text(connection, origin, data)
        elif origin.fault == "text":
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        else:
            Binary(connection, origin).run(data)
    except OSError:
        pass
    finally:
        connection.close()


def text(connection: socket.socket, origin: Origin, data: bytes) -> None:
    """Answer the requests of HTTP/1 on a connection; those that came together are pipelined."""
    while data:
        *heads, data = data.split(b"\r\n\r\n")
        requests = [head.split(b"\r\n")[0].decode("latin-1").split(" ") for head in heads]
        if len(requests) > 1 and origin.fault == "late":
            time.sleep(LATE_S)
        if origin.fault == "reversed":
            requests.reverse()
        for _, target, version in requests:
            connection.sendall(message(origin, target, version))
            if version == "HTTP/1.0" and origin.fault != "keeps-open":
                return
            # Behind a head that no client can read, the end of the connection saves waiting.
            if version == "HTTP/1.1" and origin.fault in ("closes", "lf"):
                return
        data += connection.recv(65536)


def message(origin: Origin, target: str, version: str) -> bytes:
    """The octets of a response of HTTP/1."""
    status, content, fields = origin.answer(target)
    if origin.fault == "chunked" and version == "HTTP/1.1":
        fields["Transfer-Encoding"] = "chunked"
        content = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (content[:1000], content[1000:]) if part)
        content += b"0\r\n\r\n"
    else:
        fields["Content-Length"] = str(len(content))
    if origin.fault == "closes" or version == "HTTP/1.0":
        fields["Connection"] = "close"
    phrase = "" if origin.fault == "phrase" else " OK" if status == 200 else " Not Found"
    said = "HTTP/3.0" if origin.fault == "version" else "HTTP/1.1"
    end = "\n" if origin.fault == "lf" else "\r\n"
    lines = [f"{said} {status}{phrase}", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return end.join(lines).encode() + content + (b"and more\r\n" if origin.fault == "extra" else b"")


class Binary:
    """One connection of HTTP/2 (RFC 9113); contents must fit the initial windows, for it knows no flow control."""

    def __init__(self, connection: socket.socket, origin: Origin) -> None:
        self._connection, self._origin = connection, origin
        self._decoder, self._encoder = Decoder(), Encoder()
        self._push = True
        self._out = bytearray()
        self._promised = itertools.count(2, 2)

    def run(self, data: bytes) -> None:
        self._send(SETTINGS, 0, 0)
        while len(data) < len(PREFACE):
            data += self._connection.recv(65536)
        data = data[len(PREFACE) :]
        while True:
            asked: list[tuple[int, str]] = []
            while len(data) >= 9 and len(data) >= (end := 9 + int.from_bytes(data[:3], "big")):
                asked += self._take(data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:end])
                data = data[end:]
            self._respond(asked)
            # In one write: TCP's initial window is a number of segments, also of small ones.
            self._connection.sendall(self._out)
            self._out.clear()
            more = self._connection.recv(65536)
            if not more:
                return
            data += more

    def _take(self, kind: int, flags: int, stream_id: int, payload: bytes) -> Iterator[tuple[int, str]]:
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                if int.from_bytes(payload[at : at + 2], "big") == ENABLE_PUSH:
                    self._push = payload[at + 5] == 1
            self._send(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self._send(PING, ACK, 0, payload)
        elif kind == HEADERS:
            # No client here pads its requests or gives them a priority, nor needs CONTINUATION.
            fields = {bytes(name): bytes(value) for name, value in self._decoder.decode(payload, raw=True)}
            yield stream_id, fields[b":path"].decode()

    def _respond(self, asked: list[tuple[int, str]]) -> None:
        bodies: dict[int, bytes] = {}
        promises: list[tuple[int, int, str]] = []
        for stream_id, path in asked:
            status, content, fields = self._origin.answer(path)
            self._head(stream_id, status, fields, content)
            if path.endswith("/") and self._push and self._origin.fault != "push-none":
                promises += [(stream_id, next(self._promised), name) for name in self._named(path, content)]
            bodies[stream_id] = content
        if self._origin.fault == "push-late":
            self._bodies(bodies)
            bodies = {}
        for stream_id, promised, path in promises:
            self._promise(stream_id, promised, path)
        for _, promised, path in promises:
            status, content, fields = self._origin.answer(path)
            if self._origin.fault == "push-content":
                content = inverted(content)
            self._head(promised, status, fields, content)
            bodies[promised] = content
        self._bodies(bodies)

    def _named(self, path: str, content: bytes) -> list[str]:
        names = [path + name.decode() for name in re.findall(rb'src="([^"]+)"', content)]
        return [*names[:-1], "/more/picture-1.png"] if self._origin.fault == "push-other" else names

    def _bodies(self, bodies: dict[int, bytes]) -> None:
        """Send contents in turns, a piece of each, or one after the other."""
        left = dict(bodies)
        while left:
            for stream_id in list(left):
                size = len(left[stream_id]) if self._origin.fault == "sequential" else PIECE
                piece, left[stream_id] = left[stream_id][:size], left[stream_id][size:]
                last = not left[stream_id]
                for at in range(0, max(1, len(piece)), 16384):
                    part, ends = piece[at : at + 16384], last and at + 16384 >= len(piece)
                    self._send(DATA, END_STREAM if ends else 0, stream_id, part)
                if last:
                    del left[stream_id]

    def _head(self, stream_id: int, status: int, fields: dict[str, str], content: bytes) -> None:
        every = {":status": str(status), **{name.lower(): value for name, value in fields.items()}}
        every["content-length"] = str(len(content))
        self._send(HEADERS, END_HEADERS, stream_id, self._block(every))

    def _promise(self, stream_id: int, promised: int, path: str) -> None:
        fields = {":method": "GET", ":scheme": "http", ":authority": "www.example.com", ":path": path}
        self._send(PUSH_PROMISE, END_HEADERS, stream_id, promised.to_bytes(4, "big") + self._block(fields))

    def _block(self, fields: dict[str, str]) -> bytes:
        if self._origin.fault != "literal":
            return bytes(self._encoder.encode(list(fields.items())))
        # RFC 7541 section 6.2.2: without indexing, name and value spelled out.
        return b"".join(
            b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
            for name, value in fields.items()
        )

    def _send(self, kind: int, flags: int, stream_id: int, payload: bytes = b"") -> None:
        self._out += len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload


def main(argv: list[str]) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("fault", choices=FAULTS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True)
    options = parser.parse_args(argv)
    origin = Origin(options.root, options.fault)
    with socket.create_server(("", options.port), backlog=128) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, origin), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1:])
