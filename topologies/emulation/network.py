"""Network class of lab7, derived from Mininet's: uses lab7's nodes and links, and changes no machine-wide settings."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from mininet.log import output
from mininet.net import Mininet
from mininet.node import Controller, DefaultController, Node, NullController, OVSController, OVSSwitch
from mininet.topo import Topo

from lab7.topologies.emulation import classes, tools, topology_checks
from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.links import wires
from lab7.topologies.emulation.links.interface import Interface
from lab7.topologies.emulation.links.link import EmulatedLink
from lab7.topologies.emulation.links.plan import Plan
from lab7.topologies.emulation.loops import find_loop_among
from lab7.topologies.emulation.node import Bridge, Host, LazyShell
from lab7.topologies.emulation.process import iperf
from lab7.topologies.emulation.watch import LabDied

# Group number of interfaces that are deleted together (ip-link(8)): "lab7" in ASCII, which no machine uses.
GROUP = 0x6C616237

Equip = Callable[[Any], None]
# Mininet controllers under which each switch is a learning bridge; a testbed's switches learn without a controller.
LEARNING = (Controller, OVSController, DefaultController)


class Owner(Protocol):
    """Interface of the testbed that owns a network; the network calls it when parts are added or removed."""

    plan: Plan

    def prepare_names(self, name: str, given: Mapping[str, Any]) -> None:
        """Write the /etc files of a host that is about to join the network."""

    def publish_name(self, host: Host) -> None:
        """Add a host that has joined the network to /etc/hosts of all hosts."""

    def withdraw_name(self, host: Host) -> None:
        """Remove a host that has left the network from /etc/hosts of all hosts."""

    def renew_tables(self) -> None:
        """Set the neighbour and forwarding tables of all nodes again, after a node or a link has changed."""


def controller_refusal(name: Any, kind: Any) -> str:
    """Return the error message for a controller that lab7 does not support: any but Mininet's default ones."""
    # A function that makes controllers, such as `lambda name: RemoteController(name, port=6653)`, has no useful name.
    called = f"a {kind.__name__}" if isinstance(kind, type) else "made by a function"
    return (
        f"the controller {name} is {called}, and a testbed has no OpenFlow: its switches learn and forward by "
        "themselves, so leave it out (controller=None)"
    )


class LearningController(LazyShell, Controller):  # type: ignore[misc]
    """Substitute for Mininet's default controller, which makes switches learn.

    A testbed's switches learn without one.
    """

    def __init__(self, name: str, ip: str = "127.0.0.1", port: int = 6653, protocol: str = "tcp", **params: Any):
        self.ip, self.port, self.protocol = ip, port, protocol
        params["inNamespace"] = False
        Node.__init__(self, name, **params)

    def checkListening(self) -> None:  # noqa: N802
        """Do nothing, because no controller process runs."""

    def start(self) -> None:
        """Do nothing, because the switches learn without a controller."""

    def stop(self, *_args: Any, **_options: Any) -> None:
        """Do nothing, because no controller process runs."""


class Network(Mininet):  # type: ignore[misc]
    """Mininet with lab7's nodes and links and deterministic MAC addresses, without changes of machine-wide settings.

    is_open: the nodes and links of the topology, which were validated together, have been built. Nodes and links added
    later are validated one by one, and reported to the testbed.
    """

    def __init__(self, topo: Topo | None, controller: Any = None, **options: Any) -> None:
        self._link_numbers = count(1)
        self.is_open = self.is_up = False
        # Mininet.init() is skipped, because it raises machine-wide limits; a testbed raises only its process's limits.
        Mininet.inited = True
        super().__init__(topo=topo, controller=controller, **{**options, "build": False})
        # Class of each kind of node or link that is added without cls=; equip() replaces `switch` and others.
        self._kinds: dict[str, Any] = {}

    def equip(self, equips: Mapping[type, Equip], switch: type, testbed: Owner) -> None:
        """Set the attributes of the network that come from its testbed; called before nodes are added.

        equips: class of nodes or links -> function that sets the testbed's attributes on a new object; switch: class of
        switches.
        """
        self._equips = equips
        self._own_switch = switch
        self._testbed = testbed

    @property
    def plan(self) -> Plan:
        """Return the pending changes of the network, which have not been applied to the kernel yet."""
        return self._testbed.plan

    def take_down(self) -> None:
        """Stop all nodes, as Mininet.stop does."""
        self.is_open = self.is_up = False
        self.delete_devices()
        super().stop()

    def delete_devices(self) -> None:
        """Delete the switches and all interfaces in their namespace, and thereby the hosts' interfaces (veth peers).

        The interfaces are deleted as one group, so that the kernel waits for RCU readers once: 20 pairs take 0.03 s
        instead of 0.4 s.
        """
        wires.stop([link.wire for link in self.links if link.wire is not None])
        names = [switch.name for switch in self.switches]
        ports = [interface.name for switch in self.switches for interface in switch.intfList()]
        names += [name for name in ports if name != "lo"]
        names += [interface for link in self.links for interface in link.inner_interfaces]
        there = [name for name in names if Path("/proc/sys/net/ipv4/conf", name).exists()]
        if there:
            # An interface may have vanished with its peer's namespace, and the kernel refuses to delete Open vSwitch's.
            with suppress(EmulationError, LabDied):
                lines = [f"link set dev {name} group {GROUP}" for name in there]
                tools.batch("ip", [*lines, f"link delete group {GROUP}"], all_of_them=True)

    def build(self) -> None:
        """Create the nodes and links of the topology together, as Mininet.build does."""
        with self.plan.together():
            super().build()

    def addHost(self, name: str, cls: Any = None, **options: Any) -> Any:  # noqa: N802
        """Add a host, whose class `cls` is combined with lab7's Host. Raises TopologyError and EmulationError."""
        options = self._with_kind("host", cls, options)
        classes.unwrap(options)
        own = classes.host_class(options)
        if options.get("privateDirs", ()) is None:
            del options["privateDirs"]
        if not self.is_open:
            return super().addHost(name, **self._with_class(options, own))
        self._check_new(name)
        topology_checks.check_host(name, options)
        self._testbed.prepare_names(name, options)
        made = super().addHost(name, **self._with_class(options, own))
        self._testbed.publish_name(made)
        return made

    def addSwitch(self, name: str, cls: Any = None, **options: Any) -> Any:  # noqa: N802
        """Add a switch, whose class `cls` is combined with lab7's Bridge or OpenVSwitch."""
        options = self._with_kind("switch", cls, options)
        classes.unwrap(options)
        kind = options.get("cls")
        # A user's class becomes a Linux bridge, even if all other switches are Open vSwitch, unless derived from
        # OVSSwitch.
        is_open_vswitch = kind is None or kind in classes.SWITCHES or issubclass(kind, OVSSwitch)
        own = self._own_switch if is_open_vswitch else Bridge
        if self.is_open:
            self._check_new(name)
            topology_checks.check_switch(name, options)
        return super().addSwitch(name, **self._with_class(options, own))

    def addLink(  # noqa: N802
        self, node1: Any, node2: Any, port1: Any = None, port2: Any = None, cls: Any = None, **options: Any
    ) -> Any:
        """Add a link between two nodes or node names; its class `cls` is combined with lab7's EmulatedLink."""
        options = self._with_kind("link", cls, options)
        nodes = [self[node] if isinstance(node, str) else node for node in (node1, node2)]
        if self.is_open:
            topology_checks.check_link([(node.name, node in self.switches) for node in nodes], options)
            self._check_loop((nodes[0].name, nodes[1].name))
        number = next(self._link_numbers)
        intf = options.pop("intf", None) or self._kinds.get("intf")
        for end, (node, port) in enumerate(zip(nodes, (port1, port2), strict=True), start=1):
            if mac := self._mac_of_first_interface(node, port):
                options.setdefault(f"addr{end}", mac)
            # RFC 7042 section 2.1: bit 0x02 of the first octet of a MAC address marks it as locally administered.
            address = f"02:00:00:{number >> 8:02x}:{number & 255:02x}:{end:02x}"
            if options.get(f"addr{end}") is None:
                options[f"addr{end}"] = address
            kind = options.get(f"cls{end}") or intf
            options[f"cls{end}"] = classes.combined(kind, Interface)
        made = super().addLink(*nodes, port1, port2, **self._with_class(options, EmulatedLink))
        self._testbed.renew_tables()
        return made

    def addController(self, name: Any = "c0", controller: Any = None, **params: Any) -> Any:  # noqa: N802
        """Add the substitute for Mininet's default controller; return None for a network without a controller.

        Raises EmulationError for any other controller, since a testbed has no OpenFlow.
        """
        options = {**params, "cls": controller or self.controller or DefaultController}
        classes.unwrap(options)
        kind = options.pop("cls")
        if kind is NullController:
            return None
        if kind not in LEARNING:
            raise EmulationError(controller_refusal(name, kind))
        self._check_new(name)
        taken = {key: options[key] for key in ("ip", "port", "protocol") if key in options}
        return super().addController(name, LearningController, **taken)

    def _with_kind(self, part: str, given: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a node or link with `cls` set: to the given class, else the network's default."""
        kind = given or self._kinds.get(part)
        return {**options, "cls": kind} if kind is not None else options

    def _check_new(self, name: str) -> None:
        if name in self:
            raise EmulationError(f"a node {name!r} exists in this network already: choose another name")

    def _check_loop(self, new: tuple[str, str]) -> None:
        forwarding = [switch.name for switch in self.switches if not getattr(switch, "stp", False)]
        if loop := find_loop_among(forwarding, [*self.names_of_links(), new]):
            raise TopologyError(topology_checks.loop_message(loop))

    def names_of_links(self) -> list[tuple[str, str]]:
        """Return (node, node), the names of both ends, for every link."""
        return [(link.intf1.node.name, link.intf2.node.name) for link in self.links]

    def delLink(self, link: Any) -> None:  # noqa: N802
        """Remove a link, and its ends' addresses from the neighbour and forwarding tables of other nodes."""
        ends = [(end.name, end.node.namespace_pid) for end in (link.intf1, link.intf2)]
        super().delLink(link)
        if all(pid for _, pid in ends):
            # In a link between two hosts no end is in the switches' namespace, so remove one end explicitly.
            name, pid = ends[0]
            with suppress(EmulationError):
                tools.batch("ip", [f"link delete dev {name}"], pid)
        self._testbed.renew_tables()

    def delNode(self, node: Any, nodes: Any = None) -> None:  # noqa: N802
        """Remove a node, its links and its names in /etc/hosts; Mininet's would keep the links, without interfaces."""
        for link in [link for link in self.links if node in (link.intf1.node, link.intf2.node)]:
            self.delLink(link)
        super().delNode(node, nodes)
        if isinstance(node, Host):
            self._testbed.withdraw_name(node)

    def start(self) -> None:
        """Start all nodes (overrides Mininet.start)."""
        with self.plan.together():
            super().start()
        self.is_open = self.is_up = True

    def _with_class(self, options: dict[str, Any], own: type) -> dict[str, Any]:
        """Return the options with a new `cls`: a constructor of the class that combines `cls` with lab7's `own`."""
        classes.unwrap(options)
        kind = classes.combined(options.get("cls"), own)
        # The last matching base class is the most derived one.
        equip = [equip for base, equip in self._equips.items() if issubclass(own, base)][-1]
        return {**options, "cls": partial(classes.construct, kind, equip)}

    def iperf(
        self,
        hosts: Any = None,
        l4Type: str = "TCP",  # noqa: N803
        udpBw: str = "10M",  # noqa: N803
        fmt: str | None = None,
        seconds: float = iperf.DURATION_S,
        port: int = iperf.PORT,
    ) -> list[str]:
        """Run iperf between two hosts, by default the first and the last; return the rates, as Mininet.iperf does."""
        pair = list(hosts or dict.fromkeys(self.hosts[:1] + self.hosts[-1:]))
        if len(pair) != 2 or not all(node in self.hosts for node in pair):
            raise EmulationError("iperf measures between two hosts: write `iperf HOST HOST`")
        if l4Type not in ("TCP", "UDP"):
            raise EmulationError(f"l4Type={l4Type!r} is neither 'TCP' nor 'UDP'")
        client, server = pair
        output(f"*** Iperf: testing {l4Type} bandwidth between {client} and {server}\n")
        bandwidth = udpBw if l4Type == "UDP" else None
        options = ["-f", fmt] if fmt else []
        rates = iperf.measure(client, server, options, udp_bandwidth=bandwidth, port=port, seconds=seconds)
        result = [*([udpBw] if bandwidth else []), *rates]
        output(f"*** Results: {result}\n")
        return result

    def stopXterms(self) -> None:  # noqa: N802
        """Kill the terminals of this network only; Mininet's method kills socat processes of other networks, too."""
        for terminal in self.terms:
            terminal.kill()

    def _mac_of_first_interface(self, node: Any, port: int | None) -> str | None:
        """Return the MAC address set by addHost(mac=...) if `port` is the lowest port of the host; None otherwise."""
        given = self.topo.ports.get(node.name) if self.topo is not None else None
        ports = given or {node.portBase: None}
        first = node.newPort() if port is None else port
        mac: str | None = node.params.get("mac") if isinstance(node, Host) and first == min(ports) else None
        return mac
