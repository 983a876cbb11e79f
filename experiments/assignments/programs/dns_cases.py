"""Test cases for a DNS server: queries as octets, and the check of the captured response to each.

Each query of a run has a unique message ID, which identifies the query in the capture. The response to a query is the
first message from the server to the port from which the query was sent. A response with a wrong ID is thus reported as
such, and not as a missing response.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lab7.experiments.analysis.rules import dns
from lab7.experiments.analysis.rules.dns import Datum, messages_at
from lab7.experiments.analysis.rules.dns_octets import CNAME, MX, NS, OPT, TYPES, Message, Record
from lab7.experiments.analysis.rules.rule import Rule
from lab7.experiments.assignments.programs.deviation import DeviationError
from lab7.experiments.dns.wire.messages import RCODES
from lab7.experiments.harness.judge.frames import CaptureFile, connections
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict, failed, shown, undecided

# Message rules that hold in every test case: a response that violates them cannot be read, or belongs to no query.
BASIC = frozenset(rule.id for rule in (dns.FORMAT, dns.QR, dns.ID, dns.QUESTION, dns.TTL_EQUAL, dns.ALIAS))
ANSWER = Rule("dns-server-answer", "dns", "A name server answers each query.", "RFC 1035 section 7.3")
TXT = 16
SECTIONS = {1: "answer", 2: "authority", 3: "additional"}


@dataclass(frozen=True)
class Expected:
    """Resource record that a response must contain: owner, type, TTL, and value as returned by `value_of`."""

    owner: str
    rtype: int
    ttl: int
    value: str

    def __str__(self) -> str:
        return f"{self.owner} {self.ttl} IN {TYPES.get(self.rtype, self.rtype)} {self.value}"


@dataclass(frozen=True)
class View:
    """Captured query of a test case with its response, and checks (`expect_...`) of the response."""

    query: Datum
    response: Datum

    @property
    def message(self) -> Message:
        """The parsed DNS response."""
        return self.response.message

    def fault(self, rule: Rule, start: int, end: int, found: str, expected: str) -> DeviationError:
        """Return a DeviationError for a fault in the octets [start, end) of the response."""
        return DeviationError(self.response.violation(rule, start, end, found, expected))

    def expect_header(self, rule: Rule, rcode: int, aa: bool, tc: bool = False) -> None:
        """Require these values of RCODE, AA and TC in the response's header. Raises DeviationError."""
        got = self.message
        if got.rcode != rcode:
            right, said = (RCODES.get(each, f"RCODE {each}") for each in (rcode, got.rcode))
            raise self.fault(rule, 2, 4, f"{said} to {self.asked}", right)
        for name, want, has in (("AA", aa, got.aa), ("TC", tc, got.tc)):
            if want != has:
                raise self.fault(
                    rule, 2, 4, f"{name} is {int(has)} in the response to {self.asked}", f"{name} {int(want)}"
                )

    @property
    def asked(self) -> str:
        """The question as text: name and type, such as `www.example.com. A`."""
        query = self.query.message
        return f"{query.qname} {TYPES.get(query.qtype, query.qtype)}"

    def expect_records(self, rule: Rule, section: int, wanted: Iterable[Expected], *, only: bool) -> None:
        """Require the records `wanted` in a section of the response, in any order. Raises DeviationError.

        With `only`, the section must have no other records.
        """
        got = {(one.owner, one.rtype, one.ttl, value_of(one)): one for one in self.message.section(section)}
        expected = {(one.owner, one.rtype, one.ttl, one.value): one for one in wanted}
        for key, one in expected.items():
            if key in got:
                continue
            near = next((record for each, record in got.items() if each[:2] == key[:2] and each not in expected), None)
            if near is not None:
                said = f"{near.owner} {near.ttl} IN {near.type_name} {value_of(near)}"
                raise self.fault(rule, near.start, near.end, f"the record {said}", str(one))
            found = f"the {SECTIONS[section]} section lacks a record"
            raise self.fault(rule, 4, 12, found, str(one))
        for key, record in got.items():
            if only and key not in expected and record.rtype != OPT:
                said = f"{record.owner} {record.ttl} IN {record.type_name} {value_of(record)}"
                raise self.fault(
                    rule, record.start, record.end, f"the {SECTIONS[section]} section has {said}", "no octets"
                )


def value_of(record: Record) -> str:
    """Return a record's value as text: address, domain name, MX preference and name, or RDATA in hexadecimal."""
    if record.address:
        return record.address
    if record.rtype in (CNAME, NS):
        return record.target
    return f"{int.from_bytes(record.rdata[:2], 'big')} {record.target}" if record.rtype == MX else record.rdata.hex()


@dataclass(frozen=True)
class Case:
    """Test case of a claim: the octets of one query, the check of its response, and message rules for the response.

    `sends`: the UDP datagrams; over TCP the pieces of the query, each of which is sent once the server is silent.
    """

    claim: str
    id: int
    sends: tuple[bytes, ...]
    check: Callable[[View], str]
    rules: frozenset[str] = frozenset()
    tcp: bool = False

    def request(self, address: str) -> dict[str, object]:
        """Return the JSON request with which the raw client sends the query to the server at `address`."""
        kind = "send" if self.tcp else "datagrams"
        return {"address": address, "port": dns.PORT, kind: [octets.hex() for octets in self.sends]}


def query(message_id: int, name: str, rtype: int, udp_size: int = 0, opcode: int = 0) -> bytes:
    """Return the octets of a DNS query; with `udp_size` it has an OPT record (RFC 6891 section 6.1.2)."""
    labels = b"".join(bytes([len(label)]) + label.encode("ascii") for label in name.rstrip(".").split("."))
    header = struct.pack(">6H", message_id, opcode << 11, 1, 0, 0, 1 if udp_size else 0)
    opt = b"\0" + struct.pack(">HHIH", OPT, udp_size, 0, 0) if udp_size else b""
    return header + labels + b"\0" + struct.pack(">HH", rtype, 1) + opt


def framed(octets: bytes) -> bytes:
    """Return a DNS message with the two-octet length that precedes it over TCP (RFC 1035 section 4.2.2)."""
    return len(octets).to_bytes(2, "big") + octets


def decide_cases(captured: CaptureFile, interface: str, cases: Sequence[Case]) -> tuple[Verdict, ...]:
    """Return a verdict on each claim: failed by its first deviating test case, shown if all its test cases pass."""
    seen = sorted(messages_at(captured, interface), key=lambda one: (one.time_ns, one.frame, one.offset))
    violations = dns.check(captured, interface).violations
    refused = [
        one.syn.frame
        for one in connections(captured.at(interface))
        if one.server.port == dns.PORT and one.from_server.syn is None
    ]
    verdicts: dict[str, Verdict] = {}
    for case in cases:
        before = verdicts.get(case.claim)
        if before is not None and before.verdict != "shown":
            continue
        try:
            view = _view(case, seen, refused)
            for violation in violations:
                if violation.frame == view.response.frame and violation.rule.id in BASIC | case.rules:
                    raise DeviationError(violation)
            evidence, frames = case.check(view), (view.query.frame, view.response.frame)
        except Contradiction as fault:
            verdicts[case.claim] = failed(case.claim, fault.evidence, fault.frames)
        except LookupError:
            verdicts[case.claim] = undecided(case.claim, "The run ended before this was requested.")
        else:
            said = f"{before.evidence} {evidence}" if before else evidence
            verdicts[case.claim] = shown(case.claim, said, (*(before.frames if before else ()), *frames))
    return tuple(verdicts.values())


def _view(case: Case, seen: Sequence[Datum], refused: Sequence[int]) -> View:
    """Return the captured query and response of a test case.

    Raises LookupError if the query was not sent, Contradiction if the response is missing.
    """
    asked = next((one for one in seen if not one.from_server and one.message.id == case.id), None)
    if asked is None:
        if case.tcp and refused:
            frame = refused[0]
            raise Contradiction(
                f"Frame {frame}: TCP to port 53 is refused (RFC 7766 section 5: TCP is required).", frame
            )
        raise LookupError(case.id)
    for one in seen:
        if (
            one.from_server
            and one.target == asked.source
            and one.by_udp == asked.by_udp
            and one.time_ns > asked.time_ns
        ):
            return View(asked, one)
    octets = len(asked.message.octets)
    how = "by UDP" if asked.by_udp else "by TCP"
    found = f"no response to this query {how}"
    raise DeviationError(asked.violation(ANSWER, 0, octets, found, f"a response with ID {case.id:#06x}"))
