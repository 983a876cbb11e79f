"""Description of the network of a run: addresses of its hosts, and its links with delays, rates, losses and queues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Direction:
    """One direction of a link: rate in bit/s (None: unlimited), delay in s, loss as fraction of 1, queue in frames."""

    rate_bps: float | None = None
    delay_s: float = 0.0
    loss: float = 0.0
    queue_frames: int | None = None


@dataclass(frozen=True)
class LinkDescription:
    """Link of a network: its two nodes, their interfaces, and the properties of each direction.

    `there` is the direction from `first` to `second`, `back` the direction from `second` to `first`.
    """

    first: str
    second: str
    first_interface: str
    second_interface: str
    there: Direction
    back: Direction


@dataclass(frozen=True)
class NetworkDescription:
    """Network: host -> addresses (IPv4 and IPv6, without prefix lengths), switches, and links.

    For a run with several networks, the addresses are those of all networks, and the switches and links those of the
    first network.
    """

    hosts: Mapping[str, tuple[str, ...]]
    switches: tuple[str, ...] = ()
    links: tuple[LinkDescription, ...] = ()

    @property
    def names(self) -> dict[str, str]:
        """Return address -> name of the host."""
        return {address: host for host, addresses in self.hosts.items() for address in addresses}
