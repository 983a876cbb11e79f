r"""Record format of the journal: header with length and CRC-32, so that a torn write is detected.

    4 octets  \x1eL7Q             1 octet   kind: E an entry and its content, C a change
    4 octets  length of the data  4 octets  CRC-32 of kind and data

Octets that are not a valid record, left by a crash, are skipped up to the next valid one.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

MAGIC = b"\x1eL7Q"
_HEAD = struct.Struct("!4scII")
HEAD_OCTETS = _HEAD.size
ENTRY = b"E"
CHANGE = b"C"


@dataclass(frozen=True, slots=True)
class Found:
    """A valid record: the offset of its data in the file, and the data."""

    kind: bytes
    offset: int
    data: bytes


def encode(kind: bytes, *parts: bytes) -> list[bytes]:
    """Encode a record; returns its pieces, to be written in order."""
    crc = zlib.crc32(kind)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return [_HEAD.pack(MAGIC, kind, sum(map(len, parts)), crc), *parts]


def scan(octets: memoryview) -> Iterator[Found]:
    """Yield every valid record of a segment, in order."""
    at = 0
    whole = bytes(octets[:HEAD_OCTETS])
    while at + HEAD_OCTETS <= len(octets):
        whole = bytes(octets[at : at + HEAD_OCTETS])
        magic, kind, size, crc = _HEAD.unpack(whole)
        begin = at + HEAD_OCTETS
        if magic == MAGIC and begin + size <= len(octets):
            data = bytes(octets[begin : begin + size])
            if zlib.crc32(data, zlib.crc32(kind)) == crc:
                yield Found(kind, begin, data)
                at = begin + size
                continue
        at = _next(octets, at + 1)


def _next(octets: memoryview, begin: int) -> int:
    """Return the offset of the next possible record."""
    piece = 1 << 16
    while begin < len(octets):
        found = bytes(octets[begin : begin + piece]).find(MAGIC)
        if found >= 0:
            return begin + found
        begin += piece - len(MAGIC) + 1
    return len(octets)
