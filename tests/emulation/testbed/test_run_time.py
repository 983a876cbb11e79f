"""Changes of a running network, as scripts for Mininet make them: links, addresses, ports, nodes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation.errors import EmulationError, TopologyError
from lab7.topologies.emulation.testbed import Testbed

MAC = "00:00:00:00:00:99"


class ChainTopo(Topo):  # type: ignore[misc]
    """h1 ── s1 ── s2 ── h2, with the first link shaped."""

    def build(self) -> None:
        s1, s2 = self.addSwitch("s1"), self.addSwitch("s2")
        self.addLink(self.addHost("h1"), s1, delay="1ms")
        self.addLink(s1, s2)
        self.addLink(self.addHost("h2"), s2)


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed(ChainTopo(), links="wire") as running:
        yield running


def reaches(bed: Testbed, source: str, target: str, count: int = 1) -> bool:
    return bed.host(source).run(["ping", "-n", "-c", str(count), "-W", "1", target]).returncode == 0


def round_trip_ms(bed: Testbed, source: str, target: str) -> float:
    output = bed.host(source).run(["ping", "-n", "-c", "3", "-i", "0.05", target]).stdout.decode()
    found = re.search(r"= ([\d.]+)/", output)
    assert found, output
    return float(found[1])


def test_a_link_is_reshaped_and_cut(bed: Testbed) -> None:
    near = bed.host("h1").defaultIntf()
    assert round_trip_ms(bed, "h1", "h2") < 50
    near.config(delay="100ms")
    # The other direction keeps its delay; nothing else is compared, since the machine may be busy.
    assert round_trip_ms(bed, "h1", "h2") >= 100
    assert [shape.delay_s for shape in near.link.shapes] == [0.1, 0.001]
    near.config(loss=100)
    assert not reaches(bed, "h1", "h2")
    near.config(loss=0, bw=10)
    assert reaches(bed, "h1", "h2")
    bed.net.configLinkStatus("s1", "s2", "down")
    assert not reaches(bed, "h1", "h2")
    bed.net.configLinkStatus("s1", "s2", "up")
    assert reaches(bed, "h1", "h2", count=3)


def test_the_queue_of_a_link_is_read(bed: Testbed) -> None:
    near, far = bed.host("h1").defaultIntf(), bed.host("h2").defaultIntf()
    # A frame of 1000 octets takes 2 s, so that few leave while ping runs.
    near.config(bw=0.004, max_queue_size=5)
    before = near.queue()
    bed.host("h1").run(["ping", "-n", "-q", "-l", "20", "-c", "20", "-w", "1", "-s", "958", bed.host("h2").IP()])
    after = near.queue()
    assert before.frames == 0
    assert 1 <= after.frames <= 5
    # The kernel may drop some of the burst in front of the link.
    assert after.dropped - before.dropped >= 10
    assert far.queue().frames == 0


@pytest.mark.parametrize("wrong", [{"delay": "soon"}, {"loss": 101}, {"bw": -1}], ids=str)
def test_a_wrong_shape_is_refused_and_changes_nothing(bed: Testbed, wrong: dict[str, object]) -> None:
    near = bed.host("h1").defaultIntf()
    before = near.link.shapes
    with pytest.raises(TopologyError):
        near.config(**wrong)
    assert near.link.shapes == before
    assert reaches(bed, "h1", "h2")


def test_addresses_change(bed: Testbed) -> None:
    host = bed.host("h1")
    host.setMAC(MAC)
    host.setIP("10.0.0.77/8")
    assert (host.MAC(), host.IP()) == (MAC, "10.0.0.77")
    assert reaches(bed, "h2", "10.0.0.77")
    assert f"10.0.0.77 dev h2-eth0 lladdr {MAC}" in bed.host("h2").run(["ip", "neighbour"]).stdout.decode()
    with pytest.raises(EmulationError, match=r"^the address 10.0.0.8 of h1-eth0 lacks the length of its prefix: "):
        host.defaultIntf().setIP("10.0.0.8")


def test_a_switch_stops_and_starts_again(bed: Testbed) -> None:
    bed.net["s2"].stop(deleteIntfs=False)
    assert not reaches(bed, "h1", "h2")
    bed.net["s2"].start(bed.net.controllers)
    assert reaches(bed, "h1", "h2")


def test_a_host_joins_moves_and_leaves(bed: Testbed) -> None:
    net = bed.net
    new = net.addHost("h3", names=["www.example.com"])
    link = net.addLink(new, "s1", delay="1ms")
    net["s1"].attach(link.intf2)
    new.configDefault()
    assert reaches(bed, "h2", "www.example.com")
    assert reaches(bed, "h3", "h1")

    net.delLink(link)
    assert not reaches(bed, "h2", "h3")
    link = net.addLink(new, "s2")
    net["s2"].attach(link.intf2)
    new.configDefault()
    assert reaches(bed, "h1", "h3")
    macs = [end.mac for link in net.links for end in (link.intf1, link.intf2)]
    assert len(set(macs)) == len(macs)

    net["s2"].detach(link.intf2)
    assert not reaches(bed, "h1", "h3")
    net.delHost(new)
    assert [host.name for host in net.hosts] == ["h1", "h2"]
    assert len(net.links) == 3
    assert reaches(bed, "h1", "h2")


def test_names_follow_addresses_and_leave_with_their_host(bed: Testbed) -> None:
    net, reader = bed.net, bed.host("h1")

    def entry(name: str) -> list[str]:
        return reader.run(["getent", "hosts", name]).stdout.decode().split()[:1]

    bed.host("h2").setIP("10.0.0.88/8")
    assert entry("h2") == ["10.0.0.88"]
    net.addHost("h3", ip="10.0.0.3/8", names=["www.example.com"])
    assert entry("www.example.com") == entry("h3") == ["10.0.0.3"]
    net.delHost(net["h3"])
    assert entry("www.example.com") == entry("h3") == []
    again = net.addHost("h3", ip="10.0.0.4/8")
    assert entry("h3") == ["10.0.0.4"]
    assert again.run(["getent", "hosts", "h2"]).stdout.decode().split()[0] == "10.0.0.88"


def test_a_link_between_hosts_leaves_no_interface(bed: Testbed) -> None:
    for _ in range(2):
        link = bed.net.addLink("h1", "h2")
        assert "h1-eth1" in bed.host("h1").run(["ls", "/sys/class/net"]).stdout.decode()
        bed.net.delLink(link)
        for name in ("h1", "h2"):
            assert bed.host(name).run(["ls", "/sys/class/net"]).stdout.decode().split() == [f"{name}-eth0", "lo"]


def test_a_host_may_share_the_network_of_the_switches(bed: Testbed) -> None:
    net = bed.net
    root = net.addHost("root", inNamespace=False, ip="10.0.0.66/8")
    net["s1"].attach(net.addLink(root, "s1").intf2)
    root.configDefault()
    assert reaches(bed, "root", "h2")
    assert reaches(bed, "h1", "root")
    seen = bed.host("root").run(["ls", "/sys/class/net"]).stdout.decode().split()
    assert {"root-eth0", "s1", "s1-eth1", "s2"} <= set(seen)
    net.delHost(root)
    assert reaches(bed, "h1", "h2")


def test_what_cannot_join_is_one_sentence(bed: Testbed) -> None:
    for given, said in (
        ({"name": "h1"}, "a node 'h1' exists in this network already: "),
        ({"name": "h4", "ip": "ten"}, "the host h4 has ip='ten', which is not an IPv4 address"),
        ({"name": "h4", "cls": dict}, "the host h4 has the class dict, "),
    ):
        with pytest.raises(EmulationError) as raised:
            bed.net.addHost(**given)
        assert str(raised.value).startswith(said)
    with pytest.raises(TopologyError, match=r"^the switches s1-s2-s1 form a loop, "):
        bed.net.addLink("s1", "s2")
    with pytest.raises(TopologyError, match=r"^the link h1-h2: delay='soon' is not a time"):
        bed.net.addLink("h1", "h2", delay="soon")
    assert len(bed.net.links) == 3


def test_the_shell_of_a_node_starts_when_it_is_used(bed: Testbed) -> None:
    host: Any = bed.host("h2")
    assert "shell" not in vars(host)
    host.sendCmd("echo of the shell")
    assert next(line for name, line in bed.net.monitor([host]) if name is host) == "of the shell\r"
    assert host.shell.poll() is None
    with pytest.raises(AttributeError, match=r"^'Host' object has no attribute 'shel'$"):
        host.shel  # noqa: B018
