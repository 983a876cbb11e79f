"""How does a name become an address, by which servers, and how long does that take?  (claims D1, D7 to D10)

A client asks its local server for server1.example.com: with iterative resolution (the local server asks root, com and
example.com in turn), with recursive resolution (each server asks the next on behalf of the one before), and from the
cache. Each time is set beside the sum of the legs that its path has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from experiments.dns.claims import caching, resolution
from experiments.dns.lab import (
    ADDRESSES,
    Asker,
    capture_dns,
    dns_paths,
    dns_testbed,
    given_zones,
    leg_rtt_s,
    server_names,
    traffic_at,
    within,
)
from experiments.dns.wire.traffic import DnsExchange, DnsTraffic
from experiments.harness import clock
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from experiments.harness.fidelity.certificate import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.judge.verdict import Verdict, timed, undecided
from experiments.harness.measurement import Window
from experiments.harness.parameters import factor
from experiments.harness.results.result import Check, Comparison, Timing
from experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory
from topologies.dns import make_names
from topologies.emulation.testbed import Testbed

NAME = "server1.example.com"
# Asked for before, on a local server that has just started: it is warm then and knows the root, but nothing of com.
ELSEWHERE = ("www.shop.org", "www.bookshop.uk", "nobody.shop.org", "nobody.bookshop.uk", "mail.provider.org")
VANTAGES = ("client", "local", "root", "com", "example")
PATH = ("root", "com", "example")
SOURCE = "Kurose and Ross, Computer Networking: A Top-Down Approach, section 2.4.2; RFC 1034 section 4.3.1"
ITERATIVE, RECURSIVE, CACHED = "iterative", "recursive", "cached"


@dataclass(frozen=True)
class Lookups:
    """The lookups of one kind: everybody's traffic during each of them."""

    traffic: tuple[Mapping[str, DnsTraffic], ...]
    everybody: Mapping[str, DnsTraffic]
    windows: tuple[Window, ...]
    checks: tuple[Check, ...]


def run(context: Run) -> Outcome:
    """Measure, judge, compare."""
    watch = MachineWatch()
    kinds = {
        ITERATIVE: _look_up(context, ITERATIVE, watch, ITERATIVE),
        RECURSIVE: _look_up(context, RECURSIVE, watch, RECURSIVE),
        CACHED: _look_up(context, CACHED, watch, ITERATIVE),
    }
    scale = context.parameters["scale"]
    timings = {kind: _timings(kind, each, watch) for kind, each in kinds.items()}
    comparisons = {
        kind: Comparison.of(kind, timings[kind], _theory(kind, scale), clock.tolerance(TOLERANCE_OF_DIALOGUE))
        for kind in kinds
        if timings[kind]
    }
    return Outcome(
        claims=tuple(_verdicts(kinds, comparisons)),
        comparisons=tuple(comparisons.values()),
        fidelity=certificate([*(check for each in kinds.values() for check in each.checks), *watch.checks()]),
        implementations=server_names(context),
        timings=timings,
        capture=f"capture-{ITERATIVE}.pcapng",
    )


def _look_up(context: Run, kind: str, watch: MachineWatch, mode: str) -> Lookups:
    """Look the name up several times, each time on a local server that knows nothing of it, or knows it."""
    context.step(f"{kind} resolution", {ITERATIVE: 0.05, RECURSIVE: 0.35, CACHED: 0.65}[kind])
    path, scale = context.folder / f"capture-{kind}.pcapng", context.parameters["scale"]
    with dns_testbed(context, mode=mode, scale=scale, clients=1) as bed:
        checks = [check for each in dns_paths(scale) for check in probe_path(bed, each)] if kind == ITERATIVE else []
        asker = Asker(bed.host("client"))
        windows = []
        with watch, capture_dns(bed, path, VANTAGES) as capture:
            if kind == CACHED:
                _warm_up(asker)
                asker.try_to_ask(NAME)  # fills the cache
            for _ in range(context.repeat):
                windows += watch.samples(partial(_ask, bed, asker, kind))
    captured = watch.read_capture(path, bed.topo)
    everybody = traffic_at(captured, VANTAGES)
    found = [within(everybody, window) for window in windows]
    every_check = (*checks, *capture_checks({f"{label} ({kind})": one for label, one in capture.statistics.items()}))
    return Lookups(tuple(found), everybody, tuple(windows), every_check)


def _ask(bed: Testbed, asker: Asker, kind: str) -> Window:
    """Look the name up on a local server that knows it, or has just started."""
    if kind != CACHED:
        bed.restart("local")
        _warm_up(asker)
    return asker.try_to_ask(NAME)


def _warm_up(asker: Asker) -> None:
    for name in ELSEWHERE:
        asker.try_to_ask(name)


class _NotTaken(Exception):  # noqa: N818 - a finding about the traffic, not an error of the program
    """A lookup did not take the path that its time would be split along: the verdict on its packets says more."""


def _timings(kind: str, lookups: Lookups, watch: MachineWatch) -> list[Timing]:
    """The timings of one kind, none where a lookup took another path."""
    try:
        return [
            watch.noted(_timing(kind, one), window.start_ns, window.end_ns)
            for one, window in zip(lookups.traffic, lookups.windows, strict=True)
        ]
    except _NotTaken:
        return []


def _exchange(traffic: DnsTraffic, target: str) -> DnsExchange:
    for exchange in traffic.exchanges:
        if exchange.query.target == ADDRESSES[target] and exchange.response is not None:
            return exchange
    raise _NotTaken


def _duration_s(traffic: DnsTraffic, target: str) -> float:
    return _exchange(traffic, target).duration_s or 0.0


def _timing(kind: str, seen: Mapping[str, DnsTraffic]) -> Timing:
    """The client's waiting time, and how it splits into the legs between neighbours of the path. Raises _NotTaken."""
    total_s = _duration_s(seen["client"], "local")
    terms: dict[str, float] = {}
    if kind == ITERATIVE:
        terms = {f"local-{server}": _duration_s(seen["local"], server) for server in PATH}
        terms = {"client-local": total_s - _busy_s(seen), **terms}
    elif kind == RECURSIVE:
        chain = ("local", *PATH)
        # What a server waits for the next lies within what the one before waits for it.
        waits = [_duration_s(seen[one], other) for one, other in pairwise(chain)]
        inner = [*waits[1:], 0.0]
        names = [f"{one}-{other}" for one, other in pairwise(chain)]
        terms = {name: outer - within_ for name, outer, within_ in zip(names, waits, inner, strict=True)}
        terms = {"client-local": total_s - _busy_s(seen), **terms}
    else:
        terms = {"client-local": total_s - _busy_s(seen)}
    terms["residual"] = total_s - sum(terms.values())
    return Timing(total_s, terms)


def _busy_s(seen: Mapping[str, DnsTraffic]) -> float:
    """From the client's query coming in at the local server to its answer going out."""
    mine = [one for one in seen["local"].exchanges if one.query.target == ADDRESSES["local"]]
    if not mine or mine[0].response is None:
        raise _NotTaken
    return mine[0].duration_s or 0.0


def _theory(kind: str, scale: float) -> Theory:
    terms = {"client-local": leg_rtt_s("client", "local", scale)}
    if kind == ITERATIVE:
        terms |= {f"local-{server}": leg_rtt_s("local", server, scale) for server in PATH}
    elif kind == RECURSIVE:
        chain = ("local", *PATH)
        terms |= {f"{one}-{other}": leg_rtt_s(one, other, scale) for one, other in pairwise(chain)}
    return Theory(sum(terms.values()), terms, f"RTTs of {len(terms)} legs", SOURCE)


def _verdicts(kinds: Mapping[str, Lookups], comparisons: Mapping[str, Comparison]) -> list[Verdict]:
    iterative, recursive, cached = (kinds[kind] for kind in (ITERATIVE, RECURSIVE, CACHED))
    at_local, at_client = iterative.everybody["local"], iterative.everybody["client"]
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
            [cached.everybody["client"]],
            cached.everybody["local"],
            NAME,
            ADDRESSES,
            second,
            zones=zones,
            cold=True,
        ),
    ]


def _timed(packets: Verdict, comparisons: Mapping[str, Comparison], kind: str) -> Verdict:
    """Join a verdict with the time; where the packets alone decide against the claim there may be none."""
    one = comparisons.get(kind)
    if one is not None:
        return timed(packets, one.measured_s, one.theory_s, one.tolerance)
    return undecided(packets.id, "No time for its legs.") if packets.verdict == "shown" else packets


EXPERIMENT = Experiment(
    name="dns-resolution",
    question="How does a name become an address, by which servers, and how long does that take?",
    claims=("D7", "D8", "D9", "D10"),
    parameters={"scale": Parameter("1", factor, "a factor on all delays of the topology")},
    run=run,
    repeat=3,
    roles=("authoritative", "local"),
)
