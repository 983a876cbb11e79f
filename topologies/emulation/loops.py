"""Detection of loops between switches, in which a broadcast frame would circulate for ever.

IEEE 802.1D breaks loops by a spanning tree. A switch with stp=True takes part in the protocol, and blocks one of its
ports in every loop that contains it, because switches without stp forward its BPDUs. A loop of switches without stp is
refused. Two links between the same two switches are a loop.
"""

from collections import deque
from collections.abc import Iterable, Sequence

from mininet.topo import Topo


def find_loop(topo: Topo, *, spanning_tree: bool = True) -> list[str]:
    """Return the switches along the first loop of a topology, with the first repeated at the end; [] without a loop.

    spanning_tree: leave out loops that a switch with stp=True breaks.
    """
    cutting = {switch for switch in topo.switches() if spanning_tree and topo.nodeInfo(switch).get("stp")}
    return find_loop_among([switch for switch in topo.switches() if switch not in cutting], topo.links())


def find_loop_among(switches: Sequence[str], links: Iterable[tuple[str, str]]) -> list[str]:
    """Return a loop among these switches of a running network, as find_loop() does; links of hosts are ignored."""
    joined: dict[str, list[str]] = {switch: [] for switch in switches}
    for first, other in links:
        if first not in joined or other not in joined:
            continue
        # A link between two switches that are connected already closes a loop.
        if path := _path(joined, first, other):
            return _from_first(path, switches)
        joined[first].append(other)
        joined[other].append(first)
    return []


def _path(joined: dict[str, list[str]], start: str, end: str) -> list[str]:
    """Return the switches on the shortest path between two switches, both included; [] if there is none."""
    before = {start: ""}
    waiting = deque([start])
    while waiting:
        here = waiting.popleft()
        if here == end:
            return list(reversed(list(_backwards(before, end))))
        for there in joined[here]:
            if there not in before:
                before[there] = here
                waiting.append(there)
    return []


def _backwards(before: dict[str, str], end: str) -> Iterable[str]:
    while end:
        yield end
        end = before[end]


def _from_first(path: list[str], switches: Sequence[str]) -> list[str]:
    """Rotate a loop to begin with the switch that is first in the topology, then the earlier of its neighbours."""
    start = min(range(len(path)), key=lambda place: switches.index(path[place]))
    loop = path[start:] + path[:start]
    if len(loop) > 2 and switches.index(loop[1]) > switches.index(loop[-1]):
        loop = [loop[0], *reversed(loop[1:])]
    return [*loop, loop[0]]
