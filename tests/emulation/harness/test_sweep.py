"""`lab7 sweep` in real time, and `lab7 run` with several values of a parameter."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from pathlib import Path

import pytest

from lab7.experiments.sweep import engines
from lab7.experiments.sweep.cell_run import lab7_version
from lab7.experiments.sweep.engines import dask_engine
from lab7.topologies.emulation.errors import EmulationError
from tests.emulation.support import LAB7, PATIENCE_S, environment, eventually, lab7

DEFINITION = """
experiment = "http-versions"
repeat = 1
time = "real"
again = 0
[set]
rtt = {rtt}
objects = 1
strategies = "1.0-serial"
"""


def sweep(folder: Path, rtt: str) -> dict[str, object]:
    (folder / "rtt.toml").write_text(DEFINITION.format(rtt=rtt))
    done = lab7("sweep", "rtt.toml", "--json", cwd=folder)
    # 1 where the machine disturbed a run.
    assert done.returncode in (0, 1), done.stderr
    summary: dict[str, object] = json.loads(done.stdout)
    return summary


@pytest.mark.slow
def test_a_sweep_in_real_time_and_its_extension(tmp_path: Path) -> None:
    assert sweep(tmp_path, '"20ms"')["finished"] == 1
    folder = tmp_path / "results" / "sweeps" / "rtt"
    (first,) = (folder / "cells").iterdir()
    written = first.stat().st_mtime_ns
    summary = sweep(tmp_path, '["20ms", "60ms"]')
    assert (summary["cells"], summary["finished"], summary["failures"]) == (2, 2, {})
    assert first.stat().st_mtime_ns == written
    rows = list(csv.DictReader((folder / "table.csv").open()))
    assert [(row["rtt"], row["clock"], row["comparison"]) for row in rows] == [
        ("0.02", "real", "1.0-serial"),
        ("0.06", "real", "1.0-serial"),
    ]
    assert float(rows[0]["theory_s"]) < 0.05 < float(rows[1]["measured_s"])
    assert "<h2>Means over the seeds</h2>" in (folder / "report.html").read_text()
    assert not (folder / "running").exists()


@pytest.mark.slow
def test_ctrl_c_keeps_the_finished_cells(tmp_path: Path) -> None:
    (tmp_path / "rtt.toml").write_text(DEFINITION.format(rtt='["20ms", "60ms", "100ms"]'))
    cells = tmp_path / "results" / "sweeps" / "rtt" / "cells"
    words = [str(LAB7), "sweep", "rtt.toml"]
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        assert eventually(lambda: cells.is_dir() and any(cells.iterdir()), PATIENCE_S)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130
    count = len(list(cells.iterdir()))
    assert f"{count} of 3 cells have a result: the same command goes on" in said
    assert "Traceback" not in said
    table = list(csv.DictReader((cells.parent / "table.csv").open()))
    assert len({row["cell"] for row in table}) == count < 3
    assert not (cells.parent / "running").exists()


@pytest.mark.slow
def test_several_values_of_a_parameter_give_a_table(tmp_path: Path) -> None:
    words = ("--set", "rtt=20ms,60ms", "--set", "objects=2", "--set", "strategies=1.0-serial", "--repeat", "1")
    done = lab7("run", "http-versions", *words, "--time", "real", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert [result["parameters"]["rtt"] for result in found["results"]] == [0.02, 0.06]
    assert [row["rtt"] for row in found["tables"]["http-versions"]] == [0.02, 0.06]


@pytest.mark.slow
def test_a_task_goes_to_a_dask_worker_and_its_outcome_comes_back() -> None:
    """The worker refuses a task of another version of lab7, which needs neither a kernel nor a network."""
    pytest.importorskip("distributed", reason="dask.distributed is not installed (pip install 'lab7[dask]')")
    with dask_engine("virtual", None, 1) as engine:
        assert engine.width() == 2
        outcome = engine.submit({"lab7": "0.0.1"}).result(PATIENCE_S)
    assert outcome == {"error": f"this machine has lab7 {lab7_version()}, the sweep needs 0.0.1: install that version"}


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="dask.distributed is not installed (pip install 'lab7[dask]')")
    monkeypatch.setattr(engines, "CONNECT_TIMEOUT", "1s")
    with pytest.raises(EmulationError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1: start one by"):
        dask_engine("real", "tcp://127.0.0.1:1", 1).__enter__()
