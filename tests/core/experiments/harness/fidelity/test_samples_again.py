"""Disturbed samples are taken again, and failed path measurements are repeated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import pytest

from lab7.experiments.harness.clock import VARIABLE, Clock
from lab7.experiments.harness.fidelity import certificate as fidelity_certificate
from lab7.experiments.harness.fidelity import sampler
from lab7.experiments.harness.fidelity.certificate import (
    PROBES,
    MachineWatch,
    certificate,
    undisturbed_check,
    without_standstill,
)
from lab7.experiments.harness.fidelity.disturbance import RETAKES, Disturbance, Record, Task, Wire
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.measurement import Window
from lab7.experiments.harness.results.result import Check, Comparison
from lab7.topologies.emulation.errors import EmulationError
from tests.core.experiments.harness.fidelity.test_disturbance import NOTHING, steps

MS = 1_000_000
HUNDRED = [Window(number * 100 * MS, (number + 1) * 100 * MS) for number in range(10)]


def watch_that_reads(monkeypatch: pytest.MonkeyPatch, record: Record) -> Iterator[MachineWatch]:
    monkeypatch.setattr(sampler.Sampler, "record", lambda _self: record)
    with MachineWatch() as watch:
        yield watch


def waiting_in(*windows: int) -> Record:
    """Return the record of a host's program that waited 40 ms for a processor in each of these windows."""
    readings, waited = [(0.0, 0.0)], 0.0
    for number in range(10):
        waited += 40 if number in windows else 0
        readings.append(((number + 1) * 100, waited))
    return Record([Task("origin", NOTHING, steps(*readings))])


@pytest.mark.parametrize(("disturbed", "taken"), [((), 1), ((0,), 2), ((0, 1), 3), (tuple(range(10)), RETAKES + 1)])
def test_a_disturbed_sample_is_taken_again_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch, disturbed: tuple[int, ...], taken: int
) -> None:
    windows = iter(HUNDRED)
    for watch in watch_that_reads(monkeypatch, waiting_in(*disturbed)):
        assert watch.samples(lambda: next(windows)) == HUNDRED[:taken]


def test_a_lower_limit_where_an_experiment_has_one(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = iter(HUNDRED)
    for watch in watch_that_reads(monkeypatch, waiting_in(*range(10))):
        assert watch.samples(lambda: next(windows), 1) == HUNDRED[:2]


def test_a_sample_is_known_to_be_disturbed_before_its_packets_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for watch in watch_that_reads(monkeypatch, waiting_in(1)):
        assert watch.watching
        assert [watch.disturbed(window) for window in HUNDRED[:3]] == [False, True, False]


def test_what_a_program_waits_before_its_first_frame_disturbs_no_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    # A client that is started for the sample waits 40 ms before it sends anything; the wire has frames from 50 ms on.
    before = steps((0, 0), (30, 40), (100, 40))
    frames = [50 * MS, 90 * MS]
    wire = Wire("client to s1", ("client",), frames, frames)
    for watch in watch_that_reads(monkeypatch, Record([Task("client", NOTHING, before)], [wire])):
        assert watch.samples(lambda: HUNDRED[0]) == HUNDRED[:1]


def test_where_nothing_is_watched_each_sample_is_taken_once() -> None:
    watch = MachineWatch()
    assert watch.samples(lambda: HUNDRED[0]) == HUNDRED[:1]
    assert (watch.watching, watch.disturbed(HUNDRED[0])) == (False, False)


def test_in_virtual_time_nothing_disturbs_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Clock("virtual", "6.1", "abc").to_text())
    with MachineWatch() as watch:
        assert not watch.watching
    assert watch.timing(0.1, {"request": 0.1}, 0, 100 * MS).disturbance is None
    assert watch.disturbance(0, 100 * MS) == Disturbance()


def test_a_timing_knows_what_disturbed_it_then(monkeypatch: pytest.MonkeyPatch) -> None:
    for watch in watch_that_reads(monkeypatch, waiting_in(0)):
        timings = [watch.timing(0.1, {"request": 0.1}, one.start_ns, one.end_ns) for one in HUNDRED[:2]]
        assert [one.disturbed for one in timings] == [True, False]
        assert watch.disturbance(0, 200 * MS, ["client"]).waiting_s == 0.0
        assert watch.disturbance(0, 200 * MS, ["origin"]).waiting_s == pytest.approx(0.04)


def test_lag_makes_no_run_suspect_that_compares_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fidelity_certificate, "LAG_MAX_S", -1.0)
    for watch in watch_that_reads(monkeypatch, Record()):
        found = [
            next(one.verdict for one in some if one.name.startswith("scheduler lag"))
            for some in (watch.checks(), watch.checks(times=False))
        ]
        assert found == ["suspect", "valid"]


def test_a_reading_is_kept_only_with_the_time_at_which_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    # Before and after each reading: the first one was interrupted for 80 ms.
    times = iter([0, 80 * MS, 81 * MS, 81 * MS])
    monkeypatch.setattr("lab7.experiments.harness.fidelity.sampler.time.time_ns", lambda: next(times))
    values = iter(["late", "in time"])
    assert sampler._at_a_time(lambda: next(values)) == (81 * MS, "in time")


def test_a_counter_that_is_never_read_at_a_known_time_has_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(0, 10_000 * MS, 80 * MS))
    monkeypatch.setattr("lab7.experiments.harness.fidelity.sampler.time.time_ns", lambda: next(times))
    assert sampler._at_a_time(lambda: 1) is None


def comparison(samples: int, *disturbed: int) -> Comparison:
    return Comparison("a time", (0.1,) * samples, 0.1, 0.1, 1.0, {}, {}, "", "", 0.01, 0.1, disturbed)


def test_a_run_with_an_undisturbed_sample_of_each_time_is_valid() -> None:
    (check,) = undisturbed_check([comparison(3, 1, 2), comparison(1)])
    assert (check.verdict, check.measured) == ("valid", "2 of 4 samples disturbed")


def test_a_time_without_an_undisturbed_sample_makes_a_run_suspect() -> None:
    (check,) = undisturbed_check([comparison(2, 1, 2)])
    assert certificate([check]).verdict == "suspect"
    assert "all of a time" in check.measured


def test_where_no_disturbance_was_measured_there_is_no_such_check() -> None:
    unknown = Comparison("a time", (0.1,), 0.1, 0.1, 1.0, {}, {}, "", "", 0.01, 0.1)
    assert undisturbed_check([unknown]) == []


@pytest.mark.parametrize(("good_at", "made", "verdict"), [(1, 1, "valid"), (3, 3, "valid"), (9, PROBES, "suspect")])
def test_a_path_that_is_off_is_measured_again(good_at: int, made: int, verdict: str) -> None:
    calls: list[int] = []

    def measure() -> Check:
        calls.append(len(calls) + 1)
        return Check("RTT", "10 ms", "10 ms", "valid" if calls[-1] == good_at else "suspect")

    check = fidelity_certificate._measured(measure)
    assert (len(calls), check.verdict) == (made, verdict)
    assert check.measured == ("10 ms" if made == 1 else f"10 ms (measured {made} times)")


@pytest.mark.parametrize(("waits", "verdict"), [(True, "valid"), (False, "suspect")])
def test_a_thread_that_waits_for_a_processor_was_not_suspended(
    monkeypatch: pytest.MonkeyPatch, waits: bool, verdict: str
) -> None:
    sleep = time.sleep
    monkeypatch.setattr(fidelity_certificate, "_waited_s", lambda: time.monotonic() if waits else 0.0)
    monkeypatch.setattr(time, "sleep", lambda _seconds: sleep(1.2 * fidelity_certificate.GAP_MAX_S))
    with MachineWatch() as watch:
        pass
    assert verdict_of(watch, "longest suspension") == verdict


def verdict_of(watch: MachineWatch, name: str) -> str:
    (found,) = (check.verdict for check in watch.checks() if check.name == name)
    return found


CLAIMS = (
    Verdict("H1", "shown", "It is.", (1,)),
    Verdict("H2", "failed", "The response in frame 9 is late.", (9,)),
    Verdict("H3", "undecided", "Nothing can be said.", ()),
)


@pytest.mark.parametrize("name", ["longest suspension", "processes suspended", "clock step"])
def test_a_claim_does_not_fail_in_a_run_that_stood_still(name: str) -> None:
    suspect = Check(name, "none", "the carrier", "suspect")
    shown, late, open_ = without_standstill(CLAIMS, [suspect])
    assert (shown, open_) == (CLAIMS[0], CLAIMS[2])
    evidence = f"The response in frame 9 is late. But the run was suspended ({name}: the carrier)."
    assert late == Verdict("H2", "undecided", evidence, (9,))


@pytest.mark.parametrize(("name", "word"), [("clock step", "valid"), ("scheduler lag (99% of wake-ups)", "suspect")])
def test_a_claim_fails_in_a_run_that_did_not(name: str, word: Literal["valid", "suspect"]) -> None:
    assert without_standstill(CLAIMS, [Check(name, "", "", word)]) == CLAIMS


@pytest.mark.parametrize("suspended", [True, False])
def test_an_attempt_that_fails_after_a_suspension_is_repeated(monkeypatch: pytest.MonkeyPatch, suspended: bool) -> None:
    attempts: list[int] = []

    def take() -> Window:
        attempts.append(len(attempts))
        if len(attempts) == 1:
            watch._standstills += suspended
            raise EmulationError("the peer has closed the connection")
        return HUNDRED[0]

    for watch in watch_that_reads(monkeypatch, waiting_in()):
        if suspended:
            assert watch.samples(take) == HUNDRED[:1]
            assert len(attempts) == 2
        else:
            with pytest.raises(EmulationError):
                watch.samples(take)


def test_a_failure_after_a_suspension_says_so() -> None:
    def fail() -> None:
        with MachineWatch() as watch:
            watch._standstills += 1
            raise EmulationError("the peer has closed the connection")

    with pytest.raises(EmulationError, match="closed the connection, after the run was suspended: run it again"):
        fail()


def test_the_monitor_of_a_large_network_reads_for_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reading of 1,000 hosts takes as long as the monitor's period: without pauses it would compute all the time."""
    readings_s: list[float] = []

    def read(_: sampler.Sampler) -> None:
        readings_s.append(time.monotonic())
        time.sleep(0.02)

    monkeypatch.setattr(sampler.Sampler, "read", read)
    with MachineWatch():
        time.sleep(0.6)
    # The first reading is that of open(), the last one that of close().
    gaps_s = [later - earlier for earlier, later in pairwise(readings_s[1:-1])]
    assert gaps_s
    assert min(gaps_s) >= 0.2
