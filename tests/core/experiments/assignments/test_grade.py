"""Grading: full marks, no answer, copies, broken sheets, late sheets, and the gradebooks."""

from __future__ import annotations

import csv
import io
import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lab7.experiments.assignments import gradebook, graders
from lab7.experiments.assignments.answer_types import Frames, Number, Text
from lab7.experiments.assignments.course.lateness import Deadline
from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.definition import Assignment, Key, Late, Question, find_assignment
from lab7.experiments.assignments.grade import Grade, KeyStore, grade_file, grade_question
from lab7.experiments.assignments.graders import grade_all, submissions_of
from lab7.experiments.assignments.submissions.collection import Collected
from lab7.experiments.assignments.submissions.names import Course

SECRET = bytes(32)


def unused(_seen: object) -> Key:
    raise AssertionError


QUESTIONS = tuple(Question(f"q{number}", 2, "http.request", "Look.", unused) for number in range(1, 5))
ASSIGNMENT = Assignment(
    name="sample",
    title="A sample",
    topology="web",
    parameters={},
    interfaces=("client",),
    late=Late(0.1, 2),
    folder=Path(),
    template="",
    questions=QUESTIONS,
    variant=lambda _draw: {},
    record=lambda _lab: None,
)


def key(number: int) -> dict[str, Key]:
    return {
        "q1": Key(Number(number), (number,), "Count."),
        "q2": Key(Text(f"name{number}"), (2,), "Read."),
        "q3": Key(Frames((number, number + 1)), (3,), "Look."),
        "q4": Key(Text("200 OK"), (4,), "The same for all."),
    }


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    for student in ("s1", "s2", "s3"):
        (tmp_path / "out" / "keys" / student).mkdir(parents=True)
        (tmp_path / "out" / "keys" / student / "key.json").write_text("{}")
    keys = {student: key(number) for number, student in ((10, "s1"), (20, "s2"), (30, "s3"))}
    return KeyStore(ASSIGNMENT, SECRET, tmp_path / "out", keys)


def submit(folder: Path, student: str, answers: dict[str, str], said: str = "", flat: bool = False) -> Path:
    path = folder / f"{student}.yaml" if flat else folder / student / "answers.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"  {name}: {json.dumps(value)}\n" for name, value in answers.items())
    path.write_text(f"assignment: sample\nstudent: {said or student}\nanswers:\n{rows}")
    return path


def rename(path: Path, name: str) -> None:
    """Rename a sheet in its folder; `name` may have a subfolder."""
    target = path.parent / name
    target.parent.mkdir(exist_ok=True)
    path.rename(target)


def right(number: int) -> dict[str, str]:
    return {name: one.answer.shown() for name, one in key(number).items()}


def found_in(store: KeyStore, folder: Path, rows: dict[str, dict[str, str]] | None = None) -> Collected:
    return submissions_of("sheet", folder, Course(store.students, Roster(rows or {})))


def grades(store: KeyStore, folder: Path, deadline: datetime | None = None) -> dict[str, Grade]:
    return {grade.student: grade for grade in grade_all(store, found_in(store, folder), Deadline(deadline))}


def test_the_answers_of_the_key_earn_full_points(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", right(10))
    submit(tmp_path / "in", "s2", right(20), flat=True)
    found = grades(store, tmp_path / "in")
    assert [(found[one].earned, found[one].flags) for one in ("s1", "s2")] == [(8, ()), (8, ())]
    assert not found["s3"].graded
    assert found["s3"].problem == "no submission"


def test_an_empty_sheet_earns_nothing_and_is_told_the_answers(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", {})
    grade = grades(store, tmp_path / "in")["s1"]
    assert (grade.earned, grade.graded) == (0, True)
    assert all("correct: " in one.feedback and "filter: http.request" in one.feedback for one in grade.questions)


def test_the_answers_of_another_student_are_flagged(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", right(20))
    submit(tmp_path / "in", "s3", right(30), said="s2")
    found = grades(store, tmp_path / "in")
    assert found["s1"].flags == ("the answers are those of s2",)
    assert found["s1"].earned == 2
    assert found["s3"].flags == ("the sheet was given to s2",)


def test_wrong_answers_of_ones_own_are_no_copy(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", {"q1": "11", "q2": "name", "q3": "1, 2", "q4": "404"})
    assert grades(store, tmp_path / "in")["s1"].flags == ()


def test_an_answer_of_another_form_costs_only_itself(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", {**right(10), "q1": "ten"})
    grade = grades(store, tmp_path / "in")["s1"]
    assert grade.earned == 6
    assert grade.questions[0].feedback.startswith("not understood (expected a number, not 'ten')")


BROKEN = {
    "binary": b"\x89PNG\xff\xfe",
    "large": b"answers:\n" + b"x" * 10_000_000,
    "aliases": b"a: &a [x,x]\nb: &b [*a,*a]\nassignment: sample\n",
    "another assignment": b"assignment: other\nstudent: s1\nanswers: {q1: 1}\n",
    "not YAML": b"assignment: [sample\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sheet_is_one_sentence_and_costs_only_itself(name: str, store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s2", right(20))
    path = submit(tmp_path / "in", "s1", {})
    path.write_bytes(BROKEN[name])
    found = grades(store, tmp_path / "in")
    assert not found["s1"].graded
    assert found["s1"].problem
    assert "\n" not in found["s1"].problem
    assert found["s2"].earned == 8


@pytest.mark.parametrize("name", ["answers.yml", "Answers.YAML", "answers (1).yaml", "s1/http.yaml"])
def test_the_only_yaml_file_of_a_folder_is_the_sheet(name: str, store: KeyStore, tmp_path: Path) -> None:
    rename(submit(tmp_path / "in", "s1", right(10)), name)
    (tmp_path / "in" / "s1" / ".DS_Store").write_bytes(b"")
    grade = grades(store, tmp_path / "in")["s1"]
    assert (grade.earned, grade.problem, grade.flags) == (8, "", ())


@pytest.mark.parametrize("name", ["s1.YML", "s1_answers.YAML", "s1-12-answers (1).yml"])
def test_names_of_exported_sheets(name: str, store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", right(10), flat=True).rename(tmp_path / "in" / name)
    assert grades(store, tmp_path / "in")["s1"].earned == 8


UNNAMED = {
    ("answers.yaml.txt",): "the folder has answers.yaml.txt, but no answers.yaml",
    ("a.yaml", "b.yml"): "the folder has a.yaml and b.yml, but no answers.yaml",
    ("a.txt", "b.txt", "c.txt", "d.txt", "e.txt"): "the folder has a.txt, b.txt, c.txt and 2 more, but no answers.yaml",
    ("work/answers.docx",): "the folder has work/answers.docx, but no answers.yaml",
}


@pytest.mark.parametrize("names", UNNAMED)
def test_a_folder_with_files_but_no_sheet_is_not_missing(
    names: tuple[str, ...], store: KeyStore, tmp_path: Path
) -> None:
    for name in names:
        rename(submit(tmp_path / "in", "s2", right(20)), name)
    grade = grades(store, tmp_path / "in")["s2"]
    assert (grade.problem, grade.missing) == (UNNAMED[names], False)


def test_an_exported_file_with_another_suffix_is_not_missing(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", right(10), flat=True).rename(tmp_path / "in" / "s1-answers.yaml.txt")
    assert (
        grades(store, tmp_path / "in")["s1"].problem == "s1-answers.yaml.txt is not a YAML file: hand in answers.yaml"
    )


def test_an_empty_folder_is_no_submission(store: KeyStore, tmp_path: Path) -> None:
    (tmp_path / "in" / "s1").mkdir(parents=True)
    assert grades(store, tmp_path / "in")["s1"].missing


def test_a_second_sheet_beside_the_graded_one_is_flagged(store: KeyStore, tmp_path: Path) -> None:
    rename(submit(tmp_path / "in", "s1", {}), "answers (1).yaml")
    submit(tmp_path / "in", "s1", right(10))
    grade = grades(store, tmp_path / "in")["s1"]
    assert (grade.earned, grade.flags) == (8, ("not graded, beside answers.yaml: answers (1).yaml",))


def test_an_answer_that_ends_with_a_dot_has_one_in_the_feedback() -> None:
    grade = grade_question(ASSIGNMENT, "q1", Key(Text("org.", name=True), (4,), "Frame 4."), None)
    assert "correct: org. Frame 4." in grade.feedback


def test_a_stranger_is_told_and_gets_no_score(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "mallory", right(10))
    assert grades(store, tmp_path / "in")["mallory"].problem == "mallory is not on the roster of this build"


@pytest.mark.parametrize(("hours", "days", "earned"), [(-1, 0, 8), (1, 1, 7.2), (25, 2, 6.4), (49, 3, 0)])
def test_late_sheets(hours: int, days: int, earned: float, store: KeyStore, tmp_path: Path) -> None:
    deadline = datetime(2030, 5, 1, 12, tzinfo=UTC)
    path = submit(tmp_path / "in", "s1", right(10))
    when = deadline.timestamp() + hours * 3600
    os.utime(path, (when, when))
    grade = grades(store, tmp_path / "in", deadline)["s1"]
    assert grade.late_days == days
    assert grade.earned == pytest.approx(earned)


def test_gradebooks(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", right(10))
    submit(tmp_path / "in", "s2", {**right(20), "q2": "=HYPERLINK(1)"})
    found = list(grades(store, tmp_path / "in").values())
    rows = list(csv.DictReader(io.StringIO(gradebook.csv_text(ASSIGNMENT, found))))
    assert [(row["student"], row["earned"], row["q2"]) for row in rows] == [
        ("s1", "8", "2"),
        ("s2", "6", "0"),
        ("s3", "", ""),
    ]
    canvas = list(csv.reader(io.StringIO(gradebook.canvas_csv(ASSIGNMENT, found))))
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "A sample"]
    assert [row[3:] for row in canvas[2:]] == [["s1", "", "8"], ["s2", "", "6"]]
    moodle = list(csv.reader(io.StringIO(gradebook.moodle_csv(ASSIGNMENT, found))))
    assert [row[:3] for row in moodle] == [["username", "email address", "A sample"], ["s1", "", "8"], ["s2", "", "6"]]
    suites = ET.fromstring(gradebook.junit_xml(ASSIGNMENT, found))
    assert [(one.get("name"), one.get("failures"), one.get("errors")) for one in suites] == [
        ("s1", "0", "0"), ("s2", "1", "0"), ("s3", "0", "1"),
    ]  # fmt: skip
    results = gradebook.gradescope_results(found[1])
    assert (results["score"], results["max_score"]) == (6, 8)
    assert set(results["tests"][0]) == {
        "name",
        "score",
        "max_score",
        "status",
        "output",
        "output_format",
        "visibility",
        "tags",
    }
    assert "score" not in gradebook.gradescope_results(found[2])


def test_files_of_all_students_are_written(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", {**right(10), "q2": "<script>alert(1)</script>"})
    found = list(grades(store, tmp_path / "in").values())
    gradebook.write_all(ASSIGNMENT, found, tmp_path / "grades")
    page = (tmp_path / "grades" / "students" / "s1" / "feedback.html").read_text()
    assert "<script>" not in page
    assert "6 of 8 points" in page
    assert json.loads((tmp_path / "grades" / "students" / "s1" / "results.json").read_text())["score"] == 6


def test_a_formula_in_a_cell_is_text() -> None:
    grade = Grade("=1+1", 0, 8, problem="@SUM(A1)")
    (row,) = csv.DictReader(io.StringIO(gradebook.csv_text(ASSIGNMENT, [grade])))
    assert (row["student"], row["problem"]) == ("'=1+1", "'@SUM(A1)")


def test_the_catalogue_is_valid() -> None:
    from lab7.experiments.assignments.definition import catalogue, takes_programs
    from lab7.experiments.assignments.programs.definition import find_program_assignment

    for name in catalogue():
        if takes_programs(name):
            stages = find_program_assignment(name).stages
            assert [stage.hidden for stage in stages].count(True) >= 1
            continue
        assignment = find_assignment(name)
        assert 8 <= len(assignment.questions) <= 12
        assert all(question.hint and question.filter for question in assignment.questions)


def test_a_submission_that_lab7_fails_on_costs_only_itself(
    store: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(tmp_path / "in", "s1", right(10))
    submit(tmp_path / "in", "s2", right(20))

    def fails(keys: KeyStore, student: str, places: Sequence[Path]) -> Grade:
        if student == "s1":
            raise RuntimeError("broken")
        return grade_file(keys, student, places)

    monkeypatch.setattr(graders, "grade_file", fails)
    found = grades(store, tmp_path / "in")
    assert "RuntimeError: broken" in found["s1"].problem
    assert (found["s2"].earned, found["s2"].problem) == (8, "")
