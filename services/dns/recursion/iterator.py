"""The way down the tree for one name: from the nearest servers known, by referrals, to those that have the answer.

RFC 1034 section 5.3.3 steps 2 to 4. A server that is dead, lame or fails is followed by the next; hosts without glue
are looked up only when nobody else is left, and each such lookup is a descent of its own. RFC 2181 section 5.4.1: an
address that was asked for replaces glue. RFC 7871 section 12.1: servers of the root and of top-level domains are told
nothing of the client, and so are those that are asked for the addresses of servers.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from services.dns.address_space import Network
from services.dns.codec.codes import Rcode, RRType
from services.dns.codec.name import Name
from services.dns.codec.records import Question, RRset
from services.dns.recursion.budget import (
    ASKED_MAX,
    HOSTS_PER_DELEGATION_MAX,
    MINIMISED_MAX,
    MINIMISED_ONE_LABEL,
    ResolutionError,
    UnansweredError,
    Work,
    WorkExceededError,
)
from services.dns.recursion.cache import negative_soa
from services.dns.recursion.cache_lookup import Finding, look_up
from services.dns.recursion.classify import Kind, Reading, read_response
from services.dns.recursion.context import Knowledge
from services.dns.recursion.delegation import Delegation, Service, addresses_of
from services.dns.recursion.ecs_cache import ScopedCache, holds_for_everybody
from services.dns.recursion.exchange import Exchange, Steps
from services.dns.zones.lookup import ADDRESS_TYPES

# Zones of fewer labels are the root's and those of top-level domains.
_LABELS_TOLD_MIN = 2
_RCODES = {Kind.NO_NAME: Rcode.NXDOMAIN, Kind.TOO_LONG: Rcode.YXDOMAIN}


@dataclass(slots=True)
class _Pool:
    """The servers of one delegation: how often each address was asked, and the hosts whose address is not known."""

    delegation: Delegation
    addresses: list[str]
    hosts: list[Name]
    asked: dict[str, int] = field(default_factory=dict)


class Descent:
    """Finds what one question needs; `depth` counts the hosts that are being looked up for one another.

    `subnet` is the network of the client, where servers may know it. `near` is a delegation that the question came to
    before, for a name that led to this one; it may be too short-lived for the cache. `delegation` is where the descent
    ended.
    """

    def __init__(
        self,
        known: Knowledge,
        work: Work,
        start: Delegation | None = None,
        depth: int = 0,
        subnet: Network | None = None,
        near: Delegation | None = None,
    ) -> None:
        self._known = known
        self._work = work
        self._start = start
        self._depth = depth
        self._subnet = subnet
        self._near = near
        self.delegation = near

    def find(self, name: Name, rtype: int) -> Steps[Finding]:
        """Ask until there is an answer; raises ResolutionError."""
        key = (name, rtype)
        if key in self._work.under_way:
            raise ResolutionError(f"{name} is needed to find itself")
        self._work.under_way.add(key)
        try:
            return (yield from self._descend(Question(name, rtype)))
        finally:
            self._work.under_way.discard(key)

    def _nearest(self, question: Question) -> Delegation:
        """RFC 1034 section 5.3.3 step 2: the best servers that are known."""
        if self._start is not None:
            return self._start
        if self._known.roots.service is Service.FORWARDER:
            return self._known.roots
        # RFC 4035 section 3.1.4.1: DS is the parent's.
        name = question.name.parent if question.rtype == RRType.DS else question.name
        known = next(self._known.cache.delegations(name, self._work.now), None)
        best = self._known.roots if known is None else known[0]
        near = self._near
        return near if near is not None and name.is_below(near.zone) and len(near.zone) > len(best.zone) else best

    def _descend(self, question: Question) -> Steps[Finding]:
        delegation, shown, steps = self._nearest(question), 0, 0
        whole = len(question.name)
        while True:
            shown = self._to_show(max(shown, len(delegation.zone)), whole, steps, delegation)
            steps += 1
            if shown < whole:
                reading = yield from self._ask_minimised(delegation, question.name.suffix(shown))
            else:
                reading = yield from self._ask_servers(delegation, question, self._to_tell(delegation, question))
                self._remember(reading, question)
            if reading is not None and reading.kind is Kind.REFERRAL and reading.delegation is not None:
                delegation = self._referred(delegation, reading.delegation)
            elif shown >= whole and reading is not None:
                self.delegation = delegation
                return self._finding(reading)
            elif reading is None or reading.kind not in (Kind.ANSWER, Kind.NO_DATA):
                # RFC 9156 section 2.3: what goes wrong with a part of the name is not the last word about the whole.
                shown = whole

    def _to_tell(self, delegation: Delegation, question: Question) -> Network | None:
        """Return the network of the client for servers that may know it."""
        forwards = delegation.service is Service.FORWARDER
        told = forwards or len(delegation.zone) >= _LABELS_TOLD_MIN
        return self._subnet if told and question.rtype in ADDRESS_TYPES else None

    def _to_show(self, shown: int, whole: int, steps: int, delegation: Delegation) -> int:
        """RFC 9156 section 2.3: return how many labels the next query shows."""
        if not self._known.minimise or delegation.service is not Service.ITERATIVE or steps >= MINIMISED_MAX:
            return whole
        left = whole - shown
        at_once = 1 if steps < MINIMISED_ONE_LABEL else -(-left // (MINIMISED_MAX - steps))
        return min(whole, shown + max(1, at_once))

    def _ask_minimised(self, delegation: Delegation, name: Name) -> Steps[Reading | None]:
        """Ask for an address of a part of the name; None where that does not help."""
        question = Question(name, RRType.A)
        try:
            reading = yield from self._ask_servers(delegation, question)
        except ResolutionError:
            return None
        # A server that denies an empty non-terminal must not hide what is below it (RFC 9156 section 2.3).
        if reading.kind is not Kind.NO_NAME:
            self._remember(reading, question)
        return reading

    def _referred(self, asked: Delegation, delegation: Delegation) -> Delegation:
        """Remember a referral and return it; whoever was asked to recurse is followed by others asked so too."""
        if asked.service is not Service.ITERATIVE:
            return replace(delegation, service=asked.service)
        return self._known.cache.put_delegation(delegation, self._work.now, asked.until)

    def _remember(self, reading: Reading, question: Question) -> None:
        cache, scoped, now = self._known.cache, self._scoped_for(reading), self._work.now
        for rrset, trust in reading.answers:
            if trust is None:
                continue
            if scoped is not None and reading.subnet is not None:
                scoped.put(rrset, reading.subnet, now)
            else:
                cache.put(rrset, trust, now)
        # RFC 2308 section 5: without an SOA it is not to be kept. Behind an alias it is about a name that was not asked
        # for, and like the records behind an alias not kept either.
        if reading.soa is not None and not reading.answers and reading.kind in (Kind.NO_NAME, Kind.NO_DATA):
            rcode = _RCODES.get(reading.kind, Rcode.NOERROR)
            cache.put_negative(reading.name, question.rtype, rcode, negative_soa(reading.soa), now)

    def _scoped_for(self, reading: Reading) -> ScopedCache | None:
        """Return where answers are kept that are for a part of the clients alone; None where they are for all."""
        if reading.subnet is None or holds_for_everybody(reading.subnet):
            return None
        # Where a server is told nothing because it refused to be told, all clients get what it says.
        return self._known.scoped if reading.subnet.network == self._subnet else None

    def _finding(self, reading: Reading) -> Finding:
        limited = self._known.cache.limited
        answers = tuple(limited(rrset) for rrset, _ in reading.answers)
        target = reading.name if reading.kind is Kind.ALIAS else None
        soa = None if reading.soa is None else negative_soa(reading.soa)
        scoped = self._scoped_for(reading)
        scope = scoped.tie(reading.subnet)[1] if scoped is not None and reading.subnet is not None and answers else 0
        return Finding(_RCODES.get(reading.kind, Rcode.NOERROR), answers, target, soa, scope)

    # One delegation.

    def _ask_servers(self, delegation: Delegation, question: Question, subnet: Network | None = None) -> Steps[Reading]:
        """Ask one server after the other until one is of use; raises ResolutionError when none is."""
        pool, detail = self._pool(delegation), "there is no server to ask"
        while True:
            address = yield from self._next(pool)
            if address is None:
                failure = UnansweredError if pool.asked else ResolutionError
                raise failure(f"no server of {delegation.zone} answered about {question.name}: {detail}")
            pool.asked[address] = pool.asked.get(address, 0) + 1
            message = yield from Exchange(self._known, self._work, address, question, delegation, subnet).run()
            if message is None:
                detail = f"{address} did not answer"
                continue
            reading = read_response(message, question, delegation)
            if reading.kind not in (Kind.LAME, Kind.FAILED):
                return reading
            # It did answer, and it would say the same again.
            pool.asked[address], detail = ASKED_MAX, f"{address} answered {reading.detail}"
            if reading.kind is Kind.LAME:
                self._known.servers.lame(address, delegation.zone, self._work.now)

    def _pool(self, delegation: Delegation) -> _Pool:
        addresses: dict[str, None] = {}
        hosts = []
        for host in delegation.hosts:
            known = self._cached(host) or delegation.glue.get(host, ())
            addresses.update(dict.fromkeys(known))
            if not known:
                hosts.append(host)
        self._known.random.shuffle(hosts)
        return _Pool(delegation, list(addresses), hosts[:HOSTS_PER_DELEGATION_MAX])

    def _cached(self, host: Name) -> tuple[str, ...]:
        found = self._known.cache.get(host, RRType.A, self._work.now)
        return addresses_of(found) if isinstance(found, RRset) else ()

    def _next(self, pool: _Pool) -> Steps[str | None]:
        """Return the address to ask next: of those not asked yet, of hosts to be looked up, of those asked before."""
        while pool.hosts and not any(self._untried(pool)):
            found = yield from self._look_up_host(pool.hosts.pop(), pool.delegation)
            pool.addresses += [address for address in found if address not in pool.addresses]
        servers, now = self._known.servers, self._work.now
        usable = [one for one in pool.addresses if pool.asked.get(one, 0) < self._may_ask(one)]
        return servers.best(usable, pool.delegation.zone, pool.asked, now)

    def _untried(self, pool: _Pool) -> Iterator[str]:
        zone, now = pool.delegation.zone, self._work.now
        return (one for one in pool.addresses if one not in pool.asked and not self._is_poor(one, zone, now))

    def _is_poor(self, address: str, zone: Name, now: float) -> bool:
        return self._known.servers.is_lame(address, zone, now) or self._known.servers.is_resting(address, now)

    def _may_ask(self, address: str) -> int:
        """RFC 9520 section 3.1: a server that is known to be unresponsive gets one query, in case it is back."""
        return 1 if self._known.servers.is_resting(address, self._work.now) else ASKED_MAX

    def _look_up_host(self, host: Name, delegation: Delegation) -> Steps[tuple[str, ...]]:
        """Return the addresses of a host that came without glue; none where that fails."""
        # Only the zone's own servers could tell.
        if host.is_below(delegation.zone) or not self._work.may_look_up_host(self._depth):
            return ()
        try:
            finding = look_up(self._known.cache, host, RRType.A, self._work.now)
            if finding is None:
                finding = yield from Descent(self._known, self._work, None, self._depth + 1).find(host, RRType.A)
        except WorkExceededError:
            raise
        except UnansweredError:
            # Only what its servers did counts against a name; what this question ran into says nothing about it.
            self._known.cache.put_failure(host, RRType.A, self._work.now)
            return ()
        except ResolutionError:
            return ()
        # RFC 2181 section 10.3: the name of a server is no alias.
        return () if finding.target is not None or not finding.answers else addresses_of(finding.answers[-1])
