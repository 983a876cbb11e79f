"""DNSSEC records in answers from signed zones: signatures, proofs of denial, DS of referrals (RFC 4035 section 3.1).

    Answer(authority=[SOA])  +  DO  ->  SOA, RRSIG, NSEC that denies the name, RRSIG, NSEC that denies a wildcard, RRSIG

The zones are signed by lab7.services.dns.security.signer or by another program; this module needs no key. RFC 4035
sections 3.1.1 (RRSIG), 3.1.3 (NSEC), 3.1.4 (referrals); RFC 5155 section 7.2 (NSEC3; section 7.2.9: SERVFAIL for a name
whose hash collides); RFC 6672 section 5.3 (a CNAME synthesized from a DNAME is not signed).

The table shows the records that prove the denial, for each result of the lookup in zones.zone. "At X" is the NSEC
record that X owns, or the NSEC3 record that the hash of X owns. "Over X" is the NSEC or NSEC3 record whose interval
covers X or its hash. ENT is an empty non-terminal, CE the closest encloser of the qname, NC the next closer name.

    result of the lookup          NSEC                                 NSEC3
    MISSING                       over the qname; over *.CE            at CE; over NC; over *.CE
    EXACT without the type        at the qname, or over it (ENT)       at the qname; or opt-out: at CE, over NC
    WILDCARD                      over the qname                       over NC
    WILDCARD without the type     over the qname; at the wildcard      at CE; over NC; at the wildcard
    DELEGATION without DS         at the zone cut                      at the zone cut; or opt-out: at CE, over NC
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Protocol

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.errors import NameTooLongError
from lab7.services.dns.codec.message import Question, RRset
from lab7.services.dns.codec.name import ASTERISK, Name
from lab7.services.dns.codec.rdata_security import NSEC3, NSEC3PARAM
from lab7.services.dns.security.nsec3 import SHA1, hash_of_label, nsec3_hash
from lab7.services.dns.zones.zone import Answer, Match, MatchKind, Zone, rrsets_of_type

# Maximum number of cached NSEC3 hashes of existing names, per zone.
HASHES_MAX = 10_000


class HashCollisionError(Exception):
    """Error for a nonexistent name whose NSEC3 hash equals the hash of an existing name (RFC 5155 section 7.2.9)."""


class DenialRecords(Protocol):
    """Interface of a zone's NSEC or NSEC3 records, from which the proofs of nonexistence in responses are taken.

    Each method yields the records of a proof, and None for a record that the zone lacks.
    """

    def name_error(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the records which prove that neither the name nor a wildcard that would match it exists."""

    def no_data(self, qname: Name) -> Iterator[RRset | None]:
        """Yield the records which prove that an existing name has no records of the type queried."""

    def no_closer(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the records which prove that no name matches `qname` better than a wildcard."""

    def wildcard_no_data(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the records which prove that the wildcard that matches a name has no records of the type queried."""


def _wildcard(encloser: Name) -> Name | None:
    try:
        return encloser.child(ASTERISK)
    except NameTooLongError:
        return None


class NsecRecords:
    """NSEC records of a zone in canonical order of their owners, from which proofs of nonexistence are taken."""

    def __init__(self, zone: Zone) -> None:
        found = [node[RRType.NSEC] for node in zone.nodes.values() if RRType.NSEC in node]
        self._records = sorted(found, key=lambda rrset: rrset.name.folded[::-1])
        self._keys = [rrset.name.folded[::-1] for rrset in self._records]

    def _at_or_before(self, name: Name) -> RRset | None:
        """Return the NSEC record at a name, or else the record that covers the name."""
        index = bisect_right(self._keys, name.folded[::-1])
        return self._records[index - 1] if index else None

    def name_error(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the NSEC records that cover the name and the wildcard that would match it."""
        yield self._at_or_before(qname)
        wildcard = _wildcard(encloser)
        if wildcard is not None:
            yield self._at_or_before(wildcard)

    def no_data(self, qname: Name) -> Iterator[RRset | None]:
        """Yield the NSEC record at the name, or, for an empty non-terminal, the record that covers the name."""
        yield self._at_or_before(qname)

    def no_closer(self, qname: Name, _: Name) -> Iterator[RRset | None]:
        """Yield the NSEC record that covers the name."""
        yield self._at_or_before(qname)

    def wildcard_no_data(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the NSEC record that covers the name, and the record at the wildcard."""
        yield from self.name_error(qname, encloser)


class Nsec3Records:
    """NSEC3 records of a zone with the parameters of one NSEC3PARAM, from which proofs of nonexistence are taken."""

    def __init__(self, zone: Zone, parameters: NSEC3PARAM) -> None:
        self._parameters = parameters
        self._origin = zone.origin
        records: dict[bytes, RRset] = {}
        for node in zone.hashed.values():
            rrset = node[RRType.NSEC3]
            octets = hash_of_label(rrset.name.labels[0])
            if octets is not None and any(self._belongs(rdata) for rdata in rrset.rdatas if isinstance(rdata, NSEC3)):
                records[octets] = rrset
        self._records = records
        self._hashes = sorted(records)
        self._known: dict[Name, bytes] = {}

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def _belongs(self, rdata: NSEC3) -> bool:
        of_zone = self._parameters
        return (rdata.hash_algorithm, rdata.iterations, rdata.salt) == (SHA1, of_zone.iterations, of_zone.salt)

    def _hash(self, name: Name) -> bytes:
        octets = self._known.get(name)
        if octets is None:
            octets = nsec3_hash(name, self._parameters.salt, self._parameters.iterations)
            if len(self._known) < HASHES_MAX:
                self._known[name] = octets
        return octets

    def _match(self, name: Name) -> RRset | None:
        return self._records.get(self._hash(name))

    def _cover(self, name: Name) -> RRset:
        octets = nsec3_hash(name, self._parameters.salt, self._parameters.iterations)
        if octets in self._records:
            raise HashCollisionError(f"the hash of {name} is that of another name")
        # Index -1 is the last record, which covers the hashes before the first record.
        return self._records[self._hashes[bisect_left(self._hashes, octets) - 1]]

    def _encloser(self, name: Name) -> Name:
        """Return the closest ancestor of a name, or the name itself, that has an NSEC3 record.

        With opt-out, an empty non-terminal above unsigned delegations only has no record.
        """
        for ancestor in name.ancestors():
            if len(ancestor) <= len(self._origin) or self._match(ancestor) is not None:
                return ancestor
        return self._origin

    def _closest_encloser_proof(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        yield self._match(encloser)
        yield self._cover(qname.suffix(len(encloser) + 1))

    def name_error(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the NSEC3 proof of a name error (RFC 5155 section 7.2.2)."""
        proven = self._encloser(encloser)
        yield from self._closest_encloser_proof(qname, proven)
        wildcard = _wildcard(proven)
        if wildcard is not None:
            yield self._cover(wildcard)

    def no_data(self, qname: Name) -> Iterator[RRset | None]:
        """Yield the NSEC3 proof that a name lacks a type (RFC 5155 sections 7.2.3, 7.2.4 and 7.2.7)."""
        matching = self._match(qname)
        if matching is not None:
            yield matching
            return
        yield from self._closest_encloser_proof(qname, self._encloser(qname.parent))

    def no_closer(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the NSEC3 proof that no name matches better than a wildcard (RFC 5155 section 7.2.6)."""
        yield self._cover(qname.suffix(len(encloser) + 1))

    def wildcard_no_data(self, qname: Name, encloser: Name) -> Iterator[RRset | None]:
        """Yield the NSEC3 proof that a wildcard lacks a type (RFC 5155 section 7.2.5)."""
        yield from self._closest_encloser_proof(qname, encloser)
        wildcard = _wildcard(encloser)
        if wildcard is not None:
            yield self._match(wildcard)


def denial_records(zone: Zone) -> DenialRecords | None:
    """Return the DenialRecords by the NSEC3 or NSEC records of a zone; None if the zone is not signed."""
    if not zone.is_signed:
        return None
    parameters = zone.apex.get(RRType.NSEC3PARAM)
    for rdata in () if parameters is None else parameters.rdatas:
        # RFC 5155 section 4.1.2: servers ignore NSEC3PARAM records with flags.
        if isinstance(rdata, NSEC3PARAM) and rdata.hash_algorithm == SHA1 and rdata.flags == 0:
            records = Nsec3Records(zone, rdata)
            if records:
                return records
    return NsecRecords(zone)


class Denials:
    """Cache of the DenialRecords of a server's zones; they are collected at the first query for each zone."""

    def __init__(self) -> None:
        self._records: dict[Name, DenialRecords | None] = {}

    def of(self, zone: Zone) -> DenialRecords | None:
        """Return the DenialRecords of a zone; None if the zone is not signed."""
        if zone.origin not in self._records:
            self._records[zone.origin] = denial_records(zone)
        return self._records[zone.origin]


def secured(answer: Answer, question: Question, denials: Denials) -> Answer:
    """Add the DNSSEC records for a query with DO to an answer: signatures of its RRsets, and the proof of a denial."""
    if not any(denials.of(zone) is not None for zone, _, _ in answer.matches):
        return answer
    proofs = list[RRset]()
    try:
        for zone, qname, match in answer.matches:
            proofs += _proof(zone, qname, match, question.rtype, denials)
    except HashCollisionError:
        return Answer(Rcode.SERVFAIL)
    sources = _sources(answer)
    last = answer.matches[-1][0]
    # The answer to a query for ANY includes the signatures already.
    answer.answers = _distinct(_signed(answer.answers, sources, last))
    answer.authority = [*_signed(answer.authority, {}, last), *_distinct(proofs)]
    answer.additional = list(_signed(answer.additional, _expanded(answer.additional, last), last))
    return answer


def _expanded(additional: Iterable[RRset], zone: Zone) -> dict[Name, tuple[Zone, Name]]:
    """Map the owners in the additional section whose addresses were synthesized from a wildcard to (zone, wildcard)."""
    matches = ((rrset.name, zone.find(rrset.name)) for rrset in additional if rrset.name.folded not in zone.nodes)
    return {name: (zone, match.name) for name, match in matches if match.kind is MatchKind.WILDCARD}


def _sources(answer: Answer) -> dict[Name, tuple[Zone, Name]]:
    """Map each owner in the answer section to (zone, signed name), for the lookup of its signatures.

    The signed name differs from the owner if the RRset was synthesized from a wildcard: it is the wildcard.
    """
    sources: dict[Name, tuple[Zone, Name]] = {}
    for zone, qname, match in answer.matches:
        if match.kind is MatchKind.DNAME:
            sources[match.name] = zone, match.name
        elif match.kind is not MatchKind.DELEGATION:
            sources[qname] = zone, match.name
    return sources


def _signed(rrsets: Iterable[RRset], sources: dict[Name, tuple[Zone, Name]], default: Zone) -> Iterator[RRset]:
    """Yield each RRset, followed by its signatures; `sources` has the signed names of RRsets from wildcards."""
    for rrset in rrsets:
        yield rrset
        zone, source = sources.get(rrset.name, (default, rrset.name))
        signature = zone.signature(source, rrset.rtype)
        if signature is not None:
            yield signature.renamed(rrset.name).with_ttl(rrset.ttl)


def _distinct(rrsets: Iterable[RRset]) -> list[RRset]:
    """Return the RRsets without duplicates, in the order of their first occurrence."""
    return list(dict.fromkeys(rrsets))


def _proof(zone: Zone, qname: Name, match: Match, qtype: int, denials: Denials) -> list[RRset]:
    """Return the DNSSEC records about one looked-up name: DS of a referral or proof of a denial, with signatures."""
    records = denials.of(zone)
    if records is None:
        return []
    found = [rrset for rrset in _denial(zone, records, qname, match, qtype) if rrset is not None]
    return list(_signed(found, {}, zone))


def _denial(zone: Zone, records: DenialRecords, qname: Name, match: Match, qtype: int) -> Iterator[RRset | None]:
    if match.kind is MatchKind.MISSING:
        yield from records.name_error(qname, match.name)
    elif match.kind is MatchKind.DELEGATION:
        # RFC 4035 section 3.1.4: a referral has the DS RRset, or the proof that no DS exists.
        ds = match.node.get(RRType.DS)
        if ds is not None:
            yield ds
        else:
            yield from records.no_data(match.name)
    elif match.kind is not MatchKind.DNAME:
        is_answered = bool(rrsets_of_type(zone, match, qtype)) or RRType.CNAME in match.node
        if match.kind is MatchKind.WILDCARD and is_answered:
            yield from records.no_closer(qname, match.name.parent)
        elif match.kind is MatchKind.WILDCARD:
            yield from records.wildcard_no_data(qname, match.name.parent)
        elif not is_answered:
            yield from records.no_data(qname)
