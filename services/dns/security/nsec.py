"""Denial of existence by NSEC records: checks whether validated records prove that a name or type does not exist.

    a.example. NSEC d.example. A RRSIG NSEC      b.example. does not exist; a.example. has no MX

RFC 4034 section 4, RFC 4035 sections 3.1.3 (proofs in responses) and 5.4 (their validation), RFC 4592 section 4.9
(empty non-terminals), RFC 6840 sections 4.1 (a record of the parent's side of a zone cut proves nothing about the
child), 4.3 (CNAME) and 4.4 (DS).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import NameTooLongError
from lab7.services.dns.codec.name import ASTERISK, Name
from lab7.services.dns.codec.rdata_security import NSEC, NSEC3


class Denial(Enum):
    """Result of checking a proof of nonexistence: proven, not proven, or possible under opt-out."""

    PROVEN = "the records prove it"
    OPT_OUT = "an opt-out span covers the name: it may exist, and is not secure then"
    NOT_PROVEN = "the records do not prove it"


@dataclass(frozen=True, slots=True)
class NsecRecord:
    """A validated NSEC record, with its owner name."""

    owner: Name
    rdata: NSEC

    def covers(self, name: Name, zone: Name) -> bool:
        """Tell whether the record proves that a name does not exist: the name lies between the owner and the next name.

        RFC 4034 section 6.1.
        """
        if not name.is_below(zone) or not self.owner < name or self._is_above_cut(name):
            return False
        # The last NSEC record of the zone has the apex as its next name.
        return name < self.rdata.next or self.rdata.next == zone

    def _is_above_cut(self, name: Name) -> bool:
        """Tell whether the owner is a zone cut or a DNAME above the name (RFC 6840 section 4.1)."""
        if not name.is_strictly_below(self.owner):
            return False
        return RRType.DNAME in self.rdata.types or is_cut(self.rdata)


def is_cut(rdata: NSEC | NSEC3) -> bool:
    """Tell whether an NSEC or NSEC3 record is from the parent's side of a zone cut: it lists NS and not SOA."""
    return RRType.NS in rdata.types and RRType.SOA not in rdata.types


def lacks_type(rdata: NSEC | NSEC3, rtype: int, is_root: bool = False) -> bool:
    """Tell whether the record that matches a name proves that the name has neither `rtype` nor a CNAME.

    RFC 6840 sections 4.1 and 4.4: a record from the parent's side of a zone cut can deny only DS; a record from the
    child's side, which lists SOA, cannot deny DS.
    """
    if rtype in rdata.types or RRType.CNAME in rdata.types:
        return False
    if rtype == RRType.DS:
        return is_root or RRType.SOA not in rdata.types
    return not is_cut(rdata)


def denies_name(records: Iterable[NsecRecord], name: Name, zone: Name) -> Denial:
    """Check a proof of NXDOMAIN by NSEC records: they must deny the name and the wildcard that would match it.

    Returns a Denial: proven, not proven, or possible under opt-out.
    """
    known = list(records)
    covering = _covering(known, name, zone)
    if covering is None or covering.rdata.next.is_below(name):
        return Denial.NOT_PROVEN
    wildcard = wildcard_of(covering, name)
    if wildcard is None or _covering(known, wildcard, zone) is not None:
        return Denial.PROVEN
    return Denial.NOT_PROVEN


def denies_type(records: Iterable[NsecRecord], name: Name, rtype: int, zone: Name) -> Denial:
    """Check a proof of NODATA by NSEC records: at the name, at an empty non-terminal, or at the wildcard that matches.

    Returns a Denial: proven or not proven.
    """
    known = list(records)
    for record in known:
        if record.owner == name:
            return _found(lacks_type(record.rdata, rtype, not len(name)))
    covering = _covering(known, name, zone)
    if covering is None:
        return Denial.NOT_PROVEN
    # RFC 4592 section 4.9: a name that exists only as the ancestor of other names has no types.
    if covering.rdata.next.is_strictly_below(name):
        return Denial.PROVEN
    wildcard = wildcard_of(covering, name)
    if wildcard is None:
        return Denial.NOT_PROVEN
    matching = [record for record in known if record.owner == wildcard]
    if matching:
        return _found(lacks_type(matching[0].rdata, rtype))
    # The wildcard may be an empty non-terminal, which has no NSEC record but descendants.
    above = _covering(known, wildcard, zone)
    return _found(above is not None and above.rdata.next.is_strictly_below(wildcard))


def denies_closer(records: Iterable[NsecRecord], name: Name, labels: int, zone: Name) -> Denial:
    """Check the proof that no name matches `name` better than a wildcard; return a Denial.

    The wildcard is `*` below the last `labels` labels of `name`.
    """
    covering = _covering(list(records), name, zone)
    if covering is None or covering.rdata.next.is_below(name):
        return Denial.NOT_PROVEN
    return _found(len(_closest_encloser(covering, name)) <= labels)


def _found(is_proven: bool) -> Denial:
    return Denial.PROVEN if is_proven else Denial.NOT_PROVEN


def _covering(records: Sequence[NsecRecord], name: Name, zone: Name) -> NsecRecord | None:
    return next((record for record in records if record.covers(name, zone)), None)


def wildcard_of(covering: NsecRecord, name: Name) -> Name | None:
    """Return the wildcard that would match a denied name; None if that wildcard would exceed 255 octets."""
    try:
        return _closest_encloser(covering, name).child(ASTERISK)
    except NameTooLongError:
        return None


def _closest_encloser(covering: NsecRecord, name: Name) -> Name:
    """Return the closest encloser of a name: the longest ancestor in common with a name in the NSEC that covers it."""
    return max((common_ancestor(name, covering.owner), common_ancestor(name, covering.rdata.next)), key=len)


def common_ancestor(name: Name, other: Name) -> Name:
    """Return the longest common ancestor of two names."""
    count = 0
    for label, other_label in zip(reversed(name.folded), reversed(other.folded), strict=False):
        if label != other_label:
            break
        count += 1
    return name.suffix(count)
