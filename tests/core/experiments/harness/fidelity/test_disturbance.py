"""Disturbance of a sample: from series of readings to terms, and the part that is taken out of its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.harness.fidelity import sampler
from lab7.experiments.harness.fidelity.disturbance import (
    DISK,
    LATE_FRAMES,
    PROGRAMS,
    TERMS,
    WAITING,
    Counter,
    Disturbance,
    Record,
    Task,
    Wire,
    lateness_s,
    without_disturbance,
)
from lab7.experiments.harness.fidelity.sampler import _TaskSeries, state_of
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory, tolerance_of_round_trips

MS = 1_000_000
NOTHING = Counter((0, 1000 * MS), (0, 0))
SECONDS = st.floats(0, 2, allow_nan=False)


def steps(*readings: tuple[float, float]) -> Counter:
    """Return a counter read at these times, both in ms."""
    return Counter([round(at * MS) for at, _ in readings], [round(value * MS) for _, value in readings])


def test_a_counter_grows_evenly_between_two_readings() -> None:
    counter = steps((0, 0), (10, 4), (20, 4))
    assert counter.growth(5 * MS, 15 * MS) == 2 * MS
    assert counter.growth(-5 * MS, 50 * MS) == 4 * MS
    assert Counter((), ()).growth(0, MS) == 0


def test_about_a_time_all_counts_that_the_readings_around_it_enclose() -> None:
    counter = steps((0, 0), (10, 4), (20, 4), (30, 9))
    assert counter.growth_about(5 * MS, 8 * MS) == 4 * MS
    assert counter.growth_about(12 * MS, 18 * MS) == 0
    assert counter.growth_about(12 * MS, 500 * MS) == 5 * MS


def test_programs_count_while_it_is_their_hosts_turn() -> None:
    task = Task("origin", computed=steps((0, 0), (50, 3), (100, 3), (150, 3)), waited=NOTHING)
    in_turn = Record([task], turns={"origin": [(20 * MS, 24 * MS)]}).within(0, 200 * MS)
    assert (in_turn.programs_s, in_turn.waiting_s) == (0.003, 0.0)
    out_of_turn = Record([task], turns={"origin": [(110 * MS, 114 * MS)]}).within(0, 200 * MS)
    assert out_of_turn.programs_s == 0.0


def test_of_a_turn_no_more_counts_than_it_lasted_and_waiting_comes_first() -> None:
    task = Task("origin", computed=steps((0, 0), (50, 30)), waited=steps((0, 0), (50, 3)))
    found = Record([task], turns={"origin": [(20 * MS, 25 * MS)]}).within(0, 50 * MS)
    assert (found.waiting_s, found.programs_s) == (0.003, 0.002)


def test_what_was_counted_once_is_not_taken_by_two_turns() -> None:
    task = Task("origin", computed=steps((0, 0), (50, 3)), waited=NOTHING)
    found = Record([task], turns={"origin": [(10 * MS, 13 * MS), (20 * MS, 23 * MS)]}).within(0, 50 * MS)
    assert found.programs_s == 0.003


def test_a_turn_that_reaches_beyond_the_sample_does_not_count() -> None:
    task = Task("client", computed=steps((0, 0), (50, 3)), waited=NOTHING)
    assert Record([task], turns={"client": [(10 * MS, 40 * MS)]}).within(0, 30 * MS).programs_s == 0.0


def test_of_some_hosts_all_counts_that_acts_by_timers_and_nothing_of_others() -> None:
    counted = steps((0, 0), (100, 4))
    record = Record(
        [Task(host, computed=NOTHING, waited=counted) for host in ("server", "client")],
        [Wire("server to s1", ("server",), [50 * MS], [51 * MS]), Wire("s1 to s2", (), [60 * MS], [62 * MS])],
        turns={"server": [], "client": []},
    )
    assert record.within(0, 100 * MS).waiting_s == 0.0
    found = record.of_hosts(["server"]).within(0, 100 * MS)
    assert (found.waiting_s, found.late_s) == (0.004, 0.003)
    assert found.total_s == pytest.approx(0.007)
    assert record.of_hosts().within(0, 100 * MS).waiting_s == 0.008


def test_a_host_whose_wires_carried_nothing_has_no_part() -> None:
    wires = [Wire(f"{host} to s1", (host,), [at * MS], [at * MS]) for host, at in (("busy", 10), ("idle", 90))]
    tasks = [Task(host, NOTHING, steps((0, 0), (50, 7))) for host in ("busy", "idle", "without a wire")]
    assert Record(tasks, wires).within(0, 50 * MS).waiting_s == 0.014


def test_a_sample_on_the_wires_lasts_from_its_first_frame_to_its_last() -> None:
    out = Wire("client to s1", ("client",), [5 * MS, 200 * MS, 400 * MS], [5 * MS, 200 * MS, 400 * MS])
    back = Wire("s1 to client", ("client",), [300 * MS], [301 * MS])
    record = Record(wires=[out, back])
    assert record.on_wires(100 * MS, 350 * MS) == (200 * MS, 300 * MS)
    assert record.on_wires(10 * MS, 20 * MS) == (10 * MS, 20 * MS)
    assert Record().on_wires(10 * MS, 20 * MS) == (10 * MS, 20 * MS)


def test_of_a_burst_only_the_latest_frame_counts() -> None:
    due = [10 * MS, 11 * MS, 12 * MS, 60 * MS]
    left = [14 * MS, 14 * MS, 14 * MS, 61 * MS]
    found = Record(wires=[Wire("s1 to s2", (), due, left)]).within(0, 100 * MS)
    assert found.late_s == 0.005
    assert (found.late_frame_s, found.wire) == (0.004, "s1 to s2")


def test_a_frame_that_left_early_takes_nothing_off_the_others() -> None:
    wire = Wire("s1 to s2", (), [10 * MS, 50 * MS], [9 * MS, 52 * MS])
    assert Record(wires=[wire]).within(0, 100 * MS).late_s == 0.002
    assert lateness_s([wire]) == {"s1 to s2": (0.0, 0.002)}


def test_time_that_a_program_waited_for_a_disk_is_a_term() -> None:
    disk = steps((0, 0), (50, 20), (100, 20))
    task = Task("mail-b", steps((0, 0), (50, 1)), NOTHING, disk)
    in_turn = Record([task], turns={"mail-b": [(20 * MS, 34 * MS)]}).within(0, 100 * MS)
    assert (in_turn.programs_s, in_turn.disk_s) == (0.001, 0.013)
    assert in_turn.terms()[DISK] == 0.013
    assert Record([task], turns={"mail-b": [(60 * MS, 64 * MS)]}).within(0, 100 * MS).disk_s == 0.0
    assert Record([task]).within(0, 100 * MS).disk_s == 0.02


def test_a_disk_that_is_slow_disturbs_a_sample() -> None:
    assert Timing(0.1, {}, Disturbance(disk_s=0.011)).disturbed


@pytest.mark.parametrize(
    ("states", "waited_ms"), [("SSS", 0), ("SDS", 10), ("SDDS", 20), ("D", 0), ("DD", 10), ("SDSDS", 20)]
)
def test_a_thread_waited_for_a_disk_half_of_the_time_around_a_reading_of_its_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: str, waited_ms: int
) -> None:
    (tmp_path / "schedstat").write_text("0 0 0\n")
    series = _TaskSeries("mail-b", str(tmp_path))
    for number, state in enumerate(states):
        # It runs between two readings.
        (tmp_path / "schedstat").write_text(f"{number + 1} 0 1\n")
        (tmp_path / "stat").write_text(f"17 (a) name) {state} 1 17")
        now_ns = number * 10 * MS
        monkeypatch.setattr(sampler, "_at_a_time", lambda read, at_ns=now_ns: (at_ns, read()))
        series.read()
    assert series.task().disk.growth(0, 1000 * MS) == waited_ms * MS


def test_the_state_of_a_thread() -> None:
    assert state_of("/proc/thread-self/stat") == b"R"
    assert state_of("/proc/0/stat") == b""


def test_a_frame_that_waits_for_the_kernels_thread_waits_for_a_processor() -> None:
    task, two = Task("mail-b", steps((0, 0), (50, 1)), steps((0, 0), (50, 2))), steps((0, 0), (50, 5), (100, 5))
    turns = {"mail-b": [(20 * MS, 34 * MS)]}
    one = Record([task], softirq=[two], turns=turns).within(0, 100 * MS)
    # 2 ms by the program, 5 ms by the thread; on another processor there is none of this frame.
    assert (one.waiting_s, one.programs_s) == (0.007, 0.001)
    assert Record([task], softirq=[two, two], turns=turns).within(0, 100 * MS).waiting_s == 0.007


def test_what_the_kernels_thread_waited_once_is_not_taken_by_two_hosts() -> None:
    tasks = [Task(host, NOTHING, NOTHING) for host in ("client", "origin")]
    turns = {host: [(10 * MS, 40 * MS)] for host in ("client", "origin")}
    found = Record(tasks, softirq=[steps((0, 0), (50, 20))], turns=turns).within(0, 50 * MS)
    assert found.waiting_s == 0.02


def test_time_that_was_stolen_from_a_turn_is_a_term() -> None:
    task, stolen = Task("origin", steps((0, 0), (50, 1)), NOTHING), steps((0, 0), (50, 10), (100, 10))
    in_turn = Record([task], stolen=stolen, turns={"origin": [(20 * MS, 24 * MS)]}).within(0, 100 * MS)
    assert (in_turn.programs_s, in_turn.stolen_s) == (0.001, 0.003)
    out_of_turn = Record([task], stolen=stolen, turns={"origin": [(60 * MS, 64 * MS)]}).within(0, 100 * MS)
    assert out_of_turn.stolen_s == 0.0


def test_time_that_was_stolen_once_is_not_taken_by_two_hosts() -> None:
    tasks = [Task(host, NOTHING, NOTHING) for host in ("client", "origin")]
    turns = {host: [(10 * MS, 40 * MS)] for host in ("client", "origin")}
    found = Record(tasks, stolen=steps((0, 0), (50, 20)), turns=turns).within(0, 50 * MS)
    assert found.stolen_s == 0.02


def test_a_sample_is_relieved_of_what_disturbed_it() -> None:
    found = without_disturbance(
        0.125, {"request": 0.124, "residual": 0.001}, {"request": 0.1}, Disturbance(waiting_s=0.02)
    )
    assert found[WAITING] == 0.02
    assert found["request"] == pytest.approx(0.1048)
    assert sum(found.values()) == pytest.approx(0.125)


def test_a_waste_that_nothing_accounts_for_stays() -> None:
    # A server that sleeps 10 ms: its programs compute and wait 1 ms.
    timing = Timing(0.111, {"request": 0.111}, Disturbance(waiting_s=0.0005, programs_s=0.0005))
    one = Comparison.of("slept", [timing], Theory(0.1, {"request": 0.1}, "RTT", ""), tolerance_of_round_trips(0.1))
    assert one.measured_s == pytest.approx(0.11)
    assert not one.within


def test_no_sample_becomes_shorter_than_its_theory() -> None:
    timing = Timing(0.104, {"request": 0.104}, Disturbance(late_s=0.003, waiting_s=0.5))
    one = Comparison.of("waited", [timing], Theory(0.1, {"request": 0.1}, "RTT", ""), tolerance_of_round_trips(0.1))
    assert one.measured_s == pytest.approx(0.1)
    assert one.terms[LATE_FRAMES] == 0.003
    assert one.terms[WAITING] == pytest.approx(0.001)
    assert one.raw_s == 0.104


def test_a_sample_that_is_shorter_than_theory_is_left_as_it_is() -> None:
    found = without_disturbance(0.09, {"request": 0.09}, {"request": 0.1}, Disturbance(programs_s=0.5))
    assert found["request"] == 0.09
    assert found[PROGRAMS] == 0.0


@given(st.dictionaries(st.sampled_from("abcd"), SECONDS), st.dictionaries(st.sampled_from("abcd"), SECONDS), SECONDS)
def test_the_terms_still_add_up_and_none_falls_below_its_theory(
    terms: dict[str, float], theory: dict[str, float], each_s: float
) -> None:
    total_s = sum(terms.values())
    found = without_disturbance(total_s, terms, theory, Disturbance(each_s, each_s, each_s, each_s, disk_s=each_s))
    assert sum(found.values()) == pytest.approx(total_s, abs=1e-8)
    for name, value_s in terms.items():
        assert found[name] >= min(value_s, theory.get(name, 0.0)) - 1e-8
    assert sum(found[name] for name in TERMS) <= max(0.0, total_s - sum(theory.values())) + 1e-8


def test_the_figures_are_those_of_the_samples_that_were_not_disturbed() -> None:
    timings = [
        Timing(total, {"request": total}, Disturbance(waiting_s=wait)) for total, wait in ((0.2, 0.08), (0.1, 0))
    ]
    one = Comparison.of("", timings, Theory(0.1, {"request": 0.1}, "RTT", ""), 0.01)
    assert (one.samples_s, one.disturbed, one.raw_s) == ((0.2, 0.1), (1,), 0.1)


def test_a_sample_beside_its_theory_was_disturbed_by_what_is_taken_out_of_it() -> None:
    # 120 ms were counted, beyond the bound, but it lasted 15 ms longer than theory.
    timing = Timing(1.015, {"request": 1.015}, Disturbance(waiting_s=0.12))
    assert timing.disturbed
    one = Comparison.of("", [timing], Theory(1.0, {"request": 1.0}, "RTT", ""), 0.01)
    assert one.disturbed == ()
    longer = Timing(1.2, {"request": 1.2}, Disturbance(waiting_s=0.13))
    assert Comparison.of("", [longer], Theory(1.0, {"request": 1.0}, "RTT", ""), 0.01).disturbed == (1,)


@pytest.mark.parametrize("exchanges", [1, 50])
def test_each_exchange_of_a_dialogue_may_wait_as_long_as_a_single_one(exchanges: int) -> None:
    total_s = exchanges * 0.044
    assert not Timing(total_s, {}, Disturbance(waiting_s=exchanges * 0.004)).disturbed
    assert Timing(total_s, {}, Disturbance(waiting_s=exchanges * 0.005)).disturbed


def test_what_programs_compute_does_not_disturb() -> None:
    timing = Timing(1.2, {"request": 1.2}, Disturbance(programs_s=0.2))
    assert not timing.beside({"request": 1.0}).disturbed


def test_where_every_sample_was_disturbed_all_count() -> None:
    timing = Timing(0.2, {"request": 0.2}, Disturbance(waiting_s=0.08))
    one = Comparison.of("", [timing], Theory(0.1, {"request": 0.1}, "RTT", ""), 0.01)
    assert (one.disturbed, one.raw_s) == ((1,), 0.2)


@pytest.mark.parametrize(("rtt_s", "expected"), [(0.1, 0.01), (0.02, 0.03)])
def test_the_tolerance_follows_the_round_trip_time(rtt_s: float, expected: float) -> None:
    assert tolerance_of_round_trips(rtt_s) == expected
