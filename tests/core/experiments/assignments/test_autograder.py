"""Autograder and its bundle: results.json as Gradescope specifies it, whatever is submitted, and equal zip files."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab7.experiments.assignments.answer_types import Number, Text
from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.definition import Assignment, AssignmentError, Key, find_assignment
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.grade import Grade, KeyStore, QuestionGrade
from lab7.experiments.assignments.gradescope import autograder
from lab7.experiments.assignments.gradescope.bundle import write_bundle, write_program_bundle
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.grading import Grading
from lab7.experiments.assignments.programs.submission import Submission
from lab7.topologies.emulation.virtual.kernel import Kernel

SECRET = bytes(range(32))
KEY = {"q1": Key(Number(4)), "q2": Key(Text("GET"))}


@pytest.fixture
def assignment() -> Assignment:
    return find_assignment("http-basics")


@pytest.fixture
def build(tmp_path: Path) -> Path:
    """A build of two students; its captures are not read by these tests."""
    for student in ("s1", "s2"):
        for name in (f"handouts/{student}/trace.pcapng", f"keys/{student}/key.json"):
            path = tmp_path / "out" / name
            path.parent.mkdir(parents=True)
            path.write_text("{}")
    return tmp_path / "out"


@pytest.fixture
def root(tmp_path: Path, build: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gradescope's folders with the unpacked bundle."""
    write_bundle(assignment, SECRET, build, tmp_path / "autograder.zip")
    folder = tmp_path / "autograder"
    with zipfile.ZipFile(tmp_path / "autograder.zip") as archive:
        archive.extractall(folder / "source")
    (folder / "submission").mkdir()
    monkeypatch.setattr(KeyStore, "of", lambda _store, _student: KEY)
    return folder


def results(root: Path, email: str = "s1@example.edu") -> dict[str, Any]:
    (root / "submission_metadata.json").write_text(json.dumps({"users": [{"email": email, "name": "A", "sid": ""}]}))
    assert autograder.main(["--root", str(root)]) == 0
    found: dict[str, Any] = json.loads((root / "results" / "results.json").read_text())
    return found


def submit(root: Path, answers: str) -> None:
    (root / "submission" / "answers.yaml").write_text(f"assignment: http-basics\nstudent: s1\nanswers:\n{answers}")


def test_a_sheet_is_graded(root: Path) -> None:
    submit(root, "  q1: 4\n  q2: POST\n")
    found = results(root)
    assert [(test["name"], test["score"], test["max_score"]) for test in found["tests"]] == [("q1", 1, 1), ("q2", 0, 1)]
    assert (found["score"], found["max_score"]) == (1, find_assignment("http-basics").points)
    assert {test["visibility"] for test in found["tests"]} == {"visible"}
    assert "GET" in found["tests"][1]["output"]


def test_a_stranger_no_sheet_and_a_broken_sheet_have_no_score(root: Path) -> None:
    assert "score" not in results(root)
    assert "no answers.yaml" in results(root)["output"]
    submit(root, "  q1: *a\n")
    assert "line 4" in results(root)["output"]
    submit(root, "  q1: 4\n")
    assert "not on the roster" in results(root, "mallory@example.edu")["output"]


def test_the_only_yaml_file_is_graded_and_one_of_two_is_not(root: Path) -> None:
    submit(root, "  q1: 4\n")
    (root / "submission" / "answers.yaml").rename(root / "submission" / "Answers.YML")
    assert results(root)["score"] == 1
    (root / "submission" / "b.yaml").write_text("b: 1\n")
    assert "the folder has Answers.YML and b.yaml, but no answers.yaml" in results(root)["output"]


def test_a_failure_of_the_autograder_is_no_score(root: Path) -> None:
    submit(root, "  q1: 4\n")
    (root / "source" / "settings.json").write_text("{")
    found = results(root)
    assert "score" not in found
    assert "tell your instructor" in found["output"]


def test_two_bundles_are_equal_and_hold_no_hand_out(tmp_path: Path, build: Path, assignment: Assignment) -> None:
    assert write_bundle(assignment, SECRET, build, tmp_path / "one.zip") == 2
    write_bundle(assignment, SECRET, build, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = set(archive.namelist())
        modes = {name: archive.getinfo(name).external_attr >> 16 & 0o777 for name in ("setup.sh", "run_autograder")}
    assert {"setup.sh", "run_autograder", "settings.json", "secret", "lab7/pyproject.toml"} <= names
    assert not any("__pycache__" in name or name.endswith("answers.yaml") for name in names)
    assert modes == {"setup.sh": 0o755, "run_autograder": 0o755}


def test_only_the_owner_reads_a_bundle(tmp_path: Path, build: Path, assignment: Assignment) -> None:
    # What a bundling that was killed has left, readable by all.
    (tmp_path / "one.zip.part").touch(0o644)
    write_bundle(assignment, SECRET, build, tmp_path / "one.zip")
    assert (tmp_path / "one.zip").stat().st_mode & 0o777 == 0o600


def test_help_names_the_default_of_show_and_hide() -> None:
    shown = CliRunner().invoke(assignment_command, ["bundle", "--help"]).output
    assert "[default: show]" in " ".join(shown.split())


def test_a_folder_without_a_build_is_refused(tmp_path: Path, assignment: Assignment) -> None:
    with pytest.raises(AssignmentError, match="lab7 assignment build"):
        write_bundle(assignment, SECRET, tmp_path, tmp_path / "one.zip")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Gradescope's folders with the unpacked zip file for programs; its kernel is not run by these tests."""
    folder = tmp_path / "kernels" / "0123-6.1"
    folder.mkdir(parents=True)
    (folder / "linux").write_bytes(b"\x7fELF")
    (folder / "linux").chmod(0o755)
    (folder / "about.json").write_text('{"version": "6.1"}')
    kernel = Kernel(folder / "linux", "6.1", "0123")
    path = tmp_path / "programs.zip"
    assert write_program_bundle(find_program_assignment("http-server"), SECRET, ["s1", "s2"], kernel, path) == 2
    root = tmp_path / "autograder"
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("cache/lab7/kernels/0123-6.1/linux").external_attr >> 16 & 0o777 == 0o755
        archive.extractall(root / "source")
    (root / "submission").mkdir()
    return root


def test_the_zip_file_for_programs_installs_what_networks_need(programs: Path) -> None:
    setup = (programs / "source" / "setup.sh").read_text()
    assert "mininet" in setup
    assert "@" not in setup.replace("${arr[@]}", "")
    assert json.loads((programs / "source" / "settings.json").read_text())["students"] == ["s1", "s2"]
    assert "XDG_CACHE_HOME=/autograder/source/cache" in (programs / "source" / "run_autograder").read_text()


def test_a_program_is_graded_by_the_kernel_and_hidden_stages_are_published_later(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def grade(grading: Grading, submission: Submission, seed: int) -> Grade:
        seen.update(student=submission.student, files=[name for name, _ in submission.files], seed=seed)
        stages = grading.stages
        return Grade("s1", 14, 14, tuple(QuestionGrade(one.id, one.points, one.points, "", "passed") for one in stages))

    monkeypatch.setattr("lab7.experiments.assignments.gradescope.programs.grade_submission", grade)
    monkeypatch.setattr("lab7.experiments.harness.cli.common.virtual_time", lambda *_: object())
    (programs / "submission" / "server.py").write_text("pass\n")
    found = results(programs)
    assert (found["score"], found["max_score"]) == (14, 14)
    assert [one["name"] for one in found["tests"] if one["visibility"] == "after_published"] == ["robustness"]
    assert seen == {
        "student": "s1",
        "files": ["server.py"],
        "seed": Draw(SECRET, "http-server", "s1").seed,
    }
    assert "score" not in results(programs, "mallory@example.edu")
