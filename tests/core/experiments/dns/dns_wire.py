"""Build captures of DNS traffic with scapy: a small Internet whose hosts each have an interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRMX, DNSRROPT, DNSRRSOA
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from lab7.experiments.dns.wire.traffic import DnsTraffic, dns_exchanges
from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.judge.frames import CaptureFile, Frame

MS = 1_000_000
START_NS = 1_800_000_000_000_000_000
ADDRESSES = {
    "client": "10.0.0.1",
    "other": "10.0.0.2",
    "local": "10.0.0.53",
    "root": "10.1.0.53",
    "com": "10.2.0.53",
    "example": "10.3.0.53",
    "provider": "10.4.0.53",
}
Section = Sequence[Any]


def a(name: str, address: str, ttl: int = 300) -> Any:
    return DNSRR(rrname=name, type="A", ttl=ttl, rdata=address)


def rr(name: str, rrtype: str, value: str, ttl: int = 300) -> Any:
    return DNSRR(rrname=name, type=rrtype, ttl=ttl, rdata=value)


def mx(name: str, preference: int, exchange: str, ttl: int = 300) -> Any:
    return DNSRRMX(rrname=name, ttl=ttl, preference=preference, exchange=exchange)


def soa(name: str) -> Any:
    return DNSRRSOA(rrname=name, ttl=60, mname="ns1." + name, rname="admin." + name, serial=7, minimum=60)


def opt(size_bytes: int = 1232) -> Any:
    return DNSRROPT(rclass=size_bytes, z=0)


@dataclass
class Asked:
    """A query that waits for its response: who asked whom what, from which port, with which id."""

    source: str
    target: str
    name: str
    qtype: str
    port: int
    id: int
    rd: int


@dataclass
class Net:
    """Everybody's captures in the making; `now_ms` is the time of the next packet.

    A packet is seen by its sender and by its receiver; hosts are named as in ADDRESSES.
    """

    frames: list[Frame] = field(default_factory=list)
    now_ms: float = 0.0
    port: int = 50000

    def after(self, milliseconds: float) -> Net:
        self.now_ms += milliseconds
        return self

    @property
    def now_ns(self) -> int:
        return START_NS + round(self.now_ms * MS)

    def add(self, source: str, target: str, transport: Any, payload: Any) -> None:
        addresses = IP(src=ADDRESSES[source], dst=ADDRESSES[target])
        ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        data = bytes(ether / addresses / transport / payload).ljust(60, b"\0")
        for host in (source, target):
            self.frames.append(Frame(len(self.frames) + 1, host, self.now_ns, data, len(data)))

    def query(
        self, source: str, target: str, name: str, qtype: str = "A", rd: int | None = None, extra: Section = ()
    ) -> Asked:
        """Send a query; recursion is desired by clients only, unless said otherwise."""
        self.port += 1
        desired = int(source in ("client", "other")) if rd is None else rd
        asked = Asked(source, target, name, qtype, self.port, self.port * 7 % 65536, desired)
        self.send(asked, extra)
        return asked

    def send(self, asked: Asked, extra: Section = ()) -> None:
        message = DNS(id=asked.id, rd=asked.rd, qd=[DNSQR(qname=asked.name, qtype=asked.qtype)], ar=list(extra))
        self.add(asked.source, asked.target, UDP(sport=asked.port, dport=53), message)

    def answer(
        self,
        asked: Asked,
        answer: Section = (),
        authority: Section = (),
        additional: Section = (),
        **flags: int,
    ) -> None:
        message = response(asked, answer, authority, additional, **flags)
        self.add(asked.target, asked.source, UDP(sport=53, dport=asked.port), message)

    def ask(
        self,
        source: str,
        target: str,
        name: str,
        qtype: str = "A",
        answer: Section = (),
        rtt_ms: float = 20,
        **how: Any,
    ) -> Asked:
        """A query and, `rtt_ms` later, its response."""
        rd = how.pop("rd", None)
        asked = self.query(source, target, name, qtype, rd)
        self.after(rtt_ms)
        self.answer(asked, answer, **how)
        return asked

    def tcp(
        self,
        source: str,
        target: str,
        name: str,
        qtype: str = "A",
        cut: Sequence[int] = (),
        gap_ms: float = 1,
        **how: Any,
    ) -> None:
        """A query and its response by TCP; the response's segments end at the octets in `cut`, `gap_ms` apart."""
        self.port += 1
        asked = Asked(source, target, name, qtype, self.port, self.port * 7 % 65536, 1)
        query = DNS(id=asked.id, rd=1, qd=[DNSQR(qname=name, qtype=qtype)])
        there = {"sport": asked.port, "dport": 53}
        back = {"sport": 53, "dport": asked.port}
        self.add(source, target, TCP(**there, seq=100, flags="S"), b"")
        self.add(target, source, TCP(**back, seq=900, ack=101, flags="SA"), b"")
        self.add(source, target, TCP(**there, seq=101, ack=901, flags="PA"), prefixed(query))
        octets = prefixed(response(asked, **how))
        edges = [0, *cut, len(octets)]
        for low, high in pairwise(edges):
            self.after(gap_ms)
            self.add(target, source, TCP(**back, seq=901 + low, ack=101, flags="PA"), octets[low:high])
        self.add(target, source, TCP(**back, seq=901 + len(octets), ack=101, flags="FA"), b"")

    def capture(self, dropped: int = 0) -> CaptureFile:
        counts = {host: InterfaceCounts(0, dropped) for host in ADDRESSES}
        return CaptureFile(tuple(self.frames), counts)

    def at(self, host: str, dropped: int = 0) -> DnsTraffic:
        return dns_exchanges(self.capture(dropped), host)


def response(
    asked: Asked, answer: Section = (), authority: Section = (), additional: Section = (), **flags: int
) -> Any:
    return DNS(
        id=asked.id,
        qr=1,
        rd=asked.rd,
        qd=[DNSQR(qname=asked.name, qtype=asked.qtype)],
        an=list(answer),
        ns=list(authority),
        ar=list(additional),
        **flags,
    )


def prefixed(message: Any) -> bytes:
    octets = bytes(message)
    return len(octets).to_bytes(2, "big") + octets
