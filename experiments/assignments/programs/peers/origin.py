r"""Scripted HTTP origin: a server whose responses to each target are given in advance (RFC 9112, RFC 9110 section 13).

    origin --script script.json --port 80

The script is a JSON object keyed by target. Its values are lists of steps (responses): one step for each request in
turn, of which the last also answers all further requests:

    {"/page": [{"status": 200, "fields": [["ETag", "\"1\""]], "content": "68656c6c6f", "framing": "length"}]}

`content` is in hexadecimal (here `hello`). `framing` is length, chunked or close (the content ends with the
connection). A step with `select`, the name of a request field, has several `steps`, and the field's value selects one
of them. A request whose If-None-Match contains the ETag of its step gets 304. A step with `fails` closes the connection
without a response. Date is the time of the response. Left out: persistent connections after `close`, ranges.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

HEAD_MAX, CONTENT_MAX, BLOCK = 1 << 16, 1 << 20, 1 << 16
CHUNK_OCTETS = 700
IDLE_S = 60.0
REASONS = {200: "OK", 304: "Not Modified", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}
_AUTHORITY = re.compile(r"[a-z]+://[^/]*", re.IGNORECASE)
Step = Mapping[str, Any]


@dataclass
class Request:
    """HTTP request: method, target without scheme and authority, and field values keyed by name in lower case."""

    method: str
    target: str
    fields: dict[str, str]

    @property
    def closes(self) -> bool:
        """True if the request has Connection: close, so that no request follows on the connection."""
        return "close" in self.fields.get("connection", "").lower()


@dataclass
class Script:
    """Scripted responses (steps), keyed by target, and the number of requests received so far for each target."""

    steps: Mapping[str, Sequence[Step]]
    asked: dict[str, int] = field(default_factory=dict)

    def next(self, request: Request) -> Step:
        """Count a request, and return the scripted response to it; 404 for a target without a script."""
        steps = self.steps.get(request.target)
        if steps is None:
            return {"status": 404, "content": b"no such target\n".hex()}
        number = self.asked.get(request.target, 0)
        self.asked[request.target] = number + 1
        step = steps[min(number, len(steps) - 1)]
        if "select" in step:
            given = request.fields.get(step["select"].lower(), "")
            step = step["steps"].get(given) or next(iter(step["steps"].values()))
        return step


def response(request: Request, step: Step, now: str) -> tuple[bytes, bool]:
    """Return (octets of the response, True if the server closes the connection after it)."""
    fields = [["Date", now], *step.get("fields", [])]
    content, framing = bytes.fromhex(step.get("content", "")), step.get("framing", "length")
    etag = next((value for name, value in fields if name == "ETag"), None)
    status = step["status"]
    if etag is not None and etag in [one.strip() for one in request.fields.get("if-none-match", "").split(",")]:
        status, content = 304, b""
    closes = request.closes or (framing == "close" and status != 304)
    if closes:
        fields = [[name, f"close, {value}"] if name == "Connection" else [name, value] for name, value in fields]
        fields += [] if any(name == "Connection" for name, _ in fields) else [["Connection", "close"]]
    if status != 304 and framing == "length":
        fields.append(["Content-Length", str(len(content))])
    elif status != 304 and framing == "chunked":
        fields.append(["Transfer-Encoding", "chunked"])
        content = b"".join([*map(_chunk, _parts(content)), _chunk(b"")])
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    sent = b"" if request.method == "HEAD" else content
    return f"HTTP/1.1 {status} {REASONS[status]}\r\n{head}\r\n".encode("ascii") + sent, closes


def _chunk(octets: bytes) -> bytes:
    return f"{len(octets):x}\r\n".encode() + octets + b"\r\n"


def _parts(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), CHUNK_OCTETS):
        yield content[at : at + CHUNK_OCTETS]


class _BrokenError(Exception):
    """Octets from the client that are not an HTTP request."""


def read_request(connection: socket.socket, data: bytes) -> tuple[Request, bytes] | None:
    """Read a request with its content; return (request, octets after it), or None at the end of the stream."""
    while b"\r\n\r\n" not in data:
        block = connection.recv(BLOCK)
        if not block:
            return None
        data += block
        if len(data) > HEAD_MAX:
            raise _BrokenError
    head, _, data = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").lstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        raise _BrokenError
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = fields.get("content-length", "0")
    if not length.isdigit() or int(length) > CONTENT_MAX:
        raise _BrokenError
    while len(data) < int(length):
        block = connection.recv(BLOCK)
        if not block:
            return None
        data += block
    return Request(words[0], _AUTHORITY.sub("", words[1]), fields), data[int(length) :]


def serve(connection: socket.socket, script: Script, lock: threading.Lock) -> None:
    """Respond to the requests on one connection as scripted, until client or server closes it."""
    data = b""
    with connection, suppress(OSError):
        connection.settimeout(IDLE_S)
        while True:
            try:
                found = read_request(connection, data)
            except _BrokenError:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if found is None:
                return
            request, data = found
            with lock:
                step = script.next(request)
            if step.get("fails"):
                return
            octets, closes = response(request, step, formatdate(usegmt=True))
            connection.sendall(octets)
            if closes:
                return


def main(argv: list[str] | None = None) -> int:
    """Serve the scripted responses on all addresses until the process is killed."""
    parser = argparse.ArgumentParser(prog="origin", description=__doc__)
    parser.add_argument("--script", type=Path, required=True, help="file with the responses by target")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(argv)
    script, lock = Script(json.loads(options.script.read_text())), threading.Lock()
    with socket.create_server(("", options.port), backlog=64) as server:
        print("READY", flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=serve, args=(connection, script, lock), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
