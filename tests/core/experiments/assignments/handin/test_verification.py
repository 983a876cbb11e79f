"""Verification of hand-ins: changes, foreign captures and task files, and files that lab7 did not write."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.assignments.definition import Assignment, AssignmentError
from lab7.experiments.assignments.handin.record import HANDIN_NAME, RECORD_NAME, read_handin
from lab7.experiments.assignments.handin.task import TASK_NAME, read_task
from lab7.experiments.assignments.handin.verification import Verified, verify
from lab7.experiments.assignments.recording import CAPTURE_NAME
from lab7.experiments.harness.results.result import Check, Fidelity
from tests.core.experiments.assignments.handin.samples import make_handin, make_task, network, verifier


@pytest.fixture
def assignment() -> Assignment:
    return network()


@pytest.fixture
def work(tmp_path: Path, assignment: Assignment) -> Path:
    make_handin(assignment, "s1", tmp_path / "work")
    return tmp_path / "work"


def verified(place: Path, assignment: Assignment, student: str | None = None) -> Verified:
    scratch = place.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    for path in scratch.iterdir():
        path.unlink()
    return verify(place, scratch, verifier(assignment), student)


def test_a_hand_in_is_verified_as_zip_file_and_as_folder(work: Path, assignment: Assignment) -> None:
    for place in (work / HANDIN_NAME, work):
        found = verified(place, assignment, "s1")
        assert found.problems == ()
        lines = dict(found.lines)
        assert (lines["student"], lines["clock"], lines["nonce"]) == ("s1", "real", "of s1")
        assert lines["signature"] == "by the task file of s1"
        assert lines["certificate"].startswith("valid (capture at alice: 0 dropped")


@pytest.mark.parametrize("place", [0, 40, -1])
def test_one_changed_octet_of_the_capture_is_told(work: Path, assignment: Assignment, place: int) -> None:
    octets = bytearray((work / CAPTURE_NAME).read_bytes())
    octets[place] ^= 1
    (work / CAPTURE_NAME).write_bytes(octets)
    assert "trace.pcapng was changed after the run" in verified(work, assignment).problems[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [("made", "2020-01-01T00:00:00+00:00"), ("lab7", "9.9"), ("student", "s2"), ("kind", "predict"), ("files", {})],
)
def test_a_changed_record_is_told(work: Path, assignment: Assignment, name: str, value: Any) -> None:
    path = work / RECORD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    assert any("signature" in problem for problem in verified(work, assignment).problems)


def test_the_capture_of_another_student_is_named(tmp_path: Path, assignment: Assignment) -> None:
    # s2 signs the capture of s1 with the key of s2.
    make_handin(assignment, "s2", tmp_path / "work", nonce_of="s1")
    assert verified(tmp_path / "work", assignment, "s2").problems == ("the capture is that of s1",)


def test_the_hand_in_of_another_student_is_named(work: Path, assignment: Assignment) -> None:
    assert verified(work, assignment, "s2").problems == ("it was made with the task file of s1, not of s2",)


def test_a_capture_without_the_nonce_is_told(tmp_path: Path, assignment: Assignment) -> None:
    make_handin(assignment, "s1", tmp_path / "work", nonce_of="s9")
    assert "is in no packet" in verified(tmp_path / "work", assignment).problems[0]


def test_a_suspect_run_is_told(tmp_path: Path, assignment: Assignment) -> None:
    suspect = Fidelity("suspect", (Check("capture at alice", "0 dropped", "3 dropped of 9", "suspect"),))
    make_handin(assignment, "s1", tmp_path / "work", suspect)
    assert verified(tmp_path / "work", assignment).problems == (
        "the run is suspect (capture at alice: 3 dropped of 9): run it again",
    )


def test_without_the_secret_the_signature_is_not_claimed(work: Path, tmp_path: Path) -> None:
    found = verify(work, tmp_path, None)
    assert dict(found.lines)["signature"].startswith("not verified")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"format": 1}', "[" * 100_000, '{"format": 1e999}', '"\\ud800"'],
)
def test_a_record_that_lab7_did_not_write_is_one_sentence(work: Path, tmp_path: Path, content: str) -> None:
    (work / RECORD_NAME).write_text(content)
    with pytest.raises(AssignmentError, match=r"hand in handin\.zip"):
        read_handin(work, tmp_path)


@pytest.mark.parametrize(("name", "value"), [("student", "\ud800"), ("student", "a/../b"), ("lab7", "\x1b[2J")])
def test_names_that_lab7_does_not_write_are_refused(work: Path, tmp_path: Path, name: str, value: str) -> None:
    path = work / RECORD_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), name: value}))
    with pytest.raises(AssignmentError, match="names that lab7 does not write"):
        read_handin(work, tmp_path)


def test_a_zip_file_writes_nothing_outside_its_folder(work: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(bad, "w") as archive:
        archive.writestr("../../escaped", "x")
        archive.writestr("s1/../../" + RECORD_NAME, (work / RECORD_NAME).read_text())
    (tmp_path / "deep" / "scratch").mkdir(parents=True)
    read_handin(bad, tmp_path / "deep" / "scratch")
    assert [path.name for path in (tmp_path / "deep").rglob("*")] == ["scratch", RECORD_NAME]
    assert not (tmp_path / "escaped").exists()


def test_no_zip_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(bytes(range(256)) * 40)
    with pytest.raises(AssignmentError, match="not a zip file"):
        read_handin(tmp_path / "x.zip", tmp_path)


def test_an_answer_sheet_is_said_to_have_no_signature(tmp_path: Path) -> None:
    (tmp_path / "answers.yaml").write_text("assignment: http-basics\n")
    with pytest.raises(AssignmentError, match="has no signature"):
        read_handin(tmp_path / "answers.yaml", tmp_path)


def test_a_link_to_a_file_of_the_grader_is_no_capture(work: Path, assignment: Assignment) -> None:
    (work / CAPTURE_NAME).unlink()
    (work / CAPTURE_NAME).symlink_to("/etc/passwd")
    assert "trace.pcapng is missing" in verified(work, assignment).problems


def test_a_task_file_of_another_kind_names_the_command(tmp_path: Path, assignment: Assignment) -> None:
    make_task(assignment, "s1", tmp_path)
    with pytest.raises(AssignmentError, match="lab7 assignment start"):
        read_task(tmp_path, "predict")
    (tmp_path / TASK_NAME).write_text("{}")
    with pytest.raises(AssignmentError, match="not a task file"):
        read_task(tmp_path, "network")
