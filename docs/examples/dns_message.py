"""DNS message codec: a query and its response, encoded and decoded without a network (RFC 1035 section 4).

    python docs/examples/dns_message.py

The owner names of the answers are compressed: two octets each, a pointer to the question (section 4.1.4).
"""

from __future__ import annotations

from dataclasses import replace

from lab7.services.dns.codec.codes import RRClass, RRType, rcode_to_text
from lab7.services.dns.codec.message import EDNS, Message, Question, Record
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import rdata_from_text

NAME, TTL_S = Name.from_text("www.example.com."), 300


def show(title: str, octets: bytes) -> Message:
    """Decode a message, print it, and return it."""
    message = Message.from_wire(octets)
    flags = " ".join(name for name in ("qr", "aa", "tc", "rd", "ra") if getattr(message, name))
    print(f"{title}: {len(octets)} octets, id {message.id}, {rcode_to_text(message.rcode)}, flags: {flags}")
    print(f"  header    {octets[:12].hex(' ')}")
    for question in message.questions:
        print(f"  question  {question.to_text()}")
    for record in message.answers:
        print(f"  answer    {record.to_text()}")
    if message.edns is not None:
        print(f"  EDNS      version {message.edns.version}, UDP payload size {message.edns.udp_size}")
    return message


def main() -> None:
    """Encode a query and its response, and print both as decoded."""
    sent = Message(id=4711, rd=True, questions=(Question(NAME, RRType.A),), edns=EDNS())
    query = show("query", sent.to_wire())
    addresses = [rdata_from_text(RRType.A, text) for text in ("192.0.2.1", "192.0.2.2")]
    records = tuple(Record(NAME, RRType.A, RRClass.IN, TTL_S, address) for address in addresses)
    show("response", replace(query.reply(), ra=True, answers=records, edns=EDNS()).to_wire())


if __name__ == "__main__":
    main()
