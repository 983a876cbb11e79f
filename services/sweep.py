"""A sweep: one periodic timer for the deadlines of all connections, which runs only while there is any.

    sweep = Sweep(loop, 0.5, look)      # look() checks all deadlines, and returns whether any connection is left
    sweep.wake()                        # schedules look() one period later, unless it is scheduled already

One timer for all connections costs less than one for each. Without connections there is no timer, so that an idle
server does not wake the processor: in virtual time, where hours cost nothing, its timer would be the only cost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Sweep:
    """Calls `look` every `period_s` after wake(), until it returns False."""

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float, look: Callable[[], bool]) -> None:
        self._loop = loop
        self._period_s = period_s
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Schedule the next call, unless it is scheduled already."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._period_s, self._run)

    def cancel(self) -> None:
        """Cancel the timer; wake() may start it again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        if self._look():
            self.wake()
