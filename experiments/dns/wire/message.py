"""DNS message model, converted from scapy's dissection.

RFC 1035 section 4 (messages), 3.3 (RDATA), RFC 6891 section 6.1 (OPT), RFC 3597 section 5 (RDATA of unknown types).
Every name is text in lower case with a final dot, since names are compared case-insensitively (RFC 1035 section 2.3.3)
and a resolver may randomise their case: `canonical` converts one.

scapy skips malformed parts without an error, so a message counts as whole only if its four sections hold the number of
records in its header, every record fills its length, and no octets precede or follow the message. Left out: dots inside
of labels, and loops of compression pointers, which scapy cuts off without an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from scapy.layers.dns import (
    DNS,
    DNSQR,
    DNSRRMX,
    DNSRROPT,
    DNSRRSOA,
    DNSRRSRV,
    dnsclasses,
    dnsqtypes,
)
from scapy.packet import Raw

Transport = Literal["udp", "tcp"]

HEADER_BYTES = 12  # RFC 1035 section 4.1.1
UDP_SIZE_BYTES = 512  # RFC 1035 section 4.2.1: without OPT, no more by UDP
# Scapy accepts truncated records: if this octet, appended to the message, is consumed, a record exceeded the message.
SENTINEL = b"\0"


class MalformedMessage(ValueError):  # noqa: N818 - a finding about the traffic, not an error of the program
    """The octets are not a whole DNS message."""


@dataclass(frozen=True)
class Question:
    """QNAME (lower case, with its final dot), QTYPE and QCLASS as mnemonics."""

    qname: str
    qtype: str
    qclass: str = "IN"

    def __str__(self) -> str:
        return f"{self.qname} {self.qtype}"


@dataclass(frozen=True)
class DnsRecord:
    """A resource record: owner name, type, class, time to live in seconds, and value in master-file format.

    Of an OPT record, class is the sender's UDP size (CLASS1232) and ttl its flags (RFC 6891 section 6.1.3).
    """

    name: str
    type: str
    rclass: str
    ttl: int
    rdata: str

    @property
    def mx(self) -> tuple[int, str]:
        """(preference, exchange) of an MX record (RFC 1035 section 3.3.9)."""
        preference, exchange = self.rdata.split(" ")
        return int(preference), exchange


@dataclass(frozen=True)
class DnsMessage:
    """A message and the frame that completed it; `question` is None for an empty question section.

    `size_bytes` is the message's own, without headers; `edns_size_bytes` is the UDP payload size in its OPT, None
    without OPT. `rcode` includes the upper bits that OPT carries.
    """

    frame: int
    time_ns: int
    source: str
    source_port: int
    target: str
    target_port: int
    transport: Transport
    size_bytes: int
    id: int
    is_response: bool
    opcode: int
    rcode: int
    aa: bool
    tc: bool
    rd: bool
    ra: bool
    question: Question | None
    answer: tuple[DnsRecord, ...] = ()
    authority: tuple[DnsRecord, ...] = ()
    additional: tuple[DnsRecord, ...] = ()
    edns_size_bytes: int | None = None

    @property
    def records(self) -> tuple[DnsRecord, ...]:
        """All records, section after section."""
        return self.answer + self.authority + self.additional

    @property
    def udp_limit_bytes(self) -> int:
        """The UDP payload size that the sender accepts (RFC 6891 section 6.2.3: less than 512 counts as 512)."""
        return max(self.edns_size_bytes or 0, UDP_SIZE_BYTES)


@dataclass(frozen=True)
class Carrier:
    """Transport of a message: the frame, its time, the two endpoints, and UDP or TCP."""

    frame: int
    time_ns: int
    source: str
    source_port: int
    target: str
    target_port: int
    transport: Transport


def canonical(name: str) -> str:
    """Return a name in canonical form: lower case, with its final dot."""
    return name.lower().rstrip(".") + "."


def is_within(name: str, domain: str) -> bool:
    """Return True if a name is the domain or a subdomain of it (RFC 9499); both are canonical."""
    return name == domain or domain == "." or name.endswith("." + domain)


def read_message(octets: bytes, carrier: Carrier) -> DnsMessage:
    """Parse one message. Raises MalformedMessage with the reason."""
    packet = _dissect(octets)
    opt = next((record for record in packet.ar if isinstance(record, DNSRROPT)), None)
    extended = 0 if opt is None else opt.extrcode << 4
    return DnsMessage(
        **vars(carrier),
        size_bytes=len(octets),
        id=packet.id,
        is_response=bool(packet.qr),
        opcode=packet.opcode,
        rcode=extended | packet.rcode,
        aa=bool(packet.aa),
        tc=bool(packet.tc),
        rd=bool(packet.rd),
        ra=bool(packet.ra),
        question=_question(packet.qd),
        answer=_records(packet.an),
        authority=_records(packet.ns),
        additional=_records(packet.ar),
        edns_size_bytes=None if opt is None else opt.rclass,
    )


def _dissect(octets: bytes) -> Any:
    if len(octets) < HEADER_BYTES:
        raise MalformedMessage(f"a message of {len(octets)} octets has no whole header")
    try:
        packet = DNS(octets + SENTINEL)
    except Exception as error:
        # scapy's fields raise arbitrary exceptions on malformed octets.
        raise MalformedMessage(f"no DNS message ({type(error).__name__})") from error
    for section in ("qd", "an", "ns", "ar"):
        promised, found = getattr(packet, section + "count"), getattr(packet, section)
        read = [record for record in found if not isinstance(record, Raw) and not record.payload]
        if len(found) != promised or len(read) != promised:
            raise MalformedMessage(f"{len(read)} of the {promised} records of section {section} can be read")
    rest = bytes(packet.payload)
    if rest != SENTINEL:
        what = f"{len(rest) - 1} octets too many" if rest else "its last record is cut short"
        raise MalformedMessage(f"the message does not end where it says: {what}")
    return packet


def _question(section: Iterable[Any]) -> Question | None:
    questions = list(section)
    if len(questions) > 1:
        # RFC 9619 section 4: QDCOUNT must not be greater than 1.
        raise MalformedMessage(f"{len(questions)} questions")
    if not questions:
        return None
    (one,) = questions
    if not isinstance(one, DNSQR):
        raise MalformedMessage("a question that cannot be read")
    return Question(_name(one.qname), _type(one.qtype), _class(one.unicastresponse << 15 | one.qclass))


def _records(section: Iterable[Any]) -> tuple[DnsRecord, ...]:
    return tuple(
        DnsRecord(
            _name(record.rrname),
            _type(record.type),
            # Scapy interprets the upper bit as in multicast DNS; here it is part of the class.
            _class(record.rclass | getattr(record, "cacheflush", 0) << 15),
            _opt_ttl(record) if isinstance(record, DNSRROPT) else record.ttl,
            _rdata(record),
        )
        for record in section
    )


def _opt_ttl(record: Any) -> int:
    return int(record.extrcode << 24 | record.version << 16 | record.z)


def _rdata(record: Any) -> str:
    """Format the RDATA of a record as in a master file (RFC 1035 sections 3.3 and 5.1); for DNSSEC, scapy's fields."""
    if isinstance(record, DNSRRMX):
        return f"{record.preference} {_name(record.exchange)}"
    if isinstance(record, DNSRRSOA):
        names = f"{_name(record.mname)} {_name(record.rname)}"
        return f"{names} {record.serial} {record.refresh} {record.retry} {record.expire} {record.minimum}"
    if isinstance(record, DNSRRSRV):
        return f"{record.priority} {record.weight} {record.port} {_name(record.target)}"
    if isinstance(record, DNSRROPT):
        return f"{len(record.rdata)} options"
    value: Any = getattr(record, "rdata", None)
    if isinstance(value, str):
        return str(ip_address(value))
    if isinstance(value, list):
        return " ".join(f'"{text.decode("ascii", "backslashreplace")}"' for text in value)
    if isinstance(value, bytes):
        is_name = _type(record.type) in ("NS", "MD", "MF", "CNAME", "PTR", "DNAME")
        return _name(value) if is_name else rf"\# {len(value)} {value.hex()}".rstrip()
    fields = [each.name for each in record.fields_desc]
    return " ".join(str(record.getfieldval(each)) for each in fields[fields.index("rdlen") + 1 :])


def _name(octets: bytes) -> str:
    return canonical(octets.decode("ascii", "backslashreplace"))


def _type(number: int) -> str:
    return str(dnsqtypes.get(number, f"TYPE{number}"))  # RFC 3597 section 5


def _class(number: int) -> str:
    return str(dnsclasses.get(number, f"CLASS{number}"))
