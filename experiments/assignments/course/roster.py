"""Roster of a course: student ids, and the columns by which a learning platform identifies its students.

A roster is a CSV file, separated by commas, semicolons or tabs; its first line has the column names. It can be written
by hand, or be the exported gradebook of Canvas, Moodle or Gradescope. Its text is in UTF-8. Two encodings of
spreadsheet programs are accepted as well: UTF-16 with a byte order mark, and Windows-1252.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROSTER_MAX = 5_000
_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
# Names of the column with the student's id, in exports of Canvas, Moodle and Gradescope, and in plain CSV.
ID_COLUMNS = (
    "student", "id", "sis login id", "sis user id", "username", "id number", "sid", "student id", "student number",
    "user name", "login", "login id", "email", "email address", "e-mail",
)  # fmt: skip
# In exports of Canvas, the column Student has the student's name, and ID has a number of Canvas.
_CANVAS, _CANVAS_ID = {"student", "id", "sis login id"}, "sis login id"
_CANVAS_NO_STUDENT = "Points Possible"
_DELIMITERS = ",;\t"
_CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class RosterError(ValueError):
    """Unreadable CSV file of a course; the message is one sentence with the line number."""


@dataclass(frozen=True)
class Roster:
    """Students of a course in file order: `rows` maps student id -> column name in lower case -> cell."""

    rows: Mapping[str, Mapping[str, str]]

    def cell(self, student: str, *columns: str) -> str:
        """Return the first non-empty cell of a student in these columns; an empty text if there is none."""
        row = self.rows.get(student, {})
        return next((row[name] for name in columns if row.get(name)), "")


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the non-empty rows of a CSV file as (line number, cells). Raises RosterError."""
    try:
        text = decode_text(path.read_bytes())
        first, _, rest = text.partition("\n")
        # Excel's line that names the separator, before the column names.
        named = re.fullmatch(r"sep=([,;\t])\s*", first, re.IGNORECASE)
        lines, delimiter = (rest, named[1]) if named else (text, max(_DELIMITERS, key=first.count))
        reader = csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)
        skipped = 1 if named else 0
        return [
            (reader.line_num + skipped, [cell.strip() for cell in row])
            for row in reader
            if any(cell.strip() for cell in row)
        ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RosterError(f"{path.name} cannot be read as CSV in UTF-8 ({error})") from error


def decode_text(octets: bytes) -> str:
    """Decode the octets of a text file: UTF-8, UTF-16 with a byte order mark, or otherwise Windows-1252.

    Raises UnicodeDecodeError, also for octets with control characters, such as those of a picture or an archive.
    """
    if octets.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return octets.decode("utf-16")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        if _CONTROLS.search(octets) is not None:
            raise
        return octets.decode("cp1252")


def column_names(row: Sequence[str]) -> list[str]:
    """Return the column names of a CSV header line, normalised for comparison: lower case, blanks for underscores."""
    return [name.casefold().replace("_", " ") for name in row]


def read_pairs(path: Path, column: str) -> list[tuple[int, str, str]]:
    """Return (line number, student, value) for each row of a CSV file; the value is from the column named `column`.

    Raises RosterError.
    """
    rows = read_rows(path)
    names = column_names(rows[0][1]) if rows else []
    if not {"student", column} <= set(names):
        raise RosterError(f"{path.name}: give a CSV file whose first line names the columns student and {column}")
    first, second = names.index("student"), names.index(column)
    filled = [(line, row + [""] * len(names)) for line, row in rows[1:]]
    return [(line, row[first], row[second]) for line, row in filled]


def read_roster(path: Path) -> Roster:
    """Read a CSV roster; the student ids are in the first column whose name is in ID_COLUMNS. Raises RosterError."""
    rows = read_rows(path)
    if not rows:
        raise RosterError(f"{path.name} is empty: give a CSV file with a column `student`")
    names = column_names(rows[0][1])
    columns = [name for name in ID_COLUMNS if name in names]
    # Moodle exports columns that a course does not use, such as ID number, without a single cell.
    used = [name for name in columns if any(row[names.index(name) :][:1] not in ([], [""]) for _, row in rows[1:])]
    column = next(iter([*used, *columns]), None)
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
