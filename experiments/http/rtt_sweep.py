"""Experiment on page load time over the RTT, by strategy and number of objects (claim H14, formulas of H6 to H13).

A page of n objects is loaded over links with different RTTs by every strategy (HTTP version and use of connections).
The plot shows the textbook's formulas as solid lines and measurements as points. If the responses that a server may
send at once exceed TCP's initial window of ten segments (RFC 6928), slow start (RFC 5681 section 3.1) adds round trips.
The textbook's formulas lack these; dashed lines include them.

Claim H14 of the course: an HTTP/2 page load takes 3 RTT plus the transmission time on one connection, for any number of
objects. Claims H6 to H9 and H13 are the formulas of the other strategies. A page that was not delivered completely has
no point, and the claim that its strategy's formula is correct (one of H6 to H9, H13, H14) has failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.judge.verdict import Verdict, counted, failed
from lab7.experiments.harness.measurement import Evidence, LoadFailedError, Window, measured, site_folder
from lab7.experiments.harness.parameters import choices, listed, megabits, seconds, whole
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips
from lab7.experiments.http.claims import http2
from lab7.experiments.http.claims.delivery import undelivered
from lab7.experiments.http.clients import PageClient, make_client
from lab7.experiments.http.lab import (
    AT_CLIENT,
    HOSTS,
    access_path,
    base_url,
    delivered,
    failure_seen,
    left_out,
    loads_in,
    make_site,
    origin_name,
    request_size,
    response_sizes,
    site_files,
    timing,
    web_testbed,
)
from lab7.experiments.http.theory import STRATEGIES, http_page_load
from lab7.experiments.http.wire.page_load import PageLoad

MULTIPLEXED = "2"
# Strategy -> id of the claim on the page load time by this strategy.
CLAIMS = dict(zip(STRATEGIES, ("H6", "H7", "H8", "H9", "H14", "H13"), strict=True))
# (strategy, number of objects) -> (time spans of the page loads, error text of a failed load or empty).
Tried = dict[tuple[str, int], tuple[list[Window], str]]
NOTE = (
    "points: measured (median); solid: the textbook's formula; dashed: with slow start, for bursts above "
    "TCP's initial window of 10 segments"
)


@dataclass(frozen=True)
class Point:
    """Measured times for one strategy, number of objects and RTT, and the predictions without and with slow start.

    A strategy is an HTTP version and use of connections.
    """

    strategy: str
    objects: int
    rtt_s: float
    timings: tuple[Timing, ...]
    textbook: Theory
    refined: Theory

    @property
    def name(self) -> str:
        """Return the name of the point for reports, such as `2, n=10, RTT 50 ms` (strategy, objects, RTT)."""
        return _name(self.strategy, self.objects, self.rtt_s)

    def comparison(self) -> Comparison:
        """Return the comparison of the measured times with theory that includes slow start."""
        return Comparison.of(self.name, self.timings, self.refined, tolerance(tolerance_of_round_trips(self.rtt_s)))


def _name(strategy: str, objects: int, rtt_s: float) -> str:
    return f"{strategy}, n={objects}, RTT {rtt_s * 1e3:g} ms"


@dataclass
class SweepResults:
    """Results for all RTTs: points, page loads by HTTP/2, and failed verdicts by claim id.

    A claim has failed if a page was not delivered.
    """

    points: list[Point] = field(default_factory=list)
    multiplexed: list[PageLoad] = field(default_factory=list)
    failures: dict[str, Verdict] = field(default_factory=dict)

    def fail(self, name: str, strategy: str, loads: Sequence[PageLoad], said: str) -> None:
        """Record that a page was not delivered, so that the claim about the strategy used to load it has failed.

        `said` is the client's error message, or empty.
        """
        why = f"was not loaded: {said}" if said else "was not transferred correctly"
        wrong = (undelivered(load, load.files or {}) for load in loads if load.conversations)
        frames = [one.frame for one in wrong if one is not None][:1]
        claim = CLAIMS[strategy]
        self.failures.setdefault(claim, failed(claim, f"{name}: the page {why}{failure_seen(loads)}.", frames))

    def claims(self) -> list[Verdict]:
        """Return the verdicts: on claim H14 if HTTP/2 was used, and on the claims whose page was not delivered."""
        verdicts = dict(self.failures)
        if self.multiplexed:
            verdicts.setdefault("H14", http2.decide_concurrent_streams(self.multiplexed))
        return sorted(verdicts.values(), key=lambda verdict: int(verdict.id[1:]))


def run(context: Run) -> Outcome:
    """Load pages by every strategy in one emulated network per RTT, and compare page load times with theory."""
    asked = context.parameters
    found = SweepResults()
    evidence = Evidence()
    client_name = ""
    for place, rtt_s in enumerate(asked["rtt"]):
        context.step(f"RTT {rtt_s * 1e3:g} ms", 0.05 + 0.9 * place / len(asked["rtt"]))
        client_name = _at(context, rtt_s, evidence, found)
    return Outcome(
        claims=tuple(found.claims()),
        comparisons=tuple(point.comparison() for point in found.points),
        fidelity=evidence.fidelity(),
        implementations={"client": client_name, "origin": origin_name(context)},
        timings={point.name: list(point.timings) for point in found.points},
        capture=_capture_name(asked["rtt"][-1]),
        plot=plot_lines(_panels(found.points, asked["objects"]), NOTE) if found.points else None,
    )


def _capture_name(rtt_s: float) -> str:
    return f"capture-{rtt_s * 1e3:g}ms.pcapng"


def _at(context: Run, rtt_s: float, evidence: Evidence, found: SweepResults) -> str:
    """Load pages of all sizes by all strategies at one RTT in a new network; return the client's name and version."""
    asked = context.parameters
    with site_folder(context) as folder:
        pages = {
            count: make_site(folder / str(count), count, asked["size"], context.seed) for count in asked["objects"]
        }
        files = {count: site_files(paths, f"/{count}/") for count, paths in pages.items()}
        network, path = web_testbed(context, folder, rtt_s, asked["bw"]), access_path(rtt_s, asked["bw"])
        with measured(context, network, [path], evidence, progress=None) as lab:
            client = make_client(lab.bed.host("client"), context.replacements.get("client"))
            with lab.recording(HOSTS, _capture_name(rtt_s)):
                tried = _work(context, client, pages, lab.watch)
    captured = lab.read_capture()
    names = {_name(strategy, count, rtt_s): (strategy, count) for strategy, count in tried}
    windows = {name: tried[key][0] for name, key in names.items()}
    loads = loads_in(context, captured, AT_CLIENT, windows, {name: files[count] for name, (_, count) in names.items()})
    good = {name: some for name, some in loads.items() if not tried[names[name]][1] and delivered(some)}
    waiting = context.waiting({"origin": "origin"})
    omitted = left_out(captured, lab.bed.topo, good, asked["bw"] * 1e6, waiting=waiting)
    for name, (strategy, count) in names.items():
        if name in good:
            found.points.append(_point(context, strategy, count, rtt_s, loads[name], omitted[name], lab.watch))
            found.multiplexed += loads[name] if strategy == MULTIPLEXED else []
        else:
            found.fail(name, strategy, loads[name], tried[strategy, count][1])
    return client.name


def _work(context: Run, client: PageClient, pages: Mapping[int, Sequence[Path]], watch: MachineWatch) -> Tried:
    """Load every page by each supported strategy; return the time spans of the loads, and an error text, if any."""
    supported = [name for name in context.parameters["strategies"] if _supported(context, client.supports(name), name)]
    for name in supported:
        # The first load warms up client and origin; the load is captured, but not measured.
        with contextlib.suppress(LoadFailedError):
            _load(context, client, name, pages[min(pages)])
    tried: Tried = {}
    for name, count in ((name, count) for name in supported for count in pages):
        windows: list[Window] = []
        failure = ""
        try:
            for _ in range(context.repeat):
                windows += watch.samples(partial(_load, context, client, name, pages[count]))
        except LoadFailedError as error:
            windows, failure = [] if error.window is None else [error.window], str(error)
        tried[name, count] = windows, failure
    return tried


def _supported(context: Run, client_can: bool, strategy: str) -> bool:
    origin = context.replacements.get("origin")
    return client_can and (origin is None or origin.supports(strategy))


def _load(context: Run, client: PageClient, strategy: str, page: Sequence[Path]) -> Window:
    """Load one page by a strategy; return the time span of the load. Raises LoadFailedError."""
    url = f"{base_url(context, strategy)}/{page[0].parent.name}/"
    return client.load(strategy, url, sorted(url + path.name for path in page[1:]))


def _point(
    context: Run,
    strategy: str,
    objects: int,
    rtt_s: float,
    loads: Sequence[PageLoad],
    omitted: Mapping[str, float],
    watch: MachineWatch,
) -> Point:
    rate_bps = context.parameters["bw"] * 1e6
    sizes, request = response_sizes(loads[0]), request_size(loads[0])
    textbook = http_page_load(strategy, rtt_s, sizes, rate_bps, request_size_bytes=request)
    refined = textbook.plus(omitted)
    return Point(strategy, objects, rtt_s, tuple(timing(load, watch) for load in loads), textbook, refined)


def _panels(points: Sequence[Point], counts: Sequence[int]) -> list[Panel]:
    return [
        Panel(f"a page of {counted(count, 'object')}", "RTT in ms", "time in ms", _series(points, count))
        for count in counts
    ]


def _series(points: Sequence[Point], count: int) -> list[Series]:
    made = []
    for strategy in STRATEGIES:
        mine = sorted(
            (one for one in points if (one.strategy, one.objects) == (strategy, count)), key=lambda one: one.rtt_s
        )
        if not mine:
            continue
        bent = any(abs(one.refined.total_s - one.textbook.total_s) > 1e-6 for one in mine)
        made.append(
            Series(
                strategy,
                [(one.rtt_s * 1e3, one.comparison().measured_s * 1e3) for one in mine],
                [(one.rtt_s * 1e3, one.textbook.total_s * 1e3) for one in mine],
                [(one.rtt_s * 1e3, one.refined.total_s * 1e3) for one in mine] if bent else (),
            )
        )
    return made


EXPERIMENT = Experiment(
    name="http-rtt-sweep",
    question="How does the page-load time of each strategy grow with the RTT and the number of objects?",
    claims=("H14",),
    parameters={
        "rtt": Parameter("20ms,40ms,60ms", listed(seconds), "the round-trip times", full="10ms,20ms,50ms,100ms,200ms"),
        "objects": Parameter("3,9", listed(whole(1, 100)), "the numbers of objects per page", full="3,10,30"),
        "size": Parameter("4000", whole(1000, 10_000_000), "the size of each object in octets"),
        "bw": Parameter("10", megabits, "the rate of the access link in Mbit/s"),
        "strategies": Parameter("all", choices(STRATEGIES), f"the strategies, of {','.join(STRATEGIES)}"),
    },
    run=run,
    repeat=1,
    roles=("origin", "client"),
)
