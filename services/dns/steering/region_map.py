"""The region map of a CDN's name server: which names it answers by region, whose askers a region has, and with what.

    name      www.cdn.net                        # a name that is answered by region; may be given again
    ttl       2                                  # seconds, or a time such as 1m; 20 where it is not given
    cover     10.8.0.0/16                        # the askers there are; not given: all of the regions' families
    region    europe  10.8.1.0/24 10.8.2.0/24    # the askers of a region
    replica   europe  10.8.1.10  capacity 100    # capacity in the unit of the replica's load; not given: no bound
    spill     europe  asia america               # where a region's askers go when it can take none; see Region.spill
    default   europe                             # the region of askers outside the cover; not given: the first one
    otherwise origin  10.8.9.1                   # when no replica is up; or `otherwise servfail`, the default

One statement a line, `#` begins a comment, the order of lines is free but for that of the regions. Refused with the
line: an unknown word, a bad address, anything given twice, networks that overlap, a part of the cover that no region
has, a region's network outside the cover, a region without a replica, and a name of a region that there is not. RFC
7871 section 7.2.1 is why no network may lie within another: which answer a resolver keeps would depend on the order
of its questions.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from services.dns.address_space import EVERYTHING, Address, AddressSpace, Network, OverlapError
from services.dns.codec.errors import DNSError, TextError
from services.dns.codec.name import Name
from services.dns.codec.ttl import ttl_from_text

# What Akamai's name servers gave their answers (Pang et al., "On the Responsiveness of DNS-based Network Control",
# IMC 2004).
DEFAULT_TTL_S = 20
# A hundred networks a line on as many lines; no lab has more.
MAP_OCTETS_MAX = 1_048_576
# Each is asked for its status once an interval.
REPLICAS_MAX = 1000
CAPACITY_MAX = 1e12


class RegionMapError(DNSError):
    """A region map is wrong; the text begins with `file:line:`."""

    def __init__(self, file: str, line: int, detail: str) -> None:
        super().__init__(f"{file}:{line}: {detail}")
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica; `capacity` bounds its load, None leaves it unbounded."""

    address: Address
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A region; `spill` are all others in the order in which they help out.

    Those of the spill line come first, then the others, from the one that follows this one in the map around to it.
    """

    name: str
    networks: tuple[Network, ...]
    replicas: tuple[Replica, ...]
    spill: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionMap:
    """A whole map; `names` have their lines, `origin` is empty where SERVFAIL is the last resort."""

    file: str
    names: dict[Name, int]
    ttl: int
    cover: tuple[Network, ...]
    regions: dict[str, Region]
    default: str
    origin: tuple[Address, ...]

    @property
    def replicas(self) -> list[Replica]:
        """All replicas, region by region."""
        return [replica for region in self.regions.values() for replica in region.replicas]

    def error(self, line: int, detail: str) -> RegionMapError:
        """Return the error that tells of a line of this map."""
        return RegionMapError(self.file, line, detail)


def read_region_map(path: Path) -> RegionMap:
    """Read a map from a file; raises RegionMapError."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAP_OCTETS_MAX + 1)
    except OSError as error:
        raise RegionMapError(str(path), 1, f"it cannot be read ({error.strerror})") from error
    if len(octets) > MAP_OCTETS_MAX:
        raise RegionMapError(str(path), 1, f"it has more than {MAP_OCTETS_MAX} octets")
    return parse_region_map(octets.decode("latin-1"), str(path))


def parse_region_map(text: str, file: str = "map") -> RegionMap:
    """Read a map from text; raises RegionMapError."""
    statements = _Statements(file)
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if words:
            statements.take(number, words)
    return _Checked(statements, max(1, len(lines) - (lines[-1] == ""))).map()


class _Statements:
    """The statements of a map as they stand there, each with its line; names of regions are not looked up yet."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.names: dict[Name, int] = {}
        self.ttl: tuple[int, int] | None = None
        self.cover: list[tuple[Network, int]] = []
        self.regions: dict[str, tuple[list[Network], int]] = {}
        self.replicas: dict[Address, tuple[str, Replica, int]] = {}
        self.spills: dict[str, tuple[list[str], int]] = {}
        self.default: tuple[str, int] | None = None
        self.otherwise: tuple[list[Address], int] | None = None
        self._line = 0

    def take(self, line: int, words: list[str]) -> None:
        """Take one statement; raises RegionMapError."""
        self._line = line
        taken = _STATEMENTS.get(words[0])
        if taken is None:
            raise self._error(f"{words[0]!r} is none of {', '.join(_STATEMENTS)}")
        taken(self, words[1:])

    def _error(self, detail: str) -> RegionMapError:
        return RegionMapError(self.file, self._line, detail)

    def _once(self, what: str, present: bool) -> None:
        if present:
            raise self._error(f"{what} is given twice")

    def _name(self, words: list[str]) -> None:
        try:
            name = Name.from_text(self._one(words, "name NAME"))
        except TextError as error:
            raise self._error(str(error)) from error
        self._once(f"the name {name}", name in self.names)
        self.names[name] = self._line

    def _ttl(self, words: list[str]) -> None:
        self._once("ttl", self.ttl is not None)
        try:
            self.ttl = ttl_from_text(self._one(words, "ttl SECONDS")), self._line
        except TextError as error:
            raise self._error(str(error)) from error

    def _cover(self, words: list[str]) -> None:
        if not words:
            raise self._error("it should be `cover NETWORK...`")
        self.cover += [(self._network(word), self._line) for word in words]

    def _region(self, words: list[str]) -> None:
        if len(words) < 2:
            raise self._error("it should be `region NAME NETWORK...`")
        self._once(f"the region {words[0]}", words[0] in self.regions)
        self.regions[words[0]] = [self._network(word) for word in words[1:]], self._line

    def _replica(self, words: list[str]) -> None:
        if len(words) not in (2, 4) or words[2:3] not in ([], ["capacity"]):
            raise self._error("it should be `replica REGION ADDRESS`, and `capacity NUMBER` if it has one")
        address = self._address(words[1])
        self._once(f"the replica {address}", address in self.replicas)
        if len(self.replicas) >= REPLICAS_MAX:
            raise self._error(f"there are more than {REPLICAS_MAX} replicas")
        capacity = self._capacity(words[3]) if len(words) == 4 else None
        self.replicas[address] = words[0], Replica(address, capacity), self._line

    def _spill(self, words: list[str]) -> None:
        if len(words) < 2:
            raise self._error("it should be `spill REGION REGION...`")
        self._once(f"the spill of {words[0]}", words[0] in self.spills)
        for place, word in enumerate(words):
            self._once(f"{word} in one spill", word in words[:place])
        self.spills[words[0]] = words[1:], self._line

    def _default(self, words: list[str]) -> None:
        self._once("default", self.default is not None)
        self.default = self._one(words, "default REGION"), self._line

    def _otherwise(self, words: list[str]) -> None:
        self._once("otherwise", self.otherwise is not None)
        if words != ["servfail"] and (words[:1] != ["origin"] or len(words) < 2):
            raise self._error("it should be `otherwise servfail` or `otherwise origin ADDRESS...`")
        addresses = [self._address(word) for word in words[1:]]
        self._once("an address of the origin", len(set(addresses)) < len(addresses))
        self.otherwise = addresses, self._line

    def _one(self, words: list[str], form: str) -> str:
        if len(words) != 1:
            raise self._error(f"it should be `{form}`")
        return words[0]

    def _network(self, word: str) -> Network:
        try:
            return ip_network(word)
        except ValueError as error:
            raise self._error(f"{word!r} is no network: {error}") from error

    def _address(self, word: str) -> Address:
        try:
            address = ip_address(word)
        except ValueError as error:
            raise self._error(f"{word!r} is no address") from error
        if "%" in word or address.is_unspecified or address.is_multicast:
            raise self._error(f"{word!r} is no address that a client could connect to")
        return address

    def _capacity(self, word: str) -> float:
        digits = word.replace(".", "", 1)
        if not (digits.isascii() and digits.isdigit() and 0 < float(word) <= CAPACITY_MAX):
            raise self._error(f"the capacity {word!r} is no number over 0")
        return float(word)


_STATEMENTS: dict[str, Callable[[_Statements, list[str]], None]] = {
    "name": _Statements._name,
    "ttl": _Statements._ttl,
    "cover": _Statements._cover,
    "region": _Statements._region,
    "replica": _Statements._replica,
    "spill": _Statements._spill,
    "default": _Statements._default,
    "otherwise": _Statements._otherwise,
}


class _Checked:
    """What the statements mean together; `last` is the last line, where something is missing at the end."""

    def __init__(self, statements: _Statements, last: int) -> None:
        self._said = statements
        self._last = last

    def map(self) -> RegionMap:
        """Return the map; raises RegionMapError."""
        said = self._said
        for what, lacks in (("name", not said.names), ("region", not said.regions)):
            if lacks:
                raise self._error(self._last, f"there is no {what} in it")
        self._check_replicas()
        cover = self._checked_cover()
        default, line = said.default or (next(iter(said.regions)), 0)
        self._check_known([default], line)
        origin, line = said.otherwise or ([], 0)
        self._check_origin(origin, line)
        ttl = DEFAULT_TTL_S if said.ttl is None else said.ttl[0]
        regions = self._regions()
        return RegionMap(said.file, dict(said.names), ttl, cover, regions, default, tuple(origin))

    def _error(self, line: int, detail: str) -> RegionMapError:
        return RegionMapError(self._said.file, line, detail)

    def _check_known(self, names: Iterable[str], line: int) -> None:
        for name in names:
            if name not in self._said.regions:
                raise self._error(line, f"there is no region {name}")

    def _check_replicas(self) -> None:
        served = set()
        for region, _, line in self._said.replicas.values():
            self._check_known([region], line)
            served.add(region)
        for name, (_, line) in self._said.regions.items():
            if name not in served:
                raise self._error(line, f"the region {name} has no replica")
        for name, (others, line) in self._said.spills.items():
            self._check_known([name, *others], line)

    def _checked_cover(self) -> tuple[Network, ...]:
        said = self._said
        listed = [(network, name, line) for name, (networks, line) in said.regions.items() for network in networks]
        regions = self._space([(network, line, f" of {name}") for network, name, line in listed])
        cover = self._space([(network, line, " of the cover") for network, line in said.cover])
        if not said.cover:
            # The last region is the last one that could have had what no region has.
            last = max(line for _, line in said.regions.values())
            said.cover += [(EVERYTHING[version], last) for version in regions.versions()]
            cover = self._space([(network, line, "") for network, line in said.cover])
        for network, name, line in listed:
            around = cover.find(network.network_address)
            if around is None or network.prefixlen < around[0].prefixlen:
                raise self._error(line, f"{network} of {name} lies outside the cover")
        for network, line in said.cover:
            gap = regions.gap_in(network)
            if gap is not None:
                raise self._error(line, f"{gap} of the cover belongs to no region")
        return tuple(network for network, _ in said.cover)

    def _space(self, listed: list[tuple[Network, int, str]]) -> AddressSpace[None]:
        try:
            return AddressSpace((network, None) for network, _, _ in listed)
        except OverlapError as error:
            # The line that is blamed is the later one, whichever order the statements have.
            earlier, later = sorted((listed[error.earlier], listed[error.later]), key=lambda one: one[1])
            said = f"{later[0]}{later[2]} overlaps {earlier[0]}{earlier[2]} in line {earlier[1]}"
            raise self._error(later[1], said) from error

    def _check_origin(self, origin: list[Address], line: int) -> None:
        """Where replicas have a family the last resort must have it too, or its answer would be empty."""
        needed = {address.version for address in self._said.replicas}
        lacking = sorted(needed - {address.version for address in origin}) if origin else []
        if lacking:
            raise self._error(line, f"the origin has no IPv{lacking[0]} address, and there are replicas with one")

    def _regions(self) -> dict[str, Region]:
        names = list(self._said.regions)
        made = {}
        for place, name in enumerate(names):
            first = self._said.spills.get(name, ([], 0))[0]
            around = [other for other in names[place + 1 :] + names[:place] if other not in first]
            replicas = tuple(replica for region, replica, _ in self._said.replicas.values() if region == name)
            made[name] = Region(name, tuple(self._said.regions[name][0]), replicas, (*first, *around))
        return made
