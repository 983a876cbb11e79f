"""Timer of a user-space link (wire): sleeps until a time, and estimates the lateness of each wake-up.

The problem. A wire delays frames in user space: this process reads a frame at its arrival, and writes it after its
delay. Both happen when the process gets to run, which is later than the arrival, or the time at which the frame is due.
A processor that has been idle wakes up late: 20 us after a sleep of 1 ms, 150 us after one of 50 ms (virtual machines
and deep idle states alike), and later still if another program has the processor. Without correction, each wire would
add two such latencies to every frame, at arrival and departure.

Departures. A sleep before a departure has two steps. The first step ends LAST_STEP_NS before the frame is due. The
second step is so short that the processor stays out of deep idle states, so its lateness is nearly constant: the step
is shortened by its mean lateness (`early_ns`).

Arrivals. The process does not know the time at which a frame reached the device, since TAP devices have no receive time
stamps. It subtracts the expected lateness of the wake-up from the time of reading. The expected lateness is learned
from sleeps that end by a time-out, whose lateness can be measured: the time of the wake-up minus the due time. The
class Lateness keeps an exponentially weighted mean per power of two of the length of sleep, since the machine's load
changes, and since longer sleeps reach deeper idle states. The expected lateness never decreases with the length, so a
length without samples gets that of a shorter one. Samples above LATENESS_MAX_NS are ignored: they are steal time rather
than idle-state exit latency.

Run-queue delay. A process that is awake may still wait for a processor. The kernel counts this run-queue delay per
thread (proc_pid_schedstat(5)). It is therefore excluded from the samples of lateness, and subtracted exactly from the
arrival time of a frame. If a time-out ended the sleep, it is not subtracted, since frames then arrived at an unknown
later time.

The remaining error is that of the estimates. The time at which each frame was due and the time at which it left are
recorded, so that the lateness of every departure is known, and reported with a run's results.
"""

import contextlib
import os
import select
import time
from collections.abc import Sequence

NS = 1_000_000_000
# Length in ns of the last step of a sleep: above any usual lateness, too short for a deep idle state.
LAST_STEP_NS = 300_000
# Maximum wake-up lateness in ns that counts as a sample; a greater lateness is steal time, and is ignored.
LATENESS_MAX_NS = 400_000
LEARNING_RATE = 0.2
FIRST_GUESS_NS = 30_000
BUCKETS = 40
# File with this thread's time on a processor, run-queue delay and number of time slices (proc_pid_schedstat(5)).
SCHEDSTAT = "/proc/thread-self/schedstat"


class RunQueue:
    """Reader of this thread's run-queue delay, the time it was runnable but without a processor, in ns.

    The value is 0 if the kernel does not measure the delay.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None
        with contextlib.suppress(OSError):
            self._descriptor = os.open(SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)

    def waited_ns(self) -> int:
        """Return the total run-queue delay of this thread since its start, in ns."""
        return int(os.pread(self._descriptor, 100, 0).split()[1]) if self._descriptor is not None else 0


class Lateness:
    """Estimator of the lateness of wake-ups, by an exponentially weighted mean for each length of sleep.

    Lengths are rounded to powers of two.
    """

    def __init__(self) -> None:
        self._late_ns = [float(FIRST_GUESS_NS)] * BUCKETS

    def learn(self, asleep_ns: int, late_ns: int) -> None:
        """Add the measured lateness of a sleep of length `asleep_ns` to the mean; ignore it above LATENESS_MAX_NS."""
        if 0 <= late_ns <= LATENESS_MAX_NS:
            bucket = min(asleep_ns.bit_length(), BUCKETS - 1)
            self._late_ns[bucket] += LEARNING_RATE * (late_ns - self._late_ns[bucket])

    def expected_ns(self, asleep_ns: int) -> int:
        """Return the expected lateness in ns after a sleep of `asleep_ns`; longer sleeps never get a smaller value."""
        return round(max(self._late_ns[: asleep_ns.bit_length() + 1]))


class Sleeper:
    """Timer that sleeps until a descriptor is readable or a time is reached, and estimates the wake-up's lateness.

    After `wait`, `awoke_late_ns` is the expected lateness of the wake-up, and `waited_ns` the run-queue delay after the
    wake-up.
    """

    def __init__(self, descriptors: Sequence[int]) -> None:
        # One epoll descriptor stands for all: select(2) takes none above 1023, and poll(2) no timeout below 1 ms.
        self._epoll = select.epoll()
        for descriptor in descriptors:
            self._epoll.register(descriptor, select.EPOLLIN)
        self._lateness = Lateness()
        self._last_step = Lateness()
        self._run_queue = RunQueue()
        self.awoke_late_ns = 0
        self.waited_ns = 0

    def forget(self, descriptor: int) -> None:
        """Remove a descriptor, which is about to be closed, from those whose readability ends a sleep."""
        self._epoll.unregister(descriptor)

    def early_ns(self) -> int:
        """Return the time in ns by which a sleep must end before a due time, so that the process wakes up on time."""
        return self._last_step.expected_ns(LAST_STEP_NS)

    def wait(self, due_ns: int | None) -> list[int]:
        """Sleep until a descriptor is readable or about `due_ns` (None: no limit); return the readable descriptors."""
        before_ns = self._run_queue.waited_ns()
        began_ns = time.monotonic_ns()
        left_ns = 0 if due_ns is None else due_ns - began_ns
        long = left_ns > 2 * LAST_STEP_NS
        asleep_ns = max(0, left_ns - LAST_STEP_NS if long else left_ns)
        woken = select.select([self._epoll], [], [], None if due_ns is None else asleep_ns / NS)[0]
        woke_ns, waited_ns = time.monotonic_ns(), self._run_queue.waited_ns() - before_ns
        if not woken:
            learner = self._lateness if long else self._last_step
            learner.learn(asleep_ns if long else LAST_STEP_NS, woke_ns - began_ns - asleep_ns - waited_ns)
            return []
        self.awoke_late_ns = self._lateness.expected_ns(woke_ns - began_ns) if asleep_ns or due_ns is None else 0
        # If the timeout ended before the run-queue delay began, the timeout woke this process: arrivals are unknown.
        by_time = due_ns is not None and woke_ns - waited_ns >= began_ns + asleep_ns
        self.waited_ns = 0 if by_time else waited_ns
        # Sorted by number, because epoll's order depends on earlier events.
        return sorted(descriptor for descriptor, _ in self._epoll.poll(0))
