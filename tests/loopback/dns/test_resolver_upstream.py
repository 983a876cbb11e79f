"""Upstream servers of the resolver process: IPv6, addresses that must not be queried, and slow ones behind TCP."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Message, Record
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, Play, free_net, played, resolver

WWW = "192.0.2.1"


def records(text: str) -> tuple[Record, ...]:
    return tuple(entry.record for entry in parse_master_file(text))


def ask(port: int, name: str, host: str = CLIENT_HOST) -> tuple[str, list[str]]:
    """Query for the addresses of a name; return the rcode and the addresses."""
    reply = dns.query.udp(dns.message.make_query(name, "A"), host, timeout=PATIENCE_S, port=port)
    return dns.rcode.to_text(reply.rcode()), [rdata.to_text() for rrset in reply.answer for rdata in rrset]


def delegating(address: str) -> Play:
    """Return a root server that delegates com to a server at this address."""
    rtype = "AAAA" if ":" in address else "A"

    def play(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
        reply = Message.from_wire(data).reply()
        authority, additional = records("com. 300 NS ns.com."), records(f"ns.com. 300 {rtype} {address}")
        yield 0, replace(reply, authority=authority, additional=additional).to_wire()

    return play


def answering(data: bytes, _: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
    query = Message.from_wire(data)
    answers = records(f"{query.questions[0].name} 300 A {WWW}")
    yield 0, replace(query.reply(), aa=True, answers=answers).to_wire()


def unanswered(data: bytes, client: tuple[str, int]) -> Iterable[tuple[int, bytes]]:
    """Behave as a server that answers for www only."""
    if Message.from_wire(data).questions[0].name.folded[0] == b"www":
        yield from answering(data, client)


def test_a_root_server_with_ipv6_only(tmp_path: Path) -> None:
    _, port = free_net()
    flags = ("--root", "r.test=::1", "--upstream-port", str(port))
    with played([("::1", port)], answering) as received, resolver(tmp_path, *flags) as local:
        assert ask(local.port, "www.com") == ("NOERROR", [WWW])
        assert len(received) == 1


@pytest.mark.parametrize(
    ("flags", "rcode"),
    [
        (("--ipv6",), "SERVFAIL"),
        (("--ipv6", "--may-query", "::1"), "NOERROR"),
        (("--no-ipv6", "--may-query", "::1"), "SERVFAIL"),
    ],
)
def test_a_delegation_to_a_special_ipv6_address_needs_both_flags(
    flags: tuple[str, ...], rcode: str, tmp_path: Path
) -> None:
    net, port = free_net()
    root = ("--root", f"r.test={net}.1", "--upstream-port", str(port))
    with (
        played([(f"{net}.1", port)], delegating("::1")),
        played([("::1", port)], answering) as received,
        resolver(tmp_path, *root, *flags) as local,
    ):
        assert ask(local.port, "www.com")[0] == rcode
        assert len(received) == (rcode == "NOERROR")


def test_the_resolver_does_not_query_its_own_address(tmp_path: Path) -> None:
    net, port = free_net()
    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port), "--port", str(port))
    own = f"{net}.2"
    with played([(f"{net}.1", port)], delegating(own)), resolver(tmp_path, *flags, listen=own) as local:
        assert ask(local.port, "www.com", own)[0] == "SERVFAIL"
    # The log is complete after the end.
    assert [event["qname"] for event in local.events("query")] == ["www.com."]


def test_the_resolver_that_listens_on_all_addresses_does_not_query_one_of_them(tmp_path: Path) -> None:
    net, port = free_net()
    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port), "--port", str(port))
    with resolver(tmp_path, *flags, listen="0.0.0.0") as local:
        assert ask(local.port, "www.com")[0] == "SERVFAIL"
    # The log is complete after the end.
    assert [event["qname"] for event in local.events("query")] == ["www.com."]


def test_a_cached_answer_does_not_wait_behind_a_slow_one_on_a_connection(tmp_path: Path) -> None:
    net, port = free_net()
    flags = ("--root", f"r.test={net}.1", "--upstream-port", str(port))
    with played([(f"{net}.1", port)], unanswered), resolver(tmp_path, *flags) as local:
        ask(local.port, "www.com")
        with socket.create_connection((CLIENT_HOST, local.port), timeout=PATIENCE_S) as connection:
            for name in ("slow.com", "www.com"):
                dns.query.send_tcp(connection, dns.message.make_query(name, "A"))
            replies = [dns.query.receive_tcp(connection)[0] for _ in range(2)]
    assert [str(reply.question[0].name) for reply in replies] == ["www.com.", "slow.com."]
    assert [reply.rcode() for reply in replies] == [dns.rcode.NOERROR, dns.rcode.SERVFAIL]
