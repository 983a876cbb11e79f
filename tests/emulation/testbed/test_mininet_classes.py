"""Topologies written for stock Mininet: its classes, its default addresses, its ways to pass parameters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mininet.link import TCIntf, TCLink
from mininet.node import Host, Node, OVSKernelSwitch
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

from tests.emulation.support import lab7, one_sentence
from topologies.emulation.errors import EmulationError
from topologies.emulation.links.link import EmulatedLink
from topologies.emulation.node import Bridge, Interface
from topologies.emulation.node import Host as OwnHost
from topologies.emulation.testbed import Testbed

USAGE = 2
MAC = "00:00:00:00:00:11"
HUB = """
from mininet.topo import Topo

class Hub(Topo):
    def __init__(self, n=2, **more):
        Topo.__init__(self, **more)
        switch = self.addSwitch("s1")
        for number in range(1, n + 1):
            self.addLink(self.addHost(f"h{number}"), switch)

topos = {"hub": Hub}
"""
RING = """
from mininet.topo import Topo

class Ring(Topo):
    def build(self, ring=3):
        switches = [self.addSwitch(f"s{number}") for number in range(1, ring + 1)]
        for here, there in zip(switches, switches[1:] + switches[:1]):
            self.addLink(here, there)
        self.addLink(self.addHost("h1"), switches[0])

topos = {"ring": Ring}
"""
BROKEN = """
from mininet.topo import Topo

class Broken(Topo):
    def build(self):
        self.addLink(self.addHost("anna"), "s" + 1)

topos = {"broken": Broken}
"""


class ClassesTopo(Topo):  # type: ignore[misc]
    """anna ── s1 ── s2 ── bert, each by a class of Mininet's; no host is given an address."""

    def build(self) -> None:
        """Make it; the first link's delay is what ping shows."""
        near, far = self.addSwitch("s1", cls=OVSKernelSwitch), self.addSwitch("s2", cls=LinuxBridge, stp=True)
        self.addLink(self.addHost("anna", cls=Host), near, cls=TCLink, delay="5ms")
        self.addLink(near, far, intf=TCIntf, cls1=TCIntf, fast=False)
        self.addLink(far, self.addHost("bert", cls=Node, mac=MAC), intfName2="eth0")


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(ClassesTopo(), links="wire") as running:
        yield running


def test_its_classes_give_way_to_those_of_lab7(bed: Testbed) -> None:
    assert {type(host) for host in bed.net.hosts} == {OwnHost}
    assert {type(switch) for switch in bed.net.switches} == {Bridge}
    assert {type(link) for link in bed.net.links} == {EmulatedLink}
    assert {type(end) for link in bed.net.links for end in (link.intf1, link.intf2)} == {Interface}
    assert [bool(shape and shape.delay_s) for shape in bed.net.links[0].shapes] == [True, True]


def test_a_host_without_an_address_has_mininet_s_and_a_name(bed: Testbed) -> None:
    done = bed.host("anna").run(["getent", "ahostsv4", "bert"])
    assert done.stdout.decode().split()[0] == bed.host("bert").IP() == "10.0.0.2"
    assert bed.host("anna").run(["ping", "-c", "1", "-W", "5", "bert"]).returncode == 0


def test_a_host_s_mac_is_that_of_its_first_interface(bed: Testbed) -> None:
    assert f"link/ether {MAC}" in bed.host("bert").run(["ip", "link", "show", "eth0"]).stdout.decode()
    assert bed.host("bert").MAC() == MAC
    assert MAC in bed.host("anna").run(["ip", "neighbour"]).stdout.decode()


def test_what_a_running_network_keeps_is_refused(bed: Testbed) -> None:
    with pytest.raises(
        EmulationError, match=r"^the link of anna-eth0 is up and cannot be reshaped: give delay='9ms' to "
    ):
        bed.host("anna").defaultIntf().config(delay="9ms")
    with pytest.raises(EmulationError, match=r"^anna-eth0 is up and keeps its address 02:00:00:00:01:01, "):
        bed.host("anna").setMAC(MAC)


def test_parameters_of_an_init_of_one_s_own_are_known(tmp_path: Path) -> None:
    (tmp_path / "hub.py").write_text(HUB)
    assert lab7("exec", "--set", "n=3", "hub.py", "h3", "--", "hostname", cwd=tmp_path).stdout == "h3\n"
    done = lab7("exec", "--set", "m=3", "hub.py", "h3", "--", "hostname", cwd=tmp_path)
    assert "the topology hub has no parameter 'm': it has n" in one_sentence(done)


@pytest.mark.parametrize(("ring", "loop"), [(3, "s1-s2-s3-s1"), (2, "s1-s2-s1")])
def test_a_loop_of_switches_is_one_sentence_before_anything_starts(ring: int, loop: str, tmp_path: Path) -> None:
    (tmp_path / "ring.py").write_text(RING)
    done = lab7("exec", "--set", f"ring={ring}", "ring.py", "h1", "--", "true", cwd=tmp_path)
    assert done.returncode == USAGE
    assert f"the switches {loop} form a loop, " in one_sentence(done)


def test_a_wrong_type_while_drawing_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    done = lab7("up", "broken.py", cwd=tmp_path)
    assert done.returncode == USAGE
    assert "broken.py, line 6, fails: TypeError: can only concatenate str" in one_sentence(done)


def test_what_the_network_refuses_does_not_end_its_command_line(tmp_path: Path) -> None:
    lines = "py client.setMAC('00:00:00:00:00:11')\nclient hostname\nexit\n"
    done = lab7("shell", "web", cwd=tmp_path, stdin=lines, changes={"HOME": str(tmp_path)})
    assert done.returncode == 0
    for text in ("client-eth0 is up and keeps its address", "client\n"):
        assert text in done.stderr.replace("\r", "")
