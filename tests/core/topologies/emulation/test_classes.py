"""Classes in a topology: stock classes are substituted, others are refused in one sentence."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from mininet import link, node, nodelib
from mininet.topo import Topo
from mininet.util import custom

from topologies.emulation import topology_checks
from topologies.emulation.errors import TopologyError
from topologies.emulation.links.openvswitch import OpenVSwitch
from topologies.emulation.node import Bridge


class Router(node.Node):  # type: ignore[misc]
    """A router as in many courses' examples: it switches forwarding on."""

    def config(self, **params: Any) -> dict[str, Any]:
        result: dict[str, Any] = super().config(**params)
        self.cmd("sysctl -w net.ipv4.ip_forward=1")
        return result


class Mirror(Bridge):
    """A user's switch class derived from lab7's."""


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


@pytest.mark.parametrize("kind", [None, node.Node, node.Host])
def test_mininet_s_plain_hosts_are_taken(kind: Any) -> None:
    topology_checks.check(pair(host=kind))


@pytest.mark.parametrize(
    "kind", [node.OVSSwitch, node.OVSKernelSwitch, node.OVSBridge, nodelib.LinuxBridge, node.Switch, Bridge, Mirror]
)
def test_mininet_s_learning_switches_and_lab7_s_are_taken(kind: Any) -> None:
    topology_checks.check(pair(switch=kind))


@pytest.mark.parametrize("kind", [link.Link, link.TCLink, link.TCULink, link.OVSLink])
def test_mininet_s_links_are_taken(kind: Any) -> None:
    topology_checks.check(pair(cls=kind, bw=10))


@pytest.mark.parametrize("option", ["intf", "cls1", "cls2"])
def test_mininet_s_interfaces_are_taken(option: str) -> None:
    topology_checks.check(pair(**{option: link.TCIntf}))


@pytest.mark.parametrize(
    ("kind", "name"),
    [(Router, "Router"), (node.CPULimitedHost, "CPULimitedHost"), (nodelib.NAT, "NAT")],
)
def test_another_host_is_named_with_its_class_and_what_to_do(kind: Any, name: str) -> None:
    said = complaint(pair(host=kind))
    assert said.startswith(f"the host anna has the class {name}, which is not one of Node, Host: ")
    assert "forwards=True for a router" in said


@pytest.mark.parametrize(("kind", "name"), [(node.UserSwitch, "UserSwitch"), (OpenVSwitch, "OpenVSwitch")])
def test_another_switch_is_named_with_its_class_and_what_to_do(kind: Any, name: str) -> None:
    said = complaint(pair(switch=kind))
    assert said.startswith(f"the switch s1 has the class {name}, which is not one of Switch, ")
    assert "Testbed(topo, switch=OpenVSwitch)" in said


def test_another_link_or_interface_is_named_with_its_class() -> None:
    class Slow(link.TCLink):  # type: ignore[misc]
        pass

    assert complaint(pair(cls=Slow)).startswith("the link anna-s1 has the class Slow, which is not one of Link, ")
    assert complaint(pair(intf=link.OVSIntf)).startswith("the link anna-s1, option intf, has the class OVSIntf, ")
    assert complaint(pair(cls=custom(link.TCLink, bw=1))).startswith("the link anna-s1 has the class custom(")


@pytest.mark.parametrize("kind", [5, "Host", partial(node.Host, cpu=1)])
def test_what_is_no_class_is_said(kind: Any) -> None:
    assert complaint(pair(host=kind)).startswith("the host anna has cls=")
