"""Diagrams of a topology: SVG, Mermaid and DOT (Graphviz), with addresses, services, and rate and delay of links."""

import html
import re
from dataclasses import dataclass
from typing import Any

from mininet.topo import Topo

from lab7.topologies.description.tree import children_of, spanning_trees

# Sizes of the SVG, in pixels; a letter of the font is about LETTER wide.
BOX_WIDTH_MIN, LINE, PADDING, GAP_X, GAP_Y, LETTER = 90, 16, 8, 150, 24, 7.2
FORMATS = ("svg", "mermaid", "dot")


@dataclass(frozen=True)
class Node:
    """Node of a diagram: its name, further lines of text in its box, and whether it is a switch."""

    name: str
    lines: tuple[str, ...]
    switch: bool


@dataclass(frozen=True)
class Edge:
    """Link of a diagram, with its rate, delay and loss as text."""

    first: str
    second: str
    label: str


def parts(topo: Topo) -> tuple[list[Node], list[Edge]]:
    """Return the nodes and links of a topology as parts of a diagram, sorted by name."""
    nodes = [
        Node(name, () if topo.isSwitch(name) else _described(topo.nodeInfo(name)), topo.isSwitch(name))
        for name in [*topo.switches(), *topo.hosts()]
    ]
    edges = [Edge(first, second, _shape(info)) for first, second, info in topo.links(sort=True, withInfo=True)]
    return nodes, edges


def _described(info: dict[str, Any]) -> tuple[str, ...]:
    serves = info.get("serves") or []
    modules = [str(one).split()[0] for one in ([serves] if isinstance(serves, str) else serves) if str(one).split()]
    address = str(info.get("ip") or "").partition("/")[0]
    names = info.get("names") or []
    return tuple(filter(None, [address, ", ".join(names[:2]) + (" ..." if len(names) > 2 else ""), *modules]))


def _shape(info: dict[str, Any]) -> str:
    words = [f"{info['bw']:g} Mbit/s" if isinstance(info.get("bw"), int | float) else ""]
    words += [str(info["delay"])] if info.get("delay") not in (None, "", "0ms") else []
    words += [f"{info['loss']}% loss"] if info.get("loss") else []
    return ", ".join(filter(None, words))


def draw(topo: Topo, form: str) -> str:
    """Draw a topology: return its diagram as text, in the format `form`, one of FORMATS."""
    nodes, edges = parts(topo)
    return {"svg": _svg, "mermaid": _mermaid, "dot": _dot}[form](nodes, edges)


def _mermaid(nodes: list[Node], edges: list[Edge]) -> str:
    ids = {node.name: f"n{place}" for place, node in enumerate(nodes)}
    lines = ["graph LR"]
    for node in nodes:
        text = "<br/>".join(_entities(line) for line in (node.name, *node.lines))
        lines.append(f'    {ids[node.name]}(("{text}"))' if node.switch else f'    {ids[node.name]}["{text}"]')
    for edge in edges:
        label = f'|"{_entities(edge.label)}"|' if edge.label else ""
        lines.append(f"    {ids[edge.first]} ---{label} {ids[edge.second]}")
    return "\n".join(lines) + "\n"


def _entities(text: str) -> str:
    """Return a text for Mermaid, in which characters of Mermaid's syntax are replaced by entities."""
    return re.sub(r'["#<>\[\](){}|]', lambda found: f"#{ord(found[0])};", text)


def _dot(nodes: list[Node], edges: list[Edge]) -> str:
    lines = ["graph topology {", '    graph [rankdir=LR]; node [shape=box, fontname="sans-serif"];']
    for node in nodes:
        text = "\\n".join(_escaped(line) for line in (node.name, *node.lines))
        shape = ", shape=circle" if node.switch else ""
        lines.append(f'    "{_escaped(node.name)}" [label="{text}"{shape}];')
    for edge in edges:
        label = f' [label="{_escaped(edge.label)}"]' if edge.label else ""
        lines.append(f'    "{_escaped(edge.first)}" -- "{_escaped(edge.second)}"{label};')
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _children(nodes: list[Node], edges: list[Edge]) -> dict[str, list[str]]:
    """Return the children of each node in a topology's spanning trees.

    The children of the empty name "" are the roots.
    """
    trees = spanning_trees([node.name for node in nodes], [(edge.first, edge.second) for edge in edges])
    children = {"": [next(iter(tree)) for tree in trees]}
    for tree in trees:
        children |= children_of(tree)
    return children


def _centres(
    children: dict[str, list[str]], sizes: dict[str, tuple[float, float]]
) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Return (centre of each node, width, height) of a diagram; a column is a tree depth, a row has one leaf."""
    depths: dict[str, int] = {"": -1}
    order = [""]
    for name in order:
        for child in children[name]:
            depths[child] = depths[name] + 1
            order.append(child)
    widths = [0.0] * (max(depths.values()) + 1)
    for name in order[1:]:
        widths[depths[name]] = max(widths[depths[name]], sizes[name][0])
    lefts = [GAP_Y + sum(widths[:depth]) + GAP_X * depth for depth in range(len(widths))]
    bands: dict[str, float] = {}
    for name in reversed(order):
        own = sizes[name][1] + GAP_Y if name else 0.0
        bands[name] = max(own, sum(bands[child] for child in children[name]))
    tops, centres = {"": GAP_Y / 2}, {}
    for name in order:
        top = tops[name] + (bands[name] - sum(bands[child] for child in children[name])) / 2
        for child in children[name]:
            tops[child] = top
            top += bands[child]
        if name:
            depth = depths[name]
            centres[name] = lefts[depth] + widths[depth] / 2, tops[name] + bands[name] / 2
    return centres, sum(widths) + GAP_X * max(0, len(widths) - 1) + 2 * GAP_Y, bands[""] + GAP_Y


def _svg(nodes: list[Node], edges: list[Edge]) -> str:
    sizes = {node.name: _size(node) for node in nodes}
    centres, width, height = _centres(_children(nodes, edges), sizes)
    boxes = [_box(node, centres[node.name], sizes[node.name]) for node in nodes]
    body = [*(_line(edge, centres, sizes) for edge in edges), *boxes]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="sans-serif" font-size="12">\n'
        + "\n".join(['<rect width="100%" height="100%" fill="#fff"/>', *body])
        + "\n</svg>\n"
    )


def _size(node: Node) -> tuple[float, float]:
    lines = (node.name, *node.lines)
    return max(BOX_WIDTH_MIN, LETTER * max(map(len, lines)) + 2 * PADDING), LINE * len(lines) + 2 * PADDING


def _box(node: Node, centre: tuple[float, float], size: tuple[float, float]) -> str:
    left, top = centre[0] - size[0] / 2, centre[1] - size[1] / 2
    fill, corner = ("#e9ecef", size[1] / 2) if node.switch else ("#fff", 4)
    texts = [
        f'<text x="{centre[0]:.1f}" y="{top + PADDING + LINE * (row + 0.75):.1f}" text-anchor="middle"'
        f"{' font-weight=' + chr(34) + 'bold' + chr(34) if row == 0 else ''}>{html.escape(line)}</text>"
        for row, line in enumerate((node.name, *node.lines))
    ]
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" rx="{corner:.0f}" '
        f'fill="{fill}" stroke="#22262b"/>' + "".join(texts)
    )


def _line(edge: Edge, centres: dict[str, tuple[float, float]], sizes: dict[str, tuple[float, float]]) -> str:
    """Return an SVG line that joins two boxes: at their facing sides or, in the same column, at their centres."""
    left, right = sorted((edge.first, edge.second), key=lambda name: centres[name])
    (x1, y1), (x2, y2) = centres[left], centres[right]
    if x2 - x1 > (sizes[left][0] + sizes[right][0]) / 2:
        x1, x2 = x1 + sizes[left][0] / 2, x2 - sizes[right][0] / 2
    label = ""
    if edge.label:
        label = (
            f'<text x="{(x1 + 2 * x2) / 3:.1f}" y="{(y1 + 2 * y2) / 3 - 5:.1f}" text-anchor="middle" fill="#0a58a8">'
            f"{html.escape(edge.label)}</text>"
        )
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#565e68"/>{label}'
