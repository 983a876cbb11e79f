"""Predictions and networks in virtual time: measurement with the student's parameters, and grades from hand-ins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lab7.experiments.assignments.answer_types import Found
from lab7.experiments.assignments.build import build, record
from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.definition import find_assignment
from lab7.experiments.assignments.grade import KeyStore
from lab7.experiments.assignments.graders import grade_all, submissions_of
from lab7.experiments.assignments.handin.record import HANDIN_NAME
from lab7.experiments.assignments.handin.task import read_task
from lab7.experiments.assignments.predictions.command import measure
from lab7.experiments.assignments.predictions.commitment import commit
from lab7.experiments.assignments.recording import CAPTURE_NAME
from lab7.experiments.assignments.sheet import Sheet
from lab7.experiments.assignments.skeleton import write_skeleton
from lab7.experiments.assignments.submissions.names import Course
from lab7.experiments.assignments.variant import draw_variant, read_keys
from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime
from tests.kernel.assignments import tshark
from tests.kernel.assignments.expected_prediction import HTTP_PREDICTION
from tests.kernel.assignments.test_build import SECRET, STUDENTS, build_all, virtual

__all__ = ["virtual"]
pytestmark = pytest.mark.slow


def test_predictions_are_measured_as_in_the_build(tmp_path: Path, virtual: VirtualTime) -> None:
    name, out = "http-prediction", tmp_path / "out"
    build_all(name, out, virtual)
    assignment = find_assignment(name)
    for student in STUDENTS:
        key = json.loads((out / "keys" / student / "key.json").read_text())
        capture = out / "keys" / student / CAPTURE_NAME
        assert {one: answer(capture, key["values"]) for one, answer in HTTP_PREDICTION.items()} == {
            one: found["answer"] for one, found in key["answers"].items()
        }
        for one in assignment.questions:
            assert set(tshark.frames(capture, one.filter)) & set(key["answers"][one.id]["frames"])
        # The hand-out has no capture, from which the predictions could be read.
        assert not (out / "handouts" / student / CAPTURE_NAME).exists()
        # s1 predicts what is measured, s2 a tenth of the time of q3.
        answers = {one: found["answer"] for one, found in key["answers"].items()}
        if student == "s2":
            answers["q3"] = "1 ms"
        task = read_task(out / "handouts" / student, "predict")
        work = tmp_path / student
        predictions = commit(task, Sheet(name, student, answers), work)
        measure(task, predictions, work, virtual)
        assert (work / CAPTURE_NAME).read_bytes() == capture.read_bytes()
        (tmp_path / "in" / student).mkdir(parents=True)
        shutil.copy(work / HANDIN_NAME, tmp_path / "in" / student)
    grades = {
        one.student: one
        for one in grade_all(
            KeyStore(assignment, SECRET, out), submissions_of("predict", tmp_path / "in", Course(STUDENTS, Roster({})))
        )
    }
    points = {question.id: question.points for question in assignment.questions}
    assert (grades["s1"].earned, grades["s1"].problem, grades["s1"].flags) == (assignment.points, "", ())
    assert (grades["s2"].earned, grades["s2"].problem) == (assignment.points - points["q3"], "")
    (wrong,) = (one for one in grades["s2"].questions if one.question == "q3")
    assert "tcp_handshake" in wrong.feedback
    assert "2n RTT + X" in wrong.feedback


def test_a_solution_of_the_network_has_full_points(tmp_path: Path, virtual: VirtualTime) -> None:
    assignment = find_assignment("network-tools")
    for student in STUDENTS:
        variant = draw_variant(assignment, SECRET, student)
        folder = tmp_path / student
        folder.mkdir()
        record(variant, "network-tools", folder, virtual)
        keys = read_keys(variant, folder / CAPTURE_NAME)
        assert {name: key.answer for name, key in keys.items()} == dict.fromkeys(keys, Found(1.0)), keys
        for question in assignment.questions:
            assert set(tshark.frames(folder / CAPTURE_NAME, question.filter)) & set(keys[question.id].frames)
        # In the capture of another student, nothing that is drawn is found.
        other = draw_variant(assignment, SECRET, next(one for one in STUDENTS if one != student))
        foreign = read_keys(other, folder / CAPTURE_NAME)
        assert [foreign[one].answer.shown() for one in ("q2", "q4", "q5", "q6", "q7")] == ["not found"] * 5


@pytest.mark.parametrize("kind", ["predict", "network"])
def test_the_skeleton_of_a_kind_can_be_built_and_solved(
    kind: str, tmp_path: Path, virtual: VirtualTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_skeleton(Path(), "my-first", kind)
    assignment = find_assignment("./my-first")
    variant = draw_variant(assignment, SECRET, "s1")
    (tmp_path / "work").mkdir()
    record(variant, "./my-first", tmp_path / "work", virtual)
    keys = read_keys(variant, tmp_path / "work" / CAPTURE_NAME)
    assert [key.answer.score(key.answer.shown()) for key in keys.values()] == [1]


def test_a_network_is_built_without_the_kernel(tmp_path: Path) -> None:
    assignment, out = find_assignment("network-tools"), tmp_path / "out"
    results = build(assignment, "network-tools", STUDENTS, SECRET, out, None, 2, lambda _what, _share: None)
    assert [one.error for one in results] == ["", ""]
    names = {path.name for path in (out / "handouts" / "s1").iterdir()}
    assert (
        {"handout.html", "handout.md", "task.json"}
        <= names
        <= {"handout.html", "handout.md", "handout.pdf", "task.json"}
    )
