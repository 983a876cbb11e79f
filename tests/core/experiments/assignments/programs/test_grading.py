"""Grading of programs on the host: kept grades, reasons, submissions that cannot be run, and what is not graded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.course.lateness import Deadline
from lab7.experiments.assignments.definition import AssignmentError, find_assignment
from lab7.experiments.assignments.grade import Grade
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.grading import Grading, grade_programs
from lab7.experiments.assignments.programs.submission import find_programs
from lab7.experiments.assignments.programs.trial import NETWORK, STARTED, note_end
from lab7.experiments.assignments.submissions.archive import BYTES_MAX
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import Check, Fidelity, Files, Result
from lab7.experiments.harness.virtual_time.kernel_run import StandstillError
from lab7.topologies.emulation.errors import EmulationError

SECRET = bytes(32)
ASSIGNMENT = find_program_assignment("http-server")
CLAIMS = ASSIGNMENT.experiment.claims
Work = Callable[[Path, Callable[[str, float], None]], None]


def result(folder: Path, failed: str = "", suspect: bool = False) -> None:
    """Write the result of a trial in which one claim failed, or none."""
    word = "suspect" if suspect else "valid"
    Result(
        experiment=ASSIGNMENT.experiment.name,
        question="",
        parameters={},
        seed=1,
        started=datetime(2030, 1, 1, tzinfo=UTC).isoformat(),
        duration_s=1.0,
        implementations={},
        claims=tuple(Verdict(one, "failed" if one == failed else "shown", f"About {one}.") for one in CLAIMS),
        comparisons=(),
        fidelity=Fidelity(word, (Check("capture drops", "0", "1", word),)),  # type: ignore[arg-type]
        files=Files(None, "timings.csv", "report.html", None),
    ).save(folder)


@dataclass(frozen=True)
class FakeTime:
    """Virtual time whose kernel does what a test wants; `calls` are the subjects of the trials."""

    work: Work
    seed: int = 1
    still_limit_s: float = 1.0
    calls: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def call(self, folder: Path, name: str, request: Mapping[str, Any], step: Callable[[str, float], None]) -> None:
        self.calls.append(name)
        assert request["seed"] == self.seed
        step(NETWORK, 0.1)
        self.work(folder, step)

    def stop(self, why: str) -> None:
        self.stopped.append(why)


def grading(out: Path, work: Work) -> Grading:
    virtual: Any = FakeTime(work)
    return Grading(ASSIGNMENT, "http-server", virtual, out, ASSIGNMENT.stages, {})


def graded(one: Grading, folder: Path, deadline: datetime | None = None) -> dict[str, Grade]:
    found = find_programs(folder, "server.py", folder.parent).submissions
    grades = grade_programs(one, found, sorted(found), SECRET, 2, Deadline(deadline), lambda _what, _share: None)
    return {grade.student: grade for grade in grades}


@pytest.fixture
def submissions(tmp_path: Path) -> Path:
    (tmp_path / "in" / "s1").mkdir(parents=True)
    (tmp_path / "in" / "s1" / "server.py").write_text("pass\n")
    return tmp_path / "in"


def test_a_stage_opens_when_the_one_before_is_passed(submissions: Path, tmp_path: Path) -> None:
    grade = graded(grading(tmp_path / "out", lambda folder, _: result(folder, "head")), submissions)["s1"]
    assert [(one.question, one.earned) for one in grade.questions[:5]] == [
        ("get", 2),
        ("content", 2),
        ("fields", 1),
        ("head", 0),
        ("missing", 0),
    ]
    assert grade.questions[3].feedback == "About head."
    assert grade.questions[4].feedback == "not opened: pass the stage head first"
    assert (grade.earned, grade.possible, grade.problem, grade.flags) == (5, 14, "", ())


def test_a_grade_is_kept_until_the_program_changes(submissions: Path, tmp_path: Path) -> None:
    one = grading(tmp_path / "out", lambda folder, _: result(folder))
    first = graded(one, submissions)
    assert first["s1"].earned == 14
    assert graded(one, submissions) == first
    virtual: Any = one.virtual
    assert len(virtual.calls) == 1
    (submissions / "s1" / "server.py").write_text("changed\n")
    graded(one, submissions)
    assert len(virtual.calls) == 2
    graded(replace(one, stages=one.stages[:2]), submissions)
    assert len(virtual.calls) == 3


def test_late_programs_lose_points_and_kept_grades_do_not(submissions: Path, tmp_path: Path) -> None:
    one = grading(tmp_path / "out", lambda folder, _: result(folder))
    deadline = datetime.fromtimestamp((submissions / "s1" / "server.py").stat().st_mtime - 90_000, UTC)
    assert (graded(one, submissions, deadline)["s1"].earned, graded(one, submissions)["s1"].earned) == (11.2, 14)


def fail(error: Exception, *steps: str) -> Work:
    def work(_folder: Path, step: Callable[[str, float], None]) -> None:
        for what in steps:
            step(what, 0.5)
        raise error

    return work


NOT_GRADED = {
    "lab7 stands still": (fail(StandstillError("ended")), "lab7 failed (ended): grade again"),
    "lab7 fails": (fail(EmulationError("no bridge")), "lab7 failed (no bridge): grade again"),
    "no result": (lambda _folder, _step: None, "the trial has no result"),
    "suspect": (lambda folder, _step: result(folder, suspect=True), "the run is suspect (capture drops)"),
}


@pytest.mark.parametrize("name", NOT_GRADED)
def test_a_failure_of_lab7_is_not_graded_and_tried_again(name: str, submissions: Path, tmp_path: Path) -> None:
    work, problem = NOT_GRADED[name]
    grade = graded(grading(tmp_path / "out", work), submissions)["s1"]
    assert not grade.graded
    assert problem in grade.problem
    assert graded(grading(tmp_path / "out", lambda folder, _: result(folder)), submissions)["s1"].earned == 14


def test_a_program_that_computes_for_ever_earns_nothing(submissions: Path, tmp_path: Path) -> None:
    work = fail(StandstillError("ended"), STARTED, "get, 1 of 22")
    grade = graded(grading(tmp_path / "out", work), submissions)["s1"]
    assert (grade.graded, grade.earned) == (True, 0)
    assert "without end (at the step 'get, 1 of 22')" in grade.flags[0]


def test_the_last_line_of_a_program_is_told_without_control_characters(submissions: Path, tmp_path: Path) -> None:
    work = lambda folder, _step: note_end(folder, "the program ended: NameError\x1b[2J\n" + "x" * 9_999)  # noqa: E731
    grade = graded(grading(tmp_path / "out", work), submissions)["s1"]
    assert grade.flags[0].startswith("the program ended: NameError [2J x")
    assert len(grade.flags[0]) == 400
    assert grade.questions[0].feedback.startswith("the program ended: NameError")


def test_submissions_that_cannot_be_run_earn_nothing_with_a_reason(submissions: Path, tmp_path: Path) -> None:
    (submissions / "s2").mkdir()
    (submissions / "s2" / "sever.py").write_text("pass\n")
    (submissions / "s3").mkdir()
    (submissions / "s3" / "server.py").symlink_to("/etc/passwd")
    (submissions / "s4").mkdir()
    with (submissions / "s4" / "server.py").open("wb") as stream:
        stream.truncate(BYTES_MAX + 1)
    (submissions / "s5-final-server.py").write_text("pass\n")
    one = grading(tmp_path / "out", lambda folder, _: result(folder))
    found = graded(one, submissions)
    reasons = {student: grade.flags for student, grade in found.items()}
    assert reasons["s2"] == reasons["s3"] == ("the submission has no file server.py",)
    assert "more than" in reasons["s4"][0]
    assert {student: grade.earned for student, grade in found.items()} == {
        "s1": 14,
        "s2": 0,
        "s3": 0,
        "s4": 0,
        "s5": 14,
    }
    assert not any(grade.problem for grade in found.values())


def test_links_and_pipes_are_not_copied(submissions: Path, tmp_path: Path) -> None:
    import os

    os.mkfifo(submissions / "s1" / "pipe")
    (submissions / "s1" / "link").symlink_to("/etc")
    (submissions / "s1" / "module").mkdir()
    (submissions / "s1" / "module" / "part.py").write_text("x = 1\n")
    find_programs(submissions, "server.py", tmp_path).submissions["s1"].copy_to(tmp_path / "copy")
    copied = sorted(str(path.relative_to(tmp_path / "copy")) for path in (tmp_path / "copy").rglob("*"))
    assert copied == ["module", "module/part.py", "server.py"]


def test_gradebooks_have_a_column_for_each_stage(submissions: Path, tmp_path: Path) -> None:
    grade = graded(grading(tmp_path / "out", lambda folder, _: result(folder, "kept")), submissions)["s1"]
    gradebook.write_all(ASSIGNMENT, [grade], tmp_path / "books")
    header, row = (tmp_path / "books" / "grades.csv").read_text().splitlines()
    assert header.split(",")[4:12] == [stage.id for stage in ASSIGNMENT.stages]
    assert row.startswith("s1,7,14,0,2,2,1,1,1,0,0,0,")
    shown = json.loads((tmp_path / "books" / "students" / "s1" / "results.json").read_text())
    assert (shown["score"], shown["max_score"], shown["tests"][5]["output"]) == (
        7,
        14,
        f"{ASSIGNMENT.stages[5].title}\n\nAbout kept.",
    )


def test_an_assignment_of_the_other_kind_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(AssignmentError, match="a program is handed in"):
        find_assignment("http-server")
    with pytest.raises(AssignmentError, match="is no program assignment"):
        find_program_assignment("http-basics")
    (tmp_path / "secret").write_text("00" * 32)
    words = ["grade", str(tmp_path), "--assignment", "http-basics", "--secret", str(tmp_path / "secret")]
    done = CliRunner().invoke(assignment_command, words)
    assert done.exit_code == 2
    assert "give its folder by --build" in done.output
    (tmp_path / "roster.csv").write_text("student\ns1\n")
    words = ["build", "http-server", "--roster", str(tmp_path / "roster.csv"), "--secret", str(tmp_path / "secret")]
    done = CliRunner().invoke(assignment_command, [*words, "-o", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "`lab7 assignment handout http-server -o FOLDER` writes its hand-out" in done.output


BROKEN = {
    'role = "origin"': ('role = "proxy"', "has no role proxy"),
    'claims = ["head"]': ('claims = ["tail"]', "has no claim tail"),
    'claims = ["missing"]': ('rules = ["http-nothing"]', "there is no message rule http-nothing"),
    'claims = ["conditional"]': ('rules = ["http-no-content"]', "message rules need sender"),
    "hidden = true": ('hidden = "yes"', "hidden of the stage robustness is of the wrong type"),
    'file = "server.py"': ('file = "/etc/passwd"', "file must be the name of a file"),
    "python3 {file}": ("python3 server.py", "command must have {file}"),
}


@pytest.mark.parametrize("right", BROKEN)
def test_a_wrong_definition_is_one_sentence(right: str, tmp_path: Path) -> None:
    wrong, message = BROKEN[right]
    text = (ASSIGNMENT.folder / "assignment.toml").read_text()
    assert text.count(right) == 1
    (tmp_path / "assignment.toml").write_text(text.replace(right, wrong))
    (tmp_path / "exercise.py").write_text((ASSIGNMENT.folder / "exercise.py").read_text())
    with pytest.raises(AssignmentError) as error:
        find_program_assignment(f"{tmp_path}/")
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1
