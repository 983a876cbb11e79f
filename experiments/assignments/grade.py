"""Grading of answer sheets: scores, feedback, and detection of copied answers.

The answer keys are computed from the captures that `lab7 assignment build` has recorded; grading starts no network. A
submission that cannot be graded does not affect the others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab7.experiments.assignments.answer_forms import answer_of_form, form_fault
from lab7.experiments.assignments.answer_types import AnswerError, Given, Predicted
from lab7.experiments.assignments.build import KEY_NAME, KEYS, capture_of
from lab7.experiments.assignments.course.lateness import late_deduction
from lab7.experiments.assignments.definition import Assignment, Key, Late
from lab7.experiments.assignments.handout import HANDOUT_NAME, display_filter, handout_forms, question_texts
from lab7.experiments.assignments.sheet import Sheet, SheetError, read_forms, read_sheet
from lab7.experiments.assignments.submissions.names import printable
from lab7.experiments.assignments.submissions.sheets import listed, sheet_in
from lab7.experiments.assignments.variant import Variant, draw_variant, read_keys

NO_SUBMISSION = "no submission"
# Replacement of another student's id in texts for a student.
ANOTHER = "another student"
# Minimum fraction of answers that fit another student's key for a suspicion of copying, where the two keys differ.
COPY_SHARE = 0.6


@dataclass(frozen=True)
class QuestionGrade:
    """Grade of one question or stage: points earned and possible, the student's answer, and the feedback.

    `text`: the question in Markdown, as in the student's hand-out.
    """

    question: str
    earned: float
    possible: float
    given: str
    feedback: str
    text: str = ""

    def __post_init__(self) -> None:
        """Remove control characters from the student's answer, and from the feedback, which may quote the answer."""
        object.__setattr__(self, "given", printable(self.given))
        object.__setattr__(self, "feedback", printable(self.feedback))


@dataclass(frozen=True)
class Grade:
    """Grade of one student's submission: total points after deductions, and the grade of each question.

    `problem`: reason why the submission could not be graded, else empty; `flags`: remarks for the teacher, such as
    signs of copying; `late_days`: days late, rounded up; `deduction`: fraction of the points deducted for lateness;
    `others`: ids of other students in `problem` and `flags`, to be hidden from the student.
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

    def __post_init__(self) -> None:
        """Remove control characters from file names in the texts of the grade, since students choose these names."""
        object.__setattr__(self, "student", printable(self.student))
        object.__setattr__(self, "problem", printable(" ".join(self.problem.splitlines())))
        object.__setattr__(self, "flags", tuple(printable(" ".join(flag.splitlines())) for flag in self.flags))

    @property
    def graded(self) -> bool:
        """True if the submission could be graded; an unreadable submission has no grade, instead of 0 points."""
        return not self.problem

    @property
    def missing(self) -> bool:
        """True if the student has handed in nothing."""
        return self.problem == NO_SUBMISSION

    @property
    def late(self) -> str:
        """Clause about the days late and the deduction, for the feedback; empty for a submission in time."""
        many = "day" if self.late_days == 1 else "days"
        return f"handed in {self.late_days} {many} late: minus {self.deduction * 100:g} %" if self.late_days else ""

    def for_student(self, text: str) -> str:
        """Return a text for the student, in which the ids of other students are replaced by a general term."""
        for other in self.others:
            text = re.sub(rf"(?<![\w.@+-]){re.escape(other)}(?![\w@+-]|\.\w)", ANOTHER, text)
        return text

    def less_late(self, late: Late, days: int) -> Grade:
        """Return the grade after the deduction for a submission that is `days` days late."""
        share = late_deduction(late, days)
        return replace(self, earned=round(self.earned * (1 - share), 3), late_days=days, deduction=share)


@dataclass(frozen=True)
class KeyStore:
    """Answer keys of all students in a build; a student's key is computed from the capture at its first use."""

    assignment: Assignment
    secret: bytes
    out: Path
    _keys: dict[str, dict[str, Key]] = field(default_factory=dict)

    @property
    def students(self) -> list[str]:
        """Sorted ids of the students whose build is complete."""
        return sorted(path.parent.name for path in (self.out / KEYS).glob(f"*/{KEY_NAME}"))

    def of(self, student: str) -> dict[str, Key]:
        """Return a student's answer keys, keyed by question id. Raises KeyError if the build lacks the student."""
        if student not in self._keys:
            capture = capture_of(self.assignment, self.out, student)
            if not capture.is_file() or not (self.out / KEYS / student / KEY_NAME).is_file():
                raise KeyError(student)
            self._keys[student] = read_keys(draw_variant(self.assignment, self.secret, student), capture)
        return self._keys[student]


def grade_file(keys: KeyStore, student: str, places: Sequence[Path]) -> Grade:
    """Grade the answer sheet in a student's submission; an unreadable sheet gives a Grade with a `problem`.

    `places`: the student's files and folders.
    """
    try:
        with sheet_in(places) as found:
            grade = grade_sheet(keys, student, read_sheet(found.path))
    except SheetError as error:
        return Grade(student, 0, keys.assignment.points, problem=str(error))
    # A browser that downloads a sheet again names the copy `answers (1).yaml`, which may be the one with the answers.
    flags = [f"not graded, beside {found.path.name}: {listed(found.others)}"] if found.others else []
    return replace(grade, flags=(*grade.flags, *flags))


def grade_sheet(keys: KeyStore, student: str, sheet: Sheet) -> Grade:
    """Grade the parsed answer sheet of one student, and search for signs of copying."""
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
    """Return a student's Grade with the sum of the questions' points, before any deduction for lateness."""
    earned = round(sum(one.earned for one in questions), 3)
    return Grade(student, earned, assignment.points, questions, flags=flags, others=others)


def grade_questions(
    variant: Variant, keys: Mapping[str, Key], answers: Mapping[str, Given]
) -> tuple[QuestionGrade, ...]:
    """Return the grade of each question for a student's answers, which are keyed by question id."""
    grades = tuple(grade_question(variant.assignment, name, key, answers.get(name)) for name, key in keys.items())
    return with_texts(variant, grades)


def with_texts(variant: Variant, grades: tuple[QuestionGrade, ...]) -> tuple[QuestionGrade, ...]:
    """Return the grades of a student's questions with the question texts of the student's hand-out added."""
    texts = question_texts(variant)
    return tuple(replace(one, text=texts.get(one.question, "")) for one in grades)


def grade_question(assignment: Assignment, name: str, key: Key, given: Given) -> QuestionGrade:
    """Return the grade of one question with feedback; `given` is the student's answer, None if there is none."""
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
        # The explanation, with the measured terms, is part of the feedback also for a right prediction.
        feedback = f"{key.answer.distance(given):.1%} from the measured {key.answer.shown()}. {key.explanation}"
        return QuestionGrade(name, earned, question.points, shown[:200], feedback)
    word = "correct" if share == 1 else "partly correct" if share > 0 else "wrong"
    feedback = word if share == 1 else f"{word}; {_explained(assignment, name, key)}"
    return QuestionGrade(name, earned, question.points, shown[:200], feedback)


def _explained(assignment: Assignment, name: str, key: Key) -> str:
    question = next(one for one in assignment.questions if one.id == name)
    # A domain name may end with a dot.
    answer = key.answer.shown().removesuffix(".")
    return f"correct: {answer}. {key.explanation} (filter: {display_filter(question, key)})"


def _flags(keys: KeyStore, student: str, sheet: Sheet) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Search a student's sheet for signs of copying; return (signs as clauses, ids of the students named in these).

    The signs: the sheet was made for another student, or the answers fit another student's key better.
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
    """Return True if a student's answers fit another student's answer key (`other`) better than the student's own key.

    Only the questions in which the two keys differ are compared.
    """
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
    """Return a note if the answer to question `name` cannot be parsed in its expected format; otherwise an empty text.

    The text is also empty if there is no answer or no expected format.
    """
    answer = answer_of_form(forms.get(name, ""))
    fault = form_fault(answer, sheet.answers[name]) if answer is not None and name in sheet.answers else ""
    return f"{name}: not understood ({fault})" if fault else ""


def expected_forms(assignment: Assignment, sheet: Sheet, path: Path) -> dict[str, str]:
    """Return question id -> expected format of the answer as text; questions with an unknown format are omitted.

    The formats are comments of the sheet in the file `path`. If an editor has removed or changed the comments, the
    formats in the student's hand-out beside the sheet are used.
    """
    found = {**read_forms(path), **handout_forms(assignment, sheet.student, path.parent)}
    return {name: form for name, form in found.items() if answer_of_form(form) is not None}


def check_sheet(assignment: Assignment, sheet: Sheet, forms: Mapping[str, str]) -> list[str]:
    """Return notes about a sheet before submission: unparsable, unchecked and missing answers, unknown questions.

    forms: expected format of each answer as text, keyed by question id; without it an answer cannot be checked.
    """
    known = [question.id for question in assignment.questions]
    notes = [fault for name in known if (fault := not_understood(sheet, name, forms))]
    notes += [f"{name}: no answer yet" for name in known if name not in sheet.answers]
    notes += [f"{name}: there is no such question" for name in sheet.answers if name not in known]
    if sheet.assignment != assignment.name:
        notes.insert(0, f"this is a sheet of {sheet.assignment}, not of {assignment.name}")
    if unchecked := [name for name in known if name in sheet.answers and name not in forms]:
        notes.append(
            f"the form of {', '.join(unchecked)} was not checked: keep the sheet in the folder of your hand-out, "
            f"beside {HANDOUT_NAME}, or keep the comment before each question, such as `# a number`"
        )
    return notes
