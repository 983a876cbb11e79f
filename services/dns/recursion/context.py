"""Resolver context: the settings, caches and permitted upstream addresses that all resolutions of one resolver share.

    upstream = UpstreamAddresses(ipv6=False)                        # no IPv6, loopback, multicast ... addresses
    upstream.usable(("192.0.2.53", "127.0.0.1", "2001:db8::53"))   -> ("192.0.2.53",)

The owner of a zone chooses the addresses of the zone's name servers freely, and could make the resolver send queries to
itself, or to addresses that only the resolver's own network can reach. As Unbound by default (do-not-query-localhost),
BIND (bogus servers and its own addresses) and Knot Resolver, the resolver does not query this host, "this network" (RFC
6890 section 2.2.2), loopback, link-local, multicast, reserved and broadcast addresses, in IPv4, IPv6, and IPv4 mapped
into IPv6 (RFC 4291 section 2.5.5.2). Private addresses are queried: in a lab all networks are private.

Addresses that the operator has chosen are queried nevertheless: root hints, forwarders, and the networks of
--may-query. If a root hint or forwarder is in a special network, such as 127.0.0.0/8, all addresses of this network may
be queried, because the other name servers of such a set-up have addresses in it, too.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv6Address, ip_address, ip_network
from random import Random

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.codes import ADDRESS_TYPES
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Cache, Delegation, LookupResult, Service, look_up
from lab7.services.dns.recursion.ecs_cache import ECSCache, ECSView
from lab7.services.dns.recursion.infra_cache import InfraCache
from lab7.services.dns.recursion.local_names import local_answer
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
        """Look up a name and type among the local names and in the caches; return the LookupResult, None on a miss.

        The ECS cache is looked up for clients in `subnet`, before the RRset cache.
        """
        if (local := local_answer(name, rtype)) is not None:
            return local
        if self.ecs_cache is None or subnet is None:
            return look_up(self.cache, name, rtype, now)
        view = ECSView(self.cache, self.ecs_cache, subnet)
        result = look_up(view, name, rtype, now)
        return None if result is None else replace(result, scope=view.scope)
