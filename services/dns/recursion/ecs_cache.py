"""Answers that hold for a part of the clients only, kept apart by the network that they hold for.

    response for 10.8.1.0/24 with scope 16    -> kept for 10.8.0.0/16, and used for whoever is in it
    response for 10.8.1.0/24 with scope 0     -> not kept here: it holds for everybody (services.dns.recursion.cache)
    response to a query of no bits            -> kept for clients that ask so, too, and for nobody else

RFC 7871 section 7.3.1 (what an answer is tied to), 7.3.2 (the longest match), 11.3 (bounds on networks, of a question
and in all). Where the scope is longer than what was told, the answer holds for all of what was told, if that was as
much as is ever told; else only for clients that tell exactly as much. Negative answers and delegations are everybody's
(section 7.4).
"""

from dataclasses import dataclass

from services.bounded_dict import BoundedDict
from services.dns.address_space import Network
from services.dns.codec.client_subnet import SubnetPolicy
from services.dns.codec.edns import ClientSubnet
from services.dns.codec.name import Name
from services.dns.codec.records import RRset
from services.dns.recursion.cache import ENTRIES_MAX, TTL_MAX_S, Cache, Negative, Value

# RFC 7871 section 11.3 asks for both bounds; together they are as many sets as the cache of answers has.
NETWORKS_MAX = 100
QUESTIONS_MAX = ENTRIES_MAX // NETWORKS_MAX

# A network as a key: its family, how long it is, its bits. A length below 0 is for clients that tell exactly so much.
Key = tuple[int, int, int]
_NO_BITS: Key = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class _Entry:
    rrset: RRset
    scope: int
    until: float


class ScopedCache:
    """Remembers sets for networks as long as `policy` tells them; with `questions_max` 0 it remembers nothing."""

    def __init__(
        self, policy: SubnetPolicy, questions_max: int = QUESTIONS_MAX, networks_max: int = NETWORKS_MAX
    ) -> None:
        self.policy = policy
        self._networks_max = networks_max
        self._questions: BoundedDict[tuple[tuple[bytes, ...], int], BoundedDict[Key, _Entry]] = BoundedDict(
            questions_max
        )

    def put(self, rrset: RRset, answered: ClientSubnet, now: float) -> None:
        """Remember a set that came with this option, whose scope is not that of everybody."""
        ttl = min(rrset.ttl, TTL_MAX_S)
        if ttl <= 0:
            return
        question = (rrset.name.folded, rrset.rtype)
        networks = self._questions.get(question)
        if networks is None:
            networks = BoundedDict(self._networks_max)
            self._questions.put(question, networks)
        key, scope = self.tie(answered)
        networks.put(key, _Entry(rrset.with_ttl(ttl), scope, now + ttl))

    def get(self, name: Name, rtype: int, subnet: Network, now: float) -> tuple[RRset, int] | None:
        """Return the set for a client's network, with the TTL that is left, and its scope; the longest match counts."""
        networks = self._questions.get((name.folded, rtype))
        if networks is None:
            return None
        for key in _matching(subnet):
            entry = networks.get(key)
            if entry is None:
                continue
            if entry.until > now:
                return entry.rrset.with_ttl(int(entry.until - now)), entry.scope
            networks.drop(key)
        return None

    def tie(self, answered: ClientSubnet) -> tuple[Key, int]:
        """RFC 7871 section 7.3.1: return what an answer is kept for, and the scope that clients are told."""
        network, scope = answered.network, answered.scope_prefix
        source = network.prefixlen
        if source == 0:
            return _NO_BITS, 0
        if scope <= source:
            return _key(network, scope), scope
        if source >= self.policy.longest(network):
            return _key(network, source), source
        return (network.version, -source, _bits(network, source)), scope


def holds_for_everybody(answered: ClientSubnet) -> bool:
    """Tell whether an answer with this option is one for all clients: one to a question for no network is not."""
    return answered.scope_prefix == 0 and answered.network.prefixlen > 0


def _matching(subnet: Network) -> list[Key]:
    """Return the keys of what holds for a network, the longest first."""
    told = subnet.prefixlen
    if told == 0:
        return [_NO_BITS]
    keys = [_key(subnet, prefix) for prefix in range(told, 0, -1)]
    keys.insert(1, (subnet.version, -told, _bits(subnet, told)))
    return keys


def _key(network: Network, prefix: int) -> Key:
    return network.version, prefix, _bits(network, prefix)


def _bits(network: Network, prefix: int) -> int:
    return int(network.network_address) >> (network.max_prefixlen - prefix)


class ScopedView:
    """A cache as the clients of one network see it; `scope` is the longest of what was taken from it."""

    def __init__(self, cache: Cache, scoped: ScopedCache, subnet: Network) -> None:
        self._cache = cache
        self._scoped = scoped
        self._subnet = subnet
        self.scope = 0

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return what is known for this network, else what is known for everybody."""
        found = self._scoped.get(name, rtype, self._subnet, now)
        if found is None:
            return self._cache.get(name, rtype, now)
        self.scope = max(self.scope, found[1])
        return found[0]

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """Return the proof that a name does not exist, which is everybody's."""
        return self._cache.nonexistence(name, now)
