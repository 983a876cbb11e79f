"""Choice of CDN replicas for a client: by the client's region, and by the replicas' health, load and overflow regions.

The client's region is the region of the network in the region map (steering.region_map) that contains the client's
address; the prefix length of this network is the scope of the answer (RFC 7871 section 7.2.1). The cover of a map is
the set of all client networks. A client outside of the cover gets the default region. The scope is then the largest
network around the client's address that does not overlap the cover, so that no two scopes overlap.

A replica is full when its load has reached its capacity. The client's own region is tried first, then the regions in
the order of Region.spill: at first only for replicas that are up and not full, then for any replica that is up. If no
replica is up, the origin is chosen, if the map has one. In a region, the least loaded replica is first. Loads are
compared relative to capacity if all replicas have a capacity, else as reported, and not at all if a replica reports no
load. Replicas of equal load rotate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from lab7.services.dns.address_space import Address, AddressSpace, Network
from lab7.services.dns.steering.health import HealthTable
from lab7.services.dns.steering.region_map import Region, RegionMap, Replica

# Maximum number of addresses in one answer; clients rarely try more.
ADDRESSES_MAX = 8


@dataclass(frozen=True, slots=True)
class Location:
    """Region of a client, and a network around the client's address that belongs to this region as a whole."""

    region: str
    network: Network


@dataclass(frozen=True, slots=True)
class Choice:
    """The addresses chosen for a client, none if no replica is up and the map has no origin.

    `served_by` is the region of the replicas, None for the origin.
    """

    served_by: str | None
    addresses: tuple[Address, ...]


class Placement:
    """Choice of the region for a client, and of CDN replicas for a region, by their health, load and capacity."""

    def __init__(self, regions: RegionMap, health: HealthTable) -> None:
        self._map = regions
        self._health = health
        networks = [(network, name) for name, region in regions.regions.items() for network in region.networks]
        self._space = AddressSpace(networks)
        self._cover = AddressSpace((network, None) for network in regions.cover)
        self._rotations: dict[tuple[str, int], int] = {}
        self.versions = frozenset(replica.address.version for replica in regions.replicas)

    def locate(self, client: Address) -> Location:
        """Return the Location of a client's address: its region, and the network to which the answer applies."""
        match = self._space.find(client)
        if match is None:
            return Location(self._map.default, self._cover.around(client))
        return Location(match[1], match[0])

    def choose(self, name: str, version: int) -> Choice:
        """Choose addresses of one IP version for clients of a region: replicas, or the origin if no replica is up."""
        order = [self._map.regions[other] for other in (name, *self._map.regions[name].spill)]
        for condition in (self._has_capacity, self._is_up):
            for region in order:
                usable = self._usable(region, version, condition)
                if usable:
                    return Choice(region.name, self._ordered(region.name, version, usable)[:ADDRESSES_MAX])
        return Choice(None, tuple(address for address in self._map.origin if address.version == version))

    def _usable(self, region: Region, version: int, condition: Callable[[Replica], bool]) -> list[Replica]:
        return [replica for replica in region.replicas if replica.address.version == version and condition(replica)]

    def _is_up(self, replica: Replica) -> bool:
        return self._health.is_up(replica.address)

    def _has_capacity(self, replica: Replica) -> bool:
        if not self._is_up(replica):
            return False
        load = self._health.load(replica.address)
        return load is None or replica.capacity is None or load < replica.capacity

    def _ordered(self, region: str, version: int, usable: Sequence[Replica]) -> tuple[Address, ...]:
        rotation = self._rotations.get((region, version), 0)
        self._rotations[region, version] = rotation + 1
        loads = self._comparable_loads(usable)
        ranked = sorted(usable, key=lambda replica: loads[replica])
        ordered: list[Address] = []
        for _, equals in groupby(ranked, key=lambda replica: loads[replica]):
            addresses = [replica.address for replica in equals]
            begin = rotation % len(addresses)
            ordered += addresses[begin:] + addresses[:begin]
        return tuple(ordered)

    def _comparable_loads(self, usable: Sequence[Replica]) -> dict[Replica, float]:
        loads = {replica: load for replica in usable if (load := self._health.load(replica.address)) is not None}
        if len(loads) < len(usable):
            return dict.fromkeys(usable, 0.0)
        relative = {replica: load / replica.capacity for replica, load in loads.items() if replica.capacity is not None}
        return relative if len(relative) == len(usable) else loads
