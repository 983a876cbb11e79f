"""Experiment on HTTP keep-alive: idle time-outs of persistent connections, without and with a proxy (claims K1 to K3).

A client requests a page, waits, and requests it again, in three cases, each a claim (statement) of the course. The
origin's idle time-out is longer than the wait (K1: the connection is kept); it is shorter (K2: the connection is
closed); or a proxy has a longer time-out than its origin (K3: each of the proxy's two connections is kept or closed
independently). The time of the second request is compared with theory: one round trip on a kept connection, two if a
new connection must be opened, on either hop. The wait is two seconds; in the long run, which has a simulated clock
(virtual time), it is ten minutes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lab7.experiments.harness import clock
from lab7.experiments.harness.claims import Claim
from lab7.experiments.harness.driver import TIMEOUT_S, Driver
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.implementations.registry import DEFAULT_PORT, PROXY_PORTS
from lab7.experiments.harness.judge.decomposition import Interval, sum_up
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict, timed, undecided
from lab7.experiments.harness.measurement import Evidence, Window, measured, site_folder
from lab7.experiments.harness.parameters import megabits, seconds, whole
from lab7.experiments.harness.pathmodel.replay import Sample, terms_of
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips
from lab7.experiments.http.claims import keep_alive
from lab7.experiments.http.lab import (
    AT_CLIENT,
    AT_PROXY,
    NAME,
    ORIGIN_ADDRESS,
    access_path,
    make_site,
    sample_of,
    site_files,
    turns_framing_s,
    web_testbed,
)
from lab7.experiments.http.theory import KUROSE_ROSS, http_page_load
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.page_load import Files, PageLoad, page_load
from lab7.topologies.web import PROXY_ADDRESS

VISITOR = "lab7.experiments.http.drivers.visitor"
KEPT, CLOSED, PROXY = "kept", "closed", "proxy: kept, closed"
CAPTURES = {KEPT: "capture-kept.pcapng", CLOSED: "capture-closed.pcapng", PROXY: "capture-closed.pcapng"}
TEN_MINUTES_S = 600


@dataclass(frozen=True)
class Visits:
    """Captured pairs of requests of one case (kept, closed, proxy): at the client, and at the proxy if it has one."""

    at_client: tuple[PageLoad, ...]
    at_proxy: tuple[PageLoad, ...]

    @property
    def seconds(self) -> list[Exchange]:
        """Return the second request of each pair with its response, as captured at the client."""
        return [load.exchanges[1] for load in self.at_client]

    @property
    def complete(self) -> bool:
        """Return True if the second request of each pair has a captured response, at the proxy as well."""
        every = [*self.at_client, *self.at_proxy]
        return all(len(load.exchanges) > 1 and load.exchanges[1].response is not None for load in every)


def run(context: Run) -> Outcome:
    """Send pairs of requests, idle in between; decide the claims on keep-alive (K1 to K3) from the captured packets.

    The times of the second requests are compared with theory.
    """
    asked, evidence = context.parameters, Evidence()
    long_s, short_s = 2 * asked["idle"], asked["idle"] / 2
    beds: list[tuple[list[str], dict[str, Any]]] = [
        ([KEPT], {"origin_flags": f"--idle {long_s}"}),
        (
            [CLOSED, PROXY],
            {"cache": "forward", "cache_flags": f"--no-cache --idle {long_s}", "origin_flags": f"--idle {short_s}"},
        ),
    ]
    visits: dict[str, Visits] = {}
    omitted: dict[str, dict[str, float]] = {}
    with site_folder(context) as folder:
        files = site_files(make_site(folder, 1, asked["size"], context.seed))
        for cases, topology_parameters in beds:
            captured, windows, topo = _work(context, folder, cases, topology_parameters, evidence)
            found = {case: _visits(captured, case, windows[case], files) for case in cases}
            visits |= found
            samples = {
                case: [_sample(case, load) for load in one.at_client] for case, one in found.items() if one.complete
            }
            omitted |= terms_of(captured, topo, samples)
    timings = {case: _timings(case, one, evidence.watch) for case, one in visits.items() if one.complete}
    comparisons = {
        case: Comparison.of(
            case,
            some,
            _theory(context, case, visits[case], omitted[case]),
            clock.tolerance(tolerance_of_round_trips(asked["rtt"])),
        )
        for case, some in timings.items()
    }
    return Outcome(
        claims=_verdicts(visits, comparisons, asked["idle"], short_s),
        comparisons=tuple(comparisons.values()),
        fidelity=evidence.fidelity(),
        implementations={
            "client": "http.client",
            "origin": "lab7.services.http.origin",
            "proxy": "lab7.services.http.proxy",
        },
        timings=timings,
        capture=CAPTURES[CLOSED],
    )


def _work(
    context: Run,
    folder: Path,
    cases: Sequence[str],
    topology_parameters: Mapping[str, Any],
    evidence: Evidence,
) -> tuple[CaptureFile, dict[str, list[Window]], Any]:
    """Send pairs of requests for each of the cases (kept, closed, proxy) in one network.

    Returns the capture, the time spans of all pairs by case, and the topology.
    """
    asked = context.parameters
    hosts = ["client", "origin", *(["proxy"] if PROXY in cases else [])]
    network = web_testbed(context, folder, asked["rtt"], asked["bw"], **topology_parameters)
    paths = [] if evidence.checks else [access_path(asked["rtt"], asked["bw"])]
    with measured(context, network, paths, evidence, progress=None) as lab:
        agents = {case: Driver(lab.bed.host("client"), _visitor(case)) for case in cases}
        order = {"visit": ["/", "/"], "pause_s": asked["idle"]}
        windows: dict[str, list[Window]] = {case: [] for case in cases}
        with lab.recording(hosts, CAPTURES[cases[0]], label=", ".join(cases)):
            for number in range(context.repeat):
                for case, agent in agents.items():
                    context.step(f"{case}, {number + 1} of {context.repeat}", 0.1 + 0.2 * list(CAPTURES).index(case))
                    windows[case] += lab.watch.samples(partial(_pair, agent, order, asked["idle"], []))
    return lab.read_capture(), windows, lab.bed.topo


def _pair(agent: Driver, order: Mapping[str, Any], idle_s: float, taken: list[Window]) -> Window:
    """Send a pair of requests with an idle time of `idle_s` seconds in between; return the time span in ns.

    If an earlier attempt is in `taken`, wait first until the origin has closed the proxy's connection of that attempt.
    """
    if taken:
        time.sleep(idle_s)
    taken.append(agent.request(order, idle_s + TIMEOUT_S))
    return taken[-1]


def _visitor(case: str) -> list[str]:
    if case == PROXY:
        return [VISITOR, PROXY_ADDRESS, str(PROXY_PORTS["forward"]), NAME, f"http://{NAME}"]
    return [VISITOR, ORIGIN_ADDRESS, str(DEFAULT_PORT), NAME]


def _visits(captured: CaptureFile, case: str, windows: Sequence[Window], files: Files) -> Visits:
    port = PROXY_PORTS["forward"] if case == PROXY else DEFAULT_PORT
    at_client = page_load(captured, AT_CLIENT, (port,))
    at_proxy = page_load(captured, AT_PROXY, (DEFAULT_PORT,)) if case == PROXY else None
    return Visits(
        tuple(at_client.between(one.start_ns, one.end_ns, files) for one in windows),
        tuple(at_proxy.between(one.start_ns, one.end_ns) for one in windows) if at_proxy else (),
    )


def _sample(case: str, load: PageLoad) -> Sample:
    """Return the second request of a pair, and a new handshake before it, as a sample of the TCP path model."""
    second = load.exchanges[1]
    assert second.response is not None
    if case == CLOSED and len(load.conversations) > 1:
        return sample_of(PageLoad(load.conversations[1:]), AT_CLIENT)
    return Sample(AT_CLIENT, second.request.first_ns, second.response.last_ns)


def _timings(case: str, visits: Visits, watch: MachineWatch) -> list[Timing]:
    """Return the time of the second request of each pair, divided into terms.

    With a proxy, the terms are those of its connection to the origin, since only that connection's link has a delay.
    """
    timings = []
    for number, load in enumerate(visits.at_client):
        sample = _sample(case, load)
        # Divide the time by packets of the proxy's connection to the origin, since only that link has a delay.
        asked = visits.at_proxy[number] if case == PROXY else load
        second = asked.exchanges[1]
        assert second.response is not None
        intervals = [
            Interval("request", second.request.last_ns, second.response.first_ns),
            Interval("transmission", second.response.first_ns, second.response.last_ns),
        ]
        for one in asked.conversations[1:]:
            if (answer := one.connection.from_server.syn) is not None:
                intervals.append(Interval("tcp_handshake", one.connection.syn.time_ns, answer.time_ns))
        found = sum_up(intervals, sample.first_ns, sample.last_ns)
        terms = {term: found.terms[term] for term in found.terms if term != "dns"}
        timings.append(watch.timing(found.total_s, terms, sample.first_ns, sample.last_ns))
    return timings


def _theory(context: Run, case: str, visits: Visits, omitted: Mapping[str, float]) -> Theory:
    """Return the theoretical time of the second request: RTT + X on a kept connection, 2 RTT + X on a new one."""
    asked = context.parameters
    second = (visits.at_proxy if case == PROXY else visits.at_client)[0].exchanges[1]
    assert second.response is not None
    rate_bps = asked["bw"] * 1e6
    size, request = len(second.response.octets), len(second.request.octets)
    theory = http_page_load("1.1-persistent", asked["rtt"], [size], rate_bps, request_size_bytes=request)
    formula = "2 RTT + X"
    terms = dict(theory.terms)
    if case == KEPT:
        formula = "RTT + X"
        del terms["tcp_handshake"]
    symbols = {name: text for name, text in theory.symbols.items() if name != "n"}
    theory = Theory(sum(terms.values()), terms, formula, KUROSE_ROSS, symbols)
    return theory.plus({**omitted, "framing": turns_framing_s([second], rate_bps)}) if omitted else theory


def _verdicts(
    visits: Mapping[str, Visits], comparisons: Mapping[str, Comparison], idle_s: float, short_s: float
) -> tuple[Verdict, ...]:
    packets = {
        KEPT: keep_alive.decide_idle_connection_kept(visits[KEPT].at_client, idle_s),
        CLOSED: keep_alive.decide_idle_timeout(visits[CLOSED].at_client, idle_s, short_s),
        PROXY: keep_alive.decide_independent_hops(visits[PROXY].at_client, visits[PROXY].at_proxy, idle_s),
    }
    return tuple(_timed(verdict, comparisons.get(case)) for case, verdict in packets.items())


def _timed(packets: Verdict, one: Comparison | None) -> Verdict:
    if one is None:
        return undecided(packets.id, "A second request has no response.") if packets.verdict == "shown" else packets
    return timed(packets, one.measured_s, one.theory_s, one.tolerance)


OWN_CLAIMS = (
    Claim(
        "K1",
        "HTTP",
        "A server that keeps idle connections open serves a request after any idle time in RTT + X.",
        "One SYN, and neither octets nor FIN while idle; measured time against theory",
    ),
    Claim(
        "K2",
        "HTTP",
        "A server closes a connection that is idle for longer than its time-out; the next request takes 2 RTT + X.",
        "Time of the server's FIN; a SYN for the second request; measured time against theory",
    ),
    Claim(
        "K3",
        "HTTP",
        "Persistence is hop by hop: a client's connection to a proxy outlives the proxy's to the origin.",
        "SYNs and FINs at the client and at the proxy; measured time against theory",
    ),
)
EXPERIMENT = Experiment(
    name="http-keep-alive",
    question="When is an idle persistent connection closed, and what does the next request cost?",
    claims=("K1", "K2", "K3"),
    own_claims=OWN_CLAIMS,
    parameters={
        "idle": Parameter(
            "2", whole(1, 86_400), "the idle time between two requests in s", full_virtual=str(TEN_MINUTES_S)
        ),
        "rtt": Parameter("100ms", seconds, "the round-trip time between client and origin"),
        "bw": Parameter("10", megabits, "the rate of the access link in Mbit/s"),
        "size": Parameter("4000", whole(1000, 1_000_000), "the size of the page in octets"),
    },
    run=run,
    repeat=1,
)
