"""Which message has which unique identifier: a file that only grows, and is replaced whole when it has grown too long.

    lab7-uids 1 1700000000           the form, and the UIDVALIDITY (RFC 3501 section 2.3.1.1)
    1 1700000000.M20046P77Q3R9c.host,S=1040,W=1064
    2 1700000004.M113P80Q4R1f.host,S=998,W=1020
    R 3                              messages from UID 3 on are recent still
    N 7                              the next UID is at least 7, although no line above has 6

A line counts once its LF is there. A process that is killed leaves at most a line without one, which is cut off by the
next that writes; the UID in it was told to nobody, because it is on the disk before it is told. A UID is never given
twice: it is the one after the largest that any line names.
"""

import os
from collections.abc import Iterable

from services.mail.maildir.delivery import write_all
from services.mail.maildir.files import replace_file
from services.mail.maildir.limits import DEAD_LINES_MAX

FILE = "lab7-uids"
LOCK = "lab7-uids.lock"
_FORM = b"lab7-uids 1 "


class UidIndex:
    """The UIDs of one folder, as far as the file was read.

    read() may be called at any time; assign(), forget() and claim_recent() by who holds the folder's lock and has read
    since. They raise OSError.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{FILE}"
        self._inode = -1
        self._clear()

    def _clear(self) -> None:
        self.uidvalidity = 0
        self.uidnext = 1
        self.first_recent = 1
        self.uids: dict[str, int] = {}
        self._offset = 0
        self._lines = 0

    def read(self) -> bool:
        """Read what was added since; False where there is no index, or none that can be used."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._clear()
            return False
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if status.st_ino != self._inode or status.st_size < self._offset:
                self._clear()
                self._inode = status.st_ino
            if status.st_size > self._offset:
                file.seek(self._offset)
                self._take(file.read())
        return self.uidvalidity > 0

    def _take(self, octets: bytes) -> None:
        end = octets.rfind(b"\n") + 1
        lines = octets[:end].split(b"\n")[:-1]
        if self._offset == 0 and lines:
            self._take_form(lines.pop(0))
        self._offset += end
        self._lines += len(lines)
        for line in lines:
            self._take_line(line)

    def _take_form(self, line: bytes) -> None:
        value = line.removeprefix(_FORM)
        if line.startswith(_FORM) and value.isdigit() and 0 < int(value) < 1 << 32:
            self.uidvalidity = int(value)

    def _take_line(self, line: bytes) -> None:
        word, _, value = line.partition(b" ")
        if word in (b"R", b"N") and value.isdigit():
            if word == b"R":
                self.first_recent = max(self.first_recent, int(value))
            else:
                self.uidnext = max(self.uidnext, int(value))
        elif word.isdigit() and value:
            self.uids[os.fsdecode(value)] = int(word)
            self.uidnext = max(self.uidnext, int(word) + 1)

    def create(self, uidvalidity: int) -> None:
        """Begin an index under this UIDVALIDITY, in the place of one that there may be."""
        self._clear()
        self.uidvalidity = uidvalidity
        self._write_anew(())

    def assign(self, bases: Iterable[str]) -> list[int]:
        """Give each message the next UID, on the disk when this returns."""
        given = []
        lines = []
        for base in bases:
            given.append(self.uidnext)
            lines.append(b"%d %s\n" % (self.uidnext, os.fsencode(base)))
            self.uids[base] = self.uidnext
            self.uidnext += 1
        if lines:
            self._append(b"".join(lines), lasting=True)
            self._lines += len(lines)
        return given

    def claim_recent(self) -> int:
        """Return the first UID that is recent, and have none be so from now on."""
        first = self.first_recent
        if first < self.uidnext:
            self._append(b"R %d\n" % self.uidnext, lasting=False)
            self._lines += 1
            self.first_recent = self.uidnext
        return first

    def forget(self, live: Iterable[str]) -> None:
        """Write the index anew where most of its lines are of messages that are gone."""
        if self._lines < DEAD_LINES_MAX:
            return
        kept = {base: self.uids[base] for base in live if base in self.uids}
        if self._lines - len(kept) > max(DEAD_LINES_MAX, len(kept)):
            self.uids = kept
            self._write_anew(sorted((uid, base) for base, uid in kept.items()))

    def _write_anew(self, entries: Iterable[tuple[int, str]]) -> None:
        lines = [_FORM + b"%d\n" % self.uidvalidity]
        lines += [b"%d %s\n" % (uid, os.fsencode(base)) for uid, base in entries]
        lines.append(b"R %d\nN %d\n" % (self.first_recent, self.uidnext))
        content = b"".join(lines)
        replace_file(self._path, content)
        self._inode = os.stat(self._path).st_ino
        self._offset = len(content)
        self._lines = len(lines) - 1

    def _append(self, octets: bytes, lasting: bool) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            # What lies behind the last whole line was left by a process that was killed.
            os.ftruncate(descriptor, self._offset)
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            write_all(descriptor, octets)
            if lasting:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._offset += len(octets)
