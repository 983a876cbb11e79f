"""Command `lab7 assignment verify`: checks that a student's signed hand-in is unchanged, and prints what it records.

Printed are, for example, the student, the version of lab7, and the clock of the run: real or simulated.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from lab7.experiments.assignments.build import require_same_build
from lab7.experiments.assignments.course.roster import RosterError, read_students
from lab7.experiments.assignments.definition import AssignmentError, find_assignment
from lab7.experiments.assignments.draw import SecretError
from lab7.experiments.assignments.grade import KeyStore
from lab7.experiments.assignments.handin.verification import Verified, Verifier, verify
from lab7.experiments.harness.cli import common


def verify_handin(
    place: Path, secret: bytes | None, name: str | None, roster: Path | None, built: Path | None, as_json: bool
) -> None:
    """Verify a hand-in, and print the results.

    Exits with 1 if there is a problem, with 2 if the build was made with another secret.
    """
    if built is not None and secret is None:
        raise click.UsageError("--build needs the course secret: give it by --secret")
    with tempfile.TemporaryDirectory(prefix="lab7-verify-") as scratch:
        try:
            students = read_students(roster) if roster is not None else []
            found = verify(place, Path(scratch), None)
            if secret is not None:
                called = name or found.handin.record.assignment
                if built is not None:
                    assignment = find_assignment(called)
                    called = assignment.name
                    require_same_build(assignment, secret, built)
                    students = sorted({*students, *KeyStore(assignment, secret, built).students})
                verifier = Verifier(secret, called, students)
                found = verify(found.handin.folder, Path(scratch), verifier)
        except (AssignmentError, RosterError, SecretError) as error:
            raise common.InputError(str(error)) from error
    if as_json:
        common.print_json({**dict(found.lines), "problems": list(found.problems)})
    else:
        _print(found)
    if found.problems:
        raise click.exceptions.Exit(common.FAILED)


def _print(found: Verified) -> None:
    for name, line in found.lines:
        click.echo(f"{name:<12} {line}")
    for problem in found.problems:
        click.echo(f"problem      {problem}")
