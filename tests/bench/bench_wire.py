"""RTT of links against what was asked for: 1, 5, 20 and 100 ms, by ICMP echo over the topology web.

python -m tests.bench.bench_wire
"""

import json
import statistics
import sys

from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import WebTopo

PROBE = "lab7.topologies.emulation.probe"
RTTS_MS = (1, 5, 20, 100)
ECHOES = 40
RATE_MBIT = 100
ECHO_FRAME_BYTES = 42
TIMEOUT_S = 60.0


def measure(rtt_ms: float) -> tuple[str, list[float]]:
    """(link back end, excess of each round trip over what was asked in ms), the echo's own transmission taken off."""
    with Testbed(WebTopo(delay=f"{rtt_ms / 2}ms", bw=RATE_MBIT)) as bed:
        client = bed.host("client")
        # The first echoes add_static_entries the wire how late this machine wakes up.
        client.start(f"{PROBE} rtt 10.7.1.1 10", wait=False).finish(TIMEOUT_S)
        echo = client.start(f"{PROBE} rtt 10.7.1.1 {ECHOES}", wait=False)
        rtts_s = json.loads(echo.finish(TIMEOUT_S))["rtts_s"]
    transmission_ms = 2 * ECHO_FRAME_BYTES * 8 / RATE_MBIT / 1e3
    return bed.backend, [rtt_s * 1e3 - transmission_ms - rtt_ms for rtt_s in rtts_s if rtt_s is not None]


def main() -> int:
    """Print the table."""
    sandbox.enter()
    print(f"{'asked ms':>9} {'median off ms':>14} {'worst off ms':>13} {'median off %':>13}")
    for rtt_ms in RTTS_MS:
        backend, excess_ms = measure(rtt_ms)
        middle = statistics.median(excess_ms)
        print(f"{rtt_ms:>9} {middle:>14.3f} {max(excess_ms, key=abs):>13.3f} {middle / rtt_ms * 100:>13.2f}  {backend}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EmulationError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(3)
