"""Submissions of programs: search in a folder, digest of a submission, and copy of its regular files.

A submission is a folder named after the student that contains the assignment's file, or a file `STUDENT-server.py` or
`STUDENT_..._server.py`, as learning platforms export them. Symbolic links, devices and pipes are not copied, so that a
submission cannot reveal files of the grading machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Limits of a submission: a course's program is a few files of text.
FILES_MAX = 1_000
BYTES_MAX = 16 << 20
# File that `lab7 assignment check` writes beside a program (see programs.tries); not part of the submission.
TRIES_NAME = ".lab7-tries.json"
_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@+_-]{0,63}\Z")


class SubmissionError(Exception):
    """A submission cannot be run; the message is one clause for the student."""


@dataclass(frozen=True)
class Submission:
    """A student's program: its files as (relative name, path), and the modification time of the main file.

    `fault`: reason why the program cannot be run, as a clause for the student; empty if it can.
    """

    student: str
    files: tuple[tuple[str, Path], ...] = ()
    modified_s: float = 0.0
    fault: str = ""

    def digest(self, context: Sequence[bytes]) -> str:
        """Return the SHA-256 over the names and contents of all files, and over `context`, in hexadecimal."""
        found = hashlib.sha256()
        named = [part for name, path in self.files for part in (os.fsencode(name), path.read_bytes())]
        for part in (*context, self.fault.encode(), *named):
            found.update(len(part).to_bytes(8, "big") + part)
        return found.hexdigest()

    def copy_to(self, folder: Path) -> None:
        """Copy the files into a new folder, and give each copy the file mode 755."""
        folder.mkdir(parents=True)
        for name, path in self.files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target, follow_symlinks=False)
            target.chmod(0o755)


def find_programs(folder: Path, file: str) -> dict[str, Submission]:
    """Return the submissions in a folder, keyed by student; one without the main file has a `fault`."""
    exported = re.compile(rf"(?P<student>[A-Za-z0-9][A-Za-z0-9.@+]*?)[-_].*?{re.escape(file)}\Z")
    found = {}
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_dir() and _STUDENT.match(path.name):
            found[path.name] = read_submission(path.name, path, file)
        elif path.is_file() and (match := exported.match(path.name)):
            found[match["student"]] = Submission(match["student"], ((file, path),), path.stat().st_mtime)
    return found


def read_submission(student: str, place: Path, file: str) -> Submission:
    """Return the submission at a path: a folder that contains the main file at any depth, or the main file itself."""
    if place.is_file():
        return Submission(student, ((file, place),), place.stat().st_mtime)
    try:
        files = _regular_files(place)
    except SubmissionError as error:
        return Submission(student, fault=str(error))
    mains = sorted((name for name, _ in files if Path(name).name == file), key=lambda name: (name.count("/"), name))
    if not mains:
        return Submission(student, fault=f"the submission has no file {file}")
    base = Path(mains[0]).parent
    inside = tuple((str(Path(name).relative_to(base)), path) for name, path in files if Path(name).is_relative_to(base))
    return Submission(student, inside, dict(files)[mains[0]].stat().st_mtime)


def _regular_files(folder: Path) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            status = path.lstat()
            if name == TRIES_NAME:
                continue
            if not stat.S_ISREG(status.st_mode) or not os.access(path, os.R_OK):
                continue
            size += status.st_size
            found.append((str(path.relative_to(folder)), path))
            if len(found) > FILES_MAX or size > BYTES_MAX:
                raise SubmissionError(f"the submission has more than {FILES_MAX} files or {BYTES_MAX >> 20} MiB")
    return sorted(found)
