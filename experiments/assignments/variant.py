"""Variant of an assignment for one student: the drawn parameters, and the answer key computed from the capture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Number, Predicted
from lab7.experiments.assignments.capture_view import CaptureView
from lab7.experiments.assignments.definition import PREDICT_KIND, Assignment, AssignmentError, Key
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.harness.judge.frames import CaptureFile, read_capture


@dataclass(frozen=True)
class Variant:
    """Parameters of an assignment drawn for one student; `values` includes the nonce that the capture contains."""

    assignment: Assignment
    student: str
    seed: int
    values: Mapping[str, Any]

    @property
    def nonce(self) -> str:
        """The student's nonce, which identifies the student's capture."""
        return str(self.values["nonce"])


def draw_variant(assignment: Assignment, secret: bytes, student: str) -> Variant:
    """Draw a student's parameters. Raises AssignmentError for values that JSON cannot encode, SecretError."""
    draw = Draw(secret, assignment.name, student)
    values = {**assignment.variant(draw), "nonce": draw.nonce}
    try:
        # The recording gets the values as JSON, which turns tuples into lists; convert them here as well.
        values = json.loads(json.dumps(values))
    except TypeError as error:
        raise AssignmentError(f"{assignment.name}: the variant has a value that JSON has not ({error})") from error
    return Variant(assignment, student, draw.seed, values)


def read_keys(variant: Variant, capture: Path) -> dict[str, Key]:
    """Compute a student's answer keys, keyed by question id, from the capture file.

    Raises AssignmentError, CaptureReadError.
    """
    return keys_from(variant, read_capture(capture))


def keys_from(variant: Variant, captured: CaptureFile) -> dict[str, Key]:
    """Compute a student's answer keys, keyed by question id, from the capture. Raises AssignmentError."""
    interface = variant.assignment.interfaces[0].partition(":")[0]
    view = CaptureView(captured, interface, variant.values)
    keys: dict[str, Key] = {}
    for question in variant.assignment.questions:
        try:
            keys[question.id] = _in_bands(variant.assignment, question.id, question.key(view))
        except Exception as error:
            raise AssignmentError(
                f"{variant.assignment.name}, {question.id}: no key from the capture of {variant.student} "
                f"({type(error).__name__}: {error})"
            ) from error
    return keys


def _in_bands(assignment: Assignment, question: str, key: Key) -> Key:
    """Return a question's key; for the kind `predict`, its answer is replaced by a Predicted with tolerance bands.

    Raises TypeError if the answer to a prediction is not a Number.
    """
    if assignment.kind != PREDICT_KIND:
        return key
    if not isinstance(key.answer, Number):
        raise TypeError("the answer to a prediction must be a Number")
    return replace(key, answer=Predicted(key.answer, assignment.bands[question]))
