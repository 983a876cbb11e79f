"""Network of the TCP simulation: links of a Mininet topology, and shortest routes between its hosts."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.pathmodel.events import Clock
from lab7.experiments.harness.pathmodel.links import Link, Route
from lab7.topologies.emulation.addressing import ipv6
from lab7.topologies.emulation.shape import SHAPING, parse_shape


class Network:
    """Links of one topology with their queues, created anew for each simulation.

    With `rates=False`, links have delays but no transmission times.
    """

    def __init__(self, topo: Topo, clock: Clock, rates: bool = True) -> None:
        self._clock = clock
        self._links: dict[tuple[str, str], Link] = {}
        self._neighbours: dict[str, list[str]] = {}
        for first, other, info in topo.links(withInfo=True):
            for near, far, key in ((first, other, "params1"), (other, first, "params2")):
                self._links.setdefault((near, far), _link(info, key, rates))
                self._neighbours.setdefault(near, []).append(far)
        self._routes: dict[tuple[str, str], Route] = {}

    def route(self, source: str, target: str) -> Route:
        """Return the route with the fewest hops between two hosts. Raises KeyError without a route."""
        if (source, target) not in self._routes:
            path = self._path(source, target)
            links = [self._links[pair] for pair in pairwise(path)]
            self._routes[source, target] = Route(self._clock, links)
        return self._routes[source, target]

    def _path(self, source: str, target: str) -> list[str]:
        previous, waiting = {source: source}, deque([source])
        while waiting:
            node = waiting.popleft()
            if node == target:
                break
            for neighbour in self._neighbours.get(node, []):
                if neighbour not in previous:
                    previous[neighbour] = node
                    waiting.append(neighbour)
        path = [target]
        while path[-1] != source:
            path.append(previous[path[-1]])
        return path[::-1]


def addresses(topo: Topo) -> dict[str, str]:
    """Return address -> name of the host, for all IPv4 and IPv6 addresses in a topology."""
    hosts: dict[str, str] = {}
    for host in topo.hosts():
        hosts |= dict.fromkeys(_of_interface(topo.nodeInfo(host)), host)
    for first, other, info in topo.links(withInfo=True):
        for host, key in ((first, "params1"), (other, "params2")):
            hosts |= dict.fromkeys(_of_interface(info.get(key) or {}), host)
    return hosts


def _of_interface(options: dict[str, Any]) -> list[str]:
    """Return the IPv4 and IPv6 addresses that the options of a host or of one end of a link contain."""
    ip, ip6 = options.get("ip"), options.get("ip6")
    found = [str(ip), ip6 or ipv6.derived(str(ip))] if ip else [ip6] if ip6 else []
    return [ipv6.without_length(address) for address in found]


def _link(info: dict[str, Any], key: str, rates: bool) -> Link:
    shared = {name: value for name, value in info.items() if name in SHAPING}
    own = {name: value for name, value in (info.get(key) or {}).items() if name in SHAPING}
    # As in Mininet, options of the link take precedence over options of one end.
    shape = parse_shape({**own, **shared})
    return Link() if shape is None else Link(shape.rate_bps if rates else None, shape.delay_s)
