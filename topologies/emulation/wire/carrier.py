"""Carrier of a user-space link: a process that forwards each frame between two TAP devices after its delay.

Run by the fork server with one argument, a JSON object:

    {"ends": [{"pid": 17, "name": "client-eth0"}, {"pid": 0, "name": "s1-eth1"}],
     "shapes": [{...}, {...}],        one per direction: end 0 to end 1, then back (fields of Shape)
     "seeds": [1, 2],
     "records": ["/run/.../wire-a-b.0", "/run/.../wire-a-b.1"]}    file for each frame's times: see record

A line of its standard input gives one direction another shape, and is answered by a line:

    {"direction": 0, "shape": {...}, "seed": 3}

The cost of reading, waking up and writing is kept out of the delays: see clock.
"""

import contextlib
import heapq
import json
import os
import signal
import sys
import time
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
PRIORITY = 10


class Direction:
    """One direction of a user-space link: the frames in flight from one TAP device to the opposite one."""

    def __init__(self, source: int, target: int, chain: effects.Chain, record: Writer) -> None:
        self._record = record
        self.source = source
        self._target = target
        self._chain = chain
        self._flying: list[tuple[int, int, bytes]] = []
        self._count = 0

    def reshape(self, chain: effects.Chain) -> None:
        """Replace the effects (delay, loss ...) on frames; frames in flight keep their due times."""
        self._chain = chain

    def receive(self, late_ns: int, waited_ns: int) -> None:
        """Read the frames that have arrived at the source, at most BURST, and schedule their departure.

        The first arrived `waited_ns` and `late_ns` ago, while this process waited for a processor and slept; the others
        are assumed to have arrived evenly distributed over that wait.
        """
        frames = []
        # Reading ends after BURST frames, or by an OSError: no more frames, or the device is down.
        with contextlib.suppress(OSError):
            for _ in range(BURST):
                frames.append(os.read(self.source, FRAME_MAX_BYTES))
        now_ns = time.monotonic_ns() - late_ns
        for place, frame in enumerate(frames):
            due_ns = self._chain.exit_ns(len(frame), now_ns - waited_ns * (len(frames) - place) // len(frames))
            if due_ns is None or len(self._flying) >= FRAMES_MAX:
                continue
            # The counter keeps frames with equal due times in order, so that heapq does not compare their octets.
            self._count += 1
            heapq.heappush(self._flying, (due_ns, self._count, frame))

    def send_due(self, early_ns: int) -> int | None:
        """Write every frame that is due within `early_ns`; return the next due time in ns, None without frames."""
        flying = self._flying
        while flying:
            if flying[0][0] > time.monotonic_ns() + early_ns:
                return flying[0][0]
            due_ns, _, frame = heapq.heappop(flying)
            # Like a network interface, a TAP device that is down or full drops the frame.
            with contextlib.suppress(OSError):
                os.write(self._target, frame)
            self._record.add(due_ns, time.monotonic_ns())
        return None


def carry(directions: tuple[Direction, Direction], commands: IO[bytes]) -> None:
    """Forward frames in both directions until killed; new shapes are read from `commands`."""
    by_source = {direction.source: direction for direction in directions}
    control = commands.fileno()
    sleeper = Sleeper([*by_source, control])
    while True:
        early_ns = sleeper.early_ns()
        dues_ns = [due for due in (direction.send_due(early_ns) for direction in directions) if due is not None]
        ready = sleeper.wait(min(dues_ns) - early_ns if dues_ns else None)
        if control in ready:
            ready.remove(control)
            obey(commands, directions)
        for source in ready:
            # With frames from both ends it is unknown which end woke the process: no run-queue delay is subtracted.
            by_source[source].receive(sleeper.awoke_late_ns, sleeper.waited_ns if len(ready) == 1 else 0)


def obey(commands: IO[bytes], directions: tuple[Direction, Direction]) -> None:
    """Read one JSON command, replace the shape of one direction, and print RESHAPED."""
    line = commands.readline()
    if not line:
        # At end of file the testbed has ended, and the kernel kills this process next.
        signal.pause()
    command = json.loads(line)
    chain = effects.build(Shape(**command["shape"]), Random(command["seed"]))
    directions[command["direction"]].reshape(chain)
    print("RESHAPED", flush=True)


def open_ends(ends: list[dict[str, object]]) -> list[int]:
    """Open a TAP device per end, in the network namespace of the end's process (pid 0: this process); return both."""
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
    """Request early wake-ups, as far as permitted: real-time scheduling, timers without slack."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    namespaces.tight_timers()


def main(argv: list[str]) -> int:
    """Forward the frames of one link until killed; print READY when both TAP devices exist."""
    request = json.loads(argv[0])
    try:
        first, second = open_ends(request["ends"])
    except OSError as error:
        print(tap.why_no_tap(error), file=sys.stderr)
        return 3
    chains = [
        effects.build(Shape(**shape), Random(seed))
        for shape, seed in zip(request["shapes"], request["seeds"], strict=True)
    ]
    records = [Writer(Path(path)) for path in request["records"]]
    directions = (Direction(first, second, chains[0], records[0]), Direction(second, first, chains[1], records[1]))
    run_urgently()
    print("READY", flush=True)
    with open(0, "rb", buffering=0, closefd=False) as commands:
        carry(directions, commands)
    return 0
