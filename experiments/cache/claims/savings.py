"""Verdicts on course claims W1 and W2: a cache shortens page loads and reduces the octets on the access link.

The load time of a page through a proxy is divided into the terms below. Packets are captured at the client and at the
proxy; the time in which the proxy waits for the origin is subtracted from the time in which the client waits for the
proxy:

    tcp_handshake     the client's SYN sent             to  SYN-ACK received
    request           the client's request sent         to  its response received, less the terms below
    origin_handshake  the proxy's SYN sent              to  SYN-ACK received
    origin_request    the proxy's request sent          to  first octet of its response received
    transmission      first octet of a response         to  its last octet: at the proxy; for a hit, at the client

The terms are thus the same for a proxy that streams a response and for a proxy that buffers it whole.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from lab7.experiments.cache.wire.legs import Legs, Span
from lab7.experiments.cache.wire.link_use import LinkUse, ReliefWording, change, decide_relief
from lab7.experiments.harness.judge.decomposition import Decomposition, Interval, sum_up
from lab7.experiments.harness.judge.verdict import Verdict, decides, failed, shown, undecided
from lab7.experiments.http.wire.page_load import PageLoad

TERMS = ("transmission", "origin_request", "origin_handshake", "request", "tcp_handshake")
_AT_LINK = ReliefWording("the same visits", "the access link", "the link's own end", "the cache", "the cache alone")


@decides("W1")
def decide_visit_time(
    claim: str, without: Sequence[float], cached: Sequence[float], disagreeing: Sequence[str]
) -> Verdict:
    """Decide claim W1 (a cache shortens page loads), from the load times in s of the same pages without and with it.

    `disagreeing` names the cases whose measured times deviate too much from theory; if there are any, W1 is undecided.
    """
    if not without or len(without) != len(cached):
        return undecided(claim, f"The {len(without)} visits without the cache and the {len(cached)} with it differ.")
    before_s, after_s = statistics.fmean(without), statistics.fmean(cached)
    figures = (
        f"{len(cached)} visits took {before_s * 1e3:.1f} ms each on average without the cache and "
        f"{after_s * 1e3:.1f} ms with it ({change(before_s, after_s)})"
    )
    if after_s >= before_s:
        return failed(claim, f"{figures}: the cache does not shorten the visits.")
    if disagreeing:
        return undecided(
            claim, f"{figures}, but {', '.join(disagreeing)} differ from theory by more than the tolerance."
        )
    return shown(claim, f"{figures}; each kind of visit is within its tolerance of theory.")


@decides("W2")
def decide_link_relief(claim: str, without: LinkUse, cached: LinkUse, hits: int) -> Verdict:
    """Decide claim W2: a cache reduces the octets on the access link; `hits` is the number of cache hits."""
    return decide_relief(claim, _AT_LINK, without, cached, hits)


def decompose_visit(load: PageLoad, legs: Legs, span: Span) -> Decomposition:
    """Divide the load time of a page into terms.

    `load` is captured at the client; `legs` are the proxy's connections, captured at the proxy. Only the proxy's
    requests within the time `span` count. Raises ValueError if no response was received.
    """
    upstream = legs.forwarded([span])
    hits = {one.exchange.target for one in legs.served([span]) if one.upstream is None}
    intervals: list[Interval] = []
    ends = [exchange.response.last_ns for exchange in load.exchanges if exchange.response is not None]
    if not ends:
        raise ValueError("a visit without a response has no duration")
    for exchange in load.exchanges:
        if exchange.response is None:
            continue
        first, last = exchange.response.first_ns, exchange.response.last_ns
        hit = exchange.target in hits
        intervals.append(Interval("request", exchange.request.last_ns, first if hit else last))
        intervals += [Interval("transmission", first, last)] if hit else []
    for exchange in upstream:
        if exchange.response is not None:
            first, last = exchange.response.first_ns, exchange.response.last_ns
            intervals.append(Interval("origin_request", exchange.request.last_ns, first))
            intervals.append(Interval("transmission", first, last))
    intervals += [*_handshakes("tcp_handshake", load), *_handshakes("origin_handshake", legs.origin.between(*span))]
    return sum_up(
        intervals, min(conversation.connection.syn.time_ns for conversation in load.conversations), max(ends), TERMS
    )


def count_connections(legs: Legs, span: Span) -> int:
    """Return the number of connections that the proxy opened to the origin within a time span."""
    return len(legs.origin.between(*span).conversations)


def _handshakes(term: str, load: PageLoad) -> list[Interval]:
    pairs = [
        (conversation.connection.syn, conversation.connection.from_server.syn) for conversation in load.conversations
    ]
    return [Interval(term, syn.time_ns, answer.time_ns) for syn, answer in pairs if answer is not None]
