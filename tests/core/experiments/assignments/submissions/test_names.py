"""Names of submissions by learning platforms: the student that each belongs to, and copies of a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.assignments.course.roster import read_roster
from lab7.experiments.assignments.submissions.names import Course, again, file_name, is_late, is_named, printable

MOODLE = (
    "Identifier,First name,Last name,Username\n"
    "Participant 123,Ada,Lovelace,s1\n"
    "Participant 124,Jo,Doe,s2\n"
    "Participant 125,Jo,Doe,s3\n"
    "Participant 126,Zoë,O'Brien-Muñoz,s4\n"
    "Participant 127,Ada,King,s_5\n"
)
CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section\n"
    "    Points Possible,,,,\n"
    '"Lovelace, Ada",9001,u1,s1,A\n'
    '"Doe, Jo",9002,u2,s2,A\n'
    '"Doe, Jo",9003,u3,s3,A\n'
    '"O\'Brien-Muñoz, Zoë",9004,u4,s4,A\n'
    '"King, Ada",9005,u5,s_5,A\n'
)


def course(tmp_path: Path, text: str) -> Course:
    (tmp_path / "roster.csv").write_text(text, encoding="utf-8")
    roster = read_roster(tmp_path / "roster.csv")
    return Course(tuple(roster.rows), roster)


@pytest.mark.parametrize(
    ("name", "students"),
    [
        ("s1", ["s1"]),
        ("S1", ["s1"]),
        ("s1-answers.yaml", ["s1"]),
        ("s_5_answers.yaml", ["s_5"]),
        ("s_5", ["s_5"]),
        ("Ada Lovelace_123_assignsubmission_file_", ["s1"]),
        ("ada lovelace_999_assignsubmission_file", ["s1"]),
        ("Lovelace Ada_999_assignsubmission_file_", ["s1"]),
        ("Group A-Ada Lovelace_999_assignsubmission_file_", ["s1"]),
        ("Ada Lovelace_123_assignsubmission_file_answers.yaml", ["s1"]),
        ("Ada Lovelace_123_assignsubmission_onlinetext_", ["s1"]),
        ("Participant_123_assignsubmission_file_", ["s1"]),
        # Two students have this name; the number of one of them is Moodle's.
        ("Jo Doe_999_assignsubmission_file_", ["s2", "s3"]),
        ("Jo Doe_125_assignsubmission_file_", ["s3"]),
        # Moodle drops the apostrophe, and macOS decomposes accents.
        ("Zoe\u0308 OBrien-Mun\u0303oz_999_assignsubmission_file_", ["s4"]),
        ("Mallory_9_assignsubmission_file_", []),
        ("Ada Lovelace", []),
        ("mallory", []),
    ],
)
def test_names_by_moodle(name: str, students: list[str], tmp_path: Path) -> None:
    assert course(tmp_path, MOODLE).owners(name) == students


@pytest.mark.parametrize(
    ("name", "students"),
    [
        ("lovelaceada_9001_77_answers.yaml", ["s1"]),
        ("lovelaceada_LATE_9001_77_answers-1.yaml", ["s1"]),
        ("lovelaceada_8_77_answers.yaml", ["s1"]),
        ("doejo_9003_77_answers.yaml", ["s3"]),
        ("doejo_8_77_answers.yaml", ["s2", "s3"]),
        ("obrienmunozzoe_8_77_server-2.py", ["s4"]),
        ("s1_8_77_answers.yaml", ["s1"]),
        ("mallory_8_77_answers.yaml", []),
    ],
)
def test_names_by_canvas(name: str, students: list[str], tmp_path: Path) -> None:
    assert course(tmp_path, CANVAS).owners(name) == students


def test_names_of_files() -> None:
    assert file_name("Ada Lovelace_123_assignsubmission_file_answers.yaml") == "answers.yaml"
    assert file_name("lovelaceada_LATE_9001_77_answers-1.yaml") == "answers-1.yaml"
    assert file_name("answers.yaml") == "answers.yaml"
    assert (again("a_1_2_answers-3.yaml"), again("a_1_2_answers.yaml"), again("s-1.yaml")) == (3, 0, 0)
    assert is_late("lovelaceada_LATE_9001_77_answers.yaml")
    assert not is_late("lovelaceada_9001_77_LATE_answers.yaml")


@pytest.mark.parametrize("name", ["server.py", "s1-server.py", "a_1_2_server-1.py", "server (2).py", "Server.PY"])
def test_copies_of_a_program(name: str) -> None:
    assert is_named(name, "server.py")


@pytest.mark.parametrize("name", ["myserver.py", "server.pyc", "server.py.txt", "server", "-1", ""])
def test_other_files(name: str) -> None:
    assert not is_named(name, "server.py")


def test_control_characters_are_removed() -> None:
    said = "a\x1b[2J\tb\u202ec\udcff\nd\xa0e"
    assert printable(said) == "a\ufffd[2J b\ufffdc\ufffd\nd e"
