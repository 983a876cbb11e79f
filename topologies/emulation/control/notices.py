"""Notices: messages about events in a running network (changes of links, services, commands) for its subscribers.

A subscriber is a client of the control server that has sent the request `subscribe`, such as `lab7 events`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

# Maximum number of notices queued for a subscriber; further notices are dropped and counted.
WAITING_MAX = 256


class Subscription:
    """Queue of the notices (messages about events in the network) that one subscriber has not read yet."""

    def __init__(self) -> None:
        self._waiting: queue.Queue[dict[str, Any]] = queue.Queue(WAITING_MAX)
        self._missed = 0

    def put(self, notice: dict[str, Any]) -> None:
        """Add a notice to the queue; if the queue is full, drop and count the notice."""
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            self._missed += 1

    def next(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next notice; its field `missed` is the number of notices dropped before it.

        Returns None after a timeout.
        """
        try:
            notice = self._waiting.get(timeout=timeout_s)
        except queue.Empty:
            return None
        missed, self._missed = self._missed, 0
        return {**notice, "missed": missed} if missed else notice


class Notices:
    """Distributor of notices (messages about events in the network) to all current subscribers. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: set[Subscription] = set()

    def tell(self, kind: str, **fields: Any) -> None:
        """Send a notice, with the current time added, to all subscribers."""
        notice = {"event": kind, "time": time.time(), **fields}
        with self._lock:
            for subscription in self._subscriptions:
                subscription.put(notice)

    @contextlib.contextmanager
    def subscribed(self) -> Iterator[Subscription]:
        """Yield a Subscription that lasts for the `with` block."""
        subscription = Subscription()
        with self._lock:
            self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions.discard(subscription)
