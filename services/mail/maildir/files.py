"""Small files of the store: file locks and atomic replacement."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

_OPEN = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


def sync_directory(path: str) -> None:
    """Sync a directory, so that its names are on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all octets at the file's position; raises OSError."""
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done:])


@contextmanager
def locked(path: str) -> Iterator[int]:
    """Hold an exclusive lock on the file `path`, yield its descriptor; the kernel releases it if the process dies."""
    descriptor = os.open(path, _OPEN, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


_REPLACEMENT = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def replace_file(path: str, content: bytes) -> None:
    """Replace a file atomically with `content`, on disk on return; raises OSError.

    The caller holds a lock, since the temporary file has a fixed name.
    """
    new = f"{path}.new"
    descriptor = os.open(new, _REPLACEMENT, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(new, path)
    sync_directory(os.path.dirname(path))


def read_file(path: str) -> bytes | None:
    """Return the content of a file, or None if it does not exist."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
