"""Picture of a topology as SVG: a tree from left to right, one row for each leaf; other links are dashed curves.

Nodes and links carry the attributes by which the page's script finds them: data-node, data-link, and data-load for the
text with the load of a link.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

ROW, COLUMN = 32, 84
MARGIN, CHARACTER = 16, 7.3
LOAD_WIDTH = 96


@dataclass(frozen=True)
class Place:
    """Place of a node in the picture, and the number of the link to its parent (None for a root)."""

    x: float
    y: float
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
        x, y = MARGIN + COLUMN * depth[node], ROW * (rows[node] + 1)
        places[node] = Place(x, y, parent, number, not children[node])
    return row


def draw(described: Mapping[str, Any]) -> str:
    """Return the picture of a described network as an <svg> element."""
    switches = frozenset(one["name"] for one in described["switches"])
    nodes = [one["name"] for one in (*described["switches"], *described["hosts"])]
    links = [(link["nodes"][0], link["nodes"][1]) for link in described["links"]]
    places = layout(nodes, links, switches)
    serving = {one["name"] for one in described["hosts"] if one["services"]}
    width = max((place.x + _label_width(name, place) for name, place in places.items()), default=0) + LOAD_WIDTH
    height = max((place.y for place in places.values()), default=0) + ROW
    parts = [
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="group" '
        'aria-label="Topology: the same nodes and links are in the tables below">'
    ]
    tree = {place.link: name for name, place in places.items() if place.link is not None}
    for number, ends in enumerate(links):
        parts.append(_link(number, ends, places, tree.get(number)))
    for name, place in places.items():
        parts.append(_node(name, place, is_switch=name in switches, serves=name in serving))
    return "".join([*parts, "</svg>"])


def _label_width(name: str, place: Place) -> float:
    return 14 + CHARACTER * len(name) if place.is_leaf else 0


def _link(number: int, ends: tuple[str, str], places: Mapping[str, Place], child: str | None) -> str:
    first, second = places[ends[0]], places[ends[1]]
    # A path runs from end 1 to end 2, so that the script knows the direction of packets on it.
    if child is None:
        bend = 30 + abs(first.y - second.y) / 6
        far = max(first.x, second.x) + bend
        path = f"M{first.x:.0f} {first.y:.0f}C{far:.0f} {first.y:.0f} {far:.0f} {second.y:.0f} "
        path += f"{second.x:.0f} {second.y:.0f}"
    else:
        middle = min(first.x, second.x) + 22
        path = f"M{first.x:.0f} {first.y:.0f}H{middle:.0f}V{second.y:.0f}H{second.x:.0f}"
    name = escape("-".join(ends))
    kind = "cable" if child is not None else "cable loop"
    return (
        f'<g class="{kind}" data-link="{number}" tabindex="0" role="button" aria-label="link {name}">'
        f'<path class="touch" d="{path}"/><path class="wire" d="{path}"/></g>'
    )


def _node(name: str, place: Place, *, is_switch: bool, serves: bool) -> str:
    label = escape(name)
    kind = "switch" if is_switch else "host serving" if serves else "host"
    shape = (
        f'<rect x="{place.x - 7:.0f}" y="{place.y - 7:.0f}" width="14" height="14" rx="3"/>'
        if is_switch
        else f'<circle cx="{place.x:.0f}" cy="{place.y:.0f}" r="6.5"/>'
    )
    x, y = (place.x + 12, place.y + 4) if place.is_leaf else (place.x - 8, place.y - 11)
    load = f'<tspan class="load" data-load="{place.link}" dx="6"></tspan>' if place.link is not None else ""
    button = "" if is_switch else 'tabindex="0" role="button"'
    return (
        f'<g class="node {kind}" data-node="{label}" {button} aria-label="{kind.split()[0]} {label}">{shape}'
        f'<text x="{x:.0f}" y="{y:.0f}">{label}{load}</text></g>'
    )
