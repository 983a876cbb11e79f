"""Topologies written for stock Mininet: its classes, its default addresses, its ways to pass parameters."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from mininet.link import TCIntf, TCLink
from mininet.node import Host, Node, OVSKernelSwitch, OVSSwitch, RemoteController
from mininet.nodelib import LinuxBridge
from mininet.topo import Topo

from lab7.experiments.harness.cli.networks import make_topology
from lab7.experiments.harness.discovery import find_topology
from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.links.interface import Interface
from lab7.topologies.emulation.links.link import EmulatedLink
from lab7.topologies.emulation.node import Bridge
from lab7.topologies.emulation.node import Host as OwnHost
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.support import lab7, one_sentence

USAGE = 2
# One message of the spanning tree protocol a second, for the 8 s until ports forward and those of the command.
BPDUS_AND_ECHOES_MAX = 60
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


class TutorialSwitch(OVSSwitch):  # type: ignore[misc]
    """A switch with a constructor only."""

    def __init__(self, name: str, **params: Any) -> None:
        super().__init__(name, protocols="OpenFlow13", **params)


class ClassesTopo(Topo):  # type: ignore[misc]
    """anna ── s1 ── s2 ── bert, each by a class of Mininet's; no host is given an address."""

    def build(self) -> None:
        """Make it; the first link's delay is what ping shows."""
        near, far = self.addSwitch("s1", cls=OVSKernelSwitch), self.addSwitch("s2", cls=LinuxBridge, stp=True)
        self.addLink(self.addHost("anna", cls=Host), near, cls=TCLink, delay="5ms")
        self.addLink(near, far, intf=TCIntf, cls1=TCIntf, fast=False)
        self.addLink(near, self.addSwitch("s3", cls=TutorialSwitch, failMode="standalone"))
        self.addLink("s3", self.addHost("carl"))
        self.addLink(far, self.addHost("bert", cls=Node, mac=MAC), intfName2="eth0")


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(ClassesTopo(), links="wire") as running:
        yield running


def test_its_classes_give_way_to_those_of_lab7(bed: Testbed) -> None:
    assert {type(host) for host in bed.net.hosts} == {OwnHost}
    assert {type(switch) for switch in bed.net.switches[:2]} == {Bridge}
    assert (bed.net["s3"].protocols, bed.net["s3"].failMode) == ("OpenFlow13", "standalone")
    assert bed.host("anna").run(["ping", "-c", "1", "-W", "5", "carl"]).returncode == 0
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


def test_what_a_running_network_cannot_do_is_refused(bed: Testbed) -> None:
    with pytest.raises(
        EmulationError, match=r"^the controller c0 is a RemoteController, and a testbed has no OpenFlow: "
    ):
        bed.net.addController("c0", RemoteController)


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
    said = one_sentence(done)
    assert f"the switches {loop} form a loop, " in said
    assert "`--stp` for all switches" in said


@pytest.mark.slow
def test_two_links_between_two_switches_run_a_spanning_tree(tmp_path: Path) -> None:
    (tmp_path / "ring.py").write_text(RING)
    # Without a tree the broadcast would still circulate, and be among what h1 receives.
    script = "ping -b -c 1 -W 1 10.255.255.255; awk '/h1-eth0/ { print $3 }' /proc/net/dev"
    words = ("exec", "--stp", "--set", "ring=2", "ring.py", "h1", "--", "sh", "-c", script)
    done = lab7(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[-1]) < BPDUS_AND_ECHOES_MAX


def test_a_wrong_type_while_topology_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    done = lab7("up", "broken.py", cwd=tmp_path)
    assert done.returncode == USAGE
    assert "broken.py, line 6, fails: TypeError: can only concatenate str" in one_sentence(done)


@pytest.mark.parametrize(
    ("parameters", "given", "printed"),
    [
        ("n", {"n": "3"}, "3 int"),
        ("n", {"n": "2.5"}, "2.5 float"),
        ("n", {"n": "5ms"}, "5ms str"),
        ("n=None", {"n": "7"}, "7 int"),
        ("n=2", {"n": "0.5"}, "0.5 float"),
        ("n=2.0", {"n": "3"}, "3.0 float"),
        ("n=True", {"n": "no"}, "False bool"),
        ("n='50ms'", {"n": "50us"}, "50us str"),
    ],
)
def test_a_parameter_has_the_type_of_its_default_or_of_its_form(
    parameters: str, given: dict[str, str], printed: str, tmp_path: Path
) -> None:
    file = tmp_path / "typed.py"
    file.write_text(
        f"from mininet.topo import Topo\nclass Typed(Topo):\n    def build(self, {parameters}):\n        self.n = n\n"
    )
    topo = make_topology(find_topology(str(file)), given)
    assert f"{topo.n} {type(topo.n).__name__}" == printed


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("class Own(Topo):\n    def build(self, n): pass", {}, "the topology Own needs n: give it by --set n=VALUE"),
        ("class Own(Topo):\n    def build(self, n=1): pass", {"n": "x"}, "n='x' is not a number, for example n=1"),
        ("class Own(Topo):\n    def build(self, n='50ms'): pass", {"n": "50"}, "n='50' has no unit: write n=50ms"),
        ("class Own(Topo):\n    def build(self, n=True): pass", {"n": "x"}, "n='x' is not a boolean"),
        ("class One(Topo): pass\nclass Two(Topo): pass", {}, "typed.py:One or "),
        (
            "topos = {'own': lambda: None}",
            {},
            "the topology own is of type NoneType: let topos name a class derived from",
        ),
        (
            "class Own(Topo):\n    def build(self): self.addHost(1)",
            {},
            "the name 1 in the topology Own is not text: write ",
        ),
        ("net = Mininet(topo=Topo())", {}, "typed.py builds its network by Mininet() itself: run it by `lab7 script "),
        (
            "def run():\n    net = Mininet()",
            {},
            "typed.py builds its network by Mininet() itself: run it by `lab7 script ",
        ),
    ],
)
def test_a_file_that_cannot_be_a_topology_is_one_sentence(
    text: str, given: dict[str, str], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "typed.py"
    file.write_text(f"from mininet.net import Mininet\nfrom mininet.topo import Topo\n{text}\n")
    with pytest.raises((TopologyError, click.UsageError)) as raised:
        make_topology(find_topology(str(file)), given)
    assert said in str(raised.value)


def test_what_the_network_refuses_does_not_end_its_command_line(tmp_path: Path) -> None:
    lines = "px from mininet.node import Ryu\npy net.addController('c0', Ryu)\nclient hostname\nexit\n"
    done = lab7("shell", "web", cwd=tmp_path, stdin=lines, changes={"HOME": str(tmp_path)})
    assert done.returncode == 0
    for text in ("the controller c0 is a Ryu, and a testbed has no OpenFlow", "client\n"):
        assert text in done.stderr.replace("\r", "")
