"""Files below a root directory as representations: nothing outside the root is ever found.

    files = StaticFiles(Path("www"), time.time)
    files.find(b"/a.html")        # Representation, Directory (ask again with a slash), or None

A path may leave the root neither by dots, nor by an encoded slash or NUL, nor by a symbolic link. Small files are
held in memory; each request asks the file system whether the path still leads to the file that was read.
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

# Files up to this size are answered in one write and held in memory; nginx's output buffers are of this order.
HELD_FILE_OCTETS = 65_536
# What all held files may take together.
HELD_TOTAL_OCTETS = 64 * 1024 * 1024
# A change within the file system's clock tick (4 to 10 ms) may leave no trace, so a file this fresh is not held.
SETTLED_S = 0.1
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Directory:
    """A directory was named without its slash (RFC 9110 section 15.4.2 has the answer)."""


DIRECTORY = Directory()


@dataclass(frozen=True, slots=True)
class _Held:
    """A representation and the way to it: `name` below the root, and the directories on it.

    `directories` is None where a symbolic link lies on the way.
    """

    found: Representation
    name: str
    directories: tuple[str, ...] | None


class StaticFiles:
    """The files below `root`, with a Cache-Control by `rules`; raises ServiceError when that is no directory."""

    def __init__(self, root: Path, wall_clock: Callable[[], float], rules: Sequence[CacheRule] = ()) -> None:
        if not root.is_dir():
            raise ServiceError(f"the root {root} is no directory: name an existing one with --root")
        self._root = os.path.realpath(root)
        self._wall_clock = wall_clock
        self._rules = rules
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._held_octets = 0

    def find(self, path: bytes) -> Representation | Directory | None:
        """Return what a request's path names, None for nothing; raises HTTPError 400 and PermissionError."""
        held = self._held.get(path)
        if held is not None and self._is_current(held):
            return held.found
        name = self._name_below_root(path)
        return None if name is None else self._load(path, name)

    def open(self, representation: Representation) -> int:
        """Return a descriptor of the file as it was found; raises FileNotFoundError when it was replaced since."""
        descriptor = os.open(representation.path, _READ)
        if identity_of(os.fstat(descriptor)) != representation.identity:
            os.close(descriptor)
            raise FileNotFoundError(representation.path)
        return descriptor

    def _is_current(self, held: _Held) -> bool:
        """Tell whether the same way leads to the same file, in the same state, and all of it lies below the root."""
        path = held.found.path
        try:
            # With every request, so a link is asked for only where one was.
            if held.directories is None and os.path.realpath(held.name, strict=True) != path:
                return False
            for directory in held.directories or ():
                # A link in its place may lead outside, even to this very file.
                if not stat.S_ISDIR(os.lstat(directory).st_mode):
                    return False
            return identity_of(os.lstat(path)) == held.found.identity
        except OSError:
            return False

    def _name_below_root(self, path: bytes) -> str | None:
        """Return the file system's name for a path, None for one that could lead outside."""
        segments = path.split(b"/")[1:]
        decoded = [percent_decode(segment) for segment in segments]
        # An encoded slash is not a separator in a URI (RFC 3986 section 2.2), and no file's name has one.
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
            # A file's name with a slash after it names nothing.
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
            content = os.pread(descriptor, status.st_size, 0) if status.st_size <= HELD_FILE_OCTETS else None
        finally:
            os.close(descriptor)
        now = self._wall_clock()
        representation = represent(real, status, content, now, self._further(real))
        if content is not None and len(content) != status.st_size:
            raise FileNotFoundError(real)
        if now - status.st_ctime > SETTLED_S:
            self._hold(path, _Held(representation, name, self._directories(name, real)))
        return representation

    def _further(self, real: str) -> tuple[FieldLine, ...]:
        value = cache_control(self._rules, real[len(self._root.rstrip("/")) :])
        return () if value is None else ((b"Cache-Control", value),)

    def _directories(self, name: str, real: str) -> tuple[str, ...] | None:
        """Return the directories between the root and a file, outermost first; None where `name` has a link in it."""
        if real != os.path.normpath(name):
            return None
        directories = []
        while (real := os.path.dirname(real)) != self._root:
            directories.append(real)
        return tuple(reversed(directories))

    def _hold(self, path: bytes, held: _Held) -> None:
        self._drop(path)
        self._held[path] = held
        self._held_octets += _cost(path, held.found)
        while self._held_octets > HELD_TOTAL_OCTETS:
            self._drop(next(iter(self._held)))

    def _drop(self, path: bytes) -> None:
        dropped = self._held.pop(path, None)
        if dropped is not None:
            self._held_octets -= _cost(path, dropped.found)


def _cost(path: bytes, representation: Representation) -> int:
    """What holding one costs: its content and, roughly, the objects around it."""
    return len(representation.content or b"") + len(path) + 2048
