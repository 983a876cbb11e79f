"""Inside of the kernel: measure what links do. `python -m tests.kernel.links BACKEND FINDINGS`.

The client has a link of its own to each server, and each link does one thing. ping and datagrams with the kernel's
time stamps measure; the packets at both ends of some links are kept, for the tests to judge.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.testbed import Testbed

# server: TCLink's parameters of its link. An even link has the same both ways.
LINKS: dict[str, dict[str, Any]] = {
    "delayed": {"delay": "50ms"},
    "uneven": {"params1": {"delay": "30ms"}, "params2": {"delay": "70ms"}},
    "jittery": {"delay": "50ms", "jitter": "20ms"},
    "reordered": {"delay": "50ms", "reorder": 30},
    "rated": {"bw": 2, "delay": "20ms"},
    "queued": {"bw": 1, "max_queue_size": 10, "delay": "50ms"},
    "lossy": {"loss": 20, "delay": "1ms"},
}
PINGED = {"delayed": 10, "uneven": 10, "jittery": 30, "reordered": 30}
PING_INTERVAL_S = 0.02
# Of a train of datagrams: frames, and octets of a frame.
TRAINS = {"rated": (100, 1442), "queued": (40, 1442), "lossy": (500, 64)}
# Those whose packets are kept.
WATCHED = ("uneven", "reordered", "rated")
PORT = 9  # RFC 863: discard
PROBE = "lab7.topologies.emulation.probe"
PATIENCE_S = 30.0


class LinksTopo(Topo):  # type: ignore[misc]
    """client ═══ a server, for each of LINKS."""

    def build(self) -> None:
        """Without parameters."""
        # Its addresses are those of its links: without ip=None the first would be Mininet's, 10.0.0.1.
        client = self.addHost("client", ip=None)
        for number, (name, asked) in enumerate(LINKS.items(), start=1):
            ends = ({"ip": f"10.8.{number}.1/24"}, {"ip": f"10.8.{number}.2/24"})
            params = {f"params{end}": {**ends[end - 1], **asked.get(f"params{end}", {})} for end in (1, 2)}
            both = {word: value for word, value in asked.items() if word not in params}
            self.addLink(client, self.addHost(name, ip=ends[1]["ip"]), **params, **both)


def ping_ms(bed: Testbed, name: str, count: int) -> list[float]:
    """The round-trip times of the replies that came, in their order."""
    words = ["ping", "-n", "-c", str(count), "-i", str(PING_INTERVAL_S), "-W", "5", str(bed.host(name).IP())]
    said = bed.host("client").run(words, PATIENCE_S).stdout.decode()
    return [float(found) for found in re.findall(r"time=([\d.]+) ms", said)]


def train(bed: Testbed, name: str) -> dict[str, Any]:
    """What reaches a server of a train of datagrams, and at which rate."""
    frames, size_bytes = TRAINS[name]
    receiver = bed.host(name).start(f"{PROBE} receive {PORT} {frames}")
    target = f"{bed.host(name).IP()} {PORT} {frames} {size_bytes}"
    bed.host("client").start(f"{PROBE} send {target}", wait=False).finish(PATIENCE_S)
    found: dict[str, Any] = json.loads(receiver.finish(PATIENCE_S))
    return found


def ends(bed: Testbed, name: str) -> list[CaptureInterface]:
    """Both ends of a server's link."""
    number = list(LINKS).index(name)
    client, server = bed.host("client"), bed.host(name)
    return [
        CaptureInterface(f"client-{name}", client.namespace_pid, f"client-eth{number}"),
        CaptureInterface(name, server.namespace_pid, f"{name}-eth0"),
    ]


def main(argv: list[str]) -> int:
    """Measure, and print a JSON object."""
    backend, findings = argv
    sandbox.enter()
    with Testbed(LinksTopo(), links=backend, seed=7) as bed:
        watched = [end for name in WATCHED for end in ends(bed, name)]
        with Capture(Path(findings, f"links-{backend}.pcapng"), watched):
            pings = {name: ping_ms(bed, name, count) for name, count in PINGED.items()}
            trains = {name: train(bed, name) for name in TRAINS}
        # Not watched, and after the measurements: another shape of one direction.
        bed.host("client").intf("client-eth0").config(delay="100ms")
        pings["reshaped"] = ping_ms(bed, "delayed", PINGED["delayed"])
        found = {"backend": bed.backend, "ping_ms": pings, "trains": trains}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
