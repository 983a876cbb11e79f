"""Grading of a student's server in stages (groups of tests with points), which have to be passed in order.

A stage has claims (statements about the server that the captured packets confirm or contradict) and message rules
(requirements of RFCs on single messages). It is passed if all its claims are confirmed and no message of the program
breaks its rules. A stage is graded only if the previous stage is passed, so that a fault is reported once, at the first
stage that it affects.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from lab7.experiments.analysis.rules.rule import Violation
from lab7.experiments.assignments.grade import QuestionGrade
from lab7.experiments.assignments.programs.definition import Stage
from lab7.experiments.assignments.programs.deviation import explained
from lab7.experiments.harness.judge.verdict import Verdict

PASSED = "passed"
NOT_OPENED = "not opened"


@dataclass(frozen=True)
class Evidence:
    """Evidence of one test run: verdicts keyed by claim, message rules that the program violated, and its early end.

    `ended`: a clause for the student about an early end; empty if the program ran until the experiment had ended.
    """

    verdicts: Mapping[str, Verdict]
    violations: Sequence[Violation] = ()
    ended: str = ""


def decide_stages(stages: Iterable[Stage], evidence: Evidence) -> tuple[QuestionGrade, ...]:
    """Return the grade of each stage of a program assignment, in order.

    After the first stage that is not passed, all stages stay closed: they get 0 points, and are not checked.
    """
    grades: list[QuestionGrade] = []
    closed_by = ""
    for stage in stages:
        if closed_by:
            feedback, fault = f"{NOT_OPENED}: pass the stage {closed_by} first", True
        else:
            feedback = _fault(stage, evidence)
            fault = bool(feedback)
            closed_by = stage.id if fault else ""
        earned = 0.0 if fault else stage.points
        grades.append(QuestionGrade(stage.id, earned, stage.points, "", feedback or PASSED, stage.title))
    return tuple(grades)


def is_open(grade: QuestionGrade) -> bool:
    """Return True if a stage was checked and not passed.

    Returns False for a stage that was passed, or was not checked because an earlier stage was not passed.
    """
    return grade.feedback != PASSED and not grade.feedback.startswith(NOT_OPENED)


def _fault(stage: Stage, evidence: Evidence) -> str:
    """Return feedback on the first fault in a stage; empty if the stage is passed.

    If the program ended early, the feedback begins with a clause about that.
    """
    for violation in evidence.violations:
        if violation.rule.id in stage.rules:
            return explained(violation)
    for claim in stage.claims:
        verdict = evidence.verdicts.get(claim)
        if verdict is None or verdict.verdict != "shown":
            found = "" if verdict is None else verdict.evidence
            if evidence.ended:
                return f"{evidence.ended}. {found}" if verdict and verdict.verdict == "failed" else f"{evidence.ended}."
            return found or f"the run has no verdict on {claim}"
    return ""
