"""Caches of the resolver: RRset cache (answers by trust, negative answers, failures), delegation cache, infra cache.

RFC 1034 section 5.3.3 and RFC 2181 sections 5.4 and 5.4.1 (ranking), RFC 2308 (negative answers), RFC 9520 (resolution
failures). Callers pass the time as `now` in seconds. A TTL is returned as the seconds left, rounded down, so that no
downstream cache keeps data longer than its origin allowed.

A DNAME and an NXDOMAIN apply to all names below their owner (RFC 6672 section 3.4, RFC 8020 section 2), so one forged
response could answer for a whole zone. Without DNSSEC, a DNAME or NXDOMAIN is therefore used only for the name that was
queried, as in Unbound (BIND and Knot Resolver likewise reuse no unsigned NXDOMAIN): every other name is queried.

Stale data (RFC 8767) is kept only if `stale_s` is set, since it hides the effect of TTLs that experiments measure.

The three caches of a resolver
------------------------------

The resolver has three caches, which differ in key, in expiry, and in the work that a hit saves.

  cache            key                          value                            expires        a hit saves
  response cache   octets of the query          octets of the response           lowest TTL     decoding, resolution
                   without the id                                                               and encoding
  RRset cache      name and type                RRset, negative answer,          its TTL        the upstream queries
                                                failure                                         for the question
  infra cache      address of a server          RTT, timeouts, EDNS, lameness    900 s          waiting for slow, dead
                                                                                                and lame servers

A query passes the caches in this order. The response cache (AgingResponseCache in server.responder) interprets nothing
of a message except the offsets of its TTLs. It makes a frequent query cheap. The loss of an entry costs no upstream
query, since the RRset cache has the data as well. The two caches never disagree, because an encoded response expires
with the lowest TTL in it.

The RRset cache (this module) is the only cache that interprets DNS data, so all rules of trust are here. An entry is
replaced only by data of equal or higher rank (Trust), so an answer without AA cannot displace an answer with AA. With
EDNS Client Subnet, answers that are valid for a part of the clients are in recursion.ecs_cache instead.

Delegations and glue are in a separate store of this module, the delegation cache, which lookups of answers do not use:
a referral can only lead to the servers of its zone. A delegation expires no later than the delegation whose servers
sent the referral. When the parent's TTL is over, the parent is queried again, and a revoked zone disappears with
everything below it. Without this rule, the servers of a revoked zone can renew its delegation for ever by delegating
ever longer names ("phoenix domains", CVE-2022-30698 and CVE-2022-30699).

The infra cache (InfraCache; the name is from Unbound) describes servers, not data. It influences only the choice of the
server and the timeout, never an answer, so its entries need no trust, and a fixed lifetime is enough. RFC 1034 section
5.3.3 step 2 and RFC 1035 section 7.2: the server with the best history is queried first. The timeout is computed as in
RFC 6298 section 2. A server without a measurement is tried first, so that all servers are measured. Each timeout
doubles the server's next timeout. Until the server responds again, this doubled value counts as its RTT in the
selection. After TIMEOUTS_BEFORE_BACKOFF consecutive timeouts, the server is in back-off (RFC 9520 section 3.1). All
entries expire, so that a repaired server is used again.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from math import inf
from random import Random
from typing import Protocol

from lab7.services.bounded_dict import BoundedDict, cost_of
from lab7.services.dns.codec.codes import Rcode, RRClass, RRType
from lab7.services.dns.codec.message import RRset, synthesize_cname
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import NS, SOA, SingleName
from lab7.services.dns.security.extended_error import ExtendedError

# Maximum number of RRsets, negative answers and failures, about as many as fit in Unbound's default of 4 MiB. A large
# RRset counts as several entries: a zone could otherwise fill the cache with 50,000 RRsets of 64 KiB.
ENTRIES_MAX = 50_000
DELEGATIONS_MAX = 10_000
# Octets of memory of a name server or an address in a delegation.
_HOST_OCTETS = 100
# Maximum TTL of a cached RRset in seconds (RFC 8767 section 4: 7 days), as BIND's max-cache-ttl; Unbound's is a day.
TTL_MAX_S = 604_800
# Maximum TTL of a negative answer in seconds (RFC 2308 section 5: one to three hours), as BIND's max-ncache-ttl.
NEGATIVE_TTL_MAX_S = 10_800
# Minimum and maximum time in seconds for which a failure is cached; the back-off doubles it (RFC 9520 section 3.2).
FAILURE_TTL_MIN_S = 1
FAILURE_TTL_MAX_S = 300
# RFC 8767 section 5: "a recommended TTL of 30 seconds" for expired data.
STALE_TTL_S = 30

# Infra cache: maximum number of servers, and lifetime of an entry in seconds, Unbound's infra-cache-numhosts and
# infra-host-ttl.
SERVERS_MAX = 10_000
ENTRY_TTL_S = 900.0
# Time in seconds that a server counts as lame for a zone: BIND's former lame-ttl.
LAME_TTL_S = 600.0
# Timeout in seconds for a server whose RTT is unknown: BIND's; Unbound's initial estimate is 0.376 s.
TIMEOUT_UNKNOWN_S = 0.8
TIMEOUT_MIN_S = 0.4
# Maximum timeout in seconds (RFC 1035 section 7.2: retries back off); three fit in BIND's 10 s per question.
TIMEOUT_MAX_S = 3.2
# RFC 9520 section 3.1: after three timeouts in a row a server is in back-off (1 s, 2 s, 4 s ...) and selected last.
TIMEOUTS_BEFORE_BACKOFF = 3
BACKOFF_MAX_S = 60.0

# RR type in the key of an NXDOMAIN entry, which denies all types of a name.
ANY_TYPE = -1
# RR type in the key of a DNAME that is stored under a name below its owner, to synthesize that name's CNAME.
DNAME_ABOVE = -2


class Service(Enum):
    """Kind of service that the servers of a delegation provide: iterative or recursive (RFC 1034 section 4.3.1)."""

    ITERATIVE = "non-recursive: answers and referrals"
    RECURSIVE = "recursive: answers; referrals are followed too"
    FORWARDER = "recursive: answers only"


@dataclass(frozen=True, slots=True)
class Delegation:
    """A delegation (RFC 1034 section 4.2.1): a zone, the hosts that serve it, and their glue (A and AAAA).

        example.com.  NS  ns.example.com., ns.provider.net.     glue: ns.example.com. -> 192.0.2.53

    `parent` is the delegation whose servers sent the referral; `expires` is never later than the expiry of `parent`.
    `apex_hosts` are the name servers in the zone's own NS RRset, if that RRset has been queried.
    """

    zone: Name
    hosts: tuple[Name, ...]
    glue: Mapping[Name, tuple[str, ...]] = field(default_factory=dict)
    ttl: int = 0
    service: Service = Service.ITERATIVE
    expires: float = inf
    parent: "Delegation | None" = field(default=None, repr=False, compare=False)
    apex_hosts: tuple[Name, ...] = ()

    def ns_rrset(self, ttl: int) -> RRset:
        """Return the NS RRset of the delegation, with the given TTL in seconds."""
        return RRset(self.zone, RRType.NS, RRClass.IN, ttl, tuple(NS(host) for host in self.hosts))


class Trust(IntEnum):
    """Trustworthiness of cached data, ascending (RFC 2181 section 5.4.1).

    Data of the ranks below ANSWER, such as glue and additional data, is never cached as an answer.
    """

    # Trust of data from the answer section of a response without AA.
    ANSWER = 1
    # Trust of data from the authority section of a response with AA.
    AUTHORITY = 2
    # Trust of data from the answer section of a response with AA.
    AUTHORITATIVE_ANSWER = 3


@dataclass(frozen=True, slots=True)
class Negative:
    """A cached negative answer; `rcode` is NXDOMAIN, or NOERROR for NODATA.

    The TTL of `soa` is the remaining lifetime of the answer in seconds.
    """

    rcode: int
    soa: RRset


@dataclass(frozen=True, slots=True)
class Failure:
    """A cached resolution failure, and its reason as an extended DNS error.

    `count` is the number of consecutive failures of the question before this one.
    """

    count: int
    ttl_s: int
    error: ExtendedError | None = None


Value = RRset | Negative | Failure
Key = tuple[tuple[bytes, ...], int]


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Value
    trust: Trust
    stored: float
    ttl: int

    @property
    def cost(self) -> int:
        """Weight of the entry in the limit of the cache: 1 for a usual entry, more for a large one."""
        value = self.value.soa if isinstance(self.value, Negative) else self.value
        return 1 if isinstance(value, Failure) else cost_of(value.stored_octets())

    def ttl_left(self, now: float) -> float:
        return self.stored + self.ttl - now


def negative_soa(soa: RRset) -> RRset:
    """Return the SOA record of a negative answer with the TTL for the cache: the lower of TTL and MINIMUM (RFC 2308 5).

    The TTL is at most NEGATIVE_TTL_MAX_S.
    """
    rdata = soa.rdatas[0]
    minimum = rdata.minimum if isinstance(rdata, SOA) else 0
    return soa.with_ttl(min(soa.ttl, minimum, NEGATIVE_TTL_MAX_S))


class Cache:
    """RRset cache of at most `entries_max` entries, and delegation cache; if `entries_max` is 0, nothing is cached."""

    def __init__(
        self,
        entries_max: int = ENTRIES_MAX,
        delegations_max: int = DELEGATIONS_MAX,
        ttl_max_s: int = TTL_MAX_S,
        stale_s: int = 0,
    ) -> None:
        self.stale_s = stale_s
        # Expired answers that a failure has replaced, or that a lookup has found expired.
        self._expired: BoundedDict[Key, _Entry] = BoundedDict(entries_max if stale_s else 0)
        self._entries: BoundedDict[Key, _Entry] = BoundedDict(entries_max)
        self._delegations: BoundedDict[tuple[bytes, ...], Delegation] = BoundedDict(min(delegations_max, entries_max))
        self._ttl_max_s = ttl_max_s

    def __len__(self) -> int:
        return len(self._entries)

    def sibling(self) -> "Cache":
        """Return a new cache with the same limits that shares the delegations of this cache, but no answers."""
        cache = Cache(self._entries.entries_max, ttl_max_s=self._ttl_max_s, stale_s=self.stale_s)
        cache._delegations = self._delegations
        return cache

    # Answers.

    def put(self, rrset: RRset, trust: Trust, now: float) -> None:
        """Store an RRset, unless an unexpired RRset of higher trust is cached (RFC 2181 section 5.4.1)."""
        self._put((rrset.name.folded, rrset.rtype), rrset, trust, min(rrset.ttl, self._ttl_max_s), now)

    def put_dname(self, name: Name, dname: RRset, trust: Trust, now: float) -> None:
        """Store the DNAME of an ancestor of `name`, to be used for `name` only.

        Other names below the owner of the DNAME are queried for separately.
        """
        self._put((name.folded, DNAME_ABOVE), dname, trust, min(dname.ttl, self._ttl_max_s), now)

    def put_negative(
        self, name: Name, rtype: int, rcode: int, soa: RRset, now: float, trust: Trust = Trust.AUTHORITATIVE_ANSWER
    ) -> None:
        """Store a negative answer: NXDOMAIN for the name, or NODATA for `rtype`; negative_soa() has returned `soa`."""
        key = (name.folded, ANY_TYPE if rcode == Rcode.NXDOMAIN else rtype)
        self._put(key, Negative(rcode, soa), trust, min(soa.ttl, self._ttl_max_s), now)

    def capped(self, rrset: RRset) -> RRset:
        """Return an RRset with its TTL limited to the maximum of the cache, by default TTL_MAX_S."""
        return rrset if rrset.ttl <= self._ttl_max_s else rrset.with_ttl(self._ttl_max_s)

    def put_failure(self, name: Name, rtype: int, now: float, error: ExtendedError | None = None) -> None:
        """Store a resolution failure; its lifetime doubles with each consecutive failure (RFC 9520 section 3.2)."""
        key = (name.folded, rtype)
        count, entry = 0, self._entries.get(key)
        if entry is not None and isinstance(entry.value, Failure):
            # The back-off starts anew if the previous failure is long past.
            count = entry.value.count + 1 if entry.ttl_left(now) > -FAILURE_TTL_MAX_S else 0
        elif entry is not None and entry.ttl_left(now) > 0:
            # A failure does not evict an unexpired answer.
            return
        elif entry is not None:
            self._expired.put(key, entry, entry.cost)
        ttl = min(FAILURE_TTL_MIN_S << min(count, 16), FAILURE_TTL_MAX_S)
        self._entries.put(key, _Entry(Failure(count, ttl, error), Trust.ANSWER, now, ttl))

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return the entry for exactly this name and type, with the remaining TTL; None on a miss."""
        return self._get((name.folded, rtype), now)

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """Return the cached NXDOMAIN of this name; None on a miss."""
        value = self._get((name.folded, ANY_TYPE), now)
        return value if isinstance(value, Negative) else None

    def _put(self, key: Key, value: Value, trust: Trust, ttl: int, now: float) -> None:
        # RFC 1035 section 3.2.1: TTL 0 is for the transaction in progress, and is not cached.
        if ttl <= 0:
            return
        present = self._entries.get(key)
        if present is not None and present.trust > trust and present.ttl_left(now) > 0:
            return
        entry = _Entry(value, trust, now, ttl)
        self._entries.put(key, entry, entry.cost)

    def _get(self, key: Key, now: float) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        ttl_left = entry.ttl_left(now)
        value = entry.value
        if ttl_left <= 0:
            # An expired failure is kept, because its count determines the TTL of the next failure.
            if not isinstance(value, Failure):
                self._entries.drop(key)
                self._expired.put(key, entry, entry.cost)
            return None
        if isinstance(value, RRset):
            return value.with_ttl(int(ttl_left))
        return Negative(value.rcode, value.soa.with_ttl(int(ttl_left))) if isinstance(value, Negative) else value

    def stale(self) -> "StaleView":
        """Return a view of this cache that also finds answers expired less than `stale_s` seconds ago (RFC 8767)."""
        return StaleView(self)

    def get_stale(self, key: Key, now: float) -> Value | None:
        """Return the answer for a name and type, even if it has expired; None on a miss.

        An expired answer has the TTL STALE_TTL_S (RFC 8767 section 5).
        """
        entry = self._entries.get(key)
        if entry is None or isinstance(entry.value, Failure):
            entry = self._expired.get(key)
        if entry is None or entry.ttl_left(now) <= -self.stale_s or isinstance(entry.value, Failure):
            return None
        left = entry.ttl_left(now)
        ttl = int(left) if left > 0 else STALE_TTL_S
        if isinstance(entry.value, RRset):
            return entry.value.with_ttl(ttl)
        return Negative(entry.value.rcode, entry.value.soa.with_ttl(ttl))

    # Delegations.

    def put_delegation(self, delegation: Delegation, now: float, expires: float = inf) -> Delegation:
        """Store a delegation, and return it with its time of expiry.

        The delegation expires with its TTL, but not later than `expires`, the expiry of the parent's delegation.
        """
        stored = replace(delegation, expires=min(now + min(delegation.ttl, self._ttl_max_s), expires))
        if stored.expires > now:
            count = len(stored.hosts) + len(stored.apex_hosts) + sum(map(len, stored.glue.values()))
            self._delegations.put(stored.zone.folded, stored, cost_of(_HOST_OCTETS * count))
        return stored

    def delegations(self, name: Name, now: float) -> Iterator[tuple[Delegation, int]]:
        """Yield (delegation, remaining TTL in seconds) for a name and its ancestors, nearest first, if not expired."""
        folded = name.folded
        for begin in range(len(folded) + 1):
            delegation = self._delegations.get(folded[begin:])
            if delegation is None:
                continue
            if delegation.expires > now:
                yield delegation, int(delegation.expires - now)
            else:
                self._delegations.drop(folded[begin:])


# Cache lookup for one name and type: an answer, an alias, or a miss (RFC 1034 section 5.3.3 step 1).


class CacheView(Protocol):
    """Interface for lookups in the RRset cache, or in a view of it: ECSView or StaleView."""

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return the entry for exactly this name and type; None on a miss."""

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """Return the cached NXDOMAIN of the name; None on a miss."""


class StaleView:
    """View of the RRset cache that includes expired answers (RFC 8767)."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return the answer for exactly this name and type, even if it has expired; None on a miss."""
        return self._cache.get_stale((name.folded, rtype), now)

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """Return the NXDOMAIN of the name, even if it has expired; None on a miss."""
        value = self._cache.get_stale((name.folded, ANY_TYPE), now)
        return value if isinstance(value, Negative) else None


@dataclass(frozen=True, slots=True)
class LookupResult:
    """Result of a cache lookup or resolution for one name of an alias chain.

    `target` is the next name, None at the end. `scope` is the scope prefix length for which the answer is valid (RFC
    7871), 0 for all clients. `denials` has the NSEC or NSEC3 records of a negative answer without an SOA. `error` is
    the reason for SERVFAIL.
    """

    rcode: int
    answers: tuple[RRset, ...] = ()
    target: Name | None = None
    soa: RRset | None = None
    scope: int = 0
    denials: tuple[RRset, ...] = ()
    error: ExtendedError | None = None


def look_up(cache: CacheView, name: Name, rtype: int, now: float) -> LookupResult | None:
    """Return the cached RRset, negative answer, failure or alias (CNAME, DNAME) for a name and type; None on a miss."""
    # RFC 8482 section 4.1: the cached RRsets of a name may be incomplete, so ANY is always a miss.
    if rtype == RRType.ANY:
        return None
    value = cache.get(name, rtype, now)
    if isinstance(value, RRset):
        return LookupResult(Rcode.NOERROR, (value,))
    if isinstance(value, Failure):
        return LookupResult(Rcode.SERVFAIL, error=value.error)
    if isinstance(value, Negative):
        return LookupResult(value.rcode, soa=value.soa)
    alias = cache.get(name, RRType.CNAME, now)
    if isinstance(alias, RRset):
        rdata = alias.rdatas[0]
        return LookupResult(Rcode.NOERROR, (alias,), rdata.target) if isinstance(rdata, SingleName) else None
    nxdomain = cache.nonexistence(name, now)
    if nxdomain is not None:
        return LookupResult(nxdomain.rcode, soa=nxdomain.soa)
    return _look_up_dname(cache, name, rtype, now)


def _look_up_dname(cache: CacheView, name: Name, rtype: int, now: float) -> LookupResult | None:
    dname = cache.get(name, DNAME_ABOVE, now)
    if not isinstance(dname, RRset):
        return None
    synthesized = synthesize_cname(dname, name)
    if synthesized is None:
        return LookupResult(Rcode.YXDOMAIN, (dname,))
    # A query for type CNAME is answered by the alias itself, so the chain ends there.
    target = None if rtype == RRType.CNAME else synthesized[1]
    return LookupResult(Rcode.NOERROR, (dname, synthesized[0]), target)


@dataclass(slots=True)
class InfraEntry:
    """Round-trip time, timeouts and capabilities of one server address; times are in seconds."""

    srtt_s: float | None = None
    rttvar_s: float = 0.0
    timeouts: int = 0
    edns: bool = True
    preserves_case: bool = True
    # RFC 7871 section 12.1: a server that responds without the option gets no client subnets any more.
    accepts_subnet: bool = True
    backoff_until: float = 0.0
    expires: float = 0.0

    def timeout_s(self) -> float:
        """Return the timeout in seconds for the next query to the server."""
        # RFC 6298 section 2.3
        base = TIMEOUT_UNKNOWN_S if self.srtt_s is None else self.srtt_s + 4 * self.rttvar_s
        return min(max(base, TIMEOUT_MIN_S) * 2.0 ** min(self.timeouts, 8), TIMEOUT_MAX_S)

    def expected_s(self) -> float:
        """Return the expected response time of the server in seconds.

        The result is 0 if the server has not been measured, so that it is tried first.
        """
        if self.timeouts:
            return self.timeout_s()
        return self.srtt_s if self.srtt_s is not None else 0.0


class InfraCache:
    """Cache of InfraEntry objects keyed by server address, and of lameness keyed by address and zone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._servers: BoundedDict[str, InfraEntry] = BoundedDict(SERVERS_MAX)
        self._lame: BoundedDict[tuple[str, Name], float] = BoundedDict(SERVERS_MAX)

    def get(self, address: str, now: float) -> InfraEntry:
        """Return the entry of a server; a new entry if there is none, or if it is older than ENTRY_TTL_S."""
        server = self._servers.get(address)
        if server is None or now >= server.expires:
            server = InfraEntry(expires=now + ENTRY_TTL_S)
            self._servers.put(address, server)
        return server

    def answered(self, address: str, rtt_s: float, now: float) -> None:
        """Record a response with its round-trip time: update the server's smoothed RTT, and end its back-off."""
        server = self.get(address, now)
        if server.srtt_s is None:
            # RFC 6298 section 2.2
            server.srtt_s, server.rttvar_s = rtt_s, rtt_s / 2
        else:
            server.rttvar_s += (abs(server.srtt_s - rtt_s) - server.rttvar_s) / 4
            server.srtt_s += (rtt_s - server.srtt_s) / 8
        server.timeouts = 0
        server.backoff_until = 0.0

    def timed_out(self, address: str, now: float) -> None:
        """Record a timeout of a server; the third in a row begins the server's back-off."""
        server = self.get(address, now)
        server.timeouts += 1
        if server.timeouts >= TIMEOUTS_BEFORE_BACKOFF:
            backoff_s = min(2.0 ** min(server.timeouts - TIMEOUTS_BEFORE_BACKOFF, 8), BACKOFF_MAX_S)
            server.backoff_until = now + backoff_s

    def is_unresponsive(self, address: str, now: float) -> bool:
        """Tell whether a server is in back-off."""
        return now < self.get(address, now).backoff_until

    def mark_lame(self, address: str, zone: Name, now: float) -> None:
        """Store that a server is lame for a zone."""
        self._lame.put((address, zone), now + LAME_TTL_S)

    def is_lame(self, address: str, zone: Name, now: float) -> bool:
        """Tell whether a server is lame for a zone: the zone is delegated to it, but it is not authoritative."""
        until = self._lame.get((address, zone))
        return until is not None and now < until

    def best(self, addresses: Iterable[str], zone: Name, queries: dict[str, int], now: float) -> str | None:
        """Return the best of several server addresses; None if there is none.

        The criteria, in order: fewest `queries` so far, not lame for the zone, not in back-off, shortest RTT, random
        choice.
        """

        def order(address: str) -> tuple[int, bool, bool, float, float]:
            server = self.get(address, now)
            unresponsive = now < server.backoff_until
            tie = self._random.random()
            return (queries.get(address, 0), self.is_lame(address, zone, now), unresponsive, server.expected_s(), tie)

        return min(addresses, key=order, default=None)
