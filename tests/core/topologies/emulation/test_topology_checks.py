"""A topology that cannot become a network is refused before anything is built, with the place of the error."""

from __future__ import annotations

from typing import Any

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.errors import TopologyError


def draw(hosts: dict[str, dict[str, Any]], **link: Any) -> Topo:
    """Return a topology of hosts around one switch; `link` shapes the link of the first one."""
    topo = Topo()
    switch = topo.addSwitch("s1")
    for number, (name, params) in enumerate(hosts.items()):
        topo.addLink(topo.addHost(name, **params), switch, **(link if number == 0 else {}))
    return topo


def complaint(topo: Topo) -> str:
    with pytest.raises(TopologyError) as raised:
        topology_checks.check(topo)
    text = str(raised.value)
    assert "\n" not in text
    return text


def test_a_sound_topology_passes() -> None:
    hosts = {"client": {"ip": "10.0.0.1/24"}, "origin": {"ip": "10.0.0.2/24", "serves": "lab7.services.http.origin"}}
    topology_checks.check(draw(hosts, bw=10, delay="5ms"))


def test_a_name_of_which_the_interface_just_fits_passes() -> None:
    topology_checks.check(draw({"h" * 10: {}}))


@pytest.mark.parametrize("over", [1, 5])
def test_a_name_too_long_names_the_interface_and_how_much_to_shorten(over: int) -> None:
    name = "h" * (10 + over)
    said = complaint(draw({name: {}}))
    assert f"its interface '{name}-eth0' has {15 + over} characters" in said
    assert "Linux allows 15" in said
    assert said.endswith(f"shorten it by {over}")


def test_the_longest_interface_of_a_node_counts() -> None:
    topo = Topo()
    switch = topo.addSwitch("switch-one")
    for number in range(10):
        topo.addLink(topo.addHost(f"h{number}"), switch)
    assert "its interface 'switch-one-eth10' has 16 characters" in complaint(topo)


@pytest.mark.parametrize("name", ["a b", "a:b", "a/b", "höst", "-", "."])
def test_a_name_that_no_host_can_have_is_named(name: str) -> None:
    assert complaint(draw({name: {}})) == f"the name {name!r} is not a host name: use letters, digits and hyphens"


def test_a_duplicate_address_names_both_hosts() -> None:
    said = complaint(draw({"anna": {"ip": "10.0.0.1/24"}, "bert": {"ip": "10.0.0.1/16"}}))
    assert said == "the hosts anna and bert both have the address 10.0.0.1"


def test_a_duplicate_address_given_on_a_link_is_found_as_well() -> None:
    topo = draw({"anna": {"ip": "10.0.0.1/24"}, "bert": {"ip": "10.0.0.2/24"}})
    topo.addLink("s1", topo.addSwitch("s2"))
    topo.addLink("bert", "s2", params1={"ip": "10.0.0.1/24"})
    assert complaint(topo) == "the hosts anna and bert both have the address 10.0.0.1"


def test_two_segments_may_use_the_same_private_address() -> None:
    topo = draw({"anna": {"ip": "192.168.1.2/24"}, "router": {"ip": "192.168.1.1/24"}})
    topo.addLink("router", topo.addSwitch("s2"), params1={"ip": "192.168.1.2/24"})
    topology_checks.check(topo)


def test_an_address_that_mininet_counts_up_to_is_one_as_well() -> None:
    topo = draw({"anna": {}, "bert": {"ip": "10.7.0.1/8"}, "carl": {}, "dora": {"ip": None}})
    assert topology_checks.host_addresses(topo) == {"anna": "10.0.0.1/8", "bert": "10.7.0.1/8", "carl": "10.0.0.3/8"}
    assert complaint(draw({"anna": {}, "bert": {"ip": "10.0.0.1/24"}})) == (
        "the hosts anna and bert both have the address 10.0.0.1"
    )


def test_a_name_may_be_longer_if_its_links_name_its_interfaces() -> None:
    topo = Topo()
    topo.addLink(topo.addHost("headquarters-server"), topo.addSwitch("s1"), intfName1="eth0")
    topology_checks.check(topo)
    topo.addLink("headquarters-server", "s1")
    assert "its interface 'headquarters-server-eth1' has 24 characters" in complaint(topo)


def test_the_name_of_a_switch_is_that_of_an_interface() -> None:
    topo = Topo()
    topo.addSwitch("aggregation-switch")
    assert "its interface 'aggregation-switch' has 18 characters" in complaint(topo)


def test_an_address_that_a_link_gives_to_the_first_interface_gives_way_to_mininet_s() -> None:
    topo = Topo()
    topo.addLink(topo.addHost("anna"), topo.addSwitch("s1"), params1={"ip": "10.1.0.1/24"})
    assert topology_checks.host_addresses(topo) == {"anna": "10.0.0.1/8"}


def test_an_address_that_a_link_gives_to_the_first_interface_is_that_of_a_host_without() -> None:
    topo = Topo()
    switch = topo.addSwitch("s1")
    topo.addLink(switch, topo.addHost("anna", ip=None), params2={"ip": "10.1.0.1/24"})
    topo.addLink("anna", switch, params1={"ip": "10.2.0.1/24"})
    topo.addHost("alone")
    assert topology_checks.host_addresses(topo) == {"anna": "10.1.0.1/24"}


@pytest.mark.parametrize("ip", ["10.0.0.256/24", "10.0.0.1/33", "ten", "::1/64", "10.0.0"])
def test_an_address_that_is_none_names_the_host(ip: str) -> None:
    assert complaint(draw({"anna": {"ip": ip}})) == f"the host anna has ip={ip!r}, which is not an IPv4 address"


@pytest.mark.parametrize(
    "serves", ["lab7.services.http.orgin --port 80", ["lab7.services.http.origin", "services.none.x"]]
)
def test_an_unknown_module_in_serves_names_host_and_module(serves: str | list[str]) -> None:
    said = complaint(draw({"anna": {"serves": serves}}))
    assert said.startswith("the host anna: there is no module lab7.services.")
    assert "check the spelling" in said


def test_a_serves_whose_quotes_do_not_close_names_the_host() -> None:
    assert complaint(draw({"anna": {"serves": "lab7.services.http.origin --root 'a"}})).startswith("the host anna: ")


def test_a_bad_link_parameter_names_the_link() -> None:
    assert complaint(draw({"anna": {}}, delay="soon")).startswith("the link anna-s1: delay='soon' is not a time")


@pytest.mark.parametrize("side", ["params1", "params2"])
def test_a_bad_parameter_of_one_direction_names_the_link(side: str) -> None:
    assert complaint(draw({"anna": {}}, bw=1, **{side: {"loss": 200}})).startswith("the link anna-s1: loss=200 ")


@pytest.mark.parametrize(("serves", "found"), [(None, []), ("", []), ("a b", ["a b"]), (["a", "b c"], ["a", "b c"])])
def test_what_a_host_serves_is_one_command_or_several(serves: Any, found: list[str]) -> None:
    assert topology_checks.commands(serves) == found
