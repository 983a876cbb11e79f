"""What a response means to the resolver that asked: an answer, an alias, a referral, nothing there, or nothing of use.

    response of com's server to www.example.com A  ->  Reading(REFERRAL, delegation=example.com.)

RFC 1034 sections 4.3.1 and 5.3.3 step 4, RFC 2308 section 2 (negative answers), RFC 6672 section 3.4 (a DNAME in a
response). Nothing outside the zone that the server was asked about is looked at, whichever section it stands in. Lame
is: REFUSED and its like, a referral that does not lead down, the negative answer of a zone above, an answer of nothing
without AA.

Behind an alias, RFC 2181 section 5.4.1: "only the record describing that alias is necessarily authoritative". The
target may lie behind a zone cut that this response does not show, even one label below the zone asked, and nothing in
the response can prove that it does not. So an iterative response is read up to its first alias: what the response says
behind it, records as well as a negative answer, is ignored, and the target is asked for in a question of its own, as
BIND does it. One forged response to a random name then cannot give any other name an address, or deny it.

A forwarder, or a server that recurses for its zone, is asked for just that: the answer together with its alias chain
(RFC 1034 section 4.3.1), and its reply has no AA and no zone whose bailiwick could be checked: `.` is the zone of a
forwarder. It is trusted for the question and for the chain that begins at the question's name, link by link; records
that no link leads to are ignored. Only the first link is remembered. The rest is passed on with this answer and kept
under no name of its own, so that a forged reply lasts as long as one answer and cannot enter any other name.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from services.dns.codec.client_subnet import subnet_in
from services.dns.codec.codes import Rcode, RRClass, RRType, rcode_to_text
from services.dns.codec.edns import ClientSubnet
from services.dns.codec.errors import NameTooLongError
from services.dns.codec.message import Message
from services.dns.codec.name import Name
from services.dns.codec.rdata import CNAME, OneName
from services.dns.codec.records import Question, Record, RRset, rrsets_of
from services.dns.recursion.cache import Trust
from services.dns.recursion.delegation import Delegation, Service, delegation_from

# Links of one chain within one response; BIND follows 16. The resolver bounds the whole chain on its own.
CHAIN_MAX = 16


class Kind(Enum):
    """What a response is."""

    ANSWER = "records of the type"
    ALIAS = "a chain of aliases, to go on with at its last name"
    NO_DATA = "the name exists without the type"
    NO_NAME = "the name does not exist"
    TOO_LONG = "a DNAME makes a name that is too long"
    REFERRAL = "other servers know more"
    LAME = "the server does not serve the zone"
    FAILED = "the server could not answer"


# A set of a chain; without trust it follows from others, or stands behind an alias, and is not kept.
Link = tuple[RRset, Trust | None]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a response says.

    `answers` is the chain in order, `name` the last name in it, which a negative answer is about (RFC 2308 section
    2.1, RFC 6604 section 3). `subnet` is the part of the clients that the answers are for, None for all.
    """

    kind: Kind
    name: Name
    answers: tuple[Link, ...] = ()
    soa: RRset | None = None
    delegation: Delegation | None = None
    detail: str = ""
    subnet: ClientSubnet | None = None


def read_response(message: Message, question: Question, asked: Delegation) -> Reading:
    """Return what a response to `question` says, from a server that `asked` names."""
    rcode = message.rcode
    if rcode in (Rcode.REFUSED, Rcode.NOTAUTH):
        return Reading(Kind.LAME, question.name, detail=rcode_to_text(rcode))
    if rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN):
        return Reading(Kind.FAILED, question.name, detail=rcode_to_text(rcode))
    return replace(_Response(message, question, asked).read(), subnet=subnet_in(message))


def substitute(dname: RRset, name: Name) -> tuple[RRset, Name] | None:
    """Return the CNAME that a DNAME means for a name, and its target; None where that is too long.

    RFC 6672 section 3.1: the CNAME has the DNAME's TTL.
    """
    data = dname.rdatas[0]
    if not isinstance(data, OneName):
        return None
    try:
        target = name.substituted(dname.name, data.target)
    except NameTooLongError:
        return None
    return RRset(name, RRType.CNAME, dname.rclass, dname.ttl, (CNAME(target),)), target


class _Response:
    """A response without what lies outside of the bailiwick."""

    def __init__(self, message: Message, question: Question, asked: Delegation) -> None:
        self._message = message
        self._question = question
        self._asked = asked
        # A server that asks others on behalf of the asker is right without AA.
        self._authoritative = message.aa or asked.service is not Service.ITERATIVE
        self._answers = {(rrset.name, rrset.rtype): rrset for rrset in self._within(message.answers)}
        self._authority = self._within(message.authority)

    def _within(self, records: Iterable[Record]) -> list[RRset]:
        zone = self._asked.zone
        return [one for one in rrsets_of(records) if one.name.is_below(zone) and one.rclass == RRClass.IN]

    def read(self) -> Reading:
        name, chain, too_long = self._chain()
        if too_long:
            return Reading(Kind.TOO_LONG, name, chain)
        if chain and self._asked.service is Service.ITERATIVE:
            return Reading(Kind.ALIAS, name, chain)
        wanted = self._wanted(name)
        if wanted:
            return Reading(Kind.ANSWER, name, (*chain, *((rrset, self._trust(chain)) for rrset in wanted)))
        negative = self._negative(name, chain)
        if negative is not None:
            return negative
        return Reading(Kind.ALIAS, name, chain) if chain else self._without_answer(name)

    def _trust(self, chain: tuple[Link, ...]) -> Trust | None:
        """RFC 2181 section 5.4.1: of an authoritative answer, only what is said of the first name has that rank.

        None behind an alias: that is not kept.
        """
        if chain:
            return None
        return Trust.AUTHORITATIVE_ANSWER if self._message.aa else Trust.ANSWER

    def _wanted(self, name: Name) -> list[RRset]:
        if self._question.rtype == RRType.ANY:
            return [rrset for (owner, _), rrset in self._answers.items() if owner == name]
        rrset = self._answers.get((name, self._question.rtype))
        return [] if rrset is None else [rrset]

    def _chain(self) -> tuple[Name, tuple[Link, ...], bool]:
        """Follow the aliases that stand in the answer; returns the last name, the links, and whether it is too long."""
        name, links, seen = self._question.name, list[Link](), set[Name]()
        aliases_max = 1 if self._asked.service is Service.ITERATIVE else CHAIN_MAX
        while name not in seen and len(seen) < aliases_max and not self._wanted(name):
            seen.add(name)
            dname = self._dname_above(name)
            if dname is not None:
                links.append((dname, self._trust(tuple(links))))
                substituted = substitute(dname, name)
                if substituted is None:
                    return name, tuple(links), True
                # RFC 6672 section 3.4: the CNAME that came along is made anew, not believed.
                links.append((substituted[0], None))
                name = substituted[1]
                continue
            alias = self._answers.get((name, RRType.CNAME))
            data = alias.rdatas[0] if alias is not None else None
            if alias is None or not isinstance(data, CNAME):
                break
            links.append((alias, self._trust(tuple(links))))
            name = data.target
        return name, tuple(links), False

    def _dname_above(self, name: Name) -> RRset | None:
        for ancestor in name.parent.ancestors() if len(name) else ():
            dname = self._answers.get((ancestor, RRType.DNAME))
            if dname is not None:
                return dname
        return None

    def _negative(self, name: Name, chain: tuple[Link, ...]) -> Reading | None:
        """RFC 2308 section 2: a negative answer about the last name (RFC 6604 section 3), proven by an SOA or AA."""
        soa = next((one for one in self._authority if one.rtype == RRType.SOA and name.is_below(one.name)), None)
        if soa is None and (chain or not self._message.aa or self._foreign_soa()):
            return None
        if not self._authoritative:
            return None
        if self._message.rcode == Rcode.NXDOMAIN:
            return Reading(Kind.NO_NAME, name, chain, soa)
        # RFC 2308 section 2.2: without an SOA, an NS set below the zone makes it a referral.
        if soa is None and self._referral(name) is not None:
            return None
        return Reading(Kind.NO_DATA, name, chain, soa)

    def _foreign_soa(self) -> bool:
        """Tell whether the negative answer is one of a zone other than was asked for."""
        zone = self._asked.zone
        return any(one.rtype == RRType.SOA and not one.name.is_below(zone) for one in self._message.authority)

    def _without_answer(self, name: Name) -> Reading:
        referral = self._referral(name)
        forwards = self._asked.service is Service.FORWARDER
        if referral is None or forwards or self._message.rcode != Rcode.NOERROR:
            what = "a referral that does not lead down" if self._has_ns() else "nothing, without authority"
            return Reading(Kind.LAME, name, detail=what)
        delegation = delegation_from(referral, rrsets_of(self._message.additional), self._asked.zone)
        return Reading(Kind.REFERRAL, name, delegation=delegation)

    def _referral(self, name: Name) -> RRset | None:
        """RFC 1034 section 5.3.3 step 4b: a delegation counts that is nearer to the name than the zone asked."""
        below = [
            one
            for one in self._authority
            if one.rtype == RRType.NS and one.name.is_strictly_below(self._asked.zone) and name.is_below(one.name)
        ]
        return max(below, key=lambda one: len(one.name), default=None)

    def _has_ns(self) -> bool:
        return any(one.rtype == RRType.NS for one in self._message.authority)
