"""Submissions of programs: search in a folder, digest of a submission, and copy of its regular files.

A submission is a folder named after the student that contains the assignment's file or a zip file with it, or a file
`STUDENT-server.py`; learning platforms name folders and files by full names (see submissions.names). Symbolic links,
devices and pipes are not copied, so that a submission cannot reveal files of the grading machine.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.submissions.archive import BYTES_MAX, FILES_MAX, ArchiveError, is_archive, unpack
from lab7.experiments.assignments.submissions.collection import collect, files_of, is_folder, is_regular
from lab7.experiments.assignments.submissions.names import Course, again, is_exported, is_named

# File that `lab7 assignment check` writes beside a program (see programs.tries); not part of the submission.
TRIES_NAME = ".lab7-tries.json"
_STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.@+_-]{0,63}\Z")


class SubmissionError(Exception):
    """Submission that cannot be run; the message is one clause for the student."""


@dataclass(frozen=True)
class Submission:
    """A student's program: its files as (relative name, path), and the modification time of the main file.

    `fault`: reason why the program cannot be run, as a clause for the student; empty for a program that can be run.
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


@dataclass(frozen=True)
class Programs:
    """Submissions of programs in a folder: `submissions` keyed by student, and files of no student (see Collected)."""

    submissions: Mapping[str, Submission]
    strangers: Mapping[str, str]
    ignored: Sequence[str] = ()


def find_programs(folder: Path, file: str, scratch: Path, roster: Roster | None = None) -> Programs:
    """Return the submissions in a folder, keyed by student; a submission without the main file has a `fault`.

    scratch: a folder into which zip files are unpacked; roster: the names of the students on learning platforms. A name
    that is not in the roster is taken as a student id; without a roster every name is.
    """
    listed = roster if roster is not None else Roster({})
    found = collect(folder, Course(tuple(listed.rows), listed), (Path(file).suffix, ".zip"))
    places = {student: list(one) for student, one in found.places.items()}
    strangers = dict(found.strangers)
    for name in found.strangers:
        student = _own_name(folder / name, file)
        if student and not (is_exported(name) and (roster is not None or " " in name)):
            places.setdefault(student, []).append(folder / name)
            del strangers[name]
    submissions = {student: _submission(student, one, file, scratch) for student, one in places.items()}
    return Programs(submissions, strangers, found.ignored)


def _own_name(path: Path, file: str) -> str:
    """Return the student id at the start of a folder's name, or of a file name STUDENT-FILE; empty if there is none."""
    if is_folder(path):
        return path.name if _STUDENT.match(path.name) else ""
    before = re.match(r"[A-Za-z0-9][A-Za-z0-9.@+]*?(?=[-_])", path.name)
    return before[0] if before and not path.is_symlink() and is_named(path.name, file) else ""


def _submission(student: str, places: Sequence[Path], file: str, scratch: Path) -> Submission:
    """Return the submission among a student's files and folders: the latest one that contains the main file."""
    ordered = sorted(places, key=lambda place: (again(place.name), place.lstat().st_mtime), reverse=True)
    tried = [_read(student, place, file, scratch) for place in ordered if any(files_of([place]))]
    empty = Submission(student, fault=f"the submission has no file {file}")
    return next((one for one in tried if not one.fault), tried[0] if tried else empty)


def _read(student: str, place: Path, file: str, scratch: Path) -> Submission:
    if not is_folder(place) and place.suffix.lower() not in (Path(file).suffix, ".zip"):
        return Submission(student, fault=f"{place.name} is not {file}")
    return read_submission(student, place, file, scratch)


def read_submission(student: str, place: Path, file: str, scratch: Path | None = None) -> Submission:
    """Return the submission at a path: a folder with the main file at any depth, the main file, or a zip file with it.

    scratch: a folder into which a zip file is unpacked; it must exist as long as the submission is used. If it is None,
    zip files are not unpacked.
    """
    if scratch is not None and is_archive(place):
        return _unpacked(student, place, file, scratch)
    if not is_folder(place):
        if not is_regular(place):
            return Submission(student, fault=f"{place.name} is no regular file: hand in {file} itself")
        return Submission(student, ((file, place),), place.stat().st_mtime)
    try:
        files = _regular_files(place)
    except SubmissionError as error:
        return Submission(student, fault=str(error))
    main = _main(files, file)
    archives = [path for _, path in files if is_archive(path)]
    if main is None and scratch is not None and len(archives) == 1:
        return _unpacked(student, archives[0], file, scratch)
    if main is None:
        return Submission(student, fault=f"the submission has no file {file}")
    base = Path(main).parent
    inside = [(Path(name), path) for name, path in files if Path(name).is_relative_to(base)]
    own = tuple((file if str(name) == main else str(name.relative_to(base)), path) for name, path in inside)
    return Submission(student, own, dict(files)[main].stat().st_mtime)


def _main(files: Sequence[tuple[str, Path]], file: str) -> str | None:
    """Return the name of the main file: the one nearest to the top, or else its only copy, such as `server (1).py`."""
    mains = sorted((name for name, _ in files if Path(name).name == file), key=lambda name: (name.count("/"), name))
    copies = [name for name, _ in files if is_named(Path(name).name, file)]
    return mains[0] if mains else copies[0] if len(copies) == 1 else None


def _unpacked(student: str, archive: Path, file: str, scratch: Path) -> Submission:
    target = Path(tempfile.mkdtemp(dir=scratch)) / "unpacked"
    try:
        unpack(archive, target)
    except ArchiveError as error:
        return Submission(student, fault=str(error))
    found = read_submission(student, target, file)
    # A file in a zip file has no time of its own that could be trusted.
    return replace(found, modified_s=archive.stat().st_mtime)


def _regular_files(folder: Path) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            if name == TRIES_NAME or not is_regular(path):
                continue
            size += path.lstat().st_size
            found.append((str(path.relative_to(folder)), path))
            if len(found) > FILES_MAX or size > BYTES_MAX:
                raise SubmissionError(f"the submission has more than {FILES_MAX} files or {BYTES_MAX >> 20} MiB")
    return sorted(found)
