"""DNS message parser that keeps the offset of each record and stops at the first octet that violates the format.

RFC 1035 section 4. For a malformed message, the parser returns the records before the fault and a description of the
fault. The parser uses neither the services' codec nor scapy, because neither keeps the offsets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

HEADER_BYTES, QUESTION_BYTES, RECORD_BYTES = 12, 4, 10
LABEL_MAX, NAME_MAX = 63, 255  # RFC 1035 section 2.3.4
A, NS, CNAME, SOA, PTR, MX, AAAA, DNAME, OPT = 1, 2, 5, 6, 12, 15, 28, 39, 41
TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", MX: "MX", 16: "TXT", AAAA: "AAAA", DNAME: "DNAME"}
# RDATA size of address records in octets (RFC 1035 section 3.4.1, RFC 3596 section 2.2).
ADDRESS_BYTES = {A: 4, AAAA: 16}
# Number of octets before the domain name in RDATA, by record type: in MX the 16-bit preference comes first.
NAME_AT = {NS: 0, CNAME: 0, PTR: 0, DNAME: 0, MX: 2}


class _StopError(Exception):
    """Violation of the DNS message format, which ends the parsing of a message; `fault` describes the violation."""

    def __init__(self, section: str, start: int, end: int, found: str, expected: str) -> None:
        super().__init__(found)
        self.fault = Fault(section, start, end, found, expected)


@dataclass(frozen=True)
class Fault:
    """First violation of the message format: RFC section, octets [start, end), description, and correct form."""

    section: str
    start: int
    end: int
    found: str
    expected: str


@dataclass(frozen=True)
class Record:
    """Resource record with the offsets of its octets; names are in lower case with a final dot.

    `section` is 1 for answer, 2 for authority, 3 for additional. `target` is the domain name in the RDATA of NS, CNAME,
    PTR, DNAME and MX.
    """

    section: int
    start: int
    end: int
    owner: str
    rtype: int
    rclass: int
    ttl: int
    rdata: bytes
    target: str = ""

    @property
    def type_name(self) -> str:
        """Return the mnemonic of the record type; TYPEn for an unknown type n (RFC 3597 section 5)."""
        return TYPES.get(self.rtype, f"TYPE{self.rtype}")

    @property
    def address(self) -> str:
        """Return the address in an A or AAAA record; empty for other record types."""
        if self.rtype == A and len(self.rdata) == ADDRESS_BYTES[A]:
            return str(IPv4Address(self.rdata))
        return str(IPv6Address(self.rdata)) if self.rtype == AAAA and len(self.rdata) == ADDRESS_BYTES[AAAA] else ""


@dataclass
class Message:
    """DNS message, parsed up to its first violation of the format (`fault`; None if well-formed)."""

    octets: bytes
    id: int = 0
    flags: int = 0
    qname: str | None = None
    qtype: int = 0
    question_end: int = HEADER_BYTES
    records: list[Record] = field(default_factory=list)
    fault: Fault | None = None

    @property
    def is_response(self) -> bool:
        """Return True if the QR bit is set."""
        return bool(self.flags & 0x8000)

    @property
    def opcode(self) -> int:
        """Return the OPCODE."""
        return self.flags >> 11 & 0x0F

    @property
    def aa(self) -> bool:
        """Return True if the AA bit (authoritative answer) is set."""
        return bool(self.flags & 0x0400)

    @property
    def tc(self) -> bool:
        """Return True if the TC bit (truncation) is set."""
        return bool(self.flags & 0x0200)

    @property
    def rd(self) -> bool:
        """Return True if the RD bit (recursion desired) is set."""
        return bool(self.flags & 0x0100)

    @property
    def rcode(self) -> int:
        """Return the RCODE of the header, without the upper bits in OPT."""
        return self.flags & 0x0F

    def section(self, number: int) -> list[Record]:
        """Return the records of a section: 1 answer, 2 authority, 3 additional."""
        return [one for one in self.records if one.section == number]

    @property
    def udp_size_bytes(self) -> int:
        """Return the UDP payload size in OPT; 512 octets without OPT (RFC 6891 section 6.2.3)."""
        return max(512, *(one.rclass for one in self.records if one.rtype == OPT), 512)


def read_message(octets: bytes) -> Message:
    """Parse a DNS message up to its first violation of the format, which becomes the message's `fault`."""
    message = Message(octets)
    try:
        if len(octets) < HEADER_BYTES:
            found = f"a message of {len(octets)} octets"
            raise _StopError("RFC 1035 section 4.1.1", 0, len(octets), found, "a header of 12 octets")
        message.id, message.flags = _number(octets, 0, 2), _number(octets, 2, 2)
        counts = [_number(octets, at, 2) for at in (4, 6, 8, 10)]
        end = _read_questions(message, counts[0])
        if message.opcode == 5:
            return message  # RFC 2136: an update's records may have no RDATA
        for section, count in enumerate(counts[1:], start=1):
            for place in range(count):
                end = _read_record(message, section, end, f"record {place + 1} of {count} in section {section}")
        if end < len(octets):
            found = f"{len(octets) - end} octets behind the last record"
            raise _StopError(
                "RFC 1035 section 4.1", end, len(octets), found, "no octets there, or another count in the header"
            )
    except _StopError as stop:
        message.fault = stop.fault
    return message


def _read_questions(message: Message, count: int) -> int:
    at = HEADER_BYTES
    for place in range(count):
        name, end = _name(message.octets, at)
        _require(message.octets, end, QUESTION_BYTES, "the question")
        if place == 0:
            message.qname, message.qtype = name, _number(message.octets, end, 2)
        at = message.question_end = end + QUESTION_BYTES
    return at


def _read_record(message: Message, section: int, start: int, what: str) -> int:
    octets = message.octets
    if start >= len(octets):
        raise _StopError("RFC 1035 section 4.1.1", 4, 12, f"{what} is missing", "counts of the records that follow")
    owner, at = _name(octets, start)
    _require(octets, at, RECORD_BYTES, what)
    rtype, rclass, ttl, length = (_number(octets, at + low, size) for low, size in ((0, 2), (2, 2), (4, 4), (8, 2)))
    begin, end = at + RECORD_BYTES, at + RECORD_BYTES + length
    rdlength = (at + 8, at + 10)
    if end > len(octets):
        found = f"RDLENGTH {length} with {len(octets) - begin} octets left in the message ({what})"
        raise _StopError("RFC 1035 section 3.2.1", *rdlength, found, "the number of octets of RDATA")
    target = ""
    if rtype in ADDRESS_BYTES and rclass == 1 and length != ADDRESS_BYTES[rtype]:
        found = f"RDLENGTH {length} of a record of type {TYPES[rtype]}"
        raise _StopError("RFC 1035 section 3.4.1", *rdlength, found, f"RDLENGTH {ADDRESS_BYTES[rtype]}")
    if rtype in NAME_AT:
        target, name_end = _name(octets, begin + NAME_AT[rtype])
        if name_end != end:
            found = f"RDLENGTH {length} of a record of type {TYPES[rtype]} whose RDATA has {name_end - begin} octets"
            raise _StopError("RFC 1035 section 3.2.1", *rdlength, found, f"RDLENGTH {name_end - begin}")
    message.records.append(Record(section, start, end, owner, rtype, rclass, ttl, octets[begin:end], target))
    return end


def _require(octets: bytes, at: int, size: int, what: str) -> None:
    if at + size > len(octets):
        found = f"the message ends within {what}"
        raise _StopError("RFC 1035 section 4.1", at, len(octets), found, f"{at + size - len(octets)} more octets")


def _name(octets: bytes, start: int) -> tuple[str, int]:
    """Parse a domain name; return (name in lower case with final dot, offset of the octet after the name)."""
    labels: list[str] = []
    at, end, lowest, size = start, 0, start, 1
    while True:
        _require(octets, at, 1, "a name")
        length = octets[at]
        if length & 0xC0 == 0xC0:
            _require(octets, at, 2, "a compression pointer")
            target = _number(octets, at, 2) & 0x3FFF
            if target >= lowest:
                found = f"a compression pointer to octet {target}, which does not precede the name"
                raise _StopError(
                    "RFC 1035 section 4.1.4", at, at + 2, found, "a pointer to a prior occurrence of the name"
                )
            end, lowest, at = end or at + 2, target, target
            continue
        if length & 0xC0:
            raise _StopError(
                "RFC 1035 section 4.1.4", at, at + 1, f"a label of type {length >> 6}", "a length up to 63"
            )
        _require(octets, at + 1, length, "a label")
        at += 1 + length
        if length == 0:
            return ".".join([*labels, ""]) or ".", end or at
        size += 1 + length
        if size > NAME_MAX:
            raise _StopError(
                "RFC 1035 section 2.3.4", start, at, f"a name of {size} octets", f"at most {NAME_MAX} octets"
            )
        labels.append(octets[at - length : at].decode("ascii", "backslashreplace").lower())


def _number(octets: bytes, at: int, size: int) -> int:
    return int.from_bytes(octets[at : at + size], "big")
