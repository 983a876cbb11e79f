"""Verdicts on course claims D10 to D12 on DNS caching: cache hits, TTL countdown, and fewer queries to the root server.

    D10  the local server resolves names for its clients and caches answers
    D11  a record is cached for its TTL, which counts down, and is queried again afterwards
    D12  caching relieves the root server, which would otherwise be the bottleneck

The functions take DNS traffic (see `wire.traffic`) captured at the clients, the local name server or the root server.
`addresses` has the addresses of these servers, with the keys `local` and `root`.

Sources: RFC 1034 sections 2.4 and 5.3.1, RFC 1035 sections 3.2.1 and 7.4, RFC 2181 section 5.2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.dns.claims.evidence import (
    Addresses,
    GivenZones,
    addresses_of,
    alias_chain,
    answer_of,
    answered_queries,
    asks_for,
    asks_towards,
    sent_by,
    words,
)
from lab7.experiments.dns.wire.messages import DnsMessage, canonical
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    counted,
    decide,
    decides,
    in_frames,
)

# Permitted deviation of a cached TTL in seconds: TTLs are whole seconds, and a cache may round up or down.
TTL_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Workload:
    """Captured DNS traffic of one workload: at each client, and at the root server."""

    at_clients: tuple[DnsTraffic, ...]
    at_root: DnsTraffic


@dataclass(frozen=True)
class _Told:
    """Answer that the local name server gave from its cache: frame number, and TTL in s.

    `fetched` is the frame number of the response that was cached, `elapsed_s` the time in s since then.
    """

    fetched: int
    elapsed_s: float
    ttl_s: int
    frame: int


@decides("D10")
def decide_cache_hit(
    claim: str,
    at_clients: Sequence[DnsTraffic],
    at_local: DnsTraffic,
    name: str,
    addresses: Addresses,
    second: tuple[int, int],
    qtype: str = "A",
    zones: GivenZones | None = None,
    cold: bool = False,
) -> Verdict:
    """Decide claim D10: a query for a cached name is answered without a query to another server.

    The first query precedes the time span `second` = [start_ns, end_ns); later queries for the name are within it. With
    `zones`, all answers must equal the zones' records. `cold` means that the name was not in the cache before; then the
    first query must cause a query to another server.
    """
    local = addresses_of(addresses, "local")

    def check() -> Finding:
        found = answered_queries(at_clients, name, qtype)
        _to_local([one for one, _ in found], local)
        before = [pair for pair in found if pair[0].query.time_ns < second[0]]
        again = [pair for pair in found if second[0] <= pair[0].query.time_ns < second[1]]
        if not before or not again:
            raise Inconclusive(f"{canonical(name)} is not queried both before the time window and within it.")
        (first, told), (later, cached) = before[0], again[0]
        fetched = _upstream(at_local.between(first.query.time_ns, told.time_ns), local, name, qtype)
        if not fetched and cold:
            raise Contradiction(
                f"The local server answers in frame {told.frame} from an empty cache, without a query upstream.",
                told.frame,
            )
        if not fetched:
            raise Inconclusive(
                f"The first query, in frame {first.query.frame}, causes no query upstream, so "
                "that the cache was not empty."
            )
        for one in _upstream(at_local.between(*second), local, name, qtype):
            raise Contradiction(
                f"After another query for {canonical(name)} in frame {later.query.frame}, the local server "
                f"sends a query upstream, in frame {one.query.frame}.",
                later.query.frame,
                one.query.frame,
            )
        for response in (told, *(response for _, response in again)):
            if zones is not None:
                zones.answered(response, name, qtype)
        for _, response in again:
            _same(told, response, name, qtype)
            _without_authority(response)
        queries = [one.query.frame for one in fetched]
        return (
            f"The first query for {canonical(name)} {qtype}, from {first.query.source} in frame "
            f"{first.query.frame}, causes {counted(len(queries), 'query')} upstream ({in_frames(queries)}) and "
            f"takes {(first.duration_s or 0) * 1000.0:.1f} ms; the query from {later.query.source} in frame "
            f"{later.query.frame} causes none and takes {(later.duration_s or 0) * 1000.0:.1f} ms (answer in "
            f"frame {cached.frame}; {len(again)} such queries)."
        ), dict.fromkeys([first.query.frame, *queries, told.frame, later.query.frame, cached.frame])

    return decide(claim, [merged([*at_clients, at_local])], check)


def _without_authority(cached: DnsMessage) -> None:
    """Raise Contradiction if AA is set: cached data are not authoritative (RFC 1034 section 6.2.1)."""
    if cached.aa:
        raise Contradiction(f"The cached answer in frame {cached.frame} has AA set.", cached.frame)


def _to_local(exchanges: Sequence[DnsExchange], local: frozenset[str]) -> None:
    for exchange in exchanges:
        if exchange.query.target not in local:
            raise Contradiction(
                f"The query in frame {exchange.query.frame} goes to {exchange.query.target}, not to the local server.",
                exchange.query.frame,
            )


def _upstream(traffic: DnsTraffic, local: frozenset[str], name: str, qtype: str) -> list[DnsExchange]:
    return [one for one in sent_by(traffic, local) if asks_towards(one, name, qtype)]


def _same(first: DnsMessage, again: DnsMessage, name: str, qtype: str) -> None:
    values = [{record.rdata for record in alias_chain(one, name, qtype)[1]} for one in (first, again)]
    if not values[0] or values[0] != values[1]:
        raise Contradiction(
            f"The answer in frame {again.frame} is {words(values[1])}, but in frame {first.frame} it was "
            f"{words(values[0])}.",
            first.frame,
            again.frame,
        )


@decides("D11")
def decide_ttl_countdown(
    claim: str,
    at_client: DnsTraffic,
    at_local: DnsTraffic,
    name: str,
    addresses: Addresses,
    qtype: str = "A",
    tolerance_s: float = TTL_TOLERANCE_S,
    ttl_s: int | None = None,
    cold: bool = False,
) -> Verdict:
    """Decide claim D11: the TTL of a cached record counts down; after expiry, the local name server fetches it again.

    `ttl_s` is the record's TTL in its zone. `cold` means that the name was not in the cache when the capture began.
    """
    local = addresses_of(addresses, "local")

    def check() -> Finding:
        told = [
            (one, response) for one, response in answered_queries([at_client], name, qtype) if one.query.target in local
        ]
        fetches = _fetches(at_local, local, name, qtype, told[0][1] if told and cold else None)
        for one in fetches if ttl_s is not None else ():
            has_ttl(answer_of(one), name, ttl_s or 0)
        counted: list[_Told] = []
        for _, response in told:
            fetch = next(
                (fetche for fetche in reversed(fetches) if answer_of(fetche).time_ns <= response.time_ns), None
            )
            if fetch is not None:
                counted.append(_counted_down(answer_of(fetch), response, name, tolerance_s))
                _same(answer_of(fetch), response, name, qtype)
            elif cold:
                raise Contradiction(
                    f"The local server answers for {canonical(name)} in frame {response.frame} before it "
                    "queries upstream.",
                    response.frame,
                )
        _never_grows(counted)
        for before, after in pairwise(fetches):
            _lives(answer_of(before), after, name, tolerance_s)
        aged = [one for one in counted if one.elapsed_s > tolerance_s]
        if not aged or len(fetches) < 2:
            raise Inconclusive(
                f"The capture does not have both a cached answer for {canonical(name)} and a second query upstream."
            )
        oldest = max(aged, key=lambda one: one.elapsed_s)
        first, second = fetches[0], fetches[1]
        whole, fresh = _ttl(answer_of(first), name), _ttl(answer_of(second), name)
        gap = (second.query.time_ns - answer_of(first).time_ns) / 1e9
        return (
            f"The answer from upstream for {canonical(name)} {qtype} has TTL {whole} s (frame "
            f"{answer_of(first).frame}); in {len(aged)} cached answers the TTL counts down, to {oldest.ttl_s} "
            f"s after {oldest.elapsed_s:.1f} s (frame {oldest.frame}); after {gap:.1f} s the local server "
            f"sends another query upstream (frame {second.query.frame}) and gets TTL {fresh} s (frame "
            f"{answer_of(second).frame})."
        ), dict.fromkeys(
            [answer_of(first).frame, *(one.frame for one in aged), second.query.frame, answer_of(second).frame]
        )

    return decide(claim, [merged([at_client, at_local])], check)


def _fetches(
    traffic: DnsTraffic, local: frozenset[str], name: str, qtype: str, invented: DnsMessage | None
) -> list[DnsExchange]:
    """Return the queries by which the local name server fetched records of a name from other servers, in order of time.

    `invented`: an answer of the local name server to a client, or None. If there is no such query, raises Contradiction
    if there is such an answer, otherwise Inconclusive.
    """
    found = [
        one
        for one in sent_by(traffic, local)
        if asks_for(one, name, qtype) and one.response is not None and not one.response.tc and one.response.answer
    ]
    if not found and invented is not None:
        frame = invented.frame
        raise Contradiction(
            f"The local server answers for {canonical(name)} in frame {frame}, but sends no "
            "query upstream in the capture.",
            frame,
        )
    if not found:
        raise Inconclusive(f"The local server sends no query upstream for {canonical(name)} in the capture.")
    return found


def _ttl(response: DnsMessage, name: str) -> int:
    """Return the TTL in s of an RRset; raise Contradiction if its records have several TTLs (RFC 2181 section 5.2)."""
    ttls = {record.ttl for record in response.answer if record.name == canonical(name)}
    if len(ttls) != 1:
        what = f"{len(ttls)} different TTLs" if ttls else "no records"
        raise Contradiction(f"{canonical(name)} has {what} in frame {response.frame}.", response.frame)
    return ttls.pop()


def has_ttl(fetched: DnsMessage, name: str, ttl_s: float) -> None:
    """Raise Contradiction unless the name's records in an authoritative answer have the zone's TTL `ttl_s`, in s."""
    ttl = _ttl(fetched, name)
    if ttl != ttl_s:
        raise Contradiction(
            f"{canonical(name)} has TTL {ttl} s in frame {fetched.frame}, but TTL {ttl_s:g} s in its zone.",
            fetched.frame,
        )


def _counted_down(fetched: DnsMessage, told: DnsMessage, name: str, tolerance_s: float) -> _Told:
    """Return a cached answer with its age. Raises Contradiction unless its TTL is the original TTL minus the age.

    `fetched` is the response that was cached, `told` the answer from the cache.
    """
    whole, ttl = _ttl(fetched, name), _ttl(told, name)
    elapsed = (told.time_ns - fetched.time_ns) / 1e9
    since = f"{elapsed:.1f} s after the answer from upstream with TTL {whole} s (frame {fetched.frame})"
    if elapsed > whole + tolerance_s:
        raise Contradiction(
            f"The answer for {canonical(name)} in frame {told.frame} comes from the cache "
            f"{since}, when the TTL has expired.",
            fetched.frame,
            told.frame,
        )
    if abs(ttl - (whole - elapsed)) > tolerance_s:
        raise Contradiction(
            f"{canonical(name)} has TTL {ttl} s in frame {told.frame}, {since}.", fetched.frame, told.frame
        )
    return _Told(fetched.frame, elapsed, ttl, told.frame)


def _never_grows(counted: Sequence[_Told]) -> None:
    """Raise Contradiction if the TTL in cached answers increases although the record was not fetched again."""
    for before, after in pairwise(counted):
        if after.fetched == before.fetched and after.ttl_s > before.ttl_s:
            raise Contradiction(
                f"The TTL grows from {before.ttl_s} s in frame {before.frame} to {after.ttl_s} s in frame "
                f"{after.frame}, without a query upstream.",
                before.frame,
                after.frame,
            )


def _lives(fetched: DnsMessage, again: DnsExchange, name: str, tolerance_s: float) -> None:
    gap, whole = (again.query.time_ns - fetched.time_ns) / 1e9, _ttl(fetched, name)
    if gap < whole - tolerance_s:
        raise Contradiction(
            f"The local server queries upstream for {canonical(name)} in frame {again.query.frame}, {gap:.1f} "
            f"s after an answer with TTL {whole} s in frame {fetched.frame}: the TTL has not expired.",
            fetched.frame,
            again.query.frame,
        )


@decides("D12")
def decide_root_relief(
    claim: str,
    without: Workload,
    cached: Workload,
    addresses: Addresses,
    ratio: float,
    zones: GivenZones | None = None,
    cold: bool = False,
) -> Verdict:
    """Decide claim D12: caches reduce the number of queries at the root server by the factor `ratio` or more.

    With `zones`, answers to clients must equal the zones' records, since invented answers reduce the root's load as
    well. `cold` means that the caches were empty at the start; then the root must receive a query even with caches.
    """
    root = addresses_of(addresses, "root")

    def check() -> Finding:
        questions = [_questions(each, addresses) for each in (without, cached)]
        if questions[0] != questions[1] or not questions[0]:
            raise Inconclusive(
                f"The clients' queries differ without caches ({questions[0].total()}) and with caches "
                f"({questions[1].total()})."
            )
        many, few = (_arriving(each.at_root, root) for each in (without, cached))
        if not many:
            raise Inconclusive("No query arrives at the root without caches.")
        if zones is not None:
            for workload in (without, cached):
                _delivered(workload, addresses, zones)
        figures = (
            f"{questions[0].total()} queries of the clients cause {len(many)} queries to the root without "
            f"caches and {len(few)} with caches"
        )
        if cold and not few:
            raise Contradiction(
                f"{figures}, although the caches are empty at the start and need the root's referrals.", *many
            )
        if len(few) * ratio > len(many):
            raise Contradiction(f"{figures}: a reduction by less than the factor {ratio:g}.", *many, *few)
        where = in_frames(few) if few else "no frame"
        return f"{figures} ({where}): a reduction by at least the factor {ratio:g}.", [*many, *few]

    return decide(claim, [merged([*without.at_clients, without.at_root, *cached.at_clients, cached.at_root])], check)


def _questions(workload: Workload, addresses: Addresses) -> Counter[str]:
    """Return question -> number of client queries. Raises Contradiction if a query gets no answer or an error."""
    local = addresses_of(addresses, "local")
    exchanges = [
        exchange
        for traffic in workload.at_clients
        for exchange in traffic.exchanges
        if exchange.query.source not in local
    ]
    _to_local(exchanges, local)
    for exchange in exchanges:
        answer_of(exchange)
    return Counter(str(exchange.query.question) for exchange in exchanges)


def _delivered(workload: Workload, addresses: Addresses, zones: GivenZones) -> None:
    """Raise Contradiction unless the local name server's answers to clients equal the records of the zones."""
    local = addresses_of(addresses, "local")
    for exchange in (exchange for traffic in workload.at_clients for exchange in traffic.exchanges):
        question = exchange.query.question
        if exchange.query.target in local and question is not None and not answer_of(exchange).tc:
            zones.answered(answer_of(exchange), question.qname, question.qtype)


def _arriving(traffic: DnsTraffic, targets: frozenset[str]) -> list[int]:
    """Return the frame numbers of all queries to these addresses, retransmissions included."""
    return [
        query.frame
        for exchange in traffic.exchanges
        if exchange.query.target in targets
        for query in (exchange.query, *exchange.repeats)
    ]
