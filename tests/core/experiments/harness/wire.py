"""Captures built packet by packet, as seen at an interface of the client."""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.harness.capture.pcapng import PcapngWriter
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture

INTERFACE = "client:client-eth0"
CLIENT, SERVER = "10.0.1.1", "10.0.2.1"
MS = 1_000_000
ETHERNET = bytes.fromhex("020000000002 020000000001 0800")
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}
WINDOW = 8192
START_NS = 1_800_000_000_000_000_000


@dataclass
class Wire:
    """A capture under construction; `now_ms` is the time of the next packet."""

    packets: list[tuple[int, bytes]] = field(default_factory=list)
    now_ms: float = 0.0

    def add(self, packet: object) -> None:
        self.packets.append((START_NS + round(self.now_ms * MS), bytes(packet)))  # type: ignore[call-overload]

    def after(self, milliseconds: float) -> Wire:
        self.now_ms += milliseconds
        return self

    def capture(self, folder: Path, dropped: int = 0) -> CaptureFile:
        return capture_of({INTERFACE: self.packets}, folder, dropped)


def capture_of(packets: Mapping[str, Sequence[tuple[int, bytes]]], folder: Path, dropped: int = 0) -> CaptureFile:
    """Return the capture of packets, each with its time in ns, by interface."""
    path, names = folder / "capture.pcapng", list(packets)
    tagged = [(time_ns, names.index(name), data) for name, some in packets.items() for time_ns, data in some]
    with path.open("wb") as stream:
        writer = PcapngWriter(stream, names)
        for time_ns, number, data in sorted(tagged, key=lambda one: one[0]):
            writer.packet(number, time_ns, data)
        for number, name in enumerate(names):
            writer.statistics(number, received=len(packets[name]) + dropped, dropped=dropped)
    return read_capture(path)


@dataclass
class Tcp:
    """One connection on a wire: each method appends a packet at the wire's current time."""

    wire: Wire
    port: int = 40000
    server_port: int = 80
    isn: int = 0xFFFFFFF0  # the sequence numbers wrap within the first request
    server_isn: int = 5000
    client_address: str = CLIENT
    server_address: str = SERVER
    sent: int = 1
    received: int = 1

    def client(self, flags: str, payload: bytes = b"") -> Tcp:
        seq = self.isn if "S" in flags else self.isn + self.sent
        ack = self.server_isn + self.received
        self._add(self.client_address, self.server_address, self.port, self.server_port, seq, ack, flags, payload)
        self.sent += len(payload) + ("F" in flags)
        return self

    def server(self, flags: str, payload: bytes = b"") -> Tcp:
        seq = self.server_isn if "S" in flags else self.server_isn + self.received
        ack = self.isn + self.sent
        self._add(self.server_address, self.client_address, self.server_port, self.port, seq, ack, flags, payload)
        self.received += len(payload) + ("F" in flags)
        return self

    def open(self, rtt_ms: float = 40.0) -> Tcp:
        self.client("S")
        self.wire.after(rtt_ms)
        self.server("SA")
        self.client("A")
        return self

    def close(self) -> Tcp:
        self.server("FA")
        self.wire.after(0.1)
        return self.client("FA")

    def _add(self, src: str, dst: str, sport: int, dport: int, seq: int, ack: int, flags: str, payload: bytes) -> None:
        numbers = seq % 2**32, ack % 2**32, 5 << 4, sum(FLAGS[one] for one in flags), WINDOW
        tcp = struct.pack(">HHIIBBHHH", sport, dport, *numbers, 0, 0)
        addresses = socket.inet_aton(src) + socket.inet_aton(dst)
        pseudo = addresses + struct.pack(">BBH", 0, 6, len(tcp) + len(payload))
        tcp = tcp[:16] + checksum(pseudo + tcp + payload) + tcp[18:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 40 + len(payload), 1, 0, 64, 6, 0) + addresses
        frame = ETHERNET + ip[:10] + checksum(ip) + ip[12:] + tcp + payload
        # Short frames are padded on a real Ethernet; the padding is not payload.
        self.wire.add(frame.ljust(60, b"\0"))


def checksum(octets: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071), which scapy would take most of a test's time for."""
    total = sum(struct.unpack(f">{(len(octets) + 1) // 2}H", octets + b"\0" * (len(octets) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def request(target: str, version: str = "1.0") -> bytes:
    return f"GET {target} HTTP/{version}\r\nHost: www.example.com\r\n\r\n".encode()


def response(body: bytes = b"hello", version: str = "1.0", date: str = "Thu, 01 Jan 2030 00:00:00 GMT") -> bytes:
    head = f"HTTP/{version} 200 OK\r\nDate: {date}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
