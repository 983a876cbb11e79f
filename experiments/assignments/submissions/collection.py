"""Collection of submissions: the files and folders of each student in a folder, and those that belong to no student."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab7.experiments.assignments.submissions.names import Course, is_exported

# Maximum number of files that are listed of one student; more are no submission of an assignment.
FILES_MAX = 10_000


@dataclass(frozen=True)
class Collected:
    """Submissions in a folder: `places` maps student -> files and folders of the student, directly in the folder.

    strangers: file or folder name -> reason why it belongs to no student of the course; ignored: names of other files
    beside the submissions.
    """

    places: Mapping[str, Sequence[Path]]
    strangers: Mapping[str, str] = field(default_factory=dict)
    ignored: Sequence[str] = ()


def collect(folder: Path, course: Course, suffixes: Sequence[str]) -> Collected:
    """Return the submissions in a folder, assigned to the students of a course.

    suffixes: suffixes of the files that are handed in, in lower case. A file with another suffix that belongs to no
    student, such as a list of submission times, is ignored.
    """
    places: dict[str, list[Path]] = {}
    strangers: dict[str, str] = {}
    ignored: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith((".", "__MACOSX")):
            continue
        owners = course.owners(path.name)
        if len(owners) == 1:
            places.setdefault(owners[0], []).append(path)
        elif is_folder(path) or path.suffix.lower() in suffixes:
            strangers[path.name] = _why(path.name, owners)
        else:
            ignored.append(path.name)
    return Collected(places, strangers, ignored)


def _why(name: str, owners: Sequence[str]) -> str:
    rename = "rename it to the student's id"
    if owners:
        return f"{name} may be of {' or '.join(owners[:3])}: {rename}"
    if is_exported(name):
        return f"{name} is not on the roster by its name or number: give the platform's list by --roster, or {rename}"
    return f"{name} is not on the roster of this build"


def is_folder(path: Path) -> bool:
    """Return True for a folder; False for a symbolic link, which could refer to files of the grading machine."""
    return path.is_dir() and not path.is_symlink()


def files_of(places: Iterable[Path]) -> list[Path]:
    """Return the files at and below some paths, the latest first, without hidden files and those written by macOS.

    Symbolic links and other special files are included, so that messages can name them; callers must not read them.
    """
    found: list[tuple[float, Path]] = []
    for place in places:
        for path in _walk(place):
            if not any(part.startswith((".", "__MACOSX")) for part in path.relative_to(place.parent).parts):
                found.append((path.lstat().st_mtime, path))
            if len(found) > FILES_MAX:
                break
    return [path for _, path in sorted(found, key=lambda one: one[0], reverse=True)]


def _walk(place: Path) -> Iterable[Path]:
    if not is_folder(place):
        yield place
        return
    for folder, inner, names in os.walk(place):
        # os.walk lists links to folders as folders, and does not follow them.
        links = [name for name in inner if Path(folder, name).is_symlink()]
        yield from (Path(folder, name) for name in sorted([*names, *links]))


def is_regular(path: Path) -> bool:
    """Return True for a regular file that can be read; False for a symbolic link, device or pipe."""
    try:
        return stat.S_ISREG(path.lstat().st_mode) and os.access(path, os.R_OK)
    except OSError:
        return False
