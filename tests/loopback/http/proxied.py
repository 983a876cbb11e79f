"""A proxy process, and origins that send given octets and record the requests."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

from tests.loopback.http.support import HOST, PATIENCE_S, read_until

# Fresh for longer than any test runs.
FRESH = "Cache-Control: max-age=600"
# The last chunk and the trailer section (RFC 9112 section 7.1).
CHUNKS_END = re.compile(rb"\r\n0\r\n(?:[^\r\n]+\r\n)*\r\n\Z")
Answering = Callable[[socket.socket, bytes], bool]


@dataclass
class RawOrigin:
    """The record of a raw origin: requests with head and content, and the number of connections."""

    port: int = 0
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @property
    def base(self) -> str:
        """The origin's URL without a path."""
        return f"http://{HOST}:{self.port}"


def response(content: bytes, *lines: str, status: str = "200 OK") -> bytes:
    """Return an HTTP/1.1 response with Content-Length."""
    head = [f"HTTP/1.1 {status}", *lines, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + content


def read_request(peer: socket.socket) -> bytes:
    """Read one request, framed by Content-Length or chunked; return b"" at the end of the connection."""
    octets = b""
    while b"\r\n\r\n" not in octets:
        piece = peer.recv(65_536)
        if not piece:
            return octets
        octets += piece
    head = octets.partition(b"\r\n\r\n")[0].lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        while CHUNKS_END.search(octets) is None:
            octets += peer.recv(65_536)
    elif b"\r\ncontent-length:" in head:
        length = int(head.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
        while len(octets) < len(head) + 4 + length:
            octets += peer.recv(65_536)
    return octets


def always(octets: bytes, stays: bool = True) -> Answering:
    """Return an `answer` that sends these octets for each request."""

    def answer(peer: socket.socket, request: bytes) -> bool:
        del request
        peer.sendall(octets)
        return stays

    return answer


@contextmanager
def raw_origin(answer: Answering) -> Iterator[RawOrigin]:
    """Run an origin in threads; `answer` writes to the socket and returns whether the connection persists."""
    origin = RawOrigin()
    listener = socket.create_server((HOST, 0), backlog=512)
    origin.port = listener.getsockname()[1]
    open_now: list[socket.socket] = []

    def serve(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            while request := read_request(peer):
                origin.requests.append(request)
                if not answer(peer, request):
                    return

    def accept() -> None:
        with suppress(OSError):
            while True:
                peer, _ = listener.accept()
                peer.settimeout(PATIENCE_S)
                origin.connections += 1
                open_now.append(peer)
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield origin
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for peer in open_now:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)


@dataclass
class RunningProxy:
    """A proxy's port and process."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        """The proxy's URL, for curl's -x."""
        return f"http://{HOST}:{self.port}"

    @property
    def most_memory_kib(self) -> int:
        """The process's peak memory."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


@contextmanager
def proxy_process(*flags: str, host: str = HOST) -> Iterator[RunningProxy]:
    """Run the proxy by its command line, on the loopback address `host`."""
    command = [sys.executable, "-m", "lab7.services.http.proxy", "--port", "0", "--listen", host, *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = process.stdout.readline() if process.stdout else ""
            assert ready.startswith(f"READY proxy {host}:"), ready
            yield RunningProxy(int(ready.rpartition(":")[2]), process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0


def curl(*arguments: str | os.PathLike[str]) -> subprocess.CompletedProcess[bytes]:
    """Run curl with a time limit."""
    return subprocess.run(["curl", "-sS", *arguments], capture_output=True, timeout=PATIENCE_S * 3, check=False)


def exchange(port: int, octets: bytes, mark: bytes) -> bytes:
    """Send octets and return the input up to `mark`."""
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        return read_until(peer, mark)


def field_values(message: bytes, name: bytes) -> list[bytes]:
    """Return the values of a message's field, in order."""
    lines = message.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    pairs = [line.split(b": ", 1) for line in lines]
    return [pair[1] for pair in pairs if pair[0].lower() == name]


def is_in_order(text: bytes, parts: Sequence[bytes]) -> bool:
    """Return whether all parts occur, in order."""
    places = [text.find(part) for part in parts]
    return -1 not in places and all(place < following for place, following in pairwise(places))


def get(origin: RawOrigin, *lines: str, path: str = "/x", method: str = "GET") -> bytes:
    """Return a request to a proxy for a resource of an origin."""
    return "\r\n".join([f"{method} {origin.base}{path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def status_of(answer: bytes) -> bytes:
    """Return Cache-Status without ttl."""
    value = field_values(answer, b"cache-status")[0]
    return b"; ".join(part for part in value.split(b"; ") if not part.startswith(b"ttl="))


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a time limit."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Gate:
    """An origin that sends a head and part of the content, and the rest on a signal."""

    def __init__(self, first: bytes, rest: bytes) -> None:
        self.first, self.rest = first, rest
        self.go = threading.Event()
        self.left = threading.Event()

    def __call__(self, peer: socket.socket, request: bytes) -> bool:
        """Answer."""
        del request
        peer.sendall(self.first)
        self.go.wait(PATIENCE_S)
        try:
            peer.sendall(self.rest)
        except OSError:
            self.left.set()
            return False
        return True


@contextmanager
def client(port: int, octets: bytes) -> Iterator[socket.socket]:
    """Return a client socket on which octets were sent."""
    with socket.create_connection((HOST, port), timeout=PATIENCE_S) as peer:
        peer.sendall(octets)
        yield peer


def leave(peer: socket.socket) -> None:
    """Close the connection as a browser does when it exits."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
