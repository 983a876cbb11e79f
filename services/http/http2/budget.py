"""What a peer may cost: counts that a peer spends and that fill up again with time or with useful work.

RFC 9113 section 10.5 asks an endpoint to watch for features that are used to no end, and gives ENHANCE_YOUR_CALM for
it; limits.py has the numbers and where they come from.
"""

from services.http.http2 import limits
from services.http.http2.errors import ErrorCode, Http2ConnectionError


class Bucket:
    """At most `burst` at once, and `per_s` more with every second."""

    def __init__(self, burst: int, per_s: float, what: str) -> None:
        self._burst = burst
        self._per_s = per_s
        self._what = what
        self._left = float(burst)
        self._filled = 0.0

    def spend(self, now: float) -> None:
        """Take one; raises Http2ConnectionError when none is left."""
        earned = max(0.0, now - self._filled) * self._per_s
        self._left = min(self._burst, self._left + earned) - 1
        self._filled = now
        if self._left < 0:
            raise Http2ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, f"too many {self._what}")

    def refund(self) -> None:
        """Give one back."""
        self._left = min(float(self._burst), self._left + 1)


class Budget:
    """All that one connection's peer may spend."""

    def __init__(self) -> None:
        self._resets = Bucket(limits.RESETS_BURST, limits.RESETS_PER_S, "streams reset")
        self._idle = Bucket(limits.IDLE_FRAMES_BURST, limits.IDLE_FRAMES_PER_S, "frames that bring nothing")
        self._window_updates = limits.WINDOW_UPDATES_PER_DATA

    def reset(self, now: float) -> None:
        """Count a stream that ended before its time."""
        self._resets.spend(now)

    def idle_frame(self, now: float) -> None:
        """Count a frame that brings nothing."""
        self._idle.spend(now)

    def earn(self) -> None:
        """Note a DATA frame or a stream, which may be followed by so many WINDOW_UPDATE, and a PING to measure it."""
        self._window_updates += limits.WINDOW_UPDATES_PER_DATA
        self._idle.refund()

    def window_update(self, now: float) -> None:
        """Count a WINDOW_UPDATE: free as long as DATA was sent for it."""
        if self._window_updates > 0:
            self._window_updates -= 1
        else:
            self._idle.spend(now)
