"""Verdicts on course claims C3 and C4: a CDN directs users to replicas by DNS, through a CNAME of the site's name.

Sources: RFC 1034 sections 3.6.2 (CNAME), 4.2.1 (referrals and glue) and 4.3.2 (algorithm of a name server). In each
region, packets are captured at the users (DNS answers, destinations of SYNs) and at the local name server (its queries
to authoritative servers).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.cdn.claims.replicas import Region, require_valid
from lab7.experiments.dns.claims.evidence import (
    Addresses,
    addresses_of,
    alias_chain,
    answer_of,
    answered_queries,
    part_shown,
    referred_zone,
    sent_by,
    words,
)
from lab7.experiments.dns.wire.messages import canonical, is_within
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Inconclusive, Verdict, decide, decides


@dataclass(frozen=True)
class Steering:
    """Evidence of replica selection by the CDN: queries at its name server, the alias, and each region's IP prefix."""

    traffic: DnsTraffic
    alias: str
    networks: Mapping[str, str]


@decides("C3")
def decide_regional_answers(
    claim: str, regions: Sequence[Region], name: str, steering: Steering | None = None
) -> Verdict:
    """Decide claim C3: users of each region get only addresses of their region's replicas, and connect to these.

    With `steering`, the evidence also has the resolver address by which the CDN's name server chose each replica.
    """

    loads = [one.load for one in regions]

    def check() -> Finding:
        if len(regions) < 2:
            raise Inconclusive("At least two regions are needed.")
        require_valid(loads)
        frames: list[int] = []
        told: list[str] = []
        for region in regions:
            answered, where = _answers(region, name)
            frames += [where[0], *_follows_answers(region, answered)]
            asked = {exchange.query.target for exchange, _ in answered_queries([region.dns], name, "A")}
            told.append(
                f"{region.name} gets {region.named(set().union(*answered.values()))} from its name server "
                f"{region.named(asked)} "
                f"(frame {where[0]})"
            )
        reason, queries = ("", []) if steering is None else _reason(regions, steering)
        return (
            f"The answers for {canonical(name)} differ by region: {'; '.join(told)}; all "
            f"{sum(len(region.load.conversations) for region in regions)} connections of the users go to "
            f"the addresses in their answers.{reason}"
        ), dict.fromkeys([*frames, *queries])

    return decide(claim, [*loads, merged(one.dns for one in regions)], check)


@decides("C4")
def decide_alias_to_cdn(claim: str, local: DnsTraffic, name: str, alias: str, addresses: Addresses) -> Verdict:
    """Decide claim C4: the site's name is an alias (CNAME) for a name that the CDN's name server resolves.

    `addresses` has a server's address for each role: `provider` and `cdn` are the two authoritative servers, `local` is
    the resolver. The provider's server must answer with the CNAME record. A referral must lead to the CDN's server, and
    this must answer with the address of the alias.
    """

    def check() -> Finding:
        outer, inner = _walk(local, name, addresses)
        cname = _tells_alias(inner, name, alias, addresses)
        referral = _refers_to_cdn(inner, alias, addresses)
        final = _answers_alias(inner, alias, addresses, cname)
        order = [_role(one.query.target, addresses) for one in inner]
        got = {record.rdata for record in alias_chain(answer_of(outer), name, "A")[1]}
        if got != {record.rdata for record in alias_chain(answer_of(final), alias, "A")[1]}:
            raise Contradiction(
                f"The client gets {words(got)} in frame {answer_of(outer).frame}, which differs from the "
                f"answer of the CDN's name server in frame {answer_of(final).frame}.",
                answer_of(outer).frame,
                answer_of(final).frame,
            )
        frames = [outer.query.frame, answer_of(cname).frame, referral, final.query.frame, answer_of(final).frame]
        return (
            f"For the query for {canonical(name)} in frame {outer.query.frame}, the local name server queries "
            f"{', '.join(order)}; the provider's server answers in frame {frames[1]} with CNAME "
            f"{canonical(alias)}, the referral in frame {referral} names the CDN's server, which is queried "
            f"in frame {frames[3]} and answers {words(got)} in frame {frames[4]}."
        ), dict.fromkeys(frames)

    return decide(claim, [local], check)


def _reason(regions: Sequence[Region], steering: Steering) -> tuple[str, list[int]]:
    """Return (sentence, frame numbers) on the resolver address by which the CDN chose each region's replica."""
    found: list[str] = []
    frames = []
    for region in regions:
        network = ipaddress.ip_network(steering.networks[region.name])
        # Leave out direct queries of other hosts, such as checks before the measurement: they direct no user.
        resolvers = {exchange.query.target for exchange in region.dns.exchanges}
        for exchange, answer in answered_queries([steering.traffic], steering.alias, "A"):
            given = {record.rdata for record in alias_chain(answer, steering.alias, "A")[1]}
            source = exchange.query.source
            if source in resolvers and given and given <= region.replicas and ipaddress.ip_address(source) in network:
                frames.append(exchange.query.frame)
                found.append(
                    f"{region.named([source])} (frame {exchange.query.frame}) is in {network}, region {region.name}, "
                    f"whose replica is {region.named(given)}"
                )
                break
    if not found:
        return "", []
    return (
        " The CDN's name server decides by the address from which the query reaches it, that of the region's name "
        f"server, and its region map: {'; '.join(found)}."
    ), frames


def _answers(region: Region, name: str) -> tuple[dict[int, set[str]], list[int]]:
    """Return (time in ns -> addresses, frame numbers) of the DNS answers for a name to the users of a region.

    Raises Contradiction if an answer has an address that is not one of the region's replicas.
    """
    found: dict[int, set[str]] = {}
    frames = []
    for _, answer in answered_queries([region.dns], name, "A"):
        addresses = {record.rdata for record in alias_chain(answer, name, "A")[1]}
        if not addresses or not addresses <= region.replicas:
            raise Contradiction(
                f"The answer in frame {answer.frame} directs {region.name} to {words(addresses)}; its own "
                f"region has {words(region.replicas)}.",
                answer.frame,
            )
        found[answer.time_ns] = addresses
        frames.append(answer.frame)
    return found, frames


def _follows_answers(region: Region, answered: Mapping[int, set[str]]) -> list[int]:
    """Return the frame numbers of the users' SYNs.

    Raises Contradiction if a SYN goes to an address that no earlier DNS answer contains.
    """
    frames = []
    for connection in (conversation.connection for conversation in region.load.conversations):
        before = [addresses for time_ns, addresses in answered.items() if time_ns < connection.syn.time_ns]
        if not before or connection.server.address not in set().union(*before):
            raise Contradiction(
                f"The SYN of {region.name} in frame {connection.syn.frame} goes to "
                f"{connection.server.address}, which no previous answer contains.",
                connection.syn.frame,
            )
        frames.append(connection.syn.frame)
    if not frames:
        raise Inconclusive(f"No user of {region.name} opens a connection.")
    return frames


def _walk(local: DnsTraffic, name: str, addresses: Addresses) -> tuple[DnsExchange, list[DnsExchange]]:
    """Return the client's first query for the name, and the local name server's own queries until it responds."""
    mine = addresses_of(addresses, "local")
    outer = next(
        (
            exchange
            for exchange in local.exchanges
            if exchange.query.target in mine
            and exchange.query.question
            and exchange.query.question.qname == canonical(name)
        ),
        None,
    )
    if outer is None:
        raise Inconclusive(f"The local name server gets no query for {canonical(name)}.")
    meanwhile = sent_by(local.between(outer.query.time_ns, answer_of(outer).time_ns), mine)
    # Exclude priming queries for the root's servers (RFC 8109), and unanswered queries repeated at another server.
    inner = [
        one
        for one in meanwhile
        if one.response is not None and one.query.question is not None and one.query.question.qname != "."
    ]
    if not inner:
        raise Inconclusive(f"The local name server had {canonical(name)} in its cache already.")
    return outer, inner


def _tells_alias(inner: Sequence[DnsExchange], name: str, alias: str, addresses: Addresses) -> DnsExchange:
    """Return the query that the content provider's authoritative name server answers with the CNAME.

    Raises Contradiction if the CNAME has another source or target, or if there is none.
    """
    for one in inner:
        answer = answer_of(one)
        aliases = [each for each in answer.answer if each.name == canonical(name) and each.type == "CNAME"]
        if not aliases:
            continue
        if one.query.target not in addresses_of(addresses, "provider") or not answer.aa:
            raise Contradiction(
                f"The CNAME in frame {answer.frame} comes from {_role(one.query.target, addresses)}"
                f"{'' if answer.aa else ' without authority'}, not from the provider's own name server.",
                answer.frame,
            )
        if aliases[0].rdata != canonical(alias):
            raise Contradiction(f"The CNAME in frame {answer.frame} leads to {aliases[0].rdata}.", answer.frame)
        return one
    raise Contradiction(f"No answer has a CNAME record of {canonical(name)}.", *(answer_of(one).frame for one in inner))


def _refers_to_cdn(inner: Sequence[DnsExchange], alias: str, addresses: Addresses) -> int:
    """Return the frame number of the referral to the CDN's zone, with the address of the CDN's name server as glue.

    Raises Inconclusive if no such referral was captured.
    """
    cdn = addresses_of(addresses, "cdn")
    for one in inner:
        answer = answer_of(one)
        zone = referred_zone(answer)
        glue = {record.rdata for record in answer.additional if record.type == "A"}
        if one.query.target not in cdn and zone and is_within(canonical(alias), zone) and glue & cdn:
            return answer.frame
    raise Inconclusive("The capture has no referral to the CDN's name server: it was cached already.")


def _answers_alias(inner: Sequence[DnsExchange], alias: str, addresses: Addresses, cname: DnsExchange) -> DnsExchange:
    """Return the query for the alias that the CDN's name server answers authoritatively.

    Raises Contradiction if another server answers it, if it precedes the CNAME, or if there is none.
    """
    for one in inner:
        answer = answer_of(one)
        question = one.query.question
        if question is None or part_shown(question) != canonical(alias) or not alias_chain(answer, alias, "A")[1]:
            continue
        if one.query.target not in addresses_of(addresses, "cdn") or not answer.aa:
            raise Contradiction(
                f"{canonical(alias)} is answered in frame {answer.frame} by {_role(one.query.target, addresses)}"
                f"{'' if answer.aa else ' without authority'}, not by the CDN's name server.",
                answer.frame,
            )
        if one.query.time_ns < answer_of(cname).time_ns:
            raise Contradiction(
                f"The query for {canonical(alias)} in frame {one.query.frame} precedes the answer with the CNAME.",
                one.query.frame,
            )
        return one
    raise Contradiction(
        f"No answer of the CDN's name server has an address of {canonical(alias)}.", answer_of(cname).frame
    )


def _role(address: str, addresses: Addresses) -> str:
    return next((role for role in addresses if address in addresses_of(addresses, role)), address)
