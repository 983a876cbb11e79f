"""Writer and parser of the commands that configure a node (ip-address(8), ip-route(8), ip-link(8), tc-netem(8)).

A switch is a node with a Linux bridge. Each end of a link shapes the frames that it sends, by netem on the interface.
The parser also accepts `ifconfig`, `route add` and `brctl`, and ignores any other command.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.links import netem
from lab7.topologies.emulation.shape import Shape, parse_rate_bps, parse_time_s
from lab7.topologies.interchange.lab import End, rounded

BRIDGE = "br0"
# Abbreviations of objects and commands that ip(8) takes.
_OBJECTS = {"a": "address", "addr": "address", "address": "address", "r": "route", "ro": "route", "route": "route"}
_OBJECTS |= {"l": "link", "link": "link"}
_ADDING = ("add", "replace", "append", "a", "change")


@dataclass
class NodeSetUp:
    """Configuration of a node, parsed from its set-up commands: routes; addresses, MAC and shape of interfaces."""

    addresses: dict[str, list[str]] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    routes: list[str] = field(default_factory=list)
    bridged: bool = False

    def end(self, node: str, number: int, interface: str) -> End:
        """Return the End (of a link) for the node's interface named `interface`; `number`: its interface number."""
        addresses = tuple(self.addresses.get(interface, ()))
        return End(node, number, addresses, self.macs.get(interface), rounded(self.shapes.get(interface)))


def host_lines(ends: Sequence[tuple[str, End]], routes: Iterable[str]) -> list[str]:
    """Return the commands that set up a host's interfaces, given as (interface name, link end), and its routes."""
    lines = []
    for interface, end in ends:
        lines += [f"ip link set dev {interface} address {end.mac}"] if end.mac else []
        lines += [f"ip address add {address} dev {interface}" for address in end.addresses]
        lines += [f"ip link set dev {interface} up", *_shaping(interface, end.shape)]
    return [*lines, *(f"ip route replace {route}" for route in routes)]


def switch_lines(ends: Sequence[tuple[str, End]]) -> list[str]:
    """Return the commands that set up a switch: a bridge whose ports are the node's interfaces."""
    lines = [f"ip link add name {BRIDGE} type bridge", f"ip link set dev {BRIDGE} up"]
    for interface, end in ends:
        lines += [f"ip link set dev {interface} master {BRIDGE}", f"ip link set dev {interface} up"]
        lines += _shaping(interface, end.shape)
    return lines


def _shaping(interface: str, shape: Shape | None) -> list[str]:
    return [] if shape is None else [f"tc {line}" for line in netem.commands(interface, shape)]


def read_lines(lines: Iterable[str]) -> NodeSetUp:
    """Parse the commands that set up a node, and return its configuration.

    Raises TopologyError for an invalid value.
    """
    found = NodeSetUp()
    for line in lines:
        try:
            words = shlex.split(line, comments=True)
            if words:
                _read(words, found)
        except (ValueError, IndexError, TopologyError) as error:
            raise TopologyError(f"the command {line.strip()!r} cannot be read: {error}") from error
    return found


def _read(words: list[str], found: NodeSetUp) -> None:
    program, rest = words[0].rpartition("/")[2], words[1:]
    if program == "ip" and len(rest) > 1 and rest[0] in _OBJECTS:
        _read_ip(_OBJECTS[rest[0]], rest[1:], found)
    elif program == "ifconfig" and len(rest) > 1 and rest[1][0].isdigit():
        _read_ifconfig(rest, found)
    elif program == "route" and rest[:1] == ["add"]:
        _read_route(rest[1:], found)
    elif program == "brctl" and rest[:1] == ["addbr"]:
        found.bridged = True
    elif program == "tc" and rest[:2] == ["qdisc", "add"] and "netem" in rest:
        interface = _after(rest, "dev")
        before = found.shapes.get(interface, Shape())
        found.shapes[interface] = _read_netem(rest[rest.index("netem") + 1 :], before)


def _read_ip(kind: str, words: list[str], found: NodeSetUp) -> None:
    if kind == "address" and words[0] in _ADDING and ":" not in words[1]:
        found.addresses.setdefault(_after(words, "dev"), []).append(str(IPv4Interface(words[1])))
    elif kind == "route" and words[0] in _ADDING and ":" not in words[1]:
        found.routes.append(" ".join(words[1:]))
    elif kind == "link" and words[0] == "add" and words[-2:] == ["type", "bridge"]:
        found.bridged = True
    elif kind == "link" and words[0] == "set" and "address" in words:
        interface = _after(words, "dev") if "dev" in words else words[1]
        found.macs[interface] = _after(words, "address")


def _read_ifconfig(words: list[str], found: NodeSetUp) -> None:
    """Add the address in `ifconfig eth0 10.0.0.1/24`, or `... 10.0.0.1 netmask 255.255.255.0`, to `found`."""
    address = f"{words[1]}/{_after(words, 'netmask')}" if "netmask" in words else words[1]
    found.addresses.setdefault(words[0], []).append(str(IPv4Interface(address)))


def _read_route(words: list[str], found: NodeSetUp) -> None:
    """Add the route in `route add default gw 10.0.0.1`, or `route add -net 10.1.0.0/16 gw 10.0.0.1`, to `found`."""
    target = next(word for word in words if not word.startswith("-"))
    mask = f"/{_after(words, 'netmask')}" if "netmask" in words else ""
    target = target if target == "default" else str(IPv4Interface(f"{target}{mask}").network)
    found.routes.append(f"{target} via {_after(words, 'gw')}")


def _read_netem(words: Sequence[str], before: Shape) -> Shape:
    """Return the traffic shape `before` with the parameters (delay, loss ...) of one more netem command added."""
    shape, place = before, 0
    while place < len(words):
        name, values = words[place], words[place + 1 :]
        following = next((number for number, word in enumerate(values) if word[0].isalpha() and word != "random"), None)
        values = values[:following]
        place += 1 + len(values)
        values = [word for word in values if word != "random"]
        if name == "delay":
            jitter_s = parse_time_s(values[1]) if len(values) > 1 else 0.0
            shape = replace(shape, delay_s=parse_time_s(values[0]), jitter_s=jitter_s)
        elif name == "loss":
            shape = replace(shape, loss=_share(values[0]))
        elif name == "reorder":
            shape = replace(shape, reorder=_share(values[0]))
        elif name == "rate":
            shape = replace(shape, rate_bps=parse_rate_bps(values[0]))
        elif name == "limit" and "rate" in words:
            shape = replace(shape, queue_frames=int(values[0]))
    return shape


def _share(text: str) -> float:
    """Parse a percentage in tc's format, such as 1%, into a fraction of 1."""
    return float(text.rstrip("%")) / 100


def _after(words: Sequence[str], name: str) -> str:
    """Return the word that follows the word `name` in a command. Raises ValueError if the command does not have it."""
    return words[words.index(name) + 1]
