"""Resolver context: settings, caches, special names and upstream addresses, which all resolutions of a resolver share.

    upstream = UpstreamAddresses(ipv6=False)                        # no IPv6, loopback, multicast ... addresses
    upstream.usable(("192.0.2.53", "127.0.0.1", "2001:db8::53"))   -> ("192.0.2.53",)

The owner of a zone chooses the addresses of the zone's name servers freely, and could make the resolver send queries to
itself, or to addresses that only the resolver's own network can reach. As Unbound by default (do-not-query-localhost),
BIND (bogus servers and its own addresses) and Knot Resolver, the resolver does not query this host, "this network" (RFC
6890 section 2.2.2), loopback, link-local, multicast, reserved and broadcast addresses, in IPv4, IPv6, and IPv4 mapped
into IPv6 (RFC 4291 section 2.5.5.2). Private addresses are queried: in a lab all networks are private.

Exempt are addresses that the operator has chosen: those of root hints and forwarders, and the networks of --may-query.
If a root hint or forwarder is in a special network, such as 127.0.0.0/8, the whole network is exempt, because the other
name servers of such a set-up have addresses in it, too.

Special names are answered here, without a query (RFC 6761 sections 6.3 and 6.4, RFC 7686):

    localhost. A                   ->  127.0.0.1
    x.localhost. AAAA              ->  ::1
    localhost. MX                  ->  NODATA, with an SOA as in Unbound
    1.0.0.127.in-addr.arpa. PTR    ->  localhost.
    x.invalid. A, x.onion. A       ->  NXDOMAIN

Queries for them would be useless traffic to the root servers; those for onion names would tell others which hidden
services a user visits, and other servers could answer with other addresses. The reverse names of the loopback addresses
are the zones of RFC 6303 sections 4.2 and 4.3 that no network uses itself. Left out: the other zones of RFC 6303 and
names of RFC 6761, which networks of experiments have (10.in-addr.arpa, test).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from random import Random

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.codes import ADDRESS_TYPES, Rcode, RRClass, RRType
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, PTR, SOA, A
from lab7.services.dns.recursion.cache import (
    NEGATIVE_TTL_MAX_S,
    Cache,
    Delegation,
    InfraCache,
    LookupResult,
    Service,
    look_up,
)
from lab7.services.dns.recursion.ecs_cache import ECSCache, ECSView
from lab7.services.dns.security.trust import SecurityContext

DO_NOT_QUERY: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "::ffff:0:0/96",
        "fe80::/10",
        "ff00::/8",
    )
)

_LOCALHOST = Name.from_text("localhost.")
_ADDRESSES: dict[int, Rdata] = {
    RRType.A: A(IPv4Address("127.0.0.1")),
    RRType.AAAA: AAAA(IPv6Address("::1")),
}
# Names that have records; all names below localhost have the same.
_SPECIAL_RECORDS: dict[Name, dict[int, Rdata]] = {
    _LOCALHOST: _ADDRESSES,
    **{
        Name.from_text(address.reverse_pointer + "."): {RRType.PTR: PTR(_LOCALHOST)}
        for address in (IPv4Address("127.0.0.1"), IPv6Address("::1"))
    },
}
# Names below which no other name exists.
_EMPTY_ZONES = (Name.from_text("invalid."), Name.from_text("onion."))
_SPECIAL_TTL_S = NEGATIVE_TTL_MAX_S


class UpstreamAddresses:
    """Filter for the addresses of upstream servers: it excludes the special networks in DO_NOT_QUERY, such as loopback.

    Two kinds of networks are not excluded: those in `allowed`, and each special network that contains an address in
    `configured` (addresses of root servers or forwarders). Without `ipv6`, IPv6 addresses are excluded. `rtypes` are
    the types of address records to query for.
    """

    def __init__(self, allowed: Sequence[Network] = (), configured: Iterable[str] = (), ipv6: bool = True) -> None:
        self.rtypes = ADDRESS_TYPES if ipv6 else ADDRESS_TYPES[:1]
        self._ipv6 = ipv6
        special = [network for text in configured for network in DO_NOT_QUERY if ip_address(text) in network]
        self._allowed = (*allowed, *special)

    def usable(self, addresses: Iterable[str]) -> tuple[str, ...]:
        """Return the addresses among `addresses` that may be queried, in their order."""
        return tuple(address for address in addresses if self._is_usable(address))

    def _is_usable(self, text: str) -> bool:
        address = ip_address(text)
        if isinstance(address, IPv6Address) and not self._ipv6:
            return False
        if not any(address in network for network in DO_NOT_QUERY):
            return True
        return any(address in network for network in self._allowed)


def special_answer(name: Name, rtype: int) -> LookupResult | None:
    """Return the answer for a special name, which is answered without a query; None for any other name."""
    for zone in _EMPTY_ZONES:
        if name.is_below(zone):
            return LookupResult(Rcode.NXDOMAIN, soa=_soa(zone))
    records = _ADDRESSES if name.is_below(_LOCALHOST) else _SPECIAL_RECORDS.get(name)
    if records is None:
        return None
    rtypes = tuple(records) if rtype == RRType.ANY else (rtype,)
    answers = tuple([RRset(name, one, RRClass.IN, _SPECIAL_TTL_S, (records[one],)) for one in rtypes if one in records])
    return LookupResult(
        Rcode.NOERROR, answers, soa=None if answers else _soa(_LOCALHOST if records is _ADDRESSES else name)
    )


def _soa(zone: Name) -> RRset:
    rdata = SOA(_LOCALHOST, Name.from_text("nobody.invalid."), 1, 3600, 1200, 604_800, _SPECIAL_TTL_S)
    return RRset(zone, RRType.SOA, RRClass.IN, _SPECIAL_TTL_S, (rdata,))


@dataclass(slots=True)
class ResolverContext:
    """State shared by all resolutions of a resolver: root servers or forwarders, caches, random generator, settings.

    `minimise` enables QNAME minimisation (RFC 9156), `randomise_case` the random case of qnames ("0x20"). With an
    `ecs_cache` the resolver sends client subnets (RFC 7871), and caches the answers per client network.
    `upstream_addresses` selects the addresses that may be queried. With `security`, queries have DO, and signatures are
    stored with the data; if there are trust anchors, they are validated.

    A resolver has several contexts, which share delegations, data about servers and settings, but no cached answers.
    `hosts` is the context for resolving the addresses of name servers, without validation (None: this context).
    `variants` maps the flags (DO, CD) of a client's query to the context for such queries.
    """

    roots: Delegation
    cache: Cache
    infra_cache: InfraCache
    random: Random
    minimise: bool = False
    randomise_case: bool = True
    ecs_cache: ECSCache | None = None
    upstream_addresses: UpstreamAddresses = field(default_factory=UpstreamAddresses)
    security: SecurityContext | None = None
    hosts: "ResolverContext | None" = field(default=None, repr=False)
    variants: Mapping[tuple[bool, bool], "ResolverContext"] = field(default_factory=dict, repr=False)

    @property
    def for_hosts(self) -> "ResolverContext":
        """The context for resolving the addresses of name servers, which are not validated."""
        return self if self.hosts is None else self.hosts

    def secured(self, security: SecurityContext) -> "ResolverContext":
        """Return a copy of this context that validates, except for client queries with CD (RFC 4035 section 3.2.2).

        Its `variants` have a context without validation for these queries.
        """
        unchecked = self._sibling(SecurityContext({}, security.wall_clock, validates=False))
        variants = {(dnssec_ok, True): unchecked for dnssec_ok in (False, True)}
        return replace(self, security=security, hosts=unchecked, variants=variants)

    def passing_signatures(self, wall_clock: Callable[[], float]) -> "ResolverContext":
        """Return a copy of this context without validation, in which client queries with DO get the signatures.

        Its `variants` have a context for these queries. A forwarder also has one for client queries with CD, which
        sends CD upstream: without CD, another resolver would validate for the client.
        """
        passing = self._sibling(SecurityContext({}, wall_clock, validates=False, checking_disabled=False), hosts=self)
        variants = {(True, False): passing, (True, True): passing}
        if self.roots.service is Service.FORWARDER:
            unchecked = self._sibling(SecurityContext({}, wall_clock, validates=False), hosts=self)
            variants |= {(dnssec_ok, True): unchecked for dnssec_ok in (False, True)}
        return replace(self, variants=variants)

    def _sibling(self, security: SecurityContext, hosts: "ResolverContext | None" = None) -> "ResolverContext":
        ecs_cache = None if self.ecs_cache is None else self.ecs_cache.sibling()
        return replace(self, cache=self.cache.sibling(), ecs_cache=ecs_cache, security=security, hosts=hosts)

    def look_up(self, name: Name, rtype: int, subnet: Network | None, now: float) -> LookupResult | None:
        """Look up a name and type among the special names and in the caches; None on a miss.

        The ECS cache is looked up for clients in `subnet`, before the RRset cache.
        """
        if (special := special_answer(name, rtype)) is not None:
            return special
        if self.ecs_cache is None or subnet is None:
            return look_up(self.cache, name, rtype, now)
        view = ECSView(self.cache, self.ecs_cache, subnet)
        result = look_up(view, name, rtype, now)
        return None if result is None else replace(result, scope=view.scope)
