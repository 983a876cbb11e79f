"""Grading of hand-ins of a network: by the packets, and not at all if a hand-in is not the student's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.grade import Grade, KeyStore
from lab7.experiments.assignments.graders import grade_all, submissions_of
from lab7.experiments.assignments.handin.record import HANDIN_NAME
from lab7.experiments.assignments.recording import CAPTURE_NAME
from lab7.experiments.assignments.submissions.names import Course
from tests.core.experiments.assignments.handin.samples import SECRET, make_handin, network


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    for student in ("s1", "s2", "s3", "s4"):
        (tmp_path / "out" / "keys" / student).mkdir(parents=True)
        (tmp_path / "out" / "keys" / student / "key.json").write_text("{}")
    return KeyStore(network(), SECRET, tmp_path / "out")


def grades(store: KeyStore, folder: Path) -> dict[str, Grade]:
    return {
        one.student: one
        for one in grade_all(store, submissions_of("network", folder, Course(store.students, Roster({}))))
    }


def test_hand_ins_are_graded_by_their_packets_or_not_at_all(store: KeyStore, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for student in ("s1", "s4"):
        make_handin(network(), student, tmp_path / student)
    folder.mkdir()
    shutil.copy(tmp_path / "s1" / HANDIN_NAME, folder / "s1_123_handin.zip")
    # s2 hands in the zip file of s1; s4 a folder in which the capture was changed.
    (folder / "s2").mkdir()
    shutil.copy(tmp_path / "s1" / HANDIN_NAME, folder / "s2")
    shutil.copytree(tmp_path / "s4", folder / "s4")
    with (folder / "s4" / CAPTURE_NAME).open("ab") as stream:
        stream.write(b"\0")
    found = grades(store, folder)
    assert (found["s1"].earned, found["s1"].problem) == (0, "")
    assert found["s1"].questions[0].feedback.startswith("not found: There is no query for")
    assert found["s2"].problem == "it was made with the task file of s1, not of s2"
    assert found["s3"].problem == "no submission"
    assert "trace.pcapng was changed after the run" in found["s4"].problem


def test_a_hand_in_of_a_stranger_is_not_graded(store: KeyStore, tmp_path: Path) -> None:
    make_handin(network(), "mallory", tmp_path / "in" / "mallory")
    assert "not on the roster" in grades(store, tmp_path / "in")["mallory"].problem
