"""Start-up check that the root directory of all mailboxes is writable."""

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lab7.services.errors import ServiceError

# A full disk does not prevent the start: the condition is temporary and has its own SMTP replies.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))


def check_root(root: Path, domains: Iterable[str]) -> None:
    """Create the root directory if missing; raise ServiceError if mailboxes of a domain cannot be written there."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for domain in domains:
            place = root / domain
            _check_writable(place if place.exists() else root)
    except OSError as error:
        raise ServiceError(f"cannot store mailboxes in {root} ({error}): name another with --maildirs") from error


def _check_writable(directory: Path) -> None:
    """Check that a directory is writable, by creating a temporary file in it; raises OSError.

    Permission bits do not reveal a read-only file system. A full disk is no error.
    """
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
