"""Grading of a folder of submissions: answer sheets, predicted numbers, or captures of the students' own work.

A submission that cannot be graded does not affect the others. Submitted programs are graded by programs.grading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from lab7.experiments.assignments.course.lateness import NO_DEADLINE, Deadline, modified_s
from lab7.experiments.assignments.definition import KINDS_WITH_TASK, PREDICT_KIND
from lab7.experiments.assignments.grade import NO_SUBMISSION, Grade, KeyStore, grade_file
from lab7.experiments.assignments.handin.verification import Verifier
from lab7.experiments.assignments.network.grading import NetworkGrader
from lab7.experiments.assignments.predictions.grading import PredictionGrader
from lab7.experiments.assignments.submissions.collection import Collected, collect, files_of
from lab7.experiments.assignments.submissions.names import Course, again, is_late
from lab7.experiments.assignments.submissions.sheets import SUBMISSION_SUFFIXES, sheet_time_s

# Remark on a submission that Canvas marks LATE, whose time in the file system is before the deadline.
MARKED_LATE = "Canvas marks it LATE, the time of its file does not: give the platform's time by --submitted"
# Function that grades one student's submission, files and folders, without any deduction for lateness.
Grader = Callable[[str, Sequence[Path]], Grade]


def grader_of(keys: KeyStore, receipts: Mapping[str, str] | None = None) -> Grader:
    """Return the function that grades one student's submission of an assignment, according to its kind.

    receipts: receipts of committed predictions, keyed by student (see predictions.grading).
    """
    verifier = Verifier(keys.secret, keys.assignment.name, keys.students)
    if keys.assignment.kind == PREDICT_KIND:
        predictions = PredictionGrader(keys, verifier, receipts)
        return lambda student, places: predictions(student, _handin_place(places))
    if keys.assignment.kind in KINDS_WITH_TASK:
        network = NetworkGrader(keys, verifier)
        return lambda student, places: network(student, _handin_place(places))
    return lambda student, places: grade_file(keys, student, places)


def _handin_place(places: Sequence[Path]) -> Path:
    """Return the path of a student's hand-in among the student's files and folders.

    Moodle makes a further folder if the student has typed a text on the submission page.
    """
    with_zip = [place for place in places if any(path.suffix.lower() == ".zip" for path in files_of([place]))]
    return max(with_zip or places, key=lambda place: (again(place.name), modified_s(place)))


def submissions_of(kind: str, folder: Path, course: Course) -> Collected:
    """Return the submissions in a folder, keyed by student; `kind` is the assignment's kind."""
    return collect(folder, course, (".zip",) if kind in KINDS_WITH_TASK else SUBMISSION_SUFFIXES)


def _time_s(kind: str, places: Sequence[Path]) -> float:
    """Return the time of a submission in s since 1970, by its files: that of the answer sheet, or else the latest."""
    found = None if kind in KINDS_WITH_TASK else sheet_time_s(places)
    return found if found is not None else max(map(modified_s, places))


def grade_all(
    keys: KeyStore,
    submissions: Collected,
    deadline: Deadline = NO_DEADLINE,
    receipts: Mapping[str, str] | None = None,
) -> Iterator[Grade]:
    """Yield a Grade for each student of a course, in the order of the ids, even if nothing was submitted."""
    assignment, students, grader = keys.assignment, keys.students, grader_of(keys, receipts)
    reasons = {student: f"{student} is not on the roster of this build" for student in submissions.places}
    reasons = {**reasons, **submissions.strangers}
    for student in sorted({*submissions.places, *submissions.strangers, *students}):
        places = submissions.places.get(student, ())
        if student not in students:
            yield Grade(student, 0, assignment.points, problem=reasons[student])
        elif not any(files_of([place]) for place in places):
            yield Grade(student, 0, assignment.points, problem=NO_SUBMISSION)
        else:
            grade = _grade(grader, student, places, assignment.points)
            days = deadline.days(student, _time_s(assignment.kind, places))
            late = [is_late(place.name) for place in places]
            if deadline.at is not None and days == 0 and any(late) and student not in deadline.times:
                grade = replace(grade, flags=(*grade.flags, MARKED_LATE))
            yield grade.less_late(assignment.late, days)


def _grade(grader: Grader, student: str, places: Sequence[Path], possible: float) -> Grade:
    try:
        return grader(student, places)
    except Exception as error:
        # A failure of lab7 on one submission must not affect the other students.
        why = f"{type(error).__name__}: {error}"[:300]
        return Grade(
            student, 0, possible, problem=f"lab7 failed on this submission ({why}): report it, and grade again"
        )
