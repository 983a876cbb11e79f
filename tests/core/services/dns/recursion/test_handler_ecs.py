"""Client subnets in the resolver's handler: the network that is resolved for, and the option of the response."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_network

import pytest

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import ClientSubnet, SubnetPolicy
from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.message import EDNS, Message, Option, Question, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import A
from lab7.services.dns.recursion.ecs_cache import ECSCache
from lab7.services.dns.recursion.handler import AccessList, RecursionHandler
from lab7.services.dns.recursion.iterator import Result
from lab7.services.dns.security.trust import SecurityContext
from lab7.services.dns.server.responder import Client
from tests.core.services.dns.recursion.simulated_internet import World


class Asked:
    """A handler with a constant result; `subnet` is the network it was called with."""

    def __init__(self, policy: SubnetPolicy | None, scope: int = 0, rcode: int = Rcode.NOERROR) -> None:
        context = World({}).context
        context.ecs_cache = None if policy is None else ECSCache(policy)
        self.subnet: Network | None = None
        self._result = Result(rcode, queries=1, scope=scope)
        self._handler = RecursionHandler(context, self._resolve, AccessList(), lambda: 0.0)

    def _resolve(self, question: Question, client: str, *, subnet: Network | None = None) -> Result:
        assert question.name == Name.from_text("www.cdn.net.")
        assert client
        self.subnet = subnet
        return self._result

    def ask(self, client: str, *options: Option, edns: bool = True, rtype: int = RRType.A) -> Message:
        sent = EDNS(do=True, options=options) if edns else None
        query = Message(rd=True, questions=(Question(Name.from_text("www.cdn.net."), rtype),), edns=sent)
        reply = self._handler(query, Client(client, 5000))
        assert isinstance(reply, Message)
        return reply


def option(text: str, scope: int = 0) -> Option:
    return ClientSubnet(ip_network(text), scope).to_option()


POLICY = SubnetPolicy(24, 56)


@pytest.mark.parametrize(
    ("client", "said", "subnet"),
    [
        ("10.8.1.7", None, "10.8.1.0/24"),
        ("::ffff:10.8.1.7", None, "10.8.1.0/24"),
        ("fd00:1:2:3ff::7", None, "fd00:1:2:300::/56"),
        ("fe80::1%eth0", None, "fe80::/56"),
        # RFC 7871 section 7.1.1: the shorter of the client's prefix and the maximum.
        ("10.8.1.7", "10.9.9.0/24", "10.9.9.0/24"),
        ("10.8.1.7", "10.9.9.9/32", "10.9.9.0/24"),
        ("10.8.1.7", "10.9.0.0/16", "10.9.0.0/16"),
        ("10.8.1.7", "fd00::/64", "fd00::/56"),
        # Section 7.1.2: no bit of the client's address.
        ("10.8.1.7", "0.0.0.0/0", "0.0.0.0/0"),
        ("10.8.1.7", "::/0", "0.0.0.0/0"),
        ("fd00::1", "::/0", "0.0.0.0/0"),
    ],
)
def test_the_network_of_a_client(client: str, said: str | None, subnet: str) -> None:
    asked = Asked(POLICY, scope=20)
    reply = asked.ask(client, *([] if said is None else [option(said)]))
    assert asked.subnet == ip_network(subnet)
    if said is None:
        # RFC 7871 section 7.2.2: no option in a response to a query without; the responder adds EDNS.
        assert reply.edns is None
    else:
        assert reply.edns is not None
        assert reply.edns.do
        assert reply.edns.options == (option(said, 20),)


def test_a_client_without_edns_has_a_network_too() -> None:
    asked = Asked(POLICY)
    assert asked.ask("10.8.1.7", edns=False).edns is None
    assert asked.subnet == ip_network("10.8.1.0/24")


def test_family_0_with_no_bits() -> None:
    asked = Asked(POLICY)
    reply = asked.ask("10.8.1.7", Option(8, bytes(4)))
    assert asked.subnet == ip_network("0.0.0.0/0")
    assert reply.edns is not None
    assert reply.edns.options == (Option(8, bytes(4)),)


@pytest.mark.parametrize(
    "options",
    [
        (Option(8, b""),),
        (Option(8, bytes.fromhex("00011800 0a0801ff")),),
        (Option(8, bytes.fromhex("00011700 0a0801")),),
        (Option(8, bytes.fromhex("00040800 0a")),),
        (option("10.8.1.0/24", 24),),
        (option("10.8.1.0/24"), option("10.8.1.0/24")),
    ],
)
def test_an_option_of_a_wrong_form_is_formerr(options: tuple[Option, ...]) -> None:
    asked = Asked(POLICY)
    reply = asked.ask("10.8.1.7", *options)
    assert (reply.rcode, reply.edns, asked.subnet) == (Rcode.FORMERR, None, None)


@pytest.mark.parametrize("options", [(), (option("10.8.1.0/24"),), (Option(8, b"nonsense"),)])
def test_without_the_flag_client_subnets_are_ignored(options: tuple[Option, ...]) -> None:
    asked = Asked(None)
    reply = asked.ask("10.8.1.7", *options)
    assert (reply.rcode, reply.edns, asked.subnet) == (Rcode.NOERROR, None, None)


@pytest.mark.parametrize("rcode", [Rcode.SERVFAIL, Rcode.NXDOMAIN])
def test_answers_of_nothing_have_the_option_too(rcode: int) -> None:
    reply = Asked(POLICY, rcode=rcode).ask("10.8.1.7", option("10.8.1.0/24"))
    assert reply.edns is not None
    assert (reply.rcode, reply.edns.options) == (rcode, (option("10.8.1.0/24"),))
    refused = Asked(POLICY).ask("10.8.1.7", option("10.8.1.0/24"), rtype=RRType.AXFR)
    assert refused.edns is not None
    assert (refused.rcode, refused.edns.options) == (Rcode.REFUSED, (option("10.8.1.0/24"),))


@pytest.mark.parametrize("do", [False, True])
@pytest.mark.parametrize("cd", [False, True])
def test_each_resolver_has_the_answers_for_its_flags_only(do: bool, cd: bool) -> None:
    """Data for a client with CD is not validated, so no other client may get it, nor from the cache of networks."""
    context = World({}).context
    context.ecs_cache = ECSCache(POLICY)
    validating = context.secured(SecurityContext({}, lambda: 0.0))
    name, subnet = Name.from_text("www.cdn.net."), ClientSubnet(ip_network("10.8.1.0/24"), 16)
    rrset = RRset(name, RRType.A, RRClass.IN, 60, (A(IPv4Address("192.0.2.1")),))
    unchecked = validating.variants[True, True]
    assert unchecked.ecs_cache is not None
    unchecked.ecs_cache.put(rrset, subnet, 0.0)

    def resolve(question: Question, client: str, *, subnet: Network | None = None) -> Result:
        raise NotImplementedError

    variants = {flags: (one, resolve) for flags, one in validating.variants.items()}
    handler = RecursionHandler(validating, resolve, AccessList(), lambda: 1.0, variants)
    query = Message(cd=cd, questions=(Question(name, RRType.A),), edns=EDNS(do=do))
    reply = handler(query, Client("10.8.7.1", 5000))
    assert isinstance(reply, Message)
    assert len(reply.answers) == (1 if cd else 0)


def test_the_cache_alone_answers_for_the_clients_network() -> None:
    context = World({}).context
    context.ecs_cache = ECSCache(POLICY)
    name, subnet = Name.from_text("www.cdn.net."), ClientSubnet(ip_network("10.8.1.0/24"), 16)
    context.ecs_cache.put(RRset(name, RRType.A, RRClass.IN, 60, (A(IPv4Address("192.0.2.1")),)), subnet, 0.0)
    handler = RecursionHandler(context, lambda *_, **__: Result(Rcode.SERVFAIL), AccessList(), lambda: 1.0)
    query = Message(questions=(Question(name, RRType.A),), edns=EDNS())
    replies = [handler(query, Client(client, 5000)) for client in ("10.8.7.1", "10.9.7.1")]
    counts = [len(reply.answers) for reply in replies if isinstance(reply, Message)]
    assert counts == [1, 0]
