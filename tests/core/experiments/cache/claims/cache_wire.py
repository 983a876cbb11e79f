"""Captures at a proxy's interface: what clients ask it, and what it asks the origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.cache.wire.legs import Legs, Span, read_legs
from tests.core.experiments.harness.wire import INTERFACE, MS, START_NS, Tcp, Wire

ONE, TWO, PROXY, ORIGIN = "10.7.0.1", "10.7.0.2", "10.7.0.100", "10.7.1.1"
FORWARD_PORT = 3128
LAN_MS, RTT_MS = 1.0, 40.0
FIRST = ("Tue, 14 Nov 2023 22:13:20 GMT", '"one"')
SECOND = ("Tue, 14 Nov 2023 22:13:21 GMT", '"two"')
Lines = Sequence[str]


@dataclass(frozen=True)
class Upstream:
    """What the proxy asks the origin, and what it gets: fields of both, status and body."""

    asks: Lines = ()
    status: int = 200
    says: Lines = ()
    body: bytes = b"old"


def validators(those: tuple[str, str]) -> list[str]:
    return [f"Last-Modified: {those[0]}", f"ETag: {those[1]}"]


def conditions(those: tuple[str, str]) -> list[str]:
    return [f"If-Modified-Since: {those[0]}", f"If-None-Match: {those[1]}"]


def fetched(body: bytes = b"old", those: tuple[str, str] = FIRST) -> Upstream:
    return Upstream((), 200, validators(those), body)


def not_modified(those: tuple[str, str] = FIRST) -> Upstream:
    return Upstream(conditions(those), 304, [f"ETag: {those[1]}"], b"")


def replaced(body: bytes = b"new", those: tuple[str, str] = SECOND) -> Upstream:
    return Upstream(conditions(FIRST), 200, validators(those), body)


@dataclass
class Campus:
    """A capture in the making; one client's exchange after the other, the origin's leg on one connection."""

    wire: Wire = field(default_factory=Wire)
    to_origin: Tcp | None = None
    ports: int = 40000

    @property
    def now_ns(self) -> int:
        return START_NS + round(self.wire.now_ms * MS)

    def ask(
        self,
        path: str = "/a",
        upstream: Upstream | None = None,
        gets: bytes = b"old",
        client: str = ONE,
        status: int = 200,
        says: Lines = (),
    ) -> Span:
        """One client asks on a connection of its own; returns when."""
        began_ns = self.now_ns
        tcp = self._connect(client, PROXY, FORWARD_PORT, LAN_MS)
        tcp.client("PA", _request(f"http://www.example.com{path}", ()))
        if upstream is not None:
            self.forward(path, upstream)
        tcp.server("PA", _response(status, says, gets))
        self.wire.after(LAN_MS)
        tcp.close()
        self.wire.after(LAN_MS)
        return began_ns, self.now_ns

    def forward(self, path: str, upstream: Upstream) -> None:
        """The proxy asks the origin."""
        if self.to_origin is None:
            self.to_origin = self._connect(PROXY, ORIGIN, 80, RTT_MS)
        self.to_origin.client("PA", _request(path, upstream.asks))
        self.wire.after(RTT_MS)
        self.to_origin.server("PA", _response(upstream.status, upstream.says, upstream.body))

    def pass_by(self, client: str = ONE) -> None:
        """A client asks the origin itself."""
        tcp = self._connect(client, ORIGIN, 80, RTT_MS)
        tcp.client("PA", _request("/a", ())).server("PA", _response(200, (), b"old")).close()

    def legs(self, folder: Path, dropped: int = 0) -> Legs:
        return read_legs(self.wire.capture(folder, dropped), INTERFACE, PROXY, (80, FORWARD_PORT))

    def _connect(self, client: str, server: str, port: int, rtt_ms: float) -> Tcp:
        self.ports += 1
        tcp = Tcp(self.wire, port=self.ports, server_port=port, client_address=client, server_address=server)
        return tcp.open(rtt_ms)


def _request(target: str, lines: Lines) -> bytes:
    return _head([f"GET {target} HTTP/1.1", "Host: www.example.com", *lines])


def _response(status: int, lines: Lines, body: bytes) -> bytes:
    # RFC 9110 section 15.4.5: a 304 has no content; what a test puts behind one is against the grammar.
    length = [] if status == 304 else [f"Content-Length: {len(body)}"]
    return _head([f"HTTP/1.1 {status} Status", *lines, *length]) + body


def _head(lines: Lines) -> bytes:
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode()
