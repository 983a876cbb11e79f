"""DNS messages and their parts: question, record, RRset, and the OPT pseudo-record of EDNS; encoder and decoder.

    >>> query = Message(id=1, rd=True, questions=(Question(Name.from_text("example.com."), RRType.A),))
    >>> Message.from_wire(query.to_wire()) == query
    True

Message.from_wire decodes a message, and Message.to_wire encodes a whole message. encode() encodes a message that must
fit a datagram: RRsets that do not fit are left out as a whole, from the end, and TC is set unless all missing RRsets
are optional, such as addresses in the additional section that are not the glue of a referral.

RFC 1035 section 4.1 (header and sections) and 4.1.1 (TC), RFC 2535 section 6.1 as retained by RFC 4035 section 3 (AD
and CD), RFC 2181 sections 5 (an RRset has one TTL), 8 (TTLs have 31 bits) and 9 (TC), RFC 6891 sections 6.1 (OPT: at
most one, in the additional section, owned by the root) and 7 (a response to a query with OPT has OPT), RFC 9471 section
2 (a referral without its glue is truncated). Left out: the reserved header bit, which is sent as 0 and ignored, and the
EDNS flags other than DO.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

from lab7.services.dns.codec.codes import (
    ADDRESS_TYPES,
    Opcode,
    Rcode,
    RRClass,
    RRType,
    class_to_text,
    type_to_text,
)
from lab7.services.dns.codec.errors import NameTooLongError, WireError
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.name import ROOT, Name, Reader, Writer
from lab7.services.dns.codec.rdata import CNAME, SingleName, read_rdata
from lab7.services.dns.codec.rdata_security import RRSIG
from lab7.services.dns.codec.ttl import TTL_MAX

HEADER_OCTETS = 12
MESSAGE_OCTETS_MAX = 65_535
# Minimum UDP payload size in octets; smaller values in OPT count as 512 (RFC 6891 section 6.2.3).
UDP_SIZE_MIN = 512
# Default UDP payload size in octets, from DNS flag day 2020: it avoids IP fragmentation on practically every path.
UDP_SIZE_DEFAULT = 1232

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
_DO = 0x8000
_HEADER = struct.Struct("!HHHHHH")
# Octets of memory of an rdata object, beside those of its wire format.
_RDATA_OCTETS = 200


@dataclass(frozen=True, slots=True)
class Question:
    """An entry of the question section: qname, qtype, qclass."""

    name: Name
    rtype: int
    rclass: int = RRClass.IN

    def to_text(self) -> str:
        """Return name, class and type in one line."""
        return f"{self.name} {class_to_text(self.rclass)} {type_to_text(self.rtype)}"


@dataclass(frozen=True, slots=True)
class Record:
    """A resource record: owner name, type, class, TTL in seconds, rdata."""

    name: Name
    rtype: int
    rclass: int
    ttl: int
    rdata: Rdata

    def to_text(self) -> str:
        """Return the record as one line of a master file, in which all names are absolute."""
        kind = f"{class_to_text(self.rclass)} {type_to_text(self.rtype)}"
        return f"{self.name} {self.ttl} {kind} {self.rdata.to_text()}".rstrip()


@dataclass(frozen=True, slots=True)
class RRset:
    """The records of one name, class and type, with one TTL (RFC 2181 section 5); `rdatas` are distinct and ordered."""

    name: Name
    rtype: int
    rclass: int
    ttl: int
    rdatas: tuple[Rdata, ...]

    def records(self) -> Iterator[Record]:
        """Yield the records of the RRset."""
        for rdata in self.rdatas:
            yield Record(self.name, self.rtype, self.rclass, self.ttl, rdata)

    def renamed(self, name: Name) -> "RRset":
        """Return the RRset with another owner, as in the expansion of a wildcard (RFC 4592 section 2.2.1)."""
        return RRset(name, self.rtype, self.rclass, self.ttl, self.rdatas)

    def with_ttl(self, ttl: int) -> "RRset":
        """Return the RRset with another TTL, in seconds."""
        return RRset(self.name, self.rtype, self.rclass, ttl, self.rdatas)

    def rotated(self, rotation: int) -> "RRset":
        """Return an A or AAAA RRset rotated by `rotation` records, to share load (RFC 1794); other types unchanged."""
        if self.rtype not in ADDRESS_TYPES or len(self.rdatas) < 2:
            return self
        begin = rotation % len(self.rdatas)
        return replace(self, rdatas=self.rdatas[begin:] + self.rdatas[:begin])

    def stored_octets(self) -> int:
        """Estimate the octets of memory that the RRset takes in a cache."""
        return sum(map(rdata_octets, self.rdatas))

    def canonical(self) -> tuple[Name, int, int, tuple[bytes, ...]]:
        """Return a comparison key that ignores order, case and TTL: name, type, class, sorted canonical rdata."""
        return (self.name, self.rtype, self.rclass, tuple(sorted(rdata.canonical() for rdata in self.rdatas)))


def rdata_octets(rdata: Rdata) -> int:
    """Estimate the octets of memory that an rdata takes: the object, and its wire format."""
    return _RDATA_OCTETS + len(rdata.to_wire())


def rrsets_of(records: Iterable[Record]) -> list[RRset]:
    """Group records into RRsets, in the order of first records; an RRset has the lowest TTL of its records.

    RFC 2181 section 5.2 permits a receiver to treat differing TTLs as the lowest; section 5: duplicates are dropped.
    """
    grouped: dict[tuple[Name, int, int], tuple[int, dict[Rdata, None]]] = {}
    for record in records:
        key = (record.name, record.rtype, record.rclass)
        ttl, rdatas = grouped.get(key, (record.ttl, {}))
        rdatas[record.rdata] = None
        grouped[key] = (min(ttl, record.ttl), rdatas)
    return [RRset(*key, ttl, tuple(rdatas)) for key, (ttl, rdatas) in grouped.items()]


def records_of(rrsets: Iterable[RRset]) -> tuple[Record, ...]:
    """Return the records of several RRsets, in order."""
    return tuple([record for rrset in rrsets for record in rrset.records()])


def synthesize_cname(dname: RRset, qname: Name) -> tuple[RRset, Name] | None:
    """Return (CNAME RRset, target) synthesized from a DNAME for `qname`; None if the target is too long.

    RFC 6672 section 3.1: `qname` is below the owner of the DNAME, the CNAME has the TTL of the DNAME, and a target has
    at most 255 octets.
    """
    rdata = dname.rdatas[0]
    if not isinstance(rdata, SingleName):
        return None
    try:
        target = qname.substituted(dname.name, rdata.target)
    except NameTooLongError:
        return None
    return RRset(qname, RRType.CNAME, dname.rclass, dname.ttl, (CNAME(target),)), target


@dataclass(frozen=True, slots=True)
class Option:
    """An EDNS option: its code, and its data in wire format."""

    code: int
    data: bytes


@dataclass(frozen=True, slots=True)
class EDNS:
    """Content of an OPT record (RFC 6891 section 6.1.3), except the extended rcode bits, which are in Message.rcode."""

    udp_size: int = UDP_SIZE_DEFAULT
    version: int = 0
    do: bool = False
    options: tuple[Option, ...] = ()

    def write(self, writer: Writer, rcode: int) -> None:
        """Append the OPT pseudo-record of EDNS to the message in `writer`."""
        writer.name(ROOT)
        writer.u16(RRType.OPT)
        writer.u16(self.udp_size)
        # RFC 6891 section 6.1.3: extended rcode, version and flags are in the place of the TTL.
        writer.u8(rcode >> 4)
        writer.u8(self.version)
        writer.u16(_DO if self.do else 0)
        writer.u16(sum(4 + len(option.data) for option in self.options))
        for option in self.options:
            writer.u16(option.code)
            writer.u16(len(option.data))
            writer.write(option.data)

    @classmethod
    def read(cls, reader: Reader, udp_size: int, ttl: int, size: int) -> "EDNS":
        """Return the EDNS content of an OPT record, given its class (`udp_size`) and TTL; raises WireError.

        `reader` is at the options, which have `size` octets.
        """
        options = tuple(_options(Reader(reader.octets(size))))
        return cls(udp_size, ttl >> 16 & 0xFF, bool(ttl & _DO), options)


def _options(reader: Reader) -> Iterator[Option]:
    while reader.remaining:
        code = reader.u16()
        yield Option(code, reader.octets(reader.u16()))


class Signer(Protocol):
    """Interface of the signer of the responses to a query with a transaction signature (TSIG)."""

    @property
    def key_name(self) -> Name | None:
        """Name of the key that signed the query; None if the query is not validly signed."""

    @property
    def octets(self) -> int:
        """Number of octets that a signature adds to a response."""

    def sign(self, response: bytes) -> bytes:
        """Return a response with its signature."""


@dataclass(frozen=True, slots=True)
class Message:
    """A DNS message; `rcode` includes the extended bits of EDNS, and OPT is in `edns`, not in `additional`.

    `signer` signs the responses to a query that has a transaction signature; the codec of a server sets it.
    """

    id: int = 0
    qr: bool = False
    opcode: int = Opcode.QUERY
    aa: bool = False
    tc: bool = False
    rd: bool = False
    ra: bool = False
    ad: bool = False
    cd: bool = False
    rcode: int = Rcode.NOERROR
    questions: tuple[Question, ...] = ()
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    edns: EDNS | None = None
    signer: Signer | None = field(default=None, compare=False, repr=False)

    @property
    def question(self) -> Question | None:
        """The first entry of the question section; None if the section is empty."""
        return self.questions[0] if self.questions else None

    @classmethod
    def from_wire(cls, data: bytes, ignore_trailing: bool = False) -> "Message":
        """Decode a message; raises WireError, with the message id if `data` has two octets or more.

        Octets after the message are an error, unless `ignore_trailing`.
        """
        reader = Reader(data)
        try:
            message = _read_message(reader)
            if reader.remaining and not ignore_trailing:
                raise WireError(f"{reader.remaining} trailing octets after the message")
            return message
        except (WireError, NameTooLongError) as error:
            message_id = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
            raise WireError(str(error), message_id) from error

    def to_wire(self) -> bytes:
        """Encode the whole message; raises ValueError if it is longer than MESSAGE_OCTETS_MAX (65,535 octets)."""
        writer = Writer()
        write_header(writer, self)
        for question in self.questions:
            write_question(writer, question)
        for section in (self.answers, self.authority, self.additional):
            for record in section:
                write_record(writer, record)
        if self.edns is not None:
            self.edns.write(writer, self.rcode)
        if len(writer) > MESSAGE_OCTETS_MAX:
            raise ValueError(f"a message of {len(writer)} octets is longer than {MESSAGE_OCTETS_MAX}")
        return bytes(writer.octets)

    def reply(self, rcode: int = Rcode.NOERROR) -> "Message":
        """Return an empty response to this query, with its id, opcode, questions, RD and CD (RFC 4035 section 3.1.6).

        It has no EDNS, which is negotiated hop by hop: the server adds its own.
        """
        return Message(
            id=self.id, qr=True, opcode=self.opcode, rd=self.rd, cd=self.cd, rcode=rcode, questions=self.questions
        )

    def options(self, code: int) -> list[Option]:
        """Return the EDNS options that have a given option code."""
        return [] if self.edns is None else [option for option in self.edns.options if option.code == code]

    def without_option(self, code: int) -> "Message":
        """Return a copy of the message without the EDNS options that have a given option code."""
        if self.edns is None or not self.options(code):
            return self
        options = tuple(option for option in self.edns.options if option.code != code)
        return replace(self, edns=replace(self.edns, options=options))


def flags_of(message: Message) -> int:
    """Return the flags, opcode and rcode of the header as 16 bits."""
    flags = (message.opcode & 0xF) << 11 | message.rcode & 0xF
    for bit, is_set in (
        (QR, message.qr),
        (AA, message.aa),
        (TC, message.tc),
        (RD, message.rd),
        (RA, message.ra),
        (AD, message.ad),
        (CD, message.cd),
    ):
        if is_set:
            flags |= bit
    return flags


def write_header(writer: Writer, message: Message) -> None:
    """Append the header, with the record counts of the sections, to the message in `writer`.

    Raises ValueError for an rcode above 15 in a message without EDNS.
    """
    if message.rcode > 0xF and message.edns is None:
        raise ValueError(f"the response code {message.rcode} needs EDNS")
    counts = (
        len(message.questions),
        len(message.answers),
        len(message.authority),
        len(message.additional) + (message.edns is not None),
    )
    writer.write(_HEADER.pack(message.id, flags_of(message), *counts))


def write_question(writer: Writer, question: Question) -> None:
    """Append an entry of the question section (qname, qtype, qclass) to the message in `writer`."""
    writer.name(question.name)
    writer.u16(question.rtype)
    writer.u16(question.rclass)


def write_record(writer: Writer, record: Record) -> None:
    """Append a record to the message in `writer`; its RDLENGTH is set after the rdata is encoded."""
    writer.name(record.name)
    writer.u16(record.rtype)
    writer.u16(record.rclass)
    writer.u32(record.ttl)
    rdlength_offset = len(writer)
    writer.u16(0)
    record.rdata.write(writer)
    writer.set_u16(rdlength_offset, len(writer) - rdlength_offset - 2)


@dataclass(frozen=True, slots=True)
class _Opt:
    edns: EDNS
    rcode_high: int


def _read_message(reader: Reader) -> Message:
    message_id, flags, *counts = _HEADER.unpack(reader.octets(HEADER_OCTETS))
    questions = tuple([_read_question(reader) for _ in range(counts[0])])
    answers = _read_records(reader, counts[1])
    authority = _read_records(reader, counts[2])
    additional, opt = _read_additional(reader, counts[3])
    return _assembled(message_id, flags, questions, (answers, authority, additional), opt)


def read_envelope(data: bytes) -> Message:
    """Decode the intact parts of a malformed message: header, questions, and the first OPT record without its options.

    RFC 6891 section 7: the response to a malformed OPT has OPT as well, so the OPT record is searched for. Raises
    WireError without a complete header.
    """
    reader = Reader(data)
    message_id, flags, *counts = _HEADER.unpack(reader.octets(HEADER_OCTETS))
    questions: tuple[Question, ...] = ()
    opt: _Opt | None = None
    try:
        questions = tuple([_read_question(reader) for _ in range(counts[0])])
        for _ in range(sum(counts[1:])):
            reader.name()
            rtype, rclass, ttl = reader.u16(), reader.u16(), reader.u32()
            if rtype == RRType.OPT and opt is None:
                opt = _Opt(EDNS.read(Reader(b""), rclass, ttl, 0), ttl >> 24)
            reader.octets(reader.u16())
    except (WireError, NameTooLongError):
        # What was read before the malformed part is returned.
        pass
    return _assembled(message_id, flags, questions, ((), (), ()), opt)


def _assembled(
    message_id: int,
    flags: int,
    questions: tuple[Question, ...],
    sections: tuple[tuple[Record, ...], tuple[Record, ...], tuple[Record, ...]],
    opt: _Opt | None,
) -> Message:
    """Return a Message made of the header fields and sections.

    `flags` are the header's 16 bits of flags, opcode and rcode.
    """
    answers, authority, additional = sections
    return Message(
        id=message_id,
        qr=bool(flags & QR),
        opcode=flags >> 11 & 0xF,
        aa=bool(flags & AA),
        tc=bool(flags & TC),
        rd=bool(flags & RD),
        ra=bool(flags & RA),
        ad=bool(flags & AD),
        cd=bool(flags & CD),
        rcode=flags & 0xF | (opt.rcode_high << 4 if opt else 0),
        questions=questions,
        answers=answers,
        authority=authority,
        additional=additional,
        edns=opt.edns if opt else None,
    )


def _read_question(reader: Reader) -> Question:
    return Question(reader.name(), reader.u16(), reader.u16())


def _read_records(reader: Reader, count: int) -> tuple[Record, ...]:
    records = []
    for _ in range(count):
        record = _read_record(reader)
        # RFC 6891 section 6.1.1
        if isinstance(record, _Opt):
            raise WireError("OPT outside of the additional section")
        records.append(record)
    return tuple(records)


def _read_additional(reader: Reader, count: int) -> tuple[tuple[Record, ...], _Opt | None]:
    records, opt = [], None
    for _ in range(count):
        record = _read_record(reader)
        if not isinstance(record, _Opt):
            records.append(record)
        elif opt is not None:
            # RFC 6891 section 6.1.1: a message with a second OPT is a FORMERR.
            raise WireError("more than one OPT in the message")
        else:
            opt = record
    return tuple(records), opt


def _read_record(reader: Reader) -> "Record | _Opt":
    name, rtype, rclass = reader.name(), reader.u16(), reader.u16()
    ttl, size = reader.u32(), reader.u16()
    if rtype != RRType.OPT:
        # RFC 2181 section 8: a TTL with the most significant bit set counts as 0.
        return Record(name, rtype, rclass, ttl if ttl <= TTL_MAX else 0, read_rdata(reader, rtype, rclass, size))
    # RFC 6891 section 6.1.2
    if name != ROOT:
        raise WireError("the owner of OPT is not the root")
    return _Opt(EDNS.read(reader, rclass, ttl, size), ttl >> 24)


def encode(message: Message, limit_octets: int = MESSAGE_OCTETS_MAX) -> bytes:
    """Encode a message in at most `limit_octets`, without the RRsets that do not fit.

    TC is set if an RRset that does not fit is required (RFC 2181 section 9).
    """
    writer = Writer()
    write_header(writer, message)
    for question in message.questions:
        write_question(writer, question)
    # RFC 6891 section 7: OPT must be in the response even if other records are left out, so its octets are reserved.
    limit_octets -= _opt_octets(message)
    answers, complete = _write_section(writer, message.answers, limit_octets)
    authority, complete = _write_section(writer, message.authority, limit_octets) if complete else (0, False)
    additional = 0
    if not complete and _is_answered(message, answers):
        complete = True
    elif complete:
        additional, complete = _write_additional(writer, message, limit_octets)
    if message.edns is not None:
        message.edns.write(writer, message.rcode)
    _set_header(writer, message, not complete, answers, authority, additional)
    return bytes(writer.octets)


def udp_limit(query: Message, size_max: int) -> int:
    """Return the maximum size of a UDP response in octets.

    It is the requestor's payload size, but at least 512 and at most `size_max`.
    """
    # The limit is the size in OPT (RFC 6891 section 6.2.3), without EDNS 512 octets (RFC 1035 section 2.3.4).
    return UDP_SIZE_MIN if query.edns is None else min(max(query.edns.udp_size, UDP_SIZE_MIN), size_max)


def _opt_octets(message: Message) -> int:
    if message.edns is None:
        return 0
    writer = Writer()
    message.edns.write(writer, 0)
    return len(writer)


def _write_section(writer: Writer, section: Sequence[Record], limit_octets: int) -> tuple[int, bool]:
    """Append the RRsets of a section while they fit; return (number of records written, True if all were written)."""
    count = 0
    for rrset in _rrsets(section):
        before = len(writer)
        for record in rrset:
            write_record(writer, record)
        if len(writer) > limit_octets:
            writer.truncate(before)
            return count, False
        count += len(rrset)
    return count, True


def _rrsets(section: Sequence[Record]) -> Iterator[list[Record]]:
    """Yield the RRsets of a section, each with its signatures (RFC 4035 section 3.1.1)."""
    for _, records in groupby(section, key=lambda record: (record.name, _covered_type(record), record.rclass)):
        yield list(records)


def _is_answered(message: Message, written: int) -> bool:
    """Tell whether a response remains complete if records of its authority section are left out.

    This is the case if AA is set, all answers were written (`written` is their number), and the authority section has
    nothing but the zone's NS set. RFC 2181 section 9: TC is not set for records that are not required.
    """
    if not message.aa or not message.answers or written < len(message.answers):
        return False
    last = message.answers[-1].name
    return all(_covered_type(record) == RRType.NS and last.is_below(record.name) for record in message.authority)


def _covered_type(record: Record) -> int:
    """Return the type of a record, or for an RRSIG record the type that it covers."""
    return record.rdata.type_covered if isinstance(record.rdata, RRSIG) else record.rtype


def _write_additional(writer: Writer, message: Message, limit_octets: int) -> tuple[int, bool]:
    """Append the additional section; return (number of records written, False if glue of a referral was left out).

    If the section does not fit as a whole, the glue of a referral is written first, since a referral without its glue
    needs TC (RFC 9471 section 2). The other addresses follow as far as they fit, IPv4 before IPv6, as in BIND and NSD.
    """
    before = len(writer)
    count, complete = _write_section(writer, message.additional, limit_octets)
    if complete:
        return count, True
    writer.truncate(before)
    is_referral = not (message.aa or message.answers)
    cuts: set[Name] = {record.name for record in message.authority if is_referral and record.rtype == RRType.NS}

    def is_optional(rrset: list[Record]) -> bool:
        return not any(rrset[0].name.is_below(cut) for cut in cuts)

    count, complete = 0, True
    for rrset in sorted(_rrsets(message.additional), key=lambda one: (is_optional(one), one[0].rtype != RRType.A)):
        written, fits = _write_section(writer, rrset, limit_octets)
        count, complete = count + written, complete and (fits or is_optional(rrset))
    return count, complete


def _set_header(writer: Writer, message: Message, tc: bool, *counts: int) -> None:
    header = Writer()
    write_header(header, replace(message, tc=message.tc or tc))
    writer.octets[:HEADER_OCTETS] = header.octets
    for offset, count in zip((6, 8, 10), counts, strict=True):
        writer.set_u16(offset, count + (offset == 10 and message.edns is not None))
