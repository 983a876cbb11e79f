"""Messages: header, question, answer, authority and additional sections, and EDNS beside them.

    >>> query = Message(id=1, rd=True, questions=(Question(Name.from_text("example.com."), RRType.A),))
    >>> Message.from_wire(query.to_wire()) == query
    True

RFC 1035 section 4.1, RFC 2535 section 6.1 as RFC 4035 section 3 keeps it (AD and CD), RFC 6891 section 6.1.1 (at most
one OPT, in the additional section, at the root). What does not fit a datagram is the matter of codec.truncation.
Left out: the last reserved header bit, which is sent as 0 and not looked at, as RFC 1035 asks.
"""

import struct
from dataclasses import dataclass, replace

from services.dns.codec.codes import Opcode, Rcode, RRType
from services.dns.codec.edns import EDNS
from services.dns.codec.errors import NameTooLongError, WireError
from services.dns.codec.name import ROOT
from services.dns.codec.rdata import read_rdata
from services.dns.codec.records import Question, Record
from services.dns.codec.ttl import ttl_from_wire
from services.dns.codec.wire import Reader, Writer

HEADER_OCTETS = 12
MESSAGE_OCTETS_MAX = 65_535
_HEADER = struct.Struct("!HHHHHH")

QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `rcode` includes the bits that EDNS adds, and OPT is in `edns`, not in `additional`."""

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

    @property
    def question(self) -> Question | None:
        """The first question."""
        return self.questions[0] if self.questions else None

    @classmethod
    def from_wire(cls, data: bytes) -> "Message":
        """Read a whole message; raises WireError, which carries the message id where two octets came."""
        try:
            return _read_message(Reader(data))
        except (WireError, NameTooLongError) as error:
            message_id = int.from_bytes(data[:2], "big") if len(data) >= 2 else None
            raise WireError(str(error), message_id) from error

    def to_wire(self) -> bytes:
        """Return the whole message's octets; more than MESSAGE_OCTETS_MAX of them are a ValueError."""
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
        """Return an empty response to this query: its id, opcode, questions, RD and CD (RFC 4035 section 3.1.6).

        EDNS is the server's own to add.
        """
        return Message(
            id=self.id, qr=True, opcode=self.opcode, rd=self.rd, cd=self.cd, rcode=rcode, questions=self.questions
        )

    def with_id(self, message_id: int) -> "Message":
        """Return the message with another id."""
        return replace(self, id=message_id)


def flags_of(message: Message) -> int:
    """Return the second two octets of the header."""
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
    """Append the header with the counts that the message has; a code over 15 without EDNS is a ValueError."""
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
    """Append one question."""
    writer.name(question.name)
    writer.u16(question.rtype)
    writer.u16(question.rclass)


def write_record(writer: Writer, record: Record) -> None:
    """Append one record."""
    writer.name(record.name)
    writer.u16(record.rtype)
    writer.u16(record.rclass)
    writer.u32(record.ttl)
    place = len(writer)
    writer.u16(0)
    record.rdata.write(writer)
    writer.set_u16(place, len(writer) - place - 2)


@dataclass(frozen=True, slots=True)
class _Opt:
    edns: EDNS
    rcode_high: int


def _read_message(reader: Reader) -> Message:
    message_id, flags, *counts = _HEADER.unpack(reader.take(HEADER_OCTETS))
    questions = tuple([_read_question(reader) for _ in range(counts[0])])
    answers = _read_records(reader, counts[1])
    authority = _read_records(reader, counts[2])
    additional, opt = _read_additional(reader, counts[3])
    if reader.remaining:
        raise WireError(f"{reader.remaining} octets follow the message")
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
            raise WireError("OPT stands outside the additional section")
        records.append(record)
    return tuple(records)


def _read_additional(reader: Reader, count: int) -> tuple[tuple[Record, ...], _Opt | None]:
    records, opt = [], None
    for _ in range(count):
        record = _read_record(reader)
        if not isinstance(record, _Opt):
            records.append(record)
        elif opt is not None:
            # RFC 6891 section 6.1.1: a second one is a FORMERR.
            raise WireError("OPT stands in the message twice")
        else:
            opt = record
    return tuple(records), opt


def _read_record(reader: Reader) -> "Record | _Opt":
    name, rtype, rclass = reader.name(), reader.u16(), reader.u16()
    ttl, size = reader.u32(), reader.u16()
    if rtype != RRType.OPT:
        return Record(name, rtype, rclass, ttl_from_wire(ttl), read_rdata(reader, rtype, rclass, size))
    # RFC 6891 section 6.1.2
    if name != ROOT:
        raise WireError("OPT's owner is not the root")
    return _Opt(EDNS.read(reader, rclass, ttl, size), ttl >> 24)
