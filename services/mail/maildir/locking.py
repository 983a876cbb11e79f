"""One process, and one part of it, at a time: a file that is locked while something is changed."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

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
