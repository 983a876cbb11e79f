"""What a resolver remembers: sets with their trust, negative answers, failures, and delegations apart from all those.

RFC 1034 section 5.3.3 and RFC 2181 sections 5.4 and 5.4.1 (what may replace what), RFC 2308 (negative answers), RFC
8020 (NXDOMAIN means nothing below), RFC 9520 (failures). Time comes in as `now` in seconds; a TTL is handed out as what
is left of it in whole seconds, rounded down, so that whoever keeps it never keeps it longer than its origin allowed.

Delegations and their glue lie in a store of their own: no referral can touch an answer, and no lookup of an answer can
see them. A delegation lives no longer than the one above whose servers gave it: when the parent's TTL is over, the
parent is asked again, and what it no longer delegates is gone with all below it. Without that bound the servers of a
revoked domain can renew it for ever by delegating ever longer names ("phoenix domains", CVE-2022-30698, -30699).

Left out: serving stale data (RFC 8767), which would hide what the course wants to show about TTLs.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from math import inf

from services.bounded_dict import BoundedDict
from services.dns.codec.codes import Rcode
from services.dns.codec.name import Name
from services.dns.codec.rdata import SOA
from services.dns.codec.records import RRset
from services.dns.recursion.delegation import Delegation

# Sets, negative answers and failures; Unbound's default of 4 MiB for sets holds about as many.
ENTRIES_MAX = 50_000
DELEGATIONS_MAX = 10_000
# RFC 8767 section 4: "a recommended cap of 604,800 seconds (7 days)", as BIND's max-cache-ttl; Unbound's is a day.
TTL_MAX_S = 604_800
# RFC 2308 section 5: one to three hours are sensible, and more than a day is not. BIND's max-ncache-ttl is 3 hours.
NEGATIVE_TTL_MAX_S = 10_800
# RFC 9520 section 3.2: at least a second, never more than five minutes, longer each time it fails again. The lab breaks
# servers on purpose and repairs them, so it begins with the least.
FAILURE_TTL_MIN_S = 1
FAILURE_TTL_MAX_S = 300

# What stands in a key for the type of an entry that says that a name does not exist, whatever the type.
ANY_TYPE = -1


class Trust(IntEnum):
    """RFC 2181 section 5.4.1: how far a set is to be believed, for the ranks that a cache of answers may hold."""

    # The answer section without AA.
    ANSWER = 1
    # The authority section of an authoritative answer.
    AUTHORITY = 2
    # The answer section of an authoritative answer.
    AUTHORITATIVE_ANSWER = 3


@dataclass(frozen=True, slots=True)
class Negative:
    """The name, or the type at the name, does not exist; `soa` has the TTL that is left."""

    rcode: int
    soa: RRset


@dataclass(frozen=True, slots=True)
class Failure:
    """The question could not be answered."""

    count: int
    ttl_s: int


Value = RRset | Negative | Failure
Key = tuple[tuple[bytes, ...], int]


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Value
    trust: Trust
    stored: float
    ttl: int

    def left(self, now: float) -> float:
        return self.stored + self.ttl - now


def negative_soa(soa: RRset) -> RRset:
    """RFC 2308 section 5: return the SOA of a negative answer with the lesser of its TTL and its minimum, bounded."""
    data = soa.rdatas[0]
    minimum = data.minimum if isinstance(data, SOA) else 0
    return soa.with_ttl(min(soa.ttl, minimum, NEGATIVE_TTL_MAX_S))


class Cache:
    """Remembers at most `entries_max` things; with 0 it remembers nothing."""

    def __init__(
        self, entries_max: int = ENTRIES_MAX, delegations_max: int = DELEGATIONS_MAX, ttl_max_s: int = TTL_MAX_S
    ) -> None:
        self._entries: BoundedDict[Key, _Entry] = BoundedDict(entries_max)
        self._delegations: BoundedDict[tuple[bytes, ...], Delegation] = BoundedDict(min(delegations_max, entries_max))
        self._ttl_max_s = ttl_max_s

    def __len__(self) -> int:
        return len(self._entries)

    # Answers.

    def put(self, rrset: RRset, trust: Trust, now: float) -> None:
        """Remember a set, unless a live one of higher trust is there (RFC 2181 section 5.4.1)."""
        self._put((rrset.name.folded, rrset.rtype), rrset, trust, min(rrset.ttl, self._ttl_max_s), now)

    def put_negative(self, name: Name, rtype: int, rcode: int, soa: RRset, now: float) -> None:
        """Remember that a name does not exist, or no `rtype` there; `soa` is as negative_soa() returns it."""
        key = (name.folded, ANY_TYPE if rcode == Rcode.NXDOMAIN else rtype)
        self._put(key, Negative(rcode, soa), Trust.AUTHORITATIVE_ANSWER, min(soa.ttl, self._ttl_max_s), now)

    def limited(self, rrset: RRset) -> RRset:
        """Return a set with a TTL that is not over the bound."""
        return rrset if rrset.ttl <= self._ttl_max_s else rrset.with_ttl(self._ttl_max_s)

    def put_failure(self, name: Name, rtype: int, now: float) -> None:
        """RFC 9520 section 3.2: remember that a question could not be answered, for longer each time in a row."""
        key = (name.folded, rtype)
        count, entry = 0, self._entries.get(key)
        if entry is not None and isinstance(entry.value, Failure):
            # What failed long ago does not count for what fails now.
            count = entry.value.count + 1 if entry.left(now) > -FAILURE_TTL_MAX_S else 0
        elif entry is not None and entry.left(now) > 0:
            # An answer that lives is not pushed out by a failure to get another.
            return
        ttl = min(FAILURE_TTL_MIN_S << min(count, 16), FAILURE_TTL_MAX_S)
        self._entries.put(key, _Entry(Failure(count, ttl), Trust.ANSWER, now, ttl))

    def get(self, name: Name, rtype: int, now: float) -> Value | None:
        """Return what is known of exactly this name and type, with the TTL that is left of it."""
        return self._get((name.folded, rtype), now)

    def nonexistence(self, name: Name, now: float) -> Negative | None:
        """RFC 8020 section 2: return the proof that this name, or one above it, does not exist."""
        folded = name.folded
        for begin in range(len(folded)):
            found = self._get((folded[begin:], ANY_TYPE), now)
            if isinstance(found, Negative):
                return found
        return None

    def _put(self, key: Key, value: Value, trust: Trust, ttl: int, now: float) -> None:
        # RFC 1035 section 3.2.1: with a TTL of 0 it is good for the transaction under way, and not kept.
        if ttl <= 0:
            return
        present = self._entries.get(key)
        if present is not None and present.trust > trust and present.left(now) > 0:
            return
        self._entries.put(key, _Entry(value, trust, now, ttl))

    def _get(self, key: Key, now: float) -> Value | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        left = entry.left(now)
        value = entry.value
        if left <= 0:
            # A failure's count outlives it, so that the next one lasts longer.
            if not isinstance(value, Failure):
                self._entries.drop(key)
            return None
        if isinstance(value, RRset):
            return value.with_ttl(int(left))
        return Negative(value.rcode, value.soa.with_ttl(int(left))) if isinstance(value, Negative) else value

    # Delegations.

    def put_delegation(self, delegation: Delegation, now: float, until: float = inf) -> Delegation:
        """Remember whom to ask about a zone, `until` the end of the delegation whose servers said so at the latest.

        Returns the delegation with its own end.
        """
        held = replace(delegation, until=min(now + min(delegation.ttl, self._ttl_max_s), until))
        if held.until > now:
            self._delegations.put(held.zone.folded, held)
        return held

    def delegations(self, name: Name, now: float) -> Iterator[tuple[Delegation, int]]:
        """Yield the live delegations at and above a name, nearest first, each with the seconds that are left of it."""
        folded = name.folded
        for begin in range(len(folded) + 1):
            found = self._delegations.get(folded[begin:])
            if found is None:
                continue
            if found.until > now:
                yield found, int(found.until - now)
            else:
                self._delegations.drop(folded[begin:])
