"""Command `lab7 assignment predict`: fixes a student's predictions in a signed file, then measures the times.

The measurement runs in virtual time (a user-mode Linux kernel whose clock stands still while programs compute), so that
the load of the student's machine has no effect.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.build import record
from lab7.experiments.assignments.definition import PREDICT_KIND, AssignmentError
from lab7.experiments.assignments.grade import Grade, expected_forms, grade_questions, not_understood
from lab7.experiments.assignments.handin.record import PREDICTIONS_NAME, write_handin
from lab7.experiments.assignments.handin.task import Task, read_task
from lab7.experiments.assignments.handout import to_html
from lab7.experiments.assignments.predictions.commitment import Predictions, commit
from lab7.experiments.assignments.recording import CAPTURE_NAME, CERTIFICATE_NAME
from lab7.experiments.assignments.sheet import SHEET_NAME, SheetError, read_sheet
from lab7.experiments.assignments.variant import read_keys
from lab7.experiments.harness.cli import common
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.results.atomic import write_atomically
from lab7.experiments.harness.results.result import Fidelity, decode
from lab7.experiments.harness.virtual_time.kernel_run import VirtualTime

WORK_NAME, PAGE_NAME = "work", "measured.html"


@click.command("predict")
@click.argument(
    "handout", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path(), required=False
)
@click.option("--assignment", "name", help="folder of the assignment, if it does not come with lab7")
@click.option("--commit-only", is_flag=True, help="commit the predictions, and do not measure yet")
def predict_command(handout: Path, name: str | None, commit_only: bool) -> None:
    """Commit the predictions in answers.yaml, then measure them in virtual time with the student's own parameters.

    HANDOUT is the folder of the hand-out, with task.json and answers.yaml (default: this one). Predictions that were
    committed cannot be changed. Writes HANDOUT/work with predictions.json, the capture, a page with the measured values
    and their terms, and handin.zip.
    """
    folder = handout / WORK_NAME
    try:
        task = read_task(handout, PREDICT_KIND, name)
        sheet = read_sheet(handout / SHEET_NAME)
        forms = expected_forms(task.variant.assignment, sheet, handout / SHEET_NAME)
        faults = [fault for name in sheet.answers if (fault := not_understood(sheet, name, forms))]
        if faults and not (folder / PREDICTIONS_NAME).exists():
            raise AssignmentError(f"{'; '.join(faults)}: nothing was committed, correct {SHEET_NAME} first")
        predictions = commit(task, sheet, folder)
    except (AssignmentError, SheetError) as error:
        raise common.InputError(str(error)) from error
    click.echo(f"committed on {predictions.committed}, receipt {predictions.receipt}")
    if commit_only:
        return
    virtual = common.virtual_time("virtual", "auto", True)
    if virtual is None:
        raise click.UsageError("predictions are measured from outside of the kernel of virtual time")
    with common.progress(task.variant.assignment.name) as step:
        step("measuring", 0.1)
        grade = measure(task, predictions, folder, virtual)
    _print(grade)
    click.echo(f"{folder / PAGE_NAME} explains the measured values; hand in {folder / 'handin.zip'}")


def measure(task: Task, predictions: Predictions, folder: Path, virtual: VirtualTime) -> Grade:
    """Record the student's capture, write the page of measured values and the hand-in, and return the grade.

    The grade's feedback has the relative error of each prediction. Raises EmulationError, AssignmentError.
    """
    assignment = task.variant.assignment
    record(task.variant, task.called, folder, virtual)
    about = json.loads((folder / CERTIFICATE_NAME).read_text())
    (folder / CERTIFICATE_NAME).unlink()
    keys = read_keys(task.variant, folder / CAPTURE_NAME)
    questions = grade_questions(task.variant, keys, predictions.sheet.answers)
    grade = Grade(task.variant.student, sum(one.earned for one in questions), assignment.points, questions)
    page = gradebook.feedback_markdown(assignment, grade)
    write_atomically(folder / PAGE_NAME, to_html(assignment.title, page))
    write_handin(task, folder, Clock(**about["clock"]), decode(Fidelity, about["fidelity"], CERTIFICATE_NAME))
    return grade


def _print(grade: Grade) -> None:
    for one in grade.questions:
        click.echo(f"{one.question}: {one.given}, {one.earned:g} of {one.possible:g} points: {one.feedback}")
    click.echo(f"{grade.earned:g} of {grade.possible:g} points")
