"""tc in hosts and switches: the queue of a link as monitors poll it, and links that commands shape."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation.testbed import Testbed

ROUND_TRIP = re.compile(r"= ([\d.]+)/")
# Forty datagrams at once, to a link that needs 6 s for each.
TRAIN = """
import socket
socket = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(40):
    socket.sendto(bytes(1400), ("10.0.0.2", 9))
"""
QUEUE_FRAMES = 10


class QueueTopo(Topo):  # type: ignore[misc]
    """h1 ─ s1 ─ h2: the first link is plain, the second has a rate and a short queue."""

    def build(self, bw: float = 0.1) -> None:
        """bw: rate in Mbit/s."""
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("h1"), switch)
        self.addLink(switch, self.addHost("h2"), bw=bw, max_queue_size=QUEUE_FRAMES)


class RouterTopo(Topo):  # type: ignore[misc]
    """h1 ─ r1 ─ h2: plain links with a router between them."""

    def build(self) -> None:
        """Without parameters."""
        router = self.addHost("r1", ip=None, forwards=True)
        for number in (1, 2):
            host = self.addHost(f"h{number}", ip=f"10.0.{number}.2/24", defaultRoute=f"via 10.0.{number}.1")
            self.addLink(host, router, params2={"ip": f"10.0.{number}.1/24"})


@pytest.fixture
def queueing() -> Iterator[Testbed]:
    with Testbed(QueueTopo(), links="wire") as bed:
        yield bed


@pytest.fixture(params=["static", "dynamic"])
def routed(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    with Testbed(RouterTopo(), links="wire", arp=request.param) as bed:
        yield bed


def tc(command: str) -> subprocess.CompletedProcess[str]:
    """Run tc among the switches, as scripts do from their own process."""
    return subprocess.run(["tc", *command.split()], capture_output=True, text=True, check=False)


def round_trip_ms(bed: Testbed, source: str, target: str) -> float:
    said = bed.host(source).run(["ping", "-n", "-c", "3", "-i", "0.05", target]).stdout.decode()
    found = ROUND_TRIP.search(said)
    assert found, said
    return float(found[1])


@pytest.fixture
def slow() -> Iterator[Testbed]:
    with Testbed(QueueTopo(bw=0.002), links="wire") as bed:
        yield bed


def test_a_monitor_of_public_scripts_sees_the_queue_of_the_link(slow: Testbed) -> None:
    slow.host("h1").run(["python3", "-c", TRAIN])
    said = tc("-s -d qdisc show dev s1-eth2").stdout
    queued, dropped = (re.findall(what, said) for what in (r"backlog\s\S+\s(\d+)p", r"dropped (\d+),"))
    assert len(queued) == len(dropped) == 2
    assert 0 < int(queued[1]) <= QUEUE_FRAMES
    assert int(dropped[1]) == slow.net["s1"].intf("s1-eth2").queue().dropped > 0
    assert int(re.findall(r"Sent (\d+) bytes", said)[0]) > 40 * 1400
    (htb, netem) = json.loads(tc("-j -s qdisc show dev s1-eth2").stdout)
    assert (htb["kind"], netem["handle"], netem["parent"], netem["options"]["limit"]) == ("htb", "10:", "5:1", 10)
    assert 0 < netem["qlen"] <= QUEUE_FRAMES
    # Other interfaces are those of the installed program.
    everything = tc("qdisc show").stdout
    assert "qdisc netem 10: dev s1-eth2 parent 5:1 limit 10" in everything
    assert everything.count("dev s1-eth2") == 2
    assert "dev lo root" in everything
    kinds = {row["dev"]: row["kind"] for row in json.loads(tc("-j qdisc show").stdout)}
    assert (kinds["s1-eth2"], kinds["lo"]) == ("netem", "noqueue")
    assert "netem" not in tc("qdisc show dev s1-eth1").stdout


def test_a_command_of_tc_shapes_a_plain_link_of_a_host(routed: Testbed) -> None:
    host = routed.host("h1")
    before = host.run(["ip", "route"]).stdout
    assert host.cmd("tc qdisc add dev h1-eth0 root netem delay 100ms") == ""
    assert host.run(["ip", "route"]).stdout == before
    assert round_trip_ms(routed, "h1", "10.0.2.2") >= 100
    assert "netem 8001: root refcnt 2 limit 1000 delay 100ms" in host.cmd("tc qdisc show dev h1-eth0")
    # The router's end of that link: its address and route are as before.
    router = routed.host("r1")
    assert router.cmd("tc qdisc add dev r1-eth0 root netem delay 50ms") == ""
    assert round_trip_ms(routed, "h2", "10.0.1.2") >= 150
    assert "Exclusivity flag" in host.cmd("tc qdisc add dev h1-eth0 root netem delay 9ms")
    host.cmd("tc qdisc change dev h1-eth0 root netem loss 100%")
    assert host.run(["ping", "-c", "1", "-W", "1", "10.0.2.2"]).returncode == 1
    host.cmd("tc qdisc del dev h1-eth0 root")
    assert host.run(["ping", "-c", "3", "10.0.2.2"]).returncode == 0
    assert [shape.delay_s for shape in host.defaultIntf().link.shapes] == [0, 0.05]


def test_a_plain_link_is_shaped_by_config_as_in_mininet(queueing: Testbed) -> None:
    port: Any = queueing.net["s1"].intf("s1-eth1")
    port.config(delay="40ms")
    assert round_trip_ms(queueing, "h2", "10.0.0.1") >= 40
    said = subprocess.run(["bridge", "link", "show", "dev", "s1-eth1"], capture_output=True, text=True, check=True)
    assert "master s1" in said.stdout


def test_a_discipline_that_stock_mininet_made_is_changed(queueing: Testbed) -> None:
    assert tc("class change dev s1-eth2 parent 5:0 classid 5:1 htb rate 2mbit burst 15k").returncode == 0
    assert tc("qdisc change dev s1-eth2 parent 5:1 handle 10: netem delay 30ms limit 20").returncode == 0
    shape = queueing.net["s1"].intf("s1-eth2").link.shapes[0]
    assert (shape.rate_bps, shape.delay_s, shape.queue_frames) == (2e6, 0.03, 20)
    assert round_trip_ms(queueing, "h1", "10.0.0.2") >= 30


def test_what_a_link_cannot_follow_is_told_where_the_script_is_read(
    queueing: Testbed, capfd: pytest.CaptureFixture[str]
) -> None:
    done = tc("qdisc replace dev s1-eth2 root fq_codel")
    assert done.returncode == 2
    sentence = "s1: `tc qdisc replace dev s1-eth2 root fq_codel` has no effect: a link follows netem"
    assert done.stderr.startswith(sentence)
    assert capfd.readouterr().err.startswith(f"lab7: warning: {sentence}")
    assert queueing.net["s1"].intf("s1-eth2").link.shapes[0].queue_frames == QUEUE_FRAMES


def test_the_installed_program_is_back_after_the_networks_of_a_script() -> None:
    before = tc("-V").stdout
    with Testbed(QueueTopo(), links="wire") as first:
        with Testbed(RouterTopo(), links="wire") as second:
            assert second.host("h1").cmd("tc qdisc add dev h1-eth0 root netem delay 10ms") == ""
            # The outer network is answered while there is an inner one.
            assert "netem 10:" in tc("qdisc show dev s1-eth2").stdout
        assert "netem 10:" in tc("qdisc show dev s1-eth2").stdout
        assert first.net["s1"].intf("s1-eth2").queue().frames == 0
    assert tc("-V").stdout == before
    assert tc("qdisc show dev lo").stdout.startswith("qdisc noqueue 0: root refcnt 2")
