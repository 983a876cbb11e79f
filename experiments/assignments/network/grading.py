"""Grading of students' own captures, for assignments in which students work in an emulated network (kind `network`)."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.grade import Grade, KeyStore, QuestionGrade, sum_grade, with_texts
from lab7.experiments.assignments.handin.verification import Verifier, verify
from lab7.experiments.assignments.variant import draw_variant, keys_from


@dataclass(frozen=True)
class NetworkGrader:
    """Callable that grades a hand-in with a capture of the student's work.

    The student's parameters are drawn again from the course secret, and not read from the hand-in.
    """

    keys: KeyStore
    verifier: Verifier

    def __call__(self, student: str, place: Path) -> Grade:
        """Return the grade of one hand-in.

        A hand-in that was changed, or is another student's, gets a Grade with 0 points and a `problem`.
        """
        assignment = self.keys.assignment
        with tempfile.TemporaryDirectory(prefix="lab7-grade-") as scratch:
            try:
                found = verify(place, Path(scratch), self.verifier, student)
                if found.captured is None and not found.problems:
                    return Grade(student, 0, assignment.points, problem="the hand-in has no capture")
                if found.captured is None or found.problems:
                    problem, others = "; ".join(found.problems), found.others(student)
                    return Grade(student, 0, assignment.points, problem=problem, others=others)
                variant = draw_variant(assignment, self.keys.secret, student)
                keys = keys_from(variant, found.captured)
            except AssignmentError as error:
                return Grade(student, 0, assignment.points, problem=str(error))
        points = {question.id: question.points for question in assignment.questions}
        questions = tuple(
            QuestionGrade(
                name,
                round(key.answer.score("") * points[name], 3),
                points[name],
                "",
                f"{key.answer.shown()}: {key.explanation}",
            )
            for name, key in keys.items()
        )
        return sum_grade(assignment, student, with_texts(variant, questions))
