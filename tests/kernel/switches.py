"""Inside of the kernel: a network whose switches are Open vSwitch's. `python -m tests.kernel.switches FINDINGS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.topologies.emulation import sandbox
from lab7.topologies.emulation.links.openvswitch import OpenVSwitch
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.web import WebTopo

DELAY_MS, LOADS = 25, 5
URL = "http://www.example.com/"


def main(argv: list[str]) -> int:
    """Load a page through two switches with a shaped link between them, and print what the switches say."""
    sandbox.enter()
    topo = WebTopo(clients=2, delay=f"{DELAY_MS}ms")
    with Testbed(topo, links="netem", switch=OpenVSwitch) as bed:
        hosts = {name: bed.host(name) for name in ("client", "client2", "origin")}
        watched = [CaptureInterface(name, host.namespace_pid, f"{name}-eth0") for name, host in hosts.items()]
        with Capture(Path(argv[0], "switches.pcapng"), watched):
            done = [
                hosts["client"].run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", URL]) for _ in range(LOADS)
            ]
        driver = bed.net.switches[0]._driver
        found = {
            "http_codes": [one.stdout.decode() for one in done],
            "datapath": driver.control("dpif/show"),
            "bridges": driver.run("ovs-vsctl", "list-br").split(),
        }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
