"""Plan: pending changes of a network's interfaces, routes and tables, collected and applied in batches.

In a block `with plan.together():`, changes are added to the plan, and applied at the end of the block. Outside of such
a block, each change is applied at once. One `ip -batch` creates the ends of all links, another one the bridges, and one
rtnetlink socket per host applies the changes of that host. Code that needs the network up to date, such as a command in
a host, first applies the pending changes.
"""

import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TypeVar

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.links import device, rtnetlink, wires
from lab7.topologies.emulation.links.wires import End, InNamespace, Wire

Item = TypeVar("Item")
# First interface index in hosts, above those in the switches' namespace.
FIRST_INDEX = 10_001
BROUGHT_UP = re.compile(r"link set dev (\S+) up")
# Maximum number of links brought up at once in the switches' namespace: Linux handles 100 carrier events per second,
# and more only if further events arrive (MAX_DO_DEV_N of net/core/link_watch.c); a link causes two events.
LINES_AT_ONCE = 40
CARRIER_POLL_S, CARRIER_TIMEOUT_S = 0.001, 5.0


@dataclass
class NodeChanges:
    """Pending changes in the network namespace of one node.

    lines             commands of ip(8)
    neighbours        pairs of interface and rtnetlink messages that add entries to its neighbour table
    without_offload   interfaces whose offloads are turned off
    """

    lines: list[str] = field(default_factory=list)
    neighbours: list[tuple[str, list[bytes]]] = field(default_factory=list)
    without_offload: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """Pending changes of one network, listed in the order in which they are applied to the kernel.

    devices      veth pairs, as pairs of link ends
    shaping      commands of tc(8) in the switches' namespace, for these devices
    wires        user-space links
    lines        commands of ip(8) in the switches' namespace, for these devices
    calls        functions to call, for these devices
    nodes        changes in the namespaces of nodes
    raised       (node, commands of ip(8)) for nodes with interfaces that were brought up, to wait for the carriers
    forwarding   commands of bridge(8) in the switches' namespace
    """

    devices: list[tuple[End, End]] = field(default_factory=list)
    shaping: list[str] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    calls: list[Callable[[], None]] = field(default_factory=list)
    nodes: dict[InNamespace, NodeChanges] = field(default_factory=dict)
    forwarding: list[str] = field(default_factory=list)
    raised: list[tuple[InNamespace, list[str]]] = field(default_factory=list)

    # Interface indices of the ends in hosts. If both ends of a veth pair have the same index, each in its own
    # namespace, Linux takes an end for a device without a lower device, and may notice its carrier 1 s late
    # (linkwatch_urgent_event).
    indices: Iterator[int] = field(default_factory=lambda: count(FIRST_INDEX))

    _depth = 0
    _is_flushing = False

    def node(self, node: InNamespace) -> NodeChanges:
        """Return the pending changes of a node, to which the caller adds changes."""
        return self.nodes.setdefault(node, NodeChanges())

    @contextmanager
    def together(self) -> Iterator[None]:
        """Collect the changes made within a `with` block, and apply them at its end; blocks may be nested."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        self.made()

    def made(self) -> None:
        """Apply the pending changes, except within a block of together(), at whose end they are applied."""
        if not self._depth:
            self.flush()

    def flush(self) -> None:
        """Apply the collected changes now. Raises EmulationError for the first change that the kernel refuses."""
        if self._is_flushing:
            return
        self._is_flushing = True
        try:
            while self._take_step():
                pass
        finally:
            self._is_flushing = False

    def _take_step(self) -> bool:
        """Apply the pending changes of one kind: of the first kind, in the order of Plan, that has any.

        Returns False if no change is pending.
        """
        if self.devices:
            tools.batch("ip", [f"link add {near} type veth peer {far}" for near, far in _taken(self.devices)])
        elif self.shaping:
            tools.batch("tc", _taken(self.shaping))
        elif self.wires:
            wires.start(_taken(self.wires))
        elif self.lines:
            tools.batch("ip", _taken(self.lines))
        elif self.calls:
            for call in _taken(self.calls):
                call()
        elif self.nodes:
            # Nodes in the switches' namespace are last, when the opposite ends of their links are up.
            node = next((node for node in self.nodes if node.network_pid()), next(iter(self.nodes)))
            changes = self.nodes.pop(node)
            apply(changes, node.network_pid())
            self.raised.append((node, changes.lines))
        elif self.raised:
            for node, lines in _taken(self.raised):
                await_carriers(node, lines)
        elif self.forwarding:
            tools.batch("bridge", _taken(self.forwarding))
        else:
            return False
        return True


def _taken(items: list[Item]) -> list[Item]:
    taken = list(items)
    items.clear()
    return taken


def apply(changes: NodeChanges, pid: int) -> None:
    """Apply the pending changes of one node to the kernel.

    Raises EmulationError for the first change that is refused.
    """
    with rtnetlink.open_in(pid) as sock:
        index = partial(rtnetlink.index_of, sock)
        requests = rtnetlink.messages(changes.lines, index)
        if requests is None:
            tools.batch("ip", changes.lines, pid)
        for first in range(0, len(requests or ()), LINES_AT_ONCE):
            lines = changes.lines[first : first + LINES_AT_ONCE]
            rtnetlink.send(sock, (requests or [])[first : first + LINES_AT_ONCE], lines)
            if not pid:
                _await_carriers(sock, lines)
        for interface, entries in changes.neighbours:
            described = [f"an entry of the neighbour table of {interface}"] * len(entries)
            rtnetlink.send(sock, entries, described, index(interface))
        for interface in changes.without_offload:
            device.switch_off(sock, interface)


def await_carriers(node: InNamespace, lines: Iterable[str]) -> None:
    """Wait until Linux reports a carrier for each interface of a node that these commands of ip(8) brought up."""
    with rtnetlink.open_in(node.network_pid()) as sock:
        _await_carriers(sock, lines)


def _await_carriers(sock: socket.socket, lines: Iterable[str]) -> None:
    """Wait for the carriers of interfaces that were brought up.

    Without a carrier, an interface or its bridge drops frames.
    """
    deadline_s = time.monotonic() + CARRIER_TIMEOUT_S
    for name in (found[1] for line in lines if (found := BROUGHT_UP.fullmatch(line))):
        number = rtnetlink.index_of(sock, name)
        while not rtnetlink.is_settled(sock, number) and time.monotonic() < deadline_s:
            time.sleep(CARRIER_POLL_S)
