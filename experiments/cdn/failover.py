"""Experiment on CDN fail-over: how long requests fail after the loss of a replica (claim C8).

Users of one region request an object by the site's name again and again; each request has its own DNS lookup and
connection. Meanwhile their replica's process is killed, or its link is cut. The CDN's name server notices the failure
at its next health check, and from then on answers with another replica. Earlier answers may be used for their TTL. For
each TTL, the time of the last failed request is compared with the sum of TTL and check interval. After the first
failure the replica also returns, and must be used again. Claim C8 of the course: a failed replica is removed from the
DNS answers, and users are served again within the TTL plus the check interval.

The replica fails soon after a resolver has fetched its address: almost the whole TTL remains. In real time, the delay
that other load on the machine adds to health checks and to a request is measured and added to the permitted time.

In the long run, which has a simulated clock (virtual time), the TTL is 300 s, and a replica fails a hundred times at
random moments. The distribution of fail-over times is then compared with theory (claims.failover_times).
"""

from __future__ import annotations

import math
import statistics
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from lab7.experiments.cache.claims.versions import objects_in
from lab7.experiments.cdn.claims import failover as judge
from lab7.experiments.cdn.claims import failover_times as times
from lab7.experiments.cdn.claims.failover import Episode, Fault, Recovery
from lab7.experiments.cdn.claims.failover_times import FailOverTheory
from lab7.experiments.cdn.lab import (
    ROLES,
    User,
    cdn_testbed,
    fill_replicas,
    implementations,
    region_paths,
    region_rtt_s,
    wait_for_steering,
)
from lab7.experiments.dns.wire.traffic import DnsTraffic, dns_exchanges
from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.measurement import Evidence, first_interface, measured, site_folder
from lab7.experiments.harness.parameters import choices, factor, listed, period, whole
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, in_ms
from lab7.experiments.http.lab import write_picture
from lab7.experiments.http.wire.page_load import page_load
from lab7.topologies.cdn import ALIAS, ORIGIN, REGIONS, SERVERS, host_name, replica_address
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed, plug_in, unplug

REGION, OBJECT, OBJECT_BYTES = "eu", "ring.png", 1000
SERVICE, LINK = "service", "link"
# BEFORE_S is the time in s for a user's lookup and first requests before the fault.
# AFTER_S is the time in s after the permitted outage during which users' requests must succeed.
BEFORE_S, AFTER_S = 0.5, 1.0
# Time in s until a restarted replica is ready, or a link is up again.
RESTART_S = 0.5
NOTE = (
    "a point is a user of the region: the start of its last failed request, relative to the fault; lines: "
    "TTL plus interval of the checks, for a link fault also the time-out of a check"
)


NOTE_TIMES = (
    "points: the share of faults whose fail-over was complete by then; line: theory, with a uniform "
    "remaining TTL, and with the failed replica named once more by an answer fetched before the next check"
)
# Permitted relative deviation of the mean fail-over time in real time, which includes the delays of programs.
WITHIN = 0.03
DAY_S = 86_400


def run(context: Run) -> Outcome:
    """Cause one failure of a replica for each kind of fault and each TTL, and decide claim C8."""
    asked, evidence = context.parameters, Evidence()
    _check_interval(context)
    if asked["faults"]:
        return _many(context, evidence)
    episodes: list[tuple[str, Episode]] = []
    faults = [(kind, ttl) for kind in asked["fault"] for ttl in asked["ttl"]]
    with site_folder(context) as folder:
        write_picture(folder / OBJECT, OBJECT_BYTES, context.seed)
        for number, (kind, ttl) in enumerate(faults):
            context.step(f"fault of the {kind}, TTL {ttl} s", 0.02 + 0.9 * number / len(faults))
            episodes.append((kind, _fail(context, folder, kind, ttl, number == 0, evidence)))
    context.step("judging the packets", 0.95)
    recoveries = [
        (kind, episode.fault, found)
        for kind, episode in episodes
        for user in episode.users
        if (found := judge.recovery(episode, user)) is not None
    ]
    return Outcome(
        claims=(judge.decide_failover([episode for _, episode in episodes]),),
        comparisons=(),
        fidelity=evidence.fidelity(),
        implementations=implementations(context),
        capture=_capture_name(*faults[-1]),
        plot=plot_lines(_panels(context, recoveries), NOTE),
    )


def _many(context: Run, evidence: Evidence) -> Outcome:
    """Cause many failures of a replica in one network, at random times; decide claim C8 from the fail-over times."""
    asked = context.parameters
    kind, ttl = asked["fault"][0], asked["ttl"][0]
    theory = FailOverTheory(ttl, asked["every"], asked["interval"])
    if theory.interval_s > theory.cycle_s:
        raise EmulationError(
            "the health checks must be more frequent than the TTL: use --set interval= with less than ttl"
        )
    user, resolver = host_name("user", REGION), host_name("dns", REGION)
    # Random delay in s of each fault after the start of a cycle, in which the resolver caches one DNS answer.
    phases_s = [
        BEFORE_S + Random(f"fault {context.seed + number}").random() * (theory.cycle_s - 2 * BEFORE_S)
        for number in range(asked["faults"])
    ]
    windows: list[tuple[int, Fault]] = []
    topology_parameters = {"ttl": ttl, "interval": asked["interval"], "scale": asked["scale"], "clients": 1}
    with site_folder(context) as folder:
        write_picture(folder / OBJECT, OBJECT_BYTES, context.seed)
        objects = objects_in(folder)
        network, paths = cdn_testbed(context, folder, **topology_parameters), region_paths(REGION, asked["scale"])
        with measured(context, network, paths, evidence, progress=None) as lab:
            bed = lab.bed
            asker = User(bed, user)
            wait_for_steering(context, bed)
            fill_replicas(bed, user, f"/{OBJECT}")
            # Capture the CDN's answers at the resolver, since most packets at the CDN's name server are health checks.
            with lab.recording([user, resolver], _capture_name(kind, ttl)):
                for number, phase_s in enumerate(phases_s):
                    context.step(f"fault {number + 1} of {asked['faults']}", 0.05 + 0.8 * number / asked["faults"])
                    windows.append(_one_of_many(context, bed, asker, kind, theory, phase_s))
    context.step("judging the packets", 0.88)
    captured = lab.read_capture()
    dns, load = dns_exchanges(captured, first_interface(user)), page_load(captured, first_interface(user))
    server = _asked_of_cdn(dns_exchanges(captured, first_interface(resolver)))
    serving = frozenset([*(replica_address(region) for region in REGIONS), ORIGIN])
    ends = [*(start for start, _ in windows[1:]), time.time_ns()]
    episodes = [
        Episode(
            fault,
            [judge.User(user, dns.between(start, end), load.between(start, end), objects)],
            server.between(start, end),
            ALIAS,
            serving,
        )
        for (start, fault), end in zip(windows, ends, strict=True)
    ]
    found = [one for one in map(times.fail_over, episodes) if one is not None]
    return Outcome(
        claims=(times.decide_failover_times(episodes, theory),),
        comparisons=tuple(_compare(theory, phases_s, found)) if len(found) == len(episodes) else (),
        fidelity=evidence.fidelity(),
        implementations=implementations(context),
        timings={"fail-over": found},
        capture=lab.path.name,
        plot=plot_lines(_distribution(theory, [one.total_s for one in found]), NOTE_TIMES) if found else None,
    )


def _one_of_many(
    context: Run, bed: Testbed, asker: User, kind: str, theory: FailOverTheory, phase_s: float
) -> tuple[int, Fault]:
    """Cause one failure of the replica `phase_s` seconds from now, and wait until the replica has recovered.

    A DNS caching cycle starts at the call. Returns its start in ns, and the fault.
    """
    start_ns = time.time_ns()
    fault = _fault(context, kind, int(theory.ttl_s))
    # An answer with the failed replica may be fetched until a health check fails, and is then used for a TTL.
    lasts_s = phase_s + (fault.over_ns - fault.began_ns) / judge.NS + theory.every_s + AFTER_S
    # Before the fault, send only the first and the last request, since requests in between use the cached answer.
    passed_s = phase_s // theory.every_s * theory.every_s
    if passed_s:
        asker.visit([f"/{OBJECT}"])
        _sleep_until(start_ns, passed_s)
    asker.begin(**{"return": f"/{OBJECT}", "for_s": lasts_s - passed_s, "every_s": theory.every_s})
    _sleep_until(start_ns, phase_s)
    began_ns = time.time_ns()
    _lose(bed, kind)
    asker.done(lasts_s)
    _restore(bed, kind)
    # Wait until a health check has detected the replica's return, and every cached answer has expired.
    time.sleep(theory.ttl_s + theory.interval_s + RESTART_S)
    return start_ns, _fault(context, kind, int(theory.ttl_s), began_ns)


def _sleep_until(start_ns: int, after_s: float) -> None:
    """Sleep until `after_s` seconds after `start_ns` (wall clock in ns); return at once if that time has passed."""
    time.sleep(max(0.0, after_s - (time.time_ns() - start_ns) / judge.NS))


def _asked_of_cdn(traffic: DnsTraffic) -> DnsTraffic:
    """Return the captured DNS queries, with their answers, that were sent to the CDN's name server."""
    address, _, _ = SERVERS["ns-cdn"]
    return replace(traffic, exchanges=tuple(one for one in traffic.exchanges if one.query.target == address))


def _compare(theory: FailOverTheory, phases_s: Sequence[float], found: Sequence[Timing]) -> list[Comparison]:
    """Compare mean and quartiles of the measured fail-over times with theory.

    The theoretical mean is the expected value plus a correction for the faults of this run, which follows from their
    known times and from the number of DNS answers fetched before a health check. The tolerance of a quartile depends on
    the number of faults.
    """
    means = {name: statistics.fmean(one.terms[name] for one in found) for name in found[0].terms}
    remaining_s, early_s = theory.ttl_s / 2, theory.interval_s / 2
    textbook = {times.REMAINING: remaining_s, times.EARLY: early_s, times.PERIOD: (theory.cycle_s - theory.ttl_s) / 2}
    symbols = {
        "C": f"{in_ms(theory.cycle_s)}, time between queries for the replica: the TTL in whole request periods",
        "I": f"{in_ms(theory.interval_s)}, interval of the health checks",
        "F^-1": "quantile of the distribution of the time to fail over",
    }
    expected = Theory(sum(textbook.values()), textbook, "(C + I) / 2", times.SOURCE, symbols)
    drawn = {
        times.REMAINING: theory.ttl_s - statistics.fmean(phases_s) - remaining_s,
        times.EARLY: round(means[times.EARLY] / theory.cycle_s * len(found)) * theory.cycle_s / len(found) - early_s,
        times.PERIOD: (theory.cycle_s - theory.ttl_s) / 2,
    }
    every = [one.total_s for one in found]
    mean = Timing.with_residual(statistics.fmean(every), means)
    compared = [Comparison.of("mean", [mean], expected.plus(drawn), tolerance(WITHIN))]
    for share in times.QUANTILES:
        quantile_s = theory.quantile_s(share)
        formula = Theory(quantile_s, {"quantile": quantile_s}, f"F^-1({share:g})", times.SOURCE, symbols)
        measured_s = times.quantile(every, share)
        allowed = theory.quantile_tolerance(share, len(found))
        compared.append(
            Comparison.of(f"quantile {share:.0%}", [Timing(measured_s, {"quantile": measured_s})], formula, allowed)
        )
    return compared


def _distribution(theory: FailOverTheory, every_s: Sequence[float]) -> list[Panel]:
    """Return a plot of the distribution function of the fail-over time, measured and theoretical."""
    end_s = theory.cycle_s + theory.interval_s
    line = [(end_s * step / 200, 100 * theory.share(end_s * step / 200)) for step in range(201)]
    points = [(time_s, 100 * (rank + 1) / len(every_s)) for rank, time_s in enumerate(sorted(every_s))]
    return [
        Panel(
            f"{len(every_s)} faults, TTL {theory.ttl_s:g} s",
            "fail-over time in s",
            "share of faults in %",
            [Series("faults", points, line)],
        )
    ]


def _check_interval(context: Run) -> None:
    """Raise EmulationError if the name server program does not support so short an interval of health checks."""
    server = context.replacements.get("cdn-dns")
    if server is None or context.parameters["interval"] >= server.least_interval_s:
        return
    if math.isinf(server.least_interval_s):
        raise EmulationError(f"{server.name} has no health checks, so that the experiment does not apply to it")
    least = f"{server.least_interval_s:g}s"
    raise EmulationError(f"{server.name} needs at least {least} between health checks: use --set interval={least}")


def _capture_name(kind: str, ttl: int) -> str:
    return f"capture-{kind}-ttl-{ttl}.pcapng"


def _fail(context: Run, folder: Path, kind: str, ttl: int, comes_back: bool, evidence: Evidence) -> Episode:
    """Cause one failure of the replica while users send requests, in a new network; return the captured evidence."""
    asked = context.parameters
    users = [host_name("user", REGION, number) for number in range(asked["users"])]
    topology_parameters = {
        "ttl": ttl,
        "interval": asked["interval"],
        "scale": asked["scale"],
        "clients": asked["users"],
    }
    network = cdn_testbed(context, folder, **topology_parameters)
    paths = [] if evidence.checks else region_paths(REGION, asked["scale"])
    with measured(context, network, paths, evidence, progress=None) as lab:
        bed = lab.bed
        askers = [User(bed, host) for host in users]
        wait_for_steering(context, bed)
        fill_replicas(bed, users[0], f"/{OBJECT}")
        with lab.recording([*users, "ns-cdn"], _capture_name(kind, ttl), label=f"{kind}, {ttl} s"):
            fault = _under_load(context, bed, askers, kind, ttl, comes_back)
    captured = lab.read_capture()
    objects = objects_in(folder)
    labels = [first_interface(host) for host in users]
    seen = [
        judge.User(host, dns_exchanges(captured, label), page_load(captured, label), objects)
        for host, label in zip(users, labels, strict=True)
    ]
    serving = frozenset([*(replica_address(region) for region in REGIONS), ORIGIN])
    fault = replace(fault, slack_s=fault.slack_s + _disturbed_s(fault, seen, evidence.watch))
    return Episode(fault, seen, dns_exchanges(captured, first_interface("ns-cdn")), ALIAS, serving)


def _disturbed_s(fault: Fault, users: Sequence[judge.User], watch: MachineWatch) -> float:
    """Return the delay in s that other load on the machine added to two health checks and one request.

    The request is measured from its DNS query to its SYN: in this time the last answer with the failed replica arrives
    and is used.
    """
    checking = ["ns-cdn", host_name("edge", REGION)]
    moments_ns = [fault.began_ns] + ([fault.back_ns] if fault.back_ns is not None else [])
    notice_ns = fault.noticed_ns - fault.began_ns
    checks_s = max(watch.disturbance(begin, begin + notice_ns, checking).total_s for begin in moments_ns)
    requests = [span for user in users for span in _under_way(user)]
    return checks_s + max((watch.disturbance(*span).total_s for span in requests), default=0.0)


def _under_way(user: judge.User) -> list[tuple[int, int]]:
    """Return (start, end) in ns of each period from a user's DNS query to the next SYN."""
    syns = sorted(one.connection.syn.time_ns for one in user.load.conversations)
    asked = [one.query.time_ns for one in user.dns.exchanges]
    return [(query_ns, syns[place]) for query_ns in asked if (place := bisect_left(syns, query_ns)) < len(syns)]


def _under_load(context: Run, bed: Testbed, askers: Sequence[User], kind: str, ttl: int, comes_back: bool) -> Fault:
    """Let users send requests while the replica fails and, with `comes_back`, returns; return the fault."""
    fault = _fault(context, kind, ttl)
    waits_s = (fault.over_ns - fault.began_ns) / judge.NS + AFTER_S
    lasts_s = BEFORE_S + waits_s * (2 if comes_back else 1) + RESTART_S * comes_back
    for asker in askers:
        asker.begin(**{"return": f"/{OBJECT}", "for_s": lasts_s, "every_s": context.parameters["every"]})
    time.sleep(BEFORE_S)
    began_ns, back_ns = time.time_ns(), None
    _lose(bed, kind)
    losing_s = (time.time_ns() - began_ns) / judge.NS
    if comes_back:
        time.sleep(waits_s)
        _restore(bed, kind)
        back_ns = time.time_ns()
    for asker in askers:
        asker.done(lasts_s)
    lost = _fault(context, kind, ttl, began_ns, back_ns)
    return replace(lost, slack_s=lost.slack_s + losing_s)


def _fault(context: Run, kind: str, ttl: int, began_ns: int = 0, back_ns: int | None = None) -> Fault:
    asked = context.parameters
    return Fault(
        address=replica_address(REGION),
        began_ns=began_ns,
        back_ns=back_ns,
        ttl_s=ttl,
        interval_s=asked["interval"],
        # The topology cdn sets the time-out of a health check to the interval of the checks.
        timeout_s=asked["interval"] if kind == LINK else 0.0,
        # slack_s covers a round trip of a refused check, and half a round trip of the answer to the resolver.
        slack_s=2 * region_rtt_s(REGION, asked["scale"]),
    )


def _lose(bed: Testbed, kind: str) -> None:
    """Make the replica fail by killing its process or by taking its link down, as `kind` says."""
    if kind == LINK:
        unplug(bed, host_name("edge", REGION))
        return
    for service in bed.services[host_name("edge", REGION)]:
        service.kill()


def _restore(bed: Testbed, kind: str) -> None:
    if kind == LINK:
        plug_in(bed, host_name("edge", REGION))
    else:
        bed.restart(host_name("edge", REGION))


def _panels(context: Run, recoveries: Sequence[tuple[str, Fault, Recovery]]) -> list[Panel]:
    """Return two plots over the TTL: the time of the last failed request, and the number of failed requests."""
    asked = context.parameters
    ttls = [0.0, 1.1 * max(asked["ttl"])]
    times, counts = [], []
    for kind in asked["fault"]:
        mine = [(fault, found) for its_kind, fault, found in recoveries if its_kind == kind]
        checks_s = asked["interval"] * (2 if kind == LINK else 1)
        times.append(
            Series(
                f"fault of the {kind}",
                [(fault.ttl_s, found.last_s) for fault, found in mine],
                [(ttl, ttl + checks_s) for ttl in ttls],
            )
        )
        counts.append(Series(f"fault of the {kind}", [(fault.ttl_s, float(found.failed)) for fault, found in mine], ()))
    return [
        Panel("recovery", "TTL in s", "last failure after the fault, in s", times),
        Panel("cost", "TTL in s", "failed requests of a user", counts),
    ]


EXPERIMENT = Experiment(
    name="cdn-failover",
    question="How long does the failure of a replica affect the users of a CDN?",
    claims=("C8",),
    parameters={
        "ttl": Parameter(
            "1,2,3",
            listed(whole(1, DAY_S)),
            "the TTLs of the CDN's answers in s",
            full="1,2,3,5,8",
            full_virtual="300",
        ),
        "interval": Parameter("500ms", period, "the period of the CDN's health checks", full_virtual="60s"),
        "fault": Parameter(
            SERVICE,
            choices((SERVICE, LINK)),
            "the fault: service (the replica is killed), link (its link is down), or all",
            full="all",
            full_virtual=SERVICE,
        ),
        "faults": Parameter(
            "0",
            whole(0, 10_000),
            "0: one fault for each TTL; more: number of faults at random times, of the first kind, with the first TTL",
            full_virtual="100",
        ),
        # The period 151 s does not divide the TTL of 300 s, so that no request coincides with the TTL's end.
        "every": Parameter("150ms", period, "the time between two requests of a user", full_virtual="151s"),
        "users": Parameter("2", whole(1, 20), "the number of users in the region (with many faults: one)"),
        "scale": Parameter("1", factor, "a factor on all delays of the topology"),
    },
    run=run,
    repeat=1,
    roles=ROLES,
    cost=80,
)
