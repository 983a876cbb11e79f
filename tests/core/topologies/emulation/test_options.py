"""Invalid options of addHost(), addSwitch() and addLink(): one sentence names node and option."""

from __future__ import annotations

from typing import Any

import pytest
from mininet.topo import Topo

from lab7.topologies.emulation import topology_checks
from lab7.topologies.emulation.errors import TopologyError


def topology(host: dict[str, Any], link: dict[str, Any], switch: dict[str, Any]) -> Topo:
    topo = Topo()
    topo.addLink(topo.addHost("anna", **host), topo.addSwitch("s1", **switch), **link)
    return topo


def complaint(
    host: dict[str, Any] | None = None, link: dict[str, Any] | None = None, switch: dict[str, Any] | None = None
) -> str:
    with pytest.raises(TopologyError) as raised:
        topology_checks.check(topology(host or {}, link or {}, switch or {}))
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "options",
    [
        {"ip": 5},
        {"mac": "zz"},
        {"mac": 5},
        {"mac": "01:00:00:00:00:01"},
        {"defaultRoute": 5},
        {"serves": 5},
        {"serves": [5]},
        {"serves": {"a": 1}},
        {"listens": "http"},
        {"listens": True},
        {"listens": 65536},
        {"names": "www.example.com"},
        {"names": [5]},
        {"resolver": 5},
        {"resolver": "nowhere"},
        {"resolver": ["10.0.0.1", "::1"]},
        {"files": ["own.zone"]},
        {"files": {"own.zone": 5}},
        {"files": {"../own.zone": ""}},
        {"files": {"/etc/passwd": ""}},
        {"privateDirs": "/var/log"},
        {"privateDirs": [5]},
        {"privateDirs": [("/var/log",)]},
        {"privateDirs": ["/"]},
        {"inNamespace": "no"},
        {"lo": "sideways"},
        {"cpu": "half"},
        {"cpu": -0.5},
        {"cores": ["first"]},
        {"cores": []},
        {"sched": "rt"},
    ],
    ids=str,
)
def test_an_option_of_a_host(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    assert complaint(host=options).startswith(f"the host anna: {name}={value!r} ")


@pytest.mark.parametrize(
    "options",
    [
        {"port1": "first"},
        {"port2": -1},
        {"intfName1": 5},
        {"intfName2": "x" * 16},
        {"intfName1": "eth 0"},
        {"addr1": 5},
        {"addr2": "00:00"},
        {"params1": 5},
        {"params2": [("ip", "10.0.0.1/24")]},
        {"ip": "10.0.0.1/24"},
        {"mac": "00:00:00:00:00:01"},
        {"name": "eth0"},
        {"link": 5},
        {"moveIntfFn": 5},
        {"enable_red": True},
        {"use_tbf": True},
        {"gro": True},
        {"txo": True},
        {"disable_gro": False},
    ],
    ids=str,
)
def test_an_option_of_a_link(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    assert complaint(link=options).startswith(f"the link anna-s1: {name}={value!r} ")


@pytest.mark.parametrize("side", ["params1", "params2"])
@pytest.mark.parametrize(
    "options", [{"ip": 5}, {"ip": "10.0.0.1"}, {"ip": "ten/8"}, {"mac": "x"}, {"node": 1}], ids=str
)
def test_an_option_of_one_end_of_a_link(options: dict[str, Any], side: str) -> None:
    ((name, value),) = options.items()
    assert complaint(link={side: options}).startswith(f"the link anna-s1, {side}: {name}={value!r} ")


@pytest.mark.parametrize(
    "options",
    [{"dpid": 5}, {"dpid": "x"}, {"dpid": "0" * 17}, {"prio": -1}, {"inNamespace": True}, {"privateDirs": ["/a"]}],
    ids=str,
)
def test_an_option_of_a_switch(options: dict[str, Any]) -> None:
    ((name, value),) = options.items()
    assert complaint(switch=options).startswith(f"the switch s1: {name}={value!r} ")


def test_what_can_be_passes() -> None:
    host = {
        "ip": "10.0.0.1",
        "mac": "00:00:00:00:00:01",
        "defaultRoute": "via 10.0.0.254",
        "names": ("www.example.com",),
        "resolver": ["10.0.0.53"],
        "files": {"zones/own.zone": "text"},
        "privateDirs": ["/var/log", "/var/run", "/run/sshd", ("/var/mail", "/tmp/%(name)s/mail")],
        "inNamespace": True,
        "unknown": object(),
    }
    link: dict[str, Any] = {
        "bw": 10,
        "use_htb": True,
        "use_hfsc": True,
        "txo": False,
        "gro": False,
        "disable_gro": True,
        "fast": False,
    }
    link |= {"params1": {"delay": "1ms", "ip": "10.0.0.1/8"}, "intfName1": "eth0", "port1": 3}
    topology_checks.check(topology(host, link, {"dpid": "00:00:00:00:00:00:00:01", "stp": True}))


def test_nothing_stands_for_the_default() -> None:
    host = dict.fromkeys(("ip", "mac", "defaultRoute", "serves", "names", "resolver", "files", "privateDirs", "cls"))
    link = dict.fromkeys(("bw", "delay", "params1", "intfName1", "addr1", "cls", "intf"))
    topology_checks.check(topology(host, link, {"dpid": None, "cls": None}))
