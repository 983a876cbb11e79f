"""Disk directory of the HTTP response store: its files, its lock, and atomic creation and removal of entries.

    DIR/lab7-cache                   marks the directory as a store, and is locked while a process uses it
    DIR/2a/000000000000002a.new      a head (metadata) that is being written
    DIR/2a/000000000000002a.head     a head; the entry exists as long as this file does
    DIR/2a/000000000000002a.content  the content, created before the head and removed after it; absent if empty

An entry is created by an atomic rename of its head, and removed by an unlink of its head. A process that is killed
leaves at most files without a head, which the next start removes. There is no fsync: length and checksum detect files
damaged by a power failure, and the entry is a miss. File names are a counter, never part of a URI.
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.http.storage.format import FormatError, Head, decode_head
from lab7.services.http.storage.limits import BLOCK_OCTETS, HEAD_OCTETS

MARK = "lab7-cache"
_MARK_TEXT = b"The stored responses of lab7's web cache. To delete them, stop the cache and remove this directory.\n"
_FILE = re.compile(r"(?P<name>[0-9a-f]{16})\.(?P<kind>head|content|new)")
# Subdirectories, one for each value of the last two digits of a name, so that files are spread evenly.
_SUBDIRECTORIES = [f"{number:02x}" for number in range(256)]
_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


def blocks(octets: int) -> int:
    """Return the disk space that a file of `octets` octets occupies: its size rounded up to full blocks, in octets."""
    return -(-octets // BLOCK_OCTETS) * BLOCK_OCTETS


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all octets at the file's current position; raises OSError."""
    with memoryview(data) as view:
        done = 0
        while done < len(view):
            done += os.write(descriptor, view[done:])


class Folder:
    """Directory of one store on disk, locked while open. Raises ServiceError if it cannot be used."""

    def __init__(self, path: Path) -> None:
        self._root = str(path)
        try:
            self._lock = self._lock_directory(path)
            for place in _SUBDIRECTORIES:
                (path / place).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            reason = error.strerror
            raise ServiceError(f"cannot use {path} as a store ({reason}): name a directory with --disk") from error

    def _lock_directory(self, path: Path) -> int:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (path / MARK).exists() and any(path.iterdir()):
            raise ServiceError(f"{path} holds other files: name an empty or a new directory with --disk")
        lock = os.open(path / MARK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.fstat(lock).st_size:
                write_all(lock, _MARK_TEXT)
        except BlockingIOError as error:
            os.close(lock)
            raise ServiceError(f"another process uses {path} as its store: name another one with --disk") from error
        except OSError:
            os.close(lock)
            raise
        return lock

    def close(self) -> None:
        """Release the lock of the directory; idempotent."""
        lock, self._lock = self._lock, -1
        if lock >= 0:
            os.close(lock)

    def scan(self) -> Iterator[tuple[Head, int]]:
        """Yield (metadata, disk space in octets) of each complete entry, sorted by name; remove incomplete ones."""
        kinds: dict[str, set[str]] = {}
        for place in _SUBDIRECTORIES:
            for file in os.listdir(f"{self._root}/{place}"):
                match = _FILE.fullmatch(file)
                # Ignore files whose names this store does not create.
                if match and match["name"].endswith(place):
                    kinds.setdefault(match["name"], set()).add(match["kind"])
        for name in sorted(kinds):
            if "new" in kinds[name]:
                self._unlink(name, "new")
            entry = self._load(name) if "head" in kinds[name] else None
            if entry is None:
                self.remove(name)
            else:
                yield entry

    def _load(self, name: str) -> tuple[Head, int] | None:
        try:
            octets = self._read_head(name)
            head = decode_head(octets)
            size = head.stored.size_octets
            if head.stored.name != name or size is None:
                return None
            if size and os.lstat(self._at(name, "content")).st_size != size:
                return None
        except (OSError, FormatError):
            return None
        return head, blocks(len(octets)) + blocks(size)

    def _read_head(self, name: str) -> bytes:
        descriptor = os.open(self._at(name, "head"), _READ)
        try:
            return os.read(descriptor, HEAD_OCTETS + 1)
        finally:
            os.close(descriptor)

    def create_content(self, name: str) -> int:
        """Create an entry's content file and return its descriptor, for reading and writing; raises OSError."""
        return os.open(self._at(name, "content"), _CREATE, 0o600)

    def open_content(self, name: str) -> int:
        """Open an entry's content file for reading and return its descriptor; raises OSError."""
        return os.open(self._at(name, "content"), _READ)

    def write(self, name: str, head: bytes, content: bytes | bytearray | None) -> None:
        """Write an entry's files; `content` is None if the content file exists already.

        If OSError is raised, the entry does not exist.
        """
        if content:
            descriptor = self.create_content(name)
            try:
                write_all(descriptor, content)
            finally:
                os.close(descriptor)
        self.write_head(name, head)

    def write_head(self, name: str, octets: bytes) -> None:
        """Write or replace the metadata file of an entry atomically; if OSError is raised, the old file remains."""
        try:
            descriptor = os.open(self._at(name, "new"), _CREATE, 0o600)
            try:
                write_all(descriptor, octets)
            finally:
                os.close(descriptor)
            os.rename(self._at(name, "new"), self._at(name, "head"))
        except OSError:
            self._unlink(name, "new")
            raise

    def remove_head(self, name: str) -> None:
        """Remove the metadata file of an entry, so that the entry is not loaded at the next start."""
        self._unlink(name, "head")

    def remove(self, name: str) -> None:
        """Remove an entry's two files, the metadata first: without metadata the entry no longer exists."""
        self._unlink(name, "head")
        self._unlink(name, "content")

    def _at(self, name: str, kind: str) -> str:
        return f"{self._root}/{name[-2:]}/{name}.{kind}"

    def _unlink(self, name: str, kind: str) -> None:
        # A file that cannot be removed now is removed at the next start.
        with contextlib.suppress(OSError):
            os.unlink(self._at(name, kind))
