"""Response classification for the iterator: answer, alias, NODATA, NXDOMAIN, referral, lame, or failure.

    response of com's server to www.example.com A  ->  ClassifiedResponse(REFERRAL, delegation=example.com.)

RFC 1034 sections 4.3.1 and 5.3.3 step 4, RFC 2308 section 2 (negative answers), RFC 6672 section 3.4 (DNAME). Records
out of bailiwick, that is outside of the zone that the server was queried for, are ignored in all sections. Lame are:
REFUSED and NOTAUTH, an upward or sideways referral, the negative answer of an ancestor zone, and an empty answer
without AA.

Behind an alias, RFC 2181 section 5.4.1: "only the record describing that alias is necessarily authoritative". The
target may be in another zone, even one label below the zone queried, and the response cannot prove that it is not. So
an iterative response is used up to its first alias. Everything behind it, records as well as a negative answer, is
ignored, and the target is resolved by queries of its own, as in BIND. A spoofed response to a random name therefore
cannot inject data for another name.

A forwarder, or a server that recurses for its zone, is queried for the answer together with its alias chain (RFC 1034
section 4.3.1). Its reply has no AA, and the bailiwick of a forwarder is the root. It is trusted for the question and
for the chain that begins at the qname, link by link; other records are ignored. Only the first link is cached. The rest
is returned with this answer and cached under no name, so a spoofed reply lasts for one answer only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from services.dns.codec.client_subnet import ClientSubnet
from services.dns.codec.codes import Rcode, RRClass, RRType, rcode_to_text
from services.dns.codec.message import Message, Question, Record, RRset, rrsets_of, synthesize_cname
from services.dns.codec.name import Name
from services.dns.codec.rdata import CNAME, NS, A
from services.dns.recursion.cache import Delegation, Service, Trust

# Aliases followed in one response; BIND follows 16. The iterator bounds the whole chain by itself.
CHAIN_MAX = 16
# Name servers used of one delegation, against NXNSAttack (CVE-2020-12662). The root has 13, and no registry accepts
# more than that.
HOSTS_MAX = 16
# Addresses used of one name server, against the same attack.
ADDRESSES_MAX = 8


class ResponseKind(Enum):
    """Kinds of response."""

    ANSWER = "records of the type"
    ALIAS = "a chain of aliases, whose last target must be resolved"
    NO_DATA = "the name exists without the type"
    NO_NAME = "the name does not exist"
    TOO_LONG = "DNAME substitution exceeds 255 octets"
    REFERRAL = "a delegation nearer to the name"
    LAME = "the server is not authoritative for the zone"
    FAILED = "a server failure"


# An RRset of an alias chain, and the trust to cache it with; None for one that is synthesized or behind an alias.
Link = tuple[RRset, Trust | None]


@dataclass(frozen=True, slots=True)
class ClassifiedResponse:
    """The usable content of a response.

    `answers` is the alias chain in order with the answer, `name` its last name, which a negative answer is about (RFC
    2308 section 2.1, RFC 6604 section 3). `detail` is the reason for LAME and FAILED. `subnet` is the client subnet of
    the response, if the query had one.
    """

    kind: ResponseKind
    name: Name
    answers: tuple[Link, ...] = ()
    soa: RRset | None = None
    delegation: Delegation | None = None
    detail: str = ""
    subnet: ClientSubnet | None = None


def classify_response(message: Message, question: Question, queried: Delegation) -> ClassifiedResponse:
    """Classify the response to `question` of a server of the delegation `queried`."""
    rcode = message.rcode
    if message.tc:
        # TC over UDP has led to TCP, where it must not be set: the sections are incomplete.
        return ClassifiedResponse(ResponseKind.FAILED, question.name, detail="a truncated response over TCP")
    if rcode in (Rcode.REFUSED, Rcode.NOTAUTH):
        return ClassifiedResponse(ResponseKind.LAME, question.name, detail=rcode_to_text(rcode))
    if rcode not in (Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN):
        return ClassifiedResponse(ResponseKind.FAILED, question.name, detail=rcode_to_text(rcode))
    return _Classifier(message, question, queried).classify()


def delegation_from(ns: RRset, additional: Iterable[RRset], bailiwick: Name) -> Delegation:
    """Return the delegation of an NS RRset and its glue among the `additional` RRsets.

    RFC 2181 section 5.4.1: glue is valid for this delegation only. It must be in the `bailiwick` of the server that
    gave it, which is the parent zone. The TTL is the lowest of the NS RRset and the glue.
    """
    hosts = tuple(rdata.target for rdata in ns.rdatas if isinstance(rdata, NS))[:HOSTS_MAX]
    targets, glue, ttl = set(hosts), dict[Name, tuple[str, ...]](), ns.ttl
    for rrset in additional:
        if rrset.rtype != RRType.A or rrset.name not in targets or not rrset.name.is_below(bailiwick):
            continue
        glue[rrset.name] = addresses_of(rrset)
        ttl = min(ttl, rrset.ttl)
    return Delegation(ns.name, hosts, glue, ttl)


def addresses_of(rrset: RRset) -> tuple[str, ...]:
    """Return the addresses of an A RRset as text, at most ADDRESSES_MAX."""
    return tuple(str(rdata.address) for rdata in rrset.rdatas if isinstance(rdata, A))[:ADDRESSES_MAX]


class _Classifier:
    """The records of a response that are in bailiwick."""

    def __init__(self, message: Message, question: Question, queried: Delegation) -> None:
        self._message = message
        self._question = question
        self._queried = queried
        # RFC 1034 section 4.3.1: the answer of a recursive server has no AA.
        self._authoritative = message.aa or queried.service is not Service.ITERATIVE
        self._answers = {(rrset.name, rrset.rtype): rrset for rrset in self._in_bailiwick(message.answers)}
        self._authority = self._in_bailiwick(message.authority)

    def _in_bailiwick(self, records: Iterable[Record]) -> list[RRset]:
        zone = self._queried.zone
        return [rrset for rrset in rrsets_of(records) if rrset.name.is_below(zone) and rrset.rclass == RRClass.IN]

    def classify(self) -> ClassifiedResponse:
        name, chain, too_long = self._chain()
        if too_long:
            return ClassifiedResponse(ResponseKind.TOO_LONG, name, chain)
        if chain and self._queried.service is Service.ITERATIVE:
            return ClassifiedResponse(ResponseKind.ALIAS, name, chain)
        rrsets = self._answers_for(name)
        if rrsets:
            links = (*chain, *((rrset, self._trust(chain)) for rrset in rrsets))
            return ClassifiedResponse(ResponseKind.ANSWER, name, links)
        negative = self._negative(name, chain)
        if negative is not None:
            return negative
        return ClassifiedResponse(ResponseKind.ALIAS, name, chain) if chain else self._referral_or_lame(name)

    def _trust(self, chain: tuple[Link, ...]) -> Trust | None:
        """Return the trust of an RRset that follows `chain`; None behind an alias (RFC 2181 section 5.4.1)."""
        if chain:
            return None
        return Trust.AUTHORITATIVE_ANSWER if self._message.aa else Trust.ANSWER

    def _answers_for(self, name: Name) -> list[RRset]:
        if self._question.rtype == RRType.ANY:
            return [rrset for (owner, _), rrset in self._answers.items() if owner == name]
        rrset = self._answers.get((name, self._question.rtype))
        return [] if rrset is None else [rrset]

    def _chain(self) -> tuple[Name, tuple[Link, ...], bool]:
        """Follow the aliases in the answer section; return the last name, the links, and True for YXDOMAIN."""
        name, links, seen = self._question.name, list[Link](), set[Name]()
        aliases_max = 1 if self._queried.service is Service.ITERATIVE else CHAIN_MAX
        while name not in seen and len(seen) < aliases_max and not self._answers_for(name):
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
        """Return the negative answer about the last name (RFC 2308 section 2); it needs an SOA, or AA."""
        soa = next(
            (rrset for rrset in self._authority if rrset.rtype == RRType.SOA and name.is_below(rrset.name)), None
        )
        if soa is None and (chain or not self._message.aa or self._has_foreign_soa()):
            return None
        if not self._authoritative:
            return None
        if self._message.rcode == Rcode.NXDOMAIN:
            return ClassifiedResponse(ResponseKind.NO_NAME, name, chain, soa)
        # RFC 2308 section 2.2: without an SOA, an NS RRset below the zone makes it a referral.
        if soa is None and self._referral(name) is not None:
            return None
        return ClassifiedResponse(ResponseKind.NO_DATA, name, chain, soa)

    def _has_foreign_soa(self) -> bool:
        """Tell whether there is an SOA out of bailiwick: the negative answer of another zone."""
        zone = self._queried.zone
        return any(record.rtype == RRType.SOA and not record.name.is_below(zone) for record in self._message.authority)

    def _referral_or_lame(self, name: Name) -> ClassifiedResponse:
        referral = self._referral(name)
        forwards = self._queried.service is Service.FORWARDER
        if referral is None or forwards or self._message.rcode != Rcode.NOERROR:
            detail = "a referral that does not lead down" if self._has_ns() else "an empty answer without authority"
            return ClassifiedResponse(ResponseKind.LAME, name, detail=detail)
        delegation = delegation_from(referral, rrsets_of(self._message.additional), self._queried.zone)
        return ClassifiedResponse(ResponseKind.REFERRAL, name, delegation=delegation)

    def _referral(self, name: Name) -> RRset | None:
        """Return the NS RRset of a delegation below the zone queried, nearest to the name (RFC 1034 section 5.3.3)."""
        zone = self._queried.zone
        referrals = [
            rrset
            for rrset in self._authority
            if rrset.rtype == RRType.NS and rrset.name.is_strictly_below(zone) and name.is_below(rrset.name)
        ]
        return max(referrals, key=lambda rrset: len(rrset.name), default=None)

    def _has_ns(self) -> bool:
        return any(rrset.rtype == RRType.NS for rrset in self._authority)
