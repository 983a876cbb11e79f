"""Sans-IO DNS lookups for mail authentication: generators that yield questions (Lookup) and receive responses (Answer).

    steps = txt_records(domain_name("_dmarc.example.org"))
    next(steps)                        Lookup("_dmarc.example.org.", TXT)
    steps.send(Answer(response))       StopIteration with [b"v=DMARC1; p=reject"]

NODATA (no records of the type) and NXDOMAIN (no such name) both give an empty list of records, which RFC 7208 section
4.6.4 calls a void lookup. TemporaryLookupError is raised after a timeout and for all other response codes.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lab7.services.dns.codec.codes import Rcode, RRType
from lab7.services.dns.codec.errors import NameTooLongError
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, TXT, A
from lab7.services.mail.delivery.routes import Answer, Lookup, final_records

T = TypeVar("T")
Lookups = Generator[Lookup, Answer, T]


class TemporaryLookupError(Exception):
    """Error for a DNS lookup without a usable response; a later lookup may succeed."""


@dataclass(frozen=True, slots=True)
class Found:
    """The DNS records found for a name and type; `exists` is False if the response was NXDOMAIN."""

    records: Sequence[Rdata]
    exists: bool = True


def domain_name(domain: str) -> Name | None:
    """Parse a domain name, with or without final dot; return None if a label is empty or a length limit is exceeded."""
    labels = domain.removesuffix(".").split(".")
    try:
        return Name(tuple(label.encode("latin-1", "replace") for label in labels))
    except NameTooLongError:
        return None


def find(name: Name, rtype: int) -> Lookups[Found]:
    """Look up the DNS records of a name and type, following CNAME records; raises TemporaryLookupError."""
    answer = yield Lookup(name, rtype)
    message = answer.message
    if message is None or message.rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN):
        raise TemporaryLookupError(f"no answer for {name} {RRType(rtype).name}")
    records = [record.rdata for record in final_records(message, name, rtype)]
    return Found(records, message.rcode == Rcode.NOERROR or bool(records))


def txt_records(name: Name) -> Lookups[list[bytes]]:
    """Look up the TXT records of a name, with the strings of each record joined; raises TemporaryLookupError."""
    found = yield from find(name, RRType.TXT)
    return [b"".join(record.strings) for record in found.records if isinstance(record, TXT)]


def addresses(name: Name, rtype: int) -> Lookups[list[str]]:
    """Look up the addresses of a name, type A or AAAA; raises TemporaryLookupError."""
    found = yield from find(name, rtype)
    return [str(record.address) for record in found.records if isinstance(record, A | AAAA)]
