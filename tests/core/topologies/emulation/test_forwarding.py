"""Static forwarding: the MAC addresses behind a port of a switch, across any number of switches."""

from __future__ import annotations

import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from lab7.topologies.emulation.addressing.tables import reached
from lab7.topologies.emulation.node import Bridge


def test_a_chain_longer_than_the_limit_of_recursion() -> None:
    length = 2 * sys.getrecursionlimit()
    bridges = [Bridge.__new__(Bridge) for _ in range(length)]
    neighbours: dict[Any, list[tuple[Any, Any]]] = {bridge: [] for bridge in bridges}

    def join(one: Any, other: Any) -> None:
        near, far = (SimpleNamespace(node=node, mac=getattr(node, "mac", "")) for node in (one, other))
        neighbours.setdefault(one, []).append((near, far))
        neighbours.setdefault(other, []).append((far, near))

    hosts = [SimpleNamespace(mac=f"host {number}") for number in range(3)]
    for one, other in pairwise(bridges):
        join(one, other)
    for host, bridge in zip(hosts, (bridges[0], bridges[length // 2], bridges[-1]), strict=True):
        neighbours[bridge].append((SimpleNamespace(node=bridge), SimpleNamespace(node=host, mac=host.mac)))
    onwards = neighbours[bridges[0]][0][1]
    assert sorted(reached(onwards, neighbours)) == ["host 1", "host 2"]
