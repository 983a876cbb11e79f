"""Disturbance of a measured time: delays caused by the machine that runs the emulation, split by cause.

    record.within(start_ns, end_ns)    # Disturbance(late_s=0.0004, waiting_s=0.003, programs_s=0.0021, ...)

A prediction contains no time in which programs compute, or wait for a processor or a disk. A Record has counters of
such delays, read many times during a run. A sample is one measurement of a time, such as one page load. Its disturbance
is the sum of five terms, which are counted without the use of packets. They are subtracted from the sample in this
order:

    late_frames             frames that left a wire (user-space link) after they were due
    waiting_for_processor   run-queue delay of the programs of the hosts (proc_pid_schedstat(5), second field), and of
                            the kernel's threads that deliver their frames (ksoftirqd)
    programs                CPU time of the programs (proc_pid_schedstat(5), first field)
    waiting_for_disk        uninterruptible sleep of the programs (state D in proc_pid_stat(5)), such as fsync
    stolen                  CPU time that the hypervisor gave to other guests (/proc/stat, in steps of a clock tick)

Not all of these delays are on a sample's critical path: programs of two hosts wait at the same time, and a server
writes its log after its response. These rules therefore limit the terms:

- A program's delays count only during the turns of its host, the intervals from a packet's arrival to the host's next
  packet (see the module turns). In each turn they count at most for the turn's length, in the order run-queue delay,
  CPU time, disk waits and stolen time. Each is the counter's growth between the last reading before the turn and the
  first reading after it. The sum over all turns of a host in a sample is at most the counter's growth in the sample.
  For a host without a capture, such as a name server behind others, the whole sample counts. The processes of lab7
  itself and of the capture do not count.
- The run-queue delay of ksoftirqd and the stolen time are counted per machine, not per host. In a turn, they count up
  to the part of the turn that no program's delay explains. Each frame is processed on one processor, so only the
  ksoftirqd thread of one processor counts; over a sample, at most the delay of all these threads in the sample counts.
- A host is ignored if its own wires carried no frame during the sample. The CPU time and waits of a wire's process
  appear as lateness of its frames.
- The turns are unknown until the capture has been read. Until then, the delays of all programs count, from the first to
  the last frame of the sample on a wire. Earlier ones do not: a client that is started for the sample computes first.
- Frames of one direction that are due within BURST_NS form a burst. Of a burst, only the greatest lateness of a frame
  counts, since frames of a burst wait for one another in any case.
- `without_disturbance` subtracts at most the sample's excess over the predicted time, so that no sample becomes shorter
  than predicted. The same limit holds for each part of the time, such as connection setup.

A constant waste of time by a server (a sleep, a superfluous round trip) therefore remains visible, since no counter
measured here accounts for it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

Turn = tuple[int, int]
NS = 1_000_000_000
LATE_FRAMES, STOLEN, WAITING, PROGRAMS = "late_frames", "stolen", "waiting_for_processor", "programs"
DISK = "waiting_for_disk"
TERMS = (LATE_FRAMES, WAITING, PROGRAMS, DISK, STOLEN)
# Causes that count towards DISTURBED_SHARE; the programs' CPU time does not, since every sample has some.
MACHINE_TERMS = (LATE_FRAMES, WAITING, DISK, STOLEN)
# Maximum gap in ns between two frames of a burst: more than a full frame at 5 Mbit/s, less than any topology's RTT.
BURST_NS = 3_000_000
# A measurement is repeated if the machine caused more than DISTURBED_SHARE of the measured time.
# DISTURBED_SHARE is relative, since a session of fifty commands waits for a processor fifty times.
DISTURBED_SHARE = 0.1
# Maximum number of repetitions of a disturbed measurement; the last one is kept even if disturbed.
RETAKES = 3
LATE_QUANTILE = 0.99


@dataclass(frozen=True)
class Counter:
    """Readings of a monotonic counter at known times, interpolated linearly in between."""

    times_ns: Sequence[int]
    values: Sequence[int]

    def growth(self, start_ns: int, end_ns: int) -> float:
        """Return the counter's growth between two times, interpolated between readings."""
        return self._at(end_ns) - self._at(start_ns)

    def growth_about(self, start_ns: int, end_ns: int) -> int:
        """Return an upper bound of the counter's growth between two times.

        It is the growth from the last reading before `start_ns` to the first reading after `end_ns`.
        """
        if not self.times_ns:
            return 0
        first = max(0, bisect_right(self.times_ns, start_ns) - 1)
        last = min(len(self.times_ns) - 1, bisect_left(self.times_ns, end_ns))
        return max(0, self.values[last] - self.values[first])

    def _at(self, time_ns: int) -> float:
        place = bisect_right(self.times_ns, time_ns)
        if not self.times_ns:
            return 0.0
        if place == 0:
            return float(self.values[0])
        if place == len(self.times_ns):
            return float(self.values[-1])
        low_ns, high_ns = self.times_ns[place - 1], self.times_ns[place]
        low, high = self.values[place - 1], self.values[place]
        return low + (high - low) * (time_ns - low_ns) / (high_ns - low_ns)


@dataclass(frozen=True)
class Task:
    """Thread of a host's program: counters of CPU time, run-queue delay and disk waits, in ns."""

    host: str
    computed: Counter
    waited: Counter
    disk: Counter = field(default_factory=lambda: Counter((), ()))


@dataclass(frozen=True)
class Wire:
    """One direction of a user-space link: hosts at both ends, and when each frame was due and left, in ns."""

    name: str
    hosts: tuple[str, ...]
    due_ns: Sequence[int]
    left_ns: Sequence[int]

    def due_in(self, start_ns: int, end_ns: int) -> Sequence[int]:
        """Return the due times in ns, sorted, of the frames due within a time span."""
        return self.due_ns[bisect_left(self.due_ns, start_ns) : bisect_right(self.due_ns, end_ns)]

    def late_ns(self, start_ns: int = 0, end_ns: int = 1 << 63) -> list[int]:
        """Return the lateness in ns of each frame due within a time span, in order of due time."""
        first, last = bisect_left(self.due_ns, start_ns), bisect_right(self.due_ns, end_ns)
        pairs = zip(self.due_ns[first:last], self.left_ns[first:last], strict=True)
        return [max(0, left - due) for due, left in pairs]

    def bursts_ns(self, start_ns: int, end_ns: int) -> list[int]:
        """Return, for each burst of frames due within a time span, the greatest lateness of a frame, in ns."""
        first = bisect_left(self.due_ns, start_ns)
        found: list[int] = []
        last_due_ns = -BURST_NS
        for due_ns, late_ns in zip(self.due_ns[first:], self.late_ns(start_ns, end_ns), strict=False):
            # Lateness of a frame counts only up to the end of the time span.
            late_in_window_ns = min(late_ns, end_ns - due_ns)
            if due_ns - last_due_ns <= BURST_NS and found:
                found[-1] = max(found[-1], late_in_window_ns)
            else:
                found.append(late_in_window_ns)
            last_due_ns = due_ns
        return found


@dataclass(frozen=True)
class Disturbance:
    """Delays that the real machine added to one measurement, by cause, in s.

    The causes are listed in the module's docstring. `late_frame_s` is the lateness of the latest frame, and `wire` the
    link that carried it.
    """

    late_s: float = 0.0
    waiting_s: float = 0.0
    programs_s: float = 0.0
    stolen_s: float = 0.0
    late_frame_s: float = 0.0
    wire: str = ""
    disk_s: float = 0.0

    def terms(self) -> dict[str, float]:
        """Return the delays in s, keyed by cause, in the order in which they are subtracted from the measured time."""
        found = (self.late_s, self.waiting_s, self.programs_s, self.disk_s, self.stolen_s)
        return dict(zip(TERMS, found, strict=True))

    @property
    def total_s(self) -> float:
        """Return the sum in s of the delays by all causes."""
        return sum(self.terms().values())

    def beyond_bound(self, total_s: float) -> bool:
        """Return True if other load took more than DISTURBED_SHARE of `total_s` seconds.

        The CPU time of the hosts' own programs does not count (see MACHINE_TERMS).
        """
        return beyond_bound(sum(self.terms()[name] for name in MACHINE_TERMS), total_s)


@dataclass(frozen=True)
class _Share:
    """Delays in one measurement that are attributed to one host, by cause, in ns."""

    waited_ns: float
    computed_ns: float
    disk_ns: float
    softirq_ns: float
    stolen_ns: float


@dataclass(frozen=True)
class Record:
    """Counters recorded during a workload, with times on the capture's clock (CLOCK_REALTIME).

    `tasks`: threads of the hosts' programs. `wires`: directions of user-space links. `stolen`: stolen CPU time in ns.
    `softirq`: run-queue delay of each kernel thread that delivers frames to sockets. `turns`: host -> intervals in
    which the network waits for the host; None while unknown. For hosts without a capture, all run-queue delay and CPU
    time of their programs counts.
    """

    tasks: Sequence[Task] = ()
    wires: Sequence[Wire] = ()
    stolen: Counter = field(default_factory=lambda: Counter((), ()))
    turns: Mapping[str, Sequence[Turn]] | None = None
    softirq: Sequence[Counter] = ()

    def within(self, start_ns: int, end_ns: int) -> Disturbance:
        """Return the Disturbance (delays by cause) of a measurement from `start_ns` to `end_ns`."""
        used = [wire for wire in self.wires if wire.late_ns(start_ns, end_ns)]
        # Always count hosts without a recorded user-space link, since no link shows that such a host was idle.
        idle = {host for wire in self.wires for host in wire.hosts} - {host for wire in used for host in wire.hosts}
        hosts = {task.host for task in self.tasks} - idle
        shares = [self._programs_ns(host, start_ns, end_ns) for host in sorted(hosts)]
        stolen_ns = self.stolen.growth_about(start_ns, end_ns)
        softirq_ns = sum(counter.growth_about(start_ns, end_ns) for counter in self.softirq)
        handed_ns = sum(share.softirq_ns for share in shares)
        latest = max(((max(wire.late_ns(start_ns, end_ns)), wire.name) for wire in used), default=(0, ""))
        return Disturbance(
            late_s=sum(sum(wire.bursts_ns(start_ns, end_ns)) for wire in used) / NS,
            waiting_s=(sum(share.waited_ns for share in shares) + min(softirq_ns, handed_ns)) / NS,
            programs_s=sum(share.computed_ns for share in shares) / NS,
            disk_s=sum(share.disk_ns for share in shares) / NS,
            stolen_s=min(stolen_ns, sum(share.stolen_ns for share in shares)) / NS,
            late_frame_s=latest[0] / NS,
            wire=latest[1] if latest[0] else "",
        )

    def of_hosts(self, hosts: Collection[str] | None = None) -> Record:
        """Return the part of the record about these hosts (None: all), with delays counted at all times.

        In the original record, delays count only in the hosts' processing intervals.
        """
        if hosts is None:
            return replace(self, turns=None)
        # Keep links between switches, which have no host at their ends but may carry frames of these hosts.
        wires = [wire for wire in self.wires if not wire.hosts or set(wire.hosts) & set(hosts)]
        return Record([task for task in self.tasks if task.host in hosts], wires, self.stolen)

    def on_wires(self, start_ns: int, end_ns: int) -> tuple[int, int]:
        """Return (first, last) due time in ns of the frames within a time span; without frames, its start and end."""
        due = [windows for wire in self.wires if (windows := wire.due_in(start_ns, end_ns))]
        if not due:
            return start_ns, end_ns
        return min(times[0] for times in due), max(times[-1] for times in due)

    def _programs_ns(self, host: str, start_ns: int, end_ns: int) -> _Share:
        """Return the delays of a host's programs in the host's processing intervals, by cause."""
        tasks = [task for task in self.tasks if task.host == host]
        if self.turns is None or host not in self.turns:
            return _Share(
                sum(task.waited.growth(start_ns, end_ns) for task in tasks),
                sum(task.computed.growth(start_ns, end_ns) for task in tasks),
                sum(task.disk.growth(start_ns, end_ns) for task in tasks),
                0,
                self.stolen.growth(start_ns, end_ns),
            )
        waited_ns = computed_ns = disk_ns = softirq_ns = stolen_ns = 0
        turns = self.turns[host]
        for first_ns, last_ns in turns[bisect_left(turns, (start_ns, 0)) :]:
            if last_ns > end_ns:
                break
            waited = min(last_ns - first_ns, sum(task.waited.growth_about(first_ns, last_ns) for task in tasks))
            left_ns = last_ns - first_ns - waited
            computed = min(left_ns, sum(task.computed.growth_about(first_ns, last_ns) for task in tasks))
            left_ns -= computed
            disk = min(left_ns, sum(task.disk.growth_about(first_ns, last_ns) for task in tasks))
            waited_ns, computed_ns, disk_ns = waited_ns + waited, computed_ns + computed, disk_ns + disk
            left_ns -= disk
            handed = min(left_ns, max((counter.growth_about(first_ns, last_ns) for counter in self.softirq), default=0))
            softirq_ns += handed
            stolen_ns += min(left_ns - handed, self.stolen.growth_about(first_ns, last_ns))
        return _Share(
            min(waited_ns, sum(task.waited.growth_about(start_ns, end_ns) for task in tasks)),
            min(computed_ns, sum(task.computed.growth_about(start_ns, end_ns) for task in tasks)),
            min(disk_ns, sum(task.disk.growth_about(start_ns, end_ns) for task in tasks)),
            softirq_ns,
            stolen_ns,
        )


def beyond_bound(machine_s: float, total_s: float) -> bool:
    """Return True if a delay of `machine_s` by other load exceeds DISTURBED_SHARE of a measurement of `total_s`."""
    return machine_s > DISTURBED_SHARE * total_s


def without_disturbance(
    total_s: float, terms: Mapping[str, float], theory: Mapping[str, float], disturbance: Disturbance
) -> dict[str, float]:
    """Return the terms of a measured time, with the delays by other load as separate terms.

    The sum of the terms is unchanged. At most the excess over the predicted time (`theory`) is subtracted in total, and
    at most the excess of each term from that term.
    """
    slack_s = max(0.0, total_s - sum(theory.values()))
    excess = {name: max(0.0, value_s - theory.get(name, 0.0)) for name, value_s in terms.items()}
    taken: dict[str, float] = {}
    for name, value_s in disturbance.terms().items():
        taken[name] = min(max(0.0, value_s), slack_s - sum(taken.values()))
    there_s = sum(excess.values())
    share = min(1.0, sum(taken.values()) / there_s) if there_s else 0.0
    found = {name: value_s - share * excess[name] for name, value_s in terms.items()} | taken
    # Round terms to whole nanoseconds, the resolution of frame times, and add the rounding error to the largest term.
    found_ns = {name: round(value_s * NS) for name, value_s in found.items()}
    found_ns[max(found_ns, key=found_ns.__getitem__)] += sum(round(term * NS) for term in terms.values()) - sum(
        found_ns.values()
    )
    return {name: value_ns / NS for name, value_ns in found_ns.items()}


def lateness_s(wires: Iterable[Wire]) -> dict[str, tuple[float, float]]:
    """Return (99th percentile, maximum) of the lateness of frames in s, keyed by direction of a user-space link."""
    found = {}
    for wire in wires:
        if late_ns := sorted(wire.late_ns()):
            found[wire.name] = late_ns[int((len(late_ns) - 1) * LATE_QUANTILE)] / NS, late_ns[-1] / NS
    return found
