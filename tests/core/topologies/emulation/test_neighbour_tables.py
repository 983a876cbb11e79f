"""Permanent neighbour entries: each host gets those of its network and segment, and none for itself."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.topologies.emulation.addressing import tables
from lab7.topologies.emulation.links import rtnetlink
from lab7.topologies.emulation.links.plan import Plan

MACS = {f"10.0.0.{number}": f"02:00:00:00:00:{number:02x}" for number in (1, 2, 3)} | {"10.9.0.1": "02:00:00:00:09:01"}


@dataclass(eq=False)
class Part:
    """A switch, or an interface of a node."""

    name: str
    ip: str = ""
    prefixLen: str = "24"  # noqa: N815 - Mininet's name
    mac: str = ""
    node: Any = None


class FakeHost:
    """A host with one interface, whose changes are kept in a plan that makes none."""

    def __init__(self, name: str, address: str, plan: Plan) -> None:
        self.name, self.plan = name, plan
        self.interface = Part(name=f"{name}-eth0", ip=address, prefixLen="24", mac=MACS[address], node=self)

    def intfList(self) -> list[Any]:  # noqa: N802
        return [self.interface]


def test_each_host_gets_the_entries_of_its_network_but_for_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Plan()
    switch = Part(name="s1")
    hosts = [FakeHost(f"h{number}", address, plan) for number, address in enumerate(MACS, start=1)]
    links = []
    for host in hosts:
        links.append(SimpleNamespace(intf1=host.interface, intf2=Part(name="s1-eth", node=switch)))
    net = SimpleNamespace(hosts=hosts, switches=[switch], links=links)
    monkeypatch.setattr(plan, "made", lambda: None)
    tables.set_neighbours(net, with_ipv6=False)
    for host in hosts:
        ((interface, entries),) = plan.node(host).neighbours  # type: ignore[arg-type]
        assert interface == f"{host.name}-eth0"
        there = [address for address in MACS if address != host.interface.ip and address.startswith("10.0.0.")]
        expected = [rtnetlink.neighbour(address, MACS[address], rtnetlink.ANY) for address in there]
        assert entries == (expected if host.interface.ip.startswith("10.0.0.") else [])


def test_the_index_of_the_interface_takes_the_place_of_any() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        # The acknowledgement is there before the request, since nothing answers it.
        theirs.send(rtnetlink.HEADER.pack(20, 2, 0, 0, 0) + rtnetlink.ERROR.pack(0))
        entry = rtnetlink.neighbour("10.0.0.2", MACS["10.0.0.2"], rtnetlink.ANY)
        rtnetlink.send(ours, [entry], ["neigh"], 7)
        expected = bytearray(rtnetlink.neighbour("10.0.0.2", MACS["10.0.0.2"], 7))
        expected[6:8] = (rtnetlink.NLM_F_REQUEST | rtnetlink.NLM_F_ACK | 0x500).to_bytes(2, "little")
        assert theirs.recv(1000) == bytes(expected)
