"""Lookup times: the client's wait for a response, divided among the legs between neighbours on the path."""

from __future__ import annotations

from collections.abc import Mapping

from lab7.experiments.dns.wire.traffic import DnsExchange
from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, sum_up


def decompose_lookup(client: DnsExchange, local: DnsExchange, upstream: Mapping[str, DnsExchange]) -> Decomposition:
    """Divide the time of a lookup into `client-local` and the waits of the local server, by the name of each leg.

    client, local: the exchange of client and local server at both ends; upstream: the local server's exchanges with
    other servers, at its own interface, by leg. Time at the local server in none of these is its own. Raises ValueError
    for an exchange without a response.
    """
    whole, there = (_interval("client-local", one) for one in (client, local))
    legs = [_interval(name, one) for name, one in upstream.items()]
    busy = sum_up(legs, there.start_ns, there.end_ns, tuple(upstream)[::-1])
    way_ns = (whole.end_ns - whole.start_ns) - (there.end_ns - there.start_ns)
    return Decomposition((whole.end_ns - whole.start_ns) / 1e9, {whole.term: way_ns / 1e9, **busy.terms})


def _interval(term: str, exchange: DnsExchange) -> Interval:
    if exchange.response is None:
        raise ValueError("a lookup without a response has no duration")
    return Interval(term, exchange.query.time_ns, exchange.response.time_ns)
