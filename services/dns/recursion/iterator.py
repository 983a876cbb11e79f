"""Iterator: the resolution of one question, by the algorithm of RFC 1034 section 5.3.3, without I/O.

    step = resolution.start(now)
    while isinstance(step, UpstreamQuery):
        step = resolution.receive(outcome_of(step), now)    # outcome_of: the caller's function that sends the query
    # step is a Result

RFC 1034 section 5.3.3; RFC 2181 sections 5.4.1 (an address that was resolved is preferred to glue) and 10.3 (the name
of a server is no alias); RFC 6672 section 3.4 (DNAME); RFC 7871 section 12.1 (client subnets are not sent to servers of
the root and of top-level domains); RFC 9156 (QNAME minimisation, as an option); RFC 9520 (resolution failures). Left
out: parallel queries to several servers, which would make a capture hard to read. DNSSEC is in recursion.validation.

The iterator
------------

RFC 1034 section 5.3.3 describes the resolver as four steps in a loop. Each step has its functions here:

  step 1   look in the cache for the answer, or an alias                  ResolverContext.look_up
  step 2   find the best servers: the nearest known delegation            Iteration._nearest
  step 3   send them queries until one returns a response                 Iteration._query_servers, query.Exchange
  step 4   analyze the response (classification.classify_response)
           a  answer or name error: cache it and return it                Iteration._store, _lookup_result
           b  a better delegation: cache it and go to step 3              Iteration._referred, in the loop of _iterate
           c  an alias: go to step 1 with the canonical name              Resolution._resolve_chain
           d  lame, weak or failed: next server, step 3                   Iteration._query_servers

Resolution is the outer loop over the names of an alias chain, Iteration the inner one over the delegations of one
name. Both are generators. To send a query, they yield an UpstreamQuery and are resumed with its Outcome; the state
between queries is their local variables and the stack of generators. Resolution.start and Resolution.receive drive the
outermost generator: for their caller, a resolution is an object that returns either the next query or the result. A
Resolution has neither sockets nor a clock: the caller passes the time as `now`.

An example, with empty caches:

  www.example.com. A       step 1: nothing cached; step 2: the root
    -> 127.0.1.1  (.)            referral to com.           step 4b
    -> 127.0.1.2  (com.)         referral to example.com., whose server ns.provider.net. has no glue
         ns.provider.net. A      a nested Iteration: root, net., provider.net.
    -> 127.0.1.6  (example.com.) answer: cached and returned

The servers of a delegation are queried in this order, each group by RTT whatever the IP version:

  1. known addresses: cached answers for the hosts, else glue. The hosts are those of the zone's own NS RRset, if it has
     been queried while this delegation is in force, else those of the parent's NS RRset.
  2. resolved addresses of hosts without known addresses: A, or AAAA if there is no A. A host in the zone itself
     can be resolved by the zone's servers only, so the parent's servers are queried for the missing glue.
  3. the hosts of the parent's NS RRset with their glue, once no server of 1 and 2 is left; and for a host in
     another zone, the glue in the delegation of that zone
  4. resolved addresses of hosts in other zones of which only glue is known: the glue may be out of date

Hosts without addresses are resolved only if all known addresses of the delegation have failed, or are lame or in
back-off, because each host needs a nested Iteration. This recursion is the weak point of every resolver: a domain's
owner can make it deep (hosts that need hosts), wide (many hosts, NXNSAttack) or circular. So all iterations of one
client question share one QueryBudget, which bounds queries, nesting, host lookups and time, and has the set of
questions in progress. Exceeding the budget gives SERVFAIL.

Errors: a ResolutionError ends an Iteration. In Resolution it becomes SERVFAIL, and is cached as a failure of the
client's question. In a nested Iteration for the address of a host, the host is skipped; only UnansweredError (its
servers gave no usable response) is cached as a failure of the host, because other errors depend on the question that
led there. BudgetExceededError is not caught in a nested Iteration: it ends the whole resolution.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from lab7.services.dns.address_space import Network
from lab7.services.dns.codec.client_subnet import response_subnet
from lab7.services.dns.codec.codes import ADDRESS_TYPES, Rcode, RRType
from lab7.services.dns.codec.message import Message, Question, RRset
from lab7.services.dns.codec.name import Name
from lab7.services.dns.recursion.cache import (
    Delegation,
    LookupResult,
    Service,
    Trust,
    negative_soa,
)
from lab7.services.dns.recursion.classification import (
    ClassifiedResponse,
    ResponseKind,
    addresses_of,
    classify_response,
    hosts_of,
)
from lab7.services.dns.recursion.context import ResolverContext
from lab7.services.dns.recursion.ecs_cache import ECSCache, is_global
from lab7.services.dns.recursion.query import (
    BudgetExceededError,
    Exchange,
    Outcome,
    QueryBudget,
    ResolutionError,
    Steps,
    UnansweredError,
    UpstreamQuery,
)
from lab7.services.dns.recursion.stale import stale_answer
from lab7.services.dns.recursion.validation import Judge, Validation
from lab7.services.dns.security.extended_error import ErrorCode, ExtendedError, error_from
from lab7.services.dns.security.secured import SecuredRRset

# Maximum number of aliases followed per question; BIND follows 16, Unbound 11.
ALIASES_MAX = 16
# Maximum number of name servers of a delegation whose addresses are resolved: BIND's NS_FAIL_LIMIT.
HOSTS_PER_DELEGATION_MAX = 4
# RFC 9520 section 3.1: at most three queries for the same question to one server.
QUERIES_PER_SERVER_MAX = 3
# Limits on QNAME minimisation: MAX_MINIMISE_COUNT and MINIMISE_ONE_LAB of RFC 9156 section 2.3.
MINIMISED_MAX = 10
MINIMISED_ONE_LABEL = 4

# Client subnets are sent only to servers of zones with at least this number of labels: not to the root or a TLD.
_SUBNET_LABELS_MIN = 2
# Flag added to the RR type of a question in progress that asks the parent's servers for missing glue.
_GLUE = 1 << 16
# Flag added to the RR type of a question in progress that resolves DS or DNSKEY for the validation of other records.
_JUDGED = 1 << 17
# Reasons of a failure that allow an answer from expired data; a bogus answer does not.
_UNREACHABLE = (
    ErrorCode.NOT_READY,
    ErrorCode.NOT_AUTHORITATIVE,
    ErrorCode.NO_REACHABLE_AUTHORITY,
    ErrorCode.NETWORK_ERROR,
)
_RCODES = {ResponseKind.NO_NAME: Rcode.NXDOMAIN, ResponseKind.TOO_LONG: Rcode.YXDOMAIN}


# Steps 2 to 4 of RFC 1034 section 5.3.3: resolution of one name, from the nearest delegation down.


@dataclass(slots=True)
class _ServerPool:
    """Candidate servers of one delegation, and the number of queries sent to each of them in this resolution.

    `hosts` are the name servers whose addresses must be resolved first; `glued` are those in other zones of which only
    glue is known. `exhausted` is set when all other known addresses have been added as the last resort.
    """

    delegation: Delegation
    addresses: list[str]
    hosts: list[Name]
    glued: list[Name]
    exhausted: bool = False
    queries_max: int = QUERIES_PER_SERVER_MAX
    queries: dict[str, int] = field(default_factory=dict)


class Iteration:
    """Resolution of one name and type, from the nearest known delegation down to the answer; aliases are not followed.

    Parameters: `start` replaces the nearest known delegation; `subnet` is the client's network, which only some servers
    receive; `depth` is the level of nesting. `near` is the last delegation used for the previous name of the alias
    chain, whose TTL may be too short for the cache. With a `judge`, the iteration resolves the DS or DNSKEY records
    that validate other records: the judge accepts or rejects each response, and no response is cached. The attribute
    `delegation` is the delegation whose servers answered.
    """

    def __init__(
        self,
        context: ResolverContext,
        budget: QueryBudget,
        start: Delegation | None = None,
        depth: int = 0,
        subnet: Network | None = None,
        near: Delegation | None = None,
        judge: Judge | None = None,
    ) -> None:
        self._judge = judge
        self._context = context
        self._budget = budget
        self._start = start
        self._depth = depth
        self._subnet = subnet
        self._near = near
        self.delegation = near

    def resolve(self, name: Name, rtype: int) -> Steps[LookupResult]:
        """Query servers until one gives an answer, and return the answer; raises ResolutionError."""
        key = (name, rtype if self._judge is None else rtype | _JUDGED)
        if key in self._budget.in_progress:
            raise ResolutionError(f"circular dependency: {name} is needed to resolve itself")
        self._budget.in_progress.add(key)
        try:
            return (yield from self._iterate(Question(name, rtype)))
        finally:
            self._budget.in_progress.discard(key)

    def _nearest(self, question: Question) -> Delegation:
        """Return the first delegation to query: that of the closest enclosing zone in the cache.

        RFC 1034 section 5.3.3 step 2.
        """
        if self._start is not None:
            return self._start
        if self._context.roots.service is Service.FORWARDER:
            return self._context.roots
        # RFC 4035 section 3.1.4.1: the parent zone is authoritative for DS.
        name = question.name.parent if question.rtype == RRType.DS else question.name
        cached = next(self._context.cache.delegations(name, self._budget.now), None)
        best = self._context.roots if cached is None else cached[0]
        near = self._near
        return near if near is not None and name.is_below(near.zone) and len(near.zone) > len(best.zone) else best

    def _iterate(self, question: Question) -> Steps[LookupResult]:
        delegation, labels, steps = self._nearest(question), 0, 0
        labels_all = len(question.name)
        while True:
            labels = self._labels_to_send(max(labels, len(delegation.zone)), labels_all, steps, delegation)
            steps += 1
            if labels < labels_all:
                response = yield from self._query_minimised(delegation, question.name.suffix(labels))
            else:
                subnet = self._subnet_for(delegation, question)
                response = yield from self._query_servers(delegation, question, subnet, judged=True)
                self._store(response, question)
            if response is not None and response.kind is ResponseKind.REFERRAL and response.delegation is not None:
                delegation = self._referred(delegation, response.delegation)
            elif labels >= labels_all and response is not None:
                self.delegation = delegation
                self._note_apex_hosts(delegation, question, response)
                return self._lookup_result(response)
            elif response is None or response.kind not in (ResponseKind.ANSWER, ResponseKind.NO_DATA):
                # RFC 9156 section 2.3: after an error for a minimised qname the whole qname is sent next.
                labels = labels_all

    def _subnet_for(self, delegation: Delegation, question: Question) -> Network | None:
        """Return the client subnet to send; None for servers that must not receive it (RFC 7871 section 12.1)."""
        forwards = delegation.service is Service.FORWARDER
        allowed = forwards or len(delegation.zone) >= _SUBNET_LABELS_MIN
        return self._subnet if allowed and question.rtype in ADDRESS_TYPES else None

    def _labels_to_send(self, labels: int, labels_all: int, steps: int, delegation: Delegation) -> int:
        """Return the number of labels in the next minimised qname, more than `labels` (RFC 9156 section 2.3)."""
        if not self._context.minimise or delegation.service is not Service.ITERATIVE or steps >= MINIMISED_MAX:
            return labels_all
        labels_left = labels_all - labels
        increment = 1 if steps < MINIMISED_ONE_LABEL else -(-labels_left // (MINIMISED_MAX - steps))
        return min(labels_all, labels + max(1, increment))

    def _query_minimised(self, delegation: Delegation, name: Name) -> Steps[ClassifiedResponse | None]:
        """Send a query for the A records of a minimised qname, and return the classified response; None on failure."""
        question = Question(name, RRType.A)
        try:
            response = yield from self._query_servers(delegation, question, minimised=True)
        except ResolutionError:
            return None
        # RFC 9156 section 2.3: broken servers return NXDOMAIN for an empty non-terminal, so it is not cached.
        if response.kind is not ResponseKind.NO_NAME and self._context.security is None:
            self._store(response, question)
        return response

    def _referred(self, queried: Delegation, delegation: Delegation) -> Delegation:
        """Cache the delegation of a referral, and return it with its expiry.

        A delegation from a recursive server is not cached; the servers in it are queried as recursive servers, too.
        """
        if queried.service is not Service.ITERATIVE:
            return replace(delegation, service=queried.service)
        delegation = replace(delegation, parent=queried)
        return self._context.cache.put_delegation(delegation, self._budget.now, queried.expires)

    def _note_apex_hosts(self, delegation: Delegation, question: Question, response: ClassifiedResponse) -> None:
        """Record the name servers in the zone's own NS RRset with the delegation, if that RRset was queried for.

        RFC 2181 section 5.4.1. An NS RRset that comes unrequested in the authority section is ignored, because one
        spoofed response to any name could replace all servers of the zone (CVE-2025-11411). The expiry of the
        delegation remains that of the parent's NS RRset.
        """
        if question != Question(delegation.zone, RRType.NS) or delegation is self._context.roots:
            return
        if response.kind is ResponseKind.ANSWER and response.authoritative and delegation.expires > self._budget.now:
            known = replace(delegation, apex_hosts=hosts_of(response.answers[0][0]))
            self._context.cache.put_delegation(known, self._budget.now, delegation.expires)

    def _store(self, response: ClassifiedResponse, question: Question) -> None:
        """Store the parts of a response that may be cached (RFC 1034 section 5.3.3 step 4a)."""
        cache, ecs_cache, now = self._context.cache, self._ecs_cache_for(response), self._budget.now
        if self._judge is not None:
            return
        for rrset, trust in response.answers:
            if trust is None:
                continue
            if rrset.rtype == RRType.DNAME and rrset.name != question.name:
                cache.put_dname(question.name, rrset, trust, now)
            elif ecs_cache is not None and response.subnet is not None:
                ecs_cache.put(rrset, response.subnet, now)
            else:
                cache.put(rrset, trust, now)
        # A negative answer is not cached without an SOA (RFC 2308 section 5), nor behind an alias, like records there.
        negative = response.kind in (ResponseKind.NO_NAME, ResponseKind.NO_DATA)
        if negative and response.soa is not None and not response.answers:
            rcode = _RCODES.get(response.kind, Rcode.NOERROR)
            trust = Trust.AUTHORITATIVE_ANSWER if response.authoritative else Trust.ANSWER
            cache.put_negative(response.name, question.rtype, rcode, negative_soa(response.soa), now, trust)

    def _ecs_cache_for(self, response: ClassifiedResponse) -> ECSCache | None:
        """Return the ECS cache if a response is valid for some clients only; None if it is valid for all clients."""
        if response.subnet is None or is_global(response.subnet):
            return None
        # After a refusal of the client's network the server has answered for prefix length 0, that is for all clients.
        return self._context.ecs_cache if response.subnet.network == self._subnet else None

    def _lookup_result(self, response: ClassifiedResponse) -> LookupResult:
        capped = self._context.cache.capped
        answers = tuple(capped(rrset) for rrset, _ in response.answers)
        target = response.name if response.kind is ResponseKind.ALIAS else None
        soa = None if response.soa is None else negative_soa(response.soa)
        cache, subnet = self._ecs_cache_for(response), response.subnet
        scope = cache.validity(subnet)[1] if cache is not None and subnet is not None and answers else 0
        return LookupResult(_RCODES.get(response.kind, Rcode.NOERROR), answers, target, soa, scope, response.denials)

    # Step 3: the servers of one delegation.

    def _query_servers(
        self,
        delegation: Delegation,
        question: Question,
        subnet: Network | None = None,
        minimised: bool = False,
        judged: bool = False,
    ) -> Steps[ClassifiedResponse]:
        """Query the servers of a delegation in turn until a response is usable; raises ResolutionError.

        `judged` is True if responses must be validated; glue is not validated.

        RFC 9156 section 2.3: some servers refuse or drop queries with a `minimised` qname. Such a query is sent only
        once to each server, and its response never marks the server as lame.
        """
        pool, detail = self._pool(delegation), "no server address"
        reason: ExtendedError | None = None
        pool.queries_max = 1 if minimised else QUERIES_PER_SERVER_MAX
        weak: ClassifiedResponse | None = None
        while True:
            address = yield from self._select(pool, weak is None)
            if weak is not None and (address is None or address in pool.queries):
                return weak
            if address is None:
                error = UnansweredError if pool.queries else ResolutionError
                raise error(_unanswered(delegation, question, detail), reason)
            pool.queries[address] = pool.queries.get(address, 0) + 1
            exchange = Exchange(self._context, self._budget, address, question, delegation, subnet)
            message = yield from exchange.run()
            if message is None and exchange.unusable:
                pool.queries[address], detail = (
                    QUERIES_PER_SERVER_MAX,
                    (f"{address} returned a response without the question of the query"),
                )
                continue
            if message is None:
                detail = f"{address} did not respond"
                continue
            response = classify_response(message, question, delegation)
            if self._context.security is not None:
                response = yield from self._validated(message, response, question, judged)
            usable = response.kind not in (ResponseKind.LAME, ResponseKind.FAILED)
            if usable:
                response = response if subnet is None else replace(response, subnet=response_subnet(message))
                if not response.weak:
                    return response
                weak = weak or response
            # A repeated query would get the same response, so the server is not queried again for this question.
            pool.queries[address], detail = QUERIES_PER_SERVER_MAX, f"{address} returned {response.detail}"
            reason = error_from(address, message) or reason
            if not minimised and (usable or response.kind is ResponseKind.LAME):
                self._context.infra_cache.mark_lame(address, delegation.zone, self._budget.now)

    def _validated(
        self, message: Message, response: ClassifiedResponse, question: Question, judged: bool
    ) -> Steps[ClassifiedResponse]:
        """Return a response with validated RRsets, or as FAILED if bogus; store the DS records of a referral.

        A response classified as FAILED is not used.
        """
        security, kind = self._context.security, response.kind
        if security is None or kind in (ResponseKind.LAME, ResponseKind.FAILED):
            return response
        if response.delegation is not None:
            security.put_referral(response.delegation.zone, message, self._budget.now)
        elif self._judge is not None and judged:
            failed = ClassifiedResponse(ResponseKind.FAILED, question.name, detail="a bogus response")
            return response if self._judge(message, response) else failed
        elif judged:
            return (yield from Validation(security, self._budget, self._fetch).examine(message, response, question))
        return response

    def _fetch(self, name: Name, rtype: int, judge: Judge) -> Steps[None]:
        """Resolve the DS or DNSKEY records that are needed to validate other records, by a nested Iteration."""
        yield from Iteration(self._context, self._budget, depth=self._depth + 1, judge=judge).resolve(name, rtype)

    def _pool(self, delegation: Delegation) -> _ServerPool:
        addresses: dict[str, None] = {}
        hosts = []
        for host in delegation.apex_hosts or delegation.hosts:
            known = self._addresses_known(host, delegation)
            addresses.update(dict.fromkeys(known))
            if not known:
                hosts.append(host)
        self._context.random.shuffle(hosts)
        others = [
            host for host in delegation.hosts if host not in hosts and not self._addresses_known(host, delegation)
        ]
        # `unresolved` is used as a stack: the last host is resolved first.
        unresolved = [*hosts, *others][:HOSTS_PER_DELEGATION_MAX][::-1]
        foreign = [host for host in delegation.hosts if host in delegation.glue and not host.is_below(delegation.zone)]
        glued = [] if delegation in (self._context.roots, self._start) else foreign[:HOSTS_PER_DELEGATION_MAX]
        return _ServerPool(delegation, list(addresses), unresolved, glued)

    def _last_resort(self, delegation: Delegation) -> Iterator[str]:
        """Yield all known addresses of the hosts in the parent's NS RRset: cached answers, and glue of delegations."""
        unresponsive, now = self._context.infra_cache.is_unresponsive, self._budget.now
        for host in delegation.hosts:
            yield from self._addresses_known(host, delegation)
            yield from self._glue(host, delegation)
            for other, _ in self._context.cache.delegations(host, now):
                # Addresses in back-off are left out: they have just failed for the host's own zone.
                yield from (address for address in self._glue(host, other) if not unresponsive(address, now))

    def _addresses_known(self, host: Name, delegation: Delegation) -> tuple[str, ...]:
        """Return a host's known addresses: from a cached answer, or else from glue (RFC 2181 section 5.4.1)."""
        glue = self._glue(host, delegation)
        cache = self._context.for_hosts.cache
        cached = {rtype: cache.get(host, rtype, self._budget.now) for rtype in ADDRESS_TYPES}
        known: list[str] = []
        for rtype, value in cached.items():
            if isinstance(value, RRset):
                known += self._context.upstream_addresses.usable(addresses_of(value))
            else:
                known += [address for address in glue if (":" in address) == (rtype == RRType.AAAA)]
        return tuple(known)

    def _glue(self, host: Name, delegation: Delegation) -> tuple[str, ...]:
        glue = delegation.glue.get(host, ())
        # Root hints, forwarders and the operator's own zone cuts are trusted; only other glue is filtered by address.
        if delegation is self._context.roots or delegation is self._start:
            return glue
        return self._context.upstream_addresses.usable(glue)

    def _select(self, pool: _ServerPool, thorough: bool) -> Steps[str | None]:
        """Return the next server of the delegation to query; None if none is left.

        A server that was not queried yet comes first, and name servers are resolved until there is one; then servers
        that were queried before. If `thorough`, name servers of which only glue is known are resolved, too, if no
        server is left.
        """
        while pool.hosts and not any(self._untried(pool)):
            yield from self._add_host(pool, pool.hosts.pop())
        if not pool.exhausted and not any(self._untried(pool)):
            pool.exhausted = True
            pool.addresses = list(dict.fromkeys([*pool.addresses, *self._last_resort(pool.delegation)]))
        best = self._best(pool)
        while best is None and thorough and pool.glued:
            yield from self._add_host(pool, pool.glued.pop())
            best = self._best(pool)
        return best

    def _add_host(self, pool: _ServerPool, host: Name) -> Steps[None]:
        """Resolve a name server, and add its addresses to the candidate servers."""
        addresses = yield from self._resolve_host(host, pool.delegation)
        pool.addresses += [address for address in addresses if address not in pool.addresses]

    def _best(self, pool: _ServerPool) -> str | None:
        """Return the best candidate that has not yet received the maximum number of queries; None if there is none."""
        infra_cache, now = self._context.infra_cache, self._budget.now
        usable = [
            address for address in pool.addresses if pool.queries.get(address, 0) < self._queries_max(pool, address)
        ]
        return infra_cache.best(usable, pool.delegation.zone, pool.queries, now)

    def _untried(self, pool: _ServerPool) -> Iterator[str]:
        zone, now = pool.delegation.zone, self._budget.now
        return (
            address for address in pool.addresses if address not in pool.queries and self._is_good(address, zone, now)
        )

    def _is_good(self, address: str, zone: Name, now: float) -> bool:
        infra_cache = self._context.infra_cache
        return not (infra_cache.is_lame(address, zone, now) or infra_cache.is_unresponsive(address, now))

    def _queries_max(self, pool: _ServerPool, address: str) -> int:
        """Return the maximum number of queries to a server: 1 in back-off (RFC 9520 section 3.1)."""
        return 1 if self._context.infra_cache.is_unresponsive(address, self._budget.now) else pool.queries_max

    def _resolve_host(self, host: Name, delegation: Delegation) -> Steps[tuple[str, ...]]:
        """Return the addresses of a name server, resolved by A or else AAAA queries; () on failure."""
        in_zone = host.is_below(delegation.zone)
        resolve = self._missing_glue if in_zone else self._host_addresses
        for rtype in self._context.upstream_addresses.rtypes:
            if not self._budget.spend_host_lookup(self._depth):
                break
            try:
                addresses = yield from resolve(host, rtype, delegation)
            except BudgetExceededError:
                raise
            except UnansweredError:
                # Only UnansweredError is cached for the host; other errors depend on the question in progress.
                self._context.for_hosts.cache.put_failure(host, rtype, self._budget.now)
                break
            except ResolutionError:
                break
            if addresses is None:
                break
            usable = self._context.upstream_addresses.usable(addresses)
            if usable and in_zone and delegation.expires > self._budget.now:
                known = replace(delegation, glue={**delegation.glue, host: usable})
                self._context.cache.put_delegation(known, self._budget.now, delegation.expires)
            if usable:
                return usable
        return ()

    def _host_addresses(self, host: Name, rtype: int, _: Delegation) -> Steps[tuple[str, ...] | None]:
        """Resolve the A or AAAA addresses of a name server in another zone; return () if it has none of this type.

        Return None if a query for the other type is useless, too, because the name is an alias or does not exist.
        """
        context = self._context.for_hosts
        result = context.look_up(host, rtype, None, self._budget.now)
        if result is None:
            nested = Iteration(context, self._budget, None, self._depth + 1)
            result = yield from nested.resolve(host, rtype)
        # RFC 2181 section 10.3: the name of a server must not be an alias.
        if result.target is not None or result.rcode != Rcode.NOERROR:
            return None
        return addresses_of(result.answers[-1]) if result.answers else ()

    def _missing_glue(self, host: Name, rtype: int, delegation: Delegation) -> Steps[tuple[str, ...] | None]:
        """Query the parent zone's servers for the address of a name server whose glue was missing in the referral.

        RFC 1034 section 5.3.3. A host in the delegated zone itself can be resolved in no other way. Like all glue, the
        addresses are not cached as answers.
        """
        key = (host, rtype | _GLUE)
        if delegation.parent is None or key in self._budget.in_progress:
            return None
        self._budget.in_progress.add(key)
        try:
            response = yield from self._query_servers(delegation.parent, Question(host, rtype))
        finally:
            self._budget.in_progress.discard(key)
        if response.delegation is not None:
            # The servers sent another referral, whose glue has both A and AAAA addresses.
            return response.delegation.glue.get(host)
        answers = [rrset for rrset, _ in response.answers if rrset.name == host and rrset.rtype == rtype]
        return addresses_of(answers[0]) if answers else ()


# The whole question: the alias chain.


@dataclass(frozen=True, slots=True)
class Result:
    """Result of the resolution of a client's question.

    `queries` is the number of upstream queries, `detail` the reason for SERVFAIL in words. `scope` is the scope prefix
    length for which the answer is valid (RFC 7871), 0 for all clients. `extended_error` is the reason for SERVFAIL as a
    code, the reason why signed data is not validated, or a notice that the answer is stale.
    """

    rcode: int
    answers: tuple[RRset, ...] = ()
    authority: tuple[RRset, ...] = ()
    queries: int = 0
    detail: str = ""
    scope: int = 0
    extended_error: ExtendedError | None = None


class Resolution:
    """Resolution of one client question, including its alias chain; `subnet` is the client's network.

    With `start`, the resolution begins at this delegation, and an alias that leads out of the delegated zone is
    returned unresolved.
    """

    def __init__(
        self,
        question: Question,
        context: ResolverContext,
        start: Delegation | None = None,
        subnet: Network | None = None,
    ) -> None:
        self._question = question
        self._context = context
        self._start = start
        self._subnet = subnet
        self._budget = QueryBudget(0.0, 0.0)
        self._steps = self._run()

    @property
    def queries(self) -> int:
        """Number of upstream queries so far."""
        return self._budget.queries

    def start(self, now: float) -> UpstreamQuery | Result:
        """Start the resolution; return the first upstream query, or the result if no query is needed."""
        self._budget.now = self._budget.started = now
        try:
            return next(self._steps)
        except StopIteration as end:
            return _value(end)

    def receive(self, outcome: Outcome, now: float) -> UpstreamQuery | Result:
        """Process the outcome of the last upstream query; return the next query, or the result."""
        self._budget.now = now
        try:
            return self._steps.send(outcome)
        except StopIteration as end:
            return _value(end)

    def _run(self) -> Steps[Result]:
        name, rtype = self._question.name, self._question.rtype
        try:
            result = yield from self._resolve_chain(name, rtype)
        except ResolutionError as error:
            reason = self._reason(error)
            self._context.cache.put_failure(name, rtype, self._budget.now, reason)
            result = Result(Rcode.SERVFAIL, detail=str(error), extended_error=reason)
        failure = result.extended_error
        if result.rcode == Rcode.SERVFAIL and (failure is None or failure.code in _UNREACHABLE):
            result = self.stale(self._budget.now) or result
        return replace(result, queries=self._budget.queries)

    def stale(self, now: float) -> Result | None:
        """Return the answer from expired cache data (RFC 8767); None if there is none."""
        found = stale_answer(self._context.cache, self._question, now) if self._context.cache.stale_s else None
        if found is None:
            return None
        last, answers, error = found
        return replace(_end_of_chain(last, answers), extended_error=error)

    def _reason(self, error: ResolutionError) -> ExtendedError:
        """Return the reason for a failed resolution as an extended DNS error.

        In order of preference: the reason for which validation failed, the reason that an upstream server has given, or
        "no reachable authority" with the message of `error`.
        """
        unreachable = ExtendedError(ErrorCode.NO_REACHABLE_AUTHORITY, str(error))
        return self._budget.extended_error or error.extended_error or unreachable

    def _resolve_chain(self, name: Name, rtype: int) -> Steps[Result]:
        """Resolve the names of an alias chain in turn (RFC 1034 section 5.3.3 step 4c)."""
        chain: list[RRset] = []
        seen: set[Name] = set()
        scope, near = 0, None
        while True:
            if name in seen or len(chain) > 2 * ALIASES_MAX or len(seen) > ALIASES_MAX:
                raise ResolutionError("alias chain is circular or too long")
            seen.add(name)
            result = self._context.look_up(name, rtype, self._subnet, self._budget.now)
            if result is None:
                result = self._denied(name, rtype)
            if result is None:
                iteration = Iteration(self._context, self._budget, self._start, subnet=self._subnet, near=near)
                result = yield from iteration.resolve(name, rtype)
                near = iteration.delegation
            chain += result.answers
            # RFC 7871 section 7.2.1: the longest scope of several RRsets applies.
            scope = max(scope, result.scope)
            if result.target is None or self._is_outside(result.target):
                return replace(_end_of_chain(result, tuple(chain)), scope=scope)
            name = result.target

    def _denied(self, name: Name, rtype: int) -> LookupResult | None:
        """Return a negative answer proven by NSEC or NSEC3 records in the denial cache (RFC 8198).

        Returns None without a proof.
        """
        security = self._context.security
        made = None if security is None else security.denials.answer(name, rtype, self._budget.now)
        return None if made is None else LookupResult(made.rcode, soa=made.soa)

    def _is_outside(self, target: Name) -> bool:
        return self._start is not None and not target.is_below(self._start.zone)


def _end_of_chain(last: LookupResult, chain: tuple[RRset, ...]) -> Result:
    if last.rcode == Rcode.SERVFAIL:
        return Result(Rcode.SERVFAIL, detail="a recent resolution failure is cached", extended_error=last.error)
    authority = last.denials if last.soa is None else (last.soa,)
    return Result(last.rcode, chain, authority, extended_error=_insecurity((*chain, *authority)))


def _insecurity(rrsets: Iterable[RRset]) -> ExtendedError | None:
    """Return the reason for which signed RRsets in a list were not validated, of the first such RRset.

    Returns None without one.
    """
    reasons = (rrset.error for rrset in rrsets if isinstance(rrset, SecuredRRset))
    return next((reason for reason in reasons if reason is not None), None)


def _unanswered(delegation: Delegation, question: Question, detail: str) -> str:
    servers = "forwarder" if delegation.service is Service.FORWARDER else f"server of {delegation.zone}"
    return f"no {servers} gave an answer for {question.name}: {detail}"


def _value(end: StopIteration) -> Result:
    result: Result = end.value
    return result


def from_cache(context: ResolverContext, question: Question, now: float, subnet: Network | None = None) -> Result:
    """Answer a query without RD from the caches, or by a referral to the nearest delegation known.

    RFC 1034 section 4.3.2 step 4.
    """
    chain: list[RRset] = []
    name, seen, scope = question.name, set[Name](), 0
    while name not in seen and len(seen) <= ALIASES_MAX:
        seen.add(name)
        result = context.look_up(name, question.rtype, subnet, now)
        if result is None:
            break
        chain += result.answers
        scope = max(scope, result.scope)
        if result.target is None:
            return replace(_end_of_chain(result, tuple(chain)), scope=scope)
        name = result.target
    if context.roots.service is Service.FORWARDER:
        return Result(Rcode.NOERROR if chain else Rcode.REFUSED, tuple(chain))
    for delegation, ttl in context.cache.delegations(name, now):
        return Result(Rcode.NOERROR, tuple(chain), (delegation.ns_rrset(ttl),))
    return Result(Rcode.NOERROR, tuple(chain), (context.roots.ns_rrset(0),))
