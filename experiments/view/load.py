"""Load of one direction of a link: rate and queue length, from the times and sizes of the frames that enter it.

The length of the transmitter's queue is computed, since its behaviour is known: a frame waits until all earlier frames
have been sent at the link's rate. Frames that are lost at random before the queue are counted as waiting, too.
"""

from __future__ import annotations

from collections import deque

NS = 1_000_000_000


class Load:
    """Load of one direction of a link; `rate_bps=None` stands for an unlimited rate, at which frames never wait.

    Times are in ns and must not decrease.
    """

    def __init__(self, rate_bps: float | None, queue_frames: int) -> None:
        self._ends_ns: deque[int] = deque()
        self._bits = self._packets = self._queue = 0
        self.set_rate(rate_bps, queue_frames)

    def set_rate(self, rate_bps: float | None, queue_frames: int) -> None:
        """Set the rate and the queue limit of the link; frames that are waiting keep their departure times."""
        self._rate_bps, self._queue_frames = rate_bps, queue_frames

    def add(self, time_ns: int, size_bytes: int) -> None:
        """Count a frame that enters the link. If the queue is full, the frame is dropped and does not wait."""
        self._bits += 8 * size_bytes
        self._packets += 1
        if self._rate_bps is None:
            return
        ends = self._ends_ns
        while ends and ends[0] <= time_ns:
            ends.popleft()
        if len(ends) < self._queue_frames:
            start_ns = ends[-1] if ends else time_ns
            ends.append(start_ns + round(8 * size_bytes * NS / self._rate_bps))
        # Do not count the first frame, which is being transmitted.
        self._queue = max(self._queue, len(ends) - 1)

    def take(self, now_ns: int) -> tuple[int, int, int]:
        """Return (bits, packets, greatest queue length in frames) since the previous call."""
        found = self._bits, self._packets, self._queue
        while self._ends_ns and self._ends_ns[0] <= now_ns:
            self._ends_ns.popleft()
        self._bits = self._packets = 0
        self._queue = max(0, len(self._ends_ns) - 1)
        return found
