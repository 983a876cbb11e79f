"""Directory scanner of a Maildir folder: lists the files in new/ and cur/, only if a directory's mtime has changed."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from lab7.services.mail.maildir.errors import NoFolderError
from lab7.services.mail.maildir.limits import SCANS_MAX, SETTLED_S

PLACES = ("new", "cur")
_Times = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """The names of all message files in new/ and cur/."""

    new: list[str]
    cur: list[str]


class Scanner:
    """Scanner of a folder's directories new/ and cur/, which are read only if an mtime has changed since the last scan.

    An unchanged mtime proves nothing if it is very recent, since mtimes are coarse. It is trusted only if it is at
    least SETTLED_S seconds older than `wall_clock`; without `wall_clock`, every scan reads the directories.
    """

    def __init__(self, folder: str, wall_clock: Callable[[], float] | None) -> None:
        self._paths = [f"{folder}/{place}" for place in PLACES]
        self._wall_clock = wall_clock
        self._trusted: _Times | None = None

    def scan(self) -> Listing | None:
        """Return the names of the message files, None if unchanged since the last scan.

        Raises NoFolderError and OSError.
        """
        before = self._times()
        if before == self._trusted:
            return None
        for _ in range(SCANS_MAX):
            now = self._wall_clock() if self._wall_clock is not None else 0.0
            # List new/ first, so that a file renamed to cur/ during the scan is seen twice rather than missed.
            listing = Listing(*(self._list(path) for path in self._paths))
            after = self._times()
            if after == before:
                break
            before = after
        settled = before == after and max(after) / 1e9 < now - SETTLED_S
        self._trusted = after if settled else None
        return listing

    def distrust(self) -> None:
        """Make the next scan() read the directories even if their mtimes have not changed."""
        self._trusted = None

    def _times(self) -> _Times:
        try:
            new, cur = (os.stat(path).st_mtime_ns for path in self._paths)
        except (FileNotFoundError, NotADirectoryError):
            raise NoFolderError("The mailbox has been removed.") from None
        return new, cur

    def _list(self, path: str) -> list[str]:
        try:
            names = os.listdir(path)
        except FileNotFoundError:
            raise NoFolderError("The mailbox has been removed.") from None
        # Ignore names that begin with a dot, as https://cr.yp.to/proto/maildir.html specifies.
        return [name for name in names if not name.startswith(".") and "\n" not in name]
