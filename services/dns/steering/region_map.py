"""Region map of a CDN's name server: file format, parser and validation of names, regions and replicas.

    name      www.cdn.net                        # name answered by region (repeatable)
    ttl       2                                  # TTL of the answers: seconds, or 1m; default 20
    cover     10.8.0.0/16                        # all client networks; default: 0.0.0.0/0, ::/0 or both
    region    europe  10.8.1.0/24 10.8.2.0/24    # client networks of a region
    replica   europe  10.8.1.10  capacity 100    # capacity in the unit of the replica's load; default: unlimited
    spill     europe  asia america               # order of the regions to try when this one is full; see Region.spill
    default   europe                             # region of clients outside of the cover; default: the first region
    otherwise origin  10.8.9.1                   # answer when no replica is up; default: `otherwise servfail`

One statement per line; `#` begins a comment; the order of lines is free, but the order of `region` lines determines the
defaults of `default` and `spill`. Without `cover`, all addresses of each IP version that a region has are covered.
Errors name the line: unknown statements, invalid addresses, duplicates, overlapping networks, a part of the cover
without a region, a network outside of the cover, a region without a replica, an undefined region. RFC 7871 section
7.2.1: networks must not overlap, since the answer in a resolver's cache would otherwise depend on the order of queries.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path

from lab7.services.dns.address_space import EVERYTHING, Address, AddressSpace, Network, OverlapError
from lab7.services.dns.codec.errors import DNSError, TextError
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.ttl import ttl_from_text

# Default TTL of answers in seconds: Akamai's (Pang et al., "On the Responsiveness of DNS-based Network Control", 2004).
DEFAULT_TTL_S = 20
# Maximum size of a region map file in octets: room for far more networks than a topology has hosts.
MAP_OCTETS_MAX = 1_048_576
# Maximum number of replicas: each has one health check per interval.
REPLICAS_MAX = 1000
CAPACITY_MAX = 1e12


class RegionMapError(DNSError):
    """Error in a region map; the message begins with `file:line:`."""

    def __init__(self, file: str, line: int, detail: str) -> None:
        super().__init__(f"{file}:{line}: {detail}")
        self.line = line
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica; `capacity` is the load at which the replica is full, None for no limit."""

    address: Address
    capacity: float | None = None


@dataclass(frozen=True, slots=True)
class Region:
    """A region of clients; `spill`: other regions, in the order in which they take over if this region is full.

    The regions of the `spill` statement come first. The others follow in the order of the map, beginning with the next
    region and continuing at the first after the last.
    """

    name: str
    networks: tuple[Network, ...]
    replicas: tuple[Replica, ...]
    spill: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegionMap:
    """Parsed and validated region map: domain names, client networks, regions with their replicas, and the origin.

    `names` has the line number of each domain name, for error messages. `origin` has the addresses to return if no
    replica is up; it is empty if the file has `otherwise servfail`.
    """

    file: str
    names: dict[Name, int]
    ttl: int
    cover: tuple[Network, ...]
    regions: dict[str, Region]
    default: str
    origin: tuple[Address, ...]

    @property
    def replicas(self) -> list[Replica]:
        """List of all replicas of the region map, one region after the other."""
        return [replica for region in self.regions.values() for replica in region.replicas]

    def error(self, line: int, detail: str) -> RegionMapError:
        """Return a RegionMapError for a line of this region map."""
        return RegionMapError(self.file, line, detail)


def read_region_map(path: Path) -> RegionMap:
    """Parse a region map from a file; raises RegionMapError."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAP_OCTETS_MAX + 1)
    except OSError as error:
        raise RegionMapError(str(path), 1, f"cannot read ({error.strerror})") from error
    if len(octets) > MAP_OCTETS_MAX:
        raise RegionMapError(str(path), 1, f"larger than {MAP_OCTETS_MAX} octets")
    return parse_region_map(octets.decode("latin-1"), str(path))


def parse_region_map(text: str, file: str = "map") -> RegionMap:
    """Parse a region map from text; raises RegionMapError."""
    statements = _Statements(file)
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split()
        if words:
            statements.parse(number, words)
    return _Validator(statements, max(1, len(lines) - (lines[-1] == ""))).region_map()


class _Statements:
    """The parsed statements of a region map with their line numbers, before they are checked against one another."""

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

    def parse(self, line: int, words: list[str]) -> None:
        """Parse one statement of a region map; raises RegionMapError."""
        self._line = line
        statement = _STATEMENTS.get(words[0])
        if statement is None:
            raise self._error(f"unknown statement {words[0]!r}: expected {', '.join(_STATEMENTS)}")
        statement(self, words[1:])

    def _error(self, detail: str) -> RegionMapError:
        return RegionMapError(self.file, self._line, detail)

    def _reject_duplicate(self, label: str, present: bool) -> None:
        if present:
            raise self._error(f"duplicate {label}")

    def _name(self, words: list[str]) -> None:
        try:
            name = Name.from_text(self._word(words, "name NAME"))
        except TextError as error:
            raise self._error(str(error)) from error
        self._reject_duplicate(f"name {name}", name in self.names)
        self.names[name] = self._line

    def _ttl(self, words: list[str]) -> None:
        self._reject_duplicate("ttl", self.ttl is not None)
        try:
            self.ttl = ttl_from_text(self._word(words, "ttl SECONDS")), self._line
        except TextError as error:
            raise self._error(str(error)) from error

    def _cover(self, words: list[str]) -> None:
        if not words:
            raise self._error("expected `cover NETWORK...`")
        self.cover += [(self._network(word), self._line) for word in words]

    def _region(self, words: list[str]) -> None:
        if len(words) < 2:
            raise self._error("expected `region NAME NETWORK...`")
        self._reject_duplicate(f"region {words[0]}", words[0] in self.regions)
        self.regions[words[0]] = [self._network(word) for word in words[1:]], self._line

    def _replica(self, words: list[str]) -> None:
        if len(words) not in (2, 4) or words[2:3] not in ([], ["capacity"]):
            raise self._error("expected `replica REGION ADDRESS [capacity NUMBER]`")
        address = self._address(words[1])
        self._reject_duplicate(f"replica {address}", address in self.replicas)
        if len(self.replicas) >= REPLICAS_MAX:
            raise self._error(f"more than {REPLICAS_MAX} replicas")
        capacity = self._capacity(words[3]) if len(words) == 4 else None
        self.replicas[address] = words[0], Replica(address, capacity), self._line

    def _spill(self, words: list[str]) -> None:
        if len(words) < 2:
            raise self._error("expected `spill REGION REGION...`")
        self._reject_duplicate(f"spill of {words[0]}", words[0] in self.spills)
        for index, word in enumerate(words):
            self._reject_duplicate(f"region {word} in a spill", word in words[:index])
        self.spills[words[0]] = words[1:], self._line

    def _default(self, words: list[str]) -> None:
        self._reject_duplicate("default", self.default is not None)
        self.default = self._word(words, "default REGION"), self._line

    def _otherwise(self, words: list[str]) -> None:
        self._reject_duplicate("otherwise", self.otherwise is not None)
        if words != ["servfail"] and (words[:1] != ["origin"] or len(words) < 2):
            raise self._error("expected `otherwise servfail` or `otherwise origin ADDRESS...`")
        addresses = [self._address(word) for word in words[1:]]
        self._reject_duplicate("address of the origin", len(set(addresses)) < len(addresses))
        self.otherwise = addresses, self._line

    def _word(self, words: list[str], form: str) -> str:
        if len(words) != 1:
            raise self._error(f"expected `{form}`")
        return words[0]

    def _network(self, word: str) -> Network:
        try:
            return ip_network(word)
        except ValueError as error:
            raise self._error(f"invalid network {word!r}: {error}") from error

    def _address(self, word: str) -> Address:
        try:
            address = ip_address(word)
        except ValueError as error:
            raise self._error(f"invalid address {word!r}") from error
        if "%" in word or address.is_unspecified or address.is_multicast:
            raise self._error(f"{word!r} is not a unicast address of a host")
        return address

    def _capacity(self, word: str) -> float:
        digits = word.replace(".", "", 1)
        if not (digits.isascii() and digits.isdigit() and 0 < float(word) <= CAPACITY_MAX):
            raise self._error(f"invalid capacity {word!r}: expected a number above 0")
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


class _Validator:
    """Validator for all statements of a region map together.

    An error for a missing statement is reported for the line `last`.
    """

    def __init__(self, statements: _Statements, last: int) -> None:
        self._statements = statements
        self._last = last

    def region_map(self) -> RegionMap:
        """Return the validated region map; raises RegionMapError."""
        statements = self._statements
        for keyword, missing in (("name", not statements.names), ("region", not statements.regions)):
            if missing:
                raise self._error(self._last, f"no {keyword} statement")
        self._check_replicas()
        cover = self._validated_cover()
        default, line = statements.default or (next(iter(statements.regions)), 0)
        self._check_defined([default], line)
        origin, line = statements.otherwise or ([], 0)
        self._check_origin(origin, line)
        ttl = DEFAULT_TTL_S if statements.ttl is None else statements.ttl[0]
        regions = self._regions()
        return RegionMap(statements.file, dict(statements.names), ttl, cover, regions, default, tuple(origin))

    def _error(self, line: int, detail: str) -> RegionMapError:
        return RegionMapError(self._statements.file, line, detail)

    def _check_defined(self, names: Iterable[str], line: int) -> None:
        for name in names:
            if name not in self._statements.regions:
                raise self._error(line, f"undefined region {name}")

    def _check_replicas(self) -> None:
        served = set()
        for region, _, line in self._statements.replicas.values():
            self._check_defined([region], line)
            served.add(region)
        for name, (_, line) in self._statements.regions.items():
            if name not in served:
                raise self._error(line, f"the region {name} has no replica")
        for name, (others, line) in self._statements.spills.items():
            self._check_defined([name, *others], line)

    def _validated_cover(self) -> tuple[Network, ...]:
        statements = self._statements
        networks = [
            (network, name, line) for name, (networks, line) in statements.regions.items() for network in networks
        ]
        regions = self._space([(network, line, f" of {name}") for network, name, line in networks])
        cover = self._space([(network, line, " of the cover") for network, line in statements.cover])
        if not statements.cover:
            # Without cover statements all addresses are covered; a gap is reported at the line of the last region.
            last = max(line for _, line in statements.regions.values())
            statements.cover += [(EVERYTHING[version], last) for version in regions.versions()]
            cover = self._space([(network, line, "") for network, line in statements.cover])
        for network, name, line in networks:
            covering = cover.find(network.network_address)
            if covering is None or network.prefixlen < covering[0].prefixlen:
                raise self._error(line, f"{network} of {name} is outside of the `cover` networks")
        for network, line in statements.cover:
            gap = regions.gap_in(network)
            if gap is not None:
                raise self._error(line, f"no region contains {gap}")
        return tuple(network for network, _ in statements.cover)

    def _space(self, networks: list[tuple[Network, int, str]]) -> AddressSpace[None]:
        try:
            return AddressSpace((network, None) for network, _, _ in networks)
        except OverlapError as error:
            # An overlap of networks is reported at the later of both lines, whatever the order of the statements.
            pair = (networks[error.earlier], networks[error.later])
            earlier, later = sorted(pair, key=lambda labelled: labelled[1])
            detail = f"{later[0]}{later[2]} overlaps {earlier[0]}{earlier[2]} in line {earlier[1]}"
            raise self._error(later[1], detail) from error

    def _check_origin(self, origin: list[Address], line: int) -> None:
        """Raise RegionMapError if the origin lacks an IP version of the replicas: the answer would be NODATA."""
        required = {address.version for address in self._statements.replicas}
        missing = sorted(required - {address.version for address in origin}) if origin else []
        if missing:
            raise self._error(line, f"the origin has no IPv{missing[0]} address, but replicas have")

    def _regions(self) -> dict[str, Region]:
        names = list(self._statements.regions)
        regions = {}
        for index, name in enumerate(names):
            first = self._statements.spills.get(name, ([], 0))[0]
            others = [other for other in names[index + 1 :] + names[:index] if other not in first]
            replicas = tuple(replica for region, replica, _ in self._statements.replicas.values() if region == name)
            regions[name] = Region(name, tuple(self._statements.regions[name][0]), replicas, (*first, *others))
        return regions
