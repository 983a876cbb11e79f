"""Experiment on HTTP versions and use of connections: page load times, message formats (claims H1 to H10, H12 to H14).

The network has one client, one origin, and an access link with a rate and a delay. The client loads a page of n objects
several times by each strategy (HTTP version and use of connections). Packets at the client's interface decide the
claims, and each load time is compared with the textbook's formula, term by term. With HTTP/2 the client also loads a
second page, of 3n objects, to show that the number of round trips does not depend on n. Load times are compared only if
all files of the page were delivered.

Claims of the course that are decided: TCP set-up and message formats of HTTP/1 (H1 to H3), stateless servers (H4), one
connection per object in HTTP/1.0 (H5), the load-time formulas of HTTP/1 (H6 to H9), binary frames (H10) and header
compression (H12) in HTTP/2, its load-time formulas with and without server push (H13, H14).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict, failed, timed, undecided
from lab7.experiments.harness.measurement import LoadFailedError, Window, measured, site_folder
from lab7.experiments.harness.parameters import choices, megabits, seconds, whole
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips
from lab7.experiments.http.claims import http1 as judge_http
from lab7.experiments.http.claims import http2
from lab7.experiments.http.claims import strategies as judge_strategies
from lab7.experiments.http.clients import SINGLE, PageClient, make_client
from lab7.experiments.http.lab import (
    AT_CLIENT,
    AT_ORIGIN,
    HOSTS,
    access_path,
    base_url,
    delivered,
    failure_seen,
    has_response,
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
from lab7.experiments.http.theory import http_page_load, within_initial_window
from lab7.experiments.http.wire.page_load import Files, PageLoad

# Strategy -> (id of the claim on page load time by the strategy, function that decides the claim from packets).
STRATEGY_CLAIMS: Mapping[str, tuple[str, Callable[[Sequence[PageLoad]], Verdict]]] = {
    "1.0-serial": ("H6", judge_strategies.decide_serial_connections),
    "1.0-parallel": ("H7", judge_strategies.decide_parallel_connections),
    "1.1-persistent": ("H8", judge_strategies.decide_persistent_connection),
    "1.1-pipelined": ("H9", judge_strategies.decide_pipelining),
    "2": ("H14", http2.decide_concurrent_streams),
    "2-push": ("H13", http2.decide_server_push),
}
STRATEGIES = tuple(STRATEGY_CLAIMS)
NON_PERSISTENT = ("1.0-serial", "1.0-parallel")
# A second page has MORE_TIMES as many objects, so small that all of them fit TCP's initial window.
MORE, MORE_TIMES, MORE_SIZE_BYTES = "2, more objects", 3, 1200
ORDERS = ("in order", "reversed")
Loads = Mapping[str, list[PageLoad]]


@dataclass
class Workload:
    """Time spans of all page loads by name (such as a strategy), and the error messages of failed page loads.

    `tried` has the time spans of failed page loads, `warm_ups` those of the first round, which is not measured.
    """

    windows: dict[str, list[Window]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    tried: dict[str, list[Window]] = field(default_factory=dict)
    warm_ups: dict[str, list[Window]] = field(default_factory=dict)

    def fail(self, name: str, error: LoadFailedError) -> None:
        """Record the error message and the time span of a failed page load."""
        self.failures[name] = str(error)
        self.tried[name] = [] if error.window is None else [error.window]


@dataclass(frozen=True)
class Captured:
    """Captured page loads by name: at the client, at the origin, failed loads, and loads of the warm-up round."""

    loads: Loads
    at_origin: Loads
    tried: Loads
    warm_ups: Loads

    def every(self, *names: str) -> list[PageLoad]:
        """Return all page loads with these names, failed ones included, that have packets at the client."""
        either = (load for name in names for some in (self.loads, self.tried) for load in some.get(name, []))
        return [load for load in either if load.conversations]


@dataclass(frozen=True)
class Pages:
    """Two web pages on the origin: for each page its file names, the page first, and the contents by URL path."""

    names: list[str]
    files: Files
    more: list[str]
    more_files: Files

    def files_by_name(self) -> dict[str, Files]:
        """Return the expected contents by URL path, for each name of a page load (such as a strategy)."""
        # To load a single object, a client requests the base page by its file name instead of the path /.
        single = {f"/{name}".encode(): octets for name, octets in zip(self.names, self.files.values(), strict=True)}
        return {**dict.fromkeys(STRATEGIES, self.files), **dict.fromkeys(ORDERS, single), MORE: self.more_files}


def run(context: Run) -> Outcome:
    """Load pages by every strategy, decide the claims on HTTP versions, and compare the load times with theory.

    The claims are H1 to H10 and H12 to H14, all except that on head-of-line blocking (H11).
    """
    rtt_s, bw = context.parameters["rtt"], context.parameters["bw"]
    with site_folder(context) as folder:
        pages = _make_pages(context, folder)
        network = web_testbed(context, folder, rtt_s, bw, _paths(pages.names[1:]))
        with measured(context, network, [access_path(rtt_s, bw)]) as lab:
            client = make_client(lab.bed.host("client"), context.replacements.get("client"))
            with lab.recording(HOSTS):
                workload = _work(client, context, pages, lab.watch)
    context.step("judging the packets", 0.9)
    captured = lab.read_capture()
    seen = _seen(context, captured, workload, pages)
    timed = {name: some for name, some in seen.loads.items() if some and name not in ORDERS and delivered(some)}
    timings = {name: [timing(load, lab.watch) for load in some] for name, some in timed.items()}
    omitted = left_out(captured, lab.bed.topo, timed, bw * 1e6, waiting=context.waiting({"origin": "origin"}))
    comparisons = {name: _compare(name, timed[name], timings[name], omitted[name], context) for name in timed}
    return Outcome(
        claims=tuple(_verdicts(seen, comparisons, workload, context)),
        comparisons=tuple(comparisons.values()),
        fidelity=lab.fidelity(),
        implementations={"client": client.name, "origin": origin_name(context)},
        timings=timings,
        capture=lab.path.name,
    )


def _seen(context: Run, captured: CaptureFile, workload: Workload, pages: Pages) -> Captured:
    files = pages.files_by_name()
    windows = {name: some for name, some in workload.windows.items() if name not in workload.failures}
    loads, at_origin = (loads_in(context, captured, interface, windows, files) for interface in (AT_CLIENT, AT_ORIGIN))
    tried, warm_ups = (
        loads_in(context, captured, AT_CLIENT, some, files) for some in (workload.tried, workload.warm_ups)
    )
    for name in [name for name, some in loads.items() if not all(has_response(load) for load in some)]:
        # Count a page load without a captured response as failed, although the client reported no error.
        workload.failures[name] = "the capture has no complete response to it"
        tried[name] = loads.pop(name)
    return Captured(loads, at_origin, tried, warm_ups)


def _make_pages(context: Run, folder: Path) -> Pages:
    asked = context.parameters
    names = make_site(folder, asked["objects"], asked["size"], context.seed)
    more = make_site(folder / "more", MORE_TIMES * asked["objects"], MORE_SIZE_BYTES, context.seed)
    return Pages(
        [path.name for path in names], site_files(names), [path.name for path in more], site_files(more, "/more/")
    )


def _paths(names: Sequence[str], prefix: str = "/") -> list[str]:
    return [prefix + name for name in names]


def _work(client: PageClient, context: Run, pages: Pages, watch: MachineWatch) -> Workload:
    """Load the pages by each strategy, then single objects in two orders; return the time spans of all page loads."""
    done = Workload()
    origin = context.replacements.get("origin")
    base = {name: base_url(context, name) for name in STRATEGIES}
    supported = [
        name
        for name in context.parameters["strategies"]
        if client.supports(name) and (origin is None or origin.supports(name))
    ]
    plan = [(name, name, "/", pages.names) for name in supported]
    plan += [(MORE, "2", "/more/", pages.more)] if "2" in supported else []
    # The first round warms up client and origin; the round is captured, but not measured.
    rounds = [(number, *each) for number in range(context.repeat + 1) for each in plan]
    for position, (number, label, strategy, place, names) in enumerate(rounds):
        context.step(f"{label}, {number or 'warming up'} of {context.repeat}", 0.1 + 0.7 * position / len(rounds))
        if label in done.failures:
            continue
        try:
            objects = _paths(names[1:], base[strategy] + place)
            load = partial(client.load, strategy, base[strategy] + place, objects)
            windows = watch.samples(load) if number else [load()]
        except LoadFailedError as error:
            done.fail(label, error)
        else:
            done.windows.setdefault(label, []).extend(windows if number else [])
            done.warm_ups.setdefault(label, []).extend([] if number else windows)
    if _can_load_single(supported, context):
        _single_objects(client, context, [base[supported[0]] + path for path in _paths(pages.names)], done)
    return done


def _can_load_single(supported: Sequence[str], context: Run) -> bool:
    """Return True if the client can load single objects from the origin; lab7's own client can by HTTP/1.x only."""
    if "origin" not in context.replacements or "client" in context.replacements:
        return bool(supported)
    return any(name in STRATEGIES[:4] for name in supported)


def _single_objects(client: PageClient, context: Run, urls: Sequence[str], done: Workload) -> None:
    for order, listed in zip(ORDERS, (urls, urls[::-1]), strict=True):
        context.step(f"single objects, {order}", 0.85)
        try:
            windows = [client.load(SINGLE, url) for url in listed]
        except LoadFailedError as error:
            done.fail(order, error)
        else:
            done.windows[order] = [Window(windows[0].start_ns, windows[-1].end_ns)] if windows else []


def _theory(name: str, load: PageLoad, context: Run) -> tuple[Theory, bool]:
    """Return the theoretical load time of a page, and True if its formula is valid (see within_initial_window)."""
    sizes, strategy, asked = response_sizes(load), "2" if name == MORE else name, context.parameters
    theory = http_page_load(strategy, asked["rtt"], sizes, asked["bw"] * 1e6, request_size_bytes=request_size(load))
    return theory, within_initial_window(strategy, sizes)


def _compare(
    name: str, loads: Sequence[PageLoad], timings: list[Timing], omitted: Mapping[str, float], context: Run
) -> Comparison:
    theory = _theory(name, loads[0], context)[0].plus(omitted)
    return Comparison.of(name, timings, theory, tolerance(tolerance_of_round_trips(context.parameters["rtt"])))


def _verdicts(seen: Captured, comparisons: Mapping[str, Comparison], workload: Workload, context: Run) -> list[Verdict]:
    text, binary = seen.every(*STRATEGIES[:4]), seen.every("2", MORE, "2-push")
    verdicts = []
    if text:
        verdicts += [
            judge_http.decide_connection_setup(text),
            judge_http.decide_request_grammar(text),
            judge_http.decide_response_grammar(text),
        ]
    verdicts += _stateless(seen, workload)
    verdicts += _one_object_each(seen, workload)
    tried = [name for name in STRATEGIES if name in workload.windows or name in workload.failures]
    verdicts += [_of_strategy(name, seen, comparisons, workload, context) for name in tried]
    if text and binary:
        verdicts.append(http2.decide_binary_framing(text, binary))
    persistent = seen.every("1.1-persistent") or seen.every("1.1-pipelined")
    if persistent and (multiplexed := seen.every("2")):
        verdicts.append(http2.decide_header_compression(persistent, multiplexed))
    return sorted(verdicts, key=lambda verdict: int(verdict.id[1:]))


def _stateless(seen: Captured, workload: Workload) -> list[Verdict]:
    for order in ORDERS:
        if order in workload.failures:
            said = workload.failures[order] + failure_seen(seen.tried[order])
            return [failed("H4", f"Single objects, {order}: the objects were not loaded: {said}.")]
    if not all(seen.loads.get(order) for order in ORDERS):
        return []
    # Leave out pipelined loads, in which reordered responses would look like different responses.
    one_by_one = STRATEGIES[:3]
    others = [*(load for name in one_by_one for load in seen.warm_ups.get(name, [])), *seen.every(*one_by_one)]
    first, second = (seen.loads[order][0] for order in ORDERS)
    return [judge_http.decide_statelessness(first, second, others)]


def _one_object_each(seen: Captured, workload: Workload) -> list[Verdict]:
    for name in NON_PERSISTENT:
        if name in workload.failures:
            return [failed("H5", _not_loaded(name, seen, workload))]
    # Use the capture at the origin to decide which side closes first, since two FINs may cross on the way.
    loads = [load for name in NON_PERSISTENT for load in seen.at_origin.get(name, [])]
    return [judge_http.decide_connection_per_object(loads)] if loads else []


def _not_loaded(name: str, seen: Captured, workload: Workload) -> str:
    said = workload.failures[name] + failure_seen(seen.tried.get(name, []))
    return f"{name}: the page was not loaded: {said}."


def _of_strategy(
    name: str, seen: Captured, comparisons: Mapping[str, Comparison], workload: Workload, context: Run
) -> Verdict:
    claim, decide = STRATEGY_CLAIMS[name]
    chosen = [name, MORE] if name == "2" else [name]
    for each in chosen:
        if each in workload.failures:
            return failed(claim, _not_loaded(each, seen, workload))
    verdict = decide([load for each in chosen for load in seen.loads[each]])
    for each in chosen:
        if each not in comparisons:
            # Skip a page load that did not deliver its files, since its time is not compared.
            continue
        one = comparisons[each]
        if not one.within and verdict.verdict == "shown" and not _theory(each, seen.loads[each][0], context)[1]:
            return undecided(
                claim,
                f"{verdict.evidence} But the formula does not apply (ratio {one.ratio:.3f}): the responses exceed "
                f"TCP's initial window of ten segments, and slow start adds round trips; choose smaller objects.",
                verdict.frames,
            )
        verdict = timed(verdict, one.measured_s, one.theory_s, one.tolerance)
    return verdict


EXPERIMENT = Experiment(
    name="http-versions",
    question="How long does a page load take, by HTTP version and use of connections?",
    claims=("H1", "H2", "H3", "H4", "H5", "H6", "H7", "H8", "H9", "H10", "H12", "H13", "H14"),
    parameters={
        "rtt": Parameter("100ms", seconds, "the round-trip time between client and origin"),
        "bw": Parameter("10", megabits, "the rate of the access link in Mbit/s"),
        "objects": Parameter("3", whole(1, 100), "the number of objects of the page, the page included"),
        "size": Parameter("4000", whole(1000, 10_000_000), "the size of each object in octets"),
        "strategies": Parameter("all", choices(STRATEGIES), f"the strategies, of {','.join(STRATEGIES)}"),
    },
    run=run,
    roles=("origin", "client"),
)
