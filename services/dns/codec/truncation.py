"""Messages that fit: whole rrsets up to a limit, and TC where something that was asked for is missing.

RFC 1035 section 4.1.1 (TC), RFC 2181 section 9 (an rrset goes whole or not at all; what is additional may be missing
without TC), RFC 9471 section 2 (a referral's glue below the cut may not), RFC 6891 section 7 (OPT always fits).
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from services.dns.codec.codes import RRType
from services.dns.codec.edns import UDP_SIZE_MIN
from services.dns.codec.message import (
    HEADER_OCTETS,
    MESSAGE_OCTETS_MAX,
    Message,
    write_header,
    write_question,
    write_record,
)
from services.dns.codec.name import Name
from services.dns.codec.records import Record
from services.dns.codec.wire import Writer


def encode(message: Message, limit_octets: int = MESSAGE_OCTETS_MAX) -> bytes:
    """Return the octets of a message, at most `limit_octets` of them, with TC set where that cost an rrset."""
    writer = Writer()
    write_header(writer, message)
    for question in message.questions:
        write_question(writer, question)
    room = limit_octets - _opt_octets(message)
    answers, whole = _fill(writer, message.answers, room)
    authority, whole = _fill(writer, message.authority, room) if whole else (0, False)
    additional = 0
    if whole:
        additional, complete = _fill(writer, message.additional, room)
        whole = complete or not _needs_more(message, additional)
    if message.edns is not None:
        message.edns.write(writer, message.rcode)
    _set_header(writer, message, not whole, answers, authority, additional)
    return bytes(writer.octets)


def udp_limit(query: Message, size_max: int) -> int:
    """Return how long the answer to a query may be in a datagram: what it says it takes, from 512 to `size_max`."""
    # RFC 6891 section 6.2.3 and, without EDNS, RFC 1035 section 2.3.4
    return UDP_SIZE_MIN if query.edns is None else min(max(query.edns.udp_size, UDP_SIZE_MIN), size_max)


def _opt_octets(message: Message) -> int:
    if message.edns is None:
        return 0
    writer = Writer()
    message.edns.write(writer, 0)
    return len(writer)


def _fill(writer: Writer, section: Sequence[Record], room: int) -> tuple[int, bool]:
    """Write the section's rrsets while they fit; returns the number of records written, and whether that is all."""
    count = 0
    for rrset in _rrsets(section):
        before = len(writer)
        for record in rrset:
            write_record(writer, record)
        if len(writer) > room:
            writer.cut(before)
            return count, False
        count += len(rrset)
    return count, True


def _rrsets(section: Sequence[Record]) -> Iterator[list[Record]]:
    for _, records in groupby(section, key=lambda record: (record.name, record.rtype, record.rclass)):
        yield list(records)


def _needs_more(message: Message, written: int) -> bool:
    """RFC 9471 section 2: tell whether glue is missing without which the referral cannot be followed."""
    if message.aa or message.answers:
        return False
    cuts: set[Name] = {record.name for record in message.authority if record.rtype == RRType.NS}
    return any(record.name.is_below(cut) for record in message.additional[written:] for cut in cuts)


def _set_header(writer: Writer, message: Message, tc: bool, *counts: int) -> None:
    header = Writer()
    write_header(header, replace(message, tc=message.tc or tc))
    writer.octets[:HEADER_OCTETS] = header.octets
    for place, count in zip((6, 8, 10), counts, strict=True):
        writer.set_u16(place, count + (place == 10 and message.edns is not None))
