"""Authoritative request handler: returns the response to a query from the zones of the server.

    respond = AuthoritativeResponder(Authority(zones))
    respond(octets, Client("192.0.2.9", 53124))     -> the encoded response

Authority maps a query Message to a response Message by the lookup of RFC 1034 section 4.3.2 (zones.zone).
AuthoritativeResponder does the same for octets and adds the response cache and the rotation of address sets (RFC 1794
section 3: each response begins one address further on). RA is never set, because this server does no recursion.
"""

from dataclasses import replace
from enum import Enum

from lab7.services.dns.codec.codes import ADDRESS_TYPES, META_TYPES, Rcode, RRType
from lab7.services.dns.codec.message import EDNS, Message, Question, records_of
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError
from lab7.services.dns.server.responder import STATIC_RESPONSES_MAX, Client, ServerCodec, StaticResponseCache
from lab7.services.dns.zones.denial import Denials, secured
from lab7.services.dns.zones.transfer import Transfers
from lab7.services.dns.zones.zone import Answer, Completeness, Zones, answer_question

# Maximum number of questions whose rotation counter is stored.
QUESTIONS_MAX = 65_536

_TRANSFERS = (RRType.AXFR, RRType.IXFR)
# RFC 6895 section 3.1: query types that request an operation which this server does not implement.
# Types that no query may have: OPT belongs to the additional section, NXNAME to type bitmaps (RFC 9824 section 3.5).
_INVALID = (RRType.OPT, RRType.NXNAME)
_NOT_IMPLEMENTED = META_TYPES - {RRType.ANY, *_INVALID, *_TRANSFERS}


class MinimalResponses(Enum):
    """Values of the option --minimal-responses: when the server leaves optional records out, as in BIND's option."""

    YES = "yes"
    NO = "no"
    NO_AUTH = "no-auth"
    # BIND's default omits the NS set if RD is set: a stub cannot use the NS set, a resolver, which clears RD, can.
    NO_AUTH_RECURSIVE = "no-auth-recursive"


_COMPLETENESS = {
    MinimalResponses.YES: (Completeness.REQUIRED, Completeness.REQUIRED),
    MinimalResponses.NO: (Completeness.NAME_SERVERS, Completeness.NAME_SERVERS),
    MinimalResponses.NO_AUTH: (Completeness.ADDRESSES, Completeness.ADDRESSES),
    MinimalResponses.NO_AUTH_RECURSIVE: (Completeness.NAME_SERVERS, Completeness.ADDRESSES),
}


class Authority:
    """Handler that answers queries from the zones of an authoritative server."""

    def __init__(self, zones: Zones, minimal: MinimalResponses = MinimalResponses.NO_AUTH) -> None:
        self.zones = zones
        self._completeness = _COMPLETENESS[minimal]
        self._denials = Denials()

    def __call__(self, query: Message, _: Client) -> Message:
        """Return the response to a query; RRsets of addresses are in the order of the zone."""
        return response(query, self.answer(query.questions[0], query.rd, dnssec_ok(query)))

    def answer(self, question: Question, recursion_desired: bool = True, dnssec_ok: bool = False) -> Answer:
        """Return the sections that answer a question; with `dnssec_ok`, they include a signed zone's DNSSEC records."""
        if question.rtype in _TRANSFERS:
            # RFC 5936 section 4.2: AXFR over UDP is refused; zones.transfer handles transfers over TCP.
            return Answer(Rcode.REFUSED)
        if question.rtype in _NOT_IMPLEMENTED:
            return Answer(Rcode.NOTIMP)
        if question.rtype in _INVALID:
            return Answer(Rcode.FORMERR, error=ExtendedError(ErrorCode.INVALID_QUERY_TYPE))
        answer = answer_question(self.zones, question, self._completeness[recursion_desired])
        return secured(answer, question, self._denials) if dnssec_ok else answer


def dnssec_ok(query: Message) -> bool:
    """Tell whether a query has DO set: its sender accepts DNSSEC records (RFC 3225 section 3)."""
    return query.edns is not None and query.edns.do


def response(query: Message, answer: Answer, rotation: int = 0) -> Message:
    """Return the response message with the sections of an answer; RRsets of addresses are rotated by `rotation`."""
    return replace(
        query.reply(answer.rcode),
        aa=answer.aa,
        answers=records_of(rrset.rotated(rotation) for rrset in answer.answers),
        authority=records_of(answer.authority),
        additional=records_of(answer.additional),
        edns=None if answer.error is None else EDNS(options=(answer.error.to_option(),)),
    )


def rotation_count(answer: Answer) -> int:
    """Return the number of different rotations of the addresses in an answer; 1 without addresses."""
    sizes = {len(rrset.rdatas) for rrset in answer.answers if rrset.rtype in ADDRESS_TYPES}
    product = 1
    for size in sizes:
        product *= size
    return product


def _no_response(data: bytes) -> None:
    """Return None: the response lookup of a server without response cache."""
    del data


class AuthoritativeResponder:
    """Responder of an authoritative server: converts query octets to response octets, with a response cache.

    If `rotate`, each response begins with the next address of a set. `responses_max` 0 disables the cache: each
    response is encoded anew, with the same octets.
    """

    def __init__(
        self,
        authority: Authority,
        codec: ServerCodec | None = None,
        rotate: bool = True,
        responses_max: int = STATIC_RESPONSES_MAX,
        transfers: Transfers | None = None,
    ) -> None:
        self._transfers = transfers
        self._authority = authority
        self._codec = codec or ServerCodec()
        self._rotate = rotate
        self._cache = StaticResponseCache(responses_max)
        self._counters: dict[tuple[tuple[bytes, ...], int], list[int]] = {}
        # DNSServer calls this cache lookup first for each datagram. Queries with a cookie are never in the cache.
        self.cached = _no_response if self._codec.requires_cookie else self._cache.get

    def __call__(self, data: bytes, client: Client) -> bytes | None:
        """Return the encoded response to a query; None if the query is dropped."""
        if client.over_tcp:
            return self._respond(data, client)
        return self.cached(data) or self._respond(data, client)

    def _respond(self, data: bytes, client: Client) -> bytes | None:
        query = self._codec.decode(data, client)
        if not isinstance(query, Message):
            return query
        if self._transfers is not None and query.questions[0].rtype == RRType.IXFR and not client.over_tcp:
            reply = self._transfers.by_datagram(query, client, self._codec.udp_size_max)
            return self._codec.encode(query, reply, client)
        answer = self._authority.answer(query.questions[0], query.rd, dnssec_ok(query))
        count = rotation_count(answer) if self._rotate else 1
        counter = self._counter(query) if count > 1 else [0]
        rotation = counter[0]
        counter[0] = rotation + 1
        # A response whose rdata repeats the qname (DNAME) is not cached: it would have to follow each query's case.
        if not (client.over_tcp or answer.spells_qname) and self._cache.accepts(data, query, count):
            rotations = [self._encode(query, answer, client, number) for number in range(count)]
            self._cache.put(data, query, rotations, counter)
        return self._encode(query, answer, client, rotation)

    def _encode(self, query: Message, answer: Answer, client: Client, rotation: int) -> bytes:
        return self._codec.encode(query, response(query, answer, rotation), client)

    def _counter(self, query: Message) -> list[int]:
        """Return the counter that determines the rotation of addresses in the next answer to the same question."""
        question = query.questions[0]
        if len(self._counters) >= QUESTIONS_MAX:
            self._counters.clear()
        return self._counters.setdefault((question.name.folded, question.rtype), [0])
