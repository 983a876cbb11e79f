"""Checks of captured DNS messages against the RFCs: format, matching, truncation, negative answers, aliases, TTLs.

The requirements are from RFC 1034 sections 3.6.2 and 4.2.1, RFC 1035 section 4, RFC 2181 sections 5.2 and 10, RFC 2308
section 3, RFC 1912 section 2.8, RFC 5452 section 9.1, RFC 6891 section 6.2. Left out: DNSSEC, dynamic updates and zone
transfers, whose messages are checked for their format only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab7.experiments.analysis.rules import dns_octets
from lab7.experiments.analysis.rules.dns_octets import CNAME, MX, NS, SOA, Message, Record
from lab7.experiments.analysis.rules.rule import EXCERPT_OCTETS, Checked, Rule, Violation
from lab7.experiments.dns.wire.messages import RCODES
from lab7.experiments.harness.judge.frames import (
    UDP_HEADER_BYTES,
    UDP_PROTOCOL,
    CaptureFile,
    Connection,
    connections,
    datagrams,
)

FORMAT = Rule(
    "dns-format", "dns", "A message is a header, questions and records as its counts say.", "RFC 1035 section 4.1"
)
QR = Rule("dns-qr", "dns", "A response has the QR bit.", "RFC 1035 section 4.1.1")
ID = Rule("dns-id", "dns", "A response repeats the ID of its query.", "RFC 1035 section 4.1.1")
QUESTION = Rule("dns-question", "dns", "A response repeats the question of its query.", "RFC 5452 section 9.1")
TRUNCATION = Rule(
    "dns-truncation",
    "dns",
    "A response by UDP longer than the query permits (512 octets without EDNS) is truncated, with TC.",
    "RFC 6891 section 6.2.5",
)
NEGATIVE = Rule(
    "dns-negative",
    "dns",
    "An authoritative NXDOMAIN or NODATA response has the zone's SOA in its authority section.",
    "RFC 2308 section 3",
)
ALIAS = Rule("dns-alias", "dns", "A name with a CNAME record has no other data.", "RFC 1034 section 3.6.2")
TARGET = Rule("dns-target", "dns", "The name in an MX or NS record is no alias.", "RFC 2181 section 10.3")
GLUE = Rule(
    "dns-glue",
    "dns",
    "A referral to a name server within the delegated zone has its address.",
    "RFC 1034 section 4.2.1",
)
LAME = Rule(
    "dns-lame", "dns", "A server to which a zone is delegated answers for it with authority.", "RFC 1912 section 2.8"
)
RCODE = Rule(
    "dns-rcode",
    "dns",
    "A resolver passes on NXDOMAIN, with which the authoritative server has answered.",
    "RFC 2308 section 5",
)
TTL_DOWN = Rule(
    "dns-ttl", "dns", "A cache decrements the TTL of a record by the time that it was stored.", "RFC 1035 section 7.4"
)
TTL_EQUAL = Rule("dns-rrset-ttl", "dns", "All records of an RRset have the same TTL.", "RFC 2181 section 5.2")
RULES = (FORMAT, QR, ID, QUESTION, TRUNCATION, NEGATIVE, ALIAS, TARGET, GLUE, LAME, RCODE, TTL_DOWN, TTL_EQUAL)

PORT = 53
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5
AXFR, IXFR = 252, 251
NS_PER_S = 1_000_000_000


@dataclass(frozen=True)
class Datum:
    """Captured DNS message with its origin: interface, frame, time, sender, receiver, UDP or TCP, stream offset."""

    message: Message
    interface: str
    frame: int
    time_ns: int
    source: tuple[str, int]
    target: tuple[str, int]
    by_udp: bool
    offset: int = 0

    @property
    def from_server(self) -> bool:
        """Return True if the message was sent from a DNS server's port."""
        return self.source[1] == PORT

    def violation(self, rule: Rule, start: int, end: int, found: str, expected: str) -> Violation:
        """Return a Violation: the broken rule, with octets [start, end) of the message as evidence."""
        sender = f"{self.source[0]}:{self.source[1]}"
        octets = self.message.octets[start : min(end, start + EXCERPT_OCTETS)]
        return Violation(
            rule, self.interface, self.frame, self.time_ns, sender, self.offset + start, octets, found, expected
        )


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the DNS messages of one interface against all DNS rules; return violations in order of time."""
    messages = sorted(messages_at(captured, interface), key=lambda one: (one.time_ns, one.frame, one.offset))
    found = [
        *_formats(messages),
        *_matches(messages),
        *_contents(messages),
        *_aliased_targets(messages),
        *_lame(messages),
        *_rcodes(messages),
        *_ttls(messages, captured),
    ]
    return Checked(len(messages), tuple(sorted(found, key=lambda one: (one.time_ns, one.frame, one.offset))))


def messages_at(captured: CaptureFile, interface: str) -> Iterator[Datum]:
    """Yield the DNS messages of one interface: first all messages over UDP, then all over TCP."""
    frames = captured.at(interface)
    for frame in datagrams(frames):
        if not frame.may_carry(UDP_PROTOCOL) or frame.truncated:
            continue
        udp = frame.udp
        if udp is not None and PORT in (udp.source.port, udp.target.port):
            ends = (udp.source.address, udp.source.port), (udp.target.address, udp.target.port)
            message = dns_octets.read_message(udp.payload[: max(0, udp.length - UDP_HEADER_BYTES)])
            yield Datum(message, interface, frame.number, frame.time_ns, *ends, by_udp=True)
    for connection in connections(frames):
        if connection.server.port == PORT:
            yield from _streams(connection, interface)


def _streams(connection: Connection, interface: str) -> Iterator[Datum]:
    client = (connection.client.address, connection.client.port)
    server = (connection.server.address, connection.server.port)
    for direction, source, target in (
        (connection.from_client, client, server),
        (connection.from_server, server, client),
    ):
        data, at = direction.stream.data, 0
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            if end > len(data) or end == at + 2:
                break
            piece = direction.stream.span(end - 1, end)[0]
            message = dns_octets.read_message(data[at + 2 : end])
            yield Datum(message, interface, piece.frame, piece.time_ns, source, target, False, at + 2)
            at = end


def _formats(messages: Iterable[Datum]) -> Iterator[Violation]:
    for one in messages:
        if (fault := one.message.fault) is not None:
            rule = Rule(FORMAT.id, FORMAT.protocol, FORMAT.statement, fault.section)
            yield one.violation(rule, fault.start, fault.end, fault.found, fault.expected)


def _matches(messages: Iterable[Datum]) -> Iterator[Violation]:
    """Yield a violation for each response whose ID or QR bit matches no query between the same two endpoints."""
    waiting: dict[tuple[object, ...], list[Datum]] = {}
    for one in messages:
        if not one.from_server:
            waiting.setdefault((one.source, one.target, one.by_udp), []).append(one)
            continue
        queries = waiting.get((one.target, one.source, one.by_udp), [])
        if not queries or len(one.message.octets) < dns_octets.HEADER_BYTES:
            continue
        query = next((each for each in queries if each.message.id == one.message.id), None)
        if query is None:
            found, expected = f"ID {one.message.id:#06x}", f"ID {queries[-1].message.id:#06x}, that of the query"
            yield one.violation(ID, 0, 2, f"{found}, which matches no query from this port", expected)
        elif not one.message.is_response:
            yield one.violation(QR, 2, 4, "a message from the server without QR", "QR set to 1")
        else:
            yield from _question(one, query)
            yield from _size(one, query)


def _question(one: Datum, query: Datum) -> Iterator[Violation]:
    asked, said = query.message, one.message
    if asked.qtype in (AXFR, IXFR) or asked.opcode == 5:
        return
    if said.qname is None and said.rcode in (NOERROR, NXDOMAIN) and said.fault is None:
        yield one.violation(QUESTION, 4, 6, "QDCOUNT 0", f"QDCOUNT 1 and the question for {asked.qname}")
    elif said.qname is not None and (said.qname, said.qtype) != (asked.qname, asked.qtype):
        found = f"the question is for {said.qname} (type {said.qtype})"
        yield one.violation(QUESTION, 12, said.question_end, found, f"{asked.qname} (type {asked.qtype})")


def _size(one: Datum, query: Datum) -> Iterator[Violation]:
    most = query.message.udp_size_bytes
    if one.by_udp and len(one.message.octets) > most:
        found = f"{len(one.message.octets)} octets by UDP, but the query permits {most}"
        yield one.violation(TRUNCATION, 2, 4, found, f"at most {most} octets, and TC")


def _contents(messages: Iterable[Datum]) -> Iterator[Violation]:
    for one in messages:
        message = one.message
        if not message.is_response or message.fault is not None or message.opcode or message.qtype in (AXFR, IXFR):
            continue
        yield from _negative(one)
        yield from _cname_beside_data(one)
        yield from _glue(one)
        yield from _rrset_ttls(one)


def _negative(one: Datum) -> Iterator[Violation]:
    message = one.message
    negative = message.rcode == NXDOMAIN or (message.rcode == NOERROR and not message.section(1))
    if message.aa and not message.tc and negative and not any(record.rtype == SOA for record in message.section(2)):
        kind = "NXDOMAIN" if message.rcode == NXDOMAIN else "NODATA"
        yield one.violation(NEGATIVE, 2, 4, f"{kind} without SOA", "the SOA of the zone in the authority section")


def _cname_beside_data(one: Datum) -> Iterator[Violation]:
    answer = one.message.section(1)
    aliases = {record.owner for record in answer if record.rtype == CNAME}
    # Beside a CNAME, permit only RRSIG (46) and NSEC (47) records of the same name (RFC 4034 section 2).
    for record in answer:
        if record.owner in aliases and record.rtype not in (CNAME, 46, 47):
            found = f"{record.owner} has a CNAME and a record of type {record.type_name}"
            yield one.violation(ALIAS, record.start, record.end, found, f"the CNAME of {record.owner} alone")
            return
    if len([1 for record in answer if record.rtype == CNAME]) > len(aliases):
        first = next(record for record in answer if record.rtype == CNAME)
        yield one.violation(ALIAS, first.start, first.end, f"{first.owner} has two CNAME records", "one CNAME")


def _glue(one: Datum) -> Iterator[Violation]:
    message = one.message
    delegations = [record for record in message.section(2) if record.rtype == NS]
    if message.aa or message.section(1) or message.rcode or message.tc or not delegations:
        return
    with_address = {record.owner for record in message.section(3) if record.address}
    within = [record for record in delegations if _is_within(record.target, record.owner)]
    lacking = [record for record in within if record.target not in with_address]
    if within and len(lacking) == len(within):
        record = lacking[0]
        found = f"a referral to {record.target}, within {record.owner}, without its address"
        yield one.violation(GLUE, record.start, record.end, found, f"an A or AAAA record of {record.target}")


def _rrset_ttls(one: Datum) -> Iterator[Violation]:
    first: dict[tuple[int, str, int, int], Record] = {}
    for record in one.message.records:
        if record.rtype in (dns_octets.OPT, 46):
            continue
        known = first.setdefault((record.section, record.owner, record.rtype, record.rclass), record)
        if known.ttl != record.ttl:
            found = f"the {record.type_name} records of {record.owner} have the TTLs {known.ttl} and {record.ttl}"
            yield one.violation(TTL_EQUAL, record.start, record.end, found, f"TTL {min(known.ttl, record.ttl)} in all")
            return


def _aliased_targets(messages: Iterable[Datum]) -> Iterator[Violation]:
    """Yield a violation for each MX or NS record whose target is an alias, a CNAME's owner (RFC 2181 section 10.3)."""
    valid = [one for one in messages if one.message.is_response and one.message.fault is None]
    records = [record for one in valid for record in one.message.records]
    # Skip names with both a CNAME and an address: rule ALIAS reports such names.
    aliases = {record.owner for record in records if record.rtype == CNAME}
    aliases -= {record.owner for record in records if record.address}
    reported: set[tuple[str, str]] = set()
    for one in valid:
        for record in one.message.records:
            pair = (record.owner, record.target)
            if record.rtype in (MX, NS) and record.target in aliases and pair not in reported:
                reported.add(pair)
                found = (
                    f"the {record.type_name} record of {record.owner} has the target {record.target}, which is an alias"
                )
                yield one.violation(TARGET, record.start, record.end, found, "the canonical name, with an address")


def _lame(messages: Iterable[Datum]) -> Iterator[Violation]:
    """Yield a violation for each lame delegation: a referral to a server that has no authority for the zone."""
    delegated: dict[str, set[str]] = {}
    queries: dict[tuple[object, ...], Datum] = {}
    reported: set[tuple[str, str]] = set()
    for one in messages:
        message = one.message
        key = (one.target, one.source, one.by_udp, message.id)
        if not message.is_response:
            queries[(one.source, one.target, one.by_udp, message.id)] = one
            continue
        server = one.source[0]
        query = queries.get(key)
        zone = _longest(delegated.get(server, set()), message.qname)
        if zone and query is not None and not query.message.rd and _is_lame(message, zone):
            if (server, zone) not in reported:
                reported.add((server, zone))
                rcode = RCODES.get(message.rcode, f"RCODE {message.rcode}")
                found = f"{server}, to which {zone} is delegated, sends a response ({rcode}) without AA"
                yield one.violation(LAME, 2, 4, found, "an answer with AA, or a referral to a zone below")
        elif message.fault is None:
            _note_delegations(delegated, message)


def _rcodes(messages: Iterable[Datum]) -> Iterator[Violation]:
    """Yield a violation for each resolver that received NXDOMAIN for a name, but answers NOERROR without records."""
    missing: dict[tuple[str, str], int] = {}
    reported: set[tuple[str, str]] = set()
    for one in messages:
        message = one.message
        if not message.is_response or message.qname is None:
            continue
        if message.rcode == NXDOMAIN and message.aa:
            missing.setdefault((one.target[0], message.qname), one.frame)
        key = (one.source[0], message.qname)
        empty = message.rcode == NOERROR and not message.section(1) and not message.aa and not message.tc
        if empty and key in missing and key not in reported:
            reported.add(key)
            found = f"NOERROR for {message.qname}, which does not exist (NXDOMAIN in frame {missing[key]})"
            yield one.violation(RCODE, 2, 4, found, "RCODE 3, NXDOMAIN")


def _is_lame(message: Message, zone: str) -> bool:
    if message.rcode in (REFUSED, SERVFAIL):
        return True
    downward = any(
        record.rtype == NS and record.owner != zone and _is_within(record.owner, zone) for record in message.section(2)
    )
    return not message.aa and not downward


def _note_delegations(delegated: dict[str, set[str]], message: Message) -> None:
    addresses: dict[str, list[str]] = {}
    for record in message.section(3):
        if record.address:
            addresses.setdefault(record.owner, []).append(record.address)
    if message.aa or message.section(1):
        return
    for record in message.section(2):
        if record.rtype == NS:
            for address in addresses.get(record.target, []):
                delegated.setdefault(address, set()).add(record.owner)


def _longest(zones: Iterable[str], name: str | None) -> str:
    return max((zone for zone in zones if name is not None and _is_within(name, zone)), key=len, default="")


def _ttls(messages: Iterable[Datum], captured: CaptureFile) -> Iterator[Violation]:
    """Yield a violation for each cached answer whose TTL has not decreased since the server's earlier answer.

    An answer counts as cached in two cases: if the capture has queries by the answering server, but none for this name
    since the earlier answer; or if its response time is less than half of the earlier answer's.
    """
    stored: dict[tuple[object, ...], tuple[int, int, int]] = {}
    asked = _upstream_queries(captured)
    visible = {address for address, _ in asked}
    sent: dict[tuple[object, ...], int] = {}
    reported: set[tuple[object, ...]] = set()
    for one in messages:
        message = one.message
        if not message.is_response:
            sent[(one.source, one.target, message.id)] = one.time_ns
            continue
        took_ns = one.time_ns - sent.get((one.target, one.source, message.id), one.time_ns)
        if message.aa or message.fault is not None or message.rcode != NOERROR:
            continue
        server = one.source[0]
        for record in message.section(1):
            key = (server, record.owner, record.rtype, record.rdata)
            before = stored.get(key)
            if before is None or took_ns > before[2] // 2:
                stored[key] = (one.time_ns, record.ttl, took_ns)
            if before is None or key in reported:
                continue
            since_ns, ttl = one.time_ns - before[0], before[1]
            renewed = any(before[0] < when <= one.time_ns for when in asked.get((server, record.owner), ()))
            cached = not renewed and (server in visible or took_ns < before[2] // 2)
            # The difference must exceed one second, since both TTLs are rounded to whole seconds.
            if cached and since_ns >= 2 * NS_PER_S and since_ns < ttl * NS_PER_S and record.ttl >= ttl:
                reported.add(key)
                at = record.end - len(record.rdata) - 6
                what = f"TTL {record.ttl} of {record.owner} {record.type_name}"
                found = f"{what}, {since_ns / NS_PER_S:.1f} s after TTL {ttl}"
                yield one.violation(TTL_DOWN, at, at + 4, found, f"TTL {ttl - since_ns // NS_PER_S}")


def _upstream_queries(captured: CaptureFile) -> dict[tuple[str, str], list[int]]:
    """Return (sender's address, QNAME) -> capture times in ns of the queries from this address for this name."""
    found: dict[tuple[str, str], list[int]] = {}
    for interface in captured.counts:
        for one in messages_at(captured, interface):
            if not one.message.is_response and one.message.qname is not None:
                found.setdefault((one.source[0], one.message.qname), []).append(one.time_ns)
    return found


def _is_within(name: str, zone: str) -> bool:
    return zone == "." or name == zone or name.endswith("." + zone)
