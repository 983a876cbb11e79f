"""Request-routing handler of a CDN: answers names of replicated sites by the client's network, other names from zones.

    query    www.cdn.net A, from 10.8.1.53 or with client subnet 10.8.1.0/24
    answer   www.cdn.net A 10.8.1.10, with a TTL of 2 s

The region map (steering.region_map) lists the replicated names, the regions with their client networks, and the
replicas (servers with copies of the content). RFC 7871 section 7.2.1: the client subnet in the query determines the
region. A query without it is answered by its source address, which is mostly the address of a resolver. The response to
a query with the option has the option, with scope 0 if the answer does not depend on the region; negative answers also
have scope 0 (section 7.4).

An alias for a name of the region map, in a zone of this server, is answered without its target: the resolver then
queries for the target, and caches the answer by region with the scope of that answer. If no replica is up and the map
has no origin, the answer is SERVFAIL, and not NODATA, which resolvers would cache. ANY gets the addresses, too (RFC
8482).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab7.services.dns.address_space import VERSIONS, Address, host_address
from lab7.services.dns.codec.client_subnet import QuerySubnet, query_subnet, with_subnet
from lab7.services.dns.codec.codes import Rcode, RRClass, RRType, rcode_to_text, type_to_text
from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.fields import Rdata
from lab7.services.dns.codec.message import Message, Question, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.codec.rdata import AAAA, SingleName
from lab7.services.dns.codec.rdata import A as AData
from lab7.services.dns.server.responder import Client
from lab7.services.dns.steering.placement import Choice, Location, Placement
from lab7.services.dns.steering.region_map import RegionMap
from lab7.services.dns.zones.handler import Authority, response
from lab7.services.dns.zones.zone import Answer, MatchKind, Zones

_FAMILIES: dict[int, int] = {4: RRType.A, 6: RRType.AAAA}
# Callback with the log fields of each answer by region.
LogAnswer = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class _Requester:
    """The address that determines a client's region, and the client subnet option of the query, if it has one.

    The address is that of the option if it has a network, else the source address of the query.
    """

    address: Address
    subnet: QuerySubnet | None

    @property
    def by_subnet(self) -> bool:
        return self.subnet is not None and self.subnet.network is not None


class SteeringHandler:
    """Request handler of a CDN's name server: answers the region map's names with addresses for the client's region.

    All other names are answered from the zones. `log_answer` is called for each answer by region.
    """

    def __init__(self, authority: Authority, regions: RegionMap, placement: Placement, log_answer: LogAnswer) -> None:
        self._authority = authority
        self._map = regions
        self._placement = placement
        self._log_answer = log_answer

    def __call__(self, query: Message, client: Client) -> Message:
        """Return the response to a DNS query."""
        try:
            subnet = query_subnet(query)
        except WireError:
            return query.reply(Rcode.FORMERR)
        question = query.questions[0]
        answer = self._authority.answer(question)
        last = _last_name(question, answer)
        scope = 0
        if last in self._map.names and question.rclass == RRClass.IN:
            scope = self._answer_by_region(answer, question, last, _requester(client, subnet), client)
        return with_subnet(query, response(query, answer), subnet, scope)

    def _answer_by_region(
        self, answer: Answer, question: Question, name: Name, requester: _Requester, client: Client
    ) -> int:
        """Add the addresses chosen for the client's region to an answer; return the scope prefix length."""
        if answer.answers and question.rtype != RRType.ANY and question.name != name:
            # Only the alias is returned; the resolver queries for its target separately.
            answer.authority.clear()
            return 0
        versions = [version for version in VERSIONS if self._is_queried(question.rtype, version)]
        if not versions:
            return 0
        location = self._placement.locate(requester.address)
        choices = [self._placement.choose(location.region, version) for version in versions]
        _fill(answer, name, self._map.ttl, versions, choices)
        scope = location.network.prefixlen if requester.by_subnet and answer.rcode == Rcode.NOERROR else 0
        self._log_answer(_log_fields(question, client, requester, location, choices, answer.rcode, scope))
        return scope

    def _is_queried(self, rtype: int, version: int) -> bool:
        return version in self._placement.versions and rtype in (_FAMILIES[version], RRType.ANY)


def add_names(zones: Zones, regions: RegionMap) -> None:
    """Add the names of a region map to the zones, without records.

    Raises RegionMapError if a name is in no zone, or if the zone has other data for it.
    """
    for name, line in regions.names.items():
        zone = zones.closest(name)
        if zone is None:
            raise regions.error(line, f"{name} is outside of the zones of this server")
        zone.add_name(name)
        match = zone.find(name)
        if match.kind is not MatchKind.EXACT:
            raise regions.error(line, f"{name} is below {match.name}, which has NS or DNAME records in {zone.origin}")
        for rtype in (RRType.A, RRType.AAAA, RRType.CNAME):
            if rtype in match.node:
                raise regions.error(line, f"{name} has a record {type_to_text(rtype)} in the zone {zone.origin}")


def _last_name(question: Question, answer: Answer) -> Name:
    """Return the last name of the alias chain in an answer; the qname if it has no alias."""
    if not answer.answers or question.rtype in (RRType.CNAME, RRType.ANY):
        return question.name
    last = answer.answers[-1]
    rdata = last.rdatas[0]
    return rdata.target if last.rtype == RRType.CNAME and isinstance(rdata, SingleName) else question.name


def _requester(client: Client, subnet: QuerySubnet | None) -> _Requester:
    network = None if subnet is None else subnet.network
    return _Requester(host_address(client.host) if network is None else network.network_address, subnet)


def _fill(answer: Answer, name: Name, ttl: int, versions: Sequence[int], choices: Sequence[Choice]) -> None:
    answer.authority.clear()
    if not all(choice.addresses for choice in choices):
        answer.rcode, answer.aa = Rcode.SERVFAIL, False
        answer.answers.clear()
        return
    for version, choice in zip(versions, choices, strict=True):
        rdatas = tuple(_rdata(address) for address in choice.addresses)
        answer.answers.append(RRset(name, _FAMILIES[version], RRClass.IN, ttl, rdatas))


def _rdata(address: Address) -> Rdata:
    return AData(address) if address.version == 4 else AAAA(address)


def _log_fields(
    question: Question,
    client: Client,
    requester: _Requester,
    location: Location,
    choices: Sequence[Choice],
    rcode: int,
    scope: int,
) -> dict[str, object]:
    subnet = requester.subnet.network if requester.subnet is not None else None
    return {
        "qname": str(question.name),
        "qtype": type_to_text(question.rtype),
        "peer": client.host,
        "subnet": None if subnet is None else str(subnet),
        "region": location.region,
        "network": str(location.network),
        "served_by": [choice.served_by or "otherwise" for choice in choices],
        "addresses": [str(address) for choice in choices for address in choice.addresses],
        "rcode": rcode_to_text(rcode),
        "scope": scope,
    }
