"""Cache for EDNS Client Subnet (ECS, RFC 7871): answers that are valid for some clients only, keyed by network.

    response for 10.8.1.0/24 with scope 16    -> stored for 10.8.0.0/16, and used for all clients in it
    response for 10.8.1.0/24 with scope 0     -> valid for all clients: stored in the RRset cache (recursion.cache)
    response to a query of prefix length 0    -> stored, and used for clients that send prefix length 0 only

RFC 7871 sections 7.3.1 (the network of a cache entry), 7.3.2 (longest match), 11.3 (bounds on networks, per question
and in total). The scope of a response may be longer than the source prefix of the query. The answer is then valid for
the whole source prefix, if that has the maximum length that the resolver sends (SubnetPolicy). If the client has chosen
a shorter source prefix, the answer is used only for clients that send the same prefix length. Negative answers and
delegations are valid for all clients (section 7.4), and therefore in the RRset cache.
"""

from dataclasses import dataclass

from lab7.services.bounded_dict import BoundedDict, cost_of
from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import ClientSubnet, SubnetPolicy
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import ENTRIES_MAX, TTL_MAX_S, Cache, Negative, Value

# Maximum number of networks per question, and of questions (RFC 7871 section 11.3): ENTRIES_MAX entries in total.
NETWORKS_MAX = 100
QUESTIONS_MAX = ENTRIES_MAX // NETWORKS_MAX

# Cache key (IP version, prefix length, prefix); a negative length matches clients that send exactly that length.
Key = tuple[int, int, int]
_NO_BITS: Key = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Entry:
    rrset: RRset
    scope: int
    expires: float


class ECSCache:
    """Cache of RRsets keyed by question and client network; `policy` has the maximum prefix lengths.

    It has at most `questions_max` questions, each with at most `networks_max` networks; `questions_max` 0 disables it.
    """

    def __init__(
        self, policy: SubnetPolicy, questions_max: int = QUESTIONS_MAX, networks_max: int = NETWORKS_MAX
    ) -> None:
        self.policy = policy
        self._networks_max = networks_max
        self._questions: BoundedDict[tuple[tuple[bytes, ...], int], BoundedDict[Key, _Entry]] = BoundedDict(
            questions_max
        )

    def sibling(self) -> "ECSCache":
        """Return a new cache without answers that has the same policy and limits."""
        return ECSCache(self.policy, self._questions.entries_max, self._networks_max)

    def put(self, rrset: RRset, subnet: ClientSubnet, now: float) -> None:
        """Store an RRset that is valid only for some clients; `subnet` is the client subnet option of the response."""
        ttl = min(rrset.ttl, TTL_MAX_S)
        if ttl <= 0:
            return
        question = (rrset.name.folded, rrset.rtype)
        networks = self._questions.get(question)
        if networks is None:
            networks = BoundedDict(self._networks_max)
            self._questions.put(question, networks)
        key, scope = self.validity(subnet)
        networks.put(key, _Entry(rrset.with_ttl(ttl), scope, now + ttl), cost_of(rrset.stored_octets()))

    def get(self, name: Name, rtype: int, subnet: Network, now: float) -> tuple[RRset, int] | None:
        """Return (RRset with the TTL left, scope prefix length) by longest match on `subnet`; None on a miss."""
        networks = self._questions.get((name.folded, rtype))
        if networks is None:
            return None
        for key in _matching(subnet):
            entry = networks.get(key)
            if entry is None:
                continue
            if entry.expires > now:
                return entry.rrset.with_ttl(int(entry.expires - now)), entry.scope
            networks.drop(key)
        return None

    def validity(self, subnet: ClientSubnet) -> tuple[Key, int]:
        """Return (network of the clients for which a response is valid, scope prefix length of the reply to them).

        The network is the cache key. `subnet` is the client subnet option of the upstream response (RFC 7871 section
        7.3.1).
        """
        network, scope = subnet.network, subnet.scope_prefix
        source = network.prefixlen
        if source == 0:
            return _NO_BITS, 0
        if scope <= source:
            return _key(network, scope), scope
        if source >= self.policy.longest(network):
            return _key(network, source), source
        return (network.version, -source, _bits(network, source)), scope


def is_global(subnet: ClientSubnet) -> bool:
    """Tell whether a response with this option is valid for all clients: it has scope 0, and SOURCE is not 0."""
    return subnet.scope_prefix == 0 and subnet.network.prefixlen > 0


def _matching(subnet: Network) -> list[Key]:
    """Return the cache keys to look up for a client's network, the longest prefix first."""
    length = subnet.prefixlen
    if length == 0:
        return [_NO_BITS]
    keys = [_key(subnet, prefix) for prefix in range(length, 0, -1)]
    keys.insert(1, (subnet.version, -length, _bits(subnet, length)))
    return keys


def _key(network: Network, prefix: int) -> Key:
    return network.version, prefix, _bits(network, prefix)


def _bits(network: Network, prefix: int) -> int:
    return int(network.network_address) >> (network.max_prefixlen - prefix)


class ECSView:
    """View of the RRset cache and the ECS cache for clients in one network.

    `scope` is the longest scope prefix length of the entries read so far.
    """

    def __init__(self, cache: Cache, ecs_cache: ECSCache, subnet: Network) -> None:
        self._cache = cache
        self._ecs_cache = ecs_cache
        self._subnet = subnet
        self.scope = 0

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return the entry for this network, else the entry for all clients; None on a miss."""
        entry = self._ecs_cache.get(name, rtype, self._subnet, now)
        if entry is None:
            return self._cache.get(name, rtype, now)
        self.scope = max(self.scope, entry[1])
        return entry[0]

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """Return the cached NXDOMAIN of the name, which is valid for all clients; None on a miss."""
        return self._cache.nonexistence(name, now)
