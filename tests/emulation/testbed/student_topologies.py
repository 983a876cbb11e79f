"""Forty topologies in the styles of courses and tutorials, for `mn --custom FILE --topo NAME` and lab7 alike.

Hosts are few, so that all pairs can be tried; nothing is shaped so that a ping could be lost.
"""

# As people write them: without types, and with the idioms of other versions of Python.
# mypy: ignore-errors
# ruff: noqa: UP008, UP031

from __future__ import annotations

from functools import partial

from mininet.link import Intf, Link, TCIntf, TCLink, TCULink
from mininet.node import Host, Node
from mininet.nodelib import LinuxBridge
from mininet.topo import LinearTopo, MinimalTopo, SingleSwitchReversedTopo, SingleSwitchTopo, Topo
from mininet.topolib import TreeTopo
from mininet.util import custom, irange


class LinuxRouter(Node):
    """The router of Mininet's own example."""

    def config(self, **params):
        super(LinuxRouter, self).config(**params)
        self.cmd("sysctl net.ipv4.ip_forward=1")

    def terminate(self):
        self.cmd("sysctl net.ipv4.ip_forward=0")
        super(LinuxRouter, self).terminate()


class OldStyleRouter(Node):
    """A router that calls the methods of its base by name."""

    def __init__(self, name, **params):
        Node.__init__(self, name, **params)
        self.started = True

    def config(self, **params):
        result = Node.config(self, **params)
        self.cmd("echo 1 > /proc/sys/net/ipv4/ip_forward")
        return result


class RoutedHost(Host):
    """A host with parameters of its own."""

    def __init__(self, name, gateway=None, *args, **kwargs):
        self.gateway = gateway
        super().__init__(name, *args, **kwargs)

    def config(self, mtu=1500, **params):
        result = super().config(**params)
        self.cmd(f"ip link set {self.defaultIntf()} mtu {mtu}")
        if self.gateway:
            self.setDefaultRoute(f"via {self.gateway}")
        return result


class AliasHost(Host):
    """A host that configures itself through its interface object."""

    def config(self, alias=None, **params):
        super().config(**params)
        if alias:
            interface = self.defaultIntf()
            self.cmd("ip addr add %s dev %s" % (alias, interface))
            self.cmdPrint("true")


class CampusLink(TCLink):
    def __init__(self, node1, node2, **options):
        options.setdefault("bw", 100)
        TCLink.__init__(self, node1, node2, **options)


class NamedLink(Link):
    """A link that names its interfaces by their peers."""

    def __init__(self, node1, node2, **options):
        options.update(intfName1=f"{node1}-{node2}", intfName2=f"{node2}-{node1}")
        super().__init__(node1, node2, **options)


class LowMtu(TCIntf):
    def config(self, mtu=1400, **params):
        result = super().config(**params)
        self.cmd("ip link set dev", self.name, "mtu", mtu)
        return result


class QuietBridge(LinuxBridge):
    """A switch of a course: it starts as its base does, and notes what it did."""

    def start(self, controllers):
        LinuxBridge.start(self, controllers)
        self.ran = self.cmd("echo started").strip()


class OwnBridge(LinuxBridge):
    def __init__(self, name, **params):
        super(OwnBridge, self).__init__(name, **params)

    def start(self, controllers):
        super(OwnBridge, self).start(controllers)
        self.count = len(self.intfList())


class Pair(Topo):
    def build(self):
        self.addLink(self.addHost("h1"), self.addHost("h2"))


class MyFirstTopo(Topo):
    """Mininet's custom/topo-2sw-2host.py, written with __init__."""

    def __init__(self):
        Topo.__init__(self)
        left, right = self.addHost("h1"), self.addHost("h2")
        near, far = self.addSwitch("s3"), self.addSwitch("s4")
        self.addLink(left, near)
        self.addLink(near, far)
        self.addLink(far, right)


class InitWithParameters(Topo):
    def __init__(self, n=3, **opts):
        super(InitWithParameters, self).__init__(**opts)
        switch = self.addSwitch("s1")
        for h in range(n):
            self.addLink(self.addHost("h%s" % (h + 1)), switch)


class Star(Topo):
    def build(self, arms=4):
        centre = self.addSwitch("s0")
        for arm in irange(1, arms):
            host = self.addHost(f"h{arm}", ip=f"192.168.0.{arm}/24", mac=f"00:00:00:00:00:{arm:02x}")
            self.addLink(host, self.addSwitch(f"s{arm}"))
            self.addLink(f"s{arm}", centre)


class Dumbbell(Topo):
    def build(self, bottleneck=10):
        left, right = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(left, right, cls=TCLink, bw=bottleneck, delay="1ms", max_queue_size=100, use_htb=True)
        for number in (1, 2):
            self.addLink(self.addHost(f"sender{number}"), left, cls=TCLink, bw=100)
            self.addLink(self.addHost(f"receiver{number}"), right, cls=TCLink, bw=100, loss=0)


class Datacenter(Topo):
    """Racks below one core, with options for all nodes of a kind."""

    def __init__(self, racks=2, per_rack=2):
        Topo.__init__(self, hopts={"cls": Host}, sopts={"cls": LinuxBridge}, lopts={"bw": 100})
        core = self.addSwitch("c0")
        for rack in irange(1, racks):
            top = self.addSwitch(f"tor{rack}")
            self.addLink(top, core)
            for slot in irange(1, per_rack):
                self.addLink(self.addHost(f"r{rack}h{slot}"), top)


class TwoSubnets(Topo):
    """Mininet's linuxrouter.py with two networks."""

    def build(self, **_opts):
        router = self.addNode("r0", cls=LinuxRouter, ip="192.168.1.1/24")
        s1, s2 = [self.addSwitch(name) for name in ("s1", "s2")]
        self.addLink(s1, router, intfName2="r0-eth1", params2={"ip": "192.168.1.1/24"})
        self.addLink(s2, router, intfName2="r0-eth2", params2={"ip": "172.16.0.1/12"})
        h1 = self.addHost("h1", ip="192.168.1.100/24", defaultRoute="via 192.168.1.1")
        h2 = self.addHost("h2", ip="172.16.0.100/12", defaultRoute="via 172.16.0.1")
        for host, switch in [(h1, s1), (h2, s2)]:
            self.addLink(host, switch)


class ThreeSubnets(Topo):
    def build(self):
        router = self.addHost("r1", cls=OldStyleRouter, ip="10.1.0.1/24")
        for number in (1, 2, 3):
            switch = self.addSwitch(f"s{number}")
            self.addLink(router, switch, params1={"ip": f"10.{number}.0.1/24"})
            host = self.addHost(f"h{number}", ip=f"10.{number}.0.10/24", defaultRoute=f"via 10.{number}.0.1")
            self.addLink(host, switch)


class RouterWithoutSwitch(Topo):
    def build(self):
        router = self.addHost("r", cls=LinuxRouter, ip=None)
        for number in (1, 2):
            host = self.addHost(f"h{number}", ip=f"10.0.{number}.2/24", defaultRoute=f"via 10.0.{number}.1")
            self.addLink(host, router, params2={"ip": f"10.0.{number}.1/24"})


class LinkAddressAndDefault(Topo):
    """A host without ip= whose link gives an address: Mininet's counted address replaces it."""

    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1"), switch, params1={"ip": "192.168.5.1/24"})
        self.addLink(self.addHost("h2", ip=None), switch, params1={"ip": "10.0.0.7/8"})
        self.addLink(self.addHost("h3"), switch)


class NoAddress(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        for name, options in {"h1": {}, "monitor": {"ip": None}, "h3": {}}.items():
            self.addLink(self.addHost(name, **options), switch)


class AddressWithoutPrefix(Topo):
    def build(self):
        self.addLink(self.addHost("h1", ip="10.3.0.1"), self.addHost("h2", ip="10.4.0.1"))


class MacsByLink(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1"), switch, addr1="00:00:00:00:01:01", addr2="00:00:00:00:01:02")
        self.addLink(switch, self.addHost("h2", mac="00:00:00:00:02:02"))
        self.addLink(self.addHost("h3", mac="00:00:00:00:03:03"), switch, addr1="00:00:00:00:04:04")


class PortNumbers(Topo):
    """Mininet's numberedports.py."""

    def build(self):
        s1, s2 = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(self.addHost("h1"), s1, port2=5)
        self.addLink(self.addHost("h2"), s2, port1=3, port2=2)
        self.addLink(s1, s2, port1=9, port2=9)


class TwoInterfaces(Topo):
    """A host at two networks, by two links (multilink.py)."""

    def build(self):
        s1, s2 = self.addSwitch("s1"), self.addSwitch("s2")
        middle = self.addHost("h2", ip="10.1.0.2/24")
        self.addLink(self.addHost("h1", ip="10.1.0.1/24"), s1)
        self.addLink(middle, s1)
        self.addLink(middle, s2, params1={"ip": "10.2.0.2/24"})
        self.addLink(self.addHost("h3", ip="10.2.0.3/24"), s2)


class TwoLinksBetweenHosts(Topo):
    def build(self):
        h1, h2 = self.addHost("h1", ip="10.1.0.1/24"), self.addHost("h2", ip="10.1.0.2/24")
        self.addLink(h1, h2)
        self.addLink(h1, h2, params1={"ip": "10.2.0.1/24"}, params2={"ip": "10.2.0.2/24"})


class Unconnected(Topo):
    def build(self):
        self.addLink(self.addHost("h1"), self.addSwitch("s1"))
        self.addLink(self.addHost("h2"), self.addSwitch("s2"))
        self.addHost("alone")


class CapitalsAndDashes(Topo):
    def build(self):
        office = self.addSwitch("Office-1")
        for name in ("Alice", "BOB", "web-srv", "db_1"):
            self.addLink(self.addHost(name), office)


class LongNames(Topo):
    """Names whose interfaces would be too long, so that the links name them."""

    def build(self):
        switch = self.addSwitch("s1")
        for number, name in enumerate(("headquarters-server", "branch-office-client"), start=1):
            self.addLink(self.addHost(name), switch, intfName1=f"eth{number}")


class InterfaceNames(Topo):
    """Mininet's intfoptions.py and names as on a PC."""

    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1"), switch, intfName1="eth0")
        self.addLink(switch, self.addHost("h2"), intfName2="enp0s3")


class AllLinkParameters(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        options = {"bw": 10, "delay": "2ms", "jitter": "0ms", "loss": 0, "max_queue_size": 1000, "use_htb": True}
        self.addLink(self.addHost("h1"), switch, cls=TCLink, **options)
        self.addLink(self.addHost("h2"), switch, cls=TCULink, bw=20)
        self.addLink(self.addHost("h3"), switch, cls=Link, fast=False)
        self.addLink(self.addHost("h4"), switch, intf=TCIntf, delay=".5ms")


class StringParameters(Topo):
    def build(self, delay=" 1 ms ", subnet="10.0.0.0/24"):
        link = partial(self.addLink, delay=delay.replace(" ", ""))
        base = subnet.rsplit(".", 1)[0]
        switch = self.addSwitch("s1")
        for number in (1, 2):
            link(self.addHost(f"h{number}", ip=f"{base}.{number}/24"), switch)


class OwnLinks(Topo):
    def build(self):
        s1, s2 = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(self.addHost("h1"), s1, cls=CampusLink)
        self.addLink(s1, s2, cls=CampusLink, delay="1ms")
        self.addLink(self.addHost("h2"), s2, cls=partial(TCLink, bw=50))
        self.addLink(self.addHost("h3"), s2, cls=custom(TCLink, bw=50))


class LinksWithNames(Topo):
    def build(self):
        self.addLink(self.addHost("h1"), self.addSwitch("s1"), cls=NamedLink)
        self.addLink("s1", self.addHost("h2"), cls=NamedLink)


class OwnInterfaces(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1"), switch, cls1=LowMtu)
        self.addLink(self.addHost("h2"), switch, intf=Intf, params1={"ifconfig": "mtu 1300"})


class OwnHosts(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1", cls=RoutedHost, gateway="10.0.0.3", mtu=1450), switch)
        self.addLink(self.addHost("h2", cls=AliasHost, alias="10.9.9.2/8"), switch)
        self.addLink(self.addHost("h3", cls=partial(RoutedHost, mtu=1300)), switch)


class OwnSwitches(Topo):
    def build(self):
        s1, s2 = self.addSwitch("s1", cls=QuietBridge), self.addSwitch("s2", cls=OwnBridge)
        self.addLink(s1, s2)
        self.addLink(self.addHost("h1"), s1)
        self.addLink(self.addHost("h2"), s2)


class StockClasses(Topo):
    """The switches are Linux bridges on both sides: Open vSwitch is not everywhere."""

    def build(self):
        switch = self.addSwitch("s1", cls=LinuxBridge, stp=False, prio=7)
        self.addLink(self.addHost("h1", cls=Node), switch, cls=Link)
        self.addLink(self.addHost("h2", cls=Host), switch, cls=TCLink, cls1=TCIntf, cls2=Intf)


class SwitchOptions(Topo):
    def build(self):
        s1 = self.addSwitch("s1", dpid="00:00:00:00:00:00:00:0a", failMode="standalone", protocols="OpenFlow13")
        s2 = self.addSwitch("s2", dpid="1000000000000002", listenPort=6634, opts="")
        s3 = self.addSwitch("leaf", dpid="7")
        for switch, host in ((s1, "h1"), (s2, "h2"), (s3, "h3")):
            self.addLink(self.addHost(host), switch)
        self.addLink(s1, s2)
        self.addLink(s2, s3)


class PrivateFolders(Topo):
    """Mininet's bind.py."""

    def build(self):
        folders = [("/var/log", "/run/private/%(name)s/log"), "/var/run", "/var/mn"]
        switch = self.addSwitch("s1")
        for number in (1, 2):
            self.addLink(self.addHost(f"h{number}", privateDirs=folders), switch)


class Partitioned(Topo):
    """Hosts of one switch in networks of their own: they do not reach each other."""

    def build(self):
        switch = self.addSwitch("s1")
        for number in range(1, 5):
            self.addLink(self.addHost(f"h{number}", ip=f"10.{number % 2}.0.{number}/16"), switch)


class RouteByInterface(Topo):
    def build(self):
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1", ip="10.1.0.1/24", defaultRoute="h1-eth0"), switch)
        self.addLink(self.addHost("h2", ip="10.2.0.1/24", defaultRoute="dev h2-eth0"), switch)


class LoopbackDown(Topo):
    def build(self):
        self.addLink(self.addHost("h1", lo="down"), self.addHost("h2"))


class ChainOfRouters(Topo):
    """Two routers, with routes that their class adds."""

    class Static(LinuxRouter):
        def config(self, routes=(), **params):
            super().config(**params)
            for route in routes:
                self.cmd("ip route add " + route)

    def build(self):
        routes = {"r1": ["10.3.0.0/24 via 10.2.0.2"], "r2": ["10.1.0.0/24 via 10.2.0.1"]}
        r1 = self.addHost("r1", cls=self.Static, ip="10.1.0.1/24", routes=routes["r1"])
        r2 = self.addHost("r2", cls=self.Static, ip="10.3.0.1/24", routes=routes["r2"])
        self.addLink(self.addHost("h1", ip="10.1.0.9/24", defaultRoute="via 10.1.0.1"), r1)
        self.addLink(self.addHost("h2", ip="10.3.0.9/24", defaultRoute="via 10.3.0.1"), r2)
        self.addLink(r1, r2, params1={"ip": "10.2.0.1/24"}, params2={"ip": "10.2.0.2/24"})


class Diamond(Topo):
    """Two ways between the ends, of which the spanning tree takes one."""

    def build(self):
        s1, s2, s3, s4 = [self.addSwitch(f"s{number}", cls=LinuxBridge, stp=True) for number in irange(1, 4)]
        for here, there in ((s1, s2), (s1, s3), (s2, s4), (s3, s4)):
            self.addLink(here, there)
        self.addLink(self.addHost("h1"), s1)
        self.addLink(self.addHost("h2"), s4)


class Ring(Topo):
    def build(self, n=3):
        switches = [self.addSwitch(f"s{number + 1}", stp=True) for number in range(n)]
        for number, switch in enumerate(switches):
            self.addLink(switch, switches[(number + 1) % n])
            self.addLink(self.addHost(f"h{number + 1}"), switch)


topos = {
    "minimal": MinimalTopo,
    "single": lambda: SingleSwitchTopo(4),
    "reversed": lambda: SingleSwitchReversedTopo(3),
    "linear": lambda: LinearTopo(3),
    "linear-2": lambda: LinearTopo(k=2, n=2),
    "tree": lambda: TreeTopo(depth=2, fanout=2),
    "pair": Pair,
    "2sw-2host": MyFirstTopo,
    "init": InitWithParameters,
    "star": Star,
    "dumbbell": Dumbbell,
    "datacenter": Datacenter,
    "router": TwoSubnets,
    "router-3": ThreeSubnets,
    "router-no-switch": RouterWithoutSwitch,
    "routers": ChainOfRouters,
    "link-address": LinkAddressAndDefault,
    "no-address": NoAddress,
    "no-prefix": AddressWithoutPrefix,
    "macs": MacsByLink,
    "ports": PortNumbers,
    "two-interfaces": TwoInterfaces,
    "two-links": TwoLinksBetweenHosts,
    "unconnected": Unconnected,
    "capitals": CapitalsAndDashes,
    "long-names": LongNames,
    "interface-names": InterfaceNames,
    "link-parameters": AllLinkParameters,
    "strings": StringParameters,
    "own-links": OwnLinks,
    "own-link-names": LinksWithNames,
    "own-interfaces": OwnInterfaces,
    "own-hosts": OwnHosts,
    "own-switches": OwnSwitches,
    "stock-classes": StockClasses,
    "switch-options": SwitchOptions,
    "private-folders": PrivateFolders,
    "partitioned": Partitioned,
    "route-by-interface": RouteByInterface,
    "loopback-down": LoopbackDown,
    "diamond": Diamond,
    "ring": Ring,
}
