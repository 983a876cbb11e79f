"""Request-routing handler: answers by region, their scopes, and errors."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import ClientSubnet
from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.message import EDNS, Message, Option, Question
from lab7.services.dns.codec.name import Name
from lab7.services.dns.server.responder import Client
from lab7.services.dns.steering.handler import SteeringHandler, add_names
from lab7.services.dns.steering.region_map import RegionMapError, parse_region_map
from lab7.services.dns.zones.handler import Authority
from lab7.services.dns.zones.zone import Zones
from tests.core.services.dns.recursion.simulated_internet import zone
from tests.core.services.dns.steering.cdn_maps import MAP, addresses_in, placed, region_maps

ZONE = """@ NS ns
ns A 10.9.0.53
alias CNAME www
twice CNAME alias
away CNAME www.example.com.
deep TXT "text"
child NS ns
"""
UP = {"10.8.1.10": 1.0, "10.8.1.11": 2.0, "10.8.128.10": None, "10.8.192.10": None}
IN_EUROPE, IN_ASIA, OUTSIDE = "10.8.1.53", "10.8.130.53", "192.0.2.53"
Noted = list[dict[str, object]]


class Server:
    """A handler with some replicas up."""

    def __init__(self, up: dict[str, float | None] = UP, text: str = MAP, zone_text: str = ZONE) -> None:
        regions = parse_region_map(text)
        zones = Zones([zone("cdn.net", zone_text)])
        add_names(zones, regions)
        self.noted: Noted = []
        self.handler = SteeringHandler(Authority(zones), regions, placed(regions, up)[0], self.noted.append)

    def ask(
        self,
        client: str = IN_EUROPE,
        subnet: str | bytes | None = None,
        name: str = "www.cdn.net.",
        rtype: int = RRType.A,
        rclass: int = RRClass.IN,
    ) -> Message:
        """Query with a client subnet given as text or octets."""
        options: tuple[Option, ...] = ()
        if isinstance(subnet, bytes):
            options = (Option(8, subnet),)
        elif subnet is not None:
            options = (ClientSubnet(network(subnet)).to_option(),)
        query = Message(id=7, questions=(Question(Name.from_text(name), rtype, rclass),), edns=EDNS(options=options))
        return self.handler(query, Client(client, 5000))


def network(text: str) -> Network:
    return ip_network(text)


def addresses(reply: Message) -> list[str]:
    return [record.rdata.to_text() for record in reply.answers]


def option(reply: Message) -> ClientSubnet | None:
    found = [] if reply.edns is None else [one for one in reply.edns.options if one.code == 8]
    assert len(found) <= 1
    return ClientSubnet.from_option(found[0]) if found else None


EUROPE, ASIA = ["10.8.1.10", "10.8.1.11"], ["10.8.128.10"]


@pytest.mark.parametrize(
    ("client", "subnet", "expected", "scope"),
    [
        (IN_EUROPE, None, EUROPE, None),
        (IN_ASIA, None, ASIA, None),
        ("::ffff:10.8.130.53", None, ASIA, None),
        # The default region.
        (OUTSIDE, None, ASIA, None),
        ("2001:db8::1", None, ASIA, None),
        ("fe80::1%eth0", None, ASIA, None),
        # The option decides, whatever the source address.
        (IN_EUROPE, "10.8.130.0/24", ASIA, 18),
        (IN_ASIA, "10.8.1.0/24", EUROPE, 17),
        (IN_ASIA, "10.8.1.7/32", EUROPE, 17),
        # RFC 7871 section 7.2.1: a longer scope asks for a longer prefix.
        (IN_ASIA, "10.8.0.0/16", EUROPE, 17),
        # Prefix length 0: the source address decides, and the scope is 0.
        (IN_EUROPE, "0.0.0.0/0", EUROPE, 0),
        (IN_EUROPE, "::/0", EUROPE, 0),
        # Outside of the cover: the largest network that does not overlap it.
        (IN_EUROPE, "10.9.0.0/24", ASIA, 16),
        (IN_EUROPE, "192.0.2.0/24", ASIA, 1),
        (IN_EUROPE, "2001:db8::/32", ASIA, 0),
    ],
)
def test_answers_by_client_network(client: str, subnet: str | None, expected: list[str], scope: int | None) -> None:
    reply = Server().ask(client, subnet)
    assert (reply.rcode, reply.aa, addresses(reply)) == (Rcode.NOERROR, True, expected)
    assert {record.ttl for record in reply.answers} == {2}
    answered = option(reply)
    if subnet is None or answered is None:
        assert (answered, scope) == (None, None)
    else:
        # RFC 7871 section 7.2.1: family, source and address are the query's.
        assert answered.network == network(subnet)
        assert answered.scope_prefix == scope


def test_the_family_of_no_bits_may_be_none() -> None:
    """dig +subnet=0 sends family 0."""
    reply = Server().ask(IN_ASIA, bytes(4))
    assert addresses(reply) == ASIA
    assert reply.edns is not None
    assert reply.edns.options == (Option(8, bytes(4)),)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0\1\x18",
        bytes.fromhex("0001 18 00 0a08"),
        bytes.fromhex("0001 18 00 0a080100"),
        bytes.fromhex("0001 17 00 0a0801"),
        bytes.fromhex("0001 21 00 0a08010101"),
        bytes.fromhex("0003 08 00 0a"),
        bytes.fromhex("0000 08 00 0a"),
        bytes.fromhex("0000 00 00 0a"),
        bytes.fromhex("0001 18 18 0a0801"),
    ],
    ids=["empty", "cut", "few", "many", "beyond", "long", "family", "family 0", "octet", "scope"],
)
@pytest.mark.parametrize("name", ["www.cdn.net.", "ns.cdn.net.", "nobody.example."])
def test_an_option_of_a_wrong_form_is_formerr(octets: bytes, name: str) -> None:
    reply = Server().ask(subnet=octets, name=name)
    assert (reply.rcode, reply.answers, reply.authority) == (Rcode.FORMERR, (), ())
    assert option(reply) is None


def test_two_options_are_formerr() -> None:
    server = Server()
    twice = (ClientSubnet(network("10.8.1.0/24")).to_option(),) * 2
    query = Message(questions=(Question(Name.from_text("www.cdn.net."), RRType.A),), edns=EDNS(options=twice))
    assert server.handler(query, Client(IN_EUROPE, 5000)).rcode == Rcode.FORMERR


def test_a_query_without_edns_gets_none() -> None:
    query = Message(questions=(Question(Name.from_text("www.cdn.net."), RRType.A),))
    reply = Server().handler(query, Client(IN_ASIA, 5000))
    assert (reply.edns, addresses(reply)) == (None, ASIA)


@pytest.mark.parametrize(
    ("name", "rtype", "rcode", "answers", "authority"),
    [
        ("www.cdn.net.", RRType.TXT, Rcode.NOERROR, [], [RRType.SOA]),
        ("www.cdn.net.", RRType.AAAA, Rcode.NOERROR, [], [RRType.SOA]),
        ("no.cdn.net.", RRType.A, Rcode.NXDOMAIN, [], [RRType.SOA]),
        ("no.www.cdn.net.", RRType.A, Rcode.NXDOMAIN, [], [RRType.SOA]),
        ("ns.cdn.net.", RRType.A, Rcode.NOERROR, ["10.9.0.53"], []),
        ("alias.cdn.net.", RRType.A, Rcode.NOERROR, ["www.cdn.net."], []),
        ("twice.cdn.net.", RRType.A, Rcode.NOERROR, ["alias.cdn.net.", "www.cdn.net."], []),
        ("alias.cdn.net.", RRType.CNAME, Rcode.NOERROR, ["www.cdn.net."], []),
        ("away.cdn.net.", RRType.A, Rcode.NOERROR, ["www.example.com."], []),
        ("www.example.com.", RRType.A, Rcode.REFUSED, [], []),
        ("www.cdn.net.", RRType.AXFR, Rcode.REFUSED, [], []),
    ],
)
def test_other_names_are_answered_from_the_zone_with_scope_0(
    name: str, rtype: int, rcode: int, answers: list[str], authority: list[int]
) -> None:
    server = Server()
    reply = server.ask(subnet="10.8.1.0/24", name=name, rtype=rtype)
    assert (reply.rcode, addresses(reply)) == (rcode, answers)
    assert [record.rtype for record in reply.authority] == authority
    answered = option(reply)
    assert answered is not None
    assert (answered.network, answered.scope_prefix) == (network("10.8.1.0/24"), 0)
    assert server.noted == []


def test_any_gets_the_addresses_and_the_zones_rrsets() -> None:
    server = Server(zone_text=ZONE + 'www TXT "hello"\n')
    assert addresses(server.ask(rtype=RRType.ANY)) == ['"hello"', *EUROPE]
    assert server.ask(rclass=RRClass.CH).rcode == Rcode.REFUSED


def test_families() -> None:
    text = MAP.replace("10.8.192.10", "2001:db8::10").replace("origin   10.9.0.1", "origin 10.9.0.1 2001:db8::9")
    server = Server({"10.8.1.10": None, "2001:db8::10": None}, text)
    assert addresses(server.ask(rtype=RRType.AAAA)) == ["2001:db8::10"]
    assert addresses(server.ask(rtype=RRType.ANY)) == ["10.8.1.10", "2001:db8::10"]
    assert addresses(Server({"10.8.1.10": None}, text).ask(rtype=RRType.AAAA)) == ["2001:db8::9"]


def test_with_no_replica_up_the_origin_is_named() -> None:
    server = Server({})
    reply = server.ask(subnet="10.8.1.0/24")
    assert (reply.rcode, addresses(reply)) == (Rcode.NOERROR, ["10.9.0.1"])
    assert server.noted[0]["served_by"] == ["otherwise"]


@pytest.mark.parametrize("otherwise", ["otherwise servfail", ""])
@pytest.mark.parametrize("rtype", [RRType.A, RRType.ANY])
def test_with_no_replica_up_and_no_origin_it_is_servfail(otherwise: str, rtype: int) -> None:
    text = MAP.replace("otherwise origin   10.9.0.1", otherwise)
    reply = Server({}, text, ZONE + 'www TXT "hello"\n').ask(subnet="10.8.1.0/24", rtype=rtype)
    assert (reply.rcode, reply.answers, reply.authority) == (Rcode.SERVFAIL, (), ())
    answered = option(reply)
    assert answered is not None
    assert answered.scope_prefix == 0


def test_the_log_has_region_and_network() -> None:
    server = Server()
    server.ask(IN_ASIA, "10.8.1.0/24")
    assert server.noted == [
        {
            "qname": "www.cdn.net.",
            "qtype": "A",
            "peer": IN_ASIA,
            "subnet": "10.8.1.0/24",
            "region": "europe",
            "network": "10.8.0.0/17",
            "served_by": ["europe"],
            "addresses": EUROPE,
            "rcode": "NOERROR",
            "scope": 17,
        }
    ]


@pytest.mark.parametrize(
    ("name", "detail"),
    [
        ("www.example.com", "map:2: www.example.com. is outside of the zones"),
        ("ns.cdn.net", "map:2: ns.cdn.net. has a record A in the zone"),
        ("alias.cdn.net", "map:2: alias.cdn.net. has a record CNAME"),
        ("www.child.cdn.net", "map:2: www.child.cdn.net. is below child.cdn.net."),
    ],
)
def test_a_name_that_the_zone_has_other_plans_for_is_refused(name: str, detail: str) -> None:
    with pytest.raises(RegionMapError, match=detail):
        Server(text=MAP.replace("www.cdn.net", name))


def test_a_name_below_others_makes_those_exist_too() -> None:
    server = Server(text=MAP.replace("www.cdn.net", "www.a.b.cdn.net"))
    assert addresses(server.ask(name="www.a.b.cdn.net.")) == EUROPE
    assert server.ask(name="b.cdn.net.").rcode == Rcode.NOERROR


@given(region_maps(), st.data())
def test_scopes_never_overlap(made: tuple[str, Network, list[Network]], data: st.DataObject) -> None:
    """RFC 7871 section 7.2.1: else a resolver's answers would depend on the order of queries."""
    regions = parse_region_map(made[0])
    placement, _ = placed(regions, {})
    askers = st.ip_addresses() | addresses_in(made[1])
    first, second = (placement.locate(data.draw(askers)) for _ in range(2))
    if first.network.version == second.network.version and first.network.overlaps(second.network):
        assert first == second


def test_the_spelling_of_the_question_is_kept() -> None:
    reply = Server().ask(name="WWW.cdn.NET.")
    assert Message.from_wire(reply.to_wire()).answers[0].name.labels == (b"WWW", b"cdn", b"NET")
