"""Private networks: the same addresses twice, NAT, routers with static routes, DHCP for hosts without an address."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mininet.topo import Topo

from lab7.experiments.harness.capture.capture import Capture, CaptureInterface
from lab7.experiments.harness.judge.frames import read_capture
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from tests.emulation.addressing.support import output

SERVER, NATS = "203.0.113.1", ("203.0.113.10", "203.0.113.20")
BY_TOOL = {
    "nft": "nft 'table ip nat {{ chain post {{ type nat hook postrouting priority 100; oifname {} masquerade; }}; }}'",
    "iptables": "iptables -t nat -A POSTROUTING -o {} -j MASQUERADE",
}
DHCP = Path(__file__).with_name("dhcp.py")
LEASED = "192.168.1.100"


def needs(*programs: str) -> None:
    if missing := [program for program in programs if shutil.which(program) is None]:
        pytest.skip(f"needs {', '.join(missing)}")


class NatTopo(Topo):  # type: ignore[misc]
    """h12, h13 ── s1 ── nat1 ── s0 ── nat2 ── s2 ── h22, h23, and a server at s0: 192.168.1.0/24 is there twice."""

    def build(self, tool: str = "") -> None:
        """tool: program that sets up NAT; without one, routers route only."""
        internet = self.addSwitch("s0")
        files = {"index.html": "hello"}
        serves = "lab7.services.http.origin --root . --listen 0.0.0.0 --port 80"
        self.addLink(self.addHost("server", ip=f"{SERVER}/24", files=files, serves=serves), internet)
        for number, outside in enumerate(NATS, start=1):
            name, lan = f"nat{number}", self.addSwitch(f"s{number}")
            setup = BY_TOOL[tool].format(f"{name}-eth1") if tool else None
            self.addLink(self.addHost(name, ip="192.168.1.1/24", forwards=True, setup=setup), lan)
            self.addLink(name, internet, params1={"ip": f"{outside}/24"}, delay="1ms")
            for host in (2, 3):
                ip = f"192.168.1.{host}/24"
                self.addLink(self.addHost(f"h{number}{host}", ip=ip, defaultRoute="via 192.168.1.1"), lan)


@pytest.mark.parametrize("tool", sorted(BY_TOOL))
def test_two_private_networks_share_a_server_by_nat(tool: str, tmp_path: Path) -> None:
    needs(tool)
    path = tmp_path / "capture.pcapng"
    with Testbed(NatTopo(tool=tool), links="wire") as bed:
        server = CaptureInterface("server", bed.host("server").namespace_pid, "server-eth0")
        with Capture(path, [server]):
            # curl takes no proxy from the environment of the tests.
            words = ["curl", "-s", "--noproxy", "*", "http://server/"]
            assert [output(bed, host, *words) for host in ("h12", "h22")] == ["hello", "hello"]
    opened = [frame.packet for frame in read_capture(path).frames if "TCP" in frame.packet]
    # The server sees two public addresses and none of the private ones.
    assert [each["IP"].src for each in opened if each["TCP"].flags == "S"] == list(NATS)
    assert {each["IP"].src for each in opened} == {SERVER, *NATS}


@pytest.mark.lab7(topology=NatTopo, links="wire", capture=False)
def test_equal_addresses_of_two_networks_do_not_meet(testbed: Testbed) -> None:
    own, other = testbed.host("h13"), testbed.host("h23")
    assert own.IP() == other.IP()
    for host, neighbour in (("h12", own), ("h22", other)):
        assert f"{own.IP()} dev {host}-eth0 lladdr {neighbour.MAC()}" in output(testbed, host, "ip", "neigh")
        output(testbed, host, "ping", "-c", "1", "-W", "5", own.IP())
    # A name leads to the reader's own network or nowhere.
    assert output(testbed, "h12", "getent", "hosts", "h13").split()[0] == own.IP()
    assert testbed.host("h12").run(["getent", "hosts", "h23"]).returncode != 0
    assert "h13" not in output(testbed, "server", "cat", "/etc/hosts")
    # Without NAT the server has no route back.
    assert testbed.host("h12").run(["ping", "-c", "1", "-W", "1", SERVER]).returncode != 0


class RoutedTopo(Topo):  # type: ignore[misc]
    """a ── r1 ── r2 ── b, and c behind a third interface of r1; every link is a network of its own."""

    ipv6 = True

    def build(self) -> None:
        self.addHost("r1", ip="10.1.0.1/24", forwards=True, routes=["10.2.0.0/16 via 10.12.0.2"])
        self.addHost("r2", ip="10.2.0.1/24", forwards=True, defaultRoute="via 10.12.0.1")
        self.addHost("a", ip="10.1.0.10/24", defaultRoute="via 10.1.0.1")
        self.addHost("b", ip="10.2.0.10/24", defaultRoute="via 10.2.0.1")
        self.addHost("c", ip="10.3.0.10/24", defaultRoute="via 10.3.0.1")
        self.addLink("a", "r1")
        self.addLink("b", "r2")
        self.addLink("r1", "r2", params1={"ip": "10.12.0.1/30"}, params2={"ip": "10.12.0.2/30"}, delay="1ms")
        self.addLink("r1", "c", params1={"ip": "10.3.0.1/24"})


@pytest.mark.parametrize("family", ["-4", "-6"])
@pytest.mark.parametrize("arp", ["static", "dynamic"])
def test_routers_with_three_interfaces_and_static_routes(family: str, arp: str) -> None:
    with Testbed(RoutedTopo(), links="wire", arp=arp) as bed:
        for source in "abc":
            for target in set("abc") - {source}:
                output(bed, source, "ping", family, "-c", "1", "-W", "5", target)
        hops = output(bed, "r1", "ip", family, "route", "get", "10.2.0.10" if family == "-4" else "2001:db8:a02::a")
        assert f"via {'10.12.0.2' if family == '-4' else '2001:db8:a0c::2'} dev r1-eth1" in hops


class DhcpTopo(Topo):  # type: ignore[misc]
    """A server, and a host without an address."""

    def build(self, serves: str = "") -> None:
        switch = self.addSwitch("s1")
        self.addLink(self.addHost("server", ip="192.168.1.1/24", serves=serves), switch)
        self.addLink(self.addHost("h1", ip=None), switch, delay="1ms")


@pytest.fixture(params=["", "dnsmasq"], ids=["by_hand", "dnsmasq"])
def dhcp(request: pytest.FixtureRequest) -> Iterator[Testbed]:
    serves = ""
    if request.param:
        needs("dnsmasq", "udhcpc")
        serves = (
            "dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --interface=server-eth0 --bind-interfaces "
            f"--dhcp-range={LEASED},{LEASED},255.255.255.0 --dhcp-leasefile=leases --pid-file= --user=root"
        )
    with Testbed(DhcpTopo(serves=serves), links="wire") as bed:
        yield bed


def test_a_host_without_address_gets_one_by_dhcp(dhcp: Testbed) -> None:
    assert "inet " not in output(dhcp, "h1", "ip", "address", "show", "dev", "h1-eth0")
    if dhcp.services:
        output(dhcp, "h1", "udhcpc", "-i", "h1-eth0", "-n", "-q", "-f")
    else:
        words = ["env", f"PYTHONPATH={':'.join(sys.path)}", sys.executable, str(DHCP)]
        server = dhcp.host("server").popen([*words, "serve", "server-eth0", "192.168.1.1", LEASED])
        assert server.stdout is not None
        assert server.stdout.readline() == b"listening\n"
        leased = output(dhcp, "h1", *words, "ask", "h1-eth0").strip()
        assert server.wait() == 0
        output(dhcp, "h1", "ip", "address", "add", f"{leased}/24", "dev", "h1-eth0")
    assert f"inet {LEASED}/24" in output(dhcp, "h1", "ip", "address", "show", "dev", "h1-eth0")
    # No permanent entry has this address: both hosts ask by ARP.
    output(dhcp, "h1", "ping", "-c", "1", "-W", "5", "192.168.1.1")


def test_a_set_up_command_that_fails_is_one_sentence() -> None:
    topo = Topo()
    topo.addHost("h1", setup=["true", "ls /nowhere"])
    with (
        pytest.raises(EmulationError, match=r"^the set-up command `ls /nowhere` of h1 failed: ls: cannot access "),
        Testbed(topo),
    ):
        pass
