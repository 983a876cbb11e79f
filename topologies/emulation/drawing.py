"""Check a drawing before anything is built from it, and read what it says of its hosts."""

from collections.abc import Sequence
from ipaddress import IPv4Interface
from typing import Any

from mininet.topo import Topo

from topologies.emulation.errors import DrawingError, EmulationError
from topologies.emulation.launcher import split_command
from topologies.emulation.shape import SHAPING, parse_shape

# linux/if.h: IFNAMSIZ is 16 with the final NUL.
INTERFACE_NAME_MAX = 15


def commands(serves: str | Sequence[str] | None) -> list[str]:
    """What a host serves, as a list of command lines."""
    if not serves:
        return []
    return [serves] if isinstance(serves, str) else list(serves)


def check(topo: Topo) -> None:
    """Raise DrawingError for the first thing in a topology that cannot become a network."""
    _check_names(topo)
    _check_addresses(topo)
    for first, second, params in topo.links(withInfo=True):
        for side in ("params1", "params2"):
            own = params.get(side) or {}
            try:
                parse_shape({key: {**params, **own}.get(key) for key in SHAPING})
            except DrawingError as error:
                raise DrawingError(f"the link {first}-{second}: {error}") from None
    for host in topo.hosts():
        for command in commands(topo.nodeInfo(host).get("serves")):
            try:
                split_command(command)
            except (EmulationError, ValueError) as error:
                raise DrawingError(f"the host {host}: {error}") from None


def _check_names(topo: Topo) -> None:
    for node in topo.nodes():
        ports = topo.ports.get(node, {})
        longest = max((f"{node}-eth{port}" for port in ports), key=len, default=node)
        if len(longest) > INTERFACE_NAME_MAX:
            over = len(longest) - INTERFACE_NAME_MAX
            raise DrawingError(
                f"the name {node!r} is too long: its interface {longest!r} has {len(longest)} characters and Linux "
                f"allows {INTERFACE_NAME_MAX}; shorten it by {over}"
            )
        if not node.replace("-", "").replace("_", "").isalnum() or not node.isascii():
            raise DrawingError(f"the name {node!r} is not a host name: use letters, digits and hyphens")


def _check_addresses(topo: Topo) -> None:
    owners: dict[Any, str] = {}
    for host, ip in _addresses(topo):
        try:
            address = IPv4Interface(ip).ip
        except ValueError:
            raise DrawingError(f"the host {host} has ip={ip!r}, which is not an IPv4 address") from None
        if owners.setdefault(address, host) != host:
            raise DrawingError(f"the hosts {owners[address]} and {host} both have the address {address}")


def _addresses(topo: Topo) -> list[tuple[str, str]]:
    found = [(host, topo.nodeInfo(host)["ip"]) for host in topo.hosts() if topo.nodeInfo(host).get("ip")]
    for first, second, params in topo.links(withInfo=True):
        for node, side in ((params.get("node1", first), "params1"), (params.get("node2", second), "params2")):
            ip = (params.get(side) or {}).get("ip")
            if ip and (node, ip) not in found:
                found.append((node, ip))
    return found
