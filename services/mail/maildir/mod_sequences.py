r"""Mod-sequences of a Maildir folder: numbers that order all changes, in an append-only file (CONDSTORE, RFC 7162).

    lab7-modseq 1 1700000000         format version, UIDVALIDITY
    F 1764460800                     removals up to this mod-sequence are forgotten
    S 1764460800 1:3,7 FS            UIDs 1 to 3 and 7 have the flag letters FS since this mod-sequence
    V 1764460801 2                   UID 2 was removed at this mod-sequence
    H 1764460801                     no mod-sequence up to this one is used again

The file records the last observed states of messages, not commands, because other programs also change flags and remove
messages in a Maildir. observe() compares the messages with the recorded states, assigns the next mod-sequence to the
messages that differ, and appends the new states to the file before they are reported to any client. So a process may be
killed at any time: the next observation finds a change that was made but not recorded, and assigns to it a mod-sequence
larger than any that a client has received. A partial line is truncated by the next writer, as in the UID index. On a
file system that loses the last lines of a file in a power failure, new mod-sequences are still above the lost
mod-sequences, because a new mod-sequence is at least the time in seconds.

Compaction replaces the file atomically when it has MOD_SEQUENCE_LINES_MAX lines, and again when its lines have doubled.
It leaves out superseded lines, and forgets all but the last VANISHED_MAX removals; vanished_since() then returns None
for earlier mod-sequences, and the server reports all UIDs that do not exist (RFC 7162 section 3.2.10.1). A file that is
missing, damaged or of another UIDVALIDITY is recreated.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from typing import Protocol

from lab7.services.mail.maildir.delivery import locked, replace_file, write_all
from lab7.services.mail.maildir.limits import MOD_SEQUENCE_LINES_MAX, VANISHED_MAX

FILE = "lab7-modseq"
LOCK = "lab7-modseq.lock"
_HEADER = b"lab7-modseq 1 "
_Ranges = list[tuple[int, int]]


class Flagged(Protocol):
    """Interface of a message that has flag letters."""

    @property
    def letters(self) -> str:
        """Letters of the message's flags, as in its file name."""


def ranges_of(numbers: Iterable[int]) -> _Ranges:
    """Return ascending numbers as ranges of (first, last)."""
    ranges: _Ranges = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges


def _encode(ranges: _Ranges) -> bytes:
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in ranges)


def _decode(octets: bytes) -> _Ranges:
    ranges = []
    for piece in octets.split(b","):
        first, _, last = piece.partition(b":")
        ranges.append((int(first), int(last or first)))
    return ranges


class ModSequences:
    """The mod-sequences of one folder, as of the last read() or observe(); the methods raise OSError."""

    def __init__(self, folder: str) -> None:
        self._path = f"{folder}/{FILE}"
        self._lock = f"{folder}/{LOCK}"
        self._inode = -1
        self._clear()

    def _clear(self) -> None:
        # HIGHESTMODSEQ; 0 before the first observe().
        self.highest = 0
        self._uidvalidity = 0
        self._offset = 0
        self._lines = 0
        self._lines_max = MOD_SEQUENCE_LINES_MAX
        self._forgotten = 0
        # (mod-sequence, letters) of each UID.
        self._states: dict[int, tuple[int, str]] = {}
        self._vanished: list[tuple[int, _Ranges]] = []

    def of(self, uid: int) -> int:
        """Return the mod-sequence of the message with this UID, 0 if observe() has not recorded it."""
        state = self._states.get(uid)
        return state[0] if state is not None else 0

    def vanished_since(self, mod_sequence: int) -> _Ranges | None:
        """Return the (first, last) ranges of UIDs of the messages removed after a mod-sequence.

        Returns None if the file of mod-sequences no longer records all of these removals.
        """
        if mod_sequence < self._forgotten:
            return None
        return [ends for removed, ranges in self._vanished if removed > mod_sequence for ends in ranges]

    @contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the lock that observe() requires, in a with block; yields the lock's file descriptor."""
        with locked(self._lock) as lock:
            yield lock

    def observe(self, lock: int, messages: Mapping[int, Flagged], changed: Iterable[int]) -> None:
        """Assign the next mod-sequence to changed messages, and record their flags and removals in the file.

        `changed` has the UIDs to compare: a message has changed if its flags differ from the recorded flags, or if it
        was removed. `lock` is the file descriptor from locked().
        """
        by_letters: dict[str, list[int]] = {}
        vanished: list[int] = []
        for uid in sorted(changed):
            message = messages.get(uid)
            state = self._states.get(uid)
            if message is None:
                if state is not None:
                    vanished.append(uid)
            elif state is None or state[1] != message.letters:
                letters = _ascii_letters(message.letters)
                if state is None or state[1] != letters:
                    by_letters.setdefault(letters, []).append(uid)
        if not by_letters and not vanished:
            return
        mod_sequence = self._next(lock)
        lines = [_state_line(mod_sequence, letters, uids) for letters, uids in by_letters.items()]
        if vanished:
            lines.append(b"V %d %b\n" % (mod_sequence, _encode(ranges_of(vanished))))
        self._append(b"".join(lines))
        for line in lines:
            self._parse_line(line[:-1])
        self._lines += len(lines)
        self._compact()

    def _next(self, lock: int) -> int:
        os.utime(lock)
        return max(self.highest + 1, int(os.fstat(lock).st_mtime))

    @property
    def observed(self) -> Set[int]:
        """The UIDs of the messages recorded in the file of mod-sequences."""
        return self._states.keys()

    def read(self, lock: int, uidvalidity: int) -> bool:
        """Read the lines added to the file by other processes; create the file if it is missing or invalid.

        Returns True if the file is new or was read from its beginning: the caller then has to compare all messages.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._create(lock, uidvalidity)
            return True
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            anew = status.st_ino != self._inode or status.st_size < self._offset
            if anew:
                self._clear()
                self._inode = status.st_ino
            if status.st_size > self._offset:
                file.seek(self._offset)
                self._parse(file.read())
        if self._uidvalidity != uidvalidity:
            self._create(lock, uidvalidity)
            return True
        return anew

    def _parse(self, octets: bytes) -> None:
        end = octets.rfind(b"\n") + 1
        lines = octets[:end].split(b"\n")[:-1]
        if self._offset == 0 and lines:
            header = lines.pop(0)
            value = header.removeprefix(_HEADER)
            self._uidvalidity = int(value) if header.startswith(_HEADER) and value.isdigit() else 0
        self._offset += end
        self._lines += len(lines)
        try:
            for line in lines:
                self._parse_line(line)
        except (ValueError, IndexError):
            # Recreate a damaged file.
            self._uidvalidity = 0

    def _parse_line(self, line: bytes) -> None:
        kind, number, *rest = line.split(b" ")
        mod_sequence = int(number)
        self.highest = max(self.highest, mod_sequence)
        if kind == b"F":
            self._forgotten = max(self._forgotten, mod_sequence)
        elif kind == b"S":
            state = (mod_sequence, rest[1].decode("ascii"))
            for first, last in _decode(rest[0]):
                self._states.update(dict.fromkeys(range(first, last + 1), state))
        elif kind == b"V":
            ranges = _decode(rest[0])
            self._vanished.append((mod_sequence, ranges))
            for first, last in ranges:
                for uid in range(first, last + 1):
                    self._states.pop(uid, None)

    def _create(self, lock: int, uidvalidity: int) -> None:
        highest = self._next(lock)
        self._clear()
        self._uidvalidity = uidvalidity
        self.highest = self._forgotten = highest
        self._rewrite()

    def _compact(self) -> None:
        if self._lines < self._lines_max:
            return
        forgotten = self._vanished[:-VANISHED_MAX]
        if forgotten:
            self._forgotten = forgotten[-1][0]
            self._vanished = self._vanished[-VANISHED_MAX:]
        self._rewrite()
        # The next compaction is due at twice the present number of lines, so that the amortised cost is constant.
        self._lines_max = max(MOD_SEQUENCE_LINES_MAX, 2 * self._lines)

    def _rewrite(self) -> None:
        by_state: dict[tuple[int, str], list[int]] = {}
        for uid in sorted(self._states):
            by_state.setdefault(self._states[uid], []).append(uid)
        lines = [_HEADER + b"%d\n" % self._uidvalidity, b"F %d\n" % self._forgotten]
        # This line preserves the highest mod-sequence even if no state has it.
        lines.append(b"H %d\n" % self.highest)
        lines += [_state_line(mod_sequence, letters, uids) for (mod_sequence, letters), uids in by_state.items()]
        lines += [b"V %d %b\n" % (removed, _encode(ranges)) for removed, ranges in self._vanished]
        content = b"".join(lines)
        replace_file(self._path, content)
        self._inode = os.stat(self._path).st_ino
        self._offset = len(content)
        self._lines = len(lines) - 1

    def _append(self, octets: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            # Truncate a partial line left by a killed process.
            os.ftruncate(descriptor, self._offset)
            os.lseek(descriptor, self._offset, os.SEEK_SET)
            write_all(descriptor, octets)
        finally:
            os.close(descriptor)
        self._offset += len(octets)


def _ascii_letters(letters: str) -> str:
    """Remove characters other than ASCII letters from flag letters; file names by other programs may contain them."""
    if not letters or (letters.isascii() and letters.isalpha()):
        return letters
    return "".join(letter for letter in letters if letter.isascii() and letter.isalpha())


def _state_line(mod_sequence: int, letters: str, uids: Iterable[int]) -> bytes:
    return b"S %d %b %b\n" % (mod_sequence, _encode(ranges_of(uids)), letters.encode("ascii"))
