"""Simulated Internet for the iterator: server functions by address, a clock, and a list of the queries sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.codes import Rcode, type_from_text
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Message, Question, RRset, encode
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Cache, Delegation, InfraCache, Service
from lab7.services.dns.recursion.context import ResolverContext, UpstreamAddresses
from lab7.services.dns.recursion.iterator import Resolution, Result
from lab7.services.dns.recursion.query import (
    MISMATCH_GRACE_S,
    Outcome,
    ResponseMatcher,
    TimedOut,
    Unreachable,
    UpstreamQuery,
)
from lab7.services.dns.recursion.root_hints import root_delegation
from lab7.services.dns.server.responder import Client
from lab7.services.dns.zones.handler import Authority
from lab7.services.dns.zones.zone import Zone, Zones

ROOT_ADDRESS = "127.0.1.1"
RTT_S = 0.02
# A server: its response to a query, None for no response, or ConnectionRefusedError for an unreachable port.
Behaviour = Callable[[Message, UpstreamQuery], Message | None]

HEADER = "$TTL 300\n@ SOA ns.{0} host.{0} 1 1d 2h 4w 60\n"


def name(text: str) -> Name:
    return Name.from_text(text if text.endswith(".") else text + ".")


def zone(origin: str, text: str) -> Zone:
    """Build a zone from records; its SOA is generated, with a MINIMUM of 60 s."""
    suffix = "" if origin == "." else origin
    soa = HEADER.format(suffix)
    return Zone.from_entries(parse_master_file(soa + text, name(origin)), name(origin))


def authoritative(*zones: Zone) -> Behaviour:
    """Return a correct authoritative server for zones."""
    authority = Authority(Zones(zones))

    def answer(query: Message, _: UpstreamQuery) -> Message:
        return authority(query, Client("127.0.0.1", 1))

    return answer


def silent(_: Message, __: UpstreamQuery) -> None:
    """Behave as a server that does not respond."""


def refusing(query: Message, _: UpstreamQuery) -> Message:
    """Behave as a server that refuses queries for the zone."""
    return query.reply(Rcode.REFUSED)


def failing(query: Message, _: UpstreamQuery) -> Message:
    """Behave as a server that fails."""
    return query.reply(Rcode.SERVFAIL)


def nobody(_: Message, __: UpstreamQuery) -> Message:
    """Behave as an address without a server: the port is unreachable."""
    raise ConnectionRefusedError


def saying(text: str, section: str = "answers", aa: bool = True, rcode: int = Rcode.NOERROR) -> Behaviour:
    """Return a server that responds to every query with the records of `text` in one section."""
    return saying_all(**{section: text}, aa=aa, rcode=rcode)


def saying_all(
    answers: str = "", authority: str = "", additional: str = "", aa: bool = True, rcode: int = Rcode.NOERROR
) -> Behaviour:
    """Return a server that responds to every query with the same records."""
    sections = [
        tuple(entry.record for entry in parse_master_file("$TTL 300\n" + text, name(".")))
        for text in (answers, authority, additional)
    ]

    def answer(query: Message, _: UpstreamQuery) -> Message:
        reply = query.reply(rcode)
        return replace(reply, aa=aa, answers=sections[0], authority=sections[1], additional=sections[2])

    return answer


@dataclass
class World:
    """Servers by address; `asked` has the queries in order."""

    servers: dict[str, Behaviour]
    rtts: dict[str, float] = field(default_factory=dict)
    seed: int = 1
    now: float = 1000.0
    minimise: bool = False
    randomise_case: bool = True
    entries_max: int = 1000
    ipv6: bool = True
    roots: Delegation = field(default_factory=lambda: root_delegation({name("a.root.test"): (ROOT_ADDRESS,)}))
    asked: list[UpstreamQuery] = field(default_factory=list)
    # Changes the octets of a response, for errors that a Message cannot express.
    wire: Callable[[bytes, UpstreamQuery], Iterable[bytes]] = field(default=lambda data, _: (data,))

    def __post_init__(self) -> None:
        random = Random(self.seed)
        self.context = ResolverContext(
            self.roots,
            Cache(self.entries_max),
            InfraCache(random),
            random,
            self.minimise,
            self.randomise_case,
            upstream_addresses=UpstreamAddresses(
                configured=[address for given in self.roots.glue.values() for address in given], ipv6=self.ipv6
            ),
        )

    def resolve(
        self, text: str, rtype: str = "A", start: Delegation | None = None, subnet: Network | None = None
    ) -> Result:
        """Resolve a name; `asked` then has the queries of this question."""
        self.asked.clear()
        resolution = Resolution(Question(name(text), type_from_text(rtype)), self.context, start, subnet)
        todo = resolution.start(self.now)
        while isinstance(todo, UpstreamQuery):
            self.asked.append(todo)
            outcome = self._outcome(todo)
            todo = resolution.receive(outcome, self.now)
        assert todo.queries == len(self.asked)
        return todo

    def asked_of(self, address: str) -> int:
        """Return the number of queries to a server for the last question."""
        return sum(ask.address == address for ask in self.asked)

    @property
    def path(self) -> list[str]:
        """The last octets of the servers queried, in order."""
        return [ask.address.rpartition(".")[2] for ask in self.asked]

    def _outcome(self, ask: UpstreamQuery) -> Outcome:
        matcher = ResponseMatcher(ask, 7)
        rtt_s = self.rtts.get(ask.address, RTT_S)
        try:
            query = Message.from_wire(matcher.to_wire())
            reply = self.servers.get(ask.address, silent)(query, ask)
        except ConnectionRefusedError:
            self.now += rtt_s
            return Unreachable()
        if reply is not None and rtt_s < ask.timeout_s:
            for data in self.wire(encode(reply), ask):
                message = matcher.accept(data)
                if message is not None:
                    self.now += rtt_s
                    return matcher.reply(message, rtt_s, len(data))
        if matcher.mismatched:
            self.now += rtt_s + MISMATCH_GRACE_S
            return matcher.mismatch(rtt_s)
        self.now += ask.timeout_s
        return TimedOut()


def texts(rrsets: Iterable[RRset]) -> list[str]:
    """Return records as `name type rdata`, in order."""
    return [
        " ".join(part for at, part in enumerate(record.to_text().split()) if at not in (1, 2))
        for rrset in rrsets
        for record in rrset.records()
    ]


def forwarding(*addresses: str) -> Delegation:
    """Return the delegation of the root to forwarders."""
    return root_delegation({name("forwarder"): addresses}, Service.FORWARDER)


ROOT_ZONE = zone(
    ".",
    """
@ NS a.root.test.
com NS a.gtld.test.
net NS a.gtld.test.
org NS a0.org.
a0.org. A 127.0.1.5
a.gtld.test. A 127.0.1.2
a.root.test. A 127.0.1.1
""",
)
COM_ZONE = zone(
    "com.",
    """
@ NS a.gtld.test.
example NS ns1.example
example NS ns2.example
ns1.example A 127.0.1.3
ns2.example A 127.0.1.4
provided NS ns.provider.net.
""",
)
NET_ZONE = zone(
    "net.",
    """
@ NS a.gtld.test.
provider NS ns.provider
ns.provider A 127.0.1.6
""",
)
EXAMPLE_ZONE = zone(
    "example.com.",
    """
@ NS ns1
@ NS ns2
ns1 A 127.0.1.3
ns2 A 127.0.1.4
www A 192.0.2.1
www A 192.0.2.2
alias CNAME www
away CNAME host.provider.net.
gone CNAME nothing
loop1 CNAME loop2
loop2 CNAME loop1
old DNAME new
a.new A 192.0.2.9
far DNAME provider.net.
deep.down.below A 192.0.2.5
once 0 A 192.0.2.77
@ MX 10 mail
mail A 192.0.2.8
""",
)
PROVIDER_ZONE = zone("provider.net.", "@ NS ns\nns A 127.0.1.6\nhost A 192.0.2.60\n")
PROVIDED_ZONE = zone("provided.com.", "@ NS ns.provider.net.\nwww A 192.0.2.61\n")


def world(**changes: Behaviour) -> World:
    """Return the usual Internet: root .1, com and net .2, example.com .3 and .4, provider .6; s3=... replaces .3."""
    example = authoritative(EXAMPLE_ZONE)
    servers = {
        "127.0.1.1": authoritative(ROOT_ZONE),
        "127.0.1.2": authoritative(COM_ZONE, NET_ZONE),
        "127.0.1.3": example,
        "127.0.1.4": example,
        "127.0.1.6": authoritative(PROVIDER_ZONE, PROVIDED_ZONE),
    }
    servers |= {f"127.0.1.{key[1:]}": behaviour for key, behaviour in changes.items()}
    return World(servers)
