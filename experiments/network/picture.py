"""SVG diagram of an emulated network: hosts with addresses, links with delay, rate and loss, captured interfaces."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from html import escape

from lab7.experiments.harness.results.network import Direction, LinkDescription, NetworkDescription
from lab7.topologies.description.tree import Place, layout

LEFT_PX, TOP_PX, ROW_PX, COLUMN_PX, NAME_PX, CHARACTER_PX = 60.0, 30.0, 44.0, 236.0, 14.0, 6.6
# Addresses of a host that the picture shows; the text beside it has all.
ADDRESSES_MAX = 2
STYLE = """
svg.topology { font: 12px/1 system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
.topology text { fill: var(--ink, #1d2126); }
.topology .soft { fill: var(--soft, #565e68); font-size: 11px; }
.topology .name { font-weight: 700; }
.topology path { stroke: var(--soft, #565e68); stroke-width: 1.4; fill: none; }
.topology .loop { stroke-dasharray: 5 4; }
.topology .node { fill: var(--card, #fff); stroke: var(--ink, #1d2126); stroke-width: 1.6; }
.topology .captured { fill: var(--ink, #1d2126); }
"""


def render_topology(network: NetworkDescription, captured: Collection[str]) -> str:
    """Return the diagram of a network as an <svg> element; `captured`: labels HOST:INTERFACE of captured interfaces."""
    nodes = [*network.switches, *network.hosts]
    ends = [(link.first, link.second) for link in network.links]
    places = layout(nodes, ends, frozenset(network.switches))
    hosts = {label.partition(":")[0] for label in captured}
    widest = max(len(word) for name in nodes for word in (name, ", ".join(_shown(network, name))))
    width = LEFT_PX + COLUMN_PX * max(place.depth for place in places.values()) + NAME_PX + CHARACTER_PX * widest
    height = TOP_PX + ROW_PX * (max(place.row for place in places.values()) + 1)
    parts = [
        f'<svg class="topology" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="Topology of the run">',
        f"<style>{STYLE}</style>",
    ]
    for number, link in enumerate(network.links):
        parts += _link(number, link, places)
    for name in nodes:
        parts += _node(network, name, places[name], name in hosts)
    return "\n".join([*parts, "</svg>", ""])


def describe_topology(network: NetworkDescription, captured: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each host and each link, for readers without the diagram."""
    for name, addresses in network.hosts.items():
        labels = [label for label in captured if label.partition(":")[0] == name]
        seen = f"; captured at {', '.join(labels)}" if labels else ""
        yield f"Host {name}: {', '.join(addresses) or 'no address'}{seen}"
    for link in network.links:
        yield f"Link {link.first} to {link.second}: {shape_of(link)}"


def shape_of(link: LinkDescription) -> str:
    """Return delay, rate, loss and queue of a link as text, for each direction if the directions differ."""
    if link.there == link.back:
        return _words(link.there)
    return f"{_words(link.there)} (to {link.second}); {_words(link.back)} (to {link.first})"


def _words(way: Direction) -> str:
    words = [f"{way.delay_s * 1e3:g} ms"] if way.delay_s else []
    words += [f"{way.rate_bps / 1e6:g} Mbit/s"] if way.rate_bps else []
    words += [f"loss {way.loss * 100:g} %"] if way.loss else []
    return ", ".join(words) or "unshaped"


def _short(link: LinkDescription) -> str:
    return _words(link.there) if link.there == link.back else f"{_words(link.there)} / {_words(link.back)}"


def _shown(network: NetworkDescription, name: str) -> tuple[str, ...]:
    return network.hosts.get(name, ())[:ADDRESSES_MAX]


def _xy(place: Place) -> tuple[float, float]:
    return LEFT_PX + COLUMN_PX * place.depth, TOP_PX + ROW_PX * place.row


def _link(number: int, link: LinkDescription, places: Mapping[str, Place]) -> Iterator[str]:
    child = next((name for name in (link.first, link.second) if places[name].link == number), None)
    title = f"<title>{escape(f'{link.first} to {link.second}: {shape_of(link)}')}</title>"
    if child is None:
        (x, y), (far, low) = _xy(places[link.first]), _xy(places[link.second])
        bend = max(x, far) + 40
        curve = f"M{x:.0f} {y:.0f}C{bend:.0f} {y:.0f} {bend:.0f} {low:.0f} {far:.0f} {low:.0f}"
        yield f'<g>{title}<path class="loop" d="{curve}"/></g>'
        return
    parent = places[child].parent
    (x, y), (far, low) = _xy(places[str(parent)]), _xy(places[child])
    text = "" if _short(link) == "unshaped" else _short(link)
    yield (
        f'<g>{title}<path d="M{x:.0f} {y:.0f}H{x + 26:.0f}V{low:.0f}H{far:.0f}"/>'
        f'<text class="soft" x="{x + 34:.0f}" y="{low - 5:.0f}">{escape(text)}</text></g>'
    )


def _node(network: NetworkDescription, name: str, place: Place, is_captured: bool) -> Iterator[str]:
    x, y = _xy(place)
    kind = "node captured" if is_captured else "node"
    if name in network.switches:
        yield f'<rect class="{kind}" x="{x - 7:.0f}" y="{y - 7:.0f}" width="14" height="14" rx="3"/>'
    else:
        yield f'<circle class="{kind}" cx="{x:.0f}" cy="{y:.0f}" r="6.5"/>'
    if place.is_leaf:
        yield f'<text class="name" x="{x + NAME_PX:.0f}" y="{y - 1:.0f}">{escape(name)}</text>'
        addresses = escape(", ".join(_shown(network, name)))
        yield f'<text class="soft" x="{x + NAME_PX:.0f}" y="{y + 13:.0f}">{addresses}</text>'
    else:
        above = ", ".join((name, *_shown(network, name)))
        yield f'<text class="name" x="{max(x - 8, 4):.0f}" y="{y - 13:.0f}" text-anchor="start">{escape(above)}</text>'
