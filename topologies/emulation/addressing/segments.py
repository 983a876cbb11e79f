"""Broadcast domains (segments): host interfaces that reach one another by broadcast frames through switches.

An address has to be unique in its segment only: two private networks (RFC 1918 section 3), each behind a NAT router,
may use the same addresses.
"""

from collections.abc import Callable, Hashable, Iterable
from typing import Any, TypeVar

from mininet.topo import Topo

End = TypeVar("End", bound=Hashable)
# Interface of a host in a topology: (node name, port number).
Port = tuple[str, int]


def domains(cables: Iterable[tuple[End, End]], switch_of: Callable[[End], Hashable | None]) -> dict[End, int]:
    """Return the number of the broadcast domain of each link end that belongs to a host, keyed by the link end.

    cables: pairs of link ends; switch_of: function that returns the switch of a link end, None for one at a host.
    """
    joined: dict[Hashable, list[Hashable]] = {}
    ends: dict[End, Hashable] = {}
    for pair in cables:
        nodes: list[Hashable] = []
        for end in pair:
            switch = switch_of(end)
            if switch is None:
                ends[end] = ("end", end)
            nodes.append(ends[end] if switch is None else ("switch", switch))
        near, far = nodes
        joined.setdefault(near, []).append(far)
        joined.setdefault(far, []).append(near)
    numbers: dict[Hashable, int] = {}
    for number, start in enumerate(joined):
        waiting = [start]
        while waiting:
            here = waiting.pop()
            if here not in numbers:
                numbers[here] = number
                waiting += joined[here]
    return {end: numbers[node] for end, node in ends.items()}


def of_topology(topo: Topo) -> dict[Port, int]:
    """Return the number of the broadcast domain of each host's port in a topology, keyed by (host, port)."""
    switches = set(topo.switches())
    cables = [
        ((params.get("node1", first), params["port1"]), (params.get("node2", second), params["port2"]))
        for first, second, params in topo.links(withInfo=True)
    ]
    return domains(cables, lambda end: end[0] if end[0] in switches else None)


def of_network(net: Any) -> dict[Any, int]:
    """Return the number of the broadcast domain of each host's interface in a running Mininet network, by interface."""
    return domains(
        ((link.intf1, link.intf2) for link in net.links),
        lambda end: end.node if end.node in net.switches else None,
    )
