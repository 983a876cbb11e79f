"""Denial of existence by NSEC3 records: hashed names, and validation of the proofs (RFC 5155).

    0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX DNSKEY NS ...

RFC 5155 sections 5 (hash), 8 (validation) and 9.2 (AD and opt-out), RFC 6840 section 4.1, RFC 9276 section 3.2: records
with many iterations are not used, so their zone counts as insecure. The number of hashes per resolution is bounded
(CVE-2023-50868).
"""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.errors import NameTooLongError
from lab7.services.dns.codec.name import ASTERISK, Name
from lab7.services.dns.codec.rdata_security import NSEC3
from lab7.services.dns.security.nsec import Denial, is_cut, lacks_type
from lab7.services.dns.security.signature import ValidationBudget

SHA1 = 1
OPT_OUT = 1
# Maximum number of NSEC3 iterations; zones with more count as insecure (RFC 9276 section 3.2). 150 is Unbound's limit.
ITERATIONS_MAX = 150


def nsec3_hash(name: Name, salt: bytes, iterations: int) -> bytes:
    """Return the NSEC3 hash of a name (RFC 5155 section 5)."""
    octets = hashlib.sha1(name.canonical() + salt).digest()
    for _ in range(iterations):
        octets = hashlib.sha1(octets + salt).digest()
    return octets


def hash_label(octets: bytes) -> bytes:
    """Return a hash as the label of a name: base32hex in lower case, without padding (RFC 5155 section 3)."""
    return base64.b32hexencode(octets).rstrip(b"=").lower()


def hash_of_label(label: bytes) -> bytes | None:
    """Decode the hash in the first label of an NSEC3 owner; None if the label is not a hash."""
    try:
        return base64.b32hexdecode(label.upper() + b"=" * (-len(label) % 8))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Nsec3Record:
    """Validated NSEC3 record with the hash that its owner name encodes."""

    owner_hash: bytes
    rdata: NSEC3

    def covers(self, octets: bytes) -> bool:
        """Tell whether a hash lies between owner hash and next hash; the last record of the chain wraps around."""
        begin, end = self.owner_hash, self.rdata.next_hash
        return begin < octets < end if begin < end else octets > begin or octets < end

    @property
    def parameters(self) -> tuple[bytes, int]:
        """Salt and number of iterations of the hash."""
        return self.rdata.salt, self.rdata.iterations

    @property
    def opts_out(self) -> bool:
        """Return whether the opt-out flag is set: the record may cover unsigned delegations (RFC 5155 section 6)."""
        return bool(self.rdata.flags & OPT_OUT)


def usable_record(owner: Name, rdata: NSEC3, zone: Name) -> Nsec3Record | None:
    """Return an NSEC3 record, with its owner hash decoded, if it belongs to `zone`; else None.

    RFC 5155 sections 8.1 and 8.2: records with unknown algorithms or flags are ignored, so the result is None as well.
    """
    is_known = rdata.hash_algorithm == SHA1 and rdata.flags & ~OPT_OUT == 0
    if not is_known or not owner.is_strictly_below(zone) or len(owner) != len(zone) + 1:
        return None
    owner_hash = hash_of_label(owner.labels[0])
    return None if owner_hash is None else Nsec3Record(owner_hash, rdata)


class HashedDenials:
    """Base class for checks of NSEC3 proofs, by the records of one zone with one salt and number of iterations.

    Subclasses implement the lookup of a record by its hash.
    """

    def __init__(self, zone: Name, salt: bytes, iterations: int, budget: ValidationBudget) -> None:
        self.iterations = iterations
        self._salt = salt
        self._zone = zone
        self._budget = budget
        self._hashes: dict[Name, bytes] = {}

    def find_matching(self, octets: bytes) -> Nsec3Record | None:
        """Return the record whose owner has this hash; None if there is none."""
        raise NotImplementedError

    def find_covering(self, octets: bytes) -> Nsec3Record | None:
        """Return the record that covers this hash, between owner hash and next hash; None if there is none."""
        raise NotImplementedError

    def _hash(self, name: Name) -> bytes:
        octets = self._hashes.get(name)
        if octets is None:
            self._budget.spend_hash(self.iterations)
            octets = self._hashes[name] = nsec3_hash(name, self._salt, self.iterations)
        return octets

    def _matching(self, name: Name) -> Nsec3Record | None:
        return self.find_matching(self._hash(name))

    def _covering(self, name: Name) -> Nsec3Record | None:
        return self.find_covering(self._hash(name))

    def _closest_encloser(self, name: Name) -> tuple[Name, Nsec3Record] | None:
        """Return (closest encloser, record that covers the next closer name), or None if unproven (RFC 5155 8.3)."""
        for labels in range(len(name) - 1, len(self._zone) - 1, -1):
            matching = self._matching(name.suffix(labels))
            if matching is None:
                continue
            # RFC 6840 section 4.1: nothing below a zone cut or a DNAME is denied by the zone above it.
            if RRType.DNAME in matching.rdata.types or is_cut(matching.rdata):
                return None
            covering = self._covering(name.suffix(labels + 1))
            return None if covering is None else (name.suffix(labels), covering)
        return None

    def denies_name(self, name: Name) -> Denial:
        """Check the proof of an NXDOMAIN; return a Denial (RFC 5155 section 8.4)."""
        proven = self._closest_encloser(name)
        if proven is None:
            return Denial.NOT_PROVEN
        encloser, covering = proven
        try:
            wildcard = encloser.child(ASTERISK)
        except NameTooLongError:
            return _denial(covering)
        return Denial.NOT_PROVEN if self._covering(wildcard) is None else _denial(covering)

    def denies_type(self, name: Name, rtype: int) -> Denial:
        """Check the proof of a NODATA: at the name, at a wildcard, or by opt-out; return a Denial.

        RFC 5155 sections 8.5 to 8.7.
        """
        matching = self._matching(name)
        if matching is not None:
            is_proven = lacks_type(matching.rdata, rtype, not len(name))
            return Denial.PROVEN if is_proven else Denial.NOT_PROVEN
        proven = self._closest_encloser(name)
        if proven is None:
            return Denial.NOT_PROVEN
        encloser, covering = proven
        try:
            wildcard = self._matching(encloser.child(ASTERISK))
        except NameTooLongError:
            wildcard = None
        if wildcard is not None:
            return _denial(covering) if lacks_type(wildcard.rdata, rtype) else Denial.NOT_PROVEN
        # RFC 5155 section 8.6: an opt-out span may hide an unsigned delegation, which has no DS.
        return Denial.OPT_OUT if covering.opts_out else Denial.NOT_PROVEN

    def denies_closer(self, name: Name, labels: int) -> Denial:
        """Check the proof that no name matches `name` better than a wildcard; return a Denial.

        The wildcard is `*` below the last `labels` labels of `name`. RFC 5155 section 8.8: the next closer name must be
        covered.
        """
        covering = self._covering(name.suffix(labels + 1))
        return Denial.NOT_PROVEN if covering is None else _denial(covering)

    def is_unsigned_cut(self, name: Name) -> bool:
        """Tell whether a name is a delegation without DS, proven by its record or by opt-out (RFC 5155 section 8.9)."""
        matching = self._matching(name)
        if matching is not None:
            return is_cut(matching.rdata) and RRType.DS not in matching.rdata.types
        proven = self._closest_encloser(name)
        return proven is not None and proven[1].opts_out


class Nsec3Proof(HashedDenials):
    """Checks of proofs by the NSEC3 records of one response, which have one zone and the same parameters."""

    def __init__(self, records: Iterable[tuple[Name, NSEC3]], zone: Name, budget: ValidationBudget) -> None:
        usable = [record for owner, rdata in records if (record := usable_record(owner, rdata, zone)) is not None]
        # RFC 5155 section 8.2: all records of a response have the same parameters.
        parameters = usable[0].parameters if usable else (b"", 0)
        super().__init__(zone, *parameters, budget)
        self._records = [record for record in usable if record.parameters == parameters]

    def __bool__(self) -> bool:
        return bool(self._records)

    def find_matching(self, octets: bytes) -> Nsec3Record | None:
        """Return the record whose owner has this hash; None if there is none."""
        return next((record for record in self._records if record.owner_hash == octets), None)

    def find_covering(self, octets: bytes) -> Nsec3Record | None:
        """Return the record that covers this hash, between owner hash and next hash; None if there is none."""
        return next((record for record in self._records if record.covers(octets)), None)


def _denial(covering: Nsec3Record) -> Denial:
    # RFC 5155 section 9.2: the name may be an unsigned delegation in the opt-out span.
    return Denial.OPT_OUT if covering.opts_out else Denial.PROVEN
