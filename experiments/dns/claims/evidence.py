"""Common checks of DNS claims: selection of captured responses, and comparison with the records of the zones.

    zones = GivenZones([GivenRecord("www.example.com.", "CNAME", 3600, "server1.example.com."), ...])
    aliases, values = zones.answer("www.example.com.", "A")
    # aliases: [("www.example.com.", "server1.example.com.")], the CNAME chain; values: {"10.53.4.1"}

A GivenZones object holds the configured records of all zones; the claims are statements of the course about DNS.
Sources: RFC 1034 sections 3.6.2 (aliases) and 4.2.1 (zone cuts), RFC 2181 section 9 (truncation), RFC 9156 (QNAME
minimisation). A message that cannot be parsed contradicts every claim.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from lab7.experiments.dns.wire.messages import RCODES, DnsMessage, DnsRecord, Question, canonical, is_within
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from lab7.experiments.harness.judge.verdict import Contradiction, Inconclusive

# Address or addresses by role, for example {"local": "10.0.0.53", "root": ("10.1.0.53", "10.1.1.53")}.
Addresses = Mapping[str, str | Collection[str]]

ADDRESS_TYPES = ("A", "AAAA")
# Record types whose RDATA is a domain name, or ends with a domain name (MX).
_NAME_TYPES = ("NS", "CNAME", "PTR", "MX")


def addresses_of(addresses: Addresses, role: str) -> frozenset[str]:
    """Return the addresses of a host by its role, such as `root` or `local`. Raises KeyError for an unknown role."""
    found = addresses[role]
    return frozenset([found]) if isinstance(found, str) else frozenset(found)


def asks_for(exchange: DnsExchange, name: str, qtype: str | None = None) -> bool:
    """Return True if a captured query has this QNAME and, if given, this QTYPE."""
    question = exchange.query.question
    return question is not None and question.qname == canonical(name) and qtype in (None, question.qtype)


def asks_towards(exchange: DnsExchange, name: str, qtype: str) -> bool:
    """Return True if a captured query is a step in the resolution of a name: its QNAME is the name or a parent domain.

    RFC 9156 (QNAME minimisation): a resolver may send a server no more labels than needed, in a query for A, AAAA or
    NS. Queries for the root itself are excluded, since they prime the cache (RFC 8109).
    """
    question = exchange.query.question
    if question is None or question.qname == ".":
        return False
    if question.qname == canonical(name):
        return question.qtype == qtype
    return is_within(canonical(name), part_shown(question)) and question.qtype in (*ADDRESS_TYPES, "NS")


def part_shown(question: Question) -> str:
    """Return a question's minimised QNAME (RFC 9156) without the label `_`, which BIND prepends."""
    return question.qname.removeprefix("_.")


def answered_queries(traffics: Sequence[DnsTraffic], name: str, qtype: str) -> list[tuple[DnsExchange, DnsMessage]]:
    """Return (exchange, response) for every answered query for a name and type, in order of time.

    An exchange is a query with its response. Truncated responses are left out (RFC 2181 section 9), and unanswered
    queries that the client repeats. Raises Inconclusive if there is no answered query.
    """
    wanted = sorted(
        (exchange for traffic in traffics for exchange in traffic.exchanges if asks_for(exchange, name, qtype)),
        key=lambda one: one.query.time_ns,
    )
    found = []
    for at, one in enumerate(wanted):
        if one.response is None and any(later.query.source == one.query.source for later in wanted[at + 1 :]):
            continue
        if one.response is None or not one.response.tc:
            found.append((one, answer_of(one)))
    if not found:
        raise Inconclusive(
            f"The capture has no query for {canonical(name)} {qtype} with an answer that is not truncated."
        )
    return found


def sent_by(traffic: DnsTraffic, sources: Collection[str]) -> list[DnsExchange]:
    """Return the captured queries, with their responses, that were sent from one of these addresses."""
    return [exchange for exchange in traffic.exchanges if exchange.query.source in sources]


def answer_of(exchange: DnsExchange) -> DnsMessage:
    """Return the response to a query; raise Contradiction if there is none, or if its RCODE is an error."""
    query, response = exchange.query, exchange.response
    if response is None:
        raise Contradiction(f"The query for {query.question} in frame {query.frame} gets no response.", query.frame)
    if response.rcode:
        raise Contradiction(
            f"The query for {query.question} in frame {query.frame} is answered with "
            f"{RCODES.get(response.rcode, response.rcode)} in frame {response.frame}.",
            query.frame,
            response.frame,
        )
    return response


def alias_chain(message: DnsMessage, name: str, qtype: str) -> tuple[list[DnsRecord], list[DnsRecord]]:
    """Return the CNAME records from a name on, and the records of type `qtype` at the end of this chain.

    Only the answer section counts (RFC 1034 section 3.6.2).
    """
    aliases: list[DnsRecord] = []
    at = canonical(name)
    while True:
        values = [record for record in message.answer if record.name == at and record.type == qtype]
        alias = next((one for one in message.answer if one.name == at and one.type == "CNAME"), None)
        if values or alias is None or alias in aliases:
            return aliases, values
        aliases.append(alias)
        at = alias.rdata


def is_referral(message: DnsMessage) -> bool:
    """Return True for a referral: NS records in the authority section, no answer, AA clear (RFC 1034 section 4.3.2)."""
    return not message.rcode and not message.aa and not message.answer and bool(referred_zone(message))


def referred_zone(message: DnsMessage) -> str | None:
    """Return the zone of a referral: the owner of the NS records in the authority section.

    Returns None unless these records have one owner, which is the QNAME or a parent domain of it.
    """
    owners = {record.name for record in message.authority if record.type == "NS"}
    if message.question is None or len(owners) != 1:
        return None
    (owner,) = owners
    return owner if is_within(message.question.qname, owner) else None


def words(items: Iterable[str]) -> str:
    """Join names as text for evidence: sorted, separated by commas; "nothing" if there are none."""
    return ", ".join(sorted(items)) or "nothing"


@dataclass(frozen=True)
class GivenRecord:
    """Record in the configuration of a zone: owner, type, TTL in s, and value in master-file format."""

    owner: str
    type: str
    ttl: int
    value: str


class GivenZones:
    """All records in the configured zones, as the reference for captured answers.

    Claims hold only for data of these zones. A well-formed answer with another value, another record or another TTL
    contradicts a claim. At a zone cut, NS records and glue are in the parent zone as well (RFC 1034 section 4.2.1),
    possibly with another TTL; both TTLs are then correct. Names and values have the format of `wire.traffic`.
    """

    def __init__(self, records: Iterable[GivenRecord]) -> None:
        self._values: dict[tuple[str, str], dict[str, set[int]]] = {}
        for record in records:
            values = self._values.setdefault((canonical(record.owner), record.type), {})
            values.setdefault(_written(record.type, record.value), set()).add(record.ttl)

    def values(self, name: str, rtype: str) -> frozenset[str]:
        """Return the values of an RRset in the zones; empty if no zone has the RRset."""
        return frozenset(self._values.get((canonical(name), rtype), ()))

    def ttls(self, name: str, rtype: str) -> frozenset[int]:
        """Return the TTLs in s of an RRset: usually one; two if the parent zone has the RRset with another TTL."""
        return frozenset(ttl for some in self._values.get((canonical(name), rtype), {}).values() for ttl in some)

    def answer(self, name: str, rtype: str) -> tuple[list[tuple[str, str]], frozenset[str]]:
        """Return the correct answer: the CNAME chain as (owner, target) pairs, and the values of `rtype` at its end."""
        aliases: list[tuple[str, str]] = []
        at = canonical(name)
        while not self.values(at, rtype) and (targets := self.values(at, "CNAME")):
            (target,) = targets
            if (at, target) in aliases:
                break
            aliases.append((at, target))
            at = target
        return aliases, self.values(at, rtype)

    def answered(self, response: DnsMessage, name: str, rtype: str, whole: bool = True) -> None:
        """Raise Contradiction unless the answer section has exactly the records of the correct answer, RRSIGs aside.

        If `whole` is False, the answer may end at an alias, since a server need not be authoritative for the alias's
        target.
        """
        wanted_aliases, wanted = self.answer(name, rtype)
        aliases, records = alias_chain(response, name, rtype)
        found_aliases = [(alias.name, alias.rdata) for alias in aliases]
        found = [one.rdata for one in records]
        ends_at_alias = not whole and not found and bool(found_aliases)
        right_aliases = wanted_aliases[: len(found_aliases)] if ends_at_alias else wanted_aliases
        if found_aliases != right_aliases or (not ends_at_alias and sorted(found) != sorted(wanted)):
            raise Contradiction(
                f"The answer for {canonical(name)} {rtype} in frame {response.frame} has "
                f"{_told(found_aliases, found)}, but the zones have {_told(wanted_aliases, wanted)}.",
                response.frame,
            )
        for record in response.answer:
            if record not in aliases and record not in records and record.type != "RRSIG":
                raise Contradiction(
                    f"The answer in frame {response.frame} has the additional record {record.name} "
                    f"{record.type} {record.rdata}.",
                    response.frame,
                )

    def has(self, record: DnsRecord, frame: int) -> None:
        """Raise Contradiction unless the zones contain a captured record with this value and TTL."""
        what = f"{record.name} {record.type} {record.rdata}"
        values = self.values(record.name, record.type)
        if record.rdata not in values:
            raise Contradiction(
                f"{what} in frame {frame} differs from the zones, which have {record.name} {record.type} "
                f"{words(values)}.",
                frame,
            )
        self.lives(record, frame)

    def lives(self, record: DnsRecord, frame: int) -> None:
        """Raise Contradiction if a captured record from an authoritative server has another TTL than in its zone."""
        ttls = self.ttls(record.name, record.type)
        if ttls and record.ttl not in ttls:
            raise Contradiction(
                f"{record.name} {record.type} in frame {frame} has TTL {record.ttl}, but in the zones "
                f"{words(map(str, ttls))}.",
                frame,
            )

    def lives_no_longer(self, record: DnsRecord, frame: int) -> None:
        """Raise Contradiction if a record from a cache has a higher TTL than in its zone (RFC 1035 section 3.2.1)."""
        ttls = self.ttls(record.name, record.type)
        if ttls and record.ttl > max(ttls):
            raise Contradiction(
                f"{record.name} {record.type} in frame {frame} has TTL {record.ttl}, more than the "
                f"{max(ttls)} of its zone.",
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
