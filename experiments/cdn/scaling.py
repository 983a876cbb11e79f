"""Experiment on CDN scaling: response time and link utilisation for a growing number of clients (claims C1, C5, C6).

Clients in three regions request one object again and again, with a think time in between. They do so first from the
origin behind its narrow link, then from the replicas of their regions, which have stored the object. Up to the knee of
the curve, the utilisation of the origin's link grows in proportion to the number of clients. Beyond the knee the link
is saturated, and each further client adds to the response time of all. Each client has one connection; all clients of a
region are on one host.

Claims of the course that are decided: a single origin does not scale (C1); a CDN shortens response times (C5) and
relieves the origin's link (C6).

Other experiments in real time subtract from a measured time the delays caused by other load on the machine. This one
does not, because the effect of such a delay on one response time is unknown here: all clients of a host may share it,
the queue of the saturated link may hide it, or it may fall into a client's think time. Instead, measurements may
deviate from theory by the fraction WITHIN in `claims.scaling`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mininet.topo import Topo

from lab7.experiments.cache.claims.versions import Objects, objects_in
from lab7.experiments.cache.wire.legs import Span
from lab7.experiments.cache.wire.link_use import link_use
from lab7.experiments.cdn import theory as cdn_theory
from lab7.experiments.cdn.claims import scaling as judge
from lab7.experiments.cdn.claims.scaling import Point, Responses
from lab7.experiments.cdn.driver import first_think_s, random_of
from lab7.experiments.cdn.lab import (
    ROLES,
    User,
    cdn_testbed,
    implementations,
    near_paths,
    origin_rtt_s,
    paths,
    wait_for_steering,
)
from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.measurement import Evidence, first_interface, measured, site_folder
from lab7.experiments.harness.parameters import factor, listed, megabits, seconds, whole
from lab7.experiments.harness.pathmodel.interactive_system import Client, Plan
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, transmission_time_s
from lab7.experiments.http.lab import write_picture
from lab7.experiments.http.wire.bulk import Traffic, crossings, octets_without_content
from lab7.topologies.cdn import REGIONS, host_name

OBJECT = "picture.png"
ALONE, THROUGH = "origin alone", "CDN"
# Estimated octets of a response's header section, for planning before the first response is measured.
HEAD_BYTES = 300
# Number of request cycles (response and think time) until the queue reaches its steady state.
SETTLE_CYCLES = 2
NOTE = (
    "points: measured means; lines: max(RTT + S, N S - Z) and min(1, N S / (RTT + S + Z)) for N clients that "
    "think for Z, with S the transmission time of an object on the origin's link. There are no lines for "
    "replicas, which have no bottleneck."
)


@dataclass(frozen=True)
class Stay:
    """Times of one workload, in which all clients send requests for a while.

    - `span`: start and end of the steady state in ns
    - `settle_s`: time in s before the steady state
    - `over_ns`: end of the last response in ns
    """

    span: Span
    settle_s: float
    over_ns: int


@dataclass
class SweepEvidence(Evidence):
    """Evidence of a sweep over numbers of clients; `theories` maps each number to its theoretical response time."""

    theories: dict[int, Theory] = field(default_factory=dict)


def run(context: Run) -> Outcome:
    """Measure response times for each number of clients, from the origin and from the CDN; return verdicts.

    The verdicts are on claims C1 (a single origin saturates), C5 (shorter response times) and C6 (fewer octets).
    """
    evidence = SweepEvidence()
    with site_folder(context) as folder:
        write_picture(folder / OBJECT, context.parameters["size"], context.seed)
        alone = _sweep(context, folder, ALONE, evidence)
        through = _sweep(context, folder, THROUGH, evidence)
    comparisons = [_compare(evidence.theories[one.clients], one) for one in alone if not (one.problem or one.wrong)]
    return Outcome(
        claims=(
            judge.decide_origin_saturation(alone),
            judge.decide_response_time_under_load(alone, through),
            judge.decide_link_use_under_load(alone, through),
        ),
        comparisons=tuple(comparisons),
        fidelity=evidence.fidelity(),
        implementations=implementations(context),
        timings={
            _name(one): [Timing.with_residual(one.response_s, one.terms)]
            for one in alone
            if not (one.problem or one.wrong)
        },
        capture=_capture_name(ALONE),
        plot=plot_lines(_panels(context, alone, through), NOTE),
    )


def _capture_name(case: str) -> str:
    return f"capture-{case.replace(' ', '-').lower()}.pcapng"


def _name(point: Point) -> str:
    return f"{ALONE}, {point.who}"


def _sweep(context: Run, folder: Path, case: str, evidence: SweepEvidence) -> list[Point]:
    """Measure the response time for each number of clients, one after the other, in one network.

    Returns one Point for each number.
    """
    asked, begin = context.parameters, 0.02 if case == ALONE else 0.5
    context.step(f"the network ({case})", begin)
    stays: list[Stay] = []
    topology_parameters = {"cdn": "no" if case == ALONE else "yes", "bw": asked["bw"], "scale": asked["scale"]}
    network = cdn_testbed(context, folder, **topology_parameters)
    probed = paths(asked["scale"], asked["bw"] * 1e6) if case == ALONE else near_paths(asked["scale"])
    with measured(context, network, probed, evidence, progress=None) as lab:
        bed = lab.bed
        users = [User(bed, host_name("user", region)) for region in REGIONS]
        if case == THROUGH:
            wait_for_steering(context, bed)
        for user in users:
            user.visit([f"/{OBJECT}"])
        hosts = [*(host_name("user", region) for region in REGIONS), "origin"]
        with lab.recording(hosts, _capture_name(case), label=case):
            for number, clients in enumerate(asked["clients"]):
                context.step(f"{clients} clients ({case})", begin + 0.05 + 0.4 * number / len(asked["clients"]))
                stays.append(_stay(context, users, clients, case))
    captured = read_capture(lab.path)
    objects = objects_in(folder)
    points = []
    for clients, stay in zip(asked["clients"], stays, strict=True):
        found = _found(context, captured, stay, objects)
        theory = _theory(context, clients, found, stay, bed.topo if case == ALONE else None)
        evidence.theories.setdefault(clients, theory)
        points.append(_point(context, captured, clients, stay, found, theory))
    return points


def _stay(context: Run, users: Sequence[User], clients: int, case: str) -> Stay:
    """Let `clients` clients send requests for the configured time; return the times of this workload as a Stay."""
    asked = context.parameters
    settle_s = asked["think"]
    if case == ALONE:
        theory = cdn_theory.interactive(_rtts_s(context, clients), _service_s(context), asked["think"])
        settle_s += SETTLE_CYCLES * (theory.total_s + asked["think"])
    began_ns = time.time_ns()
    shares = [(user, len(range(place, clients, len(users)))) for place, user in enumerate(users)]
    lasts_s = settle_s + asked["for"]
    for user, share in shares:
        if share:
            user.begin(stay=f"/{OBJECT}", users=share, for_s=lasts_s, think_s=asked["think"], seed=context.seed)
    for user, share in shares:
        if share:
            user.done(lasts_s)
    start_ns = began_ns + round(settle_s * 1e9)
    return Stay((start_ns, start_ns + round(asked["for"] * 1e9)), settle_s, time.time_ns())


def _rtts_s(context: Run, clients: int) -> list[float]:
    """Return the round-trip time in s of each client to the origin; clients are assigned to the regions in rotation."""
    regions = list(REGIONS)
    return [origin_rtt_s(regions[number % len(regions)], context.parameters["scale"]) for number in range(clients)]


def _service_s(context: Run, response_bytes: int = 0) -> float:
    """Return the transmission time in s of a response on the origin's link; an estimate if `response_bytes` is 0."""
    asked = context.parameters
    return transmission_time_s(response_bytes or asked["size"] + HEAD_BYTES, asked["bw"] * 1e6)


def _found(context: Run, captured: CaptureFile, stay: Stay, objects: Objects) -> Responses:
    users = [_crossings(captured, host_name("user", region), stay) for region in REGIONS]
    origin = _crossings(captured, "origin", stay)
    return judge.responses(users, origin, stay.span, context.parameters["bw"] * 1e6, objects)


def _theory(context: Run, clients: int, found: Responses, stay: Stay, topo: Topo | None) -> Theory:
    """Return the asymptotic bound of the response time; if `topo` is given, with the terms that the bound omits."""
    asked, rtts_s = context.parameters, _rtts_s(context, clients)
    bound = cdn_theory.interactive(rtts_s, _service_s(context, found.response_bytes), asked["think"])
    if topo is None or not found.count:
        return bound
    plan = Plan(
        clients=_clients(context, clients),
        server="origin",
        rate_bps=asked["bw"] * 1e6,
        think_s=asked["think"],
        until_s=stay.settle_s + asked["for"],
        request_bytes=found.request_bytes,
        response_bytes=found.response_bytes,
    )
    return bound.plus(cdn_theory.beyond_bound(bound, plan, topo, stay.settle_s, rtts_s))


def _clients(context: Run, clients: int) -> list[Client]:
    """Return the clients for the simulation of TCP (path model), assigned to hosts as in the emulated network."""
    regions, made = list(REGIONS), []
    for number in range(clients):
        turn, place = divmod(number, len(regions))
        first_s = first_think_s(random_of(context.seed, turn), context.parameters["think"])
        made.append(Client(host_name("user", regions[place]), first_s))
    return made


def _point(context: Run, captured: CaptureFile, clients: int, stay: Stay, found: Responses, theory: Theory) -> Point:
    asked = context.parameters
    rtts_s, service_s = _rtts_s(context, clients), _service_s(context, found.response_bytes)
    return Point(
        clients=clients,
        responses=found.count,
        response_s=found.response_s,
        terms=found.terms,
        utilisation=found.link_bytes * 8 / (asked["bw"] * 1e6 * asked["for"]),
        link=link_use(captured, first_interface("origin"), stay.span),
        theory_s=theory.total_s,
        theory_utilisation=cdn_theory.utilisation(rtts_s, service_s, asked["think"]),
        needs=cdn_theory.offered_load(rtts_s, service_s, asked["think"]),
        frames=found.frames,
        problem=found.problem,
        wrong=found.wrong,
        tolerance=tolerance(judge.WITHIN),
    )


def _crossings(captured: CaptureFile, host: str, stay: Stay) -> Traffic:
    """Return a host's HTTP requests and responses in the steady state; the content is left out at the origin."""
    frames = (frame for frame in captured.at(first_interface(host)) if stay.span[0] <= frame.time_ns < stay.over_ns)
    return crossings(frames, 80, keep_content=host != "origin")


def _compare(theory: Theory, one: Point) -> Comparison:
    return Comparison.of(_name(one), [Timing.with_residual(one.response_s, one.terms)], theory, one.tolerance)


def _panels(context: Run, alone: Sequence[Point], through: Sequence[Point]) -> list[Panel]:
    """Return two plots over the number of clients: response time, and utilisation of the origin's link."""
    think_s, service_s = context.parameters["think"], _service_s(context)
    numbers = range(1, max(context.parameters["clients"]) + 1)
    rtts = [_rtts_s(context, number) for number in numbers]
    times = [cdn_theory.interactive(some, service_s, think_s).total_s * 1e3 for some in rtts]
    uses = [100 * cdn_theory.utilisation(some, service_s, think_s) for some in rtts]
    lines = [[(float(number), value) for number, value in zip(numbers, some, strict=True)] for some in (times, uses)]
    response = [[(float(one.clients), one.response_s * 1e3) for one in points] for points in (alone, through)]
    use = [[(float(one.clients), 100 * one.utilisation) for one in points] for points in (alone, through)]
    return [
        Panel(title, "clients", what, [Series(ALONE, points[0], line), Series(THROUGH, points[1], ())])
        for title, what, points, line in (
            ("response time", "mean response time in ms", response, lines[0]),
            ("origin's link", "used, in %", use, lines[1]),
        )
    ]


EXPERIMENT = Experiment(
    name="cdn-scaling",
    question="How many clients can one origin serve, and how many with a CDN in front of it?",
    claims=("C1", "C5", "C6"),
    parameters={
        "clients": Parameter("1,4,16", listed(whole(1, 500)), "the numbers of clients", full="1,2,4,8,16,32,64"),
        "bw": Parameter("5", megabits, "the rate of the origin's link in Mbit/s"),
        "size": Parameter("13000", whole(1000, 13_500), "the size of the object in octets"),
        "think": Parameter("100ms", seconds, "the time between a response and the client's next request"),
        "for": Parameter("1500ms", seconds, "the duration of the measurement for each number of clients", full="10s"),
        "scale": Parameter("1", factor, "a factor on all delays of the topology"),
    },
    run=run,
    repeat=1,
    roles=ROLES,
    cost=55,
    kept_octets=octets_without_content,
)
