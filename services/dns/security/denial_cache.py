"""Denial cache: validated NSEC records of signed zones, from which negative answers are synthesized (RFC 8198).

    none.example.com. NXDOMAIN was proven by   mail.example.com. NSEC ns1.example.com.
    nobody.example.com. A                  ->  NXDOMAIN, by the same record and without a query

RFC 8198 sections 4 (proofs), 5.1 (NSEC) and 5.4 (no longer than the records and the SOA allow). Left out: NSEC3, which
would need a hash for each name queried; answers made from a cached wildcard (section 5.3); DS.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.bounded_dict import BoundedDict
from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.name import Name
from services.dns.codec.rdata_security import NSEC
from services.dns.security.nsec import Denial, NsecRecord, denies_name, denies_type, wildcard_of
from services.dns.security.secured import SecuredRRset

ZONES_MAX = 1000
# Maximum number of NSEC records per zone; when it is reached, the next proof replaces all records of the zone.
RECORDS_PER_ZONE_MAX = 1000
# Query types that get no synthesized answer: DS (at the parent's side of a cut), NSEC, RRSIG and ANY.
_NOT_MADE = frozenset({RRType.DS, RRType.NSEC, RRType.RRSIG, RRType.ANY})

_Key = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Stored:
    rrset: SecuredRRset
    record: NsecRecord
    expires: float


@dataclass(slots=True)
class _ZoneDenials:
    """NSEC records of one zone, sorted by owner in canonical order."""

    soa: SecuredRRset
    expires: float
    keys: list[_Key] = field(default_factory=list)
    stored: dict[_Key, _Stored] = field(default_factory=dict)

    def at_or_before(self, name: Name, now: float) -> _Stored | None:
        """Return the NSEC record at a name, or the last one before the name; None if that record has expired."""
        index = bisect_right(self.keys, name.folded[::-1])
        found = self.stored[self.keys[index - 1]] if index else None
        return found if found is not None and found.expires > now else None


@dataclass(frozen=True, slots=True)
class MadeAnswer:
    """Negative answer synthesized from cached NSEC records: the rcode, and the SOA with the proof and the TTL left."""

    rcode: int
    soa: SecuredRRset


class DenialCache:
    """Cache of NSEC records of at most `zones_max` zones; `zones_max` 0 disables the cache."""

    def __init__(self, zones_max: int = ZONES_MAX) -> None:
        self._zones: BoundedDict[Name, _ZoneDenials] = BoundedDict(zones_max)

    def put(self, zone: Name, soa: SecuredRRset, rrsets: Iterable[SecuredRRset], now: float) -> None:
        """Store the SOA and the NSEC records of a validated proof."""
        denials = self._zones.get(zone)
        if denials is None or len(denials.keys) >= RECORDS_PER_ZONE_MAX:
            denials = _ZoneDenials(soa, now)
        denials.soa, denials.expires = soa, now + soa.ttl
        for rrset in rrsets:
            rdata = rrset.rdatas[0]
            if not isinstance(rdata, NSEC):
                continue
            key = rrset.name.folded[::-1]
            if key not in denials.stored:
                insort(denials.keys, key)
            denials.stored[key] = _Stored(rrset, NsecRecord(rrset.name, rdata), now + rrset.ttl)
        self._zones.put(zone, denials)

    def answer(self, name: Name, rtype: int, now: float) -> MadeAnswer | None:
        """Return the negative answer that cached records prove for a name and type; None without a proof."""
        if rtype in _NOT_MADE:
            return None
        for zone in name.ancestors():
            denials = self._zones.get(zone)
            if denials is not None:
                return _made(denials, zone, name, rtype, now)
        return None


def _made(denials: _ZoneDenials, zone: Name, name: Name, rtype: int, now: float) -> MadeAnswer | None:
    first = denials.at_or_before(name, now)
    if first is None or denials.expires <= now:
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


def _answer(denials: _ZoneDenials, rcode: int, used: list[_Stored], now: float) -> MadeAnswer:
    ttl = int(min(denials.expires, *(one.expires for one in used)) - now)
    proof = tuple([one.rrset for one in used])
    soa = denials.soa
    made = SecuredRRset(soa.name, soa.rtype, soa.rclass, soa.ttl, soa.rdatas, soa.signatures, True, proof)
    return MadeAnswer(rcode, made.with_ttl(ttl))
