"""Captures of both ends of a path, packet by packet: each at its sender and, after a delay, at its receiver."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from tests.core.experiments.harness.wire import CLIENT, INTERFACE, MS, SERVER, START_NS, Tcp, Wire, request, response

CLIENT_AT, SERVER_AT = INTERFACE, "server:server-eth0"
DELAY_MS = 10.0


@dataclass
class Path2(Wire):
    """A path of one router between client and server, captured at both ends.

    `lose` makes the next packet get lost; `delay_ms` is the one-way delay of the next packets.
    """

    interfaces: tuple[str, ...] = (CLIENT_AT, SERVER_AT)
    delay_ms: float = DELAY_MS
    client_address: str = CLIENT
    lose: bool = False
    seen: list[tuple[int, int, bytes]] = field(default_factory=list)

    def add(self, packet: object) -> None:
        data = bytes(packet)  # type: ignore[call-overload]
        frame = Ether(data)
        network = frame[IPv6] if IPv6 in frame else frame[IP]
        sender = 0 if network.src == self.client_address else 1
        sent_ns = START_NS + round(self.now_ms * MS)
        self.seen.append((sent_ns, sender, data))
        if self.lose:
            self.lose = False
            return
        self.seen.append((sent_ns + round(self.delay_ms * MS), 1 - sender, routed(data)))

    def capture(self, folder: Path, dropped: int = 0) -> CaptureFile:
        if dropped:
            raise NotImplementedError("drops are counted in captures of one interface")
        return read_capture(self.write(folder / "capture.pcapng"))

    def write(self, path: Path) -> Path:
        """Write the packets in the order of time, as far as their interfaces were captured; return the path."""
        with path.open("wb") as stream:
            writer = PcapngWriter(stream, list(self.interfaces))
            for time_ns, place, data in sorted(self.seen, key=lambda one: one[0]):
                if place < len(self.interfaces):
                    writer.packet(place, time_ns, data)
        return path


def routed(data: bytes) -> bytes:
    """Return a frame behind a router: other MAC addresses, time to live one less, checksum computed again."""
    frame = copy.deepcopy(Ether(data))
    frame.src, frame.dst = "02:00:00:00:00:03", "02:00:00:00:00:04"
    if IPv6 in frame:
        frame[IPv6].hlim -= 1
    else:
        frame[IP].ttl -= 1
        del frame[IP].chksum
    return bytes(frame).ljust(60, b"\0")


def datagram(payload: bytes, source: str = CLIENT, target: str = SERVER, ports: tuple[int, int] = (5353, 53)) -> bytes:
    """Return an Ethernet frame with an IPv4 UDP datagram."""
    frame = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src=source, dst=target)
    return bytes(frame / UDP(sport=ports[0], dport=ports[1]) / payload)


def transcript(wire: Wire, port: int, lines: str, *, closed: bool = True, **options: object) -> Tcp:
    """Add a connection of a line protocol: `C: ...` and `S: ...` lines, each a segment that the other end acknowledges.

    Lines without a mark continue the segment of the line before.
    """
    connection = Tcp(wire, server_port=port, **options).open(2 * DELAY_MS)  # type: ignore[arg-type]
    wire.after(DELAY_MS)
    turns: list[tuple[str, str]] = []
    for line in lines.strip().splitlines():
        side, _, text = line.strip().partition(": ")
        if side in ("C", "S"):
            turns.append((side, text + "\r\n"))
        else:
            turns[-1] = (turns[-1][0], turns[-1][1] + line.strip() + "\r\n")
    for side, text in turns:
        (connection.client if side == "C" else connection.server)("PA", text.encode())
        wire.after(DELAY_MS)
        (connection.server if side == "C" else connection.client)("A")
        wire.after(DELAY_MS)
    if closed:
        connection.close()
        wire.after(DELAY_MS)
    return connection


def page_load(wire: Wire, targets: tuple[str, ...] = ("/",), body: bytes = b"x" * 4000, **options: object) -> Tcp:
    """Add an HTTP/1.1 connection with these requests in turn, each response in segments of 1,460 octets."""
    connection = Tcp(wire, **options).open(2 * DELAY_MS)  # type: ignore[arg-type]
    for target in targets:
        connection.client("PA", request(target, "1.1"))
        wire.after(2 * DELAY_MS)
        octets = response(body, "1.1")
        for start in range(0, len(octets), 1460):
            connection.server("A", octets[start : start + 1460])
            wire.after(1)
        connection.client("A")
        wire.after(2 * DELAY_MS)
    connection.close()
    return connection
