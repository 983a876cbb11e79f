"""Secured RRsets: an RRset with its signatures, its security status and, where needed, NSEC or NSEC3 proofs.

The resolver's caches store secured RRsets in place of plain RRsets, so that data, signatures and status expire together
(RFC 4035 section 4.5: one atomic entry). A negative answer is stored as the secured RRset of its SOA record, with the
NSEC or NSEC3 records of the proof. An answer synthesized from a wildcard has the proof that no closer name exists.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import Record, RRset, synthesize_cname
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import RRSIG
from lab7.services.dns.security.extended_error import ExtendedError


@dataclass(frozen=True, slots=True)
class SecuredRRset(RRset):
    """An RRset with its RRSIG rdata; `secure` is True if validation succeeded, False if insecure or not validated.

    `error` is the reason why an insecure RRset with signatures is not validated, such as an unknown algorithm.
    """

    signatures: tuple[RRSIG, ...] = ()
    secure: bool = False
    proof: tuple["SecuredRRset", ...] = ()
    error: ExtendedError | None = None

    def renamed(self, name: Name) -> "SecuredRRset":
        """Return the secured RRset with another owner name."""
        return self._copy(name, self.ttl, self.proof)

    def with_ttl(self, ttl: int) -> "SecuredRRset":
        """Return the secured RRset with another TTL, which also limits the TTL of its proof."""
        proof = tuple([part.with_ttl(min(part.ttl, ttl)) for part in self.proof])
        return self._copy(self.name, ttl, proof)

    def _copy(self, name: Name, ttl: int, proof: tuple["SecuredRRset", ...]) -> "SecuredRRset":
        # replace() of dataclasses would take several times as long, and each cache hit has a copy.
        return SecuredRRset(
            name, self.rtype, self.rclass, ttl, self.rdatas, self.signatures, self.secure, proof, self.error
        )


# Octets of memory of an rdata object, beside those of its wire format.
_RDATA_OCTETS = 200


def stored_octets(rrset: RRset) -> int:
    """Estimate the octets of memory that an RRset takes, with its signatures and its proof."""
    rdatas: list[Rdata] = [*rrset.rdatas]
    proof: tuple[SecuredRRset, ...] = ()
    if isinstance(rrset, SecuredRRset):
        rdatas += rrset.signatures
        proof = rrset.proof
    return sum(_RDATA_OCTETS + len(rdata.to_wire()) for rdata in rdatas) + sum(stored_octets(part) for part in proof)


def signature_records(rrset: RRset) -> Iterator[Record]:
    """Yield the RRSIG records of a secured RRset, with the TTL of the RRset; nothing if it has no signatures."""
    if isinstance(rrset, SecuredRRset):
        for signature in rrset.signatures:
            yield Record(rrset.name, RRType.RRSIG, rrset.rclass, rrset.ttl, signature)


def is_secure(answers: Iterable[RRset], authority: Iterable[RRset] = ()) -> bool:
    """Tell whether all RRsets of a response are secure (RFC 4035 section 3.2.3, RFC 6840 section 5.8).

    A CNAME synthesized from a DNAME has no signature; it is secure if the DNAME is (RFC 6672 section 5.3.1).
    """
    dname: RRset | None = None
    count = 0
    for rrset in (*answers, *authority):
        count += 1
        if dname is not None and is_implied(rrset, dname):
            continue
        if not (isinstance(rrset, SecuredRRset) and rrset.secure):
            return False
        dname = rrset if rrset.rtype == RRType.DNAME else None
    return count > 0


def insecurity(rrsets: Iterable[RRset]) -> ExtendedError | None:
    """Return the reason for which signed RRsets in a list were not validated, of the first such RRset.

    Returns None without one.
    """
    reasons = (rrset.error for rrset in rrsets if isinstance(rrset, SecuredRRset))
    return next((reason for reason in reasons if reason is not None), None)


def is_implied(rrset: RRset, dname: RRset) -> bool:
    """Tell whether a CNAME is the one that a server synthesizes from a given DNAME (RFC 6672 section 3.1)."""
    if rrset.rtype != RRType.CNAME or not rrset.name.is_strictly_below(dname.name):
        return False
    implied = synthesize_cname(dname, rrset.name)
    return implied is not None and implied[0].rdatas == rrset.rdatas
