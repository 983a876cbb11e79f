"""Cable: a link that is shaped by the kernel's netem on two extra interfaces between the ends of the link.

    client-eth0 ═══ cable1a ─ netem ─ cable1b ═══ s1-eth1        ═══ a veth pair

A frame that enters by one interface of the cable leaves by the other, and is shaped there. A capture at an end of the
link therefore shows each frame when the node sends it or when it has arrived, as on a real link. The cable is in the
switches' namespace.
"""

from collections.abc import Sequence
from functools import partial

from lab7.topologies.emulation import tools
from lab7.topologies.emulation.links import device, netem
from lab7.topologies.emulation.links.interface import ipv6_off, remove
from lab7.topologies.emulation.links.plan import Plan
from lab7.topologies.emulation.links.wires import End
from lab7.topologies.emulation.shape import Queue, Shape


class Cable:
    """Link shaped by the kernel: netem on two extra interfaces between the two ends of the link; `number` is unique.

    shapes: traffic shape (rate, delay, loss ...) from end 1 to end 2, and back.
    """

    def __init__(self, number: int, ends: Sequence[End], shapes: Sequence[Shape | None], plan: Plan) -> None:
        self.interfaces = (f"cable{number}a", f"cable{number}b")
        near, far = self.interfaces
        plan.devices += [(outer, End(inner)) for inner, outer in zip(self.interfaces, ends, strict=True)]
        # The cable is shaped before its interfaces are up, so that no frame passes unshaped.
        plan.shaping += [*netem.passing_on(near, far), *netem.passing_on(far, near)]
        self._leaving = (far, near)
        self._shapes = list(shapes)
        for leaving, shape in zip(self._leaving, shapes, strict=True):
            plan.shaping += netem.commands(leaving, shape) if shape else []
        for inner in self.interfaces:
            plan.calls += [partial(ipv6_off, inner), partial(device.bring_up, inner, arp=False)]

    def queue(self, direction: int) -> Queue:
        """Return the transmit queue of one direction (0: end 1 to end 2; 1: back). Raises EmulationError."""
        return netem.queue(self._leaving[direction])

    def reshape(self, direction: int, shape: Shape) -> None:
        """Replace the shape (rate, delay ...) of direction 0 (end 1 to end 2) or 1. Frames in flight are lost."""
        leaving = self._leaving[direction]
        tools.batch("tc", [*netem.removal(leaving, self._shapes[direction]), *netem.commands(leaving, shape)])
        self._shapes[direction] = shape

    def delete(self) -> None:
        """Remove the cable and the ends of the link; ignore ends that have vanished with a host."""
        for name in self.interfaces:
            remove(name)
