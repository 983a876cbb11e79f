"""How often somebody has tried in vain, so that guessing is slow.

A try counts before its outcome is known, so that many at once are no more than many in a row; one that succeeds is
taken back.
"""

from collections import OrderedDict, deque

from services.mail.webmail.limits import GUESSERS_MAX


class Attempts:
    """Tries of each key in a window of time; of too many keys the oldest is forgotten."""

    def __init__(self, most: int, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, key: str, now: float) -> float:
        """Return how long `key` has to wait before its next try; 0 where it may try now."""
        tries = self._tries.get(key)
        if tries is None:
            return 0.0
        while tries and now - tries[0] >= self._window_s:
            tries.popleft()
        return self._window_s - (now - tries[0]) if len(tries) >= self._most else 0.0

    def count(self, key: str, now: float) -> None:
        """Note a try."""
        tries = self._tries.setdefault(key, deque(maxlen=self._most))
        tries.append(now)
        self._tries.move_to_end(key)
        if len(self._tries) > GUESSERS_MAX:
            self._tries.popitem(last=False)

    def take_back(self, key: str) -> None:
        """The last try was no failure."""
        tries = self._tries.get(key)
        if tries:
            tries.pop()
