"""One user's directory tree: every name is looked up below its root, component by component.

A walk holds a descriptor of each directory on the way and opens the next one relative to it, never through a symbolic
link (O_NOFOLLOW): what another process moves or links in the meantime cannot lead outside. A link is read and followed
by hand: relative ones that stay below the root are; absolute ones and those that climb above it are not (Cause.DENIED).
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.errors import ServiceError
from services.ftp.files.paths import VirtualPath
from services.ftp.limits import LINKS_FOLLOWED
from services.ftp.server_pi.failures import Cause

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
    """A file action cannot be done, for a cause that the user is to know."""

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(detail or cause.name)
        self.cause = cause
        self.detail = detail


def cause_of(error: OSError) -> Cause:
    """Return what an error of the system means to the user."""
    return _CAUSES.get(error.errno or 0, Cause.LOCAL_ERROR)


class Tree:
    """The tree below `root`; raises ServiceError when that is no directory that can be entered."""

    def __init__(self, root: Path) -> None:
        try:
            self._root = os.open(os.path.realpath(root), _DIRECTORY)
        except OSError as error:
            raise ServiceError(f"{root} cannot be served ({error.strerror}): name a directory that is there") from error

    def close(self) -> None:
        """Let go of the root."""
        os.close(self._root)

    @contextmanager
    def parent(self, path: VirtualPath, follow: bool = False) -> Iterator[tuple[int, str]]:
        """Give a descriptor of the directory that holds the last name, and that name; "." at the root itself.

        With `follow` a link as the last name is followed, so the name given is none, if it is there at all. Raises
        FileError.
        """
        walk = _Walk(self._root)
        try:
            yield walk.go(path, follow), walk.name
        except OSError as error:
            raise FileError(cause_of(error)) from error
        finally:
            walk.close()

    @contextmanager
    def directory(self, path: VirtualPath) -> Iterator[int]:
        """Give a descriptor of a directory; raises FileError."""
        with self.parent(path, follow=True) as (parent, name):
            descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def status(self, path: VirtualPath) -> os.stat_result:
        """Return what is there, links followed; raises FileError."""
        with self.parent(path, follow=True) as (parent, name):
            return os.stat(name, dir_fd=parent, follow_symlinks=False)

    def size_bytes(self) -> int:
        """Return what all plain files take together."""
        with self.directory(()) as descriptor:
            return _size_below(descriptor, 0)


def _size_below(directory: int, depth: int) -> int:
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                found = entry.stat(follow_symlinks=False)
                if stat.S_ISREG(found.st_mode):
                    total += found.st_size
                elif stat.S_ISDIR(found.st_mode) and depth < 1000:
                    below = os.open(entry.name, _DIRECTORY, dir_fd=directory)
                    try:
                        total += _size_below(below, depth + 1)
                    finally:
                        os.close(below)
    return total


class _Walk:
    """Descriptors of the directories from the root to where the walk stands; `name` is what is left to look up."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._opened: list[int] = []
        self.name = "."
        self._links = 0

    def go(self, path: VirtualPath, follow: bool) -> int:
        """Walk to the directory of the last name and return its descriptor."""
        left = list(reversed(path))
        while left:
            name = left.pop()
            if name == "..":
                self._climb()
                continue
            is_last = not left
            if (not is_last or follow) and (target := self._link(name)) is not None:
                left += reversed(self._follow(target))
                continue
            if is_last:
                self.name = name
                return self._here
            self._opened.append(os.open(name, _DIRECTORY, dir_fd=self._here))
        # The root, or a link whose last name was "..": the directory itself.
        self.name = "."
        return self._here

    def close(self) -> None:
        """Close what was opened."""
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
