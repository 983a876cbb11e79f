"""Closed-form times in a CDN: a page load with its DNS lookup, and the response time of a single origin with N clients.

A page load by name begins with a DNS lookup. Its time `lookup_s` is one round trip for each name server that the local
name server queries. A page load (http.theory), or a page load through a cache (cache.theory), follows.

N clients that request an object, receive it, pause for the think time Z and repeat are an interactive system in the
sense of operational analysis. If S is the transmission time of the object on the origin's link, the throughput is X <=
1/S, and by Little's law the response time is R = N/X - Z. It follows that

    R(N) >= max(RTT + S, N S - Z)        utilisation(N) = min(1, N S / (RTT + S + Z))

A link with an unbounded queue comes close to these bounds. Below the knee at N* = (RTT + S + Z)/S clients, the clients
do not delay each other; above the knee, each further client adds S to the response time of all. Clients with different
RTTs wait in the same queue. Its wait W is the solution of: the sum of S / (RTT + W + S + Z) over all clients is 1.

The bounds are asymptotic. Near the knee, clients meet in the queue although the link has spare capacity. A simulation
of TCP on the link (pathmodel.interactive_system) computes this effect, and `beyond_bound` returns it as additional
terms of the response time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

from mininet.topo import Topo

from lab7.experiments.harness.pathmodel.interactive_system import Plan, requests_of
from lab7.experiments.harness.pathmodel.tcp import Options
from lab7.experiments.harness.theory.round_trips import MEANINGS
from lab7.experiments.harness.theory.tcp import Theory, in_ms, is_symbol_of, transmission_time_s

DENNING_BUZEN = (
    "Denning and Buzen, The Operational Analysis of Queueing Network Models, ACM Computing Surveys 10(3), 1978: "
    "response time formula and asymptotic bounds"
)
ALONE = "max(RTT + S, N S - Z)"
# Number of bisection steps in the computation of the wait; each step halves the interval.
STEPS = 60


def by_name(visit: Theory, lookup_s: float, formula: str, names: Mapping[str, str] | None = None) -> Theory:
    """Return the closed form of a page load with its DNS lookup of `lookup_s` seconds added.

    `formula` is the text of the lookup time; `names` renames the RTT symbols in the formula of the page load.
    """
    terms: Mapping[str, float] = {"dns": lookup_s, **visit.terms}
    symbols = {(names or {}).get(symbol, symbol): text for symbol, text in visit.symbols.items()}
    symbols = {symbol: text for symbol, text in symbols.items() if is_symbol_of(formula, symbol)}
    dns = f"{in_ms(lookup_s)}, {MEANINGS['DNS']}"
    return Theory(visit.total_s + lookup_s, terms, f"DNS + {formula}", visit.source, {"DNS": dns, **symbols})


def wait_s(rtts_s: Sequence[float], service_s: float, think_s: float) -> float:
    """Return the mean queueing delay in s at the link, equal for all clients; 0 if the link is not saturated."""
    if offered_load(rtts_s, service_s, think_s) <= 1:
        return 0.0
    # The upper limit of the bisection is so long a wait that the offered load is below 1.
    low, high = 0.0, len(rtts_s) * service_s
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if offered_load(rtts_s, service_s, think_s, middle) > 1 else (low, middle)
    return high


def utilisation(rtts_s: Sequence[float], service_s: float, think_s: float) -> float:
    """Return the utilisation of the link (0 to 1): the share of time in which the link transmits."""
    return min(1.0, offered_load(rtts_s, service_s, think_s, wait_s(rtts_s, service_s, think_s)))


def interactive(rtts_s: Sequence[float], service_s: float, think_s: float) -> Theory:
    """Return the mean response time in s, divided into terms, of N clients with the round-trip times `rtts_s`.

    The mean is weighted by the request rates of the clients.
    """
    wait = wait_s(rtts_s, service_s, think_s)
    rates = [1 / (rtt_s + wait + service_s + think_s) for rtt_s in rtts_s]
    mean_rtt_s = sum(rate * rtt_s for rate, rtt_s in zip(rates, rtts_s, strict=True)) / sum(rates)
    terms = {"internet": mean_rtt_s, "queueing": wait, "transmission": service_s}
    symbols = {
        "RTT": f"{in_ms(mean_rtt_s)}, mean round-trip time between clients and origin",
        "S": f"{in_ms(service_s)}, transmission time of an object",
        "N": f"{len(rtts_s)}, clients",
        "Z": f"{in_ms(think_s)}, think time",
    }
    return Theory(sum(terms.values()), terms, ALONE, DENNING_BUZEN, symbols)


def beyond_bound(bound: Theory, plan: Plan, topo: Topo, from_s: float, rtts_s: Sequence[float]) -> dict[str, float]:
    """Return the terms of the response time that the bound of interactive() omits: name -> seconds.

    They are means over all simulated requests from `from_s` to the end of `plan`; `rtts_s` are the propagation RTTs of
    the clients in `plan`.

    - `internet`: effect of the shares of near and far clients among the requests
    - `queueing`: waits of clients for each other in the link's queue
    - `request`: transmission time of the request's frame
    - `window`, `acknowledgements`: effects of TCP's congestion window and of its acknowledgements
    """
    full, windowless, ideal = (
        [request for request in requests_of(topo, plan, options) if from_s <= request.at_s < plan.until_s]
        for options in (Options(), Options(window=False), Options(window=False, acknowledgements=False))
    )
    if not (full and windowless and ideal):
        return {}
    full_s, windowless_s, ideal_s = (
        fmean(request.response_s for request in requests) for requests in (full, windowless, ideal)
    )
    internet_s = fmean(rtts_s[request.client] for request in ideal)
    # Requests do not queue, so the remaining time is the wait of responses in the link's queue.
    request_s = transmission_time_s(plan.request_bytes, plan.rate_bps)
    wait_s = ideal_s - internet_s - request_s - bound.terms["transmission"]
    return {
        "internet": internet_s - bound.terms["internet"],
        "queueing": wait_s - bound.terms["queueing"],
        "request": request_s,
        "window": full_s - windowless_s,
        "acknowledgements": windowless_s - ideal_s,
    }


def offered_load(rtts_s: Sequence[float], service_s: float, think_s: float, wait: float = 0.0) -> float:
    """Return the offered load of the link as a multiple of its rate, if each request waits `wait` seconds for it."""
    return sum(service_s / (rtt_s + wait + service_s + think_s) for rtt_s in rtts_s)
