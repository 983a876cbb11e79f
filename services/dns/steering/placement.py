"""Which replicas an asker is sent to: those of its region, or of the next one that can take it, the least loaded first.

The network that decides is the one of the map that the asker's address lies in, and its length is the scope of the
answer (RFC 7871 section 7.2.1). Askers outside the cover get the default region; their answers are for the largest
network around them that has nothing of the cover, so that no two scopes overlap.

A replica is full when its load has reached its capacity. Regions are tried in the order of Region.spill; where all
replicas that are up are full, they are taken full as they are; only where none is up the origin is named, or nobody.
Within a region loads are compared as parts of the capacities if all replicas have one, else as they are; and not at
all where a replica says nothing of its load. Equal ones take turns.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from services.dns.address_space import Address, AddressSpace, Network
from services.dns.steering.health import HealthTable
from services.dns.steering.region_map import Region, RegionMap, Replica

# Addresses of one answer. Every resolver takes these, and a client rarely tries more.
ADDRESSES_MAX = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where an asker belongs: its region, and the network that decides it."""

    region: str
    network: Network


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom an asker is sent to; `served_by` is None for the origin, and `addresses` are empty where nobody is left."""

    served_by: str | None
    addresses: tuple[Address, ...]


class Placement:
    """Chooses replicas of a map by what is known of their health."""

    def __init__(self, regions: RegionMap, health: HealthTable) -> None:
        self._map = regions
        self._health = health
        listed = [(network, name) for name, region in regions.regions.items() for network in region.networks]
        self._space = AddressSpace(listed)
        self._cover = AddressSpace((network, None) for network in regions.cover)
        self._turns: dict[tuple[str, int], int] = {}
        self.versions = frozenset(replica.address.version for replica in regions.replicas)

    def place(self, asker: Address) -> Place:
        """Return the region of an asker; every address has exactly one."""
        found = self._space.find(asker)
        return Place(self._map.default, self._cover.around(asker)) if found is None else Place(found[1], found[0])

    def choose(self, region: str, version: int) -> Choice:
        """Return the addresses of one family for a region's askers."""
        order = [self._map.regions[name] for name in (region, *self._map.regions[region].spill)]
        for fits in (self._has_room, self._is_up):
            for one in order:
                usable = self._usable(one, version, fits)
                if usable:
                    return Choice(one.name, self._ordered(one.name, version, usable)[:ADDRESSES_MAX])
        return Choice(None, tuple(address for address in self._map.origin if address.version == version))

    def _usable(self, region: Region, version: int, fits: Callable[[Replica], bool]) -> list[Replica]:
        return [replica for replica in region.replicas if replica.address.version == version and fits(replica)]

    def _is_up(self, replica: Replica) -> bool:
        return self._health.is_up(replica.address)

    def _has_room(self, replica: Replica) -> bool:
        if not self._is_up(replica):
            return False
        load = self._health.load(replica.address)
        return load is None or replica.capacity is None or load < replica.capacity

    def _ordered(self, region: str, version: int, usable: Sequence[Replica]) -> tuple[Address, ...]:
        turn = self._turns.get((region, version), 0)
        self._turns[region, version] = turn + 1
        loads = self._comparable(usable)
        ranked = sorted(usable, key=lambda replica: loads[replica])
        ordered: list[Address] = []
        for _, equals in groupby(ranked, key=lambda replica: loads[replica]):
            addresses = [replica.address for replica in equals]
            begin = turn % len(addresses)
            ordered += addresses[begin:] + addresses[:begin]
        return tuple(ordered)

    def _comparable(self, usable: Sequence[Replica]) -> dict[Replica, float]:
        known = {replica: load for replica in usable if (load := self._health.load(replica.address)) is not None}
        if len(known) < len(usable):
            return dict.fromkeys(usable, 0.0)
        parts = {one: load / one.capacity for one, load in known.items() if one.capacity is not None}
        return parts if len(parts) == len(usable) else known
