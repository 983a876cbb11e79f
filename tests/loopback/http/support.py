"""An origin as a process or in a thread, and raw sockets to it."""

import asyncio
import http.client
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab7.services.connections import Listener
from lab7.services.eventlog import EventLog
from lab7.services.http.origin import Origin
from lab7.services.http.server.context import Handler, Limits
from lab7.services.http.server.server import HTTPServer

HOST = "127.0.0.1"
# The time limit for expected input: never a measurement.
PATIENCE_S = 20.0


@dataclass
class Answer:
    """One response, parsed by http.client."""

    status: int
    version: int
    fields: http.client.HTTPMessage
    body: bytes

    def field(self, name: str) -> str | None:
        """Return a field's value."""
        value = self.fields.get(name)
        return None if value is None else str(value)


class _Replayed(socket.socket):
    """A socket for http.client that replays octets."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__()
        self._stream = stream
        self.close()

    def makefile(self, *_: object, **__: object) -> io.BytesIO:  # type: ignore[override]
        return self._stream


class _Kept(io.BytesIO):
    def close(self) -> None:
        """Do nothing: the next response follows in the same octets."""


def read_answers(octets: bytes, methods: Sequence[str]) -> list[Answer]:
    """Parse the final responses to `methods`, with http.client."""
    stream = _Kept(octets)
    answers = []
    for method in methods:
        if stream.tell() == len(octets):
            break
        response = http.client.HTTPResponse(_Replayed(stream), method=method)
        response.begin()
        body = response.read()
        answers.append(Answer(response.status, response.version, response.msg, body))
    return answers


def run(*command: str) -> bytes:
    """Run a program and return its output."""
    return subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S).stdout


def talk(port: int, octets: bytes) -> bytes:
    """Send octets, half-close, and return all input."""
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        peer.shutdown(socket.SHUT_WR)
        return read_to_end(peer)


def read_to_end(peer: socket.socket) -> bytes:
    """Return all input until the peer closes."""
    pieces = []
    while piece := peer.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def read_until(peer: socket.socket, mark: bytes) -> bytes:
    """Read until `mark` occurs; return all input so far."""
    octets = b""
    while mark not in octets:
        piece = peer.recv(65_536)
        if not piece:
            raise AssertionError(f"ended without {mark!r}: {octets!r}")
        octets += piece
    return octets


@contextmanager
def origin_process(root: Path, *flags: str) -> Iterator[int]:
    """Run the origin by its command line, and yield its port."""
    command = [sys.executable, "-m", "lab7.services.http.origin", "--root", os.fspath(root), "--port", "0", *flags]
    with subprocess.Popen([*command, "--listen", HOST], stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith("READY http 127.0.0.1:"), ready
            yield int(ready.rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def listen(server: HTTPServer) -> tuple[Listener, int]:
    """Listen on a free port; return a function that closes the listener, and the port."""
    bound = socket.create_server((HOST, 0), backlog=1024)
    bound.setblocking(False)
    port: int = bound.getsockname()[1]
    return Listener(asyncio.get_running_loop(), bound, server.protocol, server.connections), port


@contextmanager
def server_in_thread(handler: Handler, bounds: Limits, push: bool = False) -> Iterator[int]:
    """Run a server with these limits in a thread, and yield its port."""
    started, ports = threading.Event(), [0]
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        server = HTTPServer(handler, EventLog(None, time.time), time.time, bounds, push)
        listening, ports[0] = listen(server)
        started.set()
        await stop.wait()
        listening.close()
        await server.stop()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(PATIENCE_S)
        loop.close()


@contextmanager
def origin_in_thread(root: Path, bounds: Limits, push: bool = False) -> Iterator[int]:
    """Run an origin with these limits and an echo resource at /echo, and yield its port."""
    with server_in_thread(Origin(root, time.time, "/echo"), bounds, push) as port:
        yield port
