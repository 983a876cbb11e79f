"""What students see of their grades: the deduction of late days, the questions, and no other student's id."""

from __future__ import annotations

import csv
import html
import io
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.course.lateness import Deadline, late_deduction, modified_s
from lab7.experiments.assignments.definition import Late
from lab7.experiments.assignments.grade import Grade, KeyStore, QuestionGrade
from lab7.experiments.assignments.graders import grade_all
from lab7.experiments.assignments.handin.record import HANDIN_NAME
from lab7.experiments.assignments.handout import question_texts
from lab7.experiments.assignments.variant import draw_variant
from tests.core.experiments.assignments.handin.samples import SECRET, make_handin, network
from tests.core.experiments.assignments.test_grade import ASSIGNMENT, found_in, right, store, submit
from tests.core.experiments.assignments.test_same_build import built, course

__all__ = ["course", "store"]
DEADLINE = datetime(2030, 5, 1, 12, tzinfo=UTC)


def one(store: KeyStore, folder: Path, deadline: Deadline) -> Grade:
    return next(grade for grade in grade_all(store, found_in(store, folder), deadline) if grade.student == "s1")


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (1, "handed in 1 day late: minus 10 %"),
        (25, "handed in 2 days late: minus 20 %"),
        (49, "3 days late: minus 100 %"),
    ],
)
def test_the_deduction_of_late_days_is_told(hours: int, said: str, store: KeyStore, tmp_path: Path) -> None:
    path = submit(tmp_path / "in", "s1", right(10))
    when = DEADLINE.timestamp() + hours * 3600
    os.utime(path, (when, when))
    grade = one(store, tmp_path / "in", Deadline(DEADLINE))
    assert said in gradebook.feedback_markdown(ASSIGNMENT, grade).replace("Handed", "handed")
    assert said in gradebook.moodle_csv(ASSIGNMENT, [grade])
    assert said in gradebook.gradescope_results(grade)["output"]
    in_time = one(store, tmp_path / "in", Deadline(None))
    assert "late" not in gradebook.feedback_markdown(ASSIGNMENT, in_time)


def test_a_time_of_hand_in_replaces_that_of_the_file(store: KeyStore, tmp_path: Path) -> None:
    path = submit(tmp_path / "in", "s1", right(10))
    os.utime(path, (DEADLINE.timestamp() + 90_000, DEADLINE.timestamp() + 90_000))
    assert one(store, tmp_path / "in", Deadline(DEADLINE, {"s1": DEADLINE.timestamp()})).late_days == 0
    assert one(store, tmp_path / "in", Deadline(DEADLINE, {"s2": 0.0})).late_days == 2


def test_the_time_of_a_folder_is_that_of_its_newest_file(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two")):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (number + 10, number + 10))
    assert modified_s(tmp_path) == 11
    assert modified_s(tmp_path / "one") == 10


@pytest.mark.parametrize(("days", "share"), [(0, 0.0), (1, 0.4), (3, 1.0), (4, 1.0)])
def test_the_deduction_is_at_most_all_points(days: int, share: float) -> None:
    assert late_deduction(Late(0.4, 3), days) == pytest.approx(share)


def test_students_see_no_other_student(store: KeyStore, tmp_path: Path) -> None:
    submit(tmp_path / "in", "s1", right(20), said="s3")
    grade = one(store, tmp_path / "in", Deadline())
    assert grade.flags == ("the sheet was given to s3", "the answers are those of s2")
    seen = json.dumps(gradebook.gradescope_results(grade))
    assert "the answers are those of another student" in seen
    assert "the sheet was given to another student" in seen
    assert not {"s2", "s3"} & set(seen.replace('"', " ").split())
    assert "those of s2" in gradebook.csv_text(ASSIGNMENT, [grade])


def test_an_id_is_replaced_as_a_whole_word() -> None:
    grade = Grade("ann", 0, 1, problem="made by anna, a.anna, anna.b, for ann, not anna.", others=("anna",))
    assert grade.for_student(grade.problem) == (
        "made by another student, a.anna, anna.b, for ann, not another student."
    )


def test_the_texts_of_questions_are_those_of_the_hand_out() -> None:
    texts = question_texts(draw_variant(network(), SECRET, "s1"))
    assert list(texts) == [question.id for question in network().questions]
    grade = Grade("s1", 0, 1, (QuestionGrade("q1", 0, 1, "", "not found", texts["q1"]),))
    assert texts["q1"]
    assert texts["q1"] in gradebook.feedback_markdown(ASSIGNMENT, grade)
    assert gradebook.gradescope_results(grade)["tests"][0]["output"] == f"{texts['q1']}\n\nnot found"


def grade(more: str = "") -> Result:
    words = "grade in --assignment network-tools --secret secret --build out"
    return CliRunner().invoke(assignment_command, [*words.split(), *more.split()])


def test_grade_says_how_many_are_not_graded_and_exits_with_1(course: Path) -> None:
    for student in ("s1", "s2", "s3"):
        built("network-tools", course / "out", student)
    made = make_handin(network(), "s1", course / "work")
    (course / "in" / "s1").mkdir(parents=True)
    shutil.copy(made, course / "in" / "s1" / HANDIN_NAME)
    found = grade()
    assert (found.exit_code, "1 graded, 0 not graded, 2 without a submission" in found.output) == (0, True)
    feedback = (course / "grades" / "students" / "s1" / "feedback.html").read_text()
    assert "handed in" not in feedback.lower()
    texts = question_texts(draw_variant(network(), SECRET, "s1"))
    assert [name for name, text in texts.items() if text.split("**")[0] not in html.unescape(feedback)] == []
    (course / "in" / "s2").mkdir()
    shutil.copy(made, course / "in" / "s2" / HANDIN_NAME)
    found = grade()
    assert (found.exit_code, "1 graded, 1 not graded, 1 without a submission" in found.output) == (1, True)
    assert "task file of s1" in found.output
    for name in ("feedback.html", "results.json"):
        seen = (course / "grades" / "students" / "s2" / name).read_text()
        assert "the task file of another student" in seen
        assert "s1" not in seen.split("<body")[-1]


def test_hand_in_times_by_a_list(course: Path) -> None:
    built("network-tools", course / "out")
    made = make_handin(network(), "s1", course / "work")
    (course / "in" / "s1").mkdir(parents=True)
    shutil.copy(made, course / "in" / "s1" / HANDIN_NAME)
    (course / "times.csv").write_text("student;submitted\ns1;2020-05-03T11:00+00:00\n")
    assert "--submitted needs the deadline" in grade("--submitted times.csv").output
    found = grade("--deadline 2020-05-01T12:00+00:00 --submitted times.csv")
    assert found.exit_code == 0
    assert "handed in 2 days late: minus 20 %" in found.output
    (course / "times.csv").write_text("student,submitted\ns1,yesterday\n")
    found = grade("--deadline 2020-05-01T12:00+00:00 --submitted times.csv")
    assert (found.exit_code, "times.csv, line 2: 'yesterday' is not an ISO 8601 time" in found.output) == (2, True)
    (course / "times.csv").write_text("name,submitted\n")
    found = grade("--deadline 2020-05-01T12:00+00:00 --submitted times.csv")
    assert (found.exit_code, "columns student and submitted" in found.output) == (2, True)


def test_the_roster_fills_the_columns_of_canvas_and_moodle(course: Path) -> None:
    built("network-tools", course / "out")
    made = make_handin(network(), "s1", course / "work")
    (course / "in" / "s1").mkdir(parents=True)
    shutil.copy(made, course / "in" / "s1" / HANDIN_NAME)
    (course / "roster.csv").write_text(
        "Student,ID,SIS User ID,SIS Login ID,Section,Email\n"
        "    Points Possible,,,,,\n"
        "Doe; Jo,17,u9,s1,A,jo@example.edu\n"
    )
    assert grade("--roster roster.csv").exit_code == 0
    rows = list(csv.reader(io.StringIO((course / "grades" / "canvas.csv").read_text())))
    assert rows[2][:5] == ["Doe; Jo", "17", "u9", "s1", "A"]
    rows = list(csv.reader(io.StringIO((course / "grades" / "moodle.csv").read_text())))
    assert rows[1][:2] == ["s1", "jo@example.edu"]
    (course / "roster.csv").write_text("student,name,username\ns1,Jo Doe,jodoe\n")
    assert grade("--roster roster.csv").exit_code == 0
    rows = list(csv.reader(io.StringIO((course / "grades" / "canvas.csv").read_text())))
    assert rows[2][:5] == ["Jo Doe", "", "", "s1", ""]
    assert (course / "grades" / "moodle.csv").read_text().splitlines()[1].startswith("jodoe,,")


def test_a_folder_without_a_sheet_is_named_and_exits_with_1(course: Path) -> None:
    built("http-basics", course / "out")
    (course / "in" / "s1").mkdir(parents=True)
    (course / "in" / "s1" / "answers.yaml.txt").write_text("assignment: http-basics\n")
    words = ["grade", "in", "--assignment", "http-basics", "--secret", "secret", "--build", "out"]
    found = CliRunner().invoke(assignment_command, words)
    assert found.exit_code == 1
    assert "0 graded, 1 not graded, 0 without a submission" in found.output
    (grade,) = json.loads((course / "grades" / "grades.json").read_text())
    assert grade["problem"] == "the folder has answers.yaml.txt, but no answers.yaml"


def test_the_roster_names_the_student_of_a_folder_by_moodle(course: Path) -> None:
    built("network-tools", course / "out")
    made = make_handin(network(), "s1", course / "work")
    folder = course / "in" / "Ada_123_assignsubmission_file_"
    folder.mkdir(parents=True)
    shutil.copy(made, folder / HANDIN_NAME)
    assert "Ada_123_assignsubmission_file_ is not on the roster" in " ".join(grade().output.split())
    (course / "roster.csv").write_text("student,name\ns1,Ada\n")
    found = grade("--roster roster.csv")
    assert (found.exit_code, "1 graded, 0 not graded, 0 without a submission" in found.output) == (0, True), (
        found.output
    )
