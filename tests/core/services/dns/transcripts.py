"""Queries and responses as transcripts, one line per record."""

from lab7.services.dns.codec.codes import RRClass, rcode_to_text, type_from_text
from lab7.services.dns.codec.master_file import parse_master_file
from lab7.services.dns.codec.message import Question, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.zones.zone import Completeness, Zone, Zones, answer_question


def zone(text: str, origin: str = "example.") -> Zone:
    """Build a zone with an SOA, a name server, and the records of `text`."""
    name = Name.from_text(origin)
    head = "$TTL 60\n@ SOA ns hostmaster 1 2 3 4 30\n@ NS ns\nns A 192.0.2.1\n"
    return Zone.from_entries(parse_master_file(head + text, name))


def lines(rrsets: list[RRset]) -> list[str]:
    return [record.to_text().replace(" IN ", " ") for rrset in rrsets for record in rrset.records()]


def ask(
    zones: Zone | Zones,
    question: str,
    rclass: int = RRClass.IN,
    completeness: Completeness = Completeness.ADDRESSES,
) -> list[str]:
    """Return the rcode with AA, and the sections that are not empty: `C: www.example. A`, then `S:` these lines."""
    qname, qtype = question.split()
    held = zones if isinstance(zones, Zones) else Zones([zones])
    answer = answer_question(held, Question(Name.from_text(qname), type_from_text(qtype), rclass), completeness)
    lines_of_answer = [rcode_to_text(answer.rcode) + (" aa" if answer.aa else "")]
    for title, section in (("", answer.answers), ("authority ", answer.authority), ("additional ", answer.additional)):
        lines_of_answer += [title + line for line in lines(section)]
    return lines_of_answer
