"""Sleep until a time and know how late the waking up was.

A processor that has slept long wakes up late: 20 us after a sleep of 1 ms, 150 us after one of 50 ms (virtual
machines and deep idle states alike). Two measures keep that out of the emulated delays:

- a sleep ends in two steps, the last one so short that the processor stays awake for it;
- how late a sleep of each length ends is learnt from the first steps, and the same lateness is taken off the
  arrival time of a frame that woke us, which nobody else can tell us.

A process that is awake may still wait for a processor. The kernel counts that (its run-queue delay), so it is learnt
from no sleep, and what a frame waited for us in this way is taken off its arrival time exactly.
"""

import contextlib
import os
import select
import time
from collections.abc import Sequence

NS = 1_000_000_000
# The last step of a sleep: longer than any usual lateness, short enough that the processor does not idle deeply.
LAST_STEP_NS = 300_000
# A lateness beyond this is the machine being elsewhere (a stolen processor), not its way of waking up.
LATENESS_MAX_NS = 400_000
LEARNING_RATE = 0.2
FIRST_GUESS_NS = 30_000
BUCKETS = 40
# proc_pid_schedstat(5): time on a processor, time waiting for one, number of times on one; of this thread.
SCHEDSTAT = "/proc/thread-self/schedstat"


class RunQueue:
    """The time that this thread has waited for a processor, in ns; 0 where the kernel does not count it."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)

    def waited_ns(self) -> int:
        """Since the thread began."""
        return int(os.pread(self._descriptor, 100, 0).split()[1]) if self._descriptor is not None else 0


class Lateness:
    """How late sleeps end, by the power of two of their length; an exponentially weighted mean of what was seen."""

    def __init__(self) -> None:
        self._late_ns = [float(FIRST_GUESS_NS)] * BUCKETS

    def learn(self, asleep_ns: int, late_ns: int) -> None:
        """Note that a sleep of that length ended that late; absurd values are left out."""
        if 0 <= late_ns <= LATENESS_MAX_NS:
            bucket = min(asleep_ns.bit_length(), BUCKETS - 1)
            self._late_ns[bucket] += LEARNING_RATE * (late_ns - self._late_ns[bucket])

    def expected_ns(self, asleep_ns: int) -> int:
        """How late a sleep of that length is expected to have ended: no less late than any shorter one."""
        return round(max(self._late_ns[: asleep_ns.bit_length() + 1]))


class Sleeper:
    """Waits for descriptors and for times.

    After `wait`, `awoke_late_ns` tells how long ago the cause was as far as sleeping goes, and `waited_ns` how long the
    process waited for a processor after that.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        self._descriptors = descriptors
        self._lateness = Lateness()
        self._last_step = Lateness()
        self._run_queue = RunQueue()
        self.awoke_late_ns = 0
        self.waited_ns = 0

    def early_ns(self) -> int:
        """How much before a time the last step of a sleep should end, for the act to happen at that time."""
        return self._last_step.expected_ns(LAST_STEP_NS)

    def wait(self, due_ns: int | None) -> list[int]:
        """Sleep until a descriptor can be read (which are returned) or until about `due_ns`; None: no time."""
        before_ns = self._run_queue.waited_ns()
        began_ns = time.monotonic_ns()
        left_ns = 0 if due_ns is None else due_ns - began_ns
        long = left_ns > 2 * LAST_STEP_NS
        asleep_ns = max(0, left_ns - LAST_STEP_NS if long else left_ns)
        ready = select.select(self._descriptors, [], [], None if due_ns is None else asleep_ns / NS)[0]
        woke_ns, waited_ns = time.monotonic_ns(), self._run_queue.waited_ns() - before_ns
        if not ready:
            learner = self._lateness if long else self._last_step
            learner.learn(asleep_ns if long else LAST_STEP_NS, woke_ns - began_ns - asleep_ns - waited_ns)
            return ready
        self.awoke_late_ns = self._lateness.expected_ns(woke_ns - began_ns) if asleep_ns or due_ns is None else 0
        # Where the time was over when the waiting began, that woke us, and the frames came at an unknown time later.
        by_time = due_ns is not None and woke_ns - waited_ns >= began_ns + asleep_ns
        self.waited_ns = 0 if by_time else waited_ns
        return ready
