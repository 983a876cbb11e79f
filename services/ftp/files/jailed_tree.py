"""Directory tree confined to its root: path resolution that cannot leave the root, even by a race (TOCTOU).

A path is resolved name by name: the resolution holds a descriptor of each directory on the path, and opens the next
directory relative to it, never through a symbolic link (openat(2), O_NOFOLLOW). So a directory that another process
moves, or replaces by a link, cannot lead out of the tree. This module resolves symbolic links itself: it follows
relative links that stay below the root, and refuses absolute links and links to a place above the root (FileError with
Cause.DENIED). Linux's openat2(2) with RESOLVE_BENEATH does the same, but Python does not offer it.
"""

import errno
import os
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.ftp.files.paths import VirtualPath
from lab7.services.ftp.limits import LINKS_FOLLOWED
from lab7.services.ftp.server_pi.failures import Cause

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_CAUSES = {
    errno.ENOENT: Cause.NOT_FOUND,
    errno.ENOTDIR: Cause.NOT_A_DIRECTORY,
    errno.EISDIR: Cause.NOT_A_FILE,
    errno.EEXIST: Cause.EXISTS,
    errno.ENOTEMPTY: Cause.NOT_EMPTY,
    errno.EACCES: Cause.DENIED,
    errno.EPERM: Cause.DENIED,
    errno.EROFS: Cause.DENIED,
    errno.ELOOP: Cause.DENIED,
    errno.EXDEV: Cause.DENIED,
    errno.ENAMETOOLONG: Cause.NAME_REFUSED,
    errno.EINVAL: Cause.NAME_REFUSED,
    errno.EILSEQ: Cause.NAME_REFUSED,
    errno.ETXTBSY: Cause.BUSY,
    errno.EBUSY: Cause.BUSY,
    errno.EWOULDBLOCK: Cause.BUSY,
    errno.ENOSPC: Cause.DISK_FULL,
    errno.EDQUOT: Cause.DISK_FULL,
}


class FileError(Exception):
    """Error of a file system operation. `cause` determines the FTP reply code, `detail` is the text of the reply."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(detail or cause.name)
        self.cause = cause
        self.detail = detail


def cause_of(error: OSError) -> Cause:
    """Return the Cause (reason of failure, for the reply code) that corresponds to an OSError's errno."""
    return _CAUSES.get(error.errno or 0, Cause.LOCAL_ERROR)


class JailedTree:
    """Directory tree confined to its root directory `root`.

    Raises ServiceError if `root` is not an accessible directory.
    """

    def __init__(self, root: Path) -> None:
        try:
            self._root = os.open(os.path.realpath(root), _DIRECTORY)
        except OSError as error:
            raise ServiceError(f"cannot serve {root} ({error.strerror}): name an existing directory") from error
        self._close = weakref.finalize(self, os.close, self._root)

    def close(self) -> None:
        """Close the descriptor of the root directory."""
        self._close()

    @contextmanager
    def parent(self, path: VirtualPath, follow: bool = False) -> Iterator[tuple[int, str]]:
        """Resolve a path to its parent directory: yield (descriptor of that directory, last name of the path).

        The yielded name is "." for the root itself. With `follow`, a symbolic link as the last name is resolved as
        well, so that the yielded name is no link. Raises FileError.
        """
        walk = _Walk(self._root)
        try:
            yield walk.resolve(path, follow), walk.name
        except OSError as error:
            raise FileError(cause_of(error)) from error
        finally:
            walk.close()

    @contextmanager
    def directory(self, path: VirtualPath) -> Iterator[int]:
        """Resolve a path to an open descriptor of a directory; raises FileError."""
        with self.parent(path, follow=True) as (parent, name):
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def status(self, path: VirtualPath) -> os.stat_result:
        """Return the status of a file (stat(2), symbolic links followed); raises FileError."""
        with self.parent(path, follow=True) as (parent, name):
            return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def size_bytes(self) -> int:
        """Return the total size in octets of all regular files in the tree."""
        with self.directory(()) as descriptor:
            return _size_below(descriptor, 0)


def _size_below(directory: int, depth: int) -> int:
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(status.st_mode):
                    total += status.st_size
                elif stat.S_ISDIR(status.st_mode) and depth < 1000:
                    below = os.open(entry.name, _DIRECTORY, dir_fd=directory)
                    try:
                        total += _size_below(below, depth + 1)
                    finally:
                        os.close(below)
    return total


class _Walk:
    """Resolution of one path, name by name: holds the open descriptors of the directories, and the last name."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._opened: list[int] = []
        self.name = "."
        self._links = 0

    def resolve(self, path: VirtualPath, follow: bool) -> int:
        """Resolve the path without its last name; return a descriptor of the directory that contains the last name."""
        unresolved = list(reversed(path))
        while unresolved:
            name = unresolved.pop()
            if name == "..":
                self._climb()
                continue
            is_last = not unresolved
            if (not is_last or follow) and (target := self._link(name)) is not None:
                unresolved += reversed(self._follow(target))
                continue
            if is_last:
                self.name = name
                return self._here
            self._opened.append(os.open(name, _DIRECTORY, dir_fd=self._here))
        # The path is the root, or a link that ends in "..": the name "." stands for the directory itself.
        self.name = "."
        return self._here

    def close(self) -> None:
        """Close the open directory descriptors of the walk."""
        while self._opened:
            os.close(self._opened.pop())

    @property
    def _here(self) -> int:
        return self._opened[-1] if self._opened else self._root

    def _climb(self) -> None:
        if not self._opened:
            raise FileError(Cause.DENIED)
        os.close(self._opened.pop())

    def _link(self, name: str) -> str | None:
        try:
            return os.readlink(name, dir_fd=self._here)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:
                return None
            raise

    def _follow(self, target: str) -> list[str]:
        self._links += 1
        if target.startswith("/") or self._links > LINKS_FOLLOWED:
            raise FileError(Cause.DENIED)
        return [name for name in target.split("/") if name not in ("", ".")]
