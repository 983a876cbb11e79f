"""Grading of programs in virtual time: each bug is named at its stage and no other, and attacks change nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.assignments.programs import dns_bugs, proxy_bugs, smtp_bugs
from tests.kernel.assignments.programs.attacks import ALL, ATTACKS, READS, Attack
from tests.kernel.assignments.programs.bug import Bug
from tests.kernel.assignments.programs.http_bugs import BUGS, SERVER
from tests.kernel.test_virtual_time import REPOSITORY, lab7

# Each program runs in a kernel of its own, which takes 10 to 20 s of processor time.
pytestmark = pytest.mark.slow
NAME = "http-server"


@dataclass(frozen=True)
class Graded:
    """Grades of one folder of submissions, by student."""

    folder: Path
    grades: Mapping[str, Any]

    def faults(self, student: str) -> dict[str, str]:
        """Return the feedback of the stages that opened and were not passed."""
        return {
            one["question"]: one["feedback"]
            for one in self.grades[student]["questions"]
            if one["feedback"] != "passed" and not one["feedback"].startswith("not opened")
        }


def hand_in(folder: Path, programs: Mapping[str, str], file: str = "server.py") -> None:
    for student, program in programs.items():
        (folder / student).mkdir(parents=True)
        (folder / student / file).write_text(program)


def grade(folder: Path, assignment: str = NAME) -> Graded:
    (folder / "secret").write_text("00" * 32)
    words = ["assignment", "grade", "in", "--assignment", assignment, "--secret", "secret", "-o", "out", "--jobs", "2"]
    done = lab7(*words, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return Graded(folder, {one["student"]: one for one in json.loads((folder / "out" / "grades.json").read_text())})


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder, right = tmp_path_factory.mktemp("http"), SERVER.read_text()
    programs = {"right": right} | {bug.name: bug.program(right) for bug in BUGS}
    hand_in(folder / "in", programs)
    return grade(folder)


@pytest.fixture(scope="module")
def dns(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder, right = tmp_path_factory.mktemp("dns"), dns_bugs.SERVER.read_text()
    hand_in(folder / "in", {"right": right} | {bug.name: bug.program(right) for bug in dns_bugs.BUGS})
    return grade(folder, "dns-server")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder, right = tmp_path_factory.mktemp("proxy"), proxy_bugs.SERVER.read_text()
    hand_in(folder / "in", {"right": right} | {bug.name: bug.program(right) for bug in proxy_bugs.BUGS}, "proxy.py")
    return grade(folder, "caching-proxy")


@pytest.fixture(scope="module")
def smtp(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder, right = tmp_path_factory.mktemp("smtp"), smtp_bugs.SERVER.read_text()
    hand_in(folder / "in", {"right": right} | {bug.name: bug.program(right) for bug in smtp_bugs.BUGS})
    return grade(folder, "smtp-server")


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    folder, right = tmp_path_factory.mktemp("attacks"), SERVER.read_text()
    hand_in(folder / "in", {attack.name: attack.program(right) for attack in ATTACKS})
    return grade(folder)


def test_the_right_server_has_full_points(http: Graded) -> None:
    assert (http.grades["right"]["earned"], http.faults("right")) == (ALL, {})


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_is_named_and_no_other(bug: Bug, http: Graded) -> None:
    faults = http.faults(bug.name)
    assert list(faults) == [bug.stage]
    assert [part for part in bug.message if part not in faults[bug.stage]] == []
    assert http.grades[bug.name]["problem"] == ""


def test_the_right_dns_server_has_full_points(dns: Graded) -> None:
    assert (dns.grades["right"]["earned"], dns.faults("right")) == (14, {})


@pytest.mark.parametrize("bug", dns_bugs.BUGS, ids=lambda bug: bug.name)
def test_a_bug_of_a_dns_server_is_named_and_no_other(bug: Bug, dns: Graded) -> None:
    faults = dns.faults(bug.name)
    assert list(faults) == [bug.stage]
    assert [part for part in bug.message if part not in faults[bug.stage]] == []


def test_the_right_proxy_has_full_points(proxy: Graded) -> None:
    assert (proxy.grades["right"]["earned"], proxy.faults("right")) == (18, {})


@pytest.mark.parametrize("bug", proxy_bugs.BUGS, ids=lambda bug: bug.name)
def test_a_bug_of_a_proxy_is_named_and_no_other(bug: Bug, proxy: Graded) -> None:
    faults = proxy.faults(bug.name)
    assert list(faults) == [bug.stage]
    assert [part for part in bug.message if part not in faults[bug.stage]] == []


def test_the_right_smtp_server_has_full_points(smtp: Graded) -> None:
    assert (smtp.grades["right"]["earned"], smtp.faults("right")) == (15, {})


@pytest.mark.parametrize("bug", smtp_bugs.BUGS, ids=lambda bug: bug.name)
def test_a_bug_of_an_smtp_server_is_named_and_no_other(bug: Bug, smtp: Graded) -> None:
    faults = smtp.faults(bug.name)
    assert list(faults) == [bug.stage]
    assert [part for part in bug.message if part not in faults[bug.stage]] == []


def test_hidden_stages_of_a_course_are_decided_and_cannot_be_read(tmp_path: Path) -> None:
    right, guide = SERVER.read_text(), (REPOSITORY / "docs" / "assignments.md").read_text()
    text = guide.partition("## Hidden stages of your own")[2]
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "assignment.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    (tmp_path / "course" / "hidden.py").write_text(text.partition("```python\n")[2].partition("```")[0])
    not_found = "        status = 404\n"
    assert right.count(not_found) == 1
    breaks = right.replace(not_found, f"        assert len(target) < 150\n{not_found}")
    looks = Attack("looks", READS.replace('"exercise.py"', '"exercise.py", "hidden.py"'), ALL).program(right)
    hand_in(tmp_path / "in", {"right": right, "breaks": breaks, "looks": looks})
    found = grade(tmp_path, "./course/")
    assert {student: one["earned"] for student, one in found.grades.items()} == {
        "right": ALL + 2,
        "breaks": ALL,
        "looks": ALL + 2,
    }
    assert "no response to this request" in found.faults("breaks")["long-target"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_an_attack_changes_nothing(attack: Attack, attacked: Graded) -> None:
    found = attacked.grades[attack.name]
    assert (found["earned"], found["problem"]) == (attack.earned, "")
    assert attack.message in " ".join([*found["flags"], *attacked.faults(attack.name).values()])


def test_grading_continues_where_it_was_interrupted(http: Graded) -> None:
    kept = {path: path.stat().st_mtime_ns for path in http.folder.glob("out/runs/*/grade.json")}
    assert len(kept) == 1 + len(BUGS)
    # As kill -9 leaves it: a trial has begun, and has no grade yet.
    (again,) = (path for path in kept if path.parent.name == "lf")
    again.unlink()
    shutil.rmtree(http.folder / "out" / "students")
    assert grade(http.folder).grades == http.grades
    changed = [path.parent.name for path, time_ns in kept.items() if path.stat().st_mtime_ns != time_ns]
    assert changed == ["lf"]


def test_a_check_runs_the_public_stages_only(tmp_path: Path) -> None:
    (bug,) = (one for one in BUGS if one.name == "traversal")
    (tmp_path / "mine.py").write_text(bug.program(SERVER.read_text()))
    done = lab7("assignment", "check", "mine.py", "--assignment", NAME, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "11 of 11 points of the public stages; 1 hidden stage" in done.stdout
    assert "robustness" not in done.stdout
