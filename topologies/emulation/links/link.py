"""Links with TCLink's parameters: an unshaped veth pair, a link shaped by netem, or a user-space link (wire)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from mininet.link import TCLink

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import ArgumentError, EmulationError
from lab7.topologies.emulation.links import disciplines, netem, rewiring
from lab7.topologies.emulation.links.cable import Cable
from lab7.topologies.emulation.links.disciplines import Chain
from lab7.topologies.emulation.links.interface import Interface, ipv6_off
from lab7.topologies.emulation.links.plan import Plan
from lab7.topologies.emulation.links.wires import End, Wire
from lab7.topologies.emulation.node import Host
from lab7.topologies.emulation.process.launcher import ForkServer
from lab7.topologies.emulation.shape import SHAPING, Queue, Shape, parse_shape
from lab7.topologies.emulation.wire.trace import read_trace


@dataclass(frozen=True)
class Wiring:
    """State shared by all links of a network.

    backend      'wire' (user-space links) or 'netem'
    forkserver   fork server that starts the processes of user-space links
    workdir      folder for records of the due time and departure of each frame on user-space links
    random       generator of the seeds of user-space links
    plan         pending changes of the network (see plan)
    numbers      generator of unique numbers for new links
    changed      function to call when an address of the running network has changed
    """

    backend: str
    forkserver: ForkServer
    workdir: Path
    random: Random
    plan: Plan
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    changed: Callable[[], None] = lambda: None


class EmulatedLink(TCLink):  # type: ignore[misc]
    """A link of a topology; `shapes`: rate, delay, loss ... from end 1 to end 2, and back (None: unshaped).

    The devices are created when both interfaces of the link and their parameters are known, so the order in which a
    subclass calls the constructors of Mininet's classes does not matter.
    """

    def equip(self, wiring: Wiring) -> None:
        """Set the attributes that come from the testbed.

        Called before __init__, which a user's subclass may replace.
        """
        self._wiring = wiring
        self.wire: Wire | None = None
        self._cable: Cable | None = None
        self._ends: list[Interface] = []
        self._addresses: tuple[str, str] = ("", "")
        self.shapes: tuple[Shape | None, ...] = (None, None)
        # Disciplines that tc has changed, by the number of the end.
        self._chains: dict[int, Chain] = {}
        # Files with the times of frames on a user-space link, by direction: "INTERFACE to INTERFACE".
        self.wire_records: dict[str, Path] = {}

    def makeIntfPair(  # noqa: N802
        self,
        name1: str,  # noqa: ARG002
        name2: str,  # noqa: ARG002
        addr1: str,
        addr2: str,
        node1: Any = None,  # noqa: ARG002
        node2: Any = None,  # noqa: ARG002
        deleteIntfs: bool = True,  # noqa: ARG002, N803
    ) -> None:
        """Store the MAC addresses only: add_end() creates the veth pair later. Overrides Mininet's class method."""
        self._addresses = (addr1, addr2)

    def add_end(self, interface: Interface) -> None:
        """Register an interface of the link; create and configure the devices when both are registered."""
        self._ends.append(interface)
        if len(self._ends) < len(self._addresses):
            return
        self.shapes = tuple(_shape_of(end, end.params) for end in self._ends)
        self._create()
        for end in self._ends:
            end.config(**end.params)

    def changed(self) -> None:
        """Report to the testbed that an address has changed, so that it updates the tables of all other nodes."""
        self._wiring.changed()

    def reshape(self, interface: Interface, params: Mapping[str, Any]) -> None:
        """Set rate, delay, loss and queue of the frames that an interface sends, by the parameters of Mininet's TCLink.

        Without such parameters nothing changes. A link that was created without them becomes a user-space link, unless
        the kernel can shape it. Raises TopologyError for an invalid value.
        """
        shape = _shape_of(interface, params)
        if interface not in self._ends:
            raise EmulationError(
                f"{type(interface).__name__} configures {interface.name} before its link exists: let its constructor "
                "call super().__init__() and no other"
            )
        if shape is not None:
            self.set_shape(interface, shape, disciplines.stock(shape))

    def set_shape(self, interface: Interface, shape: Shape, chain: Chain) -> None:
        """Replace the shape (rate, delay ...) of the frames that an interface sends.

        chain: the queueing disciplines that tc shows for this shape. Raises EmulationError.
        """
        place = self._ends.index(interface)
        if shape == self.shapes[place]:
            self._chains[place] = chain
            return
        self._wiring.plan.flush()
        if shape.trace is not None and self.wire is None:
            raise ArgumentError(f"the link of {interface.name} was made without a trace: give it to addLink()")
        if self.wire is not None:
            self.wire.reshape(place, shape, self._wiring.random.getrandbits(64))
        elif self._cable is not None:
            self._cable.reshape(place, shape)
        elif self._wiring.backend == "netem":
            # As in stock Mininet, netem is on the interface itself, so a capture shows outgoing frames after the delay.
            old = netem.removal(interface.name, self.shapes[place])
            tools.batch("tc", [*old, *netem.commands(interface.name, shape)], interface.node.namespace_pid)
        self.shapes = tuple(shape if number == place else old for number, old in enumerate(self.shapes))
        self._chains[place] = chain
        if self.wire is None and self._cable is None and self._wiring.backend != "netem":
            self._become_wire()

    def shape(self, interface: Interface) -> Shape | None:
        """Return the shape (rate, delay ...) of the frames that an interface sends; None for an unshaped link."""
        return self.shapes[self._ends.index(interface)]

    def chain(self, interface: Interface) -> Chain:
        """Return the queueing disciplines that tc shows on an interface: those of stock Mininet, as changed by tc."""
        place = self._ends.index(interface)
        return self._chains[place] if place in self._chains else disciplines.stock(self.shapes[place])

    def note(self, interface: Interface, chain: Chain) -> None:
        """Record the queueing disciplines that the kernel has on an interface of an unshaped link."""
        self._chains[self._ends.index(interface)] = chain

    @property
    def shapes_itself(self) -> bool:
        """Return whether the link shapes frames itself: by netem between its ends, or in user space."""
        return self.wire is not None or self._cable is not None

    @property
    def kernel_shapes(self) -> bool:
        """Return whether the kernel can shape links: it has netem and the other qdiscs that this needs."""
        return self._wiring.backend == "netem"

    def _become_wire(self) -> None:
        """Replace an unshaped veth pair by a user-space link with the link's shapes.

        Both interfaces keep names and addresses.
        """
        plan = self._wiring.plan
        states = [rewiring.state_of(end) for end in self._ends]
        tools.batch("ip", [f"link delete dev {self._ends[0].name}"], self._ends[0].node.network_pid())
        ends = [
            End(end.name, state.mac, end.node if isinstance(end.node, Host) else None)
            for end, state in zip(self._ends, states, strict=True)
        ]
        with plan.together():
            self._add_wire((ends[0], ends[1]))
            for end, state in zip(self._ends, states, strict=True):
                changes = plan.node(end.node)
                changes.lines += state.lines
                changes.without_offload.append(end.name)
                if not end.node.inNamespace and not getattr(end.node, "has_ipv6", False):
                    plan.calls.append(partial(ipv6_off, end.name))
                if state.switch is not None:
                    state.switch.plug_again(state.port)
        plan.flush()
        self.changed()

    def queue(self, interface: Interface) -> Queue:
        """Return the state of the transmit queue of this link for frames that an interface sends.

        Raises EmulationError.
        """
        self._wiring.plan.flush()
        place = self._ends.index(interface)
        if self.wire is not None:
            return self.wire.queue(place)
        if self._cable is not None:
            return self._cable.queue(place)
        return netem.queue(interface.name, interface.node.namespace_pid)

    @property
    def inner_interfaces(self) -> tuple[str, ...]:
        """Return the names of the two extra interfaces of a link shaped by netem; () for any other link."""
        return self._cable.interfaces if self._cable is not None else ()

    def _create(self) -> None:
        plan = self._wiring.plan
        near, far = (
            End(end.name, address or "", end.node, next(plan.indices))
            if isinstance(end.node, Host)
            else End(end.name, address or "")
            for end, address in zip(self._ends, self._addresses, strict=True)
        )
        if not any(self.shapes):
            plan.devices.append((near, far))
        elif self._wiring.backend == "netem" and not any(shape.trace for shape in self.shapes if shape is not None):
            self._cable = Cable(next(self._wiring.numbers), (near, far), self.shapes, plan)
        else:
            self._add_wire((near, far))

    def _add_wire(self, ends: tuple[End, End]) -> None:
        """Add a user-space link between the ends of this link to the pending changes."""
        plan = self._wiring.plan
        self.wire = self._new_wire(ends)
        plan.wires.append(self.wire)
        for interface, end in zip(self._ends, ends, strict=True):
            # A TAP device reports no operational state (RFC 2863), and tools would show UNKNOWN.
            words = f"address {end.address} state up" if end.address else "state up"
            plan.node(interface.node).lines.append(f"link set dev {end.name} {words}")

    def _new_wire(self, ends: tuple[End, End]) -> Wire:
        wiring = self._wiring
        name = f"wire-{ends[0].name}-{ends[1].name}"
        names = [f"{near.name} to {other.name}" for near, other in (ends, ends[::-1])]
        self.wire_records = {direction: wiring.workdir / f"{name}.{place}" for place, direction in enumerate(names)}
        shapes = [shape or Shape() for shape in self.shapes]
        seeds = [wiring.random.getrandbits(64) for _ in ends]
        return Wire(ends, shapes, seeds, self.wire_records, wiring.forkserver, wiring.workdir)

    def delete(self) -> None:
        """Remove the link; idempotent."""
        if self.wire is not None:
            self.wire.delete()
        if self._cable is not None:
            self._cable.delete()
        if self.intf1 is not None:
            super().delete()

    def stop(self) -> None:
        """Remove the link; Mininet calls this method."""
        self.delete()


def _shape_of(interface: Interface, params: Mapping[str, Any]) -> Shape | None:
    given = {name: params.get(name) for name in SHAPING}
    # As in TCIntf.bwCmds, a node whose name begins with s sends at the rate `speedup`.
    if given["bw"] is not None and params.get("speedup") and interface.node.name.startswith("s"):
        given["bw"] = params["speedup"]
    shape = parse_shape(given)
    if shape is not None and shape.trace is not None:
        # Refuse an invalid trace here, in one sentence, instead of in the process that carries the frames.
        read_trace(shape.trace)
    return shape
