"""Upstream queries: the query to one server, its outcome, response matching, retries, and the query budget.

UpstreamQuery is one query, and Replied, Mismatched, TimedOut or Unreachable its outcome. ResponseMatcher encodes the
query and accepts the matching response. Exchange repeats a query to one server until it has a usable response
(Unbound's "serviced query"). After a truncated response it repeats the query over TCP. To a server that does not
support EDNS, client subnets or random case, it repeats the query without them. QueryBudget bounds the work for one
client question.

RFC 5452 section 9.1: id, question, address and port must match; the transport's connected socket checks the last two. A
datagram with another id is dropped, and the wait for the response continues. The case of the qname is random ("0x20",
draft-vixie-dnsext-dns0x20), and a spoofed response must match the case, too. A response with the right id that does not
match otherwise is either spoofed, or from a server that will not respond better. After such a response, the resolver
waits for the genuine response for MISMATCH_GRACE_S, and then repeats the query at once:

- Without random case, if only the case differs. A second response with the same content comes from a server that does
  not preserve case: an attacker would have had to guess two ids and two ports. If the content differs, the query is
  repeated once more over TCP, which cannot be spoofed off path.
- Over TCP, if the response has no question or another question; over TCP and without EDNS, if it is malformed. As in
  Unbound and BIND, only an error response may lack the question (RFC 6891 section 7); an answer without a question is
  never used.

Octets after a message are ignored. RFC 6891 section 6.2.2: a server that returns an error for EDNS is retried without
EDNS; a server that drops queries with EDNS counts as dead, as agreed on the DNS flag day 2019. RFC 7766 section 5: TC
leads to TCP. RFC 7871 section 7.3: an unsolicited client subnet is ignored, and a server that refuses a query with the
option is retried without the option.

RFC 1034 section 5.3.3 ("bound the amount of work") requires the budget; CVE-2014-8500 (endless delegations) and
CVE-2020-12662 (NXNSAttack: many name servers without addresses) are attacks on resolvers without a budget.
"""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from random import Random
from typing import TypeVar

from lab7.services.dns.address_space import EVERYTHING, Network
from lab7.services.dns.codec.client_subnet import OPTION_CLIENT_SUBNET, ClientSubnet, response_subnet
from lab7.services.dns.codec.codes import Opcode, Rcode
from lab7.services.dns.codec.errors import WireError
from lab7.services.dns.codec.message import EDNS, HEADER_OCTETS, UDP_SIZE_DEFAULT, Message, Question, Record, rrsets_of
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import Delegation, InfraEntry, Service
from lab7.services.dns.recursion.context import ResolverContext
from lab7.services.dns.security.extended_error import ExtendedError
from lab7.services.dns.security.signature import ValidationBudget

T = TypeVar("T")

# Maximum number of upstream queries per question: BIND's max-recursion-queries (CVE-2014-8500), PowerDNS's max-qperq.
QUERIES_MAX = 50
# Maximum nesting of resolutions of name server addresses: BIND's max-recursion-depth.
DEPTH_MAX = 7
# Maximum number of name server addresses resolved per question, against NXNSAttack: PowerDNS's max-ns-address-qperq.
HOST_LOOKUPS_MAX = 10
# Time limit of the resolution of a question, in seconds: BIND's resolver-query-timeout.
SECONDS_MAX = 10.0
# Maximum number of queries to one server per question: UDP and TCP, each with and without EDNS, and UDP in plain case.
ATTEMPTS_MAX = 5
# With a client subnet, two more queries than ATTEMPTS_MAX are permitted, to repeat the question without the subnet.
ATTEMPTS_WITH_SUBNET_MAX = 7
# Time in seconds that the genuine response is awaited after a response with the right id that does not match otherwise.
MISMATCH_GRACE_S = 0.05
# Minimum timeout in seconds for a recursive server, which must query others first; stub resolvers wait 5 s.
RECURSION_TIMEOUT_MIN_S = 2.0

# Rcodes of servers that do not support EDNS (RFC 6891 section 7; some use NOTIMP).
_EDNS_UNSUPPORTED = (Rcode.FORMERR, Rcode.NOTIMP, Rcode.BADVERS)
# Rcodes whose responses must have a question section; responses with other rcodes may lack it.
_ANSWERS = (Rcode.NOERROR, Rcode.NXDOMAIN, Rcode.YXDOMAIN)


class ResolutionError(Exception):
    """Error for a question that cannot be resolved; the message is the reason.

    `extended_error` is the reason that an upstream server has given for its own failure.
    """

    def __init__(self, detail: str, extended_error: ExtendedError | None = None) -> None:
        super().__init__(detail)
        self.extended_error = extended_error


class UnansweredError(ResolutionError):
    """Error for a question to which no queried server has given a usable response."""


class BudgetExceededError(ResolutionError):
    """Error for a resolution that exceeds the query budget of the client's question."""


@dataclass(frozen=True, slots=True)
class UpstreamQuery:
    """One query to the server at `address`, which serves `zone`; `timeout_s` is the time to wait for the response.

    `spelling` is the qname in the case in which it is sent; with `exact_case` the response must have the same case.
    `subnet` is the client subnet option. This option and DO (`dnssec_ok`) are sent only with EDNS.
    """

    address: str
    question: Question
    spelling: Name
    zone: Name
    timeout_s: float
    tcp: bool = False
    edns: bool = True
    udp_size: int = UDP_SIZE_DEFAULT
    recursion_desired: bool = False
    exact_case: bool = False
    subnet: Network | None = None
    dnssec_ok: bool = False
    checking_disabled: bool = False


@dataclass(frozen=True, slots=True)
class Replied:
    """Outcome: a matching response after `rtt_s` seconds; `case_mangled` if it has the qname in another case."""

    message: Message
    rtt_s: float
    case_mangled: bool = False
    size_octets: int = 0


@dataclass(frozen=True, slots=True)
class Mismatched:
    """Outcome of an upstream query: the only response has the right id, but another question or other errors.

    `message` is this response if only the case of its qname differs, else None.
    """

    message: Message | None
    malformed: bool
    rtt_s: float


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Outcome: no response before the timeout."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Outcome: an ICMP error, a refused connection, or a connection closed without a response."""


Outcome = Replied | Mismatched | TimedOut | Unreachable
Steps = Generator[UpstreamQuery, Outcome, T]


class ResponseMatcher:
    """Encoder of one upstream query, and matcher that decides which received datagram is the response to it.

    `mismatched` is True after a response that has the right id and does not match otherwise.
    """

    def __init__(self, query: UpstreamQuery, message_id: int) -> None:
        self._query = query
        self._id = message_id
        self._case_mangled = False
        self._other_case: Message | None = None
        self._malformed = False
        self.mismatched = False

    def reply(self, message: Message, rtt_s: float, size_octets: int) -> Replied:
        """Return the outcome Replied for a message that accept() has accepted as the response."""
        return Replied(message, rtt_s, self._case_mangled, size_octets)

    def mismatch(self, rtt_s: float) -> Mismatched:
        """Return the outcome Mismatched: the only response had the right id and did not match otherwise."""
        return Mismatched(self._other_case, self._malformed, rtt_s)

    def to_wire(self) -> bytes:
        """Encode the query, with EDNS and client subnet if requested."""
        query = self._query
        options = () if query.subnet is None else (ClientSubnet(query.subnet).to_option(),)
        edns = EDNS(query.udp_size, do=query.dnssec_ok, options=options) if query.edns else None
        questions = (replace(query.question, name=query.spelling),)
        rd, cd = query.recursion_desired, query.checking_disabled
        return Message(id=self._id, rd=rd, cd=cd, questions=questions, edns=edns).to_wire()

    def accept(self, data: bytes) -> Message | None:
        """Decode a response; return None if it must be dropped because it does not match the query."""
        # Messages with another id, and queries, which an attacker could reflect, do not count as mismatches.
        if len(data) < HEADER_OCTETS or int.from_bytes(data[:2], "big") != self._id or not data[2] & 0x80:
            return None
        message = self._decode(data)
        self.mismatched = self.mismatched or message is None
        return message

    def _decode(self, data: bytes) -> Message | None:
        sent, qname = self._query.spelling.to_wire(), self._query.question.name.to_wire()
        question_end = HEADER_OCTETS + len(sent)
        case_preserved = data[HEADER_OCTETS:question_end] == sent
        if case_preserved:
            # The qname's original case is restored, so that names compressed to pointers at the qname have it, too.
            data = data[:HEADER_OCTETS] + qname + data[question_end:]
        try:
            message = Message.from_wire(data, ignore_trailing=True)
        except WireError:
            self._malformed = True
            return None
        if self._query.subnet is None or not self._query.edns:
            message = message.without_option(OPTION_CLIENT_SUBNET)
        elif not self._is_for_subnet(message):
            return None
        return message if self._matches(message, case_preserved) else None

    def _is_for_subnet(self, message: Message) -> bool:
        """Tell whether the response has the query's client subnet, or none (RFC 7871 section 11.2)."""
        try:
            subnet = response_subnet(message)
        except WireError:
            return False
        return subnet is None or subnet.network == self._query.subnet

    def _matches(self, message: Message, case_preserved: bool) -> bool:
        if message.opcode != Opcode.QUERY:
            return False
        # RFC 6891 section 7: a server without EDNS support may respond FORMERR with a header only.
        if not message.questions:
            return message.rcode not in _ANSWERS
        if message.questions != (self._query.question,):
            return False
        if not case_preserved and self._query.exact_case:
            self._other_case = message
            return False
        self._case_mangled = not case_preserved
        return True


def random_case(name: Name, random: Random) -> Name:
    """Return a name with each letter in random case ("0x20")."""
    return Name(tuple(_random_case(label, random) for label in name.folded))


def _random_case(label: bytes, random: Random) -> bytes:
    bits = random.getrandbits(len(label))
    return bytes(octet ^ 0x20 if 0x61 <= octet <= 0x7A and bits >> at & 1 else octet for at, octet in enumerate(label))


@dataclass(slots=True)
class QueryBudget:
    """Limits on the upstream queries for one client question, and the numbers used up so far.

    `now` is the time of the latest event. `in_progress` has all questions that are being resolved for the client
    question, to detect circular dependencies. `extended_error` is the reason for the last failure of validation.
    """

    now: float
    started: float
    queries: int = 0
    host_lookups: int = 0
    in_progress: set[tuple[Name, int]] = field(default_factory=set)
    validation: ValidationBudget = field(default_factory=ValidationBudget)
    extended_error: ExtendedError | None = None

    def spend(self, query: UpstreamQuery) -> UpstreamQuery:
        """Count one upstream query against the budget, and return the query; raises BudgetExceededError."""
        if self.queries >= QUERIES_MAX:
            raise BudgetExceededError(f"more than {QUERIES_MAX} queries for one question")
        if self.now - self.started >= SECONDS_MAX:
            raise BudgetExceededError(f"no answer within {SECONDS_MAX:.0f} s")
        self.queries += 1
        return query

    def bounded(self, timeout_s: float) -> float:
        """Return a timeout in seconds, shortened if it would end after the time limit of the whole resolution."""
        return min(timeout_s, self.started + SECONDS_MAX - self.now)

    def spend_host_lookup(self, depth: int) -> bool:
        """Count the resolution of one name server address at nesting `depth`; return False if it exceeds the budget."""
        if depth >= DEPTH_MAX or self.host_lookups >= HOST_LOOKUPS_MAX:
            return False
        self.host_lookups += 1
        return True


class Exchange:
    """Queries for one question to one server, repeated in other forms until a response is usable.

    The query is repeated over TCP, or without EDNS, client subnet or random case. `unusable` is set if the server
    responds, but no response matches.
    """

    def __init__(
        self,
        context: ResolverContext,
        budget: QueryBudget,
        address: str,
        question: Question,
        delegation: Delegation,
        subnet: Network | None = None,
    ) -> None:
        self._context = context
        self._budget = budget
        self._address = address
        self._question = question
        self._delegation = delegation
        server = self._server()
        self._tcp = False
        self._edns = server.edns
        self._subnet = subnet if server.accepts_subnet else None
        self._attempts_max = ATTEMPTS_MAX if self._subnet is None else ATTEMPTS_WITH_SUBNET_MAX
        self._random_case = context.randomise_case and server.preserves_case
        # Responses that match except for the case of the qname: to the query in random case, and to that in plain case.
        self._other_case: Message | None = None
        self._plain_case: Message | None = None
        self.unusable = False

    def run(self) -> Steps[Message | None]:
        """Query the server; return its usable response, None if there is none."""
        for _ in range(self._attempts_max):
            query = self._query()
            outcome = yield self._budget.spend(query)
            if isinstance(outcome, Replied):
                message = self._usable(query, outcome)
                if message is not None:
                    return message
            elif isinstance(outcome, Mismatched) and not query.tcp:
                self._change_form(outcome)
            elif self._plain_case is not None:
                # TCP failed, so the response in plain case is accepted; later queries to the server use plain case.
                self._server().preserves_case = False
                return self._plain_case
            else:
                self.unusable = isinstance(outcome, Mismatched)
                if not self.unusable:
                    self._context.infra_cache.timed_out(self._address, self._budget.now)
                return None
        self.unusable = True
        return None

    def _change_form(self, outcome: Mismatched) -> None:
        """Choose how to repeat a query after a mismatch over UDP: without random case, by TCP, or without EDNS."""
        self._context.infra_cache.answered(self._address, outcome.rtt_s, self._budget.now)
        if outcome.message is not None and self._other_case is None:
            self._other_case, self._random_case = outcome.message, False
            return
        self._tcp = True
        self._edns = self._edns and not outcome.malformed

    def _server(self) -> InfraEntry:
        return self._context.infra_cache.get(self._address, self._budget.now)

    def _query(self) -> UpstreamQuery:
        name = self._question.name
        recursion_desired = self._delegation.service is not Service.ITERATIVE
        security = self._context.security
        timeout_s = max(self._server().timeout_s(), RECURSION_TIMEOUT_MIN_S if recursion_desired else 0.0)
        return UpstreamQuery(
            address=self._address,
            question=self._question,
            spelling=random_case(name, self._context.random) if self._random_case else name,
            zone=self._delegation.zone,
            # The timeout is doubled for TCP, whose handshake takes one more round trip.
            timeout_s=self._budget.bounded(2 * timeout_s if self._tcp else timeout_s),
            tcp=self._tcp,
            edns=self._edns,
            recursion_desired=recursion_desired,
            exact_case=self._random_case and not self._tcp,
            subnet=self._subnet if self._edns else None,
            dnssec_ok=security is not None,
            checking_disabled=security is not None and security.checking_disabled and recursion_desired,
        )

    def _usable(self, query: UpstreamQuery, reply: Replied) -> Message | None:
        """Return the response message if it is usable.

        Returns None if the query must be repeated in another form (such as over TCP).
        """
        message, server = reply.message, self._server()
        if not query.tcp:
            self._context.infra_cache.answered(self._address, reply.rtt_s, self._budget.now)
        if self._other_case is not None and self._plain_case is None and not query.tcp:
            if not _is_same_content(message, self._other_case):
                self._plain_case, self._tcp, self._random_case = message, True, True
                return None
            self._other_case, server.preserves_case = None, False
        elif reply.case_mangled:
            server.preserves_case = False
        if message.tc and not query.tcp:
            self._tcp = True
            return None
        if message.rcode == Rcode.BADCOOKIE and not query.tcp:
            # RFC 7873 section 5.3: over TCP, which cannot be spoofed off path, servers need no cookie.
            self._tcp = True
            return None
        if query.subnet is not None and message.rcode in (Rcode.REFUSED, *_EDNS_UNSUPPORTED):
            self._subnet = self._fallback_subnet(query.subnet)
            return None
        if query.subnet is not None and message.rcode in (Rcode.NOERROR, Rcode.NXDOMAIN):
            server.accepts_subnet = response_subnet(message) is not None
        if query.edns and message.rcode in _EDNS_UNSUPPORTED:
            self._edns = False
            return None
        if not query.edns and message.rcode not in _EDNS_UNSUPPORTED:
            server.edns = False
        return message

    def _fallback_subnet(self, refused: Network) -> Network | None:
        """Return the client subnet for the next attempt after a server has refused a query with one.

        Returns None for a query without it.
        """
        forwards = self._delegation.service is Service.FORWARDER
        return EVERYTHING[refused.version] if forwards and refused.prefixlen else None


def _is_same_content(message: Message, other: Message) -> bool:
    """Tell whether two responses have the same flags, rcode, answers and authority, in any order."""

    def content(message: Message) -> tuple[object, ...]:
        answers, authority = _canonical(message.answers), _canonical(message.authority)
        return message.aa, message.tc, message.rcode, answers, authority

    return content(message) == content(other)


def _canonical(records: tuple[Record, ...]) -> set[tuple[Name, int, int, tuple[bytes, ...]]]:
    return {rrset.canonical() for rrset in rrsets_of(records)}
