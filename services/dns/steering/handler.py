"""The handler of a CDN's name server: zones answer as always, and the names of the region map by who asks.

    www.cdn.net A?  from 10.8.1.53, or for 10.8.1.0/24     ->  www.cdn.net 2 A 10.8.1.10

RFC 7871 section 7.2.1: the option decides where it has an address, else the address of the asker, which mostly is a
resolver's; every answer to a query with the option has one, of scope 0 where nothing was chosen. Section 7.4: answers
of nothing have scope 0. An alias for such a name, in a zone of this server, is answered with the alias alone, so that
what is chosen is kept with its own scope. SERVFAIL, and never an answer of nothing, is what is left when no replica is
up and the map names no origin. RFC 8482: ANY gets the addresses, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from services.dns.address_space import VERSIONS, Address, host_address
from services.dns.codec.client_subnet import Said, said_in, with_subnet
from services.dns.codec.codes import Rcode, RRClass, RRType, rcode_to_text, type_to_text
from services.dns.codec.errors import WireError
from services.dns.codec.message import Message
from services.dns.codec.name import Name
from services.dns.codec.rdata import AAAA, OneName, Rdata
from services.dns.codec.rdata import A as AData
from services.dns.codec.records import Question, RRset
from services.dns.server.responder import Client
from services.dns.steering.placement import Choice, Place, Placement
from services.dns.steering.region_map import RegionMap
from services.dns.zones.handler import Authority, response
from services.dns.zones.lookup import Answer
from services.dns.zones.zone import Kind, Zones

_FAMILIES: dict[int, int] = {4: RRType.A, 6: RRType.AAAA}
# Takes what one answer by region came to, as an event's values.
Note = Callable[[dict[str, object]], None]


@dataclass(frozen=True, slots=True)
class _Asker:
    """Whom an answer is for: the address that decides, and whether a client subnet gave it."""

    address: Address
    said: Said | None

    @property
    def by_subnet(self) -> bool:
        return self.said is not None and self.said.network is not None


class TailoringAuthority:
    """Answers from zones, and for the names of a map by placement; `note` is told each answer by region."""

    def __init__(self, authority: Authority, regions: RegionMap, placement: Placement, note: Note) -> None:
        self._authority = authority
        self._map = regions
        self._placement = placement
        self._note = note

    def __call__(self, query: Message, client: Client) -> Message:
        """Return the response to a query."""
        try:
            said = said_in(query)
        except WireError:
            return query.reply(Rcode.FORMERR)
        question = query.questions[0]
        answer = self._authority.answer(question)
        last = _last_name(question, answer)
        scope = 0
        if last in self._map.names and question.rclass == RRClass.IN:
            scope = self._tailor(answer, question, last, _asker(client, said), client)
        return with_subnet(query, response(query, answer), said, scope)

    def _tailor(self, answer: Answer, question: Question, name: Name, asker: _Asker, client: Client) -> int:
        """Put what the map says of a name into an answer; returns its scope."""
        if answer.answers and question.rtype != RRType.ANY and question.name != name:
            # The alias alone; whoever wants the addresses asks for them.
            answer.authority.clear()
            return 0
        wanted = [version for version in VERSIONS if self._wants(question.rtype, version)]
        if not wanted:
            return 0
        place = self._placement.place(asker.address)
        choices = [self._placement.choose(place.region, version) for version in wanted]
        _fill(answer, name, self._map.ttl, wanted, choices)
        scope = place.network.prefixlen if asker.by_subnet and answer.rcode == Rcode.NOERROR else 0
        self._note(_described(question, client, asker, place, choices, answer.rcode, scope))
        return scope

    def _wants(self, rtype: int, version: int) -> bool:
        return version in self._placement.versions and rtype in (_FAMILIES[version], RRType.ANY)


def add_names(zones: Zones, regions: RegionMap) -> None:
    """Have the names of a map exist in the zones; raises RegionMapError where a zone has other plans for one."""
    for name, line in regions.names.items():
        zone = zones.closest(name)
        if zone is None:
            raise regions.error(line, f"{name} lies in no zone that is served here")
        zone.add_name(name)
        match = zone.find(name)
        if match.kind is not Kind.EXACT:
            raise regions.error(line, f"{name} lies below {match.name}, which the zone {zone.origin} gives away")
        for rtype in (RRType.A, RRType.AAAA, RRType.CNAME):
            if rtype in match.node:
                raise regions.error(line, f"{name} has a record {type_to_text(rtype)} in the zone {zone.origin}")


def _last_name(question: Question, answer: Answer) -> Name:
    """Return where the chain of aliases in an answer ends."""
    if not answer.answers or question.rtype in (RRType.CNAME, RRType.ANY):
        return question.name
    last = answer.answers[-1]
    data = last.rdatas[0]
    return data.target if last.rtype == RRType.CNAME and isinstance(data, OneName) else question.name


def _asker(client: Client, said: Said | None) -> _Asker:
    network = None if said is None else said.network
    return _Asker(host_address(client.host) if network is None else network.network_address, said)


def _fill(answer: Answer, name: Name, ttl: int, wanted: Sequence[int], choices: Sequence[Choice]) -> None:
    answer.authority.clear()
    if not all(choice.addresses for choice in choices):
        answer.rcode, answer.aa = Rcode.SERVFAIL, False
        answer.answers.clear()
        return
    for version, choice in zip(wanted, choices, strict=True):
        rdatas = tuple(_rdata(address) for address in choice.addresses)
        answer.answers.append(RRset(name, _FAMILIES[version], RRClass.IN, ttl, rdatas))


def _rdata(address: Address) -> Rdata:
    return AData(address) if address.version == 4 else AAAA(address)


def _described(
    question: Question,
    client: Client,
    asker: _Asker,
    place: Place,
    choices: Sequence[Choice],
    rcode: int,
    scope: int,
) -> dict[str, object]:
    subnet = asker.said.network if asker.said is not None else None
    return {
        "qname": str(question.name),
        "qtype": type_to_text(question.rtype),
        "peer": client.host,
        "subnet": None if subnet is None else str(subnet),
        "region": place.region,
        "network": str(place.network),
        "served_by": [choice.served_by or "otherwise" for choice in choices],
        "addresses": [str(address) for choice in choices for address in choice.addresses],
        "rcode": rcode_to_text(rcode),
        "scope": scope,
    }
