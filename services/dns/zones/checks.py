"""Checks of a loaded zone that yield warnings: hosts of NS, MX and SRV that are aliases or have no address.

RFC 2181 section 10.3 (NS and MX must not point to an alias), RFC 2782 (SRV must not either), RFC 1912 section 2.8. A
zone with such records is served nevertheless, as by NSD, and by BIND with its defaults for MX and SRV. Names in other
zones are not checked.
"""

from collections.abc import Iterable, Iterator

from lab7.services.dns.codec.codes import ADDRESS_TYPES, RRType, type_to_text
from lab7.services.dns.codec.master_file import Entry
from lab7.services.dns.codec.name import ROOT, Name
from lab7.services.dns.zones.zone import HOST_TYPES, MatchKind, Zone, host_of


def host_warnings(zone: Zone, entries: Iterable[Entry]) -> Iterator[str]:
    """Yield a warning for each NS, MX and SRV record whose host is an alias or has no address in the zone."""
    for entry in entries:
        record = entry.record
        if record.rtype not in HOST_TYPES or not record.name.is_below(zone.origin):
            continue
        host = host_of(record.rdata)
        # The root as a host means that there is no host (RFC 2782, RFC 7505).
        problem = _problem(zone, host) if host != ROOT and host.is_below(zone.origin) else None
        if problem is not None:
            kind = type_to_text(record.rtype)
            yield str(entry.error(f"the {kind} record of {record.name} names {host}, which {problem}"))


def _problem(zone: Zone, host: Name) -> str | None:
    match = zone.find(host)
    if match.kind is MatchKind.DELEGATION:
        return None
    if match.kind is MatchKind.DNAME or RRType.CNAME in match.node:
        return "is an alias: name its canonical name (RFC 2181 section 10.3)"
    if match.node.keys().isdisjoint(ADDRESS_TYPES):
        return "has no address: add an A or AAAA record"
    return None
