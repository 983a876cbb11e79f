"""What do round trips cost each strategy, as RTT and the number of objects grow?  (claim H14; the limits of H6 to H13)

A page of n objects over links of several RTTs by every strategy. The plot has the textbook's lines and the measured
points; where the responses that a server may send at once exceed TCP's initial window of ten segments (RFC 6928),
slow start adds round trips that the formulas do not have: the dashed lines add them (RFC 5681 section 3.1), and the
points lie there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.harness.experiment import (
    Experiment,
    Outcome,
    Parameter,
    Run,
    choices,
    listed,
    megabits,
    seconds,
    whole,
)
from experiments.harness.fidelity import MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.http_lab import (
    AT_CLIENT,
    access_path,
    arrived,
    base_url,
    capture_hosts,
    left_out,
    loads_in,
    origin_name,
    request_size,
    response_sizes,
    site_folder,
    timing,
    web_testbed,
)
from experiments.harness.judge import http2_claims
from experiments.harness.judge.frames import read_capture
from experiments.harness.judge.page_load import PageLoad
from experiments.harness.page_client import LoadFailedError, PageClient, Window, make_client
from experiments.harness.report_lines import Panel, Series, plot_lines
from experiments.harness.result import Check, Comparison, Timing
from experiments.harness.site import make_site
from experiments.harness.theory import STRATEGIES, Theory, http_page_load
from topologies.emulation.errors import EmulationError

# Of the formula with slow start. The parallel strategy's connections share the link in ways that no formula has.
TOLERANCE = 0.10
NOTE = (
    "points: measured (median); solid: the textbook's formula; dashed: with slow start, "
    "where a burst exceeds TCP's initial window of 10 segments"
)


@dataclass(frozen=True)
class Point:
    """One page by one strategy at one RTT: its samples, the textbook's time and the time with slow start."""

    strategy: str
    objects: int
    rtt_s: float
    timings: tuple[Timing, ...]
    loads: tuple[PageLoad, ...]
    textbook: Theory
    refined: Theory

    @property
    def name(self) -> str:
        """What reports call it."""
        return f"{self.strategy}, n={self.objects}, RTT {self.rtt_s * 1e3:g} ms"

    def comparison(self) -> Comparison:
        """Measured beside the formula with slow start."""
        return Comparison.of(self.name, self.timings, self.refined, TOLERANCE)


def run(context: Run) -> Outcome:
    """Measure every point, one emulated network an RTT."""
    asked = context.parameters
    points: list[Point] = []
    checks: list[Check] = []
    client_name = ""
    watch = MachineWatch()
    for place, rtt_s in enumerate(asked["rtt"]):
        context.step(f"RTT {rtt_s * 1e3:g} ms", 0.05 + 0.9 * place / len(asked["rtt"]))
        found, more, client_name = _at(context, rtt_s, watch)
        points += found
        checks += more
    comparisons = tuple(point.comparison() for point in points)
    multiplexed = [load for point in points if point.strategy == "2" for load in point.loads]
    return Outcome(
        claims=(http2_claims.h14(multiplexed),) if multiplexed else (),
        comparisons=comparisons,
        fidelity=certificate([*checks, *watch.checks()]),
        implementations={"client": client_name, "origin": origin_name(context)},
        timings={point.name: list(point.timings) for point in points},
        capture=_capture_name(asked["rtt"][-1]),
        plot=plot_lines(_panels(points, asked["objects"]), NOTE),
    )


def _capture_name(rtt_s: float) -> str:
    return f"capture-{rtt_s * 1e3:g}ms.pcapng"


def _at(context: Run, rtt_s: float, watch: MachineWatch) -> tuple[list[Point], list[Check], str]:
    """All points at one RTT, the checks of that network, and the client's name."""
    asked = context.parameters
    path = context.folder / _capture_name(rtt_s)
    with site_folder(context) as folder:
        for objects in asked["objects"]:
            make_site(folder / str(objects), objects, asked["size"], context.seed)
        with web_testbed(context, folder, rtt_s, asked["bw"]) as bed:
            checks = probe_path(bed, access_path(rtt_s, asked["bw"]))
            client = make_client(bed.host("client"), context.replacements.get("client"))
            with watch, capture_hosts(bed, path) as capture:
                able = [name for name in asked["strategies"] if _able(context, client.supports(name), name)]
                for name in able:
                    # Once, to warm client and origin up; it is captured, but in no window.
                    _load(context, client, name, folder / str(min(asked["objects"])))
                windows = {
                    (name, objects): [
                        _load(context, client, name, folder / str(objects)) for _ in range(context.repeat)
                    ]
                    for name in able
                    for objects in asked["objects"]
                }
    captured = read_capture(path)
    named = {f"{name} {objects}": some for (name, objects), some in windows.items()}
    loads = loads_in(context, captured, AT_CLIENT, named)
    for name, some in loads.items():
        if not all(arrived(load) for load in some):
            raise EmulationError(f"{name} objects: no whole response is in the capture {path}")
    beyond = left_out(captured, bed.topo, loads, asked["bw"] * 1e6)
    points = [
        _point(context, name, objects, rtt_s, loads[f"{name} {objects}"], beyond[f"{name} {objects}"])
        for name, objects in windows
    ]
    return points, [*checks, *capture_checks(capture.statistics)], client.name


def _able(context: Run, client_can: bool, strategy: str) -> bool:
    origin = context.replacements.get("origin")
    return client_can and (origin is None or origin.supports(strategy))


def _load(context: Run, client: PageClient, strategy: str, page: Path) -> Window:
    """Load one page; when that was."""
    url = f"{base_url(context, strategy)}/{page.name}/"
    objects = [url + path.name for path in sorted(page.glob("*.png"))]
    try:
        return client.load(strategy, url, objects)
    except LoadFailedError as error:
        raise EmulationError(f"{strategy}: the page of {page.name} objects could not be loaded: {error}") from error


def _point(
    context: Run,
    strategy: str,
    objects: int,
    rtt_s: float,
    loads: Sequence[PageLoad],
    beyond: Mapping[str, float],
) -> Point:
    rate_bps = context.parameters["bw"] * 1e6
    sizes, request = response_sizes(loads[0]), request_size(loads[0])
    textbook = http_page_load(strategy, rtt_s, sizes, rate_bps, request_size_bytes=request)
    refined = textbook.plus(beyond)
    return Point(strategy, objects, rtt_s, tuple(timing(load) for load in loads), tuple(loads), textbook, refined)


def _panels(points: Sequence[Point], counts: Sequence[int]) -> list[Panel]:
    return [Panel(f"a page of {count} objects", "RTT in ms", "time in ms", _series(points, count)) for count in counts]


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
    question="What do round trips cost each strategy, as RTT and the number of objects grow?",
    claims=("H14",),
    parameters={
        "rtt": Parameter("20ms,40ms,60ms", listed(seconds), "the RTTs", full="10ms,20ms,50ms,100ms,200ms"),
        "objects": Parameter("3,9", listed(whole(1, 100)), "the numbers of objects", full="3,10,30"),
        "size": Parameter("4000", whole(1000, 10_000_000), "the size of each object in octets"),
        "bw": Parameter("10", megabits, "the rate of the access link in Mbit/s"),
        "strategies": Parameter("all", choices(STRATEGIES), f"by which strategies, of {','.join(STRATEGIES)}"),
    },
    run=run,
    repeat=1,
    roles=("origin", "client"),
)
