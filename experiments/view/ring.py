"""Ring buffer of numbered events, from which threads read and wait; slow readers miss the oldest events.

The buffer holds a fixed number of events, so that its memory is bounded.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any


class Ring:
    """Ring buffer with the last `size` events, numbered from 1. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=size)
        self._changed = threading.Condition()
        self._last = 0
        self._closed = False

    @property
    def last(self) -> int:
        """Number of the last event; 0 before the first."""
        return self._last

    @property
    def closed(self) -> bool:
        """True after close(): no event will follow."""
        return self._closed

    def add(self, event: dict[str, Any]) -> None:
        """Append an event, and wake the readers."""
        with self._changed:
            self._last += 1
            self._events.append((self._last, event))
            self._changed.notify_all()

    def close(self) -> None:
        """Mark the buffer as complete, so that no event follows, and wake the waiting readers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def after(self, number: int, timeout_s: float) -> tuple[int, list[dict[str, Any]], int]:
        """Wait for events after `number`; return (number of the last event, events, number of missed events)."""
        with self._changed:
            self._changed.wait_for(lambda: self._last > number or self._closed, timeout_s)
            found = [event for place, event in self._events if place > number]
            return self._last, found, max(0, self._last - number - len(found))
