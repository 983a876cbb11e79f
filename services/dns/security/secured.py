"""Secured RRsets: an RRset with its signatures, its security status and, where needed, NSEC or NSEC3 proofs.

The resolver's caches store secured RRsets in place of plain RRsets, so that data, signatures and status expire together
(RFC 4035 section 4.5: one atomic entry). A negative answer is stored as the secured RRset of its SOA record, with the
NSEC or NSEC3 records of the proof. An answer synthesized from a wildcard has the proof that no closer name exists.
"""

from dataclasses import dataclass

from lab7.services.dns.codec.codes import RRType
from lab7.services.dns.codec.message import RRset, rdata_octets, synthesize_cname
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

    def stored_octets(self) -> int:
        """Estimate the octets of memory that the secured RRset takes, with its signatures and its proof."""
        own = RRset.stored_octets(self) + sum(map(rdata_octets, self.signatures))
        return own + sum([part.stored_octets() for part in self.proof])

    def _copy(self, name: Name, ttl: int, proof: tuple["SecuredRRset", ...]) -> "SecuredRRset":
        # replace() of dataclasses would take several times as long, and each cache hit has a copy.
        return SecuredRRset(
            name, self.rtype, self.rclass, ttl, self.rdatas, self.signatures, self.secure, proof, self.error
        )


def is_implied(rrset: RRset, dname: RRset) -> bool:
    """Tell whether a CNAME is the one that a server synthesizes from a given DNAME (RFC 6672 section 3.1)."""
    if rrset.rtype != RRType.CNAME or not rrset.name.is_strictly_below(dname.name):
        return False
    implied = synthesize_cname(dname, rrset.name)
    return implied is not None and implied[0].rdatas == rrset.rdatas
