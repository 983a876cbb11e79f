"""Resolver context: the state and settings that all resolutions of one resolver share."""

from dataclasses import dataclass, field, replace
from random import Random

from services.dns.recursion.cache import Cache, Delegation
from services.dns.recursion.ecs_cache import ECSCache
from services.dns.recursion.infra_cache import InfraCache
from services.dns.recursion.upstream_addresses import UpstreamAddresses
from services.dns.security.trust import SecurityContext


@dataclass(slots=True)
class ResolverContext:
    """State shared by all resolutions: root delegation (or forwarders), caches, random generator, settings.

    `minimise` enables QNAME minimisation (RFC 9156), `randomise_case` 0x20. With an `ecs_cache` the resolver sends
    client subnets (RFC 7871), and caches the answers by network. `upstream_addresses` are those that may be queried.
    With `security` it sends DO and validates; `unchecked` is then the context of what is not validated: the addresses
    of name servers, and the queries of clients with CD.
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
    unchecked: "ResolverContext | None" = None

    @property
    def for_hosts(self) -> "ResolverContext":
        """The context in which addresses of name servers are resolved: no validation depends on them."""
        return self if self.unchecked is None else self.unchecked

    def secured(self, security: SecurityContext) -> "ResolverContext":
        """Return a context that validates; delegations, servers and settings are shared with its `unchecked` one."""
        unchecked = replace(self, cache=self.cache.sibling(), security=security.without_validation())
        return replace(self, security=security, unchecked=unchecked)
