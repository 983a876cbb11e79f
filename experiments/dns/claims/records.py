"""Verdicts on course claims D2 to D6 and D14 on DNS resource records: A, PTR, CNAME, MX, address order, record format.

    D2   DNS gives the address of a name (A)
    D3   DNS gives the name of an address (PTR below in-addr.arpa)
    D4   DNS gives the canonical name of an alias (CNAME)
    D5   DNS gives the mail servers of a domain (MX), by preference
    D6   DNS spreads load: one name has several addresses, in rotating order
    D14  a record has name, value, type, class and TTL; NS names a domain's authoritative server

The functions take DNS traffic (see `wire.traffic`) and names with or without their final dot, and return a Verdict. A
claim is undecided if the capture dropped packets, has a gap, or lacks the traffic in question; a failed claim cites the
frames that contradict it. D2 to D6 are about answers to clients. Their traffic must be captured at the client, where no
referrals are seen.

Answers are compared with the values in the configured zones (see `evidence.GivenZones`). A well-formed answer with
another content therefore contradicts a claim, whichever server sent it.

Sources: RFC 1034 sections 3.6 and 4.3, RFC 1035 sections 3 and 4, RFC 2181, RFC 5321 section 5.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from ipaddress import ip_address

from lab7.experiments.dns.claims.evidence import (
    ADDRESS_TYPES,
    Addresses,
    GivenZones,
    addresses_of,
    alias_chain,
    answered_queries,
    is_referral,
    part_shown,
    referred_zone,
    words,
)
from lab7.experiments.dns.wire.messages import DnsMessage, DnsRecord, canonical, is_within
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Inconclusive,
    Verdict,
    decide,
    decides,
    in_frames,
)

# The order of n addresses is decided from at least FEWEST_ROUNDS * n answers; fewer leave claim D6 undecided.
FEWEST_ROUNDS = 2
# The chi-square test needs an expected count of at least five per address (Cochran, Biometrics 10, 1954).
FEWEST_EXPECTED = 5
# QUANTILE is the 0.999 quantile of the normal distribution: one in a thousand random orders is rejected.
QUANTILE = 3.0902
LARGEST_TTL = 2**31 - 1  # RFC 2181 section 8


def _exact_answers(
    traffic: DnsTraffic, name: str, qtype: str, expected: Collection[str]
) -> list[tuple[DnsExchange, DnsMessage]]:
    """Return (exchange, response) for each query for a name and type; an exchange is a query with its response.

    Raises Contradiction if an answer has other records than the expected values and the CNAMEs that lead to them.
    """
    found = answered_queries([traffic], name, qtype)
    for exchange, response in found:
        aliases, values = alias_chain(response, name, qtype)
        _exactly(values, expected, exchange, response)
        _only(response, [*aliases, *values])
    return found


@decides("D2")
def decide_address_lookup(claim: str, traffic: DnsTraffic, name: str, addresses: Collection[str]) -> Verdict:
    """Decide claim D2: an A query for a name is answered with exactly these addresses, in any order."""

    def check() -> Finding:
        return _told(_exact_answers(traffic, name, "A", addresses), f"A {words(addresses)}")

    return decide(claim, [traffic], check)


@decides("D3")
def decide_reverse_lookup(claim: str, traffic: DnsTraffic, address: str, name: str) -> Verdict:
    """Decide claim D3: a PTR query for an address (in-addr.arpa, ip6.arpa) is answered with the host's name."""
    reverse = canonical(ip_address(address).reverse_pointer)

    def check() -> Finding:
        found = _exact_answers(traffic, reverse, "PTR", [canonical(name)])
        return _told(found, f"PTR {canonical(name)}, the name of {address}")

    return decide(claim, [traffic], check)


@decides("D4")
def decide_alias(
    claim: str, traffic: DnsTraffic, alias: str, canonical_name: str, addresses: Collection[str] = ()
) -> Verdict:
    """Decide claim D4: the answer for an alias has its CNAME record first, and then the addresses of the target."""
    target = canonical(canonical_name)

    def check() -> Finding:
        found = answered_queries([traffic], alias, "A")
        for exchange, response in found:
            aliases, values = alias_chain(response, alias, "A")
            _exactly(aliases[-1:], [target], exchange, response)
            if not values:
                raise Contradiction(f"The answer in frame {response.frame} has no address of {target}.", response.frame)
            if addresses:
                _exactly(values, addresses, exchange, response)
            _only(response, [*aliases, *values])
            # RFC 1034 section 4.3.2, step 3a: CNAME records precede the records of their target in an answer.
            if [response.answer.index(one) for one in aliases] != list(range(len(aliases))):
                raise Contradiction(f"In frame {response.frame} addresses precede the CNAME.", response.frame)
        values = alias_chain(found[0][1], alias, "A")[1]
        return _told(found, f"CNAME {target}, followed by A {words(one.rdata for one in values)}")

    return decide(claim, [traffic], check)


@decides("D5")
def decide_mail_exchange(claim: str, traffic: DnsTraffic, domain: str, expected: Sequence[tuple[int, str]]) -> Verdict:
    """Decide claim D5: an MX query for a domain is answered with exactly these (preference, mail server) pairs.

    A sender tries the lower preference first (RFC 5321 section 5.1). The order of the records in the message is
    irrelevant.
    """
    wanted = sorted((preference, canonical(exchange)) for preference, exchange in expected)

    def check() -> Finding:
        found = answered_queries([traffic], domain, "MX")
        for _, response in found:
            aliases, values = alias_chain(response, domain, "MX")
            got = sorted(record.mx for record in values)
            if got != wanted:
                raise Contradiction(
                    f"MX of {canonical(domain)} in frame {response.frame}: {_ranked(got)}, not {_ranked(wanted)}.",
                    response.frame,
                )
            _only(response, [*aliases, *values])
        if len({preference for preference, _ in wanted}) < max(len(wanted), 2):
            raise Inconclusive("An order of preference needs at least two servers with different preferences.")
        return _told(found, f"MX in order of preference {_ranked(wanted)}")

    return decide(claim, [traffic], check)


def _ranked(servers: Sequence[tuple[int, str]]) -> str:
    return ", ".join(f"{preference} {exchange}" for preference, exchange in servers) or "nothing"


@decides("D6")
def decide_address_rotation(claim: str, traffic: DnsTraffic, name: str, addresses: Collection[str]) -> Verdict:
    """Decide claim D6: every answer has all addresses of a name, and each address is first about equally often.

    Two orders satisfy the claim. In a cyclic order, every address is first at least once and the counts differ by at
    most one. In a random order, or a cyclic order that other clients' queries advance as well, the counts pass a
    chi-square test for equal probabilities.
    """

    def check() -> Finding:
        if len(set(addresses)) < 2:
            raise Inconclusive("At least two addresses are needed to see an order.")
        found = _exact_answers(traffic, name, "A", addresses)
        firsts: Counter[str] = Counter(dict.fromkeys(addresses, 0))
        firsts.update(alias_chain(response, name, "A")[1][0].rdata for _, response in found)
        rule = _evenly(firsts, [response.frame for _, response in found])
        counts = ", ".join(f"{address} {count}" for address, count in sorted(firsts.items()))
        evidence, frames = _told(found, f"all {len(firsts)} addresses")
        return f"{evidence[:-1]}; times in the first position: {counts}: {rule}.", frames

    return decide(claim, [traffic], check)


def _evenly(firsts: Counter[str], frames: list[int]) -> str:
    """Test that each address is first about equally often; return the test (cyclic order or chi-square) as text.

    Raises Contradiction if the counts of first positions are too unequal, Inconclusive if there are too few answers.
    """
    total, spread = firsts.total(), max(firsts.values()) - min(firsts.values())
    counts = ", ".join(f"{address} {count}" for address, count in sorted(firsts.items()))
    if total < FEWEST_ROUNDS * len(firsts):
        raise Inconclusive(f"{total} answers are too few to judge the order of {len(firsts)} addresses.")
    if max(firsts.values()) == total:
        raise Contradiction(f"The same address is in the first position in all {total} answers ({counts}).", *frames)
    if min(firsts.values()) and spread <= 1:
        return f"counts differ by at most {spread}, as in a cyclic order"
    if total < FEWEST_EXPECTED * len(firsts):
        raise Inconclusive(
            f"{total} answers are too few to distinguish an uneven order from chance (times in "
            f"the first position: {counts})."
        )
    expected = total / len(firsts)
    distance = sum((count - expected) ** 2 / expected for count in firsts.values())
    bound = chi_square_bound(len(firsts) - 1)
    if distance > bound:
        raise Contradiction(
            f"In {total} answers the times in the first position are {counts}: chi-square {distance:.1f}, "
            f"above {bound:.1f}.",
            *frames,
        )
    return f"chi-square {distance:.1f}, below {bound:.1f}"


def chi_square_bound(degrees: int) -> float:
    """Return the 0.999 quantile of the chi-square distribution, up to 3 % too high (Wilson and Hilferty, 1931)."""
    part = 2 / (9 * degrees)
    return float(degrees * (1 - part + QUANTILE * part**0.5) ** 3)


@decides("D14")
def decide_record_fields(
    claim: str, traffic: DnsTraffic, addresses: Addresses, zones: GivenZones | None = None, cold: bool = False
) -> Verdict:
    """Decide claim D14: records have name, value, type, class, TTL; NS records direct the next query.

    `addresses` needs the key `local`. The addresses of the servers in NS records are taken from earlier responses; a
    referral is skipped if none was captured. With `zones`, all NS records, all records of the authority and additional
    sections, and all TTLs must be those of the zones; the values of other records in answers are checked by the
    functions for D2 to D6. `cold` means that the local name server's cache was empty when the capture began; the local
    server must then query another server before it answers.
    """
    local = addresses_of(addresses, "local")

    def check() -> Finding:
        if cold and any(exchange.query.target in local and exchange.response for exchange in traffic.exchanges):
            _queries_upstream(traffic, local)
        responses = sorted(
            (exchange.response for exchange in traffic.exchanges if exchange.response is not None),
            key=lambda one: one.time_ns,
        )
        records = [(response, record) for response in responses for record in response.records if record.type != "OPT"]
        for response, record in records:
            _complete(record, response.frame)
        if zones is not None:
            for response in responses:
                _as_given(response, zones, local)
        steps = _next_steps(traffic, responses, local)
        if not records or not steps:
            raise Inconclusive("The capture has no referral that the local server follows.")
        referral, zone, query = steps[0]
        types = words({record.type for _, record in records})
        return (
            f"{len(records)} records of the types {types} have name, value, type, class IN and TTL; "
            f"{len(steps)} referrals name the servers of the next query: NS of {zone} in frame "
            f"{referral.frame}, next query to {query.target} in frame {query.frame}."
        ), dict.fromkeys([referral.frame, query.frame])

    return decide(claim, [traffic], check)


def _queries_upstream(traffic: DnsTraffic, local: frozenset[str]) -> None:
    if not any(exchange.query.source in local for exchange in traffic.exchanges):
        answer = next(
            exchange.response for exchange in traffic.exchanges if exchange.query.target in local and exchange.response
        )
        raise Contradiction(
            f"The local server answers in frame {answer.frame}, but sends no query upstream in the capture.",
            answer.frame,
        )


def _as_given(response: DnsMessage, zones: GivenZones, local: frozenset[str]) -> None:
    """Raise Contradiction unless NS records and TTLs of a response equal those of the zones.

    A response from a cache may have lower TTLs.
    """
    from_cache = response.source in local
    for record in response.answer:
        if record.type == "NS" and record.rdata not in zones.values(record.name, "NS"):
            zones.has(record, response.frame)
        (zones.lives_no_longer if from_cache else zones.lives)(record, response.frame)
    if from_cache:
        return
    for record in (*response.authority, *response.additional):
        if record.type != "OPT":
            zones.has(record, response.frame)


def _complete(record: DnsRecord, frame: int) -> None:
    """Raise Contradiction unless a record has class IN, a TTL below 2^31, and a value (RFC 1034 section 3.6)."""
    what = f"{record.name} {record.type}"
    if record.rclass != "IN":
        raise Contradiction(f"{what} in frame {frame} has class {record.rclass}, not IN.", frame)
    if record.ttl > LARGEST_TTL:
        raise Contradiction(f"{what} in frame {frame} has TTL {record.ttl}, more than 31 bits.", frame)
    if not record.rdata:
        raise Contradiction(f"{what} in frame {frame} has no value.", frame)


def _next_steps(
    traffic: DnsTraffic, responses: Sequence[DnsMessage], local: frozenset[str]
) -> list[tuple[DnsMessage, str, DnsMessage]]:
    """Return (referral, its zone, next query of the local name server) for each referral with known server addresses.

    Raises Contradiction if the next query goes to another address.
    """
    steps = []
    queries = [exchange.query for exchange in traffic.exchanges if exchange.query.source in local]
    for referral in responses:
        zone = referred_zone(referral) if referral.target in local and is_referral(referral) else None
        following = next((query for query in queries if zone and _follows(query, referral)), None)
        if zone is None or following is None:
            continue
        named = {record.rdata for record in referral.authority if record.type == "NS"}
        known = {
            record.rdata
            for response in responses
            if response.time_ns <= following.time_ns
            for record in response.records
            if record.name in named and record.type in ADDRESS_TYPES
        }
        if not known:
            continue
        if following.target not in known:
            raise Contradiction(
                f"NS of {zone} in frame {referral.frame} names {words(named)} ({words(known)}), but the next query, in "
                f"frame {following.frame}, goes to {following.target}.",
                referral.frame,
                following.frame,
            )
        steps.append((referral, zone, following))
    return steps


def _follows(query: DnsMessage, referral: DnsMessage) -> bool:
    """Return True if a query is the next step after a referral.

    It then has the same question or, with QNAME minimisation (RFC 9156), more labels of the name.
    """
    before, after = referral.question, query.question
    if query.time_ns < referral.time_ns or before is None or after is None:
        return False
    shown, more = part_shown(before), part_shown(after)
    return after == before or (more != shown and is_within(more, shown))


def _exactly(
    records: Sequence[DnsRecord], values: Collection[str], exchange: DnsExchange, response: DnsMessage
) -> None:
    """Raise Contradiction unless the records have exactly these values, each once (RFC 2181 section 5)."""
    found = [record.rdata for record in records]
    if sorted(found) != sorted(set(values)):
        raise Contradiction(
            f"The query for {exchange.query.question} in frame {exchange.query.frame} is answered with "
            f"{words(found)} in frame {response.frame}, not with {words(values)}.",
            exchange.query.frame,
            response.frame,
        )


def _only(response: DnsMessage, expected: Sequence[DnsRecord]) -> None:
    """Raise Contradiction if the answer section has other records than the expected ones and RRSIGs."""
    other = [record for record in response.answer if record not in expected and record.type != "RRSIG"]
    if other:
        raise Contradiction(
            f"The answer in frame {response.frame} has the additional record {other[0].name} {other[0].type} "
            f"{other[0].rdata}.",
            response.frame,
        )


def _told(found: Sequence[tuple[DnsExchange, DnsMessage]], what: str) -> Finding:
    queries, responses = [one.query.frame for one, _ in found], [response.frame for _, response in found]
    question = found[0][0].query.question
    return (f"The query for {question} in {in_frames(queries)} is answered in {in_frames(responses)} with {what}."), [
        frame for pair in zip(queries, responses, strict=True) for frame in pair
    ]
