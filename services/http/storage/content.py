"""Content of stored responses: buffers for arriving content, bodies in memory, and verification of content files."""

import os
import zlib
from collections.abc import Sequence

from services.http.storage.folder import Folder, write_all
from services.http.storage.limits import PIECE_OCTETS

Segment = bytes | tuple[int, int]


class MemoryBody:
    """A body of content in memory, or of parts of it and literal octets; unaffected by removal of the entry."""

    def __init__(self, content: bytes | bytearray, segments: Sequence[Segment]) -> None:
        """`segments`: literal octets, and pairs (offset, length) of the content."""
        views = [_view(content, segment) for segment in reversed(segments)]
        self.size_octets: int | None = sum(map(len, views))
        self._views = views

    def read(self, limit_octets: int) -> bytes:
        """Return the next octets, b"" at the end."""
        while self._views:
            view = self._views.pop()
            if len(view) > limit_octets:
                self._views.append(view[limit_octets:])
            if view:
                return bytes(view[:limit_octets])
        return b""

    def close(self) -> None:
        """Release the content; idempotent."""
        self._views.clear()


def joined(content: bytes | bytearray, segments: Sequence[Segment]) -> bytes:
    """Return the complete octets of a MemoryBody with the same arguments."""
    return b"".join(_view(content, segment) for segment in segments)


def _view(content: bytes | bytearray, segment: Segment) -> memoryview:
    if isinstance(segment, bytes):
        return memoryview(segment)
    return memoryview(content)[segment[0] : segment[0] + segment[1]]


class MemoryContent:
    """Arriving content, buffered in memory."""

    def __init__(self) -> None:
        self.octets = bytearray()

    def write(self, data: bytes) -> None:
        """Append octets."""
        self.octets += data

    def read(self, offset: int, limit_octets: int) -> bytes:
        """Return the available octets from an offset on."""
        with memoryview(self.octets) as view:
            return bytes(view[offset : offset + limit_octets])

    def close(self) -> None:
        """Do nothing: an entry or a reader may still use the octets."""


class FileContent:
    """Arriving content, written to a new file; raises OSError where that fails."""

    def __init__(self, folder: Folder, name: str, octets: bytearray) -> None:
        self._descriptor = folder.create_content(name)
        try:
            self.write(octets)
        except OSError:
            self.close()
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Append octets; raises OSError."""
        write_all(self._descriptor, data)

    def read(self, offset: int, limit_octets: int) -> bytes:
        """Return the available octets from an offset on; raises OSError."""
        return os.pread(self._descriptor, limit_octets, offset)

    def close(self) -> None:
        """Close the file; idempotent."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def read_content(descriptor: int, size_octets: int, checksum: int) -> bytes:
    """Return the complete content of a file; raises OSError where length or CRC-32 differ from those stored."""
    content = os.pread(descriptor, size_octets + 1, 0)
    if len(content) != size_octets or zlib.crc32(content) != checksum:
        raise OSError("checksum mismatch")
    return content


def verify_content(descriptor: int, size_octets: int, checksum: int | None) -> None:
    """Verify a file's length, and its CRC-32 if given; raises OSError where they differ from those stored."""
    if os.fstat(descriptor).st_size != size_octets:
        raise OSError("size mismatch")
    if checksum is None:
        return
    actual = offset = 0
    while data := os.pread(descriptor, PIECE_OCTETS, offset):
        offset += len(data)
        actual = zlib.crc32(data, actual)
    if offset != size_octets or actual != checksum:
        raise OSError("checksum mismatch")
