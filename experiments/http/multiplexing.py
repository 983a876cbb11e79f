"""Experiment on head-of-line blocking: a small object behind a large one, in HTTP/1.1 and HTTP/2 (claims H11, H12).

On one connection a client requests a large object and, immediately afterwards, several small ones. An HTTP/1.1 server
responds in the order of the requests, and the small objects wait (head-of-line blocking); an HTTP/2 server interleaves
the streams. Sizes are chosen such that slow start never leaves the link idle; only the order of the octets makes a
difference.

Claims of the course that are decided: a large response delays later ones in HTTP/1, whereas HTTP/2 interleaves them
(H11); HTTP/2 compresses header fields (H12).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from mininet.topo import Topo

from lab7.experiments.harness.clock import tolerance
from lab7.experiments.harness.experiment import Experiment, Outcome, Parameter, Run
from lab7.experiments.harness.fidelity.certificate import MachineWatch
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.harness.judge.verdict import Verdict, failed
from lab7.experiments.harness.measurement import LoadFailedError, Window, measured, site_folder
from lab7.experiments.harness.parameters import megabits, seconds, whole
from lab7.experiments.harness.pathmodel.replay import CausalOrderError, Sample, omitted_terms
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import MSS_BYTES, Theory, in_ms, tolerance_of_round_trips, transmission_time_s
from lab7.experiments.http.claims import http2
from lab7.experiments.http.clients import OurClient
from lab7.experiments.http.lab import (
    AT_CLIENT,
    HOSTS,
    access_path,
    base_url,
    delivered,
    failure_seen,
    loads_in,
    origin_name,
    request_size,
    web_testbed,
    write_picture,
)
from lab7.experiments.http.theory import KUROSE_ROSS
from lab7.experiments.http.wire.http1 import Exchange
from lab7.experiments.http.wire.http2 import Http2Conversation, Kind
from lab7.experiments.http.wire.page_load import Files, PageLoad
from lab7.topologies.emulation.errors import EmulationError

PIPELINED, MULTIPLEXED = "1.1-pipelined", "2"
LARGE, SMALL = "large.png", "small-1.png"
RFC_9113 = "RFC 9113, section 5; round robin by frames of at most 16,384 octets (section 6.5.2)"
FRAME_BYTES = 16384


def run(context: Run) -> Outcome:
    """Measure the response time of a small object, requested after a large one, with pipelining and with HTTP/2.

    The verdicts are on claims H11 (head-of-line blocking) and H12 (header compression).
    """
    rtt_s, bw = context.parameters["rtt"], context.parameters["bw"]
    with site_folder(context) as folder:
        names = _make_objects(context, folder)
        files = {f"/{name}".encode(): (folder / name).read_bytes() for name in names}
        with measured(context, web_testbed(context, folder, rtt_s, bw), [access_path(rtt_s, bw)]) as lab:
            client = OurClient(lab.bed.host("client"))
            with lab.recording(HOSTS):
                windows, failures = _work(client, context, names, lab.watch)
    context.step("judging the packets", 0.9)
    captured = lab.read_capture()
    every: Mapping[str, Files] = dict.fromkeys(windows, files)
    loads = loads_in(context, captured, AT_CLIENT, windows, every)
    # Leave out the times of strategies whose page loads did not deliver all files.
    good = [strategy for strategy, some in loads.items() if strategy not in failures and delivered(some)]
    omitted = {strategy: _left_out(captured, lab.bed.topo, loads[strategy], bw * 1e6) for strategy in good}
    timings = {_name(strategy): [_timing(load, lab.watch) for load in loads[strategy]] for strategy in good}
    return Outcome(
        claims=(_interleaving(loads, failures), http2.decide_header_compression(loads[PIPELINED], loads[MULTIPLEXED])),
        comparisons=tuple(
            Comparison.of(
                _name(each),
                timings[_name(each)],
                _theory(each, loads[each][0], context).plus(omitted[each]),
                tolerance(tolerance_of_round_trips(rtt_s)),
            )
            for each in good
        ),
        fidelity=lab.fidelity(),
        implementations={"client": client.name, "origin": origin_name(context)},
        timings=timings,
        capture=lab.path.name,
    )


def _interleaving(loads: Mapping[str, list[PageLoad]], failures: Mapping[str, str]) -> Verdict:
    for strategy, said in failures.items():
        return failed("H11", f"{strategy}: the objects were not loaded: {said}{failure_seen(loads[strategy])}.")
    return http2.decide_multiplexing(
        loads[PIPELINED], loads[MULTIPLEXED], *(f"/{name}".encode() for name in (LARGE, SMALL))
    )


def _name(strategy: str) -> str:
    return f"small behind large, {strategy}"


def _make_objects(context: Run, folder: Path) -> list[str]:
    asked = context.parameters
    sizes = {LARGE: asked["large"]} | {f"small-{number}.png": asked["small"] for number in range(1, asked["count"] + 1)}
    for name, size_bytes in sizes.items():
        write_picture(folder / name, size_bytes, context.seed)
    return list(sizes)


def _work(
    client: OurClient, context: Run, names: Sequence[str], watch: MachineWatch
) -> tuple[dict[str, list[Window]], dict[str, str]]:
    """Load all objects by pipelining and by HTTP/2; return (time spans of the loads, error texts) by strategy."""
    windows: dict[str, list[Window]] = {PIPELINED: [], MULTIPLEXED: []}
    failures: dict[str, str] = {}
    for number in range(context.repeat + 1):
        for strategy in (one for one in windows if one not in failures):
            context.step(
                f"{strategy}, {number or 'warming up'} of {context.repeat}", 0.1 + 0.8 * number / (context.repeat + 1)
            )
            try:
                urls = [f"{base_url(context, strategy)}/{name}" for name in names]
                load = partial(client.load_together, strategy, urls)
                loaded = watch.samples(load) if number else [load()]
            except LoadFailedError as error:
                failures[strategy] = str(error)
                windows[strategy] = [] if error.window is None else [error.window]
            else:
                windows[strategy] += loaded if number else []
    return windows, failures


def _small(load: PageLoad) -> Exchange:
    return next(exchange for exchange in load.exchanges if exchange.target == f"/{SMALL}".encode())


def _timing(load: PageLoad, watch: MachineWatch) -> Timing:
    """Return the response time of the first small object (requested after a large one), divided into terms.

    The time begins at the end of the request.
    """
    exchange = _small(load)
    if exchange.response is None:
        raise EmulationError("the small object did not arrive completely: see the capture")
    asked_ns, first_ns, last_ns = exchange.request.last_ns, exchange.response.first_ns, exchange.response.last_ns
    terms: Mapping[str, float] = {"request": (first_ns - asked_ns) / 1e9, "transmission": (last_ns - first_ns) / 1e9}
    return watch.timing((last_ns - asked_ns) / 1e9, terms, asked_ns, last_ns)


def _theory(strategy: str, load: PageLoad, context: Run) -> Theory:
    """Return the theoretical response time of the small object, which is requested after a large one.

    It is the sum of the RTT, the transmission time of all octets sent before the object, and its own transmission time.
    """
    rate_bps = context.parameters["bw"] * 1e6
    rtt_s = context.parameters["rtt"] + transmission_time_s(request_size(load), rate_bps)
    large, small = (_response_size(load, name) for name in (LARGE, SMALL))
    before = large if strategy == PIPELINED else min(large, FRAME_BYTES)
    waiting_s, small_s = transmission_time_s(before, rate_bps), transmission_time_s(small, rate_bps)
    symbols = {
        "RTT": f"{in_ms(context.parameters['rtt'])}, round-trip time",
        "X(small)": f"{in_ms(small_s)}, transmission time of the small object",
        "X(large)" if strategy == PIPELINED else "X(one frame)": f"{in_ms(waiting_s)}, transmission time of "
        f"{'the large object' if strategy == PIPELINED else 'one DATA frame of the large object'}, sent before",
    }
    if strategy == PIPELINED:
        # With pipelining, the small object's response starts after the end of the large one.
        terms = {"request": rtt_s + waiting_s + small_s, "transmission": 0.0}
        return Theory(sum(terms.values()), terms, "RTT + X(large) + X(small)", KUROSE_ROSS, symbols)
    # With HTTP/2, HEADERS frames of all responses and one DATA frame of the large object precede the small object.
    terms = {"request": rtt_s, "transmission": waiting_s + small_s}
    return Theory(sum(terms.values()), terms, "RTT + X(one frame) + X(small)", RFC_9113, symbols)


def _left_out(captured: CaptureFile, topo: Topo, loads: Sequence[PageLoad], rate_bps: float) -> dict[str, float]:
    """Return term -> seconds, for the delays that the closed form omits (see http.lab.left_out)."""
    spans = [(one.request.last_ns, one.response.last_ns) for one in map(_small, loads) if one.response is not None]
    try:
        found = omitted_terms(captured, topo, [Sample(AT_CLIENT, *span) for span in spans])
    except CausalOrderError:
        return {}
    terms = {name: statistics.median(one.terms[name] for one in found) for name in found[0].terms}
    return {**terms, "framing": _framing_s(loads[0], rate_bps)}


def _framing_s(load: PageLoad, rate_bps: float) -> float:
    """Return the transmission time in s of octets that the closed form omits, up to the end of the small object.

    These are the requests that share a TCP segment with the first request, HTTP/2 frames other than DATA, and the
    octets behind the small object in its last segment.
    """
    (conversation,), first, small = load.conversations, load.exchanges[0].request, _small(load).response
    large_bytes, small_bytes = (_response_size(load, name) for name in (LARGE, SMALL))
    connection = conversation.connection
    served = [(each.frame, len(each.payload)) for each in connection.from_server.segments]
    if isinstance(conversation, Http2Conversation):
        large_bytes = min(large_bytes, FRAME_BYTES)
        other = sum(frame.size_bytes for frame in conversation.server_frames if frame.kind != Kind.DATA)
        # Count the octets that a round-robin scheduler sends before the small object's end, not those really sent.
        needed = math.ceil((large_bytes + other + small_bytes) / MSS_BYTES) * MSS_BYTES
        carrying = [min(needed, sum(size for _, size in served))]
    else:
        last = max(small.frames) if small is not None else 0
        carrying = [size for frame, size in served if frame <= last]
    asked = [len(each.payload) for each in connection.from_client.segments if each.frame <= max(first.frames)]
    frames_s = sum(transmission_time_s(size, rate_bps) for size in (*carrying, *asked))
    counted = (large_bytes, small_bytes, request_size(load))
    return frames_s - sum(transmission_time_s(size, rate_bps) for size in counted)


def _response_size(load: PageLoad, name: str) -> int:
    for exchange in load.exchanges:
        if exchange.target == f"/{name}".encode() and exchange.response is not None:
            return len(exchange.response.octets)
    raise EmulationError(f"{name} did not arrive completely: see the capture")


EXPERIMENT = Experiment(
    name="http-multiplexing",
    question="Does a small object wait for a large one, with pipelining in HTTP/1.1 and with multiplexing in HTTP/2?",
    claims=("H11", "H12"),
    parameters={
        "rtt": Parameter("40ms", seconds, "the round-trip time between client and origin"),
        "bw": Parameter("2", megabits, "the rate of the access link in Mbit/s"),
        "large": Parameter("100000", whole(20_000, 10_000_000), "the size of the large object in octets"),
        "small": Parameter("1000", whole(500, 100_000), "the size of each small object in octets"),
        "count": Parameter("4", whole(1, 50), "how many small objects are requested after the large one"),
    },
    run=run,
    repeat=3,
    roles=("origin",),
)
