"""A script for Mininet that shapes links by tc, as public scripts do, and notes what tc says and the RTT afterwards.

`python tests/emulation/mininet/traffic_control.py` runs it with stock Mininet, and `lab7 script` with lab7's, where the
kernel has netem.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mininet.link import TCLink
from mininet.net import Mininet
from mininet.node import OVSBridge
from mininet.topo import Topo

# The link's parameters, and commands of tc, in which X is the interface, with the RTT in ms that they are for.
CASES: dict[str, tuple[dict[str, Any], list[tuple[str, float]]]] = {
    "plain": (
        {},
        [
            ("qdisc add dev X root netem delay 40ms", 40),
            ("qdisc add dev X root netem delay 50ms", 40),
            ("qdisc change dev X root netem delay 70ms 5ms loss 1%", 65),
            ("qdisc del dev X root", 0),
            ("qdisc del dev X root", 0),
        ],
    ),
    "chain": (
        {},
        [
            ("qdisc add dev X root handle 1:0 netem delay 40ms", 40),
            ("qdisc add dev X parent 1:1 handle 10: tbf rate 5mbit buffer 16000 limit 30000", 40),
        ],
    ),
    "shaped": (
        {"bw": 5, "delay": "10ms", "max_queue_size": 50},
        [
            ("qdisc change dev X parent 5:1 handle 10: netem delay 60ms limit 20", 70),
            ("class change dev X parent 5:0 classid 5:1 htb rate 1mbit burst 15k", 70),
            ("qdisc add dev X root netem delay 100ms", 110),
            ("qdisc change dev X root netem delay 90ms", 100),
            ("qdisc replace dev X root handle 7: netem delay 30ms", 40),
            ("qdisc del dev X root", 10),
        ],
    ),
    "delayed": ({"delay": "10ms"}, [("qdisc change dev X root netem delay 30ms", 40), ("qdisc del dev X root", 10)]),
}
# What depends on the time, and on the version of the kernel.
FLEETING = re.compile(r"refcnt \d+|direct_packets_stat \d+|seed \d+|\b800\d:|burst \S+ cburst \S+|lat \S+")


class CasesTopo(Topo):  # type: ignore[misc]
    """client ═══ a server, for each of CASES."""

    def build(self) -> None:
        """Each link is a network of its own."""
        client = self.addHost("client", ip=None)
        for number, (name, (given, _)) in enumerate(CASES.items(), start=1):
            near, address = {"ip": f"10.9.{number}.1/24"}, f"10.9.{number}.2/24"
            self.addLink(client, self.addHost(name, ip=address), params1=near, params2={"ip": address}, **given)


def told(text: str) -> list[str]:
    """Return the lines of tc without what differs from run to run."""
    return [" ".join(FLEETING.sub("", line).split()) for line in text.splitlines() if line.strip()]


def least_ms(client: Any, address: str) -> float:
    """Return the least round-trip time of some pings."""
    times = re.findall(r"time=([\d.]+)", client.cmd(f"ping -n -c 20 -i 0.05 {address}"))
    return min(map(float, times))


def steps(client: Any, number: int, commands: list[tuple[str, float]]) -> list[Any]:
    """Return what tc says at first, and after each command; and the RTT then."""
    name, address = f"client-eth{number}", f"10.9.{number + 1}.2"
    client.cmd(f"ping -c 1 {address}")
    found = []
    for command in ["", *(command for command, _ in commands)]:
        said = client.cmd(f"tc {command.replace('X', name)}") if command else ""
        shown = [client.cmd(f"tc {kind} show dev {name}") for kind in ("qdisc", "class")]
        found.append([command, told(said), *map(told, shown), least_ms(client, address)])
    return found


if __name__ == "__main__":
    network = Mininet(topo=CasesTopo(), switch=OVSBridge, link=TCLink, controller=None)
    network.start()
    try:
        cases = enumerate(CASES.items())
        print(json.dumps({name: steps(network["client"], number, case[1]) for number, (name, case) in cases}))
    finally:
        network.stop()
