"""Start-up check of the directory that holds all mailboxes."""

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

from services.errors import ServiceError

# A full disk is no configuration error: it has its own replies and is temporary.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))


def check_root(root: Path, domains: Iterable[str]) -> None:
    """Create the directory if missing; raises ServiceError if a domain's mailboxes could not be stored in it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for domain in domains:
            place = root / domain
            _check_writable(place if place.exists() else root)
    except OSError as error:
        raise ServiceError(f"cannot store mailboxes in {root} ({error}): name another with --maildirs") from error


def _check_writable(directory: Path) -> None:
    """Write a temporary file: permissions alone do not reveal a read-only file system, and do not bind root."""
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
