"""Text report on the graded test stages of a student's program: one line each, `passed` or with feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab7.experiments.assignments.grade import Grade
from lab7.experiments.assignments.programs.definition import Stage
from lab7.experiments.assignments.programs.stages import PASSED


def stage_lines(grade: Grade, stages: Mapping[str, Stage]) -> Iterator[str]:
    """Yield a line of text for each stage in a grade: id, title, and `passed` or the feedback."""
    for one in grade.questions:
        title = stages[one.question].title if one.question in stages else ""
        mark = PASSED if one.earned == one.possible and one.feedback == PASSED else one.feedback
        yield f"{one.question} ({title}): {mark}"
