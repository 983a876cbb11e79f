"""Verdicts on course claims C5 and C6: a CDN shortens page loads and reduces the octets on the origin's link.

The load time of a page is measured at the user, from the DNS query for the site's name to the last octet of the page.
It is divided into terms, as in `cache.claims.savings`: the time in which the replica waits for the origin is subtracted
from the time in which the user waits for the replica.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from lab7.experiments.cache.claims.savings import decompose_visit
from lab7.experiments.cache.wire.legs import Legs, Span
from lab7.experiments.cache.wire.link_use import LinkUse, ReliefWording, change, decide_relief
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, sum_up
from lab7.experiments.harness.judge.verdict import Verdict, decides, failed, shown, undecided
from lab7.experiments.http.wire.page_load import PageLoad, decompose

_AT_ORIGIN = ReliefWording(
    "the same requests", "the origin's link", "the origin's own end", "the CDN", "a replica's copy"
)


@decides("C5")
def decide_visit_time(
    claim: str,
    without: Mapping[str, Sequence[float]],
    through: Mapping[str, Sequence[float]],
    disagreeing: Sequence[str],
) -> Verdict:
    """Decide claim C5 (a CDN shortens page loads), from load times in s without and with it, keyed by region.

    `disagreeing` names the comparisons in which measured times deviate too much from theory; C5 is undecided then.
    """
    if not without or {name: len(times) for name, times in without.items()} != {
        name: len(times) for name, times in through.items()
    }:
        return undecided(claim, "The visits with and without the CDN differ.")
    means = {name: (statistics.fmean(without[name]), statistics.fmean(through[name])) for name in without}
    figures = "; ".join(
        f"{name} {before_s * 1e3:.1f} ms without and {after_s * 1e3:.1f} ms through the CDN "
        f"({change(before_s, after_s)})"
        for name, (before_s, after_s) in means.items()
    )
    count = sum(len(times) for times in without.values())
    slower = [name for name, (before_s, after_s) in means.items() if after_s >= before_s]
    if slower:
        return failed(
            claim, f"The CDN does not shorten the visits of {', '.join(slower)}: the mean visit takes {figures}."
        )
    if disagreeing:
        return undecided(
            claim,
            f"The mean visit takes {figures}, but {', '.join(disagreeing)} differ from theory by more "
            "than the tolerance.",
        )
    return shown(claim, f"The mean of {count} visits each, including the first one with all caches empty: {figures}.")


@decides("C6")
def decide_link_relief(claim: str, without: LinkUse, through: LinkUse, from_copies: int) -> Verdict:
    """Decide claim C6: a CDN reduces the octets on the origin's link, compared with the same requests without it.

    `from_copies` is the number of responses that replicas served from their caches.
    """
    return decide_relief(claim, _AT_ORIGIN, without, through, from_copies)


def decompose_by_name(load: PageLoad, lookups: DnsTraffic, legs: Legs | None, span: Span) -> Decomposition:
    """Divide the load time of a page, DNS lookup included, into terms.

    `load` and `lookups` were captured at the user within `span`. `legs` are the replica's connections, None without a
    CDN. Raises ValueError if no response was received.
    """
    found = decompose(load) if legs is None else decompose_visit(load, legs, span)
    start_ns = load.conversations[0].connection.syn.time_ns
    waits = [
        Interval("dns", exchange.query.time_ns, exchange.response.time_ns)
        for exchange in lookups.exchanges
        if exchange.response is not None and exchange.response.time_ns <= start_ns
    ]
    if not waits:
        return Decomposition(found.total_s, {"dns": 0.0} | dict(found.terms))
    before = sum_up(waits, min(wait.start_ns for wait in waits), start_ns, ("dns",))
    terms = {"dns": 0.0} | dict(found.terms)
    # Add the client's own time between the DNS answer and the SYN to that of the page load.
    for name, own_s in before.terms.items():
        terms[name] = own_s if name == "dns" else terms[name] + own_s
    return Decomposition(found.total_s + before.total_s, terms)
