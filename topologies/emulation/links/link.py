"""Links with TCLink's parameters: a bare veth pair without any, else one of the two back ends, netem or wire."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

from mininet.link import Link

from topologies.emulation import tools
from topologies.emulation.links.cable import Cable, End, veths
from topologies.emulation.node import Interface
from topologies.emulation.process.launcher import ForkServer, Service, start_service
from topologies.emulation.shape import SHAPING, Shape, parse_shape

CARRIER = "topologies.emulation.wire.carrier"


@dataclass(frozen=True)
class Wiring:
    """Shared state of a testbed's links: the back end ('wire' or 'netem'), the fork server for wires, the seed, cable
    numbers.
    """

    backend: str
    forkserver: ForkServer
    workdir: Path
    random: Random
    numbers: Iterator[int] = field(default_factory=lambda: count(1))


class EmulatedLink(Link):  # type: ignore[misc]
    """A link of a topology. `shapes`: of frames from end 1 to end 2, and back (None: unshaped)."""

    def __init__(self, node1: Any, node2: Any, *, wiring: Wiring, **options: Any) -> None:
        self._wiring = wiring
        self._carrier: Service | None = None
        self._cable: Cable | None = None
        # Frame-time records of a wire (see wire.record) by direction: "INTERFACE to INTERFACE".
        self.wire_records: dict[str, Path] = {}
        both = {key: options.pop(key) for key in SHAPING if key in options}
        self.shapes = tuple(self._pop_shape(options, key, both) for key in ("params1", "params2"))
        # Stock classes of interfaces are replaced (see classes); `fast` creates both ends at once.
        options |= {"intf": Interface, "cls1": None, "cls2": None, "fast": True}
        super().__init__(node1, node2, **options)

    @staticmethod
    def _pop_shape(options: dict[str, Any], key: str, both: dict[str, Any]) -> Shape | None:
        params = dict(options.get(key) or {})
        own = {name: params.pop(name) for name in SHAPING if name in params}
        options[key] = params
        return parse_shape({**both, **own})

    def makeIntfPair(  # noqa: N802
        self,
        name1: str,
        name2: str,
        addr1: str,
        addr2: str,
        node1: Any,
        node2: Any,
        deleteIntfs: bool = True,  # noqa: ARG002, N803
    ) -> None:
        """Create both ends in their namespaces. Overrides Mininet's class method of the same purpose."""
        ends = ((name1, addr1, node1.namespace_pid), (name2, addr2, node2.namespace_pid))
        if not any(self.shapes):
            veths(ends)
        elif self._wiring.backend == "netem":
            self._cable = Cable(next(self._wiring.numbers), ends, self.shapes)
        else:
            self._carrier = self._start_carrier(ends)
            for name, address, pid in ends:
                # A TAP device reports no operational state (RFC 2863), which tools show as UNKNOWN.
                tools.batch("ip", [f"link set dev {name} address {address} state up"], pid)

    def _start_carrier(self, ends: tuple[End, End]) -> Service:
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
        """Remove the link; a wire's TAP devices vanish with its process."""
        if self._carrier is not None:
            self._carrier.kill()
            self._carrier.stop()
        if self._cable is not None:
            self._cable.delete()
        super().delete()

    def stop(self) -> None:
        """Remove the link; see delete."""
        self.delete()
