"""Request handler of the resolver, from query to response: access list, RD and RA, client subnet, response cache.

    query  www.example.com. A  rd  from 10.0.0.5   ->  scheduler.resolve()   ->  response with RA, without AA

The scheduler (recursion.scheduler) runs the resolutions. RFC 1034 section 4.3.1: RA is set; a query without RD is
answered from the caches, without upstream queries. RFC 2181 section 5.4.1: no AA, because the data is not authoritative
here. RFC 8482: ANY is resolved like any other type. RFC 5358 section 4: clients outside the access list get REFUSED, so
that the resolver is of no use as an amplifier. Queries for classes other than IN and for zone transfers get REFUSED as
well, queries for other meta-types NOTIMP or FORMERR, as from an authoritative server.

A validating resolver sends DO and stores signatures always, other resolvers only for clients that set DO, so that
ordinary lookups are easy to read in a capture. RFC 4035 section 3.2.1 requires DO in all queries; the answers are the
same. Queries with CD get data that is not validated (section 3.2.2).

EDNS Client Subnet (RFC 7871 sections 7.1.1 and 7.2.2): if the query of a client has the option, the resolver sends the
network in the option upstream instead of the client's address, truncated to the resolver's maximum prefix length. The
response to the client then has the option, too.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Protocol

from lab7.services.bounded_dict import BoundedDict
from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import QuerySubnet, query_subnet, with_subnet
from lab7.services.dns.codec.codes import META_TYPES, Rcode, RRClass, RRType
from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.message import EDNS, Message, Question, Record, RRset
from lab7.services.dns.recursion.context import ResolverContext
from lab7.services.dns.recursion.iterator import Result, from_cache
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError
from lab7.services.dns.security.secured import SecuredRRset, is_implied
from lab7.services.dns.server.responder import AgingResponseCache, Client, Handled, Responder, Response

# Networks that may query by default: private and shared (RFC 1918, RFC 4193, RFC 6598), link-local, loopback.
# Networks for documentation and benchmarks (RFC 5737, RFC 2544, RFC 3849) are included: topologies use them.
PRIVATE = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "192.0.2.0/24",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "198.18.0.0/15",
        "::1/128",
        "fe80::/10",
        "fc00::/7",
        "2001:db8::/32",
    )
)
# Maximum number of clients whose access decision is cached.
CLIENTS_MAX = 4096
# Query types that are refused: zone transfers, for which this server has no zones.
NOT_RESOLVED = frozenset({RRType.IXFR, RRType.AXFR})
# Types that no query may have: OPT belongs to the additional section, NXNAME to type bitmaps (RFC 9824 section 3.5).
_INVALID = (RRType.OPT, RRType.NXNAME)
# Exclusive upper bound of the random number by which an address set is rotated; larger than the size of any set.
ROTATIONS = 1 << 16

Now = Callable[[], float]


class AccessList:
    """Access list: the networks whose clients may query; the decision for each address is cached."""

    def __init__(self, networks: Sequence[Network] = PRIVATE) -> None:
        self._networks = networks
        self._decisions: BoundedDict[str, bool] = BoundedDict(CLIENTS_MAX)

    def allows(self, host: str) -> bool:
        """Tell whether the client at an address may query."""
        decision = self._decisions.get(host)
        if decision is None:
            decision = self._decide(host)
            self._decisions.put(host, decision)
        return decision

    def _decide(self, host: str) -> bool:
        address = ip_address(host.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks)


class Resolve(Protocol):
    """Interface of a function that resolves a question, such as Scheduler.resolve.

    The handler calls the function for each query.
    """

    def __call__(self, question: Question, client: str, *, subnet: Network | None = None) -> Result | Awaitable[Result]:
        """Return the result of a resolution, or an awaitable if it is not cached; `subnet` is the client's network."""


# A context and the function that resolves with it.
Resolver = tuple[ResolverContext, Resolve]


class RecursionHandler:
    """Request handler of a resolver: answers each client query with the result of `resolve`.

    `variants` maps the flags (DO, CD) of a query to another such function, for queries that need signatures or no
    validation.
    """

    def __init__(
        self,
        context: ResolverContext,
        resolve: Resolve,
        access: AccessList,
        now: Now,
        variants: Mapping[tuple[bool, bool], Resolver] | None = None,
    ) -> None:
        self._context = context
        self._default: Resolver = context, resolve
        self._variants = {} if variants is None else variants
        self._access = access
        self._now = now

    def __call__(self, query: Message, client: Client) -> Handled:
        """Return the response to a query, or an awaitable of the response."""
        if not self._access.allows(client.host):
            # RFC 8914 section 4.19
            refused = Result(Rcode.REFUSED, extended_error=ExtendedError(ErrorCode.PROHIBITED))
            return replace(query.reply(Rcode.REFUSED), edns=_edns_with_error(query, refused))
        if self._context.ecs_cache is None:
            return self._answer(query, client, None, None)
        try:
            option = query_subnet(query)
        except WireError:
            # RFC 7871 section 7.2.1
            return query.reply(Rcode.FORMERR)
        return self._answer(query, client, option, self._context.ecs_cache.policy.subnet_for(client.host, option))

    def _answer(self, query: Message, client: Client, option: QuerySubnet | None, subnet: Network | None) -> Handled:
        question = query.questions[0]
        if question.rclass != RRClass.IN or question.rtype in NOT_RESOLVED:
            return self._reply(query, Result(Rcode.REFUSED), option)
        if question.rtype in _INVALID:
            error = ExtendedError(ErrorCode.INVALID_QUERY_TYPE)
            return self._reply(query, Result(Rcode.FORMERR, extended_error=error), option)
        if question.rtype in META_TYPES and question.rtype != RRType.ANY:
            return self._reply(query, Result(Rcode.NOTIMP), option)
        context, resolve = self._variants.get((_dnssec_ok(query), query.cd), self._default)
        if not query.rd:
            return self._reply(query, from_cache(context, question, self._now(), subnet), option)
        result = resolve(question, client.host, subnet=subnet)
        return self._reply(query, result, option) if isinstance(result, Result) else self._wait(query, result, option)

    async def _wait(self, query: Message, result: Awaitable[Result], option: QuerySubnet | None) -> Message:
        return self._reply(query, await result, option)

    def _reply(self, query: Message, result: Result, option: QuerySubnet | None) -> Message:
        # The addresses in an upstream server's answer keep that server's order; those from the cache are rotated.
        rotation = 0 if result.queries else self._context.random.randrange(ROTATIONS)
        reply = recursive_reply(query, result, rotation)
        return reply if option is None else with_subnet(query, reply, option, result.scope)


def _dnssec_ok(query: Message) -> bool:
    return query.edns is not None and query.edns.do


def _edns_with_error(query: Message, result: Result) -> EDNS | None:
    """Return the EDNS of a response with its extended DNS error (RFC 8914 section 2); None without an error.

    A query without EDNS gets no extended error.
    """
    if query.edns is None or result.extended_error is None:
        return None
    return EDNS(options=(result.extended_error.to_option(),))


def recursive_reply(query: Message, result: Result, rotation: int = 0) -> Message:
    """Return the response message for the result of a resolution; RRsets of addresses are rotated by `rotation`.

    The message has AD if the data was validated, the DNSSEC records if DO is set, and an extended error. RFC 4035
    sections 3.2.1 and 3.2.3; RFC 6840 section 5.8 (AD if the query has DO or AD), RFC 8914 section 2.
    """
    dnssec_ok = _dnssec_ok(query)
    answers, authority, proofs = list[Record](), list[Record](), dict[RRset, None]()
    for section, rrsets in ((answers, result.answers), (authority, result.authority)):
        for rrset in rrsets:
            if section is authority and rrset.rtype in (RRType.NSEC, RRType.NSEC3) and not dnssec_ok:
                # The proof of a negative answer without an SOA (RFC 4035 section 3.2.1).
                continue
            section += rrset.rotated(rotation).records()
            section += _signature_records(rrset) if dnssec_ok else ()
            proofs |= dict.fromkeys(rrset.proof if isinstance(rrset, SecuredRRset) else ())
    for proof in proofs if dnssec_ok else ():
        authority += [*proof.records(), *_signature_records(proof)]
    secure = result.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN) and _is_secure(
        result.answers, result.authority
    )
    # Data with an extended error is stale, or not validated.
    secure = secure and result.extended_error is None
    return replace(
        query.reply(result.rcode),
        ra=True,
        ad=secure and (dnssec_ok or query.ad) and not query.cd,
        answers=tuple(answers),
        authority=tuple(authority),
        edns=_edns_with_error(query, result),
    )


def _signature_records(rrset: RRset) -> Iterator[Record]:
    """Yield the RRSIG records of a secured RRset, with the TTL of the RRset; nothing if it has no signatures."""
    if isinstance(rrset, SecuredRRset):
        for signature in rrset.signatures:
            yield Record(rrset.name, RRType.RRSIG, rrset.rclass, rrset.ttl, signature)


def _is_secure(answers: Iterable[RRset], authority: Iterable[RRset] = ()) -> bool:
    """Tell whether all RRsets of a response are secure (RFC 4035 section 3.2.3, RFC 6840 section 5.8).

    A CNAME synthesized from a DNAME has no signature; it is secure if the DNAME is (RFC 6672 section 5.3.1).
    """
    dname: RRset | None = None
    count = 0
    for rrset in (*answers, *authority):
        count += 1
        if dname is not None and is_implied(rrset, dname):
            continue
        if not (isinstance(rrset, SecuredRRset) and rrset.secure):
            return False
        dname = rrset if rrset.rtype == RRType.DNAME else None
    return count > 0


class RecursiveResponder:
    """Responder of a resolver: converts query octets to response octets, by a response cache or else `responder`."""

    def __init__(self, responder: Responder, access: AccessList, now: Now, cache: AgingResponseCache) -> None:
        self._access = access
        self._now = now
        self._cache = cache
        self._responder = responder

    def __call__(self, data: bytes, client: Client) -> Response:
        """Return the encoded response; None to drop the query; or an awaitable of either."""
        codec = self._responder.codec
        if not (client.over_tcp or codec.requires_cookie) and self._access.allows(client.host):
            cached = self._cache.get(data, self._now())
            if cached is not None:
                return cached
        query = codec.decode(data, client)
        if not isinstance(query, Message):
            return query
        response = self._responder.respond(query, client)
        if client.over_tcp or not query.rd:
            return response
        if response is None or isinstance(response, bytes):
            return self._stored(data, query, response)
        return self._stored_later(data, query, response)

    def _stored(self, data: bytes, query: Message, wire: bytes | None) -> bytes | None:
        if wire is not None and query.questions[0].rtype != RRType.ANY:
            self._cache.put(data, query, wire, self._now())
        return wire

    async def _stored_later(self, data: bytes, query: Message, response: Awaitable[bytes | None]) -> bytes | None:
        return self._stored(data, query, await response)
