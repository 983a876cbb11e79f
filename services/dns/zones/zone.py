"""Zones in memory, and lookup of the answer to a question (RFC 1034 section 4.3.2).

    answer_question(zones, Question(www.example.com. A))  ->  Answer(rcode, aa, answers, authority, additional)

RFC 1034 sections 4.3.2 and 6.2, RFC 2181 sections 5, 9 and 10.1, RFC 2308 sections 2 and 3 (the SOA of a negative
answer), RFC 4035 section 3.1.4.1 (DS is in the parent zone), RFC 4592 (wildcards), RFC 6604 section 3 (the rcode is
about the last name of an alias chain), RFC 6672 section 3.2 (DNAME), RFC 8020 (NXDOMAIN covers all names below), RFC
8482 (ANY returns every RRset of the name, as its section 4 permits).

A zone is rejected at load for: no SOA or two, no NS at the apex, a CNAME with other data, two CNAMEs or DNAMEs at a
name. Records outside of the zone are left out, and differing TTLs in an RRset become the lowest, with a warning.
Signatures and denials of a signed zone are added by zones.denial.

The lookup order
----------------

RFC 1034 section 4.3.2, as clarified for wildcards by RFC 4592 section 3.3.1 and for DNAME by RFC 6672 section 3.2:

  step 1   set RA                                                        not here: this server does no recursion
  step 2   find the zone that is the nearest ancestor of the qname       Zones.closest
  step 3   match down, label by label, from the apex                     Zone.find
           a  the whole qname matches: its RRset, a CNAME, or NODATA     EXACT       _answer_node
           b  a node with NS: referral                                   DELEGATION  _answer_name
           -  a node with DNAME above the qname: synthesize a CNAME      DNAME       _answer_dname
           c  a label does not match: the wildcard at the closest        WILDCARD    _answer_node
              encloser, or else NXDOMAIN                                 MISSING     _answer_name
  step 4   answer from the cache                                         not here: see recursion.iterator.from_cache
  step 5   answer by the resolver's algorithm                            not here: see lab7.services.dns.recursive
  step 6   additional section                                            _add_additional

The order of step 3 matters. It starts at the apex and not at the qname, so a zone cut or a DNAME hides everything
below it: the address of a name server below a cut is glue, which is returned in the additional section and never as
an answer. A node exists if it has records or a descendant has (an empty non-terminal, RFC 4592 section 2.2.2), so the
closest encloser is the last node of the walk. Only `*` directly below it is a source of synthesis: with *.example.
and b.example. in the zone, a.b.example. does not exist, because its closest encloser is b.example.

  zone example.:   *  A          qname x.example.      WILDCARD     answer owned by x.example.
                   b  TXT        qname a.b.example.    MISSING      NXDOMAIN
                   c.d  A        qname d.example.      EXACT        NODATA, an empty non-terminal
                   sub  NS       qname w.sub.example.  DELEGATION   referral
                   old  DNAME    qname k.old.example.  DNAME        a CNAME for k.old.example.
                                 qname old.example.    EXACT        the owner of a DNAME is not redirected

An alias, stored or synthesized, restarts at step 2 with its target, in any zone of this server, as in NSD and
PowerDNS (BIND and Knot DNS stop at the end of the zone). AA is about the first name, the rcode about the last one.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from lab7.services.dns.codec.codes import ADDRESS_TYPES, Rcode, RRClass, RRType, type_to_text
from lab7.services.dns.codec.errors import ZoneError
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.master_file import Entry, Warn, no_warning
from lab7.services.dns.codec.message import Question, RRset, synthesize_cname
from lab7.services.dns.codec.name import ASTERISK, ROOT, Name
from lab7.services.dns.codec.rdata import MX, SOA, SRV, SingleName
from lab7.services.dns.codec.rdata_security import RRSIG
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError

Node = dict[int, RRset]

# Maximum number of aliases followed per query; BIND follows 11 to 16, Knot DNS 20.
CHAIN_MAX = 16
# Types whose rdata names a host, the addresses of which go into the additional section.
HOST_TYPES = frozenset({RRType.NS, RRType.MX, RRType.SRV})

# As in BIND, answers of the listed types get no NS set: they are large, and their resolver knows the NS set.
_WITHOUT_NAME_SERVERS = frozenset({RRType.DS, RRType.DNSKEY, RRType.CDS, RRType.CDNSKEY})
# Types allowed beside a CNAME (RFC 4035 section 2.5).
_BESIDE_CNAME = frozenset({RRType.CNAME, RRType.RRSIG, RRType.NSEC, RRType.KEY})
_SINGLETON_TYPES = (RRType.SOA, RRType.CNAME, RRType.DNAME)


class MatchKind(Enum):
    """Outcome of the search for a name, label by label from the apex of the zone downwards."""

    EXACT = "the name exists"
    DELEGATION = "a zone cut at the name or above it"
    DNAME = "a DNAME above the name"
    WILDCARD = "the name does not exist and a wildcard covers it"
    MISSING = "the name does not exist"


_WITH_ADDRESSES = (MatchKind.EXACT, MatchKind.WILDCARD)


@dataclass(frozen=True, slots=True)
class Match:
    """Result of the search for a name in a zone: the kind of match, the node that was found, and the node's name.

    The node is that of the name, of a wildcard, of a DNAME or of a zone cut. For a missing name the node is empty, and
    `name` is its closest encloser.
    """

    kind: MatchKind
    name: Name
    node: Node


class Zone:
    """A zone in memory: RRsets by name and type; `nodes` includes the empty non-terminals."""

    def __init__(
        self,
        origin: Name,
        nodes: dict[tuple[bytes, ...], Node],
        signatures: dict[tuple[bytes, ...], Node] | None = None,
    ) -> None:
        self.origin = origin
        self.apex = nodes[origin.folded]
        # RRSIG records by owner and type covered: a signature has the TTL of its RRset (RFC 4034 section 3).
        self.signatures = {} if signatures is None else signatures
        self.hashed: dict[tuple[bytes, ...], Node] = {}
        if RRType.NSEC3PARAM in self.apex:
            # RFC 5155 section 7.2.8: the owners of NSEC3 records do not exist as names.
            self.hashed = {key: node for key, node in nodes.items() if node.keys() == {RRType.NSEC3}}
        self.nodes = {key: node for key, node in nodes.items() if key not in self.hashed} if self.hashed else nodes
        self.soa = self.apex[RRType.SOA]
        self.rclass = self.soa.rclass
        self.negative_soa = self.soa.with_ttl(_negative_ttl(self.soa))

    @classmethod
    def from_entries(cls, entries: Iterable[Entry], origin: Name | None = None, warn: Warn = no_warning) -> "Zone":
        """Build a zone from the entries of a master file; leave out records outside of the zone, as BIND does.

        Raises MasterFileError for an invalid entry, or if `origin` is not the owner of the SOA; ZoneError if the zone
        has no SOA, or no NS at the apex.
        """
        listed = list(entries)
        soa = _soa_entry(listed, origin)
        zone_origin = soa.record.name
        names: dict[tuple[bytes, ...], dict[int, _RRsetBuilder]] = {}
        signatures: dict[tuple[bytes, ...], dict[int, _RRsetBuilder]] = {}
        for entry in listed:
            if not entry.record.name.is_below(zone_origin):
                warn(str(entry.error(f"{entry.record.name} is outside of the zone {zone_origin}: record left out")))
                continue
            key, rtype = entry.record.name.folded, entry.record.rtype
            types = names.setdefault(key, {})
            if isinstance(entry.record.rdata, RRSIG):
                types, rtype = signatures.setdefault(key, {}), entry.record.rdata.type_covered
            types.setdefault(rtype, _RRsetBuilder(entry)).add(entry, warn)
        for types in names.values():
            _check_node(types)
        nodes = _built(names)
        _add_empty_non_terminals(nodes, zone_origin)
        if RRType.NS not in nodes[zone_origin.folded]:
            raise ZoneError(f"the zone {zone_origin} has no NS record at its apex")
        return cls(zone_origin, nodes, _built(signatures))

    @property
    def is_signed(self) -> bool:
        """Return whether the zone has signatures, at least that of its SOA (RFC 4035 section 2.2)."""
        return RRType.SOA in self.signatures.get(self.origin.folded, {})

    def signature(self, name: Name, rtype: int) -> RRset | None:
        """Return the RRSIG records that cover an RRset, given by name and type; None if there are none."""
        return self.signatures.get(name.folded, {}).get(rtype)

    def add_name(self, name: Name) -> None:
        """Add a name without records, for a server that computes the answers for this name itself."""
        self.nodes.setdefault(name.folded, {})
        _add_empty_non_terminals(self.nodes, self.origin)

    def rrsets(self) -> Iterator[RRset]:
        """Yield all RRsets: the SOA, then the others in canonical order, with the signatures last at each name."""
        yield self.soa
        all_nodes = {**self.nodes, **self.hashed}
        for key in sorted(all_nodes, key=lambda labels: labels[::-1]):
            for _, rrset in sorted(all_nodes[key].items()):
                if rrset is not self.soa:
                    yield rrset
            for _, rrset in sorted(self.signatures.get(key, {}).items()):
                yield rrset

    def find(self, qname: Name, at_parent: bool = False) -> Match:
        """Find the node for a name (RFC 1034 section 4.3.2 step 3); `at_parent` ignores a zone cut at the name itself.

        `at_parent` is set for DS, which is at the parent's side of a zone cut (RFC 4035 section 3.1.4.1).
        """
        folded, nodes = qname.folded, self.nodes
        depth, labels = len(self.origin.folded), len(folded)
        node = self.apex
        for count in range(depth, labels + 1):
            below = nodes.get(folded[labels - count :])
            if below is None:
                return self._wildcard(qname, count - 1)
            node = below
            if count > depth and RRType.NS in node and not (count == labels and at_parent):
                return Match(MatchKind.DELEGATION, qname.suffix(count), node)
            # RFC 6672 section 2.3: the owner of a DNAME is not redirected, only the names below it.
            if RRType.DNAME in node and count < labels:
                return Match(MatchKind.DNAME, qname.suffix(count), node)
        return Match(MatchKind.EXACT, qname, node)

    def addresses(self, host: Name, with_glue: bool) -> Iterator[RRset]:
        """Yield the address RRsets of a host in the zone, if needed from a wildcard; `with_glue` includes glue.

        Glue is used for the hosts of NS records only. NSD and BIND do the same, except that BIND expands no wildcards
        here.
        """
        node = self.nodes.get(host.folded)
        if node is None or not with_glue:
            match = self.find(host) if host.is_below(self.origin) else None
            node = match.node if match is not None and match.kind in _WITH_ADDRESSES else None
        for rtype in ADDRESS_TYPES:
            addresses = None if node is None else node.get(rtype)
            if addresses is not None:
                yield addresses if addresses.name == host else addresses.renamed(host)

    def _wildcard(self, qname: Name, encloser_labels: int) -> Match:
        """Return the match of the wildcard directly below the closest encloser, or MISSING (RFC 4592 3.3.1)."""
        encloser = qname.suffix(encloser_labels)
        source = self.nodes.get((ASTERISK, *encloser.folded))
        if source is None:
            return Match(MatchKind.MISSING, encloser, {})
        return Match(MatchKind.WILDCARD, encloser.child(ASTERISK), source)


def _negative_ttl(soa: RRset) -> int:
    """Return the TTL of negative answers: the lower of the SOA's TTL and MINIMUM (RFC 2308 section 3)."""
    rdata = soa.rdatas[0]
    return min(soa.ttl, rdata.minimum) if isinstance(rdata, SOA) else soa.ttl


class _RRsetBuilder:
    """Builder of an RRset from the master file entries of one name and type."""

    __slots__ = ("entries", "ttl")

    def __init__(self, first: Entry) -> None:
        self.ttl = first.record.ttl
        self.entries: dict[Rdata, Entry] = {}

    def add(self, entry: Entry, warn: Warn) -> None:
        # RFC 2181 section 5: duplicate records are dropped, and an RRset has one TTL, the lowest.
        self.entries.setdefault(entry.record.rdata, entry)
        if entry.record.ttl != self.ttl:
            kind, lowest = type_to_text(entry.record.rtype), min(self.ttl, entry.record.ttl)
            detail = f"{entry.record.name} {kind} has the TTL {entry.record.ttl} after {self.ttl}: all get {lowest}"
            warn(str(entry.error(detail)))
            self.ttl = lowest

    def rrset(self) -> RRset:
        record = next(iter(self.entries.values())).record
        return RRset(record.name, record.rtype, record.rclass, self.ttl, tuple(self.entries))


def _built(names: dict[tuple[bytes, ...], dict[int, _RRsetBuilder]]) -> dict[tuple[bytes, ...], Node]:
    return {key: {rtype: builder.rrset() for rtype, builder in types.items()} for key, types in names.items()}


def _soa_entry(entries: list[Entry], origin: Name | None) -> Entry:
    """Return the master file entry of the SOA; raises ZoneError without one, MasterFileError for an invalid one."""
    soas = [entry for entry in entries if entry.record.rtype == RRType.SOA]
    if not soas:
        raise ZoneError("no SOA record")
    first = soas[0]
    for other in soas[1:]:
        if other.record.name != first.record.name or other.record.rdata != first.record.rdata:
            raise other.error("duplicate SOA record: a file can hold only one zone")
    if origin is not None and first.record.name != origin:
        raise first.error(f"the owner of the SOA is {first.record.name}, not the origin {origin}")
    return first


def _check_node(types: dict[int, _RRsetBuilder]) -> None:
    for rtype in _SINGLETON_TYPES:
        if rtype in types and len(types[rtype].entries) > 1:
            extra = list(types[rtype].entries.values())[1]
            raise extra.error(f"{extra.record.name} has a second {type_to_text(rtype)}")
    # RFC 2181 section 10.1: an alias has no other data.
    if RRType.CNAME in types and not types.keys() <= _BESIDE_CNAME:
        other = next(builder for rtype, builder in types.items() if rtype not in _BESIDE_CNAME)
        entries = [*types[RRType.CNAME].entries.values(), *other.entries.values()]
        last = max(entries, key=lambda entry: entry.line)
        raise last.error(f"{last.record.name} has a CNAME and other data")


def _add_empty_non_terminals(nodes: dict[tuple[bytes, ...], Node], origin: Name) -> None:
    """Add an empty node for each ancestor of a name in the zone that has no node (RFC 4592 section 2.2.2)."""
    apex_labels = len(origin.folded)
    for key in list(nodes):
        above = key[1:]
        while len(above) > apex_labels and above not in nodes:
            nodes[above] = {}
            above = above[1:]


class Zones:
    """The zones of a server, keyed by origin, and the origins of zones that could not be loaded."""

    def __init__(self, zones: Iterable[Zone] = ()) -> None:
        self._zones: dict[tuple[bytes, ...], Zone] = {}
        self._unloaded: set[tuple[bytes, ...]] = set()
        for zone in zones:
            self.add(zone)

    def __len__(self) -> int:
        return len(self._zones)

    def __iter__(self) -> Iterator[Zone]:
        return iter(self._zones.values())

    def add(self, zone: Zone) -> None:
        """Add a zone; raises ZoneError if there is a zone with the same origin."""
        if zone.origin.folded in self._zones:
            raise ZoneError(f"duplicate zone {zone.origin}")
        self._zones[zone.origin.folded] = zone

    def add_unloaded(self, origin: Name) -> None:
        """Add the origin of a zone that could not be loaded; its names get SERVFAIL."""
        self._unloaded.add(origin.folded)

    def lacks(self, qname: Name) -> bool:
        """Tell whether the zone that a name is in could not be loaded."""
        if not self._unloaded:
            return False
        for ancestor in qname.ancestors():
            if ancestor.folded in self._zones:
                return False
            if ancestor.folded in self._unloaded:
                return True
        return False

    def get(self, origin: Name) -> Zone | None:
        """Return the zone with exactly this origin; None if there is none."""
        return self._zones.get(origin.folded)

    def closest(self, qname: Name, qtype: int = RRType.A) -> Zone | None:
        """Return the zone of a name's nearest ancestor (RFC 1034 section 4.3.2 step 2); None if there is none."""
        folded = qname.folded
        zone = self._nearest(folded)
        if qtype == RRType.DS and zone is not None and zone.origin.folded == folded and folded:
            # RFC 4035 section 3.1.4.1: the child zone answers for DS only if the parent zone is not served here.
            return self._nearest(folded[1:]) or zone
        return zone

    def _nearest(self, folded: tuple[bytes, ...]) -> Zone | None:
        for begin in range(len(folded) + 1):
            zone = self._zones.get(folded[begin:])
            if zone is not None:
                return zone
        return None


@dataclass(slots=True)
class Answer:
    """Answer to a question: rcode, AA, and the sections of the response.

    `spells_qname` is True if the rdata repeats a part of the qname, in the case of the query. `leaves` is True if the
    alias chain ends in a name that was not looked up: in no zone of this server, in a loop, or because the query was
    for the synthesized CNAME itself. `matches` lists each name looked up, with its zone and its Match. `error` is the
    reason of an error response.
    """

    rcode: int = Rcode.NOERROR
    aa: bool = False
    answers: list[RRset] = field(default_factory=list)
    authority: list[RRset] = field(default_factory=list)
    additional: list[RRset] = field(default_factory=list)
    spells_qname: bool = False
    leaves: bool = False
    matches: list[tuple[Zone, Name, Match]] = field(default_factory=list)
    error: ExtendedError | None = None


class Completeness(Enum):
    """Which optional records a positive response has; referrals and negative answers are always complete."""

    REQUIRED = "no optional records"
    ADDRESSES = "the addresses of hosts in the answer"
    NAME_SERVERS = "the addresses of hosts in the answer, the zone's NS set and the addresses of its hosts"


def answer_question(zones: Zones, question: Question, completeness: Completeness = Completeness.ADDRESSES) -> Answer:
    """Answer a question from the zones; REFUSED if no zone has the qname, SERVFAIL if its zone is not loaded."""
    if zones.lacks(question.name):
        return Answer(Rcode.SERVFAIL, error=ExtendedError(ErrorCode.INVALID_DATA, "the zone could not be loaded"))
    answer = Answer()
    qname: Name | None = question.name
    seen = {question.name}
    last: Zone | None = None
    for _ in range(CHAIN_MAX):
        if qname is None:
            break
        zone = zones.closest(qname, question.rtype)
        if zone is None or question.rclass not in (zone.rclass, RRClass.ANY):
            # An alias chain that leaves the zones of this server ends here; the resolver continues it.
            answer.leaves = True
            if not answer.answers:
                # RFC 8914 section 4.21
                answer.rcode, answer.error = Rcode.REFUSED, ExtendedError(ErrorCode.NOT_AUTHORITATIVE)
            break
        last = zone
        qname = _answer_name(answer, zone, qname, question.rtype)
        if answer.leaves:
            break
        if qname in seen:
            answer.leaves = True
            break
        if qname is not None:
            seen.add(qname)
    if last is not None:
        positive = answer.rcode == Rcode.NOERROR and not answer.authority
        complete = completeness is Completeness.NAME_SERVERS and question.rtype not in _WITHOUT_NAME_SERVERS
        if positive and complete and not answer.leaves:
            _add_name_servers(answer, last)
        # As in BIND, a response to ANY has no additional addresses: it has all of the name's own records.
        if not positive or (completeness is not Completeness.REQUIRED and question.rtype != RRType.ANY):
            _add_additional(answer, last)
    # RFC 1035 section 6.2: an answer for QCLASS=* cannot be authoritative.
    answer.aa = answer.aa and question.rclass != RRClass.ANY
    return answer


def _answer_name(answer: Answer, zone: Zone, qname: Name, qtype: int) -> Name | None:
    """Add the answer for one name (RFC 1034 section 4.3.2 step 3); return the target of an alias, else None."""
    match = zone.find(qname, at_parent=qtype == RRType.DS)
    answer.matches.append((zone, qname, match))
    if match.kind is MatchKind.DELEGATION:
        answer.authority.append(match.node[RRType.NS])
        return None
    # RFC 1035 section 4.1.1: AA is about the qname, the first name of an alias chain.
    answer.aa = True
    if match.kind is MatchKind.DNAME:
        return _answer_dname(answer, match.node[RRType.DNAME], qname, qtype)
    if match.kind is MatchKind.MISSING:
        answer.rcode = Rcode.NXDOMAIN
        answer.authority.append(zone.negative_soa)
        return None
    return _answer_node(answer, zone, match, qname, qtype)


def _answer_node(answer: Answer, zone: Zone, match: Match, qname: Name, qtype: int) -> Name | None:
    """Add the answer of the node of the qname, or of its wildcard; return the target of an alias, else None."""
    alias = match.node.get(RRType.CNAME)
    rrsets = rrsets_of_type(zone, match, qtype)
    # RFC 4035 section 2.5: the owner of a CNAME also has RRSIG and NSEC records.
    if alias is not None and not rrsets:
        answer.answers.append(_expanded(alias, match, qname))
        rdata = alias.rdatas[0]
        return rdata.target if isinstance(rdata, SingleName) else None
    answer.answers += [_expanded(rrset, match, qname) for rrset in rrsets]
    if not rrsets:
        answer.authority.append(zone.negative_soa)
    return None


def rrsets_of_type(zone: Zone, match: Match, qtype: int) -> list[RRset]:
    """Return the RRsets of a node for a query type; for ANY all of them, for RRSIG all signatures."""
    signatures = zone.signatures.get(match.name.folded, {}).values() if qtype in (RRType.RRSIG, RRType.ANY) else ()
    # A response to ANY has all RRsets of the name, as in RFC 1034; RFC 8482 section 4 permits it.
    if qtype == RRType.ANY:
        return [*match.node.values(), *signatures]
    rrset = match.node.get(qtype)
    return [*signatures] if rrset is None else [rrset]


def _expanded(rrset: RRset, match: Match, qname: Name) -> RRset:
    """Return a wildcard's RRset with the qname as owner (RFC 4592 section 3.3.1); other RRsets unchanged."""
    return rrset.renamed(qname) if match.kind is MatchKind.WILDCARD else rrset


def _answer_dname(answer: Answer, dname: RRset, qname: Name, qtype: int) -> Name | None:
    """Add the DNAME and a synthesized CNAME to the answer, and return the CNAME's target (RFC 6672 section 3.2).

    If the target is too long, the rcode is YXDOMAIN. Returns None then, and if the alias itself was queried for.
    """
    answer.answers.append(dname)
    synthesized = synthesize_cname(dname, qname)
    if synthesized is None:
        answer.rcode = Rcode.YXDOMAIN
        return None
    cname, target = synthesized
    answer.answers.append(cname)
    answer.spells_qname = True
    # The alias chain ends for a query for CNAME, and, as in NSD, for a DNAME that leads below itself repeatedly.
    answer.leaves = qtype == RRType.CNAME or target.is_below(dname.name)
    return None if qtype in (RRType.CNAME, RRType.ANY) else target


def _add_name_servers(answer: Answer, zone: Zone) -> None:
    """Add the zone's NS set to the authority section, unless it is in the answer (RFC 1034 section 3.7)."""
    ns = zone.apex[RRType.NS]
    if all(rrset is not ns for rrset in answer.answers):
        answer.authority.append(ns)


def _add_additional(answer: Answer, zone: Zone) -> None:
    """Add the addresses of the hosts in NS, MX and SRV records (RFC 1034 section 4.3.2 step 6).

    The addresses are from the zone of the last name, including glue for NS; data of other zones is out of bailiwick.
    """
    present = {(rrset.name, rrset.rtype) for rrset in answer.answers}
    for rrset in (*answer.answers, *answer.authority):
        if rrset.rtype not in HOST_TYPES:
            continue
        for rdata in rrset.rdatas:
            for addresses in zone.addresses(host_of(rdata), with_glue=rrset.rtype == RRType.NS):
                if (addresses.name, addresses.rtype) not in present:
                    present.add((addresses.name, addresses.rtype))
                    answer.additional.append(addresses)


def host_of(rdata: Rdata) -> Name:
    """Return the host name in the rdata of an NS, MX or SRV record; the root for any other type."""
    if isinstance(rdata, MX):
        return rdata.exchange
    return rdata.target if isinstance(rdata, SRV | SingleName) else ROOT
