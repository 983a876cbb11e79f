"""Wires: user-space links, many of them carried by one process (see lab7.topologies.emulation.wire.carrier).

Links that are started together are distributed over as many processes as this machine has processors, since more
processes would only take turns. If a process would carry more than LINKS_MAX links, more processes are started.
"""

import json
import os
import signal
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from lab7.topologies.emulation.process.launcher import ForkServer, Service, await_ready, start_service
from lab7.topologies.emulation.shape import Queue, Shape

CARRIER = "lab7.topologies.emulation.wire.carrier"
COMMAND_TIMEOUT_S = 5.0
# Maximum number of links that one process carries: its request then fits a datagram to the fork server.
LINKS_MAX = 128
# Number of links that the description of a process names.
NAMED_MAX = 3
_one_command = threading.Lock()


class InNamespace(Protocol):
    """Interface of nodes that have a network namespace, which is identified by the id of a process in it."""

    def network_pid(self) -> int:
        """Return the id of a process in the node's network namespace (0: this process).

        Wait until the namespace exists.
        """


@dataclass(frozen=True)
class End:
    """End of a link: name and MAC address of its interface, and its node (None: the end is at a switch).

    address: MAC address, empty if the kernel chooses it; index: interface index, 0 if the kernel chooses it.
    """

    name: str
    address: str = ""
    node: InNamespace | None = None
    index: int = 0

    def __str__(self) -> str:
        """Return the link end as words for ip-link(8): name, and, if set, MAC address, index and namespace."""
        words = [f"name {self.name}", f"netns {self.pid}" if self.pid else ""]
        words += [f"address {self.address}" if self.address else "", f"index {self.index}" if self.index else ""]
        return " ".join(filter(None, words))

    @property
    def pid(self) -> int:
        """Return the id of a process in the network namespace of this end, 0 for this process's namespace."""
        return self.node.network_pid() if self.node is not None else 0


@dataclass
class Wire:
    """A user-space link, carried by a process.

    ends      the two ends; direction 0 is from end 0 to end 1, direction 1 back
    shapes    shape (rate, delay, loss ...) of each direction
    seeds     seed of each direction's random effects, such as loss
    records   file of each direction with the times at which frames were due and left
    carrier   the process that carries the link, None until it has been started
    place     index of the link among all links of the carrier
    """

    ends: tuple[End, End]
    shapes: list[Shape]
    seeds: list[int]
    records: dict[str, Path]
    forkserver: ForkServer
    workdir: Path
    carrier: Service | None = None
    place: int = 0

    def reshape(self, direction: int, shape: Shape, seed: int) -> None:
        """Replace the shape (rate, delay ...) of one direction; frames in flight keep their due times.

        Raises EmulationError.
        """
        self.shapes[direction], self.seeds[direction] = shape, seed
        if self.carrier is not None:
            self._command({"direction": 2 * self.place + direction, "shape": asdict(shape), "seed": seed})

    def queue(self, direction: int) -> Queue:
        """Return the transmit queue of one direction: numbers of frames in it and of dropped frames.

        Raises EmulationError.
        """
        waiting, dropped = self._command({"queue": 2 * self.place + direction}).split()
        return Queue(int(waiting), int(dropped))

    def delete(self) -> None:
        """Remove both interfaces of the link; idempotent."""
        if self.carrier is not None and not self.carrier.has_ended():
            self._command({"delete": self.place})
        self.carrier = None

    def _command(self, command: dict[str, object]) -> bytes:
        """Send a command to the carrier process of this link, and return its answer."""
        assert self.carrier is not None
        # A carrier has many links, and scripts read queues in threads.
        with _one_command:
            self.carrier.write_line(json.dumps(command))
            return self.carrier.read_line(COMMAND_TIMEOUT_S)

    def request(self) -> dict[str, object]:
        """Return the description of the link for the command line of its carrier process, as an object for JSON."""
        return {
            "ends": [{"pid": end.pid, "name": end.name} for end in self.ends],
            "shapes": [asdict(shape) for shape in self.shapes],
            "seeds": self.seeds,
            "records": [str(path) for path in self.records.values()],
        }


def start(wires: Sequence[Wire]) -> None:
    """Start the carrier processes of these links, and wait until all interfaces exist. Raises EmulationError."""
    processes = max(min(len(wires), os.cpu_count() or 1), -(-len(wires) // LINKS_MAX))
    await_ready([_start_process(wires[number::processes]) for number in range(processes)])


def stop(wires: Sequence[Wire]) -> None:
    """Stop the processes that carry these links; all other links of the same processes end as well."""
    carriers = {id(wire.carrier): wire.carrier for wire in wires if wire.carrier is not None}
    for carrier in carriers.values():
        carrier.expect_end()
        carrier.send_signal(signal.SIGKILL)
    for carrier in carriers.values():
        carrier.stop()


def _start_process(wires: Sequence[Wire]) -> Service:
    first = wires[0]
    names = [f"{near.name} to {far.name}" for near, far in (wire.ends for wire in wires)]
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    described = f"link{'s' if len(names) > 1 else ''} {', '.join(names[:NAMED_MAX])}{more}"
    carrier = start_service(
        first.forkserver,
        [CARRIER, json.dumps([wire.request() for wire in wires])],
        cwd=first.workdir,
        name=f"wire-{first.ends[0].name}-{first.ends[1].name}",
        called=f"the carrier of the {described} ({CARRIER})",
    )
    carrier.lasts = True
    for place, wire in enumerate(wires):
        wire.carrier, wire.place = carrier, place
    return carrier
