"""Detection of loops between switches, where a broadcast frame would circulate until the network is taken down.

IEEE 802.1D breaks loops by a spanning tree, which the switches here do not run: they forward at once. So a topology
must have none. Two links between the same two switches are a loop.
"""

from collections import deque
from collections.abc import Iterable

from mininet.topo import Topo


def find_loop(topo: Topo) -> list[str]:
    """Return the switches along the first loop of a topology, closed by the first again; empty if there is none."""
    switches = topo.switches()
    joined: dict[str, list[str]] = {switch: [] for switch in switches}
    for first, other in topo.links():
        if first not in joined or other not in joined:
            continue
        # A link whose ends are connected already closes a loop.
        if path := _path(joined, first, other):
            return _from_first(path, switches)
        joined[first].append(other)
        joined[other].append(first)
    return []


def _path(joined: dict[str, list[str]], start: str, end: str) -> list[str]:
    """Return the switches of the shortest path, both ends included; empty if there is none (breadth-first search)."""
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


def _from_first(path: list[str], switches: list[str]) -> list[str]:
    """Rotate a loop to start at its first switch in topology order, in the direction of the lower neighbour."""
    start = min(range(len(path)), key=lambda place: switches.index(path[place]))
    loop = path[start:] + path[:start]
    if len(loop) > 2 and switches.index(loop[1]) > switches.index(loop[-1]):
        loop = [loop[0], *reversed(loop[1:])]
    return [*loop, loop[0]]
