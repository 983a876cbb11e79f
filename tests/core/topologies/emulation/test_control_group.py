"""Control groups: where they can be created, and their limits, in folders that stand for the file system."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.process import control_group
from lab7.topologies.emulation.process.control_group import ControlGroup, Place

VERSION_1 = "4:memory:/user\n2:cpu,cpuacct:/user\n0::/\n"
VERSION_2 = "0::/user.slice/app.slice/run-1.scope\n"


def version_2(root: Path, *folders: str, enabled: bool = True) -> None:
    for name in ("", *folders):
        (root / name).mkdir(parents=True, exist_ok=True)
        (root / name / "cgroup.controllers").write_text("cpuset cpu memory\n")
        (root / name / "cgroup.subtree_control").write_text("cpu\n" if enabled else "")


def test_version_1_is_at_the_controller_s_folder(tmp_path: Path) -> None:
    (tmp_path / "cpu,cpuacct" / "user").mkdir(parents=True)
    (tmp_path / "cpu,cpuacct" / "user" / "cgroup.procs").touch()
    assert control_group.find_place(tmp_path, VERSION_1) == Place(tmp_path / "cpu,cpuacct" / "user", 1)


def test_version_2_is_beside_the_own_group(tmp_path: Path) -> None:
    version_2(tmp_path, "user.slice/app.slice")
    assert control_group.find_place(tmp_path, VERSION_2) == Place(tmp_path / "user.slice" / "app.slice", 2)


def test_version_2_enables_the_controller(tmp_path: Path) -> None:
    version_2(tmp_path, "user.slice/app.slice", enabled=False)
    control_group.find_place(tmp_path, VERSION_2)
    assert (tmp_path / "user.slice/app.slice/cgroup.subtree_control").read_text() == "+cpu"


def test_version_2_is_the_root_where_the_own_group_is_not_delegated(tmp_path: Path) -> None:
    version_2(tmp_path, "user.slice/app.slice")
    (tmp_path / "user.slice/app.slice/cgroup.controllers").write_text("memory pids\n")
    assert control_group.find_place(tmp_path, VERSION_2) == Place(tmp_path, 2)


@pytest.mark.parametrize("membership", ["", VERSION_1, VERSION_2, "0::/\n"])
def test_without_groups_a_sentence_says_what_is_missing(membership: str, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="need the cpu controller of control groups: run lab7 as root"):
        control_group.find_place(tmp_path, membership or "1:name=systemd:/\n")


@pytest.mark.parametrize(
    ("version", "quota_us", "files"),
    [
        (2, 20_000, {"cpu.max": "20000 100000"}),
        (2, -1, {"cpu.max": "max 100000"}),
        (1, 20_000, {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "20000"}),
        (1, -1, {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "-1"}),
    ],
)
def test_a_limit_is_written_and_read(version: int, quota_us: int, files: dict[str, str], tmp_path: Path) -> None:
    group = ControlGroup("h1", Place(tmp_path, version))
    group.limit(100_000, quota_us)
    assert {path.name: path.read_text() for path in group.folder.iterdir()} == files
    assert group.limits() == (100_000, quota_us)


def test_empty_groups_of_killed_labs_are_removed(tmp_path: Path) -> None:
    for name, age_s in (("lab7-1-h1", 100), ("lab7-2-h1", 0), ("other", 100), ("lab7-3-h1", 100)):
        (tmp_path / name).mkdir()
        if name == "lab7-3-h1":
            (tmp_path / name / "in-use").mkdir()
        os.utime(tmp_path / name, (tmp_path.stat().st_mtime - age_s,) * 2)
    control_group.remove_left_over(tmp_path)
    assert not (tmp_path / "lab7-1-h1").exists()
    assert (tmp_path / "lab7-2-h1").is_dir()
    assert (tmp_path / "other").is_dir()
    assert (tmp_path / "lab7-3-h1").is_dir()
