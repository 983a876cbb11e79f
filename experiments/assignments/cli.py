"""Commands `lab7 assignment ...`: build assignments, check and grade students' work, verify signed captures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click
from rich.markup import escape

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.build import HANDOUTS, KEYS, Built, build, require_same_build
from lab7.experiments.assignments.course.lateness import Deadline, read_times
from lab7.experiments.assignments.course.roster import Roster, RosterError, read_roster, read_students
from lab7.experiments.assignments.definition import (
    NETWORK_KIND,
    PREDICT_KIND,
    SHEET_KIND,
    Assignment,
    AssignmentError,
    catalogue,
    find_assignment,
    kind_of,
    takes_programs,
)
from lab7.experiments.assignments.draw import SecretError
from lab7.experiments.assignments.grade import Grade, KeyStore, check_sheet, expected_forms
from lab7.experiments.assignments.graders import grade_all, submissions_of
from lab7.experiments.assignments.gradescope.bundle import write_bundle, write_program_bundle
from lab7.experiments.assignments.handin.command import verify_handin
from lab7.experiments.assignments.network.command import start_command
from lab7.experiments.assignments.predictions.command import predict_command
from lab7.experiments.assignments.predictions.grading import read_receipts
from lab7.experiments.assignments.programs.command import check_program, grade_folder, print_ignored, write_handout
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.sheet import SheetError, read_sheet
from lab7.experiments.assignments.skeleton import write_skeleton
from lab7.experiments.assignments.submissions.names import Course
from lab7.experiments.harness.cli import common
from lab7.topologies.emulation.virtual import kernel

SECRET_BYTES_READ = 4_096
GRADES_NAME = "grades"


@click.group("assignment")
def assignment_command() -> None:
    """Packet-capture assignments: individual captures, answer sheets, keys and grades.

    \b
    (umask 077; openssl rand -hex 32 > secret)
    lab7 assignment build http-basics --roster roster.csv --secret secret -o out
    lab7 assignment check answers.yaml
    lab7 assignment predict        # kind predict, in the folder of a hand-out
    lab7 assignment start          # kind network, there as well
    lab7 assignment verify work/handin.zip --secret secret
    lab7 assignment grade in --assignment http-basics --secret secret --build out
    lab7 assignment check server.py --assignment http-server
    lab7 assignment grade programs --assignment http-server --secret secret

    out/handouts is for the students, out/keys and the secret are not.
    """


def _secret(_context: click.Context, _option: click.Parameter, path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(SECRET_BYTES_READ).strip()


secret_option = click.option(
    "--secret",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    callback=_secret,
    help="file with the course secret, from which all variants are drawn",
)


jobs_option = click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=os.cpu_count() or 1,
    show_default="the processors",
    help="kernels of virtual time that run at a time",
)


def _takes_programs(name: str) -> bool:
    try:
        return takes_programs(name)
    except AssignmentError as error:
        raise common.InputError(str(error)) from error


def _find(name: str) -> Assignment:
    try:
        return find_assignment(name)
    except AssignmentError as error:
        raise common.InputError(str(error)) from error


@assignment_command.command("list")
@common.json_option
def list_assignments(as_json: bool) -> None:
    """List the assignments that come with lab7, with their kinds.

    sheet: answers about a capture; predict: numbers, then a measurement; network: the capture of one's own work;
    program: a server, for which `lab7 assignment handout` writes the task.
    """
    found = [{"name": name, "kind": kind_of(name), "title": title} for name, title in catalogue().items()]
    if as_json:
        common.print_json(found)
        return
    names, kinds = (max(len(one[column]) for one in found) for column in ("name", "kind"))
    for one in found:
        common.out().print(f"[bold]{one['name']:<{names}}[/]  {one['kind']:<{kinds}}  {escape(one['title'])}")


@assignment_command.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(path_type=Path), default=Path(), help="folder of the new assignment")
@click.option(
    "--kind",
    type=click.Choice((SHEET_KIND, PREDICT_KIND, NETWORK_KIND)),
    default=SHEET_KIND,
    show_default=True,
    help="what is handed in: an answer sheet, predictions, or the capture of a network",
)
def new_assignment(name: str, folder: Path, kind: str) -> None:
    """Make the folder of a new assignment, with an example that can be built."""
    try:
        made = write_skeleton(folder, name, kind)
    except AssignmentError as error:
        raise common.InputError(str(error)) from error
    click.echo(f"{made}: edit its three files, then `lab7 assignment build ./{made} ...`")


@assignment_command.command("build")
@click.argument("name")
@click.option(
    "--roster",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="CSV file with a column `student`",
)
@secret_option
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="folder into which hand-outs and answer keys are written",
)
@jobs_option
def build_command(name: str, roster: Path, secret: bytes, out: Path, jobs: int) -> None:
    """Record a capture in virtual time for each student, and write hand-outs, answer sheets and keys.

    A build that was interrupted continues where it stopped. Exits with 1 if a student's part could not be built.
    """
    assignment = _find(name)
    virtual = None if assignment.kind == NETWORK_KIND else common.virtual_time("virtual", "auto", True)
    if virtual is None and assignment.kind != NETWORK_KIND:
        raise click.UsageError("assignments are built from outside of the kernel of virtual time")
    try:
        students = read_students(roster)
        with common.progress(assignment.name) as step:
            results = build(assignment, name, students, secret, out, virtual, jobs, step)
    except (RosterError, AssignmentError, SecretError) as error:
        raise common.InputError(str(error)) from error
    _print_built(results, out)
    if any(one.error for one in results):
        raise click.exceptions.Exit(common.FAILED)


def _print_built(results: Sequence[Built], out: Path) -> None:
    for one in results:
        if one.error:
            click.echo(f"{one.student}: {one.error}", err=True)
    built, kept = sum(one.built for one in results), sum(not one.built and not one.error for one in results)
    click.echo(f"{built} built, {kept} were complete: {out / HANDOUTS} for the students, {out / KEYS} for you")


@assignment_command.command("check")
@click.argument("sheet", type=click.Path(exists=True, path_type=Path))
@click.option("--assignment", "name", help="name or folder of the assignment (default: as in the answer sheet)")
@click.option("--hint", "hints", multiple=True, metavar="QUESTION", help="print the hint for a question (repeatable)")
def check_command(sheet: Path, name: str | None, hints: tuple[str, ...]) -> None:
    """Check an answer sheet or a program before it is handed in.

    Of an answer sheet only the form is checked: syntax, missing answers, and answers that `grade` would not understand
    as the number, frame numbers, address or choice in the comment of the sheet, or in the hand-out (handout.md) beside
    it. It does not say whether an answer is right. Exits with 1 if an answer is missing, not understood, or could not
    be checked. A program (its file or folder, with --assignment)
    runs in virtual time, and its public stages are decided. Exits with 1 if one of them is not passed.
    """
    if name is not None and _takes_programs(name):
        check_program(name, sheet)
        return
    if sheet.is_dir():
        raise click.UsageError(f"{sheet} is a folder: give an answer sheet, or --assignment with one for programs")
    try:
        given = read_sheet(sheet)
    except SheetError as error:
        raise common.InputError(str(error)) from error
    assignment = _find(name or given.assignment)
    if assignment.kind == NETWORK_KIND:
        raise click.UsageError(
            f"{assignment.name} has no answer sheet: `lab7 assignment start` makes what is handed in"
        )
    by_id = {question.id: question for question in assignment.questions}
    for hint in hints:
        if hint not in by_id:
            raise click.UsageError(f"{assignment.name} has no question {hint}: it has {', '.join(by_id)}")
        question = by_id[hint]
        shown = f" (display filter: {question.filter})" if question.filter else ""
        click.echo(f"{hint}: {question.hint or 'there is no hint'}{shown}")
    notes = check_sheet(assignment, given, expected_forms(assignment, given, sheet))
    for note in notes:
        click.echo(note)
    answered = [question.id for question in assignment.questions if question.id in given.answers]
    click.echo(f"{given.student}: {len(answered)} of {len(assignment.questions)} questions answered")
    if notes:
        raise click.exceptions.Exit(common.FAILED)


def _deadline(_context: click.Context, _option: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not an ISO 8601 time, for example 2030-05-01T23:59+02:00") from error


@assignment_command.command("grade")
@click.argument("submissions", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--assignment", "name", required=True, help="name or folder of the assignment")
@secret_option
@click.option(
    "--build",
    "built",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder of the build (-o); answer sheets need it, programs have none",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="folder into which grades are written (default: SUBMISSIONS/../grades)",
)
@click.option(
    "--deadline",
    callback=_deadline,
    metavar="TIME",
    help="deadline in ISO 8601, local time without an offset; submissions whose file was modified later (or "
    "--submitted) lose points by the late rules of the assignment",
)
@click.option(
    "--roster",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file with a column `student`: its columns fill canvas.csv and moodle.csv, name the students of Moodle's "
    "folders, and it lists those of programs "
    "without a submission",
)
@click.option(
    "--submitted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file with the columns student and submitted (ISO 8601): times of hand-in, in place of those of the files",
)
@click.option(
    "--receipts",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file with the columns student and receipt: receipts of predictions that were given before",
)
@jobs_option
def grade_command(
    submissions: Path,
    name: str,
    secret: bytes,
    built: Path | None,
    out: Path | None,
    deadline: datetime | None,
    roster: Path | None,
    submitted: Path | None,
    receipts: Path | None,
    jobs: int,
) -> None:
    """Grade a folder of submissions, and write gradebooks and feedback.

    Submissions are folders STUDENT/answers.yaml (or with a single YAML file of another name) or files STUDENT.yaml; of
    predictions and networks, folders STUDENT with handin.zip, or files STUDENT.zip; of programs, folders STUDENT with
    the file that the assignment names, or files STUDENT-FILE. Each program runs in a kernel of virtual time; grades
    that exist for the same program are kept. Writes grades.csv, canvas.csv, moodle.csv, grades.json, junit.xml, and per
    student a feedback page and Gradescope's results.json. Exits with 1 if a submission was not graded.
    """
    place = out or submissions.resolve().parent / GRADES_NAME
    if submitted is not None and deadline is None:
        raise click.UsageError("--submitted needs the deadline: give it by --deadline")
    try:
        listed = read_roster(roster) if roster is not None else None
        due = Deadline(deadline, read_times(submitted) if submitted is not None else {})
    except RosterError as error:
        raise common.InputError(str(error)) from error
    if _takes_programs(name):
        _print_grades(grade_folder(name, submissions, secret, place, listed, jobs, due), place)
        return
    if built is None:
        raise click.UsageError("these submissions are graded by their build: give its folder by --build")
    assignment = _find(name)
    try:
        require_same_build(assignment, secret, built)
        keys = KeyStore(assignment, secret, built)
        found = submissions_of(assignment.kind, submissions, Course(keys.students, listed or Roster({})))
        students = {*found.places, *found.strangers, *keys.students}
        grades: list[Grade] = []
        given = read_receipts(receipts) if receipts is not None else None
        with common.progress(assignment.name) as step:
            for grade in grade_all(keys, found, due, given):
                grades.append(grade)
                step(f"{len(grades)} of {len(students)}", len(grades) / max(1, len(students)))
    except (AssignmentError, RosterError, SecretError) as error:
        raise common.InputError(str(error)) from error
    gradebook.write_all(assignment, grades, place, listed)
    print_ignored(found.ignored)
    _print_grades(grades, place)


@assignment_command.command("verify")
@click.argument("submission", type=click.Path(exists=True, path_type=Path))
@click.option("--assignment", "name", help="name of the assignment (default: as in the hand-in)")
@click.option(
    "--secret",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    callback=lambda context, option, path: None if path is None else _secret(context, option, path),
    help="file with the course secret, which the signature and the nonce need",
)
@click.option(
    "--roster",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file with a column `student`: names the student whose capture it is",
)
@click.option(
    "--build",
    "built",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder of the build (-o): says whether the secret is its secret, and names its students, too",
)
@common.json_option
def verify_command(
    submission: Path, name: str | None, secret: bytes | None, roster: Path | None, built: Path | None, as_json: bool
) -> None:
    """Verify a hand-in (handin.zip, or a folder with it): student, lab7, clock, certificate, files and signature.

    Exits with 1 if a file was changed, the signature does not match, or the capture is another student's. The
    signature proves that the files were signed with the key of the student's task file: by lab7, or by the student.
    """
    verify_handin(submission, secret, name, roster, built, as_json)


@assignment_command.command("handout")
@click.argument("name")
@click.option(
    "-o",
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="folder into which the hand-out is written",
)
def handout_command(name: str, out: Path) -> None:
    """Write the hand-out of a program assignment: the task, the command line, and the public stages.

    The hand-out is the same for all students. Hand-outs with captures are made by `lab7 assignment build`.
    """
    if not _takes_programs(name):
        raise click.UsageError(f"{name} has a hand-out for each student: `lab7 assignment build {name} ...`")
    write_handout(name, out)


@assignment_command.command("bundle")
@click.argument("name")
@secret_option
@click.option(
    "--build",
    "built",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="folder of the build (-o); programs have none",
)
@click.option(
    "--roster",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV file with a column `student`: those whose programs are graded",
)
@click.option(
    "--gradescope",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="zip file to write, with the autograder",
)
@click.option(
    "--show/--hide",
    default=True,
    show_default=True,
    help="let students see their score at once, or only after publication",
)
def bundle_command(name: str, secret: bytes, built: Path | None, roster: Path | None, path: Path, show: bool) -> None:
    """Write the zip file of a Gradescope autograder for a build, or for programs.

    The zip file contains the course secret: upload it to Gradescope, and give it to no student. A zip file for programs
    contains the kernel of virtual time, too.
    """
    try:
        if _takes_programs(name):
            if roster is None:
                raise click.UsageError("programs are graded for the students of a roster: give it by --roster")
            assignment = find_program_assignment(name)
            count = write_program_bundle(assignment, secret, read_students(roster), kernel.require(), path, show)
        elif built is None:
            raise click.UsageError("the zip file is made of a build: give its folder by --build")
        else:
            count = write_bundle(_find(name), secret, built, path, show)
    except (AssignmentError, RosterError, SecretError) as error:
        raise common.InputError(str(error)) from error
    click.echo(f"{path}: an autograder for {count} students")


assignment_command.add_command(predict_command)
assignment_command.add_command(start_command)


def _print_grades(grades: Sequence[Grade], place: Path) -> None:
    rows = [
        [
            escape(grade.student),
            f"{grade.earned:g} of {grade.possible:g}" if grade.graded else "not graded",
            escape("; ".join(filter(None, [grade.problem, *grade.flags, grade.late]))),
        ]
        for grade in grades
    ]
    common.out().print(common.table(["student", "points", "remarks"], rows))
    missing = sum(grade.missing for grade in grades)
    failed = sum(not grade.graded and not grade.missing for grade in grades)
    click.echo(f"{len(grades) - missing - failed} graded, {failed} not graded, {missing} without a submission")
    click.echo(f"gradebooks and feedback: {place}")
    if failed:
        raise click.exceptions.Exit(common.FAILED)
