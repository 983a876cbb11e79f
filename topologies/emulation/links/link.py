"""Links with TCLink's parameters: an unshaped veth pair, a link shaped by netem, or a user-space link (wire)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from mininet.link import TCLink

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import ArgumentError, EmulationError
from lab7.topologies.emulation.links import netem
from lab7.topologies.emulation.links.cable import Cable
from lab7.topologies.emulation.links.interface import Interface
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
    forkserver   fork server that starts the processes of wires
    workdir      folder for files with the due time and departure of each frame on a wire
    random       generator of the seeds of wires
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
        """Set the state shared by the testbed's links; called before __init__, which a subclass may replace."""
        self._wiring = wiring
        self.wire: Wire | None = None
        self._cable: Cable | None = None
        self._ends: list[Interface] = []
        self._addresses: tuple[str, str] = ("", "")
        self.shapes: tuple[Shape | None, ...] = (None, None)
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
        """Report that an address has changed, so that the tables of all other nodes are updated."""
        self._wiring.changed()

    def reshape(self, interface: Interface, params: Mapping[str, Any]) -> None:
        """Replace the shape (rate, delay ...) of frames sent by an interface; do nothing without shaping parameters.

        Raises TopologyError for an invalid value, EmulationError for a link that was created unshaped.
        """
        shape = _shape_of(interface, params)
        if interface not in self._ends:
            raise EmulationError(
                f"{type(interface).__name__} configures {interface.name} before its link exists: let its constructor "
                "call super().__init__() and no other"
            )
        place = self._ends.index(interface)
        if shape is None or shape == self.shapes[place]:
            return
        self._wiring.plan.flush()
        if self.wire is not None:
            self.wire.reshape(place, shape, self._wiring.random.getrandbits(64))
        elif self._cable is not None and shape.trace is None:
            self._cable.reshape(place, shape)
        elif shape.trace is not None:
            raise ArgumentError(f"the link of {interface.name} was made without a trace: give it to addLink()")
        elif self._wiring.backend == "netem":
            # As in stock Mininet, netem is on the interface itself, so a capture shows outgoing frames after the delay.
            old = netem.removal(interface.name, self.shapes[place])
            tools.batch("tc", [*old, *netem.commands(interface.name, shape)], interface.node.namespace_pid)
        else:
            raise ArgumentError(
                f"the link of {interface.name} has no bw, delay or loss to change: start the network with one, by "
                "addLink(..., delay='0ms') or a parameter of the topology (`lab7 list` shows them)"
            )
        self.shapes = tuple(shape if number == place else old for number, old in enumerate(self.shapes))

    def queue(self, interface: Interface) -> Queue:
        """Return the queue of the frames that an interface of this link sends. Raises EmulationError."""
        self._wiring.plan.flush()
        place = self._ends.index(interface)
        if self.wire is not None:
            return self.wire.queue(place)
        if self._cable is not None:
            return self._cable.queue(place)
        return netem.queue(interface.name, interface.node.namespace_pid)

    @property
    def inner_interfaces(self) -> tuple[str, ...]:
        """Return the two interfaces between the ends of a link shaped by netem; () for any other link."""
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
            self.wire = self._new_wire((near, far))
            plan.wires.append(self.wire)
            for interface, end in zip(self._ends, (near, far), strict=True):
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
        """Remove the link, as delete() does."""
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
