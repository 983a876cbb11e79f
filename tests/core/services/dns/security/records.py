"""Helpers of the DNSSEC tests: RRsets and signatures from the text of master files, and the examples of the RFCs."""

from __future__ import annotations

from lab7.services.dns.codec.codes import RRType, type_from_text
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import RRset, rrsets_of
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata_security import DNSKEY, DS, NSEC, NSEC3, RRSIG
from lab7.services.dns.security.nsec import NsecRecord

EXAMPLE = Name.from_text("example.")
# RFC 4035 Appendix A: the keys of the zone "example", and a time at which its signatures are valid.
RFC4035_KEYS = """
example. 3600 DNSKEY 256 3 5 AQOy1bZVvpPqhg4j7EJoM9rI3ZmyEx2OzDBVrZy/lvI5CQePxXHZS4i8dANH4DX3tbHol61ek8EFMcsGXxKc
iJFHyhl94C+NwILQdzsUlSFovBZsyl/NX6yEbtw/xN9ZNcrbYvgjjZ/UVPZIySFNsgEYvh0z2542lzMKR4Dh8uZffQ==
"""
RFC4035_NOW = 1083412800
SIGNED = "5 {} 3600 20040509183619 20040409183619 38519 example. {}"


def name(text: str) -> Name:
    return Name.from_text(text)


def rrset(text: str) -> RRset:
    """Return the RRset of one or more lines `owner TTL type rdata`."""
    (only,) = rrsets_of(entry.record for entry in parse_master_file(text.strip() + "\n", Name()))
    return only


def signature(text: str) -> RRSIG:
    """Return the rdata of an RRSIG in presentation format."""
    (rdata,) = rrset("example. 3600 RRSIG " + text).rdatas
    assert isinstance(rdata, RRSIG)
    return rdata


def rfc4035_signature(covered: str, labels: int, *octets: str) -> RRSIG:
    """Return a signature of RFC 4035 Appendix A or B."""
    return signature(f"{covered} " + SIGNED.format(labels, "".join(octets)))


def dnskeys(text: str) -> list[DNSKEY]:
    """Return the keys of DNSKEY records."""
    joined = text.replace("\n", " ").replace(" example. 3600", "\nexample. 3600").strip() + "\n"
    return [rdata for rdata in rrset(joined).rdatas if isinstance(rdata, DNSKEY)]


def ds(text: str) -> DS:
    (rdata,) = rrset(text).rdatas
    assert isinstance(rdata, DS)
    return rdata


def nsec(owner: str, following: str, types: str) -> NsecRecord:
    """Return an NSEC record."""
    return NsecRecord(name(owner), NSEC(name(following), tuple(sorted(map(type_from_text, types.split())))))


def nsec3(text: str) -> tuple[Name, NSEC3]:
    """Return the owner and rdata of an NSEC3 record `owner rdata`."""
    owner, _, rest = text.partition(" ")
    found = rrset(f"{owner} 3600 NSEC3 {rest}")
    (rdata,) = found.rdatas
    assert isinstance(rdata, NSEC3)
    assert found.rtype == RRType.NSEC3
    return found.name, rdata
