"""Wires under load: RTT of an idle path while other links are busy, and the TCP rate of one link with delay.

python -m tests.bench.bench_wire_load [--links 50] [--busy 20]
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence

from mininet.topo import Topo

from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed

PROBE = "lab7.topologies.emulation.probe"
# One of the two links of a path; an echo crosses each twice.
DELAY_MS = 5
RTT_MS = 4 * DELAY_MS
ECHOES = 100
TIMEOUT_S = 60.0
FLOW_BPS, DATAGRAM_BYTES = 1e6, 1250
TCP_DELAYS_MS, TCP_S = (5, 10), 5

# Sends datagrams at a fixed rate until it is killed.
SENDER = f"""
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
due = time.monotonic()
while True:
    sock.sendto(bytes({DATAGRAM_BYTES}), (sys.argv[1], 9))
    due += {DATAGRAM_BYTES} * 8 / {FLOW_BPS}
    time.sleep(max(0, due - time.monotonic()))
"""
# Prints a line when it listens, and then the rate of the second half of what it has received, in Mbit/s.
RECEIVER = """
import socket, sys, time
listening = socket.create_server((sys.argv[1], 5001))
print("listening", flush=True)
stream, received, marks, room = listening.accept()[0], 0, [], bytearray(1 << 20)
while octets := stream.recv_into(room):
    received += octets
    marks.append((time.monotonic(), received))
(begun, first), (ended, last) = marks[len(marks) // 2], marks[-1]
print((last - first) * 8 / (ended - begun) / 1e6)
"""
FLOOD = f"""
import socket, sys, time
stream, ends = socket.create_connection((sys.argv[1], 5001)), time.monotonic() + {TCP_S}
while time.monotonic() < ends:
    stream.sendall(bytes(1 << 18))
"""


class StarTopo(Topo):  # type: ignore[misc]
    """Hosts h1, h2 ... at one switch; `delayed` of the links, the first ones, have a delay."""

    def build(self, hosts: int, delay_ms: float, delayed: int) -> None:
        """Create the hosts and links."""
        self.addSwitch("s1")
        for number in range(1, hosts + 1):
            self.addHost(f"h{number}", ip=f"10.0.0.{number}/24")
            self.addLink(f"h{number}", "s1", **({"delay": f"{delay_ms}ms"} if number <= delayed else {}))


def idle_rtts_ms(links: int, busy: int) -> list[float]:
    """Return the RTTs between the last two hosts, in ms, while `busy` of the other links carry FLOW_BPS each."""
    with Testbed(StarTopo(hosts=links, delay_ms=DELAY_MS, delayed=links), links="wire") as bed:
        senders = [
            bed.host(f"h{number}").popen([sys.executable, "-c", SENDER, f"10.0.0.{number % busy + 1}"])
            for number in range(1, busy + 1)
        ]
        client = bed.host(f"h{links}")
        client.start(f"{PROBE} rtt 10.0.0.{links - 1} 20", wait=False).finish(TIMEOUT_S)
        echo = client.start(f"{PROBE} rtt 10.0.0.{links - 1} {ECHOES}", wait=False)
        rtts_s = json.loads(echo.finish(TIMEOUT_S))["rtts_s"]
        for sender in senders:
            sender.kill()
    return [rtt_s * 1e3 for rtt_s in rtts_s if rtt_s is not None]


def tcp_rate_mbit(delay_ms: float) -> float:
    """Return the rate of one TCP connection over one link with this delay, in Mbit/s."""
    with Testbed(StarTopo(hosts=2, delay_ms=delay_ms, delayed=1), links="wire") as bed:
        receiver = bed.host("h2").popen([sys.executable, "-c", RECEIVER, "10.0.0.2"])
        assert receiver.stdout is not None
        receiver.stdout.readline()
        bed.host("h1").run([sys.executable, "-c", FLOOD, "10.0.0.2"])
        return float(receiver.communicate(timeout=TIMEOUT_S)[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print both."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_wire_load", description=__doc__)
    parser.add_argument("--links", type=int, default=50, help="links with delay (default: %(default)s)")
    parser.add_argument("--busy", type=int, default=20, help="of them, links with traffic (default: %(default)s)")
    options = parser.parse_args(argv)
    sandbox.enter()
    rtts_ms = idle_rtts_ms(options.links, options.busy)
    middle = statistics.median(rtts_ms)
    print(f"{options.links} links of {DELAY_MS} ms, {options.busy} of them with {FLOW_BPS / 1e6:g} Mbit/s each:")
    print(
        f"  idle path of {RTT_MS} ms: median RTT {middle:.3f} ms, off by {(middle / RTT_MS - 1) * 100:+.2f} %", end=""
    )
    print(f"; worst {max(rtts_ms):.3f} ms of {len(rtts_ms)}")
    for delay_ms in TCP_DELAYS_MS:
        print(f"one link of {delay_ms} ms: {tcp_rate_mbit(delay_ms):.0f} Mbit/s of TCP", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EmulationError as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(3)
