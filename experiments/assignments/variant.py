"""Variant of an assignment for one student: the drawn values, and the answer key computed from the capture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.assignments.capture_view import CaptureView
from experiments.assignments.definition import Assignment, AssignmentError, Key
from experiments.assignments.draw import Draw
from experiments.harness.judge.frames import read_capture


@dataclass(frozen=True)
class Variant:
    """An assignment's drawn values for one student; `values` includes the nonce of the capture."""

    assignment: Assignment
    student: str
    seed: int
    values: Mapping[str, Any]

    @property
    def nonce(self) -> str:
        """The nonce, which marks the student's capture."""
        return str(self.values["nonce"])


def draw_variant(assignment: Assignment, secret: bytes, student: str) -> Variant:
    """Draw the variant of a student. Raises AssignmentError for values that JSON cannot encode, SecretError."""
    draw = Draw(secret, assignment.name, student)
    values = {**assignment.variant(draw), "nonce": draw.nonce}
    try:
        # The recording gets the values as JSON, which turns tuples into lists; convert them here as well.
        values = json.loads(json.dumps(values))
    except TypeError as error:
        raise AssignmentError(f"{assignment.name}: the variant has a value that JSON has not ({error})") from error
    return Variant(assignment, student, draw.seed, values)


def read_keys(variant: Variant, capture: Path) -> dict[str, Key]:
    """Compute the answer key of a variant by question, from its capture. Raises AssignmentError, CaptureReadError."""
    captured = read_capture(capture)
    interface = variant.assignment.interfaces[0].partition(":")[0]
    view = CaptureView(captured, interface, variant.values)
    keys: dict[str, Key] = {}
    for question in variant.assignment.questions:
        try:
            keys[question.id] = question.key(view)
        except Exception as error:
            raise AssignmentError(
                f"{variant.assignment.name}, {question.id}: no key from the capture of {variant.student} "
                f"({type(error).__name__}: {error})"
            ) from error
    return keys


def has_nonce(capture: Path, nonce: str) -> bool:
    """Return whether a packet of a capture file contains the nonce; comments in the file's options do not count."""
    mark = nonce.encode()
    return any(mark in frame.data for frame in read_capture(capture).frames)
