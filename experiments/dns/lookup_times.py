"""Decomposition of DNS lookup times into round trips: client to local name server, local to authoritative servers."""

from __future__ import annotations

from collections.abc import Mapping

from lab7.experiments.dns.wire.traffic import DnsExchange
from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, sum_up


def decompose_lookup(client: DnsExchange, local: DnsExchange, upstream: Mapping[str, DnsExchange]) -> Decomposition:
    """Divide the time of a DNS lookup into terms: `client-local`, and the local name server's waits for other servers.

    `client` and `local` are the same query and response, captured at the client and at the local name server.
    `upstream` has the local server's queries to other servers, by term. The remaining time at the local server is its
    processing time. Raises ValueError if a response is missing.
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
