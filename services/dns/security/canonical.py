"""Canonical form of an RRset: the octets that a signature covers (RFC 4034 sections 3.1.8.1 and 6).

    signed octets = RRSIG rdata without the signature | RR(1) | RR(2) ...
    RR(i)         = owner | type | class | original TTL | rdata length | rdata      names in lower case, not compressed

RFC 4034 section 6.2 as changed by RFC 6840 section 5.1 (the name in NSEC keeps its case), section 6.3 (records in order
of their rdata, each once), RFC 4035 section 5.3.2 (the owner of a record synthesized from a wildcard).
"""

import struct
from collections.abc import Iterable

from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import RRset
from lab7.services.dns.codec.name import ASTERISK, Name
from lab7.services.dns.codec.rdata_security import RRSIG

_RECORD = struct.Struct("!HHI")
_FIELDS = struct.Struct("!HBBIIIH")


def label_count(name: Name) -> int:
    """Return a name's number of labels as in RRSIG: without the root and a leading asterisk (RFC 4034 3.1.3)."""
    return len(name) - (name.labels[:1] == (ASTERISK,))


def signed_owner(name: Name, labels: int) -> Name:
    """Return the owner name that was signed: a wildcard if `labels` is less than the labels of `name`.

    RFC 4035 section 5.3.2; `labels` is the Labels field of the RRSIG record.
    """
    return name.suffix(labels).child(ASTERISK) if labels < label_count(name) else name


def canonical_rdata(rdatas: Iterable[Rdata]) -> list[bytes]:
    """Return the canonical rdata of an RRset, sorted and without duplicates (RFC 4034 section 6.3)."""
    return sorted({rdata.canonical() for rdata in rdatas})


def signed_octets(rrset: RRset, signature: RRSIG) -> bytes:
    """Return the octets that `signature` covers; the signature field in `signature` is ignored."""
    fields = _FIELDS.pack(
        signature.type_covered,
        signature.algorithm,
        signature.labels,
        signature.original_ttl,
        signature.expiration,
        signature.inception,
        signature.key_tag,
    )
    owner = signed_owner(rrset.name, signature.labels).canonical()
    head = owner + _RECORD.pack(rrset.rtype, rrset.rclass, signature.original_ttl)
    records = [head + len(rdata).to_bytes(2, "big") + rdata for rdata in canonical_rdata(rrset.rdatas)]
    return b"".join([fields, signature.signer.canonical(), *records])
