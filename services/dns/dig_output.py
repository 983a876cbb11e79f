"""Output formats for a DNS response: the format of dig, the format of dig +short, and JSON.

;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 4711
;; flags: qr rd ra; QUERY: 1, ANSWER: 1, AUTHORITY: 0, ADDITIONAL: 1
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lab7.services.dns.codec.codes import Opcode, class_to_text, rcode_to_text, type_to_text
from lab7.services.dns.codec.message import Message, Question, Record
from lab7.services.dns.security.extended_error import extended_errors

FLAGS = ("qr", "aa", "tc", "rd", "ra", "ad", "cd")


@dataclass(frozen=True, slots=True)
class Received:
    """A received response with the server's address, transport, query time and size."""

    message: Message
    server: str
    port: int
    over: str
    time_s: float
    size_octets: int


def as_text(received: Received) -> str:
    """Format a response as dig does: header, sections, query time, server, size."""
    return "\n".join(_lines(received)) + "\n"


def as_short(received: Received) -> str:
    """Format the rdata of the answer section, one record per line, like dig +short."""
    return "".join(record.rdata.to_text() + "\n" for record in received.message.answers)


def as_json(received: Received) -> dict[str, Any]:
    """Return a response as a JSON-serialisable dictionary."""
    message = received.message
    return {
        "id": message.id,
        "opcode": _opcode(message.opcode),
        "rcode": rcode_to_text(message.rcode),
        "flags": _flags(message),
        "question": [_question(question) for question in message.questions],
        "answer": _records(message.answers),
        "authority": _records(message.authority),
        "additional": _records(message.additional),
        "edns": None if message.edns is None else {"version": message.edns.version, "udp": message.edns.udp_size},
        "extended_errors": [{"code": error.code, "text": error.text} for error in extended_errors(message)],
        "server": received.server,
        "port": received.port,
        "over": received.over,
        "query_time_s": round(received.time_s, 6),
        "size": received.size_octets,
    }


def _lines(received: Received) -> Iterator[str]:
    message = received.message
    status = f"opcode: {_opcode(message.opcode)}, status: {rcode_to_text(message.rcode)}, id: {message.id}"
    yield f";; ->>HEADER<<- {status}"
    counts = {
        "QUERY": len(message.questions),
        "ANSWER": len(message.answers),
        "AUTHORITY": len(message.authority),
        "ADDITIONAL": len(message.additional) + (message.edns is not None),
    }
    sections = ", ".join(f"{name}: {count}" for name, count in counts.items())
    yield f";; flags: {' '.join(_flags(message))}; {sections}"
    if message.edns is not None:
        yield from ("", ";; OPT PSEUDOSECTION:")
        edns = message.edns
        yield f"; EDNS: version: {edns.version}, flags:{' do' if edns.do else ''}; udp: {edns.udp_size}"
        for error in extended_errors(message):
            yield f"; EDE: {error.code} ({error.title}): ({error.text})"
    yield from ("", ";; QUESTION SECTION:")
    for question in message.questions:
        yield f";{question.name}\t\t{class_to_text(question.rclass)}\t{type_to_text(question.rtype)}"
    for title, records in (
        ("ANSWER", message.answers),
        ("AUTHORITY", message.authority),
        ("ADDITIONAL", message.additional),
    ):
        if records:
            yield from ("", f";; {title} SECTION:")
            yield from map(_line, records)
    yield from ("", f";; Query time: {received.time_s * 1000:.1f} msec")
    yield f";; SERVER: {received.server}#{received.port} ({received.over.upper()})"
    yield f";; MSG SIZE  rcvd: {received.size_octets}"


def _line(record: Record) -> str:
    kind = f"{class_to_text(record.rclass)}\t{type_to_text(record.rtype)}"
    return f"{record.name}\t{record.ttl}\t{kind}\t{record.rdata.to_text()}"


def _flags(message: Message) -> list[str]:
    return [flag for flag in FLAGS if getattr(message, flag)]


def _opcode(number: int) -> str:
    try:
        return Opcode(number).name
    except ValueError:
        return f"OPCODE{number}"


def _question(question: Question) -> dict[str, str]:
    return {
        "name": str(question.name),
        "class": class_to_text(question.rclass),
        "type": type_to_text(question.rtype),
    }


def _records(records: Sequence[Record]) -> list[dict[str, Any]]:
    return [
        {
            "name": str(record.name),
            "ttl": record.ttl,
            "class": class_to_text(record.rclass),
            "type": type_to_text(record.rtype),
            "data": record.rdata.to_text(),
        }
        for record in records
    ]
