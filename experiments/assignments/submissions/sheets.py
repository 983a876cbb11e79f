"""Answer sheets among the files of a student: `answers.yaml`, in a copy, under another name, or in a zip file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab7.experiments.assignments.sheet import SHEET_NAME, SheetError
from lab7.experiments.assignments.submissions.archive import ArchiveError, is_archive, unpack
from lab7.experiments.assignments.submissions.collection import files_of, is_regular
from lab7.experiments.assignments.submissions.names import again, file_name

# Suffixes of answer sheets in lower case; text editors and browsers write either, in any case.
SHEET_SUFFIXES = (".yaml", ".yml")
# Suffixes of the files that students hand in for an answer sheet; others are told, instead of being ignored.
SUBMISSION_SUFFIXES = (*SHEET_SUFFIXES, ".zip", ".txt", ".docx", ".doc", ".odt", ".rtf", ".pdf", ".html", ".json")
# Maximum number of file names in a message, and of characters in one.
_NAMES_MAX, _NAME_MAX = 3, 100


@dataclass(frozen=True)
class FoundSheet:
    """Answer sheet found in a student's submission, and the names of further sheets, which are not graded."""

    path: Path
    others: tuple[str, ...] = ()


@contextmanager
def sheet_in(places: Sequence[Path]) -> Iterator[FoundSheet]:
    """Yield the answer sheet among a student's files and folders. Raises SheetError if it is missing or ambiguous.

    If the only sheet is in a zip file, the file is unpacked for the duration of the `with` block.
    """
    files = files_of(places)
    archives = [path for path in files if is_archive(path)]
    if (found := _among(files, places)) is not None or len(archives) != 1:
        yield found if found is not None else _missing(files, places)
        return
    with tempfile.TemporaryDirectory(prefix="lab7-sheet-") as scratch:
        folder = Path(scratch) / "unpacked"
        try:
            unpack(archives[0], folder)
        except ArchiveError as error:
            raise SheetError(f"{error}: hand in {SHEET_NAME}") from error
        inside = files_of([folder])
        yield _among(inside, [folder]) or _missing(inside, [folder], archives[0].name)


def sheet_time_s(places: Sequence[Path]) -> float | None:
    """Return the modification time of a student's answer sheet, in s since 1970; None if there is no single sheet."""
    found = _among(files_of(places), places)
    return found.path.stat().st_mtime if found is not None else None


def _among(files: Sequence[Path], places: Sequence[Path]) -> FoundSheet | None:
    """Return the answer sheet among files, the latest first; None if it is unclear which file is the sheet.

    The sheet is a file named `answers.yaml`, or named by a platform, or else the only YAML file.
    """
    sheets = [path for path in files if path.suffix.lower() in SHEET_SUFFIXES and is_regular(path)]
    # Files directly among the submissions bear the name that a platform or the teacher has given to them.
    named = [path for path in sheets if path in places or file_name(path.name) == SHEET_NAME]
    named.sort(key=lambda path: again(path.name), reverse=True)
    if not named and len(sheets) != 1:
        return None
    chosen = named[0] if named else sheets[0]
    return FoundSheet(chosen, tuple(sorted(path.name for path in sheets if path != chosen)))


def _missing(files: Sequence[Path], places: Sequence[Path], archive: str = "") -> FoundSheet:
    """Raise SheetError for a submission without an answer sheet; the message has the names of the files handed in."""
    links = [path.name for path in files if path.is_symlink()]
    if links:
        raise SheetError(f"{listed(links)} is a symbolic link, which is not read: hand in {SHEET_NAME} itself")
    if not files:
        raise SheetError(f"the folder is empty, and has no {SHEET_NAME}")
    if len(files) == 1 and files[0] in places:
        raise SheetError(f"{listed([files[0].name])} is not a YAML file: hand in {SHEET_NAME}")
    base = places[0] if len(places) == 1 else places[0].parent
    named = [str(path.relative_to(base)) if path.is_relative_to(base) else path.name for path in files]
    raise SheetError(f"{archive or 'the folder'} has {listed(named)}, but no {SHEET_NAME}")


def listed(names: Sequence[str]) -> str:
    """Return file names as a list for a sentence; of many, the first names and the number of the others."""
    short = [name if len(name) <= _NAME_MAX else f"{name[:_NAME_MAX]}..." for name in sorted(names)]
    more = [f"{len(short) - _NAMES_MAX} more"] if len(short) > _NAMES_MAX else []
    *most, last = [*short[:_NAMES_MAX], *more]
    return f"{', '.join(most)} and {last}" if most else last
