"""Experiment on DNS resolution: iterative, recursive and cached lookups, and their times (claims D7 to D10).

A client queries its local name server for server1.example.com in three ways. In iterative resolution, the local server
queries root, com and example.com in turn. In recursive resolution, each server queries the next on behalf of the
previous one. In the third case, the name is in the local server's cache. Each lookup time is compared with the sum of
the RTTs on its path.

Claims of the course that are decided: the hierarchy of name servers (D7), iterative resolution (D8), recursive
resolution (D9), caching by the local server (D10).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from lab7.experiments.dns.claims import caching, resolution
from lab7.experiments.dns.lab import (
    ADDRESSES,
    DnsClient,
    dns_paths,
    dns_testbed,
    given_zones,
    leg_rtt_s,
    server_names,
    traffic_at,
    within,
)
from lab7.experiments.dns.lookup_times import decompose_lookup
from lab7.experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from lab7.experiments.harness import clock
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.judge.verdict import Verdict, counted, timed, undecided
from lab7.experiments.harness.measurement import Evidence, Window, measured
from lab7.experiments.harness.parameters import factor
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory
from lab7.topologies.dns import make_names
from lab7.topologies.emulation.testbed import Testbed

NAME = "server1.example.com"
# Warm-up names for a restarted local server, none below com, so that the server's cache stays without com.
ELSEWHERE = ("www.shop.org", "www.bookshop.uk", "nobody.shop.org", "nobody.bookshop.uk", "mail.provider.org")
VANTAGES = ("client", "local", "root", "com", "example")
PATH = ("root", "com", "example")
SOURCE = "Kurose and Ross, Computer Networking: A Top-Down Approach, section 2.4.2; RFC 1034 section 4.3.1"
ITERATIVE, RECURSIVE, CACHED = "iterative", "recursive", "cached"


@dataclass(frozen=True)
class Lookups:
    """All lookups of one kind (iterative, recursive or cached): DNS traffic by host, for each lookup and in total."""

    traffic: tuple[Mapping[str, DnsTraffic], ...]
    all_traffic: Mapping[str, DnsTraffic]
    windows: tuple[Window, ...]


def run(context: Run) -> Outcome:
    """Measure iterative, recursive and cached lookups, and decide the claims on them (D7 to D10).

    The lookup times are compared with theory.
    """
    evidence = Evidence()
    kinds = {
        ITERATIVE: _look_up(context, ITERATIVE, evidence, ITERATIVE),
        RECURSIVE: _look_up(context, RECURSIVE, evidence, RECURSIVE),
        CACHED: _look_up(context, CACHED, evidence, ITERATIVE),
    }
    scale = context.parameters["scale"]
    timings = {kind: _timings(kind, each, evidence.watch) for kind, each in kinds.items()}
    comparisons = {
        kind: Comparison.of(kind, timings[kind], _theory(kind, scale), clock.tolerance(TOLERANCE_OF_DIALOGUE))
        for kind in kinds
        if timings[kind]
    }
    return Outcome(
        claims=tuple(_verdicts(kinds, comparisons)),
        comparisons=tuple(comparisons.values()),
        fidelity=evidence.fidelity(),
        implementations=server_names(context),
        timings=timings,
        capture=f"capture-{ITERATIVE}.pcapng",
    )


def _look_up(context: Run, kind: str, evidence: Evidence, mode: str) -> Lookups:
    """Look up the test name several times; return the captured DNS traffic of the lookups.

    `kind` is iterative, recursive or cached.
    """
    context.step(f"{kind} resolution", {ITERATIVE: 0.05, RECURSIVE: 0.35, CACHED: 0.65}[kind])
    scale = context.parameters["scale"]
    paths = [] if evidence.checks else dns_paths(scale)
    network = dns_testbed(context, mode=mode, scale=scale, clients=1)
    with measured(context, network, paths, evidence, progress=None) as lab:
        dns_client = DnsClient(lab.bed.host("client"))
        windows = []
        with lab.recording(VANTAGES, f"capture-{kind}.pcapng", label=kind):
            if kind == CACHED:
                _warm_up(dns_client)
                dns_client.try_query(NAME)  # fill the cache
            for _ in range(context.repeat):
                windows += lab.watch.samples(partial(_ask, lab.bed, dns_client, kind))
    captured = lab.read_capture()
    all_traffic = traffic_at(captured, VANTAGES)
    found = [within(all_traffic, window) for window in windows]
    return Lookups(tuple(found), all_traffic, tuple(windows))


def _ask(bed: Testbed, dns_client: DnsClient, kind: str) -> Window:
    """Look up the test name once; unless `kind` is cached, first restart the local name server to empty its cache."""
    if kind != CACHED:
        bed.restart("local")
        _warm_up(dns_client)
    return dns_client.try_query(NAME)


def _warm_up(dns_client: DnsClient) -> None:
    for name in ELSEWHERE:
        dns_client.try_query(name)


class _NotTaken(Exception):  # noqa: N818 - a finding about the traffic, not an error of the program
    """Exception raised if a lookup did not query the servers that theory assumes; the verdict has the details."""


def _timings(kind: str, lookups: Lookups, watch: MachineWatch) -> list[Timing]:
    """Return the time of each lookup of one kind, in terms; empty if a lookup did not take the assumed path."""
    try:
        return [
            watch.with_disturbance(_timing(kind, one), window.start_ns, window.end_ns)
            for one, window in zip(lookups.traffic, lookups.windows, strict=True)
        ]
    except _NotTaken:
        return []


def _exchange(traffic: DnsTraffic, target: str) -> DnsExchange:
    for exchange in traffic.exchanges:
        if exchange.query.target == ADDRESSES[target] and exchange.response is not None:
            return exchange
    raise _NotTaken


def _timing(kind: str, seen: Mapping[str, DnsTraffic]) -> Timing:
    """Return the time of one lookup, with one term for each round trip to a queried server. Raises _NotTaken."""
    asked = {ITERATIVE: PATH, RECURSIVE: PATH[:1], CACHED: ()}[kind]
    upstream = {f"local-{server}": _exchange(seen["local"], server) for server in asked}
    found = decompose_lookup(_exchange(seen["client"], "local"), _exchange(seen["local"], "local"), upstream)
    terms = dict(found.terms)
    if kind == RECURSIVE:
        # Recursive waits are nested: a server's wait includes the wait of the next server on the path.
        for one, (server, after) in zip(("local", *PATH), pairwise(PATH), strict=False):
            inner_s = _exchange(seen[server], after).duration_s or 0.0
            terms[f"{one}-{server}"] -= inner_s
            terms[f"{server}-{after}"] = inner_s
    return Timing.with_residual(found.total_s, terms)


def _theory(kind: str, scale: float) -> Theory:
    terms = {"client-local": leg_rtt_s("client", "local", scale)}
    if kind == ITERATIVE:
        terms |= {f"local-{server}": leg_rtt_s("local", server, scale) for server in PATH}
    elif kind == RECURSIVE:
        chain = ("local", *PATH)
        terms |= {f"{one}-{other}": leg_rtt_s(one, other, scale) for one, other in pairwise(chain)}
    return Theory(sum(terms.values()), terms, f"RTTs of {counted(len(terms), 'leg')}", SOURCE)


def _verdicts(kinds: Mapping[str, Lookups], comparisons: Mapping[str, Comparison]) -> list[Verdict]:
    iterative, recursive, cached = (kinds[kind] for kind in (ITERATIVE, RECURSIVE, CACHED))
    at_local, at_client = iterative.all_traffic["local"], iterative.all_traffic["client"]
    chain = ("client", "local", *PATH)
    second = (cached.windows[0].start_ns, cached.windows[-1].end_ns)
    zones = given_zones(make_names())
    by_host = {host: recursive.traffic[0][host] for host in chain[:-1]}
    return [
        resolution.decide_resolution_path(at_local, [at_client], {NAME: PATH}, ADDRESSES, zones),
        _timed(
            resolution.decide_iterative_queries(iterative.traffic[0]["local"], NAME, ADDRESSES, PATH, zones),
            comparisons,
            ITERATIVE,
        ),
        _timed(resolution.decide_recursive_queries(by_host, NAME, ADDRESSES, chain, zones), comparisons, RECURSIVE),
        caching.decide_cache_hit(
            [cached.all_traffic["client"]],
            cached.all_traffic["local"],
            NAME,
            ADDRESSES,
            second,
            zones=zones,
            cold=True,
        ),
    ]


def _timed(packets: Verdict, comparisons: Mapping[str, Comparison], kind: str) -> Verdict:
    """Return the verdict from packets, extended by the comparison of the lookup time with theory.

    If the time was not measured, a claim that the packets show becomes undecided.
    """
    one = comparisons.get(kind)
    if one is not None:
        return timed(packets, one.measured_s, one.theory_s, one.tolerance)
    return (
        undecided(packets.id, "The times of the single round trips were not measured.")
        if packets.verdict == "shown"
        else packets
    )


EXPERIMENT = Experiment(
    name="dns-resolution",
    question="How is a name resolved to an address, by which servers, and how long does it take?",
    claims=("D7", "D8", "D9", "D10"),
    parameters={"scale": Parameter("1", factor, "a factor on all delays of the topology")},
    run=run,
    repeat=3,
    roles=("authoritative", "local"),
)
