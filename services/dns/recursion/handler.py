"""The resolver's handler: who may ask what, and from the octets of a query to those of its response.

RFC 1034 section 4.3.1 (RA; without RD only what is known is told, which is how a student looks into the cache), RFC
2181 section 5.4.1 (no AA: what is passed on is not the resolver's own), RFC 8482 (ANY is asked for like any type).
Refused: clients from outside, classes beside IN, transfers and the like. RFC 7871 sections 7.1.1 and 7.2.2, where the
resolver tells of its clients' networks: a client's own option decides, cut to the bound, and the answer has one then.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Protocol

from services.dns.address_space import Network
from services.dns.codec.client_subnet import Said, said_in, with_subnet
from services.dns.codec.codes import META_TYPES, Rcode, RRClass, RRType
from services.dns.codec.errors import WireError
from services.dns.codec.message import Message
from services.dns.codec.records import Question, Record, RRset
from services.dns.recursion.context import Knowledge
from services.dns.recursion.query import NOT_RESOLVED
from services.dns.recursion.resolution import Result, from_cache
from services.dns.recursion.response_cache import ReadyAnswers
from services.dns.server.access import Access
from services.dns.server.responder import Client, Handled, Responder, Response, accept
from services.dns.zones.handler import rotated

Now = Callable[[], float]
# More addresses than any name of a lab has; only the turn of a set is drawn from it.
TURNS = 1 << 16


class Resolve(Protocol):
    """What gets the answer to a question of a client."""

    def __call__(self, question: Question, client: str, *, subnet: Network | None = None) -> Result | Awaitable[Result]:
        """Return the result where it is known, else what brings it; for clients of `subnet` where it matters."""


class Recursion:
    """Answers queries from what `resolve` brings."""

    def __init__(self, known: Knowledge, resolve: Resolve, access: Access, now: Now) -> None:
        self._known = known
        self._resolve = resolve
        self._access = access
        self._now = now

    def __call__(self, query: Message, client: Client) -> Handled:
        """Return the response to a query, or what brings it."""
        if not self._access.allows(client.host):
            return query.reply(Rcode.REFUSED)
        if self._known.scoped is None:
            return self._answer(query, client, None, None)
        try:
            said = said_in(query)
        except WireError:
            # RFC 7871 section 7.2.1
            return query.reply(Rcode.FORMERR)
        return self._answer(query, client, said, self._known.scoped.policy.subnet_for(client.host, said))

    def _answer(self, query: Message, client: Client, said: Said | None, subnet: Network | None) -> Handled:
        question = query.questions[0]
        if question.rclass != RRClass.IN or question.rtype in NOT_RESOLVED:
            return self._reply(query, Result(Rcode.REFUSED), said)
        if question.rtype in META_TYPES and question.rtype != RRType.ANY:
            return self._reply(query, Result(Rcode.NOTIMP), said)
        if not query.rd:
            return self._reply(query, from_cache(self._known, question, self._now(), subnet), said)
        result = self._resolve(question, client.host, subnet=subnet)
        return self._reply(query, result, said) if isinstance(result, Result) else self._later(query, result, said)

    async def _later(self, query: Message, result: Awaitable[Result], said: Said | None) -> Message:
        return self._reply(query, await result, said)

    def _reply(self, query: Message, result: Result, said: Said | None) -> Message:
        # What comes straight from a server has the order that it gave.
        turn = 0 if result.queries else self._known.random.randrange(TURNS)
        return with_subnet(query, recursive_reply(query, result, turn), said, result.scope)


def recursive_reply(query: Message, result: Result, turn: int = 0) -> Message:
    """Return the response that carries a result, its address sets turned by `turn`."""
    answers = records_of(rotated(rrset, turn) for rrset in result.answers)
    return replace(query.reply(result.rcode), ra=True, answers=answers, authority=records_of(result.authority))


def records_of(rrsets: Iterable[RRset]) -> tuple[Record, ...]:
    """Return the records of sets, in order."""
    return tuple(record for rrset in rrsets for record in rrset.records())


class RecursiveResponder:
    """Octets in, octets out; with `ready`, responses that were made before are sent again while their TTLs last."""

    def __init__(self, responder: Responder, access: Access, now: Now, ready: ReadyAnswers) -> None:
        self._access = access
        self._now = now
        self._ready = ready
        self._responder = responder

    def __call__(self, data: bytes, client: Client) -> Response:
        """Return the response's octets, None for silence, or an awaitable of either."""
        if not client.over_tcp and self._access.allows(client.host):
            ready = self._ready.get(data, self._now())
            if ready is not None:
                return ready
        query = accept(data)
        if not isinstance(query, Message):
            return query
        answer = self._responder.respond(query, client)
        if client.over_tcp or not query.rd:
            return answer
        if answer is None or isinstance(answer, bytes):
            return self._kept(data, query, answer)
        return self._kept_later(data, query, answer)

    def _kept(self, data: bytes, query: Message, answer: bytes | None) -> bytes | None:
        if answer is not None and query.questions[0].rtype != RRType.ANY:
            self._ready.keep(data, query, answer, self._now())
        return answer

    async def _kept_later(self, data: bytes, query: Message, answer: Awaitable[bytes | None]) -> bytes | None:
        return self._kept(data, query, await answer)
