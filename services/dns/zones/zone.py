"""A zone: its nodes, what makes it one, and which of them a name leads to.

RFC 1034 section 4.3.2 step 3 as RFC 4592 section 3.3.1 (closest encloser, wildcards, empty non-terminals) and RFC 6672
section 3.2 (DNAME) restate it. The walk goes from the apex down, so what lies below a zone cut or a DNAME is hidden,
except as glue. Refused at load: no SOA or two, no NS at the apex, a CNAME beside other data (RFC 2181 section 10.1),
two CNAMEs or DNAMEs at a name, names outside the zone.
Left out: DNSSEC; its records are served as any others and prove nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from services.dns.codec.codes import RRType, type_to_text
from services.dns.codec.errors import ZoneError
from services.dns.codec.master_file import Entry
from services.dns.codec.name import ASTERISK, Name
from services.dns.codec.rdata import SOA, Rdata
from services.dns.codec.records import RRset

Node = dict[int, RRset]

# What may stand beside a CNAME (RFC 4035 section 2.5).
_BESIDE_CNAME = frozenset({RRType.CNAME, RRType.RRSIG, RRType.NSEC, RRType.KEY})
_SINGLE = (RRType.SOA, RRType.CNAME, RRType.DNAME)


class Kind(Enum):
    """Where the walk down to a name ended."""

    EXACT = "the name exists"
    DELEGATION = "a zone cut lies above it, or at it"
    DNAME = "a DNAME lies above it"
    WILDCARD = "it does not exist, and a wildcard covers it"
    MISSING = "it does not exist"


@dataclass(frozen=True, slots=True)
class Match:
    """Where a name leads: the node found (the wildcard's, the cut's), and that node's name."""

    kind: Kind
    name: Name
    node: Node


class Zone:
    """The records of a zone by name and type; `nodes` also has the empty non-terminals."""

    def __init__(self, origin: Name, nodes: dict[tuple[bytes, ...], Node]) -> None:
        self.origin = origin
        self.nodes = nodes
        self.apex = nodes[origin.folded]
        self.soa = self.apex[RRType.SOA]
        self.rclass = self.soa.rclass
        self.negative_soa = self.soa.with_ttl(_negative_ttl(self.soa))

    @classmethod
    def from_entries(cls, entries: Iterable[Entry], origin: Name | None = None) -> "Zone":
        """Make a zone of a master file's entries.

        Raises MasterFileError where an entry is wrong, ZoneError where one is missing or `origin` is not the SOA's
        owner.
        """
        listed = list(entries)
        start = _start(listed, origin)
        gathered: dict[tuple[bytes, ...], dict[int, _Gathered]] = {}
        for entry in listed:
            _check_place(entry, start.record.name)
            record = entry.record
            found = gathered.setdefault(record.name.folded, {}).setdefault(record.rtype, _Gathered(entry))
            found.add(entry)
        for types in gathered.values():
            _check_node(types)
        nodes = {key: {rtype: one.rrset() for rtype, one in types.items()} for key, types in gathered.items()}
        zone_origin = start.record.name
        _add_empty_non_terminals(nodes, zone_origin)
        if RRType.NS not in nodes[zone_origin.folded]:
            raise ZoneError(f"the zone {zone_origin} has no NS record at its apex")
        return cls(zone_origin, nodes)

    def add_name(self, name: Name) -> None:
        """Have a name exist without records, for a server that answers for it from elsewhere."""
        self.nodes.setdefault(name.folded, {})
        _add_empty_non_terminals(self.nodes, self.origin)

    def rrsets(self) -> Iterator[RRset]:
        """Yield every set of the zone, the SOA first and then in canonical order of names and types."""
        yield self.soa
        for key in sorted(self.nodes, key=lambda labels: labels[::-1]):
            for _, rrset in sorted(self.nodes[key].items()):
                if rrset is not self.soa:
                    yield rrset

    def find(self, qname: Name, at_parent: bool = False) -> Match:
        """Return where a name that is in the zone leads; with `at_parent` a cut at the name itself does not count.

        That is for DS, which belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1).
        """
        folded, nodes = qname.folded, self.nodes
        depth, whole = len(self.origin.folded), len(folded)
        node = self.apex
        for count in range(depth, whole + 1):
            below = nodes.get(folded[whole - count :])
            if below is None:
                return self._wildcard(qname, count - 1)
            node = below
            if count > depth and RRType.NS in node and not (count == whole and at_parent):
                return Match(Kind.DELEGATION, qname.suffix(count), node)
            # RFC 6672 section 2.3: the owner of a DNAME is not redirected, only what lies below.
            if RRType.DNAME in node and count < whole:
                return Match(Kind.DNAME, qname.suffix(count), node)
        return Match(Kind.EXACT, qname, node)

    def _wildcard(self, qname: Name, encloser_labels: int) -> Match:
        """RFC 4592 section 3.3.1: the source of synthesis is the asterisk right below the closest encloser."""
        encloser = qname.suffix(encloser_labels)
        source = self.nodes.get((ASTERISK, *encloser.folded))
        if source is None:
            return Match(Kind.MISSING, encloser, {})
        return Match(Kind.WILDCARD, encloser.child(ASTERISK), source)


def _negative_ttl(soa: RRset) -> int:
    """RFC 2308 section 3: the SOA of a negative answer lives as long as the lesser of its TTL and its minimum."""
    data = soa.rdatas[0]
    return min(soa.ttl, data.minimum) if isinstance(data, SOA) else soa.ttl


class _Gathered:
    """The entries of one name and type."""

    __slots__ = ("entries", "ttl")

    def __init__(self, first: Entry) -> None:
        self.ttl = first.record.ttl
        self.entries: dict[Rdata, Entry] = {}

    def add(self, entry: Entry) -> None:
        # RFC 2181 section 5: equal records are one. Section 5.2: one TTL for all; the lowest, as receivers take it.
        self.entries.setdefault(entry.record.rdata, entry)
        self.ttl = min(self.ttl, entry.record.ttl)

    def rrset(self) -> RRset:
        record = next(iter(self.entries.values())).record
        return RRset(record.name, record.rtype, record.rclass, self.ttl, tuple(self.entries))


def _start(entries: list[Entry], origin: Name | None) -> Entry:
    """Return the entry of the SOA."""
    starts = [entry for entry in entries if entry.record.rtype == RRType.SOA]
    if not starts:
        raise ZoneError("there is no SOA record")
    first = starts[0]
    for other in starts[1:]:
        if other.record.name != first.record.name or other.record.rdata != first.record.rdata:
            raise other.error("a second SOA record: one file is one zone")
    if origin is not None and first.record.name != origin:
        raise first.error(f"the SOA is {first.record.name}'s, where the zone is to be {origin}")
    return first


def _check_place(entry: Entry, origin: Name) -> None:
    if not entry.record.name.is_below(origin):
        raise entry.error(f"{entry.record.name} lies outside the zone {origin}")


def _check_node(types: dict[int, _Gathered]) -> None:
    for rtype in _SINGLE:
        if rtype in types and len(types[rtype].entries) > 1:
            extra = list(types[rtype].entries.values())[1]
            raise extra.error(f"{extra.record.name} has a second {type_to_text(rtype)}")
    # RFC 2181 section 10.1: an alias has no other data.
    if RRType.CNAME in types and not types.keys() <= _BESIDE_CNAME:
        other = next(one for rtype, one in types.items() if rtype not in _BESIDE_CNAME)
        places = [*types[RRType.CNAME].entries.values(), *other.entries.values()]
        later = max(places, key=lambda entry: entry.line)
        raise later.error(f"{later.record.name} has a CNAME and other data")


def _add_empty_non_terminals(nodes: dict[tuple[bytes, ...], Node], origin: Name) -> None:
    """RFC 4592 section 2.2.2: a name with a descendant exists, though it has no records."""
    apex_labels = len(origin.folded)
    for key in list(nodes):
        above = key[1:]
        while len(above) > apex_labels and above not in nodes:
            nodes[above] = {}
            above = above[1:]


# The zones that one server serves, and which of them a question is for.
#
# RFC 1034 section 4.3.2 step 2 (the nearest ancestor of the name), RFC 4035 section 3.1.4.1 (DS belongs to the parent).


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
