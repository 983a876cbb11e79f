"""Carrier of user-space links: a process that forwards each frame between two TAP devices after its delay.

The fork server runs it with one argument, a JSON list with an object per link:

    [{"ends": [{"pid": 17, "name": "client-eth0"}, {"pid": 0, "name": "s1-eth1"}],
      "shapes": [{...}, {...}],        one per direction: end 0 to end 1, then back (fields of Shape)
      "seeds": [1, 2],
      "records": ["/run/.../wire-a-b.0", "/run/.../wire-a-b.1"]}]   one file per direction: see the module record

The TAP device of an end is made in the network namespace of process `pid`, 0 for the namespace of the carrier.

Directions are numbered across all links: 0 and 1 belong to the first link, 2 and 3 to the second. A line on standard
input changes the shape of one direction, or deletes a link; the carrier replies with the line DONE. It replies to a
question about the queue of one direction with the numbers of frames in it and of those dropped until now:

    {"direction": 2, "shape": {...}, "seed": 3}
    {"delete": 1}
    {"queue": 2}

The time that reading, waking up and writing take is not added to the delays: see the module clock.
"""

import contextlib
import heapq
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import IO

from lab7.topologies.emulation.process import namespaces
from lab7.topologies.emulation.shape import Shape
from lab7.topologies.emulation.wire import effects, tap
from lab7.topologies.emulation.wire.clock import Sleeper
from lab7.topologies.emulation.wire.record import Writer

FRAME_MAX_BYTES = 65536
# Maximum number of frames in flight per direction; further frames are dropped, to bound the memory.
FRAMES_MAX = 100_000
# Maximum number of frames read before due frames are written.
BURST = 64
# Maximum number of frames written before arrived ones are read.
SENT_MAX = 256
PRIORITY = 10


class Direction:
    """One direction of a user-space link: reads frames from one TAP device, and writes them to another when due."""

    def __init__(self, source: int, target: int, chain: effects.Effect, record: Writer) -> None:
        self.source = source
        self._target = target
        self._chain = chain
        self._record = record
        self.flying = 0
        self._dropped = 0

    def queue(self) -> tuple[int, int]:
        """Return (frames in the transmit queue, frames dropped so far because of loss or a full queue)."""
        return effects.waiting(self._chain, time.monotonic_ns()), self._dropped

    def reshape(self, chain: effects.Effect) -> None:
        """Replace the effects (delay, loss ...) of this direction on frames; frames in flight keep their due times."""
        self._chain = chain

    def receive(self, late_ns: int, waited_ns: int) -> Iterator[tuple[int, bytes]]:
        """Read the frames that have arrived at the source, at most BURST; yield (due time, octets) of each.

        The arrival time of the first frame is `waited_ns` (run-queue delay) plus `late_ns` (lateness of the wake-up)
        before the reading. The other frames are assumed to have arrived at equal intervals during the run-queue delay.
        """
        frames: list[bytes] = []
        read, source = os.read, self.source
        # Reading ends after BURST frames, or by an OSError: no more frames, or the device is down.
        try:
            for _ in range(BURST):
                frames.append(read(source, FRAME_MAX_BYTES))
        except OSError:
            pass
        now_ns = time.monotonic_ns() - late_ns
        count, exit_ns = len(frames), self._chain.exit_ns
        for place, frame in enumerate(frames):
            due_ns = exit_ns(len(frame), now_ns - waited_ns * (count - place) // count)
            if due_ns is not None and self.flying < FRAMES_MAX:
                self.flying += 1
                yield due_ns, frame
            else:
                self._dropped += 1

    def send(self, due_ns: int, frame: bytes) -> int:
        """Write a frame that is due, record due time and departure, and return the departure in ns."""
        self.flying -= 1
        # Like a network interface, a TAP device that is down or full drops the frame. suppress() would cost as much as
        # the rest of this function.
        try:  # noqa: SIM105
            os.write(self._target, frame)
        except OSError:
            pass
        now_ns = time.monotonic_ns()
        self._record.add(due_ns, now_ns)
        return now_ns

    def close(self) -> None:
        """Remove the source's TAP device; frames in flight are lost."""
        self.send = lambda *_: time.monotonic_ns()  # type: ignore[method-assign]
        os.close(self.source)


class Carrier:
    """All user-space links that this process carries, with their frames in flight."""

    def __init__(self, directions: Sequence[Direction]) -> None:
        self._directions = directions
        self._by_source = {direction.source: direction for direction in directions}
        self._flying: list[tuple[int, int, Direction, bytes]] = []
        self._count = 0

    def carry(self, commands: IO[bytes]) -> None:
        """Forward frames until the process is killed.

        Execute the commands (new shapes, deletions, queue states) on `commands`.
        """
        control = commands.fileno()
        sleeper = Sleeper([*self._by_source, control])
        while True:
            early_ns = sleeper.early_ns()
            next_ns = self._send_due(early_ns)
            ready = sleeper.wait(None if next_ns is None else next_ns - early_ns)
            if control in ready:
                ready.remove(control)
                self._obey(commands, sleeper)
            for source in ready:
                # With several sources it is unknown which woke the process: no run-queue delay is subtracted.
                if (direction := self._by_source.get(source)) is not None:
                    self._receive(direction, sleeper.awoke_late_ns, sleeper.waited_ns if len(ready) == 1 else 0)

    def _receive(self, direction: Direction, late_ns: int, waited_ns: int) -> None:
        flying, count = self._flying, self._count
        for due_ns, frame in direction.receive(late_ns, waited_ns):
            # The counter keeps frames with equal due times in order, so that heapq never compares directions.
            count += 1
            heapq.heappush(flying, (due_ns, count, direction, frame))
        self._count = count

    def _send_due(self, early_ns: int) -> int | None:
        """Write every frame that is due within the next `early_ns` ns.

        Returns the time in ns at which the next frame is due, None if no frame is left.
        """
        flying = self._flying
        now_ns = time.monotonic_ns()
        for _ in range(SENT_MAX):
            if not flying:
                return None
            if flying[0][0] > now_ns + early_ns:
                return flying[0][0]
            due_ns, _, direction, frame = heapq.heappop(flying)
            now_ns = direction.send(due_ns, frame)
        # TAP devices drop frames while they are not read, so all devices are read before further due frames are
        # written.
        return now_ns

    def _obey(self, commands: IO[bytes], sleeper: Sleeper) -> None:
        """Execute one JSON command: print the state of a queue, or change or delete a link and print DONE."""
        line = commands.readline()
        if not line:
            # At end of file the testbed has ended, and the kernel kills this process next.
            signal.pause()
        command = json.loads(line)
        answer = "DONE"
        if "queue" in command:
            answer = "{} {}".format(*self._directions[command["queue"]].queue())
        elif "delete" in command:
            first = 2 * command["delete"]
            for direction in self._directions[first : first + 2]:
                sleeper.forget(direction.source)
                del self._by_source[direction.source]
                direction.close()
        else:
            chain = effects.build(Shape(**command["shape"]), Random(command["seed"]))
            self._directions[command["direction"]].reshape(chain)
        print(answer, flush=True)


def open_ends(ends: list[dict[str, object]]) -> list[int]:
    """Open a TAP device for each end of a link, in the network namespace of the end's process; return the descriptors.

    Process id 0 stands for this process.
    """
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    taps = []
    for end in ends:
        space = os.open(f"/proc/{end['pid']}/ns/net", os.O_RDONLY) if end["pid"] else home
        taps.append(tap.open_tap(str(end["name"]), space))
        if space != home:
            os.close(space)
    namespaces.setns(home, namespaces.CLONE_NEWNET)
    os.close(home)
    return taps


def run_urgently() -> None:
    """Request real-time scheduling, if permitted, and timers without slack, so that this process wakes up early."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    namespaces.tight_timers()


def main(argv: list[str]) -> int:
    """Create the TAP devices of the links, print READY, and forward frames until killed."""
    directions: list[Direction] = []
    for link in json.loads(argv[0]):
        try:
            taps = open_ends(link["ends"])
        except OSError as error:
            print(tap.why_no_tap(error), file=sys.stderr)
            return 3
        for place, (shape, seed, record) in enumerate(zip(link["shapes"], link["seeds"], link["records"], strict=True)):
            chain = effects.build(Shape(**shape), Random(seed))
            directions.append(Direction(taps[place], taps[1 - place], chain, Writer(Path(record))))
    run_urgently()
    print("READY", flush=True)
    with open(0, "rb", buffering=0, closefd=False) as commands:
        Carrier(directions).carry(commands)
    return 0
