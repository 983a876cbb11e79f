"""A script written for Mininet, for `sudo python3 two_hosts.py` or `lab7 script two_hosts.py`.

h1 ── s1 ── h2        addresses: Mininet's, from 10.0.0.1/8
"""

from __future__ import annotations

from mininet.link import TCLink
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Controller
from mininet.util import dumpNodeConnections


def run() -> None:
    """Start two hosts with a slow link, and try them."""
    net = Mininet(controller=Controller, link=TCLink, autoSetMacs=True)
    net.addController("c0")
    h1, h2 = net.addHost("h1"), net.addHost("h2")
    s1 = net.addSwitch("s1")
    net.addLink(h1, s1, bw=10, delay="5ms")
    net.addLink(h2, s1)
    net.start()
    dumpNodeConnections(net.hosts)
    print("lost:", net.pingAll(), "%")
    print(h2.cmd("cat /sys/class/net/h2-eth0/address").strip())
    net.stop()


if __name__ == "__main__":
    setLogLevel("warning")
    run()
