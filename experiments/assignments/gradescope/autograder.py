"""Autograder for Gradescope: grades one submission in the folders below /autograder, and writes results.json.

Gradescope, "Autograder Specifications": the submission is in submission/, its author in submission_metadata.json, and
the autograder writes results/results.json. This file is written even if grading fails. A submission that cannot be
graded has no score, instead of 0 points, and the student is asked to hand in again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab7.experiments.assignments import gradebook
from lab7.experiments.assignments.definition import find_assignment, takes_programs
from lab7.experiments.assignments.grade import Grade, KeyStore
from lab7.experiments.assignments.graders import grader_of
from lab7.experiments.assignments.gradescope.programs import grade_program
from lab7.experiments.harness.results.atomic import write_atomically

ROOT = Path("/autograder")
SETTINGS_NAME, SECRET_NAME, BUILD_NAME = "settings.json", "secret", "build"
METADATA_BYTES_MAX = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Grade the submission in Gradescope's container, and write results.json; return 0 even if grading fails."""
    parser = argparse.ArgumentParser(
        prog="python -m lab7.experiments.assignments.gradescope.autograder", description=__doc__
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of submission/, results/ and source/")
    root: Path = parser.parse_args(argv).root
    try:
        results = grade_submission(root)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        results = _ungraded("the autograder failed: tell your instructor, and hand in again later")
    (root / "results").mkdir(parents=True, exist_ok=True)
    write_atomically(root / "results" / "results.json", json.dumps(results, indent=2) + "\n")
    return 0


def grade_submission(root: Path) -> dict[str, Any]:
    """Grade the submission below a root folder; return the content of results.json."""
    source, place = root / "source", root / "submission"
    settings = json.loads((source / SETTINGS_NAME).read_text())
    name = str(source / settings["assignment"]) if "/" in settings["assignment"] else settings["assignment"]
    secret = (source / SECRET_NAME).read_bytes().strip()
    author = _author(root / "submission_metadata.json", settings["students"])
    if author is None:
        return _ungraded("your account is not on the roster of this assignment: tell your instructor")
    if takes_programs(name):
        return grade_program(name, secret, author, place, settings)
    keys = KeyStore(find_assignment(name), secret, source / BUILD_NAME)
    return gradebook.gradescope_results(grader_of(keys)(author, (place,)), bool(settings.get("show", True)))


def _ungraded(problem: str) -> dict[str, Any]:
    return gradebook.gradescope_results(Grade("", 0, 0, problem=problem))


def _author(path: Path, students: Sequence[str]) -> str | None:
    """Return the submitter's id in the roster, found by student id or email address; None if there is none."""
    with path.open("rb") as stream:
        users = json.loads(stream.read(METADATA_BYTES_MAX)).get("users", [])
    known = {student.casefold(): student for student in students}
    for user in users:
        email = str(user.get("email", ""))
        for name in (str(user.get("sid", "")), email, email.partition("@")[0]):
            if name.casefold() in known:
                return known[name.casefold()]
    return None


if __name__ == "__main__":
    sys.exit(main())
