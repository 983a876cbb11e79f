"""A relay between clients and servers on loopback that records their octets, and builds a capture of them.

with Recorder() as recorder:
    port = recorder.tcp(("127.0.0.1", server_port), wire_port=80)
    ... a client connects to 127.0.0.1 and this port ...
captured = recorder.capture(folder)

No right to capture is needed: each octet string that was received from one side is one segment or datagram of the
capture, at the time of its receipt, between addresses and ports of choice.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.harness.judge.frames import CaptureFile
from tests.core.experiments.harness.wire import CLIENT, SERVER, Tcp, Wire

Address = tuple[str, int]
HOST = "127.0.0.1"
CONNECT_S = 10.0
# An ephemeral port of a client in the capture; each connection has its own.
FIRST_PORT = 40_001
# Less than the largest IP packet, which one segment of the capture is.
RECEIVE_OCTETS = 32_768


@dataclass(frozen=True)
class Ends:
    """The two ends of a relay as the capture shows them."""

    server_port: int
    client: str = CLIENT
    server: str = SERVER


@dataclass(frozen=True)
class Event:
    """What was received from a side of connection (or exchange) `number`: octets, or "open", "end", "reset"."""

    time_s: float
    number: int
    ends: Ends
    from_server: bool
    what: str
    octets: bytes = b""


@dataclass
class Recorder:
    """Relays, and the events of all of them."""

    events: list[Event] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: int = 0
    _closed: bool = False

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        for one in self._sockets:
            if one.type == socket.SOCK_STREAM:
                # Ends a recv() of another thread.
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        for thread in self._threads:
            thread.join(CONNECT_S)
        for one in self._sockets:
            one.close()

    def tcp(self, target: Address, ends: Ends, listen: Address = (HOST, 0)) -> int:
        """Relay TCP connections to a server; return the port to connect to."""
        listener = socket.create_server(listen)
        self._sockets.append(listener)
        self._start(lambda: self._accept(listener, target, ends))
        return int(listener.getsockname()[1])

    def udp(self, target: Address, ends: Ends, listen: Address = (HOST, 0)) -> int:
        """Relay datagrams to a server, and its responses back; return the port to send to."""
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(listen)
        self._sockets.append(receiver)
        self._start(lambda: self._datagrams(receiver, target, ends))
        return int(receiver.getsockname()[1])

    def capture(self, folder: Path) -> CaptureFile:
        """Return the capture of all events so far; written to `folder`."""
        wire, opened = Wire(), dict[int, Tcp]()
        with self._lock:
            events = sorted(self.events, key=lambda event: event.time_s)
        for event in events:
            wire.now_ms = max(wire.now_ms + 0.001, (event.time_s - events[0].time_s) * 1e3)
            if event.what == "datagram":
                _datagram(wire, event)
                continue
            if event.what == "open":
                opened[event.number] = Tcp(
                    wire,
                    port=FIRST_PORT + event.number,
                    server_port=event.ends.server_port,
                    client_address=event.ends.client,
                    server_address=event.ends.server,
                ).open(0.01)
                continue
            side = opened[event.number].server if event.from_server else opened[event.number].client
            side({"octets": "PA", "end": "FA", "reset": "RA"}[event.what], event.octets)
        return wire.capture(folder)

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _note(self, number: int, ends: Ends, from_server: bool, what: str, octets: bytes = b"") -> None:
        with self._lock:
            self.events.append(Event(time.monotonic(), number, ends, from_server, what, octets))

    def _next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count

    def _accept(self, listener: socket.socket, target: Address, ends: Ends) -> None:
        while not self._closed:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(target, CONNECT_S)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            self._sockets += [client, server]
            number = self._next()
            self._note(number, ends, False, "open")
            for source, sink, from_server in ((client, server, False), (server, client, True)):
                self._start(partial(self._pump, source, sink, number, ends, from_server))

    def _pump(self, source: socket.socket, sink: socket.socket, number: int, ends: Ends, from_server: bool) -> None:
        while True:
            try:
                octets = source.recv(RECEIVE_OCTETS)
            except OSError:
                self._note(number, ends, from_server, "reset")
                octets = b""
            else:
                self._note(number, ends, from_server, "octets" if octets else "end", octets)
            try:
                if octets:
                    sink.sendall(octets)
                    continue
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return

    def _datagrams(self, receiver: socket.socket, target: Address, ends: Ends) -> None:
        """Relay datagrams; each client has a socket of its own to the server, so that responses find their way."""
        selector = selectors.DefaultSelector()
        selector.register(receiver, selectors.EVENT_READ)
        by_client: dict[Address, tuple[socket.socket, int]] = {}
        clients: dict[socket.socket, Address] = {}
        while not self._closed:
            for key, _ in selector.select(0.05):
                one = key.fileobj
                assert isinstance(one, socket.socket)
                try:
                    octets, peer = one.recvfrom(65_535)
                except OSError:
                    return
                if one is receiver:
                    if peer not in by_client:
                        upstream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                        upstream.connect(target)
                        by_client[peer], clients[upstream] = (upstream, self._next()), peer
                        self._sockets.append(upstream)
                        selector.register(upstream, selectors.EVENT_READ)
                    self._note(by_client[peer][1], ends, False, "datagram", octets)
                    by_client[peer][0].send(octets)
                else:
                    self._note(by_client[clients[one]][1], ends, True, "datagram", octets)
                    receiver.sendto(octets, clients[one])


def _datagram(wire: Wire, event: Event) -> None:
    client, server = (event.ends.client, FIRST_PORT + event.number), (event.ends.server, event.ends.server_port)
    source, target = (server, client) if event.from_server else (client, server)
    ports = UDP(sport=source[1], dport=target[1])
    wire.add(Ether() / IP(src=source[0], dst=target[0]) / ports / event.octets)
