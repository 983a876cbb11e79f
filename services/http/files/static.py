"""Static files below a root directory: lookup without path traversal, representations, and Cache-Control rules.

    rules = [parse_rule("/news/*=no-cache"), parse_rule("*=max-age=60, public")]
    files = StaticFiles(Path("www"), time.time, rules)
    files.find(b"/a.html")        # Representation, Directory (redirect to the path with a slash), or None

A path cannot leave the root by dot segments, an encoded slash or NUL, or a symbolic link. Small files are cached in
memory; for each request stat() verifies that the path still leads to the same unchanged file.

The entity tag of a representation (RFC 9110 sections 3.2, 8 and 8.8.3) is a hash of the content. For a file too large
to cache, the entity tag consists of modification time and size, as in nginx, but with the time in nanoseconds. Copies
of a file with one modification time thus have the same tag on all servers, and the tag does not reveal the inode. The
tag is weak for SETTLED_S after a change, while another change could keep the modification time, and strong after that
(section 8.8.1). Left out, as in nginx: detection of a change that keeps the size of a large file and resets its time.

A Cache-Control rule (RFC 9111 section 5.2) has a shell pattern (fnmatch) for the path below the root. In the pattern,
`*` also matches slashes; the first rule that matches applies. Left out: the semantics of the directives, which concern
caches; every syntactically valid value is sent.
"""

import os
import re
import stat
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import blake2b
from mimetypes import MimeTypes
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.http.conditional import Validators
from lab7.services.http.fields import FieldLine, Fields, format_date
from lab7.services.http.messages import Response, percent_decode

# Representations.

# Use Python's built-in MIME table only, so that media types do not depend on the host's files.
_TYPES = MimeTypes(filenames=())
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
UNKNOWN_TYPE = "application/octet-stream"

# A file is cached, and its times are a strong validator, only if it was not changed in the last SETTLED_S seconds.
# A second change within a clock tick of the file system (4 to 10 ms) may leave the times of stat() as they are.
SETTLED_S = 0.1
# Size of the hash in an entity tag: with 96 bits, collisions among an origin's files are negligible.
TAG_OCTETS = 12

Identity = tuple[int, int, int, int, int]


def identity_of(status: os.stat_result) -> Identity:
    """Return the stat() attributes by which a change of a file is detected: any change alters at least one."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def content_type(name: str) -> bytes:
    """Return the media type for a file name (RFC 9110 section 8.3)."""
    kind, encoding = _TYPES.guess_type(name)
    if encoding is not None:
        # A compressed file is sent as it is: its media type is the compression format, without Content-Encoding.
        kind = _COMPRESSED.get(encoding, UNKNOWN_TYPE)
    kind = kind or UNKNOWN_TYPE
    is_text = kind.startswith("text/") or kind in ("application/javascript", "application/json")
    return (kind + "; charset=utf-8" if is_text else kind).encode("ascii")


@dataclass(frozen=True, slots=True)
class Representation:
    """Current representation of the file at a URL path: prepared response, validators, size.

    `content` is None for a file too large to cache in memory.
    """

    path: str
    identity: Identity
    size_octets: int
    validators: Validators
    content_type: bytes
    response: Response
    content: bytes | None


def represent(
    path: str, status: os.stat_result, content: bytes | None, now: float, further: Sequence[FieldLine] = ()
) -> Representation:
    """Return the representation of a file with the stat() result `status`; `further` are additional header fields.

    `now` is the wall clock in seconds since 1970 UTC.
    """
    size = status.st_size
    # RFC 9110 section 8.8.2.1: Last-Modified is not later than Date.
    last_modified = int(min(status.st_mtime_ns // 1_000_000_000, now))
    tag = _entity_tag(status, content, now)
    kind = content_type(path)
    fields = Fields(
        (
            (b"Content-Type", kind),
            (b"Last-Modified", format_date(last_modified)),
            (b"ETag", tag),
            (b"Accept-Ranges", b"bytes"),
            *further,
        )
    )
    response = Response(200, fields, content or b"")
    validators = Validators(tag, last_modified)
    return Representation(path, identity_of(status), size, validators, kind, response, content)


def _entity_tag(status: os.stat_result, content: bytes | None, now: float) -> bytes:
    """Return an entity tag: a hash of the content or, for a file too large to cache, modification time and size.

    A tag of time and size is weak if the file has changed very recently.
    """
    # RFC 9110 section 8.8.3.1: both a hash of the content and a combination of file attributes may be an entity tag.
    if content is not None:
        return b'"%s"' % blake2b(content, digest_size=TAG_OCTETS).hexdigest().encode("ascii")
    tag = b'"%x-%x"' % (status.st_mtime_ns, status.st_size)
    return tag if _is_settled(status, now) else b"W/" + tag


def _is_settled(status: os.stat_result, now: float) -> bool:
    """Return whether a file's last change is so old that another change would get a different time in stat()."""
    return now - status.st_ctime > SETTLED_S


# A segment of a body: literal octets, or (offset, length) of the stored content.
Segment = bytes | tuple[int, int]


class FileBody:
    """Response body that is read from an open file, with literal octets in between for multipart/byteranges."""

    def __init__(self, descriptor: int, segments: Sequence[Segment]) -> None:
        """Create a body that owns the open file `descriptor`.

        `segments` are literal octets, or pairs (offset, length) that select a part of the file.
        """
        self.size_octets: int | None = sum(len(s) if isinstance(s, bytes) else s[1] for s in segments)
        self._descriptor = descriptor
        self._segments = list(reversed(segments))

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets; raises OSError if the file has been truncated since it was opened."""
        while self._segments:
            segment = self._segments.pop()
            if isinstance(segment, bytes):
                return segment
            if segment[1] > 0:
                return self._read_file(*segment, limit_octets)
        return b""

    def _read_file(self, offset: int, length: int, limit_octets: int) -> bytes:
        data = os.pread(self._descriptor, min(length, limit_octets), offset)
        if not data:
            raise OSError("the file became shorter during the transfer")
        self._segments.append((offset + len(data), length - len(data)))
        return data

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


# Cache-Control rules.

# RFC 9110 sections 5.6.2 and 5.6.4
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = r'"(?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t \x21-\x7e])*"'
# RFC 9111 section 5.2: Cache-Control = #cache-directive, cache-directive = token [ "=" ( token / quoted-string ) ]
_DIRECTIVE = f"{_TOKEN}(?:=(?:{_TOKEN}|{_QUOTED}))?"
_VALUE = re.compile(rf"{_DIRECTIVE}(?:[\t ]*,[\t ]*{_DIRECTIVE})*")


@dataclass(frozen=True, slots=True)
class CacheRule:
    """Rule for Cache-Control: a shell pattern for paths below the root, and the value for files that match it."""

    pattern: str
    value: bytes


def parse_rule(text: str) -> CacheRule:
    """Parse PATTERN=VALUE, split at the first `=`; raises ValueError unless the value is a valid Cache-Control."""
    pattern, equals, value = text.partition("=")
    if not pattern or not equals:
        raise ValueError(f"{text!r} does not have the form PATTERN=VALUE, such as '*.html=max-age=60'")
    if _VALUE.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a Cache-Control value, such as max-age=60 or no-cache")
    return CacheRule(pattern, value.encode("ascii"))


def cache_control(rules: Sequence[CacheRule], path: str) -> bytes | None:
    """Return the Cache-Control value of the first rule that matches a path below the root (`/a/b.html`), or None."""
    return next((rule.value for rule in rules if fnmatchcase(path, rule.pattern)), None)


INDEX = "index.html"

# Maximum size of a file to cache and send in one write, otherwise it is read in pieces; nginx buffers as much.
CACHED_FILE_OCTETS = 65_536
# Maximum size of the file cache in octets; the files cached first are evicted first.
CACHE_OCTETS = 64 * 1024 * 1024
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


class Directory:
    """Result of StaticFiles.find() for a directory, if the path has no final slash: a redirect adds the slash.

    RFC 9110 section 15.4.2.
    """


DIRECTORY = Directory()


@dataclass(frozen=True, slots=True)
class _CacheEntry:
    """Entry of the memory cache: representation, file `name`, and the directories from the root to the file.

    `directories` is None if there is a symbolic link on the path.
    """

    representation: Representation
    name: str
    directories: tuple[str, ...] | None


class StaticFiles:
    """Files below `root`, with Cache-Control set by `rules`. Raises ServiceError unless `root` is a directory."""

    def __init__(self, root: Path, wall_clock: Callable[[], float], rules: Sequence[CacheRule] = ()) -> None:
        if not root.is_dir():
            raise ServiceError(f"--root {root} is not a directory")
        self._root = os.path.realpath(root)
        self._wall_clock = wall_clock
        self._rules = rules
        self._cache: OrderedDict[bytes, _CacheEntry] = OrderedDict()
        self._cached_octets = 0

    def find(self, path: bytes) -> Representation | Directory | None:
        """Return the Representation of the file at a request's path, or a Directory; None if there is neither.

        Raises PermissionError if the file may not be read.
        """
        entry = self._cache.get(path)
        if entry is not None and self._is_current(entry):
            return entry.representation
        name = self._name_below_root(path)
        return None if name is None else self._load(path, name)

    def open(self, representation: Representation) -> int:
        """Open the file of a representation; raises FileNotFoundError if the file has been replaced since."""
        descriptor = os.open(representation.path, _READ)
        if identity_of(os.fstat(descriptor)) != representation.identity:
            os.close(descriptor)
            raise FileNotFoundError(representation.path)
        return descriptor

    def _is_current(self, entry: _CacheEntry) -> bool:
        """Return whether a cache entry is still valid: its path leads to the same unchanged file below the root."""
        path = entry.representation.path
        try:
            # A cache entry is checked for every request, so realpath() is called only for paths with a symbolic link.
            if entry.directories is None and os.path.realpath(entry.name, strict=True) != path:
                return False
            for directory in entry.directories or ():
                # A symbolic link in place of the directory may lead outside the root, even to the same file.
                if not stat.S_ISDIR(os.lstat(directory).st_mode):
                    return False
            return identity_of(os.lstat(path)) == entry.representation.identity
        except OSError:
            return False

    def _name_below_root(self, path: bytes) -> str | None:
        """Return the file name for a URL path; None for a path that could lead outside the root."""
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
            # The path of a file with a slash at the end names no resource.
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
        if _is_settled(status, now):
            self._store(path, _CacheEntry(representation, name, self._directories(name, real)))
        return representation

    def _further_fields(self, real: str) -> tuple[FieldLine, ...]:
        value = cache_control(self._rules, real[len(self._root.rstrip("/")) :])
        return () if value is None else ((b"Cache-Control", value),)

    def _directories(self, name: str, real: str) -> tuple[str, ...] | None:
        """Return the paths of the directories between root and file, outermost first; None if there is a link."""
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
    """Return the memory that a cache entry uses, in octets: its content, and an estimate for its objects."""
    return len(representation.content or b"") + len(path) + 2048


class HeadBody:
    """The body of a response to HEAD: a size without content."""

    def __init__(self, size_octets: int) -> None:
        self.size_octets: int | None = size_octets

    def read(self, limit_octets: int) -> bytes:
        """Raise OSError: a response to HEAD has no content."""
        raise OSError(f"a response to HEAD has no content to read (limit: {limit_octets} octets)")

    def close(self) -> None:
        """Do nothing: there are no resources to release."""


def full_response(files: StaticFiles, representation: Representation, method: bytes) -> Response:
    """Return the 200 response for a file too large for the memory cache; raises OSError if it cannot be opened."""
    if method == b"HEAD":
        return Response(200, representation.response.fields, HeadBody(representation.size_octets))
    return Response(
        200, representation.response.fields, FileBody(files.open(representation), [(0, representation.size_octets)])
    )
