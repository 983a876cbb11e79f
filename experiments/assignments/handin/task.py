"""Task file of a student: the parameters drawn for the student, and the key that signs the student's hand-in.

The parameters are drawn from the course secret, which only the teacher has. The commands that students run (`lab7
assignment predict` and `start`) therefore read them from the task file.

The key is HMAC(course secret, assignment, student), which the teacher can derive again. A valid signature proves that
the hand-in was written by a holder of this task file. It does not prove that the student has left the capture
unchanged.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.assignments.definition import KINDS_WITH_TASK, Assignment, AssignmentError, find_assignment
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.variant import Variant

TASK_NAME = "task.json"
TASK_BYTES_MAX = 1 << 20
FORMAT = 1


@dataclass(frozen=True)
class Task:
    """Content of a student's task file: drawn parameters, the assignment's name or folder, and the signing key."""

    variant: Variant
    called: str
    key: bytes


def signing_key(secret: bytes, assignment: str, student: str) -> bytes:
    """Derive the key that signs a student's hand-ins from the course secret. Raises SecretError."""
    return Draw(secret, assignment, student).octets("signature", 32)


def task_text(variant: Variant, secret: bytes) -> str:
    """Return the JSON text of a student's task file. Raises SecretError."""
    content = {
        "format": FORMAT,
        "assignment": variant.assignment.name,
        "student": variant.student,
        "seed": variant.seed,
        "values": dict(variant.values),
        "key": signing_key(secret, variant.assignment.name, variant.student).hex(),
    }
    # Keep the order of the values, since an assignment may depend on it.
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_task(place: Path, kind: str, called: str | None = None) -> Task:
    """Read a task file at a path, or in a hand-out folder. Raises AssignmentError.

    kind: the required kind of the assignment; called: the folder of an assignment that does not come with lab7.
    """
    path = place / TASK_NAME if place.is_dir() else place
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(TASK_BYTES_MAX))
        name, student = str(content["assignment"]), str(content["student"])
        seed, values, key = int(content["seed"]), dict(content["values"]), bytes.fromhex(content["key"])
    except OSError as error:
        raise AssignmentError(f"{path} cannot be read ({error.strerror}): give the folder of your hand-out") from error
    except (ValueError, KeyError, TypeError) as error:
        raise AssignmentError(f"{path} is not a task file of lab7: give the folder of your hand-out") from error
    assignment = find_assignment(called or name)
    require_kind(assignment, kind)
    if assignment.name != name:
        raise AssignmentError(f"{path} is of the assignment {name}, not {assignment.name}")
    return Task(Variant(assignment, student, seed, values), called or name, key)


def require_kind(assignment: Assignment, kind: str) -> None:
    """Raise AssignmentError unless an assignment is of this kind."""
    if assignment.kind != kind:
        command = KINDS_WITH_TASK.get(assignment.kind, "check")
        raise AssignmentError(
            f"{assignment.name} is of the kind {assignment.kind}: use `lab7 assignment {command}` for it"
        )
