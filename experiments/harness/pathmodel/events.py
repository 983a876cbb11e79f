"""Discrete-event clock of the path model, with applications as generators that wait on it.

clock = Clock()
clock.start(client(connection))     # a generator that yields the conditions it waits for
clock.run()                         # until no event is left
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from itertools import count

# Maximum number of events of one model, against a workload without end.
EVENTS_MAX = 5_000_000


class Condition:
    """A condition that becomes true once; callbacks waiting for it run then, in order of registration."""

    def __init__(self, holds: bool = False) -> None:
        self.holds = holds
        self._waiting: list[Callable[[], None]] = []

    def when_met(self, action: Callable[[], None]) -> None:
        """Call `action` once the condition holds; at once if it does."""
        if self.holds:
            action()
        else:
            self._waiting.append(action)

    def meet(self) -> None:
        """Make the condition true."""
        self.holds = True
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()


Application = Generator[Condition, None, None]


class Clock:
    """Event queue ordered by time, and by creation at equal times. Times are in ns from 0."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Schedule an action at a time, not before now."""
        heapq.heappush(self._events, (max(time_ns, self.now_ns), next(self._numbers), action))

    def after(self, delay_ns: int) -> Condition:
        """Return a condition that is met in `delay_ns`."""
        met = Condition()
        self.at(self.now_ns + delay_ns, met.meet)
        return met

    def at_time(self, time_ns: int) -> Condition:
        """Return a condition that is met at a time, or at once if that has passed."""
        return self.after(max(0, time_ns - self.now_ns))

    def start(self, application: Application) -> Condition:
        """Run an application from now on; return the condition that it has ended."""
        ended = Condition()

        def go_on() -> None:
            try:
                awaited = next(application)
            except StopIteration:
                ended.meet()
            else:
                awaited.when_met(go_on)

        self.at(self.now_ns, go_on)
        return ended

    def run(self) -> None:
        """Process all events. Raises RuntimeError after EVENTS_MAX."""
        for _ in range(EVENTS_MAX):
            if not self._events:
                return
            self.now_ns, _, action = heapq.heappop(self._events)
            action()
        raise RuntimeError(f"the path model exceeded {EVENTS_MAX} events")
