"""Round-trip time between two hosts of a testbed, by ICMP echo (RFC 792), beside the delays of the topology.

    python -P -m lab7.topologies.emulation.sandbox python docs/examples/ping.py

The excess over the delays is the transmission of the frames on the access link, and the work of the machine.
"""

from __future__ import annotations

import json

from lab7.experiments.harness import Testbed
from lab7.topologies.emulation.process.interpreter import module_command
from lab7.topologies.web import WebTopo

ORIGIN_ADDRESS = "10.7.1.1"
COUNT = 5


def main() -> None:
    """Start the web topology, and ping the origin from the client."""
    # One-way delays: 10 ms on the access link, 5 ms between the provider and the origin.
    with Testbed(WebTopo(delay="10ms", internet="5ms")) as bed:
        probe = module_command("lab7.topologies.emulation.probe", "rtt", ORIGIN_ADDRESS, str(COUNT))
        done = bed.host("client").run(probe)
    rtts_s: list[float | None] = json.loads(done.stdout)["rtts_s"]
    for sequence, rtt_s in enumerate(rtts_s, start=1):
        print(f"icmp_seq={sequence} " + ("lost" if rtt_s is None else f"time={rtt_s * 1e3:.2f} ms"))
    print(f"delays of the topology: 2 x (10 ms + 5 ms) = {2 * (10 + 5):.2f} ms")


if __name__ == "__main__":
    main()
