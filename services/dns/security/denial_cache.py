"""Denial cache: validated NSEC and NSEC3 records, for synthesized negative answers (RFC 8198).

    none.example.com. NXDOMAIN was proven by   mail.example.com. NSEC ns1.example.com.
    nobody.example.com. A                  ->  NXDOMAIN, by the same record and without a query

RFC 8198 sections 4 (proofs), 5.1 (NSEC), 5.2 (NSEC3, without opt-out spans) and 5.4 (TTL: at most that of the records
and of the SOA). The number of hashes per lookup is bounded, since a client chooses the number of labels of a name
(CVE-2023-50868). Left out: answers synthesized from a cached wildcard (section 5.3), and the denial of DS.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lab7.services.bounded_dict import BoundedDict, cost_of
from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import NSEC, NSEC3
from lab7.services.dns.security.nsec import Denial, NsecRecord, denies_name, denies_type, wildcard_of
from lab7.services.dns.security.nsec3 import HashedDenials, Nsec3Record, usable_record
from lab7.services.dns.security.secured import SecuredRRset
from lab7.services.dns.security.signature import ValidationBudget, ValidationLimitError

# Maximum number of zones and records together; a large record counts as several. Without it, an attacker's zones could
# fill the memory.
RECORDS_MAX = 20_000
# Maximum number of records per zone; when it is reached, the next proof replaces all records of the zone.
RECORDS_PER_ZONE_MAX = 1000
# Query types that get no synthesized answer: DS (at the parent's side of a cut), NSEC, NSEC3, RRSIG and ANY.
_NOT_MADE = frozenset({RRType.DS, RRType.NSEC, RRType.NSEC3, RRType.RRSIG, RRType.ANY})
# Maximum number of NSEC3 hashes per lookup: enough for names of a dozen labels, a thousandth of the longest name's.
HASHES_PER_ANSWER_MAX = 16

_Key = tuple[bytes, ...]
Record = TypeVar("Record", NsecRecord, Nsec3Record)


@dataclass(frozen=True, slots=True)
class _Stored(Generic[Record]):
    rrset: SecuredRRset
    record: Record
    expires: float

    @property
    def cost(self) -> int:
        """Weight of the record in the limit of the cache: 1 for a usual record, more for a large one."""
        return cost_of(self.rrset.stored_octets())


@dataclass(slots=True)
class _Hashed:
    """NSEC3 records of one zone with the same parameters (salt, iterations), keyed by the hashes of their owners."""

    parameters: tuple[bytes, int]
    keys: list[bytes] = field(default_factory=list)
    stored: dict[bytes, _Stored[Nsec3Record]] = field(default_factory=dict)
    cost: int = 0

    def put(self, entry: _Stored[Nsec3Record]) -> None:
        """Store an NSEC3 record, in place of one with the same owner hash."""
        key = entry.record.owner_hash
        if key not in self.stored:
            insort(self.keys, key)
        else:
            self.cost -= self.stored[key].cost
        self.stored[key] = entry
        self.cost += entry.cost


class _CachedDenials(HashedDenials):
    """Proofs by the unexpired NSEC3 records of one zone in the cache; `used` has the records used by a proof."""

    def __init__(self, zone: Name, hashed: _Hashed, now: float) -> None:
        super().__init__(zone, *hashed.parameters, ValidationBudget(hashes=HASHES_PER_ANSWER_MAX))
        self.used: dict[bytes, _Stored[Nsec3Record]] = {}
        self._hashed = hashed
        self._now = now

    def find_matching(self, octets: bytes) -> Nsec3Record | None:
        """Return the unexpired record whose owner has this hash; None if there is none."""
        return self._use(self._hashed.stored.get(octets))

    def find_covering(self, octets: bytes) -> Nsec3Record | None:
        """Return the unexpired record that covers this hash; None if there is none."""
        # Index 0 leads to the last record, whose span wraps around.
        index = bisect_right(self._hashed.keys, octets)
        found = self._hashed.stored[self._hashed.keys[index - 1]]
        return self._use(found) if found.record.covers(octets) else None

    def _use(self, found: _Stored[Nsec3Record] | None) -> Nsec3Record | None:
        if found is None or found.expires <= self._now:
            return None
        self.used[found.record.owner_hash] = found
        return found.record


@dataclass(slots=True)
class _ZoneDenials:
    """NSEC records of one zone, sorted by owner in canonical order, and its NSEC3 records."""

    soa: SecuredRRset
    expires: float
    keys: list[_Key] = field(default_factory=list)
    stored: dict[_Key, _Stored[NsecRecord]] = field(default_factory=dict)
    hashed: _Hashed | None = None
    names_cost: int = 0

    @property
    def cost(self) -> int:
        """Sum of the weights of the records in the limit of the cache; a large record counts as several."""
        return self.names_cost + (0 if self.hashed is None else self.hashed.cost)

    def put(self, zone: Name, rrset: SecuredRRset, expires: float) -> None:
        """Store an RRset of NSEC or NSEC3, unless it does not belong to the zone or has unknown parameters."""
        rdata = rrset.rdatas[0]
        if isinstance(rdata, NSEC):
            key = rrset.name.folded[::-1]
            if key not in self.stored:
                insort(self.keys, key)
            else:
                self.names_cost -= self.stored[key].cost
            self.stored[key] = _Stored(rrset, NsecRecord(rrset.name, rdata), expires)
            self.names_cost += self.stored[key].cost
        elif isinstance(rdata, NSEC3) and (record := usable_record(rrset.name, rdata, zone)) is not None:
            if self.hashed is None or self.hashed.parameters != record.parameters:
                # The zone has another salt now, and another chain of records.
                self.hashed = _Hashed(record.parameters)
            self.hashed.put(_Stored(rrset, record, expires))

    def at_or_before(self, name: Name, now: float) -> _Stored[NsecRecord] | None:
        """Return the NSEC record at a name, or the last one before the name; None if that record has expired."""
        index = bisect_right(self.keys, name.folded[::-1])
        found = self.stored[self.keys[index - 1]] if index else None
        return found if found is not None and found.expires > now else None


@dataclass(frozen=True, slots=True)
class MadeAnswer:
    """Negative answer synthesized from cached NSEC or NSEC3 records: rcode, and SOA with proof and remaining TTL."""

    rcode: int
    soa: SecuredRRset


class DenialCache:
    """Cache of at most `records_max` NSEC and NSEC3 records of all zones; 0 disables the cache."""

    def __init__(self, records_max: int = RECORDS_MAX) -> None:
        self._zones: BoundedDict[Name, _ZoneDenials] = BoundedDict(records_max)

    def __len__(self) -> int:
        return len(self._zones)

    def put(self, zone: Name, soa: SecuredRRset, rrsets: Iterable[SecuredRRset], now: float) -> None:
        """Store the SOA and the NSEC or NSEC3 records of a validated proof."""
        denials = self._zones.get(zone)
        if denials is None or denials.cost >= RECORDS_PER_ZONE_MAX:
            denials = _ZoneDenials(soa, now)
        denials.soa, denials.expires = soa, now + soa.ttl
        for rrset in rrsets:
            denials.put(zone, rrset, now + rrset.ttl)
        self._zones.put(zone, denials, 1 + denials.cost)

    def answer(self, name: Name, rtype: int, now: float) -> MadeAnswer | None:
        """Return the negative answer that cached records prove for a name and type; None if there is no proof."""
        if rtype in _NOT_MADE:
            return None
        for zone in name.ancestors():
            denials = self._zones.get(zone)
            if denials is not None:
                return _made(denials, zone, name, rtype, now)
        return None


def _made(denials: _ZoneDenials, zone: Name, name: Name, rtype: int, now: float) -> MadeAnswer | None:
    if denials.expires <= now:
        return None
    made = _made_by_names(denials, zone, name, rtype, now)
    return made if made is not None or denials.hashed is None else _made_by_hashes(denials, zone, name, rtype, now)


def _made_by_names(denials: _ZoneDenials, zone: Name, name: Name, rtype: int, now: float) -> MadeAnswer | None:
    first = denials.at_or_before(name, now)
    if first is None:
        return None
    if first.record.owner == name:
        is_proven = denies_type([first.record], name, rtype, zone) is Denial.PROVEN
        return _answer(denials, Rcode.NOERROR, [first], now) if is_proven else None
    wildcard = wildcard_of(first.record, name)
    second = None if wildcard is None else denials.at_or_before(wildcard, now)
    used = [first] if second is None or second is first else [first, second]
    if denies_name([one.record for one in used], name, zone) is not Denial.PROVEN:
        return None
    return _answer(denials, Rcode.NXDOMAIN, used, now)


def _made_by_hashes(denials: _ZoneDenials, zone: Name, name: Name, rtype: int, now: float) -> MadeAnswer | None:
    if denials.hashed is None:
        return None
    proof = _CachedDenials(zone, denials.hashed, now)
    try:
        # NODATA is checked first: if no record matches the name or a wildcard, both proofs need the same records.
        if proof.denies_type(name, rtype) is Denial.PROVEN:
            rcode = Rcode.NOERROR
        elif proof.denies_name(name) is Denial.PROVEN:
            rcode = Rcode.NXDOMAIN
        else:
            return None
    except ValidationLimitError:
        return None
    return _answer(denials, rcode, list(proof.used.values()), now)


def _answer(
    denials: _ZoneDenials, rcode: int, used: Sequence[_Stored[NsecRecord] | _Stored[Nsec3Record]], now: float
) -> MadeAnswer:
    ttl = int(min(denials.expires, *(one.expires for one in used)) - now)
    proof = tuple([one.rrset for one in used])
    soa = denials.soa
    made = SecuredRRset(soa.name, soa.rtype, soa.rclass, soa.ttl, soa.rdatas, soa.signatures, True, proof)
    return MadeAnswer(rcode, made.with_ttl(ttl))
