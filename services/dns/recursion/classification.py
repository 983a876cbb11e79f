"""Response classification for the iterator: answer, alias, NODATA, NXDOMAIN, referral, lame, or failure.

    response of com's server to www.example.com A  ->  ClassifiedResponse(REFERRAL, delegation=example.com.)

RFC 1034 sections 4.3.1 and 5.3.3 step 4, RFC 2308 section 2 (negative answers), RFC 6672 section 3.4 (DNAME). Records
out of bailiwick, that is outside of the zone that the server was queried for, are ignored in all sections. As in BIND,
a response without AA that has the NS RRset of a delegation in its answer section is a referral. As in BIND and Unbound,
a CNAME comes before other data of its name (RFC 2181 section 10.1), and of several CNAMEs or DNAMEs of one name the
first is used, as in Unbound.

A response is lame if it is

- REFUSED or NOTAUTH,
- an upward or sideways referral, with or without AA,
- a NODATA response with the SOA of an ancestor zone, or
- a response with answers to other questions only, and neither the SOA of a negative answer nor a referral.

A negative answer with the SOA of the zone needs no AA: RFC 2308 section 2 recognizes it by the SOA. Some responses are
weak: the resolver uses them only after it has queried all other servers of the zone (BIND and Unbound use them at
once). A response is weak if it

- has RA and no AA, and so comes from the cache of a recursive server,
- is empty, with neither AA nor SOA, or
- is NXDOMAIN with the SOA or an NS RRset of another zone.

An alias limits what is used of a response. RFC 2181 section 5.4.1: "only the record describing that alias is
necessarily authoritative". The target may be in another zone, even one label below the zone queried, and the response
cannot prove that it is not. So an iterative response is used up to its first alias. The records and the negative answer
for the target of the alias are ignored, and the target is resolved by separate queries, as in BIND. A spoofed response
to a random name therefore cannot inject data for another name.

A forwarder, or a server that recurses for its zone, is queried for the answer together with its alias chain (RFC 1034
section 4.3.1). The reply has no AA, and the bailiwick of a forwarder is the root. The reply is trusted for the question
and for the chain that begins at the qname, link by link; other records are ignored. Only the first link is cached. The
other links are returned with this answer and not cached, so a spoofed reply affects one answer only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from lab7.services.dns.codec.client_subnet import ClientSubnet
from lab7.services.dns.codec.codes import ADDRESS_TYPES, Rcode, RRClass, RRType, rcode_to_text
from lab7.services.dns.codec.message import Message, Question, Record, RRset, rrsets_of, synthesize_cname
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, CNAME, NS, A
from lab7.services.dns.recursion.cache import Delegation, Service, Trust

# Maximum number of aliases followed within one response, as in BIND; iterator.ALIASES_MAX bounds the whole chain.
CHAIN_MAX = 16
# Maximum number of name servers used per delegation, against NXNSAttack (CVE-2020-12662); the root has 13.
HOSTS_MAX = 16
# Maximum number of addresses used per name server, against NXNSAttack.
ADDRESSES_MAX = 8


class ResponseKind(Enum):
    """Kind of a response to an upstream query, which decides how the iterator continues."""

    ANSWER = "records of the type"
    ALIAS = "a chain of aliases, whose last target must be resolved"
    NO_DATA = "the name exists, but has no records of the type (NODATA)"
    NO_NAME = "the name does not exist (NXDOMAIN)"
    TOO_LONG = "DNAME substitution exceeds 255 octets"
    REFERRAL = "a referral to a zone nearer to the name"
    LAME = "the server is not authoritative for the zone"
    FAILED = "a server failure"


# Types of which a name has at most one record (RFC 2181 section 10.1, RFC 6672 section 2.4).
_SINGLETONS = (RRType.CNAME, RRType.DNAME)

# An RRset of an alias chain, and its trust in the cache: None for an RRset synthesized or behind an alias.
Link = tuple[RRset, Trust | None]


@dataclass(frozen=True, slots=True)
class ClassifiedResponse:
    """Kind of a response to an upstream query, and the content that may be used.

    `answers` is the alias chain in order, followed by the answer. `name` is the last name of the chain, to which a
    negative answer refers (RFC 2308 section 2.1, RFC 6604 section 3). `detail` is the reason for the kinds LAME and
    FAILED. `subnet` is the client subnet of the response, if the query had one. `authoritative` is AA. A `weak`
    response is used only if the other servers give no better one. `denials` has the NSEC or NSEC3 records of a negative
    answer without an SOA; if there is an SOA, they are stored with it.
    """

    kind: ResponseKind
    name: Name
    answers: tuple[Link, ...] = ()
    soa: RRset | None = None
    delegation: Delegation | None = None
    detail: str = ""
    subnet: ClientSubnet | None = None
    authoritative: bool = False
    weak: bool = False
    denials: tuple[RRset, ...] = ()


def classify_response(message: Message, question: Question, queried: Delegation) -> ClassifiedResponse:
    """Classify the response to `question` from a server of the delegation `queried`."""
    rcode = message.rcode
    if message.tc:
        # TC in UDP was retried over TCP; with TC over TCP, too, the sections are incomplete.
        return ClassifiedResponse(ResponseKind.FAILED, question.name, detail="a truncated response over TCP")
    if rcode in (Rcode.REFUSED, Rcode.NOTAUTH):
        return ClassifiedResponse(ResponseKind.LAME, question.name, detail=rcode_to_text(rcode))
    if rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN):
        return ClassifiedResponse(ResponseKind.FAILED, question.name, detail=rcode_to_text(rcode))
    response = _Classifier(message, question, queried).classify()
    cached = queried.service is Service.ITERATIVE and message.ra and not message.aa
    weak = response.weak or (cached and response.kind is not ResponseKind.REFERRAL)
    return replace(response, authoritative=message.aa, weak=weak)


def delegation_from(ns: RRset, additional: Iterable[RRset], bailiwick: Name) -> Delegation:
    """Return the delegation made of an NS RRset and the glue for its hosts among the `additional` RRsets.

    RFC 2181 section 5.4.1: glue is valid for this delegation only. Glue outside of `bailiwick`, the zone of the server
    that sent it, is ignored. The TTL is the lowest of the NS RRset and the glue.
    """
    hosts = hosts_of(ns)
    targets, glue, ttl = set(hosts), dict[Name, tuple[str, ...]](), ns.ttl
    for rrset in additional:
        if rrset.rtype not in ADDRESS_TYPES or rrset.name not in targets or not rrset.name.is_below(bailiwick):
            continue
        glue[rrset.name] = glue.get(rrset.name, ()) + addresses_of(rrset)
        ttl = min(ttl, rrset.ttl)
    return Delegation(ns.name, hosts, glue, ttl)


def hosts_of(ns: RRset) -> tuple[Name, ...]:
    """Return the names of the name servers in an NS RRset, at most HOSTS_MAX."""
    return tuple(rdata.target for rdata in ns.rdatas if isinstance(rdata, NS))[:HOSTS_MAX]


def addresses_of(rrset: RRset) -> tuple[str, ...]:
    """Return the addresses of an A or AAAA RRset as text, at most ADDRESSES_MAX."""
    return tuple(str(rdata.address) for rdata in rrset.rdatas if isinstance(rdata, (A, AAAA)))[:ADDRESSES_MAX]


class _Classifier:
    """Classifier of one response to an upstream query; it ignores records that are out of bailiwick."""

    def __init__(self, message: Message, question: Question, queried: Delegation) -> None:
        self._message = message
        self._question = question
        self._queried = queried
        self._answers = {(rrset.name, rrset.rtype): rrset for rrset in self._in_bailiwick(message.answers)}
        self._authority = self._in_bailiwick(message.authority)

    def _in_bailiwick(self, records: Iterable[Record]) -> list[RRset]:
        zone = self._queried.zone
        rrsets = [rrset for rrset in rrsets_of(records) if rrset.name.is_below(zone) and rrset.rclass == RRClass.IN]
        return [replace(rrset, rdatas=rrset.rdatas[:1]) if rrset.rtype in _SINGLETONS else rrset for rrset in rrsets]

    def classify(self) -> ClassifiedResponse:
        misplaced = self._referral_in_answer()
        if misplaced is not None:
            return self._referred_to(misplaced)
        name, chain, too_long = self._chain()
        if too_long:
            return ClassifiedResponse(ResponseKind.TOO_LONG, name, chain)
        if self._message.rcode == Rcode.YXDOMAIN and not chain:
            return ClassifiedResponse(ResponseKind.FAILED, name, detail="YXDOMAIN without a DNAME")
        if chain and self._queried.service is Service.ITERATIVE:
            return ClassifiedResponse(ResponseKind.ALIAS, name, chain)
        rrsets = self._answers_for(name)
        if rrsets and self._message.rcode == Rcode.NXDOMAIN:
            # As in BIND, because rcode and records contradict each other. A validator would see a positive answer.
            return ClassifiedResponse(ResponseKind.FAILED, name, detail="NXDOMAIN with records of the name")
        if rrsets:
            links = (*chain, *((rrset, self._trust(chain)) for rrset in rrsets))
            return ClassifiedResponse(ResponseKind.ANSWER, name, links)
        negative = self._negative(name, chain)
        if negative is not None:
            return negative
        return ClassifiedResponse(ResponseKind.ALIAS, name, chain) if chain else self._referral_or_lame(name)

    def _trust(self, chain: tuple[Link, ...]) -> Trust | None:
        """Return the trust rank for caching an RRset that follows the aliases in `chain`.

        Returns None if it must not be cached. RFC 2181 section 5.4.1: only the first alias of a chain is necessarily
        authoritative, so data after it is not cached.
        """
        if chain:
            return None
        return Trust.AUTHORITATIVE_ANSWER if self._message.aa else Trust.ANSWER

    def _answers_for(self, name: Name) -> list[RRset]:
        if self._question.rtype == RRType.ANY:
            return [rrset for (owner, _), rrset in self._answers.items() if owner == name]
        rrset = self._answers.get((name, self._question.rtype))
        return [] if rrset is None else [rrset]

    def _is_answered(self, name: Name) -> bool:
        """Tell whether the answers have records of the queried type for a name; False for an alias (RFC 2181 10.1)."""
        is_alias = (name, RRType.CNAME) in self._answers and self._question.rtype not in (RRType.CNAME, RRType.ANY)
        return not is_alias and bool(self._answers_for(name))

    def _chain(self) -> tuple[Name, tuple[Link, ...], bool]:
        """Follow the aliases in the answer section; return (last name, RRsets with trust, True if YXDOMAIN ends it)."""
        name, links, seen = self._question.name, list[Link](), set[Name]()
        aliases_max = 1 if self._queried.service is Service.ITERATIVE else CHAIN_MAX
        while name not in seen and len(seen) < aliases_max and not self._is_answered(name):
            seen.add(name)
            dname = self._dname_above(name)
            if dname is not None:
                links.append((dname, self._trust(tuple(links))))
                synthesized = synthesize_cname(dname, name)
                if synthesized is None:
                    return name, tuple(links), True
                # RFC 6672 section 3.4: the CNAME in the response is not trusted but synthesized again.
                links.append((synthesized[0], None))
                name = synthesized[1]
                continue
            alias = self._answers.get((name, RRType.CNAME))
            rdata = alias.rdatas[0] if alias is not None else None
            if alias is None or not isinstance(rdata, CNAME):
                break
            links.append((alias, self._trust(tuple(links))))
            name = rdata.target
        return name, tuple(links), False

    def _dname_above(self, name: Name) -> RRset | None:
        for ancestor in name.parent.ancestors() if len(name) else ():
            dname = self._answers.get((ancestor, RRType.DNAME))
            if dname is not None:
                return dname
        return None

    def _negative(self, name: Name, chain: tuple[Link, ...]) -> ClassifiedResponse | None:
        """Return the response as a negative answer (NXDOMAIN or NODATA) about the last name of the alias chain.

        Returns None if it is another response. RFC 2308 section 2.
        """
        soa = next(
            (rrset for rrset in self._authority if rrset.rtype == RRType.SOA and name.is_below(rrset.name)), None
        )
        denied = self._message.rcode == Rcode.NXDOMAIN
        if soa is None and not self._is_negative_without_soa(name, chain, denied):
            return None
        doubtful = not self._message.aa or self._has_foreign_authority()
        weak = soa is None and doubtful and self._queried.service is Service.ITERATIVE
        kind = ResponseKind.NO_NAME if denied else ResponseKind.NO_DATA
        return ClassifiedResponse(kind, name, chain, soa, weak=weak)

    def _is_negative_without_soa(self, name: Name, chain: tuple[Link, ...], denied: bool) -> bool:
        """Tell whether a response without an SOA is a negative answer, and not a referral."""
        if chain or self._message.answers:
            return False
        if denied:
            return True
        # RFC 2308 section 2.2: without an SOA, an NS RRset below the zone makes it a referral.
        if self._has_foreign_authority() or self._referral(name) is not None:
            return False
        if self._queried.service is not Service.ITERATIVE and not self._message.ra:
            return False
        return self._message.aa or not self._has_ns()

    def _has_foreign_authority(self) -> bool:
        """Tell whether the authority section has an SOA or NS that is out of bailiwick.

        Such a response is a negative answer of another zone, or an upward referral.
        """
        zone, types = self._queried.zone, (RRType.SOA, RRType.NS)
        return any(record.rtype in types and not record.name.is_below(zone) for record in self._message.authority)

    def _referral_or_lame(self, name: Name) -> ClassifiedResponse:
        referral = self._referral(name)
        forwards = self._queried.service is Service.FORWARDER
        if referral is None or forwards or self._message.rcode != Rcode.NOERROR:
            detail = "an upward or sideways referral" if self._has_ns() else "an empty answer without authority"
            return ClassifiedResponse(ResponseKind.LAME, name, detail=detail)
        return self._referred_to(referral)

    def _referred_to(self, referral: RRset) -> ClassifiedResponse:
        additional = rrsets_of((*self._message.answers, *self._message.additional))
        delegation = delegation_from(referral, additional, self._queried.zone)
        return ClassifiedResponse(ResponseKind.REFERRAL, self._question.name, delegation=delegation)

    def _referral(self, name: Name) -> RRset | None:
        """Return the NS RRset of a referral, at the deepest zone cut on the way to `name`; None if there is none."""
        return _nearest_ns(self._authority, self._queried.zone, name)

    def _referral_in_answer(self) -> RRset | None:
        """Return the NS RRset of a referral that is in the answer section instead of the authority section; else None.

        Such a referral has no AA, and no other records in its answer section.
        """
        if self._message.aa or self._queried.service is not Service.ITERATIVE:
            return None
        rtypes = {rtype for (name, rtype) in self._answers if name == self._question.name}
        if rtypes & {self._question.rtype, RRType.CNAME} and self._question.rtype != RRType.NS:
            return None
        return _nearest_ns(self._answers.values(), self._queried.zone, self._question.name)

    def _has_ns(self) -> bool:
        return any(rrset.rtype == RRType.NS for rrset in self._authority)


def _nearest_ns(rrsets: Iterable[RRset], zone: Name, name: Name) -> RRset | None:
    """Return the NS RRset of the zone cut below `zone` that is nearest to `name`; None if there is none."""
    cuts = [
        rrset
        for rrset in rrsets
        if rrset.rtype == RRType.NS and rrset.name.is_strictly_below(zone) and name.is_below(rrset.name)
    ]
    return max(cuts, key=lambda rrset: len(rrset.name), default=None)
