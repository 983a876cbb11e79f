"""Zone checks that yield warnings: targets of NS, MX and SRV, occluded records, and digests of wrong length.

    the MX record of example. names a.example., which is an alias
    the A record of w.d.example. is below the DNAME of d.example., so it is never an answer
    the DS record of s.example. has a digest of 2 octets, and digest type 2 has 32

RFC 2181 section 10.3 (NS and MX must not point to an alias), RFC 2782 (SRV must not either), RFC 1912 section 2.8, RFC
1034 section 4.2.1 (a zone has no data below its cuts, except glue), RFC 6672 section 2.4 (nor below a DNAME). A zone
with such records is served nevertheless, as by NSD, and by BIND with its defaults for MX and SRV. Hosts in other zones
are not checked.
"""

from collections.abc import Iterable, Iterator

from lab7.services.dns.codec.codes import ADDRESS_TYPES, RRType, type_to_text
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.master_file import Entry
from lab7.services.dns.codec.message import Record
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.codec.rdata_security import DS, RRSIG, SSHFP, TLSA, ZONEMD
from lab7.services.dns.zones.zone import HOST_TYPES, MatchKind, Zone, host_of

# Types that the parent zone has at a zone cut (RFC 4035 sections 2.3 and 2.4).
_AT_CUT = frozenset({RRType.NS, RRType.DS, RRType.NSEC})

# Octets of a digest by its type: RFC 4034 appendix A.2, RFC 4509, RFC 5933, RFC 6605, RFC 9558 and RFC 9563 (DS);
# RFC 4255 and RFC 6594 (SSHFP); RFC 6698 (TLSA); RFC 8976 (ZONEMD).
_DS_OCTETS = {1: 20, 2: 32, 3: 32, 4: 48, 5: 32, 6: 32}
_SSHFP_OCTETS = {1: 20, 2: 32}
_TLSA_OCTETS = {1: 32, 2: 64}
_ZONEMD_OCTETS = {1: 48, 2: 64}


def zone_warnings(zone: Zone, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a warning for each problem of a record in the zone; `entries` are those from which it was loaded."""
    listed = [entry for entry in entries if entry.record.name.is_below(zone.origin)]
    servers = {host_of(entry.record.rdata) for entry in listed if entry.record.rtype == RRType.NS}
    for entry in listed:
        record = entry.record
        for problem in (_host_problem(zone, record), _occlusion(zone, record, servers), _digest_problem(record.rdata)):
            if problem is not None:
                kind = type_to_text(record.rtype)
                yield str(entry.error(f"the {kind} record of {record.name} {problem}"))


def _host_problem(zone: Zone, record: Record) -> str | None:
    """Return a warning if the host in a record's rdata is an alias, or has no address in the zone; else None."""
    host = host_of(record.rdata) if record.rtype in HOST_TYPES else ROOT
    # The root as a host means that there is no host (RFC 2782, RFC 7505).
    if host == ROOT or not host.is_below(zone.origin):
        return None
    match = zone.find(host)
    if match.kind is MatchKind.DELEGATION:
        return None
    if match.kind is MatchKind.DNAME or RRType.CNAME in match.node:
        return f"names {host}, which is an alias: name its canonical name (RFC 2181 section 10.3)"
    if match.node.keys().isdisjoint(ADDRESS_TYPES):
        return f"names {host}, which has no address: add an A or AAAA record"
    return None


def _occlusion(zone: Zone, record: Record, servers: set[Name]) -> str | None:
    """Return a warning if a zone cut or a DNAME above a record hides it; else None. Glue of `servers` is not hidden."""
    if record.name.folded in zone.hashed:
        # The owner of an NSEC3 record is no name of the zone.
        return None
    rtype = record.rdata.type_covered if isinstance(record.rdata, RRSIG) else record.rtype
    match = zone.find(record.name, at_parent=rtype in _AT_CUT)
    if match.kind is MatchKind.DNAME:
        return f"is below the DNAME of {match.name}, so it is never an answer: remove it (RFC 6672 section 2.4)"
    if match.kind is not MatchKind.DELEGATION or (rtype in ADDRESS_TYPES and record.name in servers):
        return None
    return (
        f"is no glue, and belongs to the delegated zone {match.name}, so it is never an answer: move it to that zone "
        "(RFC 1034 section 4.2.1)"
    )


def _digest_problem(rdata: Rdata) -> str | None:
    """Return a warning if a digest has another length than its digest type requires; else None."""
    match rdata:
        case DS():
            kind, number, octets, sizes = "digest type", rdata.digest_type, rdata.digest, _DS_OCTETS
        case SSHFP():
            kind, number, octets, sizes = (
                "fingerprint type",
                rdata.fingerprint_type,
                rdata.fingerprint,
                _SSHFP_OCTETS,
            )
        case TLSA():
            kind, number, octets, sizes = "matching type", rdata.matching_type, rdata.data, _TLSA_OCTETS
        case ZONEMD():
            kind, number, octets, sizes = "hash algorithm", rdata.hash_algorithm, rdata.digest, _ZONEMD_OCTETS
        case _:
            return None
    size = sizes.get(number, len(octets))
    return None if size == len(octets) else f"has a digest of {len(octets)} octets, and {kind} {number} has {size}"
