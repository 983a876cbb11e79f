"""How long do users notice that a replica has failed?  (claim C8)

Users of a region keep asking for an object by the site's name, a lookup and a connection for each request, when the
replica they are sent to is killed, or cut off from its network. The CDN's name server checks its replicas every so
often and then names another one; but what it said before may be used for its time to live. Once for each TTL the time
of the last request that fails is set beside TTL and interval of the checks; after the first fault the replica comes
back, and is used again.

The replica is lost soon after an answer was fetched, so that almost the whole TTL is still to go.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
from experiments.harness.clock import programs_s
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run, choices, factor, listed, seconds, whole
from experiments.harness.faults import plug_in, unplug
from experiments.harness.fidelity import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.http_lab import site_folder
from experiments.harness.judge import cdn_failover as judge
from experiments.harness.judge.cdn_failover import Episode, Fault, Recovery
from experiments.harness.judge.dns import dns_exchanges
from experiments.harness.judge.frames import read_capture
from experiments.harness.judge.page_load import page_load
from experiments.harness.judge.versions import objects_in
from experiments.harness.report_lines import Panel, Series, plot_lines
from experiments.harness.result import Check
from experiments.harness.site import write_picture
from topologies.cdn import ALIAS, ORIGIN, REGIONS, host_name, replica_address
from topologies.emulation.errors import EmulationError
from topologies.emulation.testbed import Testbed

REGION, OBJECT, OBJECT_BYTES = "eu", "ring.png", 1000
SERVICE, LINK = "service", "link"
# The user's lookup and first requests, before the fault; and how long users go on when all must be well.
BEFORE_S, AFTER_S = 0.5, 0.4
# For a new replica to be ready, or a cable to be plugged in.
RESTART_S = 0.5
# What name servers, users and the machine's scheduler take, together, by the machine's clock.
PROGRAMS_S = 0.05
NOTE = (
    "a point is a user of the region: when after the fault the last request began that failed; lines: TTL and interval "
    "of the checks, for a link also the time-out of a check"
)


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
    captured = read_capture(path)
    objects = objects_in(folder)
    seen = [
        judge.User(host, dns_exchanges(captured, at(host)), page_load(captured, at(host)), objects) for host in users
    ]
    serving = frozenset([*(replica_address(region) for region in REGIONS), ORIGIN])
    return Episode(fault, seen, dns_exchanges(captured, at("ns-cdn")), ALIAS, serving)


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
    if comes_back:
        time.sleep(waits_s)
        _restore(bed, kind)
        back_ns = time.time_ns()
    for asker in askers:
        asker.done(lasts_s)
    return _fault(context, kind, ttl, began_ns, back_ns)


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
        slack_s=2 * region_rtt_s(REGION, asked["scale"]) + programs_s(PROGRAMS_S),
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
            "1,2,3", listed(whole(1, 60)), "the times to live of the CDN's answers in s", full="1,2,3,5,8"
        ),
        "interval": Parameter("500ms", seconds, "how often the CDN checks its replicas"),
        "fault": Parameter(
            SERVICE,
            choices((SERVICE, LINK)),
            "what fails: service (it is killed), link (it is cut off), or all",
            full="all",
        ),
        "every": Parameter("150ms", seconds, "the time between two requests of a user"),
        "users": Parameter("2", whole(1, 20), "how many users the region has"),
        "scale": Parameter("1", factor, "a factor on all delays of the topology"),
    },
    run=run,
    repeat=1,
    roles=ROLES,
    cost=80,
)
