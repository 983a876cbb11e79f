"""Atomic uploads: a stored file appears under its name only when complete, and a failed upload can be resumed.

    STOR a      octets are written to .a.part; a complete upload is renamed to a
    failure     .a.part stays, and the old a as well
    REST n      STOR a continues in .a.part at n, or, without an incomplete upload, in a copy of the first n octets of a
    APPE a      continues at the end of .a.part if there is no a; else octets are appended to a itself

SIZE returns the length of .a.part if there is no a: clients resume with this length (curl: SIZE, then APPE; lftp: SIZE,
REST, STOR). If both files exist, APPE is refused (450) until the upload is completed, restarted or deleted, since the
data might continue the other file. A lock on .a.part excludes concurrent uploads of one name. After kill -9, the old
file and the incomplete upload are left.
"""

import fcntl
import os
import stat
from contextlib import suppress
from enum import Enum

from lab7.services.ftp.files.jailed_tree import FileError, cause_of
from lab7.services.ftp.files.paths import partial_name
from lab7.services.ftp.files.quota import Quota
from lab7.services.ftp.server_pi.actions import StoreMode
from lab7.services.ftp.server_pi.failures import Cause

_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_NEW_MODE = 0o644
# Maximum octets of one call of copy_file_range(2).
_COPY_OCTETS = 64 * 1024 * 1024
# Maximum number of names tried for STOU.
_UNIQUE_NAMES = 10_000


class Sync(Enum):
    """Policy for fsync(2) of a stored file before reply 226: only if it replaces a file, always, or never."""

    REPLACE = "replace"
    ALWAYS = "always"
    NEVER = "never"


def size_or_none(directory: int, name: str) -> int | None:
    """Return the size of a regular file, 0 for a symbolic link, None for a missing file.

    Raises FileError for other kinds of files.
    """
    try:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(status.st_mode):
        return 0
    if not stat.S_ISREG(status.st_mode):
        raise FileError(Cause.NOT_A_FILE)
    return status.st_size


class Upload:
    """One file being uploaded: open() it, write() its octets, then commit() it or, after a failure, keep() the part."""

    def __init__(self, directory: int, name: str, quota: Quota, sync: Sync) -> None:
        self.name = name
        self._directory = os.dup(directory)
        self._quota = quota
        self._sync = sync
        self._file = -1
        self._in_place = False
        # Octets of the new file exempt from the quota (left, in total), because the rename frees the old file's octets.
        self._credit = self._replaced = 0

    def open(self, storing: StoreMode, offset: int) -> None:
        """Open the file that the octets are written to; raises FileError and OSError."""
        try:
            self._open(storing, offset)
        except BaseException:
            self._close()
            raise

    def write(self, octets: memoryview) -> None:
        """Write all octets; raises FileError with QUOTA_EXCEEDED or the cause of a system error."""
        from_credit = min(self._credit, len(octets))
        self._quota.reserve(len(octets) - from_credit)
        self._credit -= from_credit
        try:
            while octets:
                octets = octets[os.write(self._file, octets) :]
        except OSError as error:
            self._quota.release(len(octets))
            raise FileError(cause_of(error)) from error

    def commit(self) -> None:
        """Rename the complete upload to the name of the file; raises FileError."""
        try:
            if not self._in_place:
                self._replace()
        except OSError as error:
            raise FileError(cause_of(error)) from error
        finally:
            self._close()

    def keep(self, resumable: bool) -> None:
        """Close an incomplete upload and keep it for REST or APPE. Remove it if it is empty or not `resumable`."""
        try:
            size = os.fstat(self._file).st_size
            if self._in_place:
                return
            if size and resumable:
                # The old file is kept, so the octets of the new file that were exempt from the quota are counted now.
                self._quota.add(self._replaced - self._credit)
                return
            os.unlink(partial_name(self.name), dir_fd=self._directory)
            self._quota.release(size - (self._replaced - self._credit))
        except OSError:
            # The incomplete upload was removed by another session, so there is nothing to keep.
            return
        finally:
            self._close()

    # Opening.

    def _open(self, storing: StoreMode, offset: int) -> None:
        size_before = size_or_none(self._directory, self.name)
        partial_size = size_or_none(self._directory, partial_name(self.name))
        if storing is StoreMode.APPENDED and size_before is not None:
            if partial_size:
                raise FileError(
                    Cause.BUSY,
                    "The file has an incomplete upload: resume it with REST and STOR, or upload the file again.",
                )
            self._open_in_place()
            return
        if self._quota.is_used_up and not size_before:
            raise FileError(Cause.QUOTA_USED_UP)
        if storing is StoreMode.APPENDED:
            offset = partial_size or 0
        self._check_restart(offset, size_before, partial_size)
        self._open_partial()
        self._credit = self._replaced = size_before or 0
        if offset and not partial_size:
            self._copy(offset)
        else:
            self._quota.release((partial_size or 0) - offset)
            os.ftruncate(self._file, offset)
        os.lseek(self._file, offset, os.SEEK_SET)

    def _check_restart(self, offset: int, size_before: int | None, partial_size: int | None) -> None:
        most = partial_size or size_before or 0
        if offset > most:
            raise FileError(Cause.BAD_RESTART, f"Invalid restart offset: the server has {most} octets of the file.")

    def _open_in_place(self) -> None:
        if self._quota.is_used_up:
            raise FileError(Cause.QUOTA_USED_UP)
        self._in_place = True
        self._file = os.open(self.name, os.O_WRONLY | os.O_APPEND | _FLAGS, dir_fd=self._directory)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _open_partial(self) -> None:
        name = partial_name(self.name)
        self._file = os.open(name, os.O_RDWR | os.O_CREAT | _FLAGS, _NEW_MODE, dir_fd=self._directory)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Between open() and flock(), another session may have renamed the file, which is complete and must not change.
        opened, named = os.fstat(self._file), os.stat(name, dir_fd=self._directory, follow_symlinks=False)
        if (opened.st_dev, opened.st_ino) != (named.st_dev, named.st_ino) or not stat.S_ISREG(opened.st_mode):
            raise FileError(Cause.BUSY)

    def _copy(self, count: int) -> None:
        source = os.open(self.name, os.O_RDONLY | _FLAGS, dir_fd=self._directory)
        try:
            while count:
                copied = os.copy_file_range(source, self._file, min(count, _COPY_OCTETS))
                if copied == 0:
                    raise FileError(Cause.BAD_RESTART)
                from_credit = min(self._credit, copied)
                self._quota.reserve(copied - from_credit)
                self._credit -= from_credit
                count -= copied
        except (OSError, FileError):
            os.unlink(partial_name(self.name), dir_fd=self._directory)
            raise
        finally:
            os.close(source)

    # End of the upload.

    def _replace(self) -> None:
        with suppress(FileNotFoundError):
            old = os.stat(self.name, dir_fd=self._directory, follow_symlinks=False)
            if stat.S_ISREG(old.st_mode):
                os.fchmod(self._file, old.st_mode & 0o777)
        is_synced = self._sync is Sync.ALWAYS or (self._sync is Sync.REPLACE and self._replaced > 0)
        if is_synced:
            os.fsync(self._file)
        os.rename(partial_name(self.name), self.name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        if is_synced:
            os.fsync(self._directory)
        # Release the octets by which the new file is shorter than the old one.
        self._quota.release(self._credit)

    def _close(self) -> None:
        for descriptor in (self._file, self._directory):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._directory = -1


def free_name(directory: int, wanted: str) -> str:
    """Return a name for STOU that is used neither by a file nor by an incomplete upload."""
    for number in range(_UNIQUE_NAMES):
        name = f"{wanted}.{number}" if number else wanted
        if all(not _exists(directory, candidate) for candidate in (name, partial_name(name))):
            return name
    raise FileError(Cause.NAME_REFUSED)


def _exists(directory: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
