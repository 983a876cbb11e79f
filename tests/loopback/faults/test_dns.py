"""Faults of DNS servers: each violates its message rule and no other; without a fault there is none."""

from __future__ import annotations

import random
import time
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rdatatype
import pytest

from lab7.services.dns.faults import AUTHORITATIVE_FAULTS, RESOLVER_FAULTS
from tests.loopback.faults.support import HOST, PATIENCE_S, fault_flags, free_port, service, violated
from tests.loopback.recorder import Ends, Recorder

RESOLVER, PARENT, CHILD = "10.0.2.1", "10.0.3.1", "10.0.3.2"
LONG = " ".join(f'"{letter * 250}"' for letter in "abcdef")
COM = f"""$ORIGIN com.
$TTL 1h
@          SOA ns hostmaster ( 1 1d 2h 4w 5m )
           NS  ns
ns         A   {PARENT}
example    NS  ns.example
ns.example A   {CHILD}
"""
EXAMPLE = f"""$ORIGIN example.com.
$TTL 1h
@    SOA   ns hostmaster ( 1 1d 2h 4w 5m )
     NS    ns
     MX    10 mail
ns   A     {CHILD}
mail A     192.0.2.2
www  A     192.0.2.10
     A     192.0.2.11
big  TXT   {LONG}
"""
AT_PARENT = ("no-glue",)
AUTHORITATIVE_RULES = {
    "lame-no-aa": "dns-lame",
    "lame-refused": "dns-lame",
    "cname-beside-data": "dns-alias",
    "mx-to-cname": "dns-target",
    "no-glue": "dns-glue",
    "no-soa": "dns-negative",
    "unequal-ttls": "dns-rrset-ttl",
    "no-truncation": "dns-truncation",
}
RESOLVER_RULES = {"ttl-ignored": "dns-ttl", "noerror-for-nxdomain": "dns-rcode", "no-truncation": "dns-truncation"}


def test_every_fault_has_a_rule() -> None:
    assert AUTHORITATIVE_RULES.keys() == AUTHORITATIVE_FAULTS.keys()
    assert RESOLVER_RULES.keys() == RESOLVER_FAULTS.keys()


def ask(port: int, name: str, rtype: str = "A", recursive: bool = False) -> dns.message.Message:
    query = dns.message.make_query(name, rtype)
    if not recursive:
        query.flags &= ~dns.flags.RD
    return dns.query.udp(query, HOST, PATIENCE_S, port=port)


@pytest.mark.parametrize("fault", [None, *AUTHORITATIVE_RULES])
def test_a_fault_of_an_authoritative_server(fault: str | None, tmp_path: Path) -> None:
    (tmp_path / "com.zone").write_text(COM)
    (tmp_path / "example.com.zone").write_text(EXAMPLE)
    of_parent, of_child = (fault, None) if fault in AT_PARENT else (None, fault)
    parent_flags = ("--zone", str(tmp_path / "com.zone"), *fault_flags(of_parent))
    child_flags = ("--zone", str(tmp_path / "example.com.zone"), *fault_flags(of_child))
    with (
        service("dns.authoritative", *parent_flags) as parent,
        service("dns.authoritative", *child_flags) as child,
        Recorder() as recorder,
    ):
        above = recorder.udp((HOST, parent), Ends(53, RESOLVER, PARENT))
        below = recorder.udp((HOST, child), Ends(53, RESOLVER, CHILD))
        ask(above, "www.example.com")
        for name in ("www.example.com", "missing.example.com"):
            ask(below, name)
        ask(below, "big.example.com", "TXT")
        answer = ask(below, "example.com", "MX").answer
        for exchange in [str(record.exchange) for rrset in answer for record in rrset]:
            ask(below, exchange)
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({AUTHORITATIVE_RULES[fault]} if fault else set())


@pytest.mark.parametrize("fault", [None, *RESOLVER_RULES])
def test_a_fault_of_a_resolver(fault: str | None, tmp_path: Path) -> None:
    net = f"127.{random.SystemRandom().randint(16, 250)}.{random.SystemRandom().randint(1, 250)}.1"
    root = f"$TTL 1h\n@ SOA a.root.test. h. 1 1d 2h 4w 5m\n@ NS a.root.test.\na.root.test. A {net}\n"
    (tmp_path / "root.zone").write_text(f"{root}www.example.com. A 192.0.2.10\nbig.example.com. TXT {LONG}\n")
    port = free_port([net])
    with (
        service("dns.authoritative", "--zone", f".={tmp_path / 'root.zone'}") as server,
        Recorder() as recorder,
    ):
        upstream = Ends(53, RESOLVER, PARENT)
        recorder.udp((HOST, server), upstream, (net, port))
        recorder.tcp((HOST, server), upstream, (net, port))
        flags = ("--root", f"a.root.test={net}", "--upstream-port", str(port), *fault_flags(fault))
        with service("dns.resolver", *flags) as resolver:
            relay = recorder.udp((HOST, resolver), Ends(53, server=RESOLVER))
            ask(relay, "www.example.com", recursive=True)
            ask(relay, "missing.example.com", recursive=True)
            ask(relay, "big.example.com", "TXT", recursive=True)
            # TTLs have whole seconds, and both may be rounded.
            time.sleep(2.1)
            ask(relay, "www.example.com", recursive=True)
        captured = recorder.capture(tmp_path)
    assert violated(captured) == ({RESOLVER_RULES[fault]} if fault else set())
