"""A link that the kernel shapes: between its two ends lies a cable, whose own two interfaces do the shaping.

    client-eth0 ═══ cable1a ─ netem ─ cable1b ═══ s1-eth1        ═══ a veth pair

What comes in by one interface of the cable goes out by the other, and is shaped there. So each end of the link sees
frames when they leave it and when they reach it, as on a wire. The cable lies where the switches are.
"""

from collections.abc import Sequence

from topologies.emulation import tools
from topologies.emulation.links import device, netem
from topologies.emulation.node import ipv6_off, remove
from topologies.emulation.shape import Shape

# Name, MAC address and process of the namespace (0: that of the switches) of one end of a link.
End = tuple[str, str, int]


class Cable:
    """One cable; `number` tells it from the others. Shapes are those of frames from end 1 to end 2, and back."""

    def __init__(self, number: int, ends: Sequence[End], shapes: Sequence[Shape | None]) -> None:
        self.interfaces = (f"cable{number}a", f"cable{number}b")
        near, far = self.interfaces
        veths(*((outer, (inner, "", 0)) for inner, outer in zip(self.interfaces, ends, strict=True)))
        lines = [*netem.passing_on(near, far), *netem.passing_on(far, near)]
        for leaving, shape in zip((far, near), shapes, strict=True):
            lines += netem.commands(leaving, shape) if shape else []
        # First what it does, then up: nothing passes a cable unshaped.
        tools.batch("tc", lines)
        for inner in self.interfaces:
            ipv6_off(inner)
            device.bring_up(inner, arp=False)

    def delete(self) -> None:
        """Remove the cable, and with it the ends of its link; some may be gone, with the host that they were in."""
        for name in self.interfaces:
            remove(name)


def veths(*pairs: tuple[End, End]) -> None:
    """Make veth pairs with their ends where they belong."""
    tools.batch("ip", [f"link add {_words(one)} type veth peer {_words(other)}" for one, other in pairs])


def _words(end: End) -> str:
    name, address, pid = end
    return f"name {name}" + (f" netns {pid}" if pid else "") + (f" address {address}" if address else "")
