"""Commands `lab7 assignment grade`, `check` and `handout`, for assignments in which students write a server.

`check` tests one program and prints feedback, `grade` grades a folder of programs, and `handout` writes the task.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.course.lateness import Deadline
from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.definition import AssignmentError
from lab7.experiments.assignments.draw import SecretError
from lab7.experiments.assignments.grade import Grade
from lab7.experiments.assignments.programs.definition import ProgramAssignment, find_program_assignment
from lab7.experiments.assignments.programs.grading import Grading, grade_programs, grade_submission
from lab7.experiments.assignments.programs.handout import write_program_handout
from lab7.experiments.assignments.programs.report import stage_lines
from lab7.experiments.assignments.programs.stages import is_open
from lab7.experiments.assignments.programs.submission import find_programs, read_submission
from lab7.experiments.assignments.programs.tries import read_tries, with_hints
from lab7.experiments.assignments.submissions.names import printable
from lab7.experiments.assignments.submissions.sheets import listed
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime
from lab7.topologies.emulation.errors import UserFileError


def grade_folder(
    name: str,
    submissions: Path,
    secret: bytes,
    out: Path,
    roster: Roster | None,
    jobs: int,
    deadline: Deadline,
) -> list[Grade]:
    """Grade all programs in a folder and write the gradebooks; return the grades in the order of student ids."""
    assignment, virtual = _prepare(name)
    try:
        grading = Grading(assignment, name, virtual, out, assignment.stages, assignment.parameters)
        with tempfile.TemporaryDirectory(prefix="lab7-grade-") as scratch, common.progress(assignment.name) as step:
            found = find_programs(submissions, assignment.file, Path(scratch), roster)
            students = sorted({*found.submissions, *(roster.rows if roster is not None else ())})
            grades = grade_programs(grading, found.submissions, students, secret, jobs, deadline, step)
        grades += [Grade(one, 0, assignment.points, problem=why) for one, why in sorted(found.strangers.items())]
    except SecretError as error:
        raise common.InputError(str(error)) from error
    gradebook.write_all(assignment, grades, out, roster)
    print_ignored(found.ignored)
    return grades


def print_ignored(names: Sequence[str]) -> None:
    """Print the names of the files beside the submissions that belong to no student, on standard error."""
    if names:
        click.echo(f"not of a student, ignored: {printable(listed(names))}", err=True)


def check_program(name: str, place: Path) -> None:
    """Run and grade the public stages of a program, and print the result of each.

    Exits with 1 if a stage is not passed, and with 3 if the run failed because of lab7.
    """
    assignment, virtual = _prepare(name)
    public = tuple(stage for stage in assignment.stages if not stage.hidden)
    with tempfile.TemporaryDirectory(prefix="lab7-check-") as folder, common.progress(assignment.name) as step:
        submission = read_submission("program", place, assignment.file)
        step("running the program", 0.1)
        grading = Grading(assignment, name, virtual, Path(folder), public, assignment.check_parameters)
        grade = grade_submission(grading, submission, secrets.randbelow(1 << 31))
    if grade.problem:
        click.echo(grade.problem, err=True)
        raise click.exceptions.Exit(common.CANNOT)
    tries = read_tries(place, assignment.name)
    try:
        tries.count(submission.digest([]), (one.question for one in grade.questions if is_open(one)))
    except OSError as error:
        click.echo(f"the tries are not counted: {tries.path} cannot be written ({error.strerror})", err=True)
    grade = with_hints(assignment, grade, tries)
    for line in stage_lines(grade, {stage.id: stage for stage in public}):
        click.echo(line)
    hidden = len(assignment.stages) - len(public)
    many = "stages are" if hidden > 1 else "stage is"
    more = f"; {hidden} hidden {many} graded after you hand in" if hidden else ""
    click.echo(f"{grade.earned:g} of {grade.possible:g} points of the public stages{more}")
    if grade.earned < grade.possible:
        raise click.exceptions.Exit(common.FAILED)


def write_handout(name: str, out: Path) -> None:
    """Write the hand-out of a program assignment into a folder, and print the paths of its files."""
    try:
        made = write_program_handout(find_program_assignment(name), out)
    except (AssignmentError, UserFileError) as error:
        raise common.InputError(str(error)) from error
    except OSError as error:
        raise click.UsageError(f"{out} cannot be written ({error.strerror})") from error
    click.echo(", ".join([str(made[0]), *(path.name for path in made[1:])]))


def _prepare(name: str) -> tuple[ProgramAssignment, VirtualTime]:
    try:
        assignment = find_program_assignment(name)
    except (AssignmentError, UserFileError) as error:
        raise common.InputError(str(error)) from error
    virtual = common.virtual_time("virtual", "auto", True)
    if virtual is None:
        raise click.UsageError("programs are graded from outside of the kernel of virtual time")
    return assignment, virtual
