"""A sweep with an engine in memory: each cell once, resumption, reruns, failures; the store and the machine's lock."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.export.tables import csv_of
from lab7.experiments.harness.clock import Clock
from lab7.experiments.sweep.cell_run import Task, lab7_version, machine_lock, run_task
from lab7.experiments.sweep.store import Store
from lab7.experiments.sweep.sweep import FAILURES_MAX, Callbacks, Plan, Progress, run_sweep, table_runs
from lab7.experiments.sweep.table import table_of
from lab7.topologies.emulation.errors import EmulationError
from tests.core.experiments.sweep.samples import TEXT, MemoryEngine, plan, result_of


def good(task: Task, _attempt: int) -> dict[str, Any]:
    return {"result": result_of(task).to_json()}


def run(of: Plan, store: Store, engine: MemoryEngine) -> tuple[Progress, list[str]]:
    said: list[str] = []
    with store.locked():
        progress = run_sweep(of, store, engine.engine, Callbacks(lambda _progress: None, said.append))
    return progress, said


def table(of: Plan, store: Store) -> str:
    return csv_of(table_of(table_runs(of, store)))


def keys(tasks: list[Task]) -> Counter[str]:
    return Counter(json.dumps(task, sort_keys=True) for task in tasks)


def test_every_cell_runs_once_and_is_stored(tmp_path: Path) -> None:
    store, engine = Store(tmp_path / "sweep"), MemoryEngine(good)
    progress, said = run(plan(), store, engine)
    assert (len(progress.settled), progress.failures, said) == (12, {}, [])
    assert set(keys(engine.tasks).values()) == {1}
    assert len(list((tmp_path / "sweep" / "cells").iterdir())) == 12
    assert len(table(plan(), store).splitlines()) == 13


def test_a_finished_sweep_runs_nothing_and_an_extended_one_only_what_is_new(tmp_path: Path) -> None:
    store = Store(tmp_path / "sweep")
    run(plan(), store, MemoryEngine(good))
    again = MemoryEngine(good)
    run(plan(), store, again)
    assert again.tasks == []
    wider = plan(TEXT.replace('"60ms"]', '"60ms", "90ms"]'))
    more = MemoryEngine(good)
    run(wider, store, more)
    assert {task["given"]["rtt"] for task in more.tasks} == {"90ms"}
    assert len(more.tasks) == 6
    assert len(table(wider, store).splitlines()) == 19
    # The table of the smaller sweep leaves the further cells out.
    assert len(table(plan(), store).splitlines()) == 13


def test_a_sweep_that_was_stopped_goes_on_and_its_table_equals_that_of_one_that_was_not(tmp_path: Path) -> None:
    whole, halved = Store(tmp_path / "whole"), Store(tmp_path / "halved")
    run(plan(), whole, MemoryEngine(good))

    def stopped(task: Task, _attempt: int) -> dict[str, Any]:
        if len(first.tasks) > 7:
            raise KeyboardInterrupt
        return good(task, 1)

    first, second = MemoryEngine(stopped, width=1), MemoryEngine(good)
    with pytest.raises(KeyboardInterrupt):
        run(plan(), halved, first)
    run(plan(), halved, second)
    assert len(second.tasks) == 5
    assert table(plan(), halved) == table(plan(), whole)


def test_a_half_written_cell_is_run_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "sweep")
    run(plan(), store, MemoryEngine(good))
    (path, other, *_) = sorted((tmp_path / "sweep" / "cells").iterdir())
    path.write_text(path.read_text()[:100])
    other.write_text('{"format": 99}')
    again = MemoryEngine(good)
    run(plan(), store, again)
    assert len(again.tasks) == 2


def test_a_suspect_cell_is_run_again_in_real_time_until_it_is_valid(tmp_path: Path) -> None:
    of, store = plan(clock=Clock()), Store(tmp_path / "sweep")

    def outcome(task: Task, attempt: int) -> dict[str, Any]:
        first = of.cells[0].point
        word = (
            "suspect" if (task["seed"], task["given"]) == (first.seed, dict(first.given)) and attempt < 3 else "valid"
        )
        return {"result": result_of(task, word).to_json()}

    engine = MemoryEngine(outcome, width=1)
    progress, said = run(of, store, engine)
    assert sorted(keys(engine.tasks).values()) == [1] * 10 + [3, 3]
    assert len(progress.settled) == 12
    assert said[0].endswith("seed=1 is run again: RTT 31 ms")
    stored = store.load(of.cells[0])
    assert stored is not None
    assert (stored.attempt, stored.result.fidelity.verdict) == (3, "valid")


def test_a_cell_that_stays_suspect_is_kept_as_suspect(tmp_path: Path) -> None:
    of, store = plan(clock=Clock()), Store(tmp_path / "sweep")
    engine = MemoryEngine(lambda task, _attempt: {"result": result_of(task, "suspect").to_json()})
    run(of, store, engine)
    assert set(keys(engine.tasks).values()) == {3}
    again = MemoryEngine(good)
    run(of, store, again)
    assert again.tasks == []
    assert table(of, store).count(",suspect,") == 12


def test_a_failed_run_is_tried_again_and_reported(tmp_path: Path) -> None:
    store = Store(tmp_path / "sweep")

    def outcome(task: Task, attempt: int) -> dict[str, Any] | BaseException:
        if task["seed"] == 1 and task["replace"] == ["origin=nginx"] and task["given"]["rtt"] == "20ms":
            return {"error": "nginx did not start"}
        return OSError("worker lost") if task["seed"] == 2 and attempt == 1 else good(task, attempt)

    progress, said = run(plan(), store, MemoryEngine(outcome, width=1))
    assert len(progress.settled) == 11
    assert list(progress.failures.values()) == ["nginx did not start"]
    assert "rtt=20ms objects=1 origin=nginx seed=1 has no result: nginx did not start" in said
    assert sum("is run again: OSError: worker lost" in sentence for sentence in said) == 4
    # A cell without a result is run again by the next invocation.
    again = MemoryEngine(good)
    run(plan(), store, again)
    assert len(again.tasks) == 1


def test_a_cause_common_to_all_cells_ends_the_sweep(tmp_path: Path) -> None:
    engine = MemoryEngine(lambda _task, _attempt: {"error": "no kernel"}, width=1)
    with pytest.raises(EmulationError, match=f"{FAILURES_MAX} runs in a row gave no result, the last one: no kernel"):
        run(plan(), Store(tmp_path / "sweep"), engine)
    assert len(engine.tasks) == FAILURES_MAX


def test_a_second_sweep_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path / "sweep").locked(), pytest.raises(EmulationError, match="another `lab7 sweep` writes to"):
        Store(tmp_path / "sweep").locked().__enter__()
    with Store(tmp_path / "sweep").locked():
        pass


def test_files_of_a_killed_sweep_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path / "sweep")
    (store.running / "lab7-cell-x").mkdir(parents=True)
    with store.locked():
        assert list(store.running.iterdir()) == []
    assert not store.running.exists()


HOLDER = """
import fcntl, sys
file = open(sys.argv[1])
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_machine_runs_one_cell_at_a_time_in_real_time(tmp_path: Path) -> None:
    """Another process holds the lock; the one that waits gets it at the other's end."""
    path = tmp_path / "lock"
    with machine_lock(path=path):
        pass
    words = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(EmulationError, match="stop"), machine_lock(["stop"], path):
            pass
        held = threading.Event()

        def wait() -> None:
            with machine_lock(path=path):
                held.set()

        thread = threading.Thread(target=wait)
        thread.start()
        assert not held.is_set()
        holder.stdin.close()
        thread.join()
        assert held.is_set()


def test_another_version_of_lab7_refuses_a_task() -> None:
    assert run_task({"lab7": "0.0.1"}) == {
        "error": f"this machine has lab7 {lab7_version()}, the sweep needs 0.0.1: install that version"
    }
