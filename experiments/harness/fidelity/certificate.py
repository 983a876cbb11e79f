"""Fidelity certificate of a run: checks of measured against configured path properties, and of the machine's load.

Delay, rate and loss of the paths are measured before an experiment by probes inside the hosts; the machine is monitored
during it. A failed check makes the run suspect: its packets still show which messages were sent, and in which order,
but its times are unreliable.
"""

from __future__ import annotations

import json
import math
import statistics
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from mininet.topo import Topo

from lab7.experiments.harness import clock
from lab7.experiments.harness.capture.pcapng import InterfaceCounts
from lab7.experiments.harness.fidelity.disturbance import NS, RETAKES, Disturbance, Record, lateness_s
from lab7.experiments.harness.fidelity.sampler import Sampler
from lab7.experiments.harness.fidelity.turns import Turn, turns_of
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.partial import add_measurement
from lab7.experiments.harness.results.result import CaptureSpan, Check, Comparison, Fidelity, FidelityWord, Timing
from lab7.topologies.emulation.errors import EmulationError
from lab7.topologies.emulation.testbed import Testbed
from lab7.topologies.emulation.watch import current

PROBE = "lab7.topologies.emulation.probe"
PROBE_PORT = 9  # RFC 863: discard
PROBE_TIMEOUT_S = 60.0
PROBES = 3
ECHOES = 8
ECHO_FRAME_BYTES = 42  # Ethernet 14, IPv4 20, ICMP 8
TRAIN_FRAMES = 60
TRAIN_FRAME_BYTES = 1442
# Tolerance of a path's measured RTT: RTT_TOLERANCE as a share of the RTT, or RTT_FLOOR_S seconds if that is more.
RTT_TOLERANCE = 0.02
RTT_FLOOR_S = 0.0005
RATE_TOLERANCE = 0.03
# A path's loss is estimated from LOSS_FRAMES frames, with a tolerance of LOSS_ERRORS binomial standard errors.
LOSS_FRAMES = 1500
LOSS_BURST = 250
LOSS_ERRORS = 4
# A run is suspect if the share of stolen CPU time exceeds STEAL_MAX, or timer lateness exceeds LAG_MAX_S.
STEAL_MAX = 0.05
LAG_MAX_S = 0.005
LAG_QUANTILE = 0.99
LAG_PERIOD_S = 0.01
# A timer wake-up later than GAP_MAX_S seconds plus the run-queue delay shows a suspended run or machine.
GAP_MAX_S = 0.5
# Tolerated drift in seconds of CLOCK_REALTIME (the capture's clock) against CLOCK_MONOTONIC in a run.
# CLOCK_STEP_MAX_S permits NTP's slewing at 20 ppm for half an hour, but no step of the clock (adjtimex(2)).
CLOCK_STEP_MAX_S = 0.05
CLOCK_READINGS = 5
# Interval in s between checks for suspended (stopped) processes of the network.
STOPPED_PERIOD_S = 0.25
# The monitor reads counters for at most this share of the time: with 1,000 hosts a reading takes about 10 ms, and
# without pauses the readings would be the load that they are to detect.
READING_SHARE = 0.1
# Pause in s after a failed measurement, in which the monitor can detect that the run was suspended.
SETTLE_S = 10 * LAG_PERIOD_S
# Limit in s of the 99th percentile of the lateness of frames on user-space links.
LATE_MAX_S = 0.005


@dataclass(frozen=True)
class EmulatedPath:
    """Emulated path between two hosts with its configured properties.

    `rate_bps`: bottleneck rate in bit/s, None for unlimited; `loss`: probability of frame loss in one direction.
    """

    source: str
    target: str
    address: str
    rtt_s: float
    rate_bps: float | None = None
    loss: float = 0.0


class Span(Protocol):
    """Protocol for objects with a start and an end time in ns, by the capture's clock (CLOCK_REALTIME)."""

    @property
    def start_ns(self) -> int:
        """Return the start of the measurement in ns."""

    @property
    def end_ns(self) -> int:
        """Return the end of the measurement in ns."""


Sample = TypeVar("Sample", bound=Span)


def _word(good: bool) -> FidelityWord:
    return "valid" if good else "suspect"


def probe_path(bed: Testbed, path: EmulatedPath) -> list[Check]:
    """Measure a path and return checks: RTT by echo requests; rate and loss, if configured, by trains of frames.

    In real time a failed check is repeated up to PROBES times, since load on the machine varies, but a fault of the
    path does not.
    """
    measurements = [partial(_rtt_check, bed, path)]
    if path.rate_bps is not None and not path.loss:
        measurements += [partial(_rate_check, bed, path, *ends) for ends in _both_ways(bed, path)]
    if path.loss:
        measurements += [partial(_loss_check, bed, path, *ends) for ends in _both_ways(bed, path)]
    return [_measured(measurement) for measurement in measurements]


def _measured(measure: Callable[[], Check]) -> Check:
    """Call `measure` and return its check; in real time, repeat a failed check up to PROBES times in total."""
    check = measure()
    for again in range(1, PROBES if clock.current().word == "real" else 1):
        if check.verdict == "valid":
            break
        check = measure()
        check = replace(check, measured=f"{check.measured} (measured {again + 1} times)")
    return check


def _both_ways(bed: Testbed, path: EmulatedPath) -> list[tuple[str, str, str]]:
    back = str(bed.host(path.source).IP())
    return [(path.source, path.target, path.address), (path.target, path.source, back)]


def _rtt_check(bed: Testbed, path: EmulatedPath) -> Check:
    echo = bed.host(path.source).start(f"{PROBE} rtt {path.address} {ECHOES}", wait=False)
    answers = json.loads(echo.finish(PROBE_TIMEOUT_S))["rtts_s"]
    rtts_s = [rtt_s for rtt_s in answers if rtt_s is not None]
    asked_s = path.rtt_s + (2 * ECHO_FRAME_BYTES * 8 / path.rate_bps if path.rate_bps else 0.0)
    name = f"RTT {path.source}-{path.target}"
    if not rtts_s:
        return Check(name, f"{asked_s * 1e3:.2f} ms", "no reply", "suspect")
    measured_s = statistics.median(rtts_s)
    good = abs(measured_s - asked_s) <= max(RTT_FLOOR_S, RTT_TOLERANCE * asked_s)
    return Check(name, f"{asked_s * 1e3:.2f} ms", f"{measured_s * 1e3:.2f} ms", _word(good))


def _train(bed: Testbed, source: str, target: str, address: str, count: int, size_bytes: int) -> dict[str, float]:
    receiver = bed.host(target).start(f"{PROBE} receive {PROBE_PORT} {count}")
    sender = bed.host(source).start(f"{PROBE} send {address} {PROBE_PORT} {count} {size_bytes}", wait=False)
    sender.finish(PROBE_TIMEOUT_S)
    result: dict[str, float] = json.loads(receiver.finish(PROBE_TIMEOUT_S))
    return result


def _rate_check(bed: Testbed, path: EmulatedPath, source: str, target: str, address: str) -> Check:
    assert path.rate_bps is not None
    train = _train(bed, source, target, address, TRAIN_FRAMES, TRAIN_FRAME_BYTES)
    rate_bps = train["rate_bps"] or 0.0
    good = abs(rate_bps / path.rate_bps - 1) <= RATE_TOLERANCE and train["received"] == TRAIN_FRAMES
    lost = TRAIN_FRAMES - int(train["received"])
    measured = f"{rate_bps / 1e6:.3g} Mbit/s" + (f", {lost} of {TRAIN_FRAMES} lost" if lost else "")
    return Check(f"rate {source} to {target}", f"{path.rate_bps / 1e6:.3g} Mbit/s", measured, _word(good))


def _loss_check(bed: Testbed, path: EmulatedPath, source: str, target: str, address: str) -> Check:
    received = 0
    for _ in range(LOSS_FRAMES // LOSS_BURST):
        received += int(_train(bed, source, target, address, LOSS_BURST, 64)["received"])
    measured = 1 - received / LOSS_FRAMES
    error = math.sqrt(path.loss * (1 - path.loss) / LOSS_FRAMES)
    good = abs(measured - path.loss) <= LOSS_ERRORS * error
    return Check(f"loss {source} to {target}", f"{path.loss:.2%}", f"{measured:.2%}", _word(good))


LONGEST_SUSPENSION, PROCESSES_SUSPENDED, CLOCK_STEP = "longest suspension", "processes suspended", "clock step"
STANDSTILLS = (LONGEST_SUSPENSION, PROCESSES_SUSPENDED, CLOCK_STEP)


class MachineWatch:
    """Monitor of the delays that other load on the machine adds to measured times; a reusable context manager.

        with MachineWatch() as watch:                           # inside of `with Testbed(...)`
            windows = watch.samples(lambda: client.load(...))   # repeated if the machine disturbed it
        captured = watch.read_capture(path, bed.topo)           # also finds the hosts' processing intervals
        timing = watch.timing(total_s, terms, start_ns, end_ns) # with its disturbance

    In virtual time the monitor does nothing, because other load has no effect on virtual time. Leave the context before
    packets are judged: that work would delay the thread of the monitor.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._lags_s: list[float] = []
        self._gap_s = 0.0
        self._thread: threading.Thread | None = None
        self._started_s = 0.0
        self._began = (0, 0)
        self._ticks = [0, 0]
        self._offset_s = 0.0
        self._step_s = 0.0
        self._stopped: set[str] = set()
        # Number of readings in which this process or another process of the network was suspended.
        self._standstills = 0
        self._sampler = Sampler()
        self._record: Record | None = None
        self._turns: dict[str, list[Turn]] = {}
        # Name of each capture read -> times in ns of its first and last frame.
        self._captures: dict[str, tuple[int, int]] = {}
        self._has_samples = False

    def __enter__(self) -> MachineWatch:
        if clock.current().word == "virtual":
            return self
        self._began = _processor_times()
        self._offset_s = _clock_offset_s()
        self._stop.clear()
        self._record = None
        self._sampler.open()
        self._started_s = time.monotonic()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        self._stop.set()
        self._thread.join()
        self._thread = None
        self._sampler.close()
        for place, (before, after) in enumerate(zip(self._began, _processor_times(), strict=True)):
            self._ticks[place] += after - before
        self._step_s = max(self._step_s, abs(_clock_offset_s() - self._offset_s))
        if isinstance(error, EmulationError) and self._standstills:
            error.args = (f"{error}, after the run was suspended: run it again", *error.args[1:])

    def _watch(self) -> None:
        # Monitoring begins at the thread's creation, so that a suspension before the first reading is noticed.
        began_s = self._started_s
        look_s = began_s + STOPPED_PERIOD_S
        waited_s = _waited_s()
        read_s = began_s
        stopped = False
        while not stopped:
            before_s = waited_s
            time.sleep(LAG_PERIOD_S)
            woke_s, waited_s = time.monotonic(), _waited_s()
            self._lags_s.append(woke_s - began_s - LAG_PERIOD_S)
            gap_s = self._lags_s[-1] - (waited_s - before_s)
            self._gap_s = max(self._gap_s, gap_s)
            self._standstills += gap_s > GAP_MAX_S
            if woke_s >= read_s:
                self._sampler.read()
                read_s = _pause_until_s(woke_s, time.monotonic())
            began_s, stopped = time.monotonic(), self._stop.is_set()
            # Check for suspended processes at the end as well, since a workload may be shorter than the period.
            if (woke_s >= look_s or stopped) and (network := current()) is not None:
                names = network.stopped()
                self._stopped.update(names)
                self._standstills += bool(names)
                began_s = time.monotonic()
                look_s = max(woke_s + STOPPED_PERIOD_S, _pause_until_s(woke_s, began_s))

    def samples(self, take: Callable[[], Sample], retakes: int = RETAKES) -> list[Sample]:
        """Call `take` for a measurement, and again while other load disturbs the measurement; return all measurements.

        There are at most `retakes` repetitions. A measurement that fails is repeated too if the whole run was suspended
        during it, since a peer may have timed out.
        """
        samples: list[Sample] = []
        for attempt in range(retakes + 1):
            self.begin_sample()
            standstills = self._standstills
            try:
                samples.append(take())
                add_measurement(samples[-1].start_ns, samples[-1].end_ns)
            except Exception:
                if self.watching:
                    time.sleep(SETTLE_S)
                if self._standstills == standstills or attempt == retakes:
                    raise
                continue
            if not self.disturbed(samples[-1]):
                break
        return samples

    @property
    def watching(self) -> bool:
        """Return True while the monitor is active; always False in virtual time."""
        return self._thread is not None

    def begin_sample(self) -> None:
        """Read all counters just before a measurement, as the start values for disturbed()."""
        if self._thread is not None:
            self._sampler.read()

    def disturbed(self, sample: Span) -> bool:
        """Return True if other load caused more than DISTURBED_SHARE of a measurement's duration.

        This is an estimate from counters of CPU time and late frames, since the capture is not read yet.
        """
        if self._thread is None:
            return False
        self._sampler.read()
        record = self._sampler.record()
        start_ns, end_ns = record.on_wires(sample.start_ns, sample.end_ns)
        return record.within(start_ns, end_ns).beyond_bound((end_ns - start_ns) / 1e9)

    def read_capture(self, path: Path, topo: Topo) -> CaptureFile:
        """Read a capture made during monitoring, and record the hosts' processing intervals in it."""
        captured = read_capture(path)
        if captured.frames:
            times_ns = [frame.time_ns for frame in captured.frames]
            self._captures[path.name] = times_ns[0], max(times_ns)
        self.add_turns(captured, topo)
        return captured

    def add_turns(self, captured: CaptureFile, topo: Topo) -> None:
        """Record the hosts' processing intervals of a capture, each from an arrival to the host's next transmission."""
        if clock.current().word == "virtual":
            return
        for host, turns in turns_of(captured, topo).items():
            self._turns[host] = sorted([*self._turns.get(host, []), *turns])
        self._record = None

    def timing(self, total_s: float, terms: Mapping[str, float], start_ns: int, end_ns: int) -> Timing:
        """Return a Timing: measured total, terms, and the delay that other load added between the two times in ns."""
        return self.with_disturbance(Timing(total_s, terms), start_ns, end_ns)

    def with_disturbance(self, timing: Timing, start_ns: int, end_ns: int) -> Timing:
        """Add to a timing its time span in the capture and, in real time, the delay added by other load."""
        timing = replace(timing, span=self._span(start_ns, end_ns))
        if clock.current().word == "virtual":
            return timing
        self._has_samples = True
        return replace(timing, disturbance=self.record.within(start_ns, end_ns))

    def _span(self, start_ns: int, end_ns: int) -> CaptureSpan | None:
        """Return the time span of a measurement in the capture that contains it; None if no capture does."""
        for name, (first_ns, last_ns) in self._captures.items():
            if first_ns <= end_ns and start_ns <= last_ns:
                return CaptureSpan(name, max(start_ns - first_ns, 0), end_ns - first_ns)
        return None

    def disturbance(self, start_ns: int, end_ns: int, hosts: Collection[str] | None = None) -> Disturbance:
        """Return the delays that other load added for these hosts (None: all hosts); zero in virtual time.

        For hosts that act on timers, delays of their programs count outside of processing intervals as well.
        """
        if clock.current().word == "virtual":
            return Disturbance()
        self._has_samples = True
        return self.record.of_hosts(hosts).within(start_ns, end_ns)

    @property
    def record(self) -> Record:
        """Return all counters recorded so far: those of the hosts' programs, and the lateness of frames on links."""
        if self._thread is not None:
            return self._sampler.record()
        if self._record is None:
            self._record = replace(self._sampler.record(), turns=self._turns or None)
        return self._record

    def checks(self, times: bool = True) -> list[Check]:
        """Return the checks of the machine: stolen CPU time, scheduling lag, late frames, suspension, clock steps.

        In virtual time there are none. Lag and late frames are reported without a limit in two cases: if measurements
        were taken, since undisturbed_check examines each of them; or if `times` is False, for an experiment that does
        not depend on times, or only on whole seconds.
        """
        if clock.current().word == "virtual":
            return []
        total, stolen = self._ticks
        steal = stolen / total if total else 0.0
        lags_s = sorted(self._lags_s) or [0.0]
        lag_s = lags_s[min(len(lags_s) - 1, int(len(lags_s) * LAG_QUANTILE))]
        return [
            Check("processor time stolen", f"at most {STEAL_MAX:.0%}", f"{steal:.1%}", _word(steal <= STEAL_MAX)),
            self._bounded(times, f"scheduler lag ({LAG_QUANTILE:.0%} of wake-ups)", "", lag_s, LAG_MAX_S),
            *(
                self._bounded(
                    times, f"late frames, {name}", "p99 ", p99_s, LATE_MAX_S, f", largest {largest_s * 1e3:.2f} ms"
                )
                for name, (p99_s, largest_s) in lateness_s(self.record.wires).items()
            ),
            Check(
                LONGEST_SUSPENSION,
                f"at most {GAP_MAX_S * 1e3:g} ms",
                f"{self._gap_s * 1e3:.2f} ms",
                _word(self._gap_s <= GAP_MAX_S),
            ),
            Check(PROCESSES_SUSPENDED, "none", ", ".join(sorted(self._stopped)) or "none", _word(not self._stopped)),
            Check(
                CLOCK_STEP,
                f"at most {CLOCK_STEP_MAX_S * 1e3:g} ms",
                f"{self._step_s * 1e3:.2f} ms",
                _word(self._step_s <= CLOCK_STEP_MAX_S),
            ),
        ]

    def _bounded(self, times: bool, name: str, figure: str, value_s: float, bound_s: float, more: str = "") -> Check:
        """Return the check `name` of a delay `value_s`, such as the scheduling lag, against the limit `bound_s`, in s.

        There is no limit, so that the check is valid, if `times` is False or if measurements were taken.
        """
        measured = f"{figure}{value_s * 1e3:.2f} ms{more}"
        if not times:
            return Check(name, "any: no time depends on it", measured, "valid")
        if self._has_samples:
            return Check(name, "accounted for in each sample", measured, "valid")
        return Check(name, f"{figure}at most {bound_s * 1e3:g} ms", measured, _word(value_s <= bound_s))


def _pause_until_s(began_s: float, ended_s: float) -> float:
    """Return the earliest time in s of the next reading of counters, after a reading from `began_s` to `ended_s`.

    The pause limits the share of time that readings take to READING_SHARE.
    """
    return ended_s + (ended_s - began_s) * (1 / READING_SHARE - 1)


def _waited_s() -> float:
    """Return the run-queue delay in s of the main thread plus the calling thread (proc_pid_schedstat(5)).

    The delay does not grow while the threads, or the machine, are suspended. The main thread counts because the calling
    thread waits until the main thread releases the interpreter's lock.
    """
    words = [Path("/proc", place, "schedstat").read_text().split() for place in ("self", "thread-self")]
    return sum(int(waited_ns) for _, waited_ns, _ in words) / NS


def _clock_offset_s() -> float:
    """Return CLOCK_REALTIME minus CLOCK_MONOTONIC in s, from the fastest of CLOCK_READINGS readings."""
    readings = []
    for _ in range(CLOCK_READINGS):
        before_s, real_s, after_s = time.monotonic(), time.time(), time.monotonic()
        readings.append((after_s - before_s, real_s - before_s))
    return min(readings)[1]


def _processor_times() -> tuple[int, int]:
    """Return (total, stolen) CPU time of the machine in clock ticks, from /proc/stat (proc_stat(5))."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    # Sum only the first eight fields of /proc/stat, since user time already includes guest time.
    return sum(fields[:8]), fields[7] if len(fields) > 7 else 0


def undisturbed_check(comparisons: Iterable[Comparison]) -> list[Check]:
    """Return a check that each measured time has a sample without disturbance by other load; none in virtual time."""
    every = [comparison for comparison in comparisons if comparison.disturbed is not None]
    if not every:
        return []
    without = [comparison.name for comparison in every if len(comparison.disturbed or ()) == len(comparison.samples_s)]
    disturbed, total = (
        sum(len(comparison.disturbed or ()) for comparison in every),
        sum(len(comparison.samples_s) for comparison in every),
    )
    measured = f"{disturbed} of {total} samples disturbed" + (f", all of {', '.join(without)}" if without else "")
    return [Check("undisturbed samples", "one of each time", measured, _word(not without))]


def capture_checks(statistics_: dict[str, InterfaceCounts]) -> list[Check]:
    """Return one check per captured interface; it fails if the kernel dropped packets."""
    return [
        Check(
            f"capture at {label}", "0 dropped", f"{count.dropped} dropped of {count.packets}", _word(not count.dropped)
        )
        for label, count in statistics_.items()
    ]


def without_standstill(claims: Iterable[Verdict], checks: Iterable[Check]) -> tuple[Verdict, ...]:
    """Return the verdicts, with `failed` changed to `undecided` if the run was suspended or the clock was stepped.

    After a suspension, a late reply is no evidence about a server.
    """
    stood = [one for one in checks if one.name in STANDSTILLS and one.verdict == "suspect"]
    if not stood:
        return tuple(claims)
    why = "; ".join(f"{one.name}: {one.measured}" for one in stood)
    return tuple(
        replace(one, verdict="undecided", evidence=f"{one.evidence} But the run was suspended ({why}).")
        if one.verdict == "failed"
        else one
        for one in claims
    )


def certificate(checks: Iterable[Check]) -> Fidelity:
    """Return the fidelity certificate of these checks, valid only if every check is valid."""
    every = tuple(checks)
    return Fidelity(_word(all(check.verdict == "valid" for check in every)), every)
