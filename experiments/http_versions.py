"""How long does a page take, by HTTP version and by how connections are used?  (claims H1 to H9)

One client, one origin, one access link with a rate and a delay. The client loads a page of n objects by each
strategy, several times over; what crossed its interface decides the claims, and each time is set beside the
textbook's formula, term by term.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from experiments.harness.capture import Capture, CaptureInterface
from experiments.harness.experiment import Experiment, Outcome, Parameter, Run, megabits, seconds, whole
from experiments.harness.fidelity import EmulatedPath, MachineWatch, capture_checks, certificate, probe_path
from experiments.harness.judge import http as judge_http
from experiments.harness.judge import strategies as judge_strategies
from experiments.harness.judge.decomposition import decompose
from experiments.harness.judge.frames import CaptureFile, read_capture
from experiments.harness.judge.page_load import PageLoad, page_load
from experiments.harness.judge.verdict import Verdict
from experiments.harness.result import Comparison, Timing
from experiments.harness.site import make_site
from experiments.harness.theory import http_page_load
from topologies.emulation.errors import EmulationError
from topologies.emulation.launcher import Service
from topologies.emulation.testbed import Testbed
from topologies.web import WebTopo

CLIENT = "experiments.harness.loader"
SITE = "http://www.example.com/"
ORIGIN_ADDRESS = "10.7.1.1"
AT_CLIENT, AT_ORIGIN = "client:client-eth0", "origin:origin-eth0"
CAPTURE_NAME = "capture.pcapng"
LOAD_TIMEOUT_S = 120.0
# Of the formula: what the client and the server themselves take is not in it, and weighs more in shorter times.
TOLERANCE = 0.05

# strategy: the claim that its time and its packets decide
STRATEGY_CLAIMS: Mapping[str, tuple[str, Callable[[Sequence[PageLoad]], Verdict]]] = {
    "1.0-serial": ("H6", judge_strategies.h6),
    "1.0-parallel": ("H7", judge_strategies.h7),
    "1.1-persistent": ("H8", judge_strategies.h8),
    "1.1-pipelined": ("H9", judge_strategies.h9),
}
ORDERS = ("in order", "reversed")
Loads = Mapping[str, list[PageLoad]]
Windows = Mapping[str, list[tuple[int, int]]]


def run(context: Run) -> Outcome:
    """Measure, judge, compare."""
    asked = context.parameters
    site = Path("/run") / f"site-{context.folder.name}"
    objects = make_site(site, asked["objects"], asked["size"], context.seed)
    topo = WebTopo(bw=asked["bw"], delay=f"{asked['rtt'] / 2 * 1e6:.0f}us", root=str(site))
    path = EmulatedPath("client", "origin", ORIGIN_ADDRESS, asked["rtt"], asked["bw"] * 1e6)
    with Testbed(topo, seed=context.seed, links=context.links, sandboxed=context.sandboxed) as bed:
        context.step("measuring the path", 0.05)
        checks = probe_path(bed, path)
        with MachineWatch() as watch, _capture(bed, context.folder / CAPTURE_NAME) as capture:
            windows = _workload(bed, context, [path.name for path in objects])
    context.step("judging the packets", 0.9)
    captured = read_capture(context.folder / CAPTURE_NAME)
    loads, at_origin = (_loads(captured, interface, windows) for interface in (AT_CLIENT, AT_ORIGIN))
    timings = {strategy: [_timing(load) for load in loads[strategy]] for strategy in STRATEGY_CLAIMS}
    comparisons = [_compare(strategy, loads[strategy], timings[strategy], context) for strategy in STRATEGY_CLAIMS]
    return Outcome(
        claims=tuple(_verdicts(loads, at_origin, comparisons)),
        comparisons=tuple(comparisons),
        fidelity=certificate([*checks, *watch.checks(), *capture_checks(capture.statistics)]),
        implementations={"client": "services.http.client", "origin": "services.http.origin"},
        timings=timings,
        capture=CAPTURE_NAME,
    )


def _capture(bed: Testbed, path: Path) -> Capture:
    return Capture(
        path,
        [
            CaptureInterface(f"{name}:{name}-eth0", bed.host(name).namespace_pid, f"{name}-eth0")
            for name in ("client", "origin")
        ],
    )


def _workload(bed: Testbed, context: Run, names: list[str]) -> dict[str, list[tuple[int, int]]]:
    """Load the page by every strategy in turns, then its objects alone in two orders; when each load was."""
    client = bed.host("client").start(CLIENT)
    # The first round warms client and origin up; it is captured, but it is in no window.
    rounds = [(strategy, number) for number in range(context.repeat + 1) for strategy in STRATEGY_CLAIMS]
    windows: dict[str, list[tuple[int, int]]] = {strategy: [] for strategy in STRATEGY_CLAIMS}
    for done, (strategy, number) in enumerate(rounds):
        context.step(f"{strategy}, {number or 'warming up'} of {context.repeat}", 0.1 + 0.7 * done / len(rounds))
        span = _load(client, strategy, SITE)
        if number:
            windows[strategy].append(span)
    for order, listed in zip(ORDERS, (names, names[::-1]), strict=True):
        context.step(f"single objects, {order}", 0.85)
        spans = [_load(client, "single", SITE + name) for name in listed]
        windows[order] = [(spans[0][0], spans[-1][1])]
    return windows


def _load(client: Service, strategy: str, url: str) -> tuple[int, int]:
    """Have the client load a page; returns when that began and ended, on the capture's clock in nanoseconds."""
    client.write_line(f"{strategy} {url}")
    report = json.loads(client.read_line(LOAD_TIMEOUT_S))
    if "error" in report:
        raise EmulationError(f"the client could not load the page: {report['error']}")
    return report["began_ns"], report["ended_ns"]


def _loads(captured: CaptureFile, interface: str, windows: Windows) -> dict[str, list[PageLoad]]:
    every = page_load(captured, interface)
    return {name: [every.between(*span) for span in spans] for name, spans in windows.items()}


def _timing(load: PageLoad) -> Timing:
    found = decompose(load)
    return Timing(found.total_s, found.terms)


def _compare(strategy: str, loads: Sequence[PageLoad], timings: list[Timing], context: Run) -> Comparison:
    # The octets of the responses as they were sent, head and body: what the link had to transmit.
    sizes = [len(one.response.octets) for one in loads[0].exchanges if one.response is not None]
    asked, request = context.parameters, max(len(one.request.octets) for one in loads[0].exchanges)
    theory = http_page_load(strategy, asked["rtt"], sizes, asked["bw"] * 1e6, request_size_bytes=request)
    return Comparison.of(strategy, timings, theory, TOLERANCE)


def _verdicts(loads: Loads, at_origin: Loads, comparisons: Sequence[Comparison]) -> list[Verdict]:
    every = [load for name in STRATEGY_CLAIMS for load in loads[name]]
    # Who closes first is seen where the server's FIN is sent: at the client it meets the client's own.
    non_persistent = [*at_origin["1.0-serial"], *at_origin["1.0-parallel"]]
    verdicts = [
        judge_http.h1(every),
        judge_http.h2(every),
        judge_http.h3(every),
        judge_http.h4(*(loads[order][0] for order in ORDERS)),
        judge_http.h5(non_persistent),
    ]
    for comparison in comparisons:
        decide = STRATEGY_CLAIMS[comparison.name][1]
        packets = decide(loads[comparison.name])
        verdicts.append(
            judge_strategies.timed(packets, comparison.measured_s, comparison.theory_s, comparison.tolerance)
        )
    return verdicts


EXPERIMENT = Experiment(
    name="http-versions",
    question="How long does a page take, by HTTP version and by how connections are used?",
    claims=("H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9"),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time between client and origin"),
        "bw": Parameter("10", megabits, "the rate of the access link in Mbit/s"),
        "objects": Parameter("3", whole(1, 100), "how many objects the page has, itself included"),
        "size": Parameter("12500", whole(1000, 10_000_000), "the size of each object in octets"),
    },
    run=run,
)
