"""Maildir delivery: message file names, durable writes (fsync, rename), and quota accounting of Maildir++.

    1700000000.M20046P77Q3R9c.host,S=1040,W=1064:2,FS       a file name

The part before the colon identifies the message and never changes: time, delivering process (P) and its counter (Q),
random number (R), host, and the size as stored (S) and with CRLF line ends (W). After `:2,` follow the flag letters in
alphabetical order. File names by other programs are parsed as far as possible and kept unchanged. See
https://cr.yp.to/proto/maildir.html.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from lab7.services.mail.maildir.errors import MessageTooLargeError
from lab7.services.mail.maildir.limits import MESSAGE_OCTETS, SUMS_AGE_S, SUMS_OCTETS

# Letters of flags in file names; P (passed) is preserved but has no IMAP flag.
LETTERS = {"D": "\\Draft", "F": "\\Flagged", "R": "\\Answered", "S": "\\Seen", "T": "\\Deleted"}
FLAGS = {flag: letter for letter, flag in LETTERS.items()}
_INFO = ":2,"
# Pattern of a CRLF without a CR before it (see stored_form).
_LINE_END = re.compile(rb"(?<!\r)\r\n")
_SIZE = re.compile(r",W=(\d{1,18})(?=,|$)")
_STORED = re.compile(r",S=(\d{1,18})(?=,|$)")
_TIME = re.compile(r"(\d{1,18})(?:\.(?:[A-LN-Z]\w*?)?(?:M(\d{1,9}))?(?:P(\d{1,9}))?(?:Q(\d{1,18}))?)?")
# Exclusive limit of times in seconds: the end of the year 9999, the last year that dates can have.
_SECONDS_MAX = 253_402_300_800
_counter = count()
_OPEN = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_REPLACE = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
QUOTA_FILE = "maildirsize"


def host_part(host: str) -> str:
    """Return a host name with slash, colon and comma escaped in octal, as Maildir file names require."""
    return host.replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")


_HOST = host_part(os.uname().nodename)


def unique_name(written_ns: int, stored_octets: int, size_octets: int) -> str:
    """Return the unique part of a message's file name; `written_ns` is the time of writing in ns since 1970 UTC.

    It includes both sizes of the message: as stored (`S=`), and with CRLF line ends (`W=`).
    """
    seconds, nanoseconds = divmod(written_ns, 1_000_000_000)
    number = os.urandom(8).hex()
    place = f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_counter)}R{number}"
    return f"{place}.{_HOST},S={stored_octets},W={size_octets}"


def split_name(file_name: str) -> tuple[str, str]:
    """Return (unique part, flag letters) of a file name in new/ or cur/."""
    base, colon, letters = file_name.partition(_INFO)
    return base, letters if colon else ""


def with_flag_letters(base: str, letters: str) -> str:
    """Return the file name in cur/ of a message: the unique part, `:2,` and the flag letters in order."""
    return base + _INFO + "".join(sorted(set(letters)))


def wire_size(base: str) -> int | None:
    """Return the size with CRLF line ends that a message's file name states (`W=`); None if the name lacks it."""
    match = _SIZE.search(base)
    return int(match[1]) if match else None


def stored_size(base: str) -> int | None:
    """Return the stored size in octets that a message's file name states (`S=`); None if the name lacks it."""
    match = _STORED.search(base)
    return int(match[1]) if match else None


def sort_key(base: str) -> int:
    """Return a sort key for the time of delivery that a file name states; a name without a time sorts last."""
    match = _TIME.match(base)
    if match is None:
        return 1 << 256
    # Sort key as one number: seconds, microseconds and the delivering process's counter.
    return (int(match[1]) << 128) | (int(match[2] or 0) << 64) | int(match[4] or 0)


def delivery_time(base: str) -> float | None:
    """Return the time of delivery that a file name states, in seconds since 1970 UTC; None if the name has none."""
    match = _TIME.match(base)
    seconds = int(match[1]) if match is not None else 0
    return float(seconds) if 0 < seconds < _SECONDS_MAX else None


def sync_directory(path: str) -> None:
    """Sync a directory, so that its new file names survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all octets at the file's current offset; raises OSError."""
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done:])


@contextmanager
def locked(path: str) -> Iterator[int]:
    """Hold an exclusive flock() on the file `path` in a with block; yields its descriptor."""
    descriptor = os.open(path, _OPEN, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def replace_file(path: str, content: bytes) -> None:
    """Replace a file atomically with `content`, which is on disk on return; raises OSError.

    The caller holds a lock, since the temporary file has a fixed name.
    """
    new = f"{path}.new"
    descriptor = os.open(new, _REPLACE, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(new, path)
    sync_directory(os.path.dirname(path))


def read_file(path: str) -> bytes | None:
    """Return the content of a file, or None if it does not exist."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to deliver into a Maildir folder.

    `letters` are its flag letters; `date` is its internal date in seconds since 1970 UTC (None: the present time).
    """

    content: bytes
    letters: str = ""
    date: float | None = None


def stored_form(content: bytes) -> bytes:
    """Convert a message from CRLF line ends to the form stored on disk, with LF line ends.

    CR CR LF is stored unchanged. So wire_form() restores every octet of the message.
    """
    if b"\r\r\n" in content:
        return _LINE_END.sub(b"\n", content)
    return content.replace(b"\r\n", b"\n") if b"\r\n" in content else content


def wire_form(stored: bytes) -> bytes:
    """Convert a stored message (LF line ends) to CRLF line ends."""
    if b"\r\n" in stored:
        stored = stored.replace(b"\r\n", b"\n")
    return stored.replace(b"\n", b"\r\n")


def wire_octets(stored: bytes) -> int:
    """Return the size of a stored message with CRLF line ends, in octets, without a conversion."""
    return len(stored) + stored.count(b"\n") - stored.count(b"\r\n")


def deliver_files(folder: str, messages: Sequence[NewMessage]) -> list[str]:
    """Deliver messages into a folder's directory; returns the file names relative to the directory, in order.

    Each message is written to tmp/, synced, and renamed into new/ or cur/. On return the messages survive kill -9 and a
    power failure. After a crash before the return, any number of the messages exist, but none in part. Raises OSError
    and MessageTooLargeError, with no message delivered.
    """
    written: list[tuple[str, str]] = []
    done: list[str] = []
    try:
        for message in messages:
            written.append(_write(folder, message))
        for temporary, name in written:
            os.rename(f"{folder}/{temporary}", f"{folder}/{name}")
            done.append(name)
        for place in {name[:3] for name in done}:
            sync_directory(f"{folder}/{place}")
    except BaseException:
        _undo(folder, [*done, *(temporary for temporary, _ in written)])
        raise
    return done


def _undo(folder: str, names: Sequence[str]) -> None:
    for name in names:
        with contextlib.suppress(OSError):
            os.unlink(f"{folder}/{name}")


def _write(folder: str, message: NewMessage) -> tuple[str, str]:
    """Write a message to tmp/ and sync it; returns (name in tmp/, final name)."""
    stored = stored_form(message.content)
    size_octets = wire_octets(stored)
    if size_octets > MESSAGE_OCTETS:
        raise MessageTooLargeError(f"The message is larger than {MESSAGE_OCTETS} octets.")
    temporary = f"tmp/{os.getpid()}.{os.urandom(12).hex()}"
    descriptor = os.open(f"{folder}/{temporary}", _CREATE, 0o600)
    try:
        write_all(descriptor, stored)
        base = unique_name(os.fstat(descriptor).st_mtime_ns, len(stored), size_octets)
        if message.date is not None:
            os.utime(descriptor, (message.date, message.date))
        os.fsync(descriptor)
    except BaseException:
        _undo(folder, [temporary])
        raise
    finally:
        os.close(descriptor)
    # File names in new/ have no flags, so a message with flags goes to cur/.
    return temporary, f"cur/{with_flag_letters(base, message.letters)}" if message.letters else f"new/{base}"


class Quota:
    """Quota accounting of one user in the Maildir++ file `maildirsize`, which other programs maintain as well.

        10000000S          the quota in octets
        52345 17           octets and messages: usage is the sum of the lines
        1040 1             one message added
        -2044 -2           two messages removed

    `folders` returns the directories of all folders; a quota of 0 octets disables accounting.
    """

    def __init__(self, root: str, quota_octets: int, folders: Callable[[], list[str]]) -> None:
        self.quota_octets = quota_octets
        self._path = f"{root}/{QUOTA_FILE}"
        self._lock = f"{root}/{QUOTA_FILE}.lock"
        self._folders = folders

    def usage(self) -> tuple[int, int]:
        """Return (octets, messages) stored in all folders."""
        with locked(self._lock):
            return self._read_sums() or self._recalculate()

    def allows(self, octets: int, messages: int) -> bool:
        """Return True if `octets` more fit the quota.

        Before a refusal, the usage is recalculated from the folders if the file maildirsize may be stale.
        """
        if not self.quota_octets:
            return True
        with locked(self._lock):
            used, _ = self._read_sums() or self._recalculate()
            if used + octets > self.quota_octets and self._may_be_stale(messages):
                used, _ = self._recalculate()
            return used + octets <= self.quota_octets

    def add(self, octets: int, messages: int) -> None:
        """Append a change of (octets, messages) to maildirsize; removals are negative."""
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
        # Touch the lock file, whose mtime is then the file system's current time.
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
