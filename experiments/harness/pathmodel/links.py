"""Links of the TCP simulation: store and forward with an unbounded queue, rate and propagation delay.

A frame waits for the transmitter, is transmitted at the link's rate, and arrives a delay later; the next hop can
forward it only then. Links emulated by netem's rate and delay (tc-netem(8)), and those in user space, have the same
effect.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lab7.experiments.harness.pathmodel.events import Clock

NS = 1_000_000_000


class Link:
    """One direction of a link: rate in bit/s (None: unlimited) and propagation delay in s."""

    def __init__(self, rate_bps: float | None = None, delay_s: float = 0.0) -> None:
        self.rate_bps = rate_bps
        self.delay_ns = round(delay_s * NS)
        self._free_ns = 0

    def arrival_ns(self, now_ns: int, size_bytes: int) -> int:
        """Accept a frame at `now_ns`; return the time in ns at which the whole frame has arrived at the other end."""
        start_ns = max(now_ns, self._free_ns)
        # Round as netem does: rates to whole octets per second, times to whole ns (sch_netem.c, packet_time_ns).
        sending_ns = 0 if self.rate_bps is None else size_bytes * NS // int(self.rate_bps / 8)
        self._free_ns = start_ns + sending_ns
        return self._free_ns + self.delay_ns


class Route:
    """Sequence of links from one host to another; routes may share links, on which their frames queue."""

    def __init__(self, clock: Clock, links: Sequence[Link]) -> None:
        self._clock = clock
        self._links = tuple(links)

    def send(self, size_bytes: int, deliver: Callable[[], None]) -> None:
        """Send a frame of `size_bytes`; call `deliver` at the frame's arrival at the destination host."""
        self._hop(0, size_bytes, deliver)

    def _hop(self, number: int, size_bytes: int, deliver: Callable[[], None]) -> None:
        if number == len(self._links):
            deliver()
            return
        arrival_ns = self._links[number].arrival_ns(self._clock.now_ns, size_bytes)
        self._clock.at(arrival_ns, lambda: self._hop(number + 1, size_bytes, deliver))
