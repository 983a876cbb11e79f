"""Folders as learning platforms deliver them, graded: answer sheets, programs, zip files, links, and strange names."""

from __future__ import annotations

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.course.lateness import Deadline
from lab7.experiments.assignments.course.roster import Roster, read_roster
from lab7.experiments.assignments.grade import Grade, KeyStore
from lab7.experiments.assignments.graders import MARKED_LATE, grade_all
from lab7.experiments.assignments.handin.record import HANDIN_NAME
from lab7.experiments.assignments.programs.submission import find_programs
from tests.core.experiments.assignments.handin.samples import make_handin, network
from tests.core.experiments.assignments.submissions.test_archive import packed
from tests.core.experiments.assignments.submissions.test_names import CANVAS, MOODLE
from tests.core.experiments.assignments.test_grade import ASSIGNMENT, found_in, right, store, submit
from tests.core.experiments.assignments.test_same_build import built, course

__all__ = ["course", "store"]
MOODLE_NAME = "Ada Lovelace_123_assignsubmission_file_"
CANVAS_NAME = "lovelaceada_9001_77_"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def roster(folder: Path, text: str) -> Roster:
    path = folder.parent / "roster.csv"
    path.write_text(text, encoding="utf-8")
    return read_roster(path)


def grades(store: KeyStore, folder: Path, listed: Roster, deadline: Deadline | None = None) -> dict[str, Grade]:
    found = found_in(store, folder, dict(listed.rows))  # type: ignore[arg-type]
    return {grade.student: grade for grade in grade_all(store, found, deadline or Deadline())}


def place(folder: Path, name: str, number: int = 10, student: str = "s1") -> Path:
    """Put the right answers of a student into a file of a platform."""
    path = submit(folder.parent / "made", student, right(number))
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return path.rename(target)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{MOODLE_NAME}/answers.yaml", MOODLE),
        (f"{MOODLE_NAME}/work/Answers (1).yml", MOODLE),
        (f"{MOODLE_NAME}answers.yaml", MOODLE),
        (f"{MOODLE_NAME}http-basics.yaml", MOODLE),
        (f"{CANVAS_NAME}answers.yaml", CANVAS),
        ("lovelaceada_LATE_9001_77_answers-1.yaml", CANVAS),
    ],
)
def test_a_sheet_is_found_under_the_name_of_a_platform(name: str, text: str, store: KeyStore, folder: Path) -> None:
    place(folder, name)
    grade = grades(store, folder, roster(folder, text))["s1"]
    assert (grade.earned, grade.problem, grade.flags) == (8, "", ())


def test_a_typed_text_beside_the_file_hides_nothing(store: KeyStore, folder: Path) -> None:
    place(folder, f"{MOODLE_NAME}/answers.yaml")
    text = folder / "Ada Lovelace_123_assignsubmission_onlinetext_" / "onlinetext.html"
    text.parent.mkdir()
    text.write_text("<p>Please find my answers</p>")
    assert grades(store, folder, roster(folder, MOODLE))["s1"].earned == 8


def test_of_two_submissions_by_canvas_the_second_is_graded(store: KeyStore, folder: Path) -> None:
    first = submit(folder.parent / "made", "s1", {}).rename(folder / f"{CANVAS_NAME}answers.yaml")
    second = place(folder, "lovelaceada_9001_78_answers-1.yaml")
    # The times of the files are those of the download.
    os.utime(first, (2e9, 2e9))
    os.utime(second, (1e9, 1e9))
    grade = grades(store, folder, roster(folder, CANVAS))["s1"]
    assert grade.earned == 8
    assert grade.flags == (f"not graded, beside {second.name}: {first.name}",)


def test_a_mark_of_canvas_is_told_where_the_time_of_the_file_hides_it(store: KeyStore, folder: Path) -> None:
    path = place(folder, "lovelaceada_LATE_9001_77_answers.yaml")
    os.utime(path, (1e9, 1e9))
    listed, at = roster(folder, CANVAS), datetime(2030, 5, 1, tzinfo=UTC)
    assert grades(store, folder, listed, Deadline(at))["s1"].flags == (MARKED_LATE,)
    assert grades(store, folder, listed, Deadline(at, {"s1": 1.0}))["s1"].flags == ()
    assert grades(store, folder, listed)["s1"].flags == ()


@pytest.mark.parametrize("name", ["s1/work.zip", "s1.zip", f"{MOODLE_NAME}/answers.zip", f"{MOODLE_NAME}work.zip"])
@pytest.mark.parametrize("inside", ["answers.yaml", "work/answers.yaml", "Answers (1).yml"])
def test_a_sheet_in_a_zip_file_is_graded(name: str, inside: str, store: KeyStore, folder: Path) -> None:
    sheet = submit(folder.parent / "made", "s1", right(10)).read_bytes()
    (folder / name).parent.mkdir(exist_ok=True)
    packed(folder / name, {inside: sheet, "trace.pcapng": b"\x0a\x0d\x0d\x0a"})
    grade = grades(store, folder, roster(folder, MOODLE))["s1"]
    assert (grade.earned, grade.problem) == (8, "")


BROKEN = {
    "s1/work.zip": {"answers.docx": b""},
    "s1/other.zip": {"../answers.yaml": b""},
    "s1/large.zip": {"answers.yaml": bytes(17 << 20)},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_zip_file_without_a_sheet_costs_only_itself(name: str, store: KeyStore, folder: Path) -> None:
    place(folder, "s2.yaml", 20, "s2")
    (folder / "s1").mkdir()
    packed(folder / name, BROKEN[name])
    found = grades(store, folder, roster(folder, MOODLE))
    assert found["s1"].problem
    assert "\n" not in found["s1"].problem
    assert found["s2"].earned == 8


def test_a_name_of_two_students_or_of_none_is_told_and_not_graded(store: KeyStore, folder: Path) -> None:
    for name in (
        "Jo Doe_9_assignsubmission_file_",
        "Eve_9_assignsubmission_file_",
        "Jo Doe_124_assignsubmission_file_",
    ):
        place(folder, f"{name}/answers.yaml", 20, "s2")
    found = grades(store, folder, roster(folder, MOODLE))
    assert "may be of s2 or s3: rename it" in found["Jo Doe_9_assignsubmission_file_"].problem
    assert "is not on the roster by its name or number" in found["Eve_9_assignsubmission_file_"].problem
    assert (found["s2"].earned, found["s3"].missing) == (8, True)


@pytest.mark.parametrize("name", ["s1.docx", "s1-answers.docx", "s1_answers.txt", f"{MOODLE_NAME}answers.docx"])
def test_a_file_of_another_kind_is_told(name: str, store: KeyStore, folder: Path) -> None:
    (folder / name).write_bytes(b"PK\x03\x04")
    grade = grades(store, folder, roster(folder, MOODLE))["s1"]
    assert grade.problem == f"{name} is not a YAML file: hand in answers.yaml"


def test_links_are_not_read(store: KeyStore, folder: Path) -> None:
    other = place(folder, "s2/answers.yaml", 20, "s2")
    (folder / "s1").mkdir()
    (folder / "s1" / "answers.yaml").symlink_to(other)
    (folder / "s3").symlink_to(other.parent)
    found = grades(store, folder, roster(folder, MOODLE), Deadline(datetime(2030, 5, 1, tzinfo=UTC)))
    assert found["s1"].problem == "answers.yaml is a symbolic link, which is not read: hand in answers.yaml itself"
    assert found["s3"].problem == "s3 is a symbolic link, which is not read: hand in answers.yaml itself"
    assert found["s2"].earned == 8


def test_special_files_and_broken_links_cost_only_themselves(store: KeyStore, folder: Path) -> None:
    place(folder, "s2/answers.yaml", 20, "s2")
    (folder / "s1").mkdir()
    os.mkfifo(folder / "s1" / "answers.yaml")
    (folder / "s3").mkdir()
    (folder / "s3" / "answers.yaml").symlink_to("/nowhere")
    found = grades(store, folder, roster(folder, MOODLE), Deadline(datetime(2030, 5, 1, tzinfo=UTC)))
    assert "answers.yaml" in found["s1"].problem
    assert "symbolic link" in found["s3"].problem
    assert found["s2"].earned == 8


def test_names_of_files_command_no_terminal_and_no_page(store: KeyStore, folder: Path) -> None:
    place(folder, "s2/answers.yaml", 20, "s2")
    (folder / "s1").mkdir()
    (folder / "s1" / "\x1b[2J<script>\n[bold].txt").write_text("")
    os.mkdir(os.fsencode(folder / "s3"))
    Path(os.fsdecode(os.fsencode(folder / "s3") + b"/\xff\xfe.txt")).write_text("")
    (folder / "[bold]").mkdir()
    (folder / ("x" * 255)).mkdir()
    found = list(grades(store, folder, roster(folder, MOODLE)).values())
    gradebook.write_all(ASSIGNMENT, found, folder.parent / "grades")
    for path in (folder.parent / "grades").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            assert "\x1b" not in text
            assert path.suffix != ".html" or "<script>" not in text
    assert {grade.student: grade.earned for grade in found}["s2"] == 8


def test_a_stranger_overwrites_no_feedback(folder: Path) -> None:
    pages = [Grade("s_1", 8, 8), Grade("s 1", 0, 8, problem="s 1 is not on the roster of this build")]
    for order in (pages, pages[::-1]):
        gradebook.write_all(ASSIGNMENT, order, folder / "grades")
        assert "8 of 8" in (folder / "grades" / "students" / "s_1" / "feedback.html").read_text()


def grade(course: Path) -> str:
    words = ["grade", str(course / "in"), "--assignment", "network-tools", "--secret", str(course / "secret")]
    words += ["--build", str(course / "out"), "--roster", str(course / "list.csv"), "-o", str(course / "grades")]
    return " ".join(CliRunner().invoke(assignment_command, words).output.split())


def test_the_command_grades_hand_ins_by_moodle_and_names_what_it_ignores(course: Path) -> None:
    built("network-tools", course / "out")
    made = make_handin(network(), "s1", course / "work")
    (course / "in").mkdir()
    made.rename(course / "in" / f"{MOODLE_NAME}{HANDIN_NAME}")
    (course / "in" / "times.csv").write_text("student,submitted\n")
    (course / "in" / "[b] x").mkdir()
    (course / "list.csv").write_text(MOODLE, encoding="utf-8")
    said = grade(course)
    assert "not of a student, ignored: times.csv" in said
    assert "[b] x is not on the roster" in said
    assert "1 graded, 1 not graded" in said


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{MOODLE_NAME}/server.py", MOODLE),
        (f"{MOODLE_NAME}/work/server (1).py", MOODLE),
        (f"{MOODLE_NAME}server.py", MOODLE),
        (f"{CANVAS_NAME}server-1.py", CANVAS),
        ("lovelaceada_LATE_9001_77_server.py", CANVAS),
        ("s1-server.py", MOODLE),
        ("S1/server.py", MOODLE),
    ],
)
def test_programs_are_found_under_the_names_of_platforms(name: str, text: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("pass\n")
    found = find_programs(folder, "server.py", tmp_path, roster(folder, text))
    assert (list(found.submissions), found.strangers) == (["s1"], {})
    assert [name for name, _ in found.submissions["s1"].files] == ["server.py"]


@pytest.mark.parametrize("name", ["s1/work.zip", f"{CANVAS_NAME}server.zip", f"{MOODLE_NAME}work.zip"])
def test_programs_in_zip_files(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr("work/server.py", "import part\n")
        archive.writestr("work/part.py", "x = 1\n")
    text = CANVAS if name.startswith(CANVAS_NAME) else MOODLE
    one = find_programs(folder, "server.py", tmp_path, roster(folder, text)).submissions["s1"]
    assert (sorted(name for name, _ in one.files), one.fault) == (["part.py", "server.py"], "")
    one.copy_to(tmp_path / "copy")
    assert (tmp_path / "copy" / "part.py").read_text() == "x = 1\n"
    assert one.modified_s == (folder / name).stat().st_mtime


def test_a_second_program_by_canvas_counts(folder: Path, tmp_path: Path) -> None:
    (folder / f"{CANVAS_NAME}server.py").write_text("first\n")
    (folder / "lovelaceada_9001_78_server-1.py").write_text("second\n")
    (one,) = find_programs(folder, "server.py", tmp_path, roster(folder, CANVAS)).submissions.values()
    assert one.files[0][1].read_text() == "second\n"


def test_programs_without_a_roster_and_of_strangers(folder: Path, tmp_path: Path) -> None:
    for name in ("s9", f"{MOODLE_NAME}"):
        (folder / name).mkdir()
        (folder / name / "server.py").write_text("pass\n")
    (folder / "s8_server.py").write_text("pass\n")
    (folder / "s7").symlink_to(folder / "s9")
    (folder / "notes.txt").write_text("")
    found = find_programs(folder, "server.py", tmp_path)
    assert sorted(found.submissions) == ["s8", "s9"]
    assert list(found.strangers) == [MOODLE_NAME]
    assert list(found.ignored) == ["notes.txt", "s7"]


def test_another_file_of_a_student_is_no_program(folder: Path, tmp_path: Path) -> None:
    (folder / "s1_notes.txt").write_text("")
    (one,) = find_programs(folder, "server.py", tmp_path, roster(folder, MOODLE)).submissions.values()
    assert one.fault == "s1_notes.txt is not server.py"
