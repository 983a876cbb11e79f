"""Record of the due time and departure of each frame in one direction of a user-space link, in shared memory.

A ring buffer of the last FRAMES_MAX frames follows a header with the number of frames so far. Times are those of
CLOCK_MONOTONIC in ns. The carrier (the process that forwards the frames) writes the record; any other process may read
it at any time, even after the carrier was killed:

    reader = Reader(path)
    reader.news()      # array of due, left, due, left, ... of the frames since the last call
"""

import mmap
import struct
from array import array
from pathlib import Path

# Maximum number of frames in a record: 4 MiB per direction, or 150 s of full frames at 20 Mbit/s.
FRAMES_MAX = 1 << 18
HEADER, ENTRY = struct.Struct("=q"), struct.Struct("=qq")
SIZE_BYTES = HEADER.size + FRAMES_MAX * ENTRY.size


class Writer:
    """Writer of a record, a file with due time and departure of each frame in one direction of a user-space link."""

    def __init__(self, path: Path) -> None:
        with open(path, "w+b") as file:
            file.truncate(SIZE_BYTES)
            # As 64-bit numbers: the count, and then due time and departure of each frame.
            self._numbers = memoryview(mmap.mmap(file.fileno(), SIZE_BYTES)).cast("q")
        self._count = 0

    def add(self, due_ns: int, left_ns: int) -> None:
        """Append the due time and the departure of one frame, in ns."""
        numbers, place = self._numbers, 2 * (self._count % FRAMES_MAX)
        numbers[place + 1] = due_ns
        numbers[place + 2] = left_ns
        self._count += 1
        # The count is written last, so that a reader finds complete entries only.
        numbers[0] = self._count


class Reader:
    """Reader of a record that a Writer has created; raises OSError if the file does not exist."""

    def __init__(self, path: Path) -> None:
        with open(path, "rb") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE_BYTES, prot=mmap.PROT_READ)
        self._read = 0

    def news(self) -> "array[int]":
        """Return the due times and departures in ns of the frames since the last call, alternating in one array.

        Frames that are not among the last FRAMES_MAX are missing.
        """
        count = HEADER.unpack_from(self._memory, 0)[0]
        times = array("q")
        first = max(self._read, count - FRAMES_MAX)
        while first < count:
            place = first % FRAMES_MAX
            last = min(count, first - place + FRAMES_MAX)
            start = HEADER.size + place * ENTRY.size
            times.frombytes(self._memory[start : start + (last - first) * ENTRY.size])
            first = last
        self._read = count
        return times
