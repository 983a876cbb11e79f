"""Grading of a student's capture of the kind `network`, from its packets."""

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
    """Grader of hand-ins with a capture; the variant is drawn again, and not read from the hand-in."""

    keys: KeyStore
    verifier: Verifier

    def __call__(self, student: str, place: Path) -> Grade:
        """Grade one hand-in; a hand-in that was changed, or is another student's, is not graded."""
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
