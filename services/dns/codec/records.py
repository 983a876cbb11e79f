"""What a message is made of: the question, single records, and rrsets, which are what a zone and a cache hold.

RFC 1035 sections 3.2 and 4.1.2, RFC 2181 section 5 (a set of records of one name, class and type has one TTL).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.dns.codec.codes import RRClass, class_to_text, type_to_text
from services.dns.codec.name import Name
from services.dns.codec.rdata import Rdata


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for."""

    name: Name
    rtype: int
    rclass: int = RRClass.IN

    def to_text(self) -> str:
        """Return name, class and type in one line."""
        return f"{self.name} {class_to_text(self.rclass)} {type_to_text(self.rtype)}"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: owner name, type, class, TTL in seconds, data."""

    name: Name
    rtype: int
    rclass: int
    ttl: int
    rdata: Rdata

    def to_text(self) -> str:
        """Return the record as one line of a master file, all names absolute."""
        kind = f"{class_to_text(self.rclass)} {type_to_text(self.rtype)}"
        return f"{self.name} {self.ttl} {kind} {self.rdata.to_text()}".rstrip()


@dataclass(frozen=True, slots=True)
class RRset:
    """The records of one name, class and type, which share a TTL; `rdatas` has no two equal and keeps their order."""

    name: Name
    rtype: int
    rclass: int
    ttl: int
    rdatas: tuple[Rdata, ...]

    def records(self) -> Iterator[Record]:
        """Yield the set's records."""
        for rdata in self.rdatas:
            yield Record(self.name, self.rtype, self.rclass, self.ttl, rdata)

    def renamed(self, name: Name) -> "RRset":
        """Return the set with another owner, as a wildcard's expansion has it (RFC 4592 section 2.2.1)."""
        return RRset(name, self.rtype, self.rclass, self.ttl, self.rdatas)

    def with_ttl(self, ttl: int) -> "RRset":
        """Return the set with another TTL."""
        return RRset(self.name, self.rtype, self.rclass, ttl, self.rdatas)

    def canonical(self) -> tuple[Name, int, int, tuple[bytes, ...]]:
        """Return what makes two sets equal whatever their order, case and TTL: name, type, class, sorted data."""
        return (self.name, self.rtype, self.rclass, tuple(sorted(rdata.canonical() for rdata in self.rdatas)))


def rrsets_of(records: Iterable[Record]) -> list[RRset]:
    """Gather records into rrsets in the order in which each first appears; the TTL is the least of the set's.

    RFC 2181 section 5.2 lets a receiver take differing TTLs as the lowest; section 5: equal records are one.
    """
    gathered: dict[tuple[Name, int, int], tuple[int, dict[Rdata, None]]] = {}
    for record in records:
        key = (record.name, record.rtype, record.rclass)
        ttl, rdatas = gathered.get(key, (record.ttl, {}))
        rdatas[record.rdata] = None
        gathered[key] = (min(ttl, record.ttl), rdatas)
    return [RRset(*key, ttl, tuple(rdatas)) for key, (ttl, rdatas) in gathered.items()]
