"""A network that both Mininet and lab7 start, and what its hosts print; as a program, Mininet's own outputs in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

MAC = "00:00:00:00:00:02"


class HostsTopo(Topo):  # type: ignore[misc]
    """h1 and h2 ── s1 ── r ── s2 ── h3, and h4 at a third interface of the router r."""

    def build(self) -> None:
        near, far = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(self.addHost("h1"), near)
        self.addLink(self.addHost("h2", ip="10.0.0.20/8", mac=MAC), near)
        self.addLink(self.addHost("r", ip="10.0.0.254/8"), near)
        self.addLink("r", far, params1={"ip": "192.168.1.1/24"})
        self.addLink(self.addHost("h3", ip="192.168.1.3/24", defaultRoute="via 192.168.1.1"), far)
        fourth = self.addHost("h4", ip="172.16.0.4/12", defaultRoute="via 172.16.0.1")
        self.addLink("r", fourth, intfName1="r-out", params1={"ip": "172.16.0.1/12"})


def _same(text: str) -> str:
    return text


def _without(pattern: str, replacement: str = "") -> Callable[[str], str]:
    return lambda text: re.sub(pattern, replacement, text, flags=re.MULTILINE)


# The number of the peer's interface, MAC addresses that Mininet draws at random, times, counters, IPv6.
_PEER = _without(r"@if\d+ *| link-netnsid \d+", " ")
_TIMES = _without(r"time[= ][\d.]+ ?ms|(?<=mdev = )[\d./]+")
_IPV6 = _without(r"^ *inet6 .*\n")


def _ifconfig(text: str) -> str:
    return _without(r"(?<=packets )\d+ .*")(_IPV6(_without(r"ether \S+")(text)))


def _learned(text: str) -> str:
    """Keep whether an entry is complete, not its age."""
    return _without(r" (?:INCOMPLETE|FAILED)\b", " unknown")(_without(r" (?:REACHABLE|DELAY|STALE)\b", " known")(text))


@dataclass(frozen=True)
class Statement:
    """A command in a host that prints the same in both, as far as `kept` keeps it."""

    host: str
    command: str
    kept: Callable[[str], str] = _same


# In this order: what hosts know of each other depends on what was sent before.
STATEMENTS = (
    Statement("h1", "ip neigh"),
    Statement("h1", "arp -n"),
    Statement("h1", "ip -4 addr", _PEER),
    Statement("r", "ip -4 -br addr", _PEER),
    Statement("h2", "ip -br link show h2-eth0", _PEER),
    Statement("h1", "ip route"),
    Statement("h3", "ip route"),
    Statement("r", "ip route"),
    Statement("h3", "route -n"),
    Statement("h1", "ping -c1 10.0.0.20", _TIMES),
    Statement("h1", "ip neigh show 10.0.0.20", _learned),
    Statement("h1", "arp -n 10.0.0.20"),
    Statement("h1", "cat /proc/net/arp", _without(r" +")),
    Statement("h1", "ping -c1 192.168.1.3"),
    Statement("h1", "ping -c1 -W1 -s 2000 -M do 10.0.0.20", _TIMES),
    Statement("h3", "ping -c1 172.16.0.1", _TIMES),
    Statement("h3", "ping -c1 -W1 172.16.0.4", _TIMES),
    Statement("r", "sysctl -w net.ipv4.ip_forward=1"),
    Statement("h3", "ping -c1 172.16.0.4", _TIMES),
    Statement("h1", "sysctl net.ipv4.ip_forward"),
    Statement("h1", "ifconfig h1-eth0", _ifconfig),
    Statement("h1", "ls /sys/class/net"),
    Statement("r", "ls /sys/class/net"),
    Statement("h2", "cat /sys/class/net/h2-eth0/address /sys/class/net/h2-eth0/mtu /sys/class/net/h2-eth0/operstate"),
    Statement("h1", "cut -d: -f1 /proc/net/dev"),
    Statement("h1", "cat /proc/net/route"),
    Statement("h1", "ls /proc/sys/net/ipv4/conf"),
    Statement("h1", "brctl show"),
    Statement("h1", "ip netns"),
    Statement("h1", "ss -tuln"),
    Statement("h1", "ethtool -i h1-eth0"),
    Statement("h1", "ethtool h1-eth0"),
    Statement("h1", "tc qdisc show dev h1-eth0"),
    Statement("h1", "ip rule"),
    Statement("h1", "sysctl -a --pattern 'net.ipv4.conf.h1-eth0.(rp_filter|accept_redirects|arp_ignore|proxy_arp)'"),
    Statement("h1", "ping -c1 -W1 10.99.0.1", _TIMES),
    Statement("h1", "ip neigh show 10.99.0.1", _learned),
)


def outputs(net: Any) -> list[str]:
    """Run the statements in the hosts of a running network; return what each printed, without carriage returns."""
    return [net.get(each.host).cmd(each.command).replace("\r", "") for each in STATEMENTS]


def main() -> None:
    """Start the network as Mininet does, with Linux bridges, and print the outputs."""
    net = Mininet(topo=HostsTopo(), switch=LinuxBridge, controller=None)
    net.start()
    try:
        print(json.dumps(outputs(net)))
    finally:
        net.stop()


if __name__ == "__main__":
    main()
