"""Reset of a SYN to a closed port: an experiment with a claim of its own (RFC 9293 section 3.5.2).

    lab7 run docs/examples/own_claim.py --set rtt=80ms

The claim is decided by the packets at the client, and by the time between SYN and RST.
"""

from __future__ import annotations

import statistics
import sys

from lab7.experiments.harness import (
    Claim,
    EmulatedPath,
    Experiment,
    Outcome,
    Parameter,
    Run,
    connections,
    failed,
    first_interface,
    measured,
    read_capture,
    seconds,
    shown,
    timed,
    tolerance,
)
from lab7.topologies.web import WebTopo

ADDRESS, CLOSED_PORT, RATE_MBIT = "10.7.1.1", 81, 10
# Connects to the closed port; the time is taken from the packets.
CONNECT = [sys.executable, "-c", f"import socket; socket.socket().connect_ex(({ADDRESS!r}, {CLOSED_PORT}))"]
# Ethernet, IPv4 and TCP headers; the SYN has 20 octets of options, the RST has none.
FRAMES_S = (74 + 54) * 8 / (RATE_MBIT * 1e6)
CLAIM = Claim("R1", "TCP", "A SYN to a closed port is answered by RST after one RTT.", "SYN and RST, and their times")


def run(context: Run) -> Outcome:
    """Connect several times while the client is captured, and decide the claim."""
    rtt_s = context.parameters["rtt"]
    topo = WebTopo(bw=RATE_MBIT, delay=f"{rtt_s / 2 * 1e6:.0f}us")
    with measured(context, topo, [EmulatedPath("client", "origin", ADDRESS, rtt_s)]) as lab, lab.recording(["client"]):
        for _ in range(context.repeat):
            lab.bed.host("client").run(CONNECT)
    attempts = connections(read_capture(lab.path).at(first_interface("client")))
    resets = [(one.syn, one.from_server.reset) for one in attempts if one.from_server.reset]
    if resets and len(resets) == len(attempts):
        verdict = shown(CLAIM.id, f"{len(resets)} SYN, each answered by RST.", [reset.frame for _, reset in resets])
        measured_s = statistics.median((reset.time_ns - syn.time_ns) / 1e9 for syn, reset in resets)
        verdict = timed(verdict, measured_s, rtt_s + FRAMES_S, tolerance(0.05))
    else:
        verdict = failed(CLAIM.id, f"{len(attempts)} SYN, {len(resets)} RST.", [one.syn.frame for one in attempts])
    return Outcome((verdict,), (), lab.fidelity(), {}, capture=lab.path.name)


EXPERIMENT = Experiment(
    name="closed-port",
    question="How long does it take to learn that a port is closed?",
    claims=(CLAIM.id,),
    own_claims=(CLAIM,),
    parameters={"rtt": Parameter("40ms", seconds, "round-trip time between client and origin")},
    run=run,
)
