"""Kernel of virtual time: discovery of built kernels, and errors of the build."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.experiments.harness.doctor import repair
from lab7.topologies.emulation.errors import MachineError
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.virtual import builder, kernel


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user's cache with no kernel in it, on a machine with none for all users."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kernel, "SHARED", tmp_path / "shared")
    monkeypatch.setattr(kernel, "unsupported", lambda: "")
    return tmp_path / "lab7" / "kernels"


def keep(folder: Path, name: str, about: str = '{"version": "6.1.9"}', mode: int = 0o755) -> Path:
    place = folder / name
    place.mkdir(parents=True)
    (place / kernel.PROGRAM).write_text("")
    (place / kernel.PROGRAM).chmod(mode)
    (place / kernel.ABOUT).write_text(about)
    return place


def source(folder: Path, name: str, files: dict[str, str]) -> Path:
    path = folder / name
    with tarfile.open(path, "w:xz") as made:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"linux/{file}")
            entry.size = len(text)
            made.addfile(entry, io.BytesIO(text.encode()))
    return path


def test_a_kernel_of_another_recipe_is_not_taken(cache: Path) -> None:
    keep(cache, "0123456789ab-6.1.9")
    assert kernel.find() is None
    mine = keep(cache, f"{kernel.recipe_hash()}-6.1.9")
    assert kernel.find() == kernel.Kernel(mine / kernel.PROGRAM, "6.1.9", kernel.recipe_hash())


@pytest.mark.parametrize(("about", "mode"), [("", 0o755), ("{}", 0o755), ('{"version": "6.1.9"}', 0o644)])
def test_a_kernel_that_is_not_whole_is_not_taken(cache: Path, about: str, mode: int) -> None:
    keep(cache, f"{kernel.recipe_hash()}-6.1.9", about, mode)
    assert kernel.find() is None


@pytest.mark.usefixtures("cache")
def test_without_one_the_machines_is_taken_and_without_any_a_sentence_says_how() -> None:
    with pytest.raises(MachineError, match="not built: run `lab7 doctor --fix`"):
        kernel.require()
    shared = keep(kernel.SHARED, f"{kernel.recipe_hash()}-6.1.9")
    assert kernel.require().program == shared / kernel.PROGRAM


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert kernel.user_folder() == Path.home() / ".cache/lab7/kernels"


def test_every_patch_says_why_and_changes_something() -> None:
    assert kernel.patches()
    for patch in kernel.patches():
        text = patch.read_text()
        assert not text.startswith("---")
        assert "\n+" in text.partition("+++ ")[2]


def test_the_configuration_has_no_modules_and_what_links_need() -> None:
    wanted = builder.wanted_options(kernel.CONFIGURATION.read_text())
    assert set(wanted.values()) <= {"y", "n", "4"}
    names = ("UML_TIME_TRAVEL_SUPPORT", "HOSTFS", "OVERLAY_FS", "NET_SCH_NETEM", "NET_ACT_MIRRED", "OPENVSWITCH", "TUN")
    assert [name for name in names if wanted.get(f"CONFIG_{name}") != "y"] == []


def test_the_source_that_was_tried_is_taken_before_a_newer_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(builder, "SOURCES", tmp_path)
    with pytest.raises(MachineError, match="no kernel source"):
        builder.find_source()
    for name in ("linux-source-6.8.0.tar.bz2", "linux-source-6.12.tar.xz", "linux-source-6.12.tar.xz.sig"):
        (tmp_path / name).touch()
    assert builder.find_source().name == "linux-source-6.12.tar.xz"
    (tmp_path / "linux-source-6.1.tar.xz").touch()
    assert builder.find_source().name == "linux-source-6.1.tar.xz"


def test_a_patch_that_does_not_fit_ends_the_build_and_leaves_no_kernel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(builder, "SOURCES", tmp_path)
    monkeypatch.setattr(builder, "NEEDED_MB", 0)
    programs = [packages.Program(packages.VIRTUAL, name, name, "") for name in ("patch", "tar")]
    monkeypatch.setattr(packages, "of_groups", lambda *_groups: programs)
    source(tmp_path, "linux-source-9.9.tar.xz", {"Kconfig": "", "arch/um/os-Linux/util.c": "int other;\n"})
    (cache / f"{builder.UNFINISHED}left").mkdir(parents=True)
    assert builder.main([]) == 3
    said = capsys.readouterr().err
    first = kernel.patches()[0].name
    assert said.startswith(f"lab7: {first} does not apply to linux-source-9.9.tar.xz")
    assert len(said.splitlines()) == 1
    assert {one.name for one in cache.iterdir()} == {"lock", builder.LOG}


def test_programs_that_are_missing_are_named_by_their_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cache: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    cache.mkdir(parents=True)
    with pytest.raises(MachineError, match=r"apt-get install .*bison flex gcc"):
        builder.check_machine(cache)


def test_a_kernel_is_kept_whole_and_for_all_to_read(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir(mode=0o700)
    (folder / kernel.PROGRAM).write_text("")
    (folder / kernel.PROGRAM).chmod(0o755)
    made = kernel.Kernel(folder / kernel.PROGRAM, "6.1.9", kernel.recipe_hash())
    cache.mkdir(parents=True)
    kept = builder._keep(folder, made, {"version": "6.1.9"}, cache)
    assert kernel.find() == kept
    assert os.stat(kept.program.parent).st_mode & 0o777 == 0o755
    assert json.loads((kept.program.parent / kernel.ABOUT).read_text()) == {"version": "6.1.9"}


def test_a_user_without_a_home_folder_has_the_machines_kernels_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(cache, f"{kernel.recipe_hash()}-6.1.9")
    monkeypatch.delenv("XDG_CACHE_HOME")

    def refuse() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", refuse)
    assert kernel.find() is None
    with pytest.raises(MachineError, match="set XDG_CACHE_HOME to a folder"):
        kernel.user_folder()
    assert repair.make_plan().obstacles[-1].endswith("set XDG_CACHE_HOME to a folder")
    shared = keep(kernel.SHARED, f"{kernel.recipe_hash()}-6.1.9")
    assert kernel.require().program == shared / kernel.PROGRAM


def test_a_folder_that_cannot_be_read_has_no_kernel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = keep(kernel.SHARED, f"{kernel.recipe_hash()}-6.1.9")
    glob = Path.glob

    def refuse(folder: Path, pattern: str) -> Iterator[Path]:
        if folder == cache:
            raise PermissionError(13, "Permission denied", str(folder))
        return iter(glob(folder, pattern))

    monkeypatch.setattr(Path, "glob", refuse)
    assert kernel.require().program == shared / kernel.PROGRAM
