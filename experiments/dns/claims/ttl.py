"""Verdict on course claim D13: a longer DNS TTL saves queries to authoritative servers and causes more stale answers.

For each TTL, `ttl_point` counts the local name server's queries to authoritative servers, and its stale answers to
clients. `decide_ttl_trade_off` decides the claim from these counts. `sweep_ttl` does both.

Sources: RFC 1034 section 2.4, RFC 1035 section 3.2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise
from typing import NamedTuple

from lab7.experiments.dns.claims.caching import TTL_TOLERANCE_S, has_ttl
from lab7.experiments.dns.claims.evidence import (
    Addresses,
    addresses_of,
    alias_chain,
    answered_queries,
    asks_for,
    sent_by,
    words,
)
from lab7.experiments.dns.wire.messages import DnsMessage, canonical
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic, merged
from lab7.experiments.harness.judge.verdict import (
    Contradiction,
    Finding,
    Verdict,
    decide,
    decides,
    failed,
    shown,
    undecided,
)

# Tolerance in ns of the recorded time of a change: answers may have the new data before the end of the reload.
CHANGE_TOLERANCE_NS = 1_000_000_000
# Minimum number of TTLs that show a trend, since any two different values are monotone.
FEWEST_POINTS = 3


class TtlPoint(NamedTuple):
    """Counts for one TTL: queries to authoritative servers, stale answers to clients, and all answers to clients."""

    ttl_s: float
    upstream_queries: int
    stale_answers: int
    answers: int


def ttl_point(
    ttl_s: float,
    at_clients: Sequence[DnsTraffic],
    at_local: DnsTraffic,
    name: str,
    addresses: Addresses,
    changes: Sequence[tuple[int, Collection[str]]],
) -> TtlPoint:
    """Return for one TTL the numbers of queries to authoritative servers, of stale answers and of all answers.

    `changes` are the changes of the name's address in its zone, as (time in ns, new addresses), in order of time. An
    answer is stale if its address had been replaced when the query was sent. Raises Inconclusive if there are no
    answers. Raises Contradiction for an answer with another TTL than `ttl_s`, with an address that the name had not had
    by then, or with an address replaced longer ago than the TTL.
    """
    upstream = [one for one in sent_by(at_local, addresses_of(addresses, "local")) if asks_for(one, name, "A")]
    for one in upstream:
        if one.response is not None and one.response.answer:
            has_ttl(one.response, name, ttl_s)
    found = answered_queries(at_clients, name, "A")
    stale = sum(_is_stale(one, response, name, changes, ttl_s) for one, response in found)
    return TtlPoint(ttl_s, len(upstream), stale, len(found))


def _is_stale(
    exchange: DnsExchange,
    response: DnsMessage,
    name: str,
    changes: Sequence[tuple[int, Collection[str]]],
    ttl_s: float,
) -> bool:
    values = {record.rdata for record in alias_chain(response, name, "A")[1]}
    asked_ns = exchange.query.time_ns
    # The server may have served the new zone for up to the tolerance before the recorded time of the change.
    so_far = [(time_ns, set(some)) for time_ns, some in changes if time_ns <= response.time_ns + CHANGE_TOLERANCE_NS]
    if so_far and values not in [some for _, some in so_far]:
        raise Contradiction(
            f"{canonical(name)} is {words(values)} in frame {response.frame}, an address that it never had.",
            response.frame,
        )
    past = [(time_ns, some) for time_ns, some in so_far if time_ns <= asked_ns]
    if not past or values == past[-1][1] or values not in [some for _, some in past]:
        return False
    replaced_ns = next(after for (_, some), (after, _) in reversed([*pairwise(past)]) if some == values)
    age_s = (asked_ns - replaced_ns) / 1e9
    if age_s > ttl_s + TTL_TOLERANCE_S:
        raise Contradiction(
            f"{canonical(name)} is {words(values)} in frame {response.frame}, {age_s:.1f} s after the address "
            f"was replaced, with TTL {ttl_s:g} s.",
            response.frame,
        )
    return True


def sweep_ttl(
    traffics: Sequence[DnsTraffic], count: Callable[[], Sequence[TtlPoint]]
) -> tuple[list[TtlPoint], Verdict]:
    """Return the counts for all TTLs, as returned by the function `count`, and the verdict on claim D13.

    The claim has failed if `count` raises Contradiction.
    """
    points: list[TtlPoint] = []

    def check() -> Finding:
        points.extend(count())
        return "", []

    counted = decide(decide_ttl_trade_off.claim, [merged(traffics)], check)
    return points, decide_ttl_trade_off(points) if counted.verdict == "shown" else counted


@decides("D13")
def decide_ttl_trade_off(claim: str, points: Sequence[tuple[float, int, int, int]], tolerance: float = 0.05) -> Verdict:
    """Decide claim D13: with growing TTL, authoritative servers get fewer queries and clients get more stale answers.

    Both are counted per answer, by ttl_point(). The trend must be strict from the lowest to the highest TTL. Between
    neighbouring TTLs, a step against the trend may be at most `tolerance` times the largest value.
    """
    swept = sorted(TtlPoint(*point) for point in points)
    if len({point.ttl_s for point in swept}) < max(FEWEST_POINTS, len(swept)):
        return undecided(claim, f"A trend needs at least {FEWEST_POINTS} points with different TTLs, not {len(swept)}.")
    if not all(point.answers for point in swept):
        return undecided(claim, "A point of the sweep has no answers.")
    upstream = _trend(swept, lambda point: point.upstream_queries / point.answers)
    stale = _trend(swept, lambda point: point.stale_answers / point.answers)
    figures = "; ".join(
        f"{point.ttl_s:g} s: {point.upstream_queries} queries upstream and {point.stale_answers} stale for "
        f"{point.answers} answers"
        for point in swept
    )
    falls = not _against([-each for each in upstream], tolerance)
    rises = not _against(stale, tolerance)
    if falls and rises:
        return shown(claim, f"As the TTL grows, queries upstream fall and stale answers rise ({figures}).")
    wrong = " and ".join(
        text
        for text, fine in (("queries upstream do not fall", falls), ("stale answers do not rise", rises))
        if not fine
    )
    return failed(claim, f"As the TTL grows, {wrong} ({figures}).")


def _trend(points: Sequence[TtlPoint], pick: Callable[[TtlPoint], float]) -> list[float]:
    return [pick(point) for point in points]


def _against(values: Sequence[float], tolerance: float) -> bool:
    """Return True if a sequence contradicts a rising trend.

    It does if the last value is not above the first one, or if a value is lower than the one before by more than
    `tolerance`, a fraction of the largest value.
    """
    allowed = tolerance * max(abs(value) for value in values)
    return values[-1] <= values[0] or any(after < before - allowed for before, after in pairwise(values))
