"""Roster of a course: student ids, and the columns by which a learning platform identifies its students.

A roster is a CSV file in UTF-8, separated by commas, semicolons or tabs, whose first line has the column names. It can
be written by hand, or be the exported gradebook of Canvas, Moodle or Gradescope.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROSTER_MAX = 5_000
_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
# Names of the column with the student's id, in exports of Canvas, Moodle and Gradescope, and in plain CSV.
ID_COLUMNS = ("student", "id", "sis login id", "sis user id", "username", "id number", "sid", "email", "email address")
# In exports of Canvas, the column Student has the student's name, and ID has a number of Canvas.
_CANVAS, _CANVAS_ID = {"student", "id", "sis login id"}, "sis login id"
_CANVAS_NO_STUDENT = "Points Possible"
# Name of a folder in the zip file by Moodle's "Download all submissions": the student's full name, and a number.
_MOODLE_FOLDER = re.compile(r"(?P<name>.+)_\d+_assignsubmission_(?:file|onlinetext)_?\Z")
_NAME_COLUMNS = ("name", "full name", "student name")
_DELIMITERS = ",;\t"


class RosterError(ValueError):
    """A CSV file of a course cannot be read; the message is one sentence with the line number."""


@dataclass(frozen=True)
class Roster:
    """Students of a course in file order: `rows` maps student id -> column name in lower case -> cell."""

    rows: Mapping[str, Mapping[str, str]]

    def cell(self, student: str, *columns: str) -> str:
        """Return the first non-empty cell of a student in these columns; an empty text if there is none."""
        row = self.rows.get(student, {})
        return next((row[name] for name in columns if row.get(name)), "")

    def student_of(self, folder: str) -> str:
        """Return the id of the student whose submission Moodle puts into a folder of this name.

        Other names are returned as they are, and so are those of no student of the roster or of several.
        """
        found = _MOODLE_FOLDER.match(folder)
        named = [one for one in self.rows if found and found["name"].casefold() == self._full_name(one).casefold()]
        return named[0] if len(named) == 1 else folder

    def _full_name(self, student: str) -> str:
        parts = self.cell(student, "first name"), self.cell(student, "last name", "surname")
        return " ".join(filter(None, parts)) or self.cell(student, *_NAME_COLUMNS)


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the non-empty rows of a CSV file as (line number, cells). Raises RosterError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
            stream.seek(0)
            reader = csv.reader(stream, delimiter=max(_DELIMITERS, key=first.count))
            return [
                (reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RosterError(f"{path.name} cannot be read as CSV in UTF-8 ({error})") from error


def read_pairs(path: Path, column: str) -> list[tuple[int, str, str]]:
    """Return (line number, student, value) for each row of a CSV file; the value is from the column named `column`.

    Raises RosterError.
    """
    rows = read_rows(path)
    names = [name.casefold() for name in rows[0][1]] if rows else []
    if not {"student", column} <= set(names):
        raise RosterError(f"{path.name}: give a CSV file whose first line names the columns student and {column}")
    first, second = names.index("student"), names.index(column)
    filled = [(line, row + [""] * len(names)) for line, row in rows[1:]]
    return [(line, row[first], row[second]) for line, row in filled]


def read_roster(path: Path) -> Roster:
    """Read a CSV roster; the student ids are in its first column that is in ID_COLUMNS. Raises RosterError."""
    rows = read_rows(path)
    if not rows:
        raise RosterError(f"{path.name} is empty: give a CSV file with a column `student`")
    names = [cell.casefold() for cell in rows[0][1]]
    column = next((name for name in ID_COLUMNS if name in names), None)
    canvas = set(names) >= _CANVAS
    if column is None:
        raise RosterError(
            f"{path.name}, line {rows[0][0]}: the columns are {', '.join(map(repr, rows[0][1]))}, but the first line "
            f"must name one with the students' ids: {', '.join(ID_COLUMNS)}"
        )
    place = names.index(_CANVAS_ID if canvas else column)
    found: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    for line, row in rows[1:]:
        if canvas and _CANVAS_NO_STUDENT in row:
            continue
        student = row[place] if place < len(row) else ""
        if not _STUDENT.match(student):
            raise RosterError(
                f"{path.name}, line {line}: {student!r} in the column {names[place]} is not a student id "
                "(letters, digits and ._@+-)"
            )
        if student in found:
            raise RosterError(f"{path.name}, line {line}: {student} stands in line {lines[student]} already")
        found[student], lines[student] = dict(zip(names, row, strict=False)), line
    if len(found) > ROSTER_MAX:
        raise RosterError(f"{path.name} has {len(found)} students, at most {ROSTER_MAX} are possible")
    return Roster(found)


def read_students(path: Path) -> list[str]:
    """Read the student ids from a CSV roster. Raises RosterError."""
    return list(read_roster(path).rows)
