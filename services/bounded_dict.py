"""A dictionary that forgets what was not used for longest once it holds more than it may.

What peers can make a resolver remember is bounded by it: cached sets, servers, ready answers.
"""

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(Generic[K, V]):
    """At most `entries_max` entries; 0 makes one that keeps nothing."""

    __slots__ = ("_entries", "entries_max")

    def __init__(self, entries_max: int) -> None:
        self.entries_max = entries_max
        # A dict keeps the order of insertion, so the entry that is first was not used for longest.
        self._entries: dict[K, V] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: K) -> V | None:
        """Return a value and count it as used; None where there is none."""
        value = self._entries.pop(key, None)
        if value is not None:
            self._entries[key] = value
        return value

    def put(self, key: K, value: V) -> None:
        """Set a value; the one unused for longest goes where there is no room."""
        self._entries.pop(key, None)
        self._entries[key] = value
        if len(self._entries) > self.entries_max:
            del self._entries[next(iter(self._entries))]

    def drop(self, key: K) -> None:
        """Forget a value, if there is one."""
        self._entries.pop(key, None)
