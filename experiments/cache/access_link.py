"""Experiment on queueing delay at an access link: the effects of a faster link and of a web cache on response times.

The numbers are those of a textbook: a campus requests 15 objects of 100 kbit a second over an access link of 1.54
Mbit/s, and the Internet behind that link adds 2 s. The experiment sends one workload three times: over the given link,
over a faster link, and over the given link with a cache whose hit rate is 0.4. It decides the course's claims that a
cache shortens response times (W1) and relieves the access link (W2), and that the textbook's calculation is correct
(W8). Rates are multiplied and times divided by `scale` to make a run take seconds; utilisation and hit rate stay the
same. Arrivals are Poisson, and popularity follows Zipf's law. The number of cache entries is the one that gives the
intended hit rate by Che's approximation of an LRU cache. The Internet's delay is emulated as additional propagation
delay of the access link.

A long run with a simulated clock (virtual time, `--full`) uses the slow link alone, for one hour (parameter `span`)
with one request a second on average, at a utilisation of nine tenths. At this load the waiting times of successive
requests are correlated over many minutes, and the mean over a few minutes is no good estimate. Each response time is
therefore compared with Lindley's recursion for the same arrivals, and the mean waiting time with the
Pollaczek-Khinchine formula by a confidence interval. A request's waiting time is its response time minus the shortest
response time.

TCP adds no delay of its own in such a run: every response fits the initial window, and all connections are opened
beforehand. The parameter `rto_min` makes the retransmission time-out longer than the longest wait, since TCP would
otherwise take a response that waits half a minute in the queue for a lost one. A run with a retransmitted segment is
undecided. Packets are captured only at the client, which limits the capture of an hour to 50 MB.

In real time, delays caused by other load on the machine are not subtracted from the response times; a mean may deviate
from theory by 10 % (WITHIN in claims.access_link). The reason is that requests are sent in an open loop (without
waiting for responses), and dozens are under way at once. When a program waits for the processor, it may delay all
requests queued behind its own, or none if the link's queue is the bottleneck anyway. Such a delay cannot be attributed
to one request.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from lab7.experiments.cache.claims import access_link as judge
from lab7.experiments.cache.claims.access_link import CaseFigures, Setting
from lab7.experiments.cache.claims.access_link_span import SpanFigures, decide_waits_over_span, span_figures
from lab7.experiments.cache.claims.versions import objects_in
from lab7.experiments.cache.workload import Plan, Workload, representative
from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.driver import Driver
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT, PROXY_PORTS
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.measurement import Evidence, measured, site_folder
from lab7.experiments.harness.parameters import choices, megabits, per_second, seconds, share, whole
from lab7.experiments.harness.report.line_plots import Panel, Series, plot_lines
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.queueing import (
    BATCH_MEANS,
    BATCHES,
    CHE,
    POLLACZEK_KHINCHINE,
    Lru,
    Queue,
    WaitInterval,
    cache_outcomes,
    characteristic_hit_rate,
    entries_for,
    most_under_way,
    poisson_s,
    waits_s,
    zipf_weights,
)
from lab7.experiments.harness.theory.tcp import SEGMENT_OVERHEAD_BYTES, Theory, in_ms, segments
from lab7.experiments.http.lab import (
    AT_CLIENT,
    AT_ORIGIN,
    AT_PROXY,
    HOSTS,
    NAME,
    access_path,
    origin_name,
    proxy_mode,
    proxy_name,
    web_testbed,
)
from lab7.experiments.http.wire.bulk import crossings, octets_without_content
from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import PROXY_ADDRESS

# Object size and Internet delay of an example by Kurose and Ross, Computer Networking, section 2.2.5.
OBJECT_BITS, INTERNET_S = 100_000, 2.0
TEXTBOOK = "Kurose and Ross, Computer Networking: A Top-Down Approach, section 2.2.5"
ZIPF_EXPONENT = 0.8
SLOW, FASTER, CACHE = "slow link", "faster link", "slow link and cache"
# Value of the parameter `cases` -> name of the case (rate of the access link, with or without a cache).
CASES = {"slow": SLOW, "faster": FASTER, "cache": CACHE}
# Estimated octets of a response's header section, for planning; theory uses the measured size.
HEAD_BYTES = 280
# A day's max-age keeps all objects fresh during the run, since this experiment does not measure revalidation.
ORIGIN_FLAGS = "--cache-control '*=max-age=86400'"
# Number of the client's connections: 15 requests/s for 3.3 s each keep 49 in use (Little's law); 51 are spare.
CONNECTIONS = 100
# Number of connections to open in addition to the theoretical maximum of simultaneous requests.
SPARE_CONNECTIONS = 2
# Length of the access link's queue in packets, so great that no packet is dropped, as in the M/D/1 model.
QUEUE_PACKETS = 20_000
RUN_TIMEOUT_S = 300.0
DAY_S = 86_400
# Minimum retransmission time-out of Linux in s (TCP_RTO_MIN); RFC 6298 section 2.4 recommends 1 s.
LINUX_RTO_MIN_S = 0.2
# Minimum number of requests in a run, for estimating the mean wait in the queue.
FEWEST_ARRIVALS = 100
LINES_TO = 0.99


@dataclass(frozen=True)
class Case:
    """Case of the comparison: its name, the factor by which the link is faster, and True if there is a cache."""

    name: str
    times: float
    cached: bool


def run(context: Run) -> Outcome:
    """Measure the cases (slow link, faster link, slow link with a cache), and compare the times with theory.

    The verdicts are on claims W1 (response time), W2 (octets on the link) and W8 (queueing theory).
    """
    asked = context.parameters
    if asked["span"]:
        return _all_arrivals(context)
    weights = zipf_weights(asked["objects"], ZIPF_EXPONENT)
    entries = entries_for(weights, asked["hit_rate"])
    rate, link_bps = asked["rate"] * asked["scale"], asked["link"] * 1e6 * asked["scale"]
    context.step("drawing the workload", 0.02)
    plan = Plan(rate, asked["requests"], asked["objects"], ZIPF_EXPONENT, entries)
    workload = representative(plan, OBJECT_BITS / link_bps, context.seed)
    evidence = Evidence()
    cases = _cases(context)
    figures: dict[str, CaseFigures] = {}
    with site_folder(context) as folder:
        _make_objects(folder, asked["objects"], context.seed)
        for number, case in enumerate(cases):
            context.step(case.name, 0.05 + 0.3 * number)
            hit_rate = characteristic_hit_rate(weights, entries) if case.cached else 0.0
            setting = Setting(rate, link_bps * case.times, INTERNET_S / asked["scale"], hit_rate)
            found = _measure(context, folder, case, setting, workload, entries, evidence)
            cache: Lru | Sequence[bool] | None = Lru(entries, workload.held) if case.cached else None
            if case.cached and "proxy" in context.replacements:
                # Proxies other than lab7's ignore the LRU size `entries`, so theory uses the measured hit rate.
                found = replace(found, setting=replace(setting, hit_rate=found.hit_rate))
                cache = found.forwarded
            found = replace(found, omitted=_left_out(found, workload, cache), tolerance=tolerance(judge.WITHIN))
            figures[case.name] = found
    both = SLOW in figures and CACHE in figures
    of_both = (
        [
            decide(figures[SLOW], figures[CACHE])
            for decide in (judge.decide_response_time_under_load, judge.decide_link_use_under_load)
        ]
        if both
        else []
    )
    return Outcome(
        claims=(*of_both, judge.decide_queueing_theory(figures)),
        comparisons=tuple(_compare(name, one) for name, one in figures.items()),
        fidelity=evidence.fidelity(),
        implementations={"proxy": proxy_name(context), "origin": origin_name(context)},
        timings={name: [Timing.with_residual(one.delay_s, one.terms())] for name, one in figures.items()},
        capture=_capture_name(cases[-1].name),
        plot=plot_lines(_panels(figures), _note(workload)),
    )


def _cases(context: Run) -> list[Case]:
    """Return the cases to run, as selected by the parameter `cases` (slow, faster, cache)."""
    asked = context.parameters
    every = [Case(SLOW, 1, False), Case(FASTER, asked["faster"], False), Case(CACHE, 1, True)]
    return [case for case in every if case.name in {CASES[word] for word in asked["cases"]}]


def _all_arrivals(context: Run) -> Outcome:
    """Send requests with Poisson arrivals over a link without a cache; compare each wait with theory (claim W8)."""
    asked, (case, *more) = context.parameters, _cases(context)
    if more or case.cached:
        raise EmulationError("a span is for one case without a cache: use --set cases=slow or --set cases=faster")
    rate, rate_bps = asked["rate"] * asked["scale"], asked["link"] * 1e6 * asked["scale"] * case.times
    setting = Setting(rate, rate_bps, INTERNET_S / asked["scale"], 0.0)
    queue, span_s = Queue(rate, OBJECT_BITS / rate_bps), asked["span"]
    if queue.utilisation >= 1 or rate * span_s < FEWEST_ARRIVALS:
        raise EmulationError(
            f"a span of {rate * span_s:g} arrivals at utilisation {queue.utilisation:.2f} gives no usable "
            "mean wait: use --set rate=, link= or span= with a utilisation below 1 and at least "
            f"{FEWEST_ARRIVALS} arrivals"
        )
    random = Random(f"arrivals {context.seed}")
    arrivals_s = poisson_s(rate, span_s, random)
    targets = random.choices(range(asked["objects"]), zipf_weights(asked["objects"], ZIPF_EXPONENT), k=len(arrivals_s))
    evidence = Evidence()
    with site_folder(context) as folder:
        _make_objects(folder, asked["objects"], context.seed)
        one = _measure_span(context, folder, case, setting, arrivals_s, targets, evidence)
    allowed = tolerance(judge.WITHIN)
    context.step("calibrating the confidence interval", 0.95)
    interval = WaitInterval.of(queue, span_s, context.seed)
    return Outcome(
        claims=(decide_waits_over_span(case.name, one, interval, allowed),),
        comparisons=(_compare_span(case.name, one, allowed),) if one.delays else (),
        fidelity=evidence.fidelity(),
        implementations={"origin": origin_name(context)},
        timings={case.name: [one.mean]} if one.delays else {},
        capture=_capture_name(case.name),
        plot=plot_lines(_panels_span(one, arrivals_s), _note_span()) if one.delays else None,
    )


def _measure_span(
    context: Run,
    folder: Path,
    case: Case,
    setting: Setting,
    arrivals_s: Sequence[float],
    targets: Sequence[int],
    evidence: Evidence,
) -> SpanFigures:
    """Send all scheduled requests over one link, with a capture at the client; return the measured response times."""
    asked, mbit = context.parameters, setting.rate_bps / 1e6
    waits = waits_s(arrivals_s, OBJECT_BITS / setting.rate_bps)
    # Assume twice a response's transmission time for the transmission of request and response, as an upper bound.
    delays_s = [wait_s + setting.rtt_s + 2 * OBJECT_BITS / setting.rate_bps for wait_s in waits]
    longest_s = max(delays_s)
    plan = {
        "connect": [NAME, DEFAULT_PORT],
        "host": NAME,
        # Open no more connections than necessary, since the origin keeps all of them open for the whole span.
        "connections": most_under_way(arrivals_s, delays_s) + SPARE_CONNECTIONS,
        # Warm up client and origin by one request; all connections except the first one only have to be open.
        "warm": ["/0.bin"],
        "requests": [[at, f"/{number}.bin"] for at, number in zip(arrivals_s, targets, strict=True)],
        "timeout_s": RUN_TIMEOUT_S + longest_s,
    }
    flags = f"{ORIGIN_FLAGS} --idle {asked['span'] + RUN_TIMEOUT_S:g}"
    network = web_testbed(context, folder, setting.rtt_s, mbit, origin_flags=flags, max_queue_size=QUEUE_PACKETS)
    with measured(context, network, [access_path(setting.rtt_s, mbit)], evidence) as lab:
        for name in HOSTS:
            _let_tcp_wait(lab.bed, name, asked["rto_min"])
        client = lab.bed.host("client")
        file = client.workdir / "plan.json"
        file.write_text(json.dumps(plan))
        load = Driver(client, ["lab7.experiments.http.drivers.open_loop", str(file)])
        context.step(f"{case.name}: {len(arrivals_s)} requests in {asked['span']} s", 0.1)
        with lab.recording(["client"], _capture_name(case.name)):
            began_ns = load.request("go", asked["span"] + longest_s + RUN_TIMEOUT_S).start_ns
    context.step("judging the packets", 0.75)
    client_side = crossings(read_capture(lab.path).at(AT_CLIENT), DEFAULT_PORT, keep_content=True)
    return span_figures(setting, asked["span"], client_side, began_ns, arrivals_s, objects_in(folder))


def _let_tcp_wait(bed: Testbed, name: str, rto_min_s: float) -> None:
    """Raise the minimum retransmission time-out (rto_min) of a host's TCP connections to `rto_min_s` seconds.

    A value up to Linux's default changes nothing. Otherwise tail loss probes are switched off as well, since TCP sends
    them after two round trips whatever rto_min is (RFC 8985 section 7).
    """
    if rto_min_s <= LINUX_RTO_MIN_S:
        return
    host = bed.host(name)
    network = f"{host.IP()}/{host.defaultIntf().prefixLen}"
    subnet = ipaddress.ip_interface(network).network
    route = f"route replace {subnet} dev {host.defaultIntf()} proto kernel scope link src {host.IP()}"
    tools.batch("ip", [f"{route} rto_min {rto_min_s * 1e3:.0f}ms"], host.namespace_pid)
    done = host.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_early_retrans"])
    if done.returncode:
        raise EmulationError(
            f"cannot switch off tail loss probes of {name} ({done.stderr.decode().strip()}): use --time virtual"
        )


def _symbols(rtt_s: float, wait_s: float, service_s: float) -> dict[str, str]:
    """Return the symbols of the response-time formula, each with its value and meaning as text."""
    return {
        "RTT": f"{in_ms(rtt_s)}, round-trip time of the access link",
        "W": f"{in_ms(wait_s)}, mean wait in the queue of the access link",
        "S": f"{in_ms(service_s)}, transmission time of an object",
    }


def _compare_span(name: str, one: SpanFigures, allowed: float) -> Comparison:
    """Compare the measured mean response time with theory: the M/D/1 formula, plus the terms that it lacks."""
    terms = {"internet": one.setting.rtt_s, "queueing": one.queue.wait_s, "transmission": one.service_s}
    symbols = _symbols(*terms.values())
    theory = Theory(sum(terms.values()), terms, "RTT + W + S", f"{TEXTBOOK}; W: {POLLACZEK_KHINCHINE}", symbols)
    left_out = {
        "arrivals": fmean(one.expected_waits) - one.queue.wait_s,
        "request": one.request_s,
        "acknowledgements": fmean(one.acknowledgements),
    }
    return Comparison.of(name, [one.mean], theory.plus(left_out), allowed)


def _note_span() -> str:
    return (
        f"points: each request, and means of {BATCHES} batches ({BATCH_MEANS}); lines: Lindley's recursion for these "
        "arrivals, and the mean wait of M/D/1"
    )


def _panels_span(one: SpanFigures, arrivals_s: Sequence[float]) -> list[Panel]:
    """Return two plots over time: the waiting time of each request, and mean waiting times of batches of requests."""
    size = len(one.waits) // BATCHES
    starts = [number * size for number in range(BATCHES)]
    means = [(arrivals_s[at + size // 2] / 60, fmean(one.waits[at : at + size])) for at in starts]
    formula = [(0.0, one.queue.wait_s), (one.span_s / 60, one.queue.wait_s)]
    minutes = [at_s / 60 for at_s in arrivals_s]
    # Plot about 200 requests, since thousands of points would merge into an area and enlarge the file.
    few = slice(None, None, max(1, len(minutes) // 200))
    points = list(zip(minutes, one.waits, strict=True))[few]
    lindley = list(zip(minutes, one.expected_waits, strict=True))
    return [
        Panel("each request", "arrival in min", "wait in s", [Series("requests", points, lindley)]),
        Panel("means", "arrival in min", "mean wait in s", [Series("batches", means, formula)]),
    ]


def _capture_name(case: str) -> str:
    return f"capture-{case.replace(' ', '-')}.pcapng"


def _make_objects(folder: Path, count: int, seed: int) -> None:
    """Write equally large files into the origin's folder: each takes OBJECT_BITS on the link, all headers included."""
    wire = OBJECT_BITS // 8
    frames = segments(wire - segments(wire) * SEGMENT_OVERHEAD_BYTES)
    random = Random(seed)
    for number in range(count):
        (folder / f"{number}.bin").write_bytes(random.randbytes(wire - frames * SEGMENT_OVERHEAD_BYTES - HEAD_BYTES))


def _measure(
    context: Run, folder: Path, case: Case, setting: Setting, workload: Workload, entries: int, evidence: Evidence
) -> CaseFigures:
    mbit = setting.rate_bps / 1e6
    mode = proxy_mode(context)
    topology_parameters: dict[str, Any] = {"cache": mode, "cache_flags": f"--entries {entries}"} if case.cached else {}
    hosts = [*HOSTS, "proxy"] if case.cached else list(HOSTS)
    topology_parameters |= {"origin_flags": ORIGIN_FLAGS, "max_queue_size": QUEUE_PACKETS}
    network, path = (
        web_testbed(context, folder, setting.rtt_s, mbit, **topology_parameters),
        access_path(setting.rtt_s, mbit),
    )
    with measured(context, network, [path], evidence, progress=None) as lab:
        client = lab.bed.host("client")
        file = client.workdir / "plan.json"
        file.write_text(json.dumps(_plan(workload, case, mode)))
        load = Driver(client, ["lab7.experiments.http.drivers.open_loop", str(file)])
        with lab.recording(hosts, _capture_name(case.name), label=case.name):
            began_ns = load.request("go", RUN_TIMEOUT_S).start_ns
    captured = read_capture(lab.path)
    origin = crossings(captured.at(AT_ORIGIN), DEFAULT_PORT)
    client_port = PROXY_PORTS[mode] if case.cached else DEFAULT_PORT
    client_side = crossings(captured.at(AT_CLIENT), client_port, keep_content=True)
    near = crossings(captured.at(AT_PROXY), DEFAULT_PORT) if case.cached else client_side
    return judge.case_figures(setting, client_side, near, origin, began_ns, objects_in(folder))


def _plan(workload: Workload, case: Case, mode: str) -> dict[str, object]:
    prefix = f"http://{NAME}" if case.cached and mode == "forward" else ""
    # Request the initial content of the LRU list to fill the cache; without a cache, only open the connections.
    warm = workload.held if case.cached else workload.held[:CONNECTIONS]
    return {
        "connect": [PROXY_ADDRESS, PROXY_PORTS[mode]] if case.cached else [NAME, DEFAULT_PORT],
        "host": NAME,
        "connections": CONNECTIONS,
        "warm": [f"{prefix}/{number}.bin" for number in warm],
        "requests": [
            [at, f"{prefix}/{number}.bin"] for at, number in zip(workload.arrivals_s, workload.objects, strict=True)
        ],
    }


def _left_out(one: CaseFigures, workload: Workload, cache: Lru | Sequence[bool] | None) -> dict[str, float]:
    """Return corrections of the textbook formula for this random workload: name -> mean in s over all requests.

    - `arrivals`: mean queueing delay of this workload (Lindley's recursion) minus that of the M/D/1 formula
    - `hit rate`: effect of the difference between this workload's hit rate and the expected hit rate
    - `request`: transmission time of the request's own frame on the link
    - `collapsed`: mean wait of requests for an object that the cache is already fetching

    The result is empty if not all requests were sent, since the measurements are then no evidence.
    """
    if len(one.forwarded) != len(workload.arrivals_s):
        return {}
    setting, service_s = one.setting, one.queue.service_s
    found = cache_outcomes(workload.arrivals_s, workload.objects, setting.rtt_s, service_s, cache)
    crossed = fmean(each.crossed for each in found)
    waits_s, joined_s = (fmean(getattr(each, name) for each in found) for name in ("wait_s", "joined_s"))
    return {
        "arrivals": waits_s - one.theory_terms()["queueing"],
        "hit rate": (crossed - (1 - setting.hit_rate)) * (setting.rtt_s + service_s),
        "request": one.request_s,
        "collapsed": joined_s,
    }


def _compare(name: str, one: CaseFigures) -> Comparison:
    formula = "RTT + W + S" if not one.setting.hit_rate else "(1 - h)(RTT + W + S)"
    terms = one.theory_terms()
    symbols = _symbols(one.setting.rtt_s, one.queue.wait_s, one.queue.service_s)
    if one.setting.hit_rate:
        symbols["h"] = f"{one.setting.hit_rate:.3g}, hit rate of the cache"
    theory = Theory(sum(terms.values()), terms, formula, f"{TEXTBOOK}; W: {POLLACZEK_KHINCHINE}; h: {CHE}", symbols)
    return Comparison.of(
        name, [Timing.with_residual(one.delay_s, one.terms())], theory.plus(one.omitted), one.tolerance
    )


def _note(workload: Workload) -> str:
    return (
        "points: measured means; line: (1 - h)(RTT + W + S), W the mean wait of M/D/1. The arrivals are a "
        f"Poisson sample chosen for typical values: its own waits and hits are within {workload.distance:.1%} "
        "of the long-run means."
    )


def _panels(figures: Mapping[str, CaseFigures]) -> list[Panel]:
    """Return two plots: mean response time over link utilisation, and octets on the link over the cache miss rate."""
    delays = [Series(name, [(one.utilisation, one.delay_s * 1e3)], _line(one)) for name, one in figures.items()]
    octets = [Series(name, [(1 - one.setting.hit_rate, one.link_bytes / 1e6)], ()) for name, one in figures.items()]
    return [
        Panel("delay", "utilisation of the access link", "mean response time in ms", delays),
        Panel("traffic", "share of requests that cross the link", "MB on the access link", octets),
    ]


def _line(one: CaseFigures) -> list[tuple[float, float]]:
    """Return a case's theoretical curve as points (utilisation, mean response time in ms), for its hit rate and RTT."""
    share, queue = 1 - one.setting.hit_rate, one.queue
    loads = [LINES_TO * step / 200 for step in range(200)]
    waits = [load * queue.service_s / (2 * (1 - load)) for load in loads]
    return [
        (load, 1e3 * share * (one.setting.rtt_s + wait + queue.service_s))
        for load, wait in zip(loads, waits, strict=True)
    ]


EXPERIMENT = Experiment(
    name="access-link",
    question="Is a faster access link or a web cache the better investment?",
    claims=("W1", "W2", "W8"),
    parameters={
        "scale": Parameter(
            "20", whole(1, 100), "factor by which rates are multiplied and times divided", full_virtual="1"
        ),
        "rate": Parameter("15", per_second, "requests per second, before scaling", full_virtual="1"),
        # full_virtual 0.111 Mbit/s: with full_virtual of `rate`, objects of 0.1 Mbit give the utilisation 0.9.
        "link": Parameter(
            "1.54", megabits, "the rate of the access link before scaling, in Mbit/s", full_virtual="0.111"
        ),
        "faster": Parameter("5", whole(2, 100), "the factor by which the faster link is faster"),
        "hit_rate": Parameter("0.4", share, "the hit rate for which the cache is sized"),
        "objects": Parameter("1000", whole(10, 20_000), "the number of different objects"),
        "cases": Parameter(
            "all", choices(tuple(CASES)), f"the cases to run, of {','.join(CASES)}", full_virtual="slow"
        ),
        "requests": Parameter("1500", whole(100, 100_000), "the number of requests in each case", full="12000"),
        "span": Parameter(
            "0",
            whole(0, DAY_S),
            "0: a typical sample of `requests`; above 0: all arrivals within that many seconds, in one case "
            "without a cache",
            full_virtual="3600",
        ),
        "rto_min": Parameter(
            "200ms",
            seconds,
            "with a span: the minimum retransmission time-out of TCP; above 200ms tail loss probes are off",
            full_virtual="60s",
        ),
    },
    run=run,
    repeat=1,
    roles=("proxy", "origin"),
    cost=75,
    kept_octets=octets_without_content,
)
