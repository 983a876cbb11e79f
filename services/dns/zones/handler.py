"""The authoritative handler: a query's message in, the message that the zones answer with out.

RFC 1034 section 4.3.2 by way of zones.lookup. RA is never set: nothing is asked elsewhere. Address sets of the
answer can be rotated, which spreads load as RFC 1794 section 3 describes: each answer to a question begins one
address further on.
"""

from collections.abc import Iterable
from dataclasses import replace

from services.dns.codec.codes import META_TYPES, Rcode, RRType
from services.dns.codec.message import Message
from services.dns.codec.records import Question, Record, RRset
from services.dns.server.responder import Client
from services.dns.zones.lookup import ADDRESS_TYPES, Answer, answer_question
from services.dns.zones.zone import Zones

_TRANSFERS = (RRType.AXFR, RRType.IXFR)
# RFC 6895 section 3.1: query types that stand for an operation which is not done here.
_NOT_DONE = META_TYPES - {RRType.ANY, RRType.OPT, *_TRANSFERS}


class Authority:
    """Answers from zones."""

    def __init__(self, zones: Zones) -> None:
        self.zones = zones

    def __call__(self, query: Message, _: Client) -> Message:
        """Return the response to a query, address sets in the order of the zone."""
        return response(query, self.answer(query.questions[0]))

    def answer(self, question: Question) -> Answer:
        """Return what the zones answer to a question."""
        if question.rtype in _TRANSFERS:
            # RFC 5936 section 4.2: no AXFR over UDP; over TCP it is no matter of one message.
            return Answer(Rcode.REFUSED)
        if question.rtype in _NOT_DONE:
            return Answer(Rcode.NOTIMP)
        if question.rtype == RRType.OPT:
            return Answer(Rcode.FORMERR)
        return answer_question(self.zones, question)


def response(query: Message, answer: Answer, turn: int = 0) -> Message:
    """Return the message that carries an answer, its address sets turned by `turn`."""
    return replace(
        query.reply(answer.rcode),
        aa=answer.aa,
        answers=_records(rotated(rrset, turn) for rrset in answer.answers),
        authority=_records(answer.authority),
        additional=_records(answer.additional),
    )


def _records(rrsets: Iterable[RRset]) -> tuple[Record, ...]:
    return tuple([record for rrset in rrsets for record in rrset.records()])


def turns(answer: Answer) -> int:
    """Return the number of turns after which an answer's address sets are in their first order again; 1 for none."""
    sizes = {len(rrset.rdatas) for rrset in answer.answers if rrset.rtype in ADDRESS_TYPES}
    product = 1
    for size in sizes:
        product *= size
    return product


def rotated(rrset: RRset, turn: int) -> RRset:
    """Return an address set that begins `turn` addresses further on; other sets as they are."""
    if rrset.rtype not in ADDRESS_TYPES or len(rrset.rdatas) < 2:
        return rrset
    begin = turn % len(rrset.rdatas)
    return replace(rrset, rdatas=rrset.rdatas[begin:] + rrset.rdatas[:begin])
