"""The job of a kernel and the kernel's command line, without a kernel."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.virtual import job
from lab7.topologies.emulation.virtual.job import Job
from lab7.topologies.emulation.virtual.machine import memory_folder

PROGRAM = Path("/cache/linux")


def a_job(**changes: object) -> Job:
    given: dict[str, object] = {"command": ("true",), "environment": {}, "directory": "/", "seed": 1, **changes}
    return Job(**given)  # type: ignore[arg-type]


def test_the_command_line_is_the_same_whatever_is_run_and_wherever() -> None:
    """The kernel mixes its command line into its pool of random numbers."""
    one = a_job()
    other = a_job(command=("lab7", "run"), environment={"A": "b"}, directory="/home/x", folders={"/r": "/s"}, seed=2)
    assert job.kernel_words(PROGRAM, one) == job.kernel_words(PROGRAM, other)


def test_entropy_and_wall_clock_come_from_the_seed() -> None:
    seeded, free = a_job(seed=7), a_job(seed=None)
    assert job.kernel_environment(seeded, {"PATH": "/bin", "LANG": "C"}) == {"PATH": "/bin", "LAB7_ENTROPY": "7"}
    assert job.kernel_environment(free, {"PATH": "/bin"}) == {"PATH": "/bin"}
    assert "time-travel-start=1893456000000000000" in job.kernel_words(PROGRAM, seeded)
    assert not any(word.startswith("time-travel-start") for word in job.kernel_words(PROGRAM, free))


def test_with_the_hosts_clock_time_does_not_travel() -> None:
    words = job.kernel_words(PROGRAM, a_job(virtual=False))
    assert not any(word.startswith("time-travel") for word in words)


def test_words_for_process_1_stand_behind_the_kernels_own() -> None:
    words = job.kernel_words(PROGRAM, a_job())
    assert words[words.index("--") :] == ["--", f"/proc/self/fd/{job.JOB_FD}/init"]
    assert not any(" " in word for word in words)


def test_process_1_is_the_same_python_also_in_a_folder_with_a_space() -> None:
    script = job.init_script("/home/a b/python")
    assert shlex.split(script.partition("exec ")[2])[0] == "/home/a b/python"


@pytest.mark.parametrize(("seed", "settles", "fixed"), [(3, True, True), (None, True, False)])
def test_process_1_reads_the_whole_job(seed: int | None, settles: bool, fixed: bool) -> None:
    made = a_job(command=("sh", "-c", "a 'b'"), environment={"X": "1"}, folders={"/a": "/b"}, seed=seed)
    read = json.loads(made.to_json())
    assert (read["command"], read["environment"], read["folders"]) == (["sh", "-c", "a 'b'"], {"X": "1"}, {"/a": "/b"})
    assert (read["settle_s"] > 0, read["fixed_addresses"]) == (settles, fixed)


def test_a_seeded_run_has_one_order_of_hashes() -> None:
    outer = {"A": "b", "PYTHONHASHSEED": "random", "PATH": "/bin"}
    one = {"HOME": "/home/one", "LANG": "de_DE.UTF-8", "LC_ALL": "C", "USER": "one", "http_proxy": "http://one:3128"}
    other = {"HOME": "/root", "TZ": "Asia/Tokyo", "HOSTNAME": "other", "EMAIL": "other@example.com"}
    seen = [job.job_environment({**outer, **user}, 1) for user in (one, other)]
    assert [each.pop("PYTHONUSERBASE") for each in seen] == ["/home/one/.local", "/root/.local"]
    assert seen[0] == seen[1]
    assert (seen[0]["A"], seen[0]["PATH"], seen[0]["PYTHONHASHSEED"]) == ("b", "/bin", "0")
    assert job.job_environment({"A": "b"}, None) == {"A": "b"}


def test_what_changes_how_a_program_runs_stays_outside() -> None:
    worker = {"MALLOC_TRIM_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "DASK_PARENT": "{}"}
    debugged = {"PYTHONASYNCIODEBUG": "1", "PYTHONUNBUFFERED": "1", "GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}
    usual = {"PATH": "/bin", "PYTHONPATH": "/packages", "OWN": "x"}
    assert job.job_environment({**usual, **worker, **debugged}, 1) == job.job_environment(usual, 1)


class Usage:
    """Substitute for shutil.disk_usage with this much free space in each folder."""

    def __init__(self, free: dict[str, int]) -> None:
        self._free = free

    def __call__(self, place: str) -> Usage:
        if place not in self._free:
            raise FileNotFoundError(place)
        self.free = self._free[place] * 2**20
        return self


@pytest.mark.parametrize(
    ("free_mb", "place"),
    [
        ({"/dev/shm": 4000, "/tmp": 9000}, "/dev/shm"),
        # A container's, by default.
        ({"/dev/shm": 64, "/tmp": 9000}, "/tmp"),
        ({"/tmp": 64, "/var/tmp": 9000}, "/var/tmp"),
    ],
)
def test_the_kernels_memory_is_where_there_is_room(
    free_mb: dict[str, int], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab7.topologies.emulation.virtual.machine.shutil.disk_usage", Usage(free_mb))
    monkeypatch.setattr("lab7.topologies.emulation.virtual.machine.os.access", lambda _place, _mode: True)
    assert memory_folder({}) == place
    assert memory_folder({"TMPDIR": "/mine"}) == "/mine"


def test_without_room_for_the_kernels_memory_one_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lab7.topologies.emulation.virtual.machine.shutil.disk_usage", Usage({"/dev/shm": 64, "/tmp": 65})
    )
    with pytest.raises(MachineError, match=r"needs 1536 MB .* 64 MB in /dev/shm and 65 MB in /tmp are free: .* TMPDIR"):
        memory_folder({})


def test_the_memory_is_that_of_the_environment() -> None:
    assert job.memory_mb({}) == job.MEMORY_MB
    assert job.memory_mb({job.MEMORY_VARIABLE: "8000"}) == 8000
    assert "mem=8000M" in job.kernel_words(PROGRAM, a_job(), 8000)


@pytest.mark.parametrize("given", ["", "8 GB", "-8000", "100"])
def test_a_memory_that_is_no_size_is_refused(given: str) -> None:
    with pytest.raises(MachineError, match="LAB7_VIRTUAL_MEMORY"):
        job.memory_mb({job.MEMORY_VARIABLE: given})
