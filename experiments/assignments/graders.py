"""Grading of a folder of submissions: answer sheets, predicted numbers, or captures of the students' own work.

A submission that cannot be graded does not affect the others. Submitted programs are graded by programs.grading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lab7.experiments.assignments.course.lateness import NO_DEADLINE, Deadline, modified_s
from lab7.experiments.assignments.definition import KINDS_WITH_TASK, PREDICT_KIND
from lab7.experiments.assignments.grade import NO_SUBMISSION, Grade, KeyStore, find_submissions, grade_file
from lab7.experiments.assignments.handin.record import HANDIN_NAME
from lab7.experiments.assignments.handin.verification import Verifier
from lab7.experiments.assignments.network.grading import NetworkGrader
from lab7.experiments.assignments.predictions.grading import PredictionGrader
from lab7.experiments.assignments.sheet import SHEET_NAME

# Function that grades one student's submission, a file or folder, without any deduction for lateness.
Grader = Callable[[str, Path], Grade]
_FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
_ZIP = re.compile(r"(?P<student>[A-Za-z0-9][A-Za-z0-9.@+]*?)[-_ ].*\.zip\Z|(?P<plain>[A-Za-z0-9][^/]*)\.zip\Z")


def grader_of(keys: KeyStore, receipts: Mapping[str, str] | None = None) -> Grader:
    """Return the function that grades one student's submission of an assignment, according to its kind.

    receipts: receipts of committed predictions, keyed by student (see predictions.grading).
    """
    verifier = Verifier(keys.secret, keys.assignment.name, keys.students)
    if keys.assignment.kind == PREDICT_KIND:
        return PredictionGrader(keys, verifier, receipts)
    if keys.assignment.kind in KINDS_WITH_TASK:
        return NetworkGrader(keys, verifier)
    return lambda student, place: grade_file(keys, student, place)


def submission_name(kind: str) -> str:
    """Return the name of the file that students hand in: `handin.zip` or `answers.yaml`, depending on the kind."""
    return HANDIN_NAME if kind in KINDS_WITH_TASK else SHEET_NAME


def submissions_of(kind: str, folder: Path) -> dict[str, Path]:
    """Return the paths of the submissions in a folder, keyed by student; `kind` is the assignment's kind."""
    if kind not in KINDS_WITH_TASK:
        return find_submissions(folder)
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name.startswith("."):
            continue
        match = _ZIP.match(path.name)
        if path.is_dir() and _FOLDER.match(path.name):
            found[path.name] = path
        elif path.is_file() and match is not None:
            found[match["student"] or match["plain"]] = path
    return found


def grade_all(
    keys: KeyStore,
    submissions: Mapping[str, Path],
    deadline: Deadline = NO_DEADLINE,
    receipts: Mapping[str, str] | None = None,
) -> Iterator[Grade]:
    """Yield a Grade for each student, in the order of the ids, also for students without a submission."""
    possible, students, grader = keys.assignment.points, keys.students, grader_of(keys, receipts)
    for student in sorted({*submissions, *students}):
        if student not in submissions:
            yield Grade(student, 0, possible, problem=NO_SUBMISSION)
        elif student not in students:
            yield Grade(student, 0, possible, problem=f"{student} is not on the roster of this build")
        else:
            grade, place = _grade(grader, student, submissions[student], possible), submissions[student]
            yield grade.less_late(keys.assignment.late, deadline.days(student, modified_s(place)))


def _grade(grader: Grader, student: str, place: Path, possible: float) -> Grade:
    try:
        return grader(student, place)
    except Exception as error:
        # A failure of lab7 on one submission must not affect the other students.
        why = f"{type(error).__name__}: {error}"[:300]
        return Grade(
            student, 0, possible, problem=f"lab7 failed on this submission ({why}): report it, and grade again"
        )
