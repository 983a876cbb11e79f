"""Commitment to predictions: a signed file with the answers, their time and SHA-256 digest; later changes are refused.

    work/predictions.json   {assignment, student, committed, answers {question id: text}, digest, signature}

`committed` is the time of the commitment. A student can give the digest to the teacher as a receipt before the
measurement (`grade --receipts`). Without receipts a student could remove the folder and commit again, since the machine
is the student's own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Given
from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.handin.record import PREDICTIONS_NAME, now
from lab7.experiments.assignments.handin.task import Task
from lab7.experiments.assignments.sheet import Sheet
from lab7.experiments.harness.results.atomic import write_atomically

PREDICTIONS_BYTES_MAX = 1 << 20
RECEIPT_DIGITS = 16


@dataclass(frozen=True)
class Predictions:
    """Committed predictions: the answer sheet, and the time of the commitment in ISO 8601."""

    sheet: Sheet
    committed: str

    @property
    def digest(self) -> str:
        """SHA-256 of assignment, student, time and answers, in hexadecimal."""
        content = [self.sheet.assignment, self.sheet.student, self.committed, dict(self.sheet.answers)]
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def receipt(self) -> str:
        """The first hexadecimal digits of the digest, which a student gives to the teacher as a receipt."""
        return self.digest[:RECEIPT_DIGITS]


def commit(task: Task, sheet: Sheet, folder: Path) -> Predictions:
    """Store a sheet's predictions in a folder, signed. Raises AssignmentError if other predictions were committed."""
    variant = task.variant
    if (sheet.assignment, sheet.student) != (variant.assignment.name, variant.student):
        raise AssignmentError(
            f"the sheet is of {sheet.assignment} for {sheet.student}, the task of {variant.assignment.name} for "
            f"{variant.student}: use the sheet of your hand-out"
        )
    lacking = [question.id for question in variant.assignment.questions if question.id not in sheet.answers]
    if lacking:
        raise AssignmentError(
            f"no prediction for {', '.join(lacking)}: fill in all, since they cannot be changed later"
        )
    path = folder / PREDICTIONS_NAME
    if path.exists():
        kept = read_predictions(path, task.key)
        if dict(kept.sheet.answers) != dict(sheet.answers):
            changed = next(name for name in sheet.answers if kept.sheet.answers.get(name) != sheet.answers[name])
            raise AssignmentError(
                f"{changed} was committed as {kept.sheet.answers.get(changed)} on {kept.committed}, and cannot be "
                f"changed to {sheet.answers[changed]}: hand in what was committed"
            )
        return kept
    predictions = Predictions(sheet, now())
    content = {
        "assignment": sheet.assignment,
        "student": sheet.student,
        "committed": predictions.committed,
        "answers": dict(sheet.answers),
        "digest": predictions.digest,
        "signature": _signature(predictions, task.key),
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    return predictions


def read_predictions(path: Path, key: bytes) -> Predictions:
    """Read committed predictions, and verify their signature by the student's key. Raises AssignmentError."""
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(PREDICTIONS_BYTES_MAX))
        sheet = Sheet(str(content["assignment"]), str(content["student"]), _answers(content["answers"]))
        predictions = Predictions(sheet, str(content["committed"]))
        signature = str(content["signature"])
    except FileNotFoundError as error:
        raise AssignmentError(f"there is no {path.name}: commit predictions by `lab7 assignment predict`") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise AssignmentError(f"{path.name} cannot be read: hand in the file that lab7 wrote") from error
    if not hmac.compare_digest(signature.encode(), _signature(predictions, key).encode()):
        raise AssignmentError(f"{path.name} was changed after the commitment, or is another student's")
    return predictions


def _answers(content: Any) -> Mapping[str, Given]:
    """Return question id -> answer from decoded JSON. Raises TypeError unless each answer is text or a list."""
    if not isinstance(content, dict) or not all(isinstance(value, str | list) for value in content.values()):
        raise TypeError("answers must be text")
    return {str(name): value for name, value in content.items()}


def _signature(predictions: Predictions, key: bytes) -> str:
    return hmac.digest(key, f"predictions {predictions.digest}".encode(), hashlib.sha256).hex()
