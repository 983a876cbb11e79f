"""`lab7 sweep` in real time, and `lab7 run` with several values of a parameter."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from tests.emulation.support import lab7

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
def test_several_values_of_a_parameter_give_a_table(tmp_path: Path) -> None:
    words = ("--set", "rtt=20ms,60ms", "--set", "objects=2", "--set", "strategies=1.0-serial", "--repeat", "1")
    done = lab7("run", "http-versions", *words, "--time", "real", "--json", cwd=tmp_path)
    found = json.loads(done.stdout)
    assert [result["parameters"]["rtt"] for result in found["results"]] == [0.02, 0.06]
    assert [row["rtt"] for row in found["tables"]["http-versions"]] == [0.02, 0.06]
