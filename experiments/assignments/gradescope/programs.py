"""Grading of one student's program in a Gradescope container: a test run inside a user-mode Linux kernel.

The kernel is an ordinary process and needs no privileges in the container (see lab7.topologies.emulation.virtual).
Inside of it the program runs under a user id of its own. The grading code, the secret and the results stay outside.
results.json is written after the kernel has ended.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.draw import Draw
from lab7.experiments.assignments.grade import Grade
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.grading import Grading, grade_submission
from lab7.experiments.assignments.programs.submission import read_submission
from lab7.experiments.harness.cli import common


def grade_program(name: str, secret: bytes, student: str, place: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Grade a student's program at a path; return the content of results.json. Raises EmulationError."""
    assignment = find_program_assignment(name)
    virtual = common.virtual_time("virtual", "auto", True)
    if virtual is None:
        raise RuntimeError("programs are graded from outside of the kernel of virtual time")
    with tempfile.TemporaryDirectory(prefix="lab7-autograder-") as text:
        folder = Path(text)
        (folder / "unpacked").mkdir()
        submission = read_submission(student, place, assignment.file, folder / "unpacked")
        grading = Grading(assignment, name, virtual, folder / "out", assignment.stages, assignment.parameters)
        grade: Grade = grade_submission(grading, submission, Draw(secret, assignment.name, student).seed)
    hidden = {stage.id for stage in assignment.stages if stage.hidden}
    return gradebook.gradescope_results(grade, bool(settings.get("show", True)), hidden)
