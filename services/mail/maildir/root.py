"""The folder that all mailboxes are below, looked at before a server says that it is ready."""

import errno
import tempfile
from collections.abc import Iterable
from pathlib import Path

from services.errors import ServiceError

# A full disk is no wrong folder: it has replies of its own, and room again some day.
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))


def check_root(root: Path, domains: Iterable[str]) -> None:
    """Make the folder if it is not there; raises ServiceError where a domain's mailboxes could not be kept in it."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        for domain in domains:
            place = root / domain
            _check_writable(place if place.exists() else root)
    except OSError as error:
        raise ServiceError(f"cannot keep mailboxes in {root} ({error}): name another with --maildirs") from error


def _check_writable(directory: Path) -> None:
    """Write to it, and leave nothing: modes alone say too little of a read-only file system, and nothing to root."""
    try:
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
