"""IPv6 addresses and routes beside those of IPv4."""

from __future__ import annotations

from ipaddress import IPv6Interface, IPv6Network
from typing import Any

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.addressing import hosts_file, ipv6, ipv6_of
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.testbed import listening_on_both


@pytest.mark.parametrize(
    ("ip", "address"),
    [
        ("10.9.1.254/24", "2001:db8:a09:100::fe/64"),
        ("10.0.0.1/8", "2001:db8:a00::1/64"),
        ("10.1.2.3/8", "2001:db8:a00::1:203/64"),
        ("192.168.1.2/30", "2001:db8:c0a8:100::2/64"),
    ],
)
def test_an_address_has_its_network_s_number_and_its_own(ip: str, address: str) -> None:
    assert ipv6.derived(ip) == address


@pytest.mark.parametrize(
    ("route", "counterpart"),
    [
        ("default via 10.9.1.254", "::/0 via 2001:db8:a09:100::fe"),
        ("10.2.0.0/16 via 10.9.1.254 metric 5", "2001:db8:a02::/48 via 2001:db8:a09:100::fe metric 5"),
        ("10.9.1.0/24 dev r1-eth2", "2001:db8:a09:100::/56 dev r1-eth2"),
        ("default dev r1-eth2", "::/0 dev r1-eth2"),
        ("10.2.0.0/16 via 10.9.9.9", None),
        ("10.2.0.0/16 dev r1-eth2 src 10.9.1.1", None),
        ("blackhole 10.2.0.0/16", None),
    ],
)
def test_a_route_has_a_counterpart(route: str, counterpart: str | None) -> None:
    assert ipv6.derived_route(route, {"10.9.1.254": "2001:db8:a09:100::fe"}) == counterpart


def test_a_host_s_network_is_covered_by_the_counterpart_of_its_route() -> None:
    assert IPv6Interface(ipv6.derived("10.2.3.4/24")) in IPv6Network(ipv6.derived_network("10.2.0.0/16"))


def _two_private_networks() -> Topo:
    topo = Topo()
    for number in (1, 2):
        switch = topo.addSwitch(f"s{number}")
        topo.addLink(topo.addHost(f"h{number}", ip="192.168.1.2/24"), switch)
    topo.addLink(topo.addHost("shared", ip="10.0.0.1/8"), "s2")
    return topo


def test_a_name_of_another_segment_with_an_own_address_is_left_out() -> None:
    topo = _two_private_networks()
    topology_checks.check(topo)
    assert hosts_file.HostsFiles(topo, with_ipv6=False).entries("h1") == [
        ("192.168.1.2", ["h1"]),
        ("10.0.0.1", ["shared"]),
    ]
    assert hosts_file.HostsFiles(topo, with_ipv6=True).entries("shared") == [
        ("192.168.1.2", ["h2"]),
        ("2001:db8:c0a8:100::2", ["h2"]),
        ("10.0.0.1", ["shared"]),
        ("2001:db8:a00::1", ["shared"]),
    ]


@pytest.mark.parametrize(
    ("params", "has_ipv6"),
    [({}, False), ({"ip6": "2001:db8::1/64"}, True), ({"routes": ["2001:db8:1::/64 via 2001:db8::2"]}, True)],
)
def test_a_topology_that_names_an_ipv6_address_has_ipv6(params: dict[str, Any], has_ipv6: bool) -> None:
    topo = Topo()
    topo.addHost("h1", **params)
    topology_checks.check(topo)
    assert ipv6_of(topo) is has_ipv6
    assert ipv6_of(topo, False) is False


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({"ip6": "2001:db8::1"}, "ip6='2001:db8::1' is not an IPv6 address with the length of its prefix"),
        ({"routes": "10.0.0.0/8 via 10.0.0.1"}, "is not a list of routes"),
        ({"routes": ["10.0.0.0/8"]}, "is not a list of routes"),
        ({"routes": ["there via 10.0.0.1"]}, "is not a list of routes"),
        ({"ipv6": True}, "set the topology's attribute ipv6"),
    ],
)
def test_a_wrong_option_is_one_sentence(params: dict[str, Any], complaint: str) -> None:
    topo = Topo()
    topo.addHost("h1", **params)
    with pytest.raises(TopologyError, match=r"^the host h1: ") as raised:
        topology_checks.check(topo)
    assert complaint in str(raised.value)


@pytest.mark.parametrize(
    ("command", "both"),
    [
        (
            "lab7.services.http.origin --listen 0.0.0.0 --port 80",
            "lab7.services.http.origin --listen 0.0.0.0 --listen :: --port 80",
        ),
        (
            "lab7.services.http.origin --port 80 --listen 0.0.0.0",
            "lab7.services.http.origin --port 80 --listen 0.0.0.0 --listen ::",
        ),
        ("lab7.services.dns.resolver --listen 10.0.0.1", "lab7.services.dns.resolver --listen 10.0.0.1"),
        ("nc -l --listen 0.0.0.0", "nc -l --listen 0.0.0.0"),
    ],
)
def test_a_service_of_lab7_listens_on_both_families(command: str, both: str) -> None:
    assert listening_on_both(command) == both
