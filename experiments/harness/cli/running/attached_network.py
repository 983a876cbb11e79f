"""Mininet objects (network, hosts, switches) for a network that another process runs.

They are made from the description that the network's control server sends. Each node enters the namespaces of the
running host with a shell of its own, so that commands, `pingall`, `iperf` and `link` work as in the process that runs
the network. Hosts, switches and links can be neither added nor removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from mininet.link import Intf, Link
from mininet.node import Node, Switch

from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.network import Network
from lab7.topologies.emulation.node import Host, LazyShell

ELSEWHERE = "only the terminal of `lab7 shell` that started the network can do that"


class AttachedHost(Host):
    """A host of a network that another process runs; commands run in the host's namespaces."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self._process_id = described["pid"]
        self._files = described["namespaces"]
        self.workdir = Path(described["folder"])
        self.has_ipv6 = described["ipv6"]
        self.services = []
        self._terminated = True
        Node.__init__(self, described["name"], inNamespace=described["own_network"], names=described["names"])

    @property
    def namespace_pid(self) -> int:  # type: ignore[override]
        """Return the process id that identifies the host's namespaces.

        The process may have exited; the namespaces are then entered through their files.
        """
        return int(self._process_id)

    def namespace_files(self) -> list[str]:
        """Return the paths of the host's namespace files, which the process that runs the network keeps open."""
        return list(self._files)

    def startShell(self, mnopts: str | None = None) -> None:  # noqa: N802
        """Do nothing, because the first use of the shell starts it."""
        LazyShell.startShell(self, mnopts)

    def mountPrivateDirs(self) -> None:  # noqa: N802
        """Do nothing, because the process that runs the network has mounted the folders."""

    def start(self, *_args: Any, **_options: Any) -> NoReturn:
        """Raise EmulationError: a service can be started only by the process that runs the network."""
        raise EmulationError(f"{self.name}: {ELSEWHERE}")


class AttachedSwitch(LazyShell, Switch):  # type: ignore[misc]
    """A switch of a network that another process runs."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        Node.__init__(self, described["name"], inNamespace=False)
        self.controlIntf = None

    def start(self, *_args: Any, **_options: Any) -> NoReturn:
        """Raise EmulationError: a switch can be started only by the process that runs the network."""
        raise EmulationError(f"{self.name}: {ELSEWHERE}")

    stop = dpctl = start


class AttachedNetwork(Network):
    """A network that another process runs, built from that process's description of the network."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        super().__init__(None)
        self.hosts = [AttachedHost(one) for one in described["hosts"]]
        self.switches = [AttachedSwitch(one) for one in described["switches"]]
        self.nameToNode = {node.name: node for node in (*self.hosts, *self.switches)}
        interfaces: dict[str, Any] = {}
        for one in (*described["hosts"], *described["switches"]):
            for given in one["interfaces"]:
                interfaces[given["name"]] = _interface(given, self.nameToNode[one["name"]])
        self.links = [_link(interfaces, *one["interfaces"]) for one in described["links"]]

    def _refuse(self, *_args: Any, **_options: Any) -> NoReturn:
        raise EmulationError(ELSEWHERE)

    addHost = addSwitch = addLink = addController = delNode = delLink = start = stop = _refuse  # noqa: N815


def _interface(given: Mapping[str, Any], node: Any) -> Any:
    """Return an interface object for an existing interface, without configuring the interface."""
    made = Intf.__new__(Intf)
    made.node, made.name, made.link, made.mac, made.params = node, given["name"], None, given["mac"], {}
    made.ip, made.prefixLen, made.ip6 = given["ip"], given["prefix"], given["ip6"]
    node.addIntf(made, moveIntfFn=lambda *_: None)
    return made


def _link(interfaces: Mapping[str, Any], first: str, second: str) -> Any:
    made = Link.__new__(Link)
    made.intf1, made.intf2 = interfaces[first], interfaces[second]
    made.intf1.link = made.intf2.link = made
    return made
