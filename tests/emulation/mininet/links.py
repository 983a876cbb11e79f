"""A script for Mininet that measures links with TCLink's parameters and a spanning tree of Open vSwitch.

`python tests/emulation/mininet/links.py` runs it with stock Mininet, and `lab7 script` with lab7's, where the kernel
has netem and Open vSwitch.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from mininet.link import TCLink
from mininet.net import Mininet
from mininet.node import OVSBridge
from mininet.topo import Topo

LINKS: dict[str, dict[str, Any]] = {
    "delayed": {"delay": "30ms"},
    "uneven": {"params1": {"delay": "20ms"}, "params2": {"delay": "60ms"}},
    "jittery": {"delay": "40ms", "jitter": "15ms"},
    "lossy": {"loss": 20},
    "rated": {"bw": 2},
    "queued": {"bw": 1, "max_queue_size": 10},
}
# Trains of datagrams over them: source, target, frames, octets of the payload, seconds between two.
TRAINS: dict[str, tuple[str, str, int, int, float]] = {
    "delay": ("client", "delayed", 10, 64, 0.03),
    "delay_there": ("client", "uneven", 10, 64, 0.03),
    "delay_back": ("uneven", "client", 10, 64, 0.03),
    "jitter": ("client", "jittery", 60, 64, 0.03),
    "loss": ("client", "lossy", 500, 64, 0.002),
    "rate": ("client", "rated", 100, 1400, 0.0),
    "queue": ("client", "queued", 60, 1400, 0.0),
}
RECEIVE = """
import json, socket, sys, time
frames = int(sys.argv[1])
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
# More than a train: this process may be late. 33 is SO_RCVBUFFORCE.
receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
receiver.bind(("", 7009))
receiver.settimeout(20)
print("ready", flush=True)
found = []
try:
    while len(found) < frames:
        sent = float(receiver.recv(2000).split()[0])
        now = time.time()
        found.append((now, now - sent))
        receiver.settimeout(2)
except TimeoutError:
    pass
ways = [way for _, way in found]
print(json.dumps({"received": len(found), "least_s": min(ways), "mean_s": sum(ways) / len(ways),
                  "most_s": max(ways), "lasted_s": found[-1][0] - found[0][0]}))
"""
SEND = """
import socket, sys, time
address, frames, size, gap_s = sys.argv[1], *map(int, sys.argv[2:4]), float(sys.argv[4])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
for _ in range(frames):
    sender.sendto(f"{time.time()} ".encode().ljust(size), (address, 7009))
    time.sleep(gap_s)
"""


class LinksTopo(Topo):  # type: ignore[misc]
    """client ═══ a server, for each of LINKS."""

    def build(self) -> None:
        """Each link is a network of its own."""
        client = self.addHost("client", ip=None)
        for number, (name, asked) in enumerate(LINKS.items(), start=1):
            address = f"10.8.{number}.2/24"
            near = {"ip": f"10.8.{number}.1/24", **asked.get("params1", {})}
            far = {"ip": address, **asked.get("params2", {})}
            both = {key: value for key, value in asked.items() if not key.startswith("params")}
            self.addLink(client, self.addHost(name, ip=address), **{**both, "params1": near, "params2": far})


def train(net: Any, source: str, target: str, frames: int, size: int, gap_s: float) -> Any:
    """Return how many datagrams arrive, after which time, and for how long they do."""
    number = list(LINKS).index(source if target == "client" else target)
    address = net[target].intf(f"{target}-eth{number if target == 'client' else 0}").IP()
    # Datagrams that wait for a lost ARP would be too many.
    while " 0% packet loss" not in net[source].cmd(f"ping -c 1 -W 1 {address}"):
        pass
    receiver = net[target].popen(["python3", "-c", RECEIVE, str(frames)])
    receiver.stdout.readline()
    net[source].pexec("python3", "-c", SEND, address, str(frames), str(size), str(gap_s))
    out, err = receiver.communicate(timeout=60)
    return json.loads(out) if out else err.decode()


def trains() -> dict[str, Any]:
    """Return what links with TCLink's parameters do, and one that gets others while the network runs."""
    net = Mininet(topo=LinksTopo(), switch=OVSBridge, link=TCLink, controller=None)
    net.start()
    try:
        found = {name: train(net, *how) for name, how in TRAINS.items()}
        net["client"].intf("client-eth0").config(delay="90ms")
        return {**found, "another_delay": train(net, *TRAINS["delay"])}
    finally:
        net.stop()


class RingTopo(Topo):  # type: ignore[misc]
    """h1 ── s1, s2, s3 in a ring, h3 at s3, with a spanning tree."""

    def build(self) -> None:
        """Without parameters."""
        switches = [self.addSwitch(f"s{number}", stp=True, failMode="standalone") for number in (1, 2, 3)]
        for near, far in zip(switches, switches[1:] + switches[:1], strict=True):
            self.addLink(near, far)
        self.addLink(self.addHost("h1"), switches[0])
        self.addLink(self.addHost("h3"), switches[2])


def settled(net: Any) -> list[str]:
    """Return the states of the ports that forward or are blocked."""
    return re.findall(r"STP_(?:FORWARD|BLOCK)", "".join(switch.dpctl("show") for switch in net.switches))


def ring() -> Any:
    """Return who reaches whom over a spanning tree, and how many ports forward and are blocked."""
    net = Mininet(topo=RingTopo(), switch=OVSBridge, controller=None)
    net.start()
    try:
        deadline_s = time.monotonic() + 90
        while len(states := settled(net)) < 2 * len(net.links) - len(net.hosts) and time.monotonic() < deadline_s:
            time.sleep(1)
        return [net.pingAll(), sorted(states)]
    finally:
        net.stop()


if __name__ == "__main__":
    print(json.dumps({"spanning_tree": ring(), "trains": trains()}))
