"""Atomic writing of files: a file appears whole under its name, or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside `path`, which takes its place after the block.

    A device, a pipe or another special file (/dev/stdout) is written directly, since a rename would take its place.
    After an error the temporary file is removed.
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
