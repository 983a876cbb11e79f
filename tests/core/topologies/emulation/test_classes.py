"""Classes in a topology: stock classes are substituted, subclasses combined, others refused in one sentence."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from mininet import link, node, nodelib
from mininet.topo import Topo
from mininet.util import custom

from lab7.topologies.emulation import classes, topology_checks
from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.hosts.limited import LimitedHost
from lab7.topologies.emulation.hosts.nat import NAT
from lab7.topologies.emulation.links.openvswitch import OpenVSwitch
from lab7.topologies.emulation.node import Bridge, Host


class Router(node.Node):  # type: ignore[misc]
    """A router as in many courses' examples: it switches forwarding on."""

    def config(self, **params: Any) -> dict[str, Any]:
        result: dict[str, Any] = super().config(**params)
        self.cmd("sysctl -w net.ipv4.ip_forward=1")
        return result


class Mirror(Bridge):
    """A user's switch class derived from lab7's."""


class Limited(node.CPULimitedHost):  # type: ignore[misc]
    """A host of a course on scheduling."""


class SpanningTree(node.OVSSwitch):  # type: ignore[misc]
    """A switch that calls ovs-vsctl."""

    def start(self, controllers: Any) -> None:
        super().start(controllers)
        self.cmd("ovs-vsctl set Bridge", self, "stp_enable=true")


class Tutorial(node.OVSSwitch):  # type: ignore[misc]
    """A switch with options of its own, which calls nothing."""

    def __init__(self, name: str, **params: Any) -> None:
        super().__init__(name, protocols="OpenFlow13", **params)


class ByName(node.OVSSwitch):  # type: ignore[misc]
    """A switch that calls its base class by name, as files of Mininet 2.0 do."""

    def start(self, controllers: Any) -> None:
        node.OVSSwitch.start(self, controllers)
        self.cmd("ovs-vsctl set Bridge", self, "stp_enable=true")


class OwnBridge(nodelib.LinuxBridge):  # type: ignore[misc]
    """A switch that calls brctl."""


class Slow(link.TCLink):  # type: ignore[misc]
    """A link with a delay of its own."""


def pair(host: Any = None, switch: Any = None, cls: Any = None, **options: Any) -> Topo:
    topo = Topo()
    given = {} if cls is None else {"cls": cls}
    topo.addLink(topo.addHost("anna", cls=host), topo.addSwitch("s1", cls=switch), **given, **options)
    return topo


def complaint(topo: Topo) -> str:
    with pytest.raises(TopologyError) as raised:
        topology_checks.check(topo)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("kind", [None, node.Node, node.Host, node.CPULimitedHost, nodelib.NAT, Router, Limited])
def test_mininet_s_hosts_and_those_derived_from_them_are_taken(kind: Any) -> None:
    topology_checks.check(pair(host=kind))


@pytest.mark.parametrize(
    "kind",
    [
        node.OVSSwitch,
        node.OVSKernelSwitch,
        node.OVSBridge,
        nodelib.LinuxBridge,
        node.Switch,
        Bridge,
        Mirror,
        Tutorial,
        SpanningTree,
    ],
)
def test_mininet_s_learning_switches_and_lab7_s_are_taken(kind: Any) -> None:
    topology_checks.check(pair(switch=kind))


@pytest.mark.parametrize("kind", [link.Link, link.TCLink, link.TCULink, link.OVSLink, Slow])
def test_mininet_s_links_and_those_derived_from_them_are_taken(kind: Any) -> None:
    topology_checks.check(pair(cls=kind, bw=10))


@pytest.mark.parametrize("option", ["intf", "cls1", "cls2"])
def test_mininet_s_interfaces_are_taken(option: str) -> None:
    topology_checks.check(pair(**{option: link.TCIntf}))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (node.RemoteController, "the host anna has the class RemoteController, which cannot be used: a testbed has no"),
        (dict, "the host anna has the class dict, which is not derived from one of Node, Host, CPULimitedHost"),
        (nodelib.LinuxBridge, "the host anna has the class LinuxBridge, which is not derived from one of Node, Host, "),
    ],
)
def test_another_host_is_named_with_its_class_and_what_to_do(kind: Any, reason: str) -> None:
    assert complaint(pair(host=kind)).startswith(reason)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (
            node.UserSwitch,
            "the switch s1 has the class UserSwitch, which cannot be used: it needs the OpenFlow reference",
        ),
        (OpenVSwitch, "the switch s1 has the class OpenVSwitch, which cannot be used: for Open vSwitch call Testbed("),
        (node.Host, "the switch s1 has the class Host, which is not derived from one of Switch, OVSSwitch, "),
    ],
)
def test_another_switch_is_named_with_its_class_and_what_to_do(kind: Any, reason: str) -> None:
    assert complaint(pair(switch=kind)).startswith(reason)


def test_another_link_or_interface_is_named_with_its_class() -> None:
    class Tunnel(link.Link):  # type: ignore[misc]
        @classmethod
        def makeIntfPair(cls, *args: Any, **options: Any) -> None:  # noqa: N802
            pass

    assert complaint(pair(cls=Tunnel)).startswith("the link anna-s1 has the class Tunnel with a makeIntfPair() of its")
    assert complaint(pair(intf=link.OVSIntf)).startswith("the link anna-s1, option intf, has the class OVSIntf, ")


@pytest.mark.parametrize("kind", [5, "Host", partial(node.Host, "name")])
def test_what_is_no_class_is_said(kind: Any) -> None:
    assert complaint(pair(host=kind)).startswith(f"the host anna is made by {kind!r}, which is not a class: ")


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        (partial(link.TCLink, bw=1, delay="1ms"), {"bw": 5, "delay": "1ms"}),
        (custom(link.TCLink, bw=1, delay="1ms"), {"bw": 1, "delay": "1ms"}),
        (custom(partial(link.TCLink, loss=2), delay="1ms"), {"bw": 5, "delay": "1ms", "loss": 2}),
    ],
)
def test_options_in_a_partial_class_are_those_of_the_link(kind: Any, result: dict[str, Any]) -> None:
    options = {"bw": 5, "cls": kind}
    classes.unwrap(options)
    assert options == {**result, "cls": link.TCLink}


def test_methods_of_one_s_own_come_before_those_of_the_testbed() -> None:
    kind = classes.combined(Router, Host)
    assert [base.__name__ for base in kind.__mro__[:3]] == ["Router", "Router", "Host"]
    assert classes.combined(node.Host, Host) is Host
    assert classes.combined(Mirror, Bridge) is Mirror
    bridges = [base.__name__ for base in classes.combined(OwnBridge, Bridge).__mro__]
    assert bridges.index("Bridge") < bridges.index("LinuxBridge")


@pytest.mark.parametrize("own", [Bridge, OpenVSwitch])
@pytest.mark.parametrize("kind", [Tutorial, SpanningTree, ByName])
def test_methods_of_openvswitch_are_the_testbed_s_however_they_are_called(
    kind: type, own: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    monkeypatch.setattr(own, "start", lambda *_: called.append("start"))
    monkeypatch.setattr(own, "cmd", lambda _self, *words: called.append(str(words[0])))
    switch: Any = object.__new__(classes.combined(kind, own))
    switch.name = "s1"
    switch.start([])
    assert called[0] == "start"
    assert called[1:] == ([] if kind is Tutorial else ["ovs-vsctl set Bridge"])
    # Objects of stock Mininet have their own methods.
    assert node.OVSSwitch.start.__wrapped__ is not None


@pytest.mark.parametrize(
    ("options", "own"),
    [
        ({}, Host),
        ({"cls": Router}, Host),
        ({"cpu": -1, "cores": None}, Host),
        ({"cpu": 0.5}, LimitedHost),
        ({"cores": 1}, LimitedHost),
        ({"cls": Limited}, LimitedHost),
        ({"cls": nodelib.NAT}, NAT),
    ],
)
def test_the_class_of_a_host_follows_from_its_options(options: dict[str, Any], own: type) -> None:
    assert classes.host_class(options) is own


@pytest.mark.parametrize(("command", "refused"), [("ovs-ofctl dump-flows s1", True), ("brctl show", False)])
def test_a_linux_bridge_refuses_commands_of_open_vswitch(
    command: str, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Any] = []
    monkeypatch.setattr(node.Node, "sendCmd", lambda _self, *words, **_: ran.append(words))
    switch = object.__new__(Bridge)
    switch.name, switch.execed = "s1", False
    if refused:
        with pytest.raises(EmulationError, match="s1 is a Linux bridge, which ovs-ofctl cannot control"):
            switch.sendCmd(*command.split())
    else:
        switch.sendCmd(*command.split())
    assert bool(ran) != refused
