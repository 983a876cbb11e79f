"""Further records of the DNS topology: each in the zone of its owner, and invalid lines as one sentence."""

from __future__ import annotations

import pytest

from lab7.topologies.dns import SERVERS, DnsTopo, make_names, parse_records, parse_servers, parse_zones

LINES = """
mail.example.com. 60 MX 10 a.example.com.
shop.org. 90 TXT "one; two" three
9.9.53.10.in-addr.arpa. 5 PTR mail.example.com.
"""


def test_each_record_is_in_the_zone_of_its_owner() -> None:
    plain, plan = make_names(), make_names(further=parse_records(LINES))
    added = {origin: set(plan.records(origin)) - set(plain.records(origin)) for origin in plan.zones}
    found = {origin: {(one.owner, one.ttl, one.type, one.value) for one in some} for origin, some in added.items()}
    assert {origin: some for origin, some in found.items() if some} == {
        "example.com.": {("mail.example.com.", 60, "MX", "10 a.example.com.")},
        "shop.org.": {("shop.org.", 90, "TXT", '"one; two" three')},
        "53.10.in-addr.arpa.": {("9.9.53.10.in-addr.arpa.", 5, "PTR", "mail.example.com.")},
    }


@pytest.mark.parametrize("line", ["a.example.com. A 10.53.0.9", "a.example.com 60 A 10.53.0.9", "a.example.com. 60 A"])
def test_an_invalid_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"must be `name. TTL type value`"):
        parse_records(line)


SERVER_WORDS = "root=10.53.0.7 com=10.53.1.8"
ZONES = "coffee. com ns.coffee.\na.coffee. provider ns.a.coffee.\nb.coffee. example ns.example.com.\n"


def test_further_zones_are_delegated_to_the_addresses_of_their_servers() -> None:
    servers = parse_servers(SERVER_WORDS)
    plan = make_names(servers=servers, own_zones=parse_zones(ZONES, servers))

    def found(origin: str, kind: str) -> set[tuple[str, str]]:
        return {(one.owner, one.value) for one in plan.records(origin) if one.type == kind}

    assert {("coffee.", "ns.coffee."), ("com.", "ns.com.")} <= found(".", "NS")
    assert {("ns.coffee.", "10.53.1.8"), ("ns.com.", "10.53.1.8")} <= found(".", "A")
    assert found("coffee.", "NS") == {
        ("coffee.", "ns.coffee."), ("a.coffee.", "ns.a.coffee."), ("b.coffee.", "ns.example.com."),
    }  # fmt: skip
    # A name server of another zone needs no glue.
    assert found("coffee.", "A") == {("ns.coffee.", "10.53.1.8"), ("ns.a.coffee.", "10.53.3.1")}
    assert ("8.1.53.10.in-addr.arpa.", "ns.com.") in found("53.10.in-addr.arpa.", "PTR")


def test_the_hosts_have_the_addresses_and_serve_the_zones() -> None:
    topo = DnsTopo(servers=SERVER_WORDS, zones=ZONES)
    root, com, local = (topo.nodeInfo(host) for host in ("root", "com", "local"))
    assert (root["ip"], com["ip"]) == ("10.53.0.7/16", "10.53.1.8/16")
    assert "--root a.root-servers.net.=10.53.0.7" in local["serves"]
    assert "coffee.zone" in com["files"]
    assert "a.coffee.zone" in topo.nodeInfo("provider")["files"]
    assert parse_servers("") == SERVERS


@pytest.mark.parametrize(
    "words", ["com", "com=x", "web1=10.53.0.7", "com=10.54.0.1", "com=10.53.9.1", "com=10.53.0.1", "com=10.53.4.1"]
)
def test_an_invalid_address_is_named(words: str) -> None:
    with pytest.raises(ValueError, match=r"^servers: .*(must be a name server|the same address)"):
        parse_servers(words)


@pytest.mark.parametrize("line", ["coffee. com", "coffee com ns.coffee.", "coffee. web1 ns.coffee.", "org. com ns.x."])
def test_an_invalid_zone_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"^zones: .*(must be `origin\. host name\.`|is a zone already)"):
        parse_zones(line, SERVERS)
