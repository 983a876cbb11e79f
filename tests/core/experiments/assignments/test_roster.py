"""Rosters: exports of learning platforms, separators, and files that name no column of student ids."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab7.experiments.assignments.course.roster import RosterError, read_roster, read_students

READ = {
    "plain": "student\ns1\ns2\n",
    "empty lines": "student\n\ns1\n  \ns2\n",
    "semicolons": "name;student\nDoe, Jo;s1\nPi;s2\n",
    "tabs": "student\tname\ns1\tJo\ns2\tPi\n",
    "a mark of UTF-8, and spaces": "\ufeff Student , name\ns1 , Jo\ns2,Pi\n",
    "Canvas": 'Student,ID,SIS User ID,SIS Login ID\n    Points Possible,,,\n"Doe, Jo",1,u1,s1\nPi,2,u2,s2\n',
    "Moodle": "First name,Last name,Username,Email address\nJo,Doe,s1,jo@a.example\nPi,Po,s2,pi@a.example\n",
    "Excel's separator": "sep=;\nstudent;name\ns1;Jo\ns2;Pi\n",
    "an underscore": "Student_ID,name\ns1,Jo\ns2,Pi\n",
    "Moodle with columns that are not used": "First name,ID number,Email address\nJo,,s1\nPi,,s2\n",
    "Gradescope": "Name,SID,Email\nJo,s1,jo@a.example\nPi,s2,pi@a.example\n",
}
REFUSED = {
    "name\ns1\n": "line 1: the columns are 'name', but the first line must name one with the students' ids: student,",
    "s1\ns2\n": "line 1: the columns are 's1'",
    "name;matriculation\nJo;1\n": "line 1: the columns are 'name', 'matriculation'",
    "": "is empty",
    "student\nJo Doe\n": "line 2: 'Jo Doe' in the column student is not a student id",
    "name,student\nJo\n": "line 2: '' in the column student is not a student id",
    "sep=,\nstudent\ns1\n\ns1\n": "line 5: s1 stands in line 3 already",
    "student\ns1\n\ns1\n": "line 4: s1 stands in line 2 already",
}


@pytest.mark.parametrize("name", READ)
def test_rosters(name: str, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text(READ[name], encoding="utf-8")
    assert read_students(tmp_path / "roster.csv") == ["s1", "s2"]


@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "utf-8-sig"])
def test_rosters_of_spreadsheets(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_bytes("student;name\r\ns1;Zoë\r\ns2;Pi\r\n".encode(encoding))
    roster = read_roster(tmp_path / "roster.csv")
    assert (list(roster.rows), roster.cell("s1", "name")) == (["s1", "s2"], "Zoë")


@pytest.mark.parametrize("octets", [b"PK\x03\x04\xff", "student\ns1\n".encode("utf-16-le") + b"\xff", b"\x81\xff"])
def test_files_that_are_no_text_are_one_sentence(octets: bytes, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_bytes(octets)
    with pytest.raises(RosterError) as found:
        read_students(tmp_path / "roster.csv")
    assert "\n" not in str(found.value)


@pytest.mark.parametrize("text", REFUSED)
def test_files_that_are_no_roster(text: str, tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text(text)
    with pytest.raises(RosterError) as found:
        read_students(tmp_path / "roster.csv")
    assert REFUSED[text] in str(found.value)
    assert "\n" not in str(found.value)


def test_the_cells_of_a_student(tmp_path: Path) -> None:
    (tmp_path / "roster.csv").write_text("student,Name,username\ns1,Jo,\n")
    roster = read_roster(tmp_path / "roster.csv")
    assert roster.cell("s1", "username", "name") == "Jo"
    assert roster.cell("s1", "section") == roster.cell("s9", "name") == ""
