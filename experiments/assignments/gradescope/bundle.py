"""Zip file of a Gradescope autograder: setup.sh, run_autograder, lab7, answer keys, captures, and the course secret.

If students hand in programs, it has no keys and captures, but a user-mode Linux kernel, inside which the programs are
tested. Students do not see the zip file. It is reproducible: entries are sorted and have a fixed date.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from lab7.experiments.assignments.build import KEY_NAME, KEYS, capture_of, require_same_build
from lab7.experiments.assignments.definition import CATALOGUE, NETWORK_KIND, Assignment, AssignmentError
from lab7.experiments.assignments.gradescope.autograder import BUILD_NAME, SECRET_NAME, SETTINGS_NAME
from lab7.experiments.assignments.programs.definition import ProgramAssignment
from lab7.topologies.emulation.provisioning import packages
from lab7.topologies.emulation.virtual.job import PACKAGE_ROOT
from lab7.topologies.emulation.virtual.kernel import ABOUT, Kernel

# Modification date of all entries: the earliest that a zip file can have.
DATE = (1980, 1, 1, 0, 0, 0)
SOURCES = ("lab7", "pyproject.toml", "README.md", "LICENSE")
_LEFT_OUT = {"__pycache__", ".mypy_cache"}
SETUP = """\
#!/usr/bin/env bash
# Installs what the autograder needs, once, when Gradescope makes its image.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive
python=python3
apt-get update
apt-get install -y --no-install-recommends ca-certificates python3 python3-venv @PACKAGES@
if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    # Ubuntu 22.04 has Python 3.11 beside its Python 3.10.
    apt-get install -y --no-install-recommends python3.11 python3.11-venv
    python=python3.11
fi
$python -m venv /autograder/venv
/autograder/venv/bin/pip install --quiet /autograder/source/lab7
"""
# Debian packages that networks need inside of the kernel with virtual time, in which programs are tested.
NETWORK_PACKAGES = " ".join(sorted({one.package for one in packages.of_groups(packages.NEEDED, packages.NETWORK)}))
RUN = """\
#!/usr/bin/env bash
# Grades the submission; Gradescope runs it once for each.
set -euo pipefail
cd /
# Where tc and brctl are, also if the image's PATH lacks them; the kernel of virtual time is below the cache.
export PATH=$PATH:/usr/sbin:/sbin XDG_CACHE_HOME=/autograder/source/cache
exec /autograder/venv/bin/python -P -m lab7.experiments.assignments.gradescope.autograder
"""


def write_bundle(assignment: Assignment, secret: bytes, build: Path, path: Path, show: bool = True) -> int:
    """Write the zip file of an assignment's autograder; return the number of students in it. Raises AssignmentError.

    `build`: folder that `lab7 assignment build` has written; `show`: students see their score and feedback at once,
    instead of after the grades are published.
    """
    require_same_build(assignment, secret, build)
    students = sorted(one.parent.name for one in (build / KEYS).glob(f"*/{KEY_NAME}"))
    if not students:
        raise AssignmentError(f"{build} has no complete build: run `lab7 assignment build` first")

    def more(work: Path) -> None:
        for student in students:
            captures = [capture_of(assignment, build, student)] if assignment.kind != NETWORK_KIND else []
            for source in (*captures, build / KEYS / student / KEY_NAME):
                target = work / BUILD_NAME / source.relative_to(build)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)

    _write(assignment.name, assignment.folder, secret, students, path, show, more)
    return len(students)


def write_program_bundle(
    assignment: ProgramAssignment, secret: bytes, students: Sequence[str], kernel: Kernel, path: Path, show: bool = True
) -> int:
    """Write the zip file of the autograder for programs, with the kernel for virtual time; return the student count.

    Raises AssignmentError.
    """

    def more(work: Path) -> None:
        target = work / "cache" / "lab7" / "kernels" / kernel.program.parent.name
        target.mkdir(parents=True)
        for name in (kernel.program.name, ABOUT):
            shutil.copy2(kernel.program.parent / name, target / name)

    _write(assignment.name, assignment.folder, secret, students, path, show, more, NETWORK_PACKAGES)
    return len(students)


def _write(
    name: str,
    folder: Path,
    secret: bytes,
    students: Sequence[str],
    path: Path,
    show: bool,
    more: Callable[[Path], None],
    packages: str = "",
) -> None:
    """Write the zip file of an assignment's autograder.

    more: function that writes further files into the folder from which the zip file is made; packages: additional
    Debian packages.
    """
    named = folder.parent == CATALOGUE
    settings = {"assignment": name if named else "./assignment", "show": show, "students": list(students)}
    setup = SETUP.replace(" @PACKAGES@", f" {packages}".rstrip())
    with tempfile.TemporaryDirectory(dir=path.resolve().parent, prefix=".bundle-") as text:
        work = Path(text)
        for file, content in (("setup.sh", setup), ("run_autograder", RUN)):
            (work / file).write_text(content)
            (work / file).chmod(0o755)
        (work / SETTINGS_NAME).write_text(json.dumps(settings) + "\n")
        (work / SECRET_NAME).write_bytes(secret + b"\n")
        if not named:
            shutil.copytree(folder, work / "assignment", ignore=shutil.ignore_patterns(*_LEFT_OUT))
        more(work)
        _copy_sources(work / "lab7")
        _write_zip(work, path)


def _copy_sources(target: Path) -> None:
    for name in SOURCES:
        source = PACKAGE_ROOT / name
        if source.is_dir():
            # Symbolic links are replaced by copies of their targets, since the zip file contains none.
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        elif source.is_file():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    if not (target / "pyproject.toml").exists():
        raise AssignmentError("the bundle needs the sources of lab7: run this in a checkout")


def _write_zip(folder: Path, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")
    partial.unlink(missing_ok=True)
    # Only the owner reads it, since it contains the course secret.
    partial.touch(0o600)
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
