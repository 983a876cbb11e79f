"""Representation of a file: validators, header fields and content (RFC 9110 sections 3.2 and 8).

The entity tag is strong (RFC 9110 section 8.8.1): a hash of the content. For a file too large to cache it is made of
attributes that the file system changes with every write: the inode, the size and the time of the inode's last change
(ctime) in nanoseconds. The modification time is not used, since programs can set it back.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from mimetypes import MimeTypes

from services.http.conditional import Validators
from services.http.dates import format_date
from services.http.fields import FieldLine, Fields
from services.http.messages import Response

# Python's built-in MIME table only, so that responses do not depend on the host.
_TYPES = MimeTypes(filenames=())
_COMPRESSED = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
UNKNOWN_TYPE = "application/octet-stream"

# 96 bits: enough to make collisions negligible among the files of an origin.
TAG_OCTETS = 12

Identity = tuple[int, int, int, int, int]


def identity_of(status: os.stat_result) -> Identity:
    """Return the attributes that differ between any two states of a file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def content_type(name: str) -> bytes:
    """Return the media type for a file name (RFC 9110 section 8.3)."""
    kind, encoding = _TYPES.guess_type(name)
    if encoding is not None:
        # The file is sent unchanged, so its type is the compression format, without Content-Encoding.
        kind = _COMPRESSED.get(encoding, UNKNOWN_TYPE)
    kind = kind or UNKNOWN_TYPE
    is_text = kind.startswith("text/") or kind in ("application/javascript", "application/json")
    return (kind + "; charset=utf-8" if is_text else kind).encode("ascii")


@dataclass(frozen=True, slots=True)
class Representation:
    """The current representation of a path; `content` is None if the file is too large to cache."""

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
    """Return the representation of a file with `status`; `now` is the wall clock's time, `further` are more fields."""
    size = status.st_size
    # RFC 9110 section 8.8.2.1: Last-Modified is not later than Date.
    last_modified = int(min(status.st_mtime_ns // 1_000_000_000, now))
    tag = _entity_tag(status, content)
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


def _entity_tag(status: os.stat_result, content: bytes | None) -> bytes:
    """Return a strong validator, which depends on the content alone if that is given."""
    # RFC 9110 section 8.8.3.1: "a combination of various file attributes", or "a collision-resistant hash of
    # representation content".
    if content is None:
        return b'"%x-%x-%x"' % (status.st_ino, status.st_size, status.st_ctime_ns)
    return b'"%s"' % blake2b(content, digest_size=TAG_OCTETS).hexdigest().encode("ascii")


class FileBody:
    """A body that is read from an open file, with literal octets in between (multipart/byteranges)."""

    def __init__(self, descriptor: int, segments: Sequence[bytes | tuple[int, int]]) -> None:
        """`segments` are literal octets and (offset, length) of the file. The body owns the descriptor."""
        self.size_octets: int | None = sum(len(s) if isinstance(s, bytes) else s[1] for s in segments)
        self._descriptor = descriptor
        self._segments = list(reversed(segments))

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets; raises OSError if the file was truncated meanwhile."""
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
            raise OSError("the file became shorter while it was sent")
        self._segments.append((offset + len(data), length - len(data)))
        return data

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
