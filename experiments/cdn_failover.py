"""How long do users notice that a replica has failed?  (claim C8)

Users of a region keep asking for an object by the site's name, a lookup and a connection for each request, when the
replica they are sent to is killed, or cut off from its network. The CDN's name server checks its replicas every so
often and then names another one; but what it said before may be used for its time to live. Once for each TTL the time
of the last request that fails is set beside TTL and interval of the checks; after the first fault the replica comes
back, and is used again.

The replica is lost soon after an answer was fetched, so that almost the whole TTL is still to go. In real time what
the machine added to the checks and to a request is measured, and allowed on top of the bound.

In the long run in virtual time the TTL is 300 s, and a replica fails a hundred times, each time at a moment drawn from
a seed of its own: the distribution of the fail-over time, beside that of theory (cdn_failover_times).
"""

from __future__ import annotations

import math
import statistics
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from experiments.harness.cdn_lab import (
    ROLES,
    User,
    at,
    begin_anew,
    capture_cdn,
    cdn_testbed,
    implementations,
    prepare,
    region_paths,
    region_rtt_s,
)
from experiments.harness.clock import tolerance
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run, choices, factor, listed, seconds, whole
from experiments.harness.faults import plug_in, unplug
from experiments.harness.fidelity import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.http_lab import site_folder
from experiments.harness.judge import cdn_failover as judge
from experiments.harness.judge import cdn_failover_times as times
from experiments.harness.judge.cdn_failover import Episode, Fault, Recovery
from experiments.harness.judge.cdn_failover_times import FailOverTheory
from experiments.harness.judge.dns import DnsTraffic, dns_exchanges
from experiments.harness.judge.page_load import page_load
from experiments.harness.judge.versions import objects_in
from experiments.harness.report_lines import Panel, Series, plot_lines
from experiments.harness.result import Check, Comparison, Timing
from experiments.harness.site import write_picture
from experiments.harness.theory import Theory
from topologies.cdn import ALIAS, ORIGIN, REGIONS, SERVERS, host_name, replica_address
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Testbed

REGION, OBJECT, OBJECT_BYTES = "eu", "ring.png", 1000
SERVICE, LINK = "service", "link"
# The user's lookup and first requests, before the fault; and how long users go on when all must be well, which in real
# time is later by what the machine added.
BEFORE_S, AFTER_S = 0.5, 1.0
# For a new replica to be ready, or a cable to be plugged in.
RESTART_S = 0.5
NOTE = (
    "a point is a user of the region: when after the fault the last request began that failed; lines: TTL and interval "
    "of the checks, for a link also the time-out of a check"
)


NOTE_TIMES = (
    "points: the share of faults that were over by then; line: theory, where what is left of the TTL is uniform and an "
    "answer fetched before the next check names the failed replica once more"
)
# Of the mean by the machine's clock: programs take part in each of its times.
WITHIN = 0.03
DAY_S = 86_400


@dataclass
class Evidence:
    """What has been collected: checks, the watch over the machine, the faults with their kinds."""

    checks: list[Check] = field(default_factory=list)
    watch: MachineWatch = field(default_factory=MachineWatch)
    episodes: list[tuple[str, Episode]] = field(default_factory=list)


def run(context: Run) -> Outcome:
    """Let a replica fail once for each kind of fault and TTL, judge."""
    asked, evidence = context.parameters, Evidence()
    _check_interval(context)
    if asked["faults"]:
        return _many(context, evidence)
    faults = [(kind, ttl) for kind in asked["fault"] for ttl in asked["ttl"]]
    with site_folder(context) as folder:
        write_picture(folder / OBJECT, OBJECT_BYTES, context.seed)
        for number, (kind, ttl) in enumerate(faults):
            context.step(f"fault of the {kind}, TTL {ttl} s", 0.02 + 0.9 * number / len(faults))
            evidence.episodes.append((kind, _fail(context, folder, kind, ttl, number == 0, evidence)))
    context.step("judging the packets", 0.95)
    recoveries = [
        (kind, episode.fault, found)
        for kind, episode in evidence.episodes
        for user in episode.users
        if (found := judge.recovery(episode, user)) is not None
    ]
    return Outcome(
        claims=(judge.c8([episode for _, episode in evidence.episodes]),),
        comparisons=(),
        fidelity=certificate([*evidence.checks, *evidence.watch.checks()]),
        implementations=implementations(context),
        capture=_capture_name(*faults[-1]),
        plot=plot_lines(_panels(context, recoveries), NOTE),
    )


def _many(context: Run, evidence: Evidence) -> Outcome:
    """Let the replica fail again and again in one network, at moments drawn from seeds, and judge the distribution."""
    asked = context.parameters
    kind, ttl = asked["fault"][0], asked["ttl"][0]
    theory = FailOverTheory(ttl, asked["every"], asked["interval"])
    if theory.interval_s > theory.cycle_s:
        raise EmulationError("replicas are to be checked within a TTL: say --set interval= with less than ttl")
    path = context.folder / _capture_name(kind, ttl)
    user, resolver = host_name("user", REGION), host_name("dns", REGION)
    # After a first answer, and before the next one: when in the cycle each fault is.
    phases_s = [
        BEFORE_S + Random(f"fault {context.seed + number}").random() * (theory.cycle_s - 2 * BEFORE_S)
        for number in range(asked["faults"])
    ]
    windows: list[tuple[int, Fault]] = []
    drawing = {"ttl": ttl, "interval": asked["interval"], "scale": asked["scale"], "clients": 1}
    with site_folder(context) as folder:
        write_picture(folder / OBJECT, OBJECT_BYTES, context.seed)
        objects = objects_in(folder)
        with cdn_testbed(context, folder, **drawing) as bed:
            evidence.checks += [
                check for each in region_paths(REGION, asked["scale"]) for check in probe_path(bed, each)
            ]
            asker = User(bed, user)
            begin_anew(context, bed)
            prepare(bed, user, f"/{OBJECT}")
            # Not at the CDN's name server: its checks would be nine tenths of the capture. Its answers are seen here.
            with evidence.watch, capture_cdn(bed, path, [user, resolver]) as capture:
                for number, phase_s in enumerate(phases_s):
                    context.step(f"fault {number + 1} of {asked['faults']}", 0.05 + 0.8 * number / asked["faults"])
                    windows.append(_one_of_many(context, bed, asker, kind, theory, phase_s))
    evidence.checks += capture_checks(capture.statistics)
    context.step("judging the packets", 0.88)
    captured = evidence.watch.read_capture(path, bed.topo)
    dns, load = dns_exchanges(captured, at(user)), page_load(captured, at(user))
    server = _asked_of_cdn(dns_exchanges(captured, at(resolver)))
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
        claims=(times.c8_many(episodes, theory),),
        comparisons=tuple(_compare(theory, phases_s, found)) if len(found) == len(episodes) else (),
        fidelity=certificate([*evidence.checks, *evidence.watch.checks()]),
        implementations=implementations(context),
        timings={"fail-over": found},
        capture=path.name,
        plot=plot_lines(_distribution(theory, [one.total_s for one in found]), NOTE_TIMES) if found else None,
    )


def _one_of_many(
    context: Run, bed: Testbed, asker: User, kind: str, theory: FailOverTheory, phase_s: float
) -> tuple[int, Fault]:
    """One fault within a cycle that begins now, then wait until all is as before; returns when it began, the fault."""
    start_ns = time.time_ns()
    fault = _fault(context, kind, int(theory.ttl_s))
    # Answers that name it are fetched until the check, and used for a TTL.
    lasts_s = phase_s + (fault.over_ns - fault.began_ns) / judge.NS + theory.every_s + AFTER_S
    # Between the first request, which fetches the answer, and the last one before the fault, each would use the cache.
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
    # Until the checks have noticed, and nothing is left of any answer.
    time.sleep(theory.ttl_s + theory.interval_s + RESTART_S)
    return start_ns, _fault(context, kind, int(theory.ttl_s), began_ns)


def _sleep_until(start_ns: int, after_s: float) -> None:
    """Sleep until so long after a moment."""
    time.sleep(max(0.0, after_s - (time.time_ns() - start_ns) / judge.NS))


def _asked_of_cdn(traffic: DnsTraffic) -> DnsTraffic:
    """What the CDN's name server was asked."""
    address, _, _ = SERVERS["ns-cdn"]
    return replace(traffic, exchanges=tuple(one for one in traffic.exchanges if one.query.target == address))


def _compare(theory: FailOverTheory, phases_s: Sequence[float], found: Sequence[Timing]) -> list[Comparison]:
    """Mean and quartiles of the fail-over time beside theory.

    Its mean is over the long run; what these very faults differ from it by is added to the terms: their moments are
    known, and how many answers were fetched before a check is counted. A quartile may lie as far off as those of
    samples of that size do.
    """
    means = {name: statistics.fmean(one.terms[name] for one in found) for name in found[0].terms}
    remaining_s, early_s = theory.ttl_s / 2, theory.interval_s / 2
    textbook = {times.REMAINING: remaining_s, times.EARLY: early_s, times.PERIOD: (theory.cycle_s - theory.ttl_s) / 2}
    expected = Theory(sum(textbook.values()), textbook, "(C + I) / 2", times.SOURCE)
    drawn = {
        times.REMAINING: theory.ttl_s - statistics.fmean(phases_s) - remaining_s,
        times.EARLY: round(means[times.EARLY] / theory.cycle_s * len(found)) * theory.cycle_s / len(found) - early_s,
        times.PERIOD: (theory.cycle_s - theory.ttl_s) / 2,
    }
    every = [one.total_s for one in found]
    mean = Timing(statistics.fmean(every), means)
    compared = [Comparison.of("mean", [mean], expected.plus(drawn), tolerance(WITHIN))]
    for share in times.QUANTILES:
        quantile_s = theory.quantile_s(share)
        formula = Theory(quantile_s, {"quantile": quantile_s}, f"F^-1({share:g})", times.SOURCE)
        measured_s = times.quantile(every, share)
        allowed = theory.quantile_tolerance(share, len(found))
        compared.append(
            Comparison.of(f"quantile {share:.0%}", [Timing(measured_s, {"quantile": measured_s})], formula, allowed)
        )
    return compared


def _distribution(theory: FailOverTheory, every_s: Sequence[float]) -> list[Panel]:
    """The distribution function of the fail-over time."""
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
    """Raise EmulationError if the CDN's name server cannot check its replicas that often."""
    server = context.replacements.get("cdn-dns")
    if server is None or context.parameters["interval"] >= server.least_interval_s:
        return
    if math.isinf(server.least_interval_s):
        raise EmulationError(f"{server.name} does not check its replicas, so that nothing can be said of it here")
    least = f"{server.least_interval_s:g}s"
    raise EmulationError(f"{server.name} checks its replicas each {least} at most: say --set interval={least}")


def _capture_name(kind: str, ttl: int) -> str:
    return f"capture-{kind}-ttl-{ttl}.pcapng"


def _fail(context: Run, folder: Path, kind: str, ttl: int, comes_back: bool, evidence: Evidence) -> Episode:
    """One fault under load, in a network of its own; returns what was seen of it."""
    asked, path = context.parameters, context.folder / _capture_name(kind, ttl)
    users = [host_name("user", REGION, number) for number in range(asked["users"])]
    drawing = {"ttl": ttl, "interval": asked["interval"], "scale": asked["scale"], "clients": asked["users"]}
    with cdn_testbed(context, folder, **drawing) as bed:
        if not evidence.checks:
            evidence.checks += [
                check for each in region_paths(REGION, asked["scale"]) for check in probe_path(bed, each)
            ]
        askers = [User(bed, host) for host in users]
        begin_anew(context, bed)
        prepare(bed, users[0], f"/{OBJECT}")
        with evidence.watch, capture_cdn(bed, path, [*users, "ns-cdn"]) as capture:
            fault = _under_load(context, bed, askers, kind, ttl, comes_back)
    evidence.checks += capture_checks({f"{label} ({kind}, {ttl} s)": one for label, one in capture.statistics.items()})
    captured = evidence.watch.read_capture(path, bed.topo)
    objects = objects_in(folder)
    seen = [
        judge.User(host, dns_exchanges(captured, at(host)), page_load(captured, at(host)), objects) for host in users
    ]
    serving = frozenset([*(replica_address(region) for region in REGIONS), ORIGIN])
    fault = replace(fault, slack_s=fault.slack_s + _disturbed_s(fault, seen, evidence.watch))
    return Episode(fault, seen, dns_exchanges(captured, at("ns-cdn")), ALIAS, serving)


def _disturbed_s(fault: Fault, users: Sequence[judge.User], watch: MachineWatch) -> float:
    """What the machine added, in s: to the checks until the fault, and the return, were noticed; and to one request.

    A request is under way from its lookup to its SYN: then the last answer with the replica is passed on, and used.
    """
    checking = ["ns-cdn", host_name("edge", REGION)]
    moments_ns = [fault.began_ns] + ([fault.back_ns] if fault.back_ns is not None else [])
    notice_ns = fault.noticed_ns - fault.began_ns
    checks_s = max(watch.disturbance(begin, begin + notice_ns, checking).total_s for begin in moments_ns)
    requests = [span for user in users for span in _under_way(user)]
    return checks_s + max((watch.disturbance(*span).total_s for span in requests), default=0.0)


def _under_way(user: judge.User) -> list[tuple[int, int]]:
    """From each lookup of a user to the SYN behind it."""
    syns = sorted(one.connection.syn.time_ns for one in user.load.conversations)
    asked = [one.query.time_ns for one in user.dns.exchanges]
    return [(query_ns, syns[place]) for query_ns in asked if (place := bisect_left(syns, query_ns)) < len(syns)]


def _under_load(context: Run, bed: Testbed, askers: Sequence[User], kind: str, ttl: int, comes_back: bool) -> Fault:
    """Let users ask, the replica fail and, if it is to, come back; returns when that was."""
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
        # A check may take as long as an interval: so the drawing says.
        timeout_s=asked["interval"] if kind == LINK else 0.0,
        # A check that is refused takes a round trip, and an answer half of one before its time begins to run.
        slack_s=2 * region_rtt_s(REGION, asked["scale"]),
    )


def _lose(bed: Testbed, kind: str) -> None:
    """Kill the replica, as a crash would, or pull its cable."""
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
    """The time of the last request that fails, and how many do, over the TTL."""
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
    question="How long do users notice that a replica has failed?",
    claims=("C8",),
    parameters={
        "ttl": Parameter(
            "1,2,3",
            listed(whole(1, DAY_S)),
            "the times to live of the CDN's answers in s",
            full="1,2,3,5,8",
            full_virtual="300",
        ),
        "interval": Parameter("500ms", seconds, "how often the CDN checks its replicas", full_virtual="60s"),
        "fault": Parameter(
            SERVICE,
            choices((SERVICE, LINK)),
            "what fails: service (it is killed), link (it is cut off), or all",
            full="all",
            full_virtual=SERVICE,
        ),
        "faults": Parameter(
            "0",
            whole(0, 10_000),
            "0: one fault for each TTL; more: that many, of the first kind with the first TTL, at moments drawn",
            full_virtual="100",
        ),
        # Of a TTL of 300 s no divisor: no request comes at the moment at which an answer's time ends.
        "every": Parameter("150ms", seconds, "the time between two requests of a user", full_virtual="59s"),
        "users": Parameter("2", whole(1, 20), "how many users the region has (of many faults: one)"),
        "scale": Parameter("1", factor, "a factor on all delays of the topology"),
    },
    run=run,
    repeat=1,
    roles=ROLES,
    cost=80,
)
