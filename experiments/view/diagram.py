"""Diagram of a topology as SVG: a tree from left to right, one row for each leaf; other links are dashed curves.

Nodes and links carry the attributes by which the web page's script finds them: data-node, data-link, and data-load for
the text with the load of a link.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from lab7.topologies.description.tree import Place, layout

ROW, COLUMN = 32, 84
MARGIN, CHARACTER = 16, 7.3
LOAD_WIDTH = 96


def draw(described: Mapping[str, Any]) -> str:
    """Return the diagram of a network as an <svg> element.

    `described`: the description that the network's control server sends.
    """
    switches = frozenset(one["name"] for one in described["switches"])
    nodes = [one["name"] for one in (*described["switches"], *described["hosts"])]
    links = [(link["nodes"][0], link["nodes"][1]) for link in described["links"]]
    places = layout(nodes, links, switches)
    serving = {one["name"] for one in described["hosts"] if one["services"]}
    width = max((_at(place)[0] + _label_width(name, place) for name, place in places.items()), default=0) + LOAD_WIDTH
    height = max((_at(place)[1] for place in places.values()), default=0) + ROW
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


def _at(place: Place) -> tuple[float, float]:
    """Return the position of a node in the diagram, in pixels."""
    return MARGIN + COLUMN * place.depth, ROW * (place.row + 1)


def _label_width(name: str, place: Place) -> float:
    return 14 + CHARACTER * len(name) if place.is_leaf else 0


def _link(number: int, ends: tuple[str, str], places: Mapping[str, Place], child: str | None) -> str:
    (x1, y1), (x2, y2) = (_at(places[end]) for end in ends)
    # A path runs from end 1 to end 2, so that the script knows the direction of packets on it.
    if child is None:
        far = max(x1, x2) + 30 + abs(y1 - y2) / 6
        path = f"M{x1:.0f} {y1:.0f}C{far:.0f} {y1:.0f} {far:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    else:
        middle = min(x1, x2) + 22
        path = f"M{x1:.0f} {y1:.0f}H{middle:.0f}V{y2:.0f}H{x2:.0f}"
    name = escape("-".join(ends))
    kind = "cable" if child is not None else "cable loop"
    return (
        f'<g class="{kind}" data-link="{number}" tabindex="0" role="button" aria-label="link {name}">'
        f'<path class="touch" d="{path}"/><path class="wire" d="{path}"/></g>'
    )


def _node(name: str, place: Place, *, is_switch: bool, serves: bool) -> str:
    label = escape(name)
    left, top = _at(place)
    kind = "switch" if is_switch else "host serving" if serves else "host"
    shape = (
        f'<rect x="{left - 7:.0f}" y="{top - 7:.0f}" width="14" height="14" rx="3"/>'
        if is_switch
        else f'<circle cx="{left:.0f}" cy="{top:.0f}" r="6.5"/>'
    )
    x, y = (left + 12, top + 4) if place.is_leaf else (left - 8, top - 11)
    load = f'<tspan class="load" data-load="{place.link}" dx="6"></tspan>' if place.link is not None else ""
    button = "" if is_switch else 'tabindex="0" role="button"'
    return (
        f'<g class="node {kind}" data-node="{label}" {button} aria-label="{kind.split()[0]} {label}">{shape}'
        f'<text x="{x:.0f}" y="{y:.0f}">{label}{load}</text></g>'
    )
