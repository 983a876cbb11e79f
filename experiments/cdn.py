"""What does a CDN change for its users and for the content provider?  (claims C2 to C7)

Users in three regions visit a page by its name: first with all caches empty, then again and again, each time after the
addresses that the CDN gave are too old to be used. Once the name leads to the origin itself, behind a narrow link, and
once by an alias to the CDN, whose name server sends everybody to the replica of its region. Each kind of visit is set
beside its round trips. Then all users of the region that is farthest away ask at one moment for an object that their
replica does not have: one copy of it is to cross the origin's link.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from experiments.harness.cache_theory import cached_visit
from experiments.harness.cdn_lab import (
    ROLES,
    User,
    at,
    begin_anew,
    capture_cdn,
    cdn_testbed,
    implementations,
    near_paths,
    origin_rtt_s,
    paths,
    region_rtt_s,
    wake_up,
)
from experiments.harness.cdn_theory import by_name
from experiments.harness.clock import tolerance
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run, factor, megabits, whole
from experiments.harness.fidelity import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.http_lab import request_size, response_sizes, sample_of, site_folder, turns_framing_s
from experiments.harness.judge import cdn, cdn_names, cdn_savings
from experiments.harness.judge.cache import Legs, Span, read_legs
from experiments.harness.judge.cache_savings import opened
from experiments.harness.judge.cdn import Region
from experiments.harness.judge.dns import dns_exchanges
from experiments.harness.judge.frames import CaptureFile, read_capture
from experiments.harness.judge.link_use import link_use
from experiments.harness.judge.messages import Exchange
from experiments.harness.judge.page_load import PageLoad, page_load
from experiments.harness.judge.verdict import Verdict
from experiments.harness.judge.versions import Objects, confirm, objects_in
from experiments.harness.page_client import Window
from experiments.harness.pathmodel.replay import Sample, terms_of
from experiments.harness.report_plot import PlotUnavailable, plot_comparisons
from experiments.harness.result import Check, Comparison, Timing
from experiments.harness.site import make_site, write_picture
from experiments.harness.theory import Theory, http_page_load
from topologies.cdn import ALIAS, NAME, REGIONS, SERVERS, host_name, local_address, replica_address

WITHOUT, THROUGH = "origin", "CDN"
FIRST, AGAIN = "first", "again"
# Of the formula, and what the programs themselves take for one object or lookup, which no formula has. Three of them
# take part in most steps of a first visit (client, replica and origin, or client and two name servers), later two.
TOLERANCE = 0.05
PROGRAMS_S: Mapping[str, float] = {FIRST: 0.004, AGAIN: 0.002}
# How many servers the local one asks for the site's address: root, com and example.com; with the CDN root, net and
# cdn.net for the alias as well. Later it knows the provider's records, and has to ask the CDN's name server alone.
LOOKUPS: Mapping[tuple[str, str], int] = {
    (WITHOUT, FIRST): 3,
    (WITHOUT, AGAIN): 0,
    (THROUGH, FIRST): 6,
    (THROUGH, AGAIN): 1,
}
# n objects, m of them fetched over c connections; between a user and its replica there is no delay.
FORMULAS: Mapping[tuple[str, str], str] = {
    (WITHOUT, FIRST): "(n+1) RTT origin + X",
    (WITHOUT, AGAIN): "(n+1) RTT origin + X",
    (THROUGH, FIRST): "(m+c) RTT origin + X",
    (THROUGH, AGAIN): "(n+1) RTT replica",
}
CROWD = "crowd.png"
FARTHEST = max(REGIONS, key=lambda region: REGIONS[region][1])
# A resolver may round a time to live up to whole seconds.
TOO_OLD_S = 1.1


@dataclass
class Evidence:
    """What has been collected while the networks ran: checks, and the watch over the machine."""

    checks: list[Check] = field(default_factory=list)
    watch: MachineWatch = field(default_factory=MachineWatch)


@dataclass
class Visits:
    """When each region's visits were, the first one first, and when everybody asked at once."""

    windows: dict[str, list[Window]] = field(default_factory=lambda: {region: [] for region in REGIONS})
    crowd: Span = (0, 0)

    def spans(self, region: str) -> list[Span]:
        """The spans of a region's visits."""
        return [(one.start_ns, one.end_ns) for one in self.windows[region]]

    @property
    def span(self) -> Span:
        """From the beginning of the first visit to the end of the last."""
        every = [span for region in REGIONS for span in self.spans(region)]
        return min(start for start, _ in every), max(end for _, end in every)


@dataclass(frozen=True)
class Measured:
    """One of the two networks: what was captured, when what was, what the origin held."""

    captured: CaptureFile
    visits: Visits
    legs: Mapping[str, Legs]
    loads: Mapping[str, PageLoad]
    objects: Objects
    topo: Topo

    @property
    def visited(self) -> list[PageLoad]:
        """What the users of every region asked for in their visits."""
        return [self.loads[region].between(*span) for region in REGIONS for span in self.visits.spans(region)]


def run(context: Run) -> Outcome:
    """Visit without and with the CDN, judge, compare."""
    evidence = Evidence()
    with site_folder(context) as folder:
        objects = [path.name for path in _make_objects(context, folder)]
        asked_for = ["/", *(f"/{name}" for name in objects if name not in ("index.html", CROWD))]
        without = _measure(context, folder, WITHOUT, asked_for, evidence)
        through = _measure(context, folder, THROUGH, asked_for, evidence)
    context.step("judging the packets", 0.75)
    timings = {
        _name(region, case, phase): found
        for case, measured in ((WITHOUT, without), (THROUGH, through))
        for region in REGIONS
        for phase, found in _timings(measured, region).items()
    }
    comparisons = [
        _compare(context, region, case, phase, measured, timings, beyond)
        for case, measured in ((WITHOUT, without), (THROUGH, through))
        for beyond in [_left_out(measured, case)]
        for region in REGIONS
        for phase in (FIRST, AGAIN)
    ]
    return Outcome(
        claims=tuple(_verdicts(context, without, through, timings, comparisons)),
        comparisons=tuple(comparisons),
        fidelity=certificate([*evidence.checks, *evidence.watch.checks()]),
        implementations=implementations(context),
        timings=timings,
        capture=_capture_name(THROUGH),
        plot=_plot(comparisons),
    )


def _make_objects(context: Run, folder: Path) -> list[Path]:
    asked = context.parameters
    made = make_site(folder, asked["objects"], asked["size"], context.seed)
    write_picture(folder / CROWD, asked["size"], context.seed)
    return made


def _capture_name(case: str) -> str:
    return f"capture-{'cdn' if case == THROUGH else 'origin'}.pcapng"


def _measure(context: Run, folder: Path, case: str, asked_for: Sequence[str], evidence: Evidence) -> Measured:
    """All visits, and with the CDN the crowd, in a network of their own."""
    asked, path, share = context.parameters, context.folder / _capture_name(case), 0.02 if case == WITHOUT else 0.35
    context.step(f"the network ({case})", share)
    cdn_too = case == THROUGH
    drawing: dict[str, Any] = {"cdn": "yes" if cdn_too else "no", "ttl": asked["ttl"]}
    with cdn_testbed(context, folder, bw=asked["bw"], scale=asked["scale"], **drawing) as bed:
        probed = near_paths(asked["scale"]) if cdn_too else paths(asked["scale"], asked["bw"] * 1e6)
        evidence.checks += [check for each in probed for check in probe_path(bed, each)]
        users = {region: User(bed, host_name("user", region)) for region in REGIONS}
        wake_up(bed)
        with evidence.watch, capture_cdn(bed, path, _hosts(case)) as capture:
            if cdn_too:
                begin_anew(context, bed)
            visits = _visit(context, users, asked_for, cdn_too, share)
            if cdn_too:
                context.step(f"{asked['crowd']} users of {FARTHEST} at once", 0.7)
                users[FARTHEST].begin(crowd=f"/{CROWD}", users=asked["crowd"])
                window = users[FARTHEST].done()
                visits.crowd = window.start_ns, window.end_ns
    evidence.checks += capture_checks({f"{label} ({case})": one for label, one in capture.statistics.items()})
    return _read(read_capture(path), visits, case, objects_in(folder), bed.topo)


def _hosts(case: str) -> list[str]:
    """Every host that takes part in a visit."""
    kinds = ("user", "dns", "edge") if case == THROUGH else ("user", "dns")
    return [*(host_name(kind, region) for kind in kinds for region in REGIONS), *SERVERS, "origin"]


def _visit(context: Run, users: Mapping[str, User], asked_for: Sequence[str], wait: bool, share: float) -> Visits:
    visits = Visits()
    for number in range(context.repeat + 1):
        context.step(f"visit {number + 1} of {context.repeat + 1}", share + 0.05 + 0.25 * number / context.repeat)
        if number and wait:
            time.sleep(context.parameters["ttl"] + TOO_OLD_S)
        for region, user in users.items():
            visits.windows[region].append(user.visit(asked_for))
    return visits


def _read(captured: CaptureFile, visits: Visits, case: str, objects: Objects, topo: Topo) -> Measured:
    legs = {
        region: read_legs(captured, at(host_name("edge", region)), replica_address(region), [80])
        for region in REGIONS
        if case == THROUGH
    }
    loads = {region: page_load(captured, at(host_name("user", region))) for region in REGIONS}
    return Measured(captured, visits, legs, loads, objects, topo)


def _timings(measured: Measured, region: str) -> dict[str, list[Timing]]:
    """The times of a region's first visit, and of the later ones."""
    lookups = dns_exchanges(measured.captured, at(host_name("user", region)))
    parts = [
        cdn_savings.decompose_by_name(
            measured.loads[region].between(*span), lookups.between(*span), measured.legs.get(region), span
        )
        for span in measured.visits.spans(region)
    ]
    found = [Timing(one.total_s, one.terms) for one in parts]
    return {FIRST: found[:1], AGAIN: found[1:]}


def _name(region: str, case: str, phase: str) -> str:
    return f"{region} {case}, {phase}"


def _compare(
    context: Run,
    region: str,
    case: str,
    phase: str,
    measured: Measured,
    timings: Mapping[str, list[Timing]],
    beyond: Mapping[str, Mapping[str, float]],
) -> Comparison:
    asked, name = context.parameters, _name(region, case, phase)
    lookup_s = LOOKUPS[case, phase] * region_rtt_s(region, asked["scale"])
    theory = by_name(_visit_theory(context, region, case, phase, measured), lookup_s, FORMULAS[case, phase])
    allowed = TOLERANCE + PROGRAMS_S[phase] * (asked["objects"] + LOOKUPS[case, phase]) / theory.total_s
    left_out = beyond[name]
    if left_out:
        asked_for = _at_origin(measured, region, case, phase)
        left_out = {**left_out, "framing": turns_framing_s(asked_for, asked["bw"] * 1e6)}
    return Comparison.of(name, timings[name], theory.plus(left_out), tolerance(round(allowed, 3)))


def _left_out(measured: Measured, case: str) -> dict[str, dict[str, float]]:
    """What the closed form of each of a network's comparisons leaves out on its links, by name, in s."""
    samples: dict[str, list[Sample]] = {}
    for region in REGIONS:
        user = at(host_name("user", region))
        lookups = dns_exchanges(measured.captured, user)
        for number, span in enumerate(measured.visits.spans(region)):
            visit = sample_of(measured.loads[region].between(*span), user)
            waits = lookups.between(*span).exchanges
            began_ns = min([visit.first_ns, *(one.query.time_ns for one in waits)])
            name = _name(region, case, AGAIN if number else FIRST)
            samples.setdefault(name, []).append(replace(visit, first_ns=began_ns))
    return terms_of(measured.captured, measured.topo, samples)


def _at_origin(measured: Measured, region: str, case: str, phase: str) -> Sequence[Exchange]:
    """What the origin is asked in a visit of this phase."""
    span = measured.visits.spans(region)[0]
    if case == WITHOUT:
        return measured.loads[region].between(*span).exchanges
    return measured.legs[region].forwarded([span]) if phase == FIRST else []


def _visit_theory(context: Run, region: str, case: str, phase: str, measured: Measured) -> Theory:
    asked, spans = context.parameters, measured.visits.spans(region)
    rtt_s, rate_bps = origin_rtt_s(region, asked["scale"]), asked["bw"] * 1e6
    if case == WITHOUT:
        load = measured.loads[region].between(*spans[0])
        size = request_size(load)
        return http_page_load("1.1-persistent", rtt_s, response_sizes(load), rate_bps, request_size_bytes=size)
    legs, fetched = measured.legs[region], _at_origin(measured, region, case, phase)
    sizes = [len(one.response.octets) for one in fetched if one.response is not None]
    largest = max((len(one.request.octets) for one in fetched), default=0)
    chosen = spans[:1] if phase == FIRST else spans[1:]
    connections = statistics.median_low(opened(legs, span) for span in chosen)
    return cached_visit(asked["objects"], 0.0, rtt_s, rate_bps, sizes, largest, connections)


def _verdicts(
    context: Run,
    without: Measured,
    through: Measured,
    timings: Mapping[str, Sequence[Timing]],
    comparisons: Sequence[Comparison],
) -> list[Verdict]:
    regions = _regions(through)
    visits = sorted(span for region in REGIONS for span in through.visits.spans(region))
    local = dns_exchanges(through.captured, at(f"{FARTHEST}-dns"))
    addresses = {
        "local": local_address(FARTHEST),
        **{host: address for host, (address, _, _) in SERVERS.items()},
        "provider": SERVERS["ns-example"][0],
        "cdn": SERVERS["ns-cdn"][0],
    }
    copies = sum(
        1
        for one in regions
        for served in one.legs.served(visits)
        if cdn.is_of_user(one, served) and served.upstream is None
    )
    objects, crowd = through.objects, {FARTHEST: through.visits.crowd}
    saved = (
        cdn_savings.c5(
            _times(timings, WITHOUT), _times(timings, THROUGH), [one.name for one in comparisons if not one.within]
        ),
        cdn_savings.c6(
            link_use(without.captured, at("origin"), without.visits.span),
            link_use(through.captured, at("origin"), through.visits.span),
            copies,
        ),
    )
    return [
        cdn.c2(regions, page_load(through.captured, at("origin")), objects),
        cdn_names.c3(regions, NAME),
        cdn_names.c4(local, NAME, ALIAS, addresses),
        *(confirm(one, objects, through.visited, without.visited) for one in saved),
        cdn.c7(regions, visits, crowd, context.parameters["crowd"], objects),
    ]


def _regions(through: Measured) -> list[Region]:
    return [
        Region(
            region,
            frozenset([replica_address(region)]),
            dns_exchanges(through.captured, at(host_name("user", region))),
            through.loads[region],
            through.legs[region],
        )
        for region in REGIONS
    ]


def _times(timings: Mapping[str, Sequence[Timing]], case: str) -> dict[str, list[float]]:
    """The times of all visits by region."""
    return {
        region: [one.total_s for phase in (FIRST, AGAIN) for one in timings[f"{region} {case}, {phase}"]]
        for region in REGIONS
    }


def _plot(comparisons: Sequence[Comparison]) -> str | None:
    try:
        return plot_comparisons(comparisons)
    except PlotUnavailable:
        return None


EXPERIMENT = Experiment(
    name="cdn",
    question="What does a CDN change for its users, and for the content provider?",
    claims=("C2", "C3", "C4", "C5", "C6", "C7"),
    parameters={
        "bw": Parameter("5", megabits, "the rate of the origin's link in Mbit/s"),
        "scale": Parameter("1", factor, "a factor on all delays of the topology"),
        "ttl": Parameter("1", whole(1, 60), "for how many seconds the CDN's addresses may be used"),
        "objects": Parameter("4", whole(1, 30), "how many objects a page has, itself included"),
        "size": Parameter("4000", whole(1000, 13_000), "the size of each object in octets"),
        "crowd": Parameter("64", whole(2, 500), "how many users ask at once for an object that their replica lacks"),
    },
    run=run,
    repeat=2,
    roles=ROLES,
    cost=55,
)
