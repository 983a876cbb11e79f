"""Repeatability of virtual time: nothing of the host but the files that a run reads has an effect on its times."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab7.experiments.harness.results.repeatability import first_difference
from lab7.topologies.emulation.virtual import kernel
from lab7.topologies.emulation.virtual.job import Job
from lab7.topologies.emulation.virtual.machine import Machine

REPOSITORY = Path(__file__).resolve().parents[2]
LAB7 = [sys.executable, "-m", "lab7.experiments.harness.cli"]
# A cell of a sweep: one page load over a path whose RTT is no multiple of the clock's step of 32 ns.
CELL = ["--set", "rtt=200ms", "--set", "objects=1", "--set", "strategies=1.0-serial", "--repeat", "1"]
PATIENCE_S = 900.0
READING_NS = 32


def printed(program: str) -> str:
    """Run a Python program in virtual time; return what it prints."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    job = Job((sys.executable, "-S", "-c", program), environment, "/", limit_s=3600.0, seed=1)
    with Machine(kernel.require(), job) as machine:
        assert machine.wait(PATIENCE_S).code == 0
        return (machine.folder / "stdout").read_text()


def swept(folder: Path, changes: Mapping[str, str], cwd: Path | None = None) -> Path:
    """Run the cell with changes of the environment; return its result folder."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [*LAB7, "run", "http-versions", *CELL, "--time", "virtual", "--seed", "1", "--results", str(folder), "--json"],
        cwd=cwd or folder.parent,
        env={**os.environ, "PYTHONPATH": path, **changes},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    # 1: one strategy alone leaves claims undecided.
    assert done.returncode == 1, done.stderr
    return next(path for path in (folder / "http-versions").iterdir() if (path / "result.json").exists())


SEARCH = """
import os, time
began = time.monotonic_ns()
for number in range({calls}):
    os.access(f"/none/{number}", os.F_OK)
print(time.monotonic_ns() - began)
"""


def test_calls_that_fail_take_no_time() -> None:
    # Two readings of the clock, between which it advances once; a search path has thousands of folders at most.
    assert [int(printed(SEARCH.replace("{calls}", str(calls)))) for calls in (0, 20_000)] == [READING_NS] * 2


POLL = """
import os, time
open("/run/ready", "w").close(); os.remove("/run/ready")
if os.fork() == 0:
    time.sleep(0.01)
    open("/run/ready", "w").close()
    os._exit(0)
while not os.path.exists("/run/ready"):
    pass
print("there")
"""


def test_a_program_that_polls_without_waiting_goes_on() -> None:
    assert printed(POLL) == "there\n"


LATER = """
import os, time
from lab7.topologies.emulation.virtual.alignment import align
for _ in range({readings}):
    time.monotonic()
# The end of a process is an input of the kernel's random number pool, with its time.
if os.fork() == 0:
    os._exit(0)
os.wait()
align()
print(time.monotonic_ns())
time.sleep(100)
print(os.urandom(8).hex())
"""


def test_start_up_that_reads_the_clock_more_often_changes_neither_later_times_nor_random_numbers() -> None:
    seldom, often = (printed(LATER.replace("{readings}", str(readings))) for readings in (0, 1000))
    assert seldom == often


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cell's result folder, with the environment of this process."""
    return swept(tmp_path_factory.mktemp("usual") / "results", {})


# Read in every Python process that finds it in its path, as a package's own start-up file.
START_UP = "import time\nfor _ in range(777): time.monotonic()\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"PATH": f"/none/1:/none/2:/none/3:{os.environ['PATH']}"}, id="search path"),
        pytest.param({"PYTHONPATH": f"{{folder}}:/none/2:{REPOSITORY}"}, id="start-up file"),
        # As on a machine where nothing of lab7 and its libraries has run before.
        pytest.param({"PYTHONPYCACHEPREFIX": "/none"}, id="no bytecode"),
        # Variables that a Dask worker has beside those of its parent.
        pytest.param({"OMP_NUM_THREADS": "1", "MALLOC_TRIM_THRESHOLD_": "65536"}, id="worker"),
    ],
)
def test_the_environment_of_a_run_has_no_effect(usual: Path, changes: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(START_UP)
    made = {name: value.replace("{folder}", str(tmp_path)) for name, value in changes.items()}
    assert first_difference(usual, swept(tmp_path / "results", made)) is None


@pytest.mark.slow
def test_the_current_folder_has_no_effect(usual: Path, tmp_path: Path) -> None:
    deep = tmp_path / "a folder" / ("long" * 30) / "d" / "e" / "p"
    deep.mkdir(parents=True)
    for number in range(100):
        (deep / f"file{number}").write_text("x")
    assert first_difference(usual, swept(tmp_path / "results", {}, deep)) is None
