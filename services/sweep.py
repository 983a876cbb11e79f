"""Sweep over connections: what waits for too long is looked for from time to time, as long as there is anything.

    sweep = Sweep(loop, 0.5, look)      # look() -> bool: whether anything is left to be looked after
    sweep.wake()                        # something is; the first look is a period later

One timer for all connections costs less than one for each. A server without a connection has none, so that it does not
wake the processor: where hours take no time (a clock that moves only when nothing is runnable), its timer would be all
that takes any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Sweep:
    """Calls `look` every `period_s` from `wake` on, until that says that nothing is left."""

    def __init__(self, loop: asyncio.AbstractEventLoop, period_s: float, look: Callable[[], bool]) -> None:
        self._loop = loop
        self._period_s = period_s
        self._look = look
        self._timer: asyncio.TimerHandle | None = None

    def wake(self) -> None:
        """Look from now on, if that is not done already."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._period_s, self._run)

    def cancel(self) -> None:
        """Look no more, unless woken again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        if self._look():
            self.wake()
