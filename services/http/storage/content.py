"""The content of an entry: in memory or in a file while it arrives, as a body in memory, and verified in a file."""

import os
import zlib
from collections.abc import Sequence

from services.http.storage.folder import Folder, write_all
from services.http.storage.limits import PIECE_OCTETS

Segment = bytes | tuple[int, int]


class HeldBody:
    """Content in memory, or parts of it with octets of others in between; it stays, whatever becomes of the entry."""

    def __init__(self, content: bytes | bytearray, segments: Sequence[Segment]) -> None:
        """`segments`: octets to yield as they are, and (offset, length) of the content."""
        views = [_view(content, segment) for segment in reversed(segments)]
        self.size_octets: int | None = sum(map(len, views))
        self._views = views

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets, nothing at the end."""
        while self._views:
            view = self._views.pop()
            if len(view) > limit_octets:
                self._views.append(view[limit_octets:])
            if view:
                return bytes(view[:limit_octets])
        return b""

    def close(self) -> None:
        """Let go of the content; may be called twice."""
        self._views.clear()


def joined(content: bytes | bytearray, segments: Sequence[Segment]) -> bytes:
    """Return all that a HeldBody of the same yields."""
    return b"".join(_view(content, segment) for segment in segments)


def _view(content: bytes | bytearray, segment: Segment) -> memoryview:
    if isinstance(segment, bytes):
        return memoryview(segment)
    return memoryview(content)[segment[0] : segment[0] + segment[1]]


class MemoryContent:
    """Arriving content in memory."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def write(self, data: bytes) -> None:
        """Add octets."""
        self.octets += data

    def read(self, offset: int, limit_octets: int) -> bytes:
        """Return what is there from an offset on."""
        with memoryview(self.octets) as view:
            return bytes(view[offset : offset + limit_octets])

    def close(self) -> None:
        """Hold on: an entry or a reader may have the octets."""


class FileContent:
    """Arriving content in a new file; raises OSError where that cannot be written."""

    def __init__(self, folder: Folder, name: str, octets: bytearray) -> None:
        self._descriptor = folder.create_content(name)
        try:
            self.write(octets)
        except OSError:
            self.close()
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Add octets; raises OSError."""
        write_all(self._descriptor, data)

    def read(self, offset: int, limit_octets: int) -> bytes:
        """Return what is there from an offset on; raises OSError."""
        return os.pread(self._descriptor, limit_octets, offset)

    def close(self) -> None:
        """Close the file; may be called twice."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def read_content(descriptor: int, size_octets: int, checksum: int) -> bytes:
    """Return the whole content of a file; raises OSError where it is not the one that was stored."""
    content = os.pread(descriptor, size_octets + 1, 0)
    if len(content) != size_octets or zlib.crc32(content) != checksum:
        raise OSError("the content is not the one that was stored")
    return content


def verify_content(descriptor: int, size_octets: int, checksum: int | None) -> None:
    """Compare a file's length, and where given its CRC-32, with what was stored; raises OSError where they differ."""
    if os.fstat(descriptor).st_size != size_octets:
        raise OSError("the content is not as long as the one that was stored")
    if checksum is None:
        return
    found = offset = 0
    while data := os.pread(descriptor, PIECE_OCTETS, offset):
        offset += len(data)
        found = zlib.crc32(data, found)
    if offset != size_octets or found != checksum:
        raise OSError("the content is not the one that was stored")
