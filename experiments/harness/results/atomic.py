"""Atomic writing of files, by rename: a reader finds the previous file or the complete new file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file in the same folder, which is renamed to `path` after the `with` block.

    A device, a pipe or another special file (/dev/stdout) is written directly, since a rename would replace it by a
    regular file. After an error the temporary file is removed.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield partial
        partial.replace(path)
    except BaseException as error:
        # A path below a file that is no folder cannot be removed either (ENOTDIR).
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        if isinstance(error, OSError) and str(error.filename) == str(partial):
            # Messages name the file that was to be written.
            error.filename, error.filename2 = str(path), None
        raise


def write_atomically(path: Path, text: str) -> Path:
    """Write a text file atomically; return its path. Raises OSError."""
    with atomic(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path
