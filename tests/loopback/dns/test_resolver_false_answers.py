"""Resolver process between a server with false answers and independent clients."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest

from lab7.services.dns.codec.client_subnet import ClientSubnet, response_subnet
from lab7.services.dns.codec.codes import Rcode
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import EDNS, Message, Record
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, Play, free_net, played, resolver

TRUE, FORGED = "192.0.2.1", "203.0.113.1"
SOA = "example.com. 300 SOA a. b. 1 1 1 1 300"


def records(text: str) -> tuple[Record, ...]:
    return tuple(entry.record for entry in parse_master_file(text))


def ask(port: int, name: str) -> tuple[str, list[str]]:
    """Query for the addresses of a name; return the rcode and the addresses."""
    reply = dns.query.udp(dns.message.make_query(name, "A"), CLIENT_HOST, timeout=PATIENCE_S, port=port)
    addresses = [rdata.to_text() for rrset in reply.answer if rrset.rdtype == 1 for rdata in rrset]
    return dns.rcode.to_text(reply.rcode()), addresses


def lying(answers: str, authority: str = "", rcode: int = Rcode.NOERROR) -> Play:
    """Return a server with false answers for r1.example.com only."""

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        query = Message.from_wire(data)
        qname = query.questions[0].name
        reply = replace(query.reply(), aa=True, answers=records(f"{qname} 300 A {TRUE}"))
        if qname.folded[0] == b"r1":
            reply = replace(reply, rcode=rcode, answers=records(answers), authority=records(authority))
        yield 0, reply.to_wire()

    return play


LIES = {
    "an address": lying(f"r1.example.com. 300 CNAME www.example.com.\nwww.example.com. 300 A {FORGED}"),
    "no name": lying("r1.example.com. 300 CNAME example.com.", SOA, Rcode.NXDOMAIN),
    "a DNAME of the whole zone": lying(
        "example.com. 300 DNAME evil.example.\nr1.example.com. 300 CNAME r1.evil.example."
    ),
    "no data": lying("r1.example.com. 300 CNAME www.example.com.", SOA),
}


@pytest.mark.parametrize("mode", ["--root", "--forward"])
@pytest.mark.parametrize("play", LIES.values(), ids=LIES.keys())
def test_records_behind_an_alias_poison_no_name(play: Play, mode: str, tmp_path: Path) -> None:
    net, port = free_net()
    server = f"r.test={net}.1" if mode == "--root" else f"{net}.1"
    with played([(f"{net}.1", port)], play), resolver(tmp_path, mode, server, "--upstream-port", str(port)) as local:
        ask(local.port, "r1.example.com")
        assert ask(local.port, "www.example.com") == ("NOERROR", [TRUE])


def test_a_revoked_domain_ends_though_its_servers_delegate_on(tmp_path: Path) -> None:
    """CVE-2022-30698."""
    net, port = free_net()
    revoked = False

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        # One address serves all zones: the root delegates evil.
        # for a second, and evil. delegates every label below for a day.
        query = Message.from_wire(data)
        qname = query.questions[0].name
        depth = depths.get(qname.folded, 0) + 1
        depths[qname.folded] = depth
        cut, reply = qname.suffix(min(depth, len(qname))), query.reply()
        if depth == 1 and revoked:
            reply = replace(reply, aa=True, rcode=Rcode.NXDOMAIN, authority=records(". 0 SOA a. b. 1 1 1 1 0"))
        elif len(cut) == len(qname):
            reply = replace(reply, aa=True, answers=records(f"{qname} 0 A {TRUE}"))
        else:
            ttl = 1 if depth == 1 else 86_400
            servers, glue = records(f"{cut} {ttl} NS ns.{cut}"), records(f"ns.{cut} {ttl} A {net}.1")
            reply = replace(reply, authority=servers, additional=glue)
        yield 0, reply.to_wire()

    depths: dict[tuple[bytes, ...], int] = {}
    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port))
    with played([(f"{net}.1", port)], play), resolver(tmp_path, *flags) as local:
        assert ask(local.port, "www.b.a.evil") == ("NOERROR", [TRUE])
        revoked = True
        time.sleep(1.1)
        assert ask(local.port, "mail.b.a.evil")[0] == "NXDOMAIN"


def test_subnets_that_clients_choose_open_one_query(tmp_path: Path) -> None:
    """CVE-2025-5994."""
    net, port = free_net()

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        query = Message.from_wire(data)
        subnet = response_subnet(query)
        assert subnet is not None
        # Long enough for all clients to ask meanwhile. Whichever asks later finds the answer, which holds for all.
        time.sleep(0.5)
        option = ClientSubnet(subnet.network, 8).to_option()
        answers = records(f"{query.questions[0].name} 300 A {TRUE}")
        yield 0, replace(query.reply(), ra=True, answers=answers, edns=EDNS(options=(option,))).to_wire()

    flags = ("--forward", f"{net}.1", "--upstream-port", str(port), "--client-subnet", "24")

    def client(number: int) -> bool:
        option = dns.edns.ECSOption(f"10.8.{number}.0", 24)
        query = dns.message.make_query("www.example.com", "A", use_edns=0, options=[option])
        reply = dns.query.udp(query, CLIENT_HOST, timeout=PATIENCE_S, port=local.port)
        return len(reply.answer) == 1

    with (
        played([(f"{net}.1", port)], play) as received,
        resolver(tmp_path, *flags) as local,
        ThreadPoolExecutor(16) as clients,
    ):
        assert all(clients.map(client, range(16)))
        assert len(received) == 1
