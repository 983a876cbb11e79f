"""Grading of answer sheets: scores, feedback, and signs of copied answers.

A submission is a folder named after the student with `answers.yaml` in it, or a file `STUDENT-answers.yaml` or
`STUDENT.yaml`, as learning platforms export them. Grading reads the captures of the build and needs neither a network
nor virtual time. A submission that cannot be graded does not affect the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab7.experiments.assignments.answer_forms import answer_of_form, form_fault
from lab7.experiments.assignments.answer_types import AnswerError, Given, Predicted
from lab7.experiments.assignments.build import KEY_NAME, KEYS, capture_of
from lab7.experiments.assignments.course.lateness import late_deduction
from lab7.experiments.assignments.definition import Assignment, Key, Late
from lab7.experiments.assignments.handout import display_filter, question_texts
from lab7.experiments.assignments.sheet import SHEET_NAME, Sheet, SheetError, read_sheet
from lab7.experiments.assignments.variant import Variant, draw_variant, read_keys

SUBMISSIONS_MAX = 20_000
NO_SUBMISSION = "no submission"
# Stands for the id of another student in what a student sees.
ANOTHER = "another student"
# Share of the answers, where two students' keys differ, that must fit the other key to be flagged as copied.
COPY_SHARE = 0.6
_EXPORT = re.compile(r"(?P<student>[A-Za-z0-9][A-Za-z0-9.@+]*?)[-_ ].*answers.*\.ya?ml\Z|(?P<plain>[^/]+)\.ya?ml\Z")


@dataclass(frozen=True)
class QuestionGrade:
    """Grade of one question or stage: points earned and possible, the student's answer, and the feedback.

    `text`: the question as in the hand-out of the student, in Markdown.
    """

    question: str
    earned: float
    possible: float
    given: str
    feedback: str
    text: str = ""


@dataclass(frozen=True)
class Grade:
    """Grade of one submission; `problem`: reason why it could not be graded; `flags`: signs of copied answers.

    `late_days` counts the days begun after the deadline; `earned` has the points after the deduction for late days,
    which is the share `deduction`. `others`: ids of other students in `problem` and `flags`, for the staff alone.
    """

    student: str
    earned: float
    possible: float
    questions: tuple[QuestionGrade, ...] = ()
    problem: str = ""
    flags: tuple[str, ...] = ()
    late_days: int = 0
    deduction: float = 0.0
    others: tuple[str, ...] = ()

    @property
    def graded(self) -> bool:
        """True if the answer sheet was graded; an unreadable sheet is not graded instead of getting 0 points."""
        return not self.problem

    @property
    def missing(self) -> bool:
        """True if there is no submission."""
        return self.problem == NO_SUBMISSION

    @property
    def late(self) -> str:
        """The clause about a late submission and its deduction; empty for one in time."""
        many = "day" if self.late_days == 1 else "days"
        return f"handed in {self.late_days} {many} late: minus {self.deduction * 100:g} %" if self.late_days else ""

    def for_student(self, text: str) -> str:
        """Return a remark without the ids of other students."""
        for other in self.others:
            text = re.sub(rf"(?<![\w.@+-]){re.escape(other)}(?![\w@+-]|\.\w)", ANOTHER, text)
        return text

    def less_late(self, late: Late, days: int) -> Grade:
        """Return the grade after the deduction for a submission that came these days late."""
        share = late_deduction(late, days)
        return replace(self, earned=round(self.earned * (1 - share), 3), late_days=days, deduction=share)


@dataclass(frozen=True)
class KeyStore:
    """Answer keys of all students of a build; a student's key is computed from the capture at its first use."""

    assignment: Assignment
    secret: bytes
    out: Path
    _keys: dict[str, dict[str, Key]] = field(default_factory=dict)

    @property
    def students(self) -> list[str]:
        """The students whose build is complete."""
        return sorted(path.parent.name for path in (self.out / KEYS).glob(f"*/{KEY_NAME}"))

    def of(self, student: str) -> dict[str, Key]:
        """Return a student's answer key by question, computed from the capture. Raises KeyError without a build."""
        if student not in self._keys:
            capture = capture_of(self.assignment, self.out, student)
            if not capture.is_file() or not (self.out / KEYS / student / KEY_NAME).is_file():
                raise KeyError(student)
            self._keys[student] = read_keys(draw_variant(self.assignment, self.secret, student), capture)
        return self._keys[student]


def find_submissions(folder: Path) -> dict[str, Path]:
    """Return the answer sheets below a folder, keyed by student; if a student has several, the last modified."""
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.y*ml"), key=lambda one: one.stat().st_mtime)[-SUBMISSIONS_MAX:]:
        student = _student_of(path, folder)
        if student:
            found[student] = path
    return found


def _student_of(path: Path, folder: Path) -> str:
    if path.name == SHEET_NAME and path.parent != folder:
        return path.relative_to(folder).parts[0]
    found = _EXPORT.match(path.name)
    return (found["student"] or found["plain"]) if found is not None and path.parent == folder else ""


def grade_file(keys: KeyStore, student: str, path: Path) -> Grade:
    """Grade the answer sheet of one student."""
    try:
        sheet = read_sheet(path)
    except SheetError as error:
        return Grade(student, 0, keys.assignment.points, problem=str(error))
    return grade_sheet(keys, student, sheet)


def grade_sheet(keys: KeyStore, student: str, sheet: Sheet) -> Grade:
    """Grade the answers of one student."""
    possible = keys.assignment.points
    try:
        key = keys.of(student)
    except KeyError:
        return Grade(student, 0, possible, problem=f"{student} is not on the roster of this build")
    if sheet.assignment != keys.assignment.name:
        problem = f"the sheet is of the assignment {sheet.assignment}, not {keys.assignment.name}"
        return Grade(student, 0, possible, problem=problem)
    flags, others = _flags(keys, student, sheet)
    questions = grade_questions(draw_variant(keys.assignment, keys.secret, student), key, sheet.answers)
    return sum_grade(keys.assignment, student, questions, flags, others)


def sum_grade(
    assignment: Assignment,
    student: str,
    questions: tuple[QuestionGrade, ...],
    flags: tuple[str, ...] = (),
    others: tuple[str, ...] = (),
) -> Grade:
    """Return the grade of a submission from the questions' grades, before any deduction for late days."""
    earned = round(sum(one.earned for one in questions), 3)
    return Grade(student, earned, assignment.points, questions, flags=flags, others=others)


def grade_questions(
    variant: Variant, keys: Mapping[str, Key], answers: Mapping[str, Given]
) -> tuple[QuestionGrade, ...]:
    """Grade the answers of a student, keyed by question."""
    grades = tuple(grade_question(variant.assignment, name, key, answers.get(name)) for name, key in keys.items())
    return with_texts(variant, grades)


def with_texts(variant: Variant, grades: tuple[QuestionGrade, ...]) -> tuple[QuestionGrade, ...]:
    """Return the grades of a student's questions with the texts of the questions."""
    texts = question_texts(variant)
    return tuple(replace(one, text=texts.get(one.question, "")) for one in grades)


def grade_question(assignment: Assignment, name: str, key: Key, given: Given) -> QuestionGrade:
    """Grade one answer of a student, None for a missing answer."""
    question = next(one for one in assignment.questions if one.id == name)
    shown = "" if given is None else str(given)
    if given is None:
        return QuestionGrade(name, 0, question.points, shown, f"no answer; {_explained(assignment, name, key)}")
    try:
        share = key.answer.score(given)
    except AnswerError as error:
        feedback = f"not understood ({error}); {_explained(assignment, name, key)}"
        return QuestionGrade(name, 0, question.points, shown[:200], feedback)
    earned = round(share * question.points, 3)
    if isinstance(key.answer, Predicted):
        # The measured terms are told also for a right prediction.
        feedback = f"{key.answer.distance(given):.1%} from the measured {key.answer.shown()}. {key.explanation}"
        return QuestionGrade(name, earned, question.points, shown[:200], feedback)
    word = "correct" if share == 1 else "partly correct" if share > 0 else "wrong"
    feedback = word if share == 1 else f"{word}; {_explained(assignment, name, key)}"
    return QuestionGrade(name, earned, question.points, shown[:200], feedback)


def _explained(assignment: Assignment, name: str, key: Key) -> str:
    question = next(one for one in assignment.questions if one.id == name)
    return f"correct: {key.answer.shown()}. {key.explanation} (filter: {display_filter(question, key)})"


def _flags(keys: KeyStore, student: str, sheet: Sheet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return signs of copying, and the ids of the students in them.

    The sheet was made for another student, or the answers fit another student's key.
    """
    flags, others = [], []
    if sheet.student != student:
        flags.append(f"the sheet was given to {sheet.student}")
        others.append(sheet.student)
    own = keys.of(student)
    if sum(_right(own[name], given) for name, given in sheet.answers.items() if name in own) == len(own):
        return tuple(flags), tuple(others)
    for other in keys.students:
        if other != student and _is_copy(own, keys.of(other), sheet):
            flags.append(f"the answers are those of {other}")
            others.append(other)
    return tuple(flags), tuple(others)


def _is_copy(own: Mapping[str, Key], other: Mapping[str, Key], sheet: Sheet) -> bool:
    """Return True if the answers fit another student's key in the questions in which the two keys differ."""
    differ = [name for name in own if name in other and own[name].answer.shown() != other[name].answer.shown()]
    telling = [name for name in differ if name in sheet.answers]
    theirs = sum(_right(other[name], sheet.answers[name]) for name in telling)
    mine = sum(_right(own[name], sheet.answers[name]) for name in telling)
    return len(telling) >= 3 and theirs >= COPY_SHARE * len(telling) and theirs > mine


def _right(key: Key, given: Given) -> bool:
    try:
        return key.answer.score(given) == 1
    except AnswerError:
        return False


def not_understood(sheet: Sheet, name: str, forms: Mapping[str, str]) -> str:
    """Return a note if the answer to a question has not its form; empty without an answer or a known form."""
    answer = answer_of_form(forms.get(name, ""))
    fault = form_fault(answer, sheet.answers[name]) if answer is not None and name in sheet.answers else ""
    return f"{name}: not understood ({fault})" if fault else ""


def check_sheet(assignment: Assignment, sheet: Sheet, forms: Mapping[str, str]) -> list[str]:
    """Return notes for a student before submission: unanswered and unknown questions, and answers of wrong form.

    forms: the form of each answer as text, keyed by question id; an answer without a known form is not checked.
    """
    known = [question.id for question in assignment.questions]
    notes = [fault for name in known if (fault := not_understood(sheet, name, forms))]
    notes += [f"{name}: no answer yet" for name in known if name not in sheet.answers]
    notes += [f"{name}: there is no such question" for name in sheet.answers if name not in known]
    if sheet.assignment != assignment.name:
        notes.insert(0, f"this is a sheet of {sheet.assignment}, not of {assignment.name}")
    return notes
