"""Verdicts on course claims D7 to D9 and D15: iterative and recursive DNS resolution, and zones at a hosting provider.

    D7   name servers form a hierarchy, and clients query a local server
    D8   iterative: the local server queries root, top-level and authoritative server in turn
    D9   recursive: each server queries the next one on behalf of its client
    D15  an authoritative server is run by the organisation itself or by a provider

`addresses` has the addresses of all servers by role, such as `local` or `root`. A path is a sequence of roles in the
order in which they are queried, such as ("root", "com", "example"). The name must not be in the local server's cache
when it is first queried; otherwise the path is shorter. D8 and D9 are decided here from packets alone; `verdict.timed`
adds the comparison of the measured time with theory.

Sources: RFC 1034 sections 4.2.1, 4.3.1, 4.3.2 and 5.3.3, RFC 1035 section 4.1.1, RFC 9156 (QNAME minimisation).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, pairwise

from lab7.experiments.dns.claims.evidence import (
    ADDRESS_TYPES,
    Addresses,
    GivenZones,
    addresses_of,
    answer_of,
    asks_for,
    asks_towards,
    is_referral,
    referred_zone,
    sent_by,
    words,
)
from lab7.experiments.dns.wire.messages import DnsMessage, canonical, is_within
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


@decides("D7")
def decide_resolution_path(
    claim: str,
    at_local: DnsTraffic,
    at_clients: Sequence[DnsTraffic],
    lookups: Mapping[str, Sequence[str]],
    addresses: Addresses,
    zones: GivenZones | None = None,
) -> Verdict:
    """Decide claim D7: clients query only the local name server, which follows referrals from the root to the answer.

    `lookups` maps each name to its path: the roles of the servers to be queried, in order. `addresses` needs the key
    `local` and every role of a path. With `zones`, the answers of the last server and of the local server must equal
    the zones' records.
    """

    def check() -> Finding:
        count = _only_local(at_clients, addresses, {role for path in lookups.values() for role in path})
        walks = [_walk(at_local, name, addresses, path, zones) for name, path in lookups.items()]
        for outer, _ in walks:
            _offers_recursion(answer_of(outer))
        if not walks:
            raise Inconclusive("No name was resolved.")
        name, path = next(iter(lookups.items()))
        outer, inner = walks[0]
        frames = [outer.query.frame, *(one.query.frame for one in inner), answer_of(outer).frame]
        return (
            f"{count} queries of clients all go to the local server; for {canonical(name)} (frame "
            f"{frames[0]}) it queries {', then '.join(path)} ({in_frames(frames[1:-1])}): each of them "
            "but the last sends a referral to a zone below, and the last an authoritative answer; so for "
            f"{counted(len(walks), 'name')} ({words(lookups)})."
        ), dict.fromkeys(frames)

    return decide(claim, [merged([at_local, *at_clients])], check)


@decides("D8")
def decide_iterative_queries(
    claim: str,
    at_local: DnsTraffic,
    name: str,
    addresses: Addresses,
    path: Sequence[str],
    zones: GivenZones | None = None,
) -> Verdict:
    """Decide claim D8: in iterative resolution the local name server sends all queries itself, one after the other.

    RD must be clear in these queries: a server then answers from its own data (RFC 1034 section 4.3.1). With `zones`,
    the answers must equal the zones' records.
    """

    def check() -> Finding:
        outer, inner = _walk(at_local, name, addresses, path, zones)
        for one in inner:
            if one.query.rd:
                raise Contradiction(f"The local server's query in frame {one.query.frame} has RD set.", one.query.frame)
        for before, after in pairwise(inner):
            if after.query.time_ns < answer_of(before).time_ns:
                raise Contradiction(
                    f"The query in frame {after.query.frame} precedes the response in frame {answer_of(before).frame}.",
                    after.query.frame,
                    answer_of(before).frame,
                )
        times = ", ".join(f"{one.query.target} {(one.duration_s or 0) * 1e3:.1f} ms" for one in inner)
        queries, responses = [one.query.frame for one in inner], [answer_of(one).frame for one in inner]
        return (
            f"For {canonical(name)} the local server sends all {len(inner)} queries itself ("
            f"{in_frames(queries)}), to {', '.join(path)} in turn, each after the response to the one before "
            f"({in_frames(responses)}): {times}, of {(outer.duration_s or 0) * 1000.0:.1f} ms in all."
        ), dict.fromkeys([outer.query.frame, *sorted(queries + responses), answer_of(outer).frame])

    return decide(claim, [at_local], check)


@decides("D9")
def decide_recursive_queries(
    claim: str,
    by_host: Mapping[str, DnsTraffic],
    name: str,
    addresses: Addresses,
    chain: Sequence[str],
    zones: GivenZones | None = None,
) -> Verdict:
    """Decide claim D9: each server in a chain sends a recursive query to the next server and waits for the answer.

    `chain` has the roles from the client to the authoritative server, such as ("client", "local", "root", ...).
    `by_host` has the traffic captured at each role except the last. `addresses` has the addresses of all roles. With
    `zones`, the final answer must equal the zones' records.
    """

    def check() -> Finding:
        links = [_link(by_host[asker], name, addresses, asker, asked) for asker, asked in pairwise(chain)]
        for asker in chain[:2]:
            _asks_only(by_host[asker], asker, chain[chain.index(asker) + 1], addresses)
        for outer, inner in pairwise(links):
            _nested(outer, inner)
        for link in links[:-1]:
            _recursive(link)
        last = answer_of(links[-1])
        _as_given(last, links[-1], zones)
        if not last.aa:
            raise Contradiction(f"The answer in frame {last.frame} is not authoritative.", last.frame)
        queries, responses = [one.query.frame for one in links], [answer_of(one).frame for one in links]
        return (
            f"The query for {canonical(name)} passes along {', '.join(chain)}: each exchange takes place "
            f"during the one before (queries in {in_frames(queries)}), and the answer returns along the "
            f"chain ({in_frames(responses[::-1])}); the {chain[1]} server queries only {chain[2]}."
        ), dict.fromkeys([*queries, *responses[::-1]])

    if len(chain) < 4:
        raise ValueError("a chain of recursive queries needs at least four roles")
    return decide(claim, [merged(by_host.values())], check)


@decides("D15")
def decide_zone_hosting(
    claim: str,
    traffic: DnsTraffic,
    own: tuple[str, str],
    hired: Sequence[tuple[str, str]],
    zones: GivenZones | None = None,
) -> Verdict:
    """Decide claim D15: one organisation runs the name server of its own zone; a provider hosts the zones of others.

    `own` and each element of `hired` are a pair of a domain and the name of its server. NS records of `own` must name
    servers within the domain. NS records of the `hired` domains must name a server outside of them, which is
    authoritative for all of them. With `zones`, the records must equal those of the zones.
    """

    def check() -> Finding:
        if len({canonical(domain) for domain, _ in hired}) < 2:
            raise Inconclusive("At least two zones of other organisations are needed.")
        own_frame = _named(traffic, *own, inside=True)
        hired_frames = [_named(traffic, domain, server, inside=False) for domain, server in hired]
        (_, own_answer) = _authoritative(traffic, *own)
        answers = [_authoritative(traffic, domain, server, zones) for domain, server in hired]
        common = set.intersection(*(servers for servers, _ in answers))
        answer_frames = [frame for _, frame in answers]
        if not common:
            raise Contradiction(
                f"No server gives authoritative answers for all of {words((domain for domain, _ in hired))}.",
                *answer_frames,
            )
        return (
            f"NS of {canonical(own[0])} is {canonical(own[1])}, within the domain (frame {own_frame}), which "
            f"gives authoritative answers (frame {own_answer}); NS of "
            f"{words((domain for domain, _ in hired))} is "
            f"{words({canonical(server) for _, server in hired})}, outside of the domain ("
            f"{in_frames(hired_frames)}), and {words(common)} gives authoritative answers for each of them "
            f"({in_frames(answer_frames)})."
        ), dict.fromkeys([own_frame, own_answer, *hired_frames, *answer_frames])

    return decide(claim, [traffic], check)


def _only_local(at_clients: Sequence[DnsTraffic], addresses: Addresses, roles: Iterable[str]) -> int:
    """Return the number of client queries; raise Contradiction if one does not go to the local name server."""
    servers = addresses_of(addresses, "local").union(*(addresses_of(addresses, role) for role in roles))
    queries = [
        exchange.query
        for traffic in at_clients
        for exchange in traffic.exchanges
        if exchange.query.source not in servers
    ]
    if not queries:
        raise Inconclusive("The capture has no query of a client.")
    for query in queries:
        if query.target not in addresses_of(addresses, "local"):
            raise Contradiction(
                f"The client {query.source} queries {query.target} in frame {query.frame}, not the local server.",
                query.frame,
            )
    return len(queries)


def _walk(
    traffic: DnsTraffic, name: str, addresses: Addresses, path: Sequence[str], zones: GivenZones | None
) -> tuple[DnsExchange, list[DnsExchange]]:
    """Check that the local name server queries the servers of these roles (`path`), in this order, for a name.

    Return the client's query and the local server's queries to other servers, each with its response.
    """
    local = addresses_of(addresses, "local")
    outer = next(
        (exchange for exchange in traffic.exchanges if exchange.query.target in local and asks_for(exchange, name)),
        None,
    )
    if outer is None:
        raise Inconclusive(f"No client queries the local server for {canonical(name)}.")
    inner = _on_behalf(traffic, outer, name, local)
    by_server = [list(group) for _, group in groupby(inner, lambda one: _role(one.query.target, addresses))]
    visited = [_role(group[0].query.target, addresses) for group in by_server]
    if visited != list(path):
        raise Contradiction(
            f"For the query for {canonical(name)} in frame {outer.query.frame}, the local server queries "
            f"{', '.join(visited) or 'no server'}, not {', '.join(path)}.",
            outer.query.frame,
            *(one.query.frame for one in inner),
        )
    _descends([answer_of(group[-1]) for group in by_server])
    for one in (inner[-1], outer):
        _as_given(answer_of(one), one, zones)
    _brought(outer, inner[-1])
    return outer, inner


def _as_given(response: DnsMessage, exchange: DnsExchange, zones: GivenZones | None) -> None:
    """Raise Contradiction if an answer differs from the zones' records; do nothing if `zones` is None."""
    question = exchange.query.question
    if zones is not None and question is not None:
        zones.answered(response, question.qname, question.qtype)


def _brought(outer: DnsExchange, inner: DnsExchange) -> None:
    """Raise Contradiction unless the answer to the client (`outer`) has all records of the answer `inner`.

    `inner` is the exchange with the last server that the local name server queried.
    """
    told, said = answer_of(outer), answer_of(inner)
    values = [{(record.type, record.rdata) for record in one.answer if record.type != "RRSIG"} for one in (told, said)]
    if not values[1] <= values[0]:
        raise Contradiction(
            f"The client's answer is {words((value for _, value in values[0]))} in frame {told.frame}, but "
            f"the last server's answer is {words((value for _, value in values[1]))} in frame {said.frame}.",
            said.frame,
            told.frame,
        )


def _offers_recursion(response: DnsMessage) -> None:
    """Raise Contradiction unless a response has RA set (recursion available, RFC 1035 section 4.1.1)."""
    if not response.ra:
        raise Contradiction(f"The response in frame {response.frame} does not have RA set.", response.frame)


def _on_behalf(traffic: DnsTraffic, outer: DnsExchange, name: str, local: frozenset[str]) -> list[DnsExchange]:
    """Return the local name server's queries for a name between a client's query (`outer`) and its response.

    Raises Contradiction for an unanswered query that is not repeated.
    """
    end_ns, question = answer_of(outer).time_ns, outer.query.question
    qtype = question.qtype if question else ""
    inner = [
        one for one in sent_by(traffic.between(outer.query.time_ns, end_ns), local) if asks_towards(one, name, qtype)
    ]
    lost = [
        one
        for at, one in enumerate(inner)
        if one.response is None and any(later.query.question == one.query.question for later in inner[at + 1 :])
    ]
    # Leave out truncated answers, since the local server repeats their queries by TCP.
    return [one for one in inner if one not in lost and not answer_of(one).tc]


def _descends(responses: Sequence[DnsMessage]) -> None:
    """Raise Contradiction unless each referral leads to a zone below the previous one.

    The last response must be authoritative.
    """
    zone = "."
    for response in responses[:-1]:
        below = referred_zone(response)
        if not is_referral(response) or below is None:
            raise Contradiction(f"The response in frame {response.frame} is not a referral.", response.frame)
        if below == zone or not is_within(below, zone):
            raise Contradiction(
                f"The referral in frame {response.frame} is for {below}, which is not below {zone}.", response.frame
            )
        zone = below
    last = responses[-1]
    if not last.aa or not last.answer:
        what = "has no answer" if last.aa else "is not authoritative"
        raise Contradiction(f"The response in frame {last.frame} {what}.", last.frame)


def _owned(exchange: DnsExchange, zones: GivenZones) -> None:
    """Raise Contradiction if an answer differs from the zones' records.

    The answer may end at an alias whose target is in a zone of another server.
    """
    question = exchange.query.question
    if question is not None and any(zones.answer(question.qname, question.qtype)):
        zones.answered(answer_of(exchange), question.qname, question.qtype, whole=False)


def _role(address: str, addresses: Addresses) -> str:
    return next((role for role in addresses if address in addresses_of(addresses, role)), address)


def _link(traffic: DnsTraffic, name: str, addresses: Addresses, asker: str, asked: str) -> DnsExchange:
    """Return the first query of the role `asker` for a name, with its response, which must contain an answer.

    Raises Contradiction if one of the role's queries for the name goes to a role other than `asked`; Inconclusive if
    the client sent no query.
    """
    queries = [one for one in sent_by(traffic, addresses_of(addresses, asker)) if asks_for(one, name)]
    if not queries and asker == "client":
        raise Inconclusive(f"The client does not query for {canonical(name)}.")
    if not queries:
        raise Contradiction(f"The {asker} server sends no query for {canonical(name)}.")
    for query in (exchange.query for exchange in queries):
        if query.target not in addresses_of(addresses, asked):
            raise Contradiction(
                f"The {asker} queries {_role(query.target, addresses)} for {canonical(name)} in frame "
                f"{query.frame}, not only {asked}.",
                query.frame,
            )
    response = answer_of(queries[0])
    if not response.answer:
        raise Contradiction(f"The response in frame {response.frame} has no answer.", response.frame)
    return queries[0]


def _asks_only(traffic: DnsTraffic, asker: str, asked: str, addresses: Addresses) -> None:
    for one in sent_by(traffic, addresses_of(addresses, asker)):
        if one.query.target not in addresses_of(addresses, asked):
            raise Contradiction(
                f"The {asker} queries {_role(one.query.target, addresses)} in frame {one.query.frame}, not "
                f"only {asked}.",
                one.query.frame,
            )


def _nested(outer: DnsExchange, inner: DnsExchange) -> None:
    """Raise Contradiction unless the query `inner` is sent and answered while `outer` waits, with the same answer."""
    whole, part = answer_of(outer), answer_of(inner)
    if not outer.query.time_ns <= inner.query.time_ns <= part.time_ns <= whole.time_ns:
        raise Contradiction(
            f"The exchange in frames {inner.query.frame} and {part.frame} does not take place during that in "
            f"frames {outer.query.frame} and {whole.frame}.",
            outer.query.frame,
            inner.query.frame,
            part.frame,
            whole.frame,
        )
    values = [{(record.name, record.type, record.rdata) for record in one.answer} for one in (whole, part)]
    if values[0] != values[1]:
        raise Contradiction(
            f"The answer in frame {whole.frame} differs from that in frame {part.frame}.", part.frame, whole.frame
        )


def _recursive(link: DnsExchange) -> None:
    """Raise Contradiction unless a query has RD set and its response has RA set (RFC 1034 section 4.3.1)."""
    response = answer_of(link)
    if not link.query.rd:
        raise Contradiction(f"The query in frame {link.query.frame} does not have RD set.", link.query.frame)
    _offers_recursion(response)


def _named(traffic: DnsTraffic, domain: str, server: str, inside: bool) -> int:
    """Return the number of the first frame with NS records of a domain.

    Raises Contradiction if a set of NS records lacks `server`. If `inside` is True, each name server must be within the
    domain, otherwise outside of it.
    """
    owner, frames = canonical(domain), list[int]()
    for exchange in traffic.exchanges:
        response = exchange.response
        if response is None:
            continue
        sections = response.answer + response.authority
        names = {record.rdata for record in sections if record.name == owner and record.type == "NS"}
        if not names:
            continue
        if canonical(server) not in names or any(is_within(name, owner) != inside for name in names):
            where = "within" if inside else "outside of"
            raise Contradiction(
                f"The NS records of {owner} in frame {response.frame} are {words(names)}, not "
                f"{canonical(server)} {where} the domain.",
                response.frame,
            )
        frames.append(response.frame)
    if not frames:
        raise Inconclusive(f"The capture has no NS record of {owner}.")
    return frames[0]


def _authoritative(
    traffic: DnsTraffic, domain: str, server: str, zones: GivenZones | None = None
) -> tuple[set[str], int]:
    """Return the addresses from which `server` answers authoritatively for a domain, and the frame number of an answer.

    Raises Contradiction for an answer without AA, Inconclusive if there is no answer.
    """
    responses = [one.response for one in traffic.exchanges if one.response is not None]
    known = {
        record.rdata
        for response in responses
        for record in response.records
        if record.name == canonical(server) and record.type in ADDRESS_TYPES
    }
    within = [
        (one, one.response)
        for one in traffic.exchanges
        if one.query.target in known
        and one.query.question is not None
        and is_within(one.query.question.qname, canonical(domain))
        and one.response is not None
    ]
    for exchange, response in within:
        if zones is not None and not response.tc:
            _owned(exchange, zones)
    answers = [response for _, response in within if response.answer]
    if not answers:
        raise Inconclusive(f"The capture has no answer of {canonical(server)} for {canonical(domain)}.")
    for answer in answers:
        if not answer.aa:
            raise Contradiction(
                f"The answer of {canonical(server)} for {canonical(domain)} in frame {answer.frame} is not "
                "authoritative.",
                answer.frame,
            )
    return {answer.source for answer in answers}, answers[0].frame
