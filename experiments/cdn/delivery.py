"""Experiment on CDN delivery: page load times, traffic of the origin, and request routing by DNS (claims C2 to C7).

Users in three regions load a page by its name, first with empty caches and then again, each time after the TTL of the
CDN's DNS answers has expired. This is done in two networks. In one, the name leads to the origin behind a narrow link.
In the other, the name is an alias (CNAME) of the CDN, whose name server directs each region to its own replica. Load
times are compared with theory. Finally all users of the farthest region simultaneously request an object that their
replica has not stored. Only one copy of the object may cross the origin's link (collapsed requests, RFC 9111 section
4).

Claims of the course that are decided: replicas hold copies of the origin's objects (C2); the CDN's name server directs
regions to different replicas under one name (C3), through a CNAME (C4); a CDN shortens response times (C5) and relieves
the origin's link (C6); a replica fetches each object once (C7).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.experiments.cache.claims.savings import count_connections
from lab7.experiments.cache.claims.versions import Objects, confirm, objects_in
from lab7.experiments.cache.theory import cached_visit
from lab7.experiments.cache.wire.legs import Legs, Span, read_legs
from lab7.experiments.cache.wire.link_use import link_use
from lab7.experiments.cdn.claims import names, replicas, savings
from lab7.experiments.cdn.claims.replicas import Region
from lab7.experiments.cdn.lab import (
    ROLES,
    User,
    cdn_testbed,
    clear_caches,
    implementations,
    near_paths,
    origin_rtt_s,
    paths,
    region_rtt_s,
    wait_for_steering,
    warm_up,
)
from lab7.experiments.cdn.theory import by_name
from lab7.experiments.dns.wire.traffic import dns_exchanges
from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.fidelity.disturbance import RETAKES
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import Evidence, Window, first_interface, measured, site_folder
from lab7.experiments.harness.parameters import factor, megabits, whole
from lab7.experiments.harness.pathmodel.replay import Sample, terms_of
from lab7.experiments.harness.report.page import PlotUnavailable, plot_comparisons
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.round_trips import CAMPUS, RTT
from lab7.experiments.harness.theory.tcp import TOLERANCE_OF_DIALOGUE, Theory, tolerance_of_round_trips
from lab7.experiments.http.lab import make_site, request_size, response_sizes, sample_of, turns_framing_s, write_picture
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.topologies.cdn import ALIAS, NAME, REGIONS, SERVERS, host_name, local_address, region_network, replica_address
from lab7.topologies.emulation.testbed import Testbed

WITHOUT, THROUGH = "origin", "CDN"
FIRST, AGAIN = "first", "again"
# Number of servers that a local name server queries for the site: root, com, example.com; with the CDN three more.
# In later visits with the CDN, one server is queried: all records except the replica's address are cached.
LOOKUPS: Mapping[tuple[str, str], int] = {
    (WITHOUT, FIRST): 3,
    (WITHOUT, AGAIN): 0,
    (THROUGH, FIRST): 6,
    (THROUGH, AGAIN): 1,
}
# Formulas for n objects, m of them fetched from the origin over c connections; X is the transmission time.
FORMULAS: Mapping[tuple[str, str], str] = {
    (WITHOUT, FIRST): "(n+1) RTT origin + X",
    (WITHOUT, AGAIN): "(n+1) RTT origin + X",
    (THROUGH, FIRST): "(m+c) RTT origin + X",
    (THROUGH, AGAIN): "(n+1) RTT replica",
}
# Round-trip times of the visit's closed form as named in the formulas: of the origin's link, and to the replica.
RTT_NAMES = {RTT: "RTT origin", CAMPUS: "RTT replica"}
CROWD = "crowd.png"
FARTHEST = max(REGIONS, key=lambda region: REGIONS[region][1])
# Wait in s beyond the TTL until all cached answers have expired, as a resolver may round TTLs up to whole seconds.
TOO_OLD_S = 1.1


@dataclass
class Visits:
    """Start and end times of page loads (visits) by region and phase (first, again), and of the simultaneous requests.

    Each visit is a list of attempts: if other load on the machine disturbed an attempt, it is repeated.
    """

    windows: dict[tuple[str, str], list[list[Window]]] = field(
        default_factory=lambda: {(region, phase): [] for region in REGIONS for phase in (FIRST, AGAIN)}
    )
    crowd: Span = (0, 0)

    def spans(self, region: str, *phases: str) -> list[Span]:
        """Return (start, end) in ns of a region's page loads in these phases, by time.

        They include attempts that other load on the machine disturbed.
        """
        every = (one for phase in phases for some in self.windows[region, phase] for one in some)
        return sorted((one.start_ns, one.end_ns) for one in every)

    @property
    def every_span(self) -> list[Span]:
        """Return (start, end) in ns of the page loads of all regions, by time.

        They include attempts that other load on the machine disturbed.
        """
        return sorted(span for region in REGIONS for span in self.spans(region, FIRST, AGAIN))

    @property
    def span(self) -> Span:
        """Return the start of the first page load and the end of the last one, in ns."""
        return min(start for start, _ in self.every_span), max(end for _, end in self.every_span)

    @property
    def not_counted(self) -> list[Span]:
        """Return (start, end) in ns of attempts disturbed by other machine load; they are not compared with theory."""
        return [(one.start_ns, one.end_ns) for every in self.windows.values() for some in every for one in some[:-1]]


@dataclass(frozen=True)
class Measured:
    """Measurements in one network, with or without the CDN: capture, times of page loads, objects of the origin."""

    captured: CaptureFile
    visits: Visits
    legs: Mapping[str, Legs]
    loads: Mapping[str, PageLoad]
    objects: Objects
    topo: Topo

    @property
    def visited(self) -> list[PageLoad]:
        """Return all page loads, as captured at the users' interfaces."""
        return [
            self.loads[region].between(*span) for region in REGIONS for span in self.visits.spans(region, FIRST, AGAIN)
        ]


def run(context: Run) -> Outcome:
    """Measure page loads without and with the CDN, and decide the claims on delivery through a CDN (C2 to C7).

    The load times are compared with theory.
    """
    evidence = Evidence()
    with site_folder(context) as folder:
        pages = _make_pages(context, folder)
        without = _measure(context, folder, WITHOUT, pages, evidence)
        through = _measure(context, folder, THROUGH, pages, evidence)
    context.step("judging the packets", 0.75)
    timings = {
        _name(region, case, phase): found
        for case, measured in ((WITHOUT, without), (THROUGH, through))
        for region in REGIONS
        for phase in (FIRST, AGAIN)
        for found in [_timings(measured, region, phase, evidence.watch)]
    }
    comparisons = [
        _compare(context, region, case, phase, measured, timings, omitted)
        for case, measured in ((WITHOUT, without), (THROUGH, through))
        for omitted in [_left_out(measured, case)]
        for region in REGIONS
        for phase in (FIRST, AGAIN)
    ]
    return Outcome(
        claims=tuple(_verdicts(context, without, through, timings, comparisons)),
        comparisons=tuple(comparisons),
        fidelity=evidence.fidelity(),
        implementations=implementations(context),
        timings=timings,
        capture=_capture_name(THROUGH),
        plot=_plot(comparisons),
    )


def _make_pages(context: Run, folder: Path) -> list[list[str]]:
    """Write web pages and one further object into the origin's folder; return the request paths of each page.

    If other load on the machine disturbs a first visit, it is repeated with another page, which no replica has stored.
    """
    asked, pages = context.parameters, []
    for number in range(1 + RETAKES):
        prefix = f"/page-{number}/" if number else "/"
        made = make_site(folder / prefix.strip("/"), asked["objects"], asked["size"], context.seed + number)
        pages.append([prefix, *(prefix + path.name for path in made if path.name != "index.html")])
    write_picture(folder / CROWD, asked["size"], context.seed)
    return pages


def _capture_name(case: str) -> str:
    return f"capture-{'cdn' if case == THROUGH else 'origin'}.pcapng"


def _measure(context: Run, folder: Path, case: str, pages: Sequence[Sequence[str]], evidence: Evidence) -> Measured:
    """Carry out all page loads and, with the CDN, simultaneous requests in a new network; return the measurements."""
    asked, share = context.parameters, 0.02 if case == WITHOUT else 0.35
    context.step(f"the network ({case})", share)
    cdn_too = case == THROUGH
    topology_parameters: dict[str, Any] = {"cdn": "yes" if cdn_too else "no", "ttl": asked["ttl"]}
    network = cdn_testbed(context, folder, bw=asked["bw"], scale=asked["scale"], **topology_parameters)
    probed = near_paths(asked["scale"]) if cdn_too else paths(asked["scale"], asked["bw"] * 1e6)
    with measured(context, network, probed, evidence, progress=None) as lab:
        bed = lab.bed
        users = {region: User(bed, host_name("user", region)) for region in REGIONS}
        warm_up(bed)
        with lab.recording(_hosts(case), _capture_name(case), label=case):
            if cdn_too:
                wait_for_steering(context, bed)
            visits = _visit(context, bed, case, users, pages, evidence.watch, share)
            if cdn_too:
                context.step(f"{asked['crowd']} concurrent users of {FARTHEST}", 0.7)
                users[FARTHEST].begin(crowd=f"/{CROWD}", users=asked["crowd"])
                window = users[FARTHEST].done()
                visits.crowd = window.start_ns, window.end_ns
    return _read(lab.read_capture(), visits, case, objects_in(folder), bed.topo)


def _hosts(case: str) -> list[str]:
    """Return the names of all hosts to capture: users, resolvers, authoritative name servers, origin and replicas."""
    kinds = ("user", "dns", "edge") if case == THROUGH else ("user", "dns")
    return [*(host_name(kind, region) for kind in kinds for region in REGIONS), *SERVERS, "origin"]


def _visit(
    context: Run,
    bed: Testbed,
    case: str,
    users: Mapping[str, User],
    pages: Sequence[Sequence[str]],
    watch: MachineWatch,
    share: float,
) -> Visits:
    """Let users of every region load their page repeatedly; return start and end of every page load.

    Page loads that other load on the machine disturbed are repeated.
    """
    visits, page = Visits(), dict.fromkeys(users, pages[0])
    for number in range(context.repeat + 1):
        context.step(f"visit {number + 1} of {context.repeat + 1}", share + 0.05 + 0.25 * number / context.repeat)
        phase, to_visit = (AGAIN if number else FIRST), list(users)
        for region in users:
            visits.windows[region, phase].append([])
        for retake in range(RETAKES + 1):
            if number and case == THROUGH and to_visit:
                time.sleep(context.parameters["ttl"] + TOO_OLD_S)
            disturbed = []
            for region in to_visit:
                if retake and not number:
                    page[region] = pages[retake] if case == THROUGH else pages[0]
                    clear_caches(bed, region, cdn=case == THROUGH)
                watch.begin_sample()
                window = users[region].visit(page[region])
                visits.windows[region, phase][-1].append(window)
                disturbed += [region] if watch.disturbed(window) else []
            to_visit = disturbed
    return visits


def _read(captured: CaptureFile, visits: Visits, case: str, objects: Objects, topo: Topo) -> Measured:
    legs = {
        region: read_legs(captured, first_interface(host_name("edge", region)), replica_address(region), [80])
        for region in REGIONS
        if case == THROUGH
    }
    loads = {region: page_load(captured, first_interface(host_name("user", region))) for region in REGIONS}
    return Measured(captured, visits, legs, loads, objects, topo)


def _timings(measured: Measured, region: str, phase: str, watch: MachineWatch) -> list[Timing]:
    """Return the load times of a region's page loads in one phase, each divided into terms."""
    lookups = dns_exchanges(measured.captured, first_interface(host_name("user", region)))
    timings = []
    for span, sample in zip(measured.visits.spans(region, phase), _samples(measured, region, phase), strict=True):
        load, legs = measured.loads[region].between(*span), measured.legs.get(region)
        found = savings.decompose_by_name(load, lookups.between(*span), legs, span)
        timings.append(watch.timing(found.total_s, found.terms, sample.first_ns, sample.last_ns))
    return timings


def _name(region: str, case: str, phase: str) -> str:
    return f"{region} {case}, {phase}"


def _compare(
    context: Run,
    region: str,
    case: str,
    phase: str,
    measured: Measured,
    timings: Mapping[str, list[Timing]],
    omitted: Mapping[str, Mapping[str, float]],
) -> Comparison:
    asked, name = context.parameters, _name(region, case, phase)
    lookup_s = LOOKUPS[case, phase] * region_rtt_s(region, asked["scale"])
    theory = by_name(_visit_theory(context, region, case, phase, measured), lookup_s, FORMULAS[case, phase], RTT_NAMES)
    left_out = omitted[name]
    if left_out:
        asked_for = _at_origin(measured, region, case, phase)
        left_out = {**left_out, "framing": turns_framing_s(asked_for, asked["bw"] * 1e6)}
    # A visit consists of DNS lookups by the client and by the name server, a handshake, and a round trip per object.
    rtt_s = theory.total_s / (1 + LOOKUPS[case, phase] + 1 + asked["objects"])
    allowed = max(TOLERANCE_OF_DIALOGUE, tolerance_of_round_trips(rtt_s))
    return Comparison.of(name, timings[name], theory.plus(left_out), tolerance(allowed))


def _left_out(measured: Measured, case: str) -> dict[str, dict[str, float]]:
    """Return comparison -> term -> seconds, for the delays that the closed forms omit."""
    samples = {
        _name(region, case, phase): _samples(measured, region, phase) for region in REGIONS for phase in (FIRST, AGAIN)
    }
    return terms_of(measured.captured, measured.topo, samples)


def _samples(measured: Measured, region: str, phase: str) -> list[Sample]:
    """Return a region's page loads in one phase as input of the TCP path model; each begins with its DNS lookup."""
    user, found = first_interface(host_name("user", region)), []
    lookups = dns_exchanges(measured.captured, user)
    for span in measured.visits.spans(region, phase):
        visit = sample_of(measured.loads[region].between(*span), user)
        waits = lookups.between(*span).exchanges
        began_ns = min([visit.first_ns, *(one.query.time_ns for one in waits)])
        found.append(replace(visit, first_ns=began_ns))
    return found


def _at_origin(measured: Measured, region: str, case: str, phase: str) -> Sequence[Exchange]:
    """Return the requests to the origin during a region's first page load; empty for later page loads with the CDN."""
    span = measured.visits.spans(region, FIRST)[0]
    if case == WITHOUT:
        return measured.loads[region].between(*span).exchanges
    return measured.legs[region].forwarded([span]) if phase == FIRST else []


def _visit_theory(context: Run, region: str, case: str, phase: str, measured: Measured) -> Theory:
    asked, spans = context.parameters, measured.visits.spans(region, phase)
    rtt_s, rate_bps = origin_rtt_s(region, asked["scale"]), asked["bw"] * 1e6
    if case == WITHOUT:
        load = measured.loads[region].between(*spans[0])
        size = request_size(load)
        return http_page_load("1.1-persistent", rtt_s, response_sizes(load), rate_bps, request_size_bytes=size)
    legs, fetched = measured.legs[region], _at_origin(measured, region, case, phase)
    sizes = [len(one.response.octets) for one in fetched if one.response is not None]
    largest = max((len(one.request.octets) for one in fetched), default=0)
    connections = statistics.median_low(count_connections(legs, span) for span in spans)
    return cached_visit(asked["objects"], 0.0, rtt_s, rate_bps, sizes, largest, connections)


def _verdicts(
    context: Run,
    without: Measured,
    through: Measured,
    timings: Mapping[str, Sequence[Timing]],
    comparisons: Sequence[Comparison],
) -> list[Verdict]:
    regions = _regions(through)
    visits = through.visits.every_span
    local = dns_exchanges(through.captured, first_interface(host_name("dns", FARTHEST)))
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
        if replicas.is_of_user(one, served) and served.upstream is None
    )
    objects, crowd = through.objects, {FARTHEST: through.visits.crowd}
    used = [
        link_use(one.captured, first_interface("origin"), one.visits.span, one.visits.not_counted)
        for one in (without, through)
    ]
    saved = (
        savings.decide_visit_time(
            _times(timings, WITHOUT, without),
            _times(timings, THROUGH, through),
            [one.name for one in comparisons if not one.within],
        ),
        savings.decide_link_relief(used[0], used[1], copies),
    )
    return [
        replicas.decide_identical_copies(regions, page_load(through.captured, first_interface("origin")), objects),
        names.decide_regional_answers(
            regions,
            NAME,
            names.Steering(
                dns_exchanges(through.captured, first_interface("ns-cdn")),
                ALIAS,
                {region: region_network(region) for region in REGIONS},
            ),
        ),
        names.decide_alias_to_cdn(local, NAME, ALIAS, addresses),
        *(confirm(one, objects, through.visited, without.visited) for one in saved),
        replicas.decide_single_fetch(regions, visits, crowd, context.parameters["crowd"], objects),
    ]


def _regions(through: Measured) -> list[Region]:
    return [
        Region(
            region,
            frozenset([replica_address(region)]),
            dns_exchanges(through.captured, first_interface(host_name("user", region))),
            through.loads[region],
            through.legs[region],
            {replica_address(region): host_name("edge", region), local_address(region): host_name("dns", region)},
        )
        for region in REGIONS
    ]


def _times(timings: Mapping[str, Sequence[Timing]], case: str, measured: Measured) -> dict[str, list[float]]:
    """Return by region the load times in s of page loads that other load on the machine did not disturb."""
    visits, found = measured.visits, {}
    for region in REGIONS:
        found[region] = [
            one.total_s
            for phase in (FIRST, AGAIN)
            for one, span in zip(timings[_name(region, case, phase)], visits.spans(region, phase), strict=True)
            if span not in visits.not_counted
        ]
    return found


def _plot(comparisons: Sequence[Comparison]) -> str | None:
    try:
        return plot_comparisons(comparisons)
    except PlotUnavailable:
        return None


EXPERIMENT = Experiment(
    name="cdn",
    question="How does a CDN change response times for users, and traffic for the content provider?",
    claims=("C2", "C3", "C4", "C5", "C6", "C7"),
    parameters={
        "bw": Parameter("5", megabits, "the rate of the origin's link in Mbit/s"),
        "scale": Parameter("1", factor, "a factor on all delays of the topology"),
        "ttl": Parameter("1", whole(1, 60), "the TTL of the CDN's answers in seconds"),
        "objects": Parameter("4", whole(1, 30), "the number of objects of a page, the page included"),
        "size": Parameter("4000", whole(1000, 13_000), "the size of each object in octets"),
        "crowd": Parameter("64", whole(2, 500), "the number of users that request a missing object concurrently"),
    },
    run=run,
    repeat=2,
    roles=ROLES,
    cost=55,
)
