"""Zone data of the name servers, for comparison with their answers.

    zones = GivenZones([GivenRecord("www.example.com.", "CNAME", 3600, "server1.example.com."), ...])
    zones.answer("www.example.com.", "A")      ([www CNAME server1], [server1 A 10.53.4.1])

A claim about a name system holds only if the answers are its servers' data: a valid answer with another value, a record
of no zone, or a TTL of no zone contradicts it. Names are canonical, and values are formatted as `wire.message` formats
them. RFC 1034 sections 3.6.2 (aliases) and 4.2.1 (the NS set and the glue of a zone cut are in the parent zone, too:
such a record may have a TTL in each).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from experiments.dns.claims.evidence import follow, words
from experiments.dns.wire.message import DnsMessage, DnsRecord, canonical
from experiments.harness.judge.verdict import Contradiction

# Types with RDATA that is a name, or ends with one.
_NAME_TYPES = ("NS", "CNAME", "PTR", "MX")


@dataclass(frozen=True)
class GivenRecord:
    """One record of a zone: owner, type, TTL in seconds, and value in master-file format."""

    owner: str
    type: str
    ttl: int
    value: str


class GivenZones:
    """All records of all zones that the servers of a capture were given."""

    def __init__(self, records: Iterable[GivenRecord]) -> None:
        self._values: dict[tuple[str, str], dict[str, set[int]]] = {}
        for record in records:
            values = self._values.setdefault((canonical(record.owner), record.type), {})
            values.setdefault(_written(record.type, record.value), set()).add(record.ttl)

    def values(self, name: str, rtype: str) -> frozenset[str]:
        """Return the values of an RRset, none without such an RRset."""
        return frozenset(self._values.get((canonical(name), rtype), ()))

    def ttls(self, name: str, rtype: str) -> frozenset[int]:
        """Return the TTLs of an RRset in its own zone and in the parent zone."""
        return frozenset(ttl for some in self._values.get((canonical(name), rtype), {}).values() for ttl in some)

    def answer(self, name: str, rtype: str) -> tuple[list[tuple[str, str]], frozenset[str]]:
        """Return the CNAME chain (owner, target) that starts at a name, and the values of this type at its end."""
        aliases: list[tuple[str, str]] = []
        at = canonical(name)
        while not self.values(at, rtype) and (targets := self.values(at, "CNAME")):
            (target,) = targets
            if (at, target) in aliases:
                break
            aliases.append((at, target))
            at = target
        return aliases, self.values(at, rtype)

    # Differences from the zones.

    def answered(self, response: DnsMessage, name: str, rtype: str, whole: bool = True) -> None:
        """Raise Contradiction unless an answer is exactly that of the zones.

        With `whole` False the answer may end at an alias, as from a server that is not authoritative for its target.
        """
        wanted_aliases, wanted = self.answer(name, rtype)
        aliases, records = follow(response, name, rtype)
        found_aliases = [(alias.name, alias.rdata) for alias in aliases]
        found = [one.rdata for one in records]
        ends_at_alias = not whole and not found and bool(found_aliases)
        right_aliases = wanted_aliases[: len(found_aliases)] if ends_at_alias else wanted_aliases
        if found_aliases != right_aliases or (not ends_at_alias and sorted(found) != sorted(wanted)):
            raise Contradiction(
                f"{canonical(name)} {rtype} is answered in frame {response.frame} with "
                f"{_told(found_aliases, found)}; the zones have {_told(wanted_aliases, wanted)}.",
                response.frame,
            )
        for record in response.answer:
            if record not in aliases and record not in records and record.type != "RRSIG":
                raise Contradiction(
                    f"The answer in frame {response.frame} also has {record.name} {record.type} {record.rdata}.",
                    response.frame,
                )

    def has(self, record: DnsRecord, frame: int) -> None:
        """Raise Contradiction unless a record is in the zones, with this TTL."""
        what = f"{record.name} {record.type} {record.rdata}"
        values = self.values(record.name, record.type)
        if record.rdata not in values:
            raise Contradiction(
                f"{what} in frame {frame} is in no zone: they have {record.name} {record.type} {words(values)}.", frame
            )
        self.lives(record, frame)

    def lives(self, record: DnsRecord, frame: int) -> None:
        """Raise Contradiction if an authoritative server's RRset has another TTL than in its zone."""
        ttls = self.ttls(record.name, record.type)
        if ttls and record.ttl not in ttls:
            raise Contradiction(
                f"{record.name} {record.type} in frame {frame} has a ttl of {record.ttl}; the zones have "
                f"{words(map(str, ttls))}.",
                frame,
            )

    def lives_no_longer(self, record: DnsRecord, frame: int) -> None:
        """Raise Contradiction if a cached RRset has a higher TTL than in its zone (RFC 1035 section 3.2.1)."""
        ttls = self.ttls(record.name, record.type)
        if ttls and record.ttl > max(ttls):
            raise Contradiction(
                f"{record.name} {record.type} in frame {frame} has a ttl of {record.ttl}, more than the {max(ttls)} of "
                "its zone.",
                frame,
            )


def _written(rtype: str, value: str) -> str:
    if rtype in _NAME_TYPES:
        *front, name = value.split(" ")
        return " ".join([*front, canonical(name)])
    if rtype == "SOA":
        primary, mailbox, *numbers = value.split(" ")
        return " ".join([canonical(primary), canonical(mailbox), *numbers])
    return str(ip_address(value)) if rtype in ("A", "AAAA") else value


def _told(aliases: Sequence[tuple[str, str]], values: Iterable[str]) -> str:
    return words([*(f"CNAME {target}" for _, target in aliases), *values])
