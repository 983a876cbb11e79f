"""Grading of committed predictions against the measurement of the teacher's build."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lab7.experiments.assignments.build import RosterError
from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.grade import Grade, KeyStore, grade_sheet
from lab7.experiments.assignments.handin.record import PREDICTIONS_NAME
from lab7.experiments.assignments.handin.verification import Verifier, verify
from lab7.experiments.assignments.predictions.commitment import read_predictions


@dataclass(frozen=True)
class PredictionGrader:
    """Grader of hand-ins of predictions; `receipts`: given by students before the measurement, keyed by student."""

    keys: KeyStore
    verifier: Verifier
    receipts: Mapping[str, str] | None = None

    def __call__(self, student: str, place: Path, deadline: datetime | None) -> Grade:
        """Grade one hand-in; a hand-in that was changed, or is another student's, is not graded."""
        possible = self.keys.assignment.points
        with tempfile.TemporaryDirectory(prefix="lab7-grade-") as scratch:
            try:
                found = verify(place, Path(scratch), self.verifier, student)
                if found.problems:
                    return Grade(student, 0, possible, problem="; ".join(found.problems))
                path = found.handin.folder / PREDICTIONS_NAME
                predictions = read_predictions(path, self.verifier.key(student))
            except AssignmentError as error:
                return Grade(student, 0, possible, problem=str(error))
        grade = grade_sheet(self.keys, student, predictions.sheet, place.stat().st_mtime, deadline)
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


Grader = Callable[[str, Path, datetime | None], Grade]


def read_receipts(path: Path) -> dict[str, str]:
    """Read the receipts of students from a CSV file with the columns student and receipt. Raises RosterError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RosterError(f"{path.name} cannot be read as CSV in UTF-8 ({error})") from error
    if not rows or not {"student", "receipt"} <= set(rows[0]):
        raise RosterError(f"{path.name}: give a CSV file with the columns student and receipt")
    return {str(row["student"]).strip(): str(row["receipt"] or "") for row in rows}
