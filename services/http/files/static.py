"""Static files below a root directory, with a cache of small ones and protection against path traversal.

    files = StaticFiles(Path("www"), time.time)
    files.find(b"/a.html")        # Representation, Directory (redirect to the path with a slash), or None

A path cannot leave the root by dot segments, an encoded slash or NUL, or a symbolic link. Small files are cached in
memory; for each request stat() verifies that the path still leads to the same unchanged file.
"""

import os
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.errors import ServiceError
from services.http.fields import FieldLine
from services.http.files.cache_rules import CacheRule, cache_control
from services.http.files.representation import Representation, identity_of, represent
from services.http.targets import percent_decode

INDEX = "index.html"

# Files up to this size are cached and sent in one write; nginx's output buffers are of this order.
CACHED_FILE_OCTETS = 65_536
# The size of the cache.
CACHE_OCTETS = 64 * 1024 * 1024
# A second change within the file system's clock tick (4 to 10 ms) may be invisible in stat(), so younger files are not
# cached.
SETTLED_S = 0.1
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Directory:
    """The path of a directory without its slash, to be redirected (RFC 9110 section 15.4.2)."""


DIRECTORY = Directory()


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """A cache entry: a representation, its file `name`, and the directories between the root and the file.

    `directories` is None if there is a symbolic link on the path.
    """

    representation: Representation
    name: str
    directories: tuple[str, ...] | None


class StaticFiles:
    """The files below `root`, with Cache-Control by `rules`; raises ServiceError unless it is a directory."""

    def __init__(self, root: Path, wall_clock: Callable[[], float], rules: Sequence[CacheRule] = ()) -> None:
        if not root.is_dir():
            raise ServiceError(f"--root {root} is not a directory")
        self._root = os.path.realpath(root)
        self._wall_clock = wall_clock
        self._rules = rules
        self._cache: OrderedDict[bytes, _CacheEntry] = OrderedDict()
        self._cached_octets = 0

    def find(self, path: bytes) -> Representation | Directory | None:
        """Return the resource at a request's path, None if there is none; raises HTTPError 400 and PermissionError."""
        entry = self._cache.get(path)
        if entry is not None and self._is_current(entry):
            return entry.representation
        name = self._name_below_root(path)
        return None if name is None else self._load(path, name)

    def open(self, representation: Representation) -> int:
        """Open the file of a representation; raises FileNotFoundError if it was replaced meanwhile."""
        descriptor = os.open(representation.path, _READ)
        if identity_of(os.fstat(descriptor)) != representation.identity:
            os.close(descriptor)
            raise FileNotFoundError(representation.path)
        return descriptor

    def _is_current(self, entry: _CacheEntry) -> bool:
        """Return whether an entry is valid: the path leads to the same unchanged file, and stays below the root."""
        path = entry.representation.path
        try:
            # Runs for every request, so realpath() is called only for paths with a symbolic link.
            if entry.directories is None and os.path.realpath(entry.name, strict=True) != path:
                return False
            for directory in entry.directories or ():
                # A link that replaces the directory may lead outside the root, even to the same file.
                if not stat.S_ISDIR(os.lstat(directory).st_mode):
                    return False
            return identity_of(os.lstat(path)) == entry.representation.identity
        except OSError:
            return False

    def _name_below_root(self, path: bytes) -> str | None:
        """Return the file name for a path, None for one that could lead outside the root."""
        segments = path.split(b"/")[1:]
        decoded = [percent_decode(segment) for segment in segments]
        # An encoded slash is not a separator in a URI (RFC 3986 section 2.2), and a file name cannot contain one.
        if any(segment in (b".", b"..") or b"/" in segment or b"\0" in segment for segment in decoded):
            return None
        return os.path.join(self._root, *(os.fsdecode(segment) for segment in decoded))

    def _load(self, path: bytes, name: str) -> Representation | Directory | None:
        try:
            real = os.path.realpath(name, strict=True)
            if not self._is_below_root(real):
                return None
            if os.path.isdir(real):
                return self._load_index(path, name) if path.endswith(b"/") else DIRECTORY
            # A file's path with a slash at the end is not a resource.
            return None if path.endswith(b"/") else self._read(path, name, real)
        except PermissionError:
            raise
        except OSError:
            return None

    def _load_index(self, path: bytes, name: str) -> Representation | None:
        name = os.path.join(name, INDEX)
        real = os.path.realpath(name, strict=True)
        return self._read(path, name, real) if self._is_below_root(real) else None

    def _is_below_root(self, real: str) -> bool:
        return real == self._root or real.startswith(self._root.rstrip("/") + "/")

    def _read(self, path: bytes, name: str, real: str) -> Representation | None:
        if not stat.S_ISREG(os.stat(real).st_mode):
            return None
        descriptor = os.open(real, _READ)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                return None
            content = os.pread(descriptor, status.st_size, 0) if status.st_size <= CACHED_FILE_OCTETS else None
        finally:
            os.close(descriptor)
        now = self._wall_clock()
        representation = represent(real, status, content, now, self._further_fields(real))
        if content is not None and len(content) != status.st_size:
            raise FileNotFoundError(real)
        if now - status.st_ctime > SETTLED_S:
            self._store(path, _CacheEntry(representation, name, self._directories(name, real)))
        return representation

    def _further_fields(self, real: str) -> tuple[FieldLine, ...]:
        value = cache_control(self._rules, real[len(self._root.rstrip("/")) :])
        return () if value is None else ((b"Cache-Control", value),)

    def _directories(self, name: str, real: str) -> tuple[str, ...] | None:
        """Return the directories between the root and a file, outermost first; None if `name` contains a link."""
        if real != os.path.normpath(name):
            return None
        directories = []
        while (real := os.path.dirname(real)) != self._root:
            directories.append(real)
        return tuple(reversed(directories))

    def _store(self, path: bytes, entry: _CacheEntry) -> None:
        self._evict(path)
        self._cache[path] = entry
        self._cached_octets += _cost(path, entry.representation)
        while self._cached_octets > CACHE_OCTETS:
            self._evict(next(iter(self._cache)))

    def _evict(self, path: bytes) -> None:
        evicted = self._cache.pop(path, None)
        if evicted is not None:
            self._cached_octets -= _cost(path, evicted.representation)


def _cost(path: bytes, representation: Representation) -> int:
    """Return the memory of a cache entry: its content and an estimate for the objects around it."""
    return len(representation.content or b"") + len(path) + 2048
