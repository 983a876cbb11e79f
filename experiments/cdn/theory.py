"""Closed forms for a CDN: a visit by name, and what a lone origin gives to so many clients.

A visit by name is a lookup, of which each server that the local one has to ask costs a round trip of its region
(`lookup_s`), and then a page load (`theory`) or a visit through a cache (`cache_theory`).

Clients that ask, get, think for Z and ask again are an interactive system: with N of them at a link that takes S for an
object, X requests a second and a response time R, Little's law says R = N/X - Z, and X is at most 1/S. So

    R(N) >= max(RTT + S, N S - Z)        utilisation(N) = min(1, N S / (RTT + S + Z))

which a link with room for all that wait comes near to: below the knee N* = (RTT + S + Z)/S each client needs as much of
the link as the others, above it each further one costs all of them S. Clients whose RTT differ wait in one queue: the
wait W is what makes the sum of S / (RTT + W + S + Z) over all of them no more than 1.

The bound is none for the finite run of a few clients: near the knee they meet in the queue although there is room for
all of them. What that takes, the path model knows (pathmodel.interactive), and `beyond_bound` gives it as terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from mininet.topo import Topo

from experiments.harness.pathmodel.interactive import Plan, requests_of
from experiments.harness.pathmodel.tcp import Options
from experiments.harness.theory.tcp import Theory, transmission_time_s

DENNING_BUZEN = (
    "Denning and Buzen, The Operational Analysis of Queueing Network Models, ACM Computing Surveys 10(3), 1978: "
    "response time formula and asymptotic bounds"
)
ALONE = "max(RTT + S, N S - Z)"
# Bisection on the wait: each step halves the interval.
STEPS = 60


def by_name(visit: Theory, lookup_s: float, formula: str) -> Theory:
    """Return a visit, whose formula is this one's, with the lookup in front of it."""
    terms: Mapping[str, float] = {"dns": lookup_s, **visit.terms}
    return Theory(visit.total_s + lookup_s, terms, f"DNS + {formula}", visit.source)


def wait_s(rtts_s: Sequence[float], service_s: float, think_s: float) -> float:
    """Return the wait at the link that clients with these round-trip times share, in s; 0 below the knee."""
    if asked_for(rtts_s, service_s, think_s) <= 1:
        return 0.0
    # With this wait alone they would ask for less than the link gives.
    low, high = 0.0, len(rtts_s) * service_s
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if asked_for(rtts_s, service_s, think_s, middle) > 1 else (low, middle)
    return high


def utilisation(rtts_s: Sequence[float], service_s: float, think_s: float) -> float:
    """Return the share of time in which the link sends."""
    return min(1.0, asked_for(rtts_s, service_s, think_s, wait_s(rtts_s, service_s, think_s)))


def interactive(rtts_s: Sequence[float], service_s: float, think_s: float) -> Theory:
    """Return the mean response time of clients with these round-trip times, each weighing as much as it asks."""
    wait = wait_s(rtts_s, service_s, think_s)
    rates = [1 / (rtt_s + wait + service_s + think_s) for rtt_s in rtts_s]
    mean_rtt_s = sum(rate * rtt_s for rate, rtt_s in zip(rates, rtts_s, strict=True)) / sum(rates)
    terms = {"internet": mean_rtt_s, "queueing": wait, "transmission": service_s}
    return Theory(sum(terms.values()), terms, ALONE, DENNING_BUZEN)


def beyond_bound(bound: Theory, plan: Plan, topo: Topo, from_s: float, rtts_s: Sequence[float]) -> dict[str, float]:
    """Return what the bound of `interactive` leaves out of a run of this plan, by name, in s: means over the requests
    from `from_s` to the plan's end. `rtts_s`: of each client of the plan, without any frame.

    internet: how often the near and the far clients asked; queueing: how they met at the link; request: its frame;
    window and acknowledgements: of TCP, see pathmodel.
    """
    full, windowless, ideal = (
        [one for one in requests_of(topo, plan, options) if from_s <= one.at_s < plan.until_s]
        for options in (Options(), Options(window=False), Options(window=False, acknowledgements=False))
    )
    if not (full and windowless and ideal):
        return {}
    full_s, windowless_s, ideal_s = (fmean(one.response_s for one in some) for some in (full, windowless, ideal))
    internet_s = fmean(rtts_s[one.client] for one in ideal)
    # A request is alone on its way, and so the first of its clients' link: what is left is the wait of its response.
    request_s = transmission_time_s(plan.request_bytes, plan.rate_bps)
    wait_s = ideal_s - internet_s - request_s - bound.terms["transmission"]
    return {
        "internet": internet_s - bound.terms["internet"],
        "queueing": wait_s - bound.terms["queueing"],
        "request": request_s,
        "window": full_s - windowless_s,
        "acknowledgements": windowless_s - ideal_s,
    }


def asked_for(rtts_s: Sequence[float], service_s: float, think_s: float, wait: float = 0.0) -> float:
    """The share of the link that they ask for if each waits so long."""
    return sum(service_s / (rtt_s + wait + service_s + think_s) for rtt_s in rtts_s)
