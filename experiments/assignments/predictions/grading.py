"""Grading of students' predicted numbers, by comparison with the values that the teacher's machine has measured.

The predictions are read from the signed file that fixed them before the student's own measurement (see commitment).
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lab7.experiments.assignments.course.roster import read_pairs
from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.grade import Grade, KeyStore, grade_sheet
from lab7.experiments.assignments.handin.record import PREDICTIONS_NAME
from lab7.experiments.assignments.handin.verification import Verifier, verify
from lab7.experiments.assignments.predictions.commitment import read_predictions


@dataclass(frozen=True)
class PredictionGrader:
    """Callable that grades a hand-in of predictions.

    receipts: first digits of digests that students gave to the teacher before the measurement, keyed by student; a
    missing or different receipt is flagged. None: receipts are not checked.
    """

    keys: KeyStore
    verifier: Verifier
    receipts: Mapping[str, str] | None = None

    def __call__(self, student: str, place: Path) -> Grade:
        """Return the grade of one hand-in.

        A hand-in that was changed, or is another student's, gets a Grade with 0 points and a `problem`.
        """
        possible = self.keys.assignment.points
        with tempfile.TemporaryDirectory(prefix="lab7-grade-") as scratch:
            try:
                found = verify(place, Path(scratch), self.verifier, student)
                if found.problems:
                    return Grade(student, 0, possible, problem="; ".join(found.problems), others=found.others(student))
                path = found.handin.folder / PREDICTIONS_NAME
                predictions = read_predictions(path, self.verifier.key(student))
            except AssignmentError as error:
                return Grade(student, 0, possible, problem=str(error))
        grade = grade_sheet(self.keys, student, predictions.sheet)
        if self.receipts is None:
            return grade
        given = self.receipts.get(student, "").strip().lower()
        if given == predictions.receipt:
            return grade
        why = (
            f"the receipt given before is {given}, not {predictions.receipt}"
            if given
            else "no receipt was given before"
        )
        return replace(grade, flags=(*grade.flags, why))


def read_receipts(path: Path) -> dict[str, str]:
    """Read students' receipts (see commitment) from a CSV file with the columns student and receipt.

    Raises RosterError.
    """
    return {student: receipt for _, student, receipt in read_pairs(path, "receipt")}
