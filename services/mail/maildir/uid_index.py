r"""UID index of a Maildir folder, in an append-only file, and UIDVALIDITY of folder names (RFC 3501 section 2.3.1.1).

    lab7-uids 1 1700000000           format version, UIDVALIDITY
    I 1690000000                     the folder's first UIDVALIDITY, if it has another one now
    1 1700000000.M20046P77Q3R9c.host,S=1040,W=1064
    2 1700000004.M113P80Q4R1f.host,S=998,W=1020
    R 3                              messages from UID 3 on are still \Recent
    N 7                              UIDNEXT is at least 7, even if no line above has UID 6

Maildir has no UIDs: a message is identified by the unique part of its file name. IMAP requires a number per message
that is never reused, never changes, and grows in the order of arrival, for as long as UIDVALIDITY is the same. The
first process that finds unknown file names in a folder assigns UIDs to these messages, whether the MTA, another program
or APPEND delivered them.

Assignment. Under the folder's lock a process reads the lines added by other processes, appends one line per new
message, syncs, and only then shows the UIDs to a client. The next UID is one above the largest UID in the file. A line
is valid once its LF is written: a process killed before that leaves at most a partial line, which the next writer
truncates. The UID in a partial line was shown to no client.

Order. New messages are sorted by the time in their names. Messages of one APPEND or COPY keep their order.

Compaction. The line of a removed message stays in the file, as a dead line. When the dead lines outnumber the others by
more than DEAD_LINES_MAX, the file is replaced atomically; the N line preserves UIDNEXT even if the line with the
largest UID is gone. Readers detect the replacement by the inode and read from the start.

UIDVALIDITY. A missing or damaged index is recreated with a new, larger UIDVALIDITY (UidValidities), so that clients
discard their cached UIDs. The same holds for a folder deleted and created again under its name. A folder that is
renamed keeps its UIDs, but gets a new UIDVALIDITY if its new name had a larger one before.

    lab7-uidvalidity            the last value that was assigned, of all folders of the user
    lab7-former-names           names whose folder was removed or renamed, one a line
        1700000003 Work/2026        the greatest UIDVALIDITY of a folder with the name Work/2026
        1700000000                  without a name: the greatest of all names dropped to keep the file short

A client that has cached UIDs under a name must notice that another folder has this name now: the UIDVALIDITY of a name
never decreases (RFC 9051 section 2.3.1.1). A new folder gets a value above all others; a folder that is renamed may
have a smaller value than the folder that had the name before it.
"""

import os
from collections.abc import Iterable, Iterator

from lab7.services.mail.maildir.delivery import locked, read_file, replace_file, write_all
from lab7.services.mail.maildir.limits import DEAD_LINES_MAX, FORMER_NAMES_MAX, INDEX_PIECE_OCTETS

FILE = "lab7-uids"
LOCK = "lab7-uids.lock"
UIDVALIDITY_FILE = "lab7-uidvalidity"
FORMER_NAMES_FILE = "lab7-former-names"
_HEADER = b"lab7-uids 1 "
# The header line has at most ten digits and LF.
_HEADER_LINE_OCTETS = len(_HEADER) + 11


def _uidvalidity_of(line: bytes) -> int:
    """Return the UIDVALIDITY in the header line of an index, without its LF; 0 if the line is invalid."""
    value = line.removeprefix(_HEADER)
    return int(value) if line.startswith(_HEADER) and value.isdigit() and int(value) < 1 << 32 else 0


class UidIndex:
    """The UIDs of one folder as of the last read(), and the file in which the UIDs are stored.

    read() may be called at any time; assign(), compact() and claim_recent() only after a read(), with the folder's lock
    held. All methods raise OSError.
    """

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{FILE}"
        self._inode = -1
        self._clear()

    def _clear(self) -> None:
        self.uidvalidity = 0
        # The UIDVALIDITY with which the index was created.
        self.first_uidvalidity = 0
        self.uidnext = 1
        self.first_recent = 1
        self.uids: dict[str, int] = {}
        self._offset = 0
        # Number of lines of the index file, without its header.
        self.lines = 0

    def read(self) -> bool:
        """Read the lines added by other processes since the last call; return False without a valid index file."""
        while self._read_piece():
            pass
        return self.uidvalidity > 0

    def read_steps(self) -> Iterator[None]:
        """Read the index as read() does; a generator that pauses, so that other sessions can run."""
        while self._read_piece():
            yield

    def _read_piece(self) -> bool:
        """Read one piece of the index file (INDEX_PIECE_OCTETS); return True if more is left."""
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
            before = self._offset
            if status.st_size > before:
                file.seek(before)
                self._parse(file.read(INDEX_PIECE_OCTETS))
            return before < self._offset < status.st_size

    def _parse(self, octets: bytes) -> None:
        end = octets.rfind(b"\n") + 1
        lines = os.fsdecode(octets[:end]).split("\n")[:-1]
        if self._offset == 0 and lines:
            self.uidvalidity = self.first_uidvalidity = _uidvalidity_of(os.fsencode(lines.pop(0)))
        self._offset += end
        self.lines += len(lines)
        uids, uidnext = self.uids, self.uidnext
        for line in lines:
            word, _, value = line.partition(" ")
            if word.isdecimal() and value:
                uid = int(word)
                uids[value] = uid
                uidnext = uid + 1 if uid >= uidnext else uidnext
            elif word == "N" and value.isdecimal():
                uidnext = max(uidnext, int(value))
            elif word == "I" and value.isdecimal():
                self.first_uidvalidity = int(value)
            elif word == "R" and value.isdecimal():
                self.first_recent = max(self.first_recent, int(value))
        self.uidnext = uidnext

    def stored_uidvalidity(self) -> int:
        """Return the UIDVALIDITY in the index file without reading its lines; 0 without a valid index file."""
        try:
            with open(self._path, "rb") as file:
                line = file.readline(_HEADER_LINE_OCTETS)
        except FileNotFoundError:
            return 0
        return _uidvalidity_of(line[:-1]) if line.endswith(b"\n") else 0

    def renew(self, uidvalidity: int) -> None:
        """Change the UIDVALIDITY of an index that was read; the UIDs stay the same."""
        self.uidvalidity = uidvalidity
        self._rewrite(sorted((uid, base) for base, uid in self.uids.items()))

    def create(self, uidvalidity: int) -> None:
        """Create an empty index with this UIDVALIDITY, in place of an existing or damaged one."""
        self._clear()
        self.uidvalidity = self.first_uidvalidity = uidvalidity
        self._rewrite(())

    def assign(self, bases: Iterable[str]) -> list[int]:
        """Assign the next UIDs to messages, given by the unique parts of their file names; store the UIDs durably."""
        uids = []
        lines = []
        for base in bases:
            uids.append(self.uidnext)
            lines.append(b"%d %s\n" % (self.uidnext, os.fsencode(base)))
            self.uids[base] = self.uidnext
            self.uidnext += 1
        if lines:
            self._append(b"".join(lines), lasting=True)
            self.lines += len(lines)
        return uids

    def claim_recent(self) -> int:
        r"""Return the lowest UID that is \Recent, and record that no present message is \Recent in later sessions."""
        first = self.first_recent
        if first < self.uidnext:
            self._append(b"R %d\n" % self.uidnext, lasting=False)
            self.lines += 1
            self.first_recent = self.uidnext
        return first

    def compact(self, live: Iterable[str]) -> None:
        """Rewrite the index file without dead lines, the lines of messages not in `live`.

        Does nothing unless more than DEAD_LINES_MAX lines, and more than half of all lines, are dead.
        """
        if self.lines < DEAD_LINES_MAX:
            return
        live_uids = {base: self.uids[base] for base in live if base in self.uids}
        if self.lines - len(live_uids) > max(DEAD_LINES_MAX, len(live_uids)):
            self.uids = live_uids
            self._rewrite(sorted((uid, base) for base, uid in live_uids.items()))

    def _rewrite(self, entries: Iterable[tuple[int, str]]) -> None:
        lines = [_HEADER + b"%d\n" % self.uidvalidity]
        lines += [b"I %d\n" % self.first_uidvalidity] if self.first_uidvalidity != self.uidvalidity else []
        lines += [b"%d %s\n" % (uid, os.fsencode(base)) for uid, base in entries]
        lines.append(b"R %d\nN %d\n" % (self.first_recent, self.uidnext))
        content = b"".join(lines)
        replace_file(self._path, content)
        self._inode = os.stat(self._path).st_ino
        self._offset = len(content)
        self.lines = len(lines) - 1

    def _append(self, octets: bytes, lasting: bool) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            # Truncate the partial line that a killed process left.
            os.ftruncate(descriptor, self._offset)
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            write_all(descriptor, octets)
            if lasting:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self._offset += len(octets)


class UidValidities:
    """Files with the last UIDVALIDITY assigned to a user's folders, and the greatest one of each former folder name.

    All methods raise OSError.
    """

    def __init__(self, root: str) -> None:
        self._path = f"{root}/{UIDVALIDITY_FILE}"
        self._former_path = f"{root}/{FORMER_NAMES_FILE}"
        self._lock = f"{self._path}.lock"

    def new(self) -> int:
        """Return a UIDVALIDITY larger than all before, for a new or recreated folder (RFC 3501 section 2.3.1.1)."""
        with locked(self._lock) as lock:
            os.utime(lock)
            last = read_file(self._path) or b""
            value = max(int(os.fstat(lock).st_mtime), int(last) + 1 if last.isdigit() else 0)
            replace_file(self._path, b"%d" % value)
            return value

    def former(self, name: str) -> int:
        """Return the greatest UIDVALIDITY of all former folders with this name; 0 if there were none."""
        return _former(self._read(), name)

    def retire(self, name: str, uidvalidity: int) -> None:
        """Record the UIDVALIDITY of a folder that is about to be renamed or removed, under its present name."""
        with locked(self._lock):
            values = self._read()
            if uidvalidity <= _former(values, name):
                return
            values[name] = uidvalidity
            # The entry "" replaces the smallest values: few folders that exist have smaller ones.
            while len(values) > FORMER_NAMES_MAX:
                smallest = min(values.keys() - {""}, key=values.__getitem__)
                values[""] = max(values.pop(smallest), values.get("", 0))
            lines = "".join(f"{value} {name}\n" for name, value in values.items())
            replace_file(self._former_path, lines.encode("ascii"))

    def _read(self) -> dict[str, int]:
        values = {}
        for line in (read_file(self._former_path) or b"").decode("ascii", "replace").split("\n"):
            value, _, name = line.partition(" ")
            if value.isdecimal():
                values[name] = int(value)
        return values


def _former(values: dict[str, int], name: str) -> int:
    return values.get(name, values.get("", 0))
