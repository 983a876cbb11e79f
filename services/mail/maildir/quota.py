"""Quota accounting in `maildirsize`, the file of Maildir++ that other programs maintain as well.

10000000S          the quota in octets
52345 17           octets and messages: usage is the sum of the lines
1040 1             one message added
-2044 -2           two messages removed
"""

import os
from collections.abc import Callable

from services.mail.maildir.file_names import split_name, stored_size
from services.mail.maildir.files import locked, read_file, replace_file
from services.mail.maildir.limits import SUMS_AGE_S, SUMS_OCTETS

QUOTA_FILE = "maildirsize"


class Quota:
    """The usage of one user; `folders` lists the directories; a quota of 0 octets disables accounting."""

    def __init__(self, root: str, quota_octets: int, folders: Callable[[], list[str]]) -> None:
        self.quota_octets = quota_octets
        self._path = f"{root}/{QUOTA_FILE}"
        self._lock = f"{root}/{QUOTA_FILE}.lock"
        self._folders = folders

    def usage(self) -> tuple[int, int]:
        """Return (octets, messages) stored now."""
        with locked(self._lock):
            return self._read_sums() or self._recalculate()

    def allows(self, octets: int, messages: int) -> bool:
        """Return True if this much more fits; recalculates before a refusal based on old sums."""
        if not self.quota_octets:
            return True
        with locked(self._lock):
            used, _ = self._read_sums() or self._recalculate()
            if used + octets > self.quota_octets and self._may_be_stale(messages):
                used, _ = self._recalculate()
            return used + octets <= self.quota_octets

    def add(self, octets: int, messages: int) -> None:
        """Record added, or with negative numbers removed, messages."""
        if not self.quota_octets:
            return
        with locked(self._lock):
            if self._read_sums() is None:
                self._recalculate()
                return
            with open(self._path, "ab") as file:
                file.write(b"%d %d\n" % (octets, messages))

    def _may_be_stale(self, messages: int) -> bool:
        octets = read_file(self._path) or b""
        if octets.count(b"\n") > 2:
            return True
        # Touch the lock file to get the file system's time.
        os.utime(self._lock)
        age_s = os.stat(self._lock).st_mtime - os.stat(self._path).st_mtime
        return age_s > SUMS_AGE_S and messages > 0

    def _read_sums(self) -> tuple[int, int] | None:
        octets = read_file(self._path)
        if octets is None or len(octets) > SUMS_OCTETS or not octets.endswith(b"\n"):
            return None
        first, *lines = octets[:-1].split(b"\n")
        if first != b"%dS" % self.quota_octets:
            return None
        try:
            pairs = [line.split() for line in lines]
            return sum(int(pair[0]) for pair in pairs), sum(int(pair[1]) for pair in pairs)
        except (ValueError, IndexError):
            return None

    def _recalculate(self) -> tuple[int, int]:
        octets = messages = 0
        for folder in self._folders():
            for place in ("new", "cur"):
                for size in _sizes(f"{folder}/{place}"):
                    octets += size
                    messages += 1
        if self.quota_octets:
            replace_file(self._path, b"%dS\n%d %d\n" % (self.quota_octets, octets, messages))
        return octets, messages


def _sizes(directory: str) -> list[int]:
    sizes = []
    for name in os.listdir(directory):
        size = stored_size(split_name(name)[0])
        if size is None:
            try:
                size = os.stat(f"{directory}/{name}").st_size
            except FileNotFoundError:
                continue
        sizes.append(size)
    return sizes
