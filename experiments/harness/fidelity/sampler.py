"""Sampling of counters that reveal delays by the load of the machine: scheduler statistics, lateness of frames.

Wires are links in user space (lab7.topologies.emulation.wire); they record the due and departure time of each frame.

The monitor of the machine's load (see certificate) reads the counters every few milliseconds, and at the start and end
of each measurement. Programs of a host are found by its network namespace. Missed are programs that start and exit
between two scans, and the growth of a counter between its last reading and the exit of the program.

Debian's kernel does not count disk waits of a thread (kernel.task_delayacct is off). The thread's state is sampled
instead: the time between two readings counts as disk wait in full if the state is D at both readings, and by half if
the state is D at one of them.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from lab7.experiments.harness.fidelity.disturbance import NS, Counter, Record, Task, Wire
from lab7.topologies.emulation import testbed
from lab7.topologies.emulation.process import softirq
from lab7.topologies.emulation.wire.record import Reader

# Interval in ns between scans for programs that have started or exited.
LOOK_NS = 100_000_000
READ_BYTES = 200
# A reading of a counter that takes longer than READING_NS is repeated, up to READINGS times.
READING_NS, READINGS = 1_000_000, 3
# Octets to read of /proc/PID/stat, enough for the state, which follows a name of at most 16 octets.
STAT_BYTES = 64
ON_DISK = b"D"

Value = TypeVar("Value")


class _TaskSeries:
    """Readings over time of one thread's CPU time, run-queue delay and disk waits."""

    def __init__(self, host: str, path: str) -> None:
        self.host = host
        self.times_ns, self.computed, self.waited, self.disk = array("q"), array("q"), array("q"), array("q")
        self._stat = f"{path}/stat"
        self._on_disk = False
        self._descriptor: int | None = os.open(f"{path}/schedstat", os.O_RDONLY | os.O_CLOEXEC)

    def add(self, now_ns: int, computed_ns: int, waited_ns: int, on_disk: bool = False) -> None:
        disk_ns = 0
        if self.times_ns:
            disk_ns = self.disk[-1] + (self._on_disk + on_disk) * (now_ns - self.times_ns[-1]) // 2
        self._on_disk = on_disk
        self.times_ns.append(now_ns)
        self.computed.append(computed_ns)
        self.waited.append(waited_ns)
        self.disk.append(disk_ns)

    def read(self) -> None:
        if self._descriptor is None:
            return
        try:
            found = _at_a_time(partial(os.pread, self._descriptor, READ_BYTES, 0))
        except ProcessLookupError:
            self.close()
        else:
            if found is not None:
                words = found[1].split()
                computed_ns = int(words[0])
                # Skip reading the state of a thread that has not run since the last reading.
                has_run = not self.computed or computed_ns != self.computed[-1]
                on_disk = state_of(self._stat) == ON_DISK if has_run or self._on_disk else False
                self.add(found[0], computed_ns, int(words[1]), on_disk)

    def task(self) -> Task:
        series = self.computed[:], self.waited[:], self.disk[:]
        times_ns = self.times_ns[:]
        return Task(self.host, *(Counter(times_ns, values) for values in series))

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class _WireSeries:
    """Due and departure times of frames in one direction of a user-space link, in order of due time."""

    def __init__(self, name: str, hosts: tuple[str, ...], path: Path) -> None:
        self.name, self.hosts = name, hosts
        self._reader = Reader(path)
        self._reader.news()  # skip frames from before the samples
        self._frames: list[tuple[int, int]] = []

    def read(self, offset_ns: int) -> None:
        news = self._reader.news()
        self._frames += [(due + offset_ns, left + offset_ns) for due, left in zip(news[::2], news[1::2], strict=True)]

    def wire(self) -> Wire:
        self._frames.sort()
        return Wire(self.name, self.hosts, [due for due, _ in self._frames], [left for _, left in self._frames])


class Sampler:
    """Thread-safe reader of counters of delay in all running networks; call close() before stopping a network."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tasks: list[_TaskSeries] = []
        self._there: dict[tuple[int, int], _TaskSeries] = {}
        self._wires: list[_WireSeries] = []
        self._reading: list[_WireSeries] = []
        self._hosts: dict[str, str] = {}
        self._looked_ns = 0
        self._stolen_times_ns, self._stolen_ns = array("q"), array("q")
        self._softirq = [(schedstat, array("q"), array("q")) for schedstat in softirq.schedstats()]

    def open(self) -> None:
        """Find the hosts and user-space links of all running networks, and read their counters once."""
        with self._lock:
            self._looked_ns = 0
            for bed in testbed.running():
                for host in bed.net.hosts:
                    self._hosts[os.readlink(f"/proc/{host.namespace_pid}/ns/net")] = host.name
                hosts = {host.name for host in bed.net.hosts}
                for link in bed.net.links:
                    ends = tuple({link.intf1.node.name, link.intf2.node.name} & hosts)
                    self._reading += [_WireSeries(name, ends, path) for name, path in link.wire_records.items()]
        self.read()

    def close(self) -> None:
        """Read all counters a last time and close all files."""
        self.read()
        with self._lock:
            for wire in self._reading:
                wire.read(_offset_ns())
            self._wires += self._reading
            self._reading = []
            for series in self._there.values():
                series.close()
            self._there.clear()
            self._hosts.clear()

    def read(self) -> None:
        """Read all counters now; scan for new programs first if LOOK_NS has passed since the last scan."""
        with self._lock:
            now_ns = time.time_ns()
            if now_ns - self._looked_ns >= LOOK_NS:
                self._look(now_ns)
            for series in self._there.values():
                series.read()
            if (found := _at_a_time(_stolen_ns)) is not None:
                self._stolen_times_ns.append(found[0])
                self._stolen_ns.append(found[1])
            for descriptor, times_ns, waited in self._softirq:
                if (found := _at_a_time(partial(softirq.waited_ns, descriptor))) is not None:
                    times_ns.append(found[0])
                    waited.append(found[1])

    def record(self) -> Record:
        """Return all readings so far as a Record (see the module disturbance)."""
        with self._lock:
            for wire in self._reading:
                wire.read(_offset_ns())
            return Record(
                [task.task() for task in self._tasks],
                [series.wire() for series in (*self._wires, *self._reading)],
                Counter(self._stolen_times_ns[:], self._stolen_ns[:]),
                softirq=[Counter(times_ns[:], waited[:]) for _, times_ns, waited in self._softirq],
            )

    def _look(self, now_ns: int) -> None:
        """Scan /proc for new and exited threads of the hosts' programs; open or close their series of readings."""
        first = not self._looked_ns
        there: dict[tuple[int, int], _TaskSeries] = {}
        for host, pid, tid in _threads(self._hosts):
            series = self._there.pop((pid, tid), None)
            if series is None:
                with contextlib.suppress(OSError):
                    series = _TaskSeries(host, f"/proc/{pid}/task/{tid}")
                    self._tasks.append(series)
                    if not first:
                        # Start a new thread's counters at zero, since the thread did not exist at the last scan.
                        series.add(self._looked_ns, 0, 0)
            if series is not None:
                there[pid, tid] = series
        for gone in self._there.values():
            gone.close()
        self._there, self._looked_ns = there, now_ns


def _at_a_time(read: Callable[[], Value]) -> tuple[int, Value] | None:
    """Return (time in ns, value) of a counter; None if every attempt to read it took more than READING_NS.

    A slow reading is discarded, because its value may include growth after the noted time. Without it, this growth is
    attributed to the interval between the two adjacent readings.
    """
    for _ in range(READINGS):
        before_ns = time.time_ns()
        value = read()
        if time.time_ns() - before_ns <= READING_NS:
            return before_ns, value
    return None


def state_of(path: str) -> bytes:
    """Return the one-letter state of a thread from its stat file (proc_pid_stat(5)); b"" if the thread has exited."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read(STAT_BYTES).rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return b""


def _threads(hosts: dict[str, str]) -> Iterator[tuple[str, int, int]]:
    """Yield (host, process id, thread id) of all threads in the hosts' network namespaces."""
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            host = hosts.get(os.readlink(f"/proc/{name}/ns/net"))
            if host is not None:
                yield from ((host, int(name), int(thread)) for thread in os.listdir(f"/proc/{name}/task"))


def _stolen_ns() -> int:
    """Return the CPU time in ns that the hypervisor gave to other guests (steal in /proc/stat)."""
    with open("/proc/stat", "rb") as file:
        words = file.readline().split()
    return int(words[8]) * NS // os.sysconf("SC_CLK_TCK") if len(words) > 8 else 0


def _offset_ns() -> int:
    """Return CLOCK_REALTIME minus CLOCK_MONOTONIC, in ns."""
    return time.time_ns() - time.monotonic_ns()
