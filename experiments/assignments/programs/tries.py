"""Count of a student's failed tries per stage: `lab7 assignment check` first gives hints, and later full feedback.

A try is a check of a program that differs from the program checked before. A stage is a graded group of tests. The
counts are in a file of the student: they decide only about the output of `check`, and not about a grade.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from lab7.experiments.assignments.grade import Grade, QuestionGrade
from lab7.experiments.assignments.programs.definition import ProgramAssignment, Stage
from lab7.experiments.assignments.programs.deviation import rule_of
from lab7.experiments.assignments.programs.stages import is_open
from lab7.experiments.assignments.programs.submission import TRIES_NAME
from lab7.experiments.harness.results.atomic import write_atomically


@dataclass
class Tries:
    """Number of failed checks (tries) of each stage of one assignment, and the digest of the program checked last."""

    path: Path
    assignment: str
    digest: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def count(self, digest: str, failed: Iterable[str]) -> None:
        """Count a try for each failed stage, and write the file; a program equal to the previous one is not counted."""
        if digest != self.digest:
            self.digest = digest
            for stage in failed:
                self.counts[stage] = self.counts.get(stage, 0) + 1
        known = _read(self.path)
        known[self.assignment] = {"program": self.digest, "stages": self.counts}
        write_atomically(self.path, json.dumps(known, indent=2, sort_keys=True) + "\n")


def read_tries(place: Path, assignment: str) -> Tries:
    """Read the tries of an assignment from a file in the folder of the program.

    `place`: the program, or its folder.
    """
    path = (place if place.is_dir() else place.parent) / TRIES_NAME
    known = _read(path).get(assignment)
    if not isinstance(known, dict) or not isinstance(known.get("stages"), dict):
        return Tries(path, assignment)
    counts = {str(name): count for name, count in known["stages"].items() if isinstance(count, int)}
    return Tries(path, assignment, str(known.get("program", "")), counts)


def _read(path: Path) -> dict[str, object]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def with_hints(assignment: ProgramAssignment, grade: Grade, tries: Tries) -> Grade:
    """Return a grade in which stages with at most `hint_tries` tries have a hint instead of the full feedback.

    A grade with flags, such as an early end of the program, is returned unchanged, since hints are about messages.
    """
    if grade.flags:
        return grade
    stages = {stage.id: stage for stage in assignment.stages}
    hinted = tuple(
        replace(one, feedback=_hint(assignment, stages[one.question], one, tries))
        if is_open(one) and tries.counts.get(one.question, 0) <= assignment.hint_tries
        else one
        for one in grade.questions
    )
    return replace(grade, questions=hinted)


def _hint(assignment: ProgramAssignment, stage: Stage, one: QuestionGrade, tries: Tries) -> str:
    left = assignment.hint_tries - tries.counts.get(stage.id, 0) + 1
    statements = {claim.id: claim.statement for claim in assignment.experiment.own_claims}
    rule = rule_of(one.feedback) or " ".join(statements[claim] for claim in stage.claims if claim in statements)
    more = f" {stage.hint}" if stage.hint else ""
    when = "the next change" if left == 1 else f"{left} more changes"
    return f"not passed. Hint: {rule}{more} (in full, with frame and octets, after {when} of the program)"
