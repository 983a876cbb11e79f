"""A sweep in virtual time on a local Dask cluster: a worker or lab7 itself is killed, and the table stays the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.emulation.processes import Process, descendants
from tests.emulation.support import LAB7, environment, eventually

pytest.importorskip("distributed", reason="dask.distributed is not installed (pip install 'lab7[dask]')")
CELLS = 4
DEFINITION = """
experiment = "http-versions"
seeds = 2
repeat = 1
time = "virtual"
[set]
rtt = ["20ms", "60ms"]
objects = 1
strategies = "1.0-serial"
"""
DASK = ("--engine", "dask", "--workers", "2")
WITHIN_S = 600.0


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    (folder / "rtt.toml").write_text(DEFINITION)
    words = [str(LAB7), "sweep", "rtt.toml", *options]
    return subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=(folder / "errors").open("wb")
    )


def swept(folder: Path) -> Path:
    return folder / "results" / "sweeps" / "rtt"


def stored(folder: Path) -> list[Path]:
    return sorted((swept(folder) / "cells").glob("*.json"))


def workers(process: subprocess.Popen[bytes]) -> list[Process]:
    return [one for one in descendants(process.pid) if any("spawn_main" in word for word in one.words)]


def kill_when(process: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
    assert eventually(lambda: ready() or process.poll() is not None, WITHIN_S)
    assert process.poll() is None


def assert_complete(folder: Path, table: bytes) -> None:
    """Every cell has one valid result of a first run, and the table is that of the sweep that was not disturbed."""
    records = [json.loads(path.read_text()) for path in stored(folder)]
    assert [(record["attempt"], record["result"]["fidelity"]["verdict"]) for record in records] == [
        (1, "valid")
    ] * CELLS
    # A cell's folder is removed, and nothing is written that would be in it alone.
    assert {record["result"]["files"]["report"] for record in records} == {None}
    assert (swept(folder) / "table.csv").read_bytes() == table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The table of the sweep without a disturbance, on the local engine."""
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(folder)
    assert process.wait(WITHIN_S) == 0, (folder / "errors").read_text()
    assert len(stored(folder)) == CELLS
    return (swept(folder) / "table.csv").read_bytes()


def test_the_cells_of_a_killed_worker_are_run_by_another_one(table: bytes, tmp_path: Path) -> None:
    with start(tmp_path, *DASK) as process:
        kill_when(process, lambda: bool(stored(tmp_path)) and len(workers(process)) == 2)
        os.kill(workers(process)[0].pid, signal.SIGKILL)
        assert process.wait(WITHIN_S) == 0, (tmp_path / "errors").read_text()
    assert_complete(tmp_path, table)


@pytest.mark.slow
def test_a_killed_sweep_goes_on_where_it_was(table: bytes, tmp_path: Path) -> None:
    with start(tmp_path, *DASK) as process:
        kill_when(process, lambda: bool(stored(tmp_path)))
        family = descendants(process.pid)
        process.kill()
        process.wait()
    # Workers and kernels end with lab7.
    assert eventually(lambda: not any(one.lives for one in family), WITHIN_S)
    before = {path: path.stat().st_mtime_ns for path in stored(tmp_path)}
    assert 0 < len(before) < CELLS
    with start(tmp_path, *DASK) as process:
        assert process.wait(WITHIN_S) == 0, (tmp_path / "errors").read_text()
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert_complete(tmp_path, table)
