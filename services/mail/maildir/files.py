"""A small file is replaced in one step: whoever reads it finds the old or the new one, whole."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from services.mail.maildir.delivery import sync_directory, write_all

# One process, and one part of it, at a time: a file that is locked while something is changed.

_OPEN = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


@contextmanager
def locked(path: str) -> Iterator[int]:
    """Hold the lock on the file `path`, and yield its descriptor; a process that is killed lets go of it."""
    descriptor = os.open(path, _OPEN, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


_CREATE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def replace_file(path: str, content: bytes) -> None:
    """Put `content` in the place of the file, on the disk when this returns; raises OSError.

    The caller holds a lock, for the new file has one name.
    """
    new = f"{path}.new"
    descriptor = os.open(new, _CREATE, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(new, path)
    sync_directory(os.path.dirname(path))


def read_file(path: str) -> bytes | None:
    """Return what is in a file, None where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
