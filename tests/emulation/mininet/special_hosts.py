"""A script for Mininet with NAT and limits of processor time, which prints what each statement shows as JSON.

`python tests/emulation/mininet/special_hosts.py` runs it with stock Mininet, and `lab7 script` with lab7's. Stock
Mininet runs in a sandbox, where a NAT must not change the machine's file, and the machine's control groups are bound.
"""

from __future__ import annotations

import io
import json
import re
import sys
from functools import partial
from typing import Any

from mininet import nodelib
from mininet.link import TCLink
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import CPULimitedHost
from mininet.nodelib import NAT, LinuxBridge
from mininet.topo import Topo


class TwoSides(Topo):  # type: ignore[misc]
    """h1, NAT of a private network, and h0 outside: the shape of Mininet's natnet.py."""

    def build(self) -> None:
        outside, inside = self.addSwitch("s0"), self.addSwitch("s1")
        self.addLink(outside, self.addHost("h0"))
        nat = self.addNode("nat1", cls=NAT, subnet="192.168.1.0/24", localIntf="nat1-eth1")
        self.addLink(nat, outside)
        self.addLink(nat, inside, intfName1="nat1-eth1", params1={"ip": "192.168.1.1/24"})
        self.addLink(self.addHost("h1", ip="192.168.1.100/24", defaultRoute="via 192.168.1.1"), inside)


class OwnNAT(NAT):  # type: ignore[misc]
    """A NAT that calls the methods of Mininet's by name."""

    def config(self, **params: Any) -> Any:
        self.called = "config"
        return NAT.config(self, **params)

    def terminate(self) -> None:
        self.called = "terminate"
        super().terminate()


class OwnLimited(CPULimitedHost):  # type: ignore[misc]
    """A host with a limit that calls the methods of Mininet's by name."""

    def __init__(self, name: str, **params: Any) -> None:
        CPULimitedHost.__init__(self, name, **params)
        self.called = "constructor"

    def config(self, cpu: float = -1, **params: Any) -> Any:
        return super().config(cpu=cpu / 2, **params)


def pinged(host: Any, address: str) -> str:
    printed = host.cmd(f"ping -c 1 -W 2 {address}")
    return str(re.findall(r"\d+ packets transmitted, \d+ received|Net Unreachable|unreachable", printed)[0])


def rules(host: Any, *options: str) -> list[str]:
    return str(host.cmd("iptables", *options, "-S")).replace("\r", "").split("\n")


def private_network(net: Any) -> list[Any]:
    """Return what a network with a NAT of its own namespace shows."""
    h0, h1, nat = net.get("h0", "h1", "nat1")
    return [
        pinged(h1, "10.0.0.1"),
        pinged(h0, "192.168.1.100"),
        h1.cmd("ip route"),
        rules(nat),
        rules(nat, "-t nat"),
        nat.cmd("cat /proc/sys/net/ipv4/ip_forward"),
        [nat.subnet, str(nat.localIntf), nat.flush, nat.inNamespace],
    ]


def added_nat(net: Any, **options: Any) -> list[Any]:
    """Return what net.addNAT() shows."""
    net.addHost("h1")
    net.addHost("h2", inNamespace=True)
    switch = net.addSwitch("s1")
    for host in list(net.hosts):
        net.addLink(host, switch)
    net.build()
    nat = net.addNAT(**options)
    nat.configDefault()
    net.start()
    h1 = net["h1"]
    found = [
        net.pingAll(),
        h1.cmd("ip route"),
        sorted(set(rules(nat))),
        sorted(set(rules(nat, "-t nat"))),
        [nat.subnet, str(nat.localIntf), nat.IP(), nat.inNamespace, net["nat0"] is nat],
        pinged(h1, "203.0.113.1"),
    ]
    nat.cmd("ip link add out type dummy; ip addr add 203.0.113.1/24 dev out; ip link set out up")
    found.append(pinged(h1, "203.0.113.1"))
    nat.cmd("ip link del out")
    return found


def limited(net: Any) -> list[Any]:
    """Return what hosts with limits show."""
    switch = net.addSwitch("s1")
    hosts: dict[str, dict[str, Any]] = {
        "h1": {},
        "h2": {"cpu": 0.5},
        "h3": {"cpu": 0.001},
        "h4": {"cls": OwnLimited, "cpu": 0.5},
    }
    for name, options in hosts.items():
        net.addLink(net.addHost(name, **options), switch)
    net.start()
    found: list[Any] = [net.pingAll()]
    for host in net.hosts:
        quota = [host.cgroupGet(name) for name in ("cfs_period_us", "cfs_quota_us")]
        found.append([host.name, host.sched, host.period_us, quota, host.cmd("nproc")])
    net["h1"].setCPUFrac(0.3)
    net["h2"].setCPUFrac(-1)
    found += [net["h4"].called, *(net[name].cgroupGet("cfs_quota_us") for name in ("h1", "h2"))]
    return found


def main() -> None:
    """Try each kind of host."""
    setLogLevel("critical")
    found: dict[str, Any] = {}
    options = {"switch": LinuxBridge, "controller": None, "link": TCLink}
    net = Mininet(topo=TwoSides(), **options)
    net.start()
    found["a NAT of its own namespace"] = private_network(net)
    net.stop()
    for name, given in {"addNAT()": {}, "addNAT() with a class": {"inNamespace": True, "flush": True}}.items():
        net = Mininet(**options)
        found[name] = added_nat(net, **given)
        net.stop()
    net = Mininet(**options)
    own = net.addHost("n", cls=OwnNAT)
    net.addLink(own, net.addSwitch("s1"))
    net.start()
    found["a class derived from NAT"] = [own.called, own.subnet, rules(own, "-t nat")]
    net.stop()
    found["a class derived from NAT"].append(own.called)
    net = Mininet(host=partial(CPULimitedHost, cpu=0.1), **options)
    found["limits"] = limited(net)
    net.stop()
    print(json.dumps(found, default=str))


if __name__ == "__main__":
    if "stock" in sys.argv:
        nodelib.open = lambda *_arguments: io.StringIO()
    main()
