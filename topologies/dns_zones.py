"""DNS zones of a topology: master files of the whole hierarchy, generated from the topology's address plan.

A topology declares its zones, their name servers, and the addresses of its domain names. From these declarations
NamePlan generates the address records (A, AAAA), the reverse mapping (PTR below in-addr.arpa and ip6.arpa), the
delegations (NS) and their glue, so that no address is declared twice. Sources: RFC 1034 section 4.2, RFC 1035 sections
3.5 and 5, RFC 3596.

    plan = NamePlan("dns", addresses={"server1.example.com.": ["10.53.4.1"]}, zones=[
        Zone(".", ("a.root-servers.net.",)),
        Zone("com.", ("ns.com.",)),
        Zone("example.com.", ("ns.example.com.",), (Record("www.example.com.", "CNAME", "server1.example.com."),)),
    ])
    plan.master_file("com.")          # the text of that zone; "dns" above is the topology's name, for a comment in it
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template

REVERSE = ("in-addr.arpa.", "ip6.arpa.")
TTL_S = 3600
NEGATIVE_TTL_S = 300
# SOA timers in seconds for secondary servers, which no topology has; in the range of RFC 1912 section 2.2.
REFRESH_S, RETRY_S, EXPIRE_S = 3600, 900, 604_800


@dataclass(frozen=True)
class Record:
    """A resource record: owner, type, rdata in master-file format, TTL in seconds (None: the zone's TTL)."""

    owner: str
    type: str
    value: str
    ttl: int | None = None


@dataclass(frozen=True)
class Zone:
    """A zone: origin, names of its name servers (with a final dot), further records, TTLs in seconds."""

    origin: str
    servers: tuple[str, ...]
    records: tuple[Record, ...] = ()
    ttl: int = TTL_S
    negative_ttl: int = NEGATIVE_TTL_S
    serial: int = 1


def is_below(name: str, origin: str) -> bool:
    """Return whether a domain name is the domain `origin` or below it."""
    return origin == "." or name == origin or name.endswith("." + origin)


def reverse_name(address: str) -> str:
    """Return the reverse-mapping name of an address (RFC 1035 section 3.5; RFC 3596 section 2.5)."""
    return ip_address(address).reverse_pointer + "."


def address_record(name: str, address: str) -> Record:
    """Return the A or AAAA record of a name."""
    return Record(name, "AAAA" if ":" in address else "A", address)


@cache
def _template() -> Template:
    # A topology is imported more often than its zones are written, and jinja2 takes as long to import as all else here.
    from jinja2 import Environment, StrictUndefined

    text = resources.files("lab7.topologies").joinpath("templates/zone.j2").read_text()
    jinja = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return jinja.from_string(text)


class NamePlan:
    """All DNS zones of a topology, from which their master files are generated.

    addresses: domain name -> addresses; canonical: address -> domain name in the PTR record of the address. An address
    that is not in `canonical` gets a PTR record if only one domain name has it.
    """

    def __init__(
        self,
        topology: str,
        addresses: Mapping[str, Sequence[str]],
        zones: Iterable[Zone],
        canonical: Mapping[str, str] | None = None,
    ) -> None:
        self.topology = topology
        self.addresses = addresses
        self.zones = {zone.origin: zone for zone in zones}
        self.canonical = canonical or {
            own_addresses[0]: name for name, own_addresses in addresses.items() if len(own_addresses) == 1
        }

    def zone_of(self, name: str) -> Zone | None:
        """Return the zone with the longest origin that is `name` or an ancestor of it; None without such a zone."""
        above = [zone for zone in self.zones.values() if is_below(name, zone.origin)]
        return max(above, key=lambda zone: 0 if zone.origin == "." else len(zone.origin), default=None)

    def master_file(self, origin: str) -> str:
        """Return one zone in master-file format (RFC 1035 section 5)."""
        zone = self.zones[origin]
        return _template().render(zone=zone, records=self.records(origin), topology=self.topology)

    def records(self, origin: str) -> tuple[Record, ...]:
        """Return all records of one zone with their TTLs, the SOA and NS sets included."""
        zone = self.zones[origin]
        mailbox = f"hostmaster.{'' if origin == '.' else origin}"
        numbers = " ".join(map(str, (zone.serial, REFRESH_S, RETRY_S, EXPIRE_S, zone.negative_ttl)))
        apex = [
            Record(origin, "SOA", f"{zone.servers[0]} {mailbox} {numbers}"),
            *(Record(origin, "NS", server) for server in zone.servers),
        ]
        return tuple(
            record if record.ttl is not None else replace(record, ttl=zone.ttl)
            for record in [*apex, *self._filled(zone)]
        )

    def _filled(self, zone: Zone) -> list[Record]:
        records = [*zone.records, *self._hosts(zone), *self._reverse(zone), *self._delegations(zone)]
        return list(dict.fromkeys(records))

    def _hosts(self, zone: Zone) -> list[Record]:
        return [
            address_record(name, address)
            for name, addresses in self.addresses.items()
            if self.zone_of(name) is zone
            for address in addresses
        ]

    def _reverse(self, zone: Zone) -> list[Record]:
        if not any(is_below(zone.origin, tree) for tree in REVERSE):
            return []
        owners = ((reverse_name(address), name) for address, name in self.canonical.items())
        return [Record(owner, "PTR", name) for owner, name in owners if self.zone_of(owner) is zone]

    def _delegations(self, zone: Zone) -> list[Record]:
        """Return NS records of the child zones, and glue for servers below the zone cut (RFC 1034 section 4.2.1)."""
        records = []
        for child in self.zones.values():
            if child is zone or self._parent(child) is not zone:
                continue
            for server in child.servers:
                records.append(Record(child.origin, "NS", server))
                # A server below the zone, whose address is in no authoritative data of the zone, needs glue.
                if is_below(server, zone.origin) and self.zone_of(server) is not zone:
                    records += [address_record(server, address) for address in self.addresses.get(server, ())]
        return records

    def _parent(self, child: Zone) -> Zone | None:
        above = [
            zone
            for zone in self.zones.values()
            if zone is not child and child.origin != "." and is_below(child.origin, zone.origin)
        ]
        return max(above, key=lambda zone: 0 if zone.origin == "." else len(zone.origin), default=None)
