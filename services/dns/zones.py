"""The zones that one server serves, and which of them a question is for.

RFC 1034 section 4.3.2 step 2 (the nearest ancestor of the name), RFC 4035 section 3.1.4.1 (DS belongs to the parent).
"""

from collections.abc import Iterable, Iterator

from services.dns.codes import RRType
from services.dns.errors import ZoneError
from services.dns.name import Name
from services.dns.zone import Zone


class Zones:
    """Zones by origin."""

    def __init__(self, zones: Iterable[Zone] = ()) -> None:
        self._zones: dict[tuple[bytes, ...], Zone] = {}
        for zone in zones:
            self.add(zone)

    def __len__(self) -> int:
        return len(self._zones)

    def __iter__(self) -> Iterator[Zone]:
        return iter(self._zones.values())

    def add(self, zone: Zone) -> None:
        """Serve one more zone; raises ZoneError when its origin is served already."""
        if zone.origin.folded in self._zones:
            raise ZoneError(f"the zone {zone.origin} is given twice")
        self._zones[zone.origin.folded] = zone

    def get(self, origin: Name) -> Zone | None:
        """Return the zone that has exactly this origin."""
        return self._zones.get(origin.folded)

    def closest(self, qname: Name, qtype: int = RRType.A) -> Zone | None:
        """Return the zone whose origin is the nearest ancestor of a name, or the name; None when none is served."""
        folded = qname.folded
        found = self._above(folded)
        if qtype == RRType.DS and found is not None and found.origin.folded == folded and folded:
            # RFC 4035 section 3.1.4.1: the child answers for DS only where the parent is not here.
            return self._above(folded[1:]) or found
        return found

    def _above(self, folded: tuple[bytes, ...]) -> Zone | None:
        for begin in range(len(folded) + 1):
            zone = self._zones.get(folded[begin:])
            if zone is not None:
                return zone
        return None
