"""Operations that the control server of a running network carries out on its links, services and sockets.

Each operation takes the fields of a client's request and returns those of the reply. A failed operation raises
EmulationError or a subclass, with a message for the user. Only one operation at a time changes the network.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.addressing import ipv6
from lab7.topologies.emulation.control.notices import Notices
from lab7.topologies.emulation.control.packet_socket import bound_socket
from lab7.topologies.emulation.control.protocol import (
    LINK_WORDS,
    ProtocolError,
    changed_shape,
    find_link,
    parameters_of,
    shape_fields,
)
from lab7.topologies.emulation.errors import ArgumentError, EmulationError
from lab7.topologies.emulation.links.link import EmulatedLink
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.testbed import Testbed

TAP_BUFFER_BYTES = 4 << 20
# Packet sockets for one client: both ends of 500 links.
TAPS_MAX = 1000
CONNECT_TIMEOUT_S = 10.0
LISTEN = "0A"  # include/net/tcp_states.h


class Operations:
    """Operations that a control server carries out on a running network.

    A notice reports each change to the subscribers.
    """

    def __init__(self, bed: Testbed, notices: Notices) -> None:
        self._bed = bed
        self._notices = notices
        self._lock = threading.Lock()
        # Links that are down: interface that was set down -> routes that the kernel then removed.
        self._down: dict[str, list[str]] = {}

    def describe(self) -> dict[str, Any]:
        """Return a description of the network for JSON: hosts, switches, links; addresses, services, shapes, states."""
        net = self._bed.net
        return {
            "hosts": [self._host(host) for host in net.hosts],
            "switches": [self._node(switch) for switch in net.switches],
            "controllers": [controller.name for controller in net.controllers],
            "links": [self._link(link) for link in net.links],
            "backend": self._bed.backend,
        }

    def _node(self, node: Any) -> dict[str, Any]:
        interfaces = [
            {"name": one.name, "ip": one.ip, "prefix": one.prefixLen, "mac": one.mac, "ip6": ipv6.address_of(one)}
            for one in node.intfList()
            if one.name != "lo"
        ]
        return {"name": node.name, "pid": node.namespace_pid, "interfaces": interfaces, "folder": str(_folder(node))}

    def _host(self, host: Host) -> dict[str, Any]:
        services = self._bed.services.get(host.name, [])
        return {
            **self._node(host),
            "names": list(host.params.get("names") or []),
            "services": [{"command": one.command, "runs": one.exit_code() is None} for one in services],
            "listens": listening_ports(host.namespace_pid),
            "ipv6": bool(host.has_ipv6),
            "own_network": bool(host.inNamespace),
            "namespaces": host.namespace_files(),
        }

    def _link(self, link: Any) -> dict[str, Any]:
        ends = (link.intf1, link.intf2)
        return {
            "nodes": [end.node.name for end in ends],
            "interfaces": [end.name for end in ends],
            "shapes": [shape_fields(shape) for shape in link.shapes],
            "up": not any(end.name in self._down for end in ends),
        }

    def _find(self, name: str) -> EmulatedLink:
        links: list[EmulatedLink] = list(self._bed.net.links)
        ends = [((link.intf1.node.name, link.intf2.node.name), (link.intf1.name, link.intf2.name)) for link in links]
        return links[find_link(name, ends)]

    def host(self, name: str) -> Host:
        """Return the host of this name. Raises EmulationError if there is none."""
        return self._bed.host(name)

    def set_link(self, name: str, given: Mapping[str, Any], from_node: str) -> dict[str, Any]:
        """Change the given parameters of a link, in both directions or only for frames from the node `from_node`."""
        if not given or not set(given) <= set(LINK_WORDS.values()):
            raise ProtocolError("the settings of the link are not parameters of a link")
        with self._lock:
            link = self._find(name)
            ends = [end for end in (link.intf1, link.intf2) if from_node in ("", end.node.name)]
            if not ends:
                raise ArgumentError(f"the link {name} has no end at {from_node!r}")
            places = [(link.intf1, link.intf2).index(end) for end in ends]
            shapes = [changed_shape(link.shapes[place], given) for place in places]
            if not (link.shapes_itself or link.kernel_shapes):
                # The link would be made anew, and the captures of other clients on it would end.
                raise ArgumentError(
                    f"the link {name} has no bw, delay or loss to change: start the network with one, by "
                    "addLink(..., delay='0ms') or a parameter of the topology (`lab7 list` shows them)"
                )
            for end, shape in zip(ends, shapes, strict=True):
                link.reshape(end, parameters_of(shape))
            found = self._link(link)
        self._notices.tell("link", link="-".join(found["nodes"]), up=found["up"], shapes=found["shapes"])
        return found

    def set_cable(self, name: str, *, up: bool) -> dict[str, Any]:
        """Disconnect the ends of a link, as if its cable were unplugged, or connect them again; idempotent."""
        with self._lock:
            link = self._find(name)
            # The switch's end of the link is set down, so that a host loses the carrier but keeps addresses and routes.
            end = link.intf2 if link.intf2.node in self._bed.net.switches else link.intf1
            if not up and end.name not in self._down:
                routes = _routes(end)
                tools.batch("ip", [f"link set dev {end.name} down"], end.node.namespace_pid)
                self._down[end.name] = routes
            elif up and end.name in self._down:
                lines = [f"link set dev {end.name} up", *(f"route replace {route}" for route in self._down[end.name])]
                tools.batch("ip", lines, end.node.namespace_pid)
                del self._down[end.name]
            found = self._link(link)
        self._notices.tell("link", link="-".join(found["nodes"]), up=found["up"], shapes=found["shapes"])
        return found

    def service(self, name: str, action: str) -> dict[str, Any]:
        """Kill the services of a host as a crash would (SIGKILL), or restart them with empty state."""
        if action not in ("kill", "restart"):
            raise ProtocolError(f"there is no action {action[:40]!r} on a service: use kill or restart")
        with self._lock:
            host = self._bed.host(name)
            services = self._bed.services.get(name, [])
            if not services:
                serving = ", ".join(host for host, some in self._bed.services.items() if some)
                raise ArgumentError(f"the host {name} has no service: those with services are {serving}")
            if action == "kill":
                for service in services:
                    service.kill()
            else:
                self._bed.restart(name)
            found = self._host(host)
        ended = action == "kill"
        for service in found["services"]:
            self._notices.tell("service", host=name, command=service["command"], state="killed" if ended else "started")
        return found

    def open_taps(self, ends: Sequence[str]) -> list[int]:
        """Open a packet socket on each interface; return the descriptors, which the caller closes."""
        interfaces = {
            interface.name: interface.node.namespace_pid
            for node in (*self._bed.net.hosts, *self._bed.net.switches)
            for interface in node.intfList()
        }
        if len(ends) > TAPS_MAX:
            raise EmulationError(f"packets of at most {TAPS_MAX} interfaces can be read at the same time")
        found: list[int] = []
        try:
            for name in ends:
                if name not in interfaces:
                    raise ArgumentError(f"there is no interface {name!r} in this network")
                with namespaces.within_network(interfaces[name]):
                    found.append(bound_socket(name, TAP_BUFFER_BYTES).detach())
        except BaseException as error:
            for descriptor in found:
                socket.close(descriptor)
            if isinstance(error, OSError):
                raise EmulationError(f"packets cannot be read ({error.strerror})") from None
            raise
        return found

    def connect(self, name: str, address: str, port: int) -> int:
        """Open a TCP connection from a host to an address, or to a name that it resolves; return the descriptor."""
        host = self._bed.host(name)
        if not 0 < port < 1 << 16:
            raise ArgumentError(f"{port} is not a port: give a number from 1 to 65535")
        reason = "the name is unknown"
        for found in _addresses(host, address):
            family = socket.AF_INET6 if ":" in found else socket.AF_INET
            with namespaces.within_network(host.namespace_pid):
                connection = socket.socket(family, socket.SOCK_STREAM)
            connection.settimeout(CONNECT_TIMEOUT_S)
            try:
                connection.connect((found, port))
            except OSError as error:
                connection.close()
                reason = error.strerror or "time-out"
                continue
            connection.setblocking(True)
            return connection.detach()
        raise EmulationError(f"{name} cannot connect to {address} port {port}: {reason}")


def _addresses(host: Host, address: str) -> list[str]:
    """Return the addresses to which a host resolves a name; an address is returned unchanged."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError, ValueError):
            socket.inet_pton(family, address)
            return [address]
    if not address or address.startswith("-") or "\0" in address:
        return []
    try:
        # The name is resolved by a program in the host, because the host's mount namespace has its own /etc files.
        done = subprocess.run(
            [*host.entering(), "getent", "ahosts", address],
            capture_output=True,
            text=True,
            timeout=CONNECT_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return []
    return list(dict.fromkeys(line.split()[0] for line in done.stdout.splitlines() if line))


def _folder(node: Any) -> Path:
    folder: Path = node.folder or node.workdir
    return folder


def _routes(end: Any) -> list[str]:
    """Return the routes via a host's interface, in the syntax of ip-route(8), without those added by the kernel."""
    if not end.node.namespace_pid:
        return []
    try:
        with namespaces.within_network(end.node.namespace_pid):
            shown = subprocess.run(
                ["ip", "route", "show", "dev", end.name], capture_output=True, text=True, timeout=10, check=False
            )
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = [line.replace(" linkdown", "").strip() for line in shown.stdout.splitlines()]
    return [f"{line} dev {end.name}" for line in lines if "proto kernel" not in line]


def listening_ports(pid: int) -> list[int]:
    """Return the TCP ports on which a host's programs listen, from /proc/PID/net/tcp (proc(5))."""
    ports: set[int] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for row in Path(f"/proc/{pid or 'self'}/net/{table}").read_text().splitlines()[1:]:
                words = row.split()
                if words[3] == LISTEN:
                    ports.add(int(words[1].rpartition(":")[2], 16))
    return sorted(ports)
