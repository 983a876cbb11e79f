"""Links with TCLink's parameters: an unshaped veth pair, or a link shaped by netem or in user space (wire)."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from mininet.link import TCLink

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.links import netem
from lab7.topologies.emulation.links.cable import Cable, End, veths
from lab7.topologies.emulation.node import Interface
from lab7.topologies.emulation.process.launcher import ForkServer, Service, start_service
from lab7.topologies.emulation.shape import SHAPING, Shape, parse_shape

CARRIER = "lab7.topologies.emulation.wire.carrier"
RESHAPE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Wiring:
    """State that all links share: back end, fork server for user-space links (wires), random generator, link numbers.

    backend: 'wire' or 'netem'; changed: called when an address of a running network has changed.
    """

    backend: str
    forkserver: ForkServer
    workdir: Path
    random: Random
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    changed: Callable[[], None] = lambda: None


class EmulatedLink(TCLink):  # type: ignore[misc]
    """A link of a topology; `shapes` has the shape of frames from end 1 to end 2, and back (None: unshaped).

    A link is made when both of its interfaces are known, with their parameters, whichever constructor of Mininet's
    classes a subclass calls.
    """

    def equip(self, wiring: Wiring) -> None:
        """Set the state shared with the testbed's other links; called before __init__, which a subclass may replace."""
        self._wiring = wiring
        self._carrier: Service | None = None
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
        """Store the MAC addresses only, because add_end() creates the veth pair. Overrides Mininet's class method."""
        self._addresses = (addr1, addr2)

    def add_end(self, interface: Interface) -> None:
        """Register an interface of the link; when the second is registered, create and configure both devices."""
        self._ends.append(interface)
        if len(self._ends) < len(self._addresses):
            return
        self.shapes = tuple(_shape_of(end, end.params) for end in self._ends)
        self._create()
        for end in self._ends:
            end.config(**end.params)

    def changed(self) -> None:
        """Report a changed address, so that the tables of all other nodes are updated."""
        self._wiring.changed()

    def reshape(self, interface: Interface, params: Mapping[str, Any]) -> None:
        """Replace the shape of frames that leave by an interface; without shaping parameters, change nothing.

        Raises TopologyError for a value, EmulationError where this link cannot be shaped any more.
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
        if self._carrier is not None:
            seed = self._wiring.random.getrandbits(64)
            self._carrier.write_line(json.dumps({"direction": place, "shape": asdict(shape), "seed": seed}))
            self._carrier.read_line(RESHAPE_TIMEOUT_S)
        elif self._cable is not None:
            self._cable.reshape(place, shape)
        elif self._wiring.backend == "netem":
            # As in stock Mininet, netem is on the interface itself, so a capture shows outgoing frames after the delay.
            old = netem.removal(interface.name, self.shapes[place])
            tools.batch("tc", [*old, *netem.commands(interface.name, shape)], interface.node.namespace_pid)
        else:
            raise EmulationError(
                f"the link of {interface.name} has no bw, delay or loss to change: give addLink() one of "
                "them, for example delay='0ms'"
            )
        self.shapes = tuple(shape if number == place else old for number, old in enumerate(self.shapes))

    def _create(self) -> None:
        near, far = (
            (end.name, address or "", end.node.namespace_pid)
            for end, address in zip(self._ends, self._addresses, strict=True)
        )
        ends: tuple[End, End] = near, far
        if not any(self.shapes):
            veths(ends)
        elif self._wiring.backend == "netem":
            self._cable = Cable(next(self._wiring.numbers), ends, self.shapes)
        else:
            self._carrier = self._start_carrier(ends)
            for name, address, pid in ends:
                # A TAP device reports no operational state (RFC 2863), and tools would show UNKNOWN.
                words = f"address {address} state up" if address else "state up"
                tools.batch("ip", [f"link set dev {name} {words}"], pid)

    def _start_carrier(self, ends: Sequence[End]) -> Service:
        wiring = self._wiring
        name = f"wire-{ends[0][0]}-{ends[1][0]}"
        names = [f"{near[0]} to {other[0]}" for near, other in (ends, ends[::-1])]
        records = {direction: wiring.workdir / f"{name}.{place}" for place, direction in enumerate(names)}
        request = {
            "ends": [{"pid": pid, "name": name} for name, _, pid in ends],
            "shapes": [asdict(shape or Shape()) for shape in self.shapes],
            "seeds": [wiring.random.getrandbits(64) for _ in ends],
            "records": [str(path) for path in records.values()],
        }
        command = [CARRIER, json.dumps(request)]
        carrier = start_service(
            wiring.forkserver,
            command,
            host_pid=0,
            cwd=wiring.workdir,
            name=name,
            called=f"the carrier of the link {names[0]} ({CARRIER})",
        )
        carrier.lasts = True
        carrier.wait_ready()
        self.wire_records = records
        return carrier

    def delete(self) -> None:
        """Remove the link; the TAP devices of a user-space link vanish with its process. Idempotent."""
        if self._carrier is not None:
            self._carrier.kill()
            self._carrier.stop()
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
    return parse_shape(given)
