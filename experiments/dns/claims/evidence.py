"""Common checks of the DNS claims: validity of a capture as evidence, and inspection of answers.

A message that cannot be parsed contradicts every claim, as for HTTP.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from experiments.dns.wire.message import DnsMessage, DnsRecord, Question, canonical, is_within
from experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from experiments.harness.judge.verdict import Contradiction, Inconclusive

# role: address, or addresses: {"local": "10.0.0.53", "root": ("10.1.0.53", "10.1.1.53")}
Addresses = Mapping[str, str | Collection[str]]

# RFC 1035 section 4.1.1, RFC 6891 section 9.
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 16: "BADVERS"}
ADDRESS_TYPES = ("A", "AAAA")


def addresses_of(addresses: Addresses, role: str) -> frozenset[str]:
    """Return the addresses of a role. Raises KeyError if it has none."""
    found = addresses[role]
    return frozenset([found]) if isinstance(found, str) else frozenset(found)


def asks_for(exchange: DnsExchange, name: str, qtype: str | None = None) -> bool:
    """Return True for a query with this QNAME and, if given, this QTYPE."""
    question = exchange.query.question
    return question is not None and question.qname == canonical(name) and qtype in (None, question.qtype)


def asks_towards(exchange: DnsExchange, name: str, qtype: str) -> bool:
    """Return True if a query is a step in resolving a name: for the name itself, or for a suffix of it at a server
    above.

    RFC 9156 (QNAME minimisation): a resolver may send a server no more labels than needed, in a query for A or NS.
    Queries for the root itself are excluded: they prime the cache (RFC 8109).
    """
    question = exchange.query.question
    if question is None or question.qname == ".":
        return False
    if question.qname == canonical(name):
        return question.qtype == qtype
    return is_within(canonical(name), part_shown(question)) and question.qtype in (*ADDRESS_TYPES, "NS")


def part_shown(question: Question) -> str:
    """Return the suffix of a name that a query reveals: BIND prepends a label _ to the minimised QNAME."""
    return question.qname.removeprefix("_.")


def answered_queries(traffics: Sequence[DnsTraffic], name: str, qtype: str) -> list[tuple[DnsExchange, DnsMessage]]:
    """Return queries for a name with their answers, in order of time; there must be one.

    A truncated answer counts as none (RFC 2181 section 9); an unanswered query is ignored if its client repeats it.
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
            f"No query for {canonical(name)} {qtype} in the capture with an answer that is not truncated."
        )
    return found


def sent_by(traffic: DnsTraffic, sources: Collection[str]) -> list[DnsExchange]:
    """Return the exchanges whose query one of these addresses sent."""
    return [exchange for exchange in traffic.exchanges if exchange.query.source in sources]


def answer_of(exchange: DnsExchange) -> DnsMessage:
    """Return the response to a query; its absence or an error contradicts the claim."""
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


def follow(message: DnsMessage, name: str, qtype: str) -> tuple[list[DnsRecord], list[DnsRecord]]:
    """Return the CNAME chain that starts at a name, and the records of this type at its end.

    RFC 1034 section 3.6.2. Both are from the answer section.
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
    """Return True if a response is a referral (RFC 1034 section 4.3.2, step 3b): NS, no answer, not authoritative."""
    return not message.rcode and not message.aa and not message.answer and bool(referred_zone(message))


def referred_zone(message: DnsMessage) -> str | None:
    """Return the zone whose NS records the authority section has, an ancestor of the QNAME, or None."""
    owners = {record.name for record in message.authority if record.type == "NS"}
    if message.question is None or len(owners) != 1:
        return None
    (owner,) = owners
    return owner if is_within(message.question.qname, owner) else None


def words(items: Iterable[str]) -> str:
    """Format names for evidence texts: sorted, separated by commas; "nothing" if there are none."""
    return ", ".join(sorted(items)) or "nothing"
