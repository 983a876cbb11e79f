"""What a server's zones answer to a question: RFC 1034 section 4.3.2, without the sockets and without the cache.

    zones, question -> Answer(rcode, aa, answers, authority, additional)

Aliases are followed through all zones of the server, as RFC 1034 goes back to its step 1, and as NSD and PowerDNS do
(BIND and Knot stop at the end of the zone). Obeyed: RFC 1034 section 4.3.2 and 6.2, RFC 2181 sections 5 and
9, RFC 2308 section 2 (the SOA of a negative answer), RFC 4592 (wildcards), RFC 6604 section 3 (the code is that of the
last name in the chain), RFC 6672 section 3.2 (DNAME), RFC 8020 (NXDOMAIN means nothing below either), RFC 8482 as its
section 4 leaves it open (ANY gets every set of the name). Left out: NS sets in the authority section of positive
answers, which RFC 1034 does not ask for, and expanding
wildcards for the additional section.
"""

from dataclasses import dataclass, field

from services.dns.codec.codes import Rcode, RRClass, RRType
from services.dns.codec.errors import NameTooLongError
from services.dns.codec.name import ROOT, Name
from services.dns.codec.rdata import CNAME, MX, SRV, OneName, Rdata
from services.dns.codec.records import Question, RRset
from services.dns.zones.zone import Kind, Match, Node, Zone, Zones

# Links of a chain of aliases that are followed; BIND follows 11 to 16, Knot 20.
CHAIN_MAX = 16

ADDRESS_TYPES = (RRType.A, RRType.AAAA)
# Types whose data names a host that the asker will want to reach.
HOST_TYPES = frozenset({RRType.NS, RRType.MX, RRType.SRV})


@dataclass(slots=True)
class Answer:
    """What goes into the sections of a response; `spells_qname` when rdata repeats the question's own spelling."""

    rcode: int = Rcode.NOERROR
    aa: bool = False
    answers: list[RRset] = field(default_factory=list)
    authority: list[RRset] = field(default_factory=list)
    additional: list[RRset] = field(default_factory=list)
    spells_qname: bool = False


def answer_question(zones: Zones, question: Question) -> Answer:
    """Answer a question from the zones; REFUSED where none of them has the name."""
    answer = Answer()
    qname: Name | None = question.name
    seen = {question.name}
    last: Zone | None = None
    for _ in range(CHAIN_MAX):
        if qname is None:
            break
        zone = zones.closest(qname, question.rtype)
        if zone is None or question.rclass not in (zone.rclass, RRClass.ANY):
            # A chain that leaves the server's zones ends there, and the resolver goes on.
            if not answer.answers:
                answer.rcode = Rcode.REFUSED
            break
        last = zone
        qname = _step(answer, zone, qname, question.rtype)
        if qname in seen:
            break
        if qname is not None:
            seen.add(qname)
    if last is not None:
        _add_additional(answer, last)
    # RFC 1035 section 6.2: an answer for all classes is not known to be whole.
    answer.aa = answer.aa and question.rclass != RRClass.ANY
    return answer


def _step(answer: Answer, zone: Zone, qname: Name, qtype: int) -> Name | None:
    """RFC 1034 section 4.3.2 step 3: answer for one name; returns the next name of a chain, if there is one."""
    match = zone.find(qname, at_parent=qtype == RRType.DS)
    if match.kind is Kind.DELEGATION:
        answer.authority.append(match.node[RRType.NS])
        return None
    # RFC 1035 section 4.1.1: AA is about the name that the question has, the first of a chain.
    answer.aa = True
    if match.kind is Kind.DNAME:
        return _substitute(answer, match.node[RRType.DNAME], qname, qtype)
    if match.kind is Kind.MISSING:
        answer.rcode = Rcode.NXDOMAIN
        answer.authority.append(zone.negative_soa)
        return None
    return _answer_node(answer, zone, match, qname, qtype)


def _answer_node(answer: Answer, zone: Zone, match: Match, qname: Name, qtype: int) -> Name | None:
    """Answer from a node that the name has, or that a wildcard lends it."""
    alias = match.node.get(RRType.CNAME)
    if alias is not None and qtype not in (RRType.CNAME, RRType.ANY):
        answer.answers.append(_owned(alias, match, qname))
        return _target(alias)
    found = _matching(match.node, qtype)
    answer.answers += [_owned(rrset, match, qname) for rrset in found]
    if not found:
        answer.authority.append(zone.negative_soa)
    return None


def _matching(node: Node, qtype: int) -> list[RRset]:
    # RFC 8482 section 4: every set, as RFC 1034 has it.
    if qtype == RRType.ANY:
        return list(node.values())
    rrset = node.get(qtype)
    return [] if rrset is None else [rrset]


def _owned(rrset: RRset, match: Match, qname: Name) -> RRset:
    """RFC 4592 section 3.3.1: what a wildcard lends belongs to the name that was asked for."""
    return rrset.renamed(qname) if match.kind is Kind.WILDCARD else rrset


def _target(alias: RRset) -> Name | None:
    data = alias.rdatas[0]
    return data.target if isinstance(data, OneName) else None


def _substitute(answer: Answer, dname: RRset, qname: Name, qtype: int) -> Name | None:
    """RFC 6672 section 3.2 step 3c: the DNAME, and the CNAME that it means for this name."""
    answer.answers.append(dname)
    target = _target(dname)
    if target is None:
        return None
    try:
        substituted = qname.substituted(dname.name, target)
    except NameTooLongError:
        answer.rcode = Rcode.YXDOMAIN
        return None
    # RFC 6672 section 3.1: the CNAME's TTL is the DNAME's.
    answer.answers.append(RRset(qname, RRType.CNAME, dname.rclass, dname.ttl, (CNAME(substituted),)))
    answer.spells_qname = True
    # Who asks for the alias itself has it now; every server stops here, as at a CNAME that is stored.
    return None if qtype in (RRType.CNAME, RRType.ANY) else substituted


def _add_additional(answer: Answer, zone: Zone) -> None:
    """RFC 1034 section 4.3.2 step 6: addresses of the hosts that NS, MX and SRV name.

    They come from the zone that has the last name, glue included: another zone's data is not this answer's to add.
    """
    present = {(rrset.name, rrset.rtype) for rrset in answer.answers}
    for rrset in (*answer.answers, *answer.authority):
        if rrset.rtype not in HOST_TYPES:
            continue
        for rdata in rrset.rdatas:
            node = zone.nodes.get(_host(rdata).folded, {})
            for rtype in ADDRESS_TYPES:
                found = node.get(rtype)
                if found is not None and (found.name, rtype) not in present:
                    present.add((found.name, rtype))
                    answer.additional.append(found)


def _host(rdata: Rdata) -> Name:
    if isinstance(rdata, MX):
        return rdata.exchange
    return rdata.target if isinstance(rdata, SRV | OneName) else ROOT
