"""Layout of a topology's diagram as trees: each spanning tree is drawn from left to right, with one leaf in each row.

Links outside of the spanning trees (loops, second links between two nodes) get no place here: the caller draws them.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Place of a node in a tree layout: depth, row, parent, and index of the link to the parent (None for a root)."""

    depth: int
    row: float
    parent: str | None
    link: int | None
    is_leaf: bool


# Node -> its parent in the spanning tree, and the number of the link to that (None for a root).
Tree = dict[str, tuple[str | None, int | None]]
_Neighbours = Mapping[str, list[tuple[str, int]]]


def spanning_trees(
    nodes: Sequence[str], links: Sequence[tuple[str, str]], switches: frozenset[str] = frozenset()
) -> list[Tree]:
    """Return a spanning tree of each connected component, with its nodes in the order of distance from the root.

    The root is half-way on a longest path; if there are two such nodes, a switch is preferred.
    """
    neighbours: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for number, (first, second) in enumerate(links):
        if first != second:
            neighbours[first].append((second, number))
            neighbours[second].append((first, number))
    trees: list[Tree] = []
    placed: set[str] = set()
    for node in nodes:
        if node not in placed:
            trees.append(_spanning(_middle(node, neighbours, switches), neighbours))
            placed.update(trees[-1])
    return trees


def children_of(tree: Tree) -> dict[str, list[str]]:
    """Return the children of each node of a tree, in the order in which the tree lists them."""
    children: dict[str, list[str]] = {node: [] for node in tree}
    for node, (parent, _) in tree.items():
        if parent is not None:
            children[parent].append(node)
    return children


def layout(nodes: Sequence[str], links: Sequence[tuple[str, str]], switches: frozenset[str]) -> dict[str, Place]:
    """Return the place of each node of a diagram: column by depth in the tree, row by the order of the leaves."""
    places: dict[str, Place] = {}
    row = 0
    for tree in spanning_trees(nodes, links, switches):
        row = _place_tree(tree, places, row)
    return places


def _spanning(root: str, neighbours: _Neighbours) -> Tree:
    parents: Tree = {root: (None, None)}
    waiting = deque([root])
    while waiting:
        node = waiting.popleft()
        for other, number in neighbours.get(node, []):
            if other not in parents:
                parents[other] = (node, number)
                waiting.append(other)
    return parents


def _middle(node: str, neighbours: _Neighbours, switches: frozenset[str]) -> str:
    start = list(_spanning(node, neighbours))[-1]
    parents = _spanning(start, neighbours)
    path: list[str] = []
    at: str | None = list(parents)[-1]
    while at is not None:
        path.append(at)
        at = parents[at][0]
    half = (len(path) - 1) // 2
    return next((one for one in path[half : half + 2] if one in switches), path[half])


def _place_tree(tree: Tree, places: dict[str, Place], row: int) -> int:
    """Place the nodes of one tree from `row` on, and return the next free row."""
    children = children_of(tree)
    depth: dict[str, int] = {}
    for node, (parent, _) in tree.items():
        depth[node] = 0 if parent is None else depth[parent] + 1
    rows: dict[str, float] = {}
    # Depth first without recursion, whose depth Python limits: a topology may be a chain of a thousand switches.
    waiting: list[tuple[str, bool]] = [(next(iter(tree)), False)]
    while waiting:
        node, is_done = waiting.pop()
        # Leaves are placed above subtrees, so that few lines cross the names.
        below = sorted(children[node], key=lambda one: bool(children[one]))
        if is_done:
            rows[node] = (rows[below[0]] + rows[below[-1]]) / 2
        elif below:
            waiting += [(node, True), *((one, False) for one in reversed(below))]
        else:
            rows[node], row = row, row + 1
    for node, (parent, number) in tree.items():
        places[node] = Place(depth[node], rows[node], parent, number, not children[node])
    return row
