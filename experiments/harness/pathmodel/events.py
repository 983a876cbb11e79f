"""Discrete-event clock of the TCP simulation, and applications as generators that yield the conditions they await.

    clock = Clock()
    clock.start(client(connection))     # a generator that yields the conditions it waits for
    clock.run()                         # until no event is left

A condition becomes true once, for example at a simulated time or at the arrival of octets; the generator then
continues.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from itertools import count

# Maximum number of events in a simulation, beyond which RuntimeError is raised: a workload may be endless.
EVENTS_MAX = 5_000_000


class Condition:
    """Condition in the simulation: it becomes true once, and then calls its registered actions in order."""

    def __init__(self, holds: bool = False) -> None:
        self.holds = holds
        self._waiting: list[Callable[[], None]] = []

    def when_met(self, action: Callable[[], None]) -> None:
        """Call `action` when the condition becomes true, or immediately if it is true already."""
        if self.holds:
            action()
        else:
            self._waiting.append(action)

    def meet(self) -> None:
        """Make the condition true, and call the registered actions."""
        self.holds = True
        waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()


Application = Generator[Condition, None, None]


class Clock:
    """Simulated clock with an event queue, ordered by time and then by creation; times in ns start from 0."""

    def __init__(self) -> None:
        self.now_ns = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    def at(self, time_ns: int, action: Callable[[], None]) -> None:
        """Schedule an action at `time_ns`, or now if that time has passed."""
        heapq.heappush(self._events, (max(time_ns, self.now_ns), next(self._numbers), action))

    def after(self, delay_ns: int) -> Condition:
        """Return a condition that becomes true `delay_ns` from now."""
        met = Condition()
        self.at(self.now_ns + delay_ns, met.meet)
        return met

    def at_time(self, time_ns: int) -> Condition:
        """Return a condition that becomes true at `time_ns`, or now if that time has passed."""
        return self.after(max(0, time_ns - self.now_ns))

    def start(self, application: Application) -> Condition:
        """Start an application at the current simulated time; return a condition that becomes true when it ends.

        An application is a generator: it yields a condition, and is resumed when that condition is true.
        """
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
        """Process events until none is left. Raises RuntimeError after EVENTS_MAX events."""
        for _ in range(EVENTS_MAX):
            if not self._events:
                return
            self.now_ns, _, action = heapq.heappop(self._events)
            action()
        raise RuntimeError(f"the path model exceeded {EVENTS_MAX} events")
