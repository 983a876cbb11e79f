"""A CDN's name server as a process, and replicas whose behaviour the test sets."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import dns.edns
import dns.message
import dns.query

from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, free_net, ready_port, start, stop

INTERVAL_S = 0.2
TIMEOUT_S = 0.5

ZONE = """$ORIGIN cdn.net.
$TTL 60
@ SOA ns host 1 1d 2h 4w 60
@ NS ns
ns A 127.0.0.1
alias CNAME www
www TXT "text"
"""
# Replicas have loopback addresses, and the networks of clients are fictional.
MAP = """name www.cdn.net
ttl 1
cover 10.8.0.0/16 127.0.0.0/8
region europe 10.8.0.0/17 127.0.0.0/8
region asia 10.8.128.0/17
replica europe {net}.1 capacity 100
replica europe {net}.2 capacity 100
replica asia {net}.3
otherwise {otherwise}
"""

# Gets a connection whose request was read, and handles it.
Play = Callable[[socket.socket], None]


def saying(octets: bytes) -> Play:
    return lambda peer: peer.sendall(octets)


def well(load: float | None = None) -> Play:
    body = b"{}" if load is None else json.dumps({"requests_under_way": load}).encode()
    return saying(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def slow(peer: socket.socket) -> None:
    """Begin a response that stalls."""
    peer.sendall(b"HTTP/1.1 200 OK\r\n")
    peer.settimeout(PATIENCE_S)
    peer.recv(1)


def endless(peer: socket.socket) -> None:
    peer.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        peer.sendall(b"x" * 65_536)


class Replica:
    """A server at one address whose behaviour changes at run time; without a behaviour it does not listen."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._listener: socket.socket | None = None
        self._play: Play = well()
        self.asked: list[bytes] = []

    def does(self, play: Play) -> None:
        self._play = play
        if self._listener is None:
            self._listener = socket.create_server(self._address)
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def goes(self) -> None:
        """Stop listening: connections are refused from now on."""
        if self._listener is not None:
            # accept() in the other thread goes on listening until it returns.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                peer = listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer,), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.settimeout(PATIENCE_S)
            octets = b""
            while b"\r\n\r\n" not in octets:
                octets += peer.recv(65_536) or b"\r\n\r\n"
            self.asked.append(octets)
            self._play(peer)


@dataclass
class CDN:
    """A running name server, its replicas by number, and its files."""

    port: int
    net: str
    folder: Path
    process: subprocess.Popen[str]
    host: str = CLIENT_HOST
    replicas: dict[int, Replica] = field(default_factory=dict)

    def events(self, kind: str) -> list[dict[str, object]]:
        lines = (self.folder / "log").read_text().splitlines()
        return [event for line in lines if (event := json.loads(line))["event"] == kind]

    def ask(self, subnet: str | None = None, name: str = "www.cdn.net") -> dns.message.Message:
        options = [] if subnet is None else [dns.edns.ECSOption.from_text(f"ECS {subnet}")]
        query = dns.message.make_query(name, "A", use_edns=0, options=options)
        return dns.query.udp(query, self.host, timeout=PATIENCE_S, port=self.port)

    def answered(self, subnet: str = "10.8.1.0/24") -> set[int]:
        """Return the last numbers of the addresses in an answer."""
        return {int(rdata.to_text().rpartition(".")[2]) for rrset in self.ask(subnet).answer for rdata in rrset}

    def comes_to(self, expected: set[int], subnet: str = "10.8.1.0/24") -> bool:
        """Query until an answer is as expected; False on timeout."""
        return eventually(lambda: self.answered(subnet) == expected)

    def hang_up(self, event: str) -> bool:
        """Send SIGHUP and wait for its log event."""
        before = len(self.events(event))
        self.process.send_signal(signal.SIGHUP)
        return eventually(lambda: len(self.events(event)) > before)


def eventually(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.02)
    return False


@contextmanager
def cdn(
    folder: Path,
    up: dict[int, Play],
    *flags: str,
    otherwise: str = "origin 127.0.0.99",
    text: str = MAP,
    is_public: bool = False,
) -> Iterator[CDN]:
    """Run the name server with those of its three replicas that are in `up`.

    A public one has an address and port to which other servers can refer.
    """
    net, port = free_net()
    (folder / "cdn.zone").write_text(ZONE)
    (folder / "regions").write_text(text.format(net=net, otherwise=otherwise))
    with ExitStack() as stack:
        replicas = {number: Replica((f"{net}.{number}", port)) for number in (1, 2, 3)}
        for number, replica in replicas.items():
            stack.callback(replica.goes)
            if number in up:
                replica.does(up[number])
        common = ["--zone", os.fspath(folder / "cdn.zone"), "--map", os.fspath(folder / "regions")]
        host = f"{net}.5" if is_public else CLIENT_HOST
        common += [
            "--listen",
            host,
            "--port",
            str(port if is_public else 0),
            "--log",
            os.fspath(folder / "log"),
            "--check-port",
            str(port),
        ]
        times = ["--interval", str(INTERVAL_S), "--timeout", str(TIMEOUT_S)]
        process = start("lab7.services.dns.cdn", *common, *times, *flags)
        stack.callback(stop, process)
        yield CDN(ready_port(process), net, folder, process, host, replicas)
