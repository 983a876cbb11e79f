r"""Write-ahead journal of the mail queue: append-only segment files, group commit, crash recovery.

    QUEUE/00000001.journal     a segment: records, newest last
    QUEUE/lock                 locked by the one process that writes

A record is a header and its data:

    4 octets  \x1eL7Q             1 octet   kind, E or C
    4 octets  length of the data  4 octets  CRC-32 of kind and data

Kind E is a queued message: its entry (envelope and recipients) and content. Kind C is a change of an entry: recipients
that were delivered or failed, or the next attempt.

Octets that are not a valid record, left by a crash, are skipped up to the next valid record. write() appends a batch of
records from many SMTP sessions with one fdatasync; then the sessions reply 250. A segment is removed once neither it
nor an older segment holds an open entry (one with undelivered recipients). Above SEGMENTS_MAX segments, the open
entries of the oldest are copied into the newest. Recovery reads the segments in order. Not thread-safe: used by one
thread at a time. The design is described in queue/__init__.py.
"""

import contextlib
import errno
import fcntl
import mmap
import os
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab7.services.errors import ServiceError
from lab7.services.mail.queue.entry import Change as Change
from lab7.services.mail.queue.entry import (
    ContentLocation,
    DecodeError,
    Entry,
    decode_change,
    decode_entry,
    encode_change,
    encode_entry,
)

MAGIC = b"\x1eL7Q"
_RECORD_HEADER = struct.Struct("!4scII")
RECORD_HEADER_OCTETS = _RECORD_HEADER.size
ENTRY = b"E"
CHANGE = b"C"

# Octets at which a segment is full: small enough for a fast recovery, large enough to make new files rare.
SEGMENT_OCTETS = 16 * 1024 * 1024
# Octets by which a segment is preallocated with zeros at a time.
PREALLOCATION_OCTETS = 4 * 1024 * 1024
# Maximum number of segments, above which the open entries of the oldest segment are copied into the newest.
SEGMENTS_MAX = 8
# Octets from which a segment without open entries is closed, so that it can be removed.
IDLE_SEGMENT_OCTETS = 4 * 1024 * 1024
_NAME = re.compile(r"([0-9]{8,})\.journal\Z")
# Maximum number of buffers of one writev(): IOV_MAX of Linux.
_PIECES_MAX = 1024
_CREATE = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW

JournalItem = Entry | Change


@dataclass(slots=True)
class _Segment:
    number: int
    descriptor: int
    end: int = 0
    preallocated_end: int = 0


class Journal:
    """Append-only journal of queue entries and their changes: segment files in a directory, created if missing.

    Raises ServiceError if the directory cannot be used or another process has locked it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(directory / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"another process uses the queue in {directory}: name another with --queue") from None
        except OSError as error:
            raise ServiceError(f"cannot use the queue in {directory} ({error}): name another with --queue") from error
        self._numbers = [number for number, _ in segments(directory)]
        self._active: _Segment | None = None

    def recover(self) -> list[Entry]:
        """Return all queue entries with undelivered recipients, oldest first; raises OSError."""
        return [entry for entry in read_entries(self._directory) if not entry.is_final]

    def write(self, items: Sequence[JournalItem], durable: bool) -> list[ContentLocation | None]:
        """Append entries and changes, synced to disk if `durable`; return each content's location, None for a change.

        Raises OSError; then none of the records is valid.
        """
        active = self._segment()
        self._preallocate(active, sum(len(item.content or b"") for item in items if isinstance(item, Entry)))
        pieces: list[bytes] = []
        places: list[ContentLocation | None] = []
        end = active.end
        for item in items:
            record, place = _encode_item(item, active.number, end)
            pieces += record
            places.append(place)
            end += sum(map(len, record))
        try:
            _write_pieces(active.descriptor, pieces)
        except OSError as error:
            self._roll_back(active, error)
            raise
        if durable:
            self._sync(active)
        active.end = end
        return places

    def read(self, place: ContentLocation) -> bytes:
        """Return the content at a location; raises OSError."""
        with open(self._path(place.segment), "rb") as file:
            octets = os.pread(file.fileno(), place.size_octets, place.offset)
        if len(octets) != place.size_octets:
            raise OSError(f"segment {place.segment} of the queue is truncated")
        return octets

    def release(self, oldest_open: int | None) -> None:
        """Remove the segments older than number `oldest_open`, the oldest segment that holds an undelivered entry.

        If it is None, no segment holds one: all segments are removed, except an active one below IDLE_SEGMENT_OCTETS.
        """
        active = self._active
        if active is not None and oldest_open is None and active.end >= IDLE_SEGMENT_OCTETS:
            self._close_active()
            active = None
        first_kept = oldest_open if oldest_open is not None else active.number if active is not None else 1 << 62
        # Remove segments in order and without gaps, since a change must not outlive the entry that it refers to.
        while self._numbers and self._numbers[0] < first_kept and (active is None or self._numbers[0] != active.number):
            with contextlib.suppress(FileNotFoundError):
                self._path(self._numbers[0]).unlink()
            del self._numbers[0]

    @property
    def segment_to_copy(self) -> int | None:
        """The number of the oldest segment if there are more than SEGMENTS_MAX, else None.

        Its undelivered entries should be copied into the newest segment, so that the oldest can be removed.
        """
        return self._numbers[0] if len(self._numbers) > SEGMENTS_MAX else None

    def close(self) -> None:
        """Close the files and release the lock."""
        self._close_active()
        os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:08}.journal"

    def _segment(self) -> _Segment:
        """Return the segment to append to, a new one if the last is full; raises OSError."""
        active = self._active
        # If the segment's file was unlinked, open a new segment, since records in an unlinked file are lost.
        if active is not None and active.end < SEGMENT_OCTETS and os.fstat(active.descriptor).st_nlink:
            return active
        self._close_active()
        number = max(self._numbers, default=0) + 1
        descriptor = os.open(self._path(number), _CREATE, 0o600)
        self._active = _Segment(number, descriptor)
        self._numbers.append(number)
        _sync_directory(self._directory)
        return self._active

    def _preallocate(self, active: _Segment, octets: int) -> None:
        """Append zeros to the segment and sync: records that overwrite zeros change no file system metadata.

        A growing file makes each fdatasync() wait for the file system's own journal, shared with all other writers.
        """
        wanted = active.end + octets + PREALLOCATION_OCTETS // 4
        if wanted <= active.preallocated_end or octets > PREALLOCATION_OCTETS:
            return
        begin = max(active.end, active.preallocated_end)
        try:
            _pwrite_zeros(active.descriptor, begin, PREALLOCATION_OCTETS)
            os.fsync(active.descriptor)
        except OSError:
            # Ignore a lack of space for preallocation: write() reports an error if the records do not fit.
            with contextlib.suppress(OSError):
                os.ftruncate(active.descriptor, begin)
            return
        active.preallocated_end = begin + PREALLOCATION_OCTETS

    def _sync(self, active: _Segment) -> None:
        try:
            os.fdatasync(active.descriptor)
        except OSError:
            # Use a new segment after a failed fdatasync: a later fdatasync may report success although data are lost.
            self._roll_back(active, None)
            self._close_active()
            raise

    def _roll_back(self, active: _Segment, error: OSError | None) -> None:
        """Truncate the segment after a partial write; if it cannot grow (EFBIG), the next write opens a new segment."""
        try:
            os.ftruncate(active.descriptor, active.end)
            active.preallocated_end = active.end
            os.lseek(active.descriptor, active.end, os.SEEK_SET)
        except OSError:
            self._close_active()
        else:
            if error is not None and error.errno == errno.EFBIG and active.end:
                self._close_active()

    def _close_active(self) -> None:
        if self._active is not None:
            os.close(self._active.descriptor)
            self._active = None


def _encode_item(item: JournalItem, segment: int, begin: int) -> tuple[list[bytes], ContentLocation | None]:
    if isinstance(item, Change):
        return encode_record(CHANGE, encode_change(item)), None
    line, content = encode_entry(item), item.content or b""
    offset = begin + RECORD_HEADER_OCTETS + len(line)
    return encode_record(ENTRY, line, content), ContentLocation(segment, offset, len(content))


def _write_pieces(descriptor: int, pieces: Sequence[bytes]) -> None:
    for begin in range(0, len(pieces), _PIECES_MAX):
        chunk = pieces[begin : begin + _PIECES_MAX]
        done = os.writev(descriptor, chunk)
        if done < sum(map(len, chunk)):
            rest = memoryview(b"".join(chunk))[done:]
            while rest:
                rest = rest[os.write(descriptor, rest) :]


def _pwrite_zeros(descriptor: int, begin: int, octets: int) -> None:
    zeros = bytes(1 << 20)
    end = begin + octets
    while begin < end:
        begin += os.pwrite(descriptor, zeros[: end - begin], begin)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def segments(directory: Path) -> list[tuple[int, Path]]:
    """Return (number, path) of each segment of a queue, oldest first; raises OSError."""
    matches = ((_NAME.match(name), name) for name in os.listdir(directory))
    return sorted((int(match[1]), directory / name) for match, name in matches if match is not None)


def read_entries(directory: Path) -> list[Entry]:
    """Rebuild the queue entries from the segments of a journal; return all entries, oldest first.

    The changes of an entry are applied to it. Raises OSError.
    """
    entries: dict[str, Entry] = {}
    for number, path in segments(directory):
        try:
            for item in _read_segment(number, path):
                if isinstance(item, Entry):
                    entries[item.id] = item
                elif item.id in entries:
                    item.apply(entries[item.id])
        except FileNotFoundError:
            # Skip a segment that was removed between listing and opening: it has no open entry.
            continue
    return list(entries.values())


def _read_segment(number: int, path: Path) -> Iterator[JournalItem]:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as octets:
            for record in scan_records(octets):
                # Skip a valid record in an unknown format, written by another version of this program.
                with contextlib.suppress(DecodeError):
                    yield _decode_item(record.kind, record.data, number, record.offset)


def _decode_item(kind: bytes, data: bytes, number: int, offset: int) -> JournalItem:
    line, _, content = data.partition(b"\n")
    if kind == CHANGE:
        return decode_change(line)
    if kind != ENTRY:
        raise DecodeError(f"unknown record type {kind!r}")
    entry = decode_entry(line)
    entry.place = ContentLocation(number, offset + len(line) + 1, len(content))
    entry.may_be_delivered = True
    return entry


@dataclass(frozen=True, slots=True)
class Record:
    """A valid record of a segment: kind, offset of the data in the file, and the data."""

    kind: bytes
    offset: int
    data: bytes


def encode_record(kind: bytes, *parts: bytes) -> list[bytes]:
    """Encode a record; returns the buffers to write in order (header, then data)."""
    crc = zlib.crc32(kind)
    for part in parts:
        crc = zlib.crc32(part, crc)
    return [_RECORD_HEADER.pack(MAGIC, kind, sum(map(len, parts)), crc), *parts]


def scan_records(octets: memoryview) -> Iterator[Record]:
    """Yield every valid record of a segment, in order."""
    at = 0
    whole = bytes(octets[:RECORD_HEADER_OCTETS])
    while at + RECORD_HEADER_OCTETS <= len(octets):
        whole = bytes(octets[at : at + RECORD_HEADER_OCTETS])
        magic, kind, size, crc = _RECORD_HEADER.unpack(whole)
        begin = at + RECORD_HEADER_OCTETS
        if magic == MAGIC and begin + size <= len(octets):
            data = bytes(octets[begin : begin + size])
            if zlib.crc32(data, zlib.crc32(kind)) == crc:
                yield Record(kind, begin, data)
                at = begin + size
                continue
        at = _next_magic(octets, at + 1)


def _next_magic(octets: memoryview, begin: int) -> int:
    """Return the offset of the next MAGIC (start of a record) at or after `begin`, else the end of the octets."""
    chunk_octets = 1 << 16
    while begin < len(octets):
        index = bytes(octets[begin : begin + chunk_octets]).find(MAGIC)
        if index >= 0:
            return begin + index
        begin += chunk_octets - len(MAGIC) + 1
    return len(octets)
