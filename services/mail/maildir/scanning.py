"""What is in a folder's two directories now, listed again only when something in them may have changed."""

import os
from collections.abc import Callable
from dataclasses import dataclass

from services.mail.maildir.errors import NoFolderError
from services.mail.maildir.limits import SCANS_MAX, SETTLED_S

PLACES = ("new", "cur")
_Times = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Listing:
    """The names in new/ and in cur/."""

    new: list[str]
    cur: list[str]


class Scanner:
    """Lists a folder; `wall_clock`, if given, tells whether a directory's time is old enough to be trusted."""

    def __init__(self, folder: str, wall_clock: Callable[[], float] | None) -> None:
        self._paths = [f"{folder}/{place}" for place in PLACES]
        self._wall_clock = wall_clock
        self._trusted: _Times | None = None

    def scan(self) -> Listing | None:
        """Return what is there, None where it is as it was; raises NoFolderError, OSError."""
        before = self._times()
        if before == self._trusted:
            return None
        for _ in range(SCANS_MAX):
            now = self._wall_clock() if self._wall_clock is not None else 0.0
            # new/ first: what moves from there to cur/ meanwhile is then seen twice, not missed.
            listing = Listing(*(self._list(path) for path in self._paths))
            after = self._times()
            if after == before:
                break
            before = after
        settled = before == after and max(after) / 1e9 < now - SETTLED_S
        self._trusted = after if settled else None
        return listing

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
        # https://cr.yp.to/proto/maildir.html: names with a dot in front are none of a message.
        return [name for name in names if not name.startswith(".") and "\n" not in name]
