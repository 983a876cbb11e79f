"""Experiment on a web cache: time and octets saved, validation and freshness of stored responses (claims W1 to W7).

Two clients on a campus load pages from an origin behind an access link, first directly and then through a cache on the
campus. With the cache, pages are loaded in four states: the cache is empty; the stored responses are fresh; they are
stale; they are stale and the objects have changed. The load times are compared with theory (round trips and
transmission times). Afterwards both clients request objects that the origin replaces at random times. Each response is
compared with the versions that were current at that time, and with the limits of Cache-Control.

Freshness lifetimes are one or two seconds; the whole run thus takes seconds.

Claims of the course that are decided: a cache shortens response times (W1) and relieves the access link (W2); it
validates stored responses by conditional requests (W3); the origin responds with 304 if the object is unchanged (W4),
and with the new content, which replaces the old, if it has changed (W5); no client gets a response older than the
freshness rules allow (W6); a cache is both a server and a client (W7).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from mininet.topo import Topo

from lab7.experiments.cache.claims import freshness, savings, validation
from lab7.experiments.cache.claims.freshness import Delivery
from lab7.experiments.cache.claims.versions import Objects, confirm
from lab7.experiments.cache.lab import (
    AT_LINK,
    AT_SECOND_CLIENT,
    LIVE,
    MODES,
    NO_CACHE,
    LiveObjects,
    Pages,
    Visitor,
    campus_interfaces,
    choose_mode,
    origin_flags,
)
from lab7.experiments.cache.theory import cached_visit
from lab7.experiments.cache.wire.legs import Legs, Span, read_legs, text
from lab7.experiments.cache.wire.link_use import link_use
from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import EmulatedPath, MachineWatch
from lab7.experiments.harness.fidelity.disturbance import RETAKES
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT, PROXY_PORTS
from lab7.experiments.harness.judge.frames import CaptureFile, connections
from lab7.experiments.harness.judge.verdict import Contradiction, Verdict
from lab7.experiments.harness.measurement import Evidence, Window, measured, site_folder
from lab7.experiments.harness.parameters import megabits, one_of, seconds, whole
from lab7.experiments.harness.pathmodel.replay import Sample, terms_of
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.report.page import PlotUnavailable, plot_comparisons
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips
from lab7.experiments.http.lab import (
    AT_CLIENT,
    AT_PROXY,
    ORIGIN_ADDRESS,
    origin_name,
    proxy_name,
    request_size,
    response_sizes,
    sample_of,
    timing,
    turns_framing_s,
    web_testbed,
)
from lab7.experiments.http.theory import http_page_load
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import PageLoad, page_load
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.web import PROXY_ADDRESS

# Plots.

NOTE = (
    "a point is a response at a client; lines: the age that max-age allows (caches that count whole seconds "
    "may exceed it by one second); no-cache allows only what was current at the time of the request"
)


def plot(comparisons: Sequence[Comparison], got: Sequence[Delivery]) -> str | None:
    """Return the plots as SVG text: load times, and ages of responses; None if matplotlib is not installed."""
    try:
        bars = plot_comparisons(comparisons)
    except PlotUnavailable:
        return None
    return bars + (plot_lines(_panels(got), NOTE) or "") if got else bars


def _panels(got: Sequence[Delivery]) -> list[Panel]:
    ages = Panel("age", "time in s", "time since validation at the origin, in s", _series(got, lambda one: one.age_s))
    staleness = Panel(
        "staleness", "time in s", "time since the object changed, in s", _series(got, lambda one: one.staleness_s)
    )
    return [ages, staleness]


def _series(got: Sequence[Delivery], height: Callable[[Delivery], float]) -> list[Series]:
    """Return one plot series per object: a response's age or staleness over time as points, and max-age as a line."""
    start_ns = min(one.answered_ns for one in got)
    end_s = (max(one.answered_ns for one in got) - start_ns) / 1e9
    series = []
    for path in sorted({one.path for one in got}):
        mine = [one for one in got if one.path == path]
        limit = mine[0].max_age_s
        allowed = [] if limit is None else [(0.0, limit), (end_s, limit)]
        name = text(path).rpartition("/")[2].partition(".")[0]
        label = f"{name} ({'no-cache' if limit is None else f'max-age={limit:g}'})"
        points = [((one.answered_ns - start_ns) / 1e9, height(one)) for one in mine]
        series.append(Series(label, points, allowed))
    return series


# Time in s beyond max-age until a response is stale in every cache, including caches that count whole seconds.
STALE_AFTER_S = freshness.WHOLE_SECONDS_S + 0.1
COLD, WARM, REVALIDATED, CHANGED, AGAIN = "cold", "warm", "revalidated", "changed", "changed, next client"
PHASES = (COLD, WARM, REVALIDATED, CHANGED, AGAIN)
DIRECT = "no cache"
WARMING_UP_S = 10.0
PORTS = (DEFAULT_PORT, *PROXY_PORTS.values())


@dataclass
class Visits:
    """Start and end times of all page loads (visits) by phase; a phase is a state of the cache, such as empty or stale.

    In `windows` each visit is a list of attempts: if other load on the machine disturbed a visit, it is repeated.
    `load` is the period in which clients requested changing objects.
    """

    windows: dict[str, list[list[Window]]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    filling: list[Window] = field(default_factory=list)
    live: LiveObjects | None = None
    load: list[Span] = field(default_factory=list)

    def spans(self, *phases: str) -> list[Span]:
        """Return (start, end) in ns of every page load in these phases, by time.

        They include attempts that other load on the machine disturbed.
        """
        return sorted((one.start_ns, one.end_ns) for phase in phases for some in self.windows[phase] for one in some)

    @property
    def counted(self) -> list[Span]:
        """Return (start, end) in ns of each page load's last, undisturbed attempt, which is compared with theory."""
        return [(some[-1].start_ns, some[-1].end_ns) for phase in PHASES for some in self.windows[phase]]

    @property
    def span(self) -> Span:
        """Return the start of the first visit and the end of the last visit, in ns."""
        every = self.spans(*PHASES)
        return every[0][0], every[-1][1]

    @property
    def not_counted(self) -> list[Span]:
        """Return (start, end) in ns of the page loads that are not compared with theory.

        Other load on the machine disturbed them, or they only filled the cache.
        """
        filling = [(one.start_ns, one.end_ns) for one in self.filling]
        return [*filling, *(set(self.spans(*PHASES)) - set(self.counted))]


@dataclass(frozen=True)
class Campus:
    """Measurements in one network, with or without a cache: capture, page loads, their times, objects of the origin."""

    captured: CaptureFile
    visits: Visits
    loads: Mapping[str, list[PageLoad]]
    objects: Objects
    topo: Topo

    @property
    def every_load(self) -> list[PageLoad]:
        """Return all captured page loads, in order of phases (states of the cache)."""
        return [load for phase in PHASES for load in self.loads[phase]]


def run(context: Run) -> Outcome:
    """Measure page loads without and with a cache, decide the claims on savings, validation and freshness (W1 to W7).

    The load times are compared with theory.
    """
    asked, evidence = context.parameters, Evidence()
    _check_max_age(asked)
    mode = choose_mode(context, asked["mode"])
    direct = _measure(context, NO_CACHE, evidence, 0.02)
    cached = _measure(context, mode, evidence, 0.2)
    context.step("judging the packets", 0.9)
    legs = read_legs(cached.captured, AT_PROXY, PROXY_ADDRESS, PORTS)
    timings = _timings(direct, cached, legs, evidence.watch)
    omitted = _left_out(context, direct, cached, legs)
    # A hit takes round trips on the campus only; a miss takes as many on the campus, and as many on the access link.
    campus_s, both_s = asked["campus_rtt"], asked["campus_rtt"] + asked["rtt"]
    rtts_s = {DIRECT: both_s, WARM: campus_s, AGAIN: campus_s}
    comparisons = {
        name: Comparison.of(
            name,
            timings[name],
            _theory(context, name, direct, cached, legs).plus(omitted[name]),
            tolerance(tolerance_of_round_trips(rtts_s.get(name, both_s / 2))),
        )
        for name in timings
    }
    got = _delivered(cached, legs)
    return Outcome(
        claims=tuple(_verdicts(direct, cached, legs, timings, comparisons)),
        comparisons=tuple(comparisons.values()),
        fidelity=evidence.fidelity(),
        implementations={"proxy": proxy_name(context), "origin": origin_name(context), "client": "http.client"},
        timings=timings,
        capture=_capture_name(mode),
        plot=plot(list(comparisons.values()), got),
    )


def _check_max_age(asked: Mapping[str, Any]) -> None:
    """Raise EmulationError if max-age is so short that responses may become stale before the second page load."""
    objects, campus_s, rtt_s = asked["objects"], asked["campus_rtt"], asked["rtt"]
    # The second visit may be repeated up to RETAKES times, if other load on the machine delayed the visit.
    visits_s = (2 + RETAKES) * (objects + 1) * campus_s + 2 * objects * rtt_s
    # Date has whole seconds, so a response may seem a second older than its true age.
    least_s = math.ceil(visits_s + freshness.WHOLE_SECONDS_S)
    if asked["max_age"] < least_s:
        raise EmulationError(
            f"max_age={asked['max_age']} is too short: two visits to {objects} objects take up to "
            f"{visits_s:.1f} s, and the second must find fresh copies; for example max_age={least_s}"
        )


def _capture_name(mode: str) -> str:
    return f"capture-{'no-cache' if mode == NO_CACHE else mode}.pcapng"


def _measure(context: Run, mode: str, evidence: Evidence, share: float) -> Campus:
    """Carry out all page loads in a new network; with a cache (`mode`), also request changing objects."""
    asked = context.parameters
    what = "without a cache" if mode == NO_CACHE else f"{mode} proxy"
    context.step(f"{what}: the network", share)
    with site_folder(context) as folder:
        pages = Pages(folder, len(_spares(context)) + context.repeat + 1, asked["objects"], asked["size"], context.seed)
        live = LiveObjects(folder, context.seed)
        topology_parameters: dict[str, Any] = {
            "clients": 2,
            "cache": mode,
            "campus_delay": f"{asked['campus_rtt'] / 2 * 1e6:.0f}us",
            "origin_flags": origin_flags(asked["max_age"]),
        }
        network = web_testbed(context, folder, asked["rtt"], asked["bw"], **topology_parameters)
        with measured(context, network, _paths(context, mode), evidence, progress=None) as lab:
            visitors = [Visitor(lab.bed, host, mode) for host in ("client", "client2")]
            with lab.recording(campus_interfaces(lab.bed, mode), _capture_name(mode), label=what):
                visits = _visit(context, visitors, pages, mode, share, lab.watch)
                if mode != NO_CACHE:
                    context.step("objects that change while clients ask for them", 0.65)
                    visits.live, visits.load = live, [_keep_asking(context, visitors, live)]
    captured = lab.read_capture()
    return Campus(captured, visits, _loads(captured, visits), pages.objects(), lab.bed.topo)


def _paths(context: Run, mode: str) -> list[EmulatedPath]:
    campus_s, rtt_s, rate_bps = (context.parameters[name] for name in ("campus_rtt", "rtt", "bw"))
    if mode == NO_CACHE:
        return [EmulatedPath("client", "origin", ORIGIN_ADDRESS, campus_s + rtt_s, rate_bps * 1e6)]
    return [
        EmulatedPath("client", "proxy", PROXY_ADDRESS, campus_s),
        EmulatedPath("proxy", "origin", ORIGIN_ADDRESS, rtt_s, rate_bps * 1e6),
    ]


def _visit(
    context: Run, visitors: Sequence[Visitor], pages: Pages, mode: str, share: float, watch: MachineWatch
) -> Visits:
    """Load every page once in each phase (state of the cache), after a warm-up; return the times of all page loads."""
    visits, max_age_s = Visits(), context.parameters["max_age"]
    for visitor in visitors:
        visitor.visit(pages.paths(context.repeat))
    spares = _spares(context)

    def go(phase: str, visitor: Visitor, number: int, spare: list[int] | None = None) -> int:
        """Load a page; if other load on the machine disturbed the attempt, repeat it.

        Each repetition loads the next page in `spare`, or the same page without such a list. Return the number of the
        page loaded last.
        """
        numbers = [number, *([number] * RETAKES if spare is None else spare)]
        each = iter(numbers)
        windows = watch.samples(lambda: visitor.visit(pages.paths(next(each))), min(RETAKES, len(numbers) - 1))
        visits.windows[phase].append(windows)
        if spare is not None:
            del spare[: len(windows) - 1]
        return numbers[len(windows) - 1]

    def become_stale(position: float) -> None:
        if mode != NO_CACHE:
            context.step("waiting until all copies are stale", position)
            time.sleep(max_age_s + STALE_AFTER_S)

    context.step("first visits, and immediate second visits", share + 0.05)
    spare = list(spares)
    for number in range(context.repeat):
        go(WARM, visitors[0], go(COLD, visitors[0], number, spare))
    if mode != NO_CACHE and watch.watching:
        # Store the spare pages in the cache too, since later phases need stale stored responses of spare pages.
        visits.filling = [visitors[0].visit(pages.paths(number)) for number in spare]
    become_stale(share + 0.1)
    spare = list(spares)
    for number in range(context.repeat):
        go(REVALIDATED, visitors[0], number, spare)
    pages.change()
    become_stale(share + 0.25)
    spare = list(spares)
    for number in range(context.repeat):
        go(AGAIN, visitors[1], go(CHANGED, visitors[0], number, spare))
    return visits


def _spares(context: Run) -> range:
    """Return the numbers of spare pages, for repeating page loads that other load on the machine disturbed.

    A repetition needs another page, since a page is new to the cache only once.
    """
    return range(context.repeat + 1, context.repeat + 1 + RETAKES * context.repeat)


def _keep_asking(context: Run, visitors: Sequence[Visitor], live: LiveObjects) -> Span:
    """Let all clients request objects that are replaced at random times; return (start, end) of this period in ns."""
    asked, random = context.parameters, Random(context.seed)
    began_s = time.monotonic()
    for number, visitor in enumerate(visitors):
        visitor.keep_asking(live.paths(), asked["load"], asked["every"], context.seed + number)
    changes = []
    for name in LIVE:
        at_s = 0.0
        while (at_s := at_s + random.uniform(0.5, 1.5) * asked["change"]) < asked["load"]:
            changes.append((at_s, name))
    for at_s, name in sorted(changes):
        time.sleep(max(0.0, began_s + at_s - time.monotonic()))
        live.replace(name)
    windows = [visitor.done(asked["load"] + WARMING_UP_S) for visitor in visitors]
    return min(one.start_ns for one in windows), max(one.end_ns for one in windows)


def _loads(captured: CaptureFile, visits: Visits) -> dict[str, list[PageLoad]]:
    """Return all captured page loads by phase (state of the cache)."""
    sides = {name: page_load(captured, name, PORTS) for name in (AT_CLIENT, AT_SECOND_CLIENT)}
    return {
        phase: [sides[AT_SECOND_CLIENT if phase == AGAIN else AT_CLIENT].between(*span) for span in visits.spans(phase)]
        for phase in PHASES
    }


def _live(cached: Campus) -> dict[bytes, freshness.LiveObject]:
    return cached.visits.live.seen() if cached.visits.live is not None else {}


def _delivered(cached: Campus, legs: Legs) -> list[freshness.Delivery]:
    """Return the responses to plot, with their ages; empty if a response is missing or wrong (claim W6 has failed)."""
    try:
        return freshness.deliveries(legs, _live(cached), cached.visits.load)
    except Contradiction:
        return []


def _timings(direct: Campus, cached: Campus, legs: Legs, watch: MachineWatch) -> dict[str, list[Timing]]:
    """Return the load times of pages, divided into terms: one list without the cache, and one per phase with it."""
    timings = {DIRECT: [timing(load, watch) for phase in PHASES for load in direct.loads[phase]]}
    for phase in PHASES:
        pairs = zip(cached.loads[phase], cached.visits.spans(phase), strict=True)
        parts = [(savings.decompose_visit(load, legs, span), span) for load, span in pairs]
        timings[phase] = [watch.timing(one.total_s, one.terms, *span) for one, span in parts]
    return timings


def _theory(context: Run, name: str, direct: Campus, cached: Campus, legs: Legs) -> Theory:
    asked = context.parameters
    campus_s, rtt_s, rate_bps = asked["campus_rtt"], asked["rtt"], asked["bw"] * 1e6
    if name == DIRECT:
        load = direct.loads[COLD][0]
        return http_page_load(
            "1.1-persistent", campus_s + rtt_s, response_sizes(load), rate_bps, request_size_bytes=request_size(load)
        )
    spans, fetched = cached.visits.spans(name), _fetched(name, cached, legs)
    sizes = [len(one.response.octets) for one in fetched if one.response is not None]
    largest = max((len(one.request.octets) for one in fetched), default=0)
    connections = statistics.median_low(savings.count_connections(legs, span) for span in spans)
    return cached_visit(asked["objects"], campus_s, rtt_s, rate_bps, sizes, largest, connections)


def _fetched(phase: str, cached: Campus, legs: Legs) -> list[Exchange]:
    """Return the cache's requests to the origin during the first page load of a phase.

    Empty in the phases in which the cache has fresh responses.
    """
    return [] if phase in (WARM, AGAIN) else legs.forwarded(cached.visits.spans(phase)[:1])


def _left_out(context: Run, direct: Campus, cached: Campus, legs: Legs) -> dict[str, dict[str, float]]:
    """Return the delays that the closed form of each compared case omits: case -> term -> seconds.

    A case is a state of the cache, or the page load without a cache.
    """
    rate_bps = context.parameters["bw"] * 1e6
    every = {DIRECT: [sample for phase in PHASES for sample in _samples(direct, phase)]}
    framing = {DIRECT: turns_framing_s(direct.loads[COLD][0].exchanges, rate_bps)}
    framing |= {phase: turns_framing_s(_fetched(phase, cached, legs), rate_bps) for phase in PHASES}
    found = terms_of(direct.captured, direct.topo, every)
    samples = {phase: _samples(cached, phase) for phase in PHASES}
    found |= terms_of(cached.captured, cached.topo, samples, context.waiting({"proxy": "proxy"}))
    return {name: terms and {**terms, "framing": framing[name]} for name, terms in found.items()}


def _samples(campus: Campus, phase: str) -> list[Sample]:
    return [sample_of(load, AT_SECOND_CLIENT if phase == AGAIN else AT_CLIENT) for load in campus.loads[phase]]


def _verdicts(
    direct: Campus,
    cached: Campus,
    legs: Legs,
    timings: Mapping[str, Sequence[Timing]],
    comparisons: Mapping[str, Comparison],
) -> list[Verdict]:
    spans = cached.visits.spans
    direct_s, cached_s = (
        _counted_s(timings, names, campus.visits) for names, campus in (([DIRECT], direct), (PHASES, cached))
    )
    disagreeing = [name for name, one in comparisons.items() if not one.within]
    hits = sum(1 for one in legs.served(spans(*PHASES)) if one.upstream is None)
    used = [link_use(one.captured, AT_LINK, one.visits.span, one.visits.not_counted) for one in (direct, cached)]
    saved = (
        savings.decide_visit_time(direct_s, cached_s, disagreeing),
        savings.decide_link_relief(used[0], used[1], hits),
    )
    return [
        *(confirm(one, cached.objects, cached.every_load, direct.every_load) for one in saved),
        validation.decide_conditional_requests(legs, spans(REVALIDATED, CHANGED)),
        validation.decide_not_modified(legs, spans(REVALIDATED), cached.objects),
        validation.decide_replaced_copy(legs, spans(CHANGED), spans(AGAIN), cached.objects),
        freshness.decide_freshness(legs, _live(cached), cached.visits.load),
        validation.decide_both_roles(legs, connections(cached.captured.at(AT_LINK)), PROXY_ADDRESS, ORIGIN_ADDRESS),
    ]


def _counted_s(timings: Mapping[str, Sequence[Timing]], names: Sequence[str], visits: Visits) -> list[float]:
    """Return the load times in s of all page loads that other load on the machine did not disturb."""
    counted, spans = set(visits.counted), [span for phase in PHASES for span in visits.spans(phase)]
    every = [one for name in names for one in timings[name]]
    return [one.total_s for one, span in zip(every, spans, strict=True) if span in counted]


EXPERIMENT = Experiment(
    name="web-cache",
    question="How much time and traffic does a web cache save, and how stale are its copies?",
    claims=("W1", "W2", "W3", "W4", "W5", "W6", "W7"),
    parameters={
        "rtt": Parameter("40ms", seconds, "the round-trip time over the access link"),
        "campus_rtt": Parameter("10ms", seconds, "the round-trip time between a client and the campus"),
        "bw": Parameter("10", megabits, "the rate of the access link in Mbit/s"),
        "objects": Parameter("4", whole(1, 30), "the number of objects of a page, the page included"),
        "size": Parameter("4000", whole(1000, 13_000), "the size of each object in octets"),
        "max_age": Parameter("2", whole(1, 60), "max-age of the pages in seconds"),
        "mode": Parameter(
            "any", one_of("any", *MODES), f"mode of the proxy, of {','.join(MODES)}; any: forward where supported"
        ),
        "load": Parameter("4s", seconds, "the time during which clients request changing objects", full="60s"),
        "every": Parameter("100ms", seconds, "the mean time between two requests of a client for a changing object"),
        "change": Parameter("700ms", seconds, "the mean time between two changes of an object"),
    },
    run=run,
    repeat=2,
    roles=("proxy",),
)
