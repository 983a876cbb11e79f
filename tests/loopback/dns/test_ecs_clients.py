"""Resolver with client subnets, between the CDN's name server and clients of several networks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest

from tests.loopback.dns.authority import dig
from tests.loopback.dns.internet import CLIENT_HOST, PATIENCE_S, SOA, Resolver, ready_port, resolver, start, stop
from tests.loopback.dns.replicas import CDN, cdn, eventually, well

# Loopback addresses stand for clients of two regions; the resolver, at 127.0.0.1, is in neither.
MAP = """name www.cdn.net
ttl 2
cover 127.77.0.0/16
region europe 127.77.0.0/17
region asia 127.77.128.0/17
replica europe {net}.1
replica europe {net}.2
replica asia {net}.3
default asia
otherwise {otherwise}
"""
EUROPE, EUROPE_TOO, ASIA = "127.77.1.1", "127.77.9.9", "127.77.200.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CDN]:
    """Run the CDN's name server with a root, a top-level domain and a customer's server."""
    folder = tmp_path_factory.mktemp("ecs")
    with ExitStack() as stack:
        one = stack.enter_context(cdn(folder, {1: well(), 2: well(), 3: well()}, text=MAP, is_public=True))
        zones = {
            6: (".", f"@ NS a.root.test.\na.root.test. A {one.net}.6\nnet. NS b.test.\nb.test. A {one.net}.7\n"),
            7: ("net.", f"@ NS b.test.\ncdn NS ns.cdn\nns.cdn A {one.net}.5\nown NS ns.own\nns.own A {one.net}.8\n"),
            8: ("own.net.", f"@ NS ns\nns A {one.net}.8\nwww CNAME www.cdn.net.\nplain A 192.0.2.1\n"),
        }
        for number, (origin, text) in zones.items():
            file = folder / f"zone{number}"
            file.write_text(f"$ORIGIN {origin}\n{SOA}{text}")
            flags = ["--zone", os.fspath(file), "--listen", f"{one.net}.{number}", "--port", str(one.port)]
            process = start("lab7.services.dns.authoritative", *flags)
            stack.callback(stop, process)
            ready_port(process)
        yield one


@pytest.fixture
def local(server: CDN) -> Iterator[Resolver]:
    with resolver(server.folder, *flags_of(server), "--client-subnet", "24") as one:
        yield one


def flags_of(server: CDN) -> list[str]:
    return ["--root", f"a.root.test={server.net}.6", "--upstream-port", str(server.port)]


def ask(port: int, client: str, name: str = "www.own.net", rtype: str = "A") -> set[str]:
    """Query from a client's address; return the last numbers of the addresses in the answer."""
    query = dns.message.make_query(name, rtype)
    reply = dns.query.udp(query, CLIENT_HOST, timeout=PATIENCE_S, port=port, source=client)
    assert list(reply.options) == []
    return {rdata.to_text().rpartition(".")[2] for rrset in reply.answer if rrset.rdtype == 1 for rdata in rrset}


def client_subnets(local: Resolver) -> list[tuple[str, object, object]]:
    """Return the last octet of each server queried, the client subnet sent, and the scope of its response."""
    return [
        (str(event["server"]).rpartition(".")[2], event.get("subnet"), event.get("scope"))
        for event in local.events("upstream")
    ]


def test_clients_get_the_replicas_of_their_regions(local: Resolver) -> None:
    assert ask(local.port, EUROPE) == {"1", "2"}
    assert client_subnets(local) == [
        ("6", None, None),
        ("7", None, None),
        # A server below a top-level domain gets the option once; this one does not support it.
        ("8", "127.77.1.0/24", None),
        ("7", None, None),
        ("5", "127.77.1.0/24", 17),
    ]
    assert ask(local.port, ASIA) == {"3"}
    # The alias and the delegations are cached.
    assert client_subnets(local)[5:] == [("5", "127.77.200.0/24", 17)]


def test_clients_within_a_cached_scope_cost_no_query(local: Resolver) -> None:
    def both() -> bool:
        assert ask(local.port, EUROPE) == {"1", "2"}
        before = len(client_subnets(local))
        assert ask(local.port, EUROPE_TOO) == {"1", "2"}
        return len(client_subnets(local)) == before

    # On a machine that stalls for longer than the TTL it takes one more try.
    assert eventually(both)


def test_without_the_flag_all_clients_are_where_the_resolver_is(server: CDN) -> None:
    with resolver(server.folder, *flags_of(server)) as plain:
        assert [ask(plain.port, client) for client in (EUROPE, ASIA)] == [{"3"}, {"3"}]
        assert {subnet for _, subnet, _ in client_subnets(plain)} == {None}
        output = dig(plain.port, "www.own.net", "+subnet=127.77.1.0/24")
        assert "status: NOERROR" in output
        assert "CLIENT-SUBNET" not in output


@pytest.mark.parametrize(
    ("subnet", "expected", "echoed", "upstream"),
    [
        ("127.77.1.0/24", {"1", "2"}, "127.77.1.0/24/17", "127.77.1.0/24"),
        ("127.77.1.77/32", {"1", "2"}, "127.77.1.77/32/17", "127.77.1.0/24"),
        ("127.77.0.0/16", {"1", "2"}, "127.77.0.0/16/17", "127.77.0.0/16"),
        ("127.77.200.0/24", {"3"}, "127.77.200.0/24/17", "127.77.200.0/24"),
        # No bit of the client's address; the resolver's address is in the default region.
        ("0.0.0.0/0", {"3"}, "0.0.0.0/0/0", "0.0.0.0/0"),
        ("0", {"3"}, "0.0.0.0/0/0", "0.0.0.0/0"),
    ],
)
def test_a_clients_own_subnet_is_passed_on_cut_to_the_bound(
    local: Resolver, subnet: str, expected: set[str], echoed: str, upstream: str
) -> None:
    output = dig(local.port, "www.own.net", f"+subnet={subnet}", "-b", EUROPE)
    assert set(re.findall(r"\sA\s+127[.\d]+\.(\d+)", output)) == expected
    assert re.findall(r"CLIENT-SUBNET: (\S+)", output) == [echoed]
    assert {one for _, one, _ in client_subnets(local)} == {None, upstream}


def test_no_bits_and_the_resolvers_own_answer_are_apart(local: Resolver) -> None:
    assert "CLIENT-SUBNET: 0.0.0.0/0/0" in dig(local.port, "www.own.net", "+subnet=0", "-b", EUROPE)
    assert ask(local.port, EUROPE) == {"1", "2"}


def test_an_option_of_a_wrong_form_is_formerr(local: Resolver) -> None:
    option = dns.edns.GenericOption(dns.edns.OptionType.ECS, bytes.fromhex("00011800 0a0801ff"))
    query = dns.message.make_query("www.own.net", "A", use_edns=0, options=[option])
    reply = dns.query.udp(query, CLIENT_HOST, timeout=PATIENCE_S, port=local.port)
    assert (dns.rcode.to_text(reply.rcode()), list(reply.answer)) == ("FORMERR", [])
    assert local.events("upstream") == []


def test_many_clients_at_once_get_their_own(local: Resolver) -> None:
    for number in range(0, 256, 16):
        expected = {"1", "2"} if number < 128 else {"3"}
        assert ask(local.port, f"127.77.{number}.1", "www.cdn.net") == expected


def test_a_forwarder_sends_the_option_too(local: Resolver, tmp_path: Path) -> None:
    forward = ["--forward", CLIENT_HOST, "--upstream-port", str(local.port), "--client-subnet", "20,48"]
    with resolver(tmp_path, *forward) as front:
        assert ask(front.port, EUROPE) == {"1", "2"}
        assert ask(front.port, ASIA) == {"3"}
        assert client_subnets(front) == [("1", "127.77.0.0/20", 17), ("1", "127.77.192.0/20", 17)]
        assert ("5", "127.77.0.0/20", 17) in client_subnets(local)


@pytest.mark.parametrize("text", ["0", "33", "24,0", "24,129", "24,56,1", "a", "", "-1", "24,"])
def test_a_number_of_bits_that_is_none(text: str) -> None:
    with start("lab7.services.dns.resolver", "--client-subnet", text) as process:
        assert process.wait(PATIENCE_S) == 2
