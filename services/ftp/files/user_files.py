"""File operations of one FTP user below the home directory, with write permission and quota.

The methods block on the file system, so callers run them in worker threads. A failed operation raises FileError, which
has the cause, such as a missing file or an exceeded quota.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lab7.services.ftp.files.jailed_tree import FileError, JailedTree, cause_of
from lab7.services.ftp.files.listing import FileStatus, Kind
from lab7.services.ftp.files.paths import VirtualPath, is_partial_name, matches, partial_name
from lab7.services.ftp.files.quota import Quota
from lab7.services.ftp.grammar import DataType
from lab7.services.ftp.limits import ASCII_OCTETS, ASCII_SIZE_OCTETS, LISTED_ENTRIES
from lab7.services.ftp.server_dtp.upload import Sync, Upload, free_name, size_or_none
from lab7.services.ftp.server_pi.actions import Change, ChangeName, OpenWrite, StoreMode
from lab7.services.ftp.server_pi.failures import Cause

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
# Prefix of the file name that STOU generates if its argument is a directory.
_UNIQUE_NAME = "upload"

Entry = tuple[str, FileStatus]


@dataclass(frozen=True, slots=True)
class UserFiles:
    """File operations of one user below the home directory; enforces write permission and quota."""

    tree: JailedTree
    quota: Quota
    writable: bool
    sync: Sync = Sync.REPLACE

    def stat(self, path: VirtualPath, directory: bool = False) -> FileStatus:
        """Return the stat() result for a path.

        With `directory`, raise FileError unless the path is an accessible directory.
        """
        if directory:
            with self.tree.directory(path) as descriptor:
                return _status(os.fstat(descriptor))
        return _status(self.tree.status(path))

    def transfer_size(self, path: VirtualPath, data_type: DataType) -> int:
        """Return the number of octets that RETR would send in this data type: the value in the reply to SIZE.

        If only an incomplete upload of the file exists, return the size of that upload.
        """
        try:
            status = self.tree.status(path)
        except FileError as error:
            if error.cause is not Cause.NOT_FOUND or not self.writable:
                raise
            return self._partial_size(path)
        if not stat.S_ISREG(status.st_mode):
            raise FileError(Cause.NOT_A_FILE)
        if data_type is DataType.IMAGE:
            return status.st_size
        if status.st_size > ASCII_SIZE_OCTETS:
            raise FileError(Cause.TOO_COSTLY)
        return status.st_size + self._line_ends(path)

    def open_read(self, path: VirtualPath) -> tuple[int, os.stat_result]:
        """Open a regular file to read; return (descriptor, status)."""
        with self.tree.parent(path, follow=True) as (parent, name):
            descriptor = os.open(name, _READ, dir_fd=parent)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            raise FileError(Cause.NOT_A_FILE)
        return descriptor, status

    def open_write(self, request: OpenWrite) -> tuple[Upload, VirtualPath]:
        """Open an upload for STOR, APPE or STOU; return (Upload, path of the file once complete)."""
        self._check_writable()
        path = request.path
        if request.storing is StoreMode.UNIQUE and not self._names_file(path):
            path = (*path, _UNIQUE_NAME)
        if request.offset and request.data_type is DataType.ASCII and request.storing is StoreMode.WHOLE:
            raise FileError(Cause.BAD_RESTART, "REST before STOR requires TYPE I.")
        with self.tree.parent(path) as (parent, name):
            _check_new_name(name)
            if request.storing is StoreMode.UNIQUE:
                name = free_name(parent, name)
            upload = Upload(parent, name, self.quota, self.sync)
            upload.open(request.storing, request.offset)
            return upload, (*path[:-1], name)

    def change(self, request: ChangeName) -> None:
        """Carry out a ChangeName: create, remove or rename a file or directory, or change its mode or time."""
        self._check_writable()
        {
            Change.MAKE_DIRECTORY: self._make_directory,
            Change.REMOVE_DIRECTORY: self._remove_directory,
            Change.REMOVE_FILE: self._remove_file,
            Change.RENAME: self._rename,
            Change.CHANGE_MODE: self._change_mode,
            Change.CHANGE_TIME: self._change_time,
        }[request.change](request)

    def entries(self, path: VirtualPath, pattern: str | None) -> tuple[list[Entry], bool, bool]:
        """List a directory, or a single file, as pairs (name, FileStatus).

        Returns (the pairs, True for a directory, True if the list was truncated). If the path is a file, there is one
        pair.
        """
        status = self.stat(path)
        if status.kind is not Kind.DIRECTORY:
            if pattern is not None:
                raise FileError(Cause.NOT_A_DIRECTORY)
            return [(path[-1], status)], False, False
        with self.tree.directory(path) as descriptor:
            names = [name for name in os.listdir(descriptor) if pattern is None or matches(pattern, name)]
            names.sort()
            is_cut = len(names) > LISTED_ENTRIES
            listed = [
                (name, entry_status)
                for name in names[:LISTED_ENTRIES]
                if (entry_status := self._entry_status(path, descriptor, name)) is not None
            ]
            return listed, True, is_cut

    def _entry_status(self, path: VirtualPath, directory: int, name: str) -> FileStatus | None:
        """Return the FileStatus of a directory entry; None if the entry is not to be listed.

        This is an entry that has been removed, a link out of the tree, or neither a file nor a directory.
        """
        try:
            status = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                status = self.tree.status((*path, name))
            return _status(status)
        except (OSError, FileError):
            return None

    def _partial_size(self, path: VirtualPath) -> int:
        with self.tree.parent(path) as (parent, name):
            size = size_or_none(parent, partial_name(name))
        if size is None:
            raise FileError(Cause.NOT_FOUND)
        return size

    def _line_ends(self, path: VirtualPath) -> int:
        descriptor, _ = self.open_read(path)
        with open(descriptor, "rb", buffering=0) as file:
            return sum(piece.count(b"\n") for piece in iter(lambda: file.read(ASCII_OCTETS), b""))

    def _names_file(self, path: VirtualPath) -> bool:
        """Return whether the argument of STOU is the name of a file to create.

        If it is a directory, the server generates a name in it, and the result is False.
        """
        try:
            return not stat.S_ISDIR(self.tree.status(path).st_mode)
        except FileError:
            return True

    def _check_writable(self) -> None:
        if not self.writable:
            raise FileError(Cause.DENIED)

    @contextmanager
    def _named(self, path: VirtualPath) -> Iterator[tuple[int, str]]:
        with self.tree.parent(path) as (parent, name):
            if name == ".":
                # A user may not remove or rename the home directory itself.
                raise FileError(Cause.DENIED)
            yield parent, name

    def _make_directory(self, request: ChangeName) -> None:
        with self.tree.parent(request.path) as (parent, name):
            if name == ".":
                raise FileError(Cause.EXISTS)
            _check_new_name(name)
            os.mkdir(name, 0o755, dir_fd=parent)

    def _remove_directory(self, request: ChangeName) -> None:
        with self._named(request.path) as (parent, name):
            os.rmdir(name, dir_fd=parent)

    def _remove_file(self, request: ChangeName) -> None:
        """Remove a file, and with it the incomplete upload of the same name."""
        with self._named(request.path) as (parent, name):
            sizes = [self._unlink(parent, candidate) for candidate in (name, partial_name(name))]
            if sizes == [None, None]:
                raise FileError(Cause.NOT_FOUND)

    def _unlink(self, parent: int, name: str) -> int | None:
        try:
            size = size_or_none(parent, name)
        except OSError as error:
            # NAME_REFUSED (the name is too long) means that no such file exists, which is no error here.
            if cause_of(error) is Cause.NAME_REFUSED:
                return None
            raise
        if size is not None:
            os.unlink(name, dir_fd=parent)
            self.quota.release(size)
        return size

    def _rename(self, request: ChangeName) -> None:
        with self._named(request.path) as (source, name), self._named(request.to) as (target, new_name):
            _check_new_name(new_name)
            replaced = None
            # A file renamed to its own name replaces no file, so no octets are released from the quota.
            if request.path != request.to and not _is_directory(target, new_name):
                replaced = size_or_none(target, new_name)
            os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
            self.quota.release(replaced or 0)

    def _change_mode(self, request: ChangeName) -> None:
        with self._named(request.path) as (parent, name):
            descriptor = os.open(name, _READ, dir_fd=parent)
            try:
                os.fchmod(descriptor, request.mode)
            finally:
                os.close(descriptor)

    def _change_time(self, request: ChangeName) -> None:
        with self._named(request.path) as (parent, name):
            descriptor = os.open(name, _READ, dir_fd=parent)
            try:
                os.utime(descriptor, (os.fstat(descriptor).st_atime, request.modified_s))
            finally:
                os.close(descriptor)


def _check_new_name(name: str) -> None:
    if name == "." or is_partial_name(name):
        raise FileError(Cause.NAME_REFUSED)


def _is_directory(parent: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _status(status: os.stat_result) -> FileStatus:
    if stat.S_ISDIR(status.st_mode):
        kind = Kind.DIRECTORY
    elif stat.S_ISREG(status.st_mode):
        kind = Kind.FILE
    else:
        raise FileError(Cause.NOT_A_FILE)
    unique = f"{status.st_dev:x}g{status.st_ino:x}"
    return FileStatus(kind, status.st_size, status.st_mtime, status.st_mode & 0o777, unique, status.st_nlink)
