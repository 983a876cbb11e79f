"""Closed forms for a CDN: a visit by name, and what a lone origin gives to so many clients.

A visit by name is a lookup, of which each server that the local one has to ask costs a round trip of its region
(`lookup_s`), and then a page load (`theory`) or a visit through a cache (`cache_theory`).

Clients that ask, get, think for Z and ask again are an interactive system: with N of them at a link that takes S for an
object, X requests a second and a response time R, Little's law says R = N/X - Z, and X is at most 1/S. So

    R(N) >= max(RTT + S, N S - Z)        utilisation(N) = min(1, N S / (RTT + S + Z))

which a link with room for all that wait comes near to: below the knee N* = (RTT + S + Z)/S each client needs as much of
the link as the others, above it each further one costs all of them S. Clients whose RTT differ wait in one queue: the
wait W is what makes the sum of S / (RTT + W + S + Z) over all of them no more than 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from experiments.harness.theory import Theory

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


def asked_for(rtts_s: Sequence[float], service_s: float, think_s: float, wait: float = 0.0) -> float:
    """The share of the link that they ask for if each waits so long."""
    return sum(service_s / (rtt_s + wait + service_s + think_s) for rtt_s in rtts_s)
