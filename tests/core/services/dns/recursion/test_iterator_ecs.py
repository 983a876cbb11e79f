"""Client subnets in the iterator: servers that get the option, responses that are accepted, and cached networks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network

import pytest

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import ClientSubnet, SubnetPolicy
from lab7.services.dns.codec.codes import Rcode
from lab7.services.dns.codec.message import EDNS, Message
from lab7.services.dns.recursion.cache import Service
from lab7.services.dns.recursion.ecs_cache import ECSCache
from lab7.services.dns.recursion.iterator import Result, from_cache
from lab7.services.dns.recursion.query import UpstreamQuery
from lab7.services.dns.recursion.root_hints import root_delegation
from lab7.services.dns.server.responder import Client
from lab7.services.dns.steering.handler import SteeringHandler, add_names
from lab7.services.dns.steering.region_map import parse_region_map
from lab7.services.dns.zones.handler import Authority
from lab7.services.dns.zones.zone import Zones
from tests.core.services.dns.recursion.simulated_internet import Behaviour, World, authoritative, name, zone
from tests.core.services.dns.steering.cdn_maps import MAP, placed

ROOT = zone(".", "@ NS a.root.test.\nnet. NS a.gtld.\ncom. NS a.gtld.\na.gtld. A 127.0.1.2\n")
NET = zone("net", "cdn NS ns.cdn\nns.cdn A 127.0.1.9\n@ NS a.gtld.\n")
COM = zone("com", "example NS ns.example\nns.example A 127.0.1.3\n@ NS a.gtld.\n")
EXAMPLE = zone("example.com", "@ NS ns\nns A 127.0.1.3\nwww CNAME www.cdn.net.\nown A 192.0.2.1\n")
CDN = "@ NS ns\nns A 127.0.1.9\nalias CNAME www\n"
UP = {"10.8.1.10": None, "10.8.128.10": None, "10.8.192.10": None}
# In the scopes 10.8.0.0/17 (europe), the same, and 10.8.128.0/18 (asia).
EUROPE, EUROPE_TOO, ASIA = (ip_network(text) for text in ("10.8.1.0/24", "10.8.7.0/24", "10.8.130.0/24"))
NO_BITS = ip_network("0.0.0.0/0")


def tailoring() -> Behaviour:
    regions = parse_region_map(MAP)
    zones = Zones([zone("cdn.net", CDN)])
    add_names(zones, regions)
    handler = SteeringHandler(Authority(zones), regions, placed(regions, dict(UP))[0], lambda _: None)
    # The resolver's own address is in asia.
    return lambda query, _: handler(query, Client("10.8.130.53", 5000))


def world(cdn: Behaviour | None = None, policy: SubnetPolicy | None = None) -> World:
    servers = {
        "127.0.1.1": authoritative(ROOT),
        "127.0.1.2": authoritative(NET, COM),
        "127.0.1.3": authoritative(EXAMPLE),
        "127.0.1.9": cdn or tailoring(),
    }
    internet = World(servers)
    internet.context.ecs_cache = ECSCache(policy or SubnetPolicy())
    return internet


def asked(internet: World) -> list[tuple[str, str | None]]:
    """Return the last octet of each server queried, and the client subnet of the query."""
    return [(ask.address.rpartition(".")[2], None if ask.subnet is None else str(ask.subnet)) for ask in internet.asked]


def addresses(result: Result) -> list[str]:
    return [rdata.to_text() for rrset in result.answers for rdata in rrset.rdatas]


def test_only_servers_below_top_level_domains_get_the_option() -> None:
    internet = world()
    result = internet.resolve("www.cdn.net", subnet=EUROPE)
    assert (addresses(result), result.scope) == (["10.8.1.10"], 17)
    assert asked(internet) == [("1", None), ("2", None), ("9", "10.8.1.0/24")]


def test_an_answer_is_for_those_in_its_scope() -> None:
    internet = world()
    internet.resolve("www.cdn.net", subnet=EUROPE)
    again = internet.resolve("www.cdn.net", subnet=EUROPE_TOO)
    assert (again.queries, addresses(again), again.scope) == (0, ["10.8.1.10"], 17)
    other = internet.resolve("www.cdn.net", subnet=ASIA)
    assert (addresses(other), other.scope) == (["10.8.128.10"], 18)
    assert asked(internet) == [("9", "10.8.130.0/24")]
    assert internet.resolve("www.cdn.net", subnet=EUROPE).queries == 0
    # RFC 7871 section 7.3: not for clients that send prefix length 0.
    without = internet.resolve("www.cdn.net")
    assert (without.queries, addresses(without), without.scope) == (1, ["10.8.128.10"], 0)


def test_a_scope_ends_with_its_ttl() -> None:
    internet = world()
    internet.resolve("www.cdn.net", subnet=EUROPE)
    internet.now += 3
    internet.resolve("www.cdn.net", subnet=EUROPE)
    assert asked(internet) == [("9", "10.8.1.0/24")]


def test_an_alias_valid_for_all_clients_is_not_queried_again() -> None:
    internet = world()
    result = internet.resolve("www.example.com", subnet=EUROPE)
    assert (addresses(result), result.scope) == (["www.cdn.net.", "10.8.1.10"], 17)
    assert asked(internet)[-1] == ("9", "10.8.1.0/24")
    other = internet.resolve("www.example.com", subnet=ASIA)
    assert (addresses(other), other.scope) == (["www.cdn.net.", "10.8.128.10"], 18)
    assert asked(internet) == [("9", "10.8.130.0/24")]
    # An alias in the server's own zone has as many answers.
    assert addresses(internet.resolve("alias.cdn.net", subnet=EUROPE)) == ["www.cdn.net.", "10.8.1.10"]
    assert addresses(internet.resolve("alias.cdn.net", subnet=ASIA)) == ["www.cdn.net.", "10.8.128.10"]


def test_a_server_without_support_gets_no_option_again() -> None:
    internet = world()
    first = internet.resolve("own.example.com", subnet=EUROPE)
    assert (asked(internet)[-1], first.scope) == (("3", "10.8.1.0/24"), 0)
    # Its answer is valid for all clients.
    assert internet.resolve("own.example.com", subnet=ASIA).queries == 0
    internet.resolve("www.example.com", subnet=ASIA)
    assert ("3", None) in asked(internet)
    internet.now += 1000
    internet.resolve("own.example.com", subnet=ASIA)
    assert asked(internet)[-1] == ("3", "10.8.130.0/24")


@pytest.mark.parametrize(("rtype", "told"), [("A", True), ("AAAA", True), ("TXT", False), ("CNAME", False)])
def test_address_queries_have_the_option(rtype: str, told: bool) -> None:
    internet = world()
    internet.resolve("www.cdn.net", rtype, subnet=EUROPE)
    assert asked(internet)[-1] == ("9", "10.8.1.0/24" if told else None)


def test_negative_answers_are_valid_for_all_clients() -> None:
    internet = world()
    assert internet.resolve("no.cdn.net", subnet=EUROPE).rcode == Rcode.NXDOMAIN
    assert internet.resolve("no.cdn.net", subnet=ASIA).queries == 0
    internet.resolve("www.cdn.net", "AAAA", subnet=EUROPE)
    assert internet.resolve("www.cdn.net", "AAAA", subnet=ASIA).queries == 0


def test_minimised_queries_have_no_option() -> None:
    internet = world()
    internet.context.minimise = True
    internet.resolve("a.b.cdn.net", subnet=EUROPE)
    assert {(len(ask.question.name), ask.subnet) for ask in internet.asked if ask.subnet} == {(4, EUROPE)}


def test_the_addresses_of_servers_are_asked_for_without() -> None:
    internet = world()
    internet.servers["127.0.1.2"] = authoritative(NET, zone("com", "other NS ns.cdn.net.\n@ NS a.gtld.\n"))
    internet.resolve("www.other.com", subnet=EUROPE)
    told = {(ask.question.name, ask.subnet) for ask in internet.asked}
    assert (name("ns.cdn.net"), None) in told
    assert (name("ns.cdn.net"), EUROPE) not in told


def test_prefix_length_0_is_sent_and_cached_separately() -> None:
    internet = world()
    result = internet.resolve("www.cdn.net", subnet=NO_BITS)
    assert asked(internet)[-1] == ("9", "0.0.0.0/0")
    assert (addresses(result), result.scope) == (["10.8.128.10"], 0)
    assert internet.resolve("www.cdn.net", subnet=NO_BITS).queries == 0
    # RFC 7871 section 7.3.1: not for other clients.
    assert internet.resolve("www.cdn.net", subnet=EUROPE).queries == 1
    assert internet.resolve("www.cdn.net", subnet=NO_BITS).queries == 0


def test_the_cache_alone_answers_by_network_too() -> None:
    internet = world()
    internet.resolve("www.cdn.net", subnet=EUROPE)
    question = internet.asked[-1].question
    known = from_cache(internet.context, question, internet.now, EUROPE_TOO)
    assert (addresses(known), known.scope) == (["10.8.1.10"], 17)
    assert from_cache(internet.context, question, internet.now, ASIA).answers == ()


# Servers that reject the option, and responses that are rejected.


def disliking(rcode: int) -> Behaviour:
    """Return a server that returns only this rcode to queries with the option."""
    answer = authoritative(zone("cdn.net", CDN + "www A 192.0.2.7\n"))

    def behave(query: Message, ask: UpstreamQuery) -> Message | None:
        options = () if query.edns is None else query.edns.options
        return query.reply(rcode) if options else answer(query, ask)

    return behave


@pytest.mark.parametrize("rcode", [Rcode.REFUSED, Rcode.FORMERR, Rcode.NOTIMP])
def test_a_server_that_rejects_the_option_is_queried_without(rcode: int) -> None:
    internet = world(disliking(rcode))
    result = internet.resolve("www.cdn.net", subnet=EUROPE)
    assert (addresses(result), result.scope) == (["192.0.2.7"], 0)
    assert asked(internet)[-2:] == [("9", "10.8.1.0/24"), ("9", None)]
    # EDNS stays enabled.
    assert internet.asked[-1].edns
    assert internet.resolve("www.cdn.net", subnet=ASIA).queries == 0


def test_a_server_that_refuses_all_is_lame() -> None:
    internet = world(lambda query, _: query.reply(Rcode.REFUSED))
    result = internet.resolve("www.cdn.net", subnet=EUROPE)
    assert result.rcode == Rcode.SERVFAIL
    assert asked(internet)[-2:] == [("9", "10.8.1.0/24"), ("9", None)]


def test_a_forwarder_is_asked_with_no_bits_then() -> None:
    """RFC 7871 section 7.1.3."""
    answer = authoritative(zone("cdn.net", CDN + "www A 192.0.2.7\n"))

    def behave(query: Message, ask: UpstreamQuery) -> Message | None:
        told = ask.subnet is not None and ask.subnet.prefixlen > 0
        reply = query.reply(Rcode.REFUSED) if told else answer(query, ask)
        echo = query.edns.options if query.edns is not None else ()
        return None if reply is None else replace(reply, ra=True, edns=EDNS(options=echo))

    internet = world(behave)
    internet.context.roots = root_delegation({name("forwarder"): ("127.0.1.9",)}, Service.FORWARDER)
    assert addresses(internet.resolve("www.cdn.net", subnet=EUROPE)) == ["192.0.2.7"]
    assert asked(internet) == [("9", "10.8.1.0/24"), ("9", "0.0.0.0/0")]
    # It accepts no client subnet, so its answer is valid for all clients.
    assert internet.resolve("www.cdn.net", subnet=ASIA).queries == 0


def echoing(*subnets: ClientSubnet) -> Behaviour:
    """Return a server that adds these options to all responses."""
    answer = authoritative(zone("cdn.net", CDN + "www A 192.0.2.7\n"))

    def behave(query: Message, ask: UpstreamQuery) -> Message | None:
        reply = answer(query, ask)
        edns = EDNS(options=tuple(subnet.to_option() for subnet in subnets))
        return None if reply is None else replace(reply, edns=edns)

    return behave


def client_subnet(text: str, scope: int) -> ClientSubnet:
    return ClientSubnet(ip_network(text), scope)


@pytest.mark.parametrize(
    "subnets",
    [
        (client_subnet("10.8.2.0/24", 24),),
        (client_subnet("10.8.1.0/25", 24),),
        (client_subnet("10.8.0.0/16", 16),),
        (client_subnet("0.0.0.0/0", 0),),
        (client_subnet("::/24", 24),),
        (client_subnet("10.8.1.0/24", 24), client_subnet("10.8.1.0/24", 24)),
        (client_subnet("10.8.1.0/24", 33),),
    ],
    ids=["address", "longer", "shorter", "no bits", "family", "twice", "scope"],
)
def test_an_answer_for_another_network_is_dropped(subnets: tuple[ClientSubnet, ...]) -> None:
    internet = world(echoing(*subnets))
    result = internet.resolve("www.cdn.net", subnet=EUROPE)
    assert (result.rcode, result.answers) == (Rcode.SERVFAIL, ())


def test_the_true_answer_after_a_forged_one_is_taken() -> None:
    internet = world()

    def forging(data: bytes, ask: UpstreamQuery) -> Iterable[bytes]:
        true = Message.from_wire(data)
        if ask.subnet is not None:
            edns = EDNS(options=(client_subnet("10.8.2.0/24", 0).to_option(),))
            yield replace(true, edns=edns).to_wire()
        yield data

    internet.wire = forging
    assert internet.resolve("www.cdn.net", subnet=EUROPE).scope == 17


def test_an_unsolicited_option_is_ignored() -> None:
    internet = world(echoing(client_subnet("10.8.2.0/24", 24)))
    without = internet.resolve("www.cdn.net")
    assert (addresses(without), without.scope) == (["192.0.2.7"], 0)
    # It was cached for all clients.
    assert internet.resolve("www.cdn.net", subnet=ASIA).queries == 0


@pytest.mark.parametrize(
    ("policy", "subnet", "scope", "told"),
    [
        # The maximum length: the answer is valid for all of that network, whatever its scope.
        (SubnetPolicy(24), "10.8.1.0/24", 32, 24),
        # A shorter length: the scope is the length that would be needed.
        (SubnetPolicy(24), "10.8.0.0/16", 20, 20),
        (SubnetPolicy(24), "10.8.1.0/24", 24, 24),
    ],
)
def test_the_scope_for_clients_is_that_of_the_cache(policy: SubnetPolicy, subnet: str, scope: int, told: int) -> None:
    network: Network = ip_network(subnet)
    internet = world(echoing(ClientSubnet(network, scope)), policy)
    assert internet.resolve("www.cdn.net", subnet=network).scope == told
    again = internet.resolve("www.cdn.net", subnet=network)
    assert (again.queries, again.scope) == (0, told)
