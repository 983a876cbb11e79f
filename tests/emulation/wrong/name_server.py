"""A name server with one fault: authoritative for zones, or a local server that asks others for its clients.

    python name_server.py authoritative FAULT --listen 10.53.2.1 --port 53 example.com.=example.com.zone ...
    python name_server.py local FAULT --listen 10.53.9.53 --port 53 --root 10.53.0.1 [--forward 10.53.0.1] --cache yes

dnspython reads and writes the messages. Without its fault (`none`) each does what RFC 1034 sections 4.3.2 and 5.3.3 ask
for, as far as the experiments need it: no wildcards, one address a server, one question at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
from dns.message import Message
from dns.name import Name
from dns.rcode import Rcode
from dns.rdatatype import RdataType
from dns.rrset import RRset

UDP_SIZE_BYTES = 1232
# Longer than any path of the topology; a server that does not answer is not asked twice.
PATIENCE_S = 3.0
A, NS, CNAME, SOA = dns.rdatatype.A, dns.rdatatype.NS, dns.rdatatype.CNAME, dns.rdatatype.SOA
ADDRESS_ELSEWHERE = "10.53.4.77"
# What may be wrong, by role.
FAULTS = {
    "authoritative": """
    none wrong-address wrong-customer wrong-ptr no-name-for-addresses flattened-alias swapped-preferences
    wrong-exchange no-rotation one-address-of-three no-authority wrong-server no-tcp too-long
    needless-truncation other-text other-ttl deaf-to-reload
    """,
    "local": """
    none imagined no-cache no-countdown beyond-ttl half-ttl recursion-desired root-skipped all-asked-first
    no-recursion-offered claims-authority wrong-from-cache flattened-alias no-rotation no-tcp
    """,
}


def rrset(name: Name, ttl: int, rtype: str, *values: str) -> RRset:
    """Make a set, its values in this order."""
    return dns.rrset.from_text_list(name, ttl, "IN", rtype, list(values))


class Authoritative:
    """Answers from its zones."""

    def __init__(self, fault: str, options: argparse.Namespace) -> None:
        self.fault = fault
        self._files = [one.split("=", 1) for one in options.zones]
        self._turns: Counter[str] = Counter()
        self._zones: dict[Name, dns.zone.Zone] = {}
        self.read()

    def read(self) -> None:
        """Read the zones, as at SIGHUP."""
        if self._zones and self.fault == "deaf-to-reload":
            return
        for origin, file in self._files:
            name = dns.name.from_text(origin)
            self._zones[name] = dns.zone.from_text(Path(file).read_text(), name, relativize=False)

    async def respond(self, query: Message, reply: Message) -> None:
        """Fill in the reply."""
        question = query.question[0]
        self._answer(reply, question.name, question.rdtype)
        self._spoil(reply, question.name, question.rdtype)

    def _answer(self, reply: Message, name: Name, rtype: RdataType) -> None:
        above = [origin for origin in self._zones if name.is_subdomain(origin)]
        if not above:
            reply.set_rcode(dns.rcode.REFUSED)
            return
        origin = max(above, key=len)
        zone = self._zones[origin]
        cuts = [name.split(count)[1] for count in range(len(origin) + 1, len(name) + 1)]
        servers = next((found for cut in cuts if (found := zone.get_rrset(cut, NS)) is not None), None)
        if servers is not None:
            reply.authority.append(servers)
            glue = (zone.get_rrset(server.target, A) for server in servers)
            reply.additional += [one for one in glue if one is not None]
            return
        reply.flags |= dns.flags.AA
        found, alias = zone.get_rrset(name, rtype), zone.get_rrset(name, CNAME)
        if found is not None:
            reply.answer.append(self._turned(found))
        elif alias is not None:
            reply.answer.append(alias)
            if any(alias[0].target.is_subdomain(origin) for origin in self._zones):
                self._answer(reply, alias[0].target, rtype)
        else:
            if not any(node.is_subdomain(name) for node in zone.nodes):
                reply.set_rcode(dns.rcode.NXDOMAIN)
            soa = zone.get_rrset(origin, SOA)
            assert soa is not None
            reply.authority.append(soa)

    def _turned(self, found: RRset) -> RRset:
        """RFC 1794: a set of addresses begins with another one each time."""
        if found.rdtype != A or self.fault == "no-rotation":
            return found
        values = [one.to_text() for one in found]
        turn = self._turns[str(found.name).lower()] % len(values)
        self._turns[str(found.name).lower()] += 1
        return rrset(found.name, found.ttl, "A", *values[turn:], *values[:turn])

    def _spoil(self, reply: Message, name: Name, rtype: RdataType) -> None:
        """Put the fault into a reply that is right."""
        answer, fault = reply.answer, self.fault
        first = answer[0] if answer else None
        if fault == "no-authority":
            reply.flags &= ~dns.flags.AA
        elif fault == "needless-truncation" and first is not None and rtype == A:
            reply.flags |= dns.flags.TC
        elif first is None:
            return
        elif fault in ("wrong-address", "wrong-customer") and answer[-1].rdtype == A:
            wanted = {"wrong-address": "server1.example.com.", "wrong-customer": "www.shop.org."}[fault]
            if str(answer[-1].name).lower() == wanted:
                answer[-1] = rrset(answer[-1].name, answer[-1].ttl, "A", ADDRESS_ELSEWHERE)
        elif fault == "wrong-ptr" and first.rdtype == dns.rdatatype.PTR:
            answer[0] = rrset(name, first.ttl, "PTR", "server2.example.com.")
        elif fault == "no-name-for-addresses" and first.rdtype == dns.rdatatype.PTR:
            reply.answer = []
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif fault == "flattened-alias" and first.rdtype == CNAME and rtype == A:
            reply.answer = [rrset(name, first.ttl, "A", *(one.to_text() for one in answer[-1]))]
        elif fault in ("swapped-preferences", "wrong-exchange") and rtype == dns.rdatatype.MX:
            hosts = ("server3", "server2") if fault == "swapped-preferences" else ("server2", "server1")
            values = (f"{number}0 {host}.example.com." for number, host in enumerate(hosts, start=1))
            answer[0] = rrset(name, first.ttl, "MX", *values)
        elif fault == "one-address-of-three" and len(answer[-1]) == 3:
            answer[-1] = rrset(answer[-1].name, first.ttl, "A", answer[-1][0].to_text())
        elif fault == "wrong-server" and first.rdtype == NS:
            answer[0] = rrset(name, first.ttl, "NS", f"ns.{name}")
        elif fault == "other-text" and rtype == dns.rdatatype.TXT:
            answer[0] = rrset(name, first.ttl, "TXT", " ".join(f'"{"y" * 153}"' for _ in range(12)))
        elif fault == "other-ttl":
            for one in answer:
                one.ttl += 7


@dataclass
class Kept:
    """What a cache has of one question."""

    answer: list[RRset]
    rcode: Rcode
    stored: float
    ttl: int


class Local:
    """Asks root, top-level domain and authoritative server in turn, and remembers."""

    def __init__(self, fault: str, options: argparse.Namespace) -> None:
        self.fault = fault
        self._root, self._forward = options.root, options.forward
        self._remembers = options.cache == "yes" and fault != "no-cache"
        self._answers: dict[tuple[Name, RdataType], Kept] = {}
        self._servers: dict[Name, str] = {}
        self._turn = 0

    def read(self) -> None:
        """There is nothing to read again."""

    async def respond(self, query: Message, reply: Message) -> None:
        """Fill in the reply."""
        question = query.question[0]
        reply.flags |= dns.flags.RA
        name, seen = question.name, 0
        while True:
            found, from_cache = await self._resolve(name, question.rdtype)
            age = int(time.monotonic() - found.stored) if from_cache and self.fault != "no-countdown" else 0
            for one in found.answer:
                told = rrset(one.name, max(0, one.ttl - age), dns.rdatatype.to_text(one.rdtype), *map(str, one))
                reply.answer.append(told)
            reply.set_rcode(found.rcode)
            alias = found.answer[-1] if found.answer else None
            seen += 1
            if alias is None or alias.rdtype != CNAME or question.rdtype == CNAME or seen > 8:
                break
            name = alias[0].target
        self._spoil(reply, question.name, from_cache)

    def _spoil(self, reply: Message, name: Name, from_cache: bool) -> None:
        if self.fault == "no-recursion-offered":
            reply.flags &= ~dns.flags.RA
        elif self.fault == "claims-authority":
            reply.flags |= dns.flags.AA
        elif self.fault == "wrong-from-cache" and from_cache and reply.answer[-1].rdtype == A:
            reply.answer[-1] = rrset(reply.answer[-1].name, reply.answer[-1].ttl, "A", ADDRESS_ELSEWHERE)
        elif self.fault == "flattened-alias" and len(reply.answer) > 1:
            last = reply.answer[-1]
            reply.answer = [rrset(name, last.ttl, "A", *(one.to_text() for one in last))]
        elif self.fault == "no-rotation" and reply.answer and reply.answer[-1].rdtype == A:
            last = reply.answer[-1]
            reply.answer[-1] = rrset(last.name, last.ttl, "A", *sorted(one.to_text() for one in last))

    async def _resolve(self, name: Name, rtype: RdataType) -> tuple[Kept, bool]:
        """What is known or found of a question, and whether it was known."""
        if self.fault == "imagined":
            return Kept(self._imagine(name, rtype), dns.rcode.NOERROR, time.monotonic(), 0), False
        kept = self._answers.get((name, rtype))
        lives = {"beyond-ttl": 3.0, "half-ttl": 0.5}.get(self.fault, 1.0)
        if kept is not None and time.monotonic() - kept.stored < kept.ttl * lives:
            return kept, True
        found = await (self._ask(self._forward, name, rtype, True) if self._forward else self._descend(name, rtype))
        answer = [one for one in found.answer if self._forward or one.name == name]
        kept = Kept(answer, found.rcode(), time.monotonic(), min((one.ttl for one in answer), default=0))
        if self._remembers:
            self._answers[name, rtype] = kept
        return kept, False

    def _imagine(self, name: Name, rtype: RdataType) -> list[RRset]:
        """The right answer, which no server gave."""
        text = dns.rdatatype.to_text(rtype)
        for kind in (text, "CNAME"):
            values = TYPED_IN.get((str(name), kind), ())
            if values:
                self._turn += 1
                turn = self._turn % len(values)
                return [rrset(name, 3600, kind, *values[turn:], *values[:turn])]
        return []

    async def _descend(self, name: Name, rtype: RdataType) -> Message:
        above = [zone for zone in self._servers if name.is_subdomain(zone)] if self._remembers else []
        server = self._servers[max(above, key=len)] if above else self._root
        if self.fault == "root-skipped" and server == self._root:
            server = KNOWN_TOP.get(str(name).split(".")[-2], server)
        if self.fault == "all-asked-first":
            for one in (*KNOWN_TOP.values(), self._root):
                await self._ask(one, name, rtype, False)
        while True:
            found = await self._ask(server, name, rtype, self.fault == "recursion-desired")
            servers = next((one for one in found.authority if one.rdtype == NS), None)
            if found.answer or servers is None or found.rcode() != dns.rcode.NOERROR:
                return found
            hosts = {server.target for server in servers}
            glue = [one[0].address for one in found.additional if one.rdtype == A and one.name in hosts]
            if not glue:
                glue = [one[0].address for one in (await self._resolve(servers[0].target, A))[0].answer]
            server = glue[0]
            if self._remembers:
                self._servers[servers.name] = server

    async def _ask(self, server: str, name: Name, rtype: RdataType, recursion: bool) -> Message:
        query = dns.message.make_query(name, rtype, use_edns=0, payload=UDP_SIZE_BYTES)
        if not recursion:
            query.flags &= ~dns.flags.RD

        def ask() -> Message:
            return dns.query.udp_with_fallback(query, server, PATIENCE_S)[0]

        try:
            return await asyncio.to_thread(ask)
        except (dns.exception.DNSException, OSError, EOFError):
            failed = dns.message.make_response(query)
            failed.set_rcode(dns.rcode.SERVFAIL)
            return failed


# Where the servers of the top-level domains are, and answers, for those who need not ask.
KNOWN_TOP = {"com": "10.53.1.1", "org": "10.53.1.2", "uk": "10.53.1.3", "arpa": "10.53.1.4"}
TYPED_IN = {
    ("server1.example.com.", "A"): ("10.53.4.1",),
    ("server2.example.com.", "A"): ("10.53.4.2",),
    ("server3.example.com.", "A"): ("10.53.4.3",),
    ("pool.example.com.", "A"): ("10.53.4.1", "10.53.4.2", "10.53.4.3"),
    ("www.shop.org.", "A"): ("10.53.4.2",),
    ("www.bookshop.uk.", "A"): ("10.53.4.3",),
    ("ns.provider.org.", "A"): ("10.53.3.1",),
    ("www.example.com.", "CNAME"): ("server1.example.com.",),
    ("1.4.53.10.in-addr.arpa.", "PTR"): ("server1.example.com.",),
    ("example.com.", "MX"): ("10 server2.example.com.", "20 server3.example.com."),
    ("example.com.", "NS"): ("ns.example.com.",),
    ("shop.org.", "NS"): ("ns.provider.org.",),
    ("bookshop.uk.", "NS"): ("ns.provider.org.",),
    ("big.example.com.", "TXT"): (" ".join(f'"{number:02d} {"x" * 150}"' for number in range(12)),),
    **{(f"ttl{ttl}.example.com.", "A"): ("10.53.4.1",) for ttl in range(5)},
}
ROLES: dict[str, type[Authoritative] | type[Local]] = {"authoritative": Authoritative, "local": Local}


async def octets(server: Authoritative | Local, data: bytes, by_tcp: bool) -> bytes:
    """Return the response to the octets of a query."""
    query = dns.message.from_wire(data)
    reply = dns.message.make_response(query, our_payload=UDP_SIZE_BYTES)
    await server.respond(query, reply)
    limit = min(max(query.payload, 512), UDP_SIZE_BYTES)
    # Values in the order that they have.
    wire = reply.to_wire(max_size=65_535, want_shuffle=False)
    if by_tcp or server.fault == "too-long":
        return whole(reply) if by_tcp else wire
    if len(wire) <= limit and not reply.flags & dns.flags.TC:
        return wire
    reply.answer, reply.authority, reply.additional = [], [], []
    reply.flags |= dns.flags.TC
    return reply.to_wire()


def whole(reply: Message) -> bytes:
    """Return a reply as it goes by TCP."""
    reply.flags &= ~dns.flags.TC
    return reply.to_wire(max_size=65_535, want_shuffle=False)


class Datagrams(asyncio.DatagramProtocol):
    """The UDP socket."""

    def __init__(self, server: Authoritative | Local) -> None:
        self._server = server
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.ensure_future(self._respond(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _respond(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(await octets(self._server, data, False), addr)


async def serve(server: Authoritative | Local, address: str, port: int) -> None:
    """Listen for ever."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, server.read)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(2), "big")
                wire = await octets(server, await reader.readexactly(size), True)
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    if server.fault != "no-tcp":
        await asyncio.start_server(connected, address, port)
    await loop.create_datagram_endpoint(lambda: Datagrams(server), (address, port))
    await asyncio.Event().wait()


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("fault", choices=[fault for each in FAULTS.values() for fault in each.split()])
    parser.add_argument("zones", nargs="*")
    parser.add_argument("--listen", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=53)
    parser.add_argument("--root", default="")
    parser.add_argument("--forward", default="")
    parser.add_argument("--cache", default="yes")
    options = parser.parse_intermixed_args()
    server = ROLES[options.role](options.fault, options)
    asyncio.run(serve(server, options.listen, options.port))


if __name__ == "__main__":
    main()
