"""Experiment on DNS caching: queries at the root server, and stale answers for different TTLs (claims D11 to D13).

There are two workloads. In the first, a client queries names of several domains with Zipf-distributed frequencies, once
with and once without the cache of the local name server. The queries at the root server are counted. In the second, a
client regularly queries names with different TTLs, while their addresses change in the zone of the authoritative
server. With a longer TTL, the local name server sends fewer queries to the authoritative server, and more of its
answers are stale. TTLs are seconds. In the long run, which has a simulated clock (virtual time), they are hours, a day
and a week, over fifteen days. Only counts, and TTLs in whole seconds, are compared; results do not depend on the speed
of programs.

Claims of the course that are decided: a record is cached for its TTL, and queried again afterwards (D11); caching
relieves the root servers (D12); a TTL is a trade-off between load and consistency (D13).
"""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from lab7.experiments.dns.claims import caching
from lab7.experiments.dns.claims import ttl as dns_ttl
from lab7.experiments.dns.claims.caching import Workload
from lab7.experiments.dns.claims.ttl import TtlPoint
from lab7.experiments.dns.lab import (
    ADDRESSES,
    DnsClient,
    dns_paths,
    dns_testbed,
    given_zones,
    server_names,
    traffic_at,
)
from lab7.experiments.dns.wire.traffic import DnsTraffic
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.measurement import Evidence, measured
from lab7.experiments.harness.parameters import factor, listed, whole
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.topologies.dns import VERSIONS, changing_name, make_names, zone_file
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.node import Host

ZIPF_NAMES = (
    "www.example.com",
    "www.shop.org",
    "server1.example.com",
    "www.bookshop.uk",
    "server2.example.com",
    "pool.example.com",
    "server3.example.com",
    "ns.provider.org",
)
ZIPF_EXPONENT = 1.0
TTL_CAPTURE = "capture-ttl.pcapng"
NOTE = (
    "points: measured; lines: long-run means, one query per TTL and name, and the mean age of a cached answer divided "
    "by the time between changes; dashed: this run's own queries and changes, replayed. A short run differs from the "
    "mean: it has few changes, and before the first one no answer is stale."
)
# Time-out and polling interval in s for the reload of a zone; the captured answers reveal a slower reload.
RELOAD_MAX_S, RELOAD_POLL_S = 1.0, 0.01
DAY_S, WEEK_S = 86_400, 604_800
# Query period in s of a long run in virtual time.
# No TTL of a long run is a multiple of the query period, so that no query coincides with the expiry of a record.
LONG_PERIOD_S = 3000
# Minimum factor by which a cache must reduce the queries at the root server, even in a short workload.
FEWER_BY = 5


@dataclass
class Sweep:
    """Measurements for several TTLs: address changes as (time in ns, new addresses), and the DNS traffic by host."""

    changes: list[tuple[int, list[str]]] = field(default_factory=list)
    traffic: Mapping[str, DnsTraffic] = field(default_factory=dict)


def run(context: Run) -> Outcome:
    """Query names without and with a cache, then names with several TTLs; return verdicts.

    The verdicts are on claims D11 (TTL countdown), D12 (fewer queries at the root) and D13 (trade-off of the TTL).
    """
    evidence = Evidence()
    context.step("without a cache", 0.02)
    workloads = {cache: _zipf(context, cache, evidence) for cache in ("no", "yes")}
    context.step("TTLs", 0.3)
    sweep = _sweep(context, evidence)
    client, local = sweep.traffic["client"], sweep.traffic["local"]
    points, d13 = dns_ttl.sweep_ttl(
        [client, local],
        lambda: [
            dns_ttl.ttl_point(ttl, [client], local, changing_name(ttl), ADDRESSES, sweep.changes)
            for ttl in context.parameters["ttl"]
        ],
    )
    longest, zones = max(context.parameters["ttl"]), given_zones(make_names())
    return Outcome(
        claims=(
            caching.decide_ttl_countdown(client, local, changing_name(longest), ADDRESSES, ttl_s=longest, cold=True),
            caching.decide_root_relief(workloads["no"], workloads["yes"], ADDRESSES, FEWER_BY, zones, cold=True),
            d13,
        ),
        comparisons=(),
        fidelity=evidence.fidelity(times=False),
        implementations=server_names(context),
        capture=TTL_CAPTURE,
        plot=plot_lines(_panels(context.parameters, points), NOTE) if points else None,
    )


def _zipf(context: Run, cache: str, evidence: Evidence) -> Workload:
    """Query names with Zipf-distributed frequencies; return the DNS traffic captured at client and root server."""
    random = Random(context.seed)
    weights = [1 / rank**ZIPF_EXPONENT for rank in range(1, len(ZIPF_NAMES) + 1)]
    names = random.choices(ZIPF_NAMES, weights, k=context.parameters["queries"])
    scale = context.parameters["scale"]
    # Use lab7's own resolver for the run without a cache, since other resolvers cannot disable their cache.
    network = dns_testbed(context, own_local=cache == "no", cache=cache, scale=scale, clients=1)
    paths = [] if evidence.checks else dns_paths(scale)
    with measured(context, network, paths, evidence, progress=None) as lab:
        dns_client = DnsClient(lab.bed.host("client"))
        with lab.recording(["client", "root"], f"capture-cache-{cache}.pcapng", label=f"cache: {cache}"):
            for name in names:
                dns_client.try_query(name)
    seen = traffic_at(read_capture(lab.path), ["client", "root"])
    return Workload((seen["client"],), seen["root"])


def _sweep(context: Run, evidence: Evidence) -> Sweep:
    """Query one name for each TTL regularly while addresses change; return the changes and the captured DNS traffic."""
    asked, sweep = context.parameters, Sweep()
    names = [changing_name(ttl).rstrip(".") for ttl in asked["ttl"]]
    ttls = ",".join(str(ttl) for ttl in asked["ttl"])
    network = dns_testbed(context, scale=asked["scale"], clients=1, changing=ttls)
    with measured(context, network, evidence=evidence, progress=None) as lab:
        server, dns_client = lab.bed.host("example"), DnsClient(lab.bed.host("client"))
        # Poll for the reloaded zone from the server's own host, so that the polling queries are not captured.
        observer = DnsClient(server, ADDRESSES["example"])
        dns_client.try_query("www.example.com")
        with lab.recording(["client", "local"], TTL_CAPTURE, label="TTLs"):
            start_s = time.monotonic()
            for number in range(asked["periods"]):
                wanted_changes = int(number / asked["per_change"])
                if wanted_changes >= len(sweep.changes):
                    _change(context, server, observer, sweep, wanted_changes)
                for name in names:
                    dns_client.try_query(name)
                context.step(f"period {number + 1} of {asked['periods']}", 0.3 + 0.6 * number / asked["periods"])
                _sleep_until(start_s + (number + 1) * asked["period_ms"] / 1e3)
    sweep.traffic = traffic_at(read_capture(lab.path), ["client", "local"])
    return sweep


def _sleep_until(due_s: float) -> None:
    time.sleep(max(0.0, due_s - time.monotonic()))


def _change(context: Run, server: Host, observer: DnsClient, sweep: Sweep, version: int) -> None:
    """Write a new address of all names into the zone file, let the name server reload the file, and record the time."""
    text = make_names(changing=context.parameters["ttl"], version=version).master_file("example.com.")
    (server.workdir / zone_file("example.com.")).write_text(text)
    server.services[0].send_signal(signal.SIGHUP)
    # Record the change after the reload: answers with the previous address during the reload are not stale.
    address = VERSIONS[version % len(VERSIONS)]
    _wait_until_served(observer, changing_name(context.parameters["ttl"][0]), address)
    sweep.changes.append((time.time_ns(), [address]))


def _wait_until_served(observer: DnsClient, name: str, address: str) -> None:
    until_s = time.monotonic() + RELOAD_MAX_S
    while time.monotonic() < until_s:
        try:
            _, report = observer.ask(name)
        except EmulationError:
            return
        if address in [value for _, rtype, _, value in report["answers"] if rtype == "A"]:
            return
        time.sleep(RELOAD_POLL_S)


def _panels(asked: Mapping[str, Any], points: Sequence[TtlPoint]) -> list[Panel]:
    period_s = asked["period_ms"] / 1e3
    length_s = asked["periods"] * period_s
    between_s = asked["per_change"] * period_s
    ttls = sorted(point.ttl_s for point in points)
    fine = [ttls[-1] * step / 100 for step in range(101)]
    expected = [(ttl, length_s / max(ttl + period_s / 2, period_s)) for ttl in fine]
    staleness = [(ttl, 100 * _stale_share(ttl, between_s)) for ttl in fine]
    queries = Series(
        "queries to the name's server", [(point.ttl_s, float(point.upstream_queries)) for point in points], expected
    )
    shares = [(point.ttl_s, 100.0 * point.stale_answers / point.answers) for point in points]
    replayed = [
        (ttl, 100.0 * stale_answers(ttl, period_s, asked["per_change"], asked["periods"]) / asked["periods"])
        for ttl in ttls
    ]
    return [
        Panel("load", "TTL in s", f"queries in {length_s:g} s", [queries]),
        Panel("consistency", "TTL in s", "stale answers in %", [Series("stale answers", shares, staleness, replayed)]),
    ]


def stale_answers(ttl_s: float, period_s: float, per_change: int, periods: int) -> int:
    """Return the number of stale answers among `periods` queries, one every `period_s` seconds.

    The address changes before every `per_change`-th query. A record is cached one round trip to the authoritative
    server after the query that fetched it was sent. A query exactly one TTL later therefore still gets the cached
    answer.
    """
    found, fetched = 0, None
    for number in range(periods):
        if fetched is None or round((number - fetched) * period_s, 9) > ttl_s:
            fetched = number
        found += fetched // per_change < number // per_change
    return found


def _stale_share(ttl_s: float, between_s: float) -> float:
    """Return the long-run share of stale answers for a TTL if addresses change every `between_s` seconds."""
    if ttl_s <= 0:
        return 0.0
    return ttl_s / (2 * between_s) if ttl_s <= between_s else 1 - between_s / (2 * ttl_s)


EXPERIMENT = Experiment(
    name="dns-caching",
    question="How many queries does a DNS cache save, and how many stale answers does it give?",
    claims=("D11", "D12", "D13"),
    parameters={
        "scale": Parameter("0.1", factor, "a factor on all delays of the topology"),
        "queries": Parameter("150", whole(20, 100_000), "queries of the Zipf workload", "2000", "150"),
        "ttl": Parameter(
            "0,1,2,4", listed(whole(0, WEEK_S)), "the TTLs in s", "0,1,2,4,8,16", f"0,{DAY_S // 4},{DAY_S},{WEEK_S}"
        ),
        "periods": Parameter(
            "50",
            whole(10, 100_000),
            "number of queries for every changing name",
            "600",
            str(15 * DAY_S // LONG_PERIOD_S),
        ),
        "period_ms": Parameter(
            "200",
            whole(50, 1000 * DAY_S),
            "the time between two queries for a name in ms",
            full_virtual=str(1000 * LONG_PERIOD_S),
        ),
        "per_change": Parameter("9", whole(1, 100_000), "queries between two changes of the addresses", None, "37"),
    },
    run=run,
    repeat=1,
    roles=("authoritative", "local"),
)
