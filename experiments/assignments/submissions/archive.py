"""Zip files that students hand in: unpacking of their regular files within limits of number and size."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path, PurePosixPath

# Limits of a submission: a sheet, or a program of a few files of text.
FILES_MAX = 1_000
BYTES_MAX = 16 << 20
NAME_MAX = 1_000


class ArchiveError(ValueError):
    """Zip file that cannot be unpacked; the message is one clause."""


def is_archive(path: Path) -> bool:
    """Return True if a path is a regular file with the name of a zip file."""
    return path.suffix.lower() == ".zip" and not path.is_symlink() and path.is_file()


def unpack(path: Path, target: Path) -> None:
    """Unpack the regular files of a zip file into a new folder. Raises ArchiveError.

    Symbolic links, devices, and the additional files that macOS writes are left out.
    """
    left = BYTES_MAX
    target.mkdir(parents=True)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if _is_wanted(entry)]
            if len(entries) > FILES_MAX:
                raise ArchiveError(f"{path.name} has more than {FILES_MAX} files")
            for entry in entries:
                place = target.joinpath(*_parts(path, entry))
                with archive.open(entry) as source:
                    content = source.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise ArchiveError(f"{path.name} has more than {BYTES_MAX >> 20} MiB")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
    except ArchiveError:
        raise
    except (OSError, ValueError, RuntimeError, NotImplementedError, EOFError, zipfile.BadZipFile) as error:
        raise ArchiveError(f"{path.name} is not a zip file that can be unpacked") from error


def _is_wanted(entry: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    hidden = any(part.startswith((".", "__MACOSX")) and part != ".." for part in PurePosixPath(entry.filename).parts)
    return not entry.is_dir() and kind in (0, stat.S_IFREG) and not hidden


def _parts(path: Path, entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """Return the path of a zip file's entry as parts, checked to stay below the folder of the unpacked files."""
    name = PurePosixPath(entry.filename)
    if name.is_absolute() or ".." in name.parts or not name.parts or len(entry.filename) > NAME_MAX:
        raise ArchiveError(f"{path.name} has a file with a name that leads out of its folder, or is too long")
    return name.parts
