"""Resolver context: the state and settings that all resolutions of one resolver share."""

from dataclasses import dataclass, field
from random import Random

from services.dns.recursion.cache import Cache, Delegation
from services.dns.recursion.ecs_cache import ECSCache
from services.dns.recursion.infra_cache import InfraCache
from services.dns.recursion.upstream_addresses import UpstreamAddresses


@dataclass(slots=True)
class ResolverContext:
    """State shared by all resolutions: root delegation (or forwarders), caches, random generator, settings.

    `minimise` enables QNAME minimisation (RFC 9156), `randomise_case` 0x20. With an `ecs_cache` the resolver sends
    client subnets (RFC 7871), and caches the answers by network. `upstream_addresses` are those that may be queried.
    """

    roots: Delegation
    cache: Cache
    infra_cache: InfraCache
    random: Random
    minimise: bool = False
    randomise_case: bool = True
    ecs_cache: ECSCache | None = None
    upstream_addresses: UpstreamAddresses = field(default_factory=UpstreamAddresses)
