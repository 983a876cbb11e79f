"""Places of the nodes of a topology in a picture: a tree from left to right, one row for each leaf."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Place of a node: depth in the tree, row, parent, and the number of the link to the parent (None for a root)."""

    depth: int
    row: float
    parent: str | None
    link: int | None
    is_leaf: bool


def layout(nodes: Sequence[str], links: Sequence[tuple[str, str]], switches: frozenset[str]) -> dict[str, Place]:
    """Return the place of each node: column by depth from the root, row by the order of the leaves.

    The root of each component is a node in its middle: half-way on a longest path.
    """
    neighbours: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, (first, second) in enumerate(links):
        if first != second:
            neighbours[first].append((second, number))
            neighbours[second].append((first, number))
    places: dict[str, Place] = {}
    row = 0
    for node in nodes:
        if node not in places:
            row = _place_component(_middle(node, neighbours, switches), neighbours, places, row)
    return places


def _spanning(root: str, neighbours: Mapping[str, list[tuple[str, int]]]) -> dict[str, tuple[str | None, int | None]]:
    """Return parent and link of each node of a component, in order of their distance from the root."""
    parents: dict[str, tuple[str | None, int | None]] = {root: (None, None)}
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        for other, number in neighbours.get(node, []):
            if other not in parents:
                parents[other] = (node, number)
                waiting.append(other)
    return parents


def _middle(node: str, neighbours: Mapping[str, list[tuple[str, int]]], switches: frozenset[str]) -> str:
    start = list(_spanning(node, neighbours))[-1]
    parents = _spanning(start, neighbours)
    path: list[str] = []
    at: str | None = list(parents)[-1]
    while at is not None:
        path.append(at)
        at = parents[at][0]
    half = len(path) // 2
    return next((one for one in path[half : half + 2] if one in switches), path[half])


def _place_component(
    root: str, neighbours: Mapping[str, list[tuple[str, int]]], places: dict[str, Place], row: int
) -> int:
    """Place the nodes of one component below `row`; return the next free row."""
    parents = _spanning(root, neighbours)
    children: dict[str, list[str]] = defaultdict(list)
    depth = {root: 0}
    for node, (parent, _) in parents.items():
        if parent is not None:
            children[parent].append(node)
            depth[node] = depth[parent] + 1
    rows: dict[str, float] = {}
    # Depth first without recursion: a chain of a thousand switches is a topology, too.
    waiting: list[tuple[str, bool]] = [(root, False)]
    while waiting:
        node, is_done = waiting.pop()
        # Leaves above subtrees, so that few lines cross the names.
        below = sorted(children[node], key=lambda one: bool(children[one]))
        if is_done:
            rows[node] = (rows[below[0]] + rows[below[-1]]) / 2
        elif below:
            waiting += [(node, True), *((one, False) for one in reversed(below))]
        else:
            rows[node], row = row, row + 1
    for node, (parent, number) in parents.items():
        places[node] = Place(depth[node], rows[node], parent, number, not children[node])
    return row
