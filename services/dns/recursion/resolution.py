"""The resolution of one question as an object with no I/O: it says what to ask whom, is told what came, and ends.

    todo = resolution.start(now)
    while isinstance(todo, Ask):
        todo = resolution.receive(outcome_of(todo), now)
    # todo is a Result

RFC 1034 section 5.3.3: the answer from what is known, else the best servers that are known, asked until one answers or
sends on to better ones; aliases begin it anew. RFC 9156 (a zone sees only as much of the name as it must, as an
option), RFC 9520 (failures). The work of one question is bounded (recursion.budget); over a bound the result is
SERVFAIL. Left out: DNSSEC validation; several servers asked at once, which a capture could not be read for.
"""

from dataclasses import dataclass, replace

from services.dns.address_space import Network
from services.dns.codec.codes import Rcode
from services.dns.codec.name import Name
from services.dns.codec.records import Question, RRset
from services.dns.recursion.budget import ALIASES_MAX, ResolutionError, Work
from services.dns.recursion.cache_lookup import Finding, look_up_for
from services.dns.recursion.context import Knowledge
from services.dns.recursion.delegation import Delegation, Service
from services.dns.recursion.exchange import Steps
from services.dns.recursion.iterator import Descent
from services.dns.recursion.query import Ask, Outcome


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a question, with what it cost; `detail` says why there is none.

    `scope` is how many bits of the client's network it depends on (RFC 7871), 0 when on none.
    """

    rcode: int
    answers: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    queries: int = 0
    detail: str = ""
    scope: int = 0


class Resolution:
    """One question being answered; with `start` from there, and aliases that lead out of it are left to the asker.

    With `subnet` it is answered for the clients of that network.
    """

    def __init__(
        self,
        question: Question,
        known: Knowledge,
        start: Delegation | None = None,
        subnet: Network | None = None,
    ) -> None:
        self._question = question
        self._known = known
        self._start = start
        self._subnet = subnet
        self._work = Work(0.0, 0.0)
        self._steps = self._run()

    @property
    def queries(self) -> int:
        """How many queries were asked for so far."""
        return self._work.queries

    def start(self, now: float) -> Ask | Result:
        """Begin; returns what to ask first, or the result."""
        self._work.now = self._work.begun = now
        try:
            return next(self._steps)
        except StopIteration as ended:
            return _result(ended)

    def receive(self, outcome: Outcome, now: float) -> Ask | Result:
        """Take what came of the last Ask; returns the next one, or the result."""
        self._work.now = now
        try:
            return self._steps.send(outcome)
        except StopIteration as ended:
            return _result(ended)

    def _run(self) -> Steps[Result]:
        name, rtype = self._question.name, self._question.rtype
        try:
            result = yield from self._follow(name, rtype)
        except ResolutionError as error:
            self._known.cache.put_failure(name, rtype, self._work.now)
            result = Result(Rcode.SERVFAIL, detail=str(error))
        return replace(result, queries=self._work.queries)

    def _follow(self, name: Name, rtype: int) -> Steps[Result]:
        """RFC 1034 section 5.3.3 step 4c: answer for one name after the other of a chain of aliases."""
        chain: list[RRset] = []
        seen: set[Name] = set()
        scope, near = 0, None
        while True:
            if name in seen or len(chain) > 2 * ALIASES_MAX or len(seen) > ALIASES_MAX:
                raise ResolutionError("the chain of aliases has a loop, or is too long")
            seen.add(name)
            finding = look_up_for(self._known, name, rtype, self._subnet, self._work.now)
            if finding is None:
                descent = Descent(self._known, self._work, self._start, subnet=self._subnet, near=near)
                finding = yield from descent.find(name, rtype)
                near = descent.delegation
            chain += finding.answers
            # RFC 7871 section 7.2.1: of several sets the longest scope counts.
            scope = max(scope, finding.scope)
            if finding.target is None or self._leaves(finding.target):
                return replace(_ended(finding, tuple(chain)), scope=scope)
            name = finding.target

    def _leaves(self, target: Name) -> bool:
        return self._start is not None and not target.is_below(self._start.zone)


def _ended(finding: Finding, chain: tuple[RRset, ...]) -> Result:
    if finding.rcode == Rcode.SERVFAIL:
        return Result(Rcode.SERVFAIL, detail="the question failed a moment ago")
    return Result(finding.rcode, chain, () if finding.soa is None else (finding.soa,))


def _result(ended: StopIteration) -> Result:
    result: Result = ended.value
    return result


def from_cache(known: Knowledge, question: Question, now: float, subnet: Network | None = None) -> Result:
    """Answer without asking anybody: what the cache has, else whom to ask (RFC 1034 section 4.3.2 step 4)."""
    chain: list[RRset] = []
    name, seen, scope = question.name, set[Name](), 0
    while name not in seen and len(seen) <= ALIASES_MAX:
        seen.add(name)
        finding = look_up_for(known, name, question.rtype, subnet, now)
        if finding is None:
            break
        chain += finding.answers
        scope = max(scope, finding.scope)
        if finding.target is None:
            return replace(_ended(finding, tuple(chain)), scope=scope)
        name = finding.target
    if known.roots.service is Service.FORWARDER:
        return Result(Rcode.NOERROR if chain else Rcode.REFUSED, tuple(chain))
    for delegation, ttl in known.cache.delegations(name, now):
        return Result(Rcode.NOERROR, tuple(chain), (delegation.ns_rrset(ttl),))
    return Result(Rcode.NOERROR, tuple(chain), (known.roots.ns_rrset(0),))
