"""Autograder for Gradescope: grades one submission in the folders below /autograder, and writes results.json.

Gradescope, "Autograder Specifications": the submission is in submission/, its author in submission_metadata.json, and
the autograder writes results/results.json. Whatever happens, that file is written and valid; a submission that cannot
be graded has no score, so that the student is asked to hand in again, and never gets a wrong 0.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.assignments import gradebook
from experiments.assignments.definition import find_assignment
from experiments.assignments.grade import Grade, KeyStore, grade_file
from experiments.assignments.sheet import SHEET_NAME
from experiments.harness.results.result import write_atomically

ROOT = Path("/autograder")
SETTINGS_NAME, SECRET_NAME, BUILD_NAME = "settings.json", "secret", "build"
METADATA_BYTES_MAX = 1 << 20


def main(argv: Sequence[str] | None = None) -> int:
    """Grade the submission; returns 0 once results.json is written."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.assignments.gradescope.autograder", description=__doc__
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="folder of submission/, results/ and source/")
    root: Path = parser.parse_args(argv).root
    try:
        results = grade_submission(root)
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        results = gradebook.gradescope_results(
            Grade("", 0, 0, problem="the autograder failed: tell your instructor, and hand in again later")
        )
    (root / "results").mkdir(parents=True, exist_ok=True)
    write_atomically(root / "results" / "results.json", json.dumps(results, indent=2) + "\n")
    return 0


def grade_submission(root: Path) -> dict[str, Any]:
    """Grade the submission below a root folder, and return the content of results.json."""
    source = root / "source"
    settings = json.loads((source / SETTINGS_NAME).read_text())
    name = settings["assignment"]
    assignment = find_assignment(str(source / name) if "/" in name else name)
    keys = KeyStore(assignment, (source / SECRET_NAME).read_bytes().strip(), source / BUILD_NAME)
    author = _author(root / "submission_metadata.json", keys.students)
    sheets = sorted((root / "submission").rglob("*.y*ml"))
    sheet = next((path for path in sheets if path.name == SHEET_NAME), sheets[0] if sheets else None)
    if author is None:
        problem = "your account is not on the roster of this assignment: tell your instructor"
        return gradebook.gradescope_results(Grade("", 0, assignment.points, problem=problem))
    if sheet is None:
        problem = f"no {SHEET_NAME} in the submission: hand in the answer sheet"
        return gradebook.gradescope_results(Grade(author, 0, assignment.points, problem=problem))
    return gradebook.gradescope_results(grade_file(keys, author, sheet), bool(settings.get("show", True)))


def _author(path: Path, students: Sequence[str]) -> str | None:
    """Return the student of the roster who submitted, found by student id or email address; None if unknown."""
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
