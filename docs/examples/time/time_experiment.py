"""What does it cost to ask for the time, by UDP and by TCP?  (claims T1 to T3, of this experiment's own)

A client asks a server of RFC 868 several times each way. By UDP the question and the answer are one round trip; by TCP
the connection is made first, which is another.

    lab7 run docs/examples/time/time_experiment.py
"""

from __future__ import annotations

from pathlib import Path

import time_judge
from time_topology import SERVER_ADDRESS, TimeTopo

from lab7.experiments.harness import (
    Claim,
    Comparison,
    Driver,
    EmulatedPath,
    Experiment,
    Fidelity,
    Frame,
    Outcome,
    Parameter,
    Run,
    Theory,
    Timing,
    Verdict,
    first_interface,
    measured,
    read_capture,
    seconds,
    shown,
    timed,
    undecided,
)

CLIENT = Path(__file__).resolve().with_name("time_client.py")
ASK_TIMEOUT_S = 20.0
TOLERANCE = 0.05
SOURCE = "RFC 868: one datagram each way; or a handshake (RFC 9293 section 3.5) first"
KINDS = ("udp", "tcp")


def run(context: Run) -> Outcome:
    """Measure, judge, compare."""
    rtt_s = context.parameters["rtt"]
    topo = TimeTopo(delay=f"{rtt_s / 2 * 1e6:.0f}us")
    with measured(context, topo, [EmulatedPath("client", "server", SERVER_ADDRESS, rtt_s)]) as lab:
        client = Driver(lab.bed.host("client"), [str(CLIENT), SERVER_ADDRESS])
        # The first request of a process is slower than the rest: it is not captured.
        for kind in KINDS:
            client.request(kind, ASK_TIMEOUT_S)
        with lab.recording(["client"]):
            for number in range(context.repeat):
                context.step(f"question {number + 1} of {context.repeat}", 0.1 + 0.8 * number / context.repeat)
                for kind in KINDS:
                    client.request(kind, ASK_TIMEOUT_S)
    context.step("judging the packets", 0.9)
    frames = read_capture(lab.path).at(first_interface("client"))
    return _outcome(frames, rtt_s, lab.fidelity(), lab.path.name)


def _outcome(frames: tuple[Frame, ...], rtt_s: float, fidelity: Fidelity, capture: str) -> Outcome:
    timings = {"udp": _udp_timings(frames), "tcp": _tcp_timings(frames)}
    comparisons = tuple(
        Comparison.of(kind, timings[kind], _theory(kind, rtt_s), TOLERANCE) for kind in KINDS if timings[kind]
    )
    return Outcome(
        claims=(time_judge.t1(frames), time_judge.t2(frames), _t3(comparisons)),
        comparisons=comparisons,
        fidelity=fidelity,
        implementations={"server": "time_server.py"},
        timings=timings,
        capture=capture,
    )


def _udp_timings(frames: tuple[Frame, ...]) -> list[Timing]:
    waits_s = [one.duration_s for one in time_judge.by_udp(frames) if one.answer]
    return [Timing(wait_s, {"answer": wait_s}) for wait_s in waits_s]


def _tcp_timings(frames: tuple[Frame, ...]) -> list[Timing]:
    """From the SYN to the SYN-ACK, and from there to the four octets."""
    timings = []
    for one in time_judge.by_tcp(frames):
        accepted, answer = one.from_server.syn, one.from_server.segments[:1]
        if accepted is not None and answer:
            terms = {
                "tcp_handshake": (accepted.time_ns - one.syn.time_ns) / 1e9,
                "answer": (answer[0].time_ns - accepted.time_ns) / 1e9,
            }
            timings.append(Timing(sum(terms.values()), terms))
    return timings


def _theory(kind: str, rtt_s: float) -> Theory:
    if kind == "udp":
        return Theory(rtt_s, {"answer": rtt_s}, "RTT", SOURCE)
    return Theory(2 * rtt_s, {"tcp_handshake": rtt_s, "answer": rtt_s}, "2 RTT", SOURCE)


def _t3(comparisons: tuple[Comparison, ...]) -> Verdict:
    """One round trip by UDP, two by TCP: both times must agree with theory."""
    if len(comparisons) < len(KINDS):
        return undecided("T3", "One of the two ways never got an answer.")
    verdict = shown("T3", "The client waits one round trip by UDP and two by TCP.")
    for one in comparisons:
        verdict = timed(verdict, one.measured_s, one.theory_s, one.tolerance)
    return verdict


OWN_CLAIMS = (
    Claim(
        "T1",
        "Time",
        "By UDP an empty datagram is answered by the seconds since 1900 in four octets.",
        "Payloads of the datagrams; their number beside the capture's own clock",
    ),
    Claim(
        "T2",
        "Time",
        "By TCP nobody asks: once connected the server sends the four octets, and closes.",
        "Octets of both streams; whose FIN comes first",
    ),
    Claim(
        "T3", "Time", "To ask for the time costs one round trip by UDP and two by TCP.", "Measured time against theory"
    ),
)
EXPERIMENT = Experiment(
    name="time",
    question="What does it cost to ask for the time, by UDP and by TCP?",
    claims=("T1", "T2", "T3"),
    own_claims=OWN_CLAIMS,
    parameters={"rtt": Parameter("40ms", seconds, "the round-trip time between client and server")},
    run=run,
)
