"""Names of submitted files and folders: which student of a course each belongs to.

    s1234567/                                            a folder named by hand
    s1234567.yaml, s1234567_..._answers.yaml             files named by hand
    Ada Lovelace_123_assignsubmission_file_/             a folder by Moodle
    Ada Lovelace_123_assignsubmission_file_answers.yaml  a file by Moodle, without folders
    lovelaceada_LATE_123_4567_answers-1.yaml             a file by Canvas: late, and handed in a second time

Moodle and Canvas name students by their full names and by numbers of their own. A roster has the names, in columns such
as `First name` and `Last name`, and may have the numbers: Canvas's in the column `ID` of its gradebook export, those of
Moodle in the column `Identifier` (`Participant 123`) of its grading worksheet.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property

from lab7.experiments.assignments.course.roster import Roster

# A name by Moodle's "Download all submissions" (mod/assign): full name, participant's number, plugin, and the file.
_MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<number>\d+)_assignsubmission_(?:file|onlinetext)(?:_(?P<file>.*))?\Z", re.DOTALL
)
# A name by Canvas's "Download Submissions": sortable name, number of the user, number of the submitted file, the file.
_CANVAS = re.compile(r"(?P<name>[^_]+)(?P<late>_LATE)?_(?P<number>\d+)_\d+_(?P<file>.+)\Z", re.DOTALL)
# Copies: `answers-1.yaml` is a second submission by Canvas, `answers (1).yaml` a second download by a browser.
_COPY = re.compile(r"(?P<stem>.*?)(?:-(?P<again>\d{1,3})|[ _]?\((?P<copy>\d{1,3})\))?(?P<suffix>\.\w+)?\Z", re.DOTALL)
# Characters that may follow a student's id in a name.
_AFTER_ID = "-_ ."
_FIRST, _LAST = ("first name", "first name(s)", "given name"), ("last name", "surname", "family name")
_WHOLE = ("full name", "name", "student name", "user full name", "student")
_MOODLE_NUMBER = ("identifier",)
_CANVAS_NUMBER = ("id", "canvas id", "canvas user id")


@dataclass(frozen=True)
class Course:
    """Students of a course, and the roster with the students' names and numbers on learning platforms."""

    students: Collection[str]
    roster: Roster

    def owner(self, name: str) -> str | None:
        """Return the id of the student to whom a file or folder of this name belongs; None if none or several match."""
        return found[0] if len(found := self.owners(name)) == 1 else None

    def owners(self, name: str) -> list[str]:
        """Return the ids of the students to whom a file or folder of this name may belong."""
        if exact := self._of_id(name):
            return exact
        moodle, canvas = _MOODLE.match(name), _CANVAS.match(name)
        if moodle is not None:
            numbered = self._numbered(_MOODLE_NUMBER, moodle["number"])
            return numbered or self._of_id(moodle["name"]) or self._named(moodle["name"])
        if canvas is not None and (numbered := self._numbered(_CANVAS_NUMBER, canvas["number"])):
            return numbered
        if before := self._of_prefix(name):
            return before
        return self._joined(canvas["name"]) if canvas is not None else []

    def _of_id(self, name: str) -> list[str]:
        if name in self.students:
            return [name]
        return self._folded.get(name.casefold(), [])

    def _of_prefix(self, name: str) -> list[str]:
        """Return the student whose id, followed by a separator, starts the name; the longest of several ids counts."""
        places = [place for place, letter in enumerate(name) if letter in _AFTER_ID]
        return next((found for place in reversed(places) if (found := self._of_id(name[:place]))), [])

    def _numbered(self, columns: Iterable[str], number: str) -> list[str]:
        """Return the students whose cell in one of these columns is a platform's number, alone or after a word."""
        cells = {one: self.roster.cell(one, *columns).split() for one in self.roster.rows}
        return [one for one, words in cells.items() if words and words[-1] == number]

    def _named(self, name: str) -> list[str]:
        """Return the students with this full name; its words may be in any order, and a group's name may precede it."""
        parts = name.split("-")
        tries = [name, *("-".join(parts[place:]) for place in range(1, len(parts)))]
        for one in tries:
            if found := self._joined(one):
                return found
        words = sorted(_words(name))
        return [one for one, whole in self._names.items() if any(sorted(_words(text)) == words for text in whole)]

    def _joined(self, name: str) -> list[str]:
        said = _letters(name)
        return [one for one, whole in self._names.items() if any(_letters(text) == said for text in whole)]

    @cached_property
    def _folded(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for student in self.students:
            found.setdefault(student.casefold(), []).append(student)
        return found

    @cached_property
    def _names(self) -> dict[str, list[str]]:
        """Student id -> spellings of the student's full name, for all students of the roster."""
        return {one: _full_names(self.roster, one) for one in self.roster.rows}


def _full_names(roster: Roster, student: str) -> list[str]:
    first, last = roster.cell(student, *_FIRST), roster.cell(student, *_LAST)
    found = [f"{first} {last}", f"{last} {first}"] if first or last else []
    for column in _WHOLE:
        whole = roster.cell(student, column)
        if whole and whole != student:
            before, comma, after = whole.partition(",")
            found += [whole, f"{after} {before}"] if comma else [whole]
    return found


def _plain(text: str) -> str:
    """Return a name in lower case, without accents and apostrophes, which platforms drop from the names of files."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter) and letter not in "'`\u2019\u02bc")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", _plain(text).replace("_", " "))


def _letters(text: str) -> str:
    return "".join(_words(text))


def is_exported(name: str) -> bool:
    """Return True if Moodle or Canvas has made the name of a file or folder, with the full name of a student in it."""
    return (_MOODLE.match(name) or _CANVAS.match(name)) is not None


def file_name(name: str) -> str:
    """Return the name that a student gave to a file, without the prefix that Moodle or Canvas has added."""
    found = _MOODLE.match(name) or _CANVAS.match(name)
    return found["file"] or name if found is not None else name


def is_named(name: str, wanted: str) -> bool:
    """Return True if a student's file name matches the file name `wanted`.

    It may be that name itself, that of a copy such as `answers (1).yaml`, or have another text before a separator, such
    as the student's id.
    """
    found = _COPY.match(name)
    if found is None or not found["stem"]:
        return False
    plain = f"{found['stem']}{found['suffix'] or ''}".casefold()
    before, end = plain[: -len(wanted)], plain[-len(wanted) :]
    return end == wanted.casefold() and (not before or before[-1] in _AFTER_ID)


def again(name: str) -> int:
    """Return the number of earlier submissions of a file, which Canvas appends to the file name."""
    found = _COPY.match(name) if _CANVAS.match(name) else None
    return int(found["again"] or 0) if found is not None else 0


def is_late(name: str) -> bool:
    """Return True if Canvas has marked the file name as that of a late submission."""
    found = _CANVAS.match(name)
    return found is not None and found["late"] is not None


def printable(text: str) -> str:
    """Return a student's text without control characters, which terminals obey, and without invalid characters.

    Line ends are kept, since a message may have several lines.
    """
    kept = (" " if letter.isspace() and letter != "\n" else letter for letter in text)
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in kept)
