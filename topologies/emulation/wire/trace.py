"""Trace-driven rate of a link: delivery opportunities from a file in the format of mahimahi (Netravali et al. 2015).

Each line is a time in ms from the start of the trace at which one full-sized frame can be delivered; equal lines are
several opportunities at the same time. The trace starts with the first frame, and is repeated after its last time. A
frame uses octets of one or several opportunities. Octets of an opportunity that no queued frame uses are lost, as in
mahimahi's link_queue.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from lab7.topologies.emulation.errors import TopologyError

MS_NS = 1_000_000
# Octets of an opportunity: an Ethernet frame with an IP packet of 1500 octets.
OPPORTUNITY_BYTES = 1514
# Maximum number of lines of a trace: an hour at 100 Mbit/s has 30 million, a recording of some minutes a million.
LINES_MAX = 5_000_000


def parse_trace(text: str) -> tuple[int, ...]:
    """Parse the text of a rate trace; return the times of the delivery opportunities in ms.

    Raises ValueError with the line number.
    """
    times: list[int] = []
    lines = text.split("\n")
    if len(lines) > LINES_MAX:
        raise ValueError(f"it has {len(lines)} lines, more than {LINES_MAX}: cut it into parts")
    for number, line in enumerate(lines, 1):
        word = line.strip()
        if not word:
            continue
        if not word.isascii() or not word.isdigit():
            raise ValueError(f"line {number}, {word[:40]!r}, is not a whole number of milliseconds")
        if times and int(word) < times[-1]:
            raise ValueError(f"line {number} is {word}, before the {times[-1]} of the line above: sort the lines")
        times.append(int(word))
    if not times or times[-1] == 0:
        raise ValueError("it must have a line above 0, since it starts over at its last time")
    return tuple(times)


def read_trace(path: str) -> tuple[int, ...]:
    """Read a rate trace from a file; return the times of the delivery opportunities in ms.

    Raises TopologyError with the file's name.
    """
    try:
        return parse_trace(Path(path).read_text(encoding="ascii"))
    except OSError as error:
        raise TopologyError(f"trace={path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise TopologyError(f"trace={path}: it is not a text of numbers, one a line") from error
    except ValueError as error:
        raise TopologyError(f"trace={path}: {error}") from error


class TraceRate:
    """Transmitter that sends at a trace's delivery opportunities, with a drop-tail queue of `queue_frames` frames."""

    def __init__(self, times_ms: Sequence[int], queue_frames: int) -> None:
        self._times_ns = [time_ms * MS_NS for time_ms in times_ms]
        self._queue_frames = queue_frames
        self._ends_ns: deque[int] = deque()
        self._start_ns: int | None = None
        # Number of the current opportunity, counted over all rounds, and the octets that are left in it.
        self._current, self._left = 0, OPPORTUNITY_BYTES

    def exit_ns(self, size_bytes: int, now_ns: int) -> int | None:
        """Return the time in ns at which a frame that enters at `now_ns` leaves, None if it is lost."""
        ends = self._ends_ns
        while ends and ends[0] <= now_ns:
            ends.popleft()
        if len(ends) >= self._queue_frames:
            return None
        if self._start_ns is None:
            self._start_ns = now_ns
        since_ns = max(0, now_ns - self._start_ns)
        if self._time_ns(self._current) < since_ns:
            self._current, self._left = self._first_from(since_ns), OPPORTUNITY_BYTES
        while size_bytes > self._left:
            size_bytes -= self._left
            self._current, self._left = self._current + 1, OPPORTUNITY_BYTES
        self._left -= size_bytes
        end_ns = self._start_ns + self._time_ns(self._current)
        ends.append(end_ns)
        return end_ns

    def waiting(self, now_ns: int) -> int:
        """Return the number of frames in the queue at a time, with the frame in transmission."""
        return sum(end_ns > now_ns for end_ns in self._ends_ns)

    def _time_ns(self, number: int) -> int:
        """Return the time of the opportunity `number` in ns since the start.

        Numbers continue when the trace repeats.
        """
        rounds, place = divmod(number, len(self._times_ns))
        return rounds * self._times_ns[-1] + self._times_ns[place]

    def _first_from(self, since_ns: int) -> int:
        """Return the number of the first opportunity at or after `since_ns`, a time since the start of the trace."""
        rounds, rest_ns = divmod(since_ns, self._times_ns[-1])
        if rest_ns == 0 and rounds:
            # The end of a round is both its last time and time 0 of the next one.
            rounds, rest_ns = rounds - 1, self._times_ns[-1]
        return rounds * len(self._times_ns) + bisect_left(self._times_ns, rest_ns)
