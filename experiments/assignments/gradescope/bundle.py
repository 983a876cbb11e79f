"""Autograder bundle for Gradescope: a zip file with setup.sh, run_autograder, lab7, the build and the course secret.

Students do not see the zip file. The same build gives the same octets: entries are sorted, and have one date.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from experiments.assignments.build import HANDOUTS, KEY_NAME, KEYS
from experiments.assignments.definition import Assignment, AssignmentError
from experiments.assignments.gradescope.autograder import BUILD_NAME, SECRET_NAME, SETTINGS_NAME
from experiments.assignments.recording import CAPTURE_NAME
from topologies.emulation.virtual.job import PACKAGE_ROOT

# Modification date of all entries: the earliest that a zip file can have.
DATE = (1980, 1, 1, 0, 0, 0)
SOURCES = ("services", "topologies", "experiments", "pyproject.toml", "README.md", "LICENSE")
_LEFT_OUT = {"__pycache__", ".mypy_cache"}
SETUP = """\
#!/usr/bin/env bash
# Installs what the autograder needs, once, when Gradescope makes its image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends python3 python3-venv
python3 -m venv /autograder/venv
/autograder/venv/bin/pip install --quiet /autograder/source/lab7
"""
RUN = """\
#!/usr/bin/env bash
# Grades the submission; Gradescope runs it once for each.
set -euo pipefail
cd /
exec /autograder/venv/bin/python -P -m experiments.assignments.gradescope.autograder
"""


def write_bundle(assignment: Assignment, secret: bytes, build: Path, path: Path, show: bool = True) -> int:
    """Write the zip file of a build; return the number of students in it. Raises AssignmentError.

    `show`: students see their score and feedback at once, not after the grades are published.
    """
    students = sorted(one.parent.name for one in (build / KEYS).glob(f"*/{KEY_NAME}"))
    if not students:
        raise AssignmentError(f"{build} has no complete build: run `lab7 assignment build` first")
    named = assignment.module is not None and assignment.module.__name__.startswith(
        "experiments.assignments.catalogue."
    )
    settings = {"assignment": assignment.name if named else "./assignment", "show": show}
    with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=".bundle-") as text:
        work = Path(text)
        for name, content in (("setup.sh", SETUP), ("run_autograder", RUN)):
            (work / name).write_text(content)
            (work / name).chmod(0o755)
        (work / SETTINGS_NAME).write_text(json.dumps(settings) + "\n")
        (work / SECRET_NAME).write_bytes(secret + b"\n")
        if not named:
            shutil.copytree(assignment.folder, work / "assignment", ignore=shutil.ignore_patterns(*_LEFT_OUT))
        for student in students:
            for source in (Path(HANDOUTS, student, CAPTURE_NAME), Path(KEYS, student, KEY_NAME)):
                target = work / BUILD_NAME / source
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(build / source, target)
        _copy_sources(work / "lab7")
        _write_zip(work, path)
    return len(students)


def _copy_sources(target: Path) -> None:
    for name in SOURCES:
        source = PACKAGE_ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        elif source.is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    if not (target / "pyproject.toml").exists():
        raise AssignmentError("the bundle needs the sources of lab7: run this in a checkout")


def _write_zip(folder: Path, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in _files(folder):
            entry = zipfile.ZipInfo(str(source.relative_to(folder)), DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
            entry.external_attr = (0o100000 | mode) << 16
            archive.writestr(entry, source.read_bytes())
    partial.replace(path)


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())
