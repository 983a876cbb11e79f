"""DNS messages of captured packets, parsed by libraries that share no code with lab7's DNS services.

    message = read_message(octets, carrier)            # Carrier: frame, time and addresses of the packet
    message.question, message.answers, message.rcode

Messages with common record types are parsed by dnspython, all others by scapy: RFC 1035 sections 3.3 (RDATA) and 4
(messages), RFC 6891 section 6.1 (OPT), RFC 3597 section 5 (RDATA of unknown types). Names are returned in lower case
with a final dot, since they are compared case-insensitively (RFC 1035 section 2.3.3) and a resolver may randomise their
case. Not supported: dots inside labels; loops of compression pointers, which scapy cuts off without an error.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from typing import Any, Literal

from lab7.experiments.dns.wire.common_records import CommonMessage, parse_common
from lab7.experiments.harness.judge import layers

Transport = Literal["udp", "tcp"]
HEADER_BYTES = 12  # RFC 1035 section 4.1.1
RECORD_BYTES = 10  # RFC 1035 section 4.1.3: type, class, TTL, RDLENGTH
# Names of response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 16: "BADVERS"}
UDP_SIZE_BYTES = 512  # RFC 1035 section 4.2.1: without OPT, no more by UDP
OPCODE_UPDATE = 5  # RFC 2136 section 2.2
CLASS_NONE, CLASS_ANY = 254, 255  # RFC 2136 sections 2.4 and 2.5
# An octet appended to each message: scapy accepts truncated records, and consumes SENTINEL in such a record.
SENTINEL = b"\0"


class MalformedMessage(ValueError):  # noqa: N818 - a finding about the traffic, not an error of the program
    """Exception raised for octets that are not a complete DNS message."""


@dataclass(frozen=True)
class Question:
    """Question of a DNS message: QNAME in lower case with a final dot, QTYPE and QCLASS as mnemonics."""

    qname: str
    qtype: str
    qclass: str = "IN"

    def __str__(self) -> str:
        return f"{self.qname} {self.qtype}"


@dataclass(frozen=True)
class DnsRecord:
    """Resource record: owner name, type, class, TTL in s, and value in master-file format.

    An OPT record has the sender's UDP payload size as class (such as CLASS1232) and its flags as ttl (RFC 6891 section
    6.1.3).
    """

    name: str
    type: str
    rclass: str
    ttl: int
    rdata: str

    @property
    def mx(self) -> tuple[int, str]:
        """Return (preference, exchange) of an MX record (RFC 1035 section 3.3.9)."""
        preference, exchange = self.rdata.split(" ")
        return int(preference), exchange


@dataclass(frozen=True)
class Carrier:
    """Transport of a captured DNS message: frame number, time in ns, source, destination, and UDP or TCP."""

    frame: int
    time_ns: int
    source: str
    source_port: int
    target: str
    target_port: int
    transport: Transport


@dataclass(frozen=True)
class DnsMessage(Carrier):
    """Captured DNS message; `frame`: number of the frame that completed it; `question`: None for an empty section.

    `size_bytes` is the size without UDP or TCP headers. `edns_size_bytes` is the UDP payload size in the OPT record, or
    None. `rcode` includes the upper bits from the OPT record.
    """

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
    ad: bool = False

    @property
    def records(self) -> tuple[DnsRecord, ...]:
        """Return all records of the answer, authority and additional sections, in this order."""
        return self.answer + self.authority + self.additional

    @property
    def udp_limit_bytes(self) -> int:
        """Return the UDP payload size in octets that the sender accepts (RFC 6891 section 6.2.3: at least 512)."""
        return max(self.edns_size_bytes or 0, UDP_SIZE_BYTES)


def canonical(name: str) -> str:
    """Return a name in canonical form: lower case, with its final dot."""
    return name.lower().rstrip(".") + "."


def is_within(name: str, domain: str) -> bool:
    """Return True if `name` is `domain` or a subdomain of it (RFC 9499); both names are in canonical form."""
    return name == domain or domain == "." or name.endswith("." + domain)


def read_message(octets: bytes, carrier: Carrier) -> DnsMessage:
    """Parse one DNS message. Raises MalformedMessage with the reason."""
    common = parse_common(octets)
    return _by_scapy(octets, carrier) if common is None else _of_common(octets, common, carrier)


def _of_common(octets: bytes, common: CommonMessage, carrier: Carrier) -> DnsMessage:
    high, low = octets[2:4]
    question = None
    if common.question is not None:
        qname, qtype, qclass = common.question
        question = Question(qname, _type(qtype), _class(qclass))
    answer, authority, additional = (
        tuple(DnsRecord(one.name, _type(one.type), _class(one.rclass), one.ttl, one.rdata) for one in section)
        for section in (common.answer, common.authority, common.additional)
    )
    # RFC 1035 section 4.1.1, RFC 4035 section 3.2.3 (AD): the flags of the header.
    return DnsMessage(
        **vars(carrier),
        size_bytes=len(octets),
        id=int.from_bytes(octets[:2], "big"),
        is_response=bool(high & 0x80),
        opcode=high >> 3 & 0x0F,
        rcode=common.rcode,
        aa=bool(high & 0x04),
        tc=bool(high & 0x02),
        rd=bool(high & 0x01),
        ra=bool(low & 0x80),
        question=question,
        answer=answer,
        authority=authority,
        additional=additional,
        edns_size_bytes=common.edns_size_bytes,
        ad=bool(low & 0x20),
    )


def _by_scapy(octets: bytes, carrier: Carrier) -> DnsMessage:
    packet = _dissect(octets)
    opt = next((record for record in packet.ar if isinstance(record, layers.DNSRROPT)), None)
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
        ad=bool(packet.ad),
    )


@cache
def _update_layer() -> Any:
    """Return a scapy class for dynamic updates (RFC 2136), whose records may lack RDATA (section 2.4)."""

    class EmptyRecord(layers.Packet):  # type: ignore[misc]
        name = "DNS record without RDATA"
        fields_desc = (
            layers.DNSStrField("rrname", ""),
            layers.ShortEnumField("type", 1, layers.dnsqtypes),
            layers.BitField("cacheflush", 0, 1),
            layers.BitEnumField("rclass", CLASS_ANY, 15, layers.dnsclasses),
            layers.IntField("ttl", 0),
            layers.ShortField("rdlen", 0),
        )

        def default_payload_class(self, _payload: bytes) -> Any:
            return layers.Padding

    def record(octets: bytes, **options: Any) -> Any:
        _, rest = layers.dns_get_str(octets, _ignore_compression=True)
        rclass, length = int.from_bytes(rest[2:4], "big"), int.from_bytes(rest[8:10], "big")
        if rclass not in (CLASS_NONE, CLASS_ANY) or length or len(rest) < RECORD_BYTES:
            return layers.DNS.fields_desc[-1].cls(octets, **options)
        end = len(octets) - len(rest) + RECORD_BYTES
        return EmptyRecord(octets[:end], **options) / layers.Padding(octets[end:])

    class Update(layers.DNS):  # type: ignore[misc]
        # A DNS update has four sections: zone, prerequisites, updates and additional data; the last three hold records.
        fields_desc = (
            *layers.DNS.fields_desc[:-3],
            *(
                type(section)(section.name, [], record, count_from=section.count_from)
                for section in layers.DNS.fields_desc[-3:]
            ),
        )

    return Update


def _dissect(octets: bytes) -> Any:
    """Parse a DNS message with scapy and return the packet. Raises MalformedMessage for an incomplete message.

    scapy skips malformed parts without an error. A message is therefore accepted only if its four sections have the
    number of records in its header, every record fills its length, and no octets follow the message.
    """
    if len(octets) < HEADER_BYTES:
        raise MalformedMessage(f"a message of {len(octets)} octets has an incomplete header")
    message = _update_layer() if octets[2] >> 3 & 0x0F == OPCODE_UPDATE else layers.DNS
    try:
        packet = message(octets + SENTINEL)
    except Exception as error:
        # Catch all exceptions, since scapy's fields raise arbitrary ones on malformed octets.
        raise MalformedMessage(f"not a DNS message ({type(error).__name__})") from error
    for section in ("qd", "an", "ns", "ar"):
        promised, found = getattr(packet, section + "count"), getattr(packet, section)
        read = [record for record in found if not isinstance(record, layers.Raw) and not record.payload]
        if len(found) != promised or len(read) != promised:
            raise MalformedMessage(f"only {len(read)} of {promised} records of section {section} can be parsed")
    rest = bytes(packet.payload)
    if rest != SENTINEL:
        what = f"{len(rest) - 1} octets follow the last record" if rest else "its last record is truncated"
        raise MalformedMessage(f"the length of the message is wrong: {what}")
    return packet


def _question(section: Iterable[Any]) -> Question | None:
    questions = list(section)
    if len(questions) > 1:
        # RFC 9619 section 4: QDCOUNT must not be greater than 1.
        raise MalformedMessage(f"{len(questions)} questions")
    if not questions:
        return None
    (one,) = questions
    if not isinstance(one, layers.DNSQR):
        raise MalformedMessage("the question cannot be parsed")
    return Question(_name(one.qname), _type(one.qtype), _class(one.unicastresponse << 15 | one.qclass))


def _records(section: Iterable[Any]) -> tuple[DnsRecord, ...]:
    return tuple(
        DnsRecord(
            _name(record.rrname),
            _type(record.type),
            # Restore the upper bit of the class, which scapy takes for multicast DNS's cache-flush bit.
            _class(record.rclass | getattr(record, "cacheflush", 0) << 15),
            _opt_ttl(record) if isinstance(record, layers.DNSRROPT) else record.ttl,
            _rdata(record),
        )
        for record in section
    )


def _opt_ttl(record: Any) -> int:
    return int(record.extrcode << 24 | record.version << 16 | record.z)


def _rdata(record: Any) -> str:
    """Format the RDATA of a record as in a master file (RFC 1035 sections 3.3 and 5.1; DNSSEC: RFC 4034)."""
    if isinstance(record, layers.DNSRRMX):
        return f"{record.preference} {_name(record.exchange)}"
    if isinstance(record, layers.DNSRRSOA):
        names = f"{_name(record.mname)} {_name(record.rname)}"
        return f"{names} {record.serial} {record.refresh} {record.retry} {record.expire} {record.minimum}"
    if isinstance(record, layers.DNSRRSRV):
        return f"{record.priority} {record.weight} {record.port} {_name(record.target)}"
    if isinstance(record, layers.DNSRROPT):
        return f"{len(record.rdata)} options"
    if isinstance(record, layers.DNSRRDNSKEY | layers.DNSRRDS | layers.DNSRRRSIG):
        return _security_rdata(record)
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


def _security_rdata(record: Any) -> str:
    """Format DNSKEY, DS and RRSIG RDATA (RFC 4034 sections 2.2, 3.2 and 5.3), times in seconds since 1970."""
    if isinstance(record, layers.DNSRRDNSKEY):
        key = b64encode(record.publickey).decode("ascii")
        return f"{int(record.flags)} {record.protocol} {record.algorithm} {key}"
    if isinstance(record, layers.DNSRRDS):
        return f"{record.keytag} {record.algorithm} {record.digesttype} {record.digest.hex().upper()}"
    times = f"{record.originalttl} {record.expiration} {record.inception}"
    signer, signature = _name(record.signersname), b64encode(record.signature).decode("ascii")
    covered = _type(record.typecovered)
    return f"{covered} {record.algorithm} {record.labels} {times} {record.keytag} {signer} {signature}"


def _name(octets: bytes) -> str:
    return canonical(octets.decode("ascii", "backslashreplace"))


def _type(number: int) -> str:
    return str(layers.dnsqtypes.get(number, f"TYPE{number}"))  # RFC 3597 section 5


def _class(number: int) -> str:
    return "NONE" if number == CLASS_NONE else str(layers.dnsclasses.get(number, f"CLASS{number}"))
