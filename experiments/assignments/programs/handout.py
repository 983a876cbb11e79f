"""Hand-out for students who write a server: the task in Markdown, HTML and PDF, with a table of the graded tests.

Hidden tests are left out of the table. The task is `handout.md` in the folder of the assignment, or of the assignment
that it extends. It is the same for all students: parameters that differ between students are drawn when a program is
checked or graded.
"""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.assignments import handout
from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.programs.definition import ProgramAssignment, Stage

TASK_NAME = "handout.md"


def program_handout(assignment: ProgramAssignment) -> str:
    """Return a program assignment's hand-out as Markdown. Raises AssignmentError if the task file is missing."""
    public = [stage for stage in assignment.stages if not stage.hidden]
    hidden = [stage for stage in assignment.stages if stage.hidden]
    rows = ["| stage | points | what is required |", "|---|---|---|"]
    rows += [f"| {stage.id}: {stage.title} | {stage.points:g} | {_required(assignment, stage)} |" for stage in public]
    parts = [
        f"# {assignment.title}\n\n{assignment.points:g} points in {len(assignment.stages)} stages. Hand in "
        f"`{assignment.file}`, or a folder with it and your other files.",
        _task(assignment),
        f"## How it is started\n\n    {assignment.command.replace('{file}', assignment.file)}\n\n"
        "The words in braces are replaced by values, which differ from run to run.",
        "## Stages\n\nA stage opens when the one before it is passed.\n\n" + "\n".join(rows),
    ]
    if hidden:
        points = sum(stage.points for stage in hidden)
        many = "stages are" if len(hidden) > 1 else "stage is"
        parts.append(f"{len(hidden)} more {many} decided when your program is graded, with {points:g} points.")
    parts.append(_check(assignment))
    return "\n\n".join(parts) + "\n"


def _task(assignment: ProgramAssignment) -> str:
    folders = [assignment.folder, *([assignment.base] if assignment.base else [])]
    for path in (folder / TASK_NAME for folder in folders):
        if path.is_file():
            return path.read_text(encoding="utf-8").strip()
    raise AssignmentError(f"{assignment.folder.name} has no {TASK_NAME}: write the task there")


def _required(assignment: ProgramAssignment, stage: Stage) -> str:
    statements = {claim.id: claim.statement for claim in assignment.experiment.own_claims}
    told = [statements.get(claim, f"The claim {claim}.") for claim in stage.claims]
    return " ".join([*told, *(f"The message rule {rule}." for rule in stage.rules)])


def _check(assignment: ProgramAssignment) -> str:
    text = f"## Before you hand in\n\n    lab7 assignment check {assignment.file} --assignment {assignment.name}\n\n"
    text += "The check runs the stages above, with other data each time."
    if assignment.hint_tries:
        text += (
            f" For a stage that fails it gives a hint; once you have changed your program and checked it "
            f"{assignment.hint_tries} times, it names the frame, the octets, and the correct form."
        )
    return text


def write_program_handout(assignment: ProgramAssignment, out: Path) -> list[Path]:
    """Write a program assignment's hand-out into a folder; return the paths of its files. Raises AssignmentError."""
    markdown = program_handout(assignment)
    out.mkdir(parents=True, exist_ok=True)
    made = [out / "handout.md", out / "handout.html"]
    made[0].write_text(markdown, encoding="utf-8")
    made[1].write_text(handout.to_html(assignment.title, markdown), encoding="utf-8")
    if handout.write_pdf(out / "handout.pdf", assignment.title, markdown):
        made.append(out / "handout.pdf")
    return made
